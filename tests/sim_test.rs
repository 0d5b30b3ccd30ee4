//! `#[sim_test]` as the test harness sees it: attributes, arguments, the environment, and what a failure says.
//!
//! Tests that must fail are `#[should_panic]` subjects, which other tests start again to read what they print.

use std::process::Command;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;
use sim::{Sim, sim_test, time};

#[sim_test]
async fn needs_no_parameter() {
    time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(Sim::current().elapsed(), Duration::from_secs(3600));
}

#[sim_test(seeds = 7..9)]
async fn is_given_the_simulation(sim: Sim) {
    assert!((7..9).contains(&sim.seed()));
}

#[sim_test(seeds = 3, time_limit = "2h", schedule = "fifo", isolate = "thread", check_determinism)]
async fn may_return_a_result(sim: Sim) -> Result<(), sim::JoinError> {
    sim.node("a").spawn(time::sleep(Duration::from_secs(1))).await?;
    Ok(())
}

#[sim_test(crate = ::sim, seeds = 2)]
async fn finds_the_facade_elsewhere() {}

#[sim_test(seeds = 20)]
async fn draws_its_arguments(
    sim: Sim,
    #[strategy(vec(0..100u32, 1..40))] carts: Vec<u32>,
    #[strategy((any::<bool>(), "[a-z]{3}"))] (member, name): (bool, String),
) {
    assert!((1..40).contains(&carts.len()) && carts.iter().all(|cart| *cart < 100));
    assert_eq!(name.len(), 3);
    // Drawn before anything happens, so that it is no part of the course of the run.
    assert_eq!(sim.elapsed(), Duration::ZERO);
    let _ = member;
}

#[sim_test(seeds = 2)]
async fn draws_the_first_argument_too(#[strategy(5..6u8)] five: u8) {
    assert_eq!(five, 5);
}

#[rstest]
#[case(1)]
#[case(2)]
#[test_attr(sim_test(seeds = 5..7))]
async fn runs_the_cases_of_rstest(#[case] number: u64) {
    time::sleep(Duration::from_secs(number)).await;
    assert!((1..3).contains(&number));
    assert_eq!(Sim::current().elapsed(), Duration::from_secs(number));
    assert!((5..7).contains(&Sim::current().seed()));
}

#[rstest]
#[case(3)]
#[sim::test(seeds = 5..7)]
async fn runs_the_cases_of_rstest_by_its_short_name(#[case] number: u64) {
    time::sleep(Duration::from_secs(number)).await;
    assert_eq!(Sim::current().elapsed(), Duration::from_secs(3));
}

#[sim_test]
#[ignore = "to see that it is"]
async fn stays_ignored() {
    panic!("this test was not ignored");
}

#[cfg(any())]
#[sim_test]
async fn stays_configured_out() -> NoSuchType {}

macro_rules! inside_of_a_macro {
    ($name:ident, $seeds:literal) => {
        #[sim_test(seeds = $seeds)]
        async fn $name(sim: Sim) {
            let _ = sim;
        }
    };
}
inside_of_a_macro!(comes_out_of_a_macro, 2);

mod subjects {
    use super::*;

    #[sim_test(seeds = 5..50)]
    #[should_panic(expected = "with seed 9")]
    async fn fails_from_seed_nine(sim: Sim) {
        let payment = sim.node("payment");
        let charge = payment.spawn(async move {
            time::sleep(Duration::from_millis(1250)).await;
            tracing::debug!(amount = 7, "charging");
            assert!(sim.seed() < 9, "charged twice");
        });
        let _ = charge.await;
    }

    #[sim_test]
    #[should_panic(expected = "error: the shop is closed")]
    async fn returns_an_error() -> Result<(), String> {
        time::sleep(Duration::from_secs(3)).await;
        Err("the shop is closed".to_owned())
    }

