//! The planted bugs: small, honest mistakes, each behind a flag and off by default.

use crate::chaos::GATEWAY;
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
    /// The fourth failed probe in a row leaves the circuit breaker half open, where it lets nobody else try.
    StuckBreaker,
    /// The log acknowledges what it has written and not synced.
    AckBeforeSync,
    /// The log syncs a new segment, and not the directory that has its name.
    NoDirSync,
    /// Recovery takes a record for whole whose header is there, whatever follows and whatever its checksum says.
    TornTail,
    /// The log tries a failed sync again, and believes the one that succeeds.
    RetryFsync,
    /// An order worker leads for as long as the clock on its wall says.
    SkewedLease,
    /// Who has been called for its turn and finds it taken does not get in line again.
    LostWakeup,
    /// A request that comes again has the order worked on once more.
    SplitSaga,
    /// Queries are answered from what was so a moment ago.
    StaleRead,
}

impl Planted for Bug {
    const ALL: &'static [Bug] = &[
        Bug::DoubleCharge,
        Bug::NoCompensation,
        Bug::Oversell,
        Bug::StuckBreaker,
        Bug::AckBeforeSync,
        Bug::NoDirSync,
        Bug::TornTail,
        Bug::RetryFsync,
        Bug::SkewedLease,
        Bug::LostWakeup,
        Bug::SplitSaga,
        Bug::StaleRead,
    ];

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
            Bug::SkewedLease => "skewed-lease",
            Bug::LostWakeup => "lost-wakeup",
            Bug::SplitSaga => "split-saga",
            Bug::StaleRead => "stale-read",
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
            Bug::SkewedLease => invariants::ONE_LEADER,
            Bug::LostWakeup => invariants::COMES_TO_AN_END,
            Bug::SplitSaga => invariants::ONE_SAGA,
            Bug::StaleRead => invariants::READ_YOUR_WRITES,
        };
        match self {
            Bug::StuckBreaker => format!("liveness {invariant}"),
            _ => format!("invariant {invariant}"),
        }
    }

    fn needs(self) -> Option<&'static str> {
        match self {
            Bug::DoubleCharge => Some(GATEWAY),
            Bug::SkewedLease => Some("clock"),
            // What was not synced is lost with the power, and with a sync that fails.
            Bug::AckBeforeSync => Some("power-cut,fsync-error"),
            Bug::NoDirSync => Some("power-cut"),
            // So is what the disk had no room for.
            Bug::TornTail => Some("disk-full,power-cut"),
            Bug::RetryFsync => Some("fsync-error"),
            // Whatever keeps the services from each other for long enough shows them.
            Bug::NoCompensation | Bug::StuckBreaker | Bug::SplitSaga => None,
            Bug::Oversell | Bug::LostWakeup | Bug::StaleRead => None,
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
