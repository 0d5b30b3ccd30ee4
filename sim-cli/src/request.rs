//! What was asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg;
use lexopt::prelude::*;

use crate::exit::Trouble;
use crate::lines::Seeds;
use crate::shard::Shard;
use crate::sweep::Options;
use crate::workspace::{Build, Test};

const HELP: &str = "\
Lists and sweeps the simulation tests of a workspace.

usage: cargo sim COMMAND [options]

commands:
  list                  the tests that #[sim_test] makes, with file, line and seeds
  sweep                 run tests over many seeds, go on after failures, and group them
  check                 as sweep, with every seed run twice in different processes and compared
  replay SEED|TOKEN     run one seed, or one saved run (sim1:… or @file), of the one test that --test leaves
  shrink SEED           as replay of a seed, with the token of the smallest run that fails like it as the only output
  report SEED|TOKEN     as replay, and write all files about the failure; also of a trace.jsonl, whose run is done again
  prune                 do the saved runs in sim-regressions/ and take out those that are stale or pass
  merge PATH…           put the reports of all shards together: files, or directories with them
  doctor                what is simulated on this machine, and what escapes

options of sweep and check:
  --seeds N|A..B        each test's first N seeds, or A to B-1 (default: what the test says; check: 64)
  --for TIME            end after 90s, 10m, 8h or 2d of real time; without --seeds, run as many seeds as that takes
  --jobs N              runs at a time (default: one a core)
  --until-failures N    end with N failed seeds
  --shard I/N           only this part of the seeds; without it, SIM_SHARD_INDEX and SIM_SHARD_COUNT count, or what
                        Slurm, Kubernetes, AWS Batch, GitLab or GNU parallel say
  --json                print the report as lines of JSON
  --report-dir DIR      where sweep.jsonl, junit.xml and summary.md go, or shard-I-of-N.jsonl; for merge too
                        (default: SIM_REPORT_DIR, else sim in the target directory)

options of all commands but merge:
  --test FILTER         of the tests only those whose name has this in it; may be given several times
  -p, --package P; --workspace; -r, --release; --profile P; -F, --features F; --all-features; --no-default-features;
  --manifest-path P; --target-dir P; --offline; --locked; --frozen
                        as for cargo test
  -h, --help; --version

exit code: 0 clean, 2 usage, 4 nothing to run, 70 internal, 100 seeds failed, 101 the build failed,
110 a seed took two courses, 111 a test is vacuous, 112 seeds or shards are missing. A shard exits with 0 once its report is
complete, whatever failed: merge says the verdict.
";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help(&'static str),
    Version,
    List(Tests),
    Sweep(Sweep),
    Replay(Replay),
    Prune(Tests),
    Merge(Merge),
    Doctor(Tests),
}

/// The tests of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) build: Build,
    pub(crate) filter: Filter,
    pub(crate) json: bool,
}

/// `cargo sim sweep` and `cargo sim check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub(crate) tests: Tests,
    pub(crate) options: Options,
    pub(crate) shard: Option<Shard>,
    pub(crate) report_dir: Option<PathBuf>,
}

/// `cargo sim replay`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) tests: Tests,
    pub(crate) run: String,
    pub(crate) purpose: Purpose,
}

/// What a run is repeated for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To see it.
    #[default]
    Replay,
    /// For the token of the smallest run that fails like it.
    Shrink,
    /// For all files about it.
    Report,
}

impl Purpose {
    /// The command.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Purpose::Replay => "replay",
            Purpose::Shrink => "shrink",
            Purpose::Report => "report",
        }
    }
}

/// `cargo sim merge`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) report_dir: Option<PathBuf>,
    pub(crate) json: bool,
}

/// Which tests: those whose name has one of the texts in it; without any, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(pub(crate) Vec<String>);

impl Filter {
    pub(crate) fn admits(&self, test: &Test) -> bool {
        self.0.is_empty() || self.0.iter().any(|text| test.id().contains(text.as_str()))
    }

