//! The nine workloads by which simulators are compared, and two that show what a message costs as nodes are added; see
//! `benches/README.md`.
//!
//! ```sh
//! cargo run --release --example workloads -- NAME [SEED] [--schedule fifo|pos|pct|random]
//! ```
//!
//! Prints one line of JSON: `{"sim":"sim","workload":"…","ops":N,"wall_s":S,"ops_per_s":R}`.

use sim::net::{NetExt, TcpListener, TcpStream, UdpSocket};
use sim::time::sleep;
use sim::{Config, JoinHandle, Node, Schedule, Sim, run, spawn};
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const NAMES: [&str; 11] = [
    "timers",
    "channel",
    "spawn",
    "startup",
    "echo",
    "echo100",
    "echo1000",
    "idle",
    "bulk",
    "gossip10",
    "gossip1000",
];

fn main() -> ExitCode {
    let Some((name, seed, schedule)) = arguments(std::env::args().skip(1)) else {
        eprintln!("usage: workloads NAME [SEED] [--schedule fifo|pos|pct|random]");
        eprintln!("NAME is one of {}", NAMES.join(", "));
        return ExitCode::from(2);
    };
    let config = Config::seed(seed).schedule(schedule);
    let (ops, seconds) = stopwatch(|| match name.as_str() {
        "timers" => timers(config, 1000, 1000),
        "channel" => channel(config, 500_000),
        "spawn" => spawns(config, 1000, 1000),
        "startup" => startup(config, 2000),
        "echo" => echo(config, 16, 2000),
        "echo100" => echo(config, 100, 200),
        "echo1000" => echo(config, 1000, 20),
        "idle" => idle(config, 5, 3600),
        // As many messages in as much simulated time: only the number of nodes differs.
        "gossip10" => gossip(config, 10, 60_000, Duration::from_millis(10)),
        "gossip1000" => gossip(config, 1000, 600, Duration::from_secs(1)),
        _ => bulk(config, 256 << 20),
    });
    let rate = ops as f64 / seconds;
    println!(
        r#"{{"sim":"sim","workload":"{name}","ops":{ops},"wall_s":{seconds:.4},"ops_per_s":{rate:.0}}}"#
    );
    ExitCode::SUCCESS
}

fn arguments(mut given: impl Iterator<Item = String>) -> Option<(String, u64, Schedule)> {
    let (mut name, mut seed, mut schedule) = (None, 1, Schedule::Fifo);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--schedule" => schedule = given.next()?.parse().ok()?,
            known if NAMES.contains(&known) => name = Some(argument),
            number => seed = number.parse().ok()?,
        }
    }
    Some((name?, seed, schedule))
}

/// The one place that reads the real clock: outside of every simulation.
#[expect(clippy::disallowed_methods, reason = "measures how long the simulator itself takes")]
fn stopwatch(work: impl FnOnce() -> u64) -> (u64, f64) {
    let start = std::time::Instant::now();
    let ops = work();
    (ops, start.elapsed().as_secs_f64())
}

fn simulate<F: Future<Output = ()> + 'static>(config: Config, body: impl FnOnce(Sim) -> F) {
    if let Err(failure) = run(config, body).result {
        panic!("{failure}");
    }
}

fn node(sim: Sim, i: usize) -> Node {
    sim.node(&format!("n{i}"))
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("the task ended");
    }
}

/// A generator of its own, so that every simulator sleeps for the same times.
fn lcg(x: &mut u64) -> u64 {
    *x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *x >> 33
}

fn timers(config: Config, tasks: u64, sleeps: u64) -> u64 {
    let seed = config.seed;
    simulate(config, move |sim| async move {
        let n = node(sim, 0);
        let nap = |t| async move {
            let mut x = seed ^ (t + 1);
            for _ in 0..sleeps {
                sleep(Duration::from_millis(1 + lcg(&mut x) % 1000)).await;
            }
        };
        join((0..tasks).map(|t| n.spawn(nap(t))).collect()).await;
    });
    tasks * sleeps
}

fn channel(config: Config, round_trips: u64) -> u64 {
    simulate(config, move |_| async move {
        let (ask, mut asked) = tokio::sync::mpsc::channel::<u64>(1);
        let (reply, mut replied) = tokio::sync::mpsc::channel::<u64>(1);
        let peer = spawn(async move {
            while let Some(x) = asked.recv().await {
                reply.send(x).await.expect("the other side listens");
            }
        });
        for i in 0..round_trips {
            ask.send(i).await.expect("the other side listens");
            replied.recv().await;
        }
        drop(ask);
        peer.await.expect("the peer ended");
    });
    round_trips
}

fn spawns(config: Config, rounds: u64, tasks: u64) -> u64 {
    simulate(config, move |_| async move {
        for _ in 0..rounds {
            let spawned: Vec<_> = (0..tasks).map(|i| spawn(async move { i })).collect();
            for task in spawned {
                task.await.expect("the task ended");
            }
        }
    });
    rounds * tasks
}

