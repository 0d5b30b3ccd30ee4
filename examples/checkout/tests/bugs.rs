//! Each planted bug is found, with its own signature; never without the faults that it needs; and never when it is not
//! planted.

use checkout::Bug;
use checkout::chaos::GATEWAY;
use checkout::invariants;
use checkout::shop::{self, Options};
use command::{Faults, Planted};
use sim::{Config, Failure};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Within so many seeds a bug must show: some show in one of two hundred.
const BOUND: u64 = 3_000;
/// So many seeds, besides those up to the first that showed the bug, must pass where it cannot show.
const MORE: u64 = 60;

fn first_failure(mut seeds: Range<u64>, faults: &Faults, bug: Option<Bug>) -> Option<(u64, Failure)> {
    let options = Options { faults: faults.clone(), bug };
    seeds.find_map(|seed| {
        let outcome = sim::run(Config::seed(seed), |sim| shop::run(sim, options.clone()));
        outcome.result.err().map(|failure| (seed, failure))
    })
}

#[track_caller]
fn assert_clean(seeds: Range<u64>, faults: Faults, bug: Option<Bug>) {
    if let Some((seed, failure)) = first_failure(seeds, &faults, bug) {
        panic!("seed {seed} with bug {bug:?}, {faults:?}: {failure}");
    }
}

/// Finds the bug; the mended version passes that seed, and the bug does not show where nothing that it needs goes wrong.
fn is_found(bug: Bug) {
    let found = first_failure(0..BOUND, &Faults::on(), Some(bug));
    let (seed, failure) = found.unwrap_or_else(|| panic!("{bug} shows in none of {BOUND} seeds"));
    assert_eq!(failure.signature(), bug.signature(), "seed {seed}: {failure}");
    assert_clean(seed..seed + 1, Faults::on(), None);
    if let Some(family) = bug.needs() {
        assert_clean(seed.saturating_sub(MORE)..seed + MORE, Faults::on().without(family), Some(bug));
    }
}

/// Finds the bug where nothing goes wrong at all.
fn is_found_in_calm(bug: Bug) {
    assert_eq!(bug.needs(), None);
    let found = first_failure(0..BOUND, &Faults::off(), Some(bug));
    let (seed, failure) = found.unwrap_or_else(|| panic!("{bug} shows in none of {BOUND} calm seeds"));
    assert_eq!(failure.signature(), bug.signature(), "seed {seed}: {failure}");
    assert_clean(seed..seed + 1, Faults::off(), None);
}

/// The bug shows only when something goes wrong, whatever it is.
fn is_not_found_in_calm(bug: Bug) {
    assert_clean(0..2 * MORE, Faults::off(), Some(bug));
}

#[test]
fn double_charge() {
    is_found(Bug::DoubleCharge);
}

#[test]
fn no_compensation() {
    is_found(Bug::NoCompensation);
    is_not_found_in_calm(Bug::NoCompensation);
}

#[test]
fn stuck_breaker() {
    is_found(Bug::StuckBreaker);
    is_not_found_in_calm(Bug::StuckBreaker);
}

#[test]
fn ack_before_sync() {
    is_found(Bug::AckBeforeSync);
}

#[test]
fn no_dir_sync() {
    is_found(Bug::NoDirSync);
}

#[test]
fn skewed_lease() {
    is_found(Bug::SkewedLease);
}

#[test]
fn split_saga() {
    is_found(Bug::SplitSaga);
    is_not_found_in_calm(Bug::SplitSaga);
}

#[test]
fn oversell() {
    is_found(Bug::Oversell);
    is_found_in_calm(Bug::Oversell);
}

#[test]
fn lost_wakeup() {
    is_found(Bug::LostWakeup);
}

#[test]
#[ignore = "fails since the services keep logs on disk: it shows in none of 3,000 calm seeds"]
fn lost_wakeup_in_calm() {
    is_found_in_calm(Bug::LostWakeup);
}

#[test]
fn stale_read() {
    is_found(Bug::StaleRead);
    is_found_in_calm(Bug::StaleRead);
}

#[test]
fn signatures_are_of_invariants_that_there_are() {
    for bug in Bug::ALL {
        let signature = bug.signature();
        let (kind, name) = signature.split_once(' ').unwrap();
        assert!(["invariant", "liveness"].contains(&kind) && invariants::ALL.contains(&name), "{signature}");
    }
}

#[test]
fn every_family_of_faults_fires_and_none_that_is_off() {
    let fired = |faults: Faults| {
        let mut fired = BTreeMap::new();
        for seed in 0..150 {
            let options = Options { faults: faults.clone(), bug: None };
            let outcome = sim::run(Config::seed(seed), |sim| shop::run(sim, options));
            // With a core healed a machine has its power cut, which is no fault of the nemesis.
            let faults = outcome.faults.into_iter().filter(|fault| fault.happened() && fault.slot.is_some());
            for fault in faults {
                *fired.entry(fault.family.to_string()).or_insert(0) += 1;
            }
        }
        fired
    };
    let all = fired(Faults::on());
    let families: BTreeSet<_> = all.keys().map(String::as_str).collect();
    for family in ["kill", "power-cut", "pause", "partition", "latency", "loss", "dns", "clock-step", GATEWAY]
    {
        assert!(families.contains(family), "no {family} in {families:?}");
    }
    assert!(fired(Faults::off()).is_empty());
    let without = fired(Faults::on().without("kill").without("clock"));
    assert!(without.keys().all(|family| family != "kill" && !family.starts_with("clock")), "{without:?}");
    assert!(without["power-cut"] > 0);
}
