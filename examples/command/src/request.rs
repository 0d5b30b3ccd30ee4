//! What was asked for.

use crate::faults::{groups, names};
use crate::{Faults, Options, Planted, System};
use lexopt::prelude::*;
use sim::Seeds;
use std::ffi::OsString;
use std::num::NonZeroU64;

const HELP: &str = "\
  --seeds N|A..B    run the seeds 0 to N-1, or A to B-1 (default 1000)
  --seed S          run one seed, and show its failure in full
  --bug NAME        make a planted mistake; see --list-bugs
  --list-bugs       one line each: name, expected signature, fault families that it needs or none
  --faults on|off   whether anything goes wrong (default on)
  --only FAMILY     of the families of faults only this one; may be given several times
  --without FAMILY  leave out a family of faults, a group, or several with commas; may be given several times
  --shrink on|off   whether the first failing seed of each kind is shrunk to a story (default on; off with --json)
  --stop-after N    end the sweep with so many failures
  --json            print one line of JSON instead of a table
  --help            this text

environment:
  SIM_JOBS=N                how many runs at a time
  SIM_SEED=S SIM_LOG=info   run one seed, and tell what happens in it
  SIM_REPLAY=sim1:…         repeat a saved run; with the --bug that it was saved with
  SIM_FORK=0                run one seed in this process, for debuggers

exit code: 0 all seeds passed, 100 seeds have failed, 111 none has and nothing was tested, 2 usage
";

/// The widest line of the list of families.
const WIDTH: usize = 100;

pub(crate) fn help<S: System>() -> String {
    let mut text = format!("{}\n\nusage: {} [options]\n\n{HELP}\n", S::ABOUT, S::NAME);
    let families = S::families();
    list(&mut text, "families of faults", &families);
    list(&mut text, "groups of families", &groups(&families));
    text
}

fn list(text: &mut String, what: &str, names: &[&str]) {
    text.push_str(what);
    text.push_str(":\n ");
    let mut column = 1;
    for family in names {
        if column + family.len() > WIDTH {
            text.push_str("\n ");
            column = 1;
        }
        text.push(' ');
        text.push_str(family);
        column += 1 + family.len();
    }
    text.push('\n');
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Command<B> {
    Help,
    ListBugs,
    Run(Request<B>),
}

/// Which seeds to run, how, and what to print.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request<B> {
    pub(crate) seeds: Seeds,
    /// One seed was asked for by name.
    pub(crate) single: bool,
    pub(crate) options: Options<B>,
    /// With so many failures the sweep ends.
    pub(crate) stop_after: Option<u64>,
    pub(crate) json: bool,
    pub(crate) shrink: bool,
}

