//! Oracles: what judges a run besides its panics.
//!
//! | file | subject |
//! | --- | --- |
//! | `claim` | what code claims with `always!`, `sometimes!`, `reachable!` and `unreachable!`, and how often it was seen |
//! | `invariant` | what holds after every step |
//! | `eventually` | what comes to hold in time |
//! | `liveness` | the same after the chaos, explained from the fault log where it does not |
//! | `view` | the world as oracles see it |
//! | `answer` | what a condition says |
//! | `watch` | when oracles look |

mod answer;
mod claim;
mod eventually;
mod invariant;
mod liveness;
mod view;
mod watch;

pub use answer::Answer;
pub use claim::{Seen, word};
pub use eventually::{Asks, Condition, Looks, NotInTime, eventually};
pub use sim_hooks::Claim;
pub use view::{NodeView, View};
pub use watch::stamp;

pub(crate) use claim::{Claims, observe};
pub(crate) use invariant::Invariant;
pub(crate) use watch::Watch;
