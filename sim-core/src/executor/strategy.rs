//! How the ready tasks are ordered. A strategy only gives values to decisions: a sticky priority at a wake
//! ([`Kind::Wake`](crate::Kind::Wake)), or the place in line of the next task
//! ([`Kind::Pick`](crate::Kind::Pick)); 0 is always first come, first served.
//!
//! PCT follows Burckhardt et al., *A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs* (2010):
//! random base priorities and a few change points. POS follows Yuan et al., *Partial Order Aware Concurrency
//! Sampling* (2018): a fresh random priority at each wake.

use crate::decision::Name;
use crate::hash::{below, h};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which schedule a run uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Schedule {
    /// Drawn from the seed: 50 % PCT with depth 2–4 and a length guessed log-uniformly, 30 % POS, 10 % random,
    /// 10 % FIFO.
    #[default]
    Portfolio,
    /// First come, first served.
    Fifo,
    /// Each ready task is as likely to be next.
    Random,
    /// A fresh random priority at each wake.
    Pos,
    /// Random base priorities with change points.
    Pct {
        /// How many tasks must be ordered just so for the bug to show, at least 1.
        depth: u32,
        /// About how many polls the run has.
        length: u64,
    },
}

impl Schedule {
    /// The schedule of one seed: never [`Schedule::Portfolio`].
    pub fn of_seed(self, seed: u64) -> Schedule {
        if self != Schedule::Portfolio {
            return self;
        }
        let draw = h(seed, 0x5c4e_d01e);
        match below(draw, 100) {
            0..10 => Schedule::Fifo,
            10..20 => Schedule::Random,
            20..50 => Schedule::Pos,
            _ => Schedule::Pct {
                depth: 2 + below(h(draw, 1), 3) as u32,
                length: 1 << (6 + below(h(draw, 2), 15)),
            },
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Portfolio => f.write_str("portfolio"),
            Schedule::Fifo => f.write_str("fifo"),
            Schedule::Random => f.write_str("random"),
            Schedule::Pos => f.write_str("pos"),
            Schedule::Pct { depth, length } => write!(f, "pct({depth},{length})"),
        }
    }
}

/// A text that names no schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSchedule(String);

impl fmt::Display for UnknownSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown schedule {:?}: allowed are portfolio, fifo, random, pos, pct and pct(DEPTH,LENGTH) with \
             a depth from 1 and a length from 1",
            self.0
        )
    }
}

impl std::error::Error for UnknownSchedule {}

impl FromStr for Schedule {
    type Err = UnknownSchedule;

    fn from_str(s: &str) -> Result<Self, UnknownSchedule> {
        let unknown = || UnknownSchedule(s.to_string());
        Ok(match s {
            "portfolio" => Schedule::Portfolio,
            "fifo" => Schedule::Fifo,
            "random" => Schedule::Random,
            "pos" => Schedule::Pos,
            "pct" => Schedule::Pct { depth: 3, length: 1 << 12 },
            _ => {
                let inner = s.strip_prefix("pct(").and_then(|s| s.strip_suffix(')')).ok_or_else(unknown)?;
                let (depth, length) = inner.split_once(',').ok_or_else(unknown)?;
                let depth = depth.trim().parse().map_err(|_| unknown())?;
                let length = length.trim().parse().map_err(|_| unknown())?;
                if depth == 0 || length == 0 {
                    return Err(unknown());
                }
                Schedule::Pct { depth, length }
            }
        })
    }
}

/// What a strategy may know of the task that is woken.
#[derive(Debug)]
pub(super) struct Woken {
    /// The task's name, equal in every run that spawns it from the same cause.
    pub(super) task: Name,
    /// How often it was polled.
    pub(super) polls: u32,
    /// The priority that it has.
    pub(super) priority: i64,
}

/// A schedule at work.
#[derive(Debug)]
pub(super) enum Strategy {
    Fifo,
    Random,
    Pos,
    Pct(Pct),
}

#[derive(Debug)]
pub(super) struct Pct {
    seed: u64,
    threshold: u64,
    /// Change points met, each of which goes behind all before it.
    changes: u64,
    fair_after: u64,
    wakes: u64,
}

