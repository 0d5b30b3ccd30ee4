//! How connections end: FIN and half-close, resets, timeouts, and the death of a process or its machine.

use super::data::Launched;
use super::stream::{Fault, Phase};
use crate::errno;
use crate::link::Fate;
use crate::network::{Net, tag};
use crate::readiness::Source;
use sim_core::NodeId;
use sim_core::decision::Kind;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::Shutdown;

impl Net {
    /// shutdown(2).
    ///
    /// # Errors
    /// `ENOTCONN` when the connection is not established, or over.
    pub fn shutdown(&mut self, k: &mut Kernel, key: Key, how: Shutdown) -> io::Result<()> {
        Net::actor(k)?;
        let st = self.stream(key)?;
        if st.phase != Phase::Open {
            return Err(errno::not_connected());
        }
        if how != Shutdown::Write {
            st.read_shut = true;
            self.readable(k, key);
        }
        if how != Shutdown::Read {
            self.send_fin(k, key);
            self.writable(k, key);
        }
        Ok(())
    }

    /// Ends our direction: the FIN goes behind everything that was written. Twice is once.
    fn send_fin(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        if std::mem::replace(&mut st.write_shut, true) {
            return;
        }
        let (node, to) = (st.node, st.peer_node);
        if let Some(stall) = &mut st.cold.stall {
            stall.fin = true;
            return;
        }
        let (name, held) = match self.launch_fin(k, key) {
            Launched::Sent => return,
            Launched::Failed(name) => (name, false),
            Launched::Held(name) => (name, true),
        };
        self.stall(k, key, name, None);
        if let Some(st) = self.streams.get_mut(key)
            && let Some(stall) = &mut st.cold.stall
        {
            stall.fin = true;
        }
        if held {
            self.hold_stalled(node, to, key);
        }
    }

    /// Puts a FIN on the wire.
    pub(super) fn launch_fin(&mut self, k: &mut Kernel, key: Key) -> Launched {
        let Some(st) = self.streams.get(key) else { return Launched::Sent };
        let (node, to, peer) = (st.node, st.peer_node, st.peer);
        let (at, name) = match self.carry(k, Kind::Packet, node, to, 0) {
            Fate::Arrives { at, name } if k.reachable(to) => (at, name),
            Fate::Arrives { name, .. } | Fate::Lost { name } => return Launched::Failed(name),
            Fate::Held { name } => return Launched::Held(name),
        };
        let Some(st) = self.streams.get_mut(key) else { return Launched::Sent };
        let visible = at.max(st.last_arrival);
        st.last_arrival = visible;
        if !self.hears(peer) {
            return self.answer_with_reset(k, key, visible, name);
        }
        if let Some(p) = self.streams.get_mut(peer) {
            p.fin = visible;
            self.post(k, visible, name, tag::VISIBLE, peer);
        }
        Launched::Sent
    }

    /// The last handle is dropped. What is an orphan already stays one: its process died before its destructors ran.
    pub fn let_go(&mut self, k: &mut Kernel, key: Key) {
        match self.streams.get(key) {
            Some(st) if st.orphan => {}
            Some(_) if k.actor().is_some() => self.close(k, key),
            // A dead process held the socket of another.
            Some(_) => self.vanish(k, key),
            None => {}
        }
    }

    /// close(2), also by the kernel when a process ends: what was written drains, then a FIN. With unread data, or a
    /// linger of zero, a reset instead: RFC 2525, 2.17; tcp(7).
    pub fn close(&mut self, k: &mut Kernel, key: Key) {
        self.record_stream(k, "tcp.close", key);
        let Some(st) = self.streams.get(key) else { return };
        match st.phase {
            Phase::Connecting | Phase::Dead => return self.remove(k, key, false),
            Phase::Accepting => return self.abort(k, key, k.now()),
            Phase::Open => {}
        }
        let now = k.now();
        let zero_linger = st.cold.options.linger.is_some_and(|l| l.is_zero());
        if zero_linger || st.queue.visible(now) && !st.read_shut {
            return self.abort(k, key, now);
        }
        let in_flight = st.queue.next_arrival(now);
        let active = st.fin > now;
        self.send_fin(k, key);
        if let Some(at) = in_flight {
            // It arrives where nobody reads any more.
            return self.abort(k, key, at);
        }
        match self.streams.get_mut(key) {
            Some(st) if st.stalled => {
                st.orphan = true;
                st.forget_waiters(&mut self.out.dropped);
                self.stop_keepalive(k, key);
                self.unwatch(key);
            }
            _ => self.remove(k, key, active),
        }
    }

    /// Sends a reset, not before `from`, and forgets the connection.
    pub(super) fn abort(&mut self, k: &mut Kernel, key: Key, from: u64) {
        let Some(st) = self.streams.get(key) else { return };
        let (node, to, peer, last) = (st.node, st.peer_node, st.peer, st.last_arrival);
        if let Fate::Arrives { at, name } = self.carry(k, Kind::Packet, node, to, 0) {
            let at = (from + (at - k.now())).max(last);
            self.post(k, at, name, tag::RESET, peer);
        }
        self.leave_listener(key);
        self.remove(k, key, false);
    }

