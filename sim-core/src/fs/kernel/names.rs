//! Changes of names that are not on the disk yet, and which of them need which.
//!
//! A disk may have seen any subset of them that respects what they depend on: changes of one name come in their order, a
//! directory is removed after what was in it, a move into a new directory needs that directory, and moves of directories
//! come in their order. So a rename is never half, and nothing that was not removed is ever lost.

use super::inode::{Ino, Name, Slot};
use std::collections::BTreeSet;

/// A change of names.
#[derive(Clone, Debug)]
pub(crate) struct NameChange {
    /// Its place among all changes of the disk.
    pub seq: u64,
    /// When it was made, ns of world time.
    pub at: u64,
    pub what: NameWhat,
}

#[derive(Clone, Debug)]
pub(crate) enum NameWhat {
    /// A new name for an inode; `makes` says that it makes a directory.
    Add { slot: Slot, ino: Ino, makes: bool },
    /// A name goes; `dir` says that it is a directory's.
    Remove { slot: Slot, ino: Ino, dir: bool },
    /// A name changes, and replaces another, if there is one; `crosses` says that it moves a directory to another.
    Move { from: Slot, to: Slot, ino: Ino, replaced: Option<Ino>, crosses: bool },
}

impl NameWhat {
    /// The name that it is about first, and the second one of a move.
    pub fn slots(&self) -> (&Slot, Option<&Slot>) {
        match self {
            NameWhat::Add { slot, .. } | NameWhat::Remove { slot, .. } => (slot, None),
            NameWhat::Move { from, to, .. } => (from, Some(to)),
        }
    }

    /// Every inode that it mentions: they are kept until it is on the disk.
    pub fn mentions(&self) -> impl Iterator<Item = Ino> {
        let (first, second) = self.slots();
        let (ino, replaced) = match self {
            NameWhat::Add { ino, .. } | NameWhat::Remove { ino, .. } => (*ino, None),
            NameWhat::Move { ino, replaced, .. } => (*ino, *replaced),
        };
        [Some(first.0), second.map(|s| s.0), Some(ino), replaced].into_iter().flatten()
    }

    /// Whether it changes entries of a directory.
    pub fn touches(&self, dir: Ino) -> bool {
        let (first, second) = self.slots();
        first.0 == dir || second.is_some_and(|s| s.0 == dir)
    }

    fn removes_dir(&self) -> Option<Ino> {
        match *self {
            NameWhat::Remove { ino, dir: true, .. } => Some(ino),
            NameWhat::Move { replaced, .. } => replaced,
            _ => None,
        }
    }

    fn makes_dir(&self) -> Option<Ino> {
        if let NameWhat::Add { ino, makes: true, .. } = *self { Some(ino) } else { None }
    }

    fn moves_into(&self) -> Option<Ino> {
        if let NameWhat::Move { to, .. } = self { Some(to.0) } else { None }
    }

    fn crosses(&self) -> bool {
        matches!(self, NameWhat::Move { crosses: true, .. })
    }
}

/// Which of `changes` must be on the disk so that those that `wanted` names can be: a flag for each.
pub(crate) fn needed_for(changes: &[NameChange], wanted: impl Fn(&NameChange) -> bool) -> Vec<bool> {
    let mut needed = vec![false; changes.len()];
    let mut slots: BTreeSet<(Ino, Name)> = BTreeSet::new();
    let mut removed: BTreeSet<Ino> = BTreeSet::new();
    let mut targets: BTreeSet<Ino> = BTreeSet::new();
    let mut crossing = false;
    for (i, change) in changes.iter().enumerate().rev() {
        let what = &change.what;
        let (first, second) = what.slots();
        let is_target = what.makes_dir().is_some_and(|dir| targets.contains(&dir));
        let is_needed = wanted(change)
            || slots.contains(first)
            || second.is_some_and(|s| slots.contains(s))
            || removed.contains(&first.0)
            || second.is_some_and(|s| removed.contains(&s.0))
            || is_target
            || (crossing && what.crosses());
        if !is_needed {
            continue;
        }
        needed[i] = true;
        slots.insert(first.clone());
        slots.extend(second.cloned());
        removed.extend(what.removes_dir());
        targets.extend(what.moves_into());
        if is_target {
            // The new directory must itself be in a place that is there.
            targets.insert(first.0);
        }
        crossing |= what.crosses();
    }
    needed
}

/// What a crash keeps: `drops` says of a change whether the disk did not see it, and is asked only where that is open.
pub(crate) fn kept_without(changes: &[NameChange], mut drops: impl FnMut(&NameChange) -> bool) -> Vec<bool> {
    let mut slots: BTreeSet<(Ino, Name)> = BTreeSet::new();
    let mut dirs: BTreeSet<Ino> = BTreeSet::new();
    let mut unmade: BTreeSet<Ino> = BTreeSet::new();
    let mut crossing = false;
    let decide = |change: &NameChange| {
        let what = &change.what;
        let (first, second) = what.slots();
        let made = what.makes_dir();
        let lost = slots.contains(first)
            || second.is_some_and(|s| slots.contains(s))
            || what.removes_dir().is_some_and(|dir| dirs.contains(&dir))
            || what.moves_into().is_some_and(|dir| unmade.contains(&dir))
            // What is made in a directory that is not there is not there either.
            || (made.is_some() && unmade.contains(&first.0))
            || (crossing && what.crosses());
        if !lost && !drops(change) {
            return true;
        }
        slots.insert(first.clone());
        slots.extend(second.cloned());
        dirs.insert(first.0);
        dirs.extend(second.map(|s| s.0));
        unmade.extend(made);
        crossing |= what.crosses();
        false
    };
    changes.iter().map(decide).collect()
}
