//! The disk of a node from outside: what it is like, what goes wrong with it, what is on it.

use super::errno;
use super::kernel::device::Speed;
use super::kernel::fault::{DiskFault, FaultKind};
use super::kernel::inode::Ino;
use super::kernel::view::{Side, Snapshot};
use super::kernel::{At, CrashModel, Moment, Point, Volume};
use super::system::{self, Fs, op, op_on_drop};
use crate::clock::nanos;
use crate::kernel::Kernel;
use crate::node::{Node, NodeId};
use crate::trace::Event;
use crate::world::{self, WorldId};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Nodes have disks.
pub trait DiskExt {
    /// Its disk, as tests and oracles see it.
    fn disk(self) -> Disk;

    /// Takes the power away at a sync of the node, before, in the middle of, or after it.
    ///
    /// ```
    /// # use sim_core::fs::{self, DiskExt, File, Sync};
    /// # use sim_core::{Config, run, time::{Duration, sleep}};
    /// # let outcome = run(Config::seed(1), |sim| async move {
    /// let node = sim.node("store").run(|| async {
    ///     loop {
    ///         let mut log = File::options().create(true).append(true).open("/wal").await?;
    ///         log.write_all(b"record").await?;
    ///         log.sync_data().await?;
    ///     }
    /// #   #[allow(unreachable_code)] std::io::Result::Ok(())
    /// });
    /// node.crash_at(Sync::nth(3).of("wal").during());
    /// sleep(Duration::from_secs(1)).await;
    /// assert!(!node.is_up());
    /// # });
    /// # outcome.result.unwrap();
    /// ```
    ///
    /// # Panics
    /// On the harness.
    fn crash_at(self, sync: Sync) -> Self;
}

impl DiskExt for Node {
    #[track_caller]
    fn disk(self) -> Disk {
        world::with(|w| Disk { world: w.id(), node: self.id() })
    }

    #[track_caller]
    fn crash_at(self, sync: Sync) -> Self {
        assert!(
            self.id() != NodeId::HARNESS,
            "the harness cannot lose its power: the body of the test runs on it"
        );
        self.disk().with(|volume, _| volume.points.push(sync.0));
        self
    }
}

/// A sync at which a power cut is placed.
#[derive(Clone, Debug)]
#[must_use = "give it to `node.crash_at(..)`"]
pub struct Sync(Point);

impl Sync {
    /// The n-th sync from now on, counted from 1; the power goes in the middle of it, unless said otherwise.
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn nth(n: u64) -> Self {
        assert!(n > 0, "there is no sync number 0: they are counted from 1");
        Sync(Point { target: Vec::new(), left: n, moment: Moment::During, restart: None })
    }

    /// Only syncs of files and directories count whose paths begin so; a slash in front makes no difference.
    pub fn of(mut self, prefix: impl AsRef<Path>) -> Self {
        let path = prefix.as_ref().as_os_str().as_bytes();
        self.0.target = path.strip_prefix(b"/").unwrap_or(path).to_vec();
        self
    }

    /// Before the sync has done anything.
    pub fn before(mut self) -> Self {
        self.0.moment = Moment::Before;
        self
    }

    /// When half of its time has passed: what it was to write is as open as what was never synced.
    pub fn during(mut self) -> Self {
        self.0.moment = Moment::During;
        self
    }

    /// When everything is durable, but the program does not know yet.
    pub fn after(mut self) -> Self {
        self.0.moment = Moment::After;
        self
    }

    /// The node starts again so much later.
    pub fn restart_after(mut self, after: Duration) -> Self {
        self.0.restart = Some(nanos(after));
        self
    }
}

/// The disk of a node, as tests and oracles see it. It can be used whether the node is up or not, and takes no time. The
/// handle is plain data.
///
/// # Panics
/// Every method panics outside of the simulation that gave the handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    world: WorldId,
    node: NodeId,
}

impl Disk {
    #[track_caller]
    fn op<R>(self, f: impl FnOnce(&mut Fs, &mut Kernel) -> R) -> R {
        world::with(|w| w.check(self.world, "disk"));
        op(f)
    }

