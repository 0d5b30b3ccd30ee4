//! What is known of a panic: message, place, backtrace, caught by a hook instead of printed.

use crate::world;
use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::sync::Once;

/// A panic of a task.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

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
            let _ = LAST.try_with(|last| last.replace(Some(caught)));
        }));
    });
}

/// What the hook kept of the last panic on this thread.
pub(crate) fn take() -> Option<Caught> {
    LAST.with(RefCell::take)
}

/// The message of a panic's payload.
pub fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(s), _) => s,
        (None, Some(s)) => s,
        (None, None) => "(a payload that is no text)",
    }
}
