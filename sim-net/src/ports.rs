//! Who has which port: bind(2)'s rules, ephemeral ports, and the lookup of the listener for a packet.

use crate::errno;
use sim_core::NodeId;
use sim_core::hash::Map;
use sim_core::slab::Key;
use std::io;
use std::net::IpAddr;

/// net.ipv4.ip_local_port_range.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;
/// How long a closed connection keeps its port from a bind without SO_REUSEADDR: TCP_TIMEWAIT_LEN of Linux, ns.
const TIME_WAIT: u64 = 60_000_000_000;

/// A socket that is bound to a port by name, not by an established connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    /// Unspecified for any address of the machine.
    pub ip: IpAddr,
    pub only_v6: bool,
    pub reuse: bool,
    pub listening: bool,
    pub key: Key,
}

#[derive(Debug, Default)]
struct Port {
    holders: Vec<Holder>,
    /// Connections with this local port, and how many of them do not allow its reuse.
    connections: u32,
    stubborn: u32,
    /// Until when a closed connection lingers here, ns.
    time_wait: u64,
}

/// The ports of every machine, for one protocol.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    ports: Map<Place, Port>,
    /// The last ephemeral port given out, by machine.
    last: Vec<u16>,
}

/// A port of a machine, as one word: it is hashed for each datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place(u64);

impl Place {
    #[inline]
    fn new(node: NodeId, port: u16) -> Self {
        Place(u64::from(node.0) << 16 | u64::from(port))
    }

    fn node(self) -> NodeId {
        NodeId((self.0 >> 16) as u32)
    }
}

impl Holder {
    /// Whether a packet to `ip` is for this holder, and how specific it is about it.
    fn matches(&self, ip: IpAddr) -> Option<u8> {
        match (self.ip, ip) {
            (mine, _) if mine == ip => Some(2),
            (IpAddr::V4(mine), IpAddr::V4(_)) if mine.is_unspecified() => Some(1),
            (IpAddr::V6(mine), IpAddr::V6(_)) if mine.is_unspecified() => Some(1),
            // A v6 socket for any address takes v4 too: ipv6(7).
            (IpAddr::V6(mine), IpAddr::V4(_)) if mine.is_unspecified() && !self.only_v6 => Some(0),
            _ => None,
        }
    }

    fn overlaps(&self, other: &Holder) -> bool {
        self.matches(other.ip).is_some() || other.matches(self.ip).is_some()
    }
}

