//! The content of a file: the page cache, the image on the disk, and the changes that lie between them.
//!
//! A write changes a page of the cache and leaves a [`Change`]: how the page came to be what it is. The changes of a page,
//! replayed in order over its image, give every state that the disk may have seen.

use super::overlay::Overlay;
use crate::fs::errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Bytes of a page: what the cache and the file system work in.
pub(crate) const PAGE: u64 = 4096;
/// Bytes of a sector: what the device writes as a whole or not at all.
pub(crate) const SECTOR: usize = 512;
/// The largest file, bytes: ext4 with 4 KiB blocks.
pub(crate) const LARGEST: u64 = 1 << 44;

pub(crate) type Page = [u8; PAGE as usize];

/// A page as programs see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cached {
    /// Its bytes, when they are in memory; otherwise they are those of the disk.
    pub bytes: Option<Box<Page>>,
    /// It is clean although the disk holds something else: writing it back failed.
    pub diverged: bool,
}

/// What is on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub size: u64,
    /// A page that is missing is a hole and reads as zeros.
    pub pages: BTreeMap<u64, Box<Page>>,
}

/// A change that is not on the disk yet.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Its place among all changes of the disk.
    pub seq: u64,
    /// When it was made, ns of world time.
    pub at: u64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Bytes of one page. `shows` says whether metadata makes them visible: the write took new blocks or made the file
    /// longer, and is in the journal.
    Write {
        offset: u64,
        bytes: Box<[u8]>,
        shows: bool,
    },
    /// Zeros from here to the end of the page, by a truncation.
    Zero {
        from: u64,
    },
    Size(u64),
    Mode(u32),
}

impl Change {
    /// The page that it is about.
    pub fn page(&self) -> Option<u64> {
        match &self.what {
            What::Write { offset, .. } => Some(offset / PAGE),
            What::Zero { from } => Some(from / PAGE),
            What::Size(_) | What::Mode(_) => None,
        }
    }

    /// Whether it has a place in the journal of metadata.
    pub fn journaled(&self) -> bool {
        !matches!(self.what, What::Write { shows: false, .. })
    }
}

/// What an operation asked of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub requests: u64,
    pub bytes: u64,
}

/// A clock that numbers changes.
pub(crate) struct Stamp<'a> {
    pub seq: &'a mut u64,
    pub now: u64,
}

impl Stamp<'_> {
    pub fn change(&mut self, what: What) -> Change {
        *self.seq += 1;
        Change { seq: *self.seq, at: self.now, what }
    }
}

/// A regular file.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub size: u64,
    /// The pages that hold something: a missing one is a hole.
    pub pages: BTreeMap<u64, Cached>,
    pub image: Image,
    /// In the order in which they were made.
    pub pending: Vec<Change>,
    /// What the device returns instead of the image.
    pub overlays: BTreeMap<u64, Overlay>,
}

/// The pieces of a range, each within a page: page, first byte in it, length.
pub(crate) fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        (at < end).then(|| {
            let (page, within) = (at / PAGE, (at % PAGE) as usize);
            let length = (PAGE as usize - within).min((end - at) as usize);
            at += length as u64;
            (page, within, length)
        })
    })
}

fn zeroed() -> Box<Page> {
    vec![0; PAGE as usize].into_boxed_slice().try_into().expect("a page is as long as a page")
}

