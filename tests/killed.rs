//! A sweep whose workers are killed again and again loses no seed and counts none twice.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use sim::{Run, Sim, sweep};

/// So many that a worker is killed with runs under way, ordered and finished but not told.
const SEEDS: u64 = if cfg!(debug_assertions) { 3_000 } else { 100_000 };
/// Runs between two kills.
const PAUSE: u64 = SEEDS / 100;

/// The processes that this one has started.
fn children() -> Vec<u32> {
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `7 (name) S 3 …`, proc(5); a name may hold anything.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(|pid| parent(pid) == Some(std::process::id())).collect()
}

#[test]
fn workers_killed_in_a_sweep_cost_one_seed_each() {
    let (mut next, mut kills) = (0, 0);
    let report = sweep(0..SEEDS)
        .jobs(2)
        .on_run(|run: &Run<u64>| {
            assert_eq!(run.seed, next, "each seed once, in order");
            next += 1;
            match &run.result {
                Ok(value) => assert_eq!(*value, run.seed * 3),
                Err(failure) => assert_eq!(failure.signature(), "crash worker"),
            }
            if next % PAUSE == 0
                && let Some(worker) = children().last()
            {
                let killed = Command::new("kill").args(["-9", &worker.to_string()]).status().unwrap();
                kills += u64::from(killed.success());
            }
        })
        .run(|sim: Sim| async move {
            sim::time::sleep(std::time::Duration::from_millis(sim.seed())).await;
            sim.seed() * 3
        });
    assert_eq!((next, report.runs), (SEEDS, SEEDS));
    let failed = report.failures.len() as u64;
    assert!(kills >= 50, "only {kills} workers were killed");
    // One that was killed while it had nothing to do costs none.
    assert!(failed >= 1 && failed <= kills, "{failed} seeds failed, {kills} workers were killed");
}
