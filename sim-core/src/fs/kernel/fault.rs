//! The faults of a disk: what is armed, on which paths, and what it has hit.

use super::Volume;
use super::file::{Change, PAGE, SECTOR, What, pieces};
use super::inode::Ino;
use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FaultKind {
    /// Writes and new files say `ENOSPC`.
    Full,
    /// The device takes several times as long.
    Slow,
    /// The device does not answer.
    Hang,
    /// A read from the device says `EIO`, and so does each further one until the sector is written.
    ReadError,
    /// A write says `EIO`, and nothing of it is written.
    WriteError,
    /// A sync says `EIO`; what it was to write is clean in memory, and not on the disk.
    SyncError,
    /// A bit of the disk reads wrong.
    BitRot,
    /// The device says that it wrote a page, and did not.
    LostWrite,
    /// The device wrote a page over another one.
    MisdirectedWrite,
    /// The device returns what it held before.
    StaleRead,
}

/// A fault of a disk, as its log tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskFault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// What it is about: a path, or what paths begin with; empty for the whole disk.
    pub target: String,
    /// How many more operations it will hit; `None` for all of them while it lasts.
    pub left: Option<u64>,
    /// It has begun and not ended.
    pub active: bool,
    /// How many operations behaved otherwise because of it. A fault that hit nothing tested nothing.
    pub hits: u64,
}

/// The faults of a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    log: Vec<DiskFault>,
    /// How many are active.
    armed: usize,
    /// One of them is [`FaultKind::Full`].
    pub full: bool,
}

impl Faults {
    /// Whether any is active: all that an operation asks when there is none.
    pub fn is_armed(&self) -> bool {
        self.armed > 0
    }

    pub fn log(&self) -> &[DiskFault] {
        &self.log
    }

    /// Begins a fault: its place in the log.
    pub fn begin(&mut self, kind: FaultKind, target: &str, left: Option<u64>) -> usize {
        let target = target.trim_start_matches('/').to_string();
        self.log.push(DiskFault { kind, target, left, active: true, hits: 0 });
        self.armed += 1;
        self.full |= kind == FaultKind::Full;
        self.log.len() - 1
    }

    /// Ends a fault; one that has ended stays so.
    pub fn end(&mut self, place: usize) {
        let Some(fault) = self.log.get_mut(place) else { return };
        if std::mem::take(&mut fault.active) {
            self.armed -= 1;
            self.full = self.is_active(FaultKind::Full);
        }
    }

    pub fn is_active(&self, kind: FaultKind) -> bool {
        self.log.iter().any(|f| f.active && f.kind == kind)
    }

    pub fn hit(&mut self, place: usize) {
        if let Some(fault) = self.log.get_mut(place) {
            fault.hits += 1;
        }
    }

    /// Every active fault of a kind has changed an operation.
    pub fn hit_all(&mut self, kind: FaultKind) {
        self.log.iter_mut().filter(|f| f.active && f.kind == kind).for_each(|f| f.hits += 1);
    }

    /// Whether a fault of this kind hits an operation on `path`. Gives its place.
    pub fn strike(&mut self, kind: FaultKind, path: &[u8]) -> Option<usize> {
        let place = self.aim(kind, path)?;
        self.hit(place);
        Some(place)
    }

    /// The same for a fault that shows later; it is one nearer to its end.
    fn aim(&mut self, kind: FaultKind, path: &[u8]) -> Option<usize> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let matches = |f: &DiskFault| f.active && f.kind == kind && path.starts_with(f.target.as_bytes());
        let place = self.log.iter().position(matches)?;
        let fault = &mut self.log[place];
        if let Some(left) = &mut fault.left {
            *left -= 1;
            if *left == 0 {
                self.end(place);
            }
        }
        Some(place)
    }
}

impl Volume {
    /// Has a bit of a file read wrong from the device. False if the disk does not hold that byte, or memory holds a newer
    /// one: then nothing happens.
    pub fn rot(&mut self, ino: Ino, offset: u64, mask: u8, place: usize) -> bool {
        let page = offset / PAGE;
        let Ok(file) = self.file_mut(ino) else { return false };
        if offset >= file.image.size || !file.image.pages.contains_key(&page) || !file.evict_page(page) {
            return false;
        }
        let overlay = file.overlays.entry(page).or_default();
        overlay.flip((offset % PAGE) as u16, mask);
        overlay.by = place;
        true
    }

    /// Has a sector of a file give an error when the device reads it. False as of [`Volume::rot`].
    pub fn spoil(&mut self, ino: Ino, offset: u64, place: usize) -> bool {
        let page = offset / PAGE;
        let Ok(file) = self.file_mut(ino) else { return false };
        if offset >= file.image.size || !file.image.pages.contains_key(&page) || !file.evict_page(page) {
            return false;
        }
        let overlay = file.overlays.entry(page).or_default();
        overlay.spoil(((offset % PAGE) as usize / SECTOR) as u8);
        overlay.by = place;
        true
    }

