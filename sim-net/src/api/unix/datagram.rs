//! A Unix datagram socket.

use crate::api::connection::{not_waiting, ready_for};
use crate::errno;
use crate::handle::{Handle, Side, Wait};
use crate::network::{Net, op};
use crate::readiness::{Interest, POLLED, Ready, Source, Watch};
use crate::unix::{Receivers, Senders, SocketAddr};
use sim_core::kernel::Kernel;
use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

/// A Unix datagram socket: tokio's `UnixDatagram`. Nothing is lost or reordered; a sender waits when ten datagrams and
/// one more wait at the receiver (net.unix.max_dgram_qlen).
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_net::UnixDatagram;
///
/// let log = UnixDatagram::bind("/dev/log")?;
/// let program = UnixDatagram::unbound()?;
/// program.send_to(b"started", "/dev/log").await?;
/// let mut buf = [0; 64];
/// let (n, from) = log.recv_from(&mut buf).await?;
/// assert_eq!((&buf[..n], from.is_unnamed()), (&b"started"[..], true));
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    handle: Handle,
}

impl Drop for UnixDatagram {
    fn drop(&mut self) {
        self.handle.on_drop(|net, k, key| net.close_unix_datagram(k, key));
    }
}

impl Watch for UnixDatagram {
    fn source(&self) -> Source {
        Source::UnixDatagram(self.handle.key())
    }
}

