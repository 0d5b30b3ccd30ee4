//! Prints the trace hashes of a few bodies: equal on every machine, in every build, however a run is started.
//!
//! `cargo run --example trace -- BODY SEEDS [--shuffle] [--threads]`, with SEEDS as in `SIM_SEEDS`. The environment
//! chooses workers (`SIM_JOBS`) and the process (`SIM_FORK=0`).

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "shows that what the host is asked repeats with the seed"
)]

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::Path;
use axum::http::{Request, Version};
use axum::routing::get;
use futures::FutureExt;
use hyper_util::client::legacy::Client;
use sim::fault::{Swarm, Tolerance};
use sim::fs::{self, DiskExt, Entry, File, Sync};
use sim::net::hyper::{SimConnector, SimExecutor, SimTimer, serve};
use sim::net::{NetExt, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use sim::{ExitPolicy, Isolate, Run, Seeds, Sim, sweep, time};

type Body = fn(Sim) -> Pin<Box<dyn Future<Output = u64>>>;

/// Bodies by name. Each returns a number that shows what its trace might not.
pub const BODIES: [(&str, Body); 8] = [
    ("tasks", |sim| Box::pin(tasks(sim))),
    ("select", |_| Box::pin(select())),
    ("host", |_| Box::pin(host())),
    ("http", |sim| Box::pin(http(sim))),
    ("disks", |sim| Box::pin(disks(sim))),
    ("net", |sim| Box::pin(net(sim))),
    ("faults", |sim| Box::pin(faults(sim))),
    ("all", |sim| {
        Box::pin(async move {
            tasks(sim).await ^ select().await ^ host().await ^ disks(sim).await ^ net(sim).await
        })
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with("--"));
    let usage = || {
        let names = BODIES.map(|(name, _)| name).join("|");
        eprintln!("usage: trace {names} SEEDS [--shuffle] [--threads]");
        ExitCode::from(2)
    };
    let [body, seeds] = names[..] else { return usage() };
    let Some((_, body)) = BODIES.iter().find(|(name, _)| name == body) else { return usage() };
    let Ok(seeds) = seeds.parse::<Seeds>() else { return usage() };
    let has = |flag: &str| flags.iter().any(|given| *given == flag);
    for (seed, (trace, value)) in traces(*body, seeds, has("--shuffle"), has("--threads")) {
        println!("{seed} {trace:016x} {value:016x}");
    }
    ExitCode::SUCCESS
}

/// Trace hash and value of each seed.
///
/// # Panics
/// When a run fails.
pub fn traces(body: Body, seeds: Seeds, shuffle: bool, threads: bool) -> BTreeMap<u64, (u64, u64)> {
    let mut order: Vec<u64> = seeds.iter().collect();
    if shuffle {
        order.sort_by_key(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let mut traces = BTreeMap::new();
    let isolate = if threads { Isolate::Thread } else { Isolate::Process };
    sweep(order)
        .isolate(isolate)
        .on_run(|run: &Run<u64>| match &run.result {
            Ok(value) => drop(traces.insert(run.seed, (run.trace, *value))),
            Err(failure) => panic!("seed {} failed: {failure}", run.seed),
        })
        .run(body);
    traces
}

/// Tasks on nodes that wait, wake each other and die.
async fn tasks(sim: Sim) -> u64 {
    let mut jobs = Vec::new();
    for name in ["a", "b", "c"] {
        let node = sim.node(name);
        for turn in 0..4u64 {
            jobs.push(node.spawn(async move {
                time::sleep(Duration::from_micros(turn * sim::rand::range(1..100u64))).await;
                sim::yield_now().await;
                Sim::current().elapsed().as_nanos() as u64
            }));
        }
    }
    sim.after(Duration::from_micros(50), move || sim.node("c").kill());
    let mut sum = 0u64;
    for job in jobs {
        sum = sum.rotate_left(5) ^ job.await.unwrap_or(1);
    }
    sum
}

/// Branches that are ready at once: tokio and futures choose with generators of their own.
async fn select() -> u64 {
    let mut taken = 0;
    for turn in 0..32 {
        let branch = tokio::select! {
            _ = std::future::ready(()) => 0,
            _ = sim::yield_now() => 1,
            _ = std::future::ready(()) => 2,
        };
        let (mut left, mut right) = (std::future::ready(()).fuse(), std::future::ready(()).fuse());
        let side = futures::select! { _ = left => 0, _ = right => 1 };
        taken ^= (branch * 2 + side) << (turn * 2 % 60);
        time::sleep(Duration::from_nanos(branch + 1)).await;
    }
    taken
}

/// What code asks the host for: hash order, random numbers, time.
async fn host() -> u64 {
    let map: HashMap<u64, u64> = (0..64).map(|key| (key, key)).collect();
    let mut sum = 0u64;
    for key in map.into_keys() {
        time::sleep(Duration::from_nanos(key)).await;
        sum = sum.rotate_left(7) ^ key;
    }
    sum ^= fastrand::u64(..);
    sum ^= rand::random::<u64>();
    time::sleep(Duration::from_nanos(rand::random_range(..1000))).await;
    time::sleep(Duration::from_nanos(fastrand::u64(..1000))).await;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    sum ^ since.map_or(0, |since| since.as_nanos() as u64)
}

/// A log that is written, torn by power cuts, read again and written on; a disk that rots.
async fn disks(sim: Sim) -> u64 {
    let store = sim.node("store").run(|| async {
        fs::create_dir_all("/log").await?;
        let mut entries = fs::read_dir("/log").await?;
        while let Some(entry) = entries.next_entry().await? {
            let length = fs::read(entry.path()).await?.len() as u64;
            File::options().append(true).open(entry.path()).await?.set_len(length / 16 * 16).await?;
        }
        for turn in 0.. {
            let path = format!("/log/{}", turn % 5);
            let mut file = File::options().create(true).append(true).open(&path).await?;
            file.write_all(&sim::rand::u64().to_le_bytes().repeat(100)).await?;
            match turn % 3 {
                0 => file.sync_data().await?,
                1 => fs::rename(&path, "/log/renamed").await?,
                _ => File::open("/log").await?.sync_all().await?,
            }
        }
        std::io::Result::Ok(())
    });
    for turn in 1..4 {
        store.crash_at(Sync::nth(3 + turn).during().restart_after(Duration::from_millis(1)));
        time::sleep(Duration::from_millis(6)).await;
        let _ = store.disk().rot("/log/0", turn * 10);
    }
    store.power_cut();
    let mut sum = 0u64;
    for (path, entry) in store.disk().snapshot().iter() {
        let bytes = match entry {
            Entry::File { content, .. } => content,
            _ => path.as_os_str().as_encoded_bytes(),
        };
        sum = bytes.iter().fold(sum.rotate_left(9), |sum, &byte| sum.wrapping_mul(31) ^ u64::from(byte));
    }
    sum
}

/// Datagrams to a group and to a name whose answers are slow, shuffled and sometimes missing, over links that duplicate,
/// reorder and damage; and Unix sockets on the machine that sends.
async fn net(sim: Sim) -> u64 {
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
    let milliseconds = Duration::from_millis;
    let members = ["left", "right"].map(|name| sim.node(name));
    let rough = sim.default_link().latency(milliseconds(1)..milliseconds(9)).duplication(0.2);
    rough.reordering(0.2, milliseconds(30)).corruption(0.2).undetected(0.5);
    let dns = sim.dns();
    dns.set("members", members.iter().map(|member| member.address()));
    sim::spawn(async move {
        let faults = [dns.shuffled(), dns.slow(milliseconds(0)..milliseconds(4))];
        time::sleep(milliseconds(20)).await;
        let missing = dns.about("members").missing();
        time::sleep(milliseconds(5)).await;
        drop((faults, missing));
    });

    let heard = members.map(|member| {
        member.spawn(async move {
            let socket = UdpSocket::bind("0.0.0.0:9").await?;
            socket.join_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED)?;
            let (mut sum, mut data) = (0u64, [0; 64]);
            while let Ok(received) = time::timeout(milliseconds(100), socket.recv(&mut data)).await {
                let now = Sim::current().elapsed().as_nanos() as u64;
                sum = sum.rotate_left(3) ^ hash(&data[..received?]) ^ now;
            }
            io::Result::Ok(sum)
        })
    });
    let sent = sim.node("sender").spawn(async {
        let listener = UnixListener::bind("/run/relay")?;
        let receiver = UnixDatagram::bind("/run/log")?;
        sim::spawn(async move {
            let log = UnixDatagram::unbound()?;
            let mut relay = UnixStream::connect("/run/relay").await?;
            for n in 0..24u8 {
                time::sleep(Duration::from_micros(sim::rand::range(500..1500u64))).await;
                relay.write_all(&[n]).await?;
                log.send_to(&[n; 3], "/run/log").await?;
            }
            io::Result::Ok(())
        });
        let (mut relay, _) = listener.accept().await?;
        let (socket, mut word, mut sum) = (UdpSocket::bind("0.0.0.0:0").await?, [0], 0u64);
        while relay.read(&mut word).await? == 1 {
            socket.send_to(&[word[0]; 40], (GROUP, 9)).await?;
            let named = socket.send_to(&[word[0]; 50], "members:9").await;
            let logged = receiver.recv(&mut [0; 8]).await?;
            sum = sum.rotate_left(3) ^ logged as u64 ^ u64::from(named.is_ok()) << 8;
        }
        io::Result::Ok(sum)
    });
    let mut sum = sent.await.unwrap().unwrap();
    for heard in heard {
        sum = sum.rotate_left(17) ^ heard.await.unwrap().unwrap();
    }
    let traffic = sim.traffic();
    sum ^ traffic.duplicated << 48 ^ traffic.reordered << 52 ^ traffic.corrupted << 56
}

/// Services that write down what they are told and tell the next, under faults of every family, until all is healed.
async fn faults(sim: Sim) -> u64 {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let seconds = Duration::from_secs;
    async fn ring(next: &'static str) -> io::Result<()> {
        fs::create_dir_all("/data").await?;
        let told = fs::read("/data/told").await.map_or(0, |told| hash(&told));
        let listener = TcpListener::bind("0.0.0.0:9").await?;
        sim::spawn(async move {
            for n in 0u64.. {
                time::sleep(Duration::from_millis(sim::rand::range(20..200u64))).await;
                let connected = time::timeout(Duration::from_secs(1), TcpStream::connect((next, 9))).await;
                let Ok(Ok(mut stream)) = connected else { continue };
                let _ = stream.write_all(&(told ^ n).to_le_bytes()).await;
            }
        });
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut heard = Vec::new();
            if let Ok(Ok(_)) = time::timeout(Duration::from_secs(1), stream.read_to_end(&mut heard)).await {
                fs::write("/data/next", &heard).await?;
                File::open("/data/next").await?.sync_all().await?;
                fs::rename("/data/next", "/data/told").await?;
            }
        }
    }
    for (turn, name) in NAMES.iter().enumerate() {
        let again = ExitPolicy::Restart(Duration::from_millis(100));
        sim.node(name).on_exit(again).run(move || ring(NAMES[(turn + 1) % 4]));
    }
    let tolerance = Tolerance::new().down(2).corrupt(1).wiped(1).skewed(2);
    let swarm = Swarm::default().slots_of(Duration::from_millis(500)).tolerate(tolerance);
    sim.nemesis(swarm.during(seconds(1)..seconds(20)));
    time::sleep(seconds(21)).await;
    sim.heal().await;
    time::sleep(seconds(1)).await;
    let log = sim.faults();
    let mut sum = log
        .iter()
        .fold(0u64, |sum, fault| sum.rotate_left(5) ^ fault.effects ^ hash(fault.family.as_bytes()));
    for name in NAMES {
        let told = sim.node(name).disk().read("/data/told").unwrap_or_default();
        sum = sum.rotate_left(9) ^ hash(&told);
    }
    sum
}

/// A service on axum, asked by pooled clients over HTTP/1 and HTTP/2, while its process is killed and a link is lossy.
async fn http(sim: Sim) -> u64 {
    let web = sim.node("web").run(|| async {
        let answer = |Path(n): Path<u64>| async move {
            time::sleep(Duration::from_millis(sim::rand::range(1..20u64))).await;
            // The order of a hash map is the host's to say, as is the date of the answer.
            let map: HashMap<u64, u64> = (0..n).map(|key| (key, key)).collect();
            format!("{n} {:?}", map.into_keys().collect::<Vec<_>>())
        };
        serve(TcpListener::bind("0.0.0.0:80").await?, Router::new().route("/{n}", get(answer))).await
    });
    sim.default_link().loss(0.02);
    sim.after(Duration::from_millis(200), move || web.restart());
    let mut jobs = Vec::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let node = sim.node(if version == Version::HTTP_2 { "new" } else { "old" });
        jobs.push(node.spawn(async move {
            let client: Client<_, HttpBody> = Client::builder(SimExecutor::new())
                .pool_timer(SimTimer::new())
                .http2_only(version == Version::HTTP_2)
                .build(SimConnector::new());
            let asked = (0..8u64).map(|n| {
                let client = client.clone();
                sim::spawn(async move {
                    time::sleep(Duration::from_millis(n * 40)).await;
                    let request = Request::get(format!("http://web/{n}")).version(version);
                    let answer = client.request(request.body(HttpBody::empty()).unwrap());
                    let answer = time::timeout(Duration::from_millis(300), answer).await;
                    let Ok(Ok(answer)) = answer else { return n };
                    let date = answer.headers().get("date").map_or(0, |date| hash(date.as_bytes()));
                    let body = to_bytes(HttpBody::new(answer.into_body()), 1 << 10).await;
                    date ^ body.map_or(n, |body| hash(&body))
                })
            });
            let asked: Vec<_> = asked.collect();
            let mut sum = 0u64;
            for answer in asked {
                sum = sum.rotate_left(9) ^ answer.await.unwrap();
            }
            sum
        }));
    }
    let mut sum = Sim::current().elapsed().as_nanos() as u64;
    for job in jobs {
        sum = sum.rotate_left(11) ^ job.await.unwrap_or(1);
    }
    sim.default_link().loss(0.0);
    sum
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.rotate_left(5).wrapping_mul(31) ^ u64::from(*byte))
}