fn startup(config: Config, simulations: u64) -> u64 {
    for i in 0..simulations {
        simulate(Config { seed: config.seed + i, ..config.clone() }, |sim| async move {
            join((0..5).map(|k| node(sim, k).spawn(sleep(Duration::from_millis(10)))).collect()).await;
        });
    }
    simulations
}

fn echo(config: Config, clients: usize, round_trips: u64) -> u64 {
    simulate(config, move |sim| async move {
        sim.default_link().latency(Duration::from_millis(1)..=Duration::from_millis(10));
        node(sim, 0).spawn(async {
            let listener = TcpListener::bind("0.0.0.0:80").await.expect("the port is free");
            loop {
                let (mut stream, _) = listener.accept().await.expect("a client");
                spawn(async move {
                    let mut buffer = [0; 64];
                    while stream.read_exact(&mut buffer).await.is_ok()
                        && stream.write_all(&buffer).await.is_ok()
                    {}
                });
            }
        });
        let server = SocketAddr::new(node(sim, 0).address(), 80);
        sleep(Duration::from_millis(1)).await;
        let client = |_| async move {
            let mut stream = TcpStream::connect(server).await.expect("the server listens");
            let mut buffer = [7; 64];
            for _ in 0..round_trips {
                stream.write_all(&buffer).await.expect("the server is there");
                stream.read_exact(&mut buffer).await.expect("the server answers");
            }
        };
        join((0..clients).map(|c| node(sim, c + 1).spawn(client(c))).collect()).await;
    });
    clients as u64 * round_trips
}

fn idle(config: Config, nodes: usize, seconds: u64) -> u64 {
    simulate(config, move |sim| async move {
        sim.default_link().latency(Duration::from_millis(1)..=Duration::from_millis(10));
        let beat = |n: usize| async move {
            let peer = SocketAddr::new(node(sim, (n + 1) % nodes).address(), 9);
            let socket = Rc::new(UdpSocket::bind("0.0.0.0:9").await.expect("the port is free"));
            let reader = socket.clone();
            spawn(async move {
                let mut buffer = [0; 64];
                while reader.recv_from(&mut buffer).await.is_ok() {}
            });
            for _ in 0..seconds {
                sleep(Duration::from_secs(1)).await;
                // A datagram that cannot be sent is lost, as any other.
                let _ = socket.send_to(&[1; 64], peer).await;
            }
        };
        join((0..nodes).map(|n| node(sim, n).spawn(beat(n))).collect()).await;
    });
    nodes as u64 * seconds
}

/// Every node sends `messages` of 64 bytes, one each `gap`, to nodes of its choice, and reads what others send to it.
fn gossip(config: Config, nodes: usize, messages: u64, gap: Duration) -> u64 {
    let seed = config.seed;
    simulate(config, move |sim| async move {
        sim.default_link().latency(Duration::from_millis(1)..=Duration::from_millis(10));
        let addresses: Rc<[_]> = (0..nodes).map(|n| SocketAddr::new(node(sim, n).address(), 9)).collect();
        let chat = |n: usize| {
            let addresses = addresses.clone();
            async move {
                let socket = Rc::new(UdpSocket::bind("0.0.0.0:9").await.expect("the port is free"));
                let reader = socket.clone();
                spawn(async move {
                    let mut buffer = [0; 64];
                    while reader.recv_from(&mut buffer).await.is_ok() {}
                });
                let mut x = seed ^ (n as u64 + 1);
                // Nodes do not start in step.
                sleep(Duration::from_nanos(lcg(&mut x) % gap.as_nanos() as u64)).await;
                for _ in 0..messages {
                    let other = (n + 1 + lcg(&mut x) as usize % (nodes - 1)) % nodes;
                    let _ = socket.send_to(&[1; 64], addresses[other]).await;
                    sleep(gap).await;
                }
            }
        };
        join((0..nodes).map(|n| node(sim, n).spawn(chat(n))).collect()).await;
    });
    nodes as u64 * messages
}

fn bulk(config: Config, total: u64) -> u64 {
    simulate(config, move |sim| async move {
        sim.default_link().latency(Duration::from_millis(1)..=Duration::from_millis(10));
        node(sim, 0).spawn(async move {
            let listener = TcpListener::bind("0.0.0.0:80").await.expect("the port is free");
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut buffer = vec![0; 65536];
            let mut got = 0;
            while got < total {
                match stream.read(&mut buffer).await.expect("the client is there") {
                    0 => break,
                    n => got += n as u64,
                }
            }
            stream.write_all(&got.to_be_bytes()).await.expect("the client is there");
            sleep(Duration::from_secs(1)).await;
        });
        let server = SocketAddr::new(node(sim, 0).address(), 80);
        sleep(Duration::from_millis(1)).await;
        let client = async move {
            let mut stream = TcpStream::connect(server).await.expect("the server listens");
            let piece = vec![7; 65536];
            for _ in 0..total / 65536 {
                stream.write_all(&piece).await.expect("the server is there");
            }
            let mut count = [0; 8];
            stream.read_exact(&mut count).await.expect("the server answers");
            assert_eq!(u64::from_be_bytes(count), total);
        };
        join(vec![node(sim, 1).spawn(client)]).await;
    });
    total
}
