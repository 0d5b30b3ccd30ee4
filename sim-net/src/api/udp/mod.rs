//! A datagram socket. Here is what waits; `poll` has what does not, `options` what is set.

mod options;
mod poll;

use crate::dns::{Addresses, ToSocketAddrs, address, nothing, resolve};
use crate::errno;
use crate::handle::{Handle, Receivers, Wait};
use crate::network::{Net, op};
use crate::readiness::{Interest, Ready, Source, Watch};
use bytes::BufMut;
use sim_core::kernel::Kernel;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

/// Appends what there is room for in one piece, as a system call would, and says how much.
fn append<B: BufMut>(buf: &mut B, data: &[u8]) -> usize {
    let n = data.len().min(buf.chunk_mut().len());
    buf.put_slice(&data[..n]);
    n
}

/// A UDP socket: tokio's `UdpSocket`.
///
/// Sending never waits. The `poll_` functions take slices where tokio's take its `ReadBuf`. Of tokio's, `from_std`,
/// `into_std`, `try_io`, `async_io`, `tos`, `tos_v4`, `tclass_v6`, `device`, `bind_device` and their setters are not
/// simulated: they need a descriptor, or ask for what no simulated network has. [`UdpSocket::bind_reuse`] and
/// [`UdpSocket::set_dont_fragment`] are what tokio leaves to the crate socket2.
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
    /// Binds to the first address that can be; port 0 is a free one. A group or 255.255.255.255 may be bound to as well:
    /// such a socket hears only what is for that address.
    ///
    /// # Errors
    /// That of the last address: `AddrInUse`, `AddrNotAvailable`.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        Self::bind_one_of(resolve(&addr).answered().await?, false)
    }

    /// As [`UdpSocket::bind`], with SO_REUSEADDR: sockets that all asked for it share an address. Each gets what is
    /// broadcast or for a group; what is for the machine alone goes to the one that was bound last, socket(7).
    ///
    /// # Errors
    /// As [`UdpSocket::bind`].
    pub async fn bind_reuse<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        Self::bind_one_of(resolve(&addr).answered().await?, true)
    }

    fn bind_one_of(addresses: Addresses, reuse: bool) -> io::Result<UdpSocket> {
        let mut last = None;
        for &local in addresses.iter() {
            match op(|net, k| net.bind_udp(k, local, reuse).map(|key| Handle::new(k, key))) {
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
        for &to in resolve(&addr).answered().await?.iter() {
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
    /// `EDESTADDRREQ` without one, `EMSGSIZE` over 65,507 bytes (65,527 over IPv6) or over the MTU with
    /// [`UdpSocket::set_dont_fragment`], `EACCES` for a broadcast without [`UdpSocket::set_broadcast`], and
    /// `ConnectionRefused`, once, when the peer's machine has said that nobody is there.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send(buf)
    }

    /// Sends to the first address of `target`. It never waits; what the network cannot take is lost.
    ///
    /// # Errors
    /// As [`UdpSocket::send`]; those of [`crate::lookup_host`].
    #[inline]
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let to = match address(&target) {
            Some(address) => address,
            None => resolve(&target).answered().await?.first()?,
        };
        self.try_send_to(buf, to)
    }

    /// Waits for a datagram, of which `buf` gets the beginning. Cancel-safe; several tasks may wait.
    ///
    /// # Errors
    /// `ConnectionRefused`, once, on a connected socket whose peer is not there.
    #[inline]
    pub fn recv_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + 'a {
        self.receive(buf, false)
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

    /// As [`UdpSocket::peek_from`], without the sender.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(buf, true).await?.0)
    }

    /// Waits for a datagram and says who sent it; it stays.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.receive(&mut [], true).await?.1)
    }

    /// As [`UdpSocket::recv_from`], into the room that `buf` has.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let receive =
            |net: &mut Net, _: &mut Kernel, key| net.recv_with(key, false, |data| append(buf, data));
        Wait::<Receivers, _>::new(&self.handle, receive).await
    }

    /// As [`UdpSocket::recv`], into the room that `buf` has.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.recv_buf_from(buf).await?.0)
    }

    #[inline]
    fn receive<'a>(
        &'a self,
        buf: &'a mut [u8],
        peek: bool,
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + 'a {
        let receive = move |net: &mut Net, _: &mut Kernel, key| net.recv_from(key, buf, peek);
        Wait::<Receivers, _>::new(&self.handle, receive)
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
}
