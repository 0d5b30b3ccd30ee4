//! `interval`: a tick every period, with a choice of what follows a missed one.

use super::{Instant, Sleep, nanos, sleep_until};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Ticks every `period`; the first tick is at once.
///
/// # Panics
/// If the period is zero, and outside of a simulation.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period` from `start` on.
///
/// # Panics
/// If the period is zero, and outside of a simulation.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(period > Duration::ZERO, "`period` must be non-zero.");
    Interval { sleep: Box::pin(sleep_until(start)), period, missed: MissedTickBehavior::default() }
}

/// When the ticks come that follow one that was awaited too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTickBehavior {
    /// As fast as possible, until the ticks have caught up.
    #[default]
    Burst,
    /// A full period after the late tick.
    Delay,
    /// At the next multiple of the period from the start.
    Skip,
}

impl MissedTickBehavior {
    fn next(self, tick: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            MissedTickBehavior::Burst => tick.saturating_add(period),
            MissedTickBehavior::Delay => now.saturating_add(period),
            MissedTickBehavior::Skip => {
                let late = nanos(now - tick) % nanos(period).max(1);
                now.saturating_add(period) - Duration::from_nanos(late)
            }
        }
    }
}

/// A stream of ticks on the node's clock.
#[derive(Debug)]
pub struct Interval {
    sleep: Pin<Box<Sleep>>,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick and gives the moment for which it was due. Safe to cancel: no tick is lost.
    pub async fn tick(&mut self) -> Instant {
        std::future::poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.sleep.as_mut().poll(cx));
        let (tick, now) = (self.sleep.deadline(), Instant::now());
        // As tokio does: a few milliseconds late is still in time.
        let next = if now > tick.saturating_add(Duration::from_millis(5)) {
            self.missed.next(tick, now, self.period)
        } else {
            tick.saturating_add(self.period)
        };
        self.sleep.as_mut().reset(next);
        Poll::Ready(tick)
    }

    /// The next tick is a full period from now.
    pub fn reset(&mut self) {
        let next = Instant::now().saturating_add(self.period);
        self.sleep.as_mut().reset(next);
    }

    /// The next tick is now.
    pub fn reset_immediately(&mut self) {
        self.sleep.as_mut().reset(Instant::now());
    }

    /// The next tick is `after` from now.
    pub fn reset_after(&mut self, after: Duration) {
        let next = Instant::now().saturating_add(after);
        self.sleep.as_mut().reset(next);
    }

    /// The next tick is at `deadline`.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.as_mut().reset(deadline);
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What follows a missed tick.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Chooses what follows a missed tick.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}
