//! `sleep` and `sleep_until`.

use super::{EventKey, Instant, nanos};
use crate::executor::waker;
use crate::world::{self, WorldId};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Waits until `duration` has passed on the current node's clock.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_core::time::{Instant, sleep};
/// use std::time::Duration;
/// let start = Instant::now();
/// sleep(Duration::from_secs(3600)).await;
/// assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// # }).result.unwrap();
/// ```
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    world::with(|w| {
        let now = w.kernel().monotonic();
        Sleep { world: w.id(), deadline: now.saturating_add(nanos(duration)), timer: None }
    })
}

/// Waits until the current node's clock shows `deadline`.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    world::with(|w| Sleep { world: w.id(), deadline: deadline.nanos(), timer: None })
}

/// Waits for a moment on the node's clock. Its timer is made at the first poll.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    world: WorldId,
    deadline: u64,
    timer: Option<EventKey>,
}

impl Sleep {
    /// The moment waited for.
    pub fn deadline(&self) -> Instant {
        Instant::from_nanos(self.deadline)
    }

    /// Whether the moment has come.
    pub fn is_elapsed(&self) -> bool {
        world::try_with(|w| w.kernel().monotonic() >= self.deadline).unwrap_or(false)
    }

    /// Waits for another moment instead.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.get_mut();
        this.disarm();
        this.deadline = deadline.nanos();
    }

    #[inline]
    fn disarm(&mut self) {
        if let Some(key) = self.timer.take() {
            let _waker =
                world::try_with(|w| if w.id() == self.world { w.kernel().cancel(key) } else { None });
        }
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        world::with(|w| {
            w.check(self.world, "sleep");
            let mut k = w.kernel();
            if k.monotonic() >= self.deadline {
                // A timer that has fired is a stale key: there is nothing left to disarm.
                if self.timer.is_some_and(|key| !k.is_pending(key)) {
                    self.timer = None;
                }
                return Poll::Ready(());
            }
            let target = waker::target(w.id(), cx.waker());
            let replaced = match self.timer {
                Some(key) if k.is_pending(key) => k.rewake(key, target),
                _ => {
                    self.timer = Some(k.timer(self.deadline, target));
                    None
                }
            };
            drop(k);
            drop(replaced);
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        self.disarm();
    }
}
