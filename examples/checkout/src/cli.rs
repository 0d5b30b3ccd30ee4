//! The command line.

use crate::Bug;
use crate::chaos::{Family, Faults};
use crate::report::{Report, list_bugs};
use crate::shop::{self, Options, Summary};
use lexopt::prelude::*;
use sim::{Run, Seeds, sweep};
use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

const HELP: &str = "\
A checkout of several services under simulated faults.

usage: checkout [options]

  --seeds N|A..B    run the seeds 0 to N-1, or A to B-1 (default 1000)
  --seed S          run one seed, and show its failure in full
  --bug NAME        make a planted mistake; see --list-bugs
  --list-bugs       one line each: name, expected signature, fault family that it needs or none
  --faults on|off   whether anything goes wrong (default on)
  --without FAMILY  leave out a family of faults: partition, loss, latency, kill, restart, slow-cpu, gateway;
                    may be given several times
  --json            print one line of JSON instead of a table
  --help            this text

environment:
  SIM_JOBS=N                how many runs at a time
  SIM_SEED=S SIM_LOG=info   run one seed, and tell what happens in it
  SIM_FORK=0                run one seed in this process, for debuggers

exit code: 0 all seeds passed, 100 seeds have failed, 2 usage
";

/// Exit codes besides 0.
const USAGE: u8 = 2;
const FAILED: u8 = 100;

/// What was asked for.
#[derive(Clone, PartialEq, Debug)]
enum Command {
    Help,
    ListBugs,
    Run(Request),
}

/// Which seeds to run, how, and what to print.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request {
    pub(crate) seeds: Seeds,
    /// One seed was asked for by name.
    pub(crate) single: bool,
    pub(crate) options: Options,
    pub(crate) without: Vec<Family>,
    pub(crate) json: bool,
}

/// Does what the arguments ask for; the first of them is the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(arguments) {
        Ok(Command::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Command::ListBugs) => {
            print!("{}", list_bugs());
            ExitCode::SUCCESS
        }
        Ok(Command::Run(request)) => {
            let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            match fits_process(&request.seeds, variable) {
                Ok(()) => run(&request),
                Err(error) => refuse(error),
            }
        }
        Err(error) => refuse(error),
    }
}

fn refuse(error: impl Display) -> ExitCode {
    eprintln!("checkout: {error}\n(checkout --help tells what there is)");
    ExitCode::from(USAGE)
}

/// Refuses several seeds where `SIM_FORK=0` keeps the run in this process.
fn fits_process(seeds: &Seeds, variable: impl Fn(&str) -> Option<String>) -> Result<(), &'static str> {
    let asked = variable("SIM_SEEDS").and_then(|seeds| seeds.parse().ok());
    let one = variable("SIM_SEED").is_some() || asked.as_ref().unwrap_or(seeds).len() == 1;
    match variable("SIM_FORK").as_deref() {
        Some("0") if !one => {
            Err("SIM_FORK=0 runs one seed in this process: choose it with --seed or SIM_SEED")
        }
        _ => Ok(()),
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut request = Request {
        seeds: Seeds::from(0..1_000),
        single: false,
        options: Options::default(),
        without: Vec::new(),
        json: false,
    };
    let (mut several, mut faults) = (false, true);
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => {
                request.seeds = parser.value()?.parse()?;
                several = true;
            }
            Long("seed") => {
                request.seeds = Seeds::one(parser.value()?.parse()?);
                request.single = true;
            }
            Long("bug") => request.options.bug = Some(parser.value()?.parse_with(str::parse::<Bug>)?),
            Long("faults") => {
                faults = parser.value()?.parse_with(|value| match value {
                    "on" => Ok(true),
                    "off" => Ok(false),
                    _ => Err("allowed are on, off"),
                })?;
            }
            Long("without") => request.without.push(parser.value()?.parse_with(str::parse::<Family>)?),
            Long("json") => request.json = true,
            Long("list-bugs") => return Ok(Command::ListBugs),
            Long("help") | Short('h') => return Ok(Command::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    if several && request.single {
        return Err("--seed and --seeds exclude each other".into());
    }
    let all = if faults { Faults::ON } else { Faults::OFF };
    request.options.faults = request.without.iter().fold(all, |faults, family| faults.without(*family));
    Ok(Command::Run(request))
}

fn run(request: &Request) -> ExitCode {
    let options = request.options;
    let mut sums = Summary::default();
    let swept = sweep(request.seeds.clone())
        .on_run(|run: &Run<Summary>| {
            if let Ok(summary) = &run.result {
                sums += *summary;
            }
        })
        .run(|sim| shop::run(sim, options));
    let report = Report { request, swept: &swept, sums };
    print!("{}", if request.json { report.json() } else { report.table() });
    if swept.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Request, String> {
        let arguments = std::iter::once("checkout").chain(arguments.split_whitespace()).map(OsString::from);
        match parse(arguments) {
            Ok(Command::Run(request)) => Ok(request),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn without_arguments_a_thousand_seeds_meet_all_faults() {
        let request = parsed("").unwrap();
        assert_eq!(request.seeds, Seeds::from(0..1_000));
        assert_eq!((request.options.faults, request.options.bug), (Faults::ON, None));
        assert!(!request.single && !request.json);
    }

    #[test]
    fn every_option_is_understood() {
        let request = parsed("--seeds 5..9 --bug oversell --without kill --without=loss --json").unwrap();
        assert_eq!((request.seeds, request.json), (Seeds::from(5..9), true));
        assert_eq!(request.options.bug, Some(Bug::Oversell));
        assert_eq!(request.options.faults, Faults::ON.without(Family::Kill).without(Family::Loss));
        assert_eq!(parsed("--faults off").unwrap().options.faults, Faults::OFF);
        let request = parsed("--seed 7").unwrap();
        assert_eq!((request.seeds, request.single), (Seeds::one(7), true));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_what_is_allowed() {
        for (arguments, named) in [
            ("--bug typo", ["typo", "double-charge, no-compensation, oversell, stuck-breaker"]),
            ("--without rain", ["rain", "partition, loss, latency, kill, restart, slow-cpu, gateway"]),
            ("--faults some", ["some", "on, off"]),
            ("--seeds 9..5", ["9..5", "less than its end"]),
            ("--seeds x", ["x", "0..5000"]),
            ("--seed -1", ["-1", "invalid digit"]),
            ("--speed 1", ["--speed", "invalid option"]),
            ("--seed 1 --seeds 2", ["--seed", "exclude each other"]),
            ("--bug", ["--bug", "missing argument"]),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(named.iter().all(|part| error.contains(part)), "{arguments}: {error}");
        }
    }
}
