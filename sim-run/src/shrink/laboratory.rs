//! The subject that runs are: each in the isolation of its sweep, as many at a time as there are workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sim_core::decision::{Kind, Name};
use sim_core::{Decisions, Schedule, Source};

use super::explain::Explained;
use super::likelihood::likelihood;
use super::scenario::Scenario;
use super::shrunk::{Shrunk, Unshrunk};
use super::story::{story, told};
use super::subject::{Request, Subject, Verdict};
use super::{Found, search};
use crate::Token;
use crate::isolate::{Laboratory, Plan, Trouble, Work, experiment};
use crate::progress::now;
use crate::report::Evidence;
use crate::run::{Shape, Sight, Trial, encode};

/// Real time that shrinking may take, and drawing the strip after it.
const TIME: Duration = Duration::from_secs(30);
const TIME_OF_STRIP: Duration = Duration::from_secs(20);

/// Shrinks the run of a seed that failed with this signature; with `record` gives the runs that tell of it, too.
///
/// # Errors
/// When the workers cannot be started. A run that cannot be shrunk is none.
pub(crate) fn shrink_run(
    plan: &Plan<'_>,
    shape: &Shape,
    work: &Work<'_>,
    seed: u64,
    signature: &str,
    record: bool,
) -> Result<(Result<Shrunk, Unshrunk>, Evidence), Trouble> {
    // The order of tasks is not to change when application randomness does.
    let schedule = shape.schedule.of_seed(seed);
    experiment(plan, work, |laboratory| {
        let mut bench = Bench { laboratory, schedule, seed, width: plan.jobs.max(1), trouble: None };
        let mut evidence = Evidence::default();
        if record {
            evidence.original = Some(bench.recorded(Source::Seeded(seed))).filter(Sight::is_recorded);
        }
        let shrunk = bench.shrink(&plan.place.subject(), signature, record.then_some(&mut evidence));
        match bench.trouble {
            Some(trouble) => Err(trouble),
            None => Ok((shrunk, evidence)),
        }
    })
}

/// Records the run of a seed as it is.
///
/// # Errors
/// When the workers cannot be started.
pub(crate) fn record_run(
    plan: &Plan<'_>,
    shape: &Shape,
    work: &Work<'_>,
    seed: u64,
) -> Result<Evidence, Trouble> {
    let (source, schedule) = match &shape.saved {
        Some(token) => (token.source(), token.schedule),
        None => (Source::Seeded(seed), shape.schedule.of_seed(seed)),
    };
    experiment(plan, work, |laboratory| {
        let trial = Trial { source, schedule, decisions: Decisions::Deviations, record: true };
        let seen = Sight::of(laboratory.end(laboratory.order(seed, encode(&trial)))?);
        Ok(Evidence { original: Some(seen).filter(Sight::is_recorded), ..Evidence::default() })
    })
}

/// Repeats saved runs.
///
/// # Errors
/// When the workers cannot be started.
pub(crate) fn replay_tokens(
    plan: &Plan<'_>,
    work: &Work<'_>,
    tokens: &[Token],
) -> Result<Vec<Sight>, Trouble> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    experiment(plan, work, |laboratory| {
        let order = |token: &Token| {
            let (source, schedule) = (token.source(), token.schedule);
            let trial = Trial { source, schedule, decisions: Decisions::Deviations, record: false };
            laboratory.order(token.seed, encode(&trial))
        };
        let runs: Vec<u64> = tokens.iter().map(order).collect();
        runs.into_iter().map(|run| laboratory.end(run).map(Sight::of)).collect()
    })
}

struct Bench<'l> {
    laboratory: &'l Laboratory<'l>,
    schedule: Schedule,
    /// Of the run that failed at first.
    seed: u64,
    width: usize,
    trouble: Option<Trouble>,
}

