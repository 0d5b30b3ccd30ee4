//! The planted bugs: four small, honest mistakes, each behind a flag and off by default.

use crate::chaos::Family;
use crate::invariants;
use std::fmt;
use std::str::FromStr;

/// A mistake that a run can be told to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Payment forgets the idempotency key when a retry overtakes the first attempt.
    DoubleCharge,
    /// When nobody answers a reservation, the saga takes it for not made.
    NoCompensation,
    /// The catalog looks at the stock, waits for the price, and takes what may be gone by then.
    Oversell,
    /// A failed probe leaves the circuit breaker half open, where it lets nobody else try.
    StuckBreaker,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 4] = [Bug::DoubleCharge, Bug::NoCompensation, Bug::Oversell, Bug::StuckBreaker];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::DoubleCharge => "double-charge",
            Bug::NoCompensation => "no-compensation",
            Bug::Oversell => "oversell",
            Bug::StuckBreaker => "stuck-breaker",
        }
    }

    /// The signature of the runs that fail because of it.
    pub fn signature(self) -> String {
        let invariant = match self {
            Bug::DoubleCharge => invariants::CHARGED_ONCE,
            Bug::NoCompensation => invariants::PAID_OR_COMPENSATED,
            Bug::Oversell => invariants::STOCK_NEVER_NEGATIVE,
            Bug::StuckBreaker => invariants::GOES_THROUGH_AFTER_HEALING,
        };
        format!("invariant {invariant}")
    }

    /// The faults without which it never shows, if there are such.
    pub fn needs(self) -> Option<Family> {
        match self {
            Bug::DoubleCharge => Some(Family::Gateway),
            Bug::NoCompensation | Bug::StuckBreaker => Some(Family::Partition),
            Bug::Oversell => None,
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Bug {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Bug, Unknown> {
        let known = Bug::ALL.into_iter().find(|bug| bug.name() == name);
        known.ok_or_else(|| Unknown::new("bug", name, Bug::ALL.map(Bug::name)))
    }
}

/// A name that means nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown(String);

impl Unknown {
    /// Says what was given and what is allowed.
    pub(crate) fn new<const N: usize>(what: &str, name: &str, allowed: [&str; N]) -> Unknown {
        Unknown(format!("there is no {what} {name:?}; allowed are {}", allowed.join(", ")))
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unknown {}
