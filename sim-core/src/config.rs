//! What a run is a function of, besides the body.

use crate::clock::EPOCH;
use crate::{Schedule, Source};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which decisions a run lists in its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decisions {
    /// None.
    #[default]
    Unlisted,
    /// Those that were not boring.
    Deviations,
    /// All that were asked for.
    All,
}

/// What a run is a function of, besides its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The seed that everything is drawn from.
    pub seed: u64,
    /// Another source of decisions than the seed alone.
    pub source: Option<Source>,
    /// The order of ready tasks.
    pub schedule: Schedule,
    /// How much virtual time the run may take; [`Config::TIME_LIMIT`] unless set.
    pub time_limit: Duration,
    /// Where the wall clocks start, ns since 1970; [`EPOCH`] unless set, and at most 2⁶³ − 1, in the year 2262.
    pub epoch: u64,
    /// Keep the log of events and deviations.
    pub record: bool,
    /// Which decisions the log lists; a run that is recorded lists its deviations at least.
    pub decisions: Decisions,
    /// Take a backtrace when a task panics; it costs milliseconds.
    pub backtrace: bool,
}

impl Config {
    /// How much virtual time a run may take unless it says otherwise: a body that waits for ever while its
    /// services go on ticking is found.
    pub const TIME_LIMIT: Duration = Duration::from_secs(24 * 3600);

    /// Everything from a seed, the schedule too.
    pub fn seed(seed: u64) -> Self {
        Config {
            seed,
            source: None,
            schedule: Schedule::Portfolio,
            time_limit: Config::TIME_LIMIT,
            epoch: EPOCH,
            record: false,
            decisions: Decisions::Unlisted,
            backtrace: false,
        }
    }

    /// With this schedule.
    pub fn schedule(self, schedule: Schedule) -> Self {
        Config { schedule, ..self }
    }

    /// With this source of decisions.
    pub fn source(self, source: Source) -> Self {
        Config { source: Some(source), ..self }
    }

    /// With this much virtual time.
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Config { time_limit, ..self }
    }

    /// With the log of events and deviations.
    pub fn record(self) -> Self {
        Config { record: true, ..self }
    }

    /// With these decisions in the log.
    pub fn decisions(self, decisions: Decisions) -> Self {
        Config { decisions, ..self }
    }

    /// Which decisions a run lists.
    pub(crate) fn listed(&self) -> Decisions {
        match self.decisions {
            Decisions::Unlisted if self.record => Decisions::Deviations,
            decisions => decisions,
        }
    }
}