    /// A reset is there.
    pub fn reset_arrived(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get(key) else { return };
        match st.phase {
            Phase::Dead => {}
            Phase::Connecting => {
                self.traffic.resets += 1;
                self.fail(k, key, Fault::Refused);
            }
            Phase::Accepting => {
                self.leave_listener(key);
                self.remove(k, key, false);
            }
            Phase::Open => {
                let fault = if st.fin <= k.now() { Fault::BrokenPipe } else { Fault::Reset };
                self.traffic.resets += 1;
                self.fail(k, key, fault);
            }
        }
    }

    /// Something between two machines resets each of their connections, towards both ends; gives how many ends there were.
    pub fn reset_between(&mut self, k: &mut Kernel, one: NodeId, other: NodeId) -> usize {
        let between = |s: &super::Stream| {
            s.phase == Phase::Open && [(one, other), (other, one)].contains(&(s.node, s.peer_node))
        };
        let keys: Vec<_> = self.streams.iter().filter(|(_, s)| between(s)).map(|(key, _)| key).collect();
        for &key in &keys {
            self.reset_arrived(k, key);
        }
        keys.len()
    }

    /// The connection is over for a reason that the application is told. What has arrived can still be read.
    pub fn fail(&mut self, k: &mut Kernel, key: Key, fault: Fault) {
        self.record_stream(
            k,
            match fault {
                Fault::Refused => "tcp.refused",
                Fault::TimedOut => "tcp.timeout",
                Fault::Reset | Fault::BrokenPipe => "tcp.reset",
            },
            key,
        );
        let Some(st) = self.streams.get_mut(key) else { return };
        st.phase = Phase::Dead;
        st.fault = Some(fault);
        st.cold.stall = None;
        st.stalled = false;
        st.wants_room = false;
        let orphan = st.orphan;
        if let Some(timer) = st.cold.timer.take() {
            self.out.dropped.extend(k.cancel(timer));
        }
        self.stop_keepalive(k, key);
        if fault == Fault::TimedOut {
            self.traffic.timeouts += 1;
        }
        if orphan {
            return self.remove(k, key, false);
        }
        self.readable(k, key);
        self.writable(k, key);
    }

    /// Takes a stream out of the world. Nobody is told.
    pub(super) fn remove(&mut self, k: &mut Kernel, key: Key, time_wait: bool) {
        self.stop_keepalive(k, key);
        self.unwatch(key);
        let Some(mut st) = self.streams.remove(key) else { return };
        self.ended += 1;
        st.forget_waiters(&mut self.out.dropped);
        if let Some(timer) = st.cold.timer {
            self.out.dropped.extend(k.cancel(timer));
        }
        if st.cold.holds_port {
            let time_wait = time_wait.then(|| k.now());
            let (port, reuse) = (st.cold.local.port(), st.cold.options.reuse_address);
            self.tcp_ports.disconnected(st.node, port, reuse, time_wait);
        }
    }

    fn unwatch(&mut self, key: Key) {
        if let Some(st) = self.streams.get_mut(key)
            && std::mem::replace(&mut st.watched, false)
        {
            self.sets.source_gone(Source::Stream(key));
        }
    }

    fn leave_listener(&mut self, key: Key) {
        let Some(st) = self.streams.get(key) else { return };
        if let Some(l) = self.listeners.get_mut(st.cold.listener) {
            if st.phase == Phase::Accepting {
                l.half_open -= 1;
            } else {
                l.queue.retain(|&ready| ready != key);
            }
        }
    }

    /// A stream's machine lost power: its peer is told nothing, and finds out when what it has under way is not
    /// acknowledged.
    pub fn vanish(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get(key) else { return };
        let (peer, phase, node) = (st.peer, st.phase, st.node);
        self.leave_listener(key);
        self.remove(k, key, false);
        let Some(p) = self.streams.get(peer) else { return };
        if p.peer != key {
            return;
        }
        let waits = p.last_arrival > k.now() || p.wants_room;
        let name = k.name(Kind::Packet, u64::from(node.0));
        if phase == Phase::Accepting {
            self.syn_failed(k, peer, name);
        }
        if waits {
            self.stall(k, peer, name, None);
        }
    }

    /// A listener closes: who was not accepted is reset.
    pub fn close_listener(&mut self, k: &mut Kernel, key: Key) {
        if self.take_listener(key).is_none() {
            return;
        }
        let mine = self.streams.iter().filter(|(_, s)| s.cold.listener == key);
        let mine: Vec<_> = mine.map(|(stream, _)| stream).collect();
        for stream in mine {
            self.abort(k, stream, k.now());
        }
    }

    /// A listener's machine lost power; its connections are seen to one by one.
    pub fn forget_listener(&mut self, key: Key) {
        self.take_listener(key);
    }

    fn take_listener(&mut self, key: Key) -> Option<super::Listener> {
        let mut l = self.listeners.remove(key)?;
        l.acceptors.take(&mut self.out.dropped);
        if l.watched {
            self.sets.source_gone(Source::Listener(key));
        }
        self.tcp_ports.release(l.node, l.local.port(), key);
        Some(l)
    }
}
