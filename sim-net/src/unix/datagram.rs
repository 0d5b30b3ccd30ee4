//! Datagram sockets: whole datagrams in order, none lost, and a sender that waits when the receiver is slow.

use super::address::SocketAddr;
use super::memory::{MOST_DATAGRAM, MOST_QUEUED, SEND_BUFFER, of_datagram, writable};
use super::names::Holder;
use crate::errno;
use crate::network::Net;
use crate::readiness::{Ready, Source, Waiters};
use crate::tcp::Payload;
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::task::{Poll, Waker};

/// A datagram socket.
pub(super) struct Datagram {
    pub node: NodeId,
    /// Unnamed until it is bound.
    local: SocketAddr,
    /// Where `send` goes. It may be gone, which the next `send` finds out.
    peer: Option<(Key, SocketAddr)>,
    read_shut: bool,
    write_shut: bool,
    /// The peer turned to another while we had something for it: told once.
    reset: bool,
    pub watched: bool,
    queue: VecDeque<Packet>,
    /// How much memory of ours lies in queues.
    pub sent: usize,
    /// Who found our queue full.
    waiting: Vec<Key>,
    pub readers: Waiters,
    pub writers: Waiters,
}

/// A datagram in a queue.
struct Packet {
    from: SocketAddr,
    data: Payload,
    sender: Key,
    charge: usize,
}

impl Datagram {
    pub fn forget_waiters(&mut self, dropped: &mut Vec<Waker>) {
        self.readers.take(dropped);
        self.writers.take(dropped);
    }

    fn is_full(&self) -> bool {
        self.queue.len() > MOST_QUEUED
    }

    fn hears_only(&self, key: Key) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.0 == key)
    }

    /// Whether it takes datagrams from `key`: a connected socket only those of its peer.
    fn takes_from(&self, key: Key) -> bool {
        self.peer.is_none() || self.hears_only(key)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        std::mem::take(&mut self.reset).then(errno::connection_reset)
    }
}

impl Net {
    /// socket(2).
    pub fn unix_datagram(&mut self, k: &mut Kernel) -> io::Result<Key> {
        let node = Net::actor(k)?;
        self.may_open(k, node)?;
        Ok(self.unix.datagrams.insert(Datagram {
            node,
            local: SocketAddr::default(),
            peer: None,
            read_shut: false,
            write_shut: false,
            reset: false,
            watched: false,
            queue: VecDeque::new(),
            sent: 0,
            waiting: Vec::new(),
            readers: Waiters::default(),
            writers: Waiters::default(),
        }))
    }

    /// socketpair(2).
    pub fn unix_datagram_pair(&mut self, k: &mut Kernel) -> io::Result<(Key, Key)> {
        let node = Net::actor(k)?;
        self.may_open_two(k, node)?;
        let (first, second) = (self.unix_datagram(k)?, self.unix_datagram(k)?);
        for (socket, peer) in [(first, second), (second, first)] {
            self.datagram(socket)?.peer = Some((peer, SocketAddr::default()));
        }
        Ok((first, second))
    }

    fn datagram(&mut self, key: Key) -> io::Result<&mut Datagram> {
        self.unix.datagrams.get_mut(key).ok_or_else(errno::bad_descriptor)
    }

    /// bind(2).
    ///
    /// # Errors
    /// `EADDRINUSE`; `EINVAL` when it is bound already.
    pub fn bind_unix_datagram(&mut self, k: &Kernel, key: Key, address: &SocketAddr) -> io::Result<()> {
        Net::actor(k)?;
        let d = self.unix.datagrams.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        if !d.local.is_unnamed() {
            return Err(errno::invalid_argument());
        }
        d.local = self.unix.names.bind(d.node, address, Holder::Datagram(key))?;
        Ok(())
    }

    /// The datagram socket behind an address.
    fn find_datagram(&self, node: NodeId, address: &SocketAddr) -> io::Result<Key> {
        match self.unix.names.find(node, address)? {
            Holder::Datagram(key) => Ok(key),
            Holder::Socket(_) | Holder::Stream(_) | Holder::Listener(_) => Err(errno::wrong_type()),
        }
    }

