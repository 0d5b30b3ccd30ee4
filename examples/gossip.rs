//! Gossip over UDP: every node counts something, tells what it knows to nodes of its choice, and in the end all know all of
//! it, although datagrams are lost, come twice, late and damaged, and the nodes are parted for a while.
//!
//! `cargo run --release --example gossip -- [SEEDS] [--trust-udp]`
//!
//! What a node knows is merged by maximum, so that it does not matter how often and in which order it hears something.
//! Damage does matter: the checksum of UDP misses some of it, and a flipped bit of a count would spread to all nodes for
//! good. So the messages have a checksum of their own. With `--trust-udp` they go without, and the invariant breaks.

use sim::Seeds;
use sim::net::{NetExt, UdpSocket};
use sim::time::{Duration, sleep};
use sim::{Sim, rand, spawn, sweep};
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

const NODES: usize = 7;
const PORT: u16 = 9;
/// How long nodes count, and when the last of it has reached everybody.
const COUNTING: Duration = Duration::from_secs(10);
const SETTLED: Duration = Duration::from_secs(20);

/// What a node knows of each node's count. It only ever grows.
type Counts = [u32; NODES];

/// What all nodes know: there is one memory only in a simulation, for the invariant to look into.
type World = Rc<RefCell<[Counts; NODES]>>;

fn main() -> ExitCode {
    let (mut seeds, mut trust) = (Seeds::from(0..200), false);
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(given) => seeds = given,
            Err(_) if argument == "--trust-udp" => trust = true,
            Err(e) => {
                eprintln!("usage: gossip [SEEDS] [--trust-udp]\n{e}");
                return ExitCode::from(2);
            }
        }
    }
    let report = sweep(seeds).run(move |sim| cluster(sim, trust));
    println!(
        "{} runs, {} failures, {:.0} s simulated, {:.0} runs a second",
        report.runs,
        report.failures.len(),
        report.simulated.as_secs_f64(),
        report.runs_per_second()
    );
    println!("trace {:016x}", report.trace);
    if let Some(first) = report.failures.first() {
        println!("seed {}: {}", first.seed, first.failure);
    }
    ExitCode::from(if report.failures.is_empty() { 0 } else { 100 })
}

async fn cluster(sim: Sim, trust: bool) {
    let ms = Duration::from_millis;
    sim.default_link()
        .latency(ms(1)..ms(40))
        .loss(0.2)
        .duplication(0.1)
        .reordering(0.1, ms(700))
        .corruption(0.05)
        .undetected(0.2);
    let world = World::default();
    for n in 0..NODES {
        let world = world.clone();
        sim.node(&name(n)).run(move || gossip(sim, n, trust, world.clone()));
    }
    sleep(Duration::from_secs(3)).await;
    let parted = sim.halves((0..NODES).map(name).collect::<Vec<_>>());
    sleep(Duration::from_secs(4)).await;
    drop(parted);
    sim.swizzle_clog(["n0", "n1", "n2"], ms(200)..ms(900)).await;
    sleep(SETTLED.saturating_sub(sim.elapsed())).await;
    let world = world.borrow();
    for (n, known) in world.iter().enumerate() {
        assert_eq!(known, &world[0], "n{n} and n0 know the same in the end");
    }
    assert!(world[0].iter().all(|&count| count >= 20), "everybody counted: {:?}", world[0]);
}

fn name(n: usize) -> String {
    format!("n{n}")
}

/// The program of a node.
async fn gossip(sim: Sim, me: usize, trust: bool, world: World) -> std::io::Result<()> {
    let socket = Rc::new(UdpSocket::bind(("0.0.0.0", PORT)).await?);
    let (listener, heard) = (socket.clone(), world.clone());
    spawn(async move {
        let mut buf = [0; 64];
        while let Ok(n) = listener.recv(&mut buf).await {
            if let Some(counts) = decode(&buf[..n], trust) {
                learn(sim, me, counts, &heard);
            }
        }
    });
    loop {
        sleep(Duration::from_millis(rand::range(100..300))).await;
        if sim.elapsed() < COUNTING {
            world.borrow_mut()[me][me] += 1;
        }
        let message = encode(&world.borrow()[me]);
        let other = (me + rand::range(1..NODES as u64) as usize) % NODES;
        // What cannot be sent is lost, as everything may be.
        let _ = socket.send_to(&message, (name(other), PORT)).await;
    }
}

/// Takes over what is larger. Nobody may know of more than was counted: what is said is true.
fn learn(sim: Sim, me: usize, counts: Counts, world: &World) {
    let mut world = world.borrow_mut();
    for (n, &count) in counts.iter().enumerate() {
        if count > world[n][n] {
            sim.violated(
                "only what was counted is known",
                format!("n{me} hears that n{n} counted to {count}"),
            );
        }
        world[me][n] = world[me][n].max(count);
    }
}

fn encode(counts: &Counts) -> Vec<u8> {
    let mut message: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
    message.extend(checksum(&message).to_be_bytes());
    message
}

fn decode(message: &[u8], trust: bool) -> Option<Counts> {
    let (counts, sum) = message.split_at_checked(4 * NODES)?;
    if !trust && sum != checksum(counts).to_be_bytes() {
        return None;
    }
    let mut known = Counts::default();
    for (count, bytes) in known.iter_mut().zip(counts.chunks_exact(4)) {
        *count = u32::from_be_bytes(bytes.try_into().ok()?);
    }
    Some(known)
}

/// FNV-1a, 64 bits: it notices every burst of eight bits.
fn checksum(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
