//! Broadcast and multicast: datagrams to all machines of a zone, or to those of it that joined a group; ip(7), ipv6(7),
//! RFC 1112.
//!
//! A zone is one segment of a network without routers to others, and the nodes in no zone share one. A machine has two
//! interfaces: loopback, and the one with its addresses. Where a group is joined on one, datagrams to it arrive from
//! there, for every socket that is bound to the port: IP_MULTICAST_ALL is on, as it is by default.

use super::{Datagram, Net, Socket, check_whole};
use crate::errno;
use crate::tcp::Payload;
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// net.ipv4.igmp_max_memberships.
const MOST_GROUPS: usize = 20;

/// The index of the loopback interface, and that of the other one.
const LOOPBACK_INDEX: u32 = 1;
const NETWORK_INDEX: u32 = 2;

/// A group on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Membership {
    group: IpAddr,
    loopback: bool,
}

/// Who is in which group, and with how many sockets.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    members: BTreeMap<Membership, BTreeMap<NodeId, u32>>,
}

impl Groups {
    pub fn clear(&mut self) {
        self.members.clear();
    }

    pub(super) fn leave(&mut self, node: NodeId, membership: Membership) {
        let Some(nodes) = self.members.get_mut(&membership) else { return };
        if let Some(sockets) = nodes.get_mut(&node) {
            *sockets -= 1;
            if *sockets == 0 {
                nodes.remove(&node);
            }
        }
        if nodes.is_empty() {
            self.members.remove(&membership);
        }
    }

    fn has(&self, node: NodeId, membership: Membership) -> bool {
        everybody(membership.group)
            || self.members.get(&membership).is_some_and(|nodes| nodes.contains_key(&node))
    }
}

