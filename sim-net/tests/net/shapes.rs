//! Shapes of partitions, clogs one by one, matrices of zones, fixtures.

use crate::{ms, on, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_core::{Config, Sim, run};
use sim_net::{Latency, NetExt, UdpSocket, fixtures};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("n{i}")).collect()
}

fn declare<S: AsRef<str>>(sim: Sim, names: &[S]) {
    for name in names {
        sim.node(name.as_ref());
    }
}

/// Which ordered pairs of nodes a datagram gets across now, within a second.
async fn reached(sim: Sim, names: &[String]) -> BTreeSet<(usize, usize)> {
    let mut sockets = Vec::new();
    for name in names {
        sockets.push(Rc::new(on(sim, name, UdpSocket::bind("0.0.0.0:9")).await.unwrap().unwrap()));
    }
    for (i, socket) in sockets.iter().enumerate() {
        for to in names {
            socket.send_to(&[i as u8], (to.as_str(), 9)).await.unwrap();
        }
    }
    let mut all = BTreeSet::new();
    for (to, socket) in sockets.iter().enumerate() {
        let mut from = [0];
        while timeout(ms(500), socket.recv(&mut from)).await.is_ok() {
            all.insert((usize::from(from[0]), to));
        }
    }
    all
}

fn symmetric(all: &BTreeSet<(usize, usize)>) -> bool {
    all.iter().all(|&(a, b)| all.contains(&(b, a)))
}

#[test]
fn a_bridge_reaches_both_sides() {
    simulate(|sim| async move {
        let all = names(5);
        declare(sim, &all);
        let cut = sim.bridge(["n0", "n1"], "n2", ["n3", "n4"]);
        let seen = reached(sim, &all).await;
        for a in 0..5 {
            for b in 0..5 {
                let across = a.min(b) < 2 && a.max(b) > 2;
                assert_eq!(seen.contains(&(a, b)), !across, "{a} to {b}");
            }
        }
        drop(cut);
        assert_eq!(reached(sim, &all).await.len(), 25);
        Ok(())
    });
}

#[test]
fn halves_are_chosen_by_the_seed() {
    let mut chosen = BTreeSet::new();
    for seed in 1..=20 {
        let outcome = run(Config::seed(seed), |sim| async move {
            let all = names(5);
            declare(sim, &all);
            let _cut = sim.halves(all.clone());
            reached(sim, &all).await
        });
        let seen = outcome.result.unwrap();
        assert!(symmetric(&seen) && seen.len() == 2 * 2 + 3 * 3, "{seen:?}");
        chosen.insert(seen);
    }
    assert!(chosen.len() > 5, "of the ten ways to part five nodes, {} were tried", chosen.len());
}

#[test]
fn in_a_majority_ring_all_see_a_majority_and_no_two_the_same() {
    for n in [4, 5, 6, 7, 9] {
        let mut rings = BTreeSet::new();
        for seed in 1..=5 {
            let outcome = run(Config::seed(seed), move |sim| async move {
                let all = names(n);
                declare(sim, &all);
                let _cut = sim.majority_ring(all.clone());
                reached(sim, &all).await
            });
            let seen = outcome.result.unwrap();
            assert!(symmetric(&seen) && seen.len() < n * n, "{seen:?}");
            let views: BTreeSet<BTreeSet<_>> =
                (0..n).map(|a| seen.iter().filter(|p| p.0 == a).map(|p| p.1).collect()).collect();
            assert!(views.iter().all(|view| view.len() > n / 2), "{views:?}");
            assert_eq!(views.len(), n, "{views:?}");
            rings.insert(seen);
        }
        assert!(rings.len() > 1, "the seed chooses the ring of {n}");
    }
}

#[test]
fn a_swizzle_holds_one_by_one_and_releases_in_another_order() {
    let (mut clogged, mut released) = (BTreeSet::new(), BTreeSet::new());
    for seed in 1..=20 {
        let outcome = run(Config::seed(seed), |sim| async move {
            let all = names(3);
            declare(sim, &all);
            sim.default_link().latency(ms(1));
            let start = sim.elapsed();
            // Who hears of the harness, and when.
            let listeners: Vec<_> = all
                .iter()
                .map(|name| {
                    on(sim, name, async move {
                        let socket = UdpSocket::bind("0.0.0.0:9").await.unwrap();
                        let mut gaps = (Duration::ZERO, start, Duration::ZERO);
                        while let Ok(Ok(_)) = timeout(secs(30), socket.recv(&mut [0])).await {
                            let now = sim.elapsed();
                            if now - gaps.1 > gaps.2 {
                                gaps = (gaps.1, now, now - gaps.1);
                            } else {
                                gaps.1 = now;
                            }
                            if gaps.2 > secs(1) {
                                return (gaps.0, now);
                            }
                        }
                        panic!("never clogged");
                    })
                })
                .collect();
            let names = all.clone();
            let beat = sim.harness().spawn(async move {
                let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
                for _ in 0..300 {
                    for name in &names {
                        socket.send_to(&[0], (name.as_str(), 9)).await.unwrap();
                    }
                    sleep(ms(100)).await;
                }
            });
            sleep(secs(2)).await;
            let begin = sim.elapsed();
            sim.swizzle_clog(all.clone(), secs(2)).await;
            // Three clogs, two gaps between releases.
            assert_eq!(sim.elapsed() - begin, secs(2 * 3 + 2 * 2));
            let mut times = Vec::new();
            for listener in listeners {
                times.push(listener.await.unwrap());
            }
            beat.await.unwrap();
            assert_eq!(sim.network_census().held, 0);
            times
        });
        let times = outcome.result.unwrap();
        let order = |of: fn(&(Duration, Duration)) -> Duration| {
            let mut order: Vec<_> = (0..3).collect();
            order.sort_by_key(|&i| of(&times[i]));
            order
        };
        clogged.insert(order(|t| t.0));
        released.insert(order(|t| t.1));
    }
    assert!(clogged.len() > 2 && released.len() > 2, "{clogged:?} {released:?}");
}

