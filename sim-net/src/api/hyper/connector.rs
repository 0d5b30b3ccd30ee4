//! The connector of hyper-util's pooled client.

use crate::{TcpStream, UnixStream};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// Connects to the host and port of a URI: `HttpConnector` of hyper-util. Its streams are plain TCP; the scheme must be
/// `http`, whose port is 80 unless given.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use hyper_util::client::legacy::Client;
/// use sim_net::hyper::{SimConnector, SimExecutor};
///
/// let client: Client<_, String> = Client::builder(SimExecutor::new()).build(SimConnector::new());
/// sim.node("server");
/// let refused = client.get("http://server/".parse().unwrap()).await.unwrap_err();
/// assert!(refused.is_connect());
/// # }).result.unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimConnector {
    connect_timeout: Option<Duration>,
}

impl SimConnector {
    /// Without a time limit of its own: a connect into a partition takes 127 s to give up, tcp(7).
    pub fn new() -> Self {
        SimConnector::default()
    }

    /// How long a connect may take; then it is `TimedOut`.
    pub fn set_connect_timeout(&mut self, limit: Option<Duration>) {
        self.connect_timeout = limit;
    }
}

impl Service<Uri> for SimConnector {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TcpStream>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.connect_timeout;
        async move {
            let (host, port) = destination(&uri)?;
            let connect = TcpStream::connect((host, port));
            match limit {
                None => connect.await,
                Some(limit) => sim_core::time::timeout(limit, connect).await?,
            }
        }
        .boxed()
    }
}

fn destination(uri: &Uri) -> io::Result<(&str, u16)> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{what}: {uri}"));
    if uri.scheme_str() != Some("http") {
        return Err(wrong("the connector of the simulation speaks plain TCP, and the scheme is not http"));
    }
    let host = uri.host().ok_or_else(|| wrong("there is no host"))?;
    // An address of IPv6 is in brackets.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((host, uri.port_u16().unwrap_or(80)))
}

impl Connection for TcpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// For a connector of your own.
impl Connection for UnixStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
