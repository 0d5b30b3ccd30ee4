//! Whether many runs tested anything: what they were to see and never did.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sim_core::oracle::{Claim, Seen};

use crate::Run;

/// From so many runs on, a test or sweep that misses something fails as vacuous, unless it says otherwise; with fewer runs
/// that is only told, since chance may be to blame.
pub const VACUOUS_AFTER: u64 = 100;

/// What was to be seen and never was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Missing {
    /// A nemesis was let loose, and no fault of its plan ever began.
    Faults,
    /// There was to be a nemesis, and none was let loose.
    Nemesis,
    /// Clients had operations to do, and none was ever said to have succeeded.
    Operations,
    /// A `sometimes!` never held, or a `reachable!` was never reached.
    Claim {
        /// Which of the two.
        #[serde(with = "sim_core::oracle::word")]
        claim: Claim,
        /// Its name.
        name: String,
        /// How often it was looked at.
        asked: u64,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Faults => f.write_str("no fault fired, although faults were on"),
            Missing::Nemesis => f.write_str("no fault fired: sim.nemesis(..) was never called"),
            Missing::Operations => {
                f.write_str("no operation succeeded: none was told to have, with op.succeeded()")
            }
            Missing::Claim { claim, name, asked: 0 } => write!(f, "{claim} {name:?}: never reached"),
            Missing::Claim { claim, name, asked } => {
                write!(f, "{claim} {name:?}: held in none of {asked} times")
            }
        }
    }
}

/// What all runs of a test or sweep saw together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    nemeses: u64,
    /// In how many runs.
    fired: u64,
    clients: u64,
    succeeded: u64,
    claims: BTreeMap<(Claim, String), (u64, u64)>,
}

impl Tally {
    pub(crate) fn add<T>(&mut self, run: &Run<T>) {
        self.nemeses += run.stats.nemeses;
        self.clients += run.stats.clients;
        self.succeeded += run.stats.ops_succeeded;
        self.fired += u64::from(run.faults.iter().any(|fault| fault.slot.is_some() && fault.happened()));
        for Seen { claim, name, asked, held } in &run.claims {
            let sum = self.claims.entry((*claim, name.clone())).or_default();
            *sum = (sum.0 + asked, sum.1 + held);
        }
    }

    /// What is missing. Claims that no run looked at count where they stand in one of the `places`, which are paths of
    /// functions or modules.
    pub(crate) fn missing(&self, places: &[String], faults: bool) -> Vec<Missing> {
        let mut missing = Vec::new();
        match (self.nemeses, self.fired) {
            (0, 0) if faults => missing.push(Missing::Nemesis),
            (0, 0) | (_, 1..) => {}
            (_, 0) => missing.push(Missing::Faults),
        }
        if self.clients > 0 && self.succeeded == 0 {
            missing.push(Missing::Operations);
        }
        let never = self.to_be_seen(places).filter(|(_, (_, held))| *held == 0);
        missing.extend(never.map(|((claim, name), (asked, _))| Missing::Claim { claim, name, asked }));
        missing
    }

    /// What was to be seen, how often it was looked at and how often it was there: sums that parts of a sweep can add up.
    pub(crate) fn sums(&self, places: &[String]) -> BTreeMap<String, (u64, u64)> {
        let mut sums = BTreeMap::new();
        if self.nemeses > 0 {
            sums.insert("a fault of a nemesis".to_owned(), (self.nemeses, self.fired));
        }
        if self.clients > 0 {
            sums.insert("an operation that succeeded".to_owned(), (self.clients, self.succeeded));
        }
        sums.extend(self.to_be_seen(places).map(|((claim, name), sum)| (format!("{claim} {name:?}"), sum)));
        sums
    }

    /// Claims that have to hold at some time, with those in `places` that no run looked at.
    fn to_be_seen(&self, places: &[String]) -> impl Iterator<Item = ((Claim, String), (u64, u64))> {
        let mut claims = self.claims.clone();
        for oracle in sim_hooks::catalogue() {
            let (module, function) = (oracle.module, oracle.function());
            if places.iter().any(|place| is_in(module, place) || is_in(function, place)) {
                claims.entry((oracle.claim, oracle.name.to_owned())).or_default();
            }
        }
        claims.into_iter().filter(|((claim, _), _)| claim.must_be_seen())
    }

    /// All that was looked at.
    pub(crate) fn claims(self) -> Vec<Seen> {
        let seen = |((claim, name), (asked, held))| Seen { claim, name, asked, held };
        self.claims.into_iter().map(seen).collect()
    }
}

/// Whether a path is that place or lies below it.
fn is_in(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The path of the function in which a body is written, by the name of the body's type.
pub(crate) fn function_of<F>(_body: &F) -> String {
    let mut path = std::any::type_name::<F>();
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_whole_steps_of_a_path() {
        assert!(is_in("shop::order::place", "shop::order"));
        assert!(is_in("shop::order", "shop::order"));
        assert!(!is_in("shop::orders", "shop::order"));
        assert!(!is_in("shop", "shop::order"));
    }

    #[test]
    fn a_body_is_known_by_its_function() {
        let body = |x: u8| async move { x };
        let outer = "sim_run::vacuity::tests::a_body_is_known_by_its_function";
        assert_eq!(function_of(&body), outer);
        fn named() {}
        assert_eq!(function_of(&named), format!("{outer}::named"));
    }
}
