//! What the environment overrides, read and checked in one place.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sim_core::Schedule;

use crate::logging;
use crate::regressions::Regressions;
use crate::report::Files;
use crate::seeds::{Request, parse_seed};
use crate::{Seeds, Token};

/// Names, meanings and allowed values: `docs/running.md`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `SIM_SEED`.
    pub(crate) seed: Option<u64>,
    /// `SIM_SEEDS`.
    pub(crate) seeds: Option<Request>,
    /// `SIM_BUDGET`: real time, after which no run is begun.
    pub(crate) budget: Option<Duration>,
    /// `SIM_JOBS`.
    pub(crate) jobs: Option<usize>,
    /// `SIM_SCHEDULE`.
    pub(crate) schedule: Option<Schedule>,
    /// `SIM_FORK=0`.
    pub(crate) no_fork: bool,
    /// `SIM_LOG`.
    pub(crate) log: Option<String>,
    /// `SIM_REPLAY`.
    pub(crate) replay: Option<Token>,
    /// `SIM_SHRINK=0`.
    pub(crate) no_shrink: bool,
    /// `SIM_TRACE`.
    pub(crate) files: Option<Files>,
    /// `SIM_REPORT_DIR`.
    pub(crate) report_dir: Option<PathBuf>,
    /// `SIM_REGRESSIONS`.
    pub(crate) regressions: Regressions,
    /// `NEXTEST_STRESS_CURRENT`: which repetition of the test this is.
    pub(crate) stress: u64,
}

/// An environment variable with a value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    variable: &'static str,
    value: String,
    allowed: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} cannot be used: {}", self.variable, self.value, self.allowed)
    }
}

