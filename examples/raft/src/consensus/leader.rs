//! What a leader does: it sends its log, commits what a majority has, and finds out whether it still leads.

use super::{Body, Entry, Index, Mismatch, NotLeader, Position, Raft, ReadId, Role, ServerId};
use crate::Bug;
use crate::kv::Command;
use std::collections::BTreeMap;
use std::time::Duration;

/// What only a leader knows.
#[derive(Debug)]
pub(super) struct Leading {
    peers: BTreeMap<ServerId, Progress>,
    /// The entry with which its term begins.
    first: Index,
    /// Heartbeats are numbered in rounds, so that an answer says what it is an answer to (thesis, §6.4).
    round: u64,
    /// Reads, and the round whose answers let them be answered.
    reads: Vec<Read>,
    /// A round must begin for reads that came after the last.
    wants_round: bool,
    /// When gathered entries are sent.
    pub(super) flush_due: Option<Duration>,
}

#[derive(Debug)]
struct Read {
    id: ReadId,
    index: Index,
    round: u64,
}

/// How far another server is.
#[derive(Debug)]
struct Progress {
    /// Up to where its log is known to be the leader's.
    matched: Index,
    /// What it is sent next.
    next: Index,
    /// Where the logs part is not known yet: one message at a time.
    probing: bool,
    /// A message that must be answered before the next is under way.
    waiting: bool,
    /// It has not acknowledged anything since the last heartbeat, although there was something to acknowledge.
    stuck: bool,
    /// The latest round that it has answered.
    round: u64,
    /// When it last answered.
    heard: Duration,
    /// The snapshot that it is being sent, and how much of it has arrived.
    sending: Option<(Position, u64)>,
}

impl Raft {
    fn leading(&mut self) -> Option<&mut Leading> {
        match &mut self.role {
            Role::Leader(leading) => Some(leading),
            _ => None,
        }
    }

    /// Leads from now on. The first heartbeats are empty, so that others learn of it at once.
    pub(super) fn lead(&mut self, now: Duration) {
        let next = self.log.last_index() + 1;
        let progress = |_| Progress {
            matched: 0,
            next,
            probing: true,
            waiting: false,
            stuck: false,
            round: 0,
            heard: now,
            sending: None,
        };
        let peers = self.peers().map(|peer| (peer, progress(peer))).collect();
        let leading =
            Leading { peers, first: next, round: 0, reads: Vec::new(), wants_round: false, flush_due: None };
        self.role = Role::Leader(leading);
        self.heartbeat(now);
        self.add(now, None);
    }

    /// Adds an entry of its own term to its log.
    pub(super) fn add(&mut self, now: Duration, command: Option<Command>) -> Index {
        self.log.push(Entry { term: self.hard.term, command });
        let index = self.log.last_index();
        self.changed(index);
        let due = now + self.config.batch_delay;
        if let Some(leading) = self.leading() {
            leading.flush_due.get_or_insert(due);
        }
        index
    }

    pub(super) fn tick_leader(&mut self, now: Duration) {
        if now >= self.heartbeat_due {
            if !self.is_heard(now) {
                return self.follow(now, self.hard.term, None);
            }
            self.heartbeat(now);
        }
        let due = self.leading().is_some_and(|leading| leading.flush_due.is_some_and(|due| now >= due));
        if due {
            self.flush();
        }
    }

    /// Whether a majority has answered not long ago. A leader that nobody answers makes room (thesis, §6.2).
    fn is_heard(&mut self, now: Duration) -> bool {
        let (majority, patience) = (self.majority(), self.config.election.end);
        let Some(leading) = self.leading() else { return false };
        let heard = leading.peers.values().filter(|peer| now < peer.heard + patience).count();
        heard + 1 >= majority
    }

    /// A round of heartbeats. What was sent before the last and is not acknowledged may be lost, and is sent again.
    fn heartbeat(&mut self, now: Duration) {
        self.heartbeat_due = now + self.config.heartbeat;
        let Some(leading) = self.leading() else { return };
        leading.round += 1;
        leading.wants_round = false;
        for peer in leading.peers.values_mut() {
            let behind = !peer.probing && peer.next > peer.matched + 1;
            if behind && std::mem::replace(&mut peer.stuck, true) {
                peer.next = peer.matched + 1;
            }
            peer.waiting = false;
        }
        let peers: Vec<ServerId> = leading.peers.keys().copied().collect();
        for peer in peers {
            self.send_next(peer);
        }
    }

    /// Sends every server what it does not have.
    fn flush(&mut self) {
        let Some(leading) = self.leading() else { return };
        leading.flush_due = None;
        let peers: Vec<ServerId> = leading.peers.keys().copied().collect();
        for peer in peers {
            self.send_rest(peer);
        }
    }

    /// Sends a server what it does not have, as far as that may be sent at once.
    fn send_rest(&mut self, to: ServerId) {
        let last = self.log.last_index();
        loop {
            let Some(peer) = self.leading().and_then(|leading| leading.peers.get(&to)) else { return };
            if peer.waiting || peer.next > last {
                return;
            }
            self.send_next(to);
        }
    }

