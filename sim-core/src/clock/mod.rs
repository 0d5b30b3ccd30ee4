//! Virtual time: the queue of events, the clocks of the nodes, and what programs see of both.
//!
//! The time of the world is a `u64` of nanoseconds from the start of the run. It moves only when nothing is
//! ready, straight to the next event. Each node sees it through a [`NodeClock`] of its own.

mod events;
mod instant;
mod interval;
mod node_clock;
mod queue;
mod sleep;
mod timeout;

pub use events::EventKey;
pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use node_clock::ClockError;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

pub(crate) use events::{Due, Events, Target, What};
pub(crate) use node_clock::NodeClock;

use std::time::{Duration, SystemTime};

/// When the wall clocks start unless the configuration says otherwise: 2024-01-01T00:00:00Z, in ns since 1970.
pub const EPOCH: u64 = 1_704_067_200_000_000_000;

/// The wall-clock time of the current node: its monotonic clock plus offset and steps.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn wall() -> SystemTime {
    let nanos = crate::world::with(|w| w.kernel().realtime());
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// Nanoseconds of a duration; longer than 584 years is as good as for ever.
#[inline]
pub(crate) fn nanos(d: Duration) -> u64 {
    d.as_secs()
        .checked_mul(1_000_000_000)
        .and_then(|s| s.checked_add(d.subsec_nanos().into()))
        .unwrap_or(u64::MAX)
}
