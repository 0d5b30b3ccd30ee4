//! The executor and the timer.

use hyper::rt::{Executor, Sleep, Timer};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Runs hyper's background futures as tasks of the process that makes them: `TokioExecutor` of hyper-util.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SimExecutor;

impl SimExecutor {
    /// One is like the other.
    pub fn new() -> Self {
        SimExecutor
    }
}

impl<F> Executor<F> for SimExecutor
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        sim_core::spawn(future);
    }
}

/// Waits on the clock of the node: `TokioTimer` of hyper-util.
///
/// hyper counts in `std::time::Instant`, of which the guards of the simulation make the node's clock; without them
/// (docs/guards.md) a timer of hyper would be off by the time that the host takes, and the run not repeatable.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SimTimer;

impl SimTimer {
    /// One is like the other.
    pub fn new() -> Self {
        SimTimer
    }
}

impl Timer for SimTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(SimSleep(sim_core::time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(left(deadline))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<SimSleep>() {
            Some(sleep) => {
                let deadline = sim_core::time::Instant::now() + left(new_deadline);
                Pin::new(&mut sleep.get_mut().0).reset(deadline);
            }
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

/// How long it is until then.
#[expect(clippy::disallowed_methods, reason = "hyper's interface; the guards answer with the node's clock")]
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// What [`SimTimer`] waits with.
#[derive(Debug)]
pub struct SimSleep(sim_core::time::Sleep);

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Sleep for SimSleep {}
