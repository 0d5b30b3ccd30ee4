//! One run, whoever asked for it: its configuration, its outcome on the wire, and who does it where.

use std::panic::Location;
use std::sync::Once;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sim_core::oracle::Seen;
use sim_core::{
    Config, Decisions, Failure, FailureKind, Fault, Log, Outcome, Schedule, Sim, Source, Stats, codec,
};

use crate::Token;
use crate::isolate::{Assignment, Death, End, LOST_WORKER};
use crate::logging;

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
    /// Every injected or vetoed fault, in the order of their start.
    pub faults: Vec<Fault>,
    /// What was seen of what the code claims with `always!`, `sometimes!` and the others.
    pub claims: Vec<Seen>,
    /// Remarks of the simulator, such as wakes from foreign threads.
    pub notes: Vec<String>,
    /// What it printed, shortened in the middle; empty where it ran as a thread.
    pub output: String,
}

impl Run<()> {
    /// A run of which only its failure is known.
    pub(crate) fn of_failure(seed: u64, trace: u64, failure: Failure, faults: Vec<Fault>) -> Run<()> {
        let now = failure.at;
        let (stats, notes, output) = Default::default();
        Run { seed, result: Err(failure), trace, now, stats, faults, notes, claims: Vec::new(), output }
    }
}

/// An [`Outcome`] as it comes out of its process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wire<T> {
    pub(crate) result: Result<T, Failure>,
    pub(crate) trace: u64,
    pub(crate) now: Duration,
    pub(crate) stats: Stats,
    pub(crate) faults: Vec<Fault>,
    pub(crate) claims: Vec<Seen>,
    pub(crate) notes: Vec<String>,
    pub(crate) log: Option<Log>,
}

/// A run that is ordered in place of that of a seed: a shrinker tries what is left of a failure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) source: Source,
    pub(crate) schedule: Schedule,
    /// What it is to list.
    pub(crate) decisions: Decisions,
    /// Whether it keeps its events.
    pub(crate) record: bool,
}

impl Trial {
    fn config(&self, of_shape: &Config) -> Config {
        let Trial { source, schedule, decisions, record } = self.clone();
        Config { source: Some(source), schedule, decisions, record, ..of_shape.clone() }
    }
}

/// What is seen of a trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sight {
    pub(crate) failure: Option<Failure>,
    pub(crate) trace: u64,
    pub(crate) now: Duration,
    pub(crate) faults: Vec<Fault>,
    pub(crate) claims: Vec<Seen>,
    pub(crate) log: Log,
}

impl Sight {
    pub(crate) fn of(end: End) -> Sight {
        match end {
            End::Finished(bytes) => decode(&bytes),
            End::Died(death) => Sight { failure: Some(failure_of(death)), ..Sight::default() },
        }
    }

    /// Whether it came to its end with what it was to record.
    pub(crate) fn is_recorded(&self) -> bool {
        !self.log.nodes.is_empty()
    }

    pub(crate) fn signature(&self) -> Option<String> {
        self.failure.as_ref().map(Failure::signature)
    }
}

/// What is the same for all runs of a test or sweep.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) schedule: Schedule,
    pub(crate) time_limit: Duration,
    pub(crate) record: bool,
    /// The run to repeat, in place of those of seeds.
    pub(crate) saved: Option<Token>,
}

impl Default for Shape {
    fn default() -> Shape {
        let config = Config::seed(0);
        Shape { schedule: config.schedule, time_limit: config.time_limit, record: false, saved: None }
    }
}

impl Shape {
    /// Runs a seed, or the trial that is ordered, on this thread. An error that the body returns becomes the failure of the run, at `site`, which is
    /// also where the body is said to be.
    pub(crate) fn run<R, T, Fut>(
        &self,
        assignment: &Assignment<'_>,
        body: impl Fn(Sim) -> Fut,
        verdict: impl Fn(R) -> Result<T, String>,
        site: &str,
    ) -> Vec<u8>
    where
        R: 'static,
        T: Serialize,
        Fut: Future<Output = R> + 'static,
    {
        let mut config = Config {
            schedule: self.schedule,
            time_limit: self.time_limit,
            record: self.record,
            ..Config::seed(assignment.seed)
        };
        let trial = (!assignment.orders.is_empty()).then(|| decode::<Trial>(assignment.orders));
        if let Some(trial) = &trial {
            config = trial.config(&config);
        } else if let Some(saved) = &self.saved {
            config = config.source(saved.source()).schedule(saved.schedule).decisions(Decisions::Deviations);
        }
        let outcome = match &trial {
            Some(Trial { record: true, .. }) => logging::kept(|| sim_core::run(config, body)),
            _ => sim_core::run(config, body),
        };
        let mut result = match outcome.result.map(verdict) {
            Err(failure) => Err(relocated(failure, site)),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(message)) => Err(failure_of_body(site, message, outcome.now)),
        };
        let Outcome { trace, now, stats, faults, claims, mut log, mut notes, .. } = outcome;
        if trial.is_some() {
            let mut log = log.unwrap_or_default();
            for entry in &mut log.entries {
                relocate(&mut entry.event.detail, site);
            }
            return encode(&Sight { failure: result.err(), trace, now, faults, claims, log });
        }
        if let Some(saved) = &self.saved {
            let asked = log.as_ref().map_or(0, |log| log.deviations.len());
            log = log.filter(|_| self.record);
            check_fit(saved, asked, &mut result, now, &mut notes);
        }
        encode(&Wire { result, trace, now, stats, faults, claims, notes, log })
    }
}

