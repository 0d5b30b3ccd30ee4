//! UDP: udp(7), RFC 768. Datagrams arrive whole, in any order, or not at all.

use crate::errno;
use crate::network::{Net, Sent, tag};
use crate::ports::Holder;
use crate::readiness::{Ready, Source, Waiters};
use crate::route;
use crate::tcp::Payload;
use sim_core::NodeId;
use sim_core::decision::Kind;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

/// The most payload of a datagram: 65,535 less the headers of IPv4 and UDP; IPv6 does not count its own, bytes.
const MOST_V4: usize = 65_507;
const MOST_V6: usize = 65_527;
/// net.core.rmem_default, bytes.
const QUEUE: usize = 212_992;
/// What Linux counts for a datagram besides its payload (`skb->truesize`), so that empty ones are bounded too.
const OVERHEAD: usize = 704;

/// A datagram socket.
pub(crate) struct Socket {
    pub node: NodeId,
    pub local: SocketAddr,
    pub peer: Option<SocketAddr>,
    pub readers: Waiters,
    pub watched: bool,
    pub ttl: u32,
    queue: VecDeque<(SocketAddr, Payload)>,
    queued: usize,
    /// An ICMP port unreachable came back: told once.
    refused: bool,
}

impl Socket {
    pub fn readiness(&self) -> Ready {
        let mut ready = Ready::WRITABLE;
        if !self.queue.is_empty() || self.refused {
            ready |= Ready::READABLE;
        }
        if self.refused {
            ready |= Ready::ERROR;
        }
        ready
    }

    pub fn take_error(&mut self) -> Option<io::Error> {
        std::mem::take(&mut self.refused).then(errno::connection_refused)
    }
}

/// A datagram under way.
pub(crate) struct Datagram {
    node: NodeId,
    from: SocketAddr,
    to: SocketAddr,
    /// Whom an ICMP port unreachable would reach: the sender, if it is connected.
    sender: Option<Key>,
    data: Payload,
}

impl Net {
    /// socket(2) and bind(2).
    ///
    /// # Errors
    /// `EADDRNOTAVAIL`, `EADDRINUSE`.
    pub fn bind_udp(&mut self, k: &Kernel, local: SocketAddr) -> io::Result<Key> {
        let node = Net::actor(k)?;
        route::check_own(k, node, local.ip())?;
        let key = self.udp.insert(Socket {
            node,
            local,
            peer: None,
            readers: Waiters::default(),
            watched: false,
            ttl: 64,
            queue: VecDeque::new(),
            queued: 0,
            refused: false,
        });
        let holder = Holder { ip: local.ip(), only_v6: false, reuse: false, listening: true, key };
        match self.udp_ports.bind(node, local.port(), k.now(), holder) {
            Ok(port) => {
                if let Some(socket) = self.udp.get_mut(key) {
                    socket.local.set_port(port);
                }
                Ok(key)
            }
            Err(e) => {
                self.udp.remove(key);
                Err(e)
            }
        }
    }

    /// connect(2): fixes the peer, and with it the source address; datagrams from others are ignored from now on.
    ///
    /// # Errors
    /// `EHOSTUNREACH`, `ENETUNREACH`.
    pub fn connect_udp(&mut self, k: &Kernel, key: Key, to: SocketAddr) -> io::Result<()> {
        let socket = self.udp.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        let (_, ip, source) = route::route(k, socket.node, to.ip())?;
        if socket.local.ip().is_unspecified() {
            let port = socket.local.port();
            socket.local = (source, port).into();
        }
        socket.peer = Some((ip, to.port()).into());
        Ok(())
    }

