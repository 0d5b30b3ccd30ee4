//! listen, connect, accept: the three packets of a handshake, and what happens when one is lost.

use super::options::Options;
use super::retransmit::FROZEN;
use super::stream::{Fault, Handshake, Phase, Stream};
use crate::errno;
use crate::network::{Net, Sent, tag};
use crate::readiness::{Ready, Source, Waiters};
use crate::route;
use sim_core::decision::{Kind, Name};
use sim_core::hash::h;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use sim_core::{Event, NodeId};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

const SECOND: u64 = 1_000_000_000;
/// net.ipv4.tcp_syn_retries: SYNs leave at 0, 1, 3, 7, 15, 31 and 63 s, and the attempt ends at 127 s.
const SYN_RETRIES: u32 = 6;
/// net.ipv4.tcp_synack_retries.
const SYN_ACK_RETRIES: u32 = 5;
/// Bytes of a packet without payload.
const EMPTY: usize = 0;

/// A socket that listens.
pub(crate) struct Listener {
    pub node: NodeId,
    pub local: SocketAddr,
    pub options: Options,
    /// Connections ready to be accepted.
    pub queue: VecDeque<Key>,
    /// Handshakes under way.
    pub half_open: usize,
    /// How many of both are allowed.
    pub backlog: usize,
    pub acceptors: Waiters,
    pub watched: bool,
}

impl Listener {
    pub fn readiness(&self) -> Ready {
        if self.queue.is_empty() { Ready::EMPTY } else { Ready::READABLE }
    }
}

impl Net {
    /// listen(2): turns a socket into a listener.
    ///
    /// # Errors
    /// `EADDRINUSE` when another socket listens there.
    pub fn listen(&mut self, k: &Kernel, socket: Key, backlog: u32) -> io::Result<Key> {
        Net::actor(k)?;
        let local = self.bind_if_needed(k, socket)?;
        let (node, options) = {
            let bound = self.bound(socket)?;
            (bound.node, bound.options)
        };
        // The queue holds one more than the backlog: sk_acceptq_is_full() of Linux. somaxconn bounds it.
        let backlog = backlog.min(4096) as usize + 1;
        let key = self.listeners.insert(Listener {
            node,
            local,
            options,
            queue: VecDeque::new(),
            half_open: 0,
            backlog,
            acceptors: Waiters::default(),
            watched: false,
        });
        if let Err(e) = self.tcp_ports.listen(node, local.port(), socket, key) {
            self.listeners.remove(key);
            return Err(e);
        }
        self.bound.remove(socket);
        Ok(key)
    }

    /// connect(2) of a bound or fresh socket: gives the stream, whose handshake is under way. Without a `socket`, the
    /// stream has an ephemeral port and default options.
    ///
    /// # Errors
    /// `EHOSTUNREACH`, `ENETUNREACH`, `EADDRNOTAVAIL` when no port is left, `EAFNOSUPPORT`.
    pub fn connect(&mut self, k: &mut Kernel, socket: Option<Key>, remote: SocketAddr) -> io::Result<Key> {
        let node = Net::actor(k)?;
        let bound = match socket {
            Some(key) => Some(self.bound(key)?),
            None => {
                self.may_open(k, node)?;
                None
            }
        };
        if remote.port() == 0 {
            return Err(errno::connection_refused());
        }
        if bound.as_ref().is_some_and(|b| !b.v6 && remote.is_ipv6()) {
            return Err(errno::family_not_supported());
        }
        let (to, remote_ip, source) = route::route(k, node, remote.ip())?;
        let local = bound.as_ref().and_then(|b| b.local);
        let options = bound.map_or_else(Options::default, |b| b.options);
        let local: SocketAddr = match local {
            Some(local) if local.ip().is_unspecified() => (source, local.port()).into(),
            Some(local) => local,
            None => {
                let port = self.tcp_ports.ephemeral(node, k.now());
                (source, port.ok_or_else(errno::address_not_available)?).into()
            }
        };
        let remote: SocketAddr = (remote_ip, remote.port()).into();
        let key = self.new_stream(Stream::new(node, to, local, remote, options));
        if let Some(socket) = socket {
            self.close_bound(socket);
        }
        self.traffic.connects += 1;
        k.record(|| Event::new("tcp.connect", format!("{local} to {remote}")));
        self.send_syn(k, key);
        Ok(key)
    }

    /// Logs what happened to a stream.
    pub fn record_stream(&self, k: &mut Kernel, what: &'static str, key: Key) {
        if let Some(st) = self.streams.get(key) {
            k.record_of(st.node, || Event::new(what, format!("{} with {}", st.cold.local, st.cold.remote)));
        }
    }

    fn new_stream(&mut self, mut stream: Stream) -> Key {
        self.tcp_ports.connected(stream.node, stream.cold.local.port(), stream.cold.options.reuse_address);
        stream.cold.holds_port = true;
        self.streams.insert(stream)
    }

