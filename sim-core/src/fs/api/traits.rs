//! The I/O traits of `futures`, and of tokio (feature `tokio`). A poll that has to wait has taken effect already; its result
//! is kept for the next one.

use super::file::{File, paced};
use crate::fs::call::{Pace, Syncing, start};
use crate::fs::kernel::Durability;
use crate::fs::kernel::device::Work;
use futures::io::{AsyncRead, AsyncSeek, AsyncWrite};
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An operation that has taken effect, and whose end is waited for.
#[derive(Debug)]
pub(super) struct Flight {
    outcome: io::Result<Outcome>,
    pace: Option<Pace>,
    /// The sync that follows a write with `O_SYNC`.
    sync: Option<Syncing>,
}

#[derive(Debug)]
enum Outcome {
    Read(Vec<u8>),
    Written(usize),
    Position(u64),
}

impl Flight {
    fn new((outcome, pace): (io::Result<Outcome>, Option<Pace>)) -> Self {
        Flight { outcome, pace, sync: None }
    }
}

impl File {
    /// Waits for what is under way and gives it.
    fn poll_flight(&mut self, cx: &Context<'_>) -> Poll<Option<io::Result<Outcome>>> {
        let Some(flight) = &mut self.flight else { return Poll::Ready(None) };
        ready!(paced(&mut flight.pace, cx));
        flight.pace = None;
        if let Some(sync) = &mut flight.sync
            && let Err(error) = ready!(sync.poll(cx))
        {
            flight.outcome = Err(error);
        }
        Poll::Ready(self.flight.take().map(|flight| flight.outcome))
    }

    /// Waits for what is under way, and forgets it. What a read has got that nobody came back for is read again.
    pub(super) fn poll_land(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.poll_flight(cx).map(|outcome| self.give_back(outcome))
    }

    fn give_back(&mut self, outcome: Option<io::Result<Outcome>>) {
        if let Some(Ok(Outcome::Read(bytes))) = outcome {
            self.step_back(bytes.len());
        }
    }

    /// Sets the position back before bytes that nobody was given. Who shares the position may have moved it: then it stays
    /// where it cannot go back.
    fn step_back(&self, bytes: usize) {
        let back = SeekFrom::Current(-(bytes as i64));
        let _ = self.handle.op(|fs, k, key| fs.seek(k, key, back));
    }
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match ready!(self.poll_flight(cx)) {
                Some(Ok(Outcome::Read(bytes))) => {
                    let n = bytes.len().min(buffer.len());
                    buffer[..n].copy_from_slice(&bytes[..n]);
                    if n < bytes.len() {
                        // The caller came back with less room: the rest is read again.
                        self.step_back(bytes.len() - n);
                    }
                    return Poll::Ready(Ok(n));
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(_)) | None => {}
            }
            let mut bytes = vec![0; buffer.len()];
            let key = self.handle.key();
            let (read, pace) = start(|fs, k| fs.read(k, key, None, &mut bytes));
            let outcome = read.map(|n| {
                bytes.truncate(n);
                Outcome::Read(bytes)
            });
            self.flight = Some(Flight::new((outcome, pace)));
        }
    }
}

impl AsyncWrite for File {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match ready!(self.poll_flight(cx)) {
                Some(Ok(Outcome::Written(n))) => return Poll::Ready(Ok(n)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                other => self.give_back(other),
            }
            let key = self.handle.key();
            let (written, pace) = start(|fs, k| fs.write(k, key, None, bytes));
            let syncs = self.flags.sync && written.is_ok();
            let mut flight = Flight::new((written.map(Outcome::Written), pace));
            if syncs {
                flight.sync = Some(Syncing::new(&self.handle, Durability::Data)?);
            }
            self.flight = Some(flight);
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_land(cx).map(Ok)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        loop {
            match ready!(self.poll_flight(cx)) {
                Some(Ok(Outcome::Position(position))) => return Poll::Ready(Ok(position)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                other => self.give_back(other),
            }
            self.begin_seek(to);
        }
    }
}

impl File {
    fn begin_seek(&mut self, to: SeekFrom) {
        let key = self.handle.key();
        let (sought, pace) = start(|fs, k| Ok((fs.seek(k, key, to)?, Work::Call(0))));
        self.flight = Some(Flight::new((sought.map(Outcome::Position), pace)));
    }
}

#[cfg(feature = "tokio")]
mod for_tokio {
    use super::{File, Outcome};
    use std::io::{self, SeekFrom};
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};
    use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

    impl AsyncRead for File {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let n = ready!(futures::io::AsyncRead::poll_read(self, cx, buffer.initialize_unfilled()))?;
            buffer.advance(n);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for File {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            futures::io::AsyncWrite::poll_write(self, cx, bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            futures::io::AsyncWrite::poll_flush(self, cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            futures::io::AsyncWrite::poll_close(self, cx)
        }
    }

    impl AsyncSeek for File {
        /// As tokio's file does, it refuses while something else is under way; `seek` waits for that first.
        fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
            if self.flight.is_some() {
                let why = "other file operation is pending, call poll_complete before start_seek";
                return Err(io::Error::other(why));
            }
            self.begin_seek(position);
            Ok(())
        }

        fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
            match ready!(self.poll_flight(cx)) {
                Some(Ok(Outcome::Position(position))) => return Poll::Ready(Ok(position)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                other => self.give_back(other),
            }
            Poll::Ready(self.handle.op(|fs, k, key| fs.seek(k, key, SeekFrom::Current(0))))
        }
    }
}
