//! Saved runs: `SIM_REPLAY` as the test harness sees it.
//!
//! Subjects are ignored tests, which other tests start again with a token.

use sim::decision::{self, Kind, below, root};
use sim::{Builder, Isolate, Schedule, Sim, Token, sim_test, time};
use std::process::Command;
use std::time::Duration;

/// Sixteen operations of which each may be absent; the third and the seventh do not go together.
async fn clash(sim: Sim) {
    let mut present = Vec::new();
    for index in 0..16 {
        time::sleep(Duration::from_secs(1)).await;
        if decision::decide(operation(index), Kind::Op, 1, |draw| below(draw, 2)) != 0 {
            present.push(index);
        }
        if present.contains(&3) && present.contains(&7) {
            sim.violated("the third and the seventh do not go together", format!("{present:?}"));
        }
    }
}

fn operation(index: u64) -> decision::Name {
    root(Kind::Op, 1, index)
}

const SIGNATURE: &str = "invariant the third and the seventh do not go together";

#[sim_test]
#[ignore = "a subject"]
async fn subject(sim: Sim) {
    clash(sim).await;
}

#[sim_test]
#[ignore = "a subject"]
async fn another_subject() {}

#[test]
#[ignore = "a subject"]
fn a_run_by_hand() {
    for isolate in [Isolate::Process, Isolate::Thread] {
        let outcome = Builder::new().seed(1).isolate(isolate).run(clash);
        println!(
            "{isolate:?}: {:?} {:?}",
            outcome.result.map_err(|failure| failure.to_string()),
            outcome.notes
        );
    }
}

fn token(test: &str, names: impl IntoIterator<Item = decision::Name>) -> String {
    let deviations = names.into_iter().map(|name| (name, 1)).collect();
    let (test, signature) = (test.to_owned(), SIGNATURE.to_owned());
    Token { test, signature, seed: 5, schedule: Schedule::Fifo, deviations }.to_string()
}

fn start(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--ignored"])
        .env_remove("RUST_BACKTRACE")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is missing in:\n{text}");
}

#[test]
fn a_token_repeats_its_run_and_says_how_it_is_repeated() {
    let token = token("subject", [3, 7, 4].map(operation));
    for more in [&[][..], &[("SIM_FORK", "0")]] {
        let variables = [&[("SIM_REPLAY", &*token)], more].concat();
        let (passed, text) = start("subject", &variables);
        assert!(!passed);
        has(&text, "test subject failed with the saved run of 3 decisions");
        has(&text, &format!("signature: {SIGNATURE}"));
        has(&text, "[3, 4, 7]");
        has(&text, "at 8s of virtual time");
        has(&text, &format!("replay: SIM_REPLAY={token} cargo test -p sim --test replay subject -- --exact"));
    }
}

#[test]
fn a_token_may_be_in_a_file() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("a_token_may_be_in_a_file.txt");
    std::fs::write(&path, format!("{}\n", token("subject", [3, 7].map(operation)))).unwrap();
    let (passed, text) = start("subject", &[("SIM_REPLAY", &format!("@{}", path.display()))]);
    assert!(!passed);
    has(&text, "[3, 7]");
}

#[test]
fn what_no_longer_fits_is_stale_and_never_passed() {
    let thirteen = (0..14).filter(|index| *index != 3).map(operation);
    let token = token("subject", thirteen.chain((50..53).map(operation)));
    let (passed, text) = start("subject", &[("SIM_REPLAY", &token)]);
    assert!(!passed);
    has(&text, "stale: 3 of 16 decisions were never asked for");
    has(&text, SIGNATURE);
}

#[test]
fn what_passes_although_it_fits_says_so() {
    let token = token("subject", [3].map(operation));
    let (passed, text) = start("subject", &[("SIM_REPLAY", &token)]);
    assert!(passed, "{text}");
    has(&text, "the saved run passes now: all 1 decisions were asked for");
}

#[test]
fn a_token_of_another_test_is_refused() {
    let (passed, text) = start("another_subject", &[("SIM_REPLAY", &token("subject", [3].map(operation)))]);
    assert!(!passed);
    has(&text, "SIM_REPLAY holds a run of subject, and this is another_subject");
}

#[test]
fn what_is_no_token_is_refused() {
    let whole = token("subject", [3].map(operation));
    let (passed, text) = start("subject", &[("SIM_REPLAY", &whole[..whole.len() - 2])]);
    assert!(!passed);
    has(&text, "SIM_REPLAY=");
    has(&text, "cannot be used: it is damaged or cut off: copy the whole line");
    let (_, text) = start("subject", &[("SIM_REPLAY", &whole), ("SIM_SEED", "3")]);
    has(&text, "SIM_REPLAY is set, too, and says all of it");
}

#[test]
fn runs_by_hand_honour_a_token() {
    let failing = token("a_run_by_hand", [3, 7].map(operation));
    let (_, text) = start("a_run_by_hand", &[("SIM_REPLAY", &failing)]);
    assert_eq!(text.matches("[3, 7]").count(), 2, "{text}");
    let (_, text) = start("a_run_by_hand", &[("SIM_REPLAY", &token("a_run_by_hand", [90]))]);
    assert_eq!(text.matches("stale: 1 of 1 decisions were never asked for").count(), 2, "{text}");
}
