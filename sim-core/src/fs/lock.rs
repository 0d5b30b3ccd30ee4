//! Locks on whole files (flock(2)), as `std::fs::File::lock` has them: they belong to an open file description, and end
//! with it.

use super::kernel::inode::Ino;
use super::system::Fs;
use crate::kernel::Kernel;
use crate::node::NodeId;
use crate::slab::Key;
use std::io;
use std::task::Waker;

/// A lock that a description holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Shared,
    Exclusive,
}

impl Fs {
    /// Takes a lock, or changes the one that is held; false while others are in the way. As on Linux a change gives the old
    /// lock up first.
    pub fn try_lock(&mut self, k: &Kernel, key: Key, wanted: Held) -> io::Result<bool> {
        let description = self.description(k, key)?;
        let (node, ino) = (description.node, description.ino);
        if description.lock == Some(wanted) {
            return Ok(true);
        }
        if description.lock.take().is_some() {
            self.lock_freed(node, ino);
        }
        let in_the_way = |held: Option<Held>| match held {
            None => false,
            Some(Held::Exclusive) => true,
            Some(Held::Shared) => wanted == Held::Exclusive,
        };
        let others = self.open.iter().filter(|(other, d)| *other != key && d.node == node && d.ino == ino);
        if others.into_iter().any(|(_, d)| in_the_way(d.lock)) {
            return Ok(false);
        }
        self.description(k, key)?.lock = Some(wanted);
        Ok(true)
    }

    /// Gives a lock up; without one nothing happens.
    pub fn unlock(&mut self, k: &Kernel, key: Key) -> io::Result<()> {
        let description = self.description(k, key)?;
        let (node, ino) = (description.node, description.ino);
        if description.lock.take().is_some() {
            self.lock_freed(node, ino);
        }
        Ok(())
    }

    /// Waits until a lock of the file is given up.
    pub fn wait_for_lock(&mut self, k: &Kernel, key: Key, place: &mut Option<Key>, waker: &Waker) {
        let Ok(description) = self.description(k, key) else { return };
        let file = (description.node, description.ino);
        let replaced = self.lock_waiters.entry(file).or_default().wait(place, waker);
        self.out.dropped.extend(replaced);
    }

    /// Stops waiting.
    pub fn leave_lock(&mut self, k: &Kernel, key: Key, place: Option<Key>) {
        let Ok(description) = self.description(k, key) else { return };
        let file = (description.node, description.ino);
        let left = self.lock_waiters.get_mut(&file).and_then(|waiters| waiters.leave(place));
        self.out.dropped.extend(left);
    }

    /// Whoever waits for the file looks again.
    pub(super) fn lock_freed(&mut self, node: NodeId, ino: Ino) {
        if let Some(waiters) = self.lock_waiters.get_mut(&(node, ino)) {
            self.out.wake.extend(waiters.take());
        }
    }
}
