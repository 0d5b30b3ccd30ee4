//! Directories: making them, and reading what is in them.

use super::functions::{bytes, on_volume};
use super::metadata::{FileType, Metadata};
use crate::fs::call::call;
use crate::fs::kernel::device::Work;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Makes directories, as `tokio::fs::DirBuilder`.
#[derive(Clone, Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// Makes one directory with the mode 0o755.
    pub fn new() -> Self {
        DirBuilder::default()
    }

    /// Whether those that lead to it are made too, and one that is there is no error.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// The mode bits, of which the usual umask, 022, takes some away; 0o777 unless set.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode);
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let (path, mode) = (path.as_ref(), self.mode.unwrap_or(0o777) & !0o022);
        let make = |path: PathBuf| on_volume(move |v, at| v.make_dir(at, bytes(&path), mode).map(drop));
        if !self.recursive {
            return make(path.into()).await;
        }
        // As std does: from the end up to the first that can be made, and down again.
        let mut missing: Vec<PathBuf> = Vec::new();
        let mut next = Some(path);
        while let Some(dir) = next.filter(|dir| !dir.as_os_str().is_empty()) {
            match make(dir.into()).await {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(dir.into());
                    next = dir.parent();
                }
                Err(error) => {
                    let found = super::metadata(dir).await.is_ok_and(|m| m.is_dir());
                    if found { break } else { return Err(error) }
                }
            }
        }
        for dir in missing.into_iter().rev() {
            if let Err(error) = make(dir.clone()).await
                && !super::metadata(&dir).await.is_ok_and(|m| m.is_dir())
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What is in a directory, as it was when it was opened.
///
/// The order is that of a hash with the run's seed, as ext4 has one with a seed of the file system: the same for a
/// directory throughout a run, and another under another seed.
///
/// # Errors
/// Those of opendir(3).
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let entries = call(|fs, k| {
        let seed = k.seed;
        fs.may_open(k)?;
        let (volume, ..) = fs.here(k)?;
        let dir = volume.lookup(bytes(path), true)?;
        let names = volume.list(dir, seed)?;
        let entry = |(name, ino): (std::rc::Rc<[u8]>, u64)| DirEntry {
            path: path.join(OsStr::from_bytes(&name)),
            file_type: FileType::of(volume, ino),
            ino,
        };
        Ok((names.into_iter().map(entry).collect::<VecDeque<_>>(), Work::Call(0)))
    })
    .await?;
    Ok(ReadDir { entries })
}

/// The entries of a directory, as `tokio::fs::ReadDir`.
#[derive(Debug)]
pub struct ReadDir {
    entries: VecDeque<DirEntry>,
}

impl ReadDir {
    /// The next entry; `.` and `..` are left out.
    ///
    /// # Errors
    /// None.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        Ok(self.entries.pop_front())
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub struct DirEntry {
    path: PathBuf,
    file_type: FileType,
    ino: u64,
}

impl DirEntry {
    /// The directory's path with the name.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        self.path.file_name().unwrap_or_default().to_owned()
    }

    /// What it was when the directory was read; symbolic links are not followed.
    ///
    /// # Errors
    /// None.
    pub async fn file_type(&self) -> io::Result<FileType> {
        Ok(self.file_type)
    }

    /// What it is now; symbolic links are not followed.
    ///
    /// # Errors
    /// Those of lstat(2).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        super::symlink_metadata(&self.path).await
    }

    /// The number of the inode.
    pub fn ino(&self) -> u64 {
        self.ino
    }
}