    #[cfg(unix)]
    #[sim_test(seeds = 4)]
    #[should_panic(expected = "signature: crash SIGABRT")]
    async fn aborts(sim: Sim) {
        let job = sim.node("payment").spawn(async {
            time::sleep(Duration::from_secs(2)).await;
            eprintln!("the last words");
            std::process::abort();
        });
        let _ = job.await;
    }

    #[cfg(unix)]
    #[sim_test(check_determinism, seeds = 4)]
    #[should_panic(expected = "signature: nondeterminism")]
    async fn asks_for_its_process() {
        time::sleep(Duration::from_nanos(std::process::id().into())).await;
    }

    /// Wakes itself from a thread of the operating system.
    async fn is_woken_from_outside() {
        Sim::current().allow(["pthread_create"]);
        let mut waits = true;
        std::future::poll_fn(move |cx| {
            if !std::mem::replace(&mut waits, false) {
                return std::task::Poll::Ready(());
            }
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            std::task::Poll::Pending
        })
        .await;
    }

    #[sim_test(seeds = 3..6)]
    async fn passes_with_a_foreign_wake() {
        is_woken_from_outside().await;
    }

    #[sim_test(seeds = 3..6)]
    #[should_panic(expected = "other operating-system threads")]
    async fn fails_with_a_foreign_wake() {
        is_woken_from_outside().await;
        panic!("after the wake");
    }

    #[sim_test(seeds = 1, time_limit = "1m")]
    #[should_panic(expected = "signature: time-limit")]
    async fn takes_too_long() {
        time::sleep(Duration::from_secs(61)).await;
    }
}

/// What a fresh process prints that runs this subject, and whether it succeeds.
fn run(subject: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("subjects::{subject}"), "--exact", "--nocapture"])
        .env_remove("RUST_BACKTRACE")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// The message with which the subject panics.
fn message(subject: &str, variables: &[(&str, &str)]) -> String {
    let (_, text) = run(subject, variables);
    let (_, message) = text.split_once(" panicked at ").unwrap_or_else(|| panic!("no panic in: {text}"));
    let (_place, message) = message.split_once('\n').unwrap();
    message.split("\nnote: run with `RUST_BACKTRACE").next().unwrap().to_owned()
}

/// The line of the message that has this in it.
#[track_caller]
fn has(message: &str, part: &str) {
    assert!(message.contains(part), "{part:?} is missing in:\n{message}");
}

#[test]
fn a_failure_says_what_where_when_and_how_to_replay() {
    let message = message("fails_from_seed_nine", &[]);
    has(&message, "test subjects::fails_from_seed_nine failed with seed 9 (run 5 of 45)");
    has(&message, "panic: charged twice");
    has(&message, "at tests/sim_test.rs:");
    has(&message, "at 1.25s of virtual time, on node payment, in the task spawned at tests/sim_test.rs:");
    has(&message, "signature: panic tests/sim_test.rs:");
    has(
        &message,
        "replay: SIM_SEED=9 cargo test -p sim --test sim_test subjects::fails_from_seed_nine -- --exact",
    );
    assert!(message.lines().count() <= 25, "{message}");
}

#[test]
fn the_line_that_replays_replays() {
    let replayed = message("fails_from_seed_nine", &[("SIM_SEED", "9")]);
    has(&replayed, "failed with seed 9 (run 1 of 1)");
    has(&replayed, "at 1.25s of virtual time, on node payment");
    let (passed, text) = run("fails_from_seed_nine", &[("SIM_SEED", "8")]);
    assert!(!passed && text.contains("did not panic as expected"), "{text}");
}

#[test]
fn a_failure_is_the_same_whoever_runs_the_seed() {
    let without_count = |message: String| message.replace(" (run 5 of 45)", "").replace(" (run 1 of 1)", "");
    let expected = without_count(message("fails_from_seed_nine", &[]));
    for variables in [
        &[("SIM_JOBS", "1")][..],
        &[("SIM_JOBS", "2")],
        &[("SIM_SEED", "9")],
        &[("SIM_SEED", "9"), ("SIM_FORK", "0")],
    ] {
        assert_eq!(without_count(message("fails_from_seed_nine", variables)), expected, "{variables:?}");
    }
}

