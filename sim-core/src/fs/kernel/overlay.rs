//! Silent corruption: what a device returns instead of what is on the disk.
//!
//! The image beneath stays as it was, so that the same bytes come back at each read, healing is forgetting the overlay, and
//! an oracle can look at the truth.

use super::file::{Page, SECTOR};
use std::collections::BTreeMap;

/// The corruption of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// Bits that read wrong, by the byte.
    flips: BTreeMap<u16, u8>,
    /// Sectors that read as something else altogether.
    sectors: BTreeMap<u8, Box<[u8; SECTOR]>>,
    /// Sectors that cannot be read, as bits.
    bad: u8,
    /// The place in the log of the fault that did it last.
    pub by: usize,
}

impl Overlay {
    /// Has a bit read wrong.
    pub fn flip(&mut self, byte: u16, mask: u8) {
        *self.flips.entry(byte).or_default() ^= mask;
    }

    /// Has a sector read as `bytes`, what it read as before included.
    pub fn replace(&mut self, sector: u8, bytes: &[u8]) {
        let mut content = [0; SECTOR];
        content.copy_from_slice(bytes);
        self.sectors.insert(sector, Box::new(content));
    }

    /// Has a sector give an error.
    pub fn spoil(&mut self, sector: u8) {
        self.bad |= 1 << sector;
    }

    /// Whether reading the page gives an error.
    pub fn unreadable(&self) -> bool {
        self.bad != 0
    }

    /// Whether it changes nothing.
    fn is_clean(&self) -> bool {
        self.bad == 0 && self.sectors.is_empty() && self.flips.values().all(|&mask| mask == 0)
    }

    /// Changes a page of the disk to what the device returns.
    pub fn show(&self, page: &mut Page) {
        for (&sector, bytes) in &self.sectors {
            let start = usize::from(sector) * SECTOR;
            page[start..start + SECTOR].copy_from_slice(&bytes[..]);
        }
        for (&byte, mask) in &self.flips {
            page[usize::from(byte)] ^= mask;
        }
    }

    /// The device has written `bytes` at `within`: what it wrote reads right. True if nothing wrong is left.
    pub fn rewritten(&mut self, within: usize, bytes: &[u8]) -> bool {
        let end = within + bytes.len();
        self.flips.retain(|&byte, _| !(within..end).contains(&usize::from(byte)));
        for sector in within / SECTOR..end.div_ceil(SECTOR) {
            self.bad &= !(1 << sector);
        }
        self.sectors.retain(|&sector, content| {
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
