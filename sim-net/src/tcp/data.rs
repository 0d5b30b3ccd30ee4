//! write and read: segments to the peer's queue, credits back.

use super::buffer::{Payload, Segment};
use super::stream::{Phase, Stall};
use crate::errno;
use crate::link::Fate;
use crate::network::{Net, tag};
use crate::readiness::Source;
use sim_core::decision::{Kind, Name};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::task::Poll;

/// What happened to a segment that was to leave.
pub(super) enum Launched {
    Sent,
    /// It did not get through; the sender keeps it.
    Failed(Name),
    Held(Name),
}

impl Net {
    /// send(2): takes as much as there is room for, at least a byte unless `data` is empty. `Pending` when there is no
    /// room.
    ///
    /// # Errors
    /// The stream's pending error once, `EPIPE` after that, after a shutdown and after the end of the connection.
    #[inline]
    pub fn write(&mut self, k: &mut Kernel, key: Key, data: &[u8]) -> Poll<io::Result<usize>> {
        let Some(st) = self.streams.get_mut(key).filter(|st| !st.orphan) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        if st.phase != Phase::Open || st.write_shut {
            return match (st.phase, st.take_fault()) {
                (_, Some(fault)) => Poll::Ready(Err(fault)),
                (Phase::Connecting | Phase::Accepting, None) => Poll::Pending,
                (Phase::Open | Phase::Dead, None) => Poll::Ready(Err(errno::broken_pipe())),
            };
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if k.actor().is_none() {
            return Poll::Ready(Err(errno::network_down()));
        }
        let now = k.now();
        let room = st.room(now);
        if room == 0 {
            self.await_room(k, key);
            return Poll::Pending;
        }
        st.wants_room = false;
        let n = data.len().min(room);
        st.outstanding += n;
        let data = &data[..n];
        if st.stalled {
            if let Some(stall) = &mut st.cold.stall {
                stall.queue.push_back(Payload::copy(data));
            }
            return Poll::Ready(Ok(n));
        }
        let (node, to, peer) = (st.node, st.peer_node, st.peer);
        let fate = self.topology.carry(k, Kind::Packet, node, to, n);
        if let Fate::Arrives { at, name } = fate
            && k.reachable(to)
            && !self.topology.blocked(to, node)
        {
            // The rule: it gets through to a peer that is there.
            let visible = at.max(st.last_arrival);
            let alone = visible > st.last_arrival || visible <= now;
            if let Some(p) = self.streams.get_mut(peer).filter(|p| p.takes()) {
                p.queue.push_copy(visible, data);
                if alone {
                    self.post(k, visible, name, tag::VISIBLE, peer);
                }
                k.stats().bytes += n as u64;
                if let Some(st) = self.streams.get_mut(key) {
                    st.last_arrival = visible;
                }
                return Poll::Ready(Ok(n));
            }
        }
        self.send_hindered(k, key, fate, Payload::copy(data));
        Poll::Ready(Ok(n))
    }

    /// Sends a segment that something stands in the way of.
    #[cold]
    fn send_hindered(&mut self, k: &mut Kernel, key: Key, fate: Fate, data: Payload) {
        let mut data = Some(data);
        match self.launched(k, key, fate, &mut data) {
            Launched::Sent => {}
            Launched::Failed(name) => self.stall(k, key, name, data),
            Launched::Held(name) => {
                let link = self.streams.get(key).map(|st| (st.node, st.peer_node));
                self.stall(k, key, name, data);
                if let Some((from, to)) = link {
                    self.hold_stalled(from, to, key);
                }
            }
        }
    }

    /// Puts a segment on the wire; it is taken if it gets through.
    pub(super) fn launch(&mut self, k: &mut Kernel, key: Key, segment: &mut Option<Payload>) -> Launched {
        let Some(st) = self.streams.get(key) else { return Launched::Sent };
        let bytes = segment.as_ref().map_or(0, Payload::len);
        let fate = self.topology.carry(k, Kind::Packet, st.node, st.peer_node, bytes);
        self.launched(k, key, fate, segment)
    }

    /// What follows from the fate of a segment.
    fn launched(&mut self, k: &mut Kernel, key: Key, fate: Fate, segment: &mut Option<Payload>) -> Launched {
        let Some(st) = self.streams.get(key) else { return Launched::Sent };
        let bytes = segment.as_ref().map_or(0, Payload::len);
        let (node, to, peer) = (st.node, st.peer_node, st.peer);
        let (at, name) = match fate {
            Fate::Arrives { at, name } if k.reachable(to) => (at, name),
            Fate::Arrives { name, .. } | Fate::Lost { name } => return Launched::Failed(name),
            Fate::Held { name } => return Launched::Held(name),
        };
        k.stats().bytes += bytes as u64;
        let now = k.now();
        let Some(st) = self.streams.get_mut(key) else { return Launched::Sent };
        let visible = at.max(st.last_arrival);
        let alone = visible > st.last_arrival || visible <= now;
        st.last_arrival = visible;
        let Some(p) = self.streams.get_mut(peer).filter(|p| !p.orphan && p.phase != Phase::Dead) else {
            return self.answer_with_reset(k, key, visible, name);
        };
        if p.read_shut {
            // Linux discards what arrives after shutdown(SHUT_RD) and acknowledges it.
            p.unacked += bytes;
            self.acknowledge(k, peer);
            return Launched::Sent;
        }
        let Some(data) = segment.take() else { return Launched::Sent };
        p.queue.push(Segment { visible, data });
        if alone {
            self.post(k, visible, name, tag::VISIBLE, peer);
        }
        if self.topology.blocked(to, node) {
            // The segment gets through but no acknowledgement comes back.
            self.stall(k, key, name, None);
            if self.topology.path(to, node).held {
                self.hold_stalled(to, node, key);
            }
        }
        Launched::Sent
    }

    /// No room: has somebody tell when there is.
    #[cold]
    pub(super) fn await_room(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        st.wants_room = true;
        let (node, to, peer, stalled) = (st.node, st.peer_node, st.peer, st.stalled);
        if !st.cold.credits.is_empty() {
            return self.await_credit(k, key);
        }
        if stalled {
            return;
        }
        match self.streams.get(peer) {
            Some(p) if p.unacked > 0 => self.acknowledge(k, peer),
            // The peer says so when it reads.
            Some(_) if !self.topology.blocked(node, to) && !self.topology.blocked(to, node) => {}
            // Nobody would: RFC 9293, 3.8.6.1, probes a closed window.
            _ => {
                let name = k.name(Kind::Ack, u64::from(to.0));
                self.stall(k, key, name, None);
            }
        }
    }

    /// Posts the event of the first credit, once.
    fn await_credit(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        if let Some(&(at, _)) = st.cold.credits.front()
            && !st.credit_posted
        {
            st.credit_posted = true;
            let name = k.name(Kind::Ack, u64::from(st.peer_node.0));
            self.post(k, at, name, tag::CREDIT, key);
        }
    }

    /// An acknowledgement that a writer waits for is there.
    pub fn credit_arrived(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        st.credit_posted = false;
        st.harvest(k.now());
        if st.outstanding < st.limit {
            self.writable(k, key);
        } else {
            self.await_credit(k, key);
        }
    }

    /// recv(2): what is there, across segments. 0 is the end of the stream.
    ///
    /// # Errors
    /// The stream's pending error, once, when everything that arrived before it was read.
    #[inline]
    pub fn read(&mut self, k: &mut Kernel, key: Key, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(st) = self.open_stream(key) else { return Poll::Ready(Err(errno::bad_descriptor())) };
        let n = st.queue.read(k.now(), buf);
        if n == 0 {
            return st.nothing(k.now(), buf.is_empty());
        }
        st.unacked += n;
        if st.unacked >= st.ack_after {
            self.acknowledge(k, key);
        }
        Poll::Ready(Ok(n))
    }

    /// recv(2) with MSG_PEEK.
    pub fn peek(&mut self, k: &mut Kernel, key: Key, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(st) = self.open_stream(key) else { return Poll::Ready(Err(errno::bad_descriptor())) };
        match st.queue.peek(k.now(), buf) {
            0 => st.nothing(k.now(), buf.is_empty()),
            n => Poll::Ready(Ok(n)),
        }
    }

    /// Tells the peer what was read: no event unless it waits for room. What is lost stays to be said with the next.
    pub(super) fn acknowledge(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get(key) else { return };
        let (node, to, peer, n) = (st.node, st.peer_node, st.peer, st.unacked);
        if n == 0 || self.streams.get(peer).is_none() {
            return;
        }
        match self.carry(k, Kind::Ack, node, to, 0) {
            Fate::Arrives { at, .. } => {
                if let Some(st) = self.streams.get_mut(key) {
                    st.unacked = 0;
                }
                let Some(p) = self.streams.get_mut(peer) else { return };
                p.credit(at, n);
                if p.wants_room {
                    self.await_credit(k, peer);
                }
            }
            // The peer asks again, if it waits.
            fate @ (Fate::Lost { name } | Fate::Held { name }) => {
                if self.streams.get(peer).is_some_and(|p| p.wants_room) {
                    self.stall(k, peer, name, None);
                    if matches!(fate, Fate::Held { .. }) {
                        self.hold_stalled(node, to, peer);
                    }
                }
            }
        }
    }

    /// The event of a segment or a FIN.
    #[inline]
    pub fn became_visible(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get(key) else { return };
        if st.phase == Phase::Accepting {
            // The last packet of the handshake was lost; data says the same.
            self.established(k, key);
        }
        self.readable(k, key);
    }

    #[inline]
    pub(super) fn readable(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        st.readers.wake(k, &mut self.out.wake);
        if st.watched {
            self.tell_watchers(k, Source::Stream(key));
        }
    }

    #[inline]
    pub(super) fn writable(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        st.writers.wake(k, &mut self.out.wake);
        if st.watched {
            self.tell_watchers(k, Source::Stream(key));
        }
    }

    /// Has a stream tell its watchers when there is room, if there is none now.
    pub fn ask_for_room(&mut self, k: &mut Kernel, key: Key) {
        if self.streams.get(key).is_some_and(|st| st.phase == Phase::Open && !st.write_shut) {
            self.await_room(k, key);
        }
    }

    /// Makes the stream one whose packets do not get through: `data` waits, and a timer tries again.
    pub(super) fn stall(&mut self, k: &mut Kernel, key: Key, name: Name, data: Option<Payload>) {
        let Some(st) = self.streams.get_mut(key) else { return };
        if st.phase != Phase::Open {
            return;
        }
        let fresh = !std::mem::replace(&mut st.stalled, true);
        st.cold.stall.get_or_insert_with(Box::<Stall>::default).queue.extend(data);
        if fresh {
            self.plan_retransmission(k, key, name);
        }
    }
}
