//! The swarm over workloads: runs differ in how busy their clients are and in what these prefer to do.
//!
//! As with the families of faults, it follows from the seed and from names, and is no decision: the decisions are the
//! operations.

use crate::decision::ROOT;
use crate::hash::{below, h, text};

/// Of a hundred operations that a client may do in a run, how many take place: all in half of the runs.
pub(super) fn density(seed: u64, client: u64) -> u64 {
    match below(h(of(seed, 1), client), 6) {
        0 => 25,
        1 => 50,
        2 => 75,
        _ => 100,
    }
}

/// One run in so many has the weights as they are given.
const AS_GIVEN: u64 = 5;
/// In others, one kind in so many is off, and the others weigh up to [`FULL`] times their weight.
const OFF: u64 = 4;
const FULL: u64 = 8;

/// The weights of this run. Never are all of them zero.
pub(super) fn weights(seed: u64, given: &[(String, u32)]) -> Vec<u64> {
    let plain = || given.iter().map(|(_, weight)| u64::from(*weight)).collect();
    let seed = of(seed, 2);
    if below(seed, AS_GIVEN) == 0 {
        return plain();
    }
    let drawn = |(kind, weight): &(String, u32)| {
        let of_kind = h(seed, text(kind));
        if below(of_kind, OFF) == 0 { 0 } else { u64::from(*weight) * (1 + below(h(of_kind, 1), FULL)) }
    };
    let weights: Vec<u64> = given.iter().map(drawn).collect();
    if weights.iter().all(|weight| *weight == 0) { plain() } else { weights }
}

fn of(seed: u64, what: u64) -> u64 {
    h(h(h(seed, ROOT), text("workload")), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(weights: &[u32]) -> Vec<(String, u32)> {
        weights.iter().enumerate().map(|(i, &weight)| (format!("kind {i}"), weight)).collect()
    }

    #[test]
    fn a_kind_is_off_in_some_runs_and_all_are_off_in_none() {
        let kinds = given(&[3, 2, 1]);
        let runs: Vec<_> = (0..1000).map(|seed| weights(seed, &kinds)).collect();
        for kind in 0..3 {
            let off = runs.iter().filter(|weights| weights[kind] == 0).count();
            assert!((120..280).contains(&off), "kind {kind} is off in {off} of 1000 runs");
        }
        assert!(runs.iter().all(|weights| weights.iter().sum::<u64>() > 0));
        let as_given = runs.iter().filter(|weights| **weights == [3, 2, 1]).count();
        assert!(as_given > 150, "{as_given} of 1000");
        let distinct: std::collections::BTreeSet<_> = runs.iter().collect();
        assert!(distinct.len() > 100, "{} mixtures", distinct.len());
    }

    #[test]
    fn what_weighs_nothing_never_weighs_anything() {
        let kinds = given(&[0, 1]);
        assert!((0..200).all(|seed| weights(seed, &kinds)[0] == 0 && weights(seed, &kinds)[1] > 0));
    }

    #[test]
    fn what_a_seed_prefers_is_pinned() {
        let runs: Vec<_> = (0..4).map(|seed| weights(seed, &given(&[60, 12, 20]))).collect();
        let busy: Vec<_> = (0..8).map(|seed| density(seed, text("shopper"))).collect();
        assert_eq!(format!("{runs:?} {busy:?}"), PINNED);
    }
    const PINNED: &str =
        "[[60, 12, 20], [480, 60, 20], [420, 12, 120], [240, 72, 40]] [75, 100, 100, 100, 75, 50, 100, 25]";
}
