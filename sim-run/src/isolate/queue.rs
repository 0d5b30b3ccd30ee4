//! Which task is next: seeds in order, some of them twice, never far ahead of what was already reported.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Assignment;
use crate::Seeds;

/// Finished runs that may wait for an earlier, slower one.
const WINDOW: u64 = 4096;

/// One run to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// Place of the seed in the sweep.
    pub(super) index: u64,
    pub(super) seed: u64,
    /// Whether it repeats a run to see whether the trace is the same.
    pub(super) repeat: bool,
    /// Whether the run logs, and says where it is.
    pub(super) log: bool,
    /// What it is told besides its seed; nothing in a sweep.
    pub(super) orders: Arc<[u8]>,
}

impl Task {
    pub(super) fn assignment(&self) -> Assignment<'_> {
        Assignment { seed: self.seed, log: self.log, orders: &self.orders }
    }
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
    /// Whether tasks come one by one, from [`Queue::add`].
    open: bool,
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
        Queue { seeds, twice, log, open: false, state: Mutex::default(), changed: Condvar::new() }
    }

    /// A queue of tasks that are still to be thought of.
    pub(super) fn open() -> Queue {
        Queue { open: true, ..Queue::new(Seeds::from(0..0), Twice::Never, false) }
    }

    /// Adds a task to an open queue.
    pub(super) fn add(&self, task: Task) {
        let mut state = self.lock();
        state.again.push_back(task);
        if state.waiting > 0 {
            self.changed.notify_one();
        }
    }

    /// Takes back a task that nobody has begun.
    pub(super) fn withdraw(&self, index: u64) -> bool {
        let mut state = self.lock();
        let before = state.again.len();
        state.again.retain(|task| task.index != index);
        state.again.len() < before
    }

    /// Tasks that a worker has at a time. With a second one it can go on without asking; of few tasks, one that has two
    /// keeps another one idle.
    pub(super) fn ahead(&self) -> usize {
        if self.open { 1 } else { 2 }
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
            let seed = self.seeds.at(index);
            match seed {
                None if !self.open => return None,
                Some(seed) if index < state.reported + WINDOW => {
                    state.next += 1;
                    let task = Task { index, seed, repeat: false, log: self.log, orders: Arc::default() };
                    if self.twice.covers(index) {
                        state.again.push_back(Task { repeat: true, ..task.clone() });
                    }
                    return Some(task);
                }
                _ => {}
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
    fn an_open_queue_waits_for_what_is_added() {
        let queue = Queue::open();
        assert_eq!(queue.take(false), None);
        let task = |index| Task { index, seed: 7, repeat: false, log: false, orders: Arc::new([1, 2]) };
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| queue.take(true));
            queue.add(task(3));
            assert_eq!(taken.join().unwrap(), Some(task(3)));
        });
        queue.add(task(4));
        assert!(queue.withdraw(4) && !queue.withdraw(4));
        queue.stop();
        assert_eq!(queue.take(true), None);
    }

    #[test]
    fn a_task_that_is_given_back_comes_again_until_the_sweep_stops() {
        let queue = Queue::new(Seeds::from(0..1), Twice::Never, true);
        let task = queue.take(true).unwrap();
        assert_eq!(queue.take(true), None);
        queue.give_back(task.clone());
        assert_eq!(queue.take(true), Some(task.clone()));
        queue.give_back(task);
        queue.stop();
        assert_eq!(queue.take(true), None);
    }
}
