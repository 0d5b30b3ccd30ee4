//! Addresses and options: socket(7), ip(7), ipv6(7).

use super::UdpSocket;
use crate::errno;
use crate::udp::Options;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Everything here fails with `EBADF` when the process of the socket is dead.
impl UdpSocket {
    pub(super) fn socket<T>(&self, f: impl FnOnce(&mut crate::udp::Socket) -> T) -> io::Result<T> {
        self.handle.op(|net, _, key| net.udp.get_mut(key).map(f).ok_or_else(errno::bad_descriptor))
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// Here and below: `EBADF` when its process is dead.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket(|s| s.local)
    }

    /// The peer of `connect`.
    ///
    /// # Errors
    /// `NotConnected` without one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket(|s| s.peer)?.ok_or_else(errno::not_connected)
    }

    /// The pending error, told once: SO_ERROR.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket(|s| s.take_error())
    }

    /// SO_BROADCAST.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket(|s| s.options.broadcast)
    }

    /// Allows to send to 255.255.255.255, which reaches every node of the sender's zone, itself included; the nodes in no
    /// zone share one. Addresses have no masks here, so there is no broadcast to a subnet.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.socket(|s| s.options.broadcast = on)
    }

    /// Whether datagrams must not be fragmented.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn dont_fragment(&self) -> io::Result<bool> {
        self.socket(|s| s.options.dont_fragment)
    }

    /// Sets IP_MTU_DISCOVER: IP_PMTUDISC_DO instead of IP_PMTUDISC_WANT, which is where sockets begin, ip(7). A datagram
    /// that with its headers exceeds the link's MTU is then `EMSGSIZE`; without it, it travels in fragments.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn set_dont_fragment(&self, on: bool) -> io::Result<()> {
        self.socket(|s| s.options.dont_fragment = on)
    }

    /// IP_TTL.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket(|s| s.options.ttl)
    }

    /// Sets IP_TTL. There are no routers that would count it down.
    ///
    /// # Errors
    /// `EINVAL` outside of 1 to 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.set_checked((1..=255).contains(&ttl), |o| o.ttl = ttl)
    }

    /// IP_MULTICAST_TTL.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket(|s| s.options.multicast_ttl)
    }

    /// Sets IP_MULTICAST_TTL, 1 at first. With 0, datagrams to groups stay on the machine; with more, in the zone.
    ///
    /// # Errors
    /// `EINVAL` over 255.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.set_checked(ttl <= 255, |o| o.multicast_ttl = ttl)
    }

    /// IP_MULTICAST_LOOP.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket(|s| s.options.loop_v4)
    }

    /// Sets IP_MULTICAST_LOOP, on at first: whether this machine hears what the socket sends to groups that it is in.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.socket(|s| s.options.loop_v4 = on)
    }

    /// IPV6_MULTICAST_LOOP.
    ///
    /// # Errors
    /// `EOPNOTSUPP` on an IPv4 socket.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket(|s| if s.local.is_ipv4() { None } else { Some(s.options.loop_v6) })?
            .ok_or_else(errno::not_supported)
    }

    /// Sets IPV6_MULTICAST_LOOP, on at first.
    ///
    /// # Errors
    /// `ENOPROTOOPT` on an IPv4 socket.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        if self.local_addr()?.is_ipv4() {
            return Err(errno::no_protocol_option());
        }
        self.socket(|s| s.options.loop_v6 = on)
    }

    /// Joins a group on the interface with an address: unspecified or one of the node's own for the network, loopback for
    /// loopback. What members of the sender's zone send to it arrives from then on, at every socket of the node that is
    /// bound to the port.
    ///
    /// # Errors
    /// `EINVAL` for an address that is no group, `ENODEV` for an interface that there is not, `AddrInUse` when the socket
    /// is in the group already, `ENOBUFS` when it is in 20.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.handle.op(|net, k, key| net.join_v4(k, key, multiaddr, interface))
    }

    /// Leaves a group, as closing the socket does.
    ///
    /// # Errors
    /// As [`UdpSocket::join_multicast_v4`]; `AddrNotAvailable` when the socket is not in the group.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.handle.op(|net, k, key| net.leave_v4(k, key, multiaddr, interface))
    }

    /// Joins a group on an interface: 0 or 2 for the network, 1 for loopback.
    ///
    /// # Errors
    /// As [`UdpSocket::join_multicast_v4`], without `ENOBUFS`; `ENOPROTOOPT` on an IPv4 socket.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.handle.op(|net, _, key| net.join_v6(key, *multiaddr, interface))
    }

    /// Leaves a group, as closing the socket does.
    ///
    /// # Errors
    /// As [`UdpSocket::join_multicast_v6`]; `AddrNotAvailable` when the socket is not in the group.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.handle.op(|net, _, key| net.leave_v6(key, *multiaddr, interface))
    }

    fn set_checked(&self, allowed: bool, set: impl FnOnce(&mut Options)) -> io::Result<()> {
        if !allowed {
            return Err(errno::invalid_argument());
        }
        self.socket(|s| set(&mut s.options))
    }
}