    /// A read is about to begin: if it needs the device, a fault may strike.
    pub fn strike_read(&mut self, ino: Ino, offset: u64, length: usize) {
        let Ok(file) = self.file_mut(ino) else { return };
        let length = length.min(usize::try_from(file.size.saturating_sub(offset)).unwrap_or(usize::MAX));
        let absent = |page: u64| file.pages.get(&page).is_some_and(|cached| cached.bytes.is_none());
        let Some((page, within, _)) = pieces(offset, length).find(|&(page, ..)| absent(page)) else { return };
        let path = self.path_of(ino);
        if let Some(place) = self.faults.aim(FaultKind::ReadError, &path)
            && let Ok(file) = self.file_mut(ino)
        {
            let overlay = file.overlays.entry(page).or_default();
            overlay.spoil((within / SECTOR) as u8);
            overlay.by = place;
        }
    }

    /// A read has failed: which fault did it.
    pub(super) fn read_failed(&mut self, ino: Ino, offset: u64, length: usize) {
        let Ok(file) = self.file_mut(ino) else { return };
        let by = pieces(offset, length).find_map(|(page, ..)| {
            file.overlays.get(&page).filter(|overlay| overlay.unreadable()).map(|overlay| overlay.by)
        });
        by.into_iter().for_each(|place| self.faults.hit(place));
    }

    /// Removes the corruption of one fault; what was read of it is forgotten.
    pub fn heal_by(&mut self, place: usize) {
        self.heal_where(|by| by == place);
    }

    /// Removes every corruption: the device returns what is on the disk. What was read before is forgotten with it.
    pub fn heal_corruption(&mut self) {
        self.heal_where(|_| true);
    }

    fn heal_where(&mut self, heals: impl Fn(usize) -> bool) {
        for ino in 1..self.inodes.len() as Ino {
            if self.try_inode(ino).is_none() {
                continue;
            }
            if let Ok(file) = self.file_mut(ino) {
                let all = file.overlays.iter();
                let wrong: Vec<u64> = all.filter(|(_, o)| heals(o.by)).map(|(&page, _)| page).collect();
                for page in wrong {
                    file.overlays.remove(&page);
                    file.evict_page(page);
                }
            }
        }
    }

    /// Puts changes on the disk where a silent fault may strike.
    pub(super) fn apply_under_faults(&mut self, ino: Ino, changes: &[Change]) {
        let path = self.path_of(ino);
        for change in changes {
            let page = change.page().filter(|_| matches!(change.what, What::Write { .. }));
            let struck = page.and_then(|_| {
                let silent = [FaultKind::LostWrite, FaultKind::MisdirectedWrite, FaultKind::StaleRead];
                silent.into_iter().find_map(|kind| Some((kind, self.faults.aim(kind, &path)?)))
            });
            let Ok(file) = self.file_mut(ino) else { return };
            let (Some(page), Some((kind, place))) = (page, struck) else {
                file.apply(change);
                continue;
            };
            // What the device would return now is what it goes on to return.
            let mut before = file.image.pages.get(&page).map_or([0; PAGE as usize], |bytes| **bytes);
            if let Some(overlay) = file.overlays.get(&page) {
                overlay.show(&mut before);
            }
            file.apply(change);
            let written = file.image.pages.get(&page).cloned();
            let overlay = file.overlays.entry(page).or_default();
            overlay.by = place;
            let What::Write { offset, bytes, .. } = &change.what else { continue };
            let within = (offset % PAGE) as usize;
            let sectors = within / SECTOR..(within + bytes.len()).div_ceil(SECTOR);
            for sector in sectors.clone() {
                overlay.replace(sector as u8, &before[sector * SECTOR..(sector + 1) * SECTOR]);
            }
            if kind == FaultKind::MisdirectedWrite
                && let Some(written) = written
            {
                self.misdirect(ino, page, place, |victim| {
                    for sector in sectors.clone() {
                        victim.replace(sector as u8, &written[sector * SECTOR..(sector + 1) * SECTOR]);
                    }
                });
            }
        }
    }

    /// Has a write that was meant for a page hit another one that is on the disk: the next of the file, or one of another
    /// file. Without any it is a lost write.
    fn misdirect(
        &mut self,
        ino: Ino,
        page: u64,
        place: usize,
        hit: impl FnOnce(&mut super::overlay::Overlay),
    ) {
        let next = |disk: &Volume, ino: Ino, from: u64| {
            let file = disk.try_inode(ino)?.file()?;
            file.image.pages.range(from..).find(|&(&p, _)| p * PAGE < file.image.size).map(|(&p, _)| (ino, p))
        };
        let all = self.inodes.len() as Ino;
        let others = (1..all).map(|i| (ino + i) % all).filter(|&i| i != ino);
        let victim = next(self, ino, page + 1).or_else(|| others.into_iter().find_map(|i| next(self, i, 0)));
        let Some((ino, page)) = victim else { return };
        let Ok(file) = self.file_mut(ino) else { return };
        let overlay = file.overlays.entry(page).or_default();
        overlay.by = place;
        hit(overlay);
        file.evict_page(page);
    }
}
