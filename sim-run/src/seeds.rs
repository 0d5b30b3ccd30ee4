//! Seeds: which ones a sweep runs, and how they are written.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::sync::Arc;

use sim_core::hash;

/// Seeds of a sweep, in the order in which they are reported.
///
/// ```
/// use sim_run::Seeds;
/// assert_eq!(Seeds::from(5..8).iter().collect::<Vec<_>>(), [5, 6, 7]);
/// assert_eq!("0x10..20".parse::<Seeds>().unwrap(), Seeds::from(16..20));
/// assert_eq!("100".parse::<Seeds>().unwrap(), Seeds::from(0..100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Range { first: u64, count: u64 },
    List(Arc<[u64]>),
}

impl Seeds {
    /// That one seed.
    pub fn one(seed: u64) -> Seeds {
        Seeds(Kind::Range { first: seed, count: 1 })
    }

    /// `count` seeds from `first` on; fewer where `u64` ends.
    pub fn starting_at(first: u64, count: u64) -> Seeds {
        Seeds(Kind::Range { first, count: count.min((u64::MAX - first).saturating_add(1)) })
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Kind::Range { count, .. } => *count,
            Kind::List(seeds) => seeds.len() as u64,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed at that place, counted from 0.
    pub fn at(&self, index: u64) -> Option<u64> {
        match &self.0 {
            Kind::Range { first, count } => (index < *count).then(|| first + index),
            Kind::List(seeds) => seeds.get(usize::try_from(index).ok()?).copied(),
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).map_while(|index| self.at(index))
    }

    /// Those of the places in `places` only.
    pub(crate) fn part(&self, places: Range<u64>) -> Seeds {
        match &self.0 {
            Kind::Range { first, count } => {
                let start = places.start.min(*count);
                // Of no seeds the first one may be beyond the last there is.
                Seeds(Kind::Range { first: first.wrapping_add(start), count: places.end.min(*count) - start })
            }
            Kind::List(seeds) => places
                .map_while(|place| seeds.get(usize::try_from(place).ok()?).copied())
                .collect::<Vec<_>>()
                .into(),
        }
    }

    /// The range that a test runs by default: always the same for a test, another one for each.
    pub(crate) fn of_test(name: &str, count: u64) -> Seeds {
        Seeds::starting_at(first_of_test(name), count)
    }
}

impl From<Range<u64>> for Seeds {
    fn from(range: Range<u64>) -> Seeds {
        Seeds::starting_at(range.start, range.end.saturating_sub(range.start))
    }
}

impl From<RangeInclusive<u64>> for Seeds {
    fn from(range: RangeInclusive<u64>) -> Seeds {
        match range.is_empty() {
            true => Seeds::starting_at(*range.start(), 0),
            false => Seeds::starting_at(*range.start(), (range.end() - range.start()).saturating_add(1)),
        }
    }
}

impl From<Vec<u64>> for Seeds {
    fn from(seeds: Vec<u64>) -> Seeds {
        Seeds(Kind::List(seeds.into()))
    }
}

/// `100` are the seeds 0 to 99; `5..100` are 5 to 99. Numbers may be decimal, or hexadecimal after `0x`, with `_`
/// between digits.
impl FromStr for Seeds {
    type Err = InvalidSeeds;

    fn from_str(text: &str) -> Result<Seeds, InvalidSeeds> {
        Ok(match Request::parse(text)? {
            Request::Count(count) => Seeds::from(0..count),
            Request::Range(range) => Seeds::from(range),
        })
    }
}

/// Written seeds that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSeeds(&'static str);

impl fmt::Display for InvalidSeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidSeeds {}

/// What `SIM_SEEDS` asks for: how many, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Count(u64),
    Range(Range<u64>),
}

impl Request {
    pub(crate) fn parse(text: &str) -> Result<Request, InvalidSeeds> {
        const ALLOWED: InvalidSeeds = InvalidSeeds(
            "expected how many seeds, such as 100, or a range, such as 0..5000 (its end is left out)",
        );
        let Some((start, end)) = text.split_once("..") else {
            return match parse_seed(text) {
                Ok(0) => Err(InvalidSeeds("a sweep needs at least one seed")),
                Ok(count) => Ok(Request::Count(count)),
                Err(_) => Err(ALLOWED),
            };
        };
        let (Ok(start), Ok(end)) = (parse_seed(start), parse_seed(end)) else { return Err(ALLOWED) };
        if start >= end {
            return Err(InvalidSeeds("the range is empty: its start must be less than its end"));
        }
        Ok(Request::Range(start..end))
    }
}

