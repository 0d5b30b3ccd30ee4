//! The runner behind `#[sim_test]`: which seeds, and what a failure says.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sim_core::{Failure, FailureKind, Schedule, Sim, Verdict};

use crate::diverge;
use crate::isolate::{self, LONG, Limits, Place, Plan, SHORT, Twice, Work};
use crate::progress::Progress;
use crate::regressions::{File, Regressions};
use crate::remote::{Orders, say_pruned};
use crate::report::{Case, Evidence, Files, Reports};
use crate::run::{Run, Shape, Wire, check_surroundings};
use crate::settings::Settings;
use crate::shrink::{record_run, replay_tokens, shrink_run};
use crate::vacuity::{Missing, Tally, VACUOUS_AFTER};
use crate::{Isolate, Note, Seeds, Shrunk, Token, Unshrunk};

/// Runs of a test that does not say how many.
const RUNS: u64 = 32;
/// Lines of a failure's details, of the simulator's remarks, of its faults, the last first, and of its log, that its
/// message has room for.
const DETAILS: usize = 6;
const NOTES: usize = 2;
const FAULTS: usize = 6;
const LOG: usize = 8;
/// The same where there is a story, and the sentences of that.
const SHORT_MESSAGE: usize = 3;
const SHORT_DETAILS: usize = 2;
const SENTENCES: usize = 6;
const MISSING: usize = 20;

/// What the attribute and the compiler say of a test.
#[derive(Clone, Copy, Debug)]
pub struct TestSpec {
    /// `module_path!()`.
    pub module: &'static str,
    /// Name of the function.
    pub name: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// `line!()`.
    pub line: u32,
    /// `CARGO_PKG_NAME`.
    pub package: Option<&'static str>,
    /// `CARGO_CRATE_NAME`.
    pub target: Option<&'static str>,
    /// `CARGO_BIN_NAME`: set in programs.
    pub program: Option<&'static str>,
    /// `CARGO_TARGET_TMPDIR`: set in integration tests and benches.
    pub integration: Option<&'static str>,
    /// `seeds`; `SIM_SEED` and `SIM_SEEDS` override it.
    pub seeds: Option<TestSeeds>,
    /// `time_limit`, virtual.
    pub time_limit: Option<Duration>,
    /// `schedule`; `SIM_SCHEDULE` overrides it.
    pub schedule: Option<&'static str>,
    /// `isolate = "thread"`.
    pub thread: bool,
    /// `check_determinism`.
    pub check_determinism: bool,
    /// It has `#[should_panic]`: its failures are no news, and not shrunk or saved.
    pub should_panic: bool,
    /// `CARGO_MANIFEST_DIR`: where the package was when it was compiled.
    pub manifest: Option<&'static str>,
    /// `vacuous_after`.
    pub vacuous_after: Option<u64>,
    /// All that tools want to know of the test, as text that they find in the program.
    pub record: &'static str,
}

/// The value of `seeds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestSeeds {
    /// So many, from a first one that is the test's own.
    Count(u64),
    /// From the first to before the second.
    Range(u64, u64),
}

