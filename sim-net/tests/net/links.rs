//! Links, zones, partitions: what is set is what packets meet.

use crate::{kind, ms, on, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_core::{Config, Sim, run};
use sim_net::{Bandwidth, Latency, NetExt, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

fn declare(sim: Sim, nodes: &[&str]) {
    for node in nodes {
        sim.node(node);
    }
}

/// How long a datagram from `from` to `to` takes; `None` when it is lost.
async fn one_way(sim: Sim, from: &str, to: &str) -> Option<Duration> {
    let target = (sim.node(to).address(), 9);
    let receiver = on(sim, to, UdpSocket::bind("0.0.0.0:9")).await.unwrap().unwrap();
    let start = sim.elapsed();
    on(sim, from, async move { UdpSocket::bind("0.0.0.0:0").await?.send_to(b"x", target).await })
        .await
        .unwrap()
        .unwrap();
    timeout(secs(1), receiver.recv_from(&mut [0])).await.ok()?.unwrap();
    Some(sim.elapsed() - start)
}

#[test]
fn the_default_is_1_to_10_ms() {
    simulate(|sim| async move {
        sim.node("b");
        let mut all = Vec::new();
        for _ in 0..300 {
            all.push(one_way(sim, "a", "b").await.unwrap());
        }
        let (least, most) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
        assert!((ms(1)..Duration::from_micros(1200)).contains(&least), "{least:?}");
        assert!((Duration::from_micros(9800)..=ms(10)).contains(&most), "{most:?}");
        Ok(())
    });
}

#[test]
fn the_most_specific_rule_counts_in_its_direction() {
    simulate(|sim| async move {
        declare(sim, &["a", "b", "c", "d"]);
        sim.default_link().latency(ms(1));
        sim.zone("eu", ["a", "b"]);
        sim.zone("us", ["c"]);
        sim.between("eu", "us").latency(ms(80));
        sim.between("eu", "eu").latency(ms(2));
        sim.link("a", "c").latency(ms(40));
        assert_eq!(one_way(sim, "a", "b").await, Some(ms(2)));
        assert_eq!(one_way(sim, "b", "c").await, Some(ms(80)));
        assert_eq!(one_way(sim, "a", "c").await, Some(ms(40)));
        assert_eq!(one_way(sim, "c", "a").await, Some(ms(1)));
        assert_eq!(one_way(sim, "a", "d").await, Some(ms(1)));
        sim.link("a", "c").latency(ms(3)).both();
        assert_eq!((one_way(sim, "a", "c").await, one_way(sim, "c", "a").await), (Some(ms(3)), Some(ms(3))));
        Ok(())
    });
}

#[test]
fn both_takes_over_what_was_set_before_and_after() {
    simulate(|sim| async move {
        declare(sim, &["a", "b"]);
        sim.link("a", "b").latency(ms(7)).both().loss(1.0);
        assert_eq!((one_way(sim, "a", "b").await, one_way(sim, "b", "a").await), (None, None));
        sim.link("a", "b").loss(0.0).both();
        assert_eq!(one_way(sim, "b", "a").await, Some(ms(7)), "parameters that are not set stay");
        Ok(())
    });
}

#[test]
fn loss_is_as_often_as_asked() {
    simulate(|sim| async move {
        declare(sim, &["a", "b"]);
        sim.link("a", "b").latency(ms(1)).loss(0.3);
        let mut lost = 0;
        for _ in 0..1000 {
            lost += u32::from(one_way(sim, "a", "b").await.is_none());
        }
        assert!((240..360).contains(&lost), "{lost} of 1000");
        Ok(())
    });
}

#[test]
fn bandwidth_spaces_datagrams() {
    simulate(|sim| async move {
        declare(sim, &["a", "b"]);
        sim.link("a", "b").latency(ms(1)).bandwidth(Bandwidth::kbit(8));
        // 1 and 66 bytes of headers at 1000 bytes a second.
        assert_eq!(one_way(sim, "a", "b").await, Some(ms(68)));
        sim.link("a", "b").unlimited();
        assert_eq!(one_way(sim, "a", "b").await, Some(ms(1)));
        Ok(())
    });
}

#[test]
fn partitions_cut_what_they_name_and_heal() {
    simulate(|sim| async move {
        declare(sim, &["a", "b", "c"]);
        let cut = sim.partition(["a", "b"], ["c"]);
        assert!(one_way(sim, "a", "c").await.is_none() && one_way(sim, "c", "b").await.is_none());
        assert!(one_way(sim, "a", "b").await.is_some());
        let inner = sim.partition("a", "b").one_way();
        assert!(one_way(sim, "a", "b").await.is_none() && one_way(sim, "b", "a").await.is_some());
        cut.heal();
        assert!(one_way(sim, "a", "c").await.is_some() && one_way(sim, "a", "b").await.is_none());
        inner.forget();
        let alone = sim.isolate("c");
        sim.node("late");
        assert!(one_way(sim, "late", "c").await.is_none() && one_way(sim, "b", "c").await.is_none());
        sim.heal();
        drop(alone);
        for (from, to) in [("a", "b"), ("late", "c"), ("b", "c")] {
            assert!(one_way(sim, from, to).await.is_some());
        }
        Ok(())
    });
}

#[test]
fn what_is_under_way_when_a_partition_begins_arrives() {
    simulate(|sim| async move {
        declare(sim, &["a", "b"]);
        sim.after(Duration::from_micros(500), move || sim.partition("a", "b").forget());
        assert!(one_way(sim, "a", "b").await.is_some());
        assert!(one_way(sim, "a", "b").await.is_none());
        Ok(())
    });
}

#[test]
fn a_clog_holds_datagrams_up_to_its_queue() {
    simulate(|sim| async move {
        declare(sim, &["a", "b"]);
        sim.link("a", "b").queue(10 * 1066);
        let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = on(sim, "a", UdpSocket::bind("0.0.0.0:0")).await.unwrap()?;
        let clog = sim.clog("a", "b");
        for _ in 0..20 {
            sender.send_to(&[0; 1000], "b:9").await?;
        }
        assert!(timeout(secs(1), receiver.recv_from(&mut [0])).await.is_err());
        drop(clog);
        for _ in 0..10 {
            receiver.recv_from(&mut [0]).await?;
        }
        assert!(timeout(secs(1), receiver.recv_from(&mut [0])).await.is_err(), "the rest did not fit");
        assert_eq!(sim.network_census().datagrams, 0);
        Ok(())
    });
}

#[test]
fn empty_datagrams_take_room_in_a_clog() {
    simulate(|sim| async move {
        declare(sim, &["a", "b"]);
        let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = on(sim, "a", UdpSocket::bind("0.0.0.0:0")).await.unwrap()?;
        let clog = sim.clog("a", "b");
        for _ in 0..20_000 {
            sender.send_to(&[], "b:9").await?;
        }
        // 66 bytes of headers each.
        assert_eq!(sim.network_census().held, (256 << 10) / 66);
        drop(clog);
        sleep(secs(1)).await;
        let traffic = sim.traffic();
        assert_eq!(traffic.datagrams + traffic.datagrams_dropped, (256 << 10) / 66);
        drop(receiver);
        Ok(())
    });
}

#[test]
fn connections_given_up_in_a_clog_leave_nothing_there() {
    simulate(|sim| async move {
        let _listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let clog = sim.clog("harness", "server");
        let keeps_on = sim.harness().spawn(TcpStream::connect("server:80"));
        for _ in 0..10_000 {
            assert!(timeout(ms(1), TcpStream::connect("server:80")).await.is_err());
        }
        let held = sim.network_census().held;
        assert!(held < 100, "{held}");
        drop(clog);
        let _kept = keeps_on.await.unwrap()?;
        sleep(ms(20)).await;
        assert_eq!(sim.traffic().accepted, 1);
        assert_eq!(sim.network_census().held, 0);
        Ok(())
    });
}

#[test]
fn a_handshake_into_a_clog_goes_on_at_the_release() {
    simulate(|sim| async move {
        let _listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let clog = sim.clog("harness", "server").both();
        let connecting = sim.harness().spawn(TcpStream::connect("server:80"));
        sleep(ms(1500)).await;
        drop(clog);
        let start = sim.elapsed();
        connecting.await.unwrap()?;
        assert!(sim.elapsed() - start <= ms(20));
        Ok(())
    });
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let trace = |seed| {
        let outcome = run(Config::seed(seed), |sim| async move {
            declare(sim, &["a", "b"]);
            sim.link("a", "b").latency(Latency::log_normal(ms(1), ms(5), 0.7)).loss(0.2);
            let mut sum = Duration::ZERO;
            for _ in 0..50 {
                sum += one_way(sim, "a", "b").await.unwrap_or_default();
            }
            sum
        });
        (outcome.trace, outcome.result.unwrap())
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_run_without_deviations_takes_the_least_latency() {
    use sim_core::Source;
    let source = Source::Explicit { seed: 1, deviations: Default::default() };
    let outcome = run(Config::seed(1).source(source), |sim| async move {
        declare(sim, &["a", "b"]);
        sim.link("a", "b").latency(ms(3)..ms(90)).loss(0.9);
        one_way(sim, "a", "b").await
    });
    assert_eq!(outcome.result.unwrap(), Some(ms(3)));
}

/// Runs a body that must panic, and gives the message and where the panic points to.
fn panics(body: fn(Sim)) -> String {
    let outcome = run(Config::seed(1), |sim| async move {
        declare(sim, &["a", "b"]);
        body(sim);
    });
    let failure = outcome.result.unwrap_err();
    assert!(failure.site.contains("links.rs"), "{failure:?} must point at the caller");
    failure.message
}

#[test]
fn bad_input_is_named_and_the_panic_points_at_the_caller() {
    type Case = (&'static str, fn(Sim));
    let cases: [Case; 9] = [
        ("no node is called \"c\" (there are harness, a, b)", |s| {
            s.link("a", "c");
        }),
        ("no node is called \"x\"", |s| drop(s.partition(["a"], ["x"]))),
        ("no node is called \"y\"", |s| drop(s.isolate("y"))),
        ("no zone is called \"eu\"", |s| {
            s.between("eu", "us");
        }),
        ("a loss of 1.5", |s| {
            s.link("a", "b").loss(1.5);
        }),
        ("a loss of NaN", |s| {
            s.default_link().loss(f64::NAN);
        }),
        ("is empty", |s| {
            s.link("a", "b").latency(ms(5)..ms(5));
        }),
        ("\"a\" is on both sides", |s| drop(s.partition(["a", "b"], ["a"]))),
        ("a bandwidth of 0", |s| {
            s.link("a", "b").bandwidth(Bandwidth(0));
        }),
    ];
    for (message, case) in cases {
        let got = panics(case);
        assert!(got.contains(message), "{got:?} does not say {message:?}");
    }
}

#[test]
fn connections_can_be_looked_at() {
    simulate(|sim| async move {
        let (client, server) = crate::pair(sim).await?;
        assert_eq!((sim.established("client", "server"), sim.established("harness", "server")), (1, 0));
        drop((client, server));
        sleep(secs(1)).await;
        assert_eq!(sim.established("client", "server"), 0);
        assert_eq!(kind(TcpStream::connect("server:80").await), std::io::ErrorKind::ConnectionRefused);
        let traffic = sim.traffic();
        assert_eq!((traffic.connects, traffic.accepted, traffic.resets), (2, 1, 1));
        Ok(())
    });
}
