//! The file system of one machine as plain data: every operation returns at once, and `now` is a parameter.
//!
//! The caller holds a [`Volume`] and calls, in any order, what a program calls: `create`, `write`, `rename`. Each changes what
//! programs see at once, and leaves a change that is not on the disk yet. `sync` puts changes on the disk. `crash` decides
//! which others are there too, and makes what is on the disk what programs see.

mod crash;
pub(crate) mod device;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod inode;
pub(crate) mod names;
mod overlay;
pub(crate) mod path;
mod sync;
mod tree;
pub(crate) mod view;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use crash::CrashModel;
pub(crate) use sync::Durability;

use crate::fs::errno;
use device::Device;
use fault::Faults;
use file::{File, PAGE, Stamp, Traffic};
use inode::{Body, Dir, Ino, Inode, Name, ROOT, Times};
use names::NameChange;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

/// When something happens: ns of world time, and what the machine's wall clock shows, ns since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct At {
    pub now: u64,
    pub wall: u64,
}

/// A power cut placed at a sync.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// What the paths of the syncs that count begin with.
    pub target: Vec<u8>,
    /// How many syncs are to come, this one included.
    pub left: u64,
    pub moment: Moment,
    /// When the machine starts again, ns after the cut.
    pub restart: Option<u64>,
}

/// When at a sync the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// Nothing of it has happened.
    Before,
    /// The device is at it.
    During,
    /// It is durable; the program does not know yet.
    After,
}

/// How much a disk holds: 1 TiB, and an inode for each 16 KiB as mke2fs(8) makes them.
const CAPACITY: u64 = 1 << 40;
const INODES: u64 = CAPACITY / (16 << 10);

/// The file system of a machine.
#[derive(Debug)]
pub(crate) struct Volume {
    inodes: Vec<Option<Box<Inode>>>,
    /// Changes of names that are not on the disk, in their order.
    names: Vec<NameChange>,
    /// The last number given to a change.
    seq: u64,
    /// Files with pending changes.
    dirty: BTreeSet<Ino>,
    /// How much of the capacity is taken, pages and inodes.
    used: u64,
    used_inodes: u64,
    /// The bounds, bytes and inodes.
    pub capacity: u64,
    pub inodes_most: u64,
    pub model: CrashModel,
    pub device: Device,
    pub faults: Faults,
    /// Where power cuts are placed.
    pub points: Vec<Point>,
    /// Counts restarts and exchanges of its content: what was under way before is stale.
    pub era: u32,
    /// When the kernel looks next for changes that are due to be written, ns of world time.
    writeback_due: u64,
}

impl Default for Volume {
    fn default() -> Self {
        Self::new(At::default())
    }
}

impl Volume {
    /// An empty disk: a root directory.
    pub fn new(at: At) -> Self {
        let times = Times { created: at.wall, modified: at.wall, accessed: at.wall, changed: at.wall };
        let root = Inode {
            body: Body::Dir(Dir { parent: ROOT, ..Dir::default() }),
            mode: 0o755,
            durable_mode: 0o755,
            links: 1,
            opens: 0,
            refs: 1,
            home: (ROOT, Rc::from(&b"/"[..])),
            tag: 0,
            times,
            failures: 0,
        };
        Volume {
            inodes: vec![None, Some(Box::new(root))],
            names: Vec::new(),
            seq: 0,
            dirty: BTreeSet::new(),
            used: 0,
            used_inodes: 1,
            capacity: CAPACITY,
            inodes_most: INODES,
            model: CrashModel::Chaos,
            device: Device::default(),
            faults: Faults::default(),
            points: Vec::new(),
            era: 0,
            writeback_due: 0,
        }
    }

    /// Nothing was ever put on it, or everything was taken off.
    pub fn is_blank(&self) -> bool {
        self.used_inodes == 1
    }

    // ---- inodes ----

    pub fn try_inode(&self, ino: Ino) -> Option<&Inode> {
        self.inodes.get(ino as usize)?.as_deref()
    }

    pub fn inode(&self, ino: Ino) -> &Inode {
        self.try_inode(ino).expect("an inode is kept while something refers to it")
    }

