//! Liveness after healing and after a core, on a network: a store that needs all of its replicas, and one that needs most.

use sim::prelude::*;
use sim::time::timeout;
use sim::{Config, Failure, Outcome};
use std::io;

const REPLICAS: [&str; 3] = ["a", "b", "c"];

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn replica() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:1").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        spawn(async move {
            let mut write = [0];
            stream.read_exact(&mut write).await?;
            stream.write_all(&write).await
        });
    }
}

/// Writes to all, and says whether `quorum` have it.
async fn write(quorum: usize) -> Result<(), String> {
    let mut acknowledged = 0;
    for replica in REPLICAS {
        let asked = timeout(Duration::from_millis(200), async {
            let mut stream = TcpStream::connect((replica, 1)).await?;
            stream.write_all(&[1]).await?;
            stream.read_exact(&mut [0]).await
        });
        acknowledged += usize::from(matches!(asked.await, Ok(Ok(_))));
    }
    if acknowledged >= quorum { Ok(()) } else { Err(format!("{acknowledged} of {quorum} have it")) }
}

/// Chaos, its end, and a write that is to be done.
async fn store(sim: Sim, quorum: usize, core: bool) {
    for name in REPLICAS {
        sim.node(name).run(replica);
    }
    let swarm = Swarm::default().only(["kill", "power-cut", "partition", "pause"]).at_full_strength();
    let swarm = swarm.tolerate_of(REPLICAS, Tolerance::new().down(1));
    sim.nemesis(swarm.during(Duration::ZERO..secs(20)));
    sim.phase("the chaos is over", secs(10)).await;
    if core {
        drop(sim.heal_core().await)
    } else {
        sim.heal().await
    }
    sim.liveness("writes are done", secs(10), async || write(quorum).await).await;
}

fn failures(quorum: usize, core: bool) -> Vec<Failure> {
    let runs = (0..30).map(|seed| sim::run(Config::seed(seed), move |sim| store(sim, quorum, core)));
    runs.filter_map(|run: Outcome<()>| run.result.err()).collect()
}

#[test]
fn who_needs_everybody_is_found_by_a_core_alone() {
    assert_eq!(failures(3, false), [], "a complete recovery hides it");
    let found = failures(3, true);
    assert!((8..25).contains(&found.len()), "{} of 30", found.len());
    for failure in found {
        assert_eq!(failure.signature(), "liveness writes are done");
        assert!(failure.message.contains("it last saw: 2 of 3 have it"), "{failure}");
        assert!(failure.message.ends_with("; what is broken the system was declared to stand"), "{failure}");
        assert!(failure.details[0].contains("broken for good: "), "{failure:?}");
    }
}

#[test]
fn who_needs_most_goes_on_with_a_core() {
    assert_eq!(failures(2, true), []);
}

#[test]
fn a_partition_by_hand_is_counted_by_no_tolerance() {
    let outcome = sim::run(Config::seed(1), |sim| async move {
        for name in REPLICAS {
            sim.node(name).run(replica);
        }
        sim.tolerate_of(REPLICAS, Tolerance::new().down(1));
        sim.heal().await;
        let here = sim.harness().name();
        let _cut = sim.partition([here.as_str()], ["a", "b"]);
        sim.liveness("writes are done", secs(10), async || write(2).await).await;
    });
    let failure = outcome.result.unwrap_err();
    assert!(failure.message.contains("it last saw: 1 of 2 have it"), "{failure}");
    assert!(failure.message.ends_with("faults are on that no declared tolerance counts: 1"), "{failure}");
    assert!(failure.details.iter().any(|line| line.starts_with("still on: partition of ")), "{failure:?}");
}