/// Says what the repetition of a saved run comes to. One that passes only because it no longer fits has not passed.
fn check_fit<T>(
    saved: &Token,
    asked: usize,
    result: &mut Result<T, Failure>,
    now: Duration,
    notes: &mut Vec<String>,
) {
    let (total, signature) = (saved.deviations.len(), &saved.signature);
    let never = total.saturating_sub(asked);
    let stale = (never > 0).then(|| format!("{never} of {total} decisions were never asked for"));
    match (&*result, stale) {
        (Ok(_), Some(stale)) => {
            let message = format!(
                "{stale}: the test is no longer the one that this run was saved from, where it failed with {signature}"
            );
            *result = Err(Failure { at: now, ..Failure::new(FailureKind::Stale, "", message) });
        }
        (Ok(_), None) => notes.push(format!(
            "the saved run passes now: all {total} decisions were asked for, and it did not fail with {signature}"
        )),
        (Err(failure), stale) => {
            if failure.signature() != *signature {
                notes.push(format!("the saved run failed with {signature}"));
            }
            notes.extend(stale.map(|stale| format!("stale: {stale}")));
        }
    }
}

/// The failure with `site` in place of this file, from which the body is called.
fn relocated(mut failure: Failure, site: &str) -> Failure {
    let told =
        failure.task.iter_mut().chain(&mut failure.details).chain([&mut failure.message, &mut failure.site]);
    for text in told {
        relocate(text, site);
    }
    failure
}

fn relocate(text: &mut String, site: &str) {
    if let Some((before, after)) = text.split_once(concat!(file!(), ":")) {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        *text = format!("{before}{site}{rest}");
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
        Wire {
            result,
            trace: 0,
            now: Duration::ZERO,
            stats: Stats::default(),
            faults: Vec::new(),
            claims: Vec::new(),
            notes: Vec::new(),
            log: None,
        }
    }

    /// Compares with the second run of the same seed; where they differ, that is the failure.
    pub(crate) fn compared(self, other: &Wire<T>) -> Wire<T> {
        let signature = |wire: &Wire<T>| wire.result.as_ref().err().map(Failure::signature);
        let (first, second) = (signature(&self), signature(other));
        if (self.trace, self.now, &first) == (other.trace, other.now, &second) {
            return self;
        }
        // A run that never came to its end says nothing of its course.
        let lost = [&self, other].into_iter().find_map(|wire| {
            let failure = wire.result.as_ref().err()?;
            (failure.kind == FailureKind::Crash && failure.site == LOST_WORKER).then(|| failure.clone())
        });
        if let Some(lost) = lost {
            return Wire { result: Err(lost), ..self };
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
        let Wire { result, trace, now, stats, faults, claims, notes, .. } = self;
        Run { seed, result, trace, now, stats, faults, claims, notes, output }
    }

    pub(crate) fn into_outcome(self) -> Outcome<T> {
        let Wire { result, trace, now, stats, faults, claims, notes, log } = self;
        Outcome { result, trace, now, stats, faults, claims, log, notes }
    }
}

fn failure_of(death: Death) -> Failure {
    let (at, node) = death.seen.map_or((Duration::ZERO, None), |(at, node)| (at, Some(node)));
    Failure { at, node, ..Failure::new(FailureKind::Crash, death.cause, death.message) }
}

/// Warns, once a process, when the guards are not in force.
///
/// # Panics
/// Inside of a simulation: a run cannot start another one.
#[track_caller]
pub(crate) fn check_surroundings(what: &str) {
    assert!(
        Sim::try_current().is_none(),
        "{what} was called inside of a simulation, and a run cannot start another one: call it from `main` or from a \
         plain #[test]"
    );
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let guarded = match sim_core::host::guards() {
            Some(guards) => (guards.bound)(),
            None => Err("no guards on the host's clock and entropy are linked".to_string()),
        };
        if let Err(why) = guarded {
            eprintln!("sim: warning: {why}; runs may depend on what they ask the host");
        }
    });
}

pub(crate) fn site(location: &Location<'_>) -> String {
    format!("{}:{}:{}", location.file(), location.line(), location.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_where_the_user_wrote_it() {
        let shape = Shape { time_limit: Duration::from_secs(1), ..Shape::default() };
        let run = |body: fn() -> std::future::Pending<()>| {
            let first = Assignment { seed: 1, log: false, orders: &[] };
            let wire: Wire<()> = decode(&shape.run(&first, move |_| body(), Ok, "shop.rs:7:1"));
            wire.result.unwrap_err()
        };
        let deadlock = run(std::future::pending);
        assert!(deadlock.details.iter().any(|line| line.contains("shop.rs:7:1")), "{deadlock:?}");
        let told = format!("{deadlock:?}");
        assert!(!told.contains(file!()), "{told}");
    }

    #[test]
    fn courses_that_differ_are_a_failure_of_their_own() {
        let wire =
            |trace, failure: Option<Failure>| Wire { trace, ..Wire::empty(failure.map_or(Ok(7), Err)) };
        let broken = || Some(Failure::new(FailureKind::Panic, "a.rs:1:1", "differs from run to run"));
        assert_eq!(wire(1, None).compared(&wire(1, None)).result, Ok(7));
        assert_eq!(wire(1, broken()).compared(&wire(1, broken())).result, Err(broken().unwrap()));
        let lost =
            || Some(Failure::new(FailureKind::Crash, LOST_WORKER, "the worker process died under this run"));
        for (first, second) in [(wire(1, None), wire(0, lost())), (wire(0, lost()), wire(1, None))] {
            assert_eq!(first.compared(&second).result, Err(lost().unwrap()));
        }
        for (first, second) in [(wire(1, None), wire(2, None)), (wire(1, None), wire(1, broken()))] {
            let failure = first.compared(&second).result.unwrap_err();
            assert_eq!(failure.signature(), "nondeterminism");
        }
    }
}
