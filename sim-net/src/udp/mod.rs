//! UDP: udp(7), RFC 768. Datagrams arrive whole, in any order, or not at all.
//!
//! Here are sockets, and datagrams to one address; `cast` has those to several machines.

mod cast;

pub(crate) use cast::Groups;

use crate::errno;
use crate::link::{Delivery, Fate, Held, damage};
use crate::network::{Net, tag};
use crate::ports::Holder;
use crate::readiness::{Ready, Source, Waiters};
use crate::route;
use crate::tcp::Payload;
use sim_core::NodeId;
use sim_core::decision::{Kind, Name};
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
/// The largest packet within a machine: the MTU of `lo`, bytes.
const LOOPBACK_MTU: usize = 65_536;

/// A datagram socket.
pub(crate) struct Socket {
    pub node: NodeId,
    pub local: SocketAddr,
    pub peer: Option<SocketAddr>,
    pub readers: Waiters,
    pub watched: bool,
    pub options: Options,
    queue: VecDeque<(SocketAddr, Payload)>,
    queued: usize,
    /// The way that the last datagram went.
    route: Option<Route>,
    /// An ICMP port unreachable came back: told once.
    refused: bool,
}

/// Where datagrams of a socket go that are for one address. It is remembered, since most go where the last one went, and
/// holds until an address changes, or the socket is connected.
#[derive(Clone, Copy)]
struct Route {
    target: SocketAddr,
    /// [`Kernel::addressing`] when it was found.
    addressing: u64,
    machine: NodeId,
    /// The addresses on the datagram.
    from: SocketAddr,
    to: SocketAddr,
}

/// Where a datagram goes.
enum Way {
    To(Route),
    /// To everybody whom a broadcast reaches, or to a group.
    ToMany,
    /// No machine has the address.
    Nowhere,
}

/// What setsockopt(2) sets: socket(7), ip(7), ipv6(7).
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// IP_TTL.
    pub ttl: u32,
    /// SO_BROADCAST.
    pub broadcast: bool,
    /// IP_MTU_DISCOVER is IP_PMTUDISC_DO instead of IP_PMTUDISC_WANT.
    pub dont_fragment: bool,
    /// IP_MULTICAST_TTL.
    pub multicast_ttl: u32,
    /// IP_MULTICAST_LOOP.
    pub loop_v4: bool,
    /// IPV6_MULTICAST_LOOP.
    pub loop_v6: bool,
    /// The groups that it is in: IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP.
    groups: Vec<cast::Membership>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            ttl: 64,
            broadcast: false,
            dont_fragment: false,
            multicast_ttl: 1,
            loop_v4: true,
            loop_v6: true,
            groups: Vec::new(),
        }
    }
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
#[derive(Clone)]
pub(crate) struct Datagram {
    node: NodeId,
    from: SocketAddr,
    to: SocketAddr,
    /// Whom an ICMP port unreachable would reach: the sender, if it is connected.
    sender: Option<Key>,
    data: Payload,
}

impl Net {
    /// How many datagram sockets a node has, and how many bytes wait in them.
    pub fn udp_held(&self, node: NodeId) -> (u64, u64) {
        let of_node = self.udp.iter().filter(|(_, socket)| socket.node == node);
        of_node.fold((0, 0), |(n, bytes), (_, socket)| (n + 1, bytes + socket.queued as u64))
    }

