//! Faults of a disk by hand. Each is an entry of the fault log, which counts what came of it.

use super::control::Disk;
use super::kernel::fault::FaultKind;
use super::system::op_on_drop;
use crate::fault::{Parameter, Particulars, Value};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What goes wrong with it.
impl Disk {
    /// No space is left, until the guard is dropped.
    #[track_caller]
    pub fn full(self) -> FaultGuard {
        self.begin(FaultKind::Full, "", None)
    }

    /// The device takes so many times as long, until the guard is dropped.
    ///
    /// # Panics
    /// If `times` is 0.
    #[track_caller]
    pub fn slow(self, times: u32) -> FaultGuard {
        assert!(times > 0, "a device that takes 0 times as long is faster, not slower: give at least 1");
        let slow = self.begin_with(FaultKind::Slow, "", None, |p| p.with(times_as_long(times)));
        self.with(|volume, _| {
            volume.faults.slows(slow.place, times);
            volume.device.slower = volume.faults.times();
        });
        slow
    }

    /// The device answers nothing, until the guard is dropped. Reads from memory and writes into it go on.
    #[track_caller]
    pub fn hang(self) -> FaultGuard {
        self.with(|volume, _| volume.device.hangs = true);
        self.begin(FaultKind::Hang, "", None)
    }

    /// Reads from the device say `EIO` for files whose paths begin so, until the guard is dropped. A sector that was met
    /// stays bad until it is written. Memory is emptied first, so that reads come to the device.
    #[track_caller]
    pub fn fail_reads(self, prefix: &str) -> FaultGuard {
        self.evict();
        self.begin(FaultKind::ReadError, prefix, None)
    }

    /// Writes say `EIO` for files whose paths begin so, until the guard is dropped.
    #[track_caller]
    pub fn fail_writes(self, prefix: &str) -> FaultGuard {
        self.begin(FaultKind::WriteError, prefix, None)
    }

    /// Syncs say `EIO` for files whose paths begin so, until the guard is dropped; what they were to write is then clean in
    /// memory, and not on the disk.
    #[track_caller]
    pub fn fail_syncs(self, prefix: &str) -> FaultGuard {
        self.begin(FaultKind::SyncError, prefix, None)
    }

    /// The device goes on returning what it held, whatever is written to files whose paths begin so, until the guard is
    /// dropped. It shows once memory is emptied, by a power cut or [`Disk::evict`].
    #[track_caller]
    pub fn stale_reads(self, prefix: &str) -> FaultGuard {
        self.begin(FaultKind::StaleRead, prefix, None)
    }

    /// The next read from the device says `EIO`, of the files whose paths begin so. Memory is emptied first.
    #[track_caller]
    pub fn fail_next_read(self, prefix: &str) {
        self.evict();
        self.begin(FaultKind::ReadError, prefix, Some(1)).forget();
    }

    /// The next write says `EIO`, of the files whose paths begin so.
    #[track_caller]
    pub fn fail_next_write(self, prefix: &str) {
        self.begin(FaultKind::WriteError, prefix, Some(1)).forget();
    }

    /// The next sync says `EIO`, of the files and directories whose paths begin so.
    #[track_caller]
    pub fn fail_next_sync(self, prefix: &str) {
        self.begin(FaultKind::SyncError, prefix, Some(1)).forget();
    }

    /// The next page that a sync writes, of the files whose paths begin so, is not written, and the sync succeeds.
    #[track_caller]
    pub fn lose_next_write(self, prefix: &str) {
        self.begin(FaultKind::LostWrite, prefix, Some(1)).forget();
    }

    /// The next page that a sync writes, of the files whose paths begin so, is written over another page of the disk: the
    /// next one of the file, or one of another file.
    #[track_caller]
    pub fn misdirect_next_write(self, prefix: &str) {
        self.begin(FaultKind::MisdirectedWrite, prefix, Some(1)).forget();
    }

