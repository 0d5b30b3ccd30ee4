//! What code claims with the macros of `sim-hooks`, counted in each run.

use crate::failure::{Failure, FailureKind};
use crate::world;
use serde::{Deserialize, Serialize};
use sim_hooks::Oracle;
use std::collections::BTreeMap;
use std::fmt;

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Claim {
    /// It holds whenever it is asked.
    Always,
    /// It holds at least once in a test.
    Sometimes,
    /// The place is reached at least once in a test.
    Reachable,
    /// The place is never reached.
    Unreachable,
}

impl Claim {
    /// Whether a test in which it never held has not tested what it claims.
    pub fn must_be_seen(self) -> bool {
        matches!(self, Claim::Sometimes | Claim::Reachable)
    }
}

impl From<sim_hooks::Claim> for Claim {
    fn from(claim: sim_hooks::Claim) -> Claim {
        match claim {
            sim_hooks::Claim::Always => Claim::Always,
            sim_hooks::Claim::Sometimes => Claim::Sometimes,
            sim_hooks::Claim::Reachable => Claim::Reachable,
            sim_hooks::Claim::Unreachable => Claim::Unreachable,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Claim::Always => "always",
            Claim::Sometimes => "sometimes",
            Claim::Reachable => "reachable",
            Claim::Unreachable => "unreachable",
        })
    }
}

/// What a run saw of a claim: places with the same claim and name are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What was claimed.
    pub claim: Claim,
    /// Its name.
    pub name: String,
    /// How often it was looked at.
    pub asked: u64,
    /// How often it held.
    pub held: u64,
}

/// The claims of a run, by their place in the catalogue of the process.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<Option<(&'static Oracle, u64, u64)>>);

impl Claims {
    pub(crate) const fn new() -> Self {
        Claims(Vec::new())
    }

    pub(crate) fn reset(&mut self) {
        self.0.clear();
    }

    fn count(&mut self, oracle: &'static Oracle, held: bool) {
        let place = oracle.place();
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        let (_, asked, times) = self.0[place].get_or_insert((oracle, 0, 0));
        *asked += 1;
        *times += u64::from(held);
    }

    /// What was looked at, by claim and name: the catalogue's order is not the same in every process.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut seen: BTreeMap<(Claim, &str), (u64, u64)> = BTreeMap::new();
        for (oracle, asked, held) in self.0.iter().flatten() {
            let sum = seen.entry((oracle.claim.into(), oracle.name)).or_default();
            *sum = (sum.0 + asked, sum.1 + held);
        }
        seen.into_iter()
            .map(|((claim, name), (asked, held))| Seen { claim, name: name.to_owned(), asked, held })
            .collect()
    }
}

/// What the macros say.
pub(crate) fn observe(oracle: &'static Oracle, held: bool, detail: fmt::Arguments<'_>) {
    world::try_with(|w| {
        let broken = {
            let Some(mut kernel) = w.try_kernel() else { return };
            // What is left of a dead process claims nothing.
            if kernel.actor().is_none() {
                return;
            }
            kernel.claims.count(oracle, held);
            !held && !Claim::from(oracle.claim).must_be_seen() && !kernel.has_failed()
        };
        if broken {
            let kind = match oracle.claim {
                sim_hooks::Claim::Unreachable => FailureKind::Unreachable,
                _ => FailureKind::Always,
            };
            // Put into words while nothing is borrowed: that calls code of the program.
            let message = format!("{detail}, at {}:{}", oracle.module, oracle.line);
            w.kernel().fail_with(Failure::new(kind, oracle.name, message));
        }
    });
}
