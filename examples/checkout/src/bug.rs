//! The planted bugs: four small, honest mistakes, each behind a flag and off by default.

use crate::chaos::Family;
use crate::invariants;
use command::Planted;
use std::fmt;

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
    /// The log acknowledges what it has written and not synced.
    AckBeforeSync,
    /// The log syncs a new segment, and not the directory that has its name.
    NoDirSync,
    /// Recovery takes a record for whole that is there to its last byte, whatever its checksum says.
    TornTail,
    /// The log tries a failed sync again, and believes the second.
    RetryFsync,
}

impl Planted for Bug {
    const ALL: &'static [Bug] = &[Bug::DoubleCharge, Bug::NoCompensation, Bug::Oversell, Bug::StuckBreaker];

    fn name(self) -> &'static str {
        match self {
            Bug::DoubleCharge => "double-charge",
            Bug::NoCompensation => "no-compensation",
            Bug::Oversell => "oversell",
            Bug::StuckBreaker => "stuck-breaker",
            Bug::AckBeforeSync => "ack-before-sync",
            Bug::NoDirSync => "no-dir-sync",
            Bug::TornTail => "torn-tail",
            Bug::RetryFsync => "retry-fsync",
        }
    }

    fn signature(self) -> String {
        let invariant = match self {
            Bug::DoubleCharge => invariants::CHARGED_ONCE,
            Bug::NoCompensation => invariants::PAID_OR_COMPENSATED,
            Bug::Oversell => invariants::STOCK_NEVER_NEGATIVE,
            Bug::StuckBreaker => invariants::GOES_THROUGH_AFTER_HEALING,
            Bug::AckBeforeSync | Bug::NoDirSync | Bug::RetryFsync => invariants::NOTHING_LOST,
            Bug::TornTail => invariants::NOTHING_INVENTED,
        };
        format!("invariant {invariant}")
    }

    fn needs(self) -> Option<&'static str> {
        match self {
            Bug::DoubleCharge => Some(Family::Gateway.name()),
            Bug::NoCompensation | Bug::StuckBreaker => Some(Family::Partition.name()),
            // What a run cuts the power of has nothing on its disk yet.
            Bug::AckBeforeSync | Bug::NoDirSync | Bug::TornTail | Bug::RetryFsync => None,
            Bug::Oversell => None,
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
