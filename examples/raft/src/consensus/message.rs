//! What servers say to each other, and what they keep: the RPCs of Raft as messages that may be lost, come late, come
//! twice or overtake each other.

use crate::kv::Command;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// A server of the cluster, by its place in the list of them.
pub type ServerId = u8;
/// A term: time as Raft counts it (paper, §5.1). 0 is before the first election.
pub type Term = u64;
/// A place in the log; the first entry has 1.
pub type Index = u64;

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: Term,
    /// What it does; `None` for the entry with which a leader begins its term (thesis, §6.4).
    pub command: Option<Command>,
}

/// Where a log ends. The order is that of "up-to-date" (paper, §5.4.1): the later term, then the longer log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// The term of the entry.
    pub term: Term,
    /// Its index.
    pub index: Index,
}

/// What a server must not forget, besides its log (paper, figure 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term that it has seen.
    pub term: Term,
    /// Whom it has voted for in that term.
    pub voted_for: Option<ServerId>,
}

/// The state of the state machine after an entry, in place of the log up to it (paper, §7).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The last entry that it covers.
    pub last: Position,
    /// The state.
    pub data: Rc<[u8]>,
}

/// A message from one server to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The term of the sender; of a pre-vote the term that it would begin.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Body {
    /// Would you vote for me? (thesis, §9.6)
    PreVote {
        /// Where the sender's log ends.
        last: Position,
    },
    /// The answer to it. Granted, the term of the message is the one asked about.
    PreVoteReply {
        /// Whether it would.
        granted: bool,
    },
    /// RequestVote.
    Vote {
        /// Where the candidate's log ends.
        last: Position,
    },
    /// The answer to it.
    VoteReply {
        /// Whether the candidate has the vote.
        granted: bool,
    },
    /// AppendEntries; a heartbeat when it has none.
    Append {
        /// The entry before the first of these.
        prev: Position,
        /// What follows it.
        entries: Vec<Entry>,
        /// How far the leader has committed.
        commit: Index,
        /// The leader's latest round of heartbeats.
        round: u64,
    },
    /// The answer to [`Body::Append`], and to the last chunk of a snapshot.
    Appended {
        /// Up to where the log is known to be the leader's, or why not.
        result: Result<Index, Mismatch>,
        /// The round that is answered.
        round: u64,
    },
    /// InstallSnapshot: one chunk of it.
    Snapshot {
        /// The last entry that the snapshot covers.
        last: Position,
        /// Where the chunk begins, bytes.
        offset: u64,
        /// The chunk.
        chunk: Vec<u8>,
        /// Whether it is the last one.
        done: bool,
        /// The leader's latest round of heartbeats.
        round: u64,
    },
    /// The answer to a chunk that was not the last one.
    SnapshotReply {
        /// Which snapshot it is.
        last: Position,
        /// How much of it has come, bytes.
        received: u64,
        /// The round that is answered.
        round: u64,
    },
}

/// The entry before those of an append is not in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mismatch {
    /// The index of the entry that was to be there.
    pub prev: Index,
    /// The last index at which the logs may agree: a whole term is passed over at once (paper, end of §5.3).
    pub hint: Index,
}
