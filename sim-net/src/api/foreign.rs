//! The I/O traits of others, for every kind of stream and its halves: tokio's `AsyncRead` and `AsyncWrite` (feature
//! `tokio`), hyper's `Read` and `Write` (feature `hyper`).
//!
//! hyper's are on the streams themselves and not on a wrapper like `TokioIo`: a stream goes into hyper as it is, and one
//! that arrives in a `TokioIo`, because the code was written so, does too.

#[cfg(any(feature = "hyper", feature = "tokio"))]
mod passage {
    use std::cell::Cell;
    use std::io;
    use std::task::Poll;

    /// The most that one read moves, bytes.
    const PIECE: usize = 64 << 10;

    thread_local! {
        /// Where bytes are on their way into memory of a caller that is not initialized: clearing that first would cost
        /// more than the second copy of what was read.
        static PASSAGE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    /// Reads up to `room` bytes with `read`, and hands them to `put`.
    pub(crate) fn read_through(
        room: usize,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut passage = PASSAGE.take();
        let most = room.min(PIECE);
        if passage.len() < most {
            passage.resize(most, 0);
        }
        let read = read(&mut passage[..most]);
        if let Poll::Ready(Ok(n)) = read {
            put(&passage[..n]);
        }
        PASSAGE.set(passage);
        read.map_ok(drop)
    }
}

#[cfg(any(feature = "hyper", feature = "tokio"))]
pub(crate) use passage::read_through;

/// The traits for reading, for what has `stream()`.
macro_rules! foreign_read {
    ($t:ty) => {
        #[cfg(feature = "tokio")]
        impl tokio::io::AsyncRead for $t {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let read = |piece: &mut [u8]| self.stream().poll_read_some(cx, piece);
                $crate::api::foreign::read_through(buf.remaining(), read, |bytes| buf.put_slice(bytes))
            }
        }

        #[cfg(feature = "hyper")]
        impl hyper::rt::Read for $t {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                mut buf: hyper::rt::ReadBufCursor<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let read = |piece: &mut [u8]| self.stream().poll_read_some(cx, piece);
                $crate::api::foreign::read_through(buf.remaining(), read, |bytes| buf.put_slice(bytes))
            }
        }
    };
}

/// The traits for writing, for what has `stream()`. Vectored writes are not offered, so that hyper joins the head of a
/// message and the begin of its body to one write, which is one segment here as `writev` is on a real socket.
macro_rules! foreign_write {
    ($t:ty) => {
        #[cfg(feature = "tokio")]
        $crate::api::foreign::foreign_write!($t, tokio::io::AsyncWrite);
        #[cfg(feature = "hyper")]
        $crate::api::foreign::foreign_write!($t, hyper::rt::Write);
    };
    ($t:ty, $($trait:ident)::+) => {
        impl $($trait)::+ for $t {
            #[inline]
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream().poll_write_some(cx, buf)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.stream().shut(std::net::Shutdown::Write))
            }
        }
    };
}

pub(super) use {foreign_read, foreign_write};
