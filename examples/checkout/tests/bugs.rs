//! Each planted bug is found, with its own signature; never without the faults that it needs; and never when it is not
//! planted.

use checkout::Bug;
use checkout::chaos::Family;
use checkout::shop::{self, Options, Summary};
use command::{Faults, Planted};
use sim::{Config, Failure};
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

#[track_caller]
fn is_found(bug: Bug, faults: Faults) -> u64 {
    let found = first_failure(0..BOUND, &faults, Some(bug));
    let (seed, failure) = found.unwrap_or_else(|| panic!("{bug} shows in none of {BOUND} seeds"));
    assert_eq!(failure.signature(), bug.signature(), "seed {seed}: {failure}");
    seed
}

#[track_caller]
fn is_found_only_with(bug: Bug, family: Family) {
    assert_eq!(bug.needs(), Some(family.name()));
    let seed = is_found(bug, Faults::on());
    assert_clean(0..seed + 1, Faults::on(), None);
    assert_clean(0..seed + MORE, Faults::on().without(family.name()), Some(bug));
}

#[test]
fn double_charge_needs_the_gateway() {
    is_found_only_with(Bug::DoubleCharge, Family::Gateway);
}

#[test]
fn no_compensation_needs_a_partition() {
    is_found_only_with(Bug::NoCompensation, Family::Partition);
}

#[test]
fn stuck_breaker_needs_a_partition() {
    is_found_only_with(Bug::StuckBreaker, Family::Partition);
}

#[test]
fn oversell_needs_no_faults_at_all() {
    assert_eq!(Bug::Oversell.needs(), None);
    let seed = is_found(Bug::Oversell, Faults::off());
    assert_clean(0..seed + 1, Faults::off(), None);
    is_found(Bug::Oversell, Faults::on());
}

#[test]
fn nothing_is_found_where_no_bug_is() {
    assert_clean(0..MORE, Faults::on(), None);
}

#[test]
fn every_family_of_faults_fires_and_none_that_is_off() {
    let fired = |faults: Faults| {
        let mut sums = Summary::default();
        for seed in 0..60 {
            let options = Options { faults: faults.clone(), bug: None };
            sums += sim::run(Config::seed(seed), |sim| shop::run(sim, options.clone())).result.unwrap();
        }
        sums.fired
    };
    assert!(fired(Faults::on()).iter().all(|times| *times > 0));
    assert_eq!(fired(Faults::off()), [0; Family::ALL.len()]);
    let without_kills = fired(Faults::on().without(Family::Kill.name()));
    assert_eq!(without_kills[Family::Kill as usize], 0);
    assert!(without_kills[Family::Restart as usize] > 0);
}
