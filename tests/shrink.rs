//! Failures are shrunk: what a failing test says, what is saved of it, and that it does not depend on the workers.
//!
//! Subjects are ignored tests, which other tests start again to read what they print.

use sim::fault::Swarm;
use sim::net::NetExt;
use sim::{Isolate, Sim, Token, sim_test, sweep};
use std::process::Command;
use std::time::Duration;

const SIGNATURE: &str = "invariant what is bought is not given back twice";

/// Clients come when all programs run.
const START: Duration = Duration::from_secs(1);

/// Clients buy and give back. The same thing given back twice while a node is down breaks the shop.
async fn shop(sim: Sim) {
    for name in ["stock", "till"] {
        sim.node(name).run(std::future::pending::<()>);
    }
    sim.default_link().latency(Duration::from_millis(1)..Duration::from_millis(9));
    sim.nemesis(Swarm::default().only(["kill", "pause"]).during(Duration::ZERO..Duration::from_secs(20)));
    let given_back = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let clients = ["ann", "bob"].map(|name| {
        let (mut ops, given_back) = (sim.node(name).ops(20).steady().starting_at(START), given_back.clone());
        sim.node(name).spawn(async move {
            while let Some(op) = ops.next().await {
                let (what, thing) = (op.choose(&[(3, "buy"), (1, "give back")]), op.pick(0..4));
                op.succeeded();
                if what == "buy" {
                    continue;
                }
                let down = !sim.node("stock").is_running() || !sim.node("till").is_running();
                if given_back.borrow().contains(&thing) && down {
                    sim.violated("what is bought is not given back twice", format!("number {thing}"));
                }
                given_back.borrow_mut().push(thing);
            }
        })
    });
    for client in clients {
        client.await.unwrap();
    }
}

#[sim_test(seeds = 100)]
#[ignore = "a subject"]
async fn subject(sim: Sim) {
    shop(sim).await;
}

mod saved {
    use super::*;

    #[sim_test(seeds = 100)]
    #[ignore = "a subject"]
    async fn subject(sim: Sim) {
        shop(sim).await;
    }
}

#[sim_test(seeds = 100)]
#[ignore = "a subject"]
#[should_panic(expected = "given back")]
async fn fails_as_it_should(sim: Sim) {
    shop(sim).await;
}

#[cfg(unix)]
#[sim_test(seeds = 2)]
#[ignore = "a subject"]
async fn aborts(sim: Sim) {
    let _ = sim;
    std::process::abort();
}

