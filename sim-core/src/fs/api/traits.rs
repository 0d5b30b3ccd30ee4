//! The I/O traits of `futures`. A poll that has to wait has taken effect already; its result is kept for the next one.

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

    /// Waits for what is under way, and forgets it.
    pub(super) fn poll_land(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.poll_flight(cx).map(drop)
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
                        let back = -((bytes.len() - n) as i64);
                        self.handle.op(|fs, k, key| fs.seek(k, key, SeekFrom::Current(back)))?;
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
                Some(Ok(_)) | None => {}
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
                Some(Ok(_)) | None => {}
            }
            let key = self.handle.key();
            let (sought, pace) = start(|fs, k| Ok((fs.seek(k, key, to)?, Work::Call(0))));
            self.flight = Some(Flight::new((sought.map(Outcome::Position), pace)));
        }
    }
}
