//! The state of a world as plain data: time, decisions, events, tasks, machines. Subsystems work on it.
//!
//! Nothing in here calls user code: no future, no waker, no destructor. What must be woken or dropped is handed
//! to the caller, who does it when the kernel is no longer borrowed.

use crate::clock::{ClockError, Due, EventKey, Events, Target, What};
use crate::config::Decisions;
use crate::decision::{Deviation, Kind, Name, Naming, Source};
use crate::executor::{BoxTask, Executor, waker};
use crate::failure::{Failure, FailureKind};
use crate::fault::{Aspect, FaultLog};
use crate::hash::{BuildMix, Map, chain, mix};
use crate::node::{Exited, Machine, NodeId};
use crate::oracle::{Claims, Watch};
use crate::outcome::Stats;
use crate::slab::Key;
use crate::trace::{Event, Log};
use crate::workload::Clients;
use crate::world::{SubsystemId, WorldId};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

/// Who runs now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) task: Option<Key>,
    pub(crate) node: NodeId,
    /// Its process is gone: nothing that it still does may have an effect.
    pub(crate) dead: bool,
}

impl Current {
    pub(crate) const HARNESS: Current = Current { task: None, node: NodeId::HARNESS, dead: false };
}

/// What a source says of a decision: bits to map to a value, or the value.
pub(crate) enum Drawn {
    Bits(u64),
    Value(u64),
}

/// What the world must do next, outside of any borrow.
pub(crate) enum Step {
    Poll(Key, BoxTask),
    Wake(Waker),
    Subsystem(SubsystemId, u8, Key),
    Action(Key),
    Boot(NodeId, u32),
    StopDeadline(NodeId, u32),
    /// Programs have returned.
    Exited,
    /// Invariants are to be looked at.
    Look,
    /// Something has changed, and the instant is over: whoever waits for that looks again.
    Tell(Vec<Waker>),
    /// Other threads left wakes.
    Inbox,
    /// The run is over.
    Over,
}