impl File {
    /// Reads into `buffer`; gives how much, and what had to come from the device. `wrong` gets the faults that showed.
    pub fn read(
        &mut self,
        offset: u64,
        buffer: &mut [u8],
        wrong: &mut Vec<usize>,
    ) -> io::Result<(usize, Traffic)> {
        let length =
            buffer.len().min(usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut traffic = Traffic::default();
        let (mut done, mut previous) = (0, None);
        for (page, within, n) in pieces(offset, length) {
            let piece = &mut buffer[done..done + n];
            if self.pages.contains_key(&page) {
                match self.load(page, wrong) {
                    // What was read before the error is returned, and the error at the next call.
                    Err(_) if done > 0 => return Ok((done, traffic)),
                    Err(error) => return Err(error),
                    Ok(true) => {
                        traffic.bytes += PAGE;
                        traffic.requests += u64::from(previous != Some(page.wrapping_sub(1)));
                        previous = Some(page);
                    }
                    Ok(false) => {}
                }
                let cached = self.pages[&page].bytes.as_deref().expect("the page was loaded");
                piece.copy_from_slice(&cached[within..within + n]);
            } else {
                piece.fill(0);
            }
            done += n;
        }
        Ok((done, traffic))
    }

    /// Brings a page into memory; says whether the device was asked.
    fn load(&mut self, page: u64, wrong: &mut Vec<usize>) -> io::Result<bool> {
        let Some(cached) = self.pages.get_mut(&page) else { return Ok(false) };
        if cached.bytes.is_some() {
            return Ok(false);
        }
        let overlay = self.overlays.get(&page);
        if let Some(by) = overlay.and_then(Overlay::unreadable) {
            wrong.push(by);
            return Err(errno::input_output());
        }
        let mut bytes = self.image.pages.get(&page).cloned().unwrap_or_else(zeroed);
        if let Some(overlay) = overlay {
            overlay.show(&mut bytes, wrong);
        }
        cached.bytes = Some(bytes);
        cached.diverged = false;
        Ok(true)
    }

    /// Writes to the cache as much as there is room for; `room` counts free pages and is lowered by those taken. `wrong`
    /// gets the faults that showed.
    pub fn write(
        &mut self,
        stamp: &mut Stamp<'_>,
        offset: u64,
        bytes: &[u8],
        (room, wrong): (&mut u64, &mut Vec<usize>),
    ) -> io::Result<(usize, Traffic)> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > LARGEST) {
            return Err(errno::too_big());
        }
        let mut traffic = Traffic::default();
        let mut done = 0;
        for (page, within, n) in pieces(offset, bytes.len()) {
            match self.write_piece(stamp, (page, within), &bytes[done..done + n], (room, wrong)) {
                Ok(loaded) => {
                    traffic.requests += u64::from(loaded);
                    traffic.bytes += u64::from(loaded) * PAGE;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            done += n;
        }
        Ok((done, traffic))
    }

    fn write_piece(
        &mut self,
        stamp: &mut Stamp<'_>,
        (page, within): (u64, usize),
        bytes: &[u8],
        (room, wrong): (&mut u64, &mut Vec<usize>),
    ) -> io::Result<bool> {
        let fresh = !self.pages.contains_key(&page);
        if fresh {
            *room = room.checked_sub(1).ok_or_else(errno::no_space)?;
            self.pages.insert(page, Cached { bytes: Some(zeroed()), diverged: false });
        }
        let whole = bytes.len() == PAGE as usize;
        let mut loaded = false;
        if !whole {
            // What is left of the page has to be known before it can be written back.
            loaded = self.load(page, wrong)?;
        }
        let cached = self.pages.entry(page).or_default();
        let kept = cached.bytes.get_or_insert_with(zeroed);
        kept[within..within + bytes.len()].copy_from_slice(bytes);
        // A page is written back as a whole, and with it what an earlier failure left out.
        let (start, image): (usize, &[u8]) =
            if std::mem::take(&mut cached.diverged) { (0, &kept[..]) } else { (within, bytes) };
        let offset = page * PAGE + start as u64;
        let end = page * PAGE + (within + bytes.len()) as u64;
        let shows = fresh || end > self.size;
        self.pending.push(stamp.change(What::Write { offset, bytes: image.into(), shows }));
        if end > self.size {
            self.size = end;
            self.pending.push(stamp.change(What::Size(end)));
        }
        Ok(loaded)
    }

    /// Sets the length. Pages that are cut off are free again: how many.
    pub fn truncate(&mut self, stamp: &mut Stamp<'_>, size: u64, wrong: &mut Vec<usize>) -> io::Result<u64> {
        if size > LARGEST {
            return Err(errno::too_big());
        }
        if size == self.size {
            return Ok(0);
        }
        let mut freed = 0;
        // The length first: what a journal that ends between the two leaves beyond it is gone.
        let length = stamp.change(What::Size(size));
        if size < self.size {
            let first = size / PAGE;
            let within = (size % PAGE) as usize;
            if within > 0 {
                // An error leaves the file as it was.
                self.load(first, wrong)?;
            }
            self.pending.push(length);
            let cut: Vec<u64> = self.pages.range(first..).map(|(&page, _)| page).collect();
            for page in cut {
                let from = if page == first { size } else { page * PAGE };
                if from % PAGE > 0 {
                    let bytes = self.pages.get_mut(&page).and_then(|c| c.bytes.as_mut());
                    bytes.into_iter().for_each(|b| b[within..].fill(0));
                } else {
                    self.pages.remove(&page);
                    freed += 1;
                }
                self.pending.push(stamp.change(What::Zero { from }));
            }
        } else {
            self.pending.push(length);
        }
        self.size = size;
        Ok(freed)
    }

    /// Puts a change on the disk; gives the mode, if it was one.
    pub fn apply(&mut self, change: &Change) -> Option<u32> {
        match &change.what {
            What::Write { offset, bytes, .. } => {
                let (page, within) = (offset / PAGE, (offset % PAGE) as usize);
                let image = self.image.pages.entry(page).or_insert_with(zeroed);
                image[within..within + bytes.len()].copy_from_slice(bytes);
                if let Some(overlay) = self.overlays.get_mut(&page)
                    && overlay.rewritten(within, bytes)
                {
                    self.overlays.remove(&page);
                }
            }
            What::Zero { from } => {
                let (page, within) = (from / PAGE, (from % PAGE) as usize);
                if within == 0 {
                    self.image.pages.remove(&page);
                    self.overlays.remove(&page);
                } else if let Some(image) = self.image.pages.get_mut(&page) {
                    image[within..].fill(0);
                }
            }
            What::Size(size) => self.image.size = *size,
            What::Mode(mode) => return Some(*mode),
        }
        None
    }

    /// Puts back what a restart finds: the image, with nothing in memory. Bytes beyond the end are gone.
    pub fn restart(&mut self) {
        self.pending.clear();
        let size = self.image.size;
        let (last, within) = (size / PAGE, (size % PAGE) as usize);
        let first_beyond = last + u64::from(within > 0);
        drop(self.image.pages.split_off(&first_beyond));
        drop(self.overlays.split_off(&first_beyond));
        if let Some(page) = self.image.pages.get_mut(&last) {
            page[within..].fill(0);
        }
        self.size = size;
        let pages = self.image.pages.keys().chain(self.overlays.keys());
        self.pages = pages.map(|&page| (page, Cached::default())).collect();
    }

    /// Forgets pages that the disk can give back; those with pending changes stay.
    pub fn evict(&mut self) {
        let dirty: BTreeSet<u64> = self.pending.iter().filter_map(Change::page).collect();
        for (page, cached) in &mut self.pages {
            if !dirty.contains(page) {
                *cached = Cached::default();
            }
        }
    }

    /// Forgets one page, if nothing of it is pending.
    pub fn evict_page(&mut self, page: u64) -> bool {
        let dirty = self.pending.iter().any(|c| c.page() == Some(page));
        if !dirty && let Some(cached) = self.pages.get_mut(&page) {
            *cached = Cached::default();
        }
        !dirty
    }

    /// What is pending, in pages: what a sync has to write.
    pub fn dirty(&self) -> Traffic {
        let pages: BTreeSet<u64> = self.pending.iter().filter_map(Change::page).collect();
        let runs = pages.iter().filter(|&&page| page == 0 || !pages.contains(&(page - 1))).count();
        Traffic { requests: runs as u64, bytes: pages.len() as u64 * PAGE }
    }

    /// The whole content as programs see it, without asking the device; `None` where it is too large to be of use.
    pub fn live(&self) -> Vec<u8> {
        let mut content = vec![0; usize::try_from(self.size).unwrap_or(0)];
        for (&page, cached) in &self.pages {
            let bytes = cached.bytes.as_ref().or_else(|| self.image.pages.get(&page));
            copy_page(&mut content, page, bytes.map(|b| &**b));
        }
        content
    }

    /// The whole content as it is on the disk, beneath every corruption.
    pub fn durable(&self) -> Vec<u8> {
        let mut content = vec![0; usize::try_from(self.image.size).unwrap_or(0)];
        for (&page, bytes) in &self.image.pages {
            copy_page(&mut content, page, Some(bytes));
        }
        content
    }
}

fn copy_page(content: &mut [u8], page: u64, bytes: Option<&Page>) {
    let start = usize::try_from(page * PAGE).unwrap_or(usize::MAX);
    let (Some(bytes), Some(target)) = (bytes, content.get_mut(start..)) else { return };
    let n = target.len().min(bytes.len());
    target[..n].copy_from_slice(&bytes[..n]);
}