pub(crate) fn parse<S: System>(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Command<S::Bug>, lexopt::Error> {
    let mut request = Request {
        seeds: Seeds::from(0..1_000),
        single: false,
        options: Options::default(),
        stop_after: None,
        json: false,
        shrink: true,
    };
    let (mut several, mut off, mut shrink) = (false, false, None);
    let on = |value: &str| match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("allowed are on, off"),
    };
    let mut faults = Faults::on();
    let mut families = S::families();
    families.extend(groups(&families));
    let named = |list: &str| -> Result<String, String> {
        for name in names(list) {
            known("fault family", name, &families, |family| family)?;
        }
        Ok(list.to_owned())
    };
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
            Long("bug") => {
                let bug = |name: &str| known("bug", name, S::Bug::ALL, S::Bug::name);
                request.options.bug = Some(parser.value()?.parse_with(bug)?);
            }
            Long("faults") => off = !parser.value()?.parse_with(on)?,
            Long("shrink") => shrink = Some(parser.value()?.parse_with(on)?),
            Long("only") => faults = faults.only(parser.value()?.parse_with(named)?),
            Long("without") => faults = faults.without(parser.value()?.parse_with(named)?),
            Long("stop-after") => {
                let failures = parser.value()?.parse_with(|text| {
                    text.parse::<NonZeroU64>()
                        .map_err(|error| format!("--stop-after takes a count from 1 on: {error}"))
                })?;
                request.stop_after = Some(failures.get());
            }
            Long("json") => request.json = true,
            Long("list-bugs") => return Ok(Command::ListBugs),
            Long("help") | Short('h') => return Ok(Command::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    if several && request.single {
        return Err("--seed and --seeds exclude each other".into());
    }
    request.shrink = shrink.unwrap_or(!request.json);
    request.options.faults = if off { Faults::off() } else { faults };
    Ok(Command::Run(request))
}

/// What is called this, or what is called what.
fn known<T: Copy>(
    what: &str,
    name: &str,
    all: &[T],
    called: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let one = all.iter().copied().find(|one| called(*one) == name);
    one.ok_or_else(|| {
        let allowed: Vec<_> = all.iter().map(|one| called(*one)).collect();
        format!("there is no {what} {name:?}; allowed are {}", allowed.join(", "))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Summary;
    use serde::{Deserialize, Serialize};
    use std::ops::AddAssign;

    /// A system with which nothing is the matter but what it is asked for.
    pub(crate) struct Clock;

    #[derive(Clone, Copy, PartialEq, Debug)]
    pub(crate) enum Bug {
        Late,
        Early,
    }

    impl Planted for Bug {
        const ALL: &'static [Bug] = &[Bug::Late, Bug::Early];

        fn name(self) -> &'static str {
            match self {
                Bug::Late => "late",
                Bug::Early => "early",
            }
        }

        fn signature(self) -> String {
            "invariant on time".to_string()
        }

        fn needs(self) -> Option<&'static str> {
            (self == Bug::Late).then_some("pause")
        }
    }

    #[derive(Clone, Default, Serialize, Deserialize)]
    pub(crate) struct Ticks(pub(crate) u64);

    impl AddAssign for Ticks {
        fn add_assign(&mut self, other: Ticks) {
            self.0 += other.0;
        }
    }

    impl Summary for Ticks {
        fn rows(&self) -> Vec<(&'static str, u64)> {
            vec![("ticks", self.0)]
        }
    }

    impl System for Clock {
        type Bug = Bug;
        type Summary = Ticks;
        const NAME: &'static str = "clock";
        const ABOUT: &'static str = "A clock.";
        const INVARIANTS: &'static [&'static str] = &["on time", "in order"];

        async fn run(sim: sim::Sim, options: Options<Bug>) -> Ticks {
            if options.bug.is_some() {
                sim.violated("on time", "it is not");
            }
            sim.node("clock").run(std::future::pending::<()>);
            if let Some(swarm) = options.faults.of(sim::Swarm::default().during(SECOND..10 * SECOND)) {
                sim.nemesis(swarm);
            }
            sim::time::sleep(20 * SECOND).await;
            Ticks(1_000)
        }
    }

    const SECOND: sim::time::Duration = sim::time::Duration::from_secs(1);

    /// The same, which has forgotten to let the nemesis loose.
    pub(crate) struct Mistaken;

    impl System for Mistaken {
        type Bug = Bug;
        type Summary = Ticks;
        const NAME: &'static str = "mistaken";
        const ABOUT: &'static str = Clock::ABOUT;
        const INVARIANTS: &'static [&'static str] = Clock::INVARIANTS;

        async fn run(sim: sim::Sim, options: Options<Bug>) -> Ticks {
            Clock::run(sim, Options { faults: Faults::off(), ..options }).await
        }
    }

    pub(crate) fn parsed(arguments: &str) -> Result<Request<Bug>, String> {
        let arguments = std::iter::once("clock").chain(arguments.split_whitespace()).map(OsString::from);
        match parse::<Clock>(arguments) {
            Ok(Command::Run(request)) => Ok(request),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn without_arguments_a_thousand_seeds_meet_all_faults() {
        let request = parsed("").unwrap();
        assert_eq!(request.seeds, Seeds::from(0..1_000));
        assert_eq!((request.options.faults, request.options.bug), (Faults::on(), None));
        assert!(!request.single && !request.json);
    }

    #[test]
    fn every_option_is_understood() {
        let request = parsed("--seeds 5..9 --bug early --without kill --without=loss --json").unwrap();
        assert_eq!((request.seeds, request.json), (Seeds::from(5..9), true));
        assert_eq!(request.options.bug, Some(Bug::Early));
        assert_eq!(request.options.faults, Faults::on().without("kill").without("loss"));
        assert_eq!(parsed("--only dns").unwrap().options.faults, Faults::on().only("dns"));
        assert_eq!(parsed("--faults off").unwrap().options.faults, Faults::off());
        assert_eq!(parsed("--faults off --without dns").unwrap().options.faults, Faults::off());
        assert!(!request.shrink && parsed("").unwrap().shrink);
        assert!(parsed("--json --shrink on").unwrap().shrink && !parsed("--shrink off").unwrap().shrink);
        assert_eq!(parsed("--stop-after 3").unwrap().stop_after, Some(3));
        let request = parsed("--seed 7").unwrap();
        assert_eq!((request.seeds, request.single), (Seeds::one(7), true));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_what_is_allowed() {
        for (arguments, named) in [
            ("--bug typo", ["typo", "late, early"]),
            ("--without rain", ["rain", "partition, "]),
            ("--only rain", ["rain", "kill, "]),
            ("--faults some", ["some", "on, off"]),
            ("--shrink some", ["some", "on, off"]),
            ("--seeds 9..5", ["9..5", "less than its end"]),
            ("--seeds x", ["x", "0..5000"]),
            ("--seed -1", ["-1", "invalid digit"]),
            ("--stop-after 0", ["0", "--stop-after"]),
            ("--speed 1", ["--speed", "invalid option"]),
            ("--seed 1 --seeds 2", ["--seed", "exclude each other"]),
            ("--bug", ["--bug", "missing argument"]),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(named.iter().all(|part| error.contains(part)), "{arguments}: {error}");
        }
    }

    #[test]
    fn help_names_every_option_and_family() {
        let help = help::<Clock>();
        for word in [
            "A clock.",
            "usage: clock",
            "--only",
            "--without",
            "--json",
            " kill ",
            " partition ",
            "\n  clock",
        ] {
            assert!(help.contains(word), "{word} is missing:\n{help}");
        }
        assert!(help.lines().all(|line| line.len() <= 120), "{help}");
    }
}
