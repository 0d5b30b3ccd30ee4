//! Machines and processes.
//!
//! A node is a machine: name, addresses, clock, CPU. A process is one incarnation of the program on it; its tasks end
//! with it. The ways in which a process ends or stands still are all different, because what the network and the
//! disk see of them is different.

mod handle;
mod life;
mod limits;
mod policy;
mod waiters;

pub use handle::{Clock, Node, Program};
pub use limits::{Holdings, LimitGuard, OBJECT, Resource};
pub use policy::{ExitPolicy, PanicPolicy, Verdict};

pub(crate) use life::Exited;
use limits::Limits;
pub(crate) use limits::STANDARD;
pub(crate) use waiters::Waiters;

use crate::clock::NodeClock;
use crate::executor::Cpu;
use crate::kernel::Kernel;
use crate::slab::Key;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::task::Waker;

/// A machine, by the order of declaration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Where the body of the test runs: a node with its own address and an exact clock that no fault touches.
    pub const HARNESS: NodeId = NodeId(0);
}

/// The name of the node on which the body of the test runs.
pub const HARNESS: &str = "harness";

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Death {
    /// Its program returned, or it was asked to stop and did. The kernel closes what it held.
    Exit,
    /// kill -9: the machine lives on. The kernel closes what it held; what was sent still drains.
    Kill,
    /// The machine lost power: silence.
    PowerCut,
}

/// A simulated machine, as plain data. What every packet and every timer asks comes first and fits a cache line: with a
/// thousand machines that is what counts.
#[repr(C)]
pub struct Machine {
    pub(crate) clock: NodeClock,
    /// Has power.
    pub up: bool,
    /// The whole machine stands still.
    pub frozen: bool,
    /// The process stands still, the machine's kernel does not (SIGSTOP).
    pub paused: bool,
    /// Polls need a look: paused, frozen, or under the CPU model.
    pub(crate) hindered: bool,
    /// Packets do not reach it: no power, or frozen.
    pub(crate) absent: bool,
    /// Counts processes; what belongs to an earlier one is stale.
    pub(crate) life: u32,
    /// Unique in its world.
    pub name: Rc<str>,
    /// Its addresses; the first of a family is its source address.
    pub addresses: SmallVec<[IpAddr; 2]>,
    pub(crate) parked: Vec<Key>,
    pub(crate) cpu: Cpu,
    pub(crate) program: Option<Program>,
    /// The program has been started in this life and has not returned.
    pub(crate) running: bool,
    pub(crate) on_exit: ExitPolicy,
    pub(crate) on_panic: PanicPolicy,
    pub(crate) handles_stop: bool,
    pub(crate) stopping: bool,
    pub(crate) stop_waiters: Waiters,
    pub(crate) end_waiters: Waiters,
    /// `None` unless there is one.
    pub(crate) limits: Option<Box<Limits>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut s = f.debug_struct("Machine");
        s.field("name", &self.name).field("addresses", &self.addresses).field("up", &self.up);
        s.field("paused", &self.paused).field("frozen", &self.frozen).finish_non_exhaustive()
    }
}

impl Machine {
    /// Why it does nothing although it has a program to run.
    pub(crate) fn idle(&self) -> Option<&'static str> {
        self.program.as_ref()?;
        match self {
            Machine { up: false, .. } => Some("has no power"),
            Machine { frozen: true, .. } | Machine { paused: true, .. } => Some("stands still"),
            Machine { running: false, .. } => Some("does not run its program"),
            _ => None,
        }
    }

    // Inlined, so that it is written where it stays.
    #[inline]
    fn new(name: Rc<str>, id: NodeId, epoch: u64) -> Self {
        Machine {
            name,
            addresses: SmallVec::from_buf(default_addresses(id)),
            up: true,
            frozen: false,
            paused: false,
            life: 0,
            hindered: false,
            absent: false,
            parked: Vec::new(),
            cpu: Cpu::default(),
            clock: NodeClock::new(epoch),
            program: None,
            running: false,
            on_exit: ExitPolicy::default(),
            on_panic: PanicPolicy::default(),
            handles_stop: false,
            stopping: false,
            stop_waiters: Waiters::default(),
            end_waiters: Waiters::default(),
            limits: None,
        }
    }
}

