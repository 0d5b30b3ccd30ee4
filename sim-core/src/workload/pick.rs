//! What an argument can be picked from.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// What [`Op::pick`](super::Op::pick) picks from: ranges of integers and of times, and lists. The first is the boring one.
pub trait Pick {
    /// What is picked.
    type Value: fmt::Debug;

    /// How many there are.
    fn places(&self) -> u64;

    /// The one at a place, which is below that.
    fn at_place(self, place: u64) -> Self::Value;
}

/// What ranges can be picked from.
pub trait Step: Copy + fmt::Debug {
    /// How many steps it is from `self` to before `end`; 0 if that is not later.
    fn steps_to(self, end: Self) -> u64;

    /// What so many steps lead to.
    fn step(self, steps: u64) -> Self;
}

macro_rules! integers {
    ($($int:ty),*) => { $(
        impl Step for $int {
            fn steps_to(self, end: $int) -> u64 {
                u64::try_from(end as i128 - self as i128).unwrap_or(0)
            }

            fn step(self, steps: u64) -> $int {
                self.wrapping_add(steps as $int)
            }
        }
    )* };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// A step is a microsecond, so that the times that are picked read well.
impl Step for Duration {
    fn steps_to(self, end: Duration) -> u64 {
        let span = end.saturating_sub(self).as_nanos().div_ceil(1000);
        u64::try_from(span).unwrap_or(u64::MAX)
    }

    fn step(self, steps: u64) -> Duration {
        self.saturating_add(Duration::from_micros(steps))
    }
}

impl<T: Step> Pick for Range<T> {
    type Value = T;

    fn places(&self) -> u64 {
        self.start.steps_to(self.end)
    }

    fn at_place(self, place: u64) -> T {
        self.start.step(place)
    }
}

impl<T: Step + PartialOrd> Pick for RangeInclusive<T> {
    type Value = T;

    /// All values of 64 bits are one more than can be said: the last is never picked.
    fn places(&self) -> u64 {
        let more = u64::from(self.contains(self.end()));
        self.start().steps_to(*self.end()).saturating_add(more)
    }

    fn at_place(self, place: u64) -> T {
        let picked = self.start().step(place);
        if picked > *self.end() { *self.end() } else { picked }
    }
}

impl<T: Clone + fmt::Debug> Pick for &[T] {
    type Value = T;

    fn places(&self) -> u64 {
        self.len() as u64
    }

    fn at_place(self, place: u64) -> T {
        self[place as usize].clone()
    }
}

impl<T: Clone + fmt::Debug, const N: usize> Pick for &[T; N] {
    type Value = T;

    fn places(&self) -> u64 {
        N as u64
    }

    fn at_place(self, place: u64) -> T {
        self[place as usize].clone()
    }
}

impl<T: Clone + fmt::Debug> Pick for &Vec<T> {
    type Value = T;

    fn places(&self) -> u64 {
        self.len() as u64
    }

    fn at_place(self, place: u64) -> T {
        self[place as usize].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_of_a_range_is_one_of_its_values() {
        let all =
            |range: Range<i32>| (0..range.places()).map(|i| range.clone().at_place(i)).collect::<Vec<_>>();
        assert_eq!(all(-3..4), [-3, -2, -1, 0, 1, 2, 3]);
        assert_eq!(((0..=255u8).places(), (0..=255u8).at_place(255)), (256, 255));
        assert_eq!(
            ((0..=u64::MAX).places(), (i64::MIN..i64::MAX).at_place(u64::MAX - 1)),
            (u64::MAX, i64::MAX - 1)
        );
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
    fn an_empty_range_has_no_places() {
        assert_eq!([(5..5).places(), (5..3).places(), (5..=4).places(), (4..2).places()], [0; 4]);
    }

    #[test]
    fn times_are_whole_microseconds_above_the_least() {
        let range = || Duration::from_nanos(500)..Duration::from_nanos(2600);
        assert_eq!(range().places(), 3);
        let last = range().at_place(2);
        assert_eq!(last, Duration::from_nanos(2500));
        assert!(range().contains(&last));
        let ends = Duration::from_nanos(500)..=Duration::from_nanos(2600);
        assert_eq!((ends.places(), ends.at_place(3)), (4, Duration::from_nanos(2600)));
    }
}
