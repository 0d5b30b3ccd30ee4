//! Which part of a sweep this process does: from the command line, or from the engine that started it.

use std::fmt;
use std::str::FromStr;

use crate::exit::Trouble;

/// One of so many parts, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

impl Shard {
    /// All of it.
    pub(crate) const WHOLE: Shard = Shard { index: 0, count: 1 };

    fn new(index: u64, count: u64) -> Option<Shard> {
        (index < count).then_some(Shard { index, count })
    }

    /// Its report.
    pub(crate) fn file_name(self) -> String {
        format!("shard-{}-of-{}.jsonl", self.index, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// `3/8` is the fourth of eight.
impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts =
            text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count) = parts.ok_or("expected index/count, such as 0/8, counted from 0")?;
        Shard::new(index, count).ok_or_else(|| {
            format!(
                "the index must be less than the count: allowed are 0/{count} to {}/{count}",
                count.max(1) - 1
            )
        })
    }
}

/// An engine's names for index and count.
struct Engine {
    name: &'static str,
    index: &'static str,
    /// The first index: a number, or the variable that holds it.
    first: First,
    count: Option<&'static str>,
}

enum First {
    Number(u64),
    Variable(&'static str),
}

/// Where several are set, the first one counts: our own, then the one that is furthest inside.
const ENGINES: [Engine; 6] = [
    Engine { name: "sim", index: "SIM_SHARD_INDEX", first: First::Number(0), count: Some("SIM_SHARD_COUNT") },
    // https://slurm.schedmd.com/job_array.html
    Engine {
        name: "Slurm",
        index: "SLURM_ARRAY_TASK_ID",
        first: First::Variable("SLURM_ARRAY_TASK_MIN"),
        count: Some("SLURM_ARRAY_TASK_COUNT"),
    },
    // https://kubernetes.io/docs/concepts/workloads/controllers/job/ says the index and not how many there are.
    Engine { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", first: First::Number(0), count: None },
    // https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
    Engine {
        name: "AWS Batch",
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        first: First::Number(0),
        count: Some("AWS_BATCH_JOB_ARRAY_SIZE"),
    },
    // https://docs.gitlab.com/ci/variables/predefined_variables/ counts from 1.
    Engine { name: "GitLab", index: "CI_NODE_INDEX", first: First::Number(1), count: Some("CI_NODE_TOTAL") },
    // https://www.gnu.org/software/parallel/man.html counts from 1 and does not say how many there are.
    Engine { name: "GNU parallel", index: "PARALLEL_SEQ", first: First::Number(1), count: None },
];

/// The part that the environment asks for.
///
/// # Errors
/// When there is an index without a count, or one that is not among them: a sweep that takes a part for the whole, or
/// the whole for a part, says "clean" of what nobody has run.
pub(crate) fn of_environment(look_up: impl Fn(&str) -> Option<String>) -> Result<Shard, Trouble> {
    let set = |variable: &str| look_up(variable).filter(|value| !value.is_empty());
    let number = |variable: &str, value: String| {
        value
            .parse::<u64>()
            .map_err(|_| Trouble::usage(format!("{variable}={value:?} cannot be used: expected a number")))
    };
    let read = |variable: &'static str| set(variable).map(|value| number(variable, value)).transpose();
    let own_count = read("SIM_SHARD_COUNT")?;
    for engine in ENGINES {
        let Some(index) = read(engine.index)? else { continue };
        let first = match engine.first {
            First::Number(first) => first,
            First::Variable(variable) => read(variable)?.unwrap_or(0),
        };
        // How many there are, the job may say where its engine does not.
        let count = match (own_count, engine.count) {
            (Some(count), _) => Some(count),
            (None, Some(variable)) => read(variable)?,
            (None, None) => None,
        };
        let Some(count) = count else {
            return Err(Trouble::usage(format!(
                "{}={index} ({}) says which shard this is, and nothing says of how many: set SIM_SHARD_COUNT, or give \
                 --shard i/n",
                engine.index, engine.name
            )));
        };
        return index.checked_sub(first).and_then(|index| Shard::new(index, count)).ok_or_else(|| {
            Trouble::usage(format!(
                "{}={index} ({}) is no shard of {count}: allowed are {first} to {}",
                engine.index,
                engine.name,
                (first + count).max(1) - 1
            ))
        });
    }
    match own_count {
        None => Ok(Shard::WHOLE),
        Some(count) => Err(Trouble::usage(format!(
            "SIM_SHARD_COUNT={count} says how many shards there are, and nothing says which one this is: set SIM_SHARD_INDEX"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Shard, String> {
        let look_up = |name: &str| {
            set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        of_environment(look_up).map_err(|trouble| trouble.message)
    }

    #[test]
    fn each_engine_is_understood() {
        let third_of_eight = Ok(Shard { index: 2, count: 8 });
        assert_eq!(read(&[]), Ok(Shard::WHOLE));
        assert_eq!(read(&[("SIM_SHARD_INDEX", "2"), ("SIM_SHARD_COUNT", "8")]), third_of_eight);
        let slurm =
            [("SLURM_ARRAY_TASK_ID", "12"), ("SLURM_ARRAY_TASK_MIN", "10"), ("SLURM_ARRAY_TASK_COUNT", "8")];
        assert_eq!(read(&slurm), third_of_eight);
        assert_eq!(read(&[("JOB_COMPLETION_INDEX", "2"), ("SIM_SHARD_COUNT", "8")]), third_of_eight);
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "8")];
        assert_eq!(read(&batch), third_of_eight);
        assert_eq!(read(&[("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "8")]), third_of_eight);
        assert_eq!(read(&[("PARALLEL_SEQ", "3"), ("SIM_SHARD_COUNT", "8")]), third_of_eight);
    }

    #[test]
    fn our_own_variables_come_first() {
        let both = [
            ("CI_NODE_INDEX", "1"),
            ("CI_NODE_TOTAL", "2"),
            ("SIM_SHARD_INDEX", "3"),
            ("SIM_SHARD_COUNT", "4"),
        ];
        assert_eq!(read(&both), Ok(Shard { index: 3, count: 4 }));
    }

    #[test]
    fn half_of_a_shard_is_refused() {
        for (set, named) in [
            (&[("JOB_COMPLETION_INDEX", "2")][..], "SIM_SHARD_COUNT"),
            (&[("PARALLEL_SEQ", "2")], "SIM_SHARD_COUNT"),
            (&[("SIM_SHARD_INDEX", "2")], "SIM_SHARD_COUNT"),
            (&[("SIM_SHARD_COUNT", "2")], "SIM_SHARD_INDEX"),
            (&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "2")], "1 to 2"),
            (&[("SIM_SHARD_INDEX", "2"), ("SIM_SHARD_COUNT", "2")], "0 to 1"),
            (&[("SIM_SHARD_INDEX", "0"), ("SIM_SHARD_COUNT", "0")], "no shard of 0"),
            (&[("SIM_SHARD_INDEX", "x"), ("SIM_SHARD_COUNT", "2")], "number"),
        ] {
            let error = read(set).unwrap_err();
            assert!(error.contains(named), "{set:?}: {error}");
        }
        for text in ["", "1", "1/", "8/8", "a/b", "-1/2", "0/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("0/8".parse(), Ok(Shard { index: 0, count: 8 }));
    }
}
