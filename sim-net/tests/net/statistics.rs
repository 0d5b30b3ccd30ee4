//! Each parameter of a link does what it says, as often as it says. Counts must lie where all but a millionth of a binomial
//! distribution does; the seeds are fixed, so that a test that passes always passes.

use crate::{ms, on, secs, simulate};
use sim_core::Sim;
use sim_core::time::{sleep, timeout};
use sim_net::{Bandwidth, Latency, Link, NetExt, UdpSocket};
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

const MANY: u64 = 10_000;

/// The counts of `n` trials of probability `p` that leave less than half a millionth on either side.
fn plausible(n: u64, p: f64) -> RangeInclusive<u64> {
    let mut log_chance = n as f64 * (1.0 - p).ln();
    let (mut below, mut least, mut most) = (0.0, None, n);
    for k in 0..=n {
        below += log_chance.exp();
        if below > 5e-7 && least.is_none() {
            least = Some(k);
        }
        if below > 1.0 - 5e-7 {
            most = k;
            break;
        }
        log_chance += ((n - k) as f64 / (k + 1) as f64).ln() + (p / (1.0 - p)).ln();
    }
    least.unwrap_or(0)..=most
}

#[test]
fn the_bounds_are_those_of_the_binomial_distribution() {
    assert_eq!(plausible(20, 0.5), 0..=20);
    // A hundredth of 10,000 trials: mean 100, standard deviation 9.95; the normal approximation says 4.9 of them.
    let bounds = plausible(10_000, 0.01);
    assert!((50..=58).contains(bounds.start()) && (150..=155).contains(bounds.end()), "{bounds:?}");
}

#[derive(Debug)]
struct Got {
    index: u64,
    /// Since it was sent.
    after: Duration,
    intact: bool,
}

/// What of `n` datagrams of `size` bytes from "a" to "b", one each `gap`, is received, in the order in which it is.
async fn flood(sim: Sim, n: u64, gap: Duration, size: usize) -> Vec<Got> {
    let payload = move |index: u64| {
        let mut data = vec![0x5a; size];
        data[..8].copy_from_slice(&index.to_be_bytes());
        data[8..16].copy_from_slice(&(!index).to_be_bytes());
        data
    };
    let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap().unwrap();
    let start = sim.elapsed();
    let sender = on(sim, "a", async move {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        for index in 0..n {
            socket.send_to(&payload(index), "b:9").await?;
            sleep(gap).await;
        }
        io::Result::Ok(())
    });
    let (mut got, mut buf) = (Vec::new(), vec![0; 2000]);
    while let Ok(received) = timeout(secs(100), receiver.recv(&mut buf)).await {
        let data = &buf[..received.unwrap()];
        let index = u64::from_be_bytes(data[..8].try_into().unwrap());
        let intact = index < n && data == payload(index);
        let sent = if intact { gap * index as u32 } else { Duration::ZERO };
        got.push(Got { index, after: sim.elapsed() - start - sent, intact });
    }
    sender.await.unwrap().unwrap();
    got
}

fn link(sim: Sim) -> Link {
    sim.node("a");
    sim.node("b");
    sim.link("a", "b").latency(ms(5))
}

fn count(got: &[Got], of: impl Fn(&Got) -> bool) -> u64 {
    got.iter().filter(|g| of(g)).count() as u64
}

fn assert_share(what: &str, count: u64, n: u64, share: f64) {
    let bounds = plausible(n, share);
    assert!(bounds.contains(&count), "{what}: {count} of {n}, plausible are {bounds:?}");
}

#[test]
fn loss() {
    simulate(|sim| async move {
        for share in [0.001, 0.1, 0.9] {
            link(sim).loss(share);
            let got = flood(sim, MANY, ms(10), 64).await;
            assert!(got.iter().all(|g| g.intact && g.after == ms(5)));
            assert_share("lost", MANY - got.len() as u64, MANY, share);
        }
        Ok(())
    });
}

#[test]
fn duplication() {
    simulate(|sim| async move {
        link(sim).latency(ms(5)..ms(105)).duplication(0.2);
        let mut got = flood(sim, MANY, ms(10), 64).await;
        let copies = got.len() as u64 - MANY;
        assert_share("twice", copies, MANY, 0.2);
        assert_eq!(sim.traffic().duplicated, copies);
        got.sort_by_key(|g| g.index);
        let pairs: Vec<_> = got.windows(2).filter(|w| w[0].index == w[1].index).collect();
        assert_eq!(pairs.len() as u64, copies, "nothing arrives three times, and all once");
        // The latencies of both are independent.
        let close = pairs.iter().filter(|w| w[0].after.abs_diff(w[1].after) < ms(10)).count() as u64;
        assert_share("copies within 10 of 100 ms", close, copies, 0.19);
        Ok(())
    });
}