/// Runs a test over its seeds. What the simulator remarked of a test that passes is said on standard error.
///
/// # Panics
/// With the report of the first failure, in the order of the seeds; when an environment variable has a value that
/// cannot be used; when no process can be started.
#[track_caller]
pub fn run_test<F, Fut>(spec: &TestSpec, body: F)
where
    F: Fn(Sim) -> Fut + Sync,
    Fut: Future + 'static,
    Fut::Output: Verdict + 'static,
{
    let here = Location::caller();
    // So that the whole record is in the program.
    std::hint::black_box(spec.record);
    check_surroundings("a test");
    let settings = Settings::of_environment();
    let name = spec.full_name();
    let seeds = spec.seeds(&name, &settings);
    let mut shape = Shape::default();
    shape.time_limit = spec.time_limit.unwrap_or(shape.time_limit);
    let of_spec =
        spec.schedule.map(|text| text.parse::<Schedule>().unwrap_or_else(|error| panic!("{error}")));
    shape.schedule = settings.schedule.or(of_spec).unwrap_or(shape.schedule);
    shape.saved = settings.replay_of(&name);
    let at = format!("{}:{}", spec.file, spec.line);
    let work: &Work<'_> = &|assignment| shape.run(assignment, &body, Verdict::verdict, &at);

    let place = Place::visit(Some(&name), here);
    let limits = Limits::default();
    if isolate::enter(&place, &limits, work).is_some() {
        return;
    }
    let isolate = if spec.thread { Isolate::Thread } else { Isolate::Process };
    let alone = seeds.len() == 1;
    let plan = Plan {
        place: &place,
        jobs: settings.jobs(None),
        isolate: isolate.here(),
        limits,
        twice: if spec.check_determinism { Twice::All } else { Twice::Some },
        log: alone && settings.log.is_some(),
        keep_output: if alone { LONG } else { SHORT },
        here: settings.no_fork,
        seeds,
    };
    let regressions = spec.regressions(&settings);
    if let Some(orders) = Orders::of_environment() {
        return match orders.prune {
            true => prune(regressions.as_ref(), &plan, &name, work),
            false => orders.follow(plan, shape.schedule, (spec.place(), spec.vacuous_after()), work),
        };
    }
    if let Some(file) = regressions.as_ref().filter(|_| settings.plain())
        && let Some(report) = first_saved_failure(file, &plan, &settings, spec, &name, work)
    {
        panic!("{report}");
    }
    let (mut notes, mut tally) = (Vec::new(), Tally::default());
    let Some((index, mut run)) = first_failure(&plan, work, alone, settings.budget, &mut notes, &mut tally)
    else {
        for note in notes {
            eprintln!("sim: note on the test {name}, {note}");
        }
        spec.check_vacuity(&name, plan.seeds.len(), &tally);
        return;
    };
    if let Err(failure) = &mut run.result
        && failure.kind == FailureKind::Nondeterminism
        && !plan.here
    {
        let found = diverge::find(&plan, shape.schedule, work, run.seed);
        let found = found.unwrap_or_else(|trouble| panic!("the test could not be run: {}", trouble.0));
        // In place of the general hint.
        failure.details.pop();
        failure.details.extend(found);
    }
    let again = match plan.here || plan.log {
        true => None,
        false => {
            let again = Plan { seeds: Seeds::one(run.seed), twice: Twice::Never, log: true, ..plan.clone() };
            let mut shown = None;
            each_run(&again, work, |run| {
                shown = Some(run);
                ControlFlow::Break(())
            });
            shown
        }
    };
    if let Some(again) = again.as_ref().filter(|_| settings.log.is_some()) {
        print!("{}", again.output);
    }
    let reports = Reports::of(&settings, Files::default());
    let (shrunk, evidence) = explored(&run, &plan, &shape, &settings, spec, (work, &reports));
    let saved = regressions.as_ref().zip(shrunk.as_ref().and_then(|shrunk| shrunk.as_ref().ok()));
    let saved = saved.map(|(file, shrunk)| match file.add(&shrunk.token, shrunk.size) {
        Ok(()) => format!("saved in {}", file.path().display()),
        Err(error) => format!("it cannot be saved in {}: {error}", file.path().display()),
    });
    let what = match &settings.replay {
        Some(token) => format!("the saved run of {} decisions", token.deviations.len()),
        None => format!("seed {} (run {} of {})", run.seed, index + 1, plan.seeds.len()),
    };
    let variables = variables(&settings, run.seed);
    let command = spec.command(&name);
    let files = run.result.as_ref().err().zip(evidence).map(|(failure, evidence)| {
        reports.write(&Case {
            test: &format!("{}::{}", spec.module, spec.name),
            seed: run.seed,
            signature: &failure.signature(),
            shrunk: shrunk.as_ref().and_then(|shrunk| shrunk.as_ref().ok()),
            replay: &|token| match token {
                Some(token) => format!("SIM_REPLAY={token} {command}"),
                None => format!("{variables} {command}"),
            },
            evidence: &evidence,
        })
    });
    let files = files.map(|written| match written {
        Ok(paths) => paths,
        Err(error) => {
            eprintln!("sim: the files about the failure of {name} cannot be written: {error}");
            Vec::new()
        }
    });
    let files = files.unwrap_or_default();
    let report = Report { spec, name: &name, what, variables, run, again, shrunk, saved, files };
    panic!("{}", report.text());
}

