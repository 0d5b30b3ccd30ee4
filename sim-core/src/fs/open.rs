//! Open file descriptions (open(2)): what a program has open, with its position, and the handles that mean one.

use super::errno;
use super::kernel::device::Work;
use super::kernel::fault::FaultKind;
use super::kernel::file::LARGEST;
use super::kernel::inode::Ino;
use super::lock::Held;
use super::system::{self, Fs, op_on_drop, with_fs};
use crate::fault::Window;
use crate::kernel::Kernel;
use crate::node::{Holdings, NodeId};
use crate::slab::Key;
use crate::world::{self, WorldId};
use std::io::{self, SeekFrom};

/// An open file description. It is gone with its process.
#[derive(Debug)]
pub(crate) struct Description {
    pub node: NodeId,
    pub ino: Ino,
    pub flags: Flags,
    pub position: u64,
    /// How many handles mean it: those of `try_clone` share position and lock.
    pub handles: u32,
    /// The last failed sync that it was told of.
    pub seen: u32,
    pub lock: Option<Held>,
}

/// How a file is opened: the access mode and the flags of open(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub truncate: bool,
    pub create: bool,
    pub create_new: bool,
    /// `O_SYNC` or `O_DSYNC`: each write is durable when it returns.
    pub sync: bool,
    pub mode: u32,
}

impl Flags {
    /// What std checks before it asks the system (`OpenOptions::open`).
    fn check(self) -> io::Result<()> {
        let writes = self.write || self.append;
        if !self.read && !writes {
            return Err(errno::invalid());
        }
        let makes = self.truncate || self.create || self.create_new;
        let wrong = (self.append && self.truncate && !self.create_new) || (!writes && makes);
        if wrong { Err(errno::invalid()) } else { Ok(()) }
    }
}

/// An open file, from a program's side. Plain data, so that every type built on it is `Send` and `Sync`; in another world
/// it panics by name, and dropped there it does nothing.
#[derive(Debug)]
pub(crate) struct Handle {
    world: WorldId,
    key: Key,
}

impl Handle {
    pub fn new(k: &Kernel, key: Key) -> Self {
        Handle { world: k.world(), key }
    }

    pub fn world(&self) -> WorldId {
        self.world
    }

    /// The description's key, where it means something.
    ///
    /// # Panics
    /// Outside of the simulation that the handle belongs to.
    #[track_caller]
    pub fn key(&self) -> Key {
        world::with(|world| world.check(self.world, "file"));
        self.key
    }

    /// Runs an operation on the file.
    ///
    /// # Panics
    /// Outside of the simulation that the handle belongs to.
    #[track_caller]
    pub fn op<R>(&self, f: impl FnOnce(&mut Fs, &mut Kernel, Key) -> R) -> R {
        world::with(|world| {
            world.check(self.world, "file");
            with_fs(world, |fs, k| f(fs, k, self.key))
        })
    }