impl Settings {
    /// # Panics
    /// When a variable has a value that cannot be used; the message names both and says what is allowed.
    #[track_caller]
    pub(crate) fn of_environment() -> Settings {
        let read =
            Settings::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()));
        read.unwrap_or_else(|invalid| panic!("{invalid}"))
    }

    fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Settings, Invalid> {
        let set = |variable| look_up(variable).filter(|value| !value.is_empty());
        fn parse<T, E: fmt::Display>(
            variable: &'static str,
            value: Option<String>,
            parse: impl FnOnce(&str) -> Result<T, E>,
        ) -> Result<Option<T>, Invalid> {
            let Some(value) = value else { return Ok(None) };
            parse(&value).map(Some).map_err(|error| Invalid { variable, value, allowed: error.to_string() })
        }
        let settings = Settings {
            seed: parse("SIM_SEED", set("SIM_SEED"), parse_seed)?,
            seeds: parse("SIM_SEEDS", set("SIM_SEEDS"), Request::parse)?,
            budget: parse("SIM_BUDGET", set("SIM_BUDGET"), span_of_time)?,
            jobs: parse("SIM_JOBS", set("SIM_JOBS"), |value| match value.parse() {
                Ok(jobs @ 1..=4096) => Ok(jobs),
                _ => Err("expected how many runs may go on at a time, from 1 to 4096"),
            })?,
            schedule: parse("SIM_SCHEDULE", set("SIM_SCHEDULE"), str::parse::<Schedule>)?,
            no_fork: parse("SIM_FORK", set("SIM_FORK"), |value| match value {
                "0" => Ok(true),
                "1" => Ok(false),
                _ => Err("expected 1 (a process for each run, the default) or 0 (run in this process)"),
            })?
            .unwrap_or(false),
            log: parse("SIM_LOG", set("SIM_LOG"), |value| logging::check(value).map(|()| value.to_owned()))?,
            replay: parse("SIM_REPLAY", set("SIM_REPLAY"), Token::read)?,
            no_shrink: parse("SIM_SHRINK", set("SIM_SHRINK"), |value| match value {
                "0" => Ok(true),
                "1" => Ok(false),
                _ => Err("expected 1 (failures are shrunk, the default) or 0 (they are not)"),
            })?
            .unwrap_or(false),
            files: parse("SIM_TRACE", set("SIM_TRACE"), str::parse::<Files>)?,
            report_dir: set("SIM_REPORT_DIR").map(PathBuf::from),
            regressions: parse("SIM_REGRESSIONS", set("SIM_REGRESSIONS"), |value| match value {
                "on" => Ok(Regressions::On),
                "off" => Ok(Regressions::Off),
                "prune" => Ok(Regressions::Prune),
                _ => Err("expected on (the default), off, or prune, which takes out what is stale"),
            })?
            .unwrap_or_default(),
            // nextest says "none" when it does not repeat tests. Its NEXTEST_ATTEMPT must not count: a retry that
            // changed the seed would hide what it retries.
            stress: parse("NEXTEST_STRESS_CURRENT", set("NEXTEST_STRESS_CURRENT"), |value| match value {
                "none" => Ok(0),
                number => number.parse().map_err(|_| "expected a number or none, as nextest sets it"),
            })?
            .unwrap_or(0),
        };
        if settings.replay.is_some() {
            // A saved run has its seed and its schedule.
            for variable in ["SIM_SEED", "SIM_SEEDS", "SIM_SCHEDULE"] {
                if let Some(value) = set(variable) {
                    let allowed = "SIM_REPLAY is set, too, and says all of it: unset one of them".to_owned();
                    return Err(Invalid { variable, value, allowed });
                }
            }
        }
        match (settings.seed, &settings.seeds) {
            (Some(_), Some(_)) => Err(Invalid {
                variable: "SIM_SEEDS",
                value: set("SIM_SEEDS").unwrap_or_default(),
                allowed: "SIM_SEED is set, too: unset one of them".to_owned(),
            }),
            _ => Ok(settings),
        }
    }

    /// The seeds to run where `default` is asked for: a count keeps the first of them.
    pub(crate) fn seeds(&self, default: Seeds) -> Seeds {
        if let Some(token) = &self.replay {
            return Seeds::one(token.seed);
        }
        match (self.seed, &self.seeds) {
            (Some(seed), _) => Seeds::one(seed),
            (None, Some(Request::Range(range))) => Seeds::from(range.clone()),
            (None, Some(Request::Count(count))) => Seeds::starting_at(default.at(0).unwrap_or(0), *count),
            // As many as that takes.
            (None, None) if self.budget.is_some() => Seeds::starting_at(default.at(0).unwrap_or(0), u64::MAX),
            (None, None) => default,
        }
    }

    /// Whether failures are shrunk. A saved run is small already, and a single process cannot.
    pub(crate) fn shrinks(&self) -> bool {
        !self.no_shrink && self.replay.is_none() && !self.no_fork
    }

    /// Whether the seeds are those of the test itself, so that its saved runs come before them.
    pub(crate) fn plain(&self) -> bool {
        self.seed.is_none() && self.seeds.is_none() && self.replay.is_none() && !self.no_fork
    }

    /// The seed of a single run where `default` is asked for.
    pub(crate) fn one_seed(&self, default: u64) -> Seeds {
        let saved = self.replay.as_ref().map(|token| token.seed);
        Seeds::one(saved.or(self.seed).unwrap_or(default))
    }

    /// The saved run to repeat, which must be of this test or program.
    ///
    /// # Panics
    /// When it is of another one: its decisions would mean nothing there.
    #[track_caller]
    pub(crate) fn replay_of(&self, subject: &str) -> Option<Token> {
        let token = self.replay.clone()?;
        assert!(
            token.test == subject,
            "SIM_REPLAY holds a run of {}, and this is {subject}: run that one alone (cargo test … {} -- --exact)",
            token.test,
            token.test
        );
        Some(token)
    }

    pub(crate) fn jobs(&self, asked: Option<usize>) -> usize {
        self.jobs
            .or(asked)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }
}

