//! Links between machines: how long packets take, which are lost, what partitions and clogs do to them.
//!
//! `latency` holds the distributions, `topology` the rules and what follows from them for a pair, `carry` decides
//! about one packet, `held` has those that wait in clogs, `control` is what tests call.

mod carry;
mod control;
mod held;
mod latency;
mod topology;

pub use control::{Bandwidth, Census, Clog, IntoNames, Link, NetExt, Partition};
pub use latency::Latency;

pub(crate) use carry::Fate;
pub(crate) use held::{Held, HeldQueue};
pub(crate) use topology::Topology;
