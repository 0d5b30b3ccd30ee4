//! Unix sockets, unix(7): between the processes of one machine, without packets and links.
//!
//! What is written is in the reader's queue at once; the reader is woken and scheduled as any task. The sockets of
//! programs are [`UnixStream`](crate::UnixStream), [`UnixListener`](crate::UnixListener) and
//! [`UnixDatagram`](crate::UnixDatagram); here are their halves and addresses, as in tokio's `net::unix`.
//!
//! A socket file outlives its socket, its process and a power cut: until it is unlinked, a bind to its path is
//! `AddrInUse` and a connect `ConnectionRefused`. As long as there is no simulated file system, [`unlink`] removes it.

mod address;
mod close;
mod connect;
mod datagram;
mod memory;
mod names;
mod stream;

pub use crate::api::unix::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, UCred, WriteHalf, unlink};
pub use address::SocketAddr;

use crate::handle::Side;
use crate::network::Net;
use crate::readiness::{Ready, Source, Waiters};
use connect::{Listener, Socket};
use datagram::Datagram;
use names::{Holder, Names};
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use sim_core::slab::{Key, Slab};
use std::task::Waker;
use stream::Stream;

/// The Unix sockets of a world.
#[derive(Default)]
pub(crate) struct Unix {
    sockets: Slab<Socket>,
    listeners: Slab<Listener>,
    streams: Slab<Stream>,
    datagrams: Slab<Datagram>,
    names: Names,
}

impl Unix {
    /// Forgets everything but keeps the memory; the wakers are for the caller to drop.
    pub fn forget(&mut self, dropped: &mut Vec<Waker>) {
        self.each_waiters(|_| true, dropped);
        self.sockets.clear();
        self.listeners.clear();
        self.streams.clear();
        self.datagrams.clear();
        self.names.clear();
    }

    /// How many sockets a node has, and how many bytes wait in them.
    pub fn held(&self, node: NodeId) -> (u64, u64) {
        let streams = self.streams.iter().filter(|(_, s)| s.node == node && s.listener == Key::NONE);
        let of_streams = streams.map(|(_, s)| s.sent as u64);
        let of_datagrams = self.datagrams.iter().filter(|(_, d)| d.node == node).map(|(_, d)| d.sent as u64);
        let (n, bytes) = of_streams.chain(of_datagrams).fold((0, 0), |(n, sum), sent| (n + 1, sum + sent));
        let sockets = self.sockets.iter().filter(|(_, s)| s.node == node).count();
        let listeners = self.listeners.iter().filter(|(_, l)| l.node == node).count();
        (n + (sockets + listeners) as u64, bytes)
    }

    fn each_waiters(&mut self, mine: impl Fn(NodeId) -> bool, dropped: &mut Vec<Waker>) {
        for key in keys(&self.listeners, |l| mine(l.node)) {
            self.listeners.get_mut(key).into_iter().for_each(|l| l.acceptors.take(dropped));
        }
        for key in keys(&self.streams, |s| mine(s.node)) {
            self.streams.get_mut(key).into_iter().for_each(|s| s.forget_waiters(dropped));
        }
        for key in keys(&self.datagrams, |d| mine(d.node)) {
            self.datagrams.get_mut(key).into_iter().for_each(|d| d.forget_waiters(dropped));
        }
    }

    /// How many sockets of any kind there are.
    pub fn len(&self) -> usize {
        self.sockets.len() + self.listeners.len() + self.streams.len() + self.datagrams.len()
    }

    /// Whether readiness sets watch a socket.
    pub fn set_watched(&mut self, source: Source, watched: bool) {
        match source {
            Source::UnixStream(key) => drop(self.streams.get_mut(key).map(|s| s.watched = watched)),
            Source::UnixListener(key) => drop(self.listeners.get_mut(key).map(|l| l.watched = watched)),
            Source::UnixDatagram(key) => drop(self.datagrams.get_mut(key).map(|d| d.watched = watched)),
            Source::Stream(_) | Source::Listener(_) | Source::Udp(_) => {}
        }
    }
}

impl Net {
    /// What a Unix socket is ready for; a datagram socket that asks for room which is not there is told when it is.
    pub fn unix_ready(&mut self, source: Source, writable: bool) -> Option<Ready> {
        match source {
            Source::UnixStream(key) => self.unix.streams.get(key).map(Stream::readiness),
            Source::UnixListener(key) => self.unix.listeners.get(key).map(Listener::readiness),
            Source::UnixDatagram(key) => self.unix_datagram_ready(key, writable),
            Source::Stream(_) | Source::Listener(_) | Source::Udp(_) => None,
        }
    }

    /// The kernel closes what a dead process had; its socket files stay.
    pub fn unix_process_died(&mut self, k: &mut Kernel, node: NodeId) {
        self.unix.each_waiters(|n| n == node, &mut self.out.dropped);
        for key in keys(&self.unix.sockets, |s| s.node == node) {
            self.close_unix_socket(key);
        }
        for key in keys(&self.unix.listeners, |l| l.node == node) {
            self.close_unix_listener(k, key);
        }
        for key in keys(&self.unix.streams, |s| s.node == node) {
            self.close_unix_stream(k, key);
        }
        for key in keys(&self.unix.datagrams, |d| d.node == node) {
            self.close_unix_datagram(k, key);
        }
    }

    fn unix_name_given_back(&mut self, node: NodeId, name: &SocketAddr, holder: Holder) {
        self.unix.names.pass_on(node, name, holder, None);
    }
}

fn keys<T>(slab: &Slab<T>, mine: impl Fn(&T) -> bool) -> Vec<Key> {
    slab.iter().filter(|(_, value)| mine(value)).map(|(key, _)| key).collect()
}

/// A list of those who wait, for [`Wait`](crate::handle::Wait).
macro_rules! side {
    ($($(#[$doc:meta])* $name:ident: $slab:ident.$list:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(crate) enum $name {}

            impl Side for $name {
                fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters> {
                    net.unix.$slab.get_mut(key).map(|socket| &mut socket.$list)
                }
            }
        )*
    };
}

side! {
    /// Those who wait for a connection of a listener.
    Acceptors: listeners.acceptors;
    /// Those who wait for data of a stream.
    Readers: streams.readers;
    /// Those who wait for room in a stream.
    Writers: streams.writers;
    /// Those who wait for a datagram.
    Receivers: datagrams.readers;
    /// Those who wait for room for a datagram.
    Senders: datagrams.writers;
}
