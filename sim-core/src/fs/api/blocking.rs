//! The form that does not wait, with the names of `std::fs`: for libraries that do blocking I/O inside of a task, such as a
//! storage engine behind a trait that is not asynchronous.
//!
//! A call takes effect at once and returns. The time that it takes is charged to the task: its next poll comes when all the
//! calls of this one are paid for, and the device is occupied meanwhile. What the task sends before it waits leaves at the
//! beginning, not at the end, of that time. After a power cut in the middle of a call that call and every later one fail.
//!
//! ```
//! # use sim_core::{Config, run, time::{Instant, Duration}};
//! # let outcome = run(Config::seed(1), |sim| async move {
//! # sim.node("store").spawn(async {
//! use sim_core::fs::blocking::File;
//! let start = Instant::now();
//! let file = File::create("/table")?;
//! file.write_all_at(b"row", 0)?;
//! file.sync_data()?;
//! sim_core::yield_now().await;
//! assert!(start.elapsed() > Duration::from_micros(500), "a flush takes its time");
//! # std::io::Result::Ok(())
//! # }).await.unwrap().unwrap();
//! # });
//! # outcome.result.unwrap();
//! ```

use super::file::try_lock;
use super::functions::bytes;
use super::metadata::Metadata;
use super::options::OpenOptions;
use crate::fs::call::block;
use crate::fs::kernel::device::Work;
use crate::fs::kernel::{At, Durability, Volume};
use crate::fs::lock::Held;
use crate::fs::open::{Flags, Handle};
use std::fs::TryLockError;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// An open file, as `std::fs::File`.
///
/// # Panics
/// Its methods panic outside of the simulation that opened it.
#[derive(Debug)]
pub struct File {
    handle: Handle,
    flags: Flags,
}

impl File {
    pub(super) fn new(handle: Handle, flags: Flags) -> Self {
        File { handle, flags }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open_blocking(path)
    }

    /// Opens a file for writing: it is made, or cut to nothing.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open_blocking(path)
    }

    /// The same as [`OpenOptions::new`], whose `open_blocking` gives a file of this kind.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// fsync(2)
    ///
    /// # Errors
    /// As of [`File::sync_all`](crate::fs::File::sync_all).
    pub fn sync_all(&self) -> io::Result<()> {
        self.handle.op(|fs, k, key| fs.sync_at_once(k, key, Durability::Everything))
    }

    /// fdatasync(2)
    ///
    /// # Errors
    /// As of [`File::sync_all`](crate::fs::File::sync_all).
    pub fn sync_data(&self) -> io::Result<()> {
        self.handle.op(|fs, k, key| fs.sync_at_once(k, key, Durability::Data))
    }

    /// ftruncate(2)
    ///
    /// # Errors
    /// As of [`File::set_len`](crate::fs::File::set_len).
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        let key = self.handle.key();
        block(|fs, k| Ok((fs.set_len(k, key, size)?, Work::Call(0))))
    }

    /// fstat(2)
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let key = self.handle.key();
        block(|fs, k| {
            let (node, ino) = fs.description(k, key).map(|d| (d.node, d.ino))?;
            Ok((Metadata::of(fs.volume(k, node), ino), Work::Call(0)))
        })
    }

    /// Another handle of the same open file.
    ///
    /// # Errors
    /// `EBADF` when its process is gone.
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(File::new(self.handle.duplicate()?, self.flags))
    }

    /// pread(2)
    ///
    /// # Errors
    /// As of [`File::read`](crate::fs::File::read).
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let key = self.handle.key();
        block(|fs, k| fs.read(k, key, Some(offset), buffer))
    }

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// Those of [`File::read_at`], and `UnexpectedEof`.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64)? {
                0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "failed to fill whole buffer")),
                n => done += n,
            }
        }
        Ok(())
    }

    /// pwrite(2)
    ///
    /// # Errors
    /// As of [`File::write`](crate::fs::File::write).
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.write_piece(bytes, Some(offset))
    }

    fn write_piece(&self, bytes: &[u8], offset: Option<u64>) -> io::Result<usize> {
        let key = self.handle.key();
        let written = block(|fs, k| fs.write(k, key, offset, bytes))?;
        if self.flags.sync {
            self.sync_data()?;
        }
        Ok(written)
    }

    /// Writes all of it at an offset.
    ///
    /// # Errors
    /// Those of [`File::write_at`]; a part may have been written then.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            done += self.write_at(&bytes[done..], offset + done as u64)?;
        }
        Ok(())
    }

    /// Locks the file for this handle and its clones alone, if nobody else has it locked. There is no `lock`: a call that
    /// cannot wait cannot wait for another task.
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
    pub fn unlock(&self) -> io::Result<()> {
        self.handle.op(|fs, k, key| fs.unlock(k, key))
    }
}

impl Read for &File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let key = self.handle.key();
        block(|fs, k| fs.read(k, key, None, buffer))
    }
}

impl Write for &File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_piece(bytes, None)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let key = self.handle.key();
        block(|fs, k| Ok((fs.seek(k, key, to)?, Work::Call(0))))
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self).seek(to)
    }
}

fn on_volume<R>(f: impl FnOnce(&mut Volume, At) -> io::Result<R>) -> io::Result<R> {
    block(|fs, k| {
        let (volume, at, _) = fs.here(k)?;
        Ok((f(volume, at)?, Work::Call(0)))
    })
}

/// The whole content of a file.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// Makes a file, or cuts it to nothing, and writes its content.
///
/// # Errors
/// Those of open(2) and write(2).
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path)?.write_all(contents.as_ref())
}

/// rename(2)
///
/// # Errors
/// Those of the man page.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    block(|fs, k| Ok((fs.rename(k, bytes(&from), bytes(&to))?, Work::Call(0))))
}

/// unlink(2)
///
/// # Errors
/// Those of the man page.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    on_volume(|volume, at| volume.unlink(at, bytes(&path)))
}

/// mkdir(2)
///
/// # Errors
/// Those of the man page.
pub fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    on_volume(|volume, at| volume.make_dir(at, bytes(&path), 0o755).map(drop))
}

/// stat(2)
///
/// # Errors
/// Those of the man page.
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    on_volume(|volume, _| Ok(Metadata::of(volume, volume.lookup(bytes(&path), true)?)))
}
