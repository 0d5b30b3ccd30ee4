//! Inodes: what a file system keeps of a file, a directory or a symbolic link.

use super::file::File;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The number of an inode. Numbers are not used again, so that one never means two files.
pub(crate) type Ino = u64;

/// The root directory.
pub(crate) const ROOT: Ino = 1;

/// A name in a directory.
pub(crate) type Name = Rc<[u8]>;

/// Where a name is: the directory, and the name in it.
pub(crate) type Slot = (Ino, Name);

/// What an inode is.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    File(File),
    Dir(Dir),
    Symlink(Rc<[u8]>),
}

/// A directory: its entries as programs see them, and as they are on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dir {
    pub entries: BTreeMap<Name, Ino>,
    pub image: BTreeMap<Name, Ino>,
    /// What `..` means.
    pub parent: Ino,
}

/// The clock readings that stat(2) shows, ns since 1970 on the clock of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub created: u64,
    pub modified: u64,
    pub accessed: u64,
    pub changed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub body: Body,
    pub mode: u32,
    /// The mode on the disk.
    pub durable_mode: u32,
    /// How many names programs see.
    pub links: u32,
    /// How many open file descriptions there are.
    pub opens: u32,
    /// Why it must be kept: names that programs see, names on the disk, open descriptions, pending changes.
    pub refs: u32,
    /// The name that it was given last.
    pub home: Slot,
    /// What decisions about it are named by: a hash of the path under which it was made.
    pub tag: u64,
    pub times: Times,
    /// Counts failed syncs: whoever has not seen the last one is told (errseq_t).
    pub failures: u32,
}

impl Inode {
    pub fn file(&self) -> Option<&File> {
        if let Body::File(file) = &self.body { Some(file) } else { None }
    }

    pub fn dir(&self) -> Option<&Dir> {
        if let Body::Dir(dir) = &self.body { Some(dir) } else { None }
    }

    pub fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir(_))
    }

    /// The size that stat(2) shows.
    pub fn size(&self) -> u64 {
        match &self.body {
            Body::File(file) => file.size,
            // One block, as ext4 shows it.
            Body::Dir(_) => 4096,
            Body::Symlink(target) => target.len() as u64,
        }
    }
}
