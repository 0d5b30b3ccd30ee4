//! The clock of one node: linear pieces of world time.

use std::fmt;

/// What a node's clocks show. The monotonic clock runs at its own rate and never goes back; the wall clock is
/// the monotonic one plus an offset, which steps change. Sleeps follow the monotonic clock: a change of rate
/// moves them, a step does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeClock {
    /// World time of the last change of rate, ns.
    since: u64,
    /// What the monotonic clock showed then, ns.
    shown: u64,
    drift_ppm: i64,
    /// Wall clock less monotonic clock, ns.
    wall_offset: i64,
}

/// A clock setting that is out of range: whoever configures the clock is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockError {
    ppm: i64,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (NodeClock::DRIFT.start(), NodeClock::DRIFT.end());
        write!(f, "a drift of {} ppm is out of range: allowed is {least} ..= {most} ppm", self.ppm)
    }
}

impl std::error::Error for ClockError {}

const MILLION: i128 = 1_000_000;

impl NodeClock {
    /// From half speed to ten times as fast; real oscillators stay within ±100 ppm.
    pub(crate) const DRIFT: std::ops::RangeInclusive<i64> = -500_000..=9_000_000;

    pub(crate) fn new(epoch: u64) -> Self {
        NodeClock { since: 0, shown: 0, drift_ppm: 0, wall_offset: i64::try_from(epoch).unwrap_or(i64::MAX) }
    }

    /// What the monotonic clock shows at a time of the world.
    #[inline]
    pub(crate) fn monotonic(&self, now: u64) -> u64 {
        let passed = now - self.since;
        match self.drift_ppm {
            0 => self.shown + passed,
            ppm => self.shown + (passed as i128 * (MILLION + ppm as i128) / MILLION) as u64,
        }
    }

    /// What the wall clock shows at a time of the world, ns since 1970; never before 1970.
    pub(crate) fn realtime(&self, now: u64) -> u64 {
        (i128::from(self.monotonic(now)) + i128::from(self.wall_offset)).clamp(0, u64::MAX.into()) as u64
    }

    /// When, in world time, the monotonic clock shows `deadline`: rounded up, so that a sleep never ends before
    /// its time on the node's own clock.
    #[inline]
    pub(crate) fn due(&self, now: u64, deadline: u64) -> u64 {
        if self.drift_ppm == 0 {
            return deadline.saturating_sub(self.shown).saturating_add(self.since).max(now);
        }
        let left = deadline.saturating_sub(self.shown) as u128 * MILLION as u128;
        let passed = left.div_ceil((MILLION + self.drift_ppm as i128) as u128);
        self.since.saturating_add(passed.min(u64::MAX as u128) as u64).max(now)
    }

    pub(crate) fn drift_ppm(&self) -> i64 {
        self.drift_ppm
    }

    pub(crate) fn set_drift(&mut self, now: u64, ppm: i64) -> Result<(), ClockError> {
        if !Self::DRIFT.contains(&ppm) {
            return Err(ClockError { ppm });
        }
        *self = NodeClock { since: now, shown: self.monotonic(now), drift_ppm: ppm, ..*self };
        Ok(())
    }

    /// Moves the wall clock by `nanos`.
    pub(crate) fn step(&mut self, nanos: i64) {
        self.wall_offset = self.wall_offset.saturating_add(nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sleep_never_ends_early_and_at_most_one_tick_late(
            ppm in NodeClock::DRIFT, start in 0u64..1 << 50, length in 0u64..1 << 50,
        ) {
            let mut clock = NodeClock::new(0);
            clock.set_drift(start, ppm).unwrap();
            let deadline = clock.monotonic(start) + length;
            let due = clock.due(start, deadline);
            prop_assert!(clock.monotonic(due) >= deadline);
            prop_assert!(due == start || clock.monotonic(due - 1) < deadline);
        }
    }

    #[test]
    fn changes_of_rate_and_steps_never_turn_the_monotonic_clock_back() {
        let mut clock = NodeClock::new(1_000);
        clock.set_drift(1_000_000, 100).unwrap();
        assert_eq!(clock.monotonic(2_000_000), 2_000_100);
        clock.set_drift(2_000_000, -100).unwrap();
        assert_eq!(clock.monotonic(2_000_000), 2_000_100);
        clock.step(-3_000_000);
        assert_eq!(clock.monotonic(2_000_000), 2_000_100);
        assert_eq!(clock.realtime(2_000_000), 0);
        assert_eq!(clock.set_drift(0, -600_000), Err(ClockError { ppm: -600_000 }));
    }
}
