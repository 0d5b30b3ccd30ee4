//! What the usual crates draw from the host repeats with the seed and differs between seeds, crate by crate and version
//! by version, each in processes of their own.

#![cfg(all(feature = "guards", target_os = "linux", target_env = "gnu"))]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests are about what the guards do to these"
)]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use sim::{Builder, Sim};

/// What `draw` gives on a node, and then on another, under a seed.
fn drawn(seed: u64, draw: fn() -> String) -> String {
    let outcome = Builder::new().seed(seed).run(move |sim: Sim| async move {
        // So that clocks, too, tell one seed from another.
        sim::time::sleep(Duration::from_nanos(sim::rand::range(1..1_000_000_000_000))).await;
        let first = sim.node("a").spawn(async move { draw() }).await.unwrap();
        first + " " + &sim.node("b").spawn(async move { draw() }).await.unwrap()
    });
    outcome.result.expect("the run passes")
}

#[track_caller]
fn repeats(draw: fn() -> String) {
    let first = drawn(7, draw);
    assert_eq!(drawn(7, draw), first);
    let other = drawn(8, draw);
    assert_ne!(other, first);
    assert!(other.split(' ').zip(first.split(' ')).all(|(one, other)| one != other), "{first}, {other}");
}

/// A test for each way to draw: its name, and the text of what is drawn, without blanks.
macro_rules! repeats {
    ($($name:ident => $draw:expr;)*) => {
        $(#[test]
        fn $name() {
            repeats(|| $draw);
        })*
    };
}

repeats! {
    rand_0_8 => format!("{:x}", rand08::random::<u128>());
    rand_0_8_from_entropy => {
        use rand08::{RngCore, SeedableRng, rngs};
        format!("{:x}-{:x}", rngs::StdRng::from_entropy().next_u64(), rngs::OsRng.next_u64())
    };
    rand_0_9 => format!("{:x}", rand09::random::<u128>());
    rand_0_9_from_the_system => {
        use rand09::{RngCore, SeedableRng, TryRngCore, rngs};
        format!("{:x}-{:x}", rngs::StdRng::from_os_rng().next_u64(), rngs::OsRng.try_next_u64().unwrap())
    };
    rand_0_10 => format!("{:x}", rand::random::<u128>());
    getrandom_0_2 => {
        let mut bytes = [0; 16];
        getrandom02::getrandom(&mut bytes).unwrap();
        format!("{:x}", u128::from_ne_bytes(bytes))
    };
    getrandom_0_3 => format!("{:x}-{:x}", getrandom03::u64().unwrap(), getrandom03::u32().unwrap());
    getrandom_0_4 => format!("{:x}-{:x}", getrandom04::u64().unwrap(), getrandom04::u32().unwrap());
    uuid_v4 => uuid::Uuid::new_v4().to_string();
    uuid_v7 => uuid::Uuid::now_v7().to_string();
    fastrand => format!("{:x}", fastrand::u64(..));
    a_hash_map => {
        let map: HashMap<u32, ()> = (0..50).map(|n| (n, ())).collect();
        format!("{:?}", map.into_keys().collect::<Vec<_>>()).replace(' ', "")
    };
    a_hash_set => {
        let set: HashSet<String> = (0..50).map(|n| n.to_string()).collect();
        set.into_iter().collect::<Vec<_>>().join(",")
    };
    an_instant => format!("{:?}", Instant::now()).replace(' ', "");
    a_system_time => format!("{:?}", SystemTime::now()).replace(' ', "");
}

#[test]
fn the_time_in_a_uuid_is_virtual() {
    let time = || uuid::Uuid::now_v7().get_timestamp().unwrap().to_unix().0.to_string();
    let (day, start) = (86_400, epoch());
    let seconds: u64 = drawn(1, time).split(' ').next().unwrap().parse().unwrap();
    assert!((start..start + day).contains(&seconds), "{seconds}");
}

/// Where the wall clocks start, s since 1970.
fn epoch() -> u64 {
    sim::Config::seed(0).epoch / 1_000_000_000
}

#[test]
fn outside_of_a_simulation_all_differs() {
    assert_ne!(uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    assert_ne!(rand08::random::<u128>(), rand08::random());
    assert_ne!(rand09::random::<u128>(), rand09::random());
    assert_ne!(getrandom02_bytes(), getrandom02_bytes());
}

fn getrandom02_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom02::getrandom(&mut bytes).unwrap();
    bytes
}
