//! The executor: one thread, one ready queue, no `Send` bound on tasks.
//!
//! The schedule is a *priority on each wake*, not an index into the runnable set: lowering one is a legal step
//! of a shrinker. A wake is a decision only when another task is ready, for otherwise there is no choice. Nothing
//! in here calls a future, a waker or a destructor of user code: what must be dropped or woken is handed back.

mod cpu;
mod hindrance;
mod join_set;
mod pool;
mod ready;
mod strategy;
mod task;
pub(crate) mod waker;

pub use join_set::JoinSet;
pub use strategy::{Schedule, UnknownSchedule};
pub use task::{AbortHandle, JoinError, JoinHandle, spawn, spawn_local, spawn_named, yield_now};

pub(crate) use cpu::Cpu;
pub(crate) use task::{BoxTask, Joined, Label, Removed, spawn_on};

use crate::decision::{Kind, Name};
use crate::hash::below;
use crate::kernel::{Current, Kernel};
use crate::node::NodeId;
use crate::slab::Key;
use pool::Pool;
use ready::Ready;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;
use strategy::{Strategy, Woken};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Free,
    Idle,
    Queued,
    Polling,
    /// Woken while it was polled.
    Again,
    /// Its poll waits for a core of its node.
    PutOff,
    /// Ready, but its process is paused or its machine stands still.
    Parked,
    Done,
}

/// What a poll touches: one cache line.
#[repr(align(64))]
struct Slot {
    generation: u32,
    state: State,
    joined: bool,
    /// The core's time for the next poll is already reserved.
    charged: bool,
    node: NodeId,
    polls: u32,
    name: Name,
    task: Option<BoxTask>,
    priority: i64,
    /// Which cause the ordinal of wakes counts under.
    epoch: u32,
    ordinal: u32,
    /// Consecutive polls that ended with a wake by the task itself.
    spins: u32,
}

/// What spawn and join touch.
struct Rest {
    join: Option<Waker>,
    at: &'static Location<'static>,
}

/// What a task panicked with.
type Panic = Box<dyn Any + Send>;

/// The tasks of a world and the order in which they run.
pub(crate) struct Executor {
    slots: Vec<Slot>,
    rests: Vec<Rest>,
    free: Vec<u32>,
    /// The names of tasks that have one.
    names: BTreeMap<Key, Rc<str>>,
    /// What tasks panicked with whose handles have not asked yet.
    panics: BTreeMap<Key, Panic>,
    /// Until when tasks pay for what they have done, ns of world time; `u64::MAX` until the end is known.
    debts: BTreeMap<Key, u64>,
    ready: Ready,
    strategy: Strategy,
    pool: Pool,
    /// Polls at this instant.
    burst: u64,
    /// Events at this instant.
    events: u64,
}

/// So many polls at one instant, or consecutive ones that the same task asked for itself, or events at one instant, and
/// something spins. Honest bursts stay far below: there cannot be more timers at one instant than tasks.
const BURST_BOUND: u64 = 1 << 26;
const SPIN_BOUND: u32 = 1 << 22;
const EVENT_BOUND: u64 = 1 << 22;

/// A task that never waits for anything.
pub(crate) struct Spin {
    pub(crate) task: Label,
    pub(crate) polls: u64,
}

impl Executor {
    pub(crate) const fn new() -> Self {
        Executor {
            slots: Vec::new(),
            rests: Vec::new(),
            free: Vec::new(),
            names: BTreeMap::new(),
            panics: BTreeMap::new(),
            debts: BTreeMap::new(),
            ready: Ready::new(),
            strategy: Strategy::Fifo,
            pool: Pool::new(),
            burst: 0,
            events: 0,
        }
    }

    /// Starts over on the same memory; all tasks have been removed before.
    pub(crate) fn reset(&mut self, schedule: Schedule, seed: u64) {
        self.slots.clear();
        self.rests.clear();
        self.free.clear();
        self.names.clear();
        self.debts.clear();
        self.ready.clear();
        self.strategy = Strategy::new(schedule, seed);
        self.burst = 0;
        self.events = 0;
    }

