//! The handle of a node: declares what runs on it, and what happens to it.

use super::life::STOP_WITHIN;
use super::{Death, ExitPolicy, Machine, NodeId, PanicPolicy, Verdict};
use crate::executor::{JoinHandle, Label, spawn_on};
use crate::fault::{Aspect, Parameter, Value};
use crate::slab::Key;
use crate::world::{self, World, WorldId};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

type Running = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// What runs on a node: made anew for each process.
#[derive(Clone)]
pub struct Program {
    start: Rc<dyn Fn() -> Running>,
    label: Label,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

impl Program {
    fn new<F, Fut>(program: F, label: Label) -> Self
    where
        F: Fn() -> Fut + 'static,
        Fut: Future + 'static,
        Fut::Output: Verdict,
    {
        let start = Rc::new(move || -> Running {
            let running = program();
            Box::pin(async move { running.await.verdict() })
        });
        Program { start, label }
    }

    /// What reports call its task: where it was given to its node.
    pub(super) fn label(&self) -> Label {
        self.label.clone()
    }

    pub(super) async fn start(self) -> Result<(), String> {
        (self.start)().await
    }
}

/// A simulated machine. The handle is plain data: copy it into whatever task needs it.
///
/// ```
/// # use sim_core::{Config, run, time::sleep};
/// # use std::time::Duration;
/// let outcome = run(Config::seed(1), |sim| async move {
///     let node = sim.node("worker").run(|| async {
///         loop {
///             sleep(Duration::from_secs(1)).await;
///         }
/// #       #[allow(unreachable_code)] ()
///     });
///     sleep(Duration::from_secs(10)).await;
///     node.kill();
///     assert!(node.is_up() && !node.is_running());
///     node.start();
/// });
/// outcome.result.unwrap();
/// ```
///
/// # Panics
/// Every method panics outside of the simulation that made the handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    world: WorldId,
    id: NodeId,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.id.0)
    }
}

impl Node {
    pub(crate) fn new(world: WorldId, id: NodeId) -> Self {
        Node { world, id }
    }

    /// Of the simulation that runs here.
    pub(crate) fn new_here(id: NodeId) -> Self {
        Node { world: world::with(World::id), id }
    }

    #[track_caller]
    pub(crate) fn with<R>(self, f: impl FnOnce(&World) -> R) -> R {
        world::with(|w| {
            w.check(self.world, "Node");
            f(w)
        })
    }

    /// # Panics
    /// If this is the harness: the body of the test runs on it, and no fault touches it.
    #[track_caller]
    fn not_the_harness(self, what: &str) {
        assert!(self.id != NodeId::HARNESS, "the harness cannot {what}: the body of the test runs on it");
    }

    #[track_caller]
    fn machine<R>(self, f: impl FnOnce(&mut Machine) -> R) -> R {
        self.with(|w| f(w.kernel().machine_mut(self.id)))
    }

    /// Its id, by the order of declaration.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// Its name.
    #[track_caller]
    pub fn name(self) -> String {
        self.machine(|m| m.name.to_string())
    }

    /// Its first address: an IPv4 one unless others were set.
    #[track_caller]
    pub fn address(self) -> IpAddr {
        self.machine(|m| m.addresses[0])
    }

    /// All of its addresses.
    #[track_caller]
    pub fn addresses(self) -> Vec<IpAddr> {
        self.machine(|m| m.addresses.to_vec())
    }

    /// Gives it these addresses instead of those that it has by default (10.x.y.z and fd00::n).
    ///
    /// # Panics
    /// If there is none, if another node has one of them, or if one is unspecified, loopback, multicast, broadcast or an
    /// IPv4 address written as IPv6.
    #[track_caller]
    pub fn with_addresses(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses: Vec<IpAddr> = addresses.into_iter().collect();
        assert!(!addresses.is_empty(), "node {:?} needs at least one address", self.name());
        self.with(|w| {
            let mut kernel = w.kernel();
            for &address in &addresses {
                let plain = address.to_canonical();
                let special = plain.is_unspecified() || plain.is_loopback() || plain.is_multicast();
                assert!(
                    !special && plain == address && plain != IpAddr::V4(Ipv4Addr::BROADCAST),
                    "{address} cannot be the address of a node: it is unspecified, loopback, multicast, broadcast or an \
                     IPv4 address written as IPv6"
                );
                if let Some(other) = kernel.by_address(address).filter(|&other| other != self.id) {
                    let other = kernel.machine(other).name.clone();
                    drop(kernel);
                    panic!("{address} is already an address of node {other:?}");
                }
            }
            kernel.machine_mut(self.id).addresses = addresses.into();
            kernel.addressing += 1;
        });
        self
    }

    /// Gives it one more address.
    ///
    /// # Panics
    /// As [`Node::with_addresses`].
    #[track_caller]
    pub fn add_address(self, address: IpAddr) -> Self {
        let mut addresses = self.addresses();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
        self.with_addresses(addresses)
    }

