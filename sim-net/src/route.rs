//! From an address to a machine, and which of its own addresses a machine uses for it.

use crate::errno;
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The machine that has `ip`, as seen from `node`. Loopback and unspecified addresses are the node itself, as on Linux.
#[inline]
pub(crate) fn machine(k: &Kernel, node: NodeId, ip: IpAddr) -> Option<NodeId> {
    if ip.is_loopback() || ip.is_unspecified() { Some(node) } else { k.by_address(ip) }
}

/// Where a packet from `node` to `ip` goes: the machine, the address it arrives at and the source address.
///
/// # Errors
/// `EHOSTUNREACH` when no machine has the address, `ENETUNREACH` when the node has none of that family, and for broadcast
/// and multicast addresses, as tcp_v4_connect() of Linux says.
pub(crate) fn route(k: &Kernel, node: NodeId, ip: IpAddr) -> io::Result<(NodeId, IpAddr, IpAddr)> {
    let ip = ip.to_canonical();
    if ip.is_loopback() || ip.is_unspecified() {
        let own = if ip.is_unspecified() { loopback(ip.is_ipv4()) } else { ip };
        return Ok((node, own, loopback(ip.is_ipv4())));
    }
    // No connection goes to several machines; datagrams to them do not come by here.
    if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(errno::network_unreachable());
    }
    let to = k.by_address(ip).ok_or_else(errno::host_unreachable)?;
    if to == node {
        return Ok((node, ip, ip));
    }
    let own = k.machine(node).addresses.iter().find(|a| a.is_ipv4() == ip.is_ipv4());
    Ok((to, ip, *own.ok_or_else(errno::network_unreachable)?))
}

fn loopback(v4: bool) -> IpAddr {
    if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

/// Whether `node` may bind to `ip`: an own address, loopback, or unspecified.
///
/// # Errors
/// `EADDRNOTAVAIL`, bind(2).
pub(crate) fn check_own(k: &Kernel, node: NodeId, ip: IpAddr) -> io::Result<()> {
    match machine(k, node, ip.to_canonical()) {
        Some(owner) if owner == node => Ok(()),
        _ => Err(errno::address_not_available()),
    }
}

/// A remote address as a socket bound to `local` reports it: v4 peers of a v6 socket are mapped, ipv6(7).
pub(crate) fn as_seen_from(local_is_v6: bool, remote: SocketAddr) -> SocketAddr {
    match remote.ip() {
        IpAddr::V4(ip) if local_is_v6 => (ip.to_ipv6_mapped(), remote.port()).into(),
        _ => remote,
    }
}
