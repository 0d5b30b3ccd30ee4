//! Many worlds: where runs happen, sweeps over seeds, and the runner behind `#[sim_test]`.
//!
//! A run is *clean process → fixed warm-up → run on a fresh thread*, whoever asks for it: that is what makes its
//! trace hash the same alone, in a sweep, next to others and under a debugger.
//!
//! | module | subject |
//! | --- | --- |
//! | `builder` | [`Builder`]: one run by hand |
//! | `sweep` | [`sweep`], [`SweepReport`]: many runs |
//! | `test`, `draw` | what `#[sim_test]` expands to; arguments of tests and operations |
//! | `seeds`, `settings` | how seeds are written; what the environment overrides |
//! | `run` | one run and its outcome on the wire |
//! | `shrink` | [`Shrunk`]: the smallest run that fails in the same way |
//! | `regressions` | saved runs beside the tests |
//! | `report` | the files about a failure: [`trace`] and what is made of it |
//! | `vacuity` | whether many runs tested anything |
//! | `token` | [`Token`]: a run as text |
//! | `remote` | a test at the command of `cargo sim` |
//! | `diverge` | where two runs of a seed part |
//! | `isolate` | supervisor, worker, child; threads |
//! | `logging`, `progress` | what is printed |
//!
//! ```
//! let report = sim_run::sweep(0..10).isolate(sim_run::Isolate::Thread).run(|sim| async move {
//!     sim_core::time::sleep(std::time::Duration::from_secs(sim.seed())).await;
//! });
//! assert_eq!(report.simulated.as_secs(), 45);
//! ```

mod builder;
mod diverge;
mod draw;
mod isolate;
mod logging;
mod progress;
mod regressions;
mod remote;
mod report;
mod run;
mod seeds;
mod settings;
mod shrink;
mod sweep;
mod test;
mod token;
mod vacuity;

pub use builder::Builder;
pub use draw::OpExt;
pub use report::{Files, InvalidFiles, trace};
pub use run::Run;
pub use seeds::{InvalidSeeds, Seeds};
pub use shrink::{Likelihood, Shrunk, Size, Unshrunk};
pub use sweep::{FailedRun, Group, Note, Sweep, SweepReport, sweep};
pub use token::{InvalidToken, Token};
pub use vacuity::{Missing, VACUOUS_AFTER};

/// Where a run happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolate {
    /// In a process of its own, in which nothing ran before: whatever a run leaks, overwrites or crashes ends with
    /// it. Elsewhere than on Unix this is [`Isolate::Thread`].
    #[default]
    Process,
    /// On a thread of its own, in this process: many times faster, for bodies that touch no process-global state.
    /// Statics, counters and caches that one run leaves are what the next one finds.
    Thread,
}

impl Isolate {
    /// What it means on this system.
    fn here(self) -> Isolate {
        if cfg!(unix) { self } else { Isolate::Thread }
    }
}

/// What `#[sim_test]` expands to. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::draw::draw;
    pub use crate::test::{TestSeeds, TestSpec, run_test};
    pub use sim_core::Sim;
    pub use std::time::Duration;
}
