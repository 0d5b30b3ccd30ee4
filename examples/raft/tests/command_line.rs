//! The command line, through the built binary. What all examples share of it is tested with the checkout.

use serde_json::Value;
use std::process::{Command, Output};

fn raft(arguments: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
    command.args(arguments.split_whitespace());
    for variable in ["SIM_SEED", "SIM_SEEDS", "SIM_JOBS", "SIM_FORK", "SIM_SCHEDULE", "SIM_LOG"] {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied()).output().expect("the binary has been built")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The one line of JSON, with what the real clock has measured taken out.
fn json(output: &Output) -> Value {
    let line = text(&output.stdout);
    assert_eq!(line.lines().count(), 1, "{line}{}", text(&output.stderr));
    let mut json: Value = serde_json::from_str(line).unwrap();
    json.as_object_mut().unwrap().remove("seeds_per_s").unwrap();
    json
}

#[test]
fn a_clean_sweep_prints_its_table_and_exits_0() {
    let output = raft("--seeds 10", &[]);
    let table = text(&output.stdout);
    assert_eq!(code(&output), 0, "{table}{}", text(&output.stderr));
    for row in ["faults", "elections won", "entries committed", "operations answered"] {
        assert!(table.contains(row), "{row} is missing:\n{table}");
    }
    for invariant in raft::invariants::ALL {
        assert!(table.contains(invariant), "{invariant} is missing:\n{table}");
    }
    assert!(!table.contains("BROKEN"), "{table}");
}

#[test]
fn failing_seeds_exit_100_with_their_signatures_and_fail_alone_in_the_same_way() {
    let output = raft("--seeds 0..40 --bug log-truncate --json", &[]);
    assert_eq!(code(&output), 100, "{}", text(&output.stderr));
    let json = json(&output);
    let failures = json["failures"].as_array().unwrap();
    for failure in failures {
        assert_eq!(failure["signature"], "invariant entries give way only to others");
    }
    let seed = failures[0]["seed"].as_u64().unwrap();
    let output = raft(&format!("--seed {seed} --bug log-truncate"), &[]);
    let table = text(&output.stdout);
    assert_eq!(code(&output), 100);
    assert!(table.contains(failures[0]["trace"].as_str().unwrap()), "{table}");
}

#[test]
fn neither_workers_nor_processes_change_a_trace() {
    let one = json(&raft("--seeds 5..13 --json", &[("SIM_JOBS", "1")]));
    assert_eq!(one, json(&raft("--seeds 5..13 --json", &[("SIM_JOBS", "2")])));
    let forked = json(&raft("--seed 5 --json", &[]));
    assert_eq!(forked, json(&raft("--seed 5 --json", &[("SIM_FORK", "0")])));
}

#[test]
fn bugs_are_listed_with_signature_and_family() {
    let output = raft("--list-bugs", &[]);
    assert_eq!(code(&output), 0);
    let lines: Vec<Vec<&str>> = text(&output.stdout)
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect())
        .collect();
    assert_eq!(
        lines,
        [
            ["vote-twice", "invariant a server votes once a term", "none"],
            ["commit-old-term", "invariant nobody without a committed entry can be elected", "none"],
            ["ack-unsynced", "invariant acknowledged entries survive a restart", "none"],
            ["stale-leader-read", "invariant operations on a register are linearizable", "none"],
            ["log-truncate", "invariant entries give way only to others", "none"],
            ["snapshot-gap", "invariant logs with the same entry are the same up to it", "none"],
        ]
    );
}

#[test]
fn what_cannot_be_used_exits_2_and_is_named_with_what_is_allowed() {
    let output = raft("--bug typo", &[]);
    assert_eq!((code(&output), text(&output.stdout)), (2, ""));
    let said = text(&output.stderr);
    assert!(said.contains("\"typo\"") && said.contains("vote-twice, commit-old-term"), "{said}");
    assert_eq!(code(&raft("--without wipe", &[])), 2, "who the servers are is fixed: no run wipes one");
}
