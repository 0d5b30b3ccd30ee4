//! The world: everything that exists during a run, current for its thread, and the loop that runs it.
//!
//! A thread has one world at a time and keeps its memory for the next. Whatever calls user code (a future, a waker, a
//! destructor, an action) does so here, when nothing is borrowed.

use crate::clock::What;
use crate::executor::{BoxTask, Joined, Label, spawn_on, waker};
use crate::fault::{Family, Nemesis};
use crate::kernel::{Current, Kernel, Step};
use crate::node::{Death, HARNESS, Holdings, NodeId};
use crate::oracle::Invariant;
use crate::slab::{Key, Slab};
use crate::{Config, Failure, FailureKind, Outcome, Sim, decision::Kind, panics};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeSet;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

/// A world; never given twice within an operating-system process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WorldId(pub(crate) u64);

/// A subsystem of a world, by the order of attachment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubsystemId(u8);

/// A part of the simulated machine room, such as the network. It keeps its state in a `thread_local!` of its own and
/// attaches itself to a world at its first use there; sim-core names none.
///
/// No method is called while the kernel is borrowed.
pub trait Subsystem: Sync {
    /// What it is called in messages.
    fn name(&self) -> &'static str;
    /// An event that it posted is due.
    fn event(&self, world: &World, tag: u8, key: Key);
    /// A process is about to end; its tasks have not been dropped yet.
    fn process_died(&self, world: &World, node: NodeId, death: Death);
    /// The machine of a node has lost its disks, after a power cut.
    fn wiped(&self, _world: &World, _node: NodeId) {}
    /// Every fault of this subsystem is to end, those that nobody holds any more too, except what is wrong with the nodes
    /// that are to stay broken.
    fn heal(&self, _world: &World, _stay: &BTreeSet<NodeId>) {}
    /// The families of faults that it can inject; see [`Family`].
    fn families(&self) -> &'static [&'static dyn Family] {
        &[]
    }
    /// What a node holds of what can be limited. Asked also while a subsystem is at work: that one answers nothing, and
    /// adds what is its own.
    fn holdings(&self, _node: NodeId) -> Holdings {
        Holdings::default()
    }
    /// The run is over: forget everything, keep the memory.
    fn world_ended(&self, world: &World);
}

/// Everything that exists during a run.
pub struct World {
    id: Cell<WorldId>,
    traced: Cell<bool>,
    backtrace: Cell<bool>,
    kernel: RefCell<Kernel>,
    subsystems: RefCell<Vec<&'static dyn Subsystem>>,
    actions: RefCell<Slab<Box<dyn FnOnce()>>>,
    random: RefCell<Option<ChaCha8Rng>>,
    pub(crate) nemesis: RefCell<Nemesis>,
    pub(crate) invariants: RefCell<Vec<Invariant>>,
    /// Calls to the host that this run may make, and how often it did.
    allowed: RefCell<Vec<(String, u64)>>,
    /// A violation is being written down: what that takes is no violation.
    accusing: Cell<bool>,
    /// How far the clocks that the guards show run ahead, ns; only in a run that has failed.
    passed: Cell<u64>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("id", &self.id).finish_non_exhaustive()
    }
}

thread_local! {
    static WORLD: World = const { World::new() };
    /// Whether a world runs here. It needs no destructor, so that asking costs nothing and allocates nothing, even on
    /// a thread that is starting or ending: the guards ask at every reading of the clock.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

/// Makes the thread's world current until it is dropped, however the run ends.
struct Running(WorldId);

impl Running {
    fn begin(world: WorldId) -> Self {
        waker::open_inbox(world);
        ACTIVE.set(true);
        Running(world)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        ACTIVE.set(false);
        waker::close_inbox(self.0);
    }
}

/// Holds while a violation is written down, however that ends.
struct Accusation<'a>(&'a Cell<bool>);

impl<'a> Accusation<'a> {
    fn begin(accusing: &'a Cell<bool>) -> Self {
        accusing.set(true);
        Accusation(accusing)
    }
}

impl Drop for Accusation<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Calls `f` with the world that runs on this thread, if there is one.
#[inline]
pub fn try_with<R>(f: impl FnOnce(&World) -> R) -> Option<R> {
    if !ACTIVE.get() {
        return None;
    }
    WORLD.try_with(f).ok()
}

/// Calls `f` with the world that runs on this thread.
///
/// # Panics
/// Outside of a simulation.
#[inline]
#[track_caller]
pub fn with<R>(f: impl FnOnce(&World) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => outside(),
    }
}

#[cold]
#[track_caller]
fn outside() -> ! {
    panic!(
        "this call needs a simulation around it, and this thread runs none: put it in the body of a #[sim_test], \
         or of sim::Builder::new().run(|sim| async move {{ … }}), or in a task that is spawned there"
    )
}

