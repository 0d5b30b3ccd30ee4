//! A cluster of a thousand nodes: failure detection by heartbeats, with a tenth of the machines losing power.
//!
//! Each node knows eight neighbours on a ring and sends each a heartbeat every second; a neighbour that was silent for five
//! seconds is suspected. After a minute a hundred machines lose power. Every one of them must be suspected by all of its
//! living neighbours within six seconds, and nobody else by anybody. A simulated hour is 28 million datagrams, of which this
//! runs two minutes; the nodes that wait cost nothing.
//!
//! `cargo run --release --example thousand`

use sim::net::UdpSocket;
use sim::prelude::*;
use sim::time::{Instant, interval, timeout};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;

const NODES: usize = 1000;
const SILENT: Duration = Duration::from_secs(5);
const PORT: u16 = 9;

/// Who suspects whom.
type Suspicions = Rc<RefCell<BTreeSet<(usize, usize)>>>;

fn neighbours(n: usize) -> impl Iterator<Item = usize> {
    [1, 2, 3, 4].into_iter().flat_map(move |d| [(n + d) % NODES, (n + NODES - d) % NODES])
}

/// Sends heartbeats and listens for those of its neighbours.
async fn member(n: usize, addresses: Rc<Vec<IpAddr>>, suspicions: Suspicions) -> io::Result<()> {
    let socket = Rc::new(UdpSocket::bind(("0.0.0.0", PORT)).await?);
    let (sender, peers) = (socket.clone(), addresses.clone());
    spawn(async move {
        let mut tick = interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            for peer in neighbours(n) {
                // One that cannot be sent is one that is lost.
                let _ = sender.send_to(b"alive", (peers[peer], PORT)).await;
            }
        }
    });
    let numbers: BTreeMap<IpAddr, usize> = neighbours(n).map(|peer| (addresses[peer], peer)).collect();
    let mut heard: BTreeMap<usize, Instant> = neighbours(n).map(|peer| (peer, Instant::now())).collect();
    let mut buffer = [0; 16];
    loop {
        let received = timeout(Duration::from_secs(1), socket.recv_from(&mut buffer)).await;
        if let Ok(Ok((_, SocketAddr::V4(from)))) = received
            && let Some(&peer) = numbers.get(&IpAddr::V4(*from.ip()))
        {
            heard.insert(peer, Instant::now());
            suspicions.borrow_mut().remove(&(n, peer));
        }
        let silent = heard.iter().filter(|(_, at)| at.elapsed() > SILENT).map(|(&peer, _)| (n, peer));
        suspicions.borrow_mut().extend(silent);
    }
}

async fn run(sim: Sim) {
    sim.default_link().latency(Duration::from_millis(1)..=Duration::from_millis(20)).loss(0.01);
    let nodes: Vec<Node> = (0..NODES).map(|n| sim.node(&format!("node-{n:03}"))).collect();
    let addresses: Rc<Vec<IpAddr>> = Rc::new(nodes.iter().map(|node| node.address()).collect());
    let suspicions = Suspicions::default();
    for (n, node) in nodes.iter().enumerate() {
        let (addresses, suspicions) = (addresses.clone(), suspicions.clone());
        node.run(move || member(n, addresses.clone(), suspicions.clone()));
    }
    sim::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*suspicions.borrow(), BTreeSet::new(), "somebody is suspected although everybody lives");

    let mut dead = BTreeSet::new();
    while dead.len() < NODES / 10 {
        dead.insert(sim::rand::range(0..NODES as u64) as usize);
    }
    dead.iter().for_each(|&n| nodes[n].power_cut());
    sim::time::sleep(SILENT + Duration::from_secs(2)).await;

    let due = dead.iter().flat_map(|&n| neighbours(n).map(move |witness| (witness, n)));
    let due: BTreeSet<_> = due.filter(|(witness, _)| !dead.contains(witness)).collect();
    let told: BTreeSet<_> =
        suspicions.borrow().iter().copied().filter(|(witness, _)| !dead.contains(witness)).collect();
    let missed = due.difference(&told).count();
    let wrong = told.difference(&due).count();
    assert!(missed == 0 && wrong == 0, "{missed} of {} are not suspected, {wrong} are wrongly", due.len());
    sim::time::sleep(Duration::from_secs(60) - SILENT).await;
}

fn main() -> ExitCode {
    let report = sim::sweep(0..2).run(run);
    for failed in &report.failures {
        println!("seed {}: {}", failed.seed, failed.failure);
    }
    let messages = report.stats.packets;
    println!("{} runs of {NODES} nodes, {messages} datagrams: {} failed", report.runs, report.failures.len());
    println!("trace {:016x}", report.trace);
    println!("{:.0} s simulated in {:.1} s", report.simulated.as_secs_f64(), report.elapsed.as_secs_f64());
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