impl Ports {
    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.ports.clear();
        self.last.clear();
    }

    /// Binds `holder` to `port`, or to a free one for 0, and says which.
    ///
    /// # Errors
    /// `EADDRINUSE` by the rules of socket(7) and tcp(7): SO_REUSEADDR on both sides allows sharing unless one
    /// listens, and binding beside established connections and those in TIME_WAIT.
    pub fn bind(&mut self, node: NodeId, port: u16, now: u64, holder: Holder) -> io::Result<u16> {
        let port =
            if port == 0 { self.ephemeral(node, now).ok_or_else(errno::address_in_use)? } else { port };
        let entry = self.ports.entry(Place::new(node, port)).or_default();
        let taken = entry.holders.iter().any(|other| {
            let shared = holder.reuse && other.reuse && !holder.listening && !other.listening;
            other.overlaps(&holder) && !shared
        });
        let busy =
            if holder.reuse { entry.stubborn > 0 } else { entry.connections > 0 || entry.time_wait > now };
        if taken || busy {
            return Err(errno::address_in_use());
        }
        entry.holders.push(holder);
        Ok(port)
    }

    /// A bound socket begins to listen.
    ///
    /// # Errors
    /// `EADDRINUSE` when another socket listens on an overlapping address already.
    pub fn listen(&mut self, node: NodeId, port: u16, old: Key, new: Key) -> io::Result<()> {
        let entry = self.ports.entry(Place::new(node, port)).or_default();
        let Some(mine) = entry.holders.iter().find(|h| h.key == old).copied() else {
            return Err(errno::invalid_argument());
        };
        if entry.holders.iter().any(|h| h.listening && h.overlaps(&mine)) {
            return Err(errno::address_in_use());
        }
        if let Some(holder) = entry.holders.iter_mut().find(|h| h.key == old) {
            (holder.listening, holder.key) = (true, new);
        }
        Ok(())
    }

    /// A bound or listening socket gives its port back.
    pub fn release(&mut self, node: NodeId, port: u16, key: Key) {
        self.edit(node, port, |p| p.holders.retain(|h| h.key != key));
    }

    /// A connection uses the local port.
    pub fn connected(&mut self, node: NodeId, port: u16, reuse: bool) {
        let entry = self.ports.entry(Place::new(node, port)).or_default();
        entry.connections += 1;
        entry.stubborn += u32::from(!reuse);
    }

    /// A connection is over; with `time_wait`, an instant, it lingers for a while.
    pub fn disconnected(&mut self, node: NodeId, port: u16, reuse: bool, time_wait: Option<u64>) {
        self.edit(node, port, |p| {
            p.connections -= 1;
            p.stubborn -= u32::from(!reuse);
            // An ephemeral port is not worth remembering: the next one is taken instead.
            if let Some(now) = time_wait
                && !EPHEMERAL.contains(&port)
            {
                p.time_wait = now + TIME_WAIT;
            }
        });
    }

    fn edit(&mut self, node: NodeId, port: u16, edit: impl FnOnce(&mut Port)) {
        if let Some(entry) = self.ports.get_mut(&Place::new(node, port)) {
            edit(entry);
            if entry.holders.is_empty() && entry.connections == 0 && entry.time_wait == 0 {
                self.ports.remove(&Place::new(node, port));
            }
        }
    }

    /// A machine lost its memory, TIME_WAIT with it. Its sockets must have given their ports back.
    pub fn power_cut(&mut self, node: NodeId) {
        self.ports.retain(|place, port| {
            let elsewhere = place.node() != node;
            debug_assert!(elsewhere || port.holders.is_empty() && port.connections == 0);
            elsewhere
        });
    }

    /// A port that nobody uses.
    pub fn ephemeral(&mut self, node: NodeId, now: u64) -> Option<u16> {
        let index = node.0 as usize;
        if self.last.len() <= index {
            self.last.resize(index + 1, *EPHEMERAL.end());
        }
        for _ in EPHEMERAL {
            let last = self.last[index];
            let next = if last == *EPHEMERAL.end() { *EPHEMERAL.start() } else { last + 1 };
            self.last[index] = next;
            if self.ports.get(&Place::new(node, next)).is_none_or(|p| p.is_free(now)) {
                return Some(next);
            }
        }
        None
    }

    /// The most specific holder for a packet to (`ip`, `port`); with `listening`, only those that listen.
    #[inline]
    pub fn find(&self, node: NodeId, ip: IpAddr, port: u16, listening: bool) -> Option<Key> {
        let holders = &self.ports.get(&Place::new(node, port))?.holders;
        // Most ports have one.
        if let [only] = &holders[..] {
            return ((only.listening || !listening) && only.matches(ip).is_some()).then_some(only.key);
        }
        let matching = holders.iter().filter(|h| h.listening || !listening);
        matching
            .filter_map(|h| Some((h.matches(ip)?, h.key)))
            .max_by_key(|&(rank, _)| rank)
            .map(|(_, key)| key)
    }

    /// Everybody whom a broadcast to (`ip`, `port`), or one to a group, is for, in the order in which they were bound.
    pub fn find_all(&self, node: NodeId, ip: IpAddr, port: u16) -> Vec<Key> {
        let holders = self.ports.get(&Place::new(node, port)).map_or(&[][..], |p| &p.holders);
        holders.iter().filter(|h| h.matches(ip).is_some()).map(|h| h.key).collect()
    }

    /// How many ports have state; a TIME_WAIT that is over is none, though it is only forgotten when the port is used
    /// again.
    pub fn len(&self, now: u64) -> usize {
        self.ports.values().filter(|p| p.time_wait == 0 || !p.is_free(now)).count()
    }
}

