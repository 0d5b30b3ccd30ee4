//! Many runs over many seeds.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sim_core::oracle::Seen;
use sim_core::{Failure, Schedule, Sim, Stats, hash};

use crate::isolate::{self, Assignment, Limits, Place, Plan, SHORT, Trouble, Twice, Work};
use crate::progress::Progress;
use crate::report::{Case, Files, Reports};
use crate::run::{Run, Shape, Wire, check_surroundings, decode, encode, site};
use crate::settings::Settings;
use crate::shrink::{Shrunk, Unshrunk, shrink_run};
use crate::vacuity::{Missing, Tally, VACUOUS_AFTER, function_of};
use crate::{Isolate, Seeds};

/// Prepares a sweep: the same body over many seeds, each in a process of its own.
///
/// The processes start this program again, with the same arguments, up to this point: what the program does before
/// must be harmless to do more than once, must go the same way each time, and finds its standard input empty. A
/// sweep that goes on in another thread of the program at the same time must be [`Isolate::Thread`].
///
/// ```
/// use sim_run::{Isolate, Run, sweep};
///
/// let mut sum = 0;
/// let report = sweep(0..100)
///     .isolate(Isolate::Thread)
///     .on_run(|run: &Run<u64>| sum += run.result.as_ref().unwrap())
///     .run(|sim| async move { sim.seed() });
/// assert_eq!((report.runs, sum), (100, 4950));
/// assert!(report.failures.is_empty());
/// ```
#[must_use = "nothing runs before `run`"]
pub struct Sweep<'f, T> {
    seeds: Seeds,
    jobs: Option<usize>,
    shape: Shape,
    isolate: Isolate,
    limits: Limits,
    twice: Twice,
    progress: Option<bool>,
    stop_after: Option<u64>,
    shrink: bool,
    files: Files,
    command: Option<String>,
    vacuous_after: u64,
    expected: Vec<String>,
    faults: bool,
    on_run: Option<OnRun<'f, T>>,
}

type OnRun<'f, T> = Box<dyn FnMut(&Run<T>) + 'f>;

/// A sweep over those seeds. `SIM_SEED` or `SIM_SEEDS` override them; `SIM_SEEDS=100` keeps the first of them and runs
/// 100 from there on; `SIM_BUDGET=10m` runs as many from there on as that takes; `SIM_REPLAY` does a saved run in their place.
pub fn sweep<'f, T>(seeds: impl Into<Seeds>) -> Sweep<'f, T> {
    Sweep {
        seeds: seeds.into(),
        jobs: None,
        shape: Shape::default(),
        isolate: Isolate::default(),
        limits: Limits::default(),
        twice: Twice::Some,
        progress: None,
        stop_after: None,
        shrink: false,
        files: Files::NONE,
        command: None,
        vacuous_after: VACUOUS_AFTER,
        expected: Vec::new(),
        faults: false,
        on_run: None,
    }
}

impl<T> fmt::Debug for Sweep<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("seeds", &self.seeds)
            .field("isolate", &self.isolate)
            .finish_non_exhaustive()
    }
}