    fn send_syn(&mut self, k: &mut Kernel, key: Key) {
        let Some(client) = self.streams.get_mut(key) else { return };
        client.cold.handshake.sent = k.now();
        let (from, to) = (client.node, client.peer_node);
        let Handshake { held, tracked, .. } = client.cold.handshake;
        if held && self.topology.path(from, to).held {
            // One of them waits already; the others would be duplicates.
            let name = k.name(Kind::Packet, u64::from(to.0));
            return self.syn_failed(k, key, name);
        }
        if !tracked && !self.may_track(k, from) {
            let name = k.name(Kind::Packet, u64::from(to.0));
            return self.syn_failed(k, key, name);
        }
        if let Some(client) = self.streams.get_mut(key) {
            client.cold.handshake.tracked = true;
        }
        match self.send_packet(k, Kind::Packet, (from, to), EMPTY, (tag::SYN, key)) {
            Sent::Posted(_) => {}
            Sent::Lost(name) => self.syn_failed(k, key, name),
            Sent::Held(name) => {
                if let Some(client) = self.streams.get_mut(key) {
                    client.cold.handshake.held = true;
                }
                self.syn_failed(k, key, name);
            }
        }
    }

    /// The attempt under way cannot succeed: plans the next. Attempts that succeed need no timer.
    pub fn syn_failed(&mut self, k: &mut Kernel, key: Key, name: Name) {
        let Some(client) = self.streams.get(key) else { return };
        if client.phase != Phase::Connecting || client.cold.timer.is_some() {
            return;
        }
        let handshake = client.cold.handshake;
        let at = (handshake.sent + (SECOND << handshake.retries)).max(k.now());
        let timer = self.post(k, at, h(name, 9), tag::SYN_RETRY, key);
        if let Some(client) = self.streams.get_mut(key) {
            client.cold.timer = Some(timer);
        }
    }

    /// The timer of a SYN.
    pub fn syn_retry(&mut self, k: &mut Kernel, key: Key) {
        let Some(client) = self.streams.get_mut(key) else { return };
        client.cold.timer = None;
        if client.phase != Phase::Connecting {
            return;
        }
        if !k.reachable(client.node) {
            return self.retry_when_unfrozen(k, key, tag::SYN_RETRY, 9);
        }
        if client.cold.handshake.retries == SYN_RETRIES {
            return self.fail(k, key, Fault::TimedOut);
        }
        client.cold.handshake.retries += 1;
        self.traffic.retransmissions += 1;
        self.send_syn(k, key);
    }

    /// A machine that stands still sends nothing: its timer looks again.
    fn retry_when_unfrozen(&mut self, k: &mut Kernel, key: Key, tag: u8, salt: u64) {
        let name = h(k.cause(), salt);
        let timer = self.post(k, k.now() + FROZEN, name, tag, key);
        if let Some(st) = self.streams.get_mut(key) {
            st.cold.timer = Some(timer);
        }
    }

    /// A SYN is there: a new end for the listener, a refusal, or silence when the machine cannot hear it or its queue
    /// is full.
    pub fn syn_arrived(&mut self, k: &mut Kernel, client: Key) {
        let Some(c) = self.streams.get_mut(client) else { return };
        c.cold.handshake.held = false;
        if c.phase != Phase::Connecting {
            return;
        }
        let (from, to) = (c.node, c.peer_node);
        let (c_local, c_remote, server, limit) = (c.cold.local, c.cold.remote, c.peer, c.cold.options);
        if !k.reachable(to) {
            let name = k.cause();
            return self.syn_failed(k, client, name);
        }
        if self.streams.get(server).is_some() {
            // Our SYN-ACK was lost, or is late.
            return self.send_syn_ack(k, server);
        }
        let Some(listener) = self.tcp_ports.find(to, c_remote.ip(), c_remote.port(), true) else {
            if let Sent::Lost(name) | Sent::Held(name) =
                self.send_packet(k, Kind::Packet, (to, from), EMPTY, (tag::RESET, client))
            {
                self.syn_failed(k, client, name);
            }
            return;
        };
        let Some(l) = self.listeners.get(listener) else { return };
        if l.queue.len() + l.half_open >= l.backlog || !self.may_track(k, to) {
            let name = k.cause();
            return self.syn_failed(k, client, name);
        }
        let v6 = l.local.is_ipv6();
        let local = route::as_seen_from(v6, c_remote);
        let mut stream = Stream::new(to, from, local, route::as_seen_from(v6, c_local), l.options);
        stream.phase = Phase::Accepting;
        stream.peer = client;
        stream.limit = stream.cold.options.send_buffer + limit.receive_buffer;
        stream.cold.listener = listener;
        let client_limit = limit.send_buffer + stream.cold.options.receive_buffer;
        stream.ack_after = client_limit / 4;
        let server_limit = stream.limit;
        let server = self.new_stream(stream);
        if let Some(l) = self.listeners.get_mut(listener) {
            l.half_open += 1;
        }
        if let Some(c) = self.streams.get_mut(client) {
            c.peer = server;
            c.limit = client_limit;
            c.ack_after = server_limit / 4;
        }
        self.send_syn_ack(k, server);
    }

