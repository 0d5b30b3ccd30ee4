//! A disk from outside: what is on it as plain data, to compare, to keep and to put back.

use super::inode::{Body, Ino, ROOT};
use super::{At, Volume};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What a path leads to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// A regular file: its bytes and its mode bits.
    File {
        /// The whole content; holes are zeros.
        content: Vec<u8>,
        /// The mode bits.
        mode: u32,
    },
    /// A directory and its mode bits.
    Dir {
        /// The mode bits.
        mode: u32,
    },
    /// A symbolic link, and what it says.
    Symlink(PathBuf),
}

/// Everything on a disk at a moment, by absolute path. Hard links are files of their own in it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    entries: BTreeMap<PathBuf, Entry>,
}

/// How a path differs between two snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Difference {
    /// Only the later one has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// They have something else there.
    Changed,
}

impl Snapshot {
    /// What is on the disk: path and entry, in the order of paths, without the root.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// What a path leads to, if it leads to something. Symbolic links are not followed.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Entry> {
        self.entries.get(&Path::new("/").join(path))
    }

    /// The content of a file, if it is one.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        if let Some(Entry::File { content, .. }) = self.get(path) { Some(content) } else { None }
    }

    /// Adds an entry, or replaces one. Directories that lead to it are made where the snapshot is put on a disk.
    pub fn insert(&mut self, path: impl AsRef<Path>, entry: Entry) {
        self.entries.insert(Path::new("/").join(path), entry);
    }

    /// What is different in `later`, by path.
    pub fn diff(&self, later: &Snapshot) -> BTreeMap<PathBuf, Difference> {
        let mut differences = BTreeMap::new();
        for (path, entry) in &self.entries {
            match later.entries.get(path) {
                None => drop(differences.insert(path.clone(), Difference::Removed)),
                Some(other) if other != entry => drop(differences.insert(path.clone(), Difference::Changed)),
                Some(_) => {}
            }
        }
        let added = later.entries.keys().filter(|path| !self.entries.contains_key(*path));
        differences.extend(added.map(|path| (path.clone(), Difference::Added)));
        differences
    }
}

/// Which side of a disk to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What programs see.
    Live,
    /// What a power cut leaves for certain.
    Durable,
}

impl Volume {
    /// Everything that is on one side.
    pub fn snapshot(&self, side: Side) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.collect(side, ROOT, Path::new("/"), &mut snapshot);
        snapshot
    }

    fn collect(&self, side: Side, dir: Ino, at: &Path, snapshot: &mut Snapshot) {
        let Some(dir) = self.try_inode(dir).and_then(|i| i.dir()) else { return };
        let entries = if side == Side::Live { &dir.entries } else { &dir.image };
        for (name, &ino) in entries {
            let path = at.join(OsStr::from_bytes(name));
            let Some(inode) = self.try_inode(ino) else { continue };
            let mode = if side == Side::Live { inode.mode } else { inode.durable_mode };
            let entry = match &inode.body {
                Body::File(file) => {
                    let content = if side == Side::Live { file.live() } else { file.durable() };
                    Entry::File { content, mode }
                }
                Body::Dir(_) => {
                    self.collect(side, ino, &path, snapshot);
                    Entry::Dir { mode }
                }
                Body::Symlink(target) => Entry::Symlink(OsStr::from_bytes(target).into()),
            };
            snapshot.entries.insert(path, entry);
        }
    }

    /// The content of a file as programs see it.
    pub fn content(&self, path: &[u8]) -> std::io::Result<Vec<u8>> {
        let ino = self.lookup(path, true)?;
        let file = self.inode(ino).file().ok_or_else(crate::fs::errno::is_directory)?;
        Ok(file.live())
    }

    /// Puts entries on the disk, durable at once, over whatever is there.
    ///
    /// # Errors
    /// What the calls fail with that make them: a file where a directory must be, no space.
    pub fn put(&mut self, at: At, snapshot: &Snapshot) -> std::io::Result<()> {
        let model = std::mem::replace(&mut self.model, super::CrashModel::Ordered);
        let put = snapshot.iter().try_for_each(|(path, entry)| self.put_entry(at, path, entry));
        let last = self.seq;
        self.commit_journal(last);
        for ino in self.dirty.iter().copied().collect::<Vec<_>>() {
            self.commit_file(ino, |_| true);
        }
        self.model = model;
        put
    }

    fn put_entry(&mut self, at: At, path: &Path, entry: &Entry) -> std::io::Result<()> {
        let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
        parents.pop();
        for parent in parents.into_iter().rev() {
            if self.lookup(parent.as_os_str().as_bytes(), true).is_err() {
                self.make_dir(at, parent.as_os_str().as_bytes(), 0o755)?;
            }
        }
        let bytes = path.as_os_str().as_bytes();
        match entry {
            Entry::Dir { mode } => {
                if self.lookup(bytes, true).is_err() {
                    self.make_dir(at, bytes, *mode)?;
                }
            }
            Entry::Symlink(target) => {
                drop(self.unlink(at, bytes));
                self.symlink(at, &target.clone().into_os_string().into_vec(), bytes)?;
            }
            Entry::File { content, mode } => {
                let spot = self.walk(bytes, true)?;
                let ino = match spot.ino {
                    Some(ino) => ino,
                    None => self.create(at, &spot, *mode)?,
                };
                self.truncate(at, ino, 0)?;
                let (written, _) = self.write(at, ino, 0, content)?;
                if written < content.len() {
                    return Err(crate::fs::errno::no_space());
                }
                self.set_mode(at, ino, *mode);
            }
        }
        Ok(())
    }

    /// Takes everything off the disk; its settings and faults stay.
    pub fn clear(&mut self, at: At) {
        let fresh = Volume::new(at);
        let old = std::mem::replace(self, fresh);
        self.capacity = old.capacity;
        self.inodes_most = old.inodes_most;
        self.model = old.model;
        self.device = old.device;
        self.faults = old.faults;
        self.points = old.points;
        self.era = old.era.wrapping_add(1);
    }
}