/// Runs `body` as a task of the harness until it is done, in a world of its own on this thread.
///
/// ```
/// use sim_core::{Config, run, time::sleep};
/// use std::time::Duration;
/// let outcome = run(Config::seed(7), |_sim| async {
///     sleep(Duration::from_secs(3600)).await;
///     "an hour later"
/// });
/// assert_eq!(outcome.result.unwrap(), "an hour later");
/// assert_eq!(outcome.now, Duration::from_secs(3600));
/// ```
///
/// # Panics
/// If a simulation is running on this thread already.
#[track_caller]
pub fn run<T, Fut>(config: Config, body: impl FnOnce(Sim) -> Fut) -> Outcome<T>
where
    T: 'static,
    Fut: Future<Output = T> + 'static,
{
    let nested = try_with(|_| ()).is_some();
    assert!(
        !nested,
        "a simulation is already running on this thread: a run inside a run cannot be reproduced"
    );
    panics::install();
    crate::hooks::install();
    let label = Label::here();
    WORLD.with(|w| w.run(config, body, label))
}

impl World {
    const fn new() -> Self {
        World {
            id: Cell::new(WorldId(0)),
            traced: Cell::new(false),
            backtrace: Cell::new(false),
            kernel: RefCell::new(Kernel::new()),
            subsystems: RefCell::new(Vec::new()),
            actions: RefCell::new(Slab::new()),
            random: RefCell::new(None),
            nemesis: RefCell::new(Nemesis::new()),
            invariants: RefCell::new(Vec::new()),
            allowed: RefCell::new(Vec::new()),
            accusing: Cell::new(false),
            passed: Cell::new(0),
        }
    }

    // ---- what subsystems use ----

    /// Which world this is.
    #[inline]
    pub fn id(&self) -> WorldId {
        self.id.get()
    }

