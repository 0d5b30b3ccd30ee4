//! What code claims with the macros of `sim-hooks`, counted in each run.

use crate::failure::{Failure, FailureKind};
use crate::world;
use serde::{Deserialize, Serialize};
use sim_hooks::{Claim, Oracle};
use std::collections::BTreeMap;
use std::fmt;

/// What a run saw of a claim: places with the same claim and name are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What was claimed.
    #[serde(with = "word")]
    pub claim: Claim,
    /// Its name.
    pub name: String,
    /// How often it was looked at.
    pub asked: u64,
    /// How often it held.
    pub held: u64,
}

/// Claims as their words, for `#[serde(with = "sim_core::oracle::word")]`: `sim-hooks` links nothing, and so knows no serde.
pub mod word {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use sim_hooks::Claim;

    /// Writes the word.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(claim: &Claim, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(claim.word())
    }

    /// Reads the word.
    ///
    /// # Errors
    /// Those of the format, and for a word that is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Claim, D::Error> {
        let word = String::deserialize(from)?;
        let known = Claim::ALL.into_iter().find(|claim| claim.word() == word);
        known.ok_or_else(|| D::Error::custom(format!("{word:?} is no claim")))
    }
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
            let sum = seen.entry((oracle.claim, oracle.name)).or_default();
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
            !held && !oracle.claim.must_be_seen() && !kernel.has_failed()
        };
        if broken {
            let kind = match oracle.claim {
                Claim::Unreachable => FailureKind::Unreachable,
                _ => FailureKind::Always,
            };
            // Put into words while nothing is borrowed: that calls code of the program.
            let message = format!("{detail}, at {}:{}", oracle.module, oracle.line);
            w.kernel().fail_with(Failure::new(kind, oracle.name, message));
        }
    });
}
