//! Faults: what is injected, by hand or by the nemesis, and what is known of it.
//!
//! | file | subject |
//! | --- | --- |
//! | `log` | every fault with start, end, fate and effects |
//! | `family` | the trait by which a subsystem offers faults, and what a slot of the plan draws |
//! | `builtin` | the families of processes, CPUs and clocks, with the table of their ranges |
//! | `resources` | the families of limits, with the table of their ranges |
//! | `swarm` | which families a seed meets, and how intensely |
//! | `tolerance` | what a system can stand, and what would exceed it |
//! | `nemesis` | plans faults over time from the seed |
//! | `danger` | moments that faults wait for |
//! | `heal` | the end of all faults, or of all but those that the tolerance allows |
//! | `standing` | what is wrong now, what of it was declared to be stood, and what that explains |
//! | `experiment` | faults by hand as a chaos engineer writes them down |

mod builtin;
mod danger;
mod experiment;
mod family;
mod heal;
mod log;
mod nemesis;
mod resources;
mod standing;
mod swarm;
mod tolerance;

pub use danger::Window;
pub use experiment::{Experiment, ExperimentReport, Step};
pub use family::{End, Family, Injection, Slot, Takes, beginning, noticed, part, then};
pub use heal::{Core, CoreHealed, Healed};
pub use log::{Fate, Fault, FaultId, Parameter, Particulars, Value};
pub use swarm::Swarm;
pub use tolerance::Tolerance;

pub(crate) use family::every;
pub(crate) use log::{Aspect, FaultLog};
pub(crate) use nemesis::Nemesis;
pub(crate) use standing::explain;

/// The names of the families that this crate has, those of limits and of disks too; the network has its own.
pub fn families() -> Vec<&'static str> {
    let names = builtin::FAMILIES.iter().chain(resources::FAMILIES).map(|family| family.name());
    names.chain(crate::fs::family_names()).collect()
}
