//! What the shrinker does its experiments on. It is a trait, so that passes are tested on a pure function.

use sim_core::{Deviation, Fault};

use super::Scenario;

/// Does runs and says what came of them.
pub(crate) trait Subject {
    /// How many runs it does side by side.
    fn width(&self) -> usize;

    /// Begins a run; gives its number.
    fn begin(&mut self, request: &Request) -> u64;

    /// Waits for what comes of it.
    fn verdict(&mut self, run: u64) -> Verdict;

    /// Nobody wants to know what comes of it any more.
    fn forget(&mut self, run: u64);
}

/// A run to do.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// One whose decisions are known. With `all`, the verdict lists the boring ones, too.
    Known {
        /// What is not boring.
        scenario: Scenario,
        /// Whether boring decisions are listed.
        all: bool,
    },
    /// The one that failed at first up to an instant, and another one from there on.
    Spliced {
        /// ns of virtual time.
        until: u64,
        /// The seed from there on.
        then: u64,
    },
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// What broke, if anything did.
    pub(crate) signature: Option<String>,
    /// The decisions that were asked for: those that are not boring, or all.
    pub(crate) decisions: Vec<Deviation>,
    /// The faults of the run.
    pub(crate) faults: Vec<Fault>,
}
