//! Each family of the network changes something, which the fault log knows; without it nothing changes.

use sim_core::fault::{Fault, Swarm, Tolerance};
use sim_core::time::{Duration, sleep, timeout};
use sim_core::{Config, Kind, Outcome, Sim, Source, run};
use sim_net::{NetExt, TcpListener, TcpStream, Traffic, UdpSocket, lookup_host};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const NODES: [&str; 4] = ["a", "b", "c", "d"];

/// What the nodes saw, besides what the network counted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    /// Datagrams that took longer than links do, and connections that ended.
    late: u64,
    ended: u64,
    /// Names that were not found at once.
    names: u64,
    traffic: Traffic,
    lost: u64,
}

/// Everybody sends everybody datagrams that say when they left, and talks to the next over TCP; they ask for names.
fn talk(sim: Sim, seen: &Rc<RefCell<Seen>>) {
    for (i, name) in NODES.into_iter().enumerate() {
        let seen = seen.clone();
        sim.node(name).run(move || node(sim, i, seen.clone()));
    }
}

async fn node(sim: Sim, i: usize, seen: Rc<RefCell<Seen>>) {
    let socket = Rc::new(UdpSocket::bind("0.0.0.0:9").await.unwrap());
    let (receiver, told) = (socket.clone(), seen.clone());
    sim_core::spawn(async move {
        let mut sent = [0; 8];
        while receiver.recv_from(&mut sent).await.is_ok() {
            let took = (sim.elapsed().as_nanos() as u64).saturating_sub(u64::from_le_bytes(sent));
            told.borrow_mut().late += u64::from(took > 10_000_000);
        }
    });
    let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
    sim_core::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            sim_core::spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(1..) = stream.read(&mut buffer).await {}
            });
        }
    });
    let (next, told) = (NODES[(i + 1) % NODES.len()], seen.clone());
    let address = sim.node(next).address();
    sim_core::spawn(async move {
        loop {
            let Ok(mut stream) = TcpStream::connect((address, 80)).await else { continue };
            while stream.write_all(b"x").await.is_ok() {
                sleep(ms(20)).await;
            }
            told.borrow_mut().ended += 1;
        }
    });
    loop {
        sleep(ms(40)).await;
        for other in NODES {
            let address = sim.node(other).address();
            let now = sim.elapsed().as_nanos() as u64;
            let _ = socket.send_to(&now.to_le_bytes(), (address, 9)).await;
        }
        if !matches!(timeout(ms(1), lookup_host("b:80")).await, Ok(Ok(_))) {
            seen.borrow_mut().names += 1;
        }
    }
}

fn chaos(config: Config, swarm: impl Fn() -> Swarm + 'static) -> Outcome<Seen> {
    run(config, move |sim| async move {
        let seen = Rc::new(RefCell::new(Seen::default()));
        for name in NODES {
            sim.node(name);
        }
        talk(sim, &seen);
        sim.nemesis(swarm().during(ms(1_000)..ms(25_000)));
        sleep(ms(25_000)).await;
        sim.heal().await;
        let (lost, traffic) = (sim.stats().lost, sim.traffic());
        sleep(ms(3_000)).await;
        assert_eq!(
            (sim.stats().lost, sim.traffic().corrupted),
            (lost, traffic.corrupted),
            "all is well again"
        );
        let seen = seen.borrow().clone();
        Seen { traffic, lost, ..seen }
    })
}

#[track_caller]
fn shows(family: &'static str, how: impl Fn(&Seen) -> u64) {
    let swarm = move || Swarm::default().at_full_strength().only([family]);
    let with = chaos(Config::seed(2), swarm);
    let without = chaos(Config::seed(2), move || swarm().without([family]));
    assert!(without.faults.is_empty(), "{:?}", without.faults);
    assert!(with.faults.iter().all(|f| f.family == family && f.end.is_some()), "{:#?}", with.faults);
    assert!(with.faults.iter().any(|fault| fault.happened() && fault.effects > 0), "{:#?}", with.faults);
    let (with, without) = (with.result.unwrap(), without.result.unwrap());
    assert_eq!(how(&without), 0, "{without:?}");
    assert!(how(&with) > 0, "{family} shows: {with:?}");
}

