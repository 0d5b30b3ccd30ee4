//! What shrinking came to, for people and programs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::Failure;

use super::{Likelihood, Size};
use crate::Token;

/// A failure and the smallest run found that ends with it. Displayed, it is the story of that run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shrunk {
    /// The seed of the run that failed at first.
    pub seed: u64,
    /// How the smallest run ends.
    pub failure: Failure,
    /// What is left in it.
    pub size: Size,
    /// What happens in it, a sentence each, in the order of time.
    pub story: Vec<String>,
    /// The smallest run.
    pub token: Token,
    /// Virtual time at which the run of the seed failed.
    pub first_failed_at: Duration,
    /// From when on that run was to fail; `None` when there was no time to find out.
    pub likelihood: Option<Likelihood>,
    /// How many runs it took.
    pub executions: u64,
    /// The smallest runs met on the way that end with other failures.
    pub findings: Vec<Token>,
    /// What was left undone for lack of time or executions.
    pub undone: Vec<String>,
}

/// Sentences of a story that a screen has room for.
const SENTENCES: usize = 12;

impl Shrunk {
    /// The story with so many sentences at most, and what is known besides: five lines.
    pub(crate) fn told(&self, sentences: usize) -> String {
        let mut lines = vec![format!("shrunk to {} in {} runs:", self.size, self.executions)];
        let most = if self.story.len() > sentences { sentences - 1 } else { sentences };
        lines.extend(self.story.iter().take(most).map(|sentence| format!("  {sentence}")));
        if self.story.len() > most {
            lines.push(format!("  … and {} more", self.story.len() - most));
        }
        lines.push(format!("  {:?} {}", self.failure.at, self.failure.signature()));
        if let Some(at) = self.likelihood.as_ref().and_then(|likelihood| likelihood.inevitable) {
            let (at, end) = (round(Duration::from_nanos(at)), round(self.first_failed_at));
            let seed = self.seed;
            lines.push(format!(
                "the run of seed {seed}, which failed at {end:?}, was more likely to fail than not from {at:?} on"
            ));
        }
        if !self.findings.is_empty() {
            let met: Vec<&str> = self.findings.iter().map(|token| &*token.signature).collect();
            lines.push(format!("met on the way: {}", met.join(", ")));
        }
        if !self.undone.is_empty() {
            lines.push(format!("left undone for lack of time or runs: {}", self.undone.join(", ")));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(SENTENCES))
    }
}

/// To the microsecond: more is not read.
fn round(time: Duration) -> Duration {
    Duration::from_micros(time.as_micros() as u64)
}

/// Why a failure was not shrunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unshrunk {
    /// Repeated, the seed took another course.
    Nondeterministic,
    /// Its decisions alone do not bring the failure back: it depends on something else, such as addresses.
    NotExplicit,
    /// The run's process died, and with it the list of its decisions.
    Died,
}

impl fmt::Display for Unshrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unshrunk::Nondeterministic => "not shrunk: repeated, the seed took another course, so the test is not deterministic",
            Unshrunk::NotExplicit => {
                "not shrunk: the run's decisions alone do not bring the failure back, so that it depends on something \
                 else, such as addresses"
            }
            Unshrunk::Died => "not shrunk: the run's process died, and with it the list of its decisions",
        })
    }
}
