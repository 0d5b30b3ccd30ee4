//! Silent corruption: what a device returns instead of what is on the disk.
//!
//! The image beneath stays as it was, so that the same bytes come back at each read, healing is forgetting the overlay, and
//! an oracle can look at the truth. Each part knows the fault that did it, by its place among the faults of the disk.

use super::file::{Page, SECTOR};
use std::collections::BTreeMap;

/// The corruption of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// Bits that read wrong, by the byte.
    flips: BTreeMap<u16, (u8, usize)>,
    /// Sectors that read as something else altogether.
    sectors: BTreeMap<u8, (Box<[u8; SECTOR]>, usize)>,
    /// Sectors that cannot be read.
    bad: BTreeMap<u8, usize>,
}

impl Overlay {
    /// Has a bit read wrong.
    pub fn flip(&mut self, byte: u16, mask: u8, by: usize) {
        let (flipped, last) = self.flips.entry(byte).or_default();
        *flipped ^= mask;
        *last = by;
    }

    /// Has a sector read as `bytes`, what it read as before included.
    pub fn replace(&mut self, sector: u8, bytes: &[u8], by: usize) {
        let mut content = [0; SECTOR];
        content.copy_from_slice(bytes);
        self.sectors.insert(sector, (Box::new(content), by));
        self.flips.retain(|&byte, _| usize::from(byte) / SECTOR != usize::from(sector));
    }

    /// Has a sector give an error.
    pub fn spoil(&mut self, sector: u8, by: usize) {
        self.bad.insert(sector, by);
    }

    /// The fault by which reading the page gives an error, if it does.
    pub fn unreadable(&self) -> Option<usize> {
        self.bad.values().next().copied()
    }

    /// Whether it changes nothing.
    fn is_clean(&self) -> bool {
        self.bad.is_empty() && self.sectors.is_empty() && self.flips.values().all(|&(mask, _)| mask == 0)
    }

    /// Changes a page of the disk to what the device returns; `wrong` gets the faults that made a difference.
    pub fn show(&self, page: &mut Page, wrong: &mut Vec<usize>) {
        for (&sector, (bytes, by)) in &self.sectors {
            let start = usize::from(sector) * SECTOR;
            let shown = &mut page[start..start + SECTOR];
            if *shown != bytes[..] {
                shown.copy_from_slice(&bytes[..]);
                wrong.push(*by);
            }
        }
        for (&byte, &(mask, by)) in self.flips.iter().filter(|(_, (mask, _))| *mask != 0) {
            page[usize::from(byte)] ^= mask;
            wrong.push(by);
        }
    }

    /// Forgets what these faults did: whether that was anything, and whether nothing wrong is left.
    pub fn heal(&mut self, heals: impl Fn(usize) -> bool) -> (bool, bool) {
        let before = (self.flips.len(), self.sectors.len(), self.bad.len());
        self.flips.retain(|_, (_, by)| !heals(*by));
        self.sectors.retain(|_, (_, by)| !heals(*by));
        self.bad.retain(|_, by| !heals(*by));
        (before != (self.flips.len(), self.sectors.len(), self.bad.len()), self.is_clean())
    }

    /// The device has written `bytes` at `within`: what it wrote reads right. True if nothing wrong is left.
    pub fn rewritten(&mut self, within: usize, bytes: &[u8]) -> bool {
        let end = within + bytes.len();
        self.flips.retain(|&byte, _| !(within..end).contains(&usize::from(byte)));
        for sector in within / SECTOR..end.div_ceil(SECTOR) {
            self.bad.remove(&(sector as u8));
        }
        self.sectors.retain(|&sector, (content, _)| {
            let start = usize::from(sector) * SECTOR;
            let (from, to) = (within.max(start), end.min(start + SECTOR));
            if from < to {
                content[from - start..to - start].copy_from_slice(&bytes[from - within..to - within]);
            }
            from > start || to < start + SECTOR
        });
        self.is_clean()
    }
}
