//! Simulated: servers are on a machine of their own, behind a link.

pub use sim::net::hyper::{SimConnector as Connector, SimExecutor as Executor, SimTimer as Timer};
pub use sim::net::{TcpListener, TcpStream, UnixStream};
pub use sim::spawn;

pub const ANY: &str = "0.0.0.0:0";
pub const HOST: &str = "server";

pub fn run(body: impl Future<Output = std::io::Result<()>> + 'static) {
    let config = sim::Config::seed(7);
    sim::run(config, |sim| {
        sim.node(HOST);
        body
    })
    .result
    .unwrap()
    .unwrap();
}

/// A stream as hyper takes it: as it is.
pub fn io(stream: TcpStream) -> TcpStream {
    stream
}

/// Runs what belongs to the server.
pub async fn on_server<F: Future<Output: 'static> + 'static>(future: F) -> F::Output {
    sim::Sim::current().node(HOST).spawn(future).await.unwrap()
}

/// Starts a task of the server.
pub fn start(future: impl Future<Output: 'static> + 'static) {
    sim::Sim::current().node(HOST).spawn(future);
}

/// Serves a router until it is told to stop.
pub async fn serve_axum(
    listener: TcpListener,
    router: ::axum::Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    sim::net::hyper::serve(listener, router).with_graceful_shutdown(stop).await
}

#[path = "axum.rs"]
pub mod axum;
#[path = "h1.rs"]
pub mod h1;
#[path = "h2.rs"]
pub mod h2;
#[path = "peers.rs"]
pub mod peers;
#[path = "pool.rs"]
pub mod pool;
#[path = "tonic.rs"]
pub mod tonic;
#[path = "traits.rs"]
pub mod traits;