impl<'f, T> Sweep<'f, T> {
    /// How many runs go on at a time; default one a core. `SIM_JOBS` overrides it. The report does not depend on it.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// How the next task is chosen; default [`Schedule::Portfolio`]. `SIM_SCHEDULE` overrides it.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.shape.schedule = schedule;
        self
    }

    /// Virtual time after which a run fails; default [`Config::TIME_LIMIT`](sim_core::Config::TIME_LIMIT).
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.shape.time_limit = limit;
        self
    }

    /// Where runs happen; default [`Isolate::Process`]. `SIM_FORK=0` runs one seed in this process.
    pub fn isolate(mut self, isolate: Isolate) -> Self {
        self.isolate = isolate;
        self
    }

    /// Address space that a run may use beyond what its process starts with, in bytes; default 2 GiB, `None` for no
    /// limit. No effect on threads.
    pub fn memory_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.limits.memory = bytes.into();
        self
    }

    /// CPU time that a run may use; default 60 s. No effect on threads.
    pub fn cpu_limit(mut self, time: Duration) -> Self {
        self.limits.cpu = time;
        self
    }

    /// Real time for which a run may stand still without using the CPU; default 30 s. No effect on threads.
    pub fn blocked_limit(mut self, time: Duration) -> Self {
        self.limits.blocked = time;
        self
    }

    /// Whether every seed is run twice and the traces compared; default one seed in 64.
    pub fn check_determinism(mut self, all: bool) -> Self {
        self.twice = if all { Twice::All } else { Twice::Some };
        self
    }

    /// Whether a line on standard error shows how far the sweep is; default only when that is a terminal.
    pub fn progress(mut self, shown: bool) -> Self {
        self.progress = Some(shown);
        self
    }

    /// Ends the sweep with that many failures; default never.
    pub fn stop_after(mut self, failures: u64) -> Self {
        self.stop_after = Some(failures);
        self
    }

    /// Whether the first run of each group of failures is shrunk; default no. `SIM_SHRINK=0` switches it off.
    pub fn shrink(mut self, shrink: bool) -> Self {
        self.shrink = shrink;
        self
    }

    /// Which files are written about each group of failures that is shrunk; default none. `SIM_TRACE=html,jsonl` overrides
    /// it, and `none` switches it off. They are in `target/sim/PROGRAM/SIGNATURE/`; `SIM_REPORT_DIR` is another place than
    /// `target/sim`.
    pub fn files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// How the program is started so that it comes to this sweep, for the replay lines in files; default its own
    /// arguments.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// From how many runs on the sweep fails as vacuous where it misses something; default [`VACUOUS_AFTER`].
    ///
    /// It misses operations that succeed, where clients had some to do; faults, where a nemesis was let loose; each
    /// `sometimes!` that never held and each `reachable!` that was never reached, of those that a run looked at and of those
    /// in the function that calls the sweep.
    pub fn vacuous_after(mut self, runs: u64) -> Self {
        self.vacuous_after = runs;
        self
    }

    /// Every `sometimes!` and `reachable!` below this path is to be seen, whether a run comes by it or not: a module or a
    /// crate, such as `"shop::order"`. Elsewhere than on Linux, Android and FreeBSD nothing is known of those that no run
    /// comes by.
    pub fn expects(mut self, path: impl Into<String>) -> Self {
        self.expected.push(path.into());
        self
    }

    /// Some run is to meet a fault of a nemesis: without this a sweep whose body lets none loose may be meant so.
    pub fn expects_faults(mut self) -> Self {
        self.faults = true;
        self
    }

    /// Calls `f` with each run, in the order of the seeds, in this process; in the workers of later sweeps too, which come
    /// by here again, as far as 64 MiB of runs go.
    pub fn on_run(mut self, f: impl FnMut(&Run<T>) + 'f) -> Self {
        self.on_run = Some(Box::new(f));
        self
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Sweep<'_, T> {
    /// Runs `body` for every seed. Where runs are processes, values come back through serde.
    ///
    /// # Panics
    /// Inside of a simulation; when an environment variable has a value that cannot be used; when no process can be
    /// started.
    #[track_caller]
    pub fn run<F, Fut>(self, body: F) -> SweepReport
    where
        F: Fn(Sim) -> Fut + Sync,
        Fut: Future<Output = T> + 'static,
    {
        let here = Location::caller();
        let function = function_of(&body);
        self.conduct(here, function, |shape, assignment| shape.run(assignment, &body, Ok, &site(here)))
    }

    /// As [`run`](Sweep::run); an error that the body returns is the failure of its run.
    ///
    /// # Panics
    /// As [`run`](Sweep::run).
    #[track_caller]
    pub fn try_run<E, F, Fut>(self, body: F) -> SweepReport
    where
        E: fmt::Display + 'static,
        F: Fn(Sim) -> Fut + Sync,
        Fut: Future<Output = Result<T, E>> + 'static,
    {
        let here = Location::caller();
        let function = function_of(&body);
        self.conduct(here, function, |shape, assignment| {
            shape.run(assignment, &body, |result| result.map_err(|error| format!("{error:#}")), &site(here))
        })
    }

    #[track_caller]
    fn conduct(
        mut self,
        here: &Location<'_>,
        function: String,
        run: impl Fn(&Shape, &Assignment<'_>) -> Vec<u8> + Sync,
    ) -> SweepReport {
        check_surroundings("a sweep");
        let settings = Settings::of_environment();
        let mut shape = self.shape;
        shape.schedule = settings.schedule.unwrap_or(shape.schedule);
        let place = Place::visit(None, here);
        shape.saved = settings.replay_of(&place.subject());
        let work: &Work<'_> = &|assignment| run(&shape, assignment);
        if let Some(past) = isolate::enter(&place, &self.limits, work) {
            let past: Past = decode(&past);
            if let Some(on_run) = &mut self.on_run {
                for (seed, wire, output) in past.runs.iter().map(|run| decode::<(u64, Wire<T>, String)>(run))
                {
                    on_run(&wire.into_run(seed, output));
                }
            }
            return past.report;
        }
        let plan = Plan {
            place: &place,
            seeds: settings.seeds(self.seeds),
            jobs: settings.jobs(self.jobs),
            isolate: self.isolate.here(),
            limits: self.limits,
            twice: self.twice,
            log: settings.log.is_some() && settings.seed.is_some(),
            keep_output: SHORT,
            here: settings.no_fork,
        };
        let mut past = Past::default();
        let mut kept = 0;
        let report = &mut past.report;
        let mut tally = Tally::default();
        let mut progress = Progress::start(plan.seeds.len(), self.progress);
        let done = isolate::execute(&plan, work, |done| {
            let mut wire: Wire<T> = Wire::of(done.end);
            if let Some(repeat) = done.repeat {
                wire = wire.compared(&Wire::of(repeat));
            }
            if plan.log {
                eprint!("{}", done.output);
            }
            if self.on_run.is_some() && kept < REMEMBERED {
                let told = encode(&(done.seed, &wire, &done.output));
                kept += told.len();
                past.runs.push(told);
            }
            let run = wire.into_run(done.seed, done.output);
            report.add(&run);
            tally.add(&run);
            if let Some(on_run) = &mut self.on_run {
                on_run(&run);
            }
            progress.show(report.runs, report.failures.len(), report.simulated);
            match self.stop_after {
                Some(enough) if report.failures.len() as u64 >= enough => ControlFlow::Break(()),
                _ if settings.budget.is_some_and(|budget| progress.elapsed() >= budget) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        report.elapsed = progress.elapsed();
        drop(progress);
        let reports = Reports::of(&settings, self.files);
        let command = self.command.unwrap_or_else(|| std::env::args().collect::<Vec<_>>().join(" "));
        let shrunk = done.and_then(|()| match self.shrink && settings.shrinks() {
            true => shrink_groups(&plan, &shape, work, report, (&reports, &command)),
            false => Ok(Vec::new()),
        });
        match shrunk {
            Ok(shrunk) => (report.shrunk, report.files) = shrunk.into_iter().unzip(),
            Err(trouble) => panic!("the sweep could not be done: {}", trouble.0),
        }
        self.expected.push(function);
        report.missing = tally.missing(&self.expected, self.faults);
        report.vacuous = report.runs >= self.vacuous_after && !report.missing.is_empty();
        report.claims = tally.claims();
        place.remember(encode(&past));
        past.report
    }
}

/// What a group of failures comes to, and the files about it.
type Explored = (Result<Shrunk, Unshrunk>, Vec<PathBuf>);

/// The first run of each group, shrunk, and the files that are written about it.
fn shrink_groups(
    plan: &Plan<'_>,
    shape: &Shape,
    work: &Work<'_>,
    report: &SweepReport,
    (reports, command): (&Reports, &str),
) -> Result<Vec<Explored>, Trouble> {
    let shrink = |group: &Group<'_>| {
        let (seed, signature) = (group.runs[0].seed, &*group.signature);
        let (shrunk, evidence) = shrink_run(plan, shape, work, seed, signature, reports.any())?;
        if !reports.any() {
            return Ok((shrunk, Vec::new()));
        }
        let case = Case {
            test: &plan.place.subject(),
            seed,
            signature,
            shrunk: shrunk.as_ref().ok(),
            replay: &|token| match token {
                Some(token) => format!("SIM_REPLAY={token} {command}"),
                None => format!("SIM_SEED={seed} {command}"),
            },
            evidence: &evidence,
        };
        let files = reports.write(&case).unwrap_or_else(|error| {
            eprintln!("sim: the files about {signature} cannot be written: {error}");
            Vec::new()
        });
        Ok((shrunk, files))
    };
    report.groups().iter().map(shrink).collect()
}

/// How many bytes of runs a sweep remembers for the workers of later ones.
const REMEMBERED: usize = 64 << 20;

/// What the workers of later sweeps are told of this one, so that their program goes on as it did in this process.
#[derive(Default, Serialize, Deserialize)]
struct Past {
    report: SweepReport,
    /// What `on_run` was called with: seed, end and output of each run, encoded.
    runs: Vec<Vec<u8>>,
}

/// What a sweep found. All but [`elapsed`](SweepReport::elapsed) and where [`files`](SweepReport::files) are follows from
/// program and seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// How many seeds were run; a seed that was run twice counts once.
    pub runs: u64,
    /// All failures, in the order of the seeds.
    pub failures: Vec<FailedRun>,
    /// One hash over the trace hashes of all runs in the order of the seeds.
    pub trace: u64,
    /// What the simulator remarked, such as wakes from foreign threads: one remark of each kind.
    pub notes: Vec<Note>,
    /// What was to be seen and never was.
    pub missing: Vec<Missing>,
    /// Whether there were enough runs to say that the sweep tests nothing, or too little, because of what is missing: it has
    /// failed then, whatever its runs did.
    pub vacuous: bool,
    /// What was seen of what the code claims, over all runs.
    pub claims: Vec<Seen>,
    /// Sum over all runs.
    pub stats: Stats,
    /// Virtual time of all runs together.
    pub simulated: Duration,
    /// Of each of the [`groups`](SweepReport::groups) the smallest run found, if the sweep was to [`shrink`](Sweep::shrink).
    pub shrunk: Vec<Result<Shrunk, Unshrunk>>,
    /// The [files](Sweep::files) that were written about each of them, the one to open first.
    pub files: Vec<Vec<PathBuf>>,
    /// Real time that the sweep took, without shrinking.
    pub elapsed: Duration,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// The seed that shows it again.
    pub seed: u64,
    /// Trace hash; 0 when the run's process died.
    pub trace: u64,
    /// What broke.
    pub failure: Failure,
}

/// A remark of the simulator, and how many runs have one of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The first seed whose run has it.
    pub seed: u64,
    /// What was remarked of that run.
    pub text: String,
    /// How many runs have a remark that differs from this one in its numbers at most.
    pub runs: u64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.text)?;
        match self.runs - 1 {
            0 => Ok(()),
            1 => write!(f, " (and 1 run more)"),
            more => write!(f, " (and {more} runs more)"),
        }
    }
}

