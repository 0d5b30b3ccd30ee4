//! Names: the hash of cause, kind and target, and how often that was asked for under the same cause.
//!
//! ```text
//! name = h(h(h(cause, kind), target), ordinal)
//! ```
//!
//! The cause is the name of the event that is being handled, until the ready queue is empty. It is not the
//! task: a restarted process has new tasks. It is not a counter: one more anywhere would rename all that
//! follows.

use super::{Kind, Name, ROOT};
use crate::hash::h;

/// Counts how often each (cause, kind, target) was asked for: an open-addressed table whose entries are
/// forgotten by moving on to the next epoch, so that a new event costs nothing.
#[derive(Debug)]
pub(crate) struct Naming {
    cause: Name,
    epoch: u32,
    used: usize,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    base: u64,
    epoch: u32,
    count: u32,
}

const LEAST: usize = 64;

impl Naming {
    pub(crate) const fn new() -> Self {
        Naming { cause: ROOT, epoch: 1, used: 0, entries: Vec::new() }
    }

    /// Starts over with the root as cause.
    pub(crate) fn reset(&mut self) {
        // A run that named many things under one cause does not make the next keep its table.
        if self.entries.len() > 16 * LEAST {
            self.entries = Vec::new();
        }
        self.set_cause(ROOT);
    }

    /// The event that is being handled.
    #[inline]
    pub(crate) fn cause(&self) -> Name {
        self.cause
    }

    /// Counts causes; equal numbers mean the same cause.
    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Makes an event the cause of what follows.
    #[inline]
    pub(crate) fn set_cause(&mut self, cause: Name) {
        self.cause = cause;
        self.used = 0;
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // The counter came round: entries of an old epoch of the same number must not be believed.
            self.entries.fill(Entry::default());
            self.epoch = 1;
        }
    }

    /// The next name of this kind and target under the current cause; ordinals start at 1.
    #[inline(always)]
    pub(crate) fn name(&mut self, kind: Kind, target: u64) -> Name {
        let base = h(h(self.cause, kind as u64), target);
        h(base, self.count(base).into())
    }

    /// How often a base was asked for under this cause, this time included.
    #[inline(always)]
    fn count(&mut self, base: u64) -> u32 {
        let mask = self.entries.len().wrapping_sub(1);
        let mut i = base as usize & mask;
        while let Some(entry) = self.entries.get_mut(i) {
            if entry.epoch != self.epoch {
                if self.used * 2 >= mask {
                    break;
                }
                *entry = Entry { base, epoch: self.epoch, count: 1 };
                self.used += 1;
                return 1;
            }
            if entry.base == base {
                entry.count += 1;
                return entry.count;
            }
            i = (i + 1) & mask;
        }
        self.count_in_more(base)
    }

    #[cold]
    fn count_in_more(&mut self, base: u64) -> u32 {
        self.grow();
        self.count(base)
    }

    /// The name whose ordinal the caller counts itself: for wakes, whose count lies with the task.
    #[inline]
    pub(crate) fn name_with(&self, kind: Kind, target: u64, ordinal: u32) -> Name {
        h(h(h(self.cause, kind as u64), target), ordinal as u64)
    }

    fn grow(&mut self) {
        let size = (self.entries.len() * 2).max(LEAST);
        let old = std::mem::replace(&mut self.entries, vec![Entry::default(); size]);
        for entry in old.into_iter().filter(|e| e.epoch == self.epoch) {
            let mut i = entry.base as usize & (size - 1);
            while self.entries[i].epoch == self.epoch {
                i = (i + 1) & (size - 1);
            }
            self.entries[i] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Naming {
        let mut naming = Naming::new();
        naming.reset();
        naming
    }

    #[test]
    fn names_are_pinned() {
        let mut n = fresh();
        let mut names = vec![n.name(Kind::Packet, 7), n.name(Kind::Packet, 7), n.name(Kind::Timer, 0)];
        let first = names[0];
        n.set_cause(first);
        names.push(n.name(Kind::Packet, 7));
        names.push(n.name_with(Kind::Wake, 9, 1));
        assert_eq!(format!("{names:016x?}"), GOLDEN);
        assert_eq!(names[0], h(h(h(ROOT, 13), 7), 1));
        assert_eq!(names[1], h(h(h(ROOT, 13), 7), 2));
    }
    const GOLDEN: &str =
        "[93b1f34e1226da74, b7799f1cb139f394, 88df303ceb7c9c60, cbc432d358698a07, e0284851b834b6a0]";

    #[test]
    fn ordinals_count_per_cause_kind_and_target() {
        let mut n = fresh();
        let a = n.name(Kind::Packet, 1);
        let b = n.name(Kind::Packet, 2);
        assert_ne!(a, b);
        let mut m = fresh();
        assert_eq!(m.name(Kind::Packet, 2), b, "what another target did does not shift a name");
        m.set_cause(5);
        m.set_cause(ROOT);
        assert_eq!(m.name(Kind::Packet, 1), a, "a cause that comes again counts anew");
    }

    #[test]
    fn a_burst_of_targets_keeps_its_counts() {
        let mut n = fresh();
        let first: Vec<Name> = (0..10_000).map(|t| n.name(Kind::Disk, t)).collect();
        for (t, &name) in first.iter().enumerate() {
            assert_eq!(name, h(h(h(ROOT, 10), t as u64), 1));
            assert_eq!(n.name(Kind::Disk, t as u64), h(h(h(ROOT, 10), t as u64), 2));
        }
    }
}
