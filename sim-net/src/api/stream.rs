//! A TCP connection.

use super::connection::{Connection, Transport};
use super::tcp_halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, owned_halves};
use crate::dns::{ToSocketAddrs, nothing, resolve};
use crate::errno;
use crate::handle::{Readers, Writers};
use crate::network::{Net, op};
use crate::readiness::{Source, Watch};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::task::Poll;
use std::time::Duration;

/// A TCP connection: tokio's `TcpStream`.
///
/// Dropping it closes it as close(2) does: what was written drains, then a FIN; a reset if unread data was there.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use sim_net::{TcpListener, TcpStream};
///
/// sim.node("server").run(|| async {
///     let listener = TcpListener::bind("0.0.0.0:7").await?;
///     loop {
///         let (mut stream, _) = listener.accept().await?;
///         let mut byte = [0; 5];
///         stream.read_exact(&mut byte).await?;
///         stream.write_all(&byte).await?;
///     }
///     # #[allow(unreachable_code)]
///     std::io::Result::Ok(())
/// });
/// sim_core::time::sleep(std::time::Duration::from_millis(1)).await;
/// let mut stream = TcpStream::connect("server:7").await?;
/// stream.write_all(b"hello").await?;
/// let mut echo = String::new();
/// stream.read_to_string(&mut echo).await?;
/// assert_eq!(echo, "hello");
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    connection: Connection<Tcp>,
}

/// The kernel's side of a [`TcpStream`].
pub(super) struct Tcp;

impl Transport for Tcp {
    type Readers = Readers;
    type Writers = Writers;

    #[inline]
    fn source(key: Key) -> Source {
        Source::Stream(key)
    }

    #[inline]
    fn read(net: &mut Net, k: &mut Kernel, key: Key, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        net.read(k, key, buf)
    }

    #[inline]
    fn write(net: &mut Net, k: &mut Kernel, key: Key, data: &[u8]) -> Poll<io::Result<usize>> {
        net.write(k, key, data)
    }

    fn shutdown(net: &mut Net, k: &mut Kernel, key: Key, how: Shutdown) -> io::Result<()> {
        net.shutdown(k, key, how)
    }

    fn let_go(net: &mut Net, k: &mut Kernel, key: Key) {
        net.let_go(k, key);
    }
}

impl Watch for TcpStream {
    fn source(&self) -> Source {
        self.connection.source()
    }
}

impl TcpStream {
    pub(super) fn new(k: &Kernel, key: Key) -> Self {
        TcpStream { connection: Connection::new(k, key) }
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// That of the last address: `ConnectionRefused` when nothing listens, `TimedOut` after 127 s of silence (SYNs at
    /// 0, 1, 3, 7, 15, 31 and 63 s, tcp(7)), `HostUnreachable` when no machine has it; those of [`crate::lookup_host`].
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let addresses = resolve(&addr).answered().await?;
        let mut last = None;
        for &remote in addresses.iter() {
            match Self::connect_to(remote).await {
                Ok(stream) => return Ok(stream),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(nothing))
    }

    async fn connect_to(remote: SocketAddr) -> io::Result<TcpStream> {
        let stream = op(|net, k| net.connect(k, None, remote).map(|key| TcpStream::new(k, key)))?;
        stream.connected().await?;
        Ok(stream)
    }

    pub(super) async fn connected(&self) -> io::Result<()> {
        self.connection.wait::<Writers, _, _>(|net: &mut Net, _: &mut Kernel, key| net.connected(key)).await
    }

    // ---- addresses and options ----

    /// The address of the peer.
    ///
    /// # Errors
    /// `ENOTCONN` when the connection is over.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.op(|net, _, key| net.peer_addr(key))
    }

    /// The address of this end.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.local))
    }

    /// The pending error, told once: SO_ERROR.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.take_fault()))
    }

    /// Whether small segments leave at once: TCP_NODELAY. It is kept; segments here always leave at once.
    ///
    /// # Errors
    /// Here and below: `EBADF` when its process is dead.
    #[track_caller]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.options.nodelay))
    }

    /// Sets TCP_NODELAY.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.options.nodelay = nodelay))
    }

    /// SO_LINGER.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.options.linger))
    }

    /// Sets SO_LINGER. Zero makes dropping the stream a reset; longer times change nothing, since a drop must not block.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.options.linger = linger))
    }

    /// `set_linger(Some(Duration::ZERO))`.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// IP_TTL.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn ttl(&self) -> io::Result<u32> {
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.options.ttl))
    }

    /// Sets IP_TTL, 1 to 255.
    ///
    /// # Errors
    /// `EINVAL` for another value.
    #[track_caller]
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        if !(1..=255).contains(&ttl) {
            return Err(errno::invalid_argument());
        }
        self.connection.op(|net, _, key| net.stream(key).map(|s| s.cold.options.ttl = ttl))
    }

    /// Switches SO_KEEPALIVE on with these parameters (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT), or off with `None`.
    /// What `socket2::SockRef::set_tcp_keepalive` does on a real stream.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_keepalive(&self, keepalive: Option<(Duration, Duration, u32)>) -> io::Result<()> {
        self.connection.op(|net, k, key| net.set_keepalive(k, key, keepalive))
    }

    pub(super) fn stream(&self) -> &Connection<Tcp> {
        &self.connection
    }

    /// Reads what is there, at least a byte, and leaves it there; 0 is the end of the stream. Cancel-safe.
    ///
    /// # Errors
    /// As [`TcpStream::read`].
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.connection
            .wait::<Readers, _, _>(|net: &mut Net, k: &mut Kernel, key| net.peek(k, key, buf))
            .await
    }
}

super::split::readable!(TcpStream);
super::split::writable!(TcpStream);
super::split::whole!(TcpStream);
