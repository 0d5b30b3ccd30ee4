//! The disk of a node from outside: what it is like, and what is on it.

use super::errno;
use super::kernel::device::Speed;
use super::kernel::view::{Side, Snapshot};
use super::kernel::{At, CrashModel, Moment, Point, Volume};
use super::system::{self, Fs, op};
use crate::clock::nanos;
use crate::kernel::Kernel;
use crate::node::{Node, NodeId};
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
    pub(super) world: WorldId,
    pub(super) node: NodeId,
}

impl Disk {
    #[track_caller]
    pub(super) fn op<R>(self, f: impl FnOnce(&mut Fs, &mut Kernel) -> R) -> R {
        world::with(|w| w.check(self.world, "disk"));
        op(f)
    }

    #[track_caller]
    pub(super) fn with<R>(self, f: impl FnOnce(&mut Volume, At) -> R) -> R {
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
