//! A TCP proxy on links that lose one packet in fifty: TCP hides the loss, and shows it as delay.
//!
//! Each client sends a megabyte through the proxy to an echo server, which sends it back. Whatever is lost, the bytes are
//! whole and in order, half-closes pass through, and every connection ends at both sides. What loss costs is time: the
//! table shows it.
//!
//! `cargo run --release --example proxy`

use sim::prelude::*;
use std::io;
use std::process::ExitCode;

const CLIENTS: usize = 8;
const BYTES: usize = 1 << 20;

/// Sends back what it gets, until the client has sent everything.
async fn echo() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:7").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (mut read, mut write) = stream.into_split();
        spawn(async move { pump(&mut read, &mut write).await });
    }
}

/// Joins each connection with one of its own to the server.
async fn proxy() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (client, _) = listener.accept().await?;
        spawn(async move {
            let server = TcpStream::connect("server:7").await?;
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let there = spawn(async move { pump(&mut from_client, &mut to_server).await });
            pump(&mut from_server, &mut to_client).await?;
            there.await?
        });
    }
}

/// Copies until the end, and passes the end on.
async fn pump(read: &mut sim::net::OwnedReadHalf, write: &mut sim::net::OwnedWriteHalf) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match read.read(&mut buffer).await? {
            0 => return write.shutdown().await,
            n => write.write_all(&buffer[..n]).await?,
        }
    }
}

/// Sends `BYTES` of its own pattern and checks that they come back.
async fn client(number: usize) -> io::Result<()> {
    let sent: Vec<u8> = (0..BYTES).map(|i| ((i * (2 * number + 1)) >> 3) as u8).collect();
    let (mut read, mut write) = TcpStream::connect("proxy:80").await?.into_split();
    let expected = sent.clone();
    let writer = spawn(async move {
        write.write_all(&sent).await?;
        write.shutdown().await
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await?;
    writer.await??;
    assert!(
        back == expected,
        "client {number}: {} bytes came back, and not those that were sent",
        back.len()
    );
    Ok(())
}

/// How long it took until every client was served, ms of virtual time.
async fn run(sim: Sim, loss: f64) -> io::Result<u64> {
    sim.default_link().latency(Duration::from_millis(2)..=Duration::from_millis(6)).loss(loss);
    sim.node("server").run(echo);
    sim.node("proxy").run(proxy);
    sim::time::sleep(Duration::from_millis(1)).await;
    let start = sim.elapsed();
    let clients = (0..CLIENTS).map(|n| sim.node(&format!("client-{n}")).spawn(client(n)));
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    let took = (sim.elapsed() - start).as_millis() as u64;
    // Both sides of every connection are gone: nothing leaks in the proxy.
    sim::time::sleep(Duration::from_secs(1)).await;
    for (a, b) in [("proxy", "server"), ("client-0", "proxy")] {
        assert_eq!(sim.established(a, b), 0, "connections between {a} and {b} are left");
    }
    Ok(took)
}

fn main() -> ExitCode {
    let mut medians = Vec::new();
    println!("loss     median of 100 runs, ms     trace of all");
    for percent in [0, 1, 2, 5] {
        let mut times = Vec::new();
        let report = sim::sweep(0..100)
            .on_run(|run| times.extend(run.result.as_ref().ok().copied()))
            .try_run(move |sim| run(sim, f64::from(percent) / 100.0));
        for group in report.groups() {
            println!("seed {}: {}", group.runs[0].seed, group.runs[0].failure);
        }
        if !report.failures.is_empty() {
            return ExitCode::FAILURE;
        }
        times.sort_unstable();
        println!("{percent:3} % {:25}     {:016x}", times[times.len() / 2], report.trace);
        medians.push(times[times.len() / 2]);
    }
    match medians.is_sorted() && medians[0] < medians[3] {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
