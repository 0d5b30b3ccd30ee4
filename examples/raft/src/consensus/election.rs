//! Who leads: pre-votes, votes and terms (paper, §5.2 and §5.4.1; thesis, §9.6).

use super::{Body, HardState, Message, Position, Raft, Role, ServerId, Term};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

impl Raft {
    /// Follows from now on, in this term or a later one.
    pub(super) fn follow(&mut self, now: Duration, term: Term, leader: Option<ServerId>) {
        if term > self.hard.term {
            // What the leader of a term that is over was to be told of the log may not be true of it any more.
            self.messages.retain(|(_, message)| {
                !matches!(message.body, Body::Appended { .. } | Body::SnapshotReply { .. })
            });
            self.set_hard(HardState { term, voted_for: None });
        }
        let was_follower = matches!(self.role, Role::Follower { .. });
        self.role = Role::Follower { leader };
        // Who has just come to a new term waits as long as before: only leaders and votes make it wait longer, else a
        // server that cannot win would keep others from trying.
        if !was_follower {
            self.await_leader(now);
        }
    }

    /// Draws how long it waits for a leader. Servers that waited equally long would split the votes again and again.
    pub(super) fn draw_patience(&mut self) {
        let Range { start, end } = self.config.election;
        let more = (self.random)((end.saturating_sub(start).as_nanos() as u64).max(1));
        self.patience = start + Duration::from_nanos(more);
    }

    /// Waits for a leader from now on.
    pub(super) fn await_leader(&mut self, now: Duration) {
        self.election_due = now + self.patience;
    }

    fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
        self.hard_changed = true;
    }

    /// Wants to lead.
    pub(super) fn campaign(&mut self, now: Duration) {
        self.heard = None;
        self.draw_patience();
        if self.config.pre_vote { self.ask_for_pre_votes(now) } else { self.ask_for_votes(now) }
    }

    /// Asks whether it could win before it disturbs anybody by a new term.
    fn ask_for_pre_votes(&mut self, now: Duration) {
        self.role = Role::PreCandidate { granted: BTreeSet::from([self.id]) };
        self.await_leader(now);
        self.ask_again(now);
        self.count_pre_votes(now);
    }

    /// Begins a term and wants to lead it.
    fn ask_for_votes(&mut self, now: Duration) {
        self.set_hard(HardState { term: self.hard.term + 1, voted_for: Some(self.id) });
        self.role = Role::Candidate { granted: BTreeSet::from([self.id]) };
        self.await_leader(now);
        self.ask_again(now);
        self.count_votes(now);
    }

    /// Asks those who have not agreed: messages get lost.
    pub(super) fn ask_again(&mut self, now: Duration) {
        self.heartbeat_due = now + self.config.heartbeat;
        let last = self.log.last();
        let (term, body, granted) = match &self.role {
            Role::PreCandidate { granted } => (self.hard.term + 1, Body::PreVote { last }, granted),
            Role::Candidate { granted } => (self.hard.term, Body::Vote { last }, granted),
            Role::Follower { .. } | Role::Leader(_) => return,
        };
        let others: Vec<ServerId> = self.peers().filter(|peer| !granted.contains(peer)).collect();
        self.messages.extend(others.into_iter().map(|peer| (peer, Message { term, body: body.clone() })));
    }

    /// Whether this server would vote, which changes nothing for it. One that hears from a leader would not.
    pub(super) fn pre_vote(&mut self, now: Duration, from: ServerId, term: Term, last: Position) {
        let has_leader =
            self.is_leader() || self.heard.is_some_and(|at| now < at + self.config.election.start);
        let granted = term > self.hard.term && !has_leader && last >= self.log.last();
        let term = if granted { term } else { self.hard.term };
        self.messages.push((from, Message { term, body: Body::PreVoteReply { granted } }));
    }

    pub(super) fn pre_vote_reply(&mut self, now: Duration, from: ServerId, term: Term, granted: bool) {
        let asked_about = self.hard.term + 1;
        if let Role::PreCandidate { granted: votes } = &mut self.role
            && granted
            && term == asked_about
        {
            votes.insert(from);
            self.count_pre_votes(now);
        }
    }

    fn count_pre_votes(&mut self, now: Duration) {
        let majority = self.majority();
        if matches!(&self.role, Role::PreCandidate { granted } if granted.len() >= majority) {
            self.ask_for_votes(now);
        }
    }

    pub(super) fn vote(&mut self, now: Duration, from: ServerId, term: Term, last: Position) {
        let free = self.hard.voted_for.is_none_or(|candidate| candidate == from);
        let granted = term == self.hard.term && free && last >= self.log.last();
        if granted {
            if self.hard.voted_for.is_none() {
                self.set_hard(HardState { term, voted_for: Some(from) });
            }
            self.await_leader(now);
        }
        self.send(from, Body::VoteReply { granted });
    }

    pub(super) fn vote_reply(&mut self, now: Duration, from: ServerId, term: Term, granted: bool) {
        if let Role::Candidate { granted: votes } = &mut self.role
            && granted
            && term == self.hard.term
        {
            votes.insert(from);
            self.count_votes(now);
        }
    }

    fn count_votes(&mut self, now: Duration) {
        let majority = self.majority();
        if matches!(&self.role, Role::Candidate { granted } if granted.len() >= majority) {
            self.lead(now);
        }
    }
}
