//! A server for tower services: axum's `Router`, tonic's services.

use super::SimExecutor;
use crate::TcpListener;
use futures::future::{Either, LocalBoxFuture, pending, select};
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::error::Error;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::pin;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Serves HTTP/1 and HTTP/2, with upgrades, to every connection that the listener takes: `axum::serve`, which needs
/// tokio's runtime. `service` answers requests: a `Router`, or whatever else is a tower service of them.
///
/// Each connection is a task of the process. For what this does not have (a limit of connections, HTTP/2 alone, the
/// peer's address) docs/http.md shows the loop that it is.
///
/// ```
/// # use sim_net::{TcpListener, hyper::serve};
/// # use hyper::{Request, Response, body::Incoming};
/// # use std::convert::Infallible;
/// # use tower_service::Service;
/// async fn program<S>(service: S) -> std::io::Result<()>
/// where
///     S: Service<Request<Incoming>, Response = Response<String>, Error = Infallible, Future: 'static> + Clone + 'static,
/// {
///     let listener = TcpListener::bind("0.0.0.0:80").await?;
///     serve(listener, service).with_graceful_shutdown(sim_core::signal::stopped()).await
/// }
/// ```
pub fn serve<S, B>(listener: TcpListener, service: S) -> Serve<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    Serve { listener, service, stop: Box::pin(pending()) }
}

/// A server that runs when it is awaited. Made by [`serve`].
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<S> {
    listener: TcpListener,
    service: S,
    stop: LocalBoxFuture<'static, ()>,
}

impl<S> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl<S> Serve<S> {
    /// Ends when `signal` does, and not before the requests that are being answered then: the listener is closed at
    /// once, idle connections too.
    pub fn with_graceful_shutdown(self, signal: impl Future<Output = ()> + 'static) -> Self {
        Serve { stop: Box::pin(signal), ..self }
    }
}

impl<S, B> IntoFuture for Serve<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: 'static>
        + Clone
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + 'static,
{
    /// An error is that of [`TcpListener::accept`].
    type Output = io::Result<()>;
    type IntoFuture = LocalBoxFuture<'static, io::Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(run(self))
    }
}

async fn run<S, B>(Serve { listener, service, mut stop }: Serve<S>) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: 'static>
        + Clone
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + 'static,
{
    let connections = GracefulShutdown::new();
    loop {
        let accepted = match select(pin!(listener.accept()), &mut stop).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(((), _)) => break,
        };
        let (stream, _) = accepted?;
        let (watcher, service) = (connections.watcher(), TowerToHyperService::new(service.clone()));
        sim_core::spawn(async move {
            let mut server = auto::Builder::new(SimExecutor);
            // For WebSockets over HTTP/2, as in axum.
            server.http2().enable_connect_protocol();
            let connection = server.serve_connection_with_upgrades(stream, service);
            // What ends a connection is no affair of the server's: its requests have their answers or their errors.
            let _ = watcher.watch(connection).await;
        });
    }
    drop(listener);
    connections.shutdown().await;
    Ok(())
}