/// What has to be set so that the run of a seed, or the one that was given, happens again.
fn variables(settings: &Settings, seed: u64) -> String {
    if settings.replay.is_some() {
        let given = std::env::var("SIM_REPLAY").unwrap_or_default();
        return format!("SIM_REPLAY={given}");
    }
    let schedule =
        settings.schedule.map(|schedule| format!("SIM_SCHEDULE='{schedule}' ")).unwrap_or_default();
    format!("{schedule}SIM_SEED={seed}")
}

/// The smallest run found that fails in the same way, where failures are shrunk; and the runs that tell of it, where files
/// are written.
fn explored(
    run: &Run<()>,
    plan: &Plan<'_>,
    shape: &Shape,
    settings: &Settings,
    spec: &TestSpec,
    (work, reports): (&Work<'_>, &Reports),
) -> (Option<Result<Shrunk, Unshrunk>>, Option<Evidence>) {
    let failure = run.result.as_ref().err();
    let Some(failure) = failure.filter(|failure| failure.kind != FailureKind::Nondeterminism) else {
        return (None, None);
    };
    if spec.should_panic || settings.no_fork {
        return (None, None);
    }
    let explored = match settings.shrinks() {
        true => shrink_run(plan, shape, work, run.seed, &failure.signature(), reports.any())
            .map(|(shrunk, evidence)| (Some(shrunk), reports.any().then_some(evidence))),
        false if reports.any() => {
            record_run(plan, shape, work, run.seed).map(|evidence| (None, Some(evidence)))
        }
        false => Ok((None, None)),
    };
    explored.unwrap_or_else(|trouble| panic!("the failure could not be shrunk: {}", trouble.0))
}

/// Does the saved runs of a test, and gives the report of the first that fails. What no longer fits is named.
fn first_saved_failure(
    file: &File,
    plan: &Plan<'_>,
    settings: &Settings,
    spec: &TestSpec,
    name: &str,
    work: &Work<'_>,
) -> Option<String> {
    let (saved, wrong) = file.of_test(name);
    for line in wrong {
        eprintln!("sim: note on the test {name}: {line}");
    }
    let tokens: Vec<Token> = saved.iter().map(|saved| saved.token.clone()).collect();
    let sights = replay_tokens(plan, work, &tokens);
    let sights = sights.unwrap_or_else(|trouble| panic!("the test could not be run: {}", trouble.0));
    let (mut stale, mut failed) = (Vec::new(), None);
    for (saved, sight) in saved.iter().zip(sights) {
        let place = format!("{}:{}", file.path().display(), saved.line);
        let total = saved.token.deviations.len();
        let never = total.saturating_sub(sight.log.deviations.len());
        match sight.failure {
            Some(failure) => {
                let what = format!("the saved run of {total} decisions in {place}");
                let variables = format!("SIM_REPLAY={}", saved.token);
                let run = Run::of_failure(saved.token.seed, sight.trace, failure, sight.faults);
                failed.get_or_insert((what, variables, run));
            }
            None if never > 0 => {
                eprintln!(
                    "sim: note on the test {name}: {place} is stale: {never} of {total} decisions were never asked for"
                );
                stale.push(saved.token.clone());
            }
            None => {}
        }
    }
    if settings.regressions == Regressions::Prune && !stale.is_empty() {
        match file.remove(&stale) {
            Ok(()) => {
                eprintln!("sim: {} stale lines were taken out of {}", stale.len(), file.path().display())
            }
            Err(error) => eprintln!("sim: {} cannot be pruned: {error}", file.path().display()),
        }
    }
    let (what, variables, run) = failed?;
    let report = Report {
        spec,
        name,
        what,
        variables,
        run,
        again: None,
        shrunk: None,
        saved: None,
        files: Vec::new(),
    };
    Some(report.text())
}

/// Does the saved runs of a test, takes out those that are stale or pass, and says so.
fn prune(file: Option<&File>, plan: &Plan<'_>, name: &str, work: &Work<'_>) {
    let (saved, _) = file.map(|file| file.of_test(name)).unwrap_or_default();
    let tokens: Vec<Token> = saved.iter().map(|saved| saved.token.clone()).collect();
    let sights = replay_tokens(plan, work, &tokens);
    let sights = sights.unwrap_or_else(|trouble| panic!("the test could not be run: {}", trouble.0));
    let (mut gone, mut why) = (Vec::new(), Vec::new());
    for (token, sight) in tokens.iter().zip(&sights).filter(|(_, sight)| sight.failure.is_none()) {
        let (total, asked) = (token.deviations.len(), sight.log.deviations.len());
        let signature = &token.signature;
        gone.push(token.clone());
        why.push(match total.saturating_sub(asked) {
            0 => format!("passes now, and failed with {signature}"),
            never => format!("stale: {never} of {total} decisions were never asked for, of {signature}"),
        });
    }
    if let Some(file) = file.filter(|_| !gone.is_empty()) {
        let removed = file.remove(&gone);
        removed.unwrap_or_else(|error| panic!("{} cannot be pruned: {error}", file.path().display()));
    }
    say_pruned((tokens.len() - gone.len()) as u64, &why);
}

/// The first run that fails; what was remarked of those that pass goes to `notes`, what they saw to `tally`.
fn first_failure(
    plan: &Plan<'_>,
    work: &Work<'_>,
    alone: bool,
    budget: Option<Duration>,
    notes: &mut Vec<Note>,
    tally: &mut Tally,
) -> Option<(u64, Run<()>)> {
    let (mut index, mut failed) = (0, None);
    let clock = Progress::start(0, Some(false));
    each_run(plan, work, |run| {
        if alone {
            print!("{}", run.output);
        }
        if run.result.is_err() {
            failed = Some((index, run));
            return ControlFlow::Break(());
        }
        Note::add(notes, &run);
        tally.add(&run);
        index += 1;
        match budget.is_some_and(|budget| clock.elapsed() >= budget) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    failed
}

fn each_run(plan: &Plan<'_>, work: &Work<'_>, mut f: impl FnMut(Run<()>) -> ControlFlow<()>) {
    let done = isolate::execute(plan, work, |done| {
        let mut wire = Wire::of(done.end);
        if let Some(repeat) = done.repeat {
            wire = wire.compared(&Wire::of(repeat));
        }
        f(wire.into_run(done.seed, done.output))
    });
    if let Err(trouble) = done {
        panic!("the test could not be run: {}", trouble.0);
    }
}

impl TestSpec {
    /// Where its saved runs are.
    fn regressions(&self, settings: &Settings) -> Option<File> {
        if self.should_panic || settings.regressions == Regressions::Off {
            return None;
        }
        File::beside(Path::new(self.manifest?), self.file, self.module)
    }

    /// The name that the harness knows the test by.
    fn full_name(&self) -> String {
        match self.module.split_once("::") {
            Some((_crate, module)) => format!("{module}::{}", self.name),
            None => self.name.to_owned(),
        }
    }

    fn seeds(&self, name: &str, settings: &Settings) -> Seeds {
        let default = match self.seeds {
            None => Seeds::of_test(name, RUNS),
            Some(TestSeeds::Count(count)) => Seeds::of_test(name, count),
            Some(TestSeeds::Range(start, end)) => Seeds::from(start..end),
        };
        let seeds = settings.seeds(default);
        // What was asked for by number is not shifted.
        let by_number = settings.replay.is_some()
            || settings.seed.is_some()
            || matches!(settings.seeds, Some(crate::seeds::Request::Range(_)))
            || (settings.seeds.is_none() && matches!(self.seeds, Some(TestSeeds::Range(..))));
        match seeds.at(0) {
            Some(first) if settings.stress > 0 && !by_number => {
                let count = seeds.len();
                Seeds::starting_at(first.wrapping_add(settings.stress.wrapping_mul(count)), count)
            }
            _ => seeds,
        }
    }

    /// The path of its function.
    fn place(&self) -> String {
        format!("{}::{}", self.module, self.name)
    }

    fn vacuous_after(&self) -> u64 {
        self.vacuous_after.unwrap_or(VACUOUS_AFTER)
    }

    /// # Panics
    /// If the runs were many and have not seen what they were to see.
    #[track_caller]
    fn check_vacuity(&self, name: &str, runs: u64, tally: &Tally) {
        let missing = tally.missing(&[self.place()], false);
        if missing.is_empty() {
            return;
        }
        let many = self.vacuous_after();
        assert!(runs < many, "{}", vacuous(name, runs, &missing));
        for what in missing {
            eprintln!(
                "sim: note on the test {name}: in {runs} runs {what}; from {many} runs on it fails as vacuous for that"
            );
        }
    }

    /// What runs this test alone.
    fn command(&self, name: &str) -> String {
        let Some(package) = self.package else {
            let program = std::env::args().next().unwrap_or_else(|| "the test's program".to_owned());
            return format!("{program} {name} --exact");
        };
        let target = match (self.integration, self.program, self.target) {
            (Some(_), _, Some(target)) => format!("--test {}", self.hyphenated(target)),
            (None, Some(program), _) => format!("--bin {program}"),
            (None, None, Some(_)) => "--lib".to_owned(),
            _ => return format!("cargo test -p {package} {name} -- --exact"),
        };
        format!("cargo test -p {package} {target} {name} -- --exact")
    }

    /// The target's own name where the file has it: a crate's name has `_` for each `-`.
    fn hyphenated<'a>(&'a self, target: &'a str) -> &'a str {
        let parts = self.file.split(['/', '\\']).map(|part| part.trim_end_matches(".rs"));
        parts.rev().find(|part| part.replace('-', "_") == target).unwrap_or(target)
    }
}

/// The report of a test that passes and should not.
fn vacuous(name: &str, runs: u64, missing: &[Missing]) -> String {
    let mut text = format!(
        "test {name} is vacuous: its {runs} runs passed, but what they were to see they never saw\n\n"
    );
    lines(&mut text, "  ", &missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), MISSING);
    text.push_str("  signature: vacuous\n\n");
    let _ = write!(
        text,
        "  Have it see them, take out what it cannot see, or say `vacuous_after` with more runs than it has"
    );
    text
}

/// A failure, for people.
#[derive(Debug)]
struct Report<'a> {
    spec: &'a TestSpec,
    name: &'a str,
    /// With which run the test failed.
    what: String,
    /// What has to be set so that it happens again.
    variables: String,
    run: Run<()>,
    /// The same seed once more, with the log on.
    again: Option<Run<()>>,
    shrunk: Option<Result<Shrunk, Unshrunk>>,
    /// What became of saving the shrunk run.
    saved: Option<String>,
    /// What was written about it.
    files: Vec<PathBuf>,
}

impl Report<'_> {
    /// At most 25 lines with a story, and 36 without.
    fn text(&self) -> String {
        let Err(failure) = &self.run.result else { return String::new() };
        let again = self.again.as_ref().and_then(|run| run.result.as_ref().err());
        let same = again.is_some_and(|again| again.signature() == failure.signature());
        let story = self.shrunk.as_ref().and_then(|shrunk| shrunk.as_ref().ok());
        // Only the run with the log knows where it was when its process died.
        let seen =
            if failure.kind == FailureKind::Crash && same { again.unwrap_or(failure) } else { failure };
        let mut text = String::new();
        let _ = writeln!(text, "test {} failed with {}\n", self.name, self.what);
        let (message, details) =
            if story.is_some() { (SHORT_MESSAGE, SHORT_DETAILS) } else { (DETAILS, DETAILS) };
        lines(&mut text, "  ", &format!("{}: {}", failure.kind.word(), failure.message), message);
        self.place(&mut text, failure, seen);
        let _ = writeln!(text, "  signature: {}", failure.signature());
        // Where two runs part is all that there is to say of them.
        let details = if failure.kind == FailureKind::Nondeterminism { 2 * DETAILS } else { details };
        lines(&mut text, "    ", &failure.details.join("\n"), details);
        if story.is_none() {
            let faults: Vec<String> = self.run.faults.iter().rev().map(ToString::to_string).collect();
            lines(&mut text, "  fault: ", &faults.join("\n"), FAULTS);
        }
        lines(&mut text, "  note: ", &self.run.notes.join("\n"), NOTES);
        if let Some(again) = &self.again {
            let crashed = failure.kind == FailureKind::Crash;
            if failure.kind != FailureKind::Nondeterminism
                && !(same && (crashed || again.trace == self.run.trace))
            {
                text.push_str(
                    "  run once more, the seed took another course: the test is not deterministic\n",
                );
            }
            if story.is_none() {
                last_lines(&mut text, &again.output);
            }
        }
        match &self.shrunk {
            Some(Ok(shrunk)) => lines(&mut text, "  ", &shrunk.told(SENTENCES), usize::MAX),
            Some(Err(why)) => _ = writeln!(text, "  {why}"),
            None => {}
        }
        let command = self.spec.command(self.name);
        let _ = write!(text, "\n  replay: {} {command}", self.variables);
        if let Some(shrunk) = story {
            let _ = write!(text, "\n  shrunk: SIM_REPLAY={} {command}", shrunk.token);
        }
        if let Some(saved) = &self.saved {
            let _ = write!(text, "\n  {saved}");
        }
        if let Some(file) = self.files.first() {
            let _ = write!(text, "\n  report: {}", file.display());
        }
        text
    }

    fn place(&self, text: &mut String, failure: &Failure, seen: &Failure) {
        let mut place = Vec::new();
        if failure.site.contains(".rs:") {
            place.push(format!("at {}", failure.site));
        }
        place.push(match (failure.kind, &seen.node) {
            (FailureKind::Crash, None) => {
                "at an unknown virtual time: the process died with its clock".to_owned()
            }
            (FailureKind::Crash, Some(_)) => format!("after {:?} of virtual time", seen.at),
            _ => format!("at {:?} of virtual time", seen.at),
        });
        place.extend(seen.node.as_ref().map(|node| format!("on node {node}")));
        place.extend(seen.task.as_ref().map(|task| format!("in the task {task}")));
        let _ = writeln!(text, "    {}", place.join(", "));
    }
}

/// Adds the first lines of `what`.
fn lines(text: &mut String, indent: &str, what: &str, most: usize) {
    let all = what.lines().count();
    for line in what.lines().take(if all > most { most - 1 } else { most }) {
        let _ = writeln!(text, "{indent}{line}");
    }
    if all > most {
        let _ = writeln!(text, "{indent}… and {} lines more", all - (most - 1));
    }
}

/// Adds the last lines of what a run printed.
fn last_lines(text: &mut String, output: &str) {
    let all: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    if all.is_empty() {
        return;
    }
    let shown = &all[all.len().saturating_sub(LOG)..];
    let _ = writeln!(text, "  its last lines (SIM_LOG=debug shows more):");
    for line in shown {
        let _ = writeln!(text, "    | {line}");
    }
}
