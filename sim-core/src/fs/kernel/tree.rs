//! Names: making, linking, moving and removing them, with the errors of Linux in the order of Linux (`fs/namei.c`).

use super::fault::FaultKind;
use super::file::File;
use super::inode::{Body, Dir, Ino, Inode, Name, ROOT, Slot, Times};
use super::names::{NameChange, NameWhat};
use super::path::{Last, PATH_MAX, Spot};
use super::{At, Volume, hash_bytes};
use crate::fs::errno;
use crate::hash::h;
use std::io;
use std::rc::Rc;

impl Volume {
    /// Makes a regular file where `spot` says that nothing is.
    pub fn create(&mut self, at: At, spot: &Spot, mode: u32) -> io::Result<Ino> {
        if spot.slash {
            return Err(errno::is_directory());
        }
        self.make(at, spot, Body::File(File::default()), mode)
    }

    /// mkdir(2)
    pub fn make_dir(&mut self, at: At, path: &[u8], mode: u32) -> io::Result<Ino> {
        let spot = self.walk_to_name(path)?;
        let dir = Dir { parent: spot.dir, ..Dir::default() };
        self.make(at, &spot, Body::Dir(dir), mode)
    }

    /// symlink(2)
    pub fn symlink(&mut self, at: At, target: &[u8], path: &[u8]) -> io::Result<Ino> {
        if target.is_empty() {
            return Err(errno::not_found());
        }
        if target.len() >= PATH_MAX {
            return Err(errno::name_too_long());
        }
        let spot = self.walk_to_name(path)?;
        if spot.ino.is_none() && spot.slash {
            return Err(errno::not_found());
        }
        self.make(at, &spot, Body::Symlink(target.into()), 0o777)
    }

    /// Follows a path to a name that is to be made: what is there already is not followed, even before a slash.
    fn walk_to_name(&self, path: &[u8]) -> io::Result<Spot> {
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(path.len().min(1), |last| last + 1);
        let mut spot = self.walk(&path[..end], false)?;
        spot.slash = end < path.len();
        Ok(spot)
    }

    fn make(&mut self, at: At, spot: &Spot, body: Body, mode: u32) -> io::Result<Ino> {
        if spot.ino.is_some() || spot.last != Last::Name {
            return Err(errno::exists());
        }
        if self.faults.full {
            self.faults.hit_all(FaultKind::Full);
            return Err(errno::no_space());
        }
        if self.used_inodes >= self.inodes_most {
            return Err(errno::no_space());
        }
        self.used_inodes += 1;
        let ino = self.inodes.len() as Ino;
        let makes = matches!(body, Body::Dir(_));
        let times = Times { created: at.wall, modified: at.wall, accessed: at.wall, changed: at.wall };
        let inode = Inode {
            body,
            mode,
            durable_mode: mode,
            links: 0,
            opens: 0,
            refs: 0,
            home: (spot.dir, spot.name.clone()),
            tag: h(self.inode(spot.dir).tag, hash_bytes(&spot.name)),
            times,
            failures: 0,
        };
        self.inodes.push(Some(Box::new(inode)));
        let slot = (spot.dir, spot.name.clone());
        self.enter(&slot, ino);
        self.changed(at, NameWhat::Add { slot, ino, makes });
        Ok(ino)
    }

    /// link(2): another name for a file.
    pub fn link(&mut self, at: At, original: &[u8], path: &[u8]) -> io::Result<()> {
        let ino = self.lookup(original, false)?;
        let spot = self.walk_to_name(path)?;
        if spot.ino.is_some() || spot.last != Last::Name {
            return Err(errno::exists());
        }
        if spot.slash {
            return Err(errno::not_found());
        }
        if self.inode(ino).is_dir() {
            return Err(errno::not_permitted());
        }
        let slot = (spot.dir, spot.name.clone());
        self.enter(&slot, ino);
        self.inode_mut(ino).times.changed = at.wall;
        self.changed(at, NameWhat::Add { slot, ino, makes: false });
        Ok(())
    }

    /// unlink(2)
    pub fn unlink(&mut self, at: At, path: &[u8]) -> io::Result<()> {
        let spot = self.walk_to_name(path)?;
        if spot.last != Last::Name {
            return Err(errno::is_directory());
        }
        let ino = spot.found()?;
        if spot.slash && !self.inode(ino).is_dir() {
            return Err(errno::not_directory());
        }
        if self.inode(ino).is_dir() {
            return Err(errno::is_directory());
        }
        self.remove(at, (spot.dir, spot.name), ino, false);
        Ok(())
    }

    /// rmdir(2)
    pub fn remove_dir(&mut self, at: At, path: &[u8]) -> io::Result<()> {
        let spot = self.walk_to_name(path)?;
        match spot.last {
            Last::Name => {}
            Last::Root => return Err(errno::busy()),
            Last::Dot => return Err(errno::invalid()),
            Last::DotDot => return Err(errno::not_empty()),
        }
        let ino = spot.found()?;
        let dir = self.inode(ino).dir().ok_or_else(errno::not_directory)?;
        if !dir.entries.is_empty() {
            return Err(errno::not_empty());
        }
        self.remove(at, (spot.dir, spot.name), ino, true);
        Ok(())
    }

