//! The disks of a world, and the door to them: open descriptions, syncs under way, what happens when processes and worlds
//! end.
//!
//! All operations are non-blocking and run with the disks and the kernel borrowed. Wakers collect in the [`Outbox`] with the
//! power cuts that a fault placed, and are dealt with after the borrow.

use super::errno;
use super::kernel::device::Work;
use super::kernel::fault::{FaultKind, News};
use super::kernel::inode::Ino;
use super::kernel::{At, Durability, Moment, Point, Volume};
use super::open::Description;
use crate::decision::{Kind, Name};
use crate::fault::{Family, Particulars, Window};
use crate::hash::{below, h};
use crate::kernel::Kernel;
use crate::node::{Death, Holdings, Node, NodeId, Waiters};
use crate::slab::{Key, Slab};
use crate::trace::Event;
use crate::world::{self, Subsystem, SubsystemId, World, WorldId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::task::Waker;
use std::time::Duration;

/// What an event of the file system is about. The key is a sync's.
mod tag {
    /// The device has done a sync.
    pub const SYNCED: u8 = 0;
    /// A power cut is placed in the middle of a sync.
    pub const CUT: u8 = 1;
}

/// The file systems of a world.
#[derive(Default)]
pub(crate) struct Fs {
    world: Option<WorldId>,
    subsystem: Option<SubsystemId>,
    /// By node; made at its first use.
    volumes: Vec<Option<Box<Volume>>>,
    pub open: Slab<Description>,
    syncs: Slab<SyncJob>,
    /// Who waits for locks, by node and file.
    pub lock_waiters: BTreeMap<(NodeId, Ino), Waiters>,
    /// Who waits for a device that hangs.
    hung: BTreeMap<NodeId, Waiters>,
    /// The nodes whose disks have had faults.
    struck: Vec<NodeId>,
    pub out: Outbox,
}

/// What to do when nothing is borrowed.
#[derive(Default)]
pub(crate) struct Outbox {
    pub wake: Vec<Waker>,
    pub dropped: Vec<Waker>,
    cuts: Vec<(NodeId, Option<u64>)>,
    /// What a world left that ended without a word (a panic of ours).
    left: Option<Box<Fs>>,
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.wake.is_empty() && self.dropped.is_empty() && self.cuts.is_empty() && self.left.is_none()
    }
}

/// A sync under way. It goes on whatever becomes of its caller.
struct SyncJob {
    node: NodeId,
    era: u32,
    ino: Ino,
    file: Key,
    upto: u64,
    how: Durability,
    after: Option<Point>,
    name: Name,
    done: Option<io::Result<()>>,
    waiter: Option<Waker>,
    /// Nobody waits for its result.
    forgotten: bool,
}

thread_local! {
    static FS: RefCell<Fs> = RefCell::default();
}

struct FsSubsystem;

/// Runs an operation on the file systems of the current world.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub(crate) fn op<R>(f: impl FnOnce(&mut Fs, &mut Kernel) -> R) -> R {
    world::with(|world| with_fs(world, f))
}

/// The same for destructors: does nothing outside of a simulation, in another world than `id`, or when that one is being
/// taken down.
pub(crate) fn op_on_drop(id: WorldId, f: impl FnOnce(&mut Fs, &mut Kernel)) {
    let _ = world::try_with(|world| {
        let there = FS.try_with(|fs| fs.borrow().world == Some(world.id()));
        if world.id() == id && there == Ok(true) {
            with_fs(world, f);
        }
    });
}

/// Runs an operation, then does what it left in the outbox.
pub(crate) fn with_fs<R>(world: &World, f: impl FnOnce(&mut Fs, &mut Kernel) -> R) -> R {
    FS.with(|cell| {
        let mut fs = cell.borrow_mut();
        let mut kernel = world.kernel();
        if fs.world != Some(world.id()) {
            fs.enter(world, &kernel);
        }
        let result = f(&mut fs, &mut kernel);
        if !fs.struck.is_empty() {
            fs.tell(&mut kernel);
        }
        if !fs.out.is_empty() {
            let out = std::mem::take(&mut fs.out);
            drop((fs, kernel));
            deliver(world, out);
        }
        result
    })
}

