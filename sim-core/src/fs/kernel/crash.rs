//! What a power cut leaves.
//!
//! Whatever is open is a decision: `decide(about, dist)`, where `about` names it within the crash and 0 is boring: what was
//! pending had reached the disk in time, and the power cut is no worse than a kill.

use super::file::{Change, File, PAGE, Page, SECTOR, What};
use super::inode::{Body, Ino, ROOT};
use super::names::{NameWhat, kept_without};
use super::{At, Volume, hash_bytes};
use crate::hash::{Map, below, h};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a power cut may leave of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum CrashModel {
    /// Nothing that was not synced survives.
    Strict,
    /// One journal of metadata, as ext4 with `data=ordered`: a crash keeps a prefix of it, any sync commits the prefix that
    /// it needs, and data is on the disk before the metadata that shows it. Data written over old data is in no order.
    Ordered,
    /// Any subset: each change of a name (a rename is never half), each length, each page and in a torn page each sector
    /// is as it was at some moment since the last sync.
    #[default]
    Chaos,
    /// A drive whose flush does nothing: a sync returns, and a crash leaves what `Chaos` leaves had there been none.
    Lying,
}

/// Says what is open: `about` names it, `dist` maps 64 random bits to a value, of which 0 is boring.
pub(crate) type Decide<'a> = &'a mut dyn FnMut(u64, &dyn Fn(u64) -> u64) -> u64;

/// What decisions are about, in their names.
const MOOD: u64 = 1;
const CUT: u64 = 2;
const NAME: u64 = 3;
const FILE: u64 = 4;
const LENGTH: u64 = 5;
const MODE: u64 = 6;
const CONTENT: u64 = 7;

/// How much is lost. It shapes what is drawn, and does not gate it: each loss stands for itself.
#[derive(Clone, Copy)]
enum Mood {
    Keeps,
    Loses,
    Mixes,
    /// Now and then something is lost.
    LosesLittle,
}

impl Mood {
    fn decide(about: u64, decide: Decide<'_>) -> Mood {
        [Mood::Keeps, Mood::Loses, Mood::Mixes, Mood::LosesLittle]
            [decide(about, &|draw| below(draw, 4)) as usize % 4]
    }

    /// How many of the last `n` are lost.
    fn lost(self, draw: u64, n: u64) -> u64 {
        match self {
            Mood::Keeps => 0,
            Mood::Loses => n,
            Mood::Mixes => below(draw, n + 1),
            Mood::LosesLittle if below(draw, 8) == 7 => 1.min(n),
            Mood::LosesLittle => 0,
        }
    }
}

/// Names that do not depend on how many others there are.
#[derive(Default)]
struct Ordinals(Map<u64, u64>);

impl Ordinals {
    fn name(&mut self, about: u64) -> u64 {
        let count = self.0.entry(about).or_default();
        *count += 1;
        h(about, *count)
    }
}

impl Volume {
    /// The power goes: what is on the disk is all there is.
    pub fn crash(&mut self, at: At, decide: Decide<'_>) {
        self.write_back(at.now);
        match self.model {
            CrashModel::Strict => {}
            CrashModel::Ordered => self.cut_the_journal(decide),
            CrashModel::Chaos | CrashModel::Lying => self.keep_any(decide),
        }
        self.restart();
        self.era = self.era.wrapping_add(1);
        self.device.reset();
    }

    fn keep_any(&mut self, decide: Decide<'_>) {
        let mut ordinals = Ordinals::default();
        let mood = Mood::decide(MOOD, decide);
        let kept = {
            let Volume { names, .. } = &*self;
            let tags: Vec<u64> = names.iter().map(|c| ordinals.name(self.tag_of(&c.what))).collect();
            let mut tags = names.iter().map(|c| c.seq).zip(tags).collect::<BTreeMap<_, _>>();
            kept_without(names, |c| {
                let about = tags.remove(&c.seq).unwrap_or(0);
                decide(about, &|draw| mood.lost(draw, 1)) != 0
            })
        };
        self.commit_names(&kept);
        for ino in self.dirty.iter().copied().collect::<Vec<_>>() {
            let about = ordinals.name(h(FILE, self.inode(ino).tag));
            let mood = Mood::decide(about, decide);
            let Ok(file) = self.file_mut(ino) else { continue };
            let mode = file.keep_some(about, mood, false, decide);
            let inode = self.inode_mut(ino);
            inode.durable_mode = mode.unwrap_or(inode.durable_mode);
        }
    }

    fn tag_of(&self, what: &NameWhat) -> u64 {
        let (first, second) = what.slots();
        let slot = second.unwrap_or(first);
        h(h(NAME, self.try_inode(slot.0).map_or(0, |dir| dir.tag)), hash_bytes(&slot.1))
    }

    fn cut_the_journal(&mut self, decide: Decide<'_>) {
        let files = self.dirty.iter().filter_map(|&ino| self.inode(ino).file());
        let changes = files.flat_map(|f| &f.pending).filter(|c| c.journaled()).map(|c| c.seq);
        let journal: BTreeSet<u64> = changes.chain(self.names.iter().map(|c| c.seq)).collect();
        let n = journal.len() as u64;
        let mood = Mood::decide(MOOD, decide);
        let dropped = decide(CUT, &|draw| mood.lost(draw, n)).min(n);
        if let Some(&last) = journal.iter().rev().nth(dropped as usize) {
            self.commit_journal(last);
        }
        let mut ordinals = Ordinals::default();
        for ino in self.dirty.iter().copied().collect::<Vec<_>>() {
            let about = ordinals.name(h(FILE, self.inode(ino).tag));
            let mood = Mood::decide(about, decide);
            if let Ok(file) = self.file_mut(ino) {
                file.keep_some(about, mood, true, decide);
            }
        }
    }