impl UnixDatagram {
    /// Binds to a path.
    ///
    /// # Errors
    /// `AddrInUse` when the file is there, even if no socket is behind it any more; `InvalidInput` for a path over 107
    /// bytes or with a zero in it: tokio has abstract names here through [`UnixSocket`](crate::UnixSocket) only.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let address = SocketAddr::from_path(path.as_ref())?;
        let socket = Self::unbound()?;
        socket.bind_to(&address)?;
        Ok(socket)
    }

    #[track_caller]
    pub(super) fn bind_to(&self, address: &SocketAddr) -> io::Result<()> {
        self.handle.op(|net, k, key| net.bind_unix_datagram(k, key, address))
    }

    /// Two sockets that are connected to each other: socketpair(2).
    ///
    /// # Errors
    /// In the destructors of a dead process.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        op(|net, k| {
            let (first, second) = net.unix_datagram_pair(k)?;
            let socket = |key| UnixDatagram { handle: Handle::new(k, key) };
            Ok((socket(first), socket(second)))
        })
    }

    /// A socket without a name.
    ///
    /// # Errors
    /// In the destructors of a dead process.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        op(|net, k| net.unix_datagram(k).map(|key| UnixDatagram { handle: Handle::new(k, key) }))
    }

    /// Fixes the peer: `send` goes there, and others are refused.
    ///
    /// # Errors
    /// `NotFound`, `ConnectionRefused`, `EPROTOTYPE` for a socket of streams, `EPERM` when the other has another peer.
    #[track_caller]
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let address = SocketAddr::from_path(path.as_ref())?;
        self.handle.op(|net, k, key| net.connect_unix_datagram(k, key, &address))
    }

    /// Sends to the peer, when there is room. Cancel-safe.
    ///
    /// # Errors
    /// `NotConnected` without a peer, `ConnectionRefused`, once, when it is gone, `EMSGSIZE` over 212,960 bytes,
    /// `BrokenPipe` after a shutdown of either side.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let send = |net: &mut Net, k: &mut Kernel, key| net.send_unix(k, key, buf, None);
        Wait::<Senders, _>::new(&self.handle, send).await
    }

    /// Sends to a path, when there is room. Cancel-safe.
    ///
    /// # Errors
    /// As [`UnixDatagram::send`] and [`UnixDatagram::connect`].
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        let to = SocketAddr::from_path(target.as_ref())?;
        let send = |net: &mut Net, k: &mut Kernel, key| net.send_unix(k, key, buf, Some(&to));
        Wait::<Senders, _>::new(&self.handle, send).await
    }

    /// Sends to the peer.
    ///
    /// # Errors
    /// As [`UnixDatagram::send`]; `WouldBlock` when there is no room.
    #[track_caller]
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        not_waiting(self.handle.op(|net, k, key| net.send_unix(k, key, buf, None)))
    }

    /// Sends to a path.
    ///
    /// # Errors
    /// As [`UnixDatagram::send_to`]; `WouldBlock` when there is no room.
    #[track_caller]
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        let to = SocketAddr::from_path(target.as_ref())?;
        not_waiting(self.handle.op(|net, k, key| net.send_unix(k, key, buf, Some(&to))))
    }

    /// Sends to the peer, or the task of `cx` is woken when there is room. Only the last caller is.
    ///
    /// # Errors
    /// As [`UnixDatagram::send`].
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll::<Senders, _>(cx, |net, k, key| net.send_unix(k, key, buf, None))
    }

    /// Sends to a path, or the task of `cx` is woken when there is room. Only the last caller is.
    ///
    /// # Errors
    /// As [`UnixDatagram::send_to`].
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        let to = SocketAddr::from_path(target.as_ref())?;
        self.poll::<Senders, _>(cx, |net, k, key| net.send_unix(k, key, buf, Some(&to)))
    }

    /// Waits for a datagram, of which `buf` gets the beginning. Cancel-safe; several tasks may wait.
    ///
    /// # Errors
    /// `ConnectionReset`, once, when the peer turned to another socket and lost what was sent to it.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let receive = |net: &mut Net, k: &mut Kernel, key| net.receive_unix(k, key, buf);
        Wait::<Receivers, _>::new(&self.handle, receive).await
    }

    /// As [`UnixDatagram::recv_from`], without the sender.
    ///
    /// # Errors
    /// As [`UnixDatagram::recv_from`].
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buf).await?.0)
    }

    /// A datagram that is there.
    ///
    /// # Errors
    /// As [`UnixDatagram::recv_from`]; `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        not_waiting(self.handle.op(|net, k, key| net.receive_unix(k, key, buf)))
    }

    /// A datagram that is there.
    ///
    /// # Errors
    /// As [`UnixDatagram::try_recv_from`].
    #[track_caller]
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// A datagram, or the task of `cx` is woken when there is one. Only the last caller is.
    ///
    /// # Errors
    /// As [`UnixDatagram::recv_from`].
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll::<Receivers, _>(cx, |net, k, key| net.receive_unix(k, key, buf))
    }

    /// Waits until a receive would not wait.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(|_| ())
    }

    /// Waits until a send to the peer would not wait.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(|_| ())
    }

    /// Waits until one of what `interest` asks for would not wait.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        ready_for::<Receivers, Senders>(&self.handle, Source::UnixDatagram, interest).await
    }

    /// Whether a receive would not wait; else the task of `cx` is woken when it would not. Only the last caller is.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready::<Receivers>(cx, Interest::READABLE)
    }

    /// Whether a send would not wait; else the task of `cx` is woken when it would not. Only the last caller is.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready::<Senders>(cx, Interest::WRITABLE)
    }

    fn poll_ready<S: Side>(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        self.poll::<S, _>(cx, |net, k, key| match net.ready(k, Source::UnixDatagram(key), interest) {
            None => Poll::Ready(Err(errno::bad_descriptor())),
            Some(ready) if interest.mask(ready).is_empty() => Poll::Pending,
            Some(_) => Poll::Ready(Ok(())),
        })
    }

    fn poll<S: Side, T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut Net, &mut Kernel, sim_core::slab::Key) -> Poll<T>,
    ) -> Poll<T> {
        self.handle.op(|net, k, key| {
            let result = operation(net, k, key);
            if result.is_pending() {
                net.wait::<S>(key, &mut { POLLED }, cx);
            }
            result
        })
    }

    /// Shuts this socket's directions down: sending is `BrokenPipe` from now on, here or at those who send to it.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.handle.op(|net, k, key| net.shutdown_unix_datagram(k, key, how))
    }

    /// The address that it is bound to; unnamed without one.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.op(|net, _, key| net.unix_datagram_addr(key))
    }

    /// The peer.
    ///
    /// # Errors
    /// `NotConnected` without one.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.handle.op(|net, _, key| net.unix_datagram_peer(key))
    }

    /// The pending error, told once: SO_ERROR.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.handle.op(|net, _, key| net.unix_datagram_error(key))
    }
}