/// The state of a world. Subsystems reach it through [`World::kernel`](crate::World::kernel).
pub struct Kernel {
    world: WorldId,
    now: u64,
    trace: u64,
    source: Source,
    /// Mixed from the seed; draws of the plain seeded case are `mix(draw_key ^ name)`.
    draw_key: u64,
    pub(crate) seed: u64,
    pub(crate) naming: Naming,
    events: Events,
    pub(crate) executor: Executor,
    pub(crate) machines: Vec<Machine>,
    pub(crate) names: Map<Rc<str>, NodeId>,
    /// A machine has capitals in its name.
    pub(crate) capitals: bool,
    /// How many machines stand still or are under the CPU model.
    pub(crate) hindered: u32,
    /// How many machines have no power or stand still as a whole: while there are none, packets need not look.
    pub(crate) absent: u32,
    /// A clock has run at another rate than the world's: until then, all monotonic clocks show the world's time.
    drifted: bool,
    /// Counts what may have changed which machine has which address.
    pub(crate) addressing: u64,
    pub(crate) current: Current,
    pub(crate) stats: Stats,
    pub(crate) log: Option<Box<Log>>,
    /// Decisions of at least this value are listed.
    listed_from: u64,
    listed: Vec<Deviation>,
    pub(crate) faults: FaultLog,
    pub(crate) clients: Clients,
    pub(crate) claims: Claims,
    pub(crate) watch: Watch,
    exited: Vec<Exited>,
    /// A failure or the return of a program waits to be looked at, or oracles watch.
    attention: bool,
    /// The event that is being handled.
    pub(crate) happens: What,
    /// How many wakes other threads had left when this world last looked.
    wakes_seen: u64,
    failure: Option<Box<Failure>>,
    time_limit: u64,
    pub(crate) epoch: u64,
    /// The run is over when this task is.
    pub(crate) main: Key,
    pub(crate) done: bool,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut s = f.debug_struct("Kernel");
        s.field("world", &self.world).field("now", &self.now).field("current", &self.current);
        s.field("machines", &self.machines.len()).field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Kernel {
    pub(crate) const fn new() -> Self {
        Kernel {
            world: WorldId(0),
            now: 0,
            trace: 0,
            source: Source::Seeded(0),
            draw_key: 0,
            seed: 0,
            naming: Naming::new(),
            events: Events::new(),
            executor: Executor::new(),
            machines: Vec::new(),
            names: Map::with_hasher(BuildMix::new()),
            capitals: false,
            hindered: 0,
            absent: 0,
            drifted: false,
            addressing: 0,
            current: Current::HARNESS,
            stats: Stats::NONE,
            log: None,
            listed_from: u64::MAX,
            listed: Vec::new(),
            faults: FaultLog::new(),
            clients: Clients::new(),
            claims: Claims::new(),
            watch: Watch::new(),
            exited: Vec::new(),
            attention: false,
            happens: What::Nothing,
            wakes_seen: 0,
            failure: None,
            time_limit: u64::MAX,
            epoch: 0,
            main: Key::NONE,
            done: false,
        }
    }

    /// Starts over on the same memory.
    pub(crate) fn reset(&mut self, world: WorldId, config: &crate::Config) {
        let source = config.source.clone().unwrap_or(Source::Seeded(config.seed));
        self.world = world;
        self.now = 0;
        self.trace = mix(0x7ace);
        self.seed = source.seed(0);
        self.draw_key = mix(self.seed);
        self.source = source;
        self.naming.reset();
        self.executor.reset(config.schedule, self.seed);
        self.machines.clear();
        self.names.clear();
        self.capitals = false;
        self.hindered = 0;
        self.absent = 0;
        self.drifted = false;
        self.current = Current::HARNESS;
        self.stats = Stats::NONE;
        self.log = config.record.then(Box::default);
        self.listed = Vec::new();
        self.listed_from = match config.listed() {
            Decisions::Unlisted => u64::MAX,
            Decisions::Deviations => 1,
            Decisions::All => 0,
        };
        self.faults.reset();
        self.clients.reset();
        self.claims.reset();
        self.exited.clear();
        self.attention = false;
        self.happens = What::Nothing;
        self.wakes_seen = waker::wakes_left();
        self.failure = None;
        self.time_limit = crate::clock::nanos(config.time_limit);
        self.epoch = config.epoch;
        self.main = Key::NONE;
        self.done = false;
    }

    // ---- what subsystems use ----

    /// Nanoseconds of world time since the start of the run.
    #[inline]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Counts changes of addresses: while the number is the same, [`by_address`](Kernel::by_address) says the same.
    #[inline]
    pub fn addressing(&self) -> u64 {
        self.addressing
    }

    /// Which world this is.
    #[inline]
    pub fn world(&self) -> WorldId {
        self.world
    }

    /// The node whose process runs now; `None` while what is left of a dead process is dropped: nothing that it
    /// does may have an effect.
    #[inline]
    pub fn actor(&self) -> Option<NodeId> {
        (!self.current.dead).then_some(self.current.node)
    }

    /// The node whose code runs now, dead or alive: for what reads only, such as clocks.
    #[inline]
    pub fn here(&self) -> NodeId {
        self.current.node
    }

    /// Folds a word into the trace hash.
    #[inline(always)]
    pub fn fold(&mut self, word: u64) {
        self.trace = chain(self.trace, word);
    }

    /// The next name of this kind and target under the current cause.
    #[inline]
    pub fn name(&mut self, kind: Kind, target: u64) -> Name {
        self.naming.name(kind, target)
    }

    /// The event that is being handled: the cause of whatever happens now.
    #[inline]
    pub fn cause(&self) -> Name {
        self.naming.cause()
    }

    /// The value of a decision. `dist` maps 64 random bits to a value, of which 0 is the boring one.
    ///
    /// `target` says whom it is about, for the log of deviations.
    #[inline]
    pub fn decide(&mut self, name: Name, kind: Kind, target: u64, dist: impl FnOnce(u64) -> u64) -> u64 {
        let value = match self.draw(name) {
            Drawn::Bits(bits) => dist(bits),
            Drawn::Value(value) => value,
        };
        self.decided(name, kind, target, value);
        value
    }

    /// What the source says of a decision.
    #[inline]
    pub(crate) fn draw(&self, name: Name) -> Drawn {
        match &self.source {
            Source::Seeded(_) => Drawn::Bits(mix(self.draw_key ^ name)),
            Source::Explicit { deviations, .. } => Drawn::Value(deviations.get(&name).copied().unwrap_or(0)),
            Source::Spliced { .. } => Drawn::Bits(mix(mix(self.source.seed(self.now)) ^ name)),
        }
    }

    /// Folds, counts and lists the value of a decision.
    #[inline]
    pub(crate) fn decided(&mut self, name: Name, kind: Kind, target: u64, value: u64) {
        self.stats.decisions += 1;
        self.fold(name ^ value);
        if value != 0 {
            self.stats.deviations += 1;
        }
        if value >= self.listed_from {
            self.list(Deviation { name, kind, target, value, at: self.now });
        }
    }

    #[cold]
    fn list(&mut self, decision: Deviation) {
        self.listed.push(decision);
    }

    /// The log of the run, if it was to keep any part of one.
    pub(crate) fn take_log(&mut self) -> Option<Log> {
        let events = self.log.take();
        let any = events.is_some() || self.listed_from < u64::MAX;
        any.then(|| {
            let mut log = events.map(|log| *log).unwrap_or_default();
            log.deviations = std::mem::take(&mut self.listed);
            log.nodes = self.machines.iter().map(|machine| machine.name.to_string()).collect();
            log
        })
    }

    /// Plans an event for a subsystem at a time of the world, not before now. What happens in it is caused by
    /// `name`.
    #[inline]
    pub fn post(&mut self, at: u64, name: Name, subsystem: SubsystemId, tag: u8, key: Key) -> EventKey {
        self.push_event(at, name, What::Subsystem(subsystem, tag, key))
    }

    /// Takes a pending event back; a stale key does nothing. The waker, if any, is for the caller to drop when the
    /// kernel is no longer borrowed.
    #[inline]
    pub fn cancel(&mut self, key: EventKey) -> Option<Waker> {
        self.events.cancel(key)
    }

    /// Wakes one of this world's tasks, whose waker is a number, although the kernel is borrowed. It comes to the same as
    /// `waker.wake()` at this point.
    ///
    /// # Errors
    /// Gives back what is not the waker of such a task: it runs code of others, and has to wait for the end of the borrow.
    #[inline]
    pub fn wake_task(&mut self, waker: Waker) -> Result<(), Waker> {
        let Some(key) = waker::task_of(self.world, &waker) else { return Err(waker) };
        // Dropping one of our own wakers does nothing.
        std::mem::forget(waker);
        self.wake(key);
        Ok(())
    }

    /// Adds an event to the log, if it is on.
    #[inline]
    pub fn record(&mut self, event: impl FnOnce() -> Event) {
        if let Some(log) = &mut self.log {
            log.push(self.now, self.current.node, self.naming.cause(), event());
        }
    }

    /// Adds an event of a machine's own to the log, if it is on: its kernel or its disk at work, whoever's code runs.
    #[inline]
    pub fn record_of(&mut self, node: NodeId, event: impl FnOnce() -> Event) {
        if let Some(log) = &mut self.log {
            log.push(self.now, node, self.naming.cause(), event());
        }
    }

    /// The counters of this run, for subsystems to count in.
    #[inline]
    pub fn stats(&mut self) -> &mut Stats {
        &mut self.stats
    }

    /// Ends the run with a failure after the current poll; the first failure counts.
    pub fn fail(&mut self, kind: FailureKind, site: impl Into<String>, message: impl Into<String>) {
        self.fail_with(Failure::new(kind, site, message));
    }

    // ---- the same, inside ----

    pub(crate) fn fail_with(&mut self, mut failure: Failure) {
        if self.failure.is_some() {
            return;
        }
        failure.at = Duration::from_nanos(self.now);
        if failure.node.is_none() && failure.is_of_a_task() {
            failure.node = self.machines.get(self.current.node.0 as usize).map(|m| m.name.to_string());
        }
        if failure.task.is_none() && failure.is_of_a_task() {
            failure.task = self.current.task.map(|key| self.label(key).to_string());
        }
        self.failure = Some(Box::new(failure));
        self.attention = true;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take().map(|f| *f)
    }

    pub(crate) fn take_exited(&mut self) -> Vec<Exited> {
        std::mem::take(&mut self.exited)
    }

    pub(crate) fn program_returned(&mut self, exited: Exited) {
        self.exited.push(exited);
        self.attention = true;
    }

    pub(crate) fn trace(&self) -> u64 {
        self.trace
    }

    #[inline]
    pub(crate) fn push_event(&mut self, at: u64, name: Name, what: What) -> EventKey {
        let tie = self.tie(name);
        self.events.push(at.max(self.now), tie, name, what)
    }

    /// Plans a wake at a time of the world.
    pub(crate) fn push_wake(&mut self, at: u64, name: Name, target: Target) -> EventKey {
        let what = self.events.wake_of(target);
        self.push_event(at, name, what)
    }

    /// The order among equal times: decided by the seed, and not listed, since it has no boring value.
    #[inline]
    fn tie(&self, name: Name) -> u32 {
        (mix(self.draw_key.rotate_left(17) ^ name) >> 32) as u32
    }

    /// The seed that decisions are drawn from now: it changes in the middle of a spliced run.
    pub(crate) fn drawn_from(&self) -> u64 {
        self.source.seed(self.now)
    }

    /// When that seed will change, if it will, ns of virtual time.
    pub(crate) fn reseeded_at(&self) -> Option<u64> {
        match self.source {
            Source::Spliced { until, .. } => Some(until).filter(|until| self.now < *until),
            _ => None,
        }
    }

    /// A timer on the current node's monotonic clock.
    #[inline]
    pub(crate) fn timer(&mut self, deadline: u64, target: Target) -> EventKey {
        let name = self.naming.name(Kind::Timer, 0);
        let node = self.current.node;
        let due = match self.drifted {
            true => self.machine(node).clock.due(self.now, deadline),
            false => deadline.max(self.now),
        };
        let tie = self.tie(name);
        let what = self.events.wake_of(target);
        self.events.push_timer((due, tie), name, what, node)
    }

    #[inline]
    pub(crate) fn is_pending(&mut self, key: EventKey) -> bool {
        self.events.is_pending(key)
    }

    #[inline]
    pub(crate) fn rewake(&mut self, key: EventKey, target: Target) -> Option<Waker> {
        self.events.rewake(key, target)
    }

    /// What the current node's monotonic clock shows, ns.
    #[inline]
    pub(crate) fn monotonic(&mut self) -> u64 {
        if self.drifted { self.drifted_monotonic() } else { self.now }
    }

    #[cold]
    fn drifted_monotonic(&mut self) -> u64 {
        let node = self.current.node;
        let clock = &self.machines[node.0 as usize].clock;
        let shown = clock.monotonic(self.now);
        if clock.drift_ppm() != 0 {
            self.fault_told(node, Aspect::Drift);
        }
        shown
    }

    /// What the current node's wall clock shows, ns since 1970.
    pub(crate) fn realtime(&mut self) -> u64 {
        let node = self.current.node;
        self.fault_told(node, Aspect::Drift);
        self.fault_told(node, Aspect::Offset);
        self.machines[node.0 as usize].clock.realtime(self.now)
    }

    /// By how much a node's wall clock is ahead of the world's, ns.
    pub(crate) fn clock_off(&self, node: NodeId) -> i128 {
        let exact = i128::from(self.epoch) + i128::from(self.now);
        i128::from(self.machine(node).clock.realtime(self.now)) - exact
    }

    /// Changes the rate of a node's clock, and with it when its timers are due.
    pub(crate) fn set_drift(&mut self, node: NodeId, ppm: i64) -> Result<(), ClockError> {
        let now = self.now;
        let before = self.machine(node).clock;
        let mut after = before;
        after.set_drift(now, ppm)?;
        self.fold(ppm as u64);
        self.machine_mut(node).clock = after;
        self.drifted = true;
        self.events.rearm(node, |due| after.due(now, before.monotonic(due)));
        Ok(())
    }

    pub(crate) fn clear_events(&mut self) -> crate::slab::Slab<Waker> {
        self.events.clear()
    }

    pub(crate) fn capacity(&self) -> (usize, usize) {
        (self.executor.capacity(), self.events.capacity())
    }

    pub(crate) fn pending_events(&self) -> usize {
        self.events.len()
    }

    /// Runs the world up to where something outside of the kernel must be called. It is called from one place.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Step {
        loop {
            if self.attention
                && let Some(step) = self.attended()
            {
                return step;
            }
            if let Some((key, task)) = self.begin_poll() {
                return Step::Poll(key, task);
            }
            if self.done {
                return Step::Over;
            }
            let left = waker::wakes_left();
            if left != self.wakes_seen {
                self.wakes_seen = left;
                return Step::Inbox;
            }
            let Some(due) = self.advance() else { return Step::Over };
            match due.what {
                // Time moves only when nothing is ready, so the task that wakes is alone.
                What::Task(key) => {
                    if let Some((key, task)) = self.wake_alone(key) {
                        return Step::Poll(key, task);
                    }
                }
                What::Resume(key) => self.resume_poll(key),
                What::Waker(key) => {
                    if let Some(waker) = self.events.take_waker(key) {
                        return Step::Wake(waker);
                    }
                }
                What::Subsystem(id, tag, key) => return Step::Subsystem(id, tag, key),
                What::Action(key) => return Step::Action(key),
                What::Boot(node, life) => return Step::Boot(node, life),
                What::StopDeadline(node, life) => return Step::StopDeadline(node, life),
                What::Nothing => {}
            }
        }
    }