#[cold]
fn deliver(world: &World, out: Outbox) {
    drop((out.dropped, out.left));
    out.wake.into_iter().for_each(Waker::wake);
    for (node, restart) in out.cuts {
        if !world.kernel().machine(node).up {
            continue;
        }
        world.kernel().record(|| Event::new("disk.cut", "the power goes at a sync"));
        let node = Node::new(world.id(), node);
        node.power_cut();
        if let Some(after) = restart {
            crate::Sim::new(world.id()).after(Duration::from_nanos(after), move || node.start());
        }
    }
}

impl Subsystem for FsSubsystem {
    fn name(&self) -> &'static str {
        "file systems"
    }

    fn event(&self, world: &World, tag: u8, key: Key) {
        with_fs(world, |fs, k| fs.event(k, tag, key));
    }

    fn process_died(&self, world: &World, node: NodeId, death: Death) {
        with_fs(world, |fs, k| fs.process_died(k, node, death));
    }

    fn wiped(&self, world: &World, node: NodeId) {
        with_fs(world, |fs, k| {
            let at = at(k, node);
            fs.volume(k, node).clear(at);
        });
    }

    fn heal(&self, world: &World, stays: &BTreeSet<NodeId>) {
        with_fs(world, |fs, k| {
            for node in fs.struck.clone().into_iter().filter(|node| !stays.contains(node)) {
                fs.heal(k, node);
            }
        });
    }

    fn families(&self) -> &'static [&'static dyn Family] {
        super::families::FAMILIES
    }

    fn holdings(&self, node: NodeId) -> Holdings {
        FS.with(|cell| cell.try_borrow().map_or_else(|_| Holdings::default(), |fs| fs.holdings(node)))
    }

    fn world_ended(&self, _world: &World) {
        let left = FS.with(|cell| std::mem::take(&mut *cell.borrow_mut()));
        drop(left);
    }
}

impl Fs {
    #[cold]
    fn enter(&mut self, world: &World, k: &Kernel) {
        if self.world.is_some() {
            self.out.left = Some(Box::new(std::mem::take(self)));
        }
        if k.actor().is_some() {
            self.world = Some(world.id());
            self.subsystem = Some(world.attach(&FsSubsystem));
        }
    }

    /// The disk of a node.
    pub fn volume(&mut self, k: &Kernel, node: NodeId) -> &mut Volume {
        let i = node.0 as usize;
        if self.volumes.len() <= i {
            self.volumes.resize_with(i + 1, || None);
        }
        self.volumes[i].get_or_insert_with(|| Box::new(Volume::new(at(k, node))))
    }

    /// The disk of the node whose process runs, and its time.
    ///
    /// # Errors
    /// `ENODEV` for what is left of a dead process, and for one whose machine has lost its power in this poll.
    pub fn here(&mut self, k: &Kernel) -> io::Result<(&mut Volume, At, NodeId)> {
        let node = k.actor().filter(|&node| k.machine(node).up).ok_or_else(errno::no_device)?;
        let at = at(k, node);
        Ok((self.volume(k, node), at, node))
    }

    // ---- faults ----

    /// A fault of a disk begins: its place among those of the disk.
    pub fn begin_fault(
        &mut self,
        k: &mut Kernel,
        node: NodeId,
        (kind, target, left): (FaultKind, &str, Option<u64>),
        particulars: impl FnOnce(Particulars) -> Particulars,
    ) -> usize {
        if !self.struck.contains(&node) {
            self.struck.push(node);
        }
        let id = k.fault_begins(kind.family(), |k| particulars(Particulars::of_node(k, node)));
        self.volume(k, node).faults.begin(id, kind, target, left)
    }

