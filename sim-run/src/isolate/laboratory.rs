//! Runs that are thought of one after another: who orders the next one has seen the ends of those before.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::queue::{Queue, Task};
#[cfg(unix)]
use super::supervisor;
use super::{End, Message, OnDrop, Plan, Trouble, Work, fresh, threads};
use crate::Isolate;

/// Runs assignments side by side and hands out their ends in the order in which they are asked for.
pub(crate) struct Laboratory<'q> {
    queue: &'q Queue,
    from: Receiver<Vec<Message>>,
    next: Cell<u64>,
    ended: RefCell<BTreeMap<u64, End>>,
    /// Of whose ends nobody wants to know any more.
    forgotten: RefCell<BTreeSet<u64>>,
}

/// Calls `f` with a laboratory in which the runs of the plan's test can be done; the plan's seeds do not count.
///
/// # Errors
/// When workers cannot be started, whatever `f` gives.
pub(crate) fn experiment<R>(
    plan: &Plan<'_>,
    work: &Work<'_>,
    f: impl FnOnce(&Laboratory<'_>) -> Result<R, Trouble>,
) -> Result<R, Trouble> {
    let queue = Queue::open();
    #[cfg(unix)]
    let workers = supervisor::Workers::default();
    if plan.isolate == Isolate::Thread {
        fresh::warm_up();
    }
    let (to, from) = mpsc::channel();
    thread::scope(|scope| {
        let _stop = OnDrop(|| {
            queue.stop();
            #[cfg(unix)]
            workers.hang_up();
        });
        for _ in 0..plan.jobs.max(1) {
            let (to, queue) = (to.clone(), &queue);
            #[cfg(unix)]
            let workers = &workers;
            match plan.isolate {
                #[cfg(unix)]
                Isolate::Process => drop(scope.spawn(move || supervisor::manage(queue, plan, workers, &to))),
                _ => drop(scope.spawn(move || threads::Job::new(queue, work, to).go_on(scope))),
            }
        }
        drop(to);
        let (next, ended, forgotten) = Default::default();
        f(&Laboratory { queue: &queue, from, next, ended, forgotten })
    })
}

impl Laboratory<'_> {
    /// Orders a run; gives its number.
    pub(crate) fn order(&self, seed: u64, orders: Vec<u8>) -> u64 {
        let index = self.next.replace(self.next.get() + 1);
        let orders: Arc<[u8]> = orders.into();
        self.queue.add(Task { index, seed, repeat: false, log: false, orders });
        index
    }

    /// Waits for the end of a run.
    ///
    /// # Errors
    /// When it cannot be done.
    pub(crate) fn end(&self, index: u64) -> Result<End, Trouble> {
        loop {
            if let Some(end) = self.ended.borrow_mut().remove(&index) {
                return Ok(end);
            }
            let Ok(messages) = self.from.recv() else {
                return Err(Trouble("all workers are gone".to_owned()));
            };
            for message in messages {
                match message {
                    Message::Trouble(trouble) => return Err(trouble),
                    Message::Done { task, end, .. } => {
                        if !self.forgotten.borrow_mut().remove(&task.index) {
                            self.ended.borrow_mut().insert(task.index, end);
                        }
                    }
                }
            }
        }
    }

    /// Nobody wants to know the end of a run any more.
    pub(crate) fn forget(&self, index: u64) {
        if !self.queue.withdraw(index) && self.ended.borrow_mut().remove(&index).is_none() {
            self.forgotten.borrow_mut().insert(index);
        }
    }
}