    /// The state of the world. Do not wake or drop what is not yours while you hold it.
    ///
    /// # Panics
    /// If it is borrowed already, which is a mistake of a subsystem.
    #[inline]
    #[track_caller]
    pub fn kernel(&self) -> RefMut<'_, Kernel> {
        self.kernel.borrow_mut()
    }

    /// Adds a subsystem to this world; a subsystem calls it at its first use in a world.
    pub fn attach(&self, subsystem: &'static dyn Subsystem) -> SubsystemId {
        let mut all = self.subsystems.borrow_mut();
        all.push(subsystem);
        match u8::try_from(all.len() - 1) {
            Ok(id) => SubsystemId(id),
            Err(_) => panic!("a world has at most 256 subsystems: {:?} is one too many", subsystem.name()),
        }
    }

    /// Checks that a handle belongs to this world.
    ///
    /// # Panics
    /// If it does not.
    #[inline]
    #[track_caller]
    pub fn check(&self, world: WorldId, what: &str) {
        if world != self.id() {
            foreign(what);
        }
    }

    // ---- the same, inside ----

    pub(crate) fn try_kernel(&self) -> Option<RefMut<'_, Kernel>> {
        self.kernel.try_borrow_mut().ok()
    }

    /// Whether tasks carry spans.
    #[inline]
    pub(crate) fn traced(&self) -> bool {
        self.traced.get()
    }

    pub(crate) fn backtrace(&self) -> bool {
        self.backtrace.get()
    }

    pub(crate) fn for_subsystems(&self, mut f: impl FnMut(&'static dyn Subsystem)) {
        // Copied, because a subsystem may attach another.
        let all = self.subsystems.borrow().clone();
        all.into_iter().for_each(&mut f);
    }

    /// Whether what runs now may act: what is left of a dead process may not.
    pub(crate) fn acts(&self) -> bool {
        self.kernel().actor().is_some()
    }

    /// Keeps an action for its event; one of a dead process is dropped.
    pub(crate) fn add_action(&self, action: Box<dyn FnOnce()>) -> Option<Key> {
        self.acts().then(|| self.actions.borrow_mut().insert(action))
    }

    /// Takes an action back, for the caller to drop when nothing is borrowed.
    pub(crate) fn take_action(&self, key: Key) -> Option<Box<dyn FnOnce()>> {
        self.actions.borrow_mut().remove(key)
    }

    /// The generator for the next application randomness: the seed's key, and a name by cause as nonce.
    fn stream(&self, kernel: &mut Kernel) -> Option<ChaCha8Rng> {
        let name = kernel.name(Kind::Rand, 0);
        kernel.fold(name);
        let mut random = self.random.try_borrow_mut().ok()?;
        let generator = random.get_or_insert_with(|| ChaCha8Rng::seed_from_u64(kernel.seed));
        generator.set_stream(name);
        generator.set_word_pos(0);
        Some(generator.clone())
    }

    pub(crate) fn draw(&self) -> u64 {
        let generator = self.stream(&mut self.kernel());
        generator.map_or(0, |mut g| g.next_u64())
    }

    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        if let Some(mut generator) = self.stream(&mut self.kernel()) {
            generator.fill_bytes(buffer);
        }
    }

    pub(crate) fn try_fill(&self, buffer: &mut [u8]) -> bool {
        let generator = self.try_kernel().and_then(|mut kernel| self.stream(&mut kernel));
        generator.map(|mut g| g.fill_bytes(buffer)).is_some()
    }

    /// From here on the run may make this call to the host.
    pub(crate) fn allow(&self, call: String) {
        let mut allowed = self.allowed.borrow_mut();
        if allowed.iter().all(|(known, _)| *known != call) {
            allowed.push((call, 0));
        }
    }

    /// See [`violation`](crate::host::violation). Where the call was made is asked, and the failure put into words,
    /// while nothing is borrowed: that calls the program's allocator.
    pub(crate) fn refuse(&self, call: &str, remedy: &str, frames: impl FnOnce() -> Vec<String>) -> bool {
        if self.accusing.get() {
            return false;
        }
        let Some(failed) = self.try_kernel().map(|kernel| kernel.has_failed()) else { return false };
        let Ok(mut allowed) = self.allowed.try_borrow_mut() else { return false };
        if let Some((_, count)) = allowed.iter_mut().find(|(known, _)| known == call) {
            *count += 1;
            return false;
        }
        drop(allowed);
        if !failed {
            let accusation = Accusation::begin(&self.accusing);
            let failure = Failure::violation(call, remedy, frames());
            drop(accusation);
            self.kernel().fail_with(failure);
        }
        true
    }

    pub(crate) fn passed(&self) -> u64 {
        self.passed.get()
    }

    /// See [`pass`](crate::host::pass).
    pub(crate) fn pass(&self, ns: u64) {
        self.passed.set(self.passed.get().saturating_add(ns));
    }

    // ---- the run ----

    fn run<T, Fut>(&self, config: Config, body: impl FnOnce(Sim) -> Fut, label: Label) -> Outcome<T>
    where
        T: 'static,
        Fut: Future<Output = T> + 'static,
    {
        static IDS: AtomicU64 = AtomicU64::new(1);
        self.id.set(WorldId(IDS.fetch_add(1, Ordering::Relaxed)));
        self.kernel().reset(self.id(), &config);
        self.traced.set(tracing::dispatcher::has_been_set());
        self.backtrace.set(config.backtrace);
        *self.random.borrow_mut() = None;
        self.allowed.borrow_mut().clear();
        self.passed.set(0);
        self.kernel().add_machine(HARNESS);
        let _current = Running::begin(self.id());
        let mut output = None;
        if let Some(main) = self.start(body, label) {
            self.drive();
            output = self.output(main.key());
        }
        let outcome = self.outcome(output);
        self.end();
        outcome
    }

    fn start<T, Fut>(&self, body: impl FnOnce(Sim) -> Fut, label: Label) -> Option<crate::JoinHandle<T>>
    where
        T: 'static,
        Fut: Future<Output = T> + 'static,
    {
        match catch_unwind(AssertUnwindSafe(|| body(Sim::new(self.id())))) {
            Ok(future) => {
                let main = spawn_on(self, Some(NodeId::HARNESS), future, label);
                self.kernel().main = main.key();
                Some(main)
            }
            Err(payload) => {
                self.panicked(payload);
                None
            }
        }
    }

    /// Runs until main is done or something has failed.
    fn drive(&self) {
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.steps())) {
            if catch_unwind(AssertUnwindSafe(|| self.panicked(payload))).is_err() {
                let failure = Failure::new(FailureKind::Panic, "", "a panic while a panic was handled");
                self.kernel().fail_with(failure);
            }
        }
    }

    fn steps(&self) {
        let mut polled = None;
        loop {
            let step = {
                let mut kernel = self.kernel();
                if let Some((key, task, done)) = polled.take() {
                    let left =
                        if done { kernel.end_done(key, task) } else { (kernel.end_pending(key, task), None) };
                    if left.0.is_some() || left.1.is_some() {
                        drop(kernel);
                        self.settle(left);
                        continue;
                    }
                }
                kernel.next()
            };
            match step {
                Step::Poll(key, mut task) => {
                    let waker = ManuallyDrop::new(waker::waker(self.id(), key));
                    let done = task.as_mut().poll(&mut Context::from_waker(&waker));
                    polled = Some((key, task, done));
                }
                other => {
                    if !self.step(other) {
                        return;
                    }
                }
            }
        }
    }

    /// Drops what is left of a task that ended, or was killed while it was polled, and wakes who waited for it.
    fn settle(&self, (task, waiter): (Option<BoxTask>, Option<Waker>)) {
        if let Some(mut task) = task {
            task.as_mut().clear();
            self.kernel().keep_memory(task);
        }
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Takes a step that is not a poll; false when the run is over.
    fn step(&self, step: Step) -> bool {
        match step {
            Step::Poll(..) => unreachable!("polls are taken by the loop"),
            Step::Subsystem(id, tag, key) => {
                let subsystem = self.subsystems.borrow()[id.0 as usize];
                subsystem.event(self, tag, key);
            }
            Step::Wake(waker) => waker.wake(),
            Step::Action(key) => {
                let action = self.actions.borrow_mut().remove(key);
                if let Some(action) = action {
                    action();
                }
            }
            Step::Boot(node, life) => self.boot(node, life),
            Step::StopDeadline(node, life) => self.stop_deadline(node, life),
            Step::Exited => {
                let exited = self.kernel().take_exited();
                exited.into_iter().for_each(|e| self.exited(e));
            }
            Step::Inbox => self.inbox(),
            Step::Look => self.look_at_invariants(),
            Step::Tell(waiters) => waiters.into_iter().for_each(Waker::wake),
            Step::Over => return false,
        }
        true
    }

    /// The event that the world has handled last, in words.
    pub(crate) fn last_event(&self) -> String {
        let last = self.kernel().happens;
        match last {
            What::Subsystem(id, ..) => {
                format!("one of the subsystem {}", self.subsystems.borrow()[id.0 as usize].name())
            }
            What::Nothing => "the start of the run".to_owned(),
            last => self.kernel().describe(&last),
        }
    }

    fn inbox(&self) {
        let keys = waker::inbox(self.id());
        let mut kernel = self.kernel();
        kernel.current = Current::HARNESS;
        kernel.stats.foreign_wakes += keys.len() as u64;
        keys.into_iter().for_each(|key| kernel.wake(key));
    }

    fn output<T: 'static>(&self, main: Key) -> Option<T> {
        let joined = self.kernel().join(main, Waker::noop());
        match joined {
            Joined::Done(mut task) => task.as_mut().output()?.downcast_mut::<Option<T>>()?.take(),
            _ => None,
        }
    }

    fn outcome<T>(&self, output: Option<T>) -> Outcome<T> {
        let mut kernel = self.kernel();
        let missing = || Failure::new(FailureKind::Limit, "body", "the body of the run was cancelled");
        let result = match kernel.take_failure() {
            Some(failure) => Err(failure),
            None => output.ok_or_else(missing),
        };
        let (tasks, events) = kernel.capacity();
        let stats = crate::Stats { most_tasks: tasks as u64, most_events: events as u64, ..kernel.stats };
        let mut notes = Vec::new();
        if stats.foreign_wakes > 0 {
            notes.push(format!(
                "{} wakes came from other operating-system threads: their timing cannot be reproduced",
                stats.foreign_wakes
            ));
        }
        for (call, count) in self.allowed.borrow().iter().filter(|(_, count)| *count > 0) {
            notes.push(format!(
                "{call} was allowed and called {count} times: what came of it cannot be reproduced"
            ));
        }
        let now = Duration::from_nanos(kernel.now());
        let (trace, faults, log) = (kernel.trace(), kernel.faults.take(), kernel.take_log());
        let claims = kernel.claims.seen();
        Outcome { result, trace, now, stats, faults, claims, log, notes }
    }

    /// Takes everything down. Nothing that a destructor does now has an effect, and a panic in one is not a finding:
    /// the run is over.
    fn end(&self) {
        self.kernel().current = Current { task: None, node: NodeId::HARNESS, dead: true };
        self.for_subsystems(|s| s.world_ended(self));
        self.subsystems.borrow_mut().clear();
        // Twice, because the destructor of a task may detach the output of another.
        for _ in 0..2 {
            let tasks = self.kernel().remove_all(None);
            let _waiters = self.drop_tasks(tasks);
            let outputs = self.kernel().remove_outputs();
            let _ = catch_unwind(AssertUnwindSafe(move || drop(outputs)));
        }
        let wakers = self.kernel().clear_events();
        let actions = std::mem::take(&mut *self.actions.borrow_mut());
        let nemesis = std::mem::take(&mut *self.nemesis.borrow_mut());
        let watched = (self.kernel().watch.reset(), std::mem::take(&mut *self.invariants.borrow_mut()));
        // The machines stay until the next run: a destructor may still ask for the time.
        let programs = self.kernel().take_programs();
        let _ = catch_unwind(AssertUnwindSafe(move || drop((wakers, actions, nemesis, watched, programs))));
        panics::forget();
    }
}

#[cold]
#[track_caller]
fn foreign(what: &str) -> ! {
    panic!(
        "this {what} belongs to another simulation than the one that runs on this thread: handles cannot be kept from \
         one run to the next"
    )
}