    /// A fault of a disk ends, and with it what it did to what is read, where it `mends`.
    pub fn end_fault(&mut self, k: &mut Kernel, node: NodeId, place: usize, mends: bool) {
        let volume = self.volume(k, node);
        let ended = volume.faults.end(place);
        volume.device.slower = volume.faults.times();
        if mends {
            volume.heal_by(place);
        }
        if ended == Some(FaultKind::Hang) && !volume.faults.is_active(FaultKind::Hang) {
            self.answers(k, node);
        }
    }

    /// Every fault of a disk ends, and the device returns what is on it.
    pub fn heal(&mut self, k: &mut Kernel, node: NodeId) {
        for place in 0..self.volume(k, node).faults.len() {
            self.end_fault(k, node, place, false);
        }
        self.volume(k, node).heal_corruption();
    }

    /// Tells the fault log what faults of disks have done.
    fn tell(&mut self, k: &mut Kernel) {
        for node in &self.struck {
            let Some(Some(volume)) = self.volumes.get_mut(node.0 as usize) else { continue };
            for news in volume.faults.news() {
                match news {
                    News::Effect(fault) => k.fault_effect(fault),
                    News::Over(fault) => k.fault_ends(fault),
                }
            }
        }
    }

    // ---- the device ----

    /// Has the device of a node work from now on: the name of the operation, and when it is done; `None` while the device
    /// hangs.
    pub fn schedule(&mut self, k: &mut Kernel, node: NodeId, work: Work) -> (Name, Option<u64>) {
        self.schedule_from(k, node, work, k.now())
    }

    /// The same from a moment to come.
    pub fn schedule_from(
        &mut self,
        k: &mut Kernel,
        node: NodeId,
        work: Work,
        start: u64,
    ) -> (Name, Option<u64>) {
        let target = u64::from(node.0);
        let name = k.name(Kind::Disk, target);
        let volume = self.volume(k, node);
        let mut jitter = 0;
        if work.asks() {
            if volume.device.hangs {
                volume.faults.hit_all(FaultKind::Hang);
                return (name, None);
            }
            if volume.device.slower > 1 {
                volume.faults.hit_all(FaultKind::Slow);
            }
            let most = crate::clock::nanos(volume.device.speed.jitter);
            if most > 0 {
                jitter = k.decide(h(name, 1), Kind::Disk, target, |draw| below(draw, most.saturating_add(1)));
            }
        }
        let done = self.volume(k, node).device.done(start, work, jitter);
        (name, Some(done))
    }

    /// The task that runs now has done work that took no time: it pays before its next poll. Its calls come one after the
    /// other.
    pub fn charge(&mut self, k: &mut Kernel, node: NodeId, work: Work) {
        let start = k.debt();
        let (_, done) = self.schedule_from(k, node, work, start);
        k.charge(done);
    }

    /// Waits for the end of a hang.
    pub fn wait_for_device(&mut self, node: NodeId, place: &mut Option<Key>, waker: &Waker) {
        let replaced = self.hung.entry(node).or_default().wait(place, waker);
        self.out.dropped.extend(replaced);
    }

    /// Stops waiting for the end of a hang.
    pub fn leave_device(&mut self, node: NodeId, place: Option<Key>) {
        let left = self.hung.get_mut(&node).and_then(|waiters| waiters.leave(place));
        self.out.dropped.extend(left);
    }

    pub fn hangs(&mut self, k: &Kernel, node: NodeId) -> bool {
        self.volume(k, node).device.hangs
    }

    /// The device answers again.
    pub fn answers(&mut self, k: &mut Kernel, node: NodeId) {
        self.volume(k, node).device.hangs = false;
        if let Some(waiters) = self.hung.get_mut(&node) {
            self.out.wake.extend(waiters.take());
        }
        k.settle_debts(node);
        for key in self.syncs.keys() {
            let Some(job) = self.syncs.get(key).filter(|job| job.node == node && job.done.is_none()) else {
                continue;
            };
            let (name, ino) = (job.name, job.ino);
            let traffic = self.volume(k, node).dirty(ino);
            let done = self.volume(k, node).device.done(k.now(), Work::Sync(traffic), 0);
            self.post(k, done, name, tag::SYNCED, key);
        }
    }