impl Note {
    /// Adds the remarks of a run to those of the runs before it.
    pub(crate) fn add<T>(notes: &mut Vec<Note>, run: &Run<T>) {
        let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        for text in &run.notes {
            match notes.iter_mut().find(|note| words(&note.text) == words(text)) {
                Some(note) => note.runs += 1,
                None => notes.push(Note { seed: run.seed, text: text.clone(), runs: 1 }),
            }
        }
    }
}

/// Failures with the same signature.
#[derive(Clone, Debug)]
pub struct Group<'r> {
    /// What they have in common.
    pub signature: String,
    /// In the order of their seeds; never empty.
    pub runs: Vec<&'r FailedRun>,
}

impl SweepReport {
    /// Whether no run failed and the sweep is not vacuous.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && !self.vacuous
    }

    /// Failures by signature: the most frequent first, then by signature.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for run in &self.failures {
            let signature = run.failure.signature();
            match groups.iter_mut().find(|group| group.signature == signature) {
                Some(group) => group.runs.push(run),
                None => groups.push(Group { signature, runs: vec![run] }),
            }
        }
        groups.sort_by(|a, b| (b.runs.len(), &a.signature).cmp(&(a.runs.len(), &b.signature)));
        groups
    }

    /// Runs in a second of real time.
    pub fn runs_per_second(&self) -> f64 {
        self.runs as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn add<T>(&mut self, run: &Run<T>) {
        self.runs += 1;
        self.trace = hash::h(self.trace, run.trace);
        self.stats += run.stats;
        self.simulated += run.now;
        Note::add(&mut self.notes, run);
        if let Err(failure) = &run.result {
            self.failures.push(FailedRun { seed: run.seed, trace: run.trace, failure: failure.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::FailureKind;

    #[test]
    fn failures_are_grouped_by_signature() {
        let failed = |seed, kind, site: &str| FailedRun {
            seed,
            trace: 0,
            failure: Failure::new(kind, site, format!("seed {seed}")),
        };
        let report = SweepReport {
            failures: vec![
                failed(1, FailureKind::Deadlock, ""),
                failed(2, FailureKind::Panic, "b.rs:1:1"),
                failed(3, FailureKind::Panic, "a.rs:1:1"),
                failed(4, FailureKind::Panic, "b.rs:1:1"),
            ],
            ..SweepReport::default()
        };
        let groups: Vec<_> = report
            .groups()
            .into_iter()
            .map(|group| (group.signature, group.runs.iter().map(|run| run.seed).collect::<Vec<_>>()))
            .collect();
        let expected = [("panic b.rs:1:1", vec![2, 4]), ("deadlock", vec![1]), ("panic a.rs:1:1", vec![3])];
        assert_eq!(groups, expected.map(|(signature, seeds)| (signature.to_owned(), seeds)));
    }
}