    /// sendto(2), or send(2) without `to`. Never waits: what the network cannot take is lost.
    ///
    /// # Errors
    /// `EMSGSIZE`, `EDESTADDRREQ` without a destination, `ENETUNREACH`, and once `ECONNREFUSED` when the peer of a
    /// connected socket said that nobody is there.
    #[inline]
    pub fn send_to(
        &mut self,
        k: &mut Kernel,
        key: Key,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> io::Result<usize> {
        Net::actor(k)?;
        let socket = self.udp.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        if let Some(error) = socket.take_error() {
            return Err(error);
        }
        let to = to.or(socket.peer).ok_or_else(errno::destination_required)?;
        if data.len() > if to.is_ipv4() { MOST_V4 } else { MOST_V6 } {
            return Err(errno::message_too_large());
        }
        if socket.local.is_ipv4() && to.is_ipv6() {
            return Err(errno::family_not_supported());
        }
        let (node, mut from, connected) = (socket.node, socket.local, socket.peer.is_some());
        let (peer, ip, source) = match route::route(k, node, to.ip()) {
            Ok(route) => route,
            // Nobody answers for this address, and nobody says so.
            Err(e) if e.raw_os_error() == Some(libc::EHOSTUNREACH) => return Ok(data.len()),
            Err(e) => return Err(e),
        };
        if from.ip().is_unspecified() {
            from.set_ip(source);
        }
        let datagram = Datagram {
            node: peer,
            from,
            to: (ip, to.port()).into(),
            sender: connected.then_some(key),
            data: Payload::copy(data),
        };
        let datagram = self.datagrams.insert(datagram);
        let bytes = data.len();
        k.stats().bytes += bytes as u64;
        if let Sent::Lost(_) =
            self.send_packet(k, Kind::Packet, (node, peer), bytes, (tag::DATAGRAM, datagram))
        {
            self.datagrams.remove(datagram);
        }
        Ok(bytes)
    }

    /// A datagram is there.
    #[inline]
    pub fn datagram_arrived(&mut self, k: &mut Kernel, key: Key) {
        let Some(d) = self.datagrams.remove(key) else { return };
        if !k.reachable(d.node) {
            return;
        }
        let found = self.udp_ports.find(d.node, d.to.ip(), d.to.port(), false);
        let Some((socket, s)) = found.and_then(|s| Some((s, self.udp.get_mut(s)?))) else {
            return self.port_unreachable(k, &d);
        };
        if s.peer.is_some_and(|peer| peer != d.from) {
            return self.port_unreachable(k, &d);
        }
        if s.queued + d.data.len() + OVERHEAD > QUEUE {
            self.traffic.datagrams_dropped += 1;
            return;
        }
        s.queued += d.data.len() + OVERHEAD;
        s.queue.push_back((route::as_seen_from(s.local.is_ipv6(), d.from), d.data));
        s.readers.wake(k, &mut self.out.wake);
        let watched = s.watched;
        self.traffic.datagrams += 1;
        if watched {
            self.tell_watchers(k, Source::Udp(socket));
        }
    }

    /// Only connected sockets learn of it, so only they cost a packet.
    #[cold]
    fn port_unreachable(&mut self, k: &mut Kernel, d: &Datagram) {
        if let Some(sender) = d.sender
            && let Some(node) = self.udp.get(sender).map(|s| s.node)
        {
            self.send_packet(k, Kind::Packet, (d.node, node), 0, (tag::UNREACHABLE, sender));
        }
    }

    /// An ICMP port unreachable is there.
    pub fn unreachable_arrived(&mut self, k: &mut Kernel, key: Key) {
        let Some(s) = self.udp.get_mut(key) else { return };
        s.refused = true;
        s.readers.wake(k, &mut self.out.wake);
        if s.watched {
            self.tell_watchers(k, Source::Udp(key));
        }
    }

    /// recvfrom(2): the first datagram, cut to `buf`. With `peek`, it stays.
    #[inline]
    pub fn recv_from(
        &mut self,
        key: Key,
        buf: &mut [u8],
        peek: bool,
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let Some(s) = self.udp.get_mut(key) else { return Poll::Ready(Err(errno::bad_descriptor())) };
        if let Some(error) = s.take_error() {
            return Poll::Ready(Err(error));
        }
        let Some((from, data)) = s.queue.front() else { return Poll::Pending };
        let (n, from) = (data.len().min(buf.len()), *from);
        buf[..n].copy_from_slice(&data.as_slice()[..n]);
        if !peek {
            s.queued -= data.len() + OVERHEAD;
            s.queue.pop_front();
        }
        Poll::Ready(Ok((n, from)))
    }

    /// close(2).
    pub fn close_udp(&mut self, key: Key) {
        let Some(mut s) = self.udp.remove(key) else { return };
        self.ended += 1;
        s.readers.take(&mut self.out.dropped);
        if s.watched {
            self.sets.source_gone(Source::Udp(key));
        }
        self.udp_ports.release(s.node, s.local.port(), key);
    }
}
