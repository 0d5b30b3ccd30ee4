//! The future that an operation is: it takes effect at its first poll, and ends when the disk is done.

use super::errno;
use super::kernel::Durability;
use super::kernel::device::Work;
use super::open::Handle;
use super::system::{Fs, op_on_drop, with_fs};
use crate::clock::EventKey;
use crate::decision::Name;
use crate::executor::waker;
use crate::kernel::Kernel;
use crate::node::NodeId;
use crate::slab::Key;
use crate::world::{self, WorldId};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

/// Waits until the disk is done with an operation, in the world's time.
#[derive(Debug)]
pub(crate) struct Pace {
    world: WorldId,
    node: NodeId,
    work: Work,
    name: Name,
    /// `None` while the device hangs.
    due: Option<u64>,
    timer: Option<EventKey>,
    place: Option<Key>,
}

impl Pace {
    /// Begins an operation; what is left of a dead process does not wait.
    pub fn new(fs: &mut Fs, k: &mut Kernel, work: Work) -> Option<Self> {
        let node = k.actor().filter(|&node| k.machine(node).up)?;
        let (name, due) = fs.schedule(k, node, work);
        Some(Pace { world: k.world(), node, work, name, due, timer: None, place: None })
    }

    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let replaced = world::with(|w| {
            w.check(self.world, "file");
            if self.due.is_none() {
                with_fs(w, |fs, k| {
                    if fs.hangs(k, self.node) {
                        fs.wait_for_device(self.node, &mut self.place, cx.waker());
                    } else {
                        (self.name, self.due) = fs.schedule(k, self.node, self.work);
                    }
                });
            }
            let Some(due) = self.due else { return Some(None) };
            let mut k = w.kernel();
            if k.now() >= due {
                return None;
            }
            let target = waker::target(w.id(), cx.waker());
            Some(match self.timer {
                Some(key) if k.is_pending(key) => k.rewake(key, target),
                _ => {
                    self.timer = Some(k.push_wake(due, self.name, target));
                    None
                }
            })
        });
        if replaced.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            let _waker =
                world::try_with(|w| if w.id() == self.world { w.kernel().cancel(key) } else { None });
        }
        if let Some(place) = self.place {
            op_on_drop(self.world, |fs, _| fs.leave_device(self.node, Some(place)));
        }
    }
}

/// Runs an operation, and lets the time pass that it takes, also when it fails.
pub(crate) async fn call<R>(f: impl FnOnce(&mut Fs, &mut Kernel) -> io::Result<(R, Work)>) -> io::Result<R> {
    let (result, pace) = start(f);
    wait(pace).await;
    result
}

/// The beginning of [`call`]: the result, and what to wait for before it is told.
pub(crate) fn start<R>(
    f: impl FnOnce(&mut Fs, &mut Kernel) -> io::Result<(R, Work)>,
) -> (io::Result<R>, Option<Pace>) {
    world::with(|w| {
        with_fs(w, |fs, k| {
            let (result, work) = match f(fs, k) {
                Ok((value, work)) => (Ok(value), work),
                Err(error) => (Err(error), Work::Call(0)),
            };
            (result, Pace::new(fs, k, work))
        })
    })
}

/// Waits for the end of an operation.
pub(crate) async fn wait(pace: Option<Pace>) {
    if let Some(mut pace) = pace {
        poll_fn(|cx| pace.poll(cx)).await;
    }
}

/// Runs an operation at once; the task pays for its time before its next poll.
pub(crate) fn block<R>(f: impl FnOnce(&mut Fs, &mut Kernel) -> io::Result<(R, Work)>) -> io::Result<R> {
    world::with(|w| {
        with_fs(w, |fs, k| {
            let node = k.actor().filter(|&node| k.machine(node).up).ok_or_else(errno::no_device)?;
            let (result, work) = match f(fs, k) {
                Ok((value, work)) => (Ok(value), work),
                Err(error) => (Err(error), Work::Call(0)),
            };
            fs.charge(k, node, work);
            result
        })
    })
}

/// A sync that somebody waits for. Dropped, it goes on without him.
#[derive(Debug)]
pub(crate) struct Syncing {
    world: WorldId,
    job: Option<Key>,
}

impl Syncing {
    /// Begins a sync of an open file.
    pub fn new(handle: &Handle, how: Durability) -> io::Result<Self> {
        let job = handle.op(|fs, k, key| fs.begin_sync(k, key, how))?;
        Ok(Syncing { world: handle.world(), job: Some(job) })
    }

    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = self.job else { return Poll::Ready(Err(errno::bad_descriptor())) };
        let done = world::with(|w| {
            w.check(self.world, "file");
            with_fs(w, |fs, _| fs.poll_sync(job, cx.waker()))
        });
        match done {
            None => Poll::Pending,
            Some(result) => {
                self.job = None;
                Poll::Ready(result)
            }
        }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            op_on_drop(self.world, |fs, _| fs.forget_sync(job));
        }
    }
}

/// fsync(2) and fdatasync(2)
pub(crate) async fn sync(handle: &Handle, how: Durability) -> io::Result<()> {
    let mut syncing = Syncing::new(handle, how)?;
    poll_fn(|cx| syncing.poll(cx)).await
}
