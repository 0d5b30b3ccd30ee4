//! What stat(2) says of a file.

use crate::fs::kernel::Volume;
use crate::fs::kernel::inode::{Body, Ino, Times};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileType(Type);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Type {
    File,
    Dir,
    Symlink,
}

impl FileType {
    pub(crate) fn of(volume: &Volume, ino: Ino) -> Self {
        FileType(match volume.inode(ino).body {
            Body::File(_) => Type::File,
            Body::Dir(_) => Type::Dir,
            Body::Symlink(_) => Type::Symlink,
        })
    }

    /// A regular file.
    pub fn is_file(&self) -> bool {
        self.0 == Type::File
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.0 == Type::Dir
    }

    /// A symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.0 == Type::Symlink
    }
}

/// What stat(2) says of a file: `std::fs::Metadata` cannot be made by others than std.
#[derive(Clone, Debug)]
pub struct Metadata {
    file_type: FileType,
    mode: u32,
    size: u64,
    ino: u64,
    links: u64,
    pages: u64,
    times: Times,
}

impl Metadata {
    pub(crate) fn of(volume: &Volume, ino: Ino) -> Self {
        let inode = volume.inode(ino);
        let subdirs = |d: &crate::fs::kernel::inode::Dir| {
            d.entries.values().filter(|&&entry| volume.inode(entry).is_dir()).count() as u64
        };
        // A directory is also named by its own `.` and by the `..` of those in it.
        let links = inode.dir().map_or(inode.links.into(), |d| 2 + subdirs(d));
        Metadata {
            file_type: FileType::of(volume, ino),
            mode: inode.mode,
            size: inode.size(),
            ino,
            links,
            pages: inode.file().map_or(u64::from(inode.is_dir()), |f| f.pages.len() as u64),
            times: inode.times,
        }
    }

    /// What it is.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// A regular file.
    pub fn is_file(&self) -> bool {
        self.file_type.is_file()
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.file_type.is_dir()
    }

    /// A symbolic link, of `symlink_metadata` only.
    pub fn is_symlink(&self) -> bool {
        self.file_type.is_symlink()
    }

    /// The size, bytes.
    #[expect(clippy::len_without_is_empty, reason = "std's has none either")]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// The mode bits.
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode())
    }

    /// When the content was changed last, by the wall clock of the machine.
    pub fn modified(&self) -> io::Result<SystemTime> {
        Ok(time(self.times.modified))
    }

    /// When it was read last, as with the mount option `relatime`.
    pub fn accessed(&self) -> io::Result<SystemTime> {
        Ok(time(self.times.accessed))
    }

    /// When it was made.
    pub fn created(&self) -> io::Result<SystemTime> {
        Ok(time(self.times.created))
    }

    /// Mode bits and type as stat(2) has them (`st_mode`).
    pub fn mode(&self) -> u32 {
        let kind = match self.file_type.0 {
            Type::File => libc::S_IFREG,
            Type::Dir => libc::S_IFDIR,
            Type::Symlink => libc::S_IFLNK,
        };
        kind | self.mode
    }

    /// The number of the inode.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// How many names it has.
    pub fn nlink(&self) -> u64 {
        self.links
    }

    /// How many blocks of 512 bytes it takes.
    pub fn blocks(&self) -> u64 {
        self.pages * 8
    }

    /// When mode, names or content were changed last, ns since 1970.
    pub fn changed(&self) -> SystemTime {
        time(self.times.changed)
    }
}

fn time(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}
