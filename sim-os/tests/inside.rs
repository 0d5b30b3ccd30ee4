//! What code of a node sees when it asks `std` and other crates for the time, or for something random.
//!
//! Some of these draw from statics and thread ids, which count through a process: repetition is shown between
//! processes, which is what a run is, and within one process where that is enough.

#![cfg(guarded)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests are about what the guards do to these"
)]

extern crate sim_os as _;

use std::collections::{HashMap, HashSet};
use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sim_core::time::sleep;
use sim_core::{Config, Sim, spawn};

/// Runs `body` on a thread of its own and gives what it returned.
fn simulate<T, Fut>(seed: u64, body: impl FnOnce(Sim) -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let run = move || sim_core::run(Config::seed(seed), body).result.expect("no failure");
    thread::spawn(run).join().expect("a thread of its own")
}

#[test]
fn std_time_passes_in_sleeps_only() {
    simulate(1, |_| async {
        let (start, wall) = (Instant::now(), SystemTime::now());
        assert_eq!((0..1_000_000u64).map(std::hint::black_box).sum::<u64>(), 499_999_500_000);
        assert_eq!((Instant::now(), SystemTime::now()), (start, wall));
        sleep(Duration::from_secs(3 * 3600)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(3 * 3600));
        assert_eq!(wall.elapsed().unwrap(), Duration::from_secs(3 * 3600));
    });
}

#[test]
fn std_time_is_that_of_the_node_that_runs() {
    simulate(1, |sim| async move {
        let epoch = Duration::from_nanos(sim_core::EPOCH);
        assert_eq!(SystemTime::now(), UNIX_EPOCH + epoch);
        let late = sim.node("late");
        late.clock().offset(-5_000_000_000);
        let there = late.spawn(async { SystemTime::now() }).await.unwrap();
        assert_eq!(there, UNIX_EPOCH + epoch - Duration::from_secs(5));
        let fast = sim.node("fast");
        fast.clock().drift_ppm(1000);
        let passed = fast.spawn(async {
            let start = Instant::now();
            spawn(sleep(Duration::from_secs(1000))).await.unwrap();
            start.elapsed()
        });
        assert_eq!(passed.await.unwrap(), Duration::from_secs(1000));
        assert!(sim.elapsed() < Duration::from_secs(1000), "its seconds are shorter than those of the world");
    });
}

#[test]
fn a_simulation_ends_with_real_clocks() {
    let (inside, outside) = thread::spawn(|| {
        let inside = sim_core::run(Config::seed(1), |_| async { SystemTime::now() }).result.unwrap();
        (inside, SystemTime::now())
    })
    .join()
    .unwrap();
    assert_eq!(inside, UNIX_EPOCH + Duration::from_nanos(sim_core::EPOCH));
    // This was written later than the simulated clocks start.
    assert!(outside > inside + Duration::from_secs(365 * 24 * 3600));
}

#[test]
fn foreign_threads_have_real_clocks() {
    simulate(1, |sim| async move {
        sim.allow(["pthread_create"]);
        let (inside, outside) = (SystemTime::now(), thread::spawn(SystemTime::now).join().unwrap());
        assert!(outside > inside + Duration::from_secs(365 * 24 * 3600));
    });
}

/// A line of everything random that a program might use.
async fn random_things(sim: Sim) -> String {
    sleep(Duration::from_millis(sim_core::rand::range(1..1000))).await;
    let map: HashMap<u32, ()> = (0..20).map(|n| (n, ())).collect();
    let set: HashSet<String> = (0..20).map(|n| n.to_string()).collect();
    let elsewhere = sim.node("elsewhere").spawn(async {
        let mut id = [0; 16];
        getrandom04::fill(&mut id).unwrap();
        format!("{:032x}", u128::from_be_bytes(id))
    });
    format!(
        "{:?}; {:?}; {:?}; {}; {:?}",
        map.into_keys().collect::<Vec<_>>(),
        set.into_iter().collect::<Vec<_>>(),
        fastrand::u64(..),
        elsewhere.await.unwrap(),
        SystemTime::now(),
    )
}

const SEED: &str = "SIM_OS_TEST_SEED";
const MARK: &str = "random things: ";

/// What [`random_things`] are under a seed in a process of its own.
fn in_a_process(seed: u64) -> String {
    let mut test = Command::new(env::current_exe().unwrap());
    test.args(["--exact", "random_things_repeat_in_another_process", "--nocapture", "--test-threads=1"]);
    let output = test.env(SEED, seed.to_string()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once(MARK));
    line.unwrap_or_else(|| panic!("no line in {text}")).1.to_owned()
}

#[test]
fn random_things_repeat_in_another_process() {
    if let Ok(seed) = env::var(SEED) {
        println!("{MARK}{}", simulate(seed.parse().unwrap(), random_things));
        return;
    }
    let first = in_a_process(7);
    assert_eq!(in_a_process(7), first);
    let other = in_a_process(8);
    for (one, other) in first.split("; ").zip(other.split("; ")) {
        assert_ne!(one, other);
    }
}

#[test]
fn hash_order_repeats_on_a_fresh_thread() {
    let order = |seed| {
        simulate(seed, |_| async {
            (0..50).map(|n| (n, ())).collect::<HashMap<u32, ()>>().into_keys().collect()
        })
    };
    let first: Vec<u32> = order(7);
    assert_eq!(order(7), first);
    assert_ne!(order(8), first);
}
