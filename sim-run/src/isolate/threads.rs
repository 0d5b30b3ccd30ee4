//! Runs on fresh threads of this process: fast, and not shielded from each other by anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread::Scope;

use super::queue::Queue;
use super::{Death, End, Message, Trouble, Work, fresh};

/// Does tasks of the queue one after another until there are none left, each on a thread that the one before has
/// started: waiting for a thread to be gone would take longer than most runs.
pub(super) fn work_off<'scope>(
    scope: &'scope Scope<'scope, '_>,
    queue: &'scope Queue,
    work: &'scope Work<'scope>,
    to: Sender<Message>,
) {
    let Some(task) = queue.take(true) else { return };
    let report = to.clone();
    let started = fresh::start(scope, task.log, move || {
        let end = run(task.seed, task.log, work);
        if to.send(Message::Done { task, end, output: String::new() }).is_ok() {
            work_off(scope, queue, work, to);
        }
    });
    if let Err(error) = started {
        // Nobody listens any more when the sweep is over.
        let _ =
            report.send(Message::Trouble(Trouble(format!("the system gives no thread for a run: {error}"))));
    }
}

/// Does a run on this thread, which must be fresh.
pub(super) fn run(seed: u64, log: bool, work: &Work<'_>) -> End {
    match catch_unwind(AssertUnwindSafe(|| work(seed, log))) {
        Ok(outcome) => End::Finished(outcome),
        Err(panic) => {
            let said = sim_core::panics::message(&*panic);
            End::Died(Death::new("panic outside of the simulation", said))
        }
    }
}