#[test]
fn reordering() {
    simulate(|sim| async move {
        link(sim).reordering(0.05, ms(100));
        let got = flood(sim, MANY, ms(10), 64).await;
        assert_eq!(got.len() as u64, MANY);
        let late = count(&got, |g| g.after > ms(5));
        assert_share("late", late, MANY, 0.05);
        assert_eq!(sim.traffic().reordered, late);
        assert_share(
            "late by less than 20 ms",
            count(&got, |g| g.after > ms(5) && g.after <= ms(25)),
            late,
            0.2,
        );
        assert!(got.iter().all(|g| g.after <= ms(105)));
        // A packet that is late by more than the gap is overtaken.
        let overtaken = got.windows(2).filter(|w| w[0].index > w[1].index).count() as u64;
        assert!(overtaken > late / 2, "{overtaken} of {late}");
        Ok(())
    });
}

#[test]
fn corruption() {
    simulate(|sim| async move {
        link(sim).corruption(0.3).undetected(0.5);
        let got = flood(sim, MANY, ms(10), 64).await;
        assert_share("gone", MANY - got.len() as u64, MANY, 0.15);
        assert_share("changed", count(&got, |g| !g.intact), MANY, 0.15);
        assert_share("corrupted", sim.traffic().corrupted, MANY, 0.3);
        Ok(())
    });
}

#[test]
fn the_checksum_misses_one_damage_of_65536() {
    simulate(|sim| async move {
        link(sim).corruption(1.0);
        let got = flood(sim, MANY, ms(10), 64).await;
        assert!(got.iter().all(|g| !g.intact));
        assert_share("unnoticed", got.len() as u64, MANY, 1.0 / 65_536.0);
        link(sim).undetected(1.0);
        assert_eq!(flood(sim, 100, ms(10), 64).await.len(), 100);
        Ok(())
    });
}

#[test]
fn every_fragment_is_needed() {
    simulate(|sim| async move {
        // 1,480 bytes in pieces of 48.
        link(sim).mtu(68).loss(0.02);
        let got = flood(sim, MANY / 2, ms(10), 1472).await;
        assert_share("lost", MANY / 2 - got.len() as u64, MANY / 2, 1.0 - 0.98f64.powi(31));
        link(sim).mtu(1500);
        let got = flood(sim, MANY / 2, ms(10), 1472).await;
        assert_share("lost", MANY / 2 - got.len() as u64, MANY / 2, 0.02);
        Ok(())
    });
}

#[test]
fn every_fragment_may_be_damaged_or_late() {
    simulate(|sim| async move {
        let (n, share) = (MANY / 2, 1.0 - 0.98f64.powi(31));
        link(sim).mtu(68).corruption(0.02).undetected(0.5);
        let got = flood(sim, n, ms(10), 1472).await;
        assert_share("gone", n - got.len() as u64, n, share / 2.0);
        assert_share("changed", count(&got, |g| !g.intact), n, share / 2.0);
        assert_share("corrupted", sim.traffic().corrupted, n, share);
        link(sim).corruption(0.0).reordering(0.02, ms(100));
        let got = flood(sim, n, ms(10), 1472).await;
        assert_share("late", count(&got, |g| g.after > ms(5)), n, share);
        assert_share("reordered", sim.traffic().reordered, n, share);
        Ok(())
    });
}

#[test]
fn a_datagram_in_fragments_does_not_come_twice() {
    simulate(|sim| async move {
        link(sim).mtu(68).duplication(1.0);
        // 48 bytes with the header of UDP are one piece.
        assert_eq!(flood(sim, 100, ms(10), 41).await.len(), 100);
        assert_eq!(sim.traffic().duplicated, 0);
        assert_eq!(flood(sim, 100, ms(10), 40).await.len(), 200);
        assert_eq!(sim.traffic().duplicated, 100);
        Ok(())
    });
}

#[test]
fn every_fragment_has_headers() {
    simulate(|sim| async move {
        // A byte takes a microsecond: the payload, 66 bytes of headers, and 34 for each of the 30 further fragments.
        link(sim).mtu(68).bandwidth(Bandwidth::mbit(8));
        let took = |bytes: u64| ms(5) + Duration::from_micros(bytes);
        assert_eq!(flood(sim, 1, ms(10), 1472).await[0].after, took(1472 + 66 + 30 * 34));
        link(sim).mtu(1500);
        assert_eq!(flood(sim, 1, ms(10), 1472).await[0].after, took(1472 + 66));
        Ok(())
    });
}