    /// How many tasks were ever alive at once.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(crate) fn next_event(&mut self, time_moves: bool) -> bool {
        if time_moves {
            self.burst = 0;
            self.events = 0;
        }
        self.events += 1;
        self.events <= EVENT_BOUND
    }

    #[inline]
    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key.slot() as usize).filter(|s| s.generation == key.generation())
    }

    /// The task that a waker means, which holds only some bits of its generation.
    #[inline]
    fn woken(&mut self, key: Key) -> Option<(Key, &mut Slot)> {
        let s = self.slots.get_mut(key.slot() as usize)?;
        if (s.generation ^ key.generation()) & waker::MASK != 0 {
            return None;
        }
        Some((Key::new(key.slot(), s.generation), s))
    }

    #[inline]
    fn release(&mut self, key: Key) {
        let s = &mut self.slots[key.slot() as usize];
        s.generation = s.generation.wrapping_add(1);
        s.state = State::Free;
        self.free.push(key.slot());
        if !self.names.is_empty() {
            self.names.remove(&key);
        }
    }

    fn label(&self, key: Key) -> Label {
        Label { name: self.names.get(&key).cloned(), at: self.rests[key.slot() as usize].at }
    }

    fn live(&self) -> impl Iterator<Item = (Key, &Slot, &Rest)> {
        let all = self.slots.iter().zip(&self.rests).enumerate();
        all.filter(|(_, (s, _))| s.state != State::Free)
            .map(|(i, (s, r))| (Key::new(i as u32, s.generation), s, r))
    }
}

impl Kernel {
    /// The memory of ended tasks.
    #[inline]
    pub(super) fn pool(&mut self) -> &mut Pool {
        &mut self.executor.pool
    }

    /// Keeps the memory of a task that ended, whose output was dropped.
    pub(crate) fn keep_memory(&mut self, task: BoxTask) {
        self.executor.pool.put(task);
    }

    /// Adds a task to a node, or to the one that runs now, and queues it. The task is given back when the node has no power, or when four
    /// million tasks are alive already.
    #[inline]
    pub(crate) fn spawn(
        &mut self,
        node: Option<NodeId>,
        task: BoxTask,
        label: Label,
    ) -> Result<Key, BoxTask> {
        // What is left of a dead process may not act, not even on another node.
        let Some(node) = self.actor().and(node.or(self.actor())).filter(|&node| self.machine(node).up) else {
            return Err(task);
        };
        let name = self.name(Kind::Spawn, node.0.into());
        self.stats.tasks += 1;
        let ex = &mut self.executor;
        let rest = Rest { join: None, at: label.at };
        let slot = |generation| Slot {
            generation,
            state: State::Queued,
            joined: true,
            charged: false,
            node,
            polls: 0,
            name,
            task: None,
            priority: 0,
            epoch: 0,
            ordinal: 0,
            spins: 0,
        };
        let key = match ex.free.pop() {
            Some(i) => {
                let place = &mut ex.slots[i as usize];
                let generation = place.generation;
                *place = Slot { task: Some(task), ..slot(generation) };
                ex.rests[i as usize] = rest;
                Key::new(i, generation)
            }
            None if ex.slots.len() > waker::MASK as usize => {
                self.fail_with(crate::Failure::too_many_tasks(waker::MASK as usize + 1));
                return Err(task);
            }
            None => {
                ex.slots.push(Slot { task: Some(task), ..slot(0) });
                ex.rests.push(rest);
                Key::new(ex.slots.len() as u32 - 1, 0)
            }
        };
        if let Some(name) = label.name {
            self.executor.names.insert(key, name);
        }
        self.enqueue(key);
        Ok(key)
    }

    /// Queues a task for its next poll; waking a queued task does nothing.
    #[inline]
    pub(crate) fn wake(&mut self, key: Key) {
        let Some((key, s)) = self.executor.woken(key) else { return };
        match s.state {
            State::Idle => {
                s.state = State::Queued;
                self.enqueue(key);
            }
            State::Polling => s.state = State::Again,
            _ => {}
        }
    }

    #[inline]
    fn enqueue(&mut self, key: Key) {
        // Without another ready task there is no choice, and so no decision.
        if self.executor.strategy.ranks() && self.executor.ready.len() > 0 {
            self.rank(key);
        }
        let ex = &mut self.executor;
        ex.ready.push(key, ex.slots[key.slot() as usize].priority);
    }

    fn rank(&mut self, key: Key) {
        let epoch = self.naming.epoch();
        let s = &mut self.executor.slots[key.slot() as usize];
        if s.epoch != epoch {
            s.epoch = epoch;
            s.ordinal = 0;
        }
        s.ordinal += 1;
        let woken = Woken { task: s.name, polls: s.polls, priority: s.priority };
        let name = self.naming.name_with(Kind::Wake, woken.task, s.ordinal);
        // The strategy is taken out because it has a state of its own that the draw changes.
        let mut strategy = std::mem::replace(&mut self.executor.strategy, Strategy::Fifo);
        let value = self.decide(name, Kind::Wake, woken.task, |draw| strategy.wake(&woken, draw));
        self.executor.strategy = strategy;
        if let Some(priority) = strategy::priority(value) {
            self.executor.slots[key.slot() as usize].priority = priority;
        }
    }

