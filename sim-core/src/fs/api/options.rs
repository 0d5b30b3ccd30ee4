//! How files are opened.

use super::File;
use super::blocking;
use crate::fs::call::{block, call};
use crate::fs::kernel::device::Work;
use crate::fs::open::{Flags, Handle};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a file is opened, as `tokio::fs::OpenOptions`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_core::fs::OpenOptions;
/// let mut log = OpenOptions::new().create(true).append(true).open("/log").await?;
/// log.write_all(b"a line\n").await?;
/// log.sync_data().await
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(Flags);

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Nothing is allowed yet.
    pub fn new() -> Self {
        OpenOptions(Flags { mode: 0o666, ..Flags::default() })
    }

    /// Reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.0.read = read;
        self
    }

    /// Writing.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.0.write = write;
        self
    }

    /// Writing, at the end only (`O_APPEND`).
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.0.append = append;
        self
    }

    /// What is there is cut to nothing (`O_TRUNC`).
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.0.truncate = truncate;
        self
    }

    /// What is not there is made (`O_CREAT`).
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.0.create = create;
        self
    }

    /// It must not be there, and is made (`O_CREAT | O_EXCL`).
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.0.create_new = create_new;
        self
    }

    /// The mode bits of a new file, of which the usual umask, 022, takes some away; 0o666 unless set.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode = mode;
        self
    }

    /// Further flags of open(2): `O_SYNC` and `O_DSYNC` have each write durable when it returns. Others do nothing here.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        // O_SYNC has the bit of O_DSYNC.
        self.0.sync = flags & libc::O_DSYNC != 0;
        self
    }

    fn flags(&self) -> Flags {
        Flags { mode: self.0.mode & !0o022 & 0o7777, ..self.0 }
    }

    /// open(2)
    ///
    /// # Errors
    /// Those of the man page, as far as they can happen here: the program is root on its node.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (flags, path) = (self.flags(), path.as_ref().as_os_str().as_bytes());
        call(|fs, k| {
            let key = fs.open(k, path, flags)?;
            Ok((File::new(Handle::new(k, key), flags), Work::Call(0)))
        })
        .await
    }

    /// The same for the form that does not wait.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open_blocking(&self, path: impl AsRef<Path>) -> io::Result<blocking::File> {
        let (flags, path) = (self.flags(), path.as_ref().as_os_str().as_bytes());
        block(|fs, k| {
            let key = fs.open(k, path, flags)?;
            Ok((blocking::File::new(Handle::new(k, key), flags), Work::Call(0)))
        })
    }
}