impl Bench<'_> {
    fn shrink(
        &mut self,
        test: &str,
        signature: &str,
        evidence: Option<&mut Evidence>,
    ) -> Result<Shrunk, Unshrunk> {
        let start = now();
        let seeded = || Trial { decisions: Decisions::Deviations, ..self.trial(Source::Seeded(self.seed)) };
        let runs = [(); 2].map(|()| self.order(&seeded()));
        let [first, second] = runs.map(|run| self.sight(run));
        if first.trace != second.trace || first.signature() != second.signature() {
            return Err(Unshrunk::Nondeterministic);
        }
        let failure = match first.failure {
            Some(failure) if failure.signature() == signature => failure,
            _ => return Err(Unshrunk::Nondeterministic),
        };
        if first.trace == 0 {
            return Err(Unshrunk::Died);
        }
        let whole = Scenario::new(self.seed, first.log.deviations);
        let late = || now() - start > TIME;
        let Some(found) = search(self, whole, signature, &late) else { return Err(Unshrunk::NotExplicit) };
        let Found { best, executions, explained, findings, undone } = found;

        let last = self.recorded(source(&best));
        if let Some(evidence) = evidence {
            evidence.passing = self.nearest_passing(&best, &explained, &last);
            evidence.shrunk = Some(last.clone()).filter(Sight::is_recorded);
        }
        let end = failure.at.as_nanos() as u64;
        let strip_start = now();
        let late = || now() - strip_start > TIME_OF_STRIP;
        let failed = (self.seed, signature);
        let likelihood = likelihood(self, failed, end, &late);
        let token = |scenario: &Scenario, signature: &str| Token {
            test: test.to_owned(),
            signature: signature.to_owned(),
            seed: scenario.seed,
            schedule: self.schedule,
            deviations: scenario.decisions.values().map(|d| (d.name, d.value)).collect(),
        };
        Ok(Shrunk {
            seed: self.seed,
            size: best.size(),
            executions: executions as u64,
            story: story(&best, &explained, &last),
            failure: last.failure.unwrap_or(failure),
            token: token(&best, signature),
            first_failed_at: Duration::from_nanos(end),
            likelihood,
            findings: findings.iter().map(|f| token(&f.scenario, &f.signature)).collect(),
            undone: undone.into_iter().map(str::to_owned).collect(),
        })
    }

    /// The smallest run without one of the decisions that it needs, and in words which that is: rather without a mishap than
    /// without what is asked of the system, and without the last of them, so that both runs are alike for as long as can
    /// be.
    fn nearest_passing(
        &mut self,
        best: &Scenario,
        explained: &Explained,
        last: &Sight,
    ) -> Option<(Sight, String)> {
        let mut needed: Vec<Name> = explained.needed.iter().copied().collect();
        let asked = |name: &Name| best.decisions.get(name).is_some_and(|decision| decision.kind == Kind::Op);
        needed.sort_by_key(|name| (asked(name), std::cmp::Reverse(best.when(*name))));
        needed.into_iter().find_map(|name| {
            let seen = self.recorded(source(&best.without([name])));
            let passes = seen.failure.is_none() && seen.is_recorded();
            passes.then(|| (seen, told(best, name, last)))
        })
    }

    fn recorded(&mut self, source: Source) -> Sight {
        let trial = Trial { decisions: Decisions::Deviations, record: true, ..self.trial(source) };
        let run = self.order(&trial);
        self.sight(run)
    }

    fn trial(&self, source: Source) -> Trial {
        Trial { source, schedule: self.schedule, decisions: Decisions::Unlisted, record: false }
    }

    fn order(&self, trial: &Trial) -> u64 {
        self.laboratory.order(self.seed, encode(trial))
    }

    fn sight(&mut self, run: u64) -> Sight {
        match self.laboratory.end(run) {
            Ok(end) => Sight::of(end),
            Err(trouble) => {
                self.trouble.get_or_insert(trouble);
                Sight::default()
            }
        }
    }
}

fn source(scenario: &Scenario) -> Source {
    let deviations: BTreeMap<_, _> = scenario.decisions.values().map(|d| (d.name, d.value)).collect();
    Source::Explicit { seed: scenario.seed, deviations: Arc::new(deviations) }
}

impl Subject for Bench<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn begin(&mut self, request: &Request) -> u64 {
        let trial = match request {
            Request::Known { scenario, all } => Trial {
                decisions: if *all { Decisions::All } else { Decisions::Deviations },
                ..self.trial(source(scenario))
            },
            Request::Spliced { until, then } => {
                self.trial(Source::Spliced { seed: self.seed, until: *until, then: *then })
            }
        };
        self.order(&trial)
    }

    fn verdict(&mut self, run: u64) -> Verdict {
        let sight = self.sight(run);
        Verdict { signature: sight.signature(), decisions: sight.log.deviations, faults: sight.faults }
    }

    fn forget(&mut self, run: u64) {
        self.laboratory.forget(run);
    }
}