    fn post(&self, k: &mut Kernel, at: u64, name: Name, tag: u8, key: Key) {
        let subsystem =
            self.subsystem.expect("the file systems are attached before anything happens in them");
        k.post(at, name, subsystem, tag, key);
    }

    fn event(&mut self, k: &mut Kernel, tag: u8, key: Key) {
        let Some(job) = self.syncs.get(key) else { return };
        let (node, era) = (job.node, job.era);
        if job.done.is_some() || self.volume(k, node).era != era {
            return;
        }
        match tag {
            tag::CUT => {
                let restart =
                    self.syncs.get_mut(key).and_then(|job| job.after.take()).and_then(|p| p.restart);
                self.out.cuts.push((node, restart));
            }
            // A device that hangs is done later.
            _ if self.hangs(k, node) => {}
            _ => self.synced(k, key),
        }
    }

    /// rename(2)
    pub fn rename(&mut self, k: &mut Kernel, from: &[u8], to: &[u8]) -> io::Result<()> {
        let (volume, at, node) = self.here(k)?;
        volume.rename(at, from, to)?;
        k.danger(Window::Rename, node);
        Ok(())
    }

    /// Begins a sync of an open file.
    pub fn begin_sync(&mut self, k: &mut Kernel, file: Key, how: Durability) -> io::Result<Key> {
        let (node, ino) = self.description(k, file).map(|d| (d.node, d.ino))?;
        k.danger(Window::Sync, node);
        let volume = self.volume(k, node);
        let (era, upto, traffic) = (volume.era, volume.watermark(), volume.dirty(ino));
        let point = volume.point(ino);
        let (name, done) = self.schedule(k, node, Work::Sync(traffic));
        let moment = point.as_ref().map(|p| p.moment);
        let job = SyncJob {
            node,
            era,
            ino,
            file,
            upto,
            how,
            after: point,
            name,
            done: None,
            waiter: None,
            forgotten: false,
        };
        let key = self.syncs.insert(job);
        // It may be closed before the sync is done.
        self.volume(k, node).open(ino);
        let now = k.now();
        match moment {
            Some(Moment::Before) => self.post(k, now, name, tag::CUT, key),
            Some(Moment::During) => {
                let middle = now + done.map_or(0, |done| (done - now) / 2);
                self.post(k, middle, name, tag::CUT, key);
            }
            _ => {}
        }
        if let Some(done) = done {
            self.post(k, done, name, tag::SYNCED, key);
        }
        Ok(key)
    }

    fn synced(&mut self, k: &mut Kernel, key: Key) {
        let Some(job) = self.syncs.get(key) else { return };
        let (node, ino, file, upto, how) = (job.node, job.ino, job.file, job.upto, job.how);
        let result = self.sync_now(k, node, (file, ino), upto, how);
        self.volume(k, node).close(ino);
        let Some(job) = self.syncs.get_mut(key) else { return };
        job.done = Some(result);
        if let Some(point) = job.after.take() {
            self.out.cuts.push((node, point.restart));
            return;
        }
        self.out.wake.extend(job.waiter.take());
        if job.forgotten {
            self.syncs.remove(key);
        }
    }

    fn sync_now(
        &mut self,
        k: &mut Kernel,
        node: NodeId,
        (file, ino): (Key, Ino),
        upto: u64,
        how: Durability,
    ) -> io::Result<()> {
        let at = at(k, node);
        let volume = self.volume(k, node);
        let synced = volume.sync(at, ino, upto, how);
        let failures = volume.inode(ino).failures;
        // A program that has been told answers for it, one that has not does not know.
        k.danger(Window::Sync, node);
        k.record_of(node, || Event::new("disk.sync", format!("inode {ino}: {synced:?}")));
        // Each description is told once of a failure since it looked last (errseq_t).
        let Some(description) = self.open.get_mut(file) else { return synced };
        let seen = std::mem::replace(&mut description.seen, failures);
        if seen == failures { synced } else { Err(errno::input_output()) }
    }

