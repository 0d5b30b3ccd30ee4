//! What rough links do to TCP, and that a parameter that is off does nothing at all.

use crate::{ms, on, pair, secs};
use sim_core::time::timeout;
use sim_core::{Config, Sim, Stats, run};
use sim_net::{Link, NetExt, Traffic, UdpSocket};
use std::time::Duration;

/// How a run of streams and datagrams between "client" and "server" went.
#[derive(Debug, PartialEq)]
struct Run {
    trace: u64,
    took: Duration,
    stats: Stats,
    traffic: Traffic,
}

/// Sends a stream there and back and some datagrams; everything of the stream must arrive, in order.
fn traffic_under<R>(seed: u64, set: impl Fn(Sim) -> R + 'static) -> Run {
    let outcome = run(Config::seed(seed), move |sim| async move {
        sim.node("client");
        sim.node("server");
        set(sim);
        let (mut client, mut server) = pair(sim).await?;
        let start = sim.elapsed();
        let data: Vec<u8> = (0..60_000u32).map(|i| (i * 7) as u8).collect();
        let sent = data.clone();
        let sending = on(sim, "client", async move {
            for piece in sent.chunks(1000) {
                client.write_all(piece).await?;
                sim_core::time::sleep(ms(1)).await;
            }
            client.shutdown().await?;
            let mut back = Vec::new();
            client.read_to_end(&mut back).await?;
            std::io::Result::Ok(back)
        });
        let mut got = Vec::new();
        server.read_to_end(&mut got).await?;
        assert!(got == data, "the stream arrives as it was sent");
        server.write_all(&got).await?;
        drop(server);
        assert!(sending.await.unwrap()? == data);
        let took = sim.elapsed() - start;
        let receiver = on(sim, "server", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = on(sim, "client", UdpSocket::bind("0.0.0.0:0")).await.unwrap()?;
        for i in 0..100u8 {
            sender.send_to(&[i; 100], "server:9").await?;
        }
        while timeout(secs(1), receiver.recv(&mut [0; 100])).await.is_ok() {}
        std::io::Result::Ok((took, sim.traffic()))
    });
    let (took, traffic) = outcome.result.unwrap().unwrap();
    Run { trace: outcome.trace, took, stats: outcome.stats, traffic }
}

type Set = fn(Link) -> Link;

#[test]
fn what_is_off_does_nothing() {
    let off: [(&str, Set); 9] = [
        ("loss", |l| l.loss(0.0)),
        ("duplication", |l| l.duplication(0.0)),
        ("reordering", |l| l.reordering(0.0, ms(100))),
        ("corruption", |l| l.corruption(0.0)),
        ("undetected", |l| l.undetected(1.0)),
        ("bandwidth", |l| l.unlimited()),
        ("queue", |l| l.queue(1)),
        ("mtu", |l| l.mtu(200)),
        ("latency", |l| l.latency(ms(1)..=ms(10))),
    ];
    for seed in 1..=3 {
        let plain = traffic_under(seed, |_| ());
        for (name, set) in off {
            let by_default = traffic_under(seed, move |sim| set(sim.default_link()));
            let by_pair = traffic_under(seed, move |sim| set(sim.link("client", "server")).both());
            let on_and_off = traffic_under(seed, move |sim| {
                let link =
                    sim.default_link().loss(0.5).duplication(0.5).corruption(0.5).reordering(0.5, ms(9));
                set(link).loss(0.0).duplication(0.0).corruption(0.0).reordering(0.0, ms(1));
                sim.partition("client", "server").forget();
                sim.clog("client", "server").forget();
                sim.heal();
            });
            assert!([by_default, by_pair].iter().all(|r| *r == plain), "{name}");
            // What was on is in the fault log, and by that in the trace.
            let log = Stats { faults: on_and_off.stats.faults, ..plain.stats };
            let plain = Run { trace: on_and_off.trace, stats: log, took: plain.took, traffic: plain.traffic };
            assert!(on_and_off == plain && log.faults == 6, "{name}");
        }
    }
}

#[test]
fn what_is_on_is_in_the_trace() {
    let on: [Set; 5] = [
        |l| l.loss(0.2),
        |l| l.duplication(0.2),
        |l| l.reordering(0.2, ms(50)),
        |l| l.corruption(0.2),
        |l| l.latency(ms(1)..=ms(11)),
    ];
    let plain = traffic_under(1, |_| ());
    for set in on {
        let rough = traffic_under(1, move |sim| set(sim.default_link()));
        assert_ne!(rough.trace, plain.trace);
        assert_eq!(rough, traffic_under(1, move |sim| set(sim.default_link())), "and it repeats");
    }
}

#[test]
fn tcp_drops_what_comes_twice() {
    for seed in 1..=5 {
        let plain = traffic_under(seed, |sim| sim.default_link().latency(ms(5)));
        let twice = traffic_under(seed, |sim| sim.default_link().latency(ms(5)).duplication(1.0));
        assert_eq!(twice.took, plain.took, "a stream is as fast");
        assert!(twice.traffic.duplicated > 160, "{:?}", twice.traffic);
        assert_eq!(twice.traffic.datagrams, 2 * plain.traffic.datagrams);
    }
}

#[test]
fn a_stream_waits_for_what_was_overtaken() {
    for seed in 1..=5 {
        let plain = traffic_under(seed, |sim| sim.default_link().latency(ms(5)));
        let mixed = traffic_under(seed, |sim| {
            sim.default_link().latency(ms(5)).reordering(0.2, ms(300));
        });
        assert!(mixed.traffic.reordered > 10, "{:?}", mixed.traffic);
        assert!(mixed.took > plain.took + ms(100), "{:?} and {:?}", mixed.took, plain.took);
        assert_eq!(mixed.traffic.retransmissions, 0, "nothing was lost");
    }
}

#[test]
fn tcp_sends_again_what_was_damaged() {
    for seed in 1..=5 {
        let link = |sim: Sim| sim.default_link().latency(ms(5)).corruption(0.05).undetected(1.0);
        let damaged = traffic_under(seed, link);
        assert!(
            damaged.traffic.corrupted > 0 && damaged.traffic.retransmissions > 0,
            "{:?}",
            damaged.traffic
        );
        assert_eq!(damaged.traffic.datagrams, 100, "datagrams arrive, changed");
    }
}
