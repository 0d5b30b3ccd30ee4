//! The faults of a disk: what is armed, on which paths, and what it has hit.

use super::Volume;
use super::file::{Change, PAGE, SECTOR, What, pieces};
use super::inode::Ino;
use crate::fault::FaultId;
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
    /// A sector cannot be read: `EIO` until it is written.
    BadSector,
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
    /// Memory is short: what is clean in the page cache is forgotten.
    Eviction,
}

impl FaultKind {
    /// Its family, as the fault log names it.
    pub fn family(self) -> &'static str {
        match self {
            FaultKind::Full => "disk-full",
            FaultKind::Slow => "disk-slow",
            FaultKind::Hang => "disk-hang",
            FaultKind::ReadError => "read-error",
            FaultKind::BadSector => "bad-sector",
            FaultKind::WriteError => "write-error",
            FaultKind::SyncError => "fsync-error",
            FaultKind::BitRot => "bit-rot",
            FaultKind::LostWrite => "lost-write",
            FaultKind::MisdirectedWrite => "misdirected-write",
            FaultKind::StaleRead => "stale-read",
            FaultKind::Eviction => "page-cache",
        }
    }
}

/// A fault of a disk that has begun.
#[derive(Clone, Debug)]
struct Armed {
    /// Its entry in the fault log.
    id: FaultId,
    kind: FaultKind,
    /// What the paths begin with that it is about.
    target: String,
    /// How many more operations it will hit; `None` for all of them while it lasts.
    left: Option<u64>,
    /// How many times as long the device takes.
    times: u32,
    active: bool,
}

/// What the fault log is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// A fault has changed something that can be observed.
    Effect(FaultId),
    /// A fault has hit all that it was to hit.
    Over(FaultId),
}

/// The faults of a disk, each by its place in the order of their beginnings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    all: Vec<Armed>,
    /// How many are active.
    armed: usize,
    /// One of them is [`FaultKind::Full`].
    pub full: bool,
    news: Vec<News>,
}

impl Faults {
    /// Whether any is active: all that an operation asks when there is none.
    pub fn is_armed(&self) -> bool {
        self.armed > 0
    }

    /// What the fault log has not been told yet.
    pub fn news(&mut self) -> std::vec::Drain<'_, News> {
        self.news.drain(..)
    }

    /// Begins a fault: its place.
    pub fn begin(&mut self, id: FaultId, kind: FaultKind, target: &str, left: Option<u64>) -> usize {
        let target = target.trim_start_matches('/').to_string();
        self.all.push(Armed { id, kind, target, left, times: 1, active: true });
        self.armed += 1;
        self.full |= kind == FaultKind::Full;
        self.all.len() - 1
    }

    /// Ends a fault: its kind, or `None` for one that has ended.
    pub fn end(&mut self, place: usize) -> Option<FaultKind> {
        let fault = self.all.get_mut(place).filter(|fault| fault.active)?;
        fault.active = false;
        let (id, kind) = (fault.id, fault.kind);
        self.news.push(News::Over(id));
        self.armed -= 1;
        self.full = self.is_active(FaultKind::Full);
        Some(kind)
    }

    /// How many there have been.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_active(&self, kind: FaultKind) -> bool {
        self.all.iter().any(|f| f.active && f.kind == kind)
    }

    /// A fault has the device take so many times as long.
    pub fn slows(&mut self, place: usize, times: u32) {
        self.all[place].times = times;
    }

    /// How many times as long the device takes.
    pub fn times(&self) -> u32 {
        self.all.iter().filter(|f| f.active).map(|f| f.times).max().unwrap_or(1)
    }

    pub fn hit(&mut self, place: usize) {
        if let Some(fault) = self.all.get(place) {
            self.news.push(News::Effect(fault.id));
        }
    }

    /// Every active fault of a kind has changed an operation.
    pub fn hit_all(&mut self, kind: FaultKind) {
        let hit = self.all.iter().filter(|f| f.active && f.kind == kind);
        self.news.extend(hit.map(|f| News::Effect(f.id)));
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
        let matches = |f: &Armed| f.active && f.kind == kind && path.starts_with(f.target.as_bytes());
        let place = self.all.iter().position(matches)?;
        if let Some(left) = &mut self.all[place].left {
            *left -= 1;
            if *left == 0 {
                self.end(place);
            }
        }
        Some(place)
    }
}

