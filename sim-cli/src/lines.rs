//! What a test says while it sweeps: lines of JSON, each after a record separator, between those of the harness.
//!
//! The other side is `sim-run/src/remote.rs`; the form has a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names the environment variable with the orders of a test.
pub(crate) const VARIABLE: &str = "SIM_ORDERS";
/// Of orders and lines.
pub(crate) const VERSION: u32 = 1;
const MARK: char = '\x1e';

/// What is asked of a test.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Orders {
    pub(crate) version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seeds: Option<Seeds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<(u64, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget_ms: Option<u64>,
    pub(crate) twice: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_after: Option<u64>,
    pub(crate) doctor: bool,
    pub(crate) prune: bool,
}

impl Default for Orders {
    fn default() -> Orders {
        Orders {
            version: VERSION,
            seeds: None,
            shard: None,
            budget_ms: None,
            twice: false,
            stop_after: None,
            doctor: false,
            prune: false,
        }
    }
}

/// Which seeds of each test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seeds {
    /// So many from the test's first on.
    Count(u64),
    /// From the first to before the second.
    Range(u64, u64),
}

/// What a test says.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    Start(Part),
    SoFar(SoFar),
    Failed(Failed),
    End(End),
    /// Where two runs of a seed part.
    Divergence {
        seed: u64,
        found: Vec<String>,
    },
    Time {
        cpu_ns: u64,
    },
    Doctor(Doctor),
    Pruned(Pruned),
}

/// The seeds that were asked for, and those of this shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) version: u32,
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) part_first: u64,
    pub(crate) part_count: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct SoFar {
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    pub(crate) simulated_ns: u64,
    pub(crate) elapsed_ns: u64,
    pub(crate) cpu_ns: u64,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) seed: u64,
    pub(crate) trace: String,
    pub(crate) signature: String,
    /// Of the smallest seed with this signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<Detail>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detail {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) site: String,
    pub(crate) at_ns: u64,
    pub(crate) node: Option<String>,
    pub(crate) details: Vec<String>,
    pub(crate) faults: Vec<String>,
}

/// What a sweep of a test came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    /// A sum over all runs, whatever their order.
    pub(crate) trace: String,
    pub(crate) simulated_ns: u64,
    pub(crate) stats: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) notes: Vec<Note>,
    /// What was to be seen: how often it was looked at, and how often it was there.
    #[serde(default)]
    pub(crate) to_be_seen: BTreeMap<String, (u64, u64)>,
    /// From so many runs on it is a failure when something was not; `None` is never.
    #[serde(default)]
    pub(crate) vacuous_after: Option<u64>,
    /// Why not all seeds were run: `failures` or `time`.
    pub(crate) stopped: Option<String>,
}

impl End {
    /// What was to be seen and never was, if the runs were enough to say so.
    pub(crate) fn missing(&self) -> Vec<String> {
        if self.vacuous_after.is_none_or(|many| self.runs < many) {
            return Vec::new();
        }
        let never = self.to_be_seen.iter().filter(|(_, (_, held))| *held == 0);
        never
            .map(|(what, (asked, _))| match asked {
                0 => format!("{what}: never reached"),
                _ => format!("{what}: seen in none of {asked} times"),
            })
            .collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) seed: u64,
    pub(crate) text: String,
    pub(crate) runs: u64,
}

/// What is simulated where the test runs.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Doctor {
    pub(crate) guards: Result<(), String>,
    pub(crate) processes: bool,
    pub(crate) fixed_addresses: Option<bool>,
}

/// What became of the saved runs of a test.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pruned {
    pub(crate) kept: u64,
    /// Each with the reason.
    pub(crate) taken_out: Vec<String>,
}

impl Line {
    /// The line in what a test wrote, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be understood.
    pub(crate) fn read(written: &str) -> Option<Result<Line, serde_json::Error>> {
        let (_, line) = written.split_once(MARK)?;
        Some(serde_json::from_str(line))
    }
}

impl Note {
    /// Whether both remark the same but for numbers.
    pub(crate) fn same_kind(&self, other: &Note) -> bool {
        let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        words(&self.text) == words(&other.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_from_those_of_the_harness() {
        assert!(Line::read("running 1 test").is_none());
        let line = "test shop ... \x1e{\"line\":\"start\",\"version\":1,\"first\":5,\"count\":9,\"part_first\":5,\"part_count\":3}";
        let Some(Ok(Line::Start(part))) = Line::read(line) else { panic!("not understood") };
        assert_eq!((part.first, part.count, part.part_count), (5, 9, 3));
        assert!(matches!(Line::read("\x1e{\"line\":\"sta"), Some(Err(_))));
    }
}