    /// Another handle of the same description.
    pub fn duplicate(&self) -> io::Result<Handle> {
        self.op(|fs, k, key| {
            fs.description(k, key)?;
            fs.may_open(k)?;
            fs.description(k, key)?.handles += 1;
            Ok(Handle::new(k, key))
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        op_on_drop(self.world, |fs, k| fs.close(k, self.key));
    }
}

impl Fs {
    /// open(2)
    pub fn open(&mut self, k: &mut Kernel, path: &[u8], flags: Flags) -> io::Result<Key> {
        flags.check()?;
        // Before anything is looked up, or made.
        self.may_open(k)?;
        let (volume, at, node) = self.here(k)?;
        // An exclusive creation does not follow a symbolic link at the end.
        let spot = volume.walk(path, !flags.create_new)?;
        let ino = match spot.ino {
            Some(_) if flags.create_new => return Err(errno::exists()),
            Some(ino) => {
                let writes = flags.write || flags.append || flags.create;
                if volume.inode(ino).is_dir() && writes {
                    return Err(errno::is_directory());
                }
                if flags.truncate {
                    volume.truncate(at, ino, 0)?;
                }
                ino
            }
            None if flags.create || flags.create_new => volume.create(at, &spot, flags.mode)?,
            None => return Err(errno::not_found()),
        };
        volume.open(ino);
        let seen = volume.inode(ino).failures;
        Ok(self.open.insert(Description { node, ino, flags, position: 0, handles: 1, seen, lock: None }))
    }

    /// Whether the process that runs may have one more descriptor.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn may_open(&self, k: &mut Kernel) -> io::Result<()> {
        match k.actor().filter(|&node| k.is_limited(node)) {
            Some(node) => k.admit_descriptor(node, self.holdings(node)),
            None => Ok(()),
        }
    }

    /// What a node holds here.
    pub fn holdings(&self, node: NodeId) -> Holdings {
        let of_node = self.open.iter().filter(|(_, d)| d.node == node);
        Holdings::descriptors(of_node.map(|(_, d)| u64::from(d.handles)).sum())
    }

    /// An open description, for whoever may act.
    ///
    /// # Errors
    /// `EBADF` when it is gone with its process.
    pub fn description(&mut self, k: &Kernel, key: Key) -> io::Result<&mut Description> {
        if k.actor().is_none() {
            return Err(errno::no_device());
        }
        self.open.get_mut(key).ok_or_else(errno::bad_descriptor)
    }

    /// A handle is gone, and with the last one the description.
    fn close(&mut self, k: &mut Kernel, key: Key) {
        let Some(description) = self.open.get_mut(key) else { return };
        description.handles -= 1;
        if description.handles == 0 {
            self.close_description(k, key);
        }
    }

    pub(super) fn close_description(&mut self, k: &mut Kernel, key: Key) {
        let Some(description) = self.open.remove(key) else { return };
        self.volume(k, description.node).close(description.ino);
        if description.lock.is_some() {
            self.lock_freed(description.node, description.ino);
        }
    }

    /// read(2), or pread(2) with an offset: how much, and what it costs.
    pub fn read(
        &mut self,
        k: &mut Kernel,
        key: Key,
        offset: Option<u64>,
        buffer: &mut [u8],
    ) -> io::Result<(usize, Work)> {
        let d = self.description(k, key)?;
        let (node, ino, position) = (d.node, d.ino, offset.unwrap_or(d.position));
        if !d.flags.read {
            return Err(errno::bad_descriptor());
        }
        let at = system::at(k, node);
        let volume = self.volume(k, node);
        if volume.faults.is_armed() {
            volume.strike_read(ino, position, buffer.len());
        }
        let (n, traffic) = volume.read(at, ino, position, buffer)?;
        if traffic.requests > 0 && volume.faults.is_armed() {
            volume.faults.hit_all(FaultKind::Eviction);
        }
        if offset.is_none() {
            self.description(k, key)?.position += n as u64;
        }
        Ok((n, Work::Read(traffic, n)))
    }

    /// write(2), or pwrite(2) with an offset: how much, and what it costs.
    pub fn write(
        &mut self,
        k: &mut Kernel,
        key: Key,
        offset: Option<u64>,
        bytes: &[u8],
    ) -> io::Result<(usize, Work)> {
        let d = self.description(k, key)?;
        let (node, ino, flags) = (d.node, d.ino, d.flags);
        let position = offset.unwrap_or(d.position);
        if !(flags.write || flags.append) {
            return Err(errno::bad_descriptor());
        }
        k.danger(Window::Write, node);
        let at = system::at(k, node);
        let volume = self.volume(k, node);
        // On Linux a positional write appends too, when the file was opened so (pwrite(2), BUGS).
        let position = if flags.append { volume.inode(ino).size() } else { position };
        if volume.faults.is_armed() {
            let path = volume.path_of(ino);
            if volume.faults.strike(FaultKind::WriteError, &path).is_some() {
                return Err(errno::input_output());
            }
        }
        let written = volume.write(at, ino, position, bytes);
        if volume.faults.full && written.as_ref().map_or(true, |(n, _)| *n < bytes.len()) {
            volume.faults.hit_all(FaultKind::Full);
        }
        let (n, traffic) = written?;
        if offset.is_none() {
            self.description(k, key)?.position = position + n as u64;
        }
        Ok((n, Work::Read(traffic, n)))
    }

    /// lseek(2)
    pub fn seek(&mut self, k: &mut Kernel, key: Key, to: SeekFrom) -> io::Result<u64> {
        let d = self.description(k, key)?;
        let (node, ino, position) = (d.node, d.ino, d.position);
        let size = self.volume(k, node).inode(ino).size();
        let target = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::Current(n) => position.checked_add_signed(n),
            SeekFrom::End(n) => size.checked_add_signed(n),
        };
        let target = target.filter(|&n| n <= LARGEST).ok_or_else(errno::invalid)?;
        self.description(k, key)?.position = target;
        Ok(target)
    }

    /// ftruncate(2)
    pub fn set_len(&mut self, k: &mut Kernel, key: Key, size: u64) -> io::Result<()> {
        let d = self.description(k, key)?;
        let (node, ino, flags) = (d.node, d.ino, d.flags);
        if !(flags.write || flags.append) {
            return Err(errno::invalid());
        }
        let at = system::at(k, node);
        self.volume(k, node).truncate(at, ino, size)
    }
}