    /// The result of a sync, or a wait for it.
    pub fn poll_sync(&mut self, key: Key, waker: &Waker) -> Option<io::Result<()>> {
        let Some(job) = self.syncs.get_mut(key) else { return Some(Err(errno::bad_descriptor())) };
        if job.done.is_none() {
            self.out.dropped.extend(job.waiter.replace(waker.clone()));
            return None;
        }
        self.syncs.remove(key)?.done
    }

    /// Nobody waits for a sync any more.
    pub fn forget_sync(&mut self, key: Key) {
        let Some(job) = self.syncs.get_mut(key) else { return };
        self.out.dropped.extend(job.waiter.take());
        job.forgotten = true;
        if job.done.is_some() {
            self.syncs.remove(key);
        }
    }

    /// A sync that is done when the call returns; the task pays for it.
    pub fn sync_at_once(&mut self, k: &mut Kernel, file: Key, how: Durability) -> io::Result<()> {
        let (node, ino) = self.description(k, file).map(|d| (d.node, d.ino))?;
        k.danger(Window::Sync, node);
        let volume = self.volume(k, node);
        let (upto, traffic) = (volume.watermark(), volume.dirty(ino));
        let point = volume.point(ino);
        self.charge(k, node, Work::Sync(traffic));
        if let Some(point) = &point
            && point.moment != Moment::After
        {
            self.out.cuts.push((node, point.restart));
            return Err(errno::no_device());
        }
        let synced = self.sync_now(k, node, (file, ino), upto, how);
        if let Some(point) = point {
            self.out.cuts.push((node, point.restart));
            return Err(errno::no_device());
        }
        synced
    }

    fn process_died(&mut self, k: &mut Kernel, node: NodeId, death: Death) {
        let Some(Some(_)) = self.volumes.get(node.0 as usize) else { return };
        for key in self.open.keys() {
            if self.open.get(key).is_some_and(|d| d.node == node) {
                self.close_description(k, key);
            }
        }
        for key in self.syncs.keys() {
            let Some(job) = self.syncs.get_mut(key).filter(|job| job.node == node) else { continue };
            self.out.dropped.extend(job.waiter.take());
            job.forgotten = true;
            if death == Death::PowerCut || job.done.is_some() {
                self.syncs.remove(key);
            }
        }
        if let Some(waiters) = self.hung.get_mut(&node) {
            self.out.dropped.extend(waiters.take());
        }
        for (_, waiters) in self.lock_waiters.iter_mut().filter(|(place, _)| place.0 == node) {
            self.out.dropped.extend(waiters.take());
        }
        if death == Death::PowerCut {
            let at = at(k, node);
            let target = u64::from(node.0);
            let name = k.name(Kind::Disk, target);
            let volume = self.volume(k, node);
            volume.crash(at, &mut |about, dist| k.decide(h(name, about), Kind::Disk, target, dist));
        }
    }

    /// Closes every file that the process of a node has open: its disk is about to be another.
    pub fn close_all(&mut self, k: &mut Kernel, node: NodeId) {
        for key in self.open.keys() {
            if self.open.get(key).is_some_and(|d| d.node == node) {
                self.close_description(k, key);
            }
        }
    }

    /// How many descriptions are open and syncs under way: for tests of what is cleaned up.
    pub fn census(&self) -> (usize, usize) {
        (self.open.len(), self.syncs.len())
    }
}

/// The time of a machine.
pub(crate) fn at(k: &Kernel, node: NodeId) -> At {
    At { now: k.now(), wall: k.machine(node).clock.realtime(k.now()) }
}
