//! Where the values of decisions come from.

use super::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the values of decisions come from. Application randomness and the order of equal deadlines always
/// come from the seed: they have no boring value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Every decision is drawn from the seed.
    Seeded(u64),
    /// Only what is listed deviates from the boring run.
    Explicit {
        /// Feeds application randomness.
        seed: u64,
        /// The values that are not 0.
        deviations: Arc<BTreeMap<Name, u64>>,
    },
    /// Drawn from one seed until an instant and from another afterwards: tells when a failure became
    /// inevitable.
    Spliced {
        /// The seed at first.
        seed: u64,
        /// The instant from which the other seed draws, ns of virtual time.
        until: u64,
        /// The seed from then on.
        then: u64,
    },
}

impl Source {
    /// The seed that decides what is drawn at `now`.
    pub fn seed(&self, now: u64) -> u64 {
        match *self {
            Source::Seeded(seed) | Source::Explicit { seed, .. } => seed,
            Source::Spliced { seed, until, then } => {
                if now < until {
                    seed
                } else {
                    then
                }
            }
        }
    }
}
