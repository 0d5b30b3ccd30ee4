//! An open file.

use super::metadata::Metadata;
use super::options::OpenOptions;
use super::traits::Flight;
use crate::executor::yield_now;
use crate::fs::call::{Pace, call, start, sync, wait};
use crate::fs::kernel::Durability;
use crate::fs::kernel::device::Work;
use crate::fs::lock::Held;
use crate::fs::open::{Flags, Handle};
use crate::fs::system::op_on_drop;
use crate::slab::Key;
use std::fs::{Permissions, TryLockError};
use std::future::poll_fn;
use std::io::{self, ErrorKind, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::task::Poll;

/// An open file, as `tokio::fs::File`. What tokio has in extension traits is here in the type; the feature `tokio` adds the
/// traits that they extend.
///
/// Unlike tokio's it has no buffer: a write is in the page cache when it returns, and `flush` does nothing. It is closed
/// when it is dropped, and when its process ends: then its calls say `EBADF`.
///
/// # Panics
/// Its methods panic outside of the simulation that opened it.
#[derive(Debug)]
pub struct File {
    pub(super) handle: Handle,
    pub(super) flags: Flags,
    /// What the I/O traits have under way.
    pub(super) flight: Option<Flight>,
}

/// How much is read at once where nobody says how much.
const PIECE: usize = 64 << 10;

impl File {
    pub(super) fn new(handle: Handle, flags: Flags) -> Self {
        File { handle, flags, flight: None }
    }

    /// Opens a file for reading; a directory too, for [`File::sync_all`].
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing: it is made, or cut to nothing.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Makes a file that must not be there, for reading and writing.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).await
    }

    /// The same as [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Makes data and metadata durable (fsync(2)). On a directory: what happened to the names in it. The name of a new file
    /// is not durable before its directory is synced.
    ///
    /// # Errors
    /// `EIO`, once, when writing back has failed since this handle's file was opened or last said so. What could not be
    /// written is not tried again: the next sync succeeds, and the data is in memory only.
    pub async fn sync_all(&self) -> io::Result<()> {
        sync(&self.handle, Durability::Everything).await
    }

    /// Makes data durable, and the metadata that is needed to read it back (fdatasync(2)).
    ///
    /// # Errors
    /// As [`File::sync_all`].
    pub async fn sync_data(&self) -> io::Result<()> {
        sync(&self.handle, Durability::Data).await
    }

    /// Cuts it off, or lets it grow by a hole that reads as zeros (ftruncate(2)).
    ///
    /// # Errors
    /// `EINVAL` when it is not open for writing, `EFBIG` beyond 16 TiB.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        call(|fs, k| Ok((fs.set_len(k, self.handle.key(), size)?, Work::Call(0)))).await
    }

    /// fstat(2)
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        call(|fs, k| {
            let (node, ino) = fs.description(k, self.handle.key()).map(|d| (d.node, d.ino))?;
            Ok((Metadata::of(fs.volume(k, node), ino), Work::Call(0)))
        })
        .await
    }

    /// Sets the mode bits (fchmod(2)).
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        call(|fs, k| {
            let (node, ino) = fs.description(k, self.handle.key()).map(|d| (d.node, d.ino))?;
            let at = crate::fs::system::at(k, node);
            fs.volume(k, node).set_mode(at, ino, permissions.mode());
            Ok(((), Work::Call(0)))
        })
        .await
    }

    /// Another handle of the same open file: they share position and lock (dup(2)).
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn try_clone(&self) -> io::Result<File> {
        Ok(File::new(self.handle.duplicate()?, self.flags))
    }

    /// Ends what the I/O traits have under way.
    async fn land(&mut self) {
        if self.flight.is_some() {
            poll_fn(|cx| self.poll_land(cx)).await;
        }
    }

    /// read(2)
    ///
    /// # Errors
    /// `EBADF` when it is not open for reading or its process is gone, `EISDIR`, `EIO` by a fault.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.land().await;
        let (read, pace) = start(|fs, k| fs.read(k, self.handle.key(), None, buffer));
        // As with tokio's file, who stops waiting has read nothing.
        let unread = Unread { handle: &self.handle, bytes: read.as_ref().copied().unwrap_or(0) };
        wait(pace).await;
        std::mem::forget(unread);
        read
    }

    /// Reads until the buffer is full.
    ///
    /// # Errors
    /// Those of [`File::read`], and `UnexpectedEof`.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read(&mut buffer[done..]).await? {
                0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "early eof")),
                n => done += n,
            }
        }
        Ok(done)
    }

    /// Reads to the end, into what `buffer` has already and beyond; gives how much was read.
    ///
    /// # Errors
    /// Those of [`File::read`].
    pub async fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let before = buffer.len();
        loop {
            let start = buffer.len();
            buffer.resize(start + PIECE, 0);
            let read = self.read(&mut buffer[start..]).await;
            buffer.truncate(start + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                return Ok(buffer.len() - before);
            }
        }
    }

    /// The same as text.
    ///
    /// # Errors
    /// Those of [`File::read`], and `InvalidData` when it is not UTF-8; `buffer` is then as it was.
    pub async fn read_to_string(&mut self, buffer: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).await?;
        let text = String::from_utf8(bytes);
        let text =
            text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))?;
        buffer.push_str(&text);
        Ok(text.len())
    }

    /// write(2)
    ///
    /// # Errors
    /// `EBADF` when it is not open for writing or its process is gone, `ENOSPC`, `EFBIG`, `EIO` by a fault.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.land().await;
        let written = call(|fs, k| fs.write(k, self.handle.key(), None, bytes)).await?;
        self.written().await?;
        Ok(written)
    }

    /// With `O_SYNC` a write is durable when it returns.
    async fn written(&self) -> io::Result<()> {
        if self.flags.sync { self.sync_data().await } else { Ok(()) }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Those of [`File::write`]; a part may have been written then.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let n = self.write(left).await?;
            left = &left[n..];
        }
        Ok(())
    }

    /// Does nothing but end what the I/O traits have under way: there is no buffer. It makes nothing durable.
    ///
    /// # Errors
    /// None.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.land().await;
        Ok(())
    }

    /// The same as [`File::flush`], as tokio has it.
    ///
    /// # Errors
    /// None.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await
    }

    /// Sets the position (lseek(2)); gives it.
    ///
    /// # Errors
    /// `EINVAL` before the start.
    pub async fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.land().await;
        call(|fs, k| Ok((fs.seek(k, self.handle.key(), position)?, Work::Call(0)))).await
    }

    /// Sets the position to the start.
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn rewind(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).await.map(drop)
    }

    /// The position.
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn stream_position(&mut self) -> io::Result<u64> {
        self.seek(SeekFrom::Current(0)).await
    }

    /// Reads at an offset; the position stays (pread(2)).
    ///
    /// # Errors
    /// Those of [`File::read`].
    pub async fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        call(|fs, k| fs.read(k, self.handle.key(), Some(offset), buffer)).await
    }

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// Those of [`File::read`], and `UnexpectedEof`.
    pub async fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64).await? {
                0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "failed to fill whole buffer")),
                n => done += n,
            }
        }
        Ok(())
    }

    /// Writes at an offset; the position stays (pwrite(2)). A file that was opened to append appends, as on Linux.
    ///
    /// # Errors
    /// Those of [`File::write`].
    pub async fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let written = call(|fs, k| fs.write(k, self.handle.key(), Some(offset), bytes)).await?;
        self.written().await?;
        Ok(written)
    }

    /// Writes all of it at an offset.
    ///
    /// # Errors
    /// Those of [`File::write`]; a part may have been written then.
    pub async fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            done += self.write_at(&bytes[done..], offset + done as u64).await?;
        }
        Ok(())
    }

    /// Locks the file for this handle and its clones alone, and waits until nobody else has it locked (flock(2)).
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn lock(&self) -> io::Result<()> {
        self.wait_for_lock(Held::Exclusive).await
    }

    /// Locks the file together with others that lock it so.
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn lock_shared(&self) -> io::Result<()> {
        self.wait_for_lock(Held::Shared).await
    }

    async fn wait_for_lock(&self, wanted: Held) -> io::Result<()> {
        let mut waiting = Waiting { handle: &self.handle, key: self.handle.key(), place: None };
        poll_fn(|cx| {
            waiting.handle.op(|fs, k, key| match fs.try_lock(k, key, wanted) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => {
                    fs.wait_for_lock(k, key, &mut waiting.place, cx.waker());
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await
    }

    /// Locks the file for this handle and its clones alone, if nobody else has it locked.
    ///
    /// # Errors
    /// `WouldBlock` when somebody has.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        try_lock(&self.handle, Held::Exclusive)
    }

    /// Locks the file together with others that lock it so, if nobody has it for himself.
    ///
    /// # Errors
    /// `WouldBlock` when somebody has.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        try_lock(&self.handle, Held::Shared)
    }

    /// Gives the lock up.
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub async fn unlock(&self) -> io::Result<()> {
        self.handle.op(|fs, k, key| fs.unlock(k, key))?;
        yield_now().await;
        Ok(())
    }
}

pub(super) fn try_lock(handle: &Handle, wanted: Held) -> Result<(), TryLockError> {
    match handle.op(|fs, k, key| fs.try_lock(k, key, wanted)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(TryLockError::WouldBlock),
        Err(error) => Err(TryLockError::Error(error)),
    }
}

/// Bytes that have been read, and that nobody has been given yet.
struct Unread<'a> {
    handle: &'a Handle,
    bytes: usize,
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        let (key, back) = (self.handle.key(), SeekFrom::Current(-(self.bytes as i64)));
        op_on_drop(self.handle.world(), |fs, k| {
            // Of a dead process there is no position, and who shares it may have moved it.
            let _ = fs.seek(k, key, back);
        });
    }
}

/// Somebody waits for a lock.
struct Waiting<'a> {
    handle: &'a Handle,
    key: Key,
    place: Option<Key>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            op_on_drop(self.handle.world(), |fs, k| fs.leave_lock(k, self.key, Some(place)));
        }
    }
}

/// What the I/O traits wait for besides their result.
pub(super) fn paced(pace: &mut Option<Pace>, cx: &std::task::Context<'_>) -> Poll<()> {
    match pace {
        Some(pace) => pace.poll(cx),
        None => Poll::Ready(()),
    }
}