/// Reads a seed: decimal, or hexadecimal after `0x`.
pub(crate) fn parse_seed(text: &str) -> Result<u64, InvalidSeeds> {
    const ALLOWED: InvalidSeeds =
        InvalidSeeds("expected one seed from 0 to 18446744073709551615, decimal or hexadecimal (0x2a)");
    let text = text.trim();
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (text, 10),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return Err(ALLOWED);
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).map_err(|_| ALLOWED)
}

/// The places in a sweep of `total` seeds that shard `index` of `count` does: contiguous, in the order of shards, none
/// longer than another by more than one.
pub(crate) fn split(total: u64, index: u64, count: u64) -> Range<u64> {
    let start = |index: u64| {
        let before = u128::from(total) * u128::from(index.min(count)) / u128::from(count.max(1));
        u64::try_from(before).expect("no more than the total")
    };
    start(index)..start(index.saturating_add(1))
}

/// Below a million million, so that people can read it.
fn first_of_test(name: &str) -> u64 {
    let of_name = name.bytes().fold(0, |hash, byte| hash::h(hash, u64::from(byte) + 1));
    hash::below(of_name, 1_000_000) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_test_keeps_its_seeds_for_ever() {
        // Changing this changes what every saved failure of a default run means.
        let first = first_of_test("checkout::money_is_conserved");
        assert_eq!(Seeds::of_test("checkout::money_is_conserved", 3), Seeds::from(first..first + 3));
        assert_ne!(first, first_of_test("checkout::money_is_conserve"));
        assert_ne!(first_of_test("ab"), first_of_test("ba"));
    }

    #[test]
    fn what_is_no_number_of_seeds_is_refused_with_what_is_allowed() {
        for text in ["", "x", "-1", "1..", "..2", "1..x", "0x", "_1", "1.5", "18446744073709551616", "+3"] {
            let error = text.parse::<Seeds>().unwrap_err().to_string();
            assert!(error.contains("0..5000"), "{text}: {error}");
        }
        assert!("0".parse::<Seeds>().unwrap_err().to_string().contains("at least one"));
        assert!("7..7".parse::<Seeds>().unwrap_err().to_string().contains("empty"));
        assert!(parse_seed("0xg").unwrap_err().to_string().contains("0x2a"));
    }

    #[test]
    fn ranges_at_the_end_of_u64_are_whole() {
        assert_eq!(Seeds::one(u64::MAX).iter().collect::<Vec<_>>(), [u64::MAX]);
        assert_eq!(Seeds::from(u64::MAX - 1..=u64::MAX).len(), 2);
        assert_eq!(Seeds::starting_at(u64::MAX, 9).len(), 1);
        #[expect(clippy::reversed_empty_ranges, reason = "it is the case under test")]
        let empty = Seeds::from(3..=2);
        assert!(empty.is_empty() && empty.at(0).is_none());
    }

    proptest! {
        #[test]
        fn numbers_read_as_they_are_written(seed: u64) {
            prop_assert_eq!(parse_seed(&seed.to_string()), Ok(seed));
            prop_assert_eq!(parse_seed(&format!("{seed:#x}")), Ok(seed));
        }

        #[test]
        fn shards_are_the_whole_once_and_in_order(total: u64, count in 1..5000u64) {
            let mut next = 0;
            let (mut least, mut most) = (u64::MAX, 0);
            for index in 0..count {
                let part = split(total, index, count);
                prop_assert_eq!(part.start, next);
                next = part.end;
                least = least.min(part.end - part.start);
                most = most.max(part.end - part.start);
            }
            prop_assert_eq!(next, total);
            prop_assert!(most - least <= 1);
        }

        #[test]
        fn parts_have_the_seeds_of_their_places(first: u64, length in 0..50u64, index in 0..7u64) {
            let list = Seeds::starting_at(first, length);
            let places = split(list.len(), index, 7);
            let expected: Vec<_> = list.iter().collect();
            let expected = &expected[places.start as usize..places.end as usize];
            prop_assert_eq!(list.part(places.clone()).iter().collect::<Vec<_>>(), expected);
            let list = Seeds::from(list.iter().collect::<Vec<_>>());
            prop_assert_eq!(list.part(places).iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_list_keeps_its_order(seeds: Vec<u64>) {
            let list = Seeds::from(seeds.clone());
            prop_assert_eq!(list.len(), seeds.len() as u64);
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), seeds);
        }
    }
}
