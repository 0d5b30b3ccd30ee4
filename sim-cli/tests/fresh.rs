//! `cargo sim` in a crate that is not of this workspace, as the docs say it, without the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

const TESTS: &str = r#"
#![forbid(unsafe_code)]

use sim::prelude::*;

#[sim_test(seeds = 20)]
async fn passes(_sim: Sim) {
    sim::time::sleep(Duration::from_secs(1)).await;
}

mod orders {
    use super::*;

    #[sim_test(seeds = 1000..1100)]
    async fn some_are_lost(sim: Sim) {
        assert!(sim.seed() % 10 != 3 || std::env::var_os("MENDED").is_some(), "lost");
        assert!(sim.seed() % 50 != 7, "lost in another way");
    }
}

#[sim_test(seeds = 16)]
async fn depends_on_its_process(_sim: Sim) {
    sim::time::sleep(Duration::from_nanos(std::process::id().into())).await;
}

#[sim_test]
#[should_panic]
async fn is_there_to_fail(_sim: Sim) {
    panic!("as it should");
}

#[sim_test]
#[ignore]
async fn takes_long(_sim: Sim) {}

#[test]
fn not_simulated() {}

#[sim_test(seeds = 100)]
async fn sells_nothing(sim: Sim) {
    sometimes!(sim.seed() == u64::MAX, "a cart is full");
}
"#;

/// A crate with tests that is built once. Its directory stays between runs, so that it is built seldom.
static CRATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shop");
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::create_dir_all(directory.join("tests")).unwrap();
    let manifest = format!(
        "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dev-dependencies]\nsim = {{ \
         path = {root:?} }}\n"
    );
    write(&directory.join("Cargo.toml"), &manifest);
    write(&directory.join("src/lib.rs"), "");
    write(&directory.join("tests/checkout.rs"), TESTS);
    // The same versions as here, which are on this machine.
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    // Cargo takes out what the crate does not use, and tests of other processes may be reading it.
    if fs::read_to_string(directory.join("Cargo.lock.here")).ok().as_deref() != Some(&lock) {
        write(&directory.join("Cargo.lock"), &lock);
        write(&directory.join("Cargo.lock.here"), &lock);
    }
    directory
});

/// Leaves a file alone that says so already, so that cargo does not build it again.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}

fn cargo_sim(arguments: &[&str]) -> Output {
    cargo_sim_with(&[], arguments)
}

fn cargo_sim_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sim"));
    command.arg("sim").args(arguments).current_dir(&*CRATE);
    if arguments[0] != "merge" {
        command.arg("--offline");
    }
    for variable in [
        "SIM_SEED",
        "SIM_SEEDS",
        "SIM_JOBS",
        "SIM_FORK",
        "SIM_REPORT_DIR",
        "SIM_TRACE",
        "SIM_SHRINK",
        "SIM_REGRESSIONS",
        "SIM_SHARD_INDEX",
        "SIM_SHARD_COUNT",
        "CARGO_TARGET_DIR",
    ] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

