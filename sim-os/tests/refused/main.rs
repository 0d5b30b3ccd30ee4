//! What becomes of calls that a simulation cannot answer: each is an error for the caller and fails the run by name,
//! and is the real thing everywhere else.

#![cfg(guarded)]
#![expect(clippy::disallowed_methods, reason = "the tests are about what the guards do to these")]

mod cases;
mod runs;
mod waits;

use std::ffi::c_int;
use std::thread;
use std::time::Duration;

use sim_core::{Config, Failure, Outcome, Sim, spawn_named, yield_now};

/// Runs `body` on a thread of its own.
fn simulate<T, Fut>(body: impl FnOnce(Sim) -> Fut + Send + 'static) -> Outcome<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let run = move || sim_core::run(Config::seed(1), body);
    thread::spawn(run).join().expect("a thread of its own")
}

/// What a call returned, and `errno` if that was -1.
fn outcome(returned: impl Into<i64>) -> (i64, c_int) {
    let returned = returned.into();
    // SAFETY: the thread's own `errno`.
    (returned, if returned == -1 { unsafe { *libc::__errno_location() } } else { 0 })
}

/// The failure of a run whose node `payment` has a task `charge` that calls `call` one second after the start.
fn failure_of(call: impl FnOnce() + Send + 'static) -> Failure {
    let run = simulate(|sim| async move {
        sim.node("payment")
            .spawn(async {
                spawn_named("charge", async {
                    sim_core::time::sleep(Duration::from_secs(1)).await;
                    call();
                    // The run is over after this poll.
                    yield_now().await;
                    unreachable!("the run went on");
                })
                .await
            })
            .await
    });
    run.result.expect_err("a violation")
}