    /// Sets its program and starts it, unless one runs already: then it is the next process that runs the new one. The
    /// program is called anew for each process: after a kill and a start, after
    /// a power cut and a restart.
    #[track_caller]
    pub fn run<F, Fut>(self, program: F) -> Self
    where
        F: Fn() -> Fut + 'static,
        Fut: Future + 'static,
        Fut::Output: Verdict,
    {
        self.not_the_harness("run a program");
        let program = Program::new(program, Label::here());
        let previous = self.machine(|m| m.program.replace(program));
        drop(previous);
        self.with(|w| w.boot_after(self.id, Duration::ZERO));
        self
    }

    /// Runs a future as a task of the current process of this node. On a node without power it is dropped and its
    /// handle says cancelled.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let label = Label::here();
        self.with(|w| spawn_on(w, Some(self.id), future, label))
    }

    /// What follows when its program returns.
    #[track_caller]
    pub fn on_exit(self, policy: ExitPolicy) -> Self {
        self.machine(|m| m.on_exit = policy);
        self
    }

    /// What follows when one of its tasks panics.
    #[track_caller]
    pub fn on_panic(self, policy: PanicPolicy) -> Self {
        if matches!(policy, PanicPolicy::Kill | PanicPolicy::Restart(_)) {
            self.not_the_harness("be killed by a panic");
        }
        self.machine(|m| m.on_panic = policy);
        self
    }

    /// Gives it so many cores; they matter once polls cost something. At least 1.
    #[track_caller]
    pub fn cores(self, cores: usize) -> Self {
        self.machine(|m| m.cpu.set_cores(cores));
        self
    }

    /// Makes each poll take so long, between the least and the most, evenly; zero switches the CPU model off.
    ///
    /// # Panics
    /// If the range is empty.
    #[track_caller]
    pub fn poll_cost(self, cost: RangeInclusive<Duration>) -> Self {
        let (least, most) = (*cost.start(), *cost.end());
        self.not_the_harness("be slow");
        assert!(
            least <= most,
            "the poll cost {cost:?} is an empty range: the least must not exceed the most"
        );
        self.with(|w| {
            let mut kernel = w.kernel();
            kernel.machine_mut(self.id).cpu.set_cost(least, most);
            kernel.look(self.id);
            if most.is_zero() {
                return kernel.fault_lets_go(self.id, Aspect::Slow);
            }
            let cost = Parameter::time("poll cost up to", most);
            kernel.fault_holds(self.id, Aspect::Slow, "slow-cpu", Some(cost));
        });
        self
    }

    /// Its clock.
    pub fn clock(self) -> Clock {
        Clock(self)
    }

    /// Asks the process to stop (SIGTERM), waits until it has ended, and kills it if that takes longer than ten
    /// seconds of virtual time.
    pub fn stop(self) -> impl Future<Output = ()> {
        self.stop_within(STOP_WITHIN)
    }

    /// Asks the process to stop, waits until it has ended, and kills it if that takes longer than `within`.
    pub async fn stop_within(self, within: Duration) {
        self.not_the_harness("be stopped");
        let life = self.machine(|m| m.life);
        self.with(|w| {
            if w.acts() {
                w.request_stop(self.id, within);
            }
        });
        Ended { node: self, life, place: None }.await;
    }

    /// Ends the process as kill -9 does. Its kernel closes its sockets: what was sent still drains, then FIN, or RST
    /// where data was unread. The machine stays up, and if it stood still it goes on. Destructors of its tasks have no
    /// effect on the world.
    #[track_caller]
    pub fn kill(self) {
        self.end(Death::Kill, "kill");
    }

    /// Takes the power away: peers hear nothing, and nothing of the process remains but what its disk has synced.
    #[track_caller]
    pub fn power_cut(self) {
        self.end(Death::PowerCut, "power-cut");
    }

    /// Takes the power away, and the disk with it: the machine that starts again has an empty one.
    ///
    /// # Panics
    /// On the harness.
    #[track_caller]
    pub fn wipe(self) {
        let had_power = self.is_up();
        self.end(Death::PowerCut, "wipe");
        self.with(|w| {
            if w.acts() {
                if !had_power {
                    w.kernel().fault_holds(self.id, Aspect::Dead, "wipe", None);
                }
                w.for_subsystems(|s| s.wiped(w, self.id));
            }
        });
    }

    #[track_caller]
    fn end(self, death: Death, family: &'static str) {
        self.not_the_harness("be killed");
        self.with(|w| {
            if !w.acts() || !w.kernel().machine(self.id).up {
                return;
            }
            let fault = w.kernel().fault_holds(self.id, Aspect::Dead, family, None);
            if w.end_process(self.id, death) {
                w.kernel().fault_effect(fault);
            }
        });
    }

    /// Gives it power again, if it has none, and starts its program, if it does not run.
    #[track_caller]
    pub fn start(self) {
        self.with(|w| {
            if w.acts() {
                let mut kernel = w.kernel();
                let machine = kernel.machine_mut(self.id);
                machine.up = true;
                let has_program = machine.program.is_some();
                kernel.look(self.id);
                if !has_program {
                    kernel.fault_lets_go(self.id, Aspect::Dead);
                }
                drop(kernel);
                w.boot_after(self.id, Duration::ZERO);
            }
        });
    }

    /// Kills the process, if there is one, and starts the program.
    #[track_caller]
    pub fn restart(self) {
        self.kill();
        self.start();
    }

    /// Lets the process stand still (SIGSTOP). Its kernel goes on: it accepts connections and data until its buffers
    /// are full. Its clock goes on too.
    #[track_caller]
    pub fn pause(self) {
        self.still(Some(true), None);
    }

    /// Lets the whole machine stand still: packets sent to it meanwhile are lost. Its clock goes on.
    #[track_caller]
    pub fn freeze(self) {
        self.still(None, Some(true));
    }

    /// Ends a pause or a freeze.
    #[track_caller]
    pub fn resume(self) {
        self.still(Some(false), Some(false));
    }

    #[track_caller]
    fn still(self, paused: Option<bool>, frozen: Option<bool>) {
        self.not_the_harness("stand still");
        self.with(|w| {
            if w.acts() {
                w.set_still(self.id, paused, frozen);
            }
        });
    }

    /// Whether it has power.
    #[track_caller]
    pub fn is_up(self) -> bool {
        self.machine(|m| m.up)
    }

    /// Whether its program has started and has not ended.
    #[track_caller]
    pub fn is_running(self) -> bool {
        self.machine(|m| m.running)
    }

    /// Whether its process or the whole machine stands still.
    #[track_caller]
    pub fn is_still(self) -> bool {
        self.machine(|m| m.paused || m.frozen)
    }
}

