//! Which task is next: seeds in order, some of them twice, never far ahead of what was already reported.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Seeds;

/// Finished runs that may wait for an earlier, slower one.
const WINDOW: u64 = 4096;

/// One run to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// Place of the seed in the sweep.
    pub(super) index: u64,
    pub(super) seed: u64,
    /// Whether it repeats a run to see whether the trace is the same.
    pub(super) repeat: bool,
    /// Whether the run logs, and says where it is.
    pub(super) log: bool,
}

/// Which runs are done twice and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twice {
    /// One in 64, the first among them.
    Some,
    /// All.
    All,
    /// None.
    Never,
}

impl Twice {
    pub(crate) fn covers(self, index: u64) -> bool {
        match self {
            Twice::Some => index.is_multiple_of(64),
            Twice::All => true,
            Twice::Never => false,
        }
    }
}

/// Hands out the tasks of one sweep to its workers.
#[derive(Debug)]
pub(super) struct Queue {
    seeds: Seeds,
    twice: Twice,
    log: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// All earlier indices were reported.
    reported: u64,
    again: VecDeque<Task>,
    stopped: bool,
    /// Jobs that wait for `reported` to move on.
    waiting: usize,
}

impl Queue {
    pub(super) fn new(seeds: Seeds, twice: Twice, log: bool) -> Queue {
        Queue { seeds, twice, log, state: Mutex::default(), changed: Condvar::new() }
    }

    /// The next task; waits while too many finished runs wait for an earlier one, if `wait`. `None` when there is
    /// none (or none yet, unless `wait`).
    pub(super) fn take(&self, wait: bool) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(task) = state.again.pop_front() {
                return Some(task);
            }
            let index = state.next;
            let seed = self.seeds.at(index)?;
            if index < state.reported + WINDOW {
                state.next += 1;
                let task = Task { index, seed, repeat: false, log: self.log };
                if self.twice.covers(index) {
                    state.again.push_back(Task { repeat: true, ..task });
                }
                return Some(task);
            }
            if !wait {
                return None;
            }
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Gives back a task that its worker could not do.
    pub(super) fn give_back(&self, task: Task) {
        self.lock().again.push_back(task);
    }

    /// Everything before that index was reported.
    pub(super) fn report(&self, before: u64) {
        let mut state = self.lock();
        state.reported = before;
        // A wake that wakes nobody is a system call, too.
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Nothing more is to be done.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_each_seed_once_and_every_64th_twice() {
        let queue = Queue::new(Seeds::from(100..230), Twice::Some, false);
        let mut seen = Vec::new();
        while let Some(task) = queue.take(false) {
            assert_eq!(task.seed, 100 + task.index);
            seen.push((task.index, task.repeat));
        }
        let mut expected: Vec<_> = (0..130).map(|index| (index, false)).collect();
        for (place, index) in [0, 64, 128].into_iter().enumerate() {
            expected.insert(index as usize + 1 + place, (index, true));
        }
        assert_eq!(seen, expected);
    }

    #[test]
    fn does_not_run_far_ahead_of_the_slowest() {
        let queue = Queue::new(Seeds::from(0..WINDOW + 2), Twice::Never, false);
        for _ in 0..WINDOW {
            queue.take(false).unwrap();
        }
        assert_eq!(queue.take(false), None);
        queue.report(1);
        assert_eq!(queue.take(true).unwrap().index, WINDOW);
    }

    #[test]
    fn a_task_that_is_given_back_comes_again_until_the_sweep_stops() {
        let queue = Queue::new(Seeds::from(0..1), Twice::Never, true);
        let task = queue.take(true).unwrap();
        assert_eq!(queue.take(true), None);
        queue.give_back(task);
        assert_eq!(queue.take(true), Some(task));
        queue.give_back(task);
        queue.stop();
        assert_eq!(queue.take(true), None);
    }
}
