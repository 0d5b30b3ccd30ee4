//! Runs of a seed that take two courses: where they part is told, and what is behind it.
//!
//! Each subject leaks something of the host into a run, past the guards. The tests start this same binary again, with
//! one of them as the test to run, and read its report.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, reason = "the order of a map is one of the leaks")]

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use sim::prelude::*;
use sim::{JoinSet, time};

/// Entropy of the system, through a file that nobody guards.
fn entropy() -> u64 {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    u64::from_str_radix(&uuid[..8], 16).unwrap()
}

/// What a library does that seeds its hasher by itself.
#[derive(Clone)]
struct SeededByItself(u64);

impl BuildHasher for SeededByItself {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[sim_test(seeds = 7..8, check_determinism)]
#[ignore = "it is a subject"]
async fn iterates_over_a_map(sim: Sim) {
    let mut peers = HashMap::with_hasher(SeededByItself(entropy()));
    let mut waiting = JoinSet::new();
    for peer in 0..20u64 {
        let (tell, told) = futures::channel::oneshot::channel();
        waiting.spawn_on_node(async move { told.await.unwrap() }, sim.node(&format!("peer{peer}")));
        peers.insert(peer, tell);
    }
    time::sleep(Duration::from_secs(1)).await;
    for (_, peer) in peers {
        peer.send(()).unwrap();
    }
    while waiting.join_next().await.is_some() {}
}

#[sim_test(seeds = 7..8, check_determinism)]
#[ignore = "it is a subject"]
async fn reads_a_real_clock(_sim: Sim) {
    // ns for which the process has run, proc(5).
    let clock = fs::read_to_string("/proc/self/schedstat").unwrap();
    let now: u64 = clock.split(' ').next().unwrap().parse().unwrap();
    time::sleep(Duration::from_nanos(1_000_000 + now % 1_000_000)).await;
}

#[sim_test(seeds = 7..8, check_determinism)]
#[ignore = "it is a subject"]
async fn asks_for_entropy(sim: Sim) {
    let server = sim.node("server");
    time::sleep(Duration::from_secs(1)).await;
    for _ in 0..entropy() % 64 {
        server.spawn(async { time::sleep(Duration::from_millis(1)).await }).await.unwrap();
    }
}

static RUNS: AtomicU64 = AtomicU64::new(1);

#[sim_test(seeds = 7..8, check_determinism, isolate = "thread")]
#[ignore = "it is a subject"]
async fn counts_in_a_static(_sim: Sim) {
    time::sleep(Duration::from_secs(RUNS.fetch_add(1, Ordering::Relaxed))).await;
}

#[sim_test(seeds = 7..8, check_determinism, isolate = "thread")]
#[ignore = "it is a subject"]
async fn uses_its_thread_id(_sim: Sim) {
    #[allow(clippy::disallowed_methods, reason = "it is what is tested")]
    let id = format!("{:?}", std::thread::current().id());
    let number: String = id.chars().filter(char::is_ascii_digit).collect();
    time::sleep(Duration::from_secs(number.parse().unwrap())).await;
}

#[sim_test(seeds = 7..8, check_determinism, isolate = "thread")]
#[ignore = "it is a subject"]
async fn uses_an_address(_sim: Sim) {
    // Kept, so that no later run gets the same memory.
    let kept = Box::leak(Box::new([0u8; 4096]));
    time::sleep(Duration::from_nanos(kept.as_ptr() as u64 % (1 << 40))).await;
}

fn report_of(subject: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([subject, "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(!output.status.success(), "{subject} passed");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn each_leak_is_found_with_its_place_and_the_right_suspect() {
    for (subject, place, suspect) in [
        ("iterates_over_a_map", "tests/divergence.rs:", "suspect: the order of a map or set"),
        ("reads_a_real_clock", "tests/divergence.rs:", "suspect: a real clock"),
        ("asks_for_entropy", "tests/divergence.rs:", "suspect: unseeded entropy"),
        ("counts_in_a_static", "tests/divergence.rs:", "a static counter"),
        ("uses_its_thread_id", "tests/divergence.rs:", "a thread id"),
        ("uses_an_address", "tests/divergence.rs:", "an address"),
    ] {
        let report = report_of(subject);
        for part in ["signature: nondeterminism", "then the first: ", "then the second: ", suspect] {
            assert!(report.contains(part), "{part} is missing in\n{report}");
        }
        let between = report.lines().find(|line| line.contains("between them: poll of the task"));
        assert!(between.is_some_and(|line| line.contains(place)), "{place} is missing in\n{report}");
    }
}
