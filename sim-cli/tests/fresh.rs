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
        assert!(sim.seed() % 10 != 3, "lost");
        assert!(sim.seed() % 50 != 7, "lost in another way");
    }
}

#[test]
fn not_simulated() {}
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
    fs::copy(root.join("Cargo.lock"), directory.join("Cargo.lock")).unwrap();
    directory
});

/// Leaves a file alone that says so already, so that cargo does not build it again.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}

fn cargo_sim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sim"));
    command.arg("sim").args(arguments).arg("--offline").current_dir(&*CRATE);
    for variable in ["SIM_SEED", "SIM_SEEDS", "SIM_JOBS", "SIM_FORK", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command.output().unwrap()
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
        "shop::checkout orders::some_are_lost  tests/checkout.rs:15  seeds: 1000..1100",
        "shop::checkout passes  tests/checkout.rs:7  seeds: 20",
    ];
    assert_eq!(list.lines().collect::<Vec<_>>(), expected);

    let output = cargo_sim(&["list", "--json", "--test", "lost"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["test"], &line["line"]), (&"orders::some_are_lost".into(), &15.into()));

    let output = cargo_sim(&["list", "--test", "no such test"]);
    assert_eq!(output.status.code(), Some(4));
}