    /// Has what is not a poll or an event looked at before the next of those.
    pub(crate) fn attend(&mut self) {
        self.attention = true;
    }

    #[cold]
    fn attended(&mut self) -> Option<Step> {
        if self.failure.is_some() {
            return Some(Step::Over);
        }
        if !self.exited.is_empty() {
            self.watch.look_again();
            return Some(Step::Exited);
        }
        self.attention = self.watch.is_on();
        self.watched()
    }

    #[cold]
    pub(crate) fn describe(&self, what: &What) -> String {
        let name = |node: NodeId| &self.machine(node).name;
        match what {
            What::Boot(node, _) => format!("the start of the program of node {}", name(*node)),
            What::StopDeadline(node, _) => format!("the deadline of a stop of node {}", name(*node)),
            What::Action(_) => "an action of the test".to_string(),
            What::Subsystem(..) => "a packet, or another event of a subsystem".to_string(),
            What::Task(key) | What::Resume(key) => format!("a wake of the task {}", self.label(*key)),
            What::Waker(_) | What::Nothing => "a timer".to_string(),
        }
    }

    /// Makes the next event the cause of what follows.
    #[inline]
    fn advance(&mut self) -> Option<Due> {
        let Some(due) = self.events.pop() else {
            let waiting = self.waiting();
            self.fail_with(Failure::deadlock(waiting));
            return None;
        };
        if due.time > self.time_limit {
            self.now = self.time_limit;
            let waiting = self.waiting();
            self.fail_with(Failure::time_limit(Duration::from_nanos(self.time_limit), waiting));
            return None;
        }
        debug_assert!(due.time >= self.now, "time goes back");
        let honest = self.executor.next_event(due.time > self.now);
        self.now = due.time;
        if !honest {
            let failure = Failure::event_spin(&self.describe(&due.what));
            self.fail_with(failure);
            return None;
        }
        self.stats.events += 1;
        self.naming.set_cause(due.name);
        self.current = Current::HARNESS;
        self.happens = due.what;
        self.fold(due.time ^ due.name);
        Some(due)
    }
}