/// A directory for reports, empty.
fn reports(name: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name);
    let _ = fs::remove_dir_all(&directory);
    directory.to_str().unwrap().to_owned()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn lists_simulation_tests_and_no_others() {
    let output = cargo_sim(&["list"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let list = text(&output.stdout);
    let expected = [
        "shop::checkout depends_on_its_process  tests/checkout.rs:22  seeds: 16",
        "shop::checkout is_there_to_fail  tests/checkout.rs:28  seeds: default (it is there to fail, #[should_panic])",
        "shop::checkout orders::some_are_lost  tests/checkout.rs:15  seeds: 1000..1100",
        "shop::checkout passes  tests/checkout.rs:7  seeds: 20",
        "shop::checkout sells_nothing  tests/checkout.rs:40  seeds: 100",
        "shop::checkout takes_long  tests/checkout.rs:34  seeds: default (it is #[ignore]d)",
    ];
    assert_eq!(list.lines().collect::<Vec<_>>(), expected);

    let output = cargo_sim(&["list", "--json", "--test", "lost"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["test"], &line["line"]), (&"orders::some_are_lost".into(), &15.into()));

    let output = cargo_sim(&["list", "--test", "no such test"]);
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_sweep_goes_on_after_failures_and_groups_them() {
    let reports = reports("whole");
    let output = cargo_sim(&["sweep", "--test", "lost", "--test", "passes", "--report-dir", &reports]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(100), "{said}{}", text(&output.stderr));
    let expected = [
        "shop::checkout orders::some_are_lost: 10 seeds failed with panic tests/checkout.rs:16:9",
        "  panic: lost, at 0 µs of virtual time",
        "  replay: SIM_SEED=1003 cargo test -p shop --test checkout orders::some_are_lost -- --exact",
        "shop::checkout orders::some_are_lost: 2 seeds failed with panic tests/checkout.rs:17:9",
        "2 tests, 120 runs, 12 failed, 20.000 s of virtual time",
    ];
    for line in expected {
        assert!(said.lines().any(|said| said.starts_with(line)), "{line:?} is missing in\n{said}");
    }
    let file = |name: &str| fs::read_to_string(Path::new(&reports).join(name)).unwrap();
    let failed = file("sweep.jsonl").lines().filter(|line| line.contains("\"line\":\"failed\"")).count();
    assert_eq!(failed, 12);
    assert!(file("junit.xml").contains("tests=\"2\"") && file("junit.xml").contains("SIM_SEED=1007"));
    assert!(file("summary.md").contains("**12 failed**"), "{}", file("summary.md"));
}

#[test]
fn shards_put_together_are_the_sweep_without_shards() {
    let sweep = |directory: &str, more: &[&str], variables: &[(&str, &str)]| {
        let mut arguments = vec!["sweep", "--test", "lost", "--test", "passes", "--report-dir", directory];
        arguments.extend(["--seeds", "500..900"]);
        arguments.extend(more);
        let output = cargo_sim_with(variables, &arguments);
        (output.status.code(), text(&output.stderr))
    };
    let whole = reports("unsharded");
    assert_eq!(sweep(&whole, &[], &[]).0, Some(100));
    let expected = fs::read_to_string(Path::new(&whole).join("sweep.jsonl")).unwrap();
    let parts = reports("shards");
    for index in 0..3 {
        if index == 1 {
            let output = cargo_sim(&["merge", &parts]);
            assert_eq!(output.status.code(), Some(112));
            assert!(text(&output.stderr).contains("shard 1/3 is missing"), "{}", text(&output.stderr));
        }
        // A shard that failed would be done again by its engine, for nothing.
        let (code, said) = match index {
            0 => sweep(&parts, &["--shard", "0/3"], &[]),
            1 => sweep(&parts, &[], &[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "3")]),
            _ => sweep(&parts, &["--jobs", "1"], &[("SIM_SHARD_INDEX", "2"), ("SIM_SHARD_COUNT", "3")]),
        };
        assert_eq!(code, Some(0), "{said}");
    }
    let output = cargo_sim(&["merge", &parts]);
    assert_eq!(output.status.code(), Some(100), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(Path::new(&parts).join("sweep.jsonl")).unwrap(), expected);
}

#[test]
fn the_exit_code_says_what_was_found() {
    for (arguments, code) in [
        (&["sweep", "--test", "passes"][..], 0),
        (&["sweep", "--test", "there_to_fail"], 4),
        (&["sweep", "--test", "lost", "--until-failures", "2", "--json"], 100),
        (&["sweep", "--features", "none-such"], 101),
        (&["check", "--test", "passes", "--seeds", "8"], 0),
        (&["check", "--test", "its_process", "--seeds", "8"], 110),
        (&["sweep", "--test", "sells_nothing"], 111),
        (&["sweep", "--test", "sells_nothing", "--seeds", "99"], 0),
        (&["replay", "1004", "--test", "lost"], 0),
        (&["replay", "1003", "--test", "lost"], 100),
        (&["replay", "1003"], 2),
        (&["shrink", "1004", "--test", "lost"], 0),
        (&["shrink", "sim1:abc", "--test", "lost"], 2),
        (&["report", "Cargo.jsonl"], 2),
        (&["merge", "no/such/file"], 112),
    ] {
        let reports = reports("codes");
        let mut all = arguments.to_vec();
        if matches!(arguments[0], "sweep" | "check") {
            all.extend(["--report-dir", &reports]);
        }
        let output = cargo_sim(&all);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}{}", text(&output.stderr));
        if code == 110 {
            for part in ["then the second: ", "between them: poll of the task", "suspect: a real clock"] {
                assert!(said.contains(part), "{part} is missing in\n{said}");
            }
        }
        if code == 111 {
            let line = "sells_nothing: vacuous: sometimes \"a cart is full\": seen in none of 100 times";
            assert!(said.contains(line), "{said}");
        }
        if arguments.contains(&"--until-failures") {
            assert_eq!(said.matches("\"line\":\"failed\"").count(), 2, "{said}");
        }
    }
    let output = cargo_sim_with(&[("JOB_COMPLETION_INDEX", "1")], &["sweep"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("SIM_SHARD_COUNT"));
}

#[test]
fn a_seed_is_shrunk_to_a_token_which_is_reported_and_pruned_when_it_passes() {
    let output = cargo_sim(&["shrink", "1003", "--test", "lost"]);
    assert_eq!(output.status.code(), Some(100), "{}", text(&output.stderr));
    let token = text(&output.stdout).trim().to_owned();
    assert!(token.starts_with("sim1:") && !token.contains(char::is_whitespace), "{token}");

    let directory = reports("report");
    let report = |run: &str, more: &[&str]| {
        let arguments = [&["report", run], more].concat();
        let output = cargo_sim_with(&[("SIM_REPORT_DIR", &directory)], &arguments);
        assert_eq!(output.status.code(), Some(100), "{}{}", text(&output.stdout), text(&output.stderr));
        Path::new(&directory).join("checkout-orders-some_are_lost").join("panic-tests-checkout.rs-16-9")
    };
    let folder = report(&token, &["--test", "lost"]);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains(&token), "the page says how to see the run again");
    // From the trace alone, which names its test.
    let trace = Path::new(&directory).join("trace.jsonl");
    fs::rename(folder.join("trace.jsonl"), &trace).unwrap();
    fs::remove_file(folder.join("report.html")).unwrap();
    report(trace.to_str().unwrap(), &[]);
    assert!(folder.join("report.html").is_file() && folder.join("trace.jsonl").is_file());

    let saved = CRATE.join("tests/sim-regressions/checkout-orders.txt");
    let is_saved = || fs::read_to_string(&saved).unwrap().contains(&token);
    assert!(is_saved());
    let output = cargo_sim(&["prune", "--test", "lost"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(is_saved(), "it still fails");
    let output = cargo_sim_with(&[("MENDED", "1")], &["prune", "--test", "lost"]);
    let said = text(&output.stdout);
    assert!(said.contains("passes now, and failed with panic tests/checkout.rs:16:9"), "{said}");
    assert!(!is_saved());
}

#[test]
fn the_doctor_says_what_is_simulated_here() {
    let output = cargo_sim(&["doctor"]);
    let said = text(&output.stdout);
    for expected in ["shop::checkout", "clock, entropy", "a process of its own", "addresses of a program"] {
        assert!(said.contains(expected), "{expected} is missing in\n{said}");
    }
}