    /// connect(2): fixes the peer, from whom alone datagrams come from now on. What others sent is lost when there was
    /// a peer before.
    ///
    /// # Errors
    /// `ENOENT`, `ECONNREFUSED`, `EPROTOTYPE`; `EPERM` when the other one has another peer.
    pub fn connect_unix_datagram(
        &mut self,
        k: &mut Kernel,
        key: Key,
        address: &SocketAddr,
    ) -> io::Result<()> {
        Net::actor(k)?;
        let node = self.datagram(key)?.node;
        let to = self.find_datagram(node, address)?;
        if !self.datagram(to)?.takes_from(key) {
            return Err(errno::not_permitted());
        }
        let d = self.datagram(key)?;
        let before = d.peer.replace((to, address.clone())).map(|peer| peer.0);
        if let Some(before) = before.filter(|&peer| peer != to)
            && self.discard_queue(k, key)
            && let Some(p) = self.unix.datagrams.get_mut(before)
            && p.hears_only(key)
        {
            p.reset = true;
            self.datagram_changed(k, before, true, true);
        }
        self.datagram_changed(k, key, false, true);
        Ok(())
    }

    /// sendto(2), or send(2) without `to`. `Pending` when the receiver's queue is full, or too much of ours lies in
    /// queues.
    ///
    /// # Errors
    /// `ENOTCONN` without a destination, `EMSGSIZE`, `EPIPE` after a shutdown of either side, those of `connect`, and
    /// `ECONNREFUSED`, once, when the peer is gone.
    pub fn send_unix(
        &mut self,
        k: &mut Kernel,
        key: Key,
        data: &[u8],
        to: Option<&SocketAddr>,
    ) -> Poll<io::Result<usize>> {
        match self.try_send_unix(k, key, data, to) {
            Ok(Some(n)) => Poll::Ready(Ok(n)),
            Ok(None) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    fn try_send_unix(
        &mut self,
        k: &mut Kernel,
        key: Key,
        data: &[u8],
        to: Option<&SocketAddr>,
    ) -> io::Result<Option<usize>> {
        Net::actor(k)?;
        let d = self.datagram(key)?;
        let (node, from, connected) = (d.node, d.local.clone(), d.peer.as_ref().map(|peer| peer.0));
        if to.is_none() && connected.is_none() {
            return Err(errno::not_connected());
        }
        if data.len() > MOST_DATAGRAM {
            return Err(errno::message_too_large());
        }
        if let Some(error) = d.take_error() {
            return Err(error);
        }
        if d.write_shut {
            return Err(errno::broken_pipe());
        }
        if d.sent >= SEND_BUFFER {
            return Ok(None);
        }
        let target = match to {
            Some(address) => self.find_datagram(node, address)?,
            None => connected.ok_or_else(errno::not_connected)?,
        };
        let Some(receiver) = self.unix.datagrams.get_mut(target) else {
            // As `unix_dgram_disconnected` of Linux, what came before is lost with the connection.
            self.datagram(key)?.peer = None;
            self.discard_queue(k, key);
            return Err(errno::connection_refused());
        };
        if !receiver.takes_from(key) {
            return Err(errno::not_permitted());
        }
        if receiver.read_shut {
            return Err(errno::broken_pipe());
        }
        // Those that are connected to each other are bounded by the sender's memory alone.
        if target != key && !receiver.hears_only(key) && receiver.is_full() {
            wait_for_room(&mut receiver.waiting, key);
            return Ok(None);
        }
        let charge = of_datagram(data.len());
        receiver.queue.push_back(Packet { from, data: Payload::copy(data), sender: key, charge });
        self.datagram(key)?.sent += charge;
        k.stats().bytes += data.len() as u64;
        self.datagram_changed(k, target, true, false);
        Ok(Some(data.len()))
    }

    /// recvfrom(2): the first datagram, cut to `buf`.
    ///
    /// # Errors
    /// `ECONNRESET`, once, when the peer turned to another and lost what we had sent.
    pub fn receive_unix(
        &mut self,
        k: &mut Kernel,
        key: Key,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let Some(d) = self.unix.datagrams.get_mut(key) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        if let Some(error) = d.take_error() {
            return Poll::Ready(Err(error));
        }
        // Without a datagram a call that does not wait says EAGAIN, after a shutdown too.
        let Some(packet) = d.queue.pop_front() else { return Poll::Pending };
        let n = packet.data.len().min(buf.len());
        buf[..n].copy_from_slice(&packet.data.as_slice()[..n]);
        self.datagram_freed(k, packet.sender, packet.charge);
        self.tell_who_waits_for_room(k, key);
        Poll::Ready(Ok((n, packet.from)))
    }

    /// shutdown(2): of this socket alone.
    pub fn shutdown_unix_datagram(&mut self, k: &mut Kernel, key: Key, how: Shutdown) -> io::Result<()> {
        Net::actor(k)?;
        let d = self.datagram(key)?;
        d.read_shut |= how != Shutdown::Write;
        d.write_shut |= how != Shutdown::Read;
        self.datagram_changed(k, key, true, true);
        Ok(())
    }

    /// close(2): what was not received is lost, and those that wait for room find that nobody is there.
    pub fn close_unix_datagram(&mut self, k: &mut Kernel, key: Key) {
        if self.unix.datagrams.get(key).is_none() {
            return;
        }
        self.discard_queue(k, key);
        let Some(mut d) = self.unix.datagrams.remove(key) else { return };
        d.forget_waiters(&mut self.out.dropped);
        if d.watched {
            self.sets.source_gone(Source::UnixDatagram(key));
        }
        self.unix_name_given_back(d.node, &d.local, Holder::Datagram(key));
    }

    /// Drops what waits to be received, and says whether there was something.
    fn discard_queue(&mut self, k: &mut Kernel, key: Key) -> bool {
        let Some(d) = self.unix.datagrams.get_mut(key) else { return false };
        let queue = std::mem::take(&mut d.queue);
        for packet in &queue {
            self.datagram_freed(k, packet.sender, packet.charge);
        }
        self.tell_who_waits_for_room(k, key);
        !queue.is_empty()
    }

    /// Memory of a sender is free again.
    fn datagram_freed(&mut self, k: &mut Kernel, sender: Key, charge: usize) {
        if let Some(d) = self.unix.datagrams.get_mut(sender) {
            d.sent -= charge;
            if writable(d.sent) {
                self.datagram_changed(k, sender, false, true);
            }
        }
    }

    fn tell_who_waits_for_room(&mut self, k: &mut Kernel, key: Key) {
        let Some(d) = self.unix.datagrams.get_mut(key) else { return };
        if d.is_full() || d.waiting.is_empty() {
            return;
        }
        for sender in std::mem::take(&mut d.waiting) {
            self.datagram_changed(k, sender, false, true);
        }
    }

    /// Wakes who waits to receive, to send, and the readiness sets.
    fn datagram_changed(&mut self, k: &mut Kernel, key: Key, readers: bool, writers: bool) {
        let Some(d) = self.unix.datagrams.get_mut(key) else { return };
        if readers {
            d.readers.wake(k, &mut self.out.wake);
        }
        if writers {
            d.writers.wake(k, &mut self.out.wake);
        }
        if d.watched {
            self.tell_watchers(k, Source::UnixDatagram(key));
        }
    }

    /// As `unix_dgram_poll` of Linux says; who asks for room at a peer without is told when there is.
    pub(super) fn unix_datagram_ready(&mut self, key: Key, asks_for_room: bool) -> Option<Ready> {
        let d = self.unix.datagrams.get(key)?;
        let mut ready = Ready::EMPTY;
        if !d.queue.is_empty() || d.reset {
            ready |= Ready::READABLE;
        }
        if d.read_shut {
            ready |= Ready::READABLE | Ready::READ_CLOSED;
            if d.write_shut {
                ready |= Ready::WRITE_CLOSED;
            }
        }
        if d.reset {
            ready |= Ready::ERROR;
        }
        let (room, peer) = (writable(d.sent), d.peer.as_ref().map(|peer| peer.0));
        let full = peer.and_then(|peer| self.unix.datagrams.get_mut(peer));
        match full.filter(|p| !p.hears_only(key) && p.is_full()) {
            Some(p) if asks_for_room => wait_for_room(&mut p.waiting, key),
            Some(_) => {}
            None if room => ready |= Ready::WRITABLE,
            None => {}
        }
        Some(ready)
    }

    pub fn unix_datagram_addr(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.datagram(key).map(|d| d.local.clone())
    }

    /// getpeername(2).
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn unix_datagram_peer(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.datagram(key)?.peer.as_ref().map(|peer| peer.1.clone()).ok_or_else(errno::not_connected)
    }

    pub fn unix_datagram_error(&mut self, key: Key) -> io::Result<Option<io::Error>> {
        self.datagram(key).map(Datagram::take_error)
    }
}

fn wait_for_room(waiting: &mut Vec<Key>, key: Key) {
    if !waiting.contains(&key) {
        waiting.push(key);
    }
}
