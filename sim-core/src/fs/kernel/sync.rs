//! How changes come to the disk: by fsync(2), and by the kernel, which writes back what is old.

use super::crash::CrashModel;
use super::fault::FaultKind;
use super::file::{Change, Traffic, What};
use super::inode::{Body, Ino};
use super::names::needed_for;
use super::{At, Volume};
use crate::fs::errno;
use std::collections::BTreeSet;
use std::io;

/// What a sync makes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// fsync(2)
    Everything,
    /// fdatasync(2): not the mode bits.
    Data,
}

/// How old a change gets before the kernel writes it back, and how often it looks, ns: `vm.dirty_expire_centisecs` and
/// `vm.dirty_writeback_centisecs` as Linux sets them (Documentation/admin-guide/sysctl/vm.rst).
const EXPIRE: u64 = 30_000_000_000;
const LOOK: u64 = 5_000_000_000;

impl Volume {
    /// The changes up to here are those that a sync which begins now has to make durable.
    pub fn watermark(&self) -> u64 {
        self.seq
    }

    /// What a sync of an inode has to write.
    pub fn dirty(&self, ino: Ino) -> Traffic {
        match self.try_inode(ino).map(|inode| &inode.body) {
            Some(Body::File(file)) => file.dirty(),
            Some(Body::Dir(_)) => {
                let changes = self.names.iter().filter(|c| c.what.touches(ino)).count() as u64;
                Traffic { requests: changes.min(1), bytes: changes * super::PAGE }
            }
            _ => Traffic::default(),
        }
    }

    /// fsync(2) and fdatasync(2): what was changed up to the watermark is on the disk afterwards.
    ///
    /// # Errors
    /// `EIO` by a fault. What was written is then clean in the cache and not on the disk, and is not written again.
    pub fn sync(&mut self, at: At, ino: Ino, upto: u64, how: Durability) -> io::Result<()> {
        self.write_back(at.now);
        if self.faults.is_armed() {
            let path = self.path_of(ino);
            if self.faults.strike(FaultKind::SyncError, &path).is_some() {
                self.drop_writes(ino, upto);
                self.inode_mut(ino).failures += 1;
                return Err(errno::input_output());
            }
        }
        let wanted =
            |c: &Change| c.seq <= upto && (how == Durability::Everything || !matches!(c.what, What::Mode(_)));
        match self.model {
            CrashModel::Lying => {}
            CrashModel::Strict | CrashModel::Chaos => {
                if self.inode(ino).is_dir() {
                    let needed = needed_for(&self.names, |c| c.seq <= upto && c.what.touches(ino));
                    self.commit_names(&needed);
                }
                self.commit_file(ino, wanted);
            }
            CrashModel::Ordered => {
                let of_names = self.names.iter().rev().filter(|c| c.seq <= upto);
                let last_name = of_names.clone().find(|c| c.what.mentions().any(|i| i == ino));
                let changes = self.inode(ino).file().map_or(&[][..], |f| &f.pending);
                let last_change = changes.iter().rev().find(|c| c.journaled() && wanted(c));
                let last = last_name.map_or(0, |c| c.seq).max(last_change.map_or(0, |c| c.seq));
                self.commit_journal(last);
                self.commit_file(ino, wanted);
            }
        }
        Ok(())
    }

    /// A failed sync: the kernel believes that what it was to write is clean.
    fn drop_writes(&mut self, ino: Ino, upto: u64) {
        let Ok(file) = self.file_mut(ino) else { return };
        let mut lost = BTreeSet::new();
        file.pending.retain(|c| {
            let fails = c.seq <= upto && matches!(c.what, What::Write { .. });
            lost.extend(c.page().filter(|_| fails));
            !fails
        });
        for page in lost {
            if let Some(cached) = file.pages.get_mut(&page) {
                cached.diverged = true;
            }
        }
    }

    /// Puts the changes of a file on the disk that `takes` chooses.
    pub(super) fn commit_file(&mut self, ino: Ino, mut takes: impl FnMut(&Change) -> bool) {
        let Ok(file) = self.file_mut(ino) else { return };
        let pending = std::mem::take(&mut file.pending);
        let (taken, left): (Vec<_>, Vec<_>) = pending.into_iter().partition(|c| takes(c));
        let is_clean = left.is_empty();
        file.pending = left;
        let mut mode = None;
        if self.faults.is_armed() {
            self.apply_under_faults(ino, &taken);
            mode = taken.iter().rev().find_map(|c| if let What::Mode(m) = c.what { Some(m) } else { None });
        } else if let Ok(file) = self.file_mut(ino) {
            for change in &taken {
                mode = file.apply(change).or(mode);
            }
        }
        let inode = self.inode_mut(ino);
        inode.durable_mode = mode.unwrap_or(inode.durable_mode);
        if is_clean {
            self.dirty.remove(&ino);
        }
    }

    /// Puts the changes of names on the disk that are chosen.
    pub(super) fn commit_names(&mut self, chosen: &[bool]) {
        let all = std::mem::take(&mut self.names);
        for (change, &chosen) in all.into_iter().zip(chosen) {
            if chosen {
                self.apply_name(&change);
            } else {
                self.names.push(change);
            }
        }
    }

    /// Commits the journal of metadata up to a change, and before it the data that it shows.
    pub(super) fn commit_journal(&mut self, upto: u64) {
        let in_names: Vec<bool> = self.names.iter().map(|c| c.seq <= upto).collect();
        for ino in self.dirty.iter().copied().collect::<Vec<_>>() {
            let Ok(file) = self.file_mut(ino) else { continue };
            // A page is written as a whole: whatever came to it before what the journal shows.
            let mut pages = BTreeSet::new();
            let mut taken = BTreeSet::new();
            for change in file.pending.iter().rev() {
                let in_journal = change.journaled() && change.seq <= upto;
                if in_journal {
                    pages.extend(change.page());
                }
                if in_journal || change.page().is_some_and(|page| pages.contains(&page)) {
                    taken.insert(change.seq);
                }
            }
            if !taken.is_empty() {
                self.commit_file(ino, |c| taken.contains(&c.seq));
            }
        }
        self.commit_names(&in_names);
    }

    /// Writes back what is older than half a minute, if it is time to look.
    pub(super) fn write_back(&mut self, now: u64) {
        if now < self.writeback_due {
            return;
        }
        self.writeback_due = now.saturating_add(LOOK);
        let Some(horizon) = now.checked_sub(EXPIRE).filter(|_| self.model != CrashModel::Strict) else {
            return;
        };
        for ino in self.dirty.iter().copied().collect::<Vec<_>>() {
            self.commit_file(ino, |c| c.at <= horizon);
        }
        let old: Vec<bool> = self.names.iter().map(|c| c.at <= horizon).collect();
        self.commit_names(&old);
    }
}
