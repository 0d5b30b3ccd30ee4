//! Raft as a pure state machine: messages and the time go in, what is to be persisted, sent and applied comes out.
//!
//! It follows Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm* (2014, "paper") and Ongaro's
//! thesis *Consensus: Bridging Theory and Practice* (2014, "thesis"): elections with pre-vote (thesis, §9.6), leaders that
//! step down when no majority answers (§6.2), replication with batches, snapshots in chunks (paper, §7) and reads
//! without the log (thesis, §6.4). Who the servers are is fixed.
//!
//! # Contract
//!
//! After any of [`Raft::receive`], [`Raft::tick`], [`Raft::propose`] and [`Raft::read`], possibly several of them, the
//! caller takes [`Raft::ready`] and does what it says in the order of its fields: it saves the hard state, the snapshot
//! and the entries, and when they are durable calls [`Raft::persisted`], sends the messages, applies and answers. It does
//! so until there is nothing more, and calls [`Raft::tick`] at [`Raft::deadline`] at the latest. `now` is any clock that
//! does not go back.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`message`] | what servers say to each other, and what they keep |
//! | [`log`] | the log in memory |
//! | `election` | pre-vote, votes, terms |
//! | `leader` | what a leader sends, what it commits, reads |
//! | `follower` | what a follower takes into its log |

mod election;
mod follower;
mod leader;
pub mod log;
pub mod message;
#[cfg(test)]
mod tests;

pub use log::Log;
pub use message::{Body, Entry, HardState, Index, Message, Mismatch, Position, ServerId, Snapshot, Term};

use crate::Bug;
use crate::kv::Command;
use leader::Leading;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// How a server is to behave; the same for all of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How many servers there are; they are called 0, 1, 2 and so on.
    pub servers: u8,
    /// How long a follower hears nothing from a leader before it wants to lead itself: drawn anew each time, so that
    /// servers seldom do so together (paper, §5.2).
    pub election: Range<Duration>,
    /// Whether a server asks others before it begins a term (thesis, §9.6).
    pub pre_vote: bool,
    /// How often a leader lets itself be heard, and a candidate asks again.
    pub heartbeat: Duration,
    /// How long a leader gathers entries before it sends them.
    pub batch_delay: Duration,
    /// How many entries a message has at most.
    pub batch: usize,
    /// How many bytes of a snapshot a message has at most.
    pub chunk: usize,
    /// A mistake to make.
    pub bug: Option<Bug>,
}

/// What a server is at present.
#[derive(Debug)]
enum Role {
    Follower { leader: Option<ServerId> },
    PreCandidate { granted: BTreeSet<ServerId> },
    Candidate { granted: BTreeSet<ServerId> },
    Leader(Leading),
}

/// A read that is asked for, by the number that the caller gave it.
pub type ReadId = u64;

/// What is to be done, in the order of the fields.
#[derive(Debug, Default)]
pub struct Ready {
    /// To be saved.
    pub hard_state: Option<HardState>,
    /// To be saved, and to become the state of the state machine. The log on the disk is then `append`, whole.
    pub install: Option<Snapshot>,
    /// To be saved: what the log has from this index on, and nothing after it.
    pub append: Option<(Index, Vec<Entry>)>,
    /// To be sent when all of this is durable.
    pub messages: Vec<(ServerId, Message)>,
    /// To be applied: the index of the first of them, and the entries.
    pub committed: Option<(Index, Vec<Entry>)>,
    /// Reads that may be answered when that has been applied.
    pub reads: Vec<ReadId>,
}

/// This server does not lead; who does, as far as it knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotLeader(pub Option<ServerId>);

/// One server. See the [module](self) for how to drive it.
pub struct Raft {
    id: ServerId,
    config: Config,
    random: Box<dyn FnMut(u64) -> u64>,
    hard: HardState,
    log: Log,
    /// What the log's base stands for.
    snapshot: Snapshot,
    role: Role,
    /// Up to where entries are known to be committed.
    commit: Index,
    /// Up to where entries have been handed out to be applied.
    handed_out: Index,
    /// Up to where the log is on the disk.
    durable: Index,
    /// A snapshot of which not all has come.
    incoming: Option<(Position, Vec<u8>)>,
    /// When a leader was last heard from.
    heard: Option<Duration>,
    /// How long this server waits for a leader, drawn for each election.
    patience: Duration,
    /// When it has waited for so long.
    election_due: Duration,
    /// When a leader sends heartbeats, or a candidate asks again.
    heartbeat_due: Duration,
    // What the next `Ready` has.
    hard_changed: bool,
    install: bool,
    /// From where on the log in memory is not the one on the disk.
    changed_from: Option<Index>,
    messages: Vec<(ServerId, Message)>,
    reads: Vec<ReadId>,
}

impl std::fmt::Debug for Raft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut s = f.debug_struct("Raft");
        s.field("id", &self.id).field("hard", &self.hard).field("role", &self.role);
        s.field("last", &self.log.last()).field("commit", &self.commit).finish_non_exhaustive()
    }
}

