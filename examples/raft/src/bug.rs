//! The planted bugs: six small, honest mistakes, each behind a flag and off by default.

use crate::invariants;
use command::Planted;
use std::fmt;

/// A mistake that a server can be told to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A server keeps its term on its disk, but not its vote.
    VoteTwice,
    /// A leader commits entries of earlier terms by counting where they are.
    CommitOldTerm,
    /// A follower acknowledges entries before they are on its disk.
    AckUnsynced,
    /// A leader answers reads without asking whether it still leads.
    StaleLeaderRead,
    /// A follower cuts its log at every append, also where it agrees.
    LogTruncate,
    /// A follower keeps what it has after a snapshot, whether it belongs there or not.
    SnapshotGap,
}

impl Planted for Bug {
    const ALL: &'static [Bug] = &[
        Bug::VoteTwice,
        Bug::CommitOldTerm,
        Bug::AckUnsynced,
        Bug::StaleLeaderRead,
        Bug::LogTruncate,
        Bug::SnapshotGap,
    ];

    fn name(self) -> &'static str {
        match self {
            Bug::VoteTwice => "vote-twice",
            Bug::CommitOldTerm => "commit-old-term",
            Bug::AckUnsynced => "ack-unsynced",
            Bug::StaleLeaderRead => "stale-leader-read",
            Bug::LogTruncate => "log-truncate",
            Bug::SnapshotGap => "snapshot-gap",
        }
    }

    fn signature(self) -> String {
        let invariant = match self {
            Bug::VoteTwice => invariants::VOTES_ONCE,
            Bug::CommitOldTerm => invariants::NOT_ELECTABLE,
            Bug::AckUnsynced => invariants::ACKNOWLEDGED,
            Bug::StaleLeaderRead => invariants::LINEARIZABLE,
            Bug::LogTruncate => invariants::GIVES_WAY,
            Bug::SnapshotGap => invariants::LOGS_MATCH,
        };
        format!("invariant {invariant}")
    }

    fn needs(self) -> Option<&'static str> {
        // Several families lead to each: a vote is forgotten after a kill as after a power cut, and what is not on the disk
        // yet is lost with the power as with a write that fails.
        None
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
