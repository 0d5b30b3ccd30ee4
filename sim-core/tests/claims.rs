//! What code claims with `always!`, `sometimes!`, `reachable!` and `unreachable!`, in one run.
#![forbid(unsafe_code)]

use sim_core::oracle::{Claim, Seen};
use sim_core::{Config, Failure, FailureKind, Sim, run, time::sleep};
use sim_hooks::{always, reachable, sometimes};
use std::cell::Cell;
use std::time::Duration;

/// A till that, with the bug, gives more back than it took.
async fn till(sim: Sim, bug: bool) {
    for paid in 0..10u32 {
        sleep(Duration::from_millis(1)).await;
        let back = if bug && paid == 7 { paid + 1 } else { paid };
        always!(back <= paid, "no more is given back than was paid", "{back} of {paid}");
        sometimes!(paid == 3, "three was paid");
        if back > paid {
            sim_hooks::unreachable!("the till pays");
        }
    }
    let _ = sim;
    reachable!("the till is closed");
}

fn failure(bug: bool) -> Option<Failure> {
    run(Config::seed(1), |sim| till(sim, bug)).result.err()
}

#[test]
fn a_claim_that_does_not_hold_fails_the_run_under_its_own_name() {
    let failure = failure(true).unwrap();
    assert_eq!(failure.signature(), "always no more is given back than was paid");
    assert!(failure.message.starts_with("8 of 7, at claims:"), "{}", failure.message);
    assert_eq!(failure.at, Duration::from_millis(8));
}

#[test]
fn the_mended_till_passes() {
    assert_eq!(failure(false), None);
}

#[test]
fn a_place_that_is_not_to_be_reached_fails_the_run() {
    let outcome = run(Config::seed(1), |_| async {
        sim_hooks::unreachable!("here", "with {}", 3);
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!(
        (failure.kind, failure.signature()),
        (FailureKind::Unreachable, "unreachable here".to_owned())
    );
    assert!(failure.message.starts_with("with 3, at claims:"), "{}", failure.message);
}

#[test]
fn a_run_counts_what_it_looked_at() {
    let outcome = run(Config::seed(1), |sim| till(sim, false));
    let seen = |claim, name: &str, asked, held| Seen { claim, name: name.to_owned(), asked, held };
    let expected = [
        seen(Claim::Always, "no more is given back than was paid", 10, 10),
        seen(Claim::Sometimes, "three was paid", 10, 1),
        seen(Claim::Reachable, "the till is closed", 1, 1),
    ];
    assert_eq!(outcome.claims, expected);
    let next = run(Config::seed(1), |_| async {});
    assert_eq!(next.claims, [], "the next run starts with nothing");
}

#[test]
fn claims_change_no_trace() {
    let plain = run(Config::seed(1), |_| async { sleep(Duration::from_millis(1)).await });
    let claiming = run(Config::seed(1), |_| async {
        sometimes!(false, "changes nothing");
        sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(plain.trace, claiming.trace);
}

#[test]
fn outside_nothing_is_looked_at() {
    drop(run(Config::seed(1), |_| async {}));
    let asked = Cell::new(0);
    let ask = || {
        asked.set(asked.get() + 1);
        false
    };
    always!(ask(), "looked at inside alone");
    sometimes!(ask(), "looked at inside alone");
    sim_hooks::unreachable!("reached outside");
    assert_eq!(asked.get(), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn the_catalogue_has_what_was_never_reached() {
    fn never() {
        reachable!("only in the catalogue");
    }
    let _: fn() = never;
    let catalogue = sim_hooks::catalogue();
    let oracle = catalogue.iter().find(|oracle| oracle.name == "only in the catalogue").unwrap();
    assert_eq!((oracle.module, oracle.claim), ("claims", sim_hooks::Claim::Reachable));
    let here = "claims::the_catalogue_has_what_was_never_reached::never";
    assert!(oracle.function().starts_with(here), "{}", oracle.function());
    assert!(catalogue.iter().all(|oracle| !oracle.name.is_empty()));
    assert_eq!(catalogue.len(), sim_hooks::catalogue().len(), "each is there once");
}
