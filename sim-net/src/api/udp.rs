//! A datagram socket.

use super::connection::not_waiting;
use crate::dns::{ToSocketAddrs, nothing, resolve};
use crate::errno;
use crate::handle::{Handle, Receivers, Wait};
use crate::network::{Net, op};
use crate::readiness::{Interest, POLLED, Ready, Source, Watch};
use sim_core::kernel::Kernel;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// A UDP socket: tokio's `UdpSocket`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use sim_net::UdpSocket;
/// let socket = UdpSocket::bind("0.0.0.0:9").await?;
/// sim.node("client").spawn(async {
///     let socket = UdpSocket::bind("0.0.0.0:0").await?;
///     socket.send_to(b"ping", "harness:9").await
/// });
/// let mut buf = [0; 16];
/// let (n, _from) = socket.recv_from(&mut buf).await?;
/// assert_eq!(&buf[..n], b"ping");
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    handle: Handle,
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.handle.on_drop(|net, _, key| net.close_udp(key));
    }
}

impl Watch for UdpSocket {
    fn source(&self) -> Source {
        Source::Udp(self.handle.key())
    }
}

impl UdpSocket {
    /// Binds to the first address that can be; port 0 is a free one.
    ///
    /// # Errors
    /// That of the last address: `AddrInUse`, `AddrNotAvailable`.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let mut last = None;
        for &local in resolve(&addr)?.iter() {
            match op(|net, k| net.bind_udp(k, local).map(|key| Handle::new(k, key))) {
                Ok(handle) => return Ok(UdpSocket { handle }),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(nothing))
    }

    /// Fixes the peer: datagrams from others are ignored, and `send` goes there.
    ///
    /// # Errors
    /// `HostUnreachable`, `NetworkUnreachable`; those of [`crate::lookup_host`].
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let mut last = None;
        for &to in resolve(&addr)?.iter() {
            match self.handle.op(|net, k, key| net.connect_udp(k, key, to)) {
                Ok(()) => return Ok(()),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(nothing))
    }

    /// Sends to the peer of `connect`.
    ///
    /// # Errors
    /// `EDESTADDRREQ` without one, `EMSGSIZE` over 65,507 bytes, and `ConnectionRefused`, once, when the peer's machine
    /// has said that nobody is there.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send(buf)
    }

    /// Sends to the first address of `target`. It never waits; what the network cannot take is lost.
    ///
    /// # Errors
    /// As [`UdpSocket::send`]; those of [`crate::lookup_host`].
    #[inline]
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let to = resolve(&target)?.first()?;
        self.try_send_to(buf, to)
    }

    /// Sends to the peer of `connect`.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    #[track_caller]
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.handle.op(|net, k, key| net.send_to(k, key, buf, None))
    }

    /// Sends to an address.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    #[track_caller]
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.handle.op(|net, k, key| net.send_to(k, key, buf, Some(target)))
    }

    /// Waits for a datagram, of which `buf` gets the beginning. Cancel-safe; several tasks may wait.
    ///
    /// # Errors
    /// `ConnectionRefused`, once, on a connected socket whose peer is not there.
    #[inline]
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, false).await
    }

    /// As [`UdpSocket::recv_from`], without the sender.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(buf, false).await?.0)
    }

    /// As [`UdpSocket::recv_from`], and the datagram stays.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, true).await
    }

    #[inline]
    async fn receive(&self, buf: &mut [u8], peek: bool) -> io::Result<(usize, SocketAddr)> {
        let receive = |net: &mut Net, _: &mut Kernel, key| net.recv_from(key, buf, peek);
        Wait::<Receivers, _>::new(&self.handle, receive).await
    }

    /// A datagram that is there.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        not_waiting(self.handle.op(|net, _, key| net.recv_from(key, buf, false)))
    }

    /// A datagram that is there.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// A datagram, or the task of `cx` is woken when there is one. Only the last caller is.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.handle.op(|net, _, key| {
            let received = net.recv_from(key, buf, false);
            if received.is_pending() {
                net.wait::<Receivers>(key, &mut { POLLED }, cx);
            }
            received
        })
    }

    /// Waits until a receive would not wait.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(|_| ())
    }

    /// Returns at once: sending never waits.
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
        let ready = move |net: &mut Net, k: &mut Kernel, key| match net.ready(k, Source::Udp(key), interest) {
            None => Poll::Ready(Err(errno::bad_descriptor())),
            Some(ready) if interest.mask(ready).is_empty() => Poll::Pending,
            Some(ready) => Poll::Ready(Ok(interest.mask(ready))),
        };
        Wait::<Receivers, _>::new(&self.handle, ready).await
    }

    fn socket<T>(&self, f: impl FnOnce(&mut crate::udp::Socket) -> T) -> io::Result<T> {
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

    /// IP_TTL.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket(|s| s.ttl)
    }

    /// Sets IP_TTL.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket(|s| s.ttl = ttl)
    }
}