fn start(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--ignored"]).env_remove("RUST_BACKTRACE");
    if !test.starts_with("saved") {
        command.env("SIM_REGRESSIONS", "off");
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

/// The message with which it panics.
fn message(text: &str) -> &str {
    let (_, message) = text.split_once(" panicked at ").unwrap_or_else(|| panic!("no panic in: {text}"));
    let (_place, message) = message.split_once('\n').unwrap();
    message.split("\nnote: run with `RUST_BACKTRACE").next().unwrap()
}

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is missing in:\n{text}");
}

fn token(text: &str) -> Token {
    let token = text.split("SIM_REPLAY=").nth(1).unwrap_or_else(|| panic!("no token in: {text}"));
    token.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_failure_tells_the_story_of_the_smallest_run() {
    let (passed, text) = start("subject", &[]);
    assert!(!passed);
    let message = message(&text);
    has(message, "shrunk to 2 operations, 1 fault, 0 other in ");
    has(message, "give back");
    has(message, "[needed");
    has(message, " of stock");
    has(message, &format!("s {SIGNATURE}"));
    has(message, "was more likely to fail than not from ");
    has(message, "  replay: SIM_SEED=");
    has(message, "  shrunk: SIM_REPLAY=sim1:");
    assert!(message.lines().count() <= 25, "{message}");

    // In a fresh process, it fails in the same way.
    let token = token(&text);
    assert_eq!(token.signature, SIGNATURE);
    let (passed, text) = start("subject", &[("SIM_REPLAY", &token.to_string())]);
    assert!(!passed);
    has(&text, &format!("signature: {SIGNATURE}"));
    assert!(!text.contains("stale") && !text.contains("shrunk to"), "{text}");
}

#[test]
fn the_smallest_run_does_not_depend_on_the_workers() {
    let text = |jobs| start("subject", &[("SIM_JOBS", jobs)]).1;
    let one = text("1");
    let shrunk = |text: &str| {
        let line = text.lines().find(|line| line.contains("shrunk to")).map(str::to_owned);
        (line.unwrap_or_else(|| panic!("{text}")), token(text))
    };
    for jobs in ["2", "3"] {
        assert_eq!(shrunk(&text(jobs)), shrunk(&one), "{jobs}");
    }
}

#[test]
fn shrinking_can_be_switched_off() {
    let (passed, text) = start("subject", &[("SIM_SHRINK", "0")]);
    assert!(!passed && !text.contains("shrunk"), "{text}");
}

#[test]
fn a_test_that_is_to_fail_is_not_shrunk() {
    let (passed, text) = start("fails_as_it_should", &[("SIM_REGRESSIONS", "on")]);
    assert!(passed && !text.contains("shrunk") && !text.contains("saved in"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_run_whose_process_dies_says_that_it_is_not_shrunk() {
    let (passed, text) = start("aborts", &[]);
    assert!(!passed);
    has(&text, "not shrunk: the run's process died");
}

#[test]
fn a_sweep_shrinks_the_first_run_of_each_group() {
    let report = sweep(0..100).isolate(Isolate::Thread).jobs(2).shrink(true).run(shop);
    let groups = report.groups();
    assert_eq!((groups.len(), report.shrunk.len()), (1, 1), "{groups:?}");
    let shrunk = report.shrunk[0].as_ref().unwrap();
    assert_eq!(shrunk.seed, groups[0].runs[0].seed);
    assert_eq!((shrunk.size.operations, shrunk.size.faults, shrunk.size.others), (2, 1, 0), "{shrunk}");
    assert_eq!(shrunk.failure.signature(), SIGNATURE);
    assert!(shrunk.executions < 500, "{shrunk}");
    let strip = &shrunk.likelihood.as_ref().unwrap().strip;
    assert_eq!(strip.len(), 21);
    assert!(strip[20].1 >= strip[0].1, "{strip:?}");
}

#[test]
fn saved_runs_come_first_until_they_are_pruned() {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim-regressions/shrink-saved.txt");
    let _ = std::fs::remove_file(&file);
    let (_, text) = start("saved::subject", &[]);
    has(&text, &format!("saved in {}", file.display()));
    let saved = std::fs::read_to_string(&file).unwrap();
    let token = token(&text);
    has(&saved, &format!("{token} # saved::subject · {SIGNATURE} · 2 operations, 1 fault, 0 other\n"));

    let (passed, text) = start("saved::subject", &[]);
    assert!(!passed);
    let place = format!("{}:3", file.display());
    has(&text, "failed with the saved run of ");
    has(&text, &place);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), saved, "it is not saved again");
    let (_, text) = start("saved::subject", &[("SIM_REGRESSIONS", "off")]);
    has(&text, "failed with seed ");

    // A run that asks for what the test no longer does.
    let stale = Token { deviations: [(1, 2), (3, 4)].into(), ..token };
    std::fs::write(&file, format!("{stale}\n# kept\n")).unwrap();
    let variables = [("SIM_SHRINK", "0"), ("SIM_REGRESSIONS", "prune")];
    let (_, text) = start("saved::subject", &variables[..1]);
    has(&text, &format!("{}:1 is stale: 2 of 2 decisions were never asked for", file.display()));
    start("saved::subject", &variables);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\n");
    std::fs::remove_file(&file).unwrap();
    // Only if nothing else is in it.
    let _ = std::fs::remove_dir(file.parent().unwrap());
}
