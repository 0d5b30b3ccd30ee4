//! The caller's side: one connection, many calls.

use super::frame::{Decoder, Frame, LARGEST};
use super::hook::{self, Fate};
use super::{Error, Request};
use crate::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use futures::channel::{mpsc, oneshot};
use futures::{SinkExt, StreamExt};
use sim_core::time::{sleep, timeout};
use sim_core::{codec, hash};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a call may take unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many frames wait for the connection to take them before callers do.
const QUEUE: usize = 32;

/// Calls one server. Clones share the connection.
///
/// The connection is made by the first call and belongs to the process that makes it; after it broke, the next call
/// makes another.
#[derive(Clone)]
pub struct Client {
    address: Arc<str>,
    deadline: Duration,
    largest: usize,
    shared: Arc<Shared>,
}

struct Shared {
    link: Mutex<Option<Link>>,
    /// Held while a connection is made, so that calls share it.
    connecting: futures::lock::Mutex<()>,
    last_id: Mutex<u64>,
}

#[derive(Clone)]
struct Link {
    outgoing: mpsc::Sender<Vec<u8>>,
    pending: Arc<Pending>,
}

/// The calls that wait for replies; `None` when the connection is broken.
type Pending = Mutex<Option<BTreeMap<u64, oneshot::Sender<Result<Vec<u8>, Error>>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).field("deadline", &self.deadline).finish()
    }
}

impl Client {
    /// A client of the server at `address`, `host:port`. Nothing is sent before the first call.
    pub fn new(address: impl ToString) -> Self {
        let shared = Shared {
            link: Mutex::new(None),
            connecting: futures::lock::Mutex::new(()),
            last_id: Mutex::new(0),
        };
        let address = address.to_string().into();
        Client { address, deadline: DEADLINE, largest: LARGEST, shared: Arc::new(shared) }
    }

    /// With this deadline for calls that do not say otherwise; 10 s unless set.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Client { deadline, ..self }
    }

    /// With frames of at most so many bytes; 16 MiB unless set.
    #[must_use]
    pub fn largest_frame(self, bytes: usize) -> Self {
        Client { largest: bytes, ..self }
    }

    /// Sends a request and waits for its reply. Dropping the call tells the server.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call<Q: Request>(&self, request: Q) -> Result<Q::Reply, Error> {
        self.call_within(self.deadline, request).await
    }

    /// The same with a deadline of its own, which connecting counts towards.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call_within<Q: Request>(&self, deadline: Duration, request: Q) -> Result<Q::Reply, Error> {
        timeout(deadline, self.exchange(request)).await.unwrap_or(Err(Error::Timeout))
    }

    async fn exchange<Q: Request>(&self, request: Q) -> Result<Q::Reply, Error> {
        let fate = hook::ask(&request, &self.address);
        match fate {
            Fate::Deliver | Fate::LoseReply => {}
            Fate::Delay(time) => sleep(time).await,
            Fate::Lose => return std::future::pending().await,
            Fate::Fail => return Err(Error::Disconnected),
        }
        let body = codec::encode(&request).map_err(Error::Codec)?;
        let id = {
            let mut last = lock(&self.shared.last_id);
            *last += 1;
            *last
        };
        let frame = Frame::Request { id, kind: hash::text(Q::NAME), body }.encode(self.largest)?;
        let mut link = self.link().await?;
        let (answer, answered) = oneshot::channel();
        match &mut *lock(&link.pending) {
            Some(pending) => drop(pending.insert(id, answer)),
            None => return Err(Error::Disconnected),
        }
        let _waiting = Waiting { id, link: link.clone() };
        link.outgoing.send(frame).await.map_err(|_| Error::Disconnected)?;
        let reply = answered.await.unwrap_or(Err(Error::Disconnected))?;
        if fate == Fate::LoseReply {
            return std::future::pending().await;
        }
        codec::decode(&reply).map_err(Error::Codec)
    }

    /// The connection, which is made if there is none.
    async fn link(&self) -> Result<Link, Error> {
        if let Some(link) = self.healthy() {
            return Ok(link);
        }
        let _connecting = self.shared.connecting.lock().await;
        if let Some(link) = self.healthy() {
            return Ok(link);
        }
        let stream = TcpStream::connect(&*self.address).await.map_err(Error::Io)?;
        let (read, write) = stream.into_split();
        let (outgoing, frames) = mpsc::channel(QUEUE);
        let pending = Arc::new(Mutex::new(Some(BTreeMap::new())));
        sim_core::spawn(send_all(frames, write, Connection(pending.clone())));
        sim_core::spawn(receive_all(read, Connection(pending.clone()), self.largest));
        let link = Link { outgoing, pending };
        let _old = lock(&self.shared.link).replace(link.clone());
        Ok(link)
    }

    fn healthy(&self) -> Option<Link> {
        let link = lock(&self.shared.link).clone()?;
        let healthy = lock(&link.pending).is_some() && !link.outgoing.is_closed();
        healthy.then_some(link)
    }
}

/// A call under way: when it is dropped without a reply, the server may stop.
struct Waiting {
    id: u64,
    link: Link,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiting = lock(&self.link.pending).as_mut().and_then(|p| p.remove(&self.id));
        if waiting.is_some()
            && let Ok(frame) = (Frame::Cancel { id: self.id }).encode(LARGEST)
        {
            // A full queue means that the server hears nothing anyway.
            let _ = self.link.outgoing.try_send(frame);
        }
    }
}

/// What a task of the connection holds: however the task ends, with its process too, the callers learn of it.
struct Connection(Arc<Pending>);

impl Drop for Connection {
    fn drop(&mut self) {
        // Dropping what waits tells the callers.
        let _waiting = lock(&self.0).take();
    }
}

/// Ends when the last client is dropped, which ends the connection, or when the connection does.
pub(super) async fn send_frames(mut frames: mpsc::Receiver<Vec<u8>>, mut write: OwnedWriteHalf) {
    while let Some(frame) = frames.next().await {
        if write.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn send_all(frames: mpsc::Receiver<Vec<u8>>, write: OwnedWriteHalf, _connection: Connection) {
    send_frames(frames, write).await;
}

async fn receive_all(mut read: OwnedReadHalf, connection: Connection, largest: usize) {
    let mut decoder = Decoder::new(largest);
    let mut buffer = vec![0; 16 << 10];
    loop {
        match read.read(&mut buffer).await {
            Ok(n) if n > 0 => decoder.feed(&buffer[..n]),
            _ => return,
        }
        loop {
            match decoder.next() {
                Ok(Some(Frame::Reply { id, result })) => {
                    let waiting = lock(&connection.0).as_mut().and_then(|p| p.remove(&id));
                    if let Some(waiting) = waiting {
                        let _ = waiting.send(result.map_err(Error::Remote));
                    }
                }
                Ok(None) => break,
                // Not a server of ours, or not this version.
                Ok(Some(_)) | Err(_) => return,
            }
        }
    }
}