    #[inline]
    fn dequeue(&mut self) -> Option<Key> {
        if matches!(self.executor.strategy, Strategy::Random) {
            let line = self.executor.ready.len() as u64;
            if line > 1 {
                let name = self.name(Kind::Pick, 0);
                let index = self.decide(name, Kind::Pick, 0, |draw| below(draw, line));
                return self.executor.ready.pick(index.min(line - 1) as usize);
            }
        }
        self.executor.ready.pop()
    }

    /// Whether no task is ready: the instant is over unless an event is due at it.
    pub(crate) fn nothing_is_ready(&self) -> bool {
        self.executor.ready.len() == 0
    }

    /// Takes the next ready task out for its poll.
    #[inline]
    pub(crate) fn begin_poll(&mut self) -> Option<(Key, BoxTask)> {
        loop {
            let key = self.dequeue()?;
            // A task that died may have left its place in the queue to another.
            if self.executor.slot(key).is_some_and(|s| s.state == State::Queued)
                && let Some(task) = self.take_for_poll(key)
            {
                return Some((key, task));
            }
        }
    }

    /// Wakes a task while no other is ready, and takes it out for its poll without a detour through the queue.
    #[inline]
    pub(crate) fn wake_alone(&mut self, key: Key) -> Option<(Key, BoxTask)> {
        let (key, s) = self.executor.woken(key)?;
        if s.state != State::Idle {
            return None;
        }
        s.state = State::Queued;
        Some((key, self.take_for_poll(key)?))
    }

    /// Takes a queued task out for its poll, unless that has to wait.
    #[inline(always)]
    fn take_for_poll(&mut self, key: Key) -> Option<BoxTask> {
        if self.hindered > 0 && self.hinder(key) {
            return None;
        }
        let s = &mut self.executor.slots[key.slot() as usize];
        let task = s.task.take()?;
        s.state = State::Polling;
        s.charged = false;
        s.polls += 1;
        let (name, node) = (s.name, s.node);
        self.current = Current { task: Some(key), node, dead: false };
        self.stats.polls += 1;
        self.executor.burst += 1;
        if self.executor.burst > BURST_BOUND {
            // The task runs once more, and then the run is over.
            self.spins(key, node, BURST_BOUND);
        }
        self.fold(name);
        if self.log.is_some() {
            self.log_poll(key);
        }
        Some(task)
    }

    #[cold]
    fn spins(&mut self, key: Key, node: NodeId, polls: u64) {
        let spin = Spin { task: self.executor.label(key), polls };
        self.fail_with(crate::Failure::spin(&self.machine(node).name, &spin));
    }

    /// Puts a pending task back; hands it out again when it was killed meanwhile. Who runs stays as it is until
    /// the next poll or event: what a destructor does still belongs to this poll.
    #[inline]
    pub(crate) fn end_pending(&mut self, key: Key, task: BoxTask) -> Option<BoxTask> {
        let Some(s) = self.executor.slot(key) else { return Some(task) };
        s.task = Some(task);
        if s.state != State::Again {
            s.state = State::Idle;
            s.spins = 0;
            return None;
        }
        s.state = State::Queued;
        s.spins += 1;
        if s.spins > SPIN_BOUND {
            let node = s.node;
            self.spins(key, node, SPIN_BOUND.into());
        }
        self.enqueue(key);
        None
    }

    /// Ends a finished task and wakes the task that waits for it: what to drop, and who else is to be woken.
    #[inline]
    pub(crate) fn end_done(&mut self, key: Key, task: BoxTask) -> (Option<BoxTask>, Option<Waker>) {
        let Some(s) = self.executor.slot(key) else { return (Some(task), None) };
        s.state = State::Done;
        let mut left = Some(task);
        if s.joined {
            s.task = left.take();
        } else {
            self.executor.release(key);
        }
        self.done |= key == self.main;
        let waker = self.executor.rests[key.slot() as usize].join.take();
        if let Some(waiter) = waker.as_ref().and_then(|waker| waker::task_of(self.world(), waker)) {
            // Dropping one of our own wakers does nothing.
            self.wake(waiter);
            return (left, None);
        }
        (left, waker)
    }