/// A family, and how much of it is seen.
type Shown = (&'static str, fn(&Seen) -> u64);

/// How the families of the network show.
const SHOWN: &[Shown] = &[
    ("partition", |seen| seen.lost),
    ("loss", |seen| seen.lost),
    ("latency", |seen| seen.late),
    ("clog", |seen| seen.late),
    ("swizzle-clog", |seen| seen.late),
    ("duplication", |seen| seen.traffic.duplicated),
    ("reordering", |seen| seen.traffic.reordered),
    ("corruption", |seen| seen.traffic.corrupted),
    ("reset", |seen| seen.ended),
    ("dns", |seen| seen.names),
];

#[test]
fn each_family_shows_and_off_it_does_not() {
    for (family, how) in SHOWN {
        shows(family, how);
    }
}

/// A new family fails this until the table says how it shows.
#[test]
fn every_family_has_a_test_that_it_shows() {
    let shown: BTreeSet<&str> = SHOWN.iter().map(|(family, _)| *family).collect();
    assert_eq!(shown, BTreeSet::from_iter(sim_net::families()));
}

#[test]
fn every_shape_of_partition_is_drawn() {
    let shapes: Vec<String> = (0..12)
        .flat_map(|seed| {
            chaos(Config::seed(seed), || Swarm::default().at_full_strength().only(["partition"])).faults
        })
        .map(|fault| fault.parameters[0].to_string())
        .collect();
    for shape in ["link", "one-way", "isolate", "halves", "ring", "bridge"] {
        assert!(shapes.contains(&format!("shape {shape}")), "{shape}: {shapes:?}");
    }
}

#[test]
fn a_partition_that_is_too_much_becomes_an_isolated_node() {
    let swarm = || {
        let tolerance = Tolerance::new().down(1);
        Swarm::default().at_full_strength().only(["partition"]).tolerate(tolerance)
    };
    let faults: Vec<Fault> = (0..6).flat_map(|seed| chaos(Config::seed(seed), swarm).faults).collect();
    let weaker: Vec<String> =
        faults.iter().map(ToString::to_string).filter(|f| f.contains("downgraded")).collect();
    assert!(!weaker.is_empty(), "{faults:#?}");
    assert!(weaker.iter().all(|told| told.contains("shape isolate")), "{weaker:#?}");
    let halves = faults.iter().filter(|fault| fault.parameters[0].to_string() == "shape halves");
    assert!(halves.clone().all(|fault| !fault.happened()), "{faults:#?}");
}

#[test]
fn faults_by_hand_are_in_the_log_with_what_came_of_them() {
    let outcome = run(Config::seed(1), |sim| async move {
        let seen = Rc::new(RefCell::new(Seen::default()));
        for name in NODES {
            sim.node(name);
        }
        sim.default_link().latency(ms(1)..ms(5));
        talk(sim, &seen);
        sleep(ms(100)).await;
        let cut = sim.partition("a", ["b", "c"]).one_way();
        sleep(ms(100)).await;
        drop(cut);
        sim.link("a", "b").loss(0.5).latency(ms(9)).both();
        sleep(ms(500)).await;
        sim.link("a", "b").loss(0.0).latency(ms(1)..ms(5)).both();
        let clog = sim.clog_node("d");
        let missing = sim.dns().about("b").missing();
        sleep(ms(100)).await;
        drop((clog, missing));
        sim.isolate("harness").forget();
        sim.heal().await;
    });
    outcome.result.unwrap();
    let told: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "100ms to 200ms partition of a | b, c: shape two sides, direction one way",
            "200ms to 700ms loss of a to b: loss 50 %",
            "200ms to 700ms latency of a to b: least latency 9ms",
            "200ms to 700ms loss of b to a: loss 50 %",
            "200ms to 700ms latency of b to a: least latency 9ms",
            "700ms to 800ms clog of d | all but d",
            "700ms to 800ms dns of b asked by all: answers missing",
            "800ms partition of harness | all but harness: shape isolate (nothing came of it)",
        ]
    );
}

fn explicit(seed: u64, deviations: &BTreeMap<u64, u64>) -> Config {
    let deviations = Arc::new(deviations.clone());
    Config::seed(seed).source(Source::Explicit { seed, deviations }).record()
}

#[test]
fn a_fault_that_is_taken_out_leaves_faults_and_packets() {
    let swarm = || {
        Swarm::default().at_full_strength().only([
            "partition",
            "loss",
            "latency",
            "clog",
            "duplication",
            "kill",
        ])
    };
    let whole = chaos(Config::seed(3).record(), swarm);
    let listed = whole.log.as_ref().unwrap().deviations.clone();
    let all: BTreeMap<u64, u64> = listed.iter().map(|d| (d.name, d.value)).collect();
    let again = chaos(explicit(3, &all), swarm);
    assert_eq!((again.trace, &again.faults), (whole.trace, &whole.faults), "a run is its deviations");
    let (mut kept, mut others, mut shares) = (0, 0, Vec::new());
    let slots: Vec<_> = listed.iter().filter(|d| d.kind == Kind::Fault).collect();
    for (slot, taken) in slots.iter().enumerate() {
        let mut without = all.clone();
        without.remove(&taken.name);
        let left = chaos(explicit(3, &without), swarm);
        let happened = |fault: &&Fault| fault.happened() && fault.slot != Some(slot as u64);
        let same =
            |a: &Fault, b: &Fault| (a.slot, a.start, a.end, &a.target) == (b.slot, b.start, b.end, &b.target);
        for fault in whole.faults.iter().filter(happened) {
            others += 1;
            kept += usize::from(left.faults.iter().any(|f| same(f, fault)));
        }
        let of_network = |outcome: &Outcome<Seen>| -> Vec<(u64, u64)> {
            let all = outcome.log.as_ref().unwrap().deviations.iter();
            all.filter(|d| d.kind == Kind::Delay && d.at > taken.at).map(|d| (d.name, d.at)).collect()
        };
        let (before, mut after) = (of_network(&whole), of_network(&left));
        after.sort_unstable();
        let stayed = before.iter().filter(|named| after.binary_search(named).is_ok()).count();
        shares.push(stayed * 100 / before.len().max(1));
    }
    shares.sort_unstable();
    assert!(shares[shares.len() / 2] >= 90, "of the packets are kept: {shares:?} %");
    assert!(kept * 100 >= others * 95 && others > 50, "{kept} of {others} faults are kept");
}