impl Volume {
    /// Whether damage to a byte of a file shows: the disk holds it, and memory holds nothing newer. What memory holds of its
    /// page is forgotten.
    pub fn reaches(&mut self, ino: Ino, offset: u64) -> bool {
        let page = offset / PAGE;
        let Ok(file) = self.file_mut(ino) else { return false };
        offset < file.image.size && file.image.pages.contains_key(&page) && file.evict_page(page)
    }

    /// Damages a bit of a file, or its sector: file, byte and bit. Nothing happens if that would not show.
    pub fn damage(&mut self, kind: FaultKind, (ino, offset, bit): (Ino, u64, u8), place: usize) {
        if !self.reaches(ino, offset) {
            return;
        }
        let Ok(file) = self.file_mut(ino) else { return };
        let within = (offset % PAGE) as u16;
        let overlay = file.overlays.entry(offset / PAGE).or_default();
        match kind {
            FaultKind::BadSector => overlay.spoil((usize::from(within) / SECTOR) as u8, place),
            _ => overlay.flip(within, 1 << bit, place),
        }
    }

    /// How many bits of files that have a name the disk holds.
    pub fn bits(&self) -> u64 {
        self.pages_held().map(|(.., bytes)| bytes * 8).sum()
    }

    /// One of them, in the order of files and pages: file, byte and bit.
    pub fn nth_bit(&self, n: u64) -> Option<(Ino, u64, u8)> {
        let mut left = n;
        self.pages_held().find_map(|(ino, page, bytes)| match left.checked_sub(bytes * 8) {
            Some(beyond) => {
                left = beyond;
                None
            }
            None => Some((ino, page * PAGE + left / 8, (left % 8) as u8)),
        })
    }

    /// The pages that the disk holds of files that have a name, with how many bytes of each are before the end.
    fn pages_held(&self) -> impl Iterator<Item = (Ino, u64, u64)> {
        (1..self.inodes.len() as Ino)
            .filter_map(|ino| Some((ino, self.try_inode(ino).filter(|inode| inode.links > 0)?.file()?)))
            .flat_map(|(ino, file)| {
                let size = file.image.size;
                let bytes = move |page: u64| size.saturating_sub(page * PAGE).min(PAGE);
                file.image.pages.keys().map(move |&page| (ino, page, bytes(page)))
            })
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
            file.overlays.entry(page).or_default().spoil((within / SECTOR) as u8, place);
        }
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
                let mut healed = Vec::new();
                file.overlays.retain(|&page, overlay| {
                    let (was_wrong, clean) = overlay.heal(&heals);
                    healed.extend(was_wrong.then_some(page));
                    !clean
                });
                for page in healed {
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
                overlay.show(&mut before, &mut Vec::new());
            }
            file.apply(change);
            let written = file.image.pages.get(&page).cloned();
            let overlay = file.overlays.entry(page).or_default();
            let What::Write { offset, bytes, .. } = &change.what else { continue };
            let within = (offset % PAGE) as usize;
            let sectors = within / SECTOR..(within + bytes.len()).div_ceil(SECTOR);
            for sector in sectors.clone() {
                overlay.replace(sector as u8, &before[sector * SECTOR..(sector + 1) * SECTOR], place);
            }
            if kind == FaultKind::MisdirectedWrite
                && let Some(written) = written
            {
                self.misdirect(ino, page, |victim| {
                    for sector in sectors.clone() {
                        victim.replace(sector as u8, &written[sector * SECTOR..(sector + 1) * SECTOR], place);
                    }
                });
            }
        }
    }

    /// Has a write that was meant for a page hit another one that is on the disk: the next of the file, or one of another
    /// file. Without any it is a lost write.
    fn misdirect(&mut self, ino: Ino, page: u64, hit: impl FnOnce(&mut super::overlay::Overlay)) {
        let next = |disk: &Volume, ino: Ino, from: u64| {
            let file = disk.try_inode(ino)?.file()?;
            file.image.pages.range(from..).find(|&(&p, _)| p * PAGE < file.image.size).map(|(&p, _)| (ino, p))
        };
        let all = self.inodes.len() as Ino;
        let others = (1..all).map(|i| (ino + i) % all).filter(|&i| i != ino);
        let victim = next(self, ino, page + 1).or_else(|| others.into_iter().find_map(|i| next(self, i, 0)));
        let Some((ino, page)) = victim else { return };
        let Ok(file) = self.file_mut(ino) else { return };
        hit(file.overlays.entry(page).or_default());
        file.evict_page(page);
    }
}