    pub fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes[ino as usize].as_deref_mut().expect("an inode is kept while something refers to it")
    }

    fn file_mut(&mut self, ino: Ino) -> io::Result<&mut File> {
        match &mut self.inode_mut(ino).body {
            Body::File(file) => Ok(file),
            Body::Dir(_) => Err(errno::is_directory()),
            Body::Symlink(_) => Err(errno::invalid()),
        }
    }

    fn dir_mut(&mut self, ino: Ino) -> &mut Dir {
        match &mut self.inode_mut(ino).body {
            Body::Dir(dir) => dir,
            _ => unreachable!("a directory stays a directory"),
        }
    }

    fn hold(&mut self, ino: Ino) {
        self.inode_mut(ino).refs += 1;
    }

    /// Lets go of an inode; it is forgotten with its last reference.
    fn release(&mut self, ino: Ino) {
        let inode = self.inode_mut(ino);
        inode.refs -= 1;
        if inode.refs == 0 {
            self.inodes[ino as usize] = None;
            self.dirty.remove(&ino);
        }
    }

    /// A program has it open.
    pub fn open(&mut self, ino: Ino) {
        self.inode_mut(ino).opens += 1;
        self.hold(ino);
    }

    /// A program has closed it; with the last name and the last description its space is free.
    pub fn close(&mut self, ino: Ino) {
        self.inode_mut(ino).opens -= 1;
        self.reclaim(ino);
        self.release(ino);
    }

    /// Frees the space of what no program can reach any more.
    fn reclaim(&mut self, ino: Ino) {
        let inode = self.inode_mut(ino);
        if inode.links > 0 || inode.opens > 0 {
            return;
        }
        let mut pages = 0;
        if let Body::File(file) = &mut inode.body {
            pages = file.pages.len() as u64;
            file.pages.clear();
        }
        self.used -= pages;
        self.used_inodes -= 1;
    }

    // ---- files ----

    /// Reads at an offset.
    pub fn read(&mut self, at: At, ino: Ino, offset: u64, buffer: &mut [u8]) -> io::Result<(usize, Traffic)> {
        let mut wrong = Vec::new();
        let read = self.file_mut(ino)?.read(offset, buffer, &mut wrong);
        wrong.into_iter().for_each(|place| self.faults.hit(place));
        let read = read?;
        let times = &mut self.inode_mut(ino).times;
        // As with the mount option `relatime`, the default.
        if times.accessed <= times.modified {
            times.accessed = at.wall;
        }
        Ok(read)
    }

    /// Writes at an offset, as much as there is room for.
    pub fn write(&mut self, at: At, ino: Ino, offset: u64, bytes: &[u8]) -> io::Result<(usize, Traffic)> {
        self.write_back(at.now);
        let free = (self.capacity / PAGE).saturating_sub(self.used);
        let full = self.faults.full;
        let mut room = if full { 0 } else { free };
        let before = room;
        let seq = &mut self.seq;
        let Some(Some(inode)) = self.inodes.get_mut(ino as usize) else { return Err(errno::not_found()) };
        let Body::File(file) = &mut inode.body else { return Err(errno::is_directory()) };
        let mut wrong = Vec::new();
        let written = file.write(&mut Stamp { seq, now: at.now }, offset, bytes, (&mut room, &mut wrong));
        wrong.into_iter().for_each(|place| self.faults.hit(place));
        self.used += before - room;
        self.dirty.insert(ino);
        if let Ok((1.., _)) = written {
            self.touch(at, ino);
        }
        written
    }

    /// Sets the length.
    pub fn truncate(&mut self, at: At, ino: Ino, size: u64) -> io::Result<()> {
        self.write_back(at.now);
        let seq = &mut self.seq;
        let Some(Some(inode)) = self.inodes.get_mut(ino as usize) else { return Err(errno::not_found()) };
        let Body::File(file) = &mut inode.body else { return Err(errno::is_directory()) };
        let mut wrong = Vec::new();
        let freed = file.truncate(&mut Stamp { seq, now: at.now }, size, &mut wrong);
        wrong.into_iter().for_each(|place| self.faults.hit(place));
        self.used -= freed?;
        self.dirty.insert(ino);
        self.touch(at, ino);
        Ok(())
    }

    /// Sets the mode bits.
    pub fn set_mode(&mut self, at: At, ino: Ino, mode: u32) {
        let seq = &mut self.seq;
        let Some(Some(inode)) = self.inodes.get_mut(ino as usize) else { return };
        inode.mode = mode & 0o7777;
        inode.times.changed = at.wall;
        match &mut inode.body {
            Body::File(file) => {
                file.pending.push(Stamp { seq, now: at.now }.change(file::What::Mode(mode & 0o7777)));
                self.dirty.insert(ino);
            }
            // Nobody's data hangs on them.
            Body::Dir(_) | Body::Symlink(_) => inode.durable_mode = inode.mode,
        }
    }

    /// A sync of an inode begins: whether a power cut is placed at it.
    pub fn point(&mut self, ino: Ino) -> Option<Point> {
        if self.points.is_empty() {
            return None;
        }
        let path = self.path_of(ino);
        let path = path.strip_prefix(b"/").unwrap_or(&path);
        let counted = self.points.iter_mut().filter(|p| path.starts_with(&p.target));
        counted.for_each(|p| p.left -= 1);
        let due = self.points.iter().position(|p| p.left == 0)?;
        Some(self.points.remove(due))
    }

    fn touch(&mut self, at: At, ino: Ino) {
        let times = &mut self.inode_mut(ino).times;
        times.modified = at.wall;
        times.changed = at.wall;
    }

    /// The names in a directory with their inodes, in an order that `seed` decides, as the hash of ext4 does.
    pub fn list(&self, ino: Ino, seed: u64) -> io::Result<Vec<(Name, Ino)>> {
        let dir = self.inode(ino).dir().ok_or_else(errno::not_directory)?;
        let mut names: Vec<_> = dir.entries.iter().map(|(name, &ino)| (name.clone(), ino)).collect();
        names.sort_by_cached_key(|(name, _)| crate::hash::h(seed, hash_bytes(name)));
        Ok(names)
    }

    /// How many files, directories and links there are, and how many changes are pending: for tests of what is cleaned up.
    pub fn census(&self) -> (usize, usize) {
        let pending = self.inodes.iter().flatten().filter_map(|i| i.file()).map(|f| f.pending.len());
        (self.inodes.iter().flatten().count(), self.names.len() + pending.sum::<usize>())
    }
}

/// The hash of a name.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = crate::hash::mix(bytes.len() as u64);
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        hash = crate::hash::h(hash, u64::from_le_bytes(word));
    }
    hash
}
