//! socket, bind, listen, connect, accept of streams.

use super::address::SocketAddr;
use super::names::Holder;
use super::stream::Stream;
use crate::errno;
use crate::network::Net;
use crate::readiness::{Ready, Source, Waiters};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use sim_core::{Event, NodeId};
use std::collections::VecDeque;
use std::io;
use std::task::Poll;

/// net.core.somaxconn: the most that a listener asks for.
const MOST_BACKLOG: u32 = 4096;

/// A stream socket before listen or connect.
pub(super) struct Socket {
    pub node: NodeId,
    /// Unnamed until it is bound.
    pub local: SocketAddr,
}

/// A socket that listens.
pub(super) struct Listener {
    pub node: NodeId,
    pub local: SocketAddr,
    backlog: usize,
    /// The servers' ends of connections that wait to be accepted.
    pub queue: VecDeque<Key>,
    pub acceptors: Waiters,
    pub watched: bool,
}

impl Listener {
    pub fn readiness(&self) -> Ready {
        if self.queue.is_empty() { Ready::EMPTY } else { Ready::READABLE }
    }
}

impl Net {
    /// socket(2).
    pub fn unix_socket(&mut self, k: &mut Kernel) -> io::Result<Key> {
        let node = Net::actor(k)?;
        self.may_open(k, node)?;
        Ok(self.unix.sockets.insert(Socket { node, local: SocketAddr::default() }))
    }

    /// bind(2).
    ///
    /// # Errors
    /// `EADDRINUSE`; `EINVAL` when it is bound already.
    pub fn bind_unix_socket(&mut self, k: &Kernel, key: Key, address: &SocketAddr) -> io::Result<()> {
        Net::actor(k)?;
        let socket = self.unix.sockets.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        if !socket.local.is_unnamed() {
            return Err(errno::invalid_argument());
        }
        socket.local = self.unix.names.bind(socket.node, address, Holder::Socket(key))?;
        Ok(())
    }

    /// listen(2).
    ///
    /// # Errors
    /// `EINVAL` when it is not bound.
    pub fn listen_unix(&mut self, k: &mut Kernel, key: Key, backlog: u32) -> io::Result<Key> {
        Net::actor(k)?;
        let Socket { node, local } = self.unix.sockets.remove(key).ok_or_else(errno::bad_descriptor)?;
        if local.is_unnamed() {
            return Err(errno::invalid_argument());
        }
        k.record(|| Event::new("unix.listen", format!("{local:?}")));
        let listener = self.unix.listeners.insert(Listener {
            node,
            local: local.clone(),
            backlog: backlog.min(MOST_BACKLOG) as usize,
            queue: VecDeque::new(),
            acceptors: Waiters::default(),
            watched: false,
        });
        self.unix.names.pass_on(node, &local, Holder::Socket(key), Some(Holder::Listener(listener)));
        Ok(listener)
    }

    /// connect(2) of a socket that was bound, or of a new one. The connection is there at once; the listener's queue
    /// takes one more than its backlog.
    ///
    /// # Errors
    /// `ENOENT`, `ECONNREFUSED`, `EPROTOTYPE` for a datagram socket, `EAGAIN` when the queue is full.
    pub fn connect_unix(
        &mut self,
        k: &mut Kernel,
        bound: Option<Key>,
        address: &SocketAddr,
    ) -> io::Result<Key> {
        let node = match bound {
            Some(key) => self.unix.sockets.get(key).ok_or_else(errno::bad_descriptor)?.node,
            None => {
                let node = Net::actor(k)?;
                self.may_open(k, node)?;
                node
            }
        };
        let key = match self.unix.names.find(node, address)? {
            Holder::Listener(key) => key,
            Holder::Datagram(_) => return Err(errno::wrong_type()),
            Holder::Socket(_) | Holder::Stream(_) => return Err(errno::connection_refused()),
        };
        let listener = self.unix.listeners.get_mut(key).ok_or_else(errno::connection_refused)?;
        if listener.queue.len() > listener.backlog {
            return Err(errno::would_block());
        }
        k.record(|| Event::new("unix.connect", format!("{address:?}")));
        let socket = bound.and_then(|key| self.unix.sockets.remove(key));
        let local = socket.map(|s| s.local).unwrap_or_default();
        let remote = listener.local.clone();
        let (client, server) = self.unix_ends(node, local, remote);
        if let Some(old) = bound
            && let Some(stream) = self.unix.streams.get_mut(client)
        {
            stream.bound = true;
            let new = Some(Holder::Stream(client));
            self.unix.names.pass_on(node, &stream.local, Holder::Socket(old), new);
        }
        if let Some(stream) = self.unix.streams.get_mut(server) {
            stream.listener = key;
        }
        if let Some(listener) = self.unix.listeners.get_mut(key) {
            listener.queue.push_back(server);
            listener.acceptors.wake(k, &mut self.out.wake);
            if listener.watched {
                self.tell_watchers(k, Source::UnixListener(key));
            }
        }
        Ok(client)
    }

    /// accept(2).
    pub fn accept_unix(&mut self, k: &mut Kernel, key: Key) -> Poll<io::Result<(Key, SocketAddr)>> {
        let Some(listener) = self.unix.listeners.get(key) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        if !listener.queue.is_empty() {
            let node = listener.node;
            self.may_open(k, node)?;
        }
        let Some(listener) = self.unix.listeners.get_mut(key) else { return Poll::Pending };
        let Some(stream) = listener.queue.pop_front() else { return Poll::Pending };
        let Some(st) = self.unix.streams.get_mut(stream) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        st.listener = Key::NONE;
        Poll::Ready(Ok((stream, st.remote.clone())))
    }

    pub fn unix_listener_addr(&self, key: Key) -> io::Result<SocketAddr> {
        self.unix.listeners.get(key).map(|l| l.local.clone()).ok_or_else(errno::bad_descriptor)
    }

    /// socketpair(2).
    pub fn unix_pair(&mut self, k: &mut Kernel) -> io::Result<(Key, Key)> {
        let node = Net::actor(k)?;
        self.may_open_two(k, node)?;
        Ok(self.unix_ends(node, SocketAddr::default(), SocketAddr::default()))
    }

    /// Two ends that are connected: the first is at `local`, the second at `remote`.
    fn unix_ends(&mut self, node: NodeId, local: SocketAddr, remote: SocketAddr) -> (Key, Key) {
        let first = self.unix.streams.insert(Stream::new(node, local.clone(), remote.clone()));
        let second = self.unix.streams.insert(Stream::new(node, remote, local));
        for (end, peer) in [(first, second), (second, first)] {
            self.unix.streams.get_mut(end).into_iter().for_each(|s| s.peer = peer);
        }
        (first, second)
    }

    /// unlink(2) of a socket file.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn unlink_unix(&mut self, k: &Kernel, path: &[u8]) -> io::Result<()> {
        let node = Net::actor(k)?;
        self.unix.names.unlink(node, path)
    }
}
