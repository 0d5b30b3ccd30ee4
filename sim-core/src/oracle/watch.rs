//! When oracles look: after each step in which something can have changed, and at the end of each instant.
//!
//! Where nothing is watched, none of this is reached: the loop asks one flag, which it asks anyway for failures.

use crate::kernel::{Kernel, Step};
use crate::node::Waiters;
use crate::slab::Key;
use crate::world;
use std::task::Waker;

/// What is watched in a run, and what was seen of it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// There are invariants.
    invariants: bool,
    /// The step after which they were last looked at.
    looked_after: u64,
    /// Who waits for something to change.
    waiters: Waiters,
    /// How many polls and events there had been but theirs when they were last told.
    told_after: u64,
    /// How many polls were of those who wait: they change nothing that others wait for.
    own: u64,
    /// The last of these, by the number of the poll.
    own_poll: u64,
    /// How many stamps were given.
    stamps: u64,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Watch {
            invariants: false,
            looked_after: 0,
            waiters: Waiters::new(),
            told_after: 0,
            own: 0,
            own_poll: 0,
            stamps: 0,
        }
    }

    /// Forgets what was watched; the wakers are for the caller to drop.
    pub(crate) fn reset(&mut self) -> Vec<Waker> {
        std::mem::take(self).waiters.take()
    }

    /// Something changes that is no step by the count.
    pub(crate) fn look_again(&mut self) {
        self.looked_after = u64::MAX;
    }

    /// Whether anything is watched.
    pub(crate) fn is_on(&self) -> bool {
        self.invariants || !self.waiters.is_empty()
    }
}

/// A number for something that a test records: a step of its own, greater than all before. `None` outside of a simulation,
/// and for what is left of a dead process, which records nothing.
pub fn stamp() -> Option<u64> {
    world::try_with(|w| {
        let mut kernel = w.try_kernel()?;
        kernel.actor()?;
        kernel.watch.stamps += 1;
        Some(kernel.step())
    })
    .flatten()
}

impl Kernel {
    /// The number of the step that runs, or has just ended, from the start of the run: polls of tasks, events, and what
    /// tests stamp.
    pub fn step(&self) -> u64 {
        self.stats.polls + self.stats.events + self.watch.stamps
    }

    /// What is to be looked at between two steps.
    pub(crate) fn watched(&mut self) -> Option<Step> {
        let step = self.step();
        if self.watch.invariants && self.watch.looked_after != step {
            self.watch.looked_after = step;
            return Some(Step::Look);
        }
        // Who stamps what he asks while he waits changes nothing by that.
        let others = self.stats.polls + self.stats.events - self.watch.own;
        let settled = !self.watch.waiters.is_empty() && self.nothing_is_ready() && !self.done;
        if settled && self.watch.told_after != others {
            self.watch.told_after = others;
            return Some(Step::Tell(self.watch.waiters.take()));
        }
        None
    }

    pub(super) fn watch_invariants(&mut self) {
        self.watch.invariants = true;
        self.watch.look_again();
        self.attend();
    }

    /// Has `waker` woken when something has changed; a waker that it replaces is given back for dropping.
    pub(super) fn wait_for_change(&mut self, place: &mut Option<Key>, waker: &Waker) -> Option<Waker> {
        self.attend();
        self.watch.waiters.wait(place, waker)
    }

    /// Nobody waits there any more; the waker is given back for dropping.
    pub(super) fn leave_change(&mut self, place: Option<Key>) -> Option<Waker> {
        self.watch.waiters.leave(place)
    }

    /// The task that is polled only looks whether what it waits for has come.
    pub(super) fn only_looks(&mut self) {
        if self.watch.own_poll != self.stats.polls {
            self.watch.own_poll = self.stats.polls;
            self.watch.own += 1;
        }
    }
}
