//! The thread that a run happens on, and the warm-up before the first run of a process.
//!
//! Thread-locals decide behaviour: the keys of std's hasher, `fastrand`, the generator behind `tokio::select!`. So a
//! run starts on a thread that has run nothing else, with the same name and stack in every mode, and in a process
//! that has done the same warm-up.

use std::io;
use std::sync::Once;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use sim_core::Config;

use crate::logging;

/// Name of a run's thread; panics and stack overflows print it.
const NAME: &str = "sim";
/// Stack of a run's thread in bytes: that of a main thread on Linux. The system commits pages as they are touched.
const STACK: usize = 8 << 20;

/// Starts `f` on a fresh thread. With `log`, the thread logs.
///
/// # Errors
/// When the system refuses a thread.
pub(super) fn start<'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    log: bool,
    f: impl FnOnce() -> R + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, R>> {
    // Made on this thread: building a filter would use up hasher keys of the run's.
    let logger = log.then(logging::dispatch);
    let body = || match logger {
        None => f(),
        Some(logger) => tracing::dispatcher::with_default(&logger, f),
    };
    thread::Builder::new().name(NAME.to_owned()).stack_size(STACK).spawn_scoped(scope, body)
}

/// Runs `f` to its end on a fresh thread; the panic as error when it panics. With `log`, the thread logs.
///
/// # Panics
/// When the system refuses a thread.
pub(super) fn run<R: Send>(log: bool, f: impl FnOnce() -> R + Send) -> thread::Result<R> {
    thread::scope(|scope| {
        start(scope, log, f).unwrap_or_else(|error| panic!("cannot start a thread for a run: {error}")).join()
    })
}

/// What every process does once before its first run: installs the panic hook and runs an empty world, so that
/// lazily made statics exist and count from the same values.
pub(super) fn warm_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        sim_core::panics::install();
        let config = Config::seed(0).time_limit(Duration::from_secs(1));
        let ran = run(false, || sim_core::run(config, async |_| ()).result.is_ok());
        assert!(matches!(ran, Ok(true)), "an empty simulation failed: {ran:?}");
    });
}
