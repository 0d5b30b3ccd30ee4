//! The server and the clients that the bodies use.

use super::*;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

pub type Body = BoxBody<Bytes, io::Error>;
pub type Answer = Result<Response<Body>, Infallible>;

/// A body of which the length is known.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// A body of pieces, of unknown length.
pub fn pieces(pieces: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

/// What was received, as it comes.
pub fn relayed(body: Incoming) -> Body {
    body.map_err(io::Error::other).boxed()
}

pub fn answer(body: impl Into<Bytes>) -> Answer {
    Ok(Response::new(full(body)))
}

pub async fn text<B>(response: Response<B>) -> io::Result<String>
where
    B: hyper::body::Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let body = response.into_body().collect().await.map_err(io::Error::other)?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

/// The error of a socket that is the reason of `error`.
pub fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let reasons = std::iter::successors(Some(error), |&error| error.source());
    reasons.filter_map(|reason| reason.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

/// A server of HTTP/1 and HTTP/2.
#[derive(Clone)]
pub struct Server {
    pub port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Answers with `handler`.
    pub async fn start<H, F>(handler: H) -> io::Result<Server>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let (listener, server) = Server::listen().await?;
        let accepted = server.accepted.clone();
        start(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                accepted.fetch_add(1, Ordering::Relaxed);
                let service = service_fn(handler.clone());
                start(async move {
                    let mut server = auto::Builder::new(Executor::new());
                    server.http2().max_send_buf_size(64 << 10);
                    let _ = server.serve_connection_with_upgrades(io(stream), service).await;
                });
            }
            #[allow(unreachable_code, reason = "names the type")]
            io::Result::Ok(())
        });
        Ok(server)
    }

    /// A listener of which nobody accepts yet.
    pub async fn listen() -> io::Result<(TcpListener, Server)> {
        let listener = on_server(TcpListener::bind(ANY)).await?;
        let port = listener.local_addr()?.port();
        Ok((listener, Server { port, accepted: Arc::default() }))
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn uri(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.port)
    }

    pub fn get(&self, path: &str) -> Request<Body> {
        Request::get(self.uri(path)).header("host", HOST).body(full("")).unwrap()
    }

    pub fn post(&self, path: &str, body: Body) -> Request<Body> {
        Request::post(self.uri(path)).header("host", HOST).body(body).unwrap()
    }

    pub async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((HOST, self.port)).await
    }

    /// One connection of HTTP/1.
    pub async fn h1(&self) -> io::Result<http1::SendRequest<Body>> {
        let stream = self.connect().await?;
        let (sender, connection) = http1::handshake(io(stream)).await.map_err(io::Error::other)?;
        spawn(connection.with_upgrades());
        Ok(sender)
    }

    /// One connection of HTTP/2, on which the server may send so many bytes of a body that nobody reads.
    pub async fn h2(&self, window: u32) -> io::Result<http2::SendRequest<Body>> {
        let stream = self.connect().await?;
        let mut client = http2::Builder::new(Executor::new());
        client.initial_stream_window_size(window);
        let (sender, connection) = client.handshake(io(stream)).await.map_err(io::Error::other)?;
        spawn(connection);
        Ok(sender)
    }
}

/// Tells when it is dropped.
pub struct Tells(Option<oneshot::Sender<()>>);

impl Tells {
    pub fn new() -> (Tells, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Tells(Some(sender)), receiver)
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}
