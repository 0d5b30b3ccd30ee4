//! A test at the command of `cargo sim`: orders in the environment, what comes of them as lines of JSON on standard
//! output, each after a record separator, because the harness writes there, too.
//!
//! Both sides say the version of this form, since `cargo sim` may come from another version of the project. What a
//! line holds is a function of program, seeds and orders; only `so_far` and `time` are of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::fault::Fate;
use sim_core::{Failure, FailureKind, Schedule, Stats, hash};

use crate::diverge;
use crate::isolate::{self, Plan, Twice, Work};
use crate::progress::Progress;
use crate::run::{Run, Wire};
use crate::seeds::split;
use crate::vacuity::Tally;
use crate::{Note, Seeds};

/// Names the environment variable with the orders.
const VARIABLE: &str = "SIM_ORDERS";
/// Of orders and lines. A change that an older reader would misunderstand is another version.
const VERSION: u32 = 1;
/// Real time between two lines that say how far a sweep is.
const PAUSE: Duration = Duration::from_millis(200);

/// What `cargo sim` asks of a test.
#[derive(Debug, Deserialize)]
pub(crate) struct Orders {
    version: u32,
    #[serde(default)]
    seeds: Option<Asked>,
    /// Of the seeds only this part.
    #[serde(default)]
    shard: Option<(u64, u64)>,
    /// Real time, after which no seed is begun.
    #[serde(default)]
    budget_ms: Option<u64>,
    /// Whether every seed is run twice and compared.
    #[serde(default)]
    twice: bool,
    /// End with that many failures.
    #[serde(default)]
    stop_after: Option<u64>,
    /// Say only what is simulated here.
    #[serde(default)]
    doctor: bool,
    /// Take out saved runs that are stale or pass, and do nothing else.
    #[serde(default)]
    pub(crate) prune: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    /// So many from the test's first on.
    Count(u64),
    /// From the first to before the second.
    Range(u64, u64),
}

#[derive(Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line<'a> {
    /// All seeds that were asked for, and those of this part.
    Start {
        version: u32,
        first: u64,
        count: u64,
        part_first: u64,
        part_count: u64,
    },
    SoFar {
        runs: u64,
        failures: u64,
        simulated_ns: u64,
        elapsed_ns: u64,
        cpu_ns: u64,
    },
    Failed {
        seed: u64,
        trace: String,
        signature: String,
        detail: Option<Detail<'a>>,
    },
    End {
        runs: u64,
        failures: u64,
        trace: String,
        simulated_ns: u64,
        stats: Stats,
        /// How many faults of each family were injected.
        faults: &'a BTreeMap<String, u64>,
        notes: &'a [Note],
        /// What was to be seen: how often it was looked at, and how often it was there.
        to_be_seen: BTreeMap<String, (u64, u64)>,
        /// From so many runs on it is a failure when something was not.
        vacuous_after: u64,
        /// Why not all seeds of the part were run.
        stopped: Option<&'static str>,
    },
    /// Where two runs of a seed part.
    Divergence {
        seed: u64,
        found: Vec<String>,
    },
    Time {
        cpu_ns: u64,
    },
    Doctor {
        version: u32,
        guards: Result<(), String>,
        processes: bool,
        fixed_addresses: Option<bool>,
    },
    Pruned {
        kept: u64,
        taken_out: &'a [String],
    },
}

/// Says what became of the saved runs of a test.
pub(crate) fn say_pruned(kept: u64, taken_out: &[String]) {
    say(&Line::Pruned { kept, taken_out });
}

/// What is said of the first failure with its signature.
#[derive(Serialize)]
struct Detail<'a> {
    kind: &'static str,
    message: &'a str,
    site: &'a str,
    at_ns: u64,
    node: Option<&'a str>,
    details: &'a [String],
    /// The faults of the run, the last first.
    faults: Vec<String>,
}