#[test]
fn an_empty_datagram_is_dropped_when_it_is_damaged() {
    simulate(|sim| async move {
        for (share, arrive) in [(1.0, 0), (0.0, 100)] {
            link(sim).corruption(share).undetected(1.0);
            let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
            let sender = on(sim, "a", UdpSocket::bind("0.0.0.0:0")).await.unwrap()?;
            for _ in 0..100 {
                assert_eq!(sender.send_to(&[], "b:9").await?, 0);
            }
            sleep(secs(1)).await;
            let got = std::iter::from_fn(|| receiver.try_recv(&mut [0]).ok()).count();
            assert_eq!((got, sim.traffic().corrupted), (arrive, 100), "with a share of {share}");
        }
        Ok(())
    });
}

#[test]
fn latencies_have_their_quantiles() {
    let least = ms(5);
    let micros = Duration::from_micros;
    // Each with instants after the least latency, and the share of packets that is there by then.
    let all: [(Latency, &[(u64, f64)]); 4] = [
        ((ms(5)..ms(105)).into(), &[(10_000, 0.1), (50_000, 0.5), (99_000, 0.99)]),
        (Latency::exponential(least, ms(10)), &[(1_054, 0.1), (6_931, 0.5), (23_026, 0.9), (46_052, 0.99)]),
        (Latency::log_normal(least, ms(10), 0.5), &[(6_065, 0.1587), (10_000, 0.5), (16_487, 0.8413)]),
        (
            Latency::bimodal(ms(5)..ms(15), ms(105)..ms(205), 0.1),
            &[(5_000, 0.45), (10_000, 0.9), (100_000, 0.9), (150_000, 0.95)],
        ),
    ];
    simulate(move |sim| async move {
        for (latency, quantiles) in all {
            link(sim).latency(latency);
            let got = flood(sim, MANY, ms(10), 64).await;
            assert_eq!(got.len() as u64, MANY);
            for &(after, share) in quantiles {
                let there = count(&got, |g| g.after <= least + micros(after));
                assert_share(&format!("{latency:?} by {after} µs"), there, MANY, share);
            }
        }
        Ok(())
    });
}

#[test]
fn bandwidth_by_the_time_of_completion() {
    simulate(|sim| async move {
        // A thousand bytes with headers take a millisecond.
        link(sim).bandwidth(Bandwidth::mbit(8)).queue(2_000_000);
        let got = flood(sim, 1000, Duration::ZERO, 934).await;
        for (i, g) in got.iter().enumerate() {
            assert_eq!((g.index, g.after), (i as u64, ms(5 + 1 + i as u64)));
        }
        assert_eq!(got.len(), 1000);
        // A queue of 100 packets and the one on the wire; what comes while they go does not fit.
        link(sim).queue(100_000);
        assert!((100..=101).contains(&flood(sim, 1000, Duration::ZERO, 934).await.len()));
        // Twice the bandwidth it takes, and nothing waits.
        let got = flood(sim, 1000, ms(2), 934).await;
        assert!(got.len() == 1000 && got.iter().all(|g| g.after == ms(6)));
        Ok(())
    });
}

#[test]
fn parameters_change_while_packets_go() {
    simulate(|sim| async move {
        link(sim);
        sim.after(secs(20), move || {
            sim.link("a", "b").loss(1.0);
        });
        sim.after(secs(30), move || {
            sim.link("a", "b").loss(0.0).duplication(1.0).latency(ms(7));
        });
        sim.after(secs(40), move || {
            sim.link("a", "b").duplication(0.0);
        });
        let got = flood(sim, 6000, ms(10), 64).await;
        let of = |from: u64, to: u64| count(&got, |g| (from..to).contains(&g.index));
        assert_eq!((of(0, 1995), of(2005, 2995), of(3005, 3995), of(4005, 6000)), (1995, 0, 1980, 1995));
        assert!(got.iter().all(|g| g.after == if g.index < 2500 { ms(5) } else { ms(7) }));
        Ok(())
    });
}

#[test]
fn each_parameter_is_of_its_direction() {
    let set: [fn(Link) -> Link; 4] = [
        |l| l.loss(1.0),
        |l| l.duplication(1.0),
        |l| l.reordering(1.0, ms(50)),
        |l| l.corruption(1.0).undetected(1.0),
    ];
    for set in set {
        simulate(move |sim| async move {
            let clean = |got: &[Got]| got.len() == 100 && got.iter().all(|g| g.intact && g.after == ms(5));
            link(sim).both();
            set(sim.link("b", "a"));
            assert!(clean(&flood(sim, 100, ms(10), 64).await));
            set(sim.link("a", "b"));
            assert!(!clean(&flood(sim, 100, ms(10), 64).await));
            Ok(())
        });
    }
}
