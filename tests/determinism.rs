//! A seed has one trace, however it is run: alone, in a sweep of any order, by one worker or two, in the process that
//! was started, from elsewhere, in another environment.
//!
//! The tests start this same binary again, as a user does, with [`subject`] as the test to run.

#[allow(dead_code, reason = "the example's main is not used here")]
#[path = "../examples/trace.rs"]
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

type Traces = BTreeMap<u64, (u64, u64)>;

/// Prints the traces that `SUBJECT` asks for: a body, seeds, flags.
#[test]
fn subject() {
    let asked = std::env::var("SUBJECT").unwrap_or_else(|_| "all 0..8".to_owned());
    let mut words = asked.split(' ');
    let (name, seeds) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
    let flags: Vec<_> = words.collect();
    let (_, body) = trace::BODIES.iter().find(|(known, _)| *known == name).unwrap();
    let traces = trace::traces(*body, seeds, flags.contains(&"--shuffle"), flags.contains(&"--threads"));
    for (seed, (trace, value)) in traces {
        println!("TRACE {seed} {trace} {value}");
    }
}

/// What a fresh process finds, with these variables, in that folder.
fn traces(subject: &str, variables: &[(&str, &str)], folder: &Path) -> Traces {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "subject", "--nocapture"])
        .env("SUBJECT", subject)
        .envs(variables.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // The harness has no line break before the first line of a test.
    let lines = text.lines().filter_map(|line| line.split_once("TRACE ")).map(|(_, numbers)| {
        let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
        (numbers[0], (numbers[1], numbers[2]))
    });
    lines.collect()
}

fn here(subject: &str, variables: &[(&str, &str)]) -> Traces {
    traces(subject, variables, Path::new("."))
}

#[test]
fn a_sweep_has_the_same_traces_in_any_order_with_any_number_of_workers() {
    for (body, runs) in [("all", 1000), ("http", 60), ("faults", 40)] {
        let (in_order, shuffled) = (format!("{body} 0..{runs}"), format!("{body} 0..{runs} --shuffle"));
        let expected = here(&in_order, &[("SIM_JOBS", "1")]);
        assert_eq!(expected.len(), runs);
        assert_eq!(here(&in_order, &[("SIM_JOBS", "2")]), expected);
        assert_eq!(here(&shuffled, &[("SIM_JOBS", "2")]), expected);

        let distinct: BTreeSet<_> = expected.values().map(|(trace, _)| trace).collect();
        assert_eq!(distinct.len(), runs, "different seeds took the same course");
    }
}

#[test]
fn a_seed_alone_has_the_trace_that_it_has_in_a_sweep() {
    for body in ["tasks", "select", "host", "http", "faults", "all"] {
        let sweep = here(&format!("{body} 0..20"), &[]);
        for seed in [0, 7, 19] {
            let alone = here(&format!("{body} 0..20"), &[("SIM_SEED", &seed.to_string())]);
            assert_eq!(alone, BTreeMap::from([(seed, sweep[&seed])]), "{body}");
        }
    }
}

#[test]
fn a_run_in_the_process_that_was_started_has_the_same_trace() {
    for body in ["tasks", "select", "host", "http", "faults", "all"] {
        for seed in ["3", "4"] {
            let subject = format!("{body} 0..1");
            let child = here(&subject, &[("SIM_SEED", seed)]);
            let itself = here(&subject, &[("SIM_SEED", seed), ("SIM_FORK", "0")]);
            assert_eq!(itself, child, "{body}");
        }
    }
}

#[test]
fn neither_folder_nor_environment_matter() {
    let expected = here("all 0..20", &[]);
    let long = "x".repeat(5000);
    let variables =
        [("A_LONG_ONE", long.as_str()), ("LANG", "tr_TR.UTF-8"), ("TZ", "Asia/Tokyo"), ("HOME", "/")];
    assert_eq!(traces("all 0..20", &variables, Path::new("/")), expected);
}

#[test]
fn what_asks_nothing_of_the_process_has_the_same_trace_on_a_thread() {
    let process = here("tasks 0..200", &[]);
    assert_eq!(here("tasks 0..200 --threads", &[("SIM_JOBS", "1")]), process);
    assert_eq!(here("tasks 0..200 --threads", &[("SIM_JOBS", "2")]), process);
}