    /// Sends a server the next of what it does not have; nothing but a heartbeat if there is nothing.
    fn send_next(&mut self, to: ServerId) {
        let (base, batch) = (self.log.base().index, self.config.batch);
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(peer) = leading.peers.get_mut(&to) else { return };
        if peer.next <= base {
            return self.send_chunk(to);
        }
        peer.sending = None;
        let before = peer.next - 1;
        let prev = Position { term: self.log.term(before).unwrap_or_default(), index: before };
        let entries = self.log.from(peer.next, batch).to_vec();
        if peer.probing {
            peer.waiting = true;
        } else {
            peer.next += entries.len() as u64;
        }
        let (commit, round) = (self.commit, leading.round);
        self.send(to, Body::Append { prev, entries, commit, round });
    }

    /// Sends a server the next chunk of the snapshot, since the log does not have what it needs.
    fn send_chunk(&mut self, to: ServerId) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(peer) = leading.peers.get_mut(&to) else { return };
        let last = self.snapshot.last;
        // A newer snapshot takes the place of one that is under way.
        let offset = match peer.sending {
            Some((of, offset)) if of == last => offset,
            _ => 0,
        };
        peer.sending = Some((last, offset));
        peer.waiting = true;
        let data = &self.snapshot.data;
        let start = (offset as usize).min(data.len());
        let end = (start + self.config.chunk).min(data.len());
        let (chunk, done, round) = (data[start..end].to_vec(), end == data.len(), leading.round);
        self.send(to, Body::Snapshot { last, offset, chunk, done, round });
    }

    pub(super) fn appended(
        &mut self,
        now: Duration,
        from: ServerId,
        result: Result<Index, Mismatch>,
        round: u64,
    ) {
        let Some(peer) = self.answered(now, from, round) else { return };
        match result {
            Ok(index) => {
                peer.stuck &= index <= peer.matched;
                peer.matched = peer.matched.max(index);
                peer.next = peer.next.max(peer.matched + 1);
                peer.probing = false;
                peer.waiting = false;
                self.advance_commit();
            }
            // An answer to what was sent before it was known where the logs agree.
            Err(Mismatch { prev, .. }) if prev <= peer.matched || prev >= peer.next => return,
            Err(Mismatch { prev, hint }) => {
                peer.next = prev.min(hint + 1).max(peer.matched + 1);
                peer.probing = true;
                peer.waiting = false;
            }
        }
        if self.leading().is_some_and(|leading| leading.flush_due.is_none()) {
            self.send_rest(from);
        }
    }

    pub(super) fn snapshot_reply(
        &mut self,
        now: Duration,
        from: ServerId,
        last: Position,
        received: u64,
        round: u64,
    ) {
        let Some(peer) = self.answered(now, from, round) else { return };
        if let Some((of, offset)) = &mut peer.sending
            && *of == last
            && *offset != received
        {
            *offset = received;
            self.send_chunk(from);
        }
    }

    /// A server has answered a round.
    fn answered(&mut self, now: Duration, from: ServerId, round: u64) -> Option<&mut Progress> {
        let peer = self.leading()?.peers.get_mut(&from)?;
        peer.heard = now;
        peer.round = peer.round.max(round);
        Some(peer)
    }

    /// Commits what a majority has. Only entries of its own term are counted, those before them come with them: an
    /// entry of an earlier term that a majority has can still be replaced (paper, §5.4.2 and figure 8).
    pub(super) fn advance_commit(&mut self) {
        let Role::Leader(leading) = &self.role else { return };
        let mut matched: Vec<Index> = leading.peers.values().map(|peer| peer.matched).collect();
        matched.push(self.durable);
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let index = matched[self.majority() - 1];
        let own = self.log.term(index) == Some(self.hard.term);
        if index > self.commit && (own || self.has_bug(Bug::CommitOldTerm)) {
            self.commit = index;
        }
    }

    /// Asks to read from the state machine, without an entry of the log: the read may be answered once the leader knows
    /// that it still led when the read came, and has applied what was committed then (thesis, §6.4).
    ///
    /// # Errors
    /// [`NotLeader`]. A read that is never in [`Ready::reads`](super::Ready::reads) was lost with the leadership.
    pub fn read(&mut self, id: ReadId) -> Result<(), NotLeader> {
        let (commit, hint) = (self.commit, self.leader());
        let Some(leading) = self.leading() else { return Err(NotLeader(hint)) };
        // What earlier leaders have committed is known once the term's first entry is.
        let index = commit.max(leading.first);
        let round = leading.round + 1;
        leading.reads.push(Read { id, index, round });
        leading.wants_round = true;
        Ok(())
    }

    /// Begins the round that reads wait for, and hands out those whose round a majority has answered.
    pub(super) fn confirm_reads(&mut self) {
        let majority = self.majority();
        let Role::Leader(leading) = &mut self.role else { return };
        let mut rounds: Vec<u64> = leading.peers.values().map(|peer| peer.round).collect();
        rounds.push(leading.round);
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        let answered = rounds[majority - 1];
        leading.reads.retain(|read| {
            let confirmed = read.round <= answered && read.index <= self.commit;
            if confirmed {
                self.reads.push(read.id);
            }
            !confirmed
        });
    }

    /// Sends what cannot wait for the next tick: the round of heartbeats that reads wait for.
    pub(super) fn begin_round(&mut self) {
        let Some(leading) = self.leading() else { return };
        if !std::mem::take(&mut leading.wants_round) {
            return;
        }
        leading.round += 1;
        let peers: Vec<ServerId> = leading.peers.keys().copied().collect();
        for peer in peers {
            self.send_next(peer);
        }
    }
}