    #[track_caller]
    fn with<R>(self, f: impl FnOnce(&mut Volume, At) -> R) -> R {
        self.op(|fs, k| {
            let at = system::at(k, self.node);
            f(fs.volume(k, self.node), at)
        })
    }

    // ---- what it is like ----

    /// What a power cut may leave of what was not synced; [`CrashModel::Chaos`] unless set. It is best set before anything
    /// is written: what an earlier sync made durable stays so.
    #[track_caller]
    pub fn crash_model(self, model: CrashModel) -> Self {
        self.with(|volume, _| volume.model = model);
        self
    }

    /// How much it holds, bytes, in pages of 4 KiB; 1 TiB unless set. Writes beyond it are cut short, then say `ENOSPC`.
    #[track_caller]
    pub fn capacity(self, bytes: u64) -> Self {
        self.with(|volume, _| volume.capacity = bytes);
        self
    }

    /// How many files, directories and symbolic links it holds, the root included; one for each 16 KiB of a TiB unless set.
    #[track_caller]
    pub fn inodes(self, most: u64) -> Self {
        self.with(|volume, _| volume.inodes_most = most);
        self
    }

    /// How fast it is.
    #[track_caller]
    pub fn speed(self, speed: Speed) -> Self {
        self.with(|volume, _| volume.device.speed = speed);
        self
    }

