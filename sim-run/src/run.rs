//! One run, whoever asked for it: its configuration, its outcome on the wire, and who does it where.

use std::panic::Location;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sim_core::{Config, Failure, FailureKind, Log, Outcome, Schedule, Sim, Stats, codec};

use crate::isolate::{Death, End};

/// What one run of a sweep came to.
#[derive(Debug)]
pub struct Run<T> {
    /// The seed that decided everything in it.
    pub seed: u64,
    /// What the body returned, or what broke.
    pub result: Result<T, Failure>,
    /// Trace hash: equal for equal runs. 0 when the run's process died.
    pub trace: u64,
    /// Virtual time at the end.
    pub now: Duration,
    /// What it consisted of.
    pub stats: Stats,
    /// Remarks of the simulator, such as wakes from foreign threads.
    pub notes: Vec<String>,
    /// What it printed, shortened in the middle; empty where it ran as a thread.
    pub output: String,
}

/// An [`Outcome`] as it comes out of its process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wire<T> {
    pub(crate) result: Result<T, Failure>,
    pub(crate) trace: u64,
    pub(crate) now: Duration,
    pub(crate) stats: Stats,
    pub(crate) notes: Vec<String>,
    pub(crate) log: Option<Log>,
}

/// What is the same for all runs of a test or sweep.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) schedule: Schedule,
    pub(crate) time_limit: Duration,
    pub(crate) record: bool,
}

impl Default for Shape {
    fn default() -> Shape {
        let config = Config::seed(0);
        Shape { schedule: config.schedule, time_limit: config.time_limit, record: false }
    }
}

impl Shape {
    /// Runs a seed on this thread. An error that the body returns becomes the failure of the run, at `site`.
    pub(crate) fn run<R, T, Fut>(
        &self,
        seed: u64,
        body: impl Fn(Sim) -> Fut,
        verdict: impl Fn(R) -> Result<T, String>,
        site: &str,
    ) -> Vec<u8>
    where
        R: 'static,
        T: Serialize,
        Fut: Future<Output = R> + 'static,
    {
        let config = Config {
            schedule: self.schedule,
            time_limit: self.time_limit,
            record: self.record,
            ..Config::seed(seed)
        };
        let outcome = sim_core::run(config, body);
        let result = match outcome.result.map(verdict) {
            Err(failure) => Err(failure),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(message)) => Err(failure_of_body(site, message, outcome.now)),
        };
        let Outcome { trace, now, stats, log, notes, .. } = outcome;
        encode(&Wire { result, trace, now, stats, notes, log })
    }
}

fn failure_of_body(site: &str, message: String, at: Duration) -> Failure {
    Failure { at, ..Failure::new(FailureKind::Error, site, message) }
}

/// # Panics
/// When the value cannot be encoded, which is a mistake in its type.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode(value).unwrap_or_else(|error| {
        let name = std::any::type_name::<T>();
        panic!("what a run returns must survive serde's round trip without field names, and {name} does not: {error}")
    })
}

/// # Panics
/// As [`encode`].
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
    codec::decode(bytes).unwrap_or_else(|error| {
        let name = std::any::type_name::<T>();
        panic!("what a run returns must survive serde's round trip without field names, and {name} does not: {error}")
    })
}

impl<T: DeserializeOwned> Wire<T> {
    pub(crate) fn of(end: End) -> Wire<T> {
        match end {
            End::Finished(bytes) => decode(&bytes),
            End::Died(death) => {
                let failure = failure_of(death);
                Wire { now: failure.at, ..Wire::empty(Err(failure)) }
            }
        }
    }

    fn empty(result: Result<T, Failure>) -> Wire<T> {
        Wire { result, trace: 0, now: Duration::ZERO, stats: Stats::default(), notes: Vec::new(), log: None }
    }

    /// Compares with the second run of the same seed; where they differ, that is the failure.
    pub(crate) fn compared(self, other: &Wire<T>) -> Wire<T> {
        let signature = |wire: &Wire<T>| wire.result.as_ref().err().map(Failure::signature);
        let (first, second) = (signature(&self), signature(other));
        if (self.trace, self.now, &first) == (other.trace, other.now, &second) {
            return self;
        }
        let describe = |wire: &Wire<T>, signature: Option<String>| {
            let end = signature.unwrap_or_else(|| "passed".to_owned());
            format!(
                "trace {:016x}, {} decisions, {:?} of virtual time, {end}",
                wire.trace, wire.stats.decisions, wire.now
            )
        };
        let message = "two runs of this seed took different courses";
        let failure = Failure {
            at: self.now.min(other.now),
            details: vec![
                format!("first:  {}", describe(&self, first)),
                format!("second: {}", describe(other, second)),
                "something outside of the simulation decided: an address, a thread of its own, a static that \
                 outlives the run"
                    .to_owned(),
            ],
            ..Failure::new(FailureKind::Nondeterminism, "", message)
        };
        Wire { result: Err(failure), ..self }
    }

    pub(crate) fn into_run(self, seed: u64, output: String) -> Run<T> {
        let Wire { result, trace, now, stats, notes, .. } = self;
        Run { seed, result, trace, now, stats, notes, output }
    }

    pub(crate) fn into_outcome(self) -> Outcome<T> {
        let Wire { result, trace, now, stats, notes, log } = self;
        Outcome { result, trace, now, stats, log, notes }
    }
}

fn failure_of(death: Death) -> Failure {
    let (at, node) = death.seen.map_or((Duration::ZERO, None), |(at, node)| (at, Some(node)));
    Failure { at, node, ..Failure::new(FailureKind::Crash, death.cause, death.message) }
}

/// # Panics
/// Inside of a simulation: a run cannot start another one.
#[track_caller]
pub(crate) fn refuse_inside_a_simulation(what: &str) {
    assert!(
        Sim::try_current().is_none(),
        "{what} was called inside of a simulation, and a run cannot start another one: call it from `main` or from a \
         plain #[test]"
    );
}

pub(crate) fn site(location: &Location<'_>) -> String {
    format!("{}:{}:{}", location.file(), location.line(), location.column())
}