#[test]
fn a_dropped_swizzle_releases_all() {
    simulate(|sim| async move {
        let all = names(2);
        declare(sim, &all);
        assert!(timeout(secs(3), sim.swizzle_clog(all.clone(), ms(500)..ms(600))).await.is_ok());
        assert!(timeout(secs(1), sim.swizzle_clog(all.clone(), secs(100))).await.is_err());
        assert_eq!(reached(sim, &all).await.len(), 4);
        let clog = sim.clog_node("n0");
        assert_eq!(reached(sim, &all).await.len(), 2);
        drop(clog);
        assert_eq!(reached(sim, &all).await.len(), 4);
        Ok(())
    });
}

/// How long a datagram takes.
async fn one_way(sim: Sim, from: &str, to: &str) -> Duration {
    let target = (sim.node(to).address(), 9);
    let receiver = on(sim, to, UdpSocket::bind("0.0.0.0:9")).await.unwrap().unwrap();
    let start = sim.elapsed();
    on(sim, from, async move { UdpSocket::bind("0.0.0.0:0").await?.send_to(b"x", target).await })
        .await
        .unwrap()
        .unwrap();
    receiver.recv(&mut [0]).await.unwrap();
    sim.elapsed() - start
}

#[test]
fn a_matrix_gives_each_pair_of_zones_its_latency() {
    simulate(|sim| async move {
        for (zone, nodes) in [("x", ["a", "b"]), ("y", ["c", "d"])] {
            declare(sim, &nodes);
            sim.zone(zone, nodes);
        }
        sim.latency_matrix(["x", "y"], &[[ms(1), ms(40)], [ms(50), ms(2)]]);
        for (from, to, took) in [("a", "b", 1), ("a", "c", 40), ("d", "b", 50), ("d", "c", 2)] {
            assert_eq!(one_way(sim, from, to).await, ms(took));
        }
        sim.link("a", "c").latency(ms(7));
        assert_eq!((one_way(sim, "a", "c").await, one_way(sim, "a", "d").await), (ms(7), ms(40)));
        Ok(())
    });
}

#[test]
fn fixtures_have_the_published_distances() {
    simulate(|sim| async move {
        for node in ["a", "b", "c", "d"] {
            sim.node(node);
        }
        fixtures::regions(sim, ["a", "d"], ["b"], ["c"]);
        for (from, to, round_trip) in [("a", "b", 80_500), ("c", "a", 145_300), ("b", "c", 212_400)] {
            let (there, back) = (one_way(sim, from, to).await, one_way(sim, to, from).await);
            let least = Duration::from_micros(round_trip);
            assert!(there + back >= least && there + back < least + least / 4, "{:?}", there + back);
        }
        assert!(one_way(sim, "a", "d").await < ms(5), "in a data centre");
        sim.link("a", "b").like(fixtures::satellite).loss(0.0);
        assert!(one_way(sim, "a", "b").await >= ms(279));
        sim.link("a", "b").like(fixtures::mobile_up).like(fixtures::mobile_down).loss(0.0);
        assert!(one_way(sim, "a", "b").await >= ms(75));
        Ok(())
    });
}

#[test]
fn bad_input_is_named_and_the_panic_points_at_the_caller() {
    type Case = (&'static str, fn(Sim));
    let cases: [Case; 14] = [
        ("a duplication of 1.5", |s| {
            s.default_link().duplication(1.5);
        }),
        ("a corruption of -0.1", |s| {
            s.default_link().corruption(-0.1);
        }),
        ("an undetected corruption of NaN", |s| {
            s.default_link().undetected(f64::NAN);
        }),
        ("a reordering of 2", |s| {
            s.default_link().reordering(2.0, ms(1));
        }),
        ("a reordering by 0ns", |s| {
            s.default_link().reordering(0.1, ms(0));
        }),
        ("an MTU of 67: allowed is 68 to 65535", |s| {
            s.default_link().mtu(67);
        }),
        ("\"a\" is the bridge and on a side of it", |s| drop(s.bridge("a", "a", "b"))),
        ("\"b\" is on both sides", |s| drop(s.bridge(["b"], "a", ["b"]))),
        ("two halves of 1 nodes", |s| drop(s.halves("a"))),
        ("a majority ring of 3 nodes", |s| drop(s.majority_ring(["a", "b", "harness"]))),
        ("no node is called \"x\"", |s| drop(s.clog_node("x"))),
        ("no zone is called \"mars\" (there are x, y)", |s| {
            s.latency_matrix(["x", "mars"], &[[ms(1); 2]; 2])
        }),
        ("a latency matrix of 1 rows for 2 zones", |s| s.latency_matrix(["x", "y"], &[[ms(1), ms(2)]])),
        ("row 1 (\"y\") of the latency matrix has 1 entries for 2 zones", |s| {
            s.latency_matrix(["x", "y"], &[vec![Latency::from(ms(1)); 2], vec![Latency::from(ms(1))]]);
        }),
    ];
    for (message, case) in cases {
        let outcome = run(Config::seed(1), |sim| async move {
            sim.node("a");
            sim.node("b");
            sim.zone("x", "a");
            sim.zone("y", "b");
            case(sim);
        });
        let failure = outcome.result.unwrap_err();
        assert!(failure.site.contains("shapes.rs"), "{failure:?} must point at the caller");
        assert!(failure.message.contains(message), "{:?} does not say {message:?}", failure.message);
    }
}
