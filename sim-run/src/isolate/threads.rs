//! Runs on fresh threads of this process: fast, and not shielded from each other by anything.

use std::sync::mpsc::Sender;

use super::queue::Queue;
use super::{Death, End, Message, Work, fresh};

/// Does tasks of the queue one after another until there are none left.
pub(super) fn work_off(queue: &Queue, work: &Work<'_>, to: &Sender<Message>) {
    fresh::warm_up();
    while let Some(task) = queue.take(true) {
        let end = run(task.seed, task.log, work);
        if to.send(Message::Done { task, end, output: String::new() }).is_err() {
            return;
        }
    }
}

pub(super) fn run(seed: u64, log: bool, work: &Work<'_>) -> End {
    match fresh::run(log, || work(seed, log)) {
        Ok(outcome) => End::Finished(outcome),
        Err(panic) => {
            let said = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a message".to_owned());
            End::Died(Death::new("panic outside of the simulation", said))
        }
    }
}