    /// From now on a bit of a file reads wrong from the device, the lowest one of the byte at `offset`. The page is
    /// forgotten in memory. Nothing happens, and false is the answer, if the disk does not hold that byte, or a newer one
    /// waits to be written.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    #[track_caller]
    pub fn rot(self, path: impl AsRef<Path>, offset: u64) -> io::Result<bool> {
        self.damage_at(FaultKind::BitRot, path.as_ref(), offset)
    }

    /// From now on a sector of a file gives `EIO`, the one with the byte at `offset`, until it is written. The answer is as
    /// of [`Disk::rot`].
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    #[track_caller]
    pub fn spoil(self, path: impl AsRef<Path>, offset: u64) -> io::Result<bool> {
        self.damage_at(FaultKind::BadSector, path.as_ref(), offset)
    }

    #[track_caller]
    fn damage_at(self, kind: FaultKind, path: &Path, offset: u64) -> io::Result<bool> {
        let bytes = path.as_os_str().as_bytes();
        let ino = self.with(|volume, _| volume.lookup(bytes, true))?;
        if !self.with(|volume, _| volume.reaches(ino, offset)) {
            return Ok(false);
        }
        let fault = self.begin(kind, &path.to_string_lossy(), None);
        self.with(|volume, _| volume.damage(kind, (ino, offset, 0), fault.place));
        // It is done at once, and stays.
        drop(fault);
        Ok(true)
    }

    /// Does damage at some places of the disk, as of [`Volume::nth_bit`].
    #[track_caller]
    pub(super) fn damage(self, kind: FaultKind, bits: &[u64]) -> FaultGuard {
        let fault = self.begin(kind, "", None);
        self.with(|volume, _| {
            for bit in bits {
                if let Some(place) = volume.nth_bit(*bit) {
                    volume.damage(kind, place, fault.place);
                }
            }
        });
        fault
    }

    #[track_caller]
    pub(super) fn begin(self, kind: FaultKind, prefix: &str, left: Option<u64>) -> FaultGuard {
        self.begin_with(kind, prefix, left, |particulars| particulars)
    }

    #[track_caller]
    fn begin_with(
        self,
        kind: FaultKind,
        prefix: &str,
        left: Option<u64>,
        more: impl FnOnce(Particulars) -> Particulars,
    ) -> FaultGuard {
        self.op(|fs, k| {
            let particulars = |p: Particulars| {
                let files = (!prefix.is_empty()).then(|| Parameter::word("files", prefix.to_string()));
                let left = left.map(|left| Parameter::new("operations", Value::Count(left)));
                more(files.into_iter().chain(left).fold(p, Particulars::with))
            };
            let place = fs.begin_fault(k, self.node, (kind, prefix, left), particulars);
            FaultGuard { disk: self, place, kind, mends: kind == FaultKind::StaleRead }
        })
    }

    /// Ends every fault, and forgets every corruption: the device returns what is on the disk.
    #[track_caller]
    pub fn heal(self) {
        self.op(|fs, k| fs.heal(k, self.node));
    }

    /// Empties the page cache of all that is clean, as memory pressure does. Reads come from the device then.
    #[track_caller]
    pub fn evict(self) {
        self.with(|volume, _| volume.evict());
    }
}

pub(super) fn times_as_long(times: u32) -> Parameter {
    Parameter::new("times as long", Value::Count(times.into()))
}

/// Ends a fault when it is dropped.
#[derive(Debug)]
#[must_use = "the fault ends when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct FaultGuard {
    disk: Disk,
    place: usize,
    kind: FaultKind,
    /// With its end, what it did to what is read ends too.
    mends: bool,
}

impl FaultGuard {
    /// What goes wrong.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Lets the fault last to the end of the run, or to [`Disk::heal`] or `sim.heal()`.
    pub fn forget(self) {
        std::mem::forget(self);
    }

    /// Has its end mend what it did.
    pub(super) fn mending(self) -> Self {
        let disk = self.disk;
        let (place, kind) = (self.place, self.kind);
        std::mem::forget(self);
        FaultGuard { disk, place, kind, mends: true }
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        let (node, place, mends) = (self.disk.node, self.place, self.mends);
        op_on_drop(self.disk.world, |fs, k| fs.end_fault(k, node, place, mends));
    }
}
