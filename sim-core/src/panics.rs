//! What is known of a panic: message, place, backtrace, caught by a hook instead of printed.

use crate::world;
use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Once;

/// A panic of a task.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: Option<String>,
}

thread_local! {
    /// The latest panics, the last one first: user code may catch one, and raise an older one again.
    static LATEST: RefCell<VecDeque<Caught>> = const { RefCell::new(VecDeque::new()) };
}

/// How many panics are remembered.
const KEPT: usize = 16;

/// Sets the process's panic hook, once: a panic on a thread that runs a simulation is kept for the run's failure
/// and not printed; every other goes to the hook that was there.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let Some(backtrace) = world::try_with(|w| w.backtrace()) else { return previous(info) };
            let caught = Caught {
                message: message(info.payload()).to_string(),
                location: info.location().map(ToString::to_string).unwrap_or_default(),
                backtrace: backtrace.then(|| Backtrace::force_capture().to_string()),
            };
            // A thread that is going away keeps nothing.
            let _ = LATEST.try_with(|latest| {
                let mut latest = latest.borrow_mut();
                latest.truncate(KEPT - 1);
                latest.push_front(caught);
            });
        }));
    });
}

/// What the hook kept of the panic with this payload; of one that it does not know, the message alone.
pub(crate) fn of(payload: &(dyn Any + Send)) -> Caught {
    let message = message(payload);
    let known = LATEST.with_borrow_mut(|latest| {
        let place = latest.iter().position(|caught| caught.message == message)?;
        latest.remove(place)
    });
    known.unwrap_or_else(|| Caught { message: message.to_string(), ..Caught::default() })
}

/// Forgets all panics of this thread.
pub(crate) fn forget() {
    LATEST.with_borrow_mut(VecDeque::clear);
}

/// The message of a panic's payload.
pub fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(s), _) => s,
        (None, Some(s)) => s,
        (None, None) => "(a payload that is no text)",
    }
}
