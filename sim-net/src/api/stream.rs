//! A TCP connection.

use super::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, owned_halves};
use crate::dns::{ToSocketAddrs, nothing, resolve};
use crate::errno;
use crate::handle::{Handle, Side, Wait};
use crate::network::{Net, op};
use crate::readiness::{Interest, POLLED, Ready, Source, Watch};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};
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
    handle: Handle,
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.handle.on_drop(|net, k, key| net.let_go(k, key));
    }
}

impl Watch for TcpStream {
    fn source(&self) -> Source {
        Source::Stream(self.handle.key())
    }
}

impl TcpStream {
    pub(super) fn new(k: &Kernel, key: Key) -> Self {
        TcpStream { handle: Handle::new(k, key) }
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// That of the last address: `ConnectionRefused` when nothing listens, `TimedOut` after 127 s of silence (SYNs at
    /// 0, 1, 3, 7, 15, 31 and 63 s, tcp(7)), `HostUnreachable` when no machine has it; those of [`crate::lookup_host`].
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let addresses = resolve(&addr)?;
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
        Wait::new(&self.handle, Side::Write, |net: &mut Net, _: &mut Kernel, key| net.connected(key)).await
    }

    // ---- what the halves share ----

    #[inline]
    pub(super) fn read_some<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        Wait::new(&self.handle, Side::Read, |net: &mut Net, k: &mut Kernel, key| net.read(k, key, buf))
    }

    #[inline]
    pub(super) fn write_some<'a>(&'a self, buf: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        Wait::new(&self.handle, Side::Write, |net: &mut Net, k: &mut Kernel, key| net.write(k, key, buf))
    }

    /// Reads until `buf` is full, as one wait.
    #[inline]
    pub(super) fn read_whole<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut filled = 0;
        let read = move |net: &mut Net, k: &mut Kernel, key| {
            while filled < buf.len() {
                match net.read(k, key, &mut buf[filled..]) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "early eof")));
                    }
                    Poll::Ready(Ok(n)) => filled += n,
                    other => return other,
                }
            }
            Poll::Ready(Ok(filled))
        };
        Wait::new(&self.handle, Side::Read, read)
    }

    /// Writes until `buf` is empty, as one wait.
    #[inline]
    pub(super) fn write_whole<'a>(&'a self, mut buf: &'a [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        let write = move |net: &mut Net, k: &mut Kernel, key| {
            while !buf.is_empty() {
                match net.write(k, key, buf) {
                    Poll::Ready(Ok(n)) => buf = &buf[n..],
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        };
        Wait::new(&self.handle, Side::Write, write)
    }

    pub(super) async fn peek_some(&self, buf: &mut [u8]) -> io::Result<usize> {
        Wait::new(&self.handle, Side::Read, |net: &mut Net, k: &mut Kernel, key| net.peek(k, key, buf)).await
    }

    /// Waits for any readiness of `interest`.
    pub(super) async fn ready_for(&self, interest: Interest) -> io::Result<Ready> {
        // One list suffices for the wait itself: each change of one direction wakes both when both are asked for.
        let both = interest.is_readable() && interest.is_writable();
        let mut ready = move |net: &mut Net, k: &mut Kernel, key| {
            let Some(ready) = net.ready(k, Source::Stream(key), interest) else {
                return Poll::Ready(Err(errno::bad_descriptor()));
            };
            match interest.mask(ready) {
                none if none.is_empty() => Poll::Pending,
                some => Poll::Ready(Ok(some)),
            }
        };
        if !both {
            let side = if interest.is_writable() { Side::Write } else { Side::Read };
            return Wait::new(&self.handle, side, ready).await;
        }
        let mut read = std::pin::pin!(Wait::new(&self.handle, Side::Read, ready));
        let mut write = std::pin::pin!(Wait::new(&self.handle, Side::Write, &mut ready));
        std::future::poll_fn(|cx| match read.as_mut().poll(cx) {
            Poll::Ready(r) => Poll::Ready(r),
            Poll::Pending => write.as_mut().poll(cx),
        })
        .await
    }

    pub(super) fn try_read_some(&self, buf: &mut [u8]) -> io::Result<usize> {
        not_waiting(self.handle.op(|net, k, key| net.read(k, key, buf)))
    }

    pub(super) fn try_write_some(&self, buf: &[u8]) -> io::Result<usize> {
        not_waiting(self.handle.op(|net, k, key| net.write(k, key, buf)))
    }

    #[inline]
    pub(super) fn poll_read_some(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.handle.op(|net, k, key| {
            let read = net.read(k, key, buf);
            if read.is_pending() {
                net.wait(Side::Read, key, &mut { POLLED }, cx);
            }
            read
        })
    }

    #[inline]
    pub(super) fn poll_write_some(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.handle.op(|net, k, key| {
            let written = net.write(k, key, buf);
            if written.is_pending() {
                net.wait(Side::Write, key, &mut { POLLED }, cx);
            }
            written
        })
    }

    pub(super) fn on_drop(&self, f: impl FnOnce(&mut Net, &mut Kernel, Key)) {
        self.handle.on_drop(f);
    }

    pub(super) fn shut(&self, how: Shutdown) -> io::Result<()> {
        self.handle.op(|net, k, key| net.shutdown(k, key, how))
    }

    // ---- addresses and options ----

    /// The address of the peer.
    ///
    /// # Errors
    /// `ENOTCONN` when the connection is over.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.handle.op(|net, _, key| net.peer_addr(key))
    }

    /// The address of this end.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.local))
    }

    /// The pending error, told once: SO_ERROR.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.take_fault()))
    }

    /// Whether small segments leave at once: TCP_NODELAY. It is kept; segments here always leave at once.
    ///
    /// # Errors
    /// Here and below: `EBADF` when its process is dead.
    #[track_caller]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.options.nodelay))
    }

    /// Sets TCP_NODELAY.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.options.nodelay = nodelay))
    }

    /// SO_LINGER.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.options.linger))
    }

    /// Sets SO_LINGER. Zero makes dropping the stream a reset; longer times change nothing, since a drop must not block.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.options.linger = linger))
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
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.options.ttl))
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
        self.handle.op(|net, _, key| net.stream(key).map(|s| s.cold.options.ttl = ttl))
    }

    /// Switches SO_KEEPALIVE on with these parameters (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT), or off with `None`.
    /// What `socket2::SockRef::set_tcp_keepalive` does on a real stream.
    #[expect(clippy::missing_errors_doc, reason = "said above")]
    #[track_caller]
    pub fn set_keepalive(&self, keepalive: Option<(Duration, Duration, u32)>) -> io::Result<()> {
        self.handle.op(|net, k, key| net.set_keepalive(k, key, keepalive))
    }

    // ---- splitting ----

    /// Two halves that borrow the stream.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that share the stream. Dropping the write half shuts the write direction down.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        owned_halves(self)
    }

    /// Waits until one of what `interest` asks for would not wait. It may say so of what then does wait, as in tokio.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.ready_for(interest).await
    }

    fn stream(&self) -> &TcpStream {
        self
    }
}

/// What a non-blocking call returns.
pub(super) fn not_waiting<T>(result: Poll<io::Result<T>>) -> io::Result<T> {
    match result {
        Poll::Ready(result) => result,
        Poll::Pending => Err(errno::would_block()),
    }
}

super::split::readable!(TcpStream);
super::split::writable!(TcpStream);
super::split::peekable!(TcpStream, self: &Self);

impl TcpStream {
    /// Whether a read would not wait; else the task of `cx` is woken when it would not. Only the last caller is.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Interest::READABLE, Side::Read)
    }

    /// Whether a write would not wait; else the task of `cx` is woken when it would not. Only the last caller is.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Interest::WRITABLE, Side::Write)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest, side: Side) -> Poll<io::Result<()>> {
        self.handle.op(|net, k, key| match net.ready(k, Source::Stream(key), interest) {
            None => Poll::Ready(Err(errno::bad_descriptor())),
            Some(ready) if !interest.mask(ready).is_empty() => Poll::Ready(Ok(())),
            Some(_) => {
                net.wait(side, key, &mut { POLLED }, cx);
                Poll::Pending
            }
        })
    }
}