impl Port {
    fn is_free(&self, now: u64) -> bool {
        self.holders.is_empty() && self.connections == 0 && self.time_wait <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const NODE: NodeId = NodeId(1);
    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

    fn holder(slot: u32, ip: IpAddr) -> Holder {
        Holder { ip, only_v6: false, reuse: false, listening: false, key: Key::new(slot, 0) }
    }

    fn bind(p: &mut Ports, h: Holder) -> bool {
        p.bind(NODE, 80, 0, h).is_ok()
    }

    #[test]
    fn overlapping_addresses_exclude_each_other() {
        let mut p = Ports::default();
        assert!(bind(&mut p, holder(1, A)) && bind(&mut p, holder(2, B)));
        assert!(
            !bind(&mut p, holder(3, A)) && !bind(&mut p, holder(3, ANY)) && !bind(&mut p, holder(3, ANY6))
        );
        assert!(bind(&mut p, Holder { only_v6: true, ..holder(4, ANY6) }), "v6 only leaves v4 alone");
        p.release(NODE, 80, Key::new(1, 0));
        assert!(bind(&mut p, holder(5, A)));
    }

    #[test]
    fn reuse_shares_until_somebody_listens() {
        let mut p = Ports::default();
        let reuse = |slot| Holder { reuse: true, ..holder(slot, A) };
        assert!(bind(&mut p, reuse(1)) && bind(&mut p, reuse(2)) && !bind(&mut p, holder(3, A)));
        let key = |slot| Key::new(slot, 9);
        assert!(p.listen(NODE, 80, reuse(1).key, key(1)).is_ok());
        assert!(!bind(&mut p, reuse(4)));
        assert!(p.listen(NODE, 80, reuse(2).key, key(2)).is_err());
    }

    #[test]
    fn connections_keep_a_port_from_those_who_do_not_ask_for_reuse() {
        let mut p = Ports::default();
        p.connected(NODE, 80, true);
        assert!(!bind(&mut p, holder(1, ANY)));
        assert!(bind(&mut p, Holder { reuse: true, ..holder(2, ANY) }));
        p.release(NODE, 80, holder(2, ANY).key);
        p.disconnected(NODE, 80, true, Some(0));
        assert!(p.bind(NODE, 80, TIME_WAIT - 1, holder(3, ANY)).is_err(), "TIME_WAIT");
        assert_eq!((p.len(TIME_WAIT - 1), p.len(TIME_WAIT)), (1, 0));
        assert!(p.bind(NODE, 80, TIME_WAIT, holder(3, ANY)).is_ok());
    }

    #[test]
    fn the_most_specific_listener_gets_the_packet() {
        let mut p = Ports::default();
        let listening = |slot, ip| Holder { listening: true, ..holder(slot, ip) };
        assert!(bind(&mut p, listening(1, A)));
        assert!(bind(&mut p, listening(2, B)));
        assert_eq!(p.find(NODE, B, 80, true).map(|k| k.slot()), Some(2));
        assert_eq!(p.find(NODE, Ipv4Addr::LOCALHOST.into(), 80, true), None);
        let mut p = Ports::default();
        assert!(bind(&mut p, listening(3, ANY6)));
        assert_eq!(p.find(NODE, A, 80, true).map(|k| k.slot()), Some(3), "v6 for any address takes v4");
    }

    #[test]
    fn ephemeral_ports_run_out_and_come_back() {
        let mut p = Ports::default();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(port) = p.ephemeral(NODE, 0) {
            assert!(seen.insert(port) && EPHEMERAL.contains(&port));
            p.connected(NODE, port, false);
        }
        assert_eq!(seen.len(), EPHEMERAL.len());
        p.disconnected(NODE, 40_000, false, Some(0));
        assert_eq!(p.ephemeral(NODE, 0), Some(40_000));
        assert_eq!(p.len(0), EPHEMERAL.len() - 1);
    }
}