/// 10.0.0.1 and fd00::1 for the first node, and so on in the order of declaration.
fn default_addresses(id: NodeId) -> [IpAddr; 2] {
    let n = id.0 + 1;
    let v4 = Ipv4Addr::from_bits(0x0a00_0000 | (n & 0x00ff_ffff));
    let v6 = Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(n));
    [v4.into(), v6.into()]
}

impl Kernel {
    /// A machine; ids come from this kernel.
    #[inline]
    pub fn machine(&self, node: NodeId) -> &Machine {
        &self.machines[node.0 as usize]
    }

    #[inline]
    pub(crate) fn machine_mut(&mut self, node: NodeId) -> &mut Machine {
        &mut self.machines[node.0 as usize]
    }

    /// How many machines there are; their ids are `0..machines()`.
    pub fn machines(&self) -> usize {
        self.machines.len()
    }

    /// Whether a packet that is sent to this machine now can arrive: it has power and does not stand still.
    #[inline]
    pub fn reachable(&self, node: NodeId) -> bool {
        self.absent == 0 || !self.machine(node).absent
    }

    /// The machine that has an address.
    pub fn by_address(&self, address: IpAddr) -> Option<NodeId> {
        // The usual address names its node; only added ones need a search.
        let guess = match address {
            IpAddr::V4(v4) => v4.to_bits() & 0x00ff_ffff,
            IpAddr::V6(v6) => v6.to_bits() as u32,
        };
        let has = |i: usize| self.machines.get(i).is_some_and(|m| m.addresses.contains(&address));
        let guess = guess.wrapping_sub(1) as usize;
        let found = if has(guess) { Some(guess) } else { (0..self.machines.len()).find(|&i| has(i)) };
        found.map(|i| NodeId(i as u32))
    }

    /// The machine that has a name.
    pub fn by_name(&self, name: &str) -> Option<NodeId> {
        self.names.get(name).copied()
    }

    /// Looks again whether polls on a machine need a look, and whether packets reach it. Called after each change of its
    /// state.
    pub(crate) fn look(&mut self, node: NodeId) {
        let machine = &mut self.machines[node.0 as usize];
        let before = (machine.hindered, machine.absent);
        machine.hindered = machine.paused || machine.frozen || machine.cpu.is_on();
        machine.absent = !machine.up || machine.frozen;
        self.hindered = self.hindered + u32::from(machine.hindered) - u32::from(before.0);
        self.absent = self.absent + u32::from(machine.absent) - u32::from(before.1);
    }

    /// Takes the programs and whoever still waits for a process, to be dropped.
    pub(crate) fn take_programs(&mut self) -> Vec<(Option<Program>, Vec<Waker>, Vec<Waker>)> {
        let used =
            |m: &&mut Machine| m.program.is_some() || !m.stop_waiters.is_empty() || !m.end_waiters.is_empty();
        let all = self.machines.iter_mut().filter(used);
        all.map(|m| (m.program.take(), m.stop_waiters.take(), m.end_waiters.take())).collect()
    }

    /// Whether a new machine may have this name: whoever connects to it by name must mean it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_name(&mut self, name: &str) -> Result<(), String> {
        let (mut capitals, mut strange) = (false, name.is_empty());
        for byte in name.bytes() {
            capitals |= byte.is_ascii_uppercase();
            strange |= byte <= b' ' || byte == b':' || byte == 0x7f;
        }
        if strange {
            return Err(
                "a name has at least one character, and no colon, white space or control character".into()
            );
        }
        let number = name.as_bytes()[0].is_ascii_digit() && name.parse::<Ipv4Addr>().is_ok();
        if number || name.eq_ignore_ascii_case("localhost") {
            return Err("that already means an address, and never a node".into());
        }
        // Names of small letters alone, the usual ones, differ if they are not equal.
        self.capitals |= capitals;
        if self.capitals
            && let Some(other) = self.machines.iter().find(|m| m.name.eq_ignore_ascii_case(name))
        {
            return Err(format!("names are the same in capitals, and there is a node {:?}", other.name));
        }
        Ok(())
    }

    pub(crate) fn add_machine(&mut self, name: &str) -> NodeId {
        let id = NodeId(self.machines.len() as u32);
        let name: Rc<str> = name.into();
        self.addressing += 1;
        self.names.insert(name.clone(), id);
        self.machines.push(Machine::new(name, id, self.epoch));
        id
    }
}