/// Whether datagrams to `ip` are for several machines.
#[inline]
pub(super) fn is_cast(ip: IpAddr) -> bool {
    match ip {
        // 224.0.0.0/4 and 255.255.255.255; between them lies 240.0.0.0/4, which nobody has.
        IpAddr::V4(v4) => v4.octets()[0] >= 224 && (v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => v6.octets()[0] == 0xff || v6.to_ipv4_mapped().is_some_and(|v4| is_cast(v4.into())),
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// The groups that every machine is in: RFC 1112, RFC 4291, and the broadcast address.
fn everybody(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4 == Ipv4Addr::new(224, 0, 0, 1),
        IpAddr::V6(v6) => v6 == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    }
}

/// The source address of what a socket sends to `to`.
///
/// # Errors
/// `EACCES` for a broadcast address without SO_BROADCAST, `ENETUNREACH` without an address of that family.
pub(super) fn source(k: &Kernel, socket: &Socket, to: IpAddr) -> io::Result<IpAddr> {
    let to = to.to_canonical();
    if is_broadcast(to) && !socket.options.broadcast {
        return Err(errno::permission_denied());
    }
    let bound = socket.local.ip();
    if !bound.is_unspecified() && !is_cast(bound) {
        return Ok(bound);
    }
    let own = k.machine(socket.node).addresses.iter().find(|a| a.is_ipv4() == to.is_ipv4());
    own.copied().ok_or_else(errno::network_unreachable)
}

impl Net {
    /// [`Net::send_to`] for several machines.
    #[cold]
    pub(super) fn send_cast(
        &mut self,
        k: &mut Kernel,
        key: Key,
        data: &[u8],
        to: SocketAddr,
    ) -> io::Result<usize> {
        let socket = self.udp.get(key).ok_or_else(errno::bad_descriptor)?;
        let (node, port) = (socket.node, socket.local.port());
        let from = source(k, socket, to.ip())?;
        let ip = to.ip().to_canonical();
        let options = &socket.options;
        if options.dont_fragment {
            let mtu = self.topology.path(node, node).mtu as usize;
            check_whole(data.len(), ip.is_ipv6(), mtu)?;
        }
        let looped = if ip.is_ipv4() { options.loop_v4 } else { options.loop_v6 };
        // The option is about a copy beside what leaves; loopback brings back whatever leaves.
        let heard_here = looped || is_broadcast(ip) || from.is_loopback();
        let stays = from.is_loopback() || ip.is_ipv4() && !is_broadcast(ip) && options.multicast_ttl == 0;
        let membership = Membership { group: ip, loopback: from.is_loopback() };
        let zone = self.topology.zone_of(node);
        let mut targets: Vec<NodeId> = if stays {
            vec![node]
        } else if everybody(ip) {
            (0..k.machines() as u32).map(NodeId).filter(|&n| self.topology.zone_of(n) == zone).collect()
        } else {
            let members = self.groups.members.get(&membership).into_iter().flat_map(BTreeMap::keys);
            members.copied().filter(|&n| self.topology.zone_of(n) == zone).collect()
        };
        targets.retain(|&n| n != node || heard_here && self.groups.has(node, membership));
        for target in targets {
            let datagram = Datagram {
                node: target,
                from: (from, port).into(),
                to: (ip, to.port()).into(),
                sender: None,
                data: Payload::copy(data),
            };
            self.send_datagram(k, node, datagram);
        }
        Ok(data.len())
    }

    /// A datagram for several machines is at one of them: every socket that is bound to the port gets it, unless it is
    /// bound to another address or connected to somebody else.
    #[cold]
    pub(super) fn cast_arrived(&mut self, k: &mut Kernel, d: Datagram) {
        let membership = Membership { group: d.to.ip(), loopback: d.from.ip().is_loopback() };
        if !self.groups.has(d.node, membership) {
            return;
        }
        for key in self.udp_ports.find_all(d.node, d.to.ip(), d.to.port()) {
            let hears = self.udp.get(key).is_some_and(|s| s.peer.is_none_or(|peer| peer == d.from));
            if hears {
                self.enqueue(k, key, d.from, d.data.clone());
            }
        }
    }

    /// IP_ADD_MEMBERSHIP; `interface` is an address of it, unspecified for the one that is not loopback.
    ///
    /// # Errors
    /// `EINVAL` for an address that is no group, `ENODEV` for an interface that there is not, `EADDRINUSE` when it is in
    /// the group already, `ENOBUFS` when it is in 20.
    pub fn join_v4(&mut self, k: &Kernel, key: Key, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let membership = self.membership_v4(k, key, group, interface)?;
        self.join(key, membership)
    }

    /// IP_DROP_MEMBERSHIP.
    ///
    /// # Errors
    /// `EINVAL` and `ENODEV` as in [`Net::join_v4`], `EADDRNOTAVAIL` when it is not in the group.
    pub fn leave_v4(&mut self, k: &Kernel, key: Key, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let membership = self.membership_v4(k, key, group, interface)?;
        self.leave_group(key, membership)
    }

    /// IPV6_ADD_MEMBERSHIP; interface 1 is loopback, 2 the other one, and 0 leaves the choice, which is 2.
    ///
    /// # Errors
    /// As [`Net::join_v4`]; `ENOPROTOOPT` on an IPv4 socket.
    pub fn join_v6(&mut self, key: Key, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let membership = self.membership_v6(key, group, interface)?;
        self.join(key, membership)
    }

    /// IPV6_DROP_MEMBERSHIP.
    ///
    /// # Errors
    /// As [`Net::leave_v4`]; `ENOPROTOOPT` on an IPv4 socket.
    pub fn leave_v6(&mut self, key: Key, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let membership = self.membership_v6(key, group, interface)?;
        self.leave_group(key, membership)
    }

    fn membership_v4(
        &self,
        k: &Kernel,
        key: Key,
        group: Ipv4Addr,
        interface: Ipv4Addr,
    ) -> io::Result<Membership> {
        let socket = self.udp.get(key).ok_or_else(errno::bad_descriptor)?;
        if !group.is_multicast() {
            return Err(errno::invalid_argument());
        }
        let own = || k.machine(socket.node).addresses.contains(&interface.into());
        if !interface.is_unspecified() && !interface.is_loopback() && !own() {
            return Err(errno::no_device());
        }
        Ok(Membership { group: group.into(), loopback: interface.is_loopback() })
    }

    fn membership_v6(&self, key: Key, group: Ipv6Addr, interface: u32) -> io::Result<Membership> {
        let socket = self.udp.get(key).ok_or_else(errno::bad_descriptor)?;
        if socket.local.is_ipv4() {
            return Err(errno::no_protocol_option());
        }
        if !group.is_multicast() {
            return Err(errno::invalid_argument());
        }
        if interface > NETWORK_INDEX {
            return Err(errno::no_device());
        }
        Ok(Membership { group: group.into(), loopback: interface == LOOPBACK_INDEX })
    }

    fn join(&mut self, key: Key, membership: Membership) -> io::Result<()> {
        let socket = self.udp.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        let joined = &mut socket.options.groups;
        if joined.contains(&membership) {
            return Err(errno::address_in_use());
        }
        if membership.group.is_ipv4() && joined.iter().filter(|m| m.group.is_ipv4()).count() >= MOST_GROUPS {
            return Err(errno::no_buffers());
        }
        joined.push(membership);
        *self.groups.members.entry(membership).or_default().entry(socket.node).or_default() += 1;
        Ok(())
    }

    fn leave_group(&mut self, key: Key, membership: Membership) -> io::Result<()> {
        let socket = self.udp.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        let joined = &mut socket.options.groups;
        let Some(at) = joined.iter().position(|m| *m == membership) else {
            return Err(errno::address_not_available());
        };
        joined.remove(at);
        let node = socket.node;
        self.groups.leave(node, membership);
        Ok(())
    }
}
