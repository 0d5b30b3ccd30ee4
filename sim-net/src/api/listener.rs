//! A socket that listens.

use super::TcpStream;
use super::connection::not_waiting;
use crate::dns::{ToSocketAddrs, nothing, resolve};
use crate::errno;
use crate::handle::{Acceptors, Handle, Wait};
use crate::network::{Net, op};
use crate::readiness::{POLLED, Source, Watch};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A TCP socket that listens: tokio's `TcpListener`.
#[derive(Debug)]
pub struct TcpListener {
    handle: Handle,
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.handle.on_drop(|net, k, key| net.close_listener(k, key));
    }
}

impl Watch for TcpListener {
    fn source(&self) -> Source {
        Source::Listener(self.handle.key())
    }
}

impl TcpListener {
    pub(super) fn new(k: &Kernel, key: Key) -> Self {
        TcpListener { handle: Handle::new(k, key) }
    }

    /// Listens on the first address that can be bound, with SO_REUSEADDR and a backlog of 1024, as tokio does. Port 0
    /// is a free one.
    ///
    /// # Errors
    /// That of the last address: `AddrInUse`, `AddrNotAvailable` for an address of another machine.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let mut last = None;
        for &local in resolve(&addr).answered().await?.iter() {
            match Self::bind_to(local) {
                Ok(listener) => return Ok(listener),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(nothing))
    }

    fn bind_to(local: SocketAddr) -> io::Result<TcpListener> {
        op(|net, k| {
            let socket = net.tcp_socket(k, local.is_ipv6())?;
            net.bound(socket)?.options.reuse_address = true;
            let listener = net.bind(k, socket, local).and_then(|()| net.listen(k, socket, 1024));
            if listener.is_err() {
                net.close_bound(socket);
            }
            listener.map(|key| TcpListener::new(k, key))
        })
    }

    /// Waits for a connection. Cancel-safe; several tasks may wait.
    ///
    /// # Errors
    /// `EBADF` when the process of the listener is dead.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Wait::<Acceptors, _>::new(&self.handle, accept).await
    }

    /// Takes a connection, or has the task of `cx` woken when there is one. Only the last caller is.
    ///
    /// # Errors
    /// As [`TcpListener::accept`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.handle.op(|net, k, key| {
            let accepted = accept(net, k, key);
            if accepted.is_pending() {
                net.wait::<Acceptors>(key, &mut { POLLED }, cx);
            }
            accepted
        })
    }

    /// Takes a connection without waiting. (tokio has it only on the listener of std.)
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        not_waiting(self.handle.op(accept))
    }

    /// Where it listens, with the port that a bind to 0 got.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle
            .op(|net, _, key| net.listeners.get(key).map(|l| l.local).ok_or_else(errno::bad_descriptor))
    }

    /// IP_TTL, which accepted streams inherit.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn ttl(&self) -> io::Result<u32> {
        self.handle
            .op(|net, _, key| net.listeners.get(key).map(|l| l.options.ttl).ok_or_else(errno::bad_descriptor))
    }

    /// Sets IP_TTL, 1 to 255.
    ///
    /// # Errors
    /// `EINVAL` for another value, `EBADF` when its process is dead.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        if !(1..=255).contains(&ttl) {
            return Err(errno::invalid_argument());
        }
        self.handle.op(|net, _, key| {
            let listener = net.listeners.get_mut(key).ok_or_else(errno::bad_descriptor)?;
            listener.options.ttl = ttl;
            Ok(())
        })
    }
}

fn accept(net: &mut Net, k: &mut Kernel, key: Key) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
    net.accept(k, key).map_ok(|(stream, remote)| (TcpStream::new(k, stream), remote))
}
