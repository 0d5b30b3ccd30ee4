//! What services ask of the host (time, entropy, and what libraries draw from them) comes from the simulation when
//! all that they have is a dependency on `sim`: nothing here names the crate that defines the guards, so these tests
//! fail if the facade does not link it.

#![cfg(all(feature = "guards", target_os = "linux", target_env = "gnu"))]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests are about what the guards do to these"
)]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::future::ready;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;
use sim::Sim;
use sim::time::sleep;

/// What a program may use that differs from one real execution to the next, each as text.
async fn whims(sim: Sim) -> Vec<String> {
    sleep(Duration::from_nanos(sim::rand::range(1..1_000_000_000))).await;
    let map: HashMap<u32, ()> = (0..30).map(|n| (n, ())).collect();
    let set: HashSet<String> = (0..30).map(|n| n.to_string()).collect();
    let elsewhere = sim.node("elsewhere").spawn(async {
        let map: HashMap<u32, ()> = (0..30).map(|n| (n, ())).collect();
        map.into_keys().collect::<Vec<_>>()
    });
    let mut device = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut device)).expect("a device of Linux");
    let mut choices = Vec::new();
    for _ in 0..32 {
        choices.push(tokio::select! {
            () = ready(()) => 0,
            () = ready(()) => 1,
            () = ready(()) => 2,
        });
        let (mut first, mut second) = (ready(()).fuse(), ready(()).fuse());
        choices.push(futures::select! {
            () = first => 3,
            () = second => 4,
        });
    }
    vec![
        format!("hash map: {:?}", map.into_keys().collect::<Vec<_>>()),
        format!("hash set: {:?}", set.into_iter().collect::<Vec<_>>()),
        format!("hash map on another node: {:?}", elsewhere.await.expect("no panic")),
        format!("rand: {:x}", rand::random::<u128>()),
        format!("/dev/urandom: {device:?}"),
        format!("select!: {choices:?}"),
        format!("clocks: {:?} {:?}", Instant::now(), SystemTime::now()),
    ]
}

/// The whims of a run under this seed, in a process of its own.
fn whims_of(seed: u64) -> Vec<String> {
    sim::Builder::new().seed(seed).run(whims).result.expect("the run passes")
}

#[test]
fn what_differs_between_executions_repeats_with_the_seed() {
    let first = whims_of(7);
    assert_eq!(whims_of(7), first);
    for (one, other) in first.iter().zip(&whims_of(8)) {
        assert_ne!(one, other);
    }
}

#[test]
fn std_time_is_virtual_inside_and_real_outside() {
    let run = |seed| {
        let outcome = sim::Builder::new().seed(seed).run(|_| async {
            let (start, wall) = (Instant::now(), SystemTime::now());
            sleep(Duration::from_secs(86_000)).await;
            assert_eq!(start.elapsed(), Duration::from_secs(86_000));
            assert_eq!(wall.elapsed().expect("later"), Duration::from_secs(86_000));
            wall
        });
        outcome.result.expect("the run passes")
    };
    let start = run(1);
    assert_eq!(run(2), start);
    // This was written years after the simulated clocks start.
    assert!(SystemTime::now() > start + Duration::from_secs(365 * 86_400));
}

#[test]
fn other_threads_keep_the_real_clock() {
    let outcome = sim::Builder::new().seed(1).run(|sim| async move {
        sim.allow(["pthread_create"]);
        let other = thread::spawn(SystemTime::now).join().expect("no panic");
        (SystemTime::now(), other)
    });
    let (inside, other) = outcome.result.expect("the run passes");
    assert!(other > inside + Duration::from_secs(365 * 86_400));
}
