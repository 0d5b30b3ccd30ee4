//! A seed has one trace, however it is run. Each run has a process of its own: the libraries that serve HTTP count through a
//! process, and would see what another test in it did.

use checkout::shop::{self, Options, Summary};
use sim::{Builder, Run, sweep};
use std::collections::BTreeMap;

fn traces(seeds: Vec<u64>) -> BTreeMap<u64, u64> {
    let mut traces = BTreeMap::new();
    sweep(seeds)
        .on_run(|run: &Run<Summary>| {
            traces.insert(run.seed, run.trace);
        })
        .run(|sim| shop::run(sim, Options::default()));
    traces
}

#[test]
fn a_seed_alone_has_the_trace_that_it_has_in_a_sweep_of_any_order() {
    let forwards = traces((0..40).collect());
    let backwards = traces((0..40).rev().collect());
    assert_eq!(forwards, backwards);
    for seed in [0, 17, 39] {
        let alone = Builder::new().seed(seed).run(|sim| shop::run(sim, Options::default()));
        assert_eq!(alone.trace, forwards[&seed], "seed {seed}");
    }
}

#[test]
fn seeds_differ() {
    let traces = traces((0..40).collect());
    let mut different: Vec<_> = traces.values().collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), traces.len());
}
