//! Packets that did not get through: retransmission with backoff (RFC 6298), probes of a closed window, and keepalive
//! (tcp(7)).
//!
//! The simulator knows when a packet is lost, so a timer runs only then. A partition shorter than a timer's period is
//! noticed by the same means: whatever is sent into it stalls its sender.

use super::data::Launched;
use super::stream::{Fault, Keepalive, NEVER, Phase};
use crate::link::Fate;
use crate::network::{Net, tag};
use sim_core::NodeId;
use sim_core::decision::{Kind, Name};
use sim_core::hash::h;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;

/// TCP_RTO_MIN and TCP_RTO_MAX of Linux, ns.
const RTO_MIN: u64 = 200_000_000;
const RTO_MAX: u64 = 120_000_000_000;
/// net.ipv4.tcp_retries2: with the least RTO, a connection ends 924.6 s after the first loss.
const RETRIES: u32 = 15;
/// net.ipv4.tcp_orphan_retries, which counts as 8.
const ORPHAN_RETRIES: u32 = 8;
/// How often a machine that stands still looks whether it stands still, ns.
pub(super) const FROZEN: u64 = 1_000_000_000;

impl Net {
    /// Posts the timer of the next attempt.
    pub(super) fn plan_retransmission(&mut self, k: &mut Kernel, key: Key, name: Name) {
        let Some(st) = self.streams.get(key) else { return };
        let Some(stall) = &st.cold.stall else { return };
        let (node, to, retries, mut rto) = (st.node, st.peer_node, stall.retries, stall.timeout);
        if retries == 0 || rto == 0 {
            rto = self.round_trip(node, to) + RTO_MIN;
        }
        if let Some(stall) = self.streams.get_mut(key).and_then(|st| st.cold.stall.as_mut()) {
            stall.timeout = rto;
        }
        let after = rto.checked_mul(1 << retries.min(20)).map_or(RTO_MAX, |t| t.min(RTO_MAX));
        self.post_timer(k, key, k.now() + after, h(name, 9));
    }

    fn post_timer(&mut self, k: &mut Kernel, key: Key, at: u64, name: Name) {
        let timer = self.post(k, at, name, tag::RETRANSMIT, key);
        if let Some(st) = self.streams.get_mut(key) {
            let old = st.cold.timer.replace(timer);
            self.out.dropped.extend(old.and_then(|old| k.cancel(old)));
        }
    }

    /// The least round-trip time between two machines, ns.
    fn round_trip(&mut self, a: NodeId, b: NodeId) -> u64 {
        self.topology.path(a, b).latency.least_nanos() + self.topology.path(b, a).latency.least_nanos()
    }

    /// The timer of a stalled sender.
    pub fn retransmit_due(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        st.cold.timer = None;
        let (node, orphan) = (st.node, st.orphan);
        let Some(stall) = &st.cold.stall else { return };
        if !k.reachable(node) {
            let name = k.cause();
            return self.post_timer(k, key, k.now() + FROZEN, h(name, 9));
        }
        if stall.retries >= if orphan { ORPHAN_RETRIES } else { RETRIES } {
            return self.fail(k, key, Fault::TimedOut);
        }
        self.traffic.retransmissions += 1;
        self.try_again(k, key);
    }

    /// The clog in front of a stream is gone.
    pub fn released(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        let Some(stall) = &mut st.cold.stall else { return };
        stall.held = false;
        stall.retries = 0;
        if let Some(timer) = st.cold.timer.take() {
            self.out.dropped.extend(k.cancel(timer));
        }
        self.try_again(k, key);
    }

    /// Has a stalled stream told when the clog on `from` → `to` is released.
    pub(super) fn hold_stalled(&mut self, from: NodeId, to: NodeId, key: Key) {
        if let Some(st) = self.streams.get_mut(key)
            && let Some(stall) = &mut st.cold.stall
            && !stall.held
        {
            stall.held = true;
            self.hold_stream(from, to, key);
        }
    }

    /// Sends what waits, in order, until something fails again.
    fn try_again(&mut self, k: &mut Kernel, key: Key) {
        let mut progress = false;
        loop {
            let Some(st) = self.streams.get_mut(key) else { return };
            let (node, to) = (st.node, st.peer_node);
            let Some(stall) = &mut st.cold.stall else { return };
            let (mut next, fin) = (stall.queue.pop_front(), stall.fin);
            let is_data = next.is_some();
            let launched = match &next {
                Some(_) => self.launch(k, key, &mut next),
                None if fin => self.launch_fin(k, key),
                None if progress => return self.stall_is_over(k, key),
                None => self.probe(k, key),
            };
            let stall = self.streams.get_mut(key).and_then(|st| st.cold.stall.as_mut());
            if let Some(stall) = stall {
                match launched {
                    Launched::Sent if !is_data => stall.fin = false,
                    Launched::Sent => {}
                    Launched::Failed(_) | Launched::Held(_) => {
                        next.into_iter().for_each(|data| stall.queue.push_front(data))
                    }
                }
            }
            match launched {
                Launched::Sent => progress = true,
                Launched::Failed(name) => return self.failed_again(k, key, progress, name),
                Launched::Held(name) => {
                    self.hold_stalled(node, to, key);
                    return self.failed_again(k, key, progress, name);
                }
            }
            if self.topology.blocked(to, node) {
                // It got through, but no acknowledgement comes back: nothing new leaves before one does.
                let name = k.cause();
                if self.topology.path(to, node).held {
                    self.hold_stalled(to, node, key);
                }
                return self.failed_again(k, key, false, name);
            }
        }
    }