impl Orders {
    /// The orders of this process, if it has any.
    ///
    /// # Panics
    /// When they cannot be understood, as those of another version.
    pub(crate) fn of_environment() -> Option<Orders> {
        let text = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty())?;
        let orders: Orders = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{VARIABLE}={text:?} cannot be used: {error}"));
        assert!(
            orders.version == VERSION,
            "cargo sim and this test speak different versions ({} and {VERSION}) of their form: install the cargo-sim of \
             the same version as sim",
            orders.version
        );
        Some(orders)
    }

    /// Does what was ordered, of a test that stands at `place` and whose seeds are those of `plan`.
    pub(crate) fn follow(
        &self,
        plan: Plan<'_>,
        schedule: Schedule,
        (place, vacuous_after): (String, u64),
        work: &Work<'_>,
    ) {
        if self.doctor {
            return say(&Line::Doctor {
                version: VERSION,
                guards: guards(),
                processes: cfg!(unix),
                fixed_addresses: isolate::addresses_can_be_fixed(),
            });
        }
        let all = self.seeds_of(&plan.seeds);
        let (index, count) = self.shard.unwrap_or((0, 1));
        let part = all.part(split(all.len(), index, count));
        say(&Line::Start {
            version: VERSION,
            first: all.at(0).unwrap_or_default(),
            count: all.len(),
            part_first: part.at(0).unwrap_or_default(),
            part_count: part.len(),
        });
        let twice = if self.twice { Twice::All } else { plan.twice };
        let total = part.len();
        let plan = Plan { seeds: part, twice, log: false, here: false, ..plan };
        let clock = Progress::start(0, Some(false));
        let mut sums = Sums::default();
        let (mut said, mut stopped) = (Duration::ZERO, None);
        let done = isolate::execute(&plan, work, |done| {
            let mut wire: Wire<()> = Wire::of(done.end);
            if let Some(repeat) = done.repeat {
                wire = wire.compared(&Wire::of(repeat));
            }
            sums.add(&wire.into_run(done.seed, done.output));
            let elapsed = clock.elapsed();
            if elapsed - said >= PAUSE {
                said = elapsed;
                say(&sums.so_far(elapsed));
            }
            if self.stop_after.is_some_and(|enough| sums.failures >= enough) {
                stopped = Some("failures");
            } else if self.budget_ms.is_some_and(|budget| elapsed >= Duration::from_millis(budget)) {
                stopped = Some("time");
            }
            if stopped.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(trouble) = done {
            panic!("the test could not be run: {}", trouble.0);
        }
        if let Some(seed) = sums.nondeterministic {
            let found = diverge::find(&plan, schedule, work, seed).unwrap_or_else(|trouble| vec![trouble.0]);
            say(&Line::Divergence { seed, found });
        }
        stopped = stopped.filter(|_| sums.runs < total);
        say(&sums.end(stopped, &[place], vacuous_after));
        say(&Line::Time { cpu_ns: nanos(isolate::cpu_time()) });
    }

    fn seeds_of(&self, default: &Seeds) -> Seeds {
        let first = default.at(0).unwrap_or_default();
        match self.seeds {
            Some(Asked::Count(count)) => Seeds::starting_at(first, count),
            Some(Asked::Range(start, end)) => Seeds::from(start..end),
            // As far as the time goes.
            None if self.budget_ms.is_some() => Seeds::starting_at(first, u64::MAX),
            None => default.clone(),
        }
    }
}

#[derive(Default)]
struct Sums {
    runs: u64,
    failures: u64,
    /// The same whatever the order of seeds, so that parts can be added up.
    trace: u64,
    simulated: Duration,
    stats: Stats,
    faults: BTreeMap<String, u64>,
    notes: Vec<Note>,
    tally: Tally,
    signatures: BTreeSet<String>,
    /// The first seed that took two courses.
    nondeterministic: Option<u64>,
}

impl Sums {
    fn add(&mut self, run: &Run<()>) {
        self.runs += 1;
        self.trace = self.trace.wrapping_add(hash::h(hash::mix(run.seed), run.trace));
        self.simulated += run.now;
        self.stats += run.stats;
        for fault in run.faults.iter().filter(|fault| !matches!(fault.fate, Fate::Vetoed(_))) {
            *self.faults.entry(fault.family.to_string()).or_default() += 1;
        }
        Note::add(&mut self.notes, run);
        self.tally.add(run);
        if let Err(failure) = &run.result {
            self.failures += 1;
            if failure.kind == FailureKind::Nondeterminism {
                self.nondeterministic.get_or_insert(run.seed);
            }
            let signature = failure.signature();
            let detail = self.signatures.insert(signature.clone()).then(|| detail(run, failure));
            say(&Line::Failed { seed: run.seed, trace: format!("{:016x}", run.trace), signature, detail });
        }
    }

    fn so_far(&self, elapsed: Duration) -> Line<'_> {
        Line::SoFar {
            runs: self.runs,
            failures: self.failures,
            simulated_ns: nanos(self.simulated),
            elapsed_ns: nanos(elapsed),
            cpu_ns: nanos(isolate::cpu_time()),
        }
    }

    fn end(&self, stopped: Option<&'static str>, places: &[String], vacuous_after: u64) -> Line<'_> {
        Line::End {
            runs: self.runs,
            failures: self.failures,
            trace: format!("{:016x}", self.trace),
            simulated_ns: nanos(self.simulated),
            stats: self.stats,
            faults: &self.faults,
            notes: &self.notes,
            to_be_seen: self.tally.sums(places),
            vacuous_after,
            stopped,
        }
    }
}

fn detail<'a>(run: &'a Run<()>, failure: &'a Failure) -> Detail<'a> {
    Detail {
        kind: failure.kind.word(),
        message: &failure.message,
        site: &failure.site,
        at_ns: nanos(failure.at),
        node: failure.node.as_deref(),
        details: &failure.details,
        faults: run.faults.iter().rev().map(ToString::to_string).collect(),
    }
}

fn guards() -> Result<(), String> {
    match sim_core::host::guards() {
        Some(guards) => (guards.bound)(),
        None => Err("no guards on the host's clock and entropy are linked".to_owned()),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// # Panics
/// When standard output is closed: nobody is there to sweep for.
fn say(line: &Line<'_>) {
    let text =
        serde_json::to_string(line).unwrap_or_else(|error| panic!("a line cannot be written: {error}"));
    let mut out = io::stdout().lock();
    let written = writeln!(out, "\x1e{text}").and_then(|()| out.flush());
    written.unwrap_or_else(|error| panic!("cargo sim no longer listens: {error}"));
}