    fn send_syn_ack(&mut self, k: &mut Kernel, server: Key) {
        let Some(s) = self.streams.get_mut(server) else { return };
        let (link, client) = ((s.node, s.peer_node), s.peer);
        if let Sent::Lost(name) | Sent::Held(name) =
            self.send_packet(k, Kind::Packet, link, EMPTY, (tag::SYN_ACK, server))
        {
            self.syn_failed(k, client, name);
            self.syn_ack_failed(k, server, name);
        }
    }

    /// A SYN-ACK is there: the client is connected and says so.
    pub fn syn_ack_arrived(&mut self, k: &mut Kernel, server: Key) {
        let Some(s) = self.streams.get(server) else { return };
        let (link, client) = ((s.peer_node, s.node), s.peer);
        if !k.reachable(link.0) {
            let name = k.cause();
            self.syn_failed(k, client, name);
            return self.syn_ack_failed(k, server, name);
        }
        let Some(c) = self.streams.get_mut(client).filter(|c| c.phase != Phase::Dead) else {
            // Its process gave up: RFC 9293, 3.10.7.1.
            self.send_packet(k, Kind::Packet, link, EMPTY, (tag::RESET, server));
            return;
        };
        let first = c.phase == Phase::Connecting;
        if first {
            c.phase = Phase::Open;
            if let Some(timer) = c.cold.timer.take() {
                self.out.dropped.extend(k.cancel(timer));
            }
        }
        match self.send_packet(k, Kind::Packet, link, EMPTY, (tag::ESTABLISHED, server)) {
            // What the client writes comes behind it.
            Sent::Posted(at) if first => {
                if let Some(c) = self.streams.get_mut(client) {
                    c.last_arrival = at;
                }
            }
            Sent::Posted(_) => {}
            Sent::Lost(name) | Sent::Held(name) => self.syn_ack_failed(k, server, name),
        }
        if first {
            self.start_keepalive(k, client);
            self.writable(k, client);
        }
    }

    fn syn_ack_failed(&mut self, k: &mut Kernel, server: Key, name: Name) {
        let Some(s) = self.streams.get(server) else { return };
        if s.phase != Phase::Accepting || s.cold.timer.is_some() {
            return;
        }
        let at = k.now() + (SECOND << s.cold.handshake.retries);
        let timer = self.post(k, at, h(name, 10), tag::SYN_ACK_RETRY, server);
        if let Some(s) = self.streams.get_mut(server) {
            s.cold.timer = Some(timer);
        }
    }

    /// The timer of a SYN-ACK.
    pub fn syn_ack_retry(&mut self, k: &mut Kernel, server: Key) {
        let Some(s) = self.streams.get_mut(server) else { return };
        s.cold.timer = None;
        if s.phase != Phase::Accepting {
            return;
        }
        if !k.reachable(s.node) {
            return self.retry_when_unfrozen(k, server, tag::SYN_ACK_RETRY, 10);
        }
        if s.cold.handshake.retries == SYN_ACK_RETRIES {
            return self.vanish(k, server);
        }
        s.cold.handshake.retries += 1;
        self.traffic.retransmissions += 1;
        self.send_syn_ack(k, server);
    }

    /// The handshake is complete on the server's side too.
    pub fn established(&mut self, k: &mut Kernel, server: Key) {
        let Some(s) = self.streams.get_mut(server) else { return };
        if s.phase != Phase::Accepting {
            // One that was sent again came first; data may ride on this one.
            return self.readable(k, server);
        }
        s.phase = Phase::Open;
        let listener = s.cold.listener;
        if let Some(timer) = s.cold.timer.take() {
            self.out.dropped.extend(k.cancel(timer));
        }
        self.start_keepalive(k, server);
        self.traffic.accepted += 1;
        self.record_stream(k, "tcp.established", server);
        let Some(l) = self.listeners.get_mut(listener) else { return };
        l.half_open -= 1;
        l.queue.push_back(server);
        l.acceptors.wake(k, &mut self.out.wake);
        if l.watched {
            self.tell_watchers(k, Source::Listener(listener));
        }
    }

    /// accept(2).
    #[inline]
    pub fn accept(&mut self, k: &mut Kernel, listener: Key) -> Poll<io::Result<(Key, SocketAddr)>> {
        let Some(l) = self.listeners.get(listener) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        if !l.queue.is_empty() {
            let node = l.node;
            self.may_open(k, node)?;
        }
        let Some(l) = self.listeners.get_mut(listener) else { return Poll::Pending };
        while let Some(key) = l.queue.pop_front() {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.cold.listener = Key::NONE;
                return Poll::Ready(Ok((key, stream.cold.remote)));
            }
        }
        Poll::Pending
    }

    /// What connect(2) came to: `Pending` while the handshake is under way.
    #[inline]
    pub fn connected(&mut self, key: Key) -> Poll<io::Result<()>> {
        let Some(stream) = self.streams.get_mut(key) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        match (stream.phase, stream.take_fault()) {
            (_, Some(fault)) => Poll::Ready(Err(fault)),
            (Phase::Connecting | Phase::Accepting, None) => Poll::Pending,
            (Phase::Open, None) => Poll::Ready(Ok(())),
            (Phase::Dead, None) => Poll::Ready(Err(errno::not_connected())),
        }
    }
}