    /// socket(2) and bind(2); with `reuse`, SO_REUSEADDR between them: all who share an address must have asked for it,
    /// and the last one gets what comes for it alone.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL`, `EADDRINUSE`.
    pub fn bind_udp(&mut self, k: &mut Kernel, local: SocketAddr, reuse: bool) -> io::Result<Key> {
        let node = Net::actor(k)?;
        self.may_open(k, node)?;
        if !cast::is_cast(local.ip()) {
            route::check_own(k, node, local.ip())?;
        }
        let key = self.udp.insert(Socket {
            node,
            local,
            peer: None,
            readers: Waiters::default(),
            watched: false,
            options: Options::default(),
            queue: VecDeque::new(),
            queued: 0,
            route: None,
            refused: false,
        });
        let holder = Holder { ip: local.ip(), only_v6: false, reuse, listening: !reuse, key };
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
    /// `EHOSTUNREACH`, `ENETUNREACH`, `EACCES` for a broadcast address without SO_BROADCAST.
    pub fn connect_udp(&mut self, k: &Kernel, key: Key, to: SocketAddr) -> io::Result<()> {
        let socket = self.udp.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        let (ip, source) = if cast::is_cast(to.ip()) {
            (to.ip().to_canonical(), cast::source(k, socket, to.ip())?)
        } else {
            let (_, ip, source) = route::route(k, socket.node, to.ip())?;
            (ip, source)
        };
        if socket.local.ip().is_unspecified() {
            let port = socket.local.port();
            socket.local = (source, port).into();
        }
        socket.peer = Some((ip, to.port()).into());
        socket.route = None;
        Ok(())
    }

    /// sendto(2), or send(2) without `to`. Never waits: what the network cannot take is lost.
    ///
    /// # Errors
    /// `EMSGSIZE`, `EDESTADDRREQ` without a destination, `EINVAL` for port 0, `ENETUNREACH`, `EACCES` for a broadcast address without
    /// SO_BROADCAST, and once `ECONNREFUSED` when the peer of a connected socket said that nobody is there.
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
        let (node, asks_its_peer) = (socket.node, socket.peer == Some(to));
        let route = match socket.route {
            Some(route)
                if route.target == to
                    && route.addressing == k.addressing()
                    && data.len() <= MOST_V4
                    && !socket.options.dont_fragment =>
            {
                route
            }
            _ => match self.find_route(k, key, data, to)? {
                Way::To(route) => route,
                Way::ToMany => return self.send_cast(k, key, data, to),
                Way::Nowhere => return Ok(data.len()),
            },
        };
        let datagram = Datagram {
            node: route.machine,
            from: route.from,
            to: route.to,
            // Only what its peer says of the socket's own datagrams reaches it: the lookup is by both addresses.
            sender: asks_its_peer.then_some(key),
            data: Payload::copy(data),
        };
        self.send_datagram(k, node, datagram);
        Ok(data.len())
    }

    /// Checks a datagram that does not go where the last one of its socket went, and finds its way.
    #[inline(never)]
    fn find_route(&mut self, k: &Kernel, key: Key, data: &[u8], to: SocketAddr) -> io::Result<Way> {
        let socket = self.udp.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        let v6 = to.ip().to_canonical().is_ipv6();
        if data.len() > if v6 { MOST_V6 } else { MOST_V4 } {
            return Err(errno::message_too_large());
        }
        if to.port() == 0 {
            return Err(errno::invalid_argument());
        }
        if socket.local.is_ipv4() && to.is_ipv6() {
            return Err(errno::family_not_supported());
        }
        if cast::is_cast(to.ip()) {
            return Ok(Way::ToMany);
        }
        let (node, mut from) = (socket.node, socket.local);
        let (machine, ip, source) = match route::route(k, node, to.ip()) {
            Ok(route) => route,
            // Nobody answers for this address, and nobody says so.
            Err(e) if e.raw_os_error() == Some(libc::EHOSTUNREACH) => return Ok(Way::Nowhere),
            Err(e) => return Err(e),
        };
        if socket.options.dont_fragment {
            let mtu =
                if machine == node { LOOPBACK_MTU } else { self.topology.path(node, machine).mtu as usize };
            check_whole(data.len(), v6, mtu)?;
        }
        if from.ip().is_unspecified() || cast::is_cast(from.ip()) {
            from.set_ip(source);
        }
        let addressing = k.addressing();
        let route = Route { target: to, addressing, machine, from, to: (ip, to.port()).into() };
        socket.route = Some(route);
        Ok(Way::To(route))
    }

    /// Puts a datagram on its way.
    #[inline]
    fn send_datagram(&mut self, k: &mut Kernel, from: NodeId, datagram: Datagram) {
        let to = datagram.node;
        k.stats().bytes += datagram.data.len() as u64;
        let key = self.datagrams.insert(datagram);
        self.dispatch(k, (from, to), key);
    }