impl Raft {
    /// Server `id`, with what it has on its disk; `random(n)` gives a number below `n`.
    pub fn new(
        id: ServerId,
        config: Config,
        (hard, snapshot, entries): (HardState, Snapshot, Vec<Entry>),
        now: Duration,
        random: impl FnMut(u64) -> u64 + 'static,
    ) -> Self {
        let log = Log::new(snapshot.last, entries);
        let (commit, durable) = (snapshot.last.index, log.last_index());
        let mut raft = Raft {
            id,
            config,
            random: Box::new(random),
            hard,
            log,
            snapshot,
            role: Role::Follower { leader: None },
            commit,
            handed_out: commit,
            durable,
            incoming: None,
            heard: None,
            patience: Duration::ZERO,
            election_due: now,
            heartbeat_due: Duration::MAX,
            hard_changed: false,
            install: false,
            changed_from: None,
            messages: Vec::new(),
            reads: Vec::new(),
        };
        raft.draw_patience();
        raft.await_leader(now);
        raft
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// Whether it leads, as far as it knows.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Who leads, as far as it knows.
    pub fn leader(&self) -> Option<ServerId> {
        match &self.role {
            Role::Leader(_) => Some(self.id),
            Role::Follower { leader } => *leader,
            Role::PreCandidate { .. } | Role::Candidate { .. } => None,
        }
    }

    /// Up to where entries are known to be committed.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// The log in memory.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What the log's base stands for.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// When [`Raft::tick`] must be called at the latest.
    pub fn deadline(&self) -> Duration {
        match &self.role {
            Role::Follower { .. } => self.election_due,
            Role::PreCandidate { .. } | Role::Candidate { .. } => self.election_due.min(self.heartbeat_due),
            Role::Leader(leading) => self.heartbeat_due.min(leading.flush_due.unwrap_or(Duration::MAX)),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) {
        match &self.role {
            Role::Leader(_) => self.tick_leader(now),
            _ if now >= self.election_due => self.campaign(now),
            Role::PreCandidate { .. } | Role::Candidate { .. } if now >= self.heartbeat_due => {
                self.ask_again(now)
            }
            _ => {}
        }
    }

    /// A message has come.
    pub fn receive(&mut self, now: Duration, from: ServerId, message: Message) {
        let Message { term, body } = message;
        // A pre-vote asks about a term that nobody is in yet, and so does the answer that grants it.
        let hypothetical = matches!(body, Body::PreVote { .. } | Body::PreVoteReply { granted: true });
        if term > self.hard.term && !hypothetical {
            self.follow(now, term, None);
        }
        match body {
            Body::PreVote { last } => self.pre_vote(now, from, term, last),
            Body::Vote { last } => self.vote(now, from, term, last),
            Body::PreVoteReply { granted } => self.pre_vote_reply(now, from, term, granted),
            Body::VoteReply { granted } => self.vote_reply(now, from, term, granted),
            Body::Append { prev, entries, commit, round } => {
                if self.hears_leader(now, from, term, round) {
                    self.append(from, prev, entries, commit, round);
                }
            }
            Body::Snapshot { last, offset, chunk, done, round } => {
                if self.hears_leader(now, from, term, round) {
                    self.snapshot_chunk(from, last, offset, &chunk, done, round);
                }
            }
            Body::Appended { result, round } if term == self.hard.term => {
                self.appended(now, from, result, round);
            }
            Body::SnapshotReply { last, received, round } if term == self.hard.term => {
                self.snapshot_reply(now, from, last, received, round);
            }
            // Of a term that is over.
            Body::Appended { .. } | Body::SnapshotReply { .. } => {}
        }
    }

    /// Adds a command to the log.
    ///
    /// # Errors
    /// [`NotLeader`]. Whether the command is ever committed is told by what is applied at the index that it got.
    pub fn propose(&mut self, now: Duration, command: Command) -> Result<Index, NotLeader> {
        if !self.is_leader() {
            return Err(NotLeader(self.leader()));
        }
        Ok(self.add(now, Some(command)))
    }

    /// What is to be done now; `None` when there is nothing.
    pub fn ready(&mut self) -> Option<Ready> {
        self.begin_round();
        self.confirm_reads();
        let mut ready = Ready {
            hard_state: std::mem::take(&mut self.hard_changed).then_some(self.hard),
            install: std::mem::take(&mut self.install).then(|| self.snapshot.clone()),
            append: self.changed_from.take().map(|first| (first, self.log.from(first, usize::MAX).to_vec())),
            messages: std::mem::take(&mut self.messages),
            committed: None,
            reads: std::mem::take(&mut self.reads),
        };
        if ready.install.is_some() {
            let first = self.log.base().index + 1;
            ready.append = Some((first, self.log.from(first, usize::MAX).to_vec()));
            self.handed_out = self.handed_out.max(self.log.base().index);
        }
        let first = self.handed_out + 1;
        let count = self.commit.min(self.log.last_index()).saturating_sub(self.handed_out) as usize;
        if count > 0 {
            ready.committed = Some((first, self.log.from(first, count).to_vec()));
            self.handed_out += count as u64;
        }
        let idle = ready.hard_state.is_none() && ready.install.is_none() && ready.append.is_none();
        let idle = idle && ready.messages.is_empty() && ready.committed.is_none() && ready.reads.is_empty();
        (!idle).then_some(ready)
    }

    /// What the last [`Ready`] had to save is durable.
    pub fn persisted(&mut self) {
        self.durable = self.log.last_index();
        self.advance_commit();
    }

    /// The state after the entry at `index` is saved as a snapshot: the log up to there is not needed any more.
    ///
    /// What the log has after it is what remains on the disk.
    pub fn compact(&mut self, index: Index, data: std::rc::Rc<[u8]>) {
        let Some(term) = self.log.term(index) else { return };
        let last = Position { term, index };
        self.snapshot = Snapshot { last, data };
        self.log.compact(last);
    }

    fn has_bug(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }

    fn majority(&self) -> usize {
        usize::from(self.config.servers) / 2 + 1
    }

    fn peers(&self) -> impl Iterator<Item = ServerId> + use<> {
        let id = self.id;
        (0..self.config.servers).filter(move |peer| *peer != id)
    }

    fn send(&mut self, to: ServerId, body: Body) {
        let term = self.hard.term;
        self.messages.push((to, Message { term, body }));
    }
}
