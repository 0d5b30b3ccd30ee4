//! Decisions: everything in a run that could have gone another way, drawn in one place.
//!
//! A decision is *named by its cause*, the event that is being handled, and not by its position, so that
//! taking one operation or one fault out of a run leaves the names, and with them the values, of nearly all
//! others as they were. Value 0 is always the boring answer: first in line, least latency, no loss, no fault.
//! A run is its set of *deviations* from the boring run.

mod naming;
mod source;

pub use crate::hash::below;
pub use source::Source;

pub(crate) use naming::Naming;

use crate::hash::h;
use crate::kernel::Drawn;
use serde::{Deserialize, Serialize};

/// The name of a decision, an event or a task: a hash of its cause, its kind, its target and an ordinal.
pub type Name = u64;

/// The cause of what has no cause inside the run: operations, faults and phases of the test are roots.
pub const ROOT: Name = 0x5349_4d5f_524f_4f54;

/// What is decided, or what kind of event has a name. The numbers are pinned: they are part of every name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// Whether an operation of the workload takes place.
    Op = 1,
    /// The instant of an operation.
    At = 2,
    /// An argument of an operation.
    Arg = 3,
    /// Which fault, if any, a slot of the plan holds.
    Fault = 4,
    /// The instant of a fault.
    FaultAt = 5,
    /// How long a fault lasts.
    FaultLen = 6,
    /// A parameter of a fault.
    FaultArg = 7,
    /// Whether a packet is lost.
    Loss = 8,
    /// How much longer than the least latency a packet takes, ns.
    Delay = 9,
    /// A disk operation, and how much longer than the least time it takes, ns; what of the unsynced a power cut loses.
    Disk = 10,
    /// The priority that a wake gives its task from here on: 0 keeps it, 1 is back to normal, greater even
    /// numbers are sooner, greater odd ones later.
    Wake = 11,
    /// Application randomness: hashed by cause, not listed, without a boring value.
    Rand = 12,
    /// A packet.
    Packet = 13,
    /// A timer.
    Timer = 14,
    /// A task.
    Spawn = 15,
    /// A phase of the test's driver.
    Phase = 16,
    /// A poll under the CPU model, and what it costs, ns.
    Cpu = 17,
    /// Which of the ready tasks runs next, under the `random` schedule: 0 is the first in line.
    Pick = 18,
    /// The start of a process.
    Boot = 19,
    /// How many copies of a packet arrive besides the first.
    Duplicate = 20,
    /// How much later than its turn a packet arrives, ns.
    Reorder = 21,
    /// Whether a packet's payload is corrupted, and where.
    Corrupt = 22,
    /// An acknowledgement or another packet without payload.
    Ack = 23,
    /// An answer of the name service.
    Dns = 24,
    /// A hook in production code: whether its site is active in the run, and whether it fires.
    Hook = 25,
    /// An argument drawn from a strategy. Its lower 16 bits say how often what the others stand for was made simpler; 0 is
    /// the simplest of all.
    Strategy = 26,
}

/// The name of something that nothing in the run causes: operation, fault or phase number `index` of `target`.
pub const fn root(kind: Kind, target: u64, index: u64) -> Name {
    h(h(h(ROOT, kind as u64), target), index)
}

/// The name of a particular of what is named `name`: its instant, its length, an argument.
pub const fn part(name: Name, number: u64) -> Name {
    h(name, number)
}

/// Draws the value of a decision of the test: whether an operation takes place, what a fault hits.
///
/// `dist` maps 64 random bits to a value, of which 0 is the boring one; [`below`] is the usual one. `target` says whom
/// it is about, for the log of deviations.
///
/// ```
/// use sim_core::decision::{self, Kind, below, part, root};
/// # let body = |_| async {
/// let fault = root(Kind::Fault, 0, 3);
/// let millis = decision::decide(part(fault, 2), Kind::FaultLen, 0, |draw| below(draw, 500));
/// assert!(millis < 500);
/// # };
/// # sim_core::run(sim_core::Config::seed(1), body).result.unwrap();
/// ```
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn decide(name: Name, kind: Kind, target: u64, dist: impl FnOnce(u64) -> u64) -> u64 {
    // The distribution is the caller's code: nothing may be borrowed around it.
    let value = match crate::world::with(|w| w.kernel().draw(name)) {
        Drawn::Bits(bits) => dist(bits),
        Drawn::Value(value) => value,
    };
    crate::world::with(|w| w.kernel().decided(name, kind, target, value));
    value
}

/// A decision as the log lists it: one that was not boring, unless all are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Deviation {
    /// The decision's name.
    pub name: Name,
    /// What was decided.
    pub kind: Kind,
    /// Whom it was about: a link, a task, a node.
    pub target: u64,
    /// The value; 0 is the boring one.
    pub value: u64,
    /// When it was drawn, ns of virtual time.
    pub at: u64,
}
