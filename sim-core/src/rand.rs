//! Application randomness: jitter, election timeouts, identifiers.
//!
//! ChaCha8 keyed by the seed, with a name by cause as nonce, so that taking an operation out of a run does not
//! shift the jitter of all that follow. It is not listed as a decision: it has no boring value.

use crate::world;
use rand_core::TryRng;
use std::convert::Infallible;
use std::ops::{Bound, RangeBounds};

/// 64 random bits.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn u64() -> u64 {
    world::with(|w| w.draw())
}

/// A number of a range, evenly.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// let jitter = sim_core::rand::range(10..20);
/// assert!((10..20).contains(&jitter));
/// # }).result.unwrap();
/// ```
///
/// # Panics
/// If the range is empty, and outside of a simulation.
#[track_caller]
pub fn range(range: impl RangeBounds<u64> + std::fmt::Debug) -> u64 {
    let least = match range.start_bound() {
        Bound::Included(&n) => n,
        Bound::Excluded(&n) => n.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let most = match range.end_bound() {
        Bound::Included(&n) => Some(n),
        Bound::Excluded(&n) => n.checked_sub(1),
        Bound::Unbounded => Some(u64::MAX),
    };
    let Some(span) = most.and_then(|most| most.checked_sub(least)) else {
        panic!("cannot draw from the empty range {range:?}");
    };
    let draw = u64();
    match span.checked_add(1) {
        Some(n) => least + crate::hash::below(draw, n),
        None => draw,
    }
}

/// True with a chance of `numerator` in `denominator`.
///
/// # Panics
/// If the denominator is 0, and outside of a simulation.
#[track_caller]
pub fn chance(numerator: u64, denominator: u64) -> bool {
    assert!(
        denominator > 0,
        "a chance of {numerator} in 0 means nothing: the denominator must be at least 1"
    );
    range(0..denominator) < numerator
}

/// Fills a buffer with random bytes.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn fill(buffer: &mut [u8]) {
    world::with(|w| w.fill(buffer));
}

/// A generator of application randomness with the traits of `rand_core`, for what asks for one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rng;

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64())
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        fill(buffer);
        Ok(())
    }
}
