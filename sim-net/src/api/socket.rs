//! A TCP socket before it listens or connects.

use super::{TcpListener, TcpStream};
use crate::handle::Handle;
use crate::network::op;
use crate::tcp::Options;
use crate::{errno, route};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// A TCP socket that neither listens nor is connected yet, to set options: tokio's `TcpSocket`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// let socket = sim_net::TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.bind("0.0.0.0:80".parse().unwrap())?;
/// let listener = socket.listen(16)?;
/// assert_eq!(listener.local_addr()?.port(), 80);
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    handle: Handle,
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        self.handle.on_drop(|net, _, key| net.close_bound(key));
    }
}

#[expect(clippy::missing_errors_doc, reason = "`EBADF` when its process is dead, unless said otherwise")]
impl TcpSocket {
    /// A socket for IPv4.
    pub fn new_v4() -> io::Result<TcpSocket> {
        Self::new(false)
    }

    /// A socket for IPv6, which takes IPv4 too.
    pub fn new_v6() -> io::Result<TcpSocket> {
        Self::new(true)
    }

    fn new(v6: bool) -> io::Result<TcpSocket> {
        op(|net, k| net.tcp_socket(k, v6).map(|key| TcpSocket { handle: Handle::new(k, key) }))
    }

    fn option<T>(&self, f: impl FnOnce(&mut Options) -> T) -> io::Result<T> {
        self.handle.op(|net, _, key| net.bound(key).map(|b| f(&mut b.options)))
    }

    /// SO_REUSEADDR.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.option(|o| o.reuse_address = reuseaddr)
    }

    /// SO_REUSEADDR.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.option(|o| o.reuse_address)
    }

    /// SO_KEEPALIVE, after 7200 s of silence unless [`TcpStream::set_keepalive`] says otherwise.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.option(|o| o.keepalive = keepalive)
    }

    /// SO_KEEPALIVE.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.option(|o| o.keepalive)
    }

    /// SO_SNDBUF, bytes; the kernel doubles it and keeps it between 4608 and 425984, socket(7).
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.option(|o| o.set_send_buffer(size))
    }

    /// SO_SNDBUF, as the kernel keeps it, bytes.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.option(|o| o.send_buffer as u32)
    }

    /// SO_RCVBUF, bytes; the kernel doubles it and keeps it between 2304 and 425984, socket(7).
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.option(|o| o.set_receive_buffer(size))
    }

    /// SO_RCVBUF, as the kernel keeps it, bytes.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.option(|o| o.receive_buffer as u32)
    }

    /// TCP_NODELAY.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.option(|o| o.nodelay = nodelay)
    }

    /// TCP_NODELAY.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option(|o| o.nodelay)
    }

    /// SO_LINGER; see [`TcpStream::set_linger`].
    pub fn set_linger(&self, linger: Option<std::time::Duration>) -> io::Result<()> {
        self.option(|o| o.linger = linger)
    }

    /// SO_LINGER.
    pub fn linger(&self) -> io::Result<Option<std::time::Duration>> {
        self.option(|o| o.linger)
    }

    /// IPV6_V6ONLY: a v6 socket leaves v4 alone. (tokio has it through `socket2`.)
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        self.option(|o| o.only_v6 = only_v6)
    }

    /// bind(2); port 0 is a free one.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`, `InvalidInput` when it is bound already, `EAFNOSUPPORT` for the other family.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.handle.op(|net, k, key| net.bind(k, key, addr))
    }

    /// The address that it is bound to; unspecified with port 0 before.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.op(|net, _, key| {
            let socket = net.bound(key)?;
            Ok(socket.local.unwrap_or_else(|| match socket.v6 {
                true => (Ipv6Addr::UNSPECIFIED, 0).into(),
                false => (Ipv4Addr::UNSPECIFIED, 0).into(),
            }))
        })
    }

    /// Connects, from the bound address if there is one.
    ///
    /// # Errors
    /// As [`TcpStream::connect`]; `AddrNotAvailable` when the address that it is bound to cannot reach `addr`.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.handle.op(|net, k, key| {
            if let Some(local) = net.bound(key)?.local
                && local.ip().is_loopback()
                && !addr.ip().is_loopback()
                && route::machine(k, k.here(), addr.ip()) != Some(k.here())
            {
                return Err(errno::invalid_argument());
            }
            net.connect(k, Some(key), addr).map(|stream| TcpStream::new(k, stream))
        })?;
        stream.connected().await?;
        Ok(stream)
    }

    /// Listens. A socket that is not bound gets a free port.
    ///
    /// # Errors
    /// `AddrInUse` when another socket listens on the address.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.handle.op(|net, k, key| net.listen(k, key, backlog).map(|l| TcpListener::new(k, l)))
    }
}