impl Strategy {
    pub(super) fn new(schedule: Schedule, seed: u64) -> Self {
        match schedule.of_seed(seed) {
            Schedule::Fifo | Schedule::Portfolio => Strategy::Fifo,
            Schedule::Random => Strategy::Random,
            Schedule::Pos => Strategy::Pos,
            Schedule::Pct { depth, length } => Strategy::Pct(Pct {
                seed: h(seed, 0x9c7),
                threshold: (u64::MAX / length.max(1)).saturating_mul(depth.saturating_sub(1).into()),
                changes: 0,
                fair_after: length.saturating_mul(64),
                wakes: 0,
            }),
        }
    }

    /// Whether wakes are decisions under this schedule.
    #[inline]
    pub(super) fn ranks(&self) -> bool {
        matches!(self, Strategy::Pos | Strategy::Pct(_))
    }

    /// The value of a wake: the priority from here on, as [`priority`] reads it.
    #[inline]
    pub(super) fn wake(&mut self, woken: &Woken, draw: u64) -> u64 {
        match self {
            Strategy::Fifo | Strategy::Random => 0,
            Strategy::Pos => fresh(draw),
            Strategy::Pct(pct) => pct.wake(woken, draw),
        }
    }
}

/// A priority anywhere between sooner and later than normal.
fn fresh(draw: u64) -> u64 {
    (draw >> 1) | 2
}

impl Pct {
    fn wake(&mut self, woken: &Woken, draw: u64) -> u64 {
        self.wakes += 1;
        // A task that spins for another must come to its end: after a long prefix the order is fair.
        if self.wakes > self.fair_after {
            return fresh(draw);
        }
        if woken.polls > 0 && h(self.seed ^ woken.task, woken.polls.into()) < self.threshold {
            self.changes += 1;
            return 2 * ((1 << 61) + self.changes) + 1;
        }
        // Sooner or later than normal: a task that was woken alone at first is still at 0, amid the others.
        match woken.priority {
            0 => (draw >> 3) | 2,
            _ => 0,
        }
    }
}

/// The priority that the value of a wake stands for; `None` keeps the one it has.
#[inline]
pub(super) fn priority(value: u64) -> Option<i64> {
    let rank = (value >> 1).min(i64::MAX as u64 >> 1) as i64;
    match value {
        0 => None,
        1 => Some(0),
        _ if value & 1 == 0 => Some(rank),
        _ => Some(-rank),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_documented() {
        let read = [0, 1, 2, 3, 4, 5].map(priority);
        assert_eq!(read, [None, Some(0), Some(1), Some(-1), Some(2), Some(-2)]);
        assert_eq!(priority(u64::MAX), Some(-(i64::MAX >> 1)));
    }

    #[test]
    fn the_portfolio_has_its_shares() {
        let mut counts = [0; 4];
        for seed in 0..10_000 {
            let kind = match Schedule::Portfolio.of_seed(seed) {
                Schedule::Fifo => 0,
                Schedule::Random => 1,
                Schedule::Pos => 2,
                Schedule::Pct { depth: 2..=4, length: 64..=0x10_0000 } => 3,
                other => panic!("{other}"),
            };
            counts[kind] += 1;
        }
        for (count, share) in counts.into_iter().zip([1000i32, 1000, 3000, 5000]) {
            assert!((count - share).abs() < 200, "{counts:?}");
        }
    }

    #[test]
    fn names_are_parsed_and_bad_ones_are_named() {
        for name in ["portfolio", "fifo", "random", "pos", "pct(2,64)"] {
            assert_eq!(name.parse::<Schedule>().unwrap().to_string(), name);
        }
        for bad in ["", "lifo", "pct(", "pct(0,1)", "pct(1,0)", "pct(2)"] {
            let error = bad.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn a_change_point_goes_behind_every_base_and_every_earlier_one() {
        let always = Pct { seed: 1, threshold: u64::MAX, changes: 0, fair_after: 9, wakes: 0 };
        let mut pct = Strategy::Pct(always);
        let base = priority(pct.wake(&Woken { task: 1, polls: 0, priority: 0 }, 77)).unwrap();
        let woken = Woken { task: 1, polls: 1, priority: base };
        let first = priority(pct.wake(&woken, 77)).unwrap();
        let second = priority(pct.wake(&woken, 77)).unwrap();
        assert!(first < -(1 << 60) && base >= -(1 << 60) && second < first);
    }
}