    fn failed_again(&mut self, k: &mut Kernel, key: Key, progress: bool, name: Name) {
        let Some(st) = self.streams.get_mut(key) else { return };
        if let Some(stall) = &mut st.cold.stall {
            stall.retries = if progress { 0 } else { stall.retries + 1 };
        }
        self.plan_retransmission(k, key, name);
    }

    /// Everything has left.
    fn stall_is_over(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        st.cold.stall = None;
        st.stalled = false;
        if st.orphan {
            return self.remove(k, key, true);
        }
        if st.wants_room {
            self.await_room(k, key);
        }
    }

    /// A packet without payload that the peer must answer.
    fn probe(&mut self, k: &mut Kernel, key: Key) -> Launched {
        let Some(st) = self.streams.get(key) else { return Launched::Sent };
        let (node, to, peer) = (st.node, st.peer_node, st.peer);
        let (at, name) = match self.carry(k, Kind::Ack, node, to, 0) {
            Fate::Arrives { at, name } if k.reachable(to) => (at, name),
            Fate::Arrives { name, .. } | Fate::Lost { name } => return Launched::Failed(name),
            Fate::Held { name } => return Launched::Held(name),
        };
        if !self.hears(peer) {
            return self.answer_with_reset(k, key, at, name);
        }
        match self.carry(k, Kind::Ack, to, node, 0) {
            Fate::Arrives { .. } => Launched::Sent,
            Fate::Lost { name } | Fate::Held { name } => Launched::Failed(name),
        }
    }

    /// Whether the other end knows the connection.
    #[inline]
    pub(super) fn hears(&self, peer: Key) -> bool {
        self.streams.get(peer).is_some_and(|p| !p.orphan && matches!(p.phase, Phase::Open | Phase::Accepting))
    }

    /// A packet of `key` arrives at `at` where nobody knows the connection: RFC 9293, 3.10.7.1.
    pub(super) fn answer_with_reset(&mut self, k: &mut Kernel, key: Key, at: u64, name: Name) -> Launched {
        let Some(st) = self.streams.get(key) else { return Launched::Sent };
        let (node, to, peer) = (st.node, st.peer_node, st.peer);
        if self.streams.get(peer).is_some_and(|p| p.orphan) {
            // Data for an end whose application is gone ends that end too: tcp_rcv_state_process() of Linux.
            self.remove(k, peer, false);
        }
        match self.carry(k, Kind::Packet, to, node, 0) {
            Fate::Arrives { at: back, name } => {
                let at = at + (back - k.now());
                self.post(k, at, name, tag::RESET, key);
                Launched::Sent
            }
            Fate::Lost { .. } | Fate::Held { .. } => Launched::Failed(name),
        }
    }

    /// A barrier was put up: writers that wait for room across it must find out.
    pub fn barrier_rose(&mut self, k: &mut Kernel) {
        let waiting = self.streams.iter().filter(|(_, s)| s.wants_room && s.phase == Phase::Open);
        let waiting: Vec<_> = waiting.map(|(key, s)| (key, s.node, s.peer_node)).collect();
        for (key, node, to) in waiting {
            if self.topology.blocked(node, to) || self.topology.blocked(to, node) {
                let name = k.name(Kind::Ack, u64::from(to.0));
                self.stall(k, key, name, None);
            }
        }
    }

    /// Switches keepalive on, if the options ask for it.
    pub fn start_keepalive(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get(key) else { return };
        let options = &st.cold.options;
        if !options.keepalive || st.cold.keepalive.is_some() || st.phase != Phase::Open {
            return;
        }
        let after = options.keepalive_idle;
        let name = k.name(Kind::Timer, u64::from(st.node.0));
        self.plan_keepalive(k, key, name, after, 0);
    }

    fn plan_keepalive(
        &mut self,
        k: &mut Kernel,
        key: Key,
        name: Name,
        after: std::time::Duration,
        unanswered: u32,
    ) {
        let at = k.now().saturating_add(after.as_nanos().min(u128::from(NEVER / 2)) as u64);
        let timer = self.post(k, at, h(name, 11), tag::KEEPALIVE, key);
        if let Some(st) = self.streams.get_mut(key) {
            st.cold.keepalive = Some(Keepalive { timer, unanswered });
        }
    }

    /// Switches keepalive off.
    pub fn stop_keepalive(&mut self, k: &mut Kernel, key: Key) {
        if let Some(st) = self.streams.get_mut(key)
            && let Some(keepalive) = st.cold.keepalive.take()
        {
            self.out.dropped.extend(k.cancel(keepalive.timer));
        }
    }

    /// The timer of keepalive.
    pub fn keepalive_due(&mut self, k: &mut Kernel, key: Key) {
        let Some(st) = self.streams.get_mut(key) else { return };
        let Some(keepalive) = st.cold.keepalive.take() else { return };
        let (node, options, name) = (st.node, st.cold.options, k.cause());
        if st.phase != Phase::Open {
            return;
        }
        if !k.reachable(node) {
            let after = std::time::Duration::from_nanos(FROZEN);
            return self.plan_keepalive(k, key, name, after, keepalive.unanswered);
        }
        match self.probe(k, key) {
            Launched::Sent => self.plan_keepalive(k, key, name, options.keepalive_idle, 0),
            Launched::Failed(_) | Launched::Held(_) => {
                let unanswered = keepalive.unanswered + 1;
                if unanswered > options.keepalive_count {
                    return self.fail(k, key, Fault::TimedOut);
                }
                self.plan_keepalive(k, key, name, options.keepalive_interval, unanswered);
            }
        }
    }
}