/// `90s`, `10m`, `8h`, `2d`.
fn span_of_time(text: &str) -> Result<Duration, &'static str> {
    const ALLOWED: &str = "expected a whole number with its unit, such as 90s, 10m, 8h or 2d";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(ALLOWED),
    };
    let number = text[..text.len() - 1].parse::<u64>().ok().filter(|number| *number > 0);
    number.and_then(|number| number.checked_mul(unit)).map(Duration::from_secs).ok_or(ALLOWED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Settings, String> {
        let look_up = |name: &str| {
            set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(look_up).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn each_variable_is_read() {
        let settings = read(&[
            ("SIM_SEED", "0x2A"),
            ("SIM_JOBS", "3"),
            ("SIM_SCHEDULE", "fifo"),
            ("SIM_FORK", "0"),
            ("SIM_LOG", "debug,hyper=off"),
            ("NEXTEST_STRESS_CURRENT", "4"),
            ("NEXTEST_ATTEMPT", "9"),
        ])
        .unwrap();
        assert_eq!(settings.seed, Some(42));
        assert_eq!(settings.jobs(Some(8)), 3);
        assert!(matches!(settings.schedule, Some(Schedule::Fifo)));
        assert!(settings.no_fork);
        assert_eq!(settings.log.as_deref(), Some("debug,hyper=off"));
        assert_eq!(settings.stress, 4);
        assert_eq!(read(&[("NEXTEST_STRESS_CURRENT", "none")]).unwrap().stress, 0);
        assert_eq!(read(&[("SIM_SEED", "")]).unwrap().seed, None);
    }

    #[test]
    fn seeds_come_from_the_environment_first() {
        let seeds = |set: &[_]| read(set).unwrap().seeds(Seeds::from(50..60));
        assert_eq!(seeds(&[]), Seeds::from(50..60));
        assert_eq!(seeds(&[("SIM_SEEDS", "100")]), Seeds::from(50..150));
        assert_eq!(seeds(&[("SIM_SEEDS", "3..9")]), Seeds::from(3..9));
        assert_eq!(seeds(&[("SIM_SEED", "7")]), Seeds::one(7));
        assert_eq!(seeds(&[("SIM_BUDGET", "2h")]), Seeds::starting_at(50, u64::MAX));
        assert_eq!(seeds(&[("SIM_BUDGET", "2h"), ("SIM_SEEDS", "100")]), Seeds::from(50..150));
        assert_eq!(read(&[("SIM_BUDGET", "2h")]).unwrap().budget, Some(Duration::from_secs(7200)));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named_with_its_variable_and_what_is_allowed() {
        for (variable, value, allowed) in [
            ("SIM_SEED", "seven", "0x2a"),
            ("SIM_SEEDS", "5..1", "less than its end"),
            ("SIM_BUDGET", "10", "10m"),
            ("SIM_BUDGET", "0s", "10m"),
            ("SIM_BUDGET", "ü", "10m"),
            ("SIM_JOBS", "0", "1 to 4096"),
            ("SIM_SCHEDULE", "fair", "fifo"),
            ("SIM_FORK", "no", "expected 1"),
            ("SIM_LOG", "=x=", "filter"),
            ("SIM_REPLAY", "sim1:abc", "copy the whole line"),
            ("SIM_SHRINK", "no", "expected 1"),
            ("SIM_TRACE", "html,pdf", "jsonl"),
            ("SIM_REGRESSIONS", "no", "prune"),
            ("NEXTEST_STRESS_CURRENT", "x", "number"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err();
            assert!(
                error.contains(variable) && error.contains(value) && error.contains(allowed),
                "{error}: should name {variable}, {value} and {allowed}"
            );
        }
        let both = read(&[("SIM_SEED", "1"), ("SIM_SEEDS", "2")]).unwrap_err();
        assert!(both.contains("SIM_SEED is set, too"), "{both}");
        let token = Token {
            test: "a".to_owned(),
            signature: "deadlock".to_owned(),
            seed: 3,
            schedule: Schedule::Fifo,
            deviations: [(1, 2)].into(),
        };
        let token = token.to_string();
        assert_eq!(read(&[("SIM_REPLAY", &token)]).unwrap().seeds(Seeds::from(0..9)), Seeds::one(3));
        let both = read(&[("SIM_REPLAY", &token), ("SIM_SCHEDULE", "fifo")]).unwrap_err();
        assert!(both.contains("SIM_REPLAY is set, too"), "{both}");
    }
}