    /// Has a datagram meet the link; the same again when a clog that held it is released.
    #[inline]
    pub fn dispatch(&mut self, k: &mut Kernel, (from, to): (NodeId, NodeId), key: Key) {
        let Some(datagram) = self.datagrams.get(key) else { return };
        let (bytes, v6) = (datagram.data.len(), datagram.to.is_ipv6());
        let name = match self.topology.try_carry(k, Kind::Packet, from, to, bytes) {
            Ok((at, name)) => {
                self.post(k, at, name, tag::DATAGRAM, key);
                return;
            }
            Err(name) => name,
        };
        match self.topology.carry_roughly(k, name, (from, to), bytes, v6) {
            Delivery { fate: Fate::Arrives { at, name }, copy: None, damage: 0 } => {
                self.post(k, at, name, tag::DATAGRAM, key);
            }
            Delivery { fate: Fate::Arrives { at, name }, copy, damage } => {
                self.post(k, at, name, tag::DATAGRAM, key);
                self.mishandle(k, key, copy, damage);
            }
            Delivery { fate: Fate::Lost { .. }, .. } => drop(self.datagrams.remove(key)),
            Delivery { fate: Fate::Held { .. }, .. } => {
                let held = Held { tag: tag::DATAGRAM, key, kind: Kind::Packet, bytes: Some(bytes) };
                if !self.hold(from, to, held) {
                    k.stats().lost += 1;
                    self.datagrams.remove(key);
                }
            }
        }
    }

    /// Damages a datagram that is under way, and has a copy follow it.
    #[cold]
    fn mishandle(&mut self, k: &mut Kernel, key: Key, copy: Option<(u64, Name)>, value: u64) {
        let Some(datagram) = self.datagrams.get_mut(key) else { return };
        if value != 0 {
            let mut data = datagram.data.as_slice().to_vec();
            damage(&mut data, value);
            datagram.data = Payload::copy(&data);
        }
        if let Some((at, name)) = copy {
            let twin = datagram.clone();
            let twin = self.datagrams.insert(twin);
            self.post(k, at, name, tag::DATAGRAM, twin);
        }
    }

    /// A datagram is there.
    #[inline]
    pub fn datagram_arrived(&mut self, k: &mut Kernel, key: Key) {
        let Some(d) = self.datagrams.remove(key) else { return };
        if !k.reachable(d.node) {
            return;
        }
        if cast::is_cast(d.to.ip()) {
            return self.cast_arrived(k, d);
        }
        let found = self.udp_ports.find(d.node, d.to.ip(), d.to.port(), false);
        let Some((socket, s)) = found.and_then(|s| Some((s, self.udp.get(s)?))) else {
            return self.port_unreachable(k, &d);
        };
        if s.peer.is_some_and(|peer| peer != d.from) {
            return self.port_unreachable(k, &d);
        }
        self.enqueue(k, socket, d.from, d.data);
    }

    /// Puts a datagram into the queue of a socket, if there is room.
    #[inline]
    fn enqueue(&mut self, k: &mut Kernel, key: Key, from: SocketAddr, data: Payload) {
        let Some(s) = self.udp.get_mut(key) else { return };
        if s.queued + data.len() + OVERHEAD > QUEUE {
            self.traffic.datagrams_dropped += 1;
            return;
        }
        s.queued += data.len() + OVERHEAD;
        s.queue.push_back((route::as_seen_from(s.local.is_ipv6(), from), data));
        s.readers.wake(k, &mut self.out.wake);
        let watched = s.watched;
        self.traffic.datagrams += 1;
        if watched {
            self.tell_watchers(k, Source::Udp(key));
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
        self.recv_with(key, peek, |data| {
            let n = data.len().min(buf.len());
            buf[..n].copy_from_slice(&data[..n]);
            n
        })
    }

    /// The same with a function that takes the datagram and says how much of it there was room for.
    #[inline]
    pub fn recv_with(
        &mut self,
        key: Key,
        peek: bool,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let Some(s) = self.udp.get_mut(key) else { return Poll::Ready(Err(errno::bad_descriptor())) };
        if let Some(error) = s.take_error() {
            return Poll::Ready(Err(error));
        }
        let Some((from, data)) = s.queue.front() else { return Poll::Pending };
        let (n, from) = (take(data.as_slice()), *from);
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
        for membership in s.options.groups.drain(..) {
            self.groups.leave(s.node, membership);
        }
    }
}

/// Whether a datagram that must not be cut fits into a packet.
///
/// # Errors
/// `EMSGSIZE`.
fn check_whole(bytes: usize, v6: bool, mtu: usize) -> io::Result<()> {
    let headers = 8 + if v6 { 40 } else { 20 };
    if bytes + headers > mtu { Err(errno::message_too_large()) } else { Ok(()) }
}
