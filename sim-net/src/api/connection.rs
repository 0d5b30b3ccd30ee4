//! What the streams of every kind share: waiting reads and writes, and those that do not wait.

use crate::errno;
use crate::handle::{Handle, Side, Wait};
use crate::network::Net;
use crate::readiness::{Interest, POLLED, Ready, Source};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::Shutdown;
use std::task::{Context, Poll};

/// The operations of the kernel behind a kind of byte stream.
pub(crate) trait Transport {
    /// Who waits for data, and who waits for room.
    type Readers: Side;
    type Writers: Side;

    fn source(key: Key) -> Source;
    fn read(net: &mut Net, k: &mut Kernel, key: Key, buf: &mut [u8]) -> Poll<io::Result<usize>>;
    fn write(net: &mut Net, k: &mut Kernel, key: Key, data: &[u8]) -> Poll<io::Result<usize>>;
    fn shutdown(net: &mut Net, k: &mut Kernel, key: Key, how: Shutdown) -> io::Result<()>;
    /// The last handle is dropped.
    fn let_go(net: &mut Net, k: &mut Kernel, key: Key);
}

/// One end of a byte stream.
pub(crate) struct Connection<T: Transport> {
    handle: Handle,
    transport: PhantomData<T>,
}

impl<T: Transport> Drop for Connection<T> {
    fn drop(&mut self) {
        self.handle.on_drop(T::let_go);
    }
}

impl<T: Transport> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

// The methods of the hot path return their futures instead of being `async`: a state machine around each would be moved
// with it.
impl<T: Transport> Connection<T> {
    pub fn new(k: &Kernel, key: Key) -> Self {
        Connection { handle: Handle::new(k, key), transport: PhantomData }
    }

    /// Runs an operation on the socket.
    #[inline]
    #[track_caller]
    pub fn op<R>(&self, f: impl FnOnce(&mut Net, &mut Kernel, Key) -> R) -> R {
        self.handle.op(f)
    }

    /// Tries an operation until it does not have to wait.
    #[inline]
    pub fn wait<'a, S: Side, R, F>(&'a self, operation: F) -> Wait<'a, S, F>
    where
        F: FnMut(&mut Net, &mut Kernel, Key) -> Poll<R> + Unpin,
    {
        Wait::new(&self.handle, operation)
    }

    pub fn source(&self) -> Source {
        T::source(self.handle.key())
    }

    #[inline]
    pub fn read_some<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.wait::<T::Readers, _, _>(|net: &mut Net, k: &mut Kernel, key| T::read(net, k, key, buf))
    }

    #[inline]
    pub fn write_some<'a>(&'a self, buf: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.wait::<T::Writers, _, _>(|net: &mut Net, k: &mut Kernel, key| T::write(net, k, key, buf))
    }

    /// Reads until `buf` is full, as one wait.
    #[inline]
    pub fn read_whole<'a>(&'a self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        let mut filled = 0;
        let read = move |net: &mut Net, k: &mut Kernel, key| {
            while filled < buf.len() {
                match T::read(net, k, key, &mut buf[filled..]) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "early eof")));
                    }
                    Poll::Ready(Ok(n)) => filled += n,
                    other => return other,
                }
            }
            Poll::Ready(Ok(filled))
        };
        self.wait::<T::Readers, _, _>(read)
    }

    /// Writes until `buf` is empty, as one wait.
    #[inline]
    pub fn write_whole<'a>(&'a self, mut buf: &'a [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        let write = move |net: &mut Net, k: &mut Kernel, key| {
            while !buf.is_empty() {
                match T::write(net, k, key, buf) {
                    Poll::Ready(Ok(n)) => buf = &buf[n..],
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        };
        self.wait::<T::Writers, _, _>(write)
    }

    /// Waits for any readiness of `interest`.
    pub async fn ready_for(&self, interest: Interest) -> io::Result<Ready> {
        ready_for::<T::Readers, T::Writers>(&self.handle, T::source, interest).await
    }

    #[track_caller]
    pub fn try_read_some(&self, buf: &mut [u8]) -> io::Result<usize> {
        not_waiting(self.op(|net, k, key| T::read(net, k, key, buf)))
    }

    #[track_caller]
    pub fn try_write_some(&self, buf: &[u8]) -> io::Result<usize> {
        not_waiting(self.op(|net, k, key| T::write(net, k, key, buf)))
    }

    #[inline]
    pub fn poll_read_some(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.op(|net, k, key| {
            let read = T::read(net, k, key, buf);
            if read.is_pending() {
                net.wait::<T::Readers>(key, &mut { POLLED }, cx);
            }
            read
        })
    }

    #[inline]
    pub fn poll_write_some(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.op(|net, k, key| {
            let written = T::write(net, k, key, buf);
            if written.is_pending() {
                net.wait::<T::Writers>(key, &mut { POLLED }, cx);
            }
            written
        })
    }

    /// Whether a read (`READABLE`) or a write would not wait; else the task of `cx` is woken when it would not.
    pub fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        self.op(|net, k, key| match net.ready(k, T::source(key), interest) {
            None => Poll::Ready(Err(errno::bad_descriptor())),
            Some(ready) if !interest.mask(ready).is_empty() => Poll::Ready(Ok(())),
            Some(_) => {
                match interest.is_writable() {
                    true => net.wait::<T::Writers>(key, &mut { POLLED }, cx),
                    false => net.wait::<T::Readers>(key, &mut { POLLED }, cx),
                }
                Poll::Pending
            }
        })
    }

    #[track_caller]
    pub fn shut(&self, how: Shutdown) -> io::Result<()> {
        self.op(|net, k, key| T::shutdown(net, k, key, how))
    }

    /// What dropping the writing half does. The stream may be gone, and its world too.
    pub fn shut_on_drop(&self) {
        self.handle.on_drop(|net, k, key| {
            if k.actor().is_some() {
                let _ = T::shutdown(net, k, key, Shutdown::Write);
            }
        });
    }
}

/// Waits for any readiness of `interest` of a socket whose two directions have lists of their own.
pub(crate) async fn ready_for<Readers: Side, Writers: Side>(
    handle: &Handle,
    source: fn(Key) -> Source,
    interest: Interest,
) -> io::Result<Ready> {
    let mut ready = move |net: &mut Net, k: &mut Kernel, key| {
        let Some(ready) = net.ready(k, source(key), interest) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        match interest.mask(ready) {
            none if none.is_empty() => Poll::Pending,
            some => Poll::Ready(Ok(some)),
        }
    };
    // One list suffices unless both directions are asked for.
    if !(interest.is_readable() && interest.is_writable()) {
        return match interest.is_writable() {
            true => Wait::<Writers, _>::new(handle, ready).await,
            false => Wait::<Readers, _>::new(handle, ready).await,
        };
    }
    let mut read = std::pin::pin!(Wait::<Readers, _>::new(handle, ready));
    let mut write = std::pin::pin!(Wait::<Writers, _>::new(handle, &mut ready));
    std::future::poll_fn(|cx| match read.as_mut().poll(cx) {
        Poll::Ready(r) => Poll::Ready(r),
        Poll::Pending => write.as_mut().poll(cx),
    })
    .await
}

/// What a non-blocking call returns.
pub(crate) fn not_waiting<T>(result: Poll<io::Result<T>>) -> io::Result<T> {
    match result {
        Poll::Ready(result) => result,
        Poll::Pending => Err(errno::would_block()),
    }
}
