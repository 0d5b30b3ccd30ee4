//! The planted bugs: small, honest mistakes, each behind a flag and off by default.

/// A mistake that a server can be told to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The vote is not on the disk when it is given.
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
