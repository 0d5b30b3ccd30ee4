//! Real: tokio on this machine's loopback.

pub use hyper_util::client::legacy::connect::HttpConnector as Connector;
pub use hyper_util::rt::{TokioExecutor as Executor, TokioTimer as Timer};
pub use tokio::net::{TcpListener, TcpStream, UnixStream};
pub use tokio::task::spawn_local as spawn;

/// Where servers bind, and where clients find them.
pub const ANY: &str = "127.0.0.1:0";
pub const HOST: &str = "127.0.0.1";

pub fn run(body: impl Future<Output = std::io::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, body).unwrap();
}

/// A stream as hyper takes it. Nagle's algorithm would have HTTP/2 wait for acknowledgements that are delayed.
pub fn io(stream: TcpStream) -> hyper_util::rt::TokioIo<TcpStream> {
    stream.set_nodelay(true).unwrap();
    hyper_util::rt::TokioIo::new(stream)
}

/// Runs what belongs to the server: here on the same machine.
pub async fn on_server<F: Future>(future: F) -> F::Output {
    future.await
}

/// Starts a task of the server.
pub fn start(future: impl Future<Output: Send> + Send + 'static) {
    tokio::spawn(future);
}

/// Has the server of axum's own crate serve a router, until it is told to stop.
pub async fn serve_axum(
    listener: TcpListener,
    router: ::axum::Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    ::axum::serve(listener, router).with_graceful_shutdown(stop).await
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
