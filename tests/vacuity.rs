//! Sweeps that tested nothing do not look green.

use sim::oracle::{Claim, Seen};
use sim::prelude::*;
use sim::{Isolate, Missing, SweepReport, sweep};
use std::time::Duration;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A node that works for a minute, under a nemesis; by mistake that has nothing it may do.
async fn under_faults(sim: Sim, mistake: bool) {
    sim.node("worker").run(|| async { sim::time::sleep(secs(3600)).await });
    let swarm = Swarm::default().during(secs(1)..secs(60));
    sim.nemesis(if mistake { swarm.only(Vec::<String>::new()) } else { swarm });
    sim::time::sleep(secs(60)).await;
    sim.heal().await;
}

fn threads(seeds: u64) -> sim::Sweep<'static, ()> {
    sweep(0..seeds).isolate(Isolate::Thread)
}

#[test]
fn faults_that_were_disabled_by_mistake_make_a_sweep_vacuous() {
    let broken = threads(100).run(|sim| under_faults(sim, true));
    assert!(broken.failures.is_empty());
    assert_eq!((broken.vacuous, broken.missing.clone()), (true, vec![Missing::Faults]));
    assert!(!broken.is_clean());
    assert_eq!(broken.missing[0].to_string(), "no fault fired, although faults were on");
}

#[test]
fn faults_that_fire_do_not() {
    let mended = threads(100).run(|sim| under_faults(sim, false));
    assert_eq!((mended.is_clean(), mended.missing), (true, vec![]));
}

#[test]
fn below_the_stated_number_it_is_only_told() {
    let few = threads(99).run(|sim| under_faults(sim, true));
    assert_eq!((few.is_clean(), few.missing), (true, vec![Missing::Faults]));
    let many = threads(99).vacuous_after(99).run(|sim| under_faults(sim, true));
    assert!(many.vacuous);
}

#[test]
fn a_nemesis_that_is_never_let_loose_is_missed_where_one_is_expected() {
    let quiet = |sweep: sim::Sweep<'static, ()>| sweep.run(|_| async {});
    assert!(quiet(threads(100)).is_clean(), "a sweep without faults may be meant so");
    assert_eq!(quiet(threads(100).expects_faults()).missing, [Missing::Nemesis]);
}

/// A client whose operations are all refused, or not.
async fn client(sim: Sim, refused: bool) {
    let mut ops = sim.node("client").ops(3).every(secs(1));
    while let Some(op) = ops.next().await {
        if refused { op.failed("refused") } else { op.succeeded() }
    }
}

#[test]
fn a_sweep_in_which_no_operation_succeeds_is_vacuous() {
    let refused = threads(100).run(|sim| client(sim, true));
    assert_eq!((refused.vacuous, refused.missing), (true, vec![Missing::Operations]));
    assert!(threads(100).run(|sim| client(sim, false)).is_clean());
}

/// Claims of code that a sweep comes by, or does not.
mod cache {
    pub fn look_up(hit: bool) {
        sim::sometimes!(hit, "the cache had it");
    }

    #[allow(dead_code)]
    pub fn evict() {
        sim::reachable!("something was evicted");
    }

    pub const EVICT: fn() = evict;
}

fn missing(report: &SweepReport) -> Vec<String> {
    report.missing.iter().map(ToString::to_string).collect()
}

#[test]
fn what_runs_looked_at_and_never_saw_is_missing() {
    let never = threads(100).run(|_| async { cache::look_up(false) });
    assert_eq!(missing(&never), ["sometimes \"the cache had it\": held in none of 100 times"]);
    assert!(never.vacuous);
    let once = threads(100).run(|sim| async move { cache::look_up(sim.seed() == 77) });
    assert!(once.is_clean() && once.missing.is_empty());
    let name = "the cache had it".to_owned();
    assert_eq!(once.claims, [Seen { claim: Claim::Sometimes, name, asked: 100, held: 1 }]);
}

#[test]
#[cfg(target_os = "linux")]
fn what_stands_in_the_test_itself_is_to_be_seen() {
    let report = threads(100).run(|sim| async move {
        if sim.seed() > 1000 {
            reachable!("a seed of more than a thousand");
        }
        if sim.seed() > 10 {
            reachable!("a seed of more than ten");
        }
    });
    assert_eq!(missing(&report), ["reachable \"a seed of more than a thousand\": never reached"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_module_that_is_expected_is_to_be_seen_whole() {
    std::hint::black_box(cache::EVICT);
    let report = threads(100).expects("vacuity::cache").run(|_| async { cache::look_up(true) });
    assert_eq!(missing(&report), ["reachable \"something was evicted\": never reached"]);
}

#[test]
fn counts_come_back_from_processes() {
    let report = sweep(0..30).run(|sim| async move { cache::look_up(sim.seed().is_multiple_of(3)) });
    let name = "the cache had it".to_owned();
    assert_eq!(report.claims, [Seen { claim: Claim::Sometimes, name, asked: 30, held: 10 }]);
    let never = sweep(0..30).vacuous_after(30).run(|_| async { cache::look_up(false) });
    assert!(never.vacuous);
}

/// The canary: a test of many seeds that never sees what it is to see must fail.
#[sim_test(seeds = 100, isolate = "thread")]
#[should_panic(expected = "test a_test_that_sees_nothing_fails is vacuous: its 100 runs passed")]
async fn a_test_that_sees_nothing_fails() {
    sometimes!(false, "something is seen");
}

#[sim_test(seeds = 100, isolate = "thread", vacuous_after = 101)]
async fn unless_it_says_from_when_on_that_counts() {
    sometimes!(false, "something is seen");
}

#[sim_test(seeds = 100)]
#[should_panic(expected = "sometimes \"something is seen\": held in none of 100 times")]
async fn in_processes_too() {
    sometimes!(false, "something is seen");
}

#[sim_test(seeds = 100, isolate = "thread")]
async fn a_test_that_sees_what_it_is_to_see_passes(sim: Sim) {
    sometimes!(sim.seed().is_multiple_of(2), "an even seed");
    sometimes!(!sim.seed().is_multiple_of(2), "an odd seed");
}