    /// What to say when it leaves nothing.
    pub(crate) fn nothing(&self) -> String {
        match self.0.is_empty() {
            true => "there are no simulation tests here: #[sim_test] makes them".to_owned(),
            false => {
                let texts = self.0.join(" or ");
                format!("no simulation test has {texts:?} in its name; cargo sim list shows all")
            }
        }
    }
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Trouble> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // Cargo calls `cargo-sim sim …`.
    if arguments.first().is_some_and(|first| first == "sim") {
        arguments.remove(0);
    }
    let mut parser = lexopt::Parser::from_args(arguments);
    let name = match parser.next()? {
        None => return Err(Trouble::usage("a command is missing; see cargo sim --help")),
        Some(Long("help") | Short('h')) => return Ok(Command::Help(HELP)),
        Some(Long("version")) => return Ok(Command::Version),
        Some(Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    let command = match name.as_str() {
        "help" => Command::Help(HELP),
        "list" => Command::List(Tests::default()),
        "sweep" => Command::Sweep(Sweep::default()),
        "check" => {
            let options = Options { seeds: Some(Seeds::Count(64)), twice: true, ..Options::default() };
            Command::Sweep(Sweep { options, ..Sweep::default() })
        }
        "replay" => Command::Replay(Replay::default()),
        "shrink" => Command::Replay(Replay { purpose: Purpose::Shrink, ..Replay::default() }),
        "report" => Command::Replay(Replay { purpose: Purpose::Report, ..Replay::default() }),
        "prune" => Command::Prune(Tests::default()),
        "merge" => Command::Merge(Merge::default()),
        "doctor" => Command::Doctor(Tests::default()),
        other => {
            return Err(Trouble::usage(format!(
                "there is no command {other:?}; allowed are list, sweep, check, replay, shrink, report, prune, merge, \
                 doctor, help"
            )));
        }
    };
    command.read(parser)
}

impl Command {
    fn read(mut self, mut parser: lexopt::Parser) -> Result<Command, Trouble> {
        while let Some(argument) = parser.next()? {
            // The names borrow from the parser, which is asked for the values.
            let argument = match argument {
                Short('h') => Word::Long("help".to_owned()),
                Short(letter) => Word::Short(letter),
                Long(name) => Word::Long(name.to_owned()),
                Value(value) => Word::Value(value),
            };
            match &argument {
                Word::Long(name) if name == "help" => return Ok(Command::Help(HELP)),
                _ => {}
            }
            let known = match &mut self {
                Command::Help(_) | Command::Version => false,
                Command::List(tests) | Command::Doctor(tests) | Command::Prune(tests) => {
                    tests.read(&argument, &mut parser)?
                }
                Command::Sweep(sweep) => {
                    sweep.read(&argument, &mut parser)? || sweep.tests.read(&argument, &mut parser)?
                }
                Command::Replay(replay) => match &argument {
                    Word::Value(run) if replay.run.is_empty() => {
                        replay.run = run.clone().string()?;
                        true
                    }
                    argument => replay.tests.read(argument, &mut parser)?,
                },
                Command::Merge(merge) => merge.read(&argument, &mut parser)?,
            };
            if !known {
                return Err(argument.as_arg().unexpected().into());
            }
        }
        match &self {
            Command::Replay(replay) if replay.run.is_empty() => {
                let command = replay.purpose.word();
                Err(Trouble::usage(format!("{command} needs a seed or a token; see cargo sim --help")))
            }
            Command::Merge(merge) if merge.paths.is_empty() => {
                Err(Trouble::usage("merge needs files, or a directory with them; see cargo sim --help"))
            }
            _ => Ok(self),
        }
    }
}

/// An argument that borrows nothing.
enum Word {
    Short(char),
    Long(String),
    Value(OsString),
}

impl Word {
    fn as_arg(&self) -> Arg<'_> {
        match self {
            Word::Short(letter) => Short(*letter),
            Word::Long(name) => Long(name),
            Word::Value(value) => Value(value.clone()),
        }
    }
}

impl Tests {
    fn read(&mut self, argument: &Word, parser: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match argument.as_arg() {
            Long("test") => self.filter.0.push(parser.value()?.string()?),
            Long("json") => self.json = true,
            other => match option_of_cargo(&other) {
                Some(option) => option.add(parser, &mut self.build)?,
                None => return Ok(false),
            },
        }
        Ok(true)
    }
}

impl Sweep {
    fn read(&mut self, argument: &Word, parser: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        let options = &mut self.options;
        match argument.as_arg() {
            Long("seeds") => options.seeds = Some(parser.value()?.parse_with(seeds)?),
            Long("for") => {
                options.budget = Some(parser.value()?.parse_with(span_of_time)?);
                if options.twice && options.seeds == Some(Seeds::Count(64)) {
                    options.seeds = None;
                }
            }
            Long("jobs") => options.jobs = Some(parser.value()?.parse_with(positive)?),
            Long("until-failures") => options.until_failures = Some(parser.value()?.parse_with(positive)?),
            Long("shard") => self.shard = Some(parser.value()?.parse_with(str::parse)?),
            Long("report-dir") => self.report_dir = Some(parser.value()?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Merge {
    fn read(&mut self, argument: &Word, parser: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match argument.as_arg() {
            Value(path) => self.paths.push(path.into()),
            Long("json") => self.json = true,
            Long("report-dir") => self.report_dir = Some(parser.value()?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn positive(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("expected a number from 1 on")
}

/// `100`, or `5..100` without its end; decimal, or hexadecimal after `0x`, with `_` between digits.
fn seeds(text: &str) -> Result<Seeds, &'static str> {
    const ALLOWED: &str =
        "expected how many seeds, such as 100, or a range, such as 0..5000 (its end is left out)";
    let number = |text: &str| {
        let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
        let plain = digits.starts_with(|first: char| first.is_digit(radix));
        plain.then(|| u64::from_str_radix(&digits.replace('_', ""), radix).ok()).flatten().ok_or(ALLOWED)
    };
    match text.split_once("..") {
        None => match number(text)? {
            0 => Err("a sweep needs at least one seed"),
            count => Ok(Seeds::Count(count)),
        },
        Some((start, end)) => {
            let (start, end) = (number(start)?, number(end)?);
            if start < end {
                Ok(Seeds::Range(start, end))
            } else {
                Err("the range is empty: its start must be less than its end")
            }
        }
    }
}

/// `90s`, `10m`, `8h`, `2d`.
fn span_of_time(text: &str) -> Result<Duration, &'static str> {
    const ALLOWED: &str = "expected a whole number with its unit, such as 90s, 10m, 8h or 2d";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(ALLOWED)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(ALLOWED),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or(ALLOWED)?;
    if seconds == 0 { Err("the time must be more than 0") } else { Ok(Duration::from_secs(seconds)) }
}

/// An option that goes to cargo as it is.
struct OptionOfCargo {
    name: &'static str,
    value: bool,
    general: bool,
}

fn option_of_cargo(argument: &Arg<'_>) -> Option<OptionOfCargo> {
    let (name, value, general) = match argument {
        Short('p') | Long("package") => ("--package", true, false),
        Long("workspace") => ("--workspace", false, false),
        Short('r') | Long("release") => ("--release", false, false),
        Long("profile") => ("--profile", true, false),
        Short('F') | Long("features") => ("--features", true, false),
        Long("all-features") => ("--all-features", false, false),
        Long("no-default-features") => ("--no-default-features", false, false),
        Long("target-dir") => ("--target-dir", true, false),
        Long("manifest-path") => ("--manifest-path", true, true),
        Long("offline") => ("--offline", false, true),
        Long("locked") => ("--locked", false, true),
        Long("frozen") => ("--frozen", false, true),
        _ => return None,
    };
    Some(OptionOfCargo { name, value, general })
}

impl OptionOfCargo {
    fn add(self, parser: &mut lexopt::Parser, build: &mut Build) -> Result<(), lexopt::Error> {
        let options = if self.general { &mut build.general } else { &mut build.options };
        options.push(self.name.into());
        if self.value {
            options.push(parser.value()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, Trouble> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn cargo_may_say_its_name_for_the_command() {
        assert_eq!(read("sim list"), read("list"));
        assert_eq!(read("list"), Ok(Command::List(Tests::default())));
    }

    #[test]
    fn options_of_cargo_are_handed_on() {
        let Ok(Command::List(list)) =
            read("list -p shop --release --manifest-path=a/Cargo.toml --test x --json")
        else {
            panic!("not understood")
        };
        assert_eq!(list.build.options, ["--package", "shop", "--release"]);
        assert_eq!(list.build.general, ["--manifest-path", "a/Cargo.toml"]);
        assert_eq!(list.filter, Filter(vec!["x".to_owned()]));
        assert!(list.json);
    }

    #[test]
    fn a_sweep_is_read() {
        let Ok(Command::Sweep(sweep)) = read(
            "sweep --seeds 0x10..2_000 --for 8h --jobs 3 --until-failures 5 --shard 1/4 --test a --test b",
        ) else {
            panic!("not understood")
        };
        let options = Options {
            seeds: Some(Seeds::Range(16, 2_000)),
            budget: Some(Duration::from_secs(8 * 3600)),
            jobs: Some(3),
            until_failures: Some(5),
            twice: false,
        };
        assert_eq!(sweep.options, options);
        assert_eq!(sweep.shard, Some(Shard { index: 1, count: 4 }));
        assert_eq!(sweep.tests.filter.0, ["a", "b"]);
        let Ok(Command::Sweep(check)) = read("check --for 10m") else { panic!("not understood") };
        assert!(check.options.twice && check.options.seeds.is_none());
        let Ok(Command::Replay(replay)) = read("replay 17 --test x") else { panic!("not understood") };
        assert_eq!((replay.run.as_str(), replay.tests.filter.0.len()), ("17", 1));
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        for (line, named) in [
            ("", "missing"),
            ("lost", "\"lost\""),
            ("list --seed", "--seed"),
            ("list --test", "--test"),
            ("list more", "more"),
            ("sweep --seeds 5..5", "empty"),
            ("sweep --seeds 0", "at least one"),
            ("sweep --seeds x", "0..5000"),
            ("sweep --for 8", "8h"),
            ("sweep --for 0s", "more than 0"),
            ("sweep --for h", "8h"),
            ("sweep --for 99999999999999999999d", "8h"),
            ("sweep --jobs 0", "from 1 on"),
            ("sweep --shard 4/4", "0/4 to 3/4"),
            ("replay", "a seed or a token"),
            ("replay 1 2", "2"),
            ("merge", "directory"),
            ("merge a --seeds 5", "--seeds"),
        ] {
            let trouble = read(line).unwrap_err();
            assert_eq!(trouble.exit, crate::exit::Exit::Usage);
            assert!(trouble.message.contains(named), "{line}: {}", trouble.message);
        }
    }
}
