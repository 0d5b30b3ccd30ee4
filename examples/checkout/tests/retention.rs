//! Decisions are named by their cause: what is taken out of a run leaves nearly everything else as it was. That is what
//! a shrinker lives on.

use checkout::shop::{self, Options, Summary};
use sim::decision::part;
use sim::{Config, Deviation, Kind, Outcome, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn run(config: Config) -> Outcome<Summary> {
    sim::run(config.record(), |sim| shop::run(sim, Options::default()))
}

/// A run in which only what is listed deviates from the boring one.
fn rerun<'a>(seed: u64, listed: impl Iterator<Item = &'a Deviation>) -> Outcome<Summary> {
    let deviations: BTreeMap<_, _> = listed.map(|deviation| (deviation.name, deviation.value)).collect();
    run(Config::seed(seed).source(Source::Explicit { seed, deviations: Arc::new(deviations) }))
}

fn deviations(outcome: Outcome<Summary>) -> Vec<Deviation> {
    outcome.log.expect("the run was recorded").deviations
}

/// The decisions of the network after an instant: their names and their instants.
fn of_network(deviations: &[Deviation], after: u64) -> BTreeSet<(u64, u64)> {
    let of_network = deviations.iter().filter(|d| matches!(d.kind, Kind::Delay | Kind::Loss) && d.at > after);
    of_network.map(|d| (d.name, d.at)).collect()
}

#[test]
#[ignore = "fails since the services keep logs on disk: seed 8 takes another course"]
fn a_run_is_its_deviations() {
    // The first hash map of a thread draws its keys, which is part of the trace: these runs share a thread.
    run(Config::seed(0));
    for seed in 0..10 {
        let seeded = run(Config::seed(seed));
        let (trace, summary) = (seeded.trace, seeded.result.clone());
        let explicit = rerun(seed, deviations(seeded).iter());
        assert_eq!((explicit.trace, explicit.result), (trace, summary), "seed {seed}");
    }
}

/// For each operation or fault (`kind`) of some seeds, one in `every`: the share of the later decisions of the network
/// that keep name and instant when it is taken out, in percent, sorted.
fn shares(kind: Kind, every: usize) -> Vec<usize> {
    let mut shares = Vec::new();
    for seed in 0..25 {
        let all = deviations(run(Config::seed(seed)));
        // A fault that the run did not meet has no particulars, and taking it out says nothing.
        let happened =
            |d: &&Deviation| d.kind == kind && all.iter().any(|other| other.name == part(d.name, 1));
        for taken in all.iter().filter(happened).step_by(every) {
            let without = deviations(rerun(seed, all.iter().filter(|d| d.name != taken.name)));
            let (before, after) = (of_network(&all, taken.at), of_network(&without, taken.at));
            if before.len() >= 100 {
                shares.push(100 * before.intersection(&after).count() / before.len());
            }
        }
    }
    shares.sort_unstable();
    shares
}

#[track_caller]
fn assert_kept(what: &str, shares: &[usize]) {
    assert!(shares.len() >= 25, "only {} measured", shares.len());
    let median = shares[shares.len() / 2];
    assert!(median >= 90, "without {what}, a median of {median} % is kept: {shares:?}");
}

#[test]
#[ignore = "fails since the services keep logs on disk: 83 % is kept"]
fn without_an_operation_the_later_decisions_keep_name_and_instant() {
    assert_kept("an operation", &shares(Kind::Op, 10));
}

#[test]
fn without_a_fault_the_later_decisions_keep_name_and_instant() {
    assert_kept("a fault", &shares(Kind::Fault, 1));
}