/// Waits for the end of a process.
struct Ended {
    node: Node,
    life: u32,
    place: Option<Key>,
}

impl Future for Ended {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (node, life) = (self.node, self.life);
        let replaced = node.machine(|m| {
            let waits = m.life == life && m.up;
            waits.then(|| m.end_waiters.wait(&mut self.place, cx.waker()))
        });
        match replaced {
            Some(_dropped) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let Ended { node, life, place } = *self;
        let _left = world::try_with(|w| {
            let mut kernel = w.kernel();
            let machine = (w.id() == node.world).then(|| kernel.machine_mut(node.id))?;
            if machine.life == life { machine.end_waiters.leave(place) } else { None }
        });
    }
}

/// The clock of a node. Sleeps follow the monotonic clock: a change of drift moves them, an offset or a step does
/// not. Monotonic clocks never go back.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Node);

impl Clock {
    /// Lets the node's clocks run fast (positive) or slow (negative), in parts per million. Real oscillators stay
    /// within ±100 ppm.
    ///
    /// # Panics
    /// If the drift is out of the range −500,000 ..= 9,000,000 ppm.
    #[track_caller]
    pub fn drift_ppm(self, ppm: i64) -> Self {
        self.0.not_the_harness("drift");
        let set = self.0.with(|w| w.kernel().set_drift(self.0.id, ppm));
        if let Err(error) = set {
            panic!("{error}");
        }
        self.0.with(|w| {
            let drift = Parameter::new("drift", Value::Ppm(ppm));
            match ppm {
                0 => w.kernel().fault_lets_go(self.0.id, Aspect::Drift),
                _ => _ = w.kernel().fault_holds(self.0.id, Aspect::Drift, "clock-drift", Some(drift)),
            }
        });
        self
    }

    /// Steps the wall clock by so many nanoseconds, forward or back, as an operator or ntpd does.
    #[track_caller]
    pub fn step(self, nanos: i64) -> Self {
        self.shift(nanos, "clock-step")
    }

    #[track_caller]
    fn shift(self, nanos: i64, family: &'static str) -> Self {
        self.0.not_the_harness("be off");
        self.0.with(|w| {
            let mut kernel = w.kernel();
            kernel.fold(nanos as u64);
            kernel.machine_mut(self.0.id).clock.step(nanos);
            let (by, is_off) = (Parameter::new("by", Value::Nanos(nanos)), kernel.clock_off(self.0.id) != 0);
            if nanos != 0 && is_off {
                kernel.fault_holds(self.0.id, Aspect::Offset, family, Some(by));
            } else if !is_off {
                kernel.fault_lets_go(self.0.id, Aspect::Offset);
            }
        });
        self
    }

    /// Sets how far the wall clock is off the world's, ns; positive is ahead.
    #[track_caller]
    pub fn offset(self, nanos: i64) -> Self {
        let off = self.0.with(|w| w.kernel().clock_off(self.0.id));
        self.shift(nanos.saturating_sub(i64::try_from(off).unwrap_or(i64::MAX)), "clock-offset")
    }

    /// The present drift, ppm.
    #[track_caller]
    pub fn drift(self) -> i64 {
        self.0.machine(|m| m.clock.drift_ppm())
    }
}
