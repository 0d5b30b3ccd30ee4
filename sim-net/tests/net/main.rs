//! How the network behaves as programs see it, a module a subject. Virtual time makes the exact instants assertable.

mod addresses;
mod casts;
mod chaos;
mod close;
mod connect;
mod data;
mod death;
mod faults;
mod limits;
mod links;
mod memory;
mod names;
mod options;
mod readiness;
mod rough;
mod rpc;
mod shapes;
mod statistics;
mod udp;
mod unix;

use sim_core::{Config, JoinHandle, Sim, run};
use sim_net::{TcpListener, TcpStream};
use std::future::Future;
use std::io;
use std::time::Duration;

/// Milliseconds.
pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Seconds.
pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Runs a body under a few seeds.
pub fn simulate<Fut: Future<Output = io::Result<()>> + 'static>(body: impl Fn(Sim) -> Fut) {
    for seed in 1..=5 {
        let config = Config::seed(seed).time_limit(secs(48 * 3600));
        run(config, &body).result.unwrap_or_else(|f| panic!("seed {seed}: {f:?}")).unwrap();
    }
}

/// A listener on node "server" and a connection to it from node "client": both ends, as tasks of the harness hold them.
pub async fn pair(sim: Sim) -> io::Result<(TcpStream, TcpStream)> {
    let listening = sim.node("server").spawn(TcpListener::bind("0.0.0.0:80"));
    let listener = listening.await.unwrap()?;
    let client = sim.node("client").spawn(TcpStream::connect("server:80"));
    let (server, _) = listener.accept().await?;
    Ok((client.await.unwrap()?, server))
}

/// Runs on a node and waits for it.
pub fn on<F: Future<Output: 'static> + 'static>(sim: Sim, node: &str, future: F) -> JoinHandle<F::Output> {
    sim.node(node).spawn(future)
}

/// The error of a result, which must be one.
pub fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.expect_err("an error").kind()
}