    // ---- what goes wrong ----

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
        self.with(|volume, _| volume.device.slower = times);
        self.begin(FaultKind::Slow, "", None)
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
        self.corrupt(FaultKind::BitRot, path.as_ref(), |volume, ino, place| volume.rot(ino, offset, 1, place))
    }

    /// From now on a sector of a file gives `EIO`, the one with the byte at `offset`, until it is written. The answer is as
    /// of [`Disk::rot`].
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    #[track_caller]
    pub fn spoil(self, path: impl AsRef<Path>, offset: u64) -> io::Result<bool> {
        self.corrupt(FaultKind::ReadError, path.as_ref(), |volume, ino, place| {
            volume.spoil(ino, offset, place)
        })
    }

    #[track_caller]
    fn corrupt(
        self,
        kind: FaultKind,
        path: &Path,
        f: impl FnOnce(&mut Volume, Ino, usize) -> bool,
    ) -> io::Result<bool> {
        let bytes = path.as_os_str().as_bytes();
        let ino = self.with(|volume, _| volume.lookup(bytes, true))?;
        let fault = self.begin(kind, &path.to_string_lossy(), Some(1));
        let place = fault.place;
        // It is done at once: nothing is left to strike.
        drop(fault);
        Ok(self.with(|volume, _| f(volume, ino, place)))
    }

    #[track_caller]
    fn begin(self, kind: FaultKind, target: &str, left: Option<u64>) -> FaultGuard {
        self.op(|fs, k| {
            k.record(|| Event::new("disk.fault", format!("{kind:?} {target:?} of node {}", self.node.0)));
            let place = fs.volume(k, self.node).faults.begin(kind, target, left);
            FaultGuard { disk: self, place, kind }
        })
    }

    /// Ends every fault, and forgets every corruption: the device returns what is on the disk.
    #[track_caller]
    pub fn heal(self) {
        let count = self.faults().len();
        self.op(|fs, k| (0..count).for_each(|place| fs.end_fault(k, self.node, place)));
        self.with(|volume, _| volume.heal_corruption());
    }

    /// Every fault that this disk has had, in the order of their beginnings, with what they hit.
    #[track_caller]
    pub fn faults(self) -> Vec<DiskFault> {
        self.with(|volume, _| volume.faults.log().to_vec())
    }

    /// Empties the page cache of all that is clean, as memory pressure does. Reads come from the device then.
    #[track_caller]
    pub fn evict(self) {
        self.with(|volume, _| volume.evict());
    }

    // ---- what is on it ----

    /// The content of a file as programs see it, whatever the device would return.
    ///
    /// # Errors
    /// Those of open(2).
    #[track_caller]
    pub fn read(self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.with(|volume, _| volume.content(path.as_ref().as_os_str().as_bytes()))
    }

    /// Everything as programs see it.
    #[track_caller]
    pub fn snapshot(self) -> Snapshot {
        self.with(|volume, _| volume.snapshot(Side::Live))
    }

    /// Everything that is on the disk for certain, beneath every corruption: what a power cut in the strictest model leaves.
    #[track_caller]
    pub fn durable(self) -> Snapshot {
        self.with(|volume, _| volume.snapshot(Side::Durable))
    }

    /// Has the disk hold what a snapshot tells, and nothing else, durable at once. What the node's process has open is
    /// closed: its calls say `EBADF`.
    ///
    /// # Errors
    /// `ENOSPC` when it does not fit, and what else the calls say that make it.
    #[track_caller]
    pub fn restore(self, snapshot: &Snapshot) -> io::Result<()> {
        self.op(|fs, k| {
            fs.close_all(k, self.node);
            let at = system::at(k, self.node);
            let volume = fs.volume(k, self.node);
            volume.clear(at);
            volume.put(at, snapshot)
        })
    }

    /// Puts the entries of a snapshot on the disk, durable at once, over what is there.
    ///
    /// # Errors
    /// `ENOSPC` when it does not fit, and what else the calls say that make them.
    #[track_caller]
    pub fn put(self, snapshot: &Snapshot) -> io::Result<()> {
        self.with(|volume, at| volume.put(at, snapshot))
    }

    /// Puts a directory of the host with all that is in it on the disk as `to`, durable at once. What the run does then
    /// depends on that directory: keep it with the test.
    ///
    /// # Errors
    /// What the host says, and `ENOSPC`.
    #[track_caller]
    pub fn copy_in(self, host_dir: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.put(&super::host::collect(host_dir.as_ref(), to.as_ref())?)
    }

    /// Copies a directory of the disk with all that is in it, as programs see it, into a directory of the host, which is
    /// made.
    ///
    /// # Errors
    /// What the host says, and `NotFound` if there is no such directory.
    #[track_caller]
    pub fn copy_out(self, from: impl AsRef<Path>, host_dir: impl AsRef<Path>) -> io::Result<()> {
        let snapshot = self.snapshot();
        let from = Path::new("/").join(from);
        if from != Path::new("/") && snapshot.get(&from).is_none() {
            return Err(errno::not_found());
        }
        super::host::spread(&snapshot, &from, host_dir.as_ref())
    }

    /// How many inodes there are and how many changes are pending; then how many files all nodes have open, and how many
    /// syncs are under way: for tests of what is cleaned up.
    #[track_caller]
    pub fn census(self) -> ((usize, usize), (usize, usize)) {
        self.op(|fs, k| (fs.volume(k, self.node).census(), fs.census()))
    }
}

impl Fs {
    fn end_fault(&mut self, k: &mut Kernel, node: NodeId, place: usize) {
        let volume = self.volume(k, node);
        let Some(kind) = volume.faults.log().get(place).filter(|f| f.active).map(|f| f.kind) else { return };
        volume.faults.end(place);
        let goes_on = volume.faults.is_active(kind);
        match kind {
            FaultKind::Slow if !goes_on => volume.device.slower = 1,
            FaultKind::Hang if !goes_on => self.answers(k, node),
            FaultKind::StaleRead => volume.heal_by(place),
            _ => {}
        }
    }
}

/// Ends a fault when it is dropped.
#[derive(Debug)]
#[must_use = "the fault ends when this is dropped"]
pub struct FaultGuard {
    disk: Disk,
    place: usize,
    kind: FaultKind,
}

impl FaultGuard {
    /// What goes wrong.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Lets the fault last to the end of the run, or to [`Disk::heal`].
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        let (node, place) = (self.disk.node, self.place);
        op_on_drop(self.disk.world, |fs, k| fs.end_fault(k, node, place));
    }
}