    /// What is on the disk becomes what programs see; what no name leads to is gone.
    pub(super) fn restart(&mut self) {
        self.names.clear();
        self.dirty.clear();
        for inode in self.inodes.iter_mut().flatten() {
            inode.links = 0;
            inode.opens = 0;
            inode.refs = 0;
            inode.failures = 0;
            inode.mode = inode.durable_mode;
        }
        self.used = 0;
        self.used_inodes = 1;
        let root = self.inode_mut(ROOT);
        (root.links, root.refs) = (1, 1);
        let mut found = vec![ROOT];
        while let Some(dir) = found.pop() {
            for (name, ino) in self.image(dir) {
                let inode = self.inode_mut(ino);
                inode.links += 1;
                // One for the name that programs see, one for that on the disk.
                inode.refs += 2;
                inode.home = (dir, name);
                if inode.links > 1 {
                    continue;
                }
                let mut pages = 0;
                match &mut inode.body {
                    Body::File(file) => {
                        file.restart();
                        pages = file.pages.len() as u64;
                    }
                    Body::Dir(d) => {
                        d.parent = dir;
                        found.push(ino);
                    }
                    Body::Symlink(_) => {}
                }
                self.used += pages;
                self.used_inodes += 1;
            }
            let d = self.dir_mut(dir);
            d.entries = d.image.clone();
        }
        for place in &mut self.inodes {
            if place.as_ref().is_some_and(|inode| inode.links == 0) {
                *place = None;
            }
        }
    }

    /// Forgets what is in memory and clean, as writing to `/proc/sys/vm/drop_caches` does.
    pub fn evict(&mut self) {
        for ino in 1..self.inodes.len() as Ino {
            if self.try_inode(ino).is_some()
                && let Ok(file) = self.file_mut(ino)
            {
                file.evict();
            }
        }
    }
}

impl File {
    /// Puts some of the pending changes on the disk; gives the mode, if it changes. `ordered` says that those which are in
    /// the journal are lost.
    fn keep_some(&mut self, about: u64, mood: Mood, ordered: bool, decide: Decide<'_>) -> Option<u32> {
        let pending = std::mem::take(&mut self.pending);
        let mut pages: BTreeMap<u64, Vec<&Change>> = BTreeMap::new();
        // In a journal that was cut, what came to a page after a change that is lost is lost with it.
        let mut closed = BTreeSet::new();
        let (mut lengths, mut modes) = (Vec::new(), Vec::new());
        for change in &pending {
            match (change.page(), &change.what) {
                (Some(page), _) => {
                    if ordered && change.journaled() {
                        closed.insert(page);
                    }
                    if !closed.contains(&page) {
                        pages.entry(page).or_default().push(change);
                    }
                }
                (None, What::Size(size)) if !ordered => lengths.push(*size),
                (None, What::Mode(mode)) if !ordered => modes.push(*mode),
                _ => {}
            }
        }
        for (&page, changes) in &pages {
            let n = changes.len() as u64;
            let about = h(h(about, CONTENT), page);
            // One more than all are lost: each sector is torn off at another moment.
            let torn = n + 1;
            let dist = |draw: u64| match mood {
                Mood::Mixes => below(draw, n + 2),
                _ => mood.lost(draw, n),
            };
            let lost = decide(about, &dist).min(torn);
            if lost < torn {
                for change in &changes[..(n - lost) as usize] {
                    self.apply(change);
                }
                continue;
            }
            let mut kept = [0; PAGE as usize / SECTOR];
            for (sector, kept) in kept.iter_mut().enumerate() {
                let lost = decide(h(about, sector as u64), &|draw| below(draw, n + 1)).min(n);
                *kept = (n - lost) as usize;
            }
            self.tear(page, changes, &kept);
        }
        let mut last = |what, values: &[u64]| {
            let n = values.len() as u64;
            let lost = if n == 0 { 0 } else { decide(h(about, what), &|draw| mood.lost(draw, n)).min(n) };
            values[..(n - lost) as usize].last().copied()
        };
        if let Some(size) = last(LENGTH, &lengths) {
            self.image.size = size;
        }
        let modes: Vec<u64> = modes.into_iter().map(u64::from).collect();
        last(MODE, &modes).map(|mode| mode as u32)
    }

    /// Leaves each sector of a page as it was after so many of the changes.
    fn tear(&mut self, page: u64, changes: &[&Change], kept: &[usize; PAGE as usize / SECTOR]) {
        let before = self.image.pages.get(&page).cloned();
        let overlay = self.overlays.get(&page).cloned();
        let zeros: Page = [0; PAGE as usize];
        let mut torn = before.as_deref().copied().unwrap_or(zeros);
        for n in 1..=changes.len() {
            self.apply(changes[n - 1]);
            let state = self.image.pages.get(&page).map_or(&zeros, |bytes| bytes);
            for (sector, _) in kept.iter().enumerate().filter(|&(_, &k)| k == n) {
                let range = sector * SECTOR..(sector + 1) * SECTOR;
                torn[range.clone()].copy_from_slice(&state[range]);
            }
        }
        if torn == zeros && before.is_none() {
            self.image.pages.remove(&page);
        } else {
            self.image.pages.insert(page, Box::new(torn));
        }
        self.overlays.remove(&page);
        if let Some(mut overlay) = overlay {
            let mut clean = false;
            for (sector, _) in kept.iter().enumerate().filter(|&(_, &k)| k > 0) {
                let start = sector * SECTOR;
                clean = overlay.rewritten(start, &torn[start..start + SECTOR]);
            }
            if !clean {
                self.overlays.insert(page, overlay);
            }
        }
    }
}