#[test]
fn a_schedule_that_was_asked_for_is_part_of_the_replay() {
    let message = message("fails_from_seed_nine", &[("SIM_SCHEDULE", "pct(2,100)")]);
    has(&message, "replay: SIM_SCHEDULE='pct(2,100)' SIM_SEED=9 cargo test");
}

#[cfg(unix)]
#[test]
fn the_death_of_a_process_has_a_place_in_virtual_time() {
    let message = message("aborts", &[]);
    has(&message, "crash: the process aborted (SIGABRT): the last words");
    has(&message, "after 2s of virtual time, on node payment");
    has(&message, "| the last words");
}

#[cfg(unix)]
#[test]
fn nondeterminism_shows_both_courses() {
    let message = message("asks_for_its_process", &[]);
    has(&message, "two runs of this seed took different courses");
    has(&message, "first:  trace ");
    has(&message, "second: trace ");
}

#[test]
fn what_the_simulator_remarks_is_shown() {
    let wake = "1 wakes came from other operating-system threads: their timing cannot be reproduced";
    let (passed, text) = run("passes_with_a_foreign_wake", &[]);
    assert!(passed, "{text}");
    let note = format!(
        "sim: note on the test subjects::passes_with_a_foreign_wake, seed 3: {wake} (and 2 runs more)"
    );
    assert_eq!(text.matches(&note).count(), 1, "{text}");
    has(&message("fails_with_a_foreign_wake", &[]), &format!("\n  note: {wake}\n"));
    let without = message("fails_from_seed_nine", &[]);
    assert!(!without.contains("note:"), "{without}");
}

#[test]
fn the_environment_chooses_seeds() {
    let chosen = message("returns_an_error", &[("SIM_SEEDS", "100..103")]);
    has(&chosen, "seed 100 (run 1 of 3)");
    let first = |variables: &[_]| {
        let message = message("returns_an_error", variables);
        let (_, rest) = message.split_once("with seed ").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let default = first(&[]);
    assert_eq!(first(&[("SIM_SEEDS", "7")]), default);
    assert_eq!(first(&[("SIM_SEED", "0x2A")]), 42);
    // nextest: repetitions are other seeds, retries the same ones.
    assert_eq!(first(&[("NEXTEST_STRESS_CURRENT", "2")]), default + 2 * 32);
    assert_eq!(first(&[("NEXTEST_STRESS_CURRENT", "2"), ("SIM_SEEDS", "10")]), default + 2 * 10);
    assert_eq!(first(&[("NEXTEST_STRESS_CURRENT", "none"), ("NEXTEST_ATTEMPT", "3")]), default);
    assert_eq!(first(&[("NEXTEST_STRESS_CURRENT", "2"), ("SIM_SEED", "5")]), 5);
}

#[test]
fn a_value_that_cannot_be_used_is_named() {
    let message = message("returns_an_error", &[("SIM_SEEDS", "many")]);
    has(&message, "SIM_SEEDS=\"many\" cannot be used: expected how many seeds");
}

#[test]
fn the_log_has_virtual_time_and_node() {
    let lines = " 1.250000000 payment DEBUG sim_test::subjects: charging amount=7";
    for variables in [
        &[("SIM_LOG", "debug")][..],
        &[("SIM_LOG", "debug"), ("SIM_SEED", "9")],
        &[("SIM_LOG", "debug"), ("SIM_SEED", "9"), ("SIM_FORK", "0")],
    ] {
        let (_, text) = run("fails_from_seed_nine", variables);
        assert!(text.contains(lines), "{variables:?}: {text}");
    }
    let (_, text) = run("fails_from_seed_nine", &[("SIM_LOG", "sim_test=info")]);
    assert!(!text.contains("charging"), "{text}");
}

#[test]
fn one_seed_at_a_time_runs_without_a_child() {
    let message = message("returns_an_error", &[("SIM_FORK", "0")]);
    has(&message, "choose it with SIM_SEED");
}
