//! Runs on fresh threads of this process: fast, and not shielded from each other by anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::queue::Queue;
use super::{Assignment, Death, End, Message, Trouble, Work, fresh};
use crate::progress::now;

/// Ends that are reported together, because waking who waits for them costs as much as a short run.
const BATCH: usize = 32;
/// Real time that an end waits for others.
const PATIENCE: Duration = Duration::from_millis(5);

/// One line of work of a sweep: runs one after another, each on a thread of its own.
pub(super) struct Job<'scope> {
    queue: &'scope Queue,
    work: &'scope Work<'scope>,
    to: Sender<Vec<Message>>,
    ended: Vec<Message>,
    reported: Instant,
}

impl<'scope> Job<'scope> {
    pub(super) fn new(
        queue: &'scope Queue,
        work: &'scope Work<'scope>,
        to: Sender<Vec<Message>>,
    ) -> Job<'scope> {
        Job { queue, work, to, ended: Vec::with_capacity(BATCH), reported: now() }
    }

    /// Does tasks of the queue until there are none left, each on a thread that the one before has started: waiting
    /// for a thread to be gone would take longer than most runs.
    pub(super) fn go_on(mut self, scope: &'scope Scope<'scope, '_>) {
        let task = self.queue.take(false).or_else(|| {
            // The queue may wait for what is not reported yet.
            self.report();
            self.queue.take(true)
        });
        let Some(task) = task else { return };
        let to = self.to.clone();
        let started = fresh::start(scope, task.log, move || {
            let end = run(&task.assignment(), self.work);
            self.ended.push(Message::Done { task, end, output: String::new() });
            if self.ended.len() == BATCH || now() - self.reported > PATIENCE {
                self.report();
            }
            self.go_on(scope);
        });
        if let Err(error) = started {
            let trouble = Trouble(format!("the system gives no thread for a run: {error}"));
            let _ = to.send(vec![Message::Trouble(trouble)]);
        }
    }

    fn report(&mut self) {
        self.reported = now();
        // Nobody listens any more when the sweep is over; the queue is stopped then.
        let _ = self.to.send(std::mem::replace(&mut self.ended, Vec::with_capacity(BATCH)));
    }
}

/// Does a run on this thread, which must be fresh.
pub(super) fn run(assignment: &Assignment<'_>, work: &Work<'_>) -> End {
    match catch_unwind(AssertUnwindSafe(|| work(assignment))) {
        Ok(outcome) => End::Finished(outcome),
        Err(panic) => {
            let said = sim_core::panics::message(&*panic);
            End::Died(Death::new("panic outside of the simulation", said))
        }
    }
}
