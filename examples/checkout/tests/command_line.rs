//! The command line, through the built binary.

use command::Planted;
use serde_json::Value;
use std::process::{Command, Output};

fn checkout(arguments: &str) -> Output {
    checkout_with(arguments, &[])
}

fn checkout_with(arguments: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_checkout"));
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
    let rate = json.as_object_mut().unwrap().remove("seeds_per_s").unwrap();
    assert!(rate.as_f64().unwrap() > 0.0);
    json
}

#[test]
fn a_clean_sweep_prints_its_table_and_exits_0() {
    let output = checkout("--seeds 10");
    let table = text(&output.stdout);
    assert_eq!(code(&output), 0, "{table}{}", text(&output.stderr));
    for row in
        ["seeds/s", "simulated time", "faults fired", "orders completed", "orders compensated", "rejected"]
    {
        assert!(table.contains(row), "{row} is missing:\n{table}");
    }
    for invariant in checkout::invariants::ALL {
        assert!(table.contains(invariant), "{invariant} is missing:\n{table}");
    }
    assert!(!table.contains("BROKEN"), "{table}");
}

#[test]
fn failing_seeds_exit_100_with_their_signatures() {
    let output = checkout("--seeds 0..40 --bug stuck-breaker --json");
    assert_eq!(code(&output), 100, "{}", text(&output.stderr));
    let json = json(&output);
    assert_eq!(json["runs"], 40);
    assert_eq!(json["trace"].as_str().unwrap().len(), 16);
    let failures = json["failures"].as_array().unwrap();
    assert!(!failures.is_empty());
    for failure in failures {
        assert_eq!(failure["signature"], checkout::Bug::StuckBreaker.signature());
        assert!(u64::from_str_radix(failure["trace"].as_str().unwrap(), 16).unwrap() > 0);
        assert!(failure["seed"].as_u64().unwrap() < 40);
    }

    // Alone, the first of them fails in the same way, and in full.
    let seed = failures[0]["seed"].as_u64().unwrap();
    let output = checkout(&format!("--seed {seed} --bug stuck-breaker"));
    let table = text(&output.stdout);
    assert_eq!(code(&output), 100);
    assert!(
        table.contains(&format!(
            "again: cargo run --release -p checkout -- --seed {seed} --bug stuck-breaker"
        ))
    );
    assert!(table.contains(failures[0]["trace"].as_str().unwrap()), "{table}");
    assert!(table.contains("of virtual time"), "{table}");
}

#[test]
fn neither_workers_nor_processes_change_a_trace() {
    let one = json(&checkout_with("--seeds 5..21 --json", &[("SIM_JOBS", "1")]));
    let two = json(&checkout_with("--seeds 5..21 --json", &[("SIM_JOBS", "2")]));
    assert_eq!(one, two);
    let forked = json(&checkout("--seed 5 --json"));
    let here = json(&checkout_with("--seed 5 --json", &[("SIM_FORK", "0")]));
    assert_eq!(forked, here);
    assert_ne!(forked["trace"], json(&checkout("--seed 6 --json"))["trace"]);
}

#[test]
fn several_seeds_in_one_process_exit_2_and_one_does_not() {
    let here = |arguments, environment: &[(&str, &str)]| {
        checkout_with(arguments, &[environment, &[("SIM_FORK", "0")]].concat())
    };
    for (arguments, environment) in [
        ("", &[][..]),
        ("--seeds 5..7", &[]),
        ("--seed 5", &[("SIM_SEEDS", "5..7")]),
        ("--seed 5", &[("SIM_SEEDS", "2")]),
    ] {
        let output = here(arguments, environment);
        let said = text(&output.stderr);
        assert_eq!((code(&output), text(&output.stdout)), (2, ""), "{arguments} {environment:?}: {said}");
        assert!(said.contains("SIM_FORK=0") && said.contains("--seed"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    for (arguments, environment) in [
        ("--seeds 5..6", &[][..]),
        ("--seeds 9", &[("SIM_SEED", "5")]),
        ("--seeds 9", &[("SIM_SEEDS", "5..6")]),
    ] {
        let output = here(arguments, environment);
        assert_eq!(code(&output), 0, "{arguments} {environment:?}: {}", text(&output.stderr));
    }
}

#[test]
fn without_a_family_its_bug_does_not_show() {
    let output = checkout("--seeds 40 --bug double-charge --without gateway --json");
    assert_eq!(code(&output), 0, "{}", text(&output.stdout));
    assert_eq!(json(&output)["failures"], Value::Array(Vec::new()));
    assert_eq!(code(&checkout("--seeds 20 --bug stuck-breaker --faults off")), 0);
}

#[test]
fn bugs_are_listed_with_signature_and_family() {
    let output = checkout("--list-bugs");
    assert_eq!(code(&output), 0);
    let lines: Vec<Vec<_>> = text(&output.stdout).lines().map(|line| line.split("  ").collect()).collect();
    let lines: Vec<Vec<_>> = lines
        .iter()
        .map(|parts| parts.iter().map(|p| p.trim()).filter(|p| !p.is_empty()).collect())
        .collect();
    let first: Vec<_> = lines.iter().map(|line| (line[0], line[2])).collect();
    let listed: Vec<_> =
        checkout::Bug::ALL.iter().map(|bug| (bug.name(), bug.needs().unwrap_or("none"))).collect();
    assert_eq!(first, listed);
    assert_eq!(lines[0], ["double-charge", "invariant no order charged twice", "gateway"]);
    assert_eq!(lines[2], ["oversell", "invariant stock never negative", "none"]);
}

#[test]
fn what_cannot_be_used_exits_2_and_is_named_with_what_is_allowed() {
    let output = checkout("--bug typo");
    assert_eq!((code(&output), text(&output.stdout)), (2, ""));
    let said = text(&output.stderr);
    assert!(
        said.contains("\"typo\"") && said.contains("double-charge, no-compensation, oversell, stuck-breaker"),
        "{said}"
    );
    for arguments in ["--seeds", "--seeds 3..1", "--faults maybe", "--without weather", "--nothing", "extra"]
    {
        assert_eq!(code(&checkout(arguments)), 2, "{arguments}");
    }
}
