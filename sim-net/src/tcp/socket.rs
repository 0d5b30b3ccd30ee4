//! Sockets that neither listen nor are connected yet: what socket(2) and bind(2) make, with the options that the
//! listener or the connection will have.

use super::options::Options;
use crate::network::Net;
use crate::ports::Holder;
use crate::{errno, route};
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket before `listen` or `connect`.
pub(crate) struct Bound {
    pub node: NodeId,
    pub v6: bool,
    /// Set by bind(2).
    pub local: Option<SocketAddr>,
    pub options: Options,
}

impl Net {
    /// socket(2).
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM` at a limit of the node.
    pub fn tcp_socket(&mut self, k: &mut Kernel, v6: bool) -> io::Result<Key> {
        let node = Net::actor(k)?;
        self.may_open(k, node)?;
        Ok(self.bound.insert(Bound { node, v6, local: None, options: Options::default() }))
    }

    pub fn bound(&mut self, key: Key) -> io::Result<&mut Bound> {
        self.bound.get_mut(key).ok_or_else(errno::bad_descriptor)
    }

    /// bind(2).
    ///
    /// # Errors
    /// `EINVAL` when bound already, `EAFNOSUPPORT` for the other family, `EADDRNOTAVAIL`, `EADDRINUSE`.
    pub fn bind(&mut self, k: &Kernel, key: Key, local: SocketAddr) -> io::Result<()> {
        Net::actor(k)?;
        let socket = self.bound.get_mut(key).ok_or_else(errno::bad_descriptor)?;
        if socket.local.is_some() {
            return Err(errno::invalid_argument());
        }
        if socket.v6 != local.is_ipv6() {
            return Err(errno::family_not_supported());
        }
        route::check_own(k, socket.node, local.ip())?;
        let Options { only_v6, reuse_address, .. } = socket.options;
        let holder = Holder { ip: local.ip(), only_v6, reuse: reuse_address, listening: false, key };
        let port = self.tcp_ports.bind(socket.node, local.port(), k.now(), holder)?;
        socket.local = Some((local.ip(), port).into());
        Ok(())
    }

    /// The address for a socket that was not bound: what listen(2) does implicitly.
    pub fn bind_if_needed(&mut self, k: &Kernel, key: Key) -> io::Result<SocketAddr> {
        let socket = self.bound(key)?;
        if let Some(local) = socket.local {
            return Ok(local);
        }
        let any: IpAddr = if socket.v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.bind(k, key, (any, 0).into())?;
        self.bound(key)?.local.ok_or_else(errno::invalid_argument)
    }

    /// close(2).
    pub fn close_bound(&mut self, key: Key) {
        if let Some(socket) = self.bound.remove(key)
            && let Some(local) = socket.local
        {
            self.tcp_ports.release(socket.node, local.port(), key);
        }
    }
}
