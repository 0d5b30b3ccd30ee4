//! Links between machines: how long packets take, which are lost, what partitions and clogs do to them.
//!
//! `latency` holds the distributions, `topology` the rules and what follows from them for a pair, `carry` decides
//! about one packet, `held` has those that wait in clogs. What tests call is in `control`; `setting` has the parameters,
//! `barrier` partitions and clogs, `shapes` the more elaborate of them, [`fixtures`] links with published numbers.

mod barrier;
mod carry;
mod control;
pub mod fixtures;
mod held;
mod latency;
mod names;
mod setting;
mod shapes;
mod topology;

pub(crate) use barrier::told;
pub use barrier::{Clog, Partition};
pub use control::{Census, NetExt};
pub use latency::Latency;
pub use names::IntoNames;
pub use setting::{Bandwidth, Link};

pub(crate) use carry::{Delivery, Fate, damage};
pub(crate) use held::{Held, HeldQueue};
pub(crate) use names::find;
pub(crate) use topology::{Disturbance, Parameters, Side, Topology, What};
