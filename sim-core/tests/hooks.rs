//! `buggify!` inside and outside of simulations.

use sim_core::time::{Duration, sleep};
use sim_core::{Config, Source, run};
use sim_hooks::{buggify, buggify_knob};
use std::sync::Arc;

/// How often each of two sites fires in a hundred events of a run.
async fn fires() -> [u32; 2] {
    let mut counts = [0; 2];
    for _ in 0..100 {
        sleep(Duration::from_millis(1)).await;
        counts[0] += u32::from(buggify!());
        counts[1] += buggify_knob!(0, 1);
    }
    counts
}

#[test]
fn a_site_is_active_in_a_quarter_of_the_runs_and_fires_a_quarter_of_the_time() {
    let runs: Vec<[u32; 2]> = (0..400).map(|s| run(Config::seed(s), |_| fires()).result.unwrap()).collect();
    for site in 0..2 {
        let active: Vec<u32> = runs.iter().map(|r| r[site]).filter(|n| *n > 0).collect();
        assert!(active.len().abs_diff(100) < 35, "active in {} of 400 runs", active.len());
        let mean = active.iter().sum::<u32>() / active.len() as u32;
        assert!(mean.abs_diff(25) < 4, "{mean} of 100");
    }
    let both = runs.iter().filter(|r| r[0] > 0 && r[1] > 0).count();
    assert!(both < 60, "sites are active independently of each other: {both}");
}

#[test]
fn it_is_a_decision_and_boring_is_false() {
    let seed = (0..).find(|&s| run(Config::seed(s), |_| fires()).result.unwrap()[0] > 0).unwrap();
    let boring = Source::Explicit { seed, deviations: Arc::default() };
    assert_eq!(run(Config::seed(seed).source(boring), |_| fires()).result.unwrap(), [0, 0]);
}

#[test]
fn outside_it_is_false() {
    drop(run(Config::seed(1), |_| async {}));
    assert!((0..100).all(|_| !buggify!()));
}