    fn remove(&mut self, at: At, slot: Slot, ino: Ino, dir: bool) {
        self.changed(at, NameWhat::Remove { slot: slot.clone(), ino, dir });
        self.inode_mut(ino).times.changed = at.wall;
        self.leave(&slot);
    }

    /// rename(2)
    pub fn rename(&mut self, at: At, from: &[u8], to: &[u8]) -> io::Result<()> {
        let (old, new) = (self.walk_to_name(from)?, self.walk_to_name(to)?);
        if old.last != Last::Name || new.last != Last::Name {
            return Err(errno::busy());
        }
        let ino = old.found()?;
        let is_dir = self.inode(ino).is_dir();
        if !is_dir && (old.slash || new.slash) {
            return Err(errno::not_directory());
        }
        if self.is_within(new.dir, ino) {
            return Err(errno::invalid());
        }
        if new.ino.is_some_and(|target| self.is_within(old.dir, target)) {
            return Err(errno::not_empty());
        }
        if new.ino == Some(ino) {
            return Ok(());
        }
        if let Some(target) = new.ino {
            match (is_dir, self.inode(target).dir()) {
                (true, None) => return Err(errno::not_directory()),
                (false, Some(_)) => return Err(errno::is_directory()),
                (true, Some(dir)) if !dir.entries.is_empty() => return Err(errno::not_empty()),
                _ => {}
            }
        }
        let (from, to) = ((old.dir, old.name), (new.dir, new.name));
        let crosses = is_dir && from.0 != to.0;
        let what = NameWhat::Move { from: from.clone(), to: to.clone(), ino, replaced: new.ino, crosses };
        self.changed(at, what);
        // Held, so that it does not go with its last name before it has the new one.
        self.hold(ino);
        self.inode_mut(ino).opens += 1;
        if new.ino.is_some() {
            self.leave(&to);
        }
        self.leave(&from);
        self.enter(&to, ino);
        self.inode_mut(ino).opens -= 1;
        self.release(ino);
        let inode = self.inode_mut(ino);
        inode.times.changed = at.wall;
        inode.home = to.clone();
        if is_dir {
            self.dir_mut(ino).parent = to.0;
        }
        Ok(())
    }

    /// Whether a directory is another, or lies in it.
    fn is_within(&self, dir: Ino, other: Ino) -> bool {
        let mut at = dir;
        while at != other {
            if at == ROOT {
                return false;
            }
            at = self.inode(at).dir().map_or(ROOT, |d| d.parent);
        }
        true
    }

    /// Gives a name that programs see.
    fn enter(&mut self, (dir, name): &Slot, ino: Ino) {
        self.dir_mut(*dir).entries.insert(name.clone(), ino);
        self.inode_mut(ino).links += 1;
        self.hold(ino);
    }

    /// Takes a name away that programs see.
    fn leave(&mut self, (dir, name): &Slot) {
        let Some(ino) = self.dir_mut(*dir).entries.remove(name) else { return };
        self.inode_mut(ino).links -= 1;
        self.reclaim(ino);
        self.release(ino);
    }

    /// A change of names is pending.
    fn changed(&mut self, at: At, what: NameWhat) {
        self.write_back(at.now);
        self.seq += 1;
        let (first, second) = what.slots();
        let dirs = [Some(first.0), second.map(|s| s.0)];
        dirs.into_iter().flatten().for_each(|dir| self.touch(at, dir));
        what.mentions().for_each(|ino| self.hold(ino));
        self.names.push(NameChange { seq: self.seq, at: at.now, what });
    }

    /// Puts a change of names on the disk.
    pub(super) fn apply_name(&mut self, change: &NameChange) {
        match &change.what {
            NameWhat::Add { slot, ino, .. } => self.enter_image(slot, *ino),
            NameWhat::Remove { slot, .. } => self.leave_image(slot),
            NameWhat::Move { from, to, ino, .. } => {
                self.leave_image(from);
                self.enter_image(to, *ino);
            }
        }
        change.what.mentions().for_each(|ino| self.release(ino));
    }

    fn enter_image(&mut self, (dir, name): &Slot, ino: Ino) {
        self.hold(ino);
        let replaced = self.dir_mut(*dir).image.insert(name.clone(), ino);
        replaced.into_iter().for_each(|old| self.release(old));
    }

    fn leave_image(&mut self, (dir, name): &Slot) {
        let left = self.dir_mut(*dir).image.remove(name);
        left.into_iter().for_each(|old| self.release(old));
    }

    /// The names of `dir` on the disk.
    pub(super) fn image(&self, dir: Ino) -> Vec<(Name, Ino)> {
        let entries = self.inode(dir).dir().map(|d| &d.image);
        entries.into_iter().flatten().map(|(name, &ino)| (Rc::clone(name), ino)).collect()
    }
}
