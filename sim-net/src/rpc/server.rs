//! The server's side: a handler for each type of request.

use super::client::send_frames;
use super::frame::{Decoder, Frame, LARGEST};
use super::{Error, Refusal, Request};
use crate::{OwnedReadHalf, TcpListener, TcpStream, ToSocketAddrs};
use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, SinkExt};
use sim_core::hash::Map;
use sim_core::{AbortHandle, codec, hash};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::rc::Rc;

/// How many replies wait for a connection to take them before their handlers do.
const QUEUE: usize = 32;

type Handler = dyn Fn(Vec<u8>) -> LocalBoxFuture<'static, Result<Vec<u8>, Refusal>>;

/// Handlers of requests, each of which runs as a task of its own.
///
/// A handler is dropped when its caller gives up or its connection ends; what must be carried out all the same belongs
/// into a task that the handler spawns.
pub struct Server {
    handlers: Map<u64, (&'static str, Rc<Handler>)>,
    largest: usize,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("handlers", &self.handlers.len()).finish_non_exhaustive()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// Without handlers.
    pub fn new() -> Self {
        Server { handlers: Map::default(), largest: LARGEST }
    }

    /// With frames of at most so many bytes; 16 MiB unless set. A client that sends a larger one is disconnected.
    #[must_use]
    pub fn largest_frame(self, bytes: usize) -> Self {
        Server { largest: bytes, ..self }
    }

    /// Handles requests of type `Q`.
    ///
    /// # Panics
    /// If there is a handler for a request of this name.
    #[must_use]
    #[track_caller]
    pub fn on<Q, Fut>(mut self, handler: impl Fn(Q) -> Fut + 'static) -> Self
    where
        Q: Request,
        Fut: Future<Output = Q::Reply> + 'static,
    {
        let handle = move |body: Vec<u8>| match codec::decode::<Q>(&body) {
            Err(e) => futures::future::ready(Err(Refusal::Malformed(e.to_string()))).boxed_local(),
            Ok(request) => handler(request)
                .map(|reply| codec::encode(&reply).map_err(|e| Refusal::NoReply(e.to_string())))
                .boxed_local(),
        };
        if let Some((other, _)) = self.handlers.insert(hash::text(Q::NAME), (Q::NAME, Rc::new(handle))) {
            panic!(
                "two handlers for the request {:?} (and {other:?}): names must be unique in a server",
                Q::NAME
            );
        }
        self
    }

    /// Listens on `address` and serves until the process ends.
    ///
    /// # Errors
    /// As [`TcpListener::bind`].
    pub async fn serve<A: ToSocketAddrs>(self, address: A) -> io::Result<()> {
        self.serve_on(TcpListener::bind(address).await?).await
    }

    /// Serves on a listener until the process ends.
    ///
    /// # Errors
    /// As [`TcpListener::accept`].
    pub async fn serve_on(self, listener: TcpListener) -> io::Result<()> {
        let server = Rc::new(self);
        loop {
            let (stream, _) = listener.accept().await?;
            sim_core::spawn(server.clone().connection(stream));
        }
    }

    async fn connection(self: Rc<Self>, stream: TcpStream) {
        let (read, write) = stream.into_split();
        let (replies, frames) = mpsc::channel(QUEUE);
        let running = Rc::new(Running::default());
        let sending = sim_core::spawn(send_frames(frames, write));
        // Whatever ends the reading ends the connection, and with it what runs for it.
        let _ = self.requests(read, replies, &running).await;
        running.stop();
        sending.abort();
    }

    async fn requests(
        &self,
        mut read: OwnedReadHalf,
        replies: mpsc::Sender<Vec<u8>>,
        running: &Rc<Running>,
    ) -> Result<(), Error> {
        let mut decoder = Decoder::new(self.largest);
        let mut buffer = vec![0; 16 << 10];
        loop {
            let n = read.read(&mut buffer).await.map_err(Error::Io)?;
            if n == 0 {
                return Ok(());
            }
            decoder.feed(&buffer[..n]);
            while let Some(frame) = decoder.next()? {
                match frame {
                    Frame::Request { id, kind, body } => self.start(id, kind, body, &replies, running),
                    Frame::Cancel { id } => running.cancel(id),
                    Frame::Reply { .. } => return Ok(()),
                }
            }
        }
    }

    fn start(
        &self,
        id: u64,
        kind: u64,
        body: Vec<u8>,
        replies: &mpsc::Sender<Vec<u8>>,
        running: &Rc<Running>,
    ) {
        let handled = self.handlers.get(&kind).map(|(_, handler)| handler(body));
        let (largest, mut replies, done) = (self.largest, replies.clone(), running.clone());
        let task = sim_core::spawn(async move {
            let result = match handled {
                Some(handled) => handled.await,
                None => Err(Refusal::Unknown),
            };
            let frame = Frame::Reply { id, result }.encode(largest).or_else(|e| {
                let refusal = Refusal::NoReply(e.to_string());
                Frame::Reply { id, result: Err(refusal) }.encode(LARGEST)
            });
            if let Ok(frame) = frame {
                let _ = replies.send(frame).await;
            }
            done.0.borrow_mut().remove(&id);
        });
        // An id that is used twice is the client's mistake; the first handler runs on unobserved.
        running.0.borrow_mut().insert(id, task.abort_handle());
    }
}

/// The handlers that run for a connection.
#[derive(Default)]
struct Running(RefCell<BTreeMap<u64, AbortHandle>>);

impl Running {
    fn cancel(&self, id: u64) {
        let handler = self.0.borrow_mut().remove(&id);
        if let Some(handler) = handler {
            handler.abort();
        }
    }

    fn stop(&self) {
        let all = std::mem::take(&mut *self.0.borrow_mut());
        all.into_values().for_each(|handler| handler.abort());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