    /// Ends a task that panicked; its future is gone already.
    pub(crate) fn end_panicked(&mut self, key: Key, payload: Box<dyn Any + Send>) -> Removed {
        let Some(s) = self.executor.slot(key) else { return Removed::default() };
        s.state = State::Done;
        let joined = s.joined;
        let waiter = self.executor.rests[key.slot() as usize].join.take();
        if joined {
            self.executor.panics.insert(key, payload);
        } else {
            self.executor.release(key);
        }
        Removed { task: None, waiter }
    }

    /// What became of a task; who asks is woken when it ends.
    #[inline]
    pub(crate) fn join(&mut self, key: Key, waker: &Waker) -> Joined {
        let Some(s) = self.executor.slot(key) else { return Joined::Gone };
        if s.state != State::Done {
            return Joined::Pending(self.executor.rests[key.slot() as usize].join.replace(waker.clone()));
        }
        let task = s.task.take();
        let panic = if task.is_none() { self.executor.panics.remove(&key) } else { None };
        self.executor.release(key);
        match (task, panic) {
            (Some(task), _) => Joined::Done(task),
            (None, Some(payload)) => Joined::Panicked(payload),
            (None, None) => Joined::Gone,
        }
    }

    /// The handle is gone: the task's output is not wanted. What comes back is to be dropped, not woken.
    #[inline]
    pub(crate) fn detach(&mut self, key: Key) -> (Option<BoxTask>, Option<Waker>, Option<Panic>) {
        let Some(s) = self.executor.slot(key) else { return (None, None, None) };
        s.joined = false;
        let done = s.state == State::Done;
        let task = if done { s.task.take() } else { None };
        let panic = if done && task.is_none() { self.executor.panics.remove(&key) } else { None };
        let left = (task, self.executor.rests[key.slot() as usize].join.take(), panic);
        if done {
            self.executor.release(key);
        }
        left
    }

    /// Takes a task out (kill, abort). One that ended already keeps its output for its handle.
    pub(crate) fn remove(&mut self, key: Key) -> Removed {
        let Some(s) = self.executor.slot(key) else { return Removed::default() };
        if s.state == State::Done {
            return Removed::default();
        }
        let task = s.task.take();
        let waiter = self.executor.rests[key.slot() as usize].join.take();
        self.executor.release(key);
        Removed { task, waiter }
    }

    /// Takes out every task of a node that has not ended, or every task there is.
    pub(crate) fn remove_all(&mut self, node: Option<NodeId>) -> Vec<Removed> {
        let all = self.executor.live();
        let keys: Vec<Key> = match node {
            Some(node) => all.filter(|(_, s, _)| s.node == node).map(|(key, ..)| key).collect(),
            None => all.map(|(key, ..)| key).collect(),
        };
        if let Some(current) = self.current.task
            && keys.contains(&current)
            && node.is_some()
        {
            self.current.dead = true;
        }
        keys.into_iter().map(|key| self.remove(key)).collect()
    }

    /// Takes out the outputs that nobody fetched, at the end of a run.
    pub(crate) fn remove_outputs(&mut self) -> (Vec<BoxTask>, BTreeMap<Key, Panic>) {
        let outputs = self.executor.slots.iter_mut().filter_map(|s| s.task.take()).collect();
        (outputs, std::mem::take(&mut self.executor.panics))
    }

    pub(crate) fn is_finished(&mut self, key: Key) -> bool {
        self.executor.slot(key).is_none_or(|s| s.state == State::Done)
    }

    /// The name of a task, if it has one, and where it was spawned.
    pub(crate) fn label(&self, key: Key) -> Label {
        self.executor.label(key)
    }

    /// A line for every unfinished task: its node, what it waits for, where it was spawned.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let unfinished = self.executor.live().filter(|(_, s, _)| s.state != State::Done);
        let line = |(key, s, _): (Key, &Slot, &Rest)| {
            let machine = self.machine(s.node);
            let state = match s.state {
                State::Parked if machine.frozen => "its machine is frozen",
                State::Parked => "its process is paused",
                State::PutOff => "waits for a core",
                State::Queued | State::Again => "is ready",
                _ => "waits for a wake",
            };
            format!("{}: task {} {state} after {} polls", machine.name, self.executor.label(key), s.polls)
        };
        unfinished.map(line).collect()
    }

    /// How many tasks have not ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.executor.live().filter(|(_, s, _)| s.state != State::Done).count()
    }
}
