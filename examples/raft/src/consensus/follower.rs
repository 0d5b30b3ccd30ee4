//! What a follower takes into its log: AppendEntries and InstallSnapshot (paper, figures 2 and 13).

use super::{Body, Entry, Index, Mismatch, Position, Raft, ServerId, Snapshot, Term};
use crate::Bug;
use std::time::Duration;

impl Raft {
    /// Whether a leader of this term speaks; one of an earlier term is told that it does not lead any more.
    pub(super) fn hears_leader(&mut self, now: Duration, from: ServerId, term: Term, round: u64) -> bool {
        if term < self.hard.term {
            self.refuse(from, Mismatch { prev: 0, hint: 0 }, round);
            return false;
        }
        // There is one leader a term. Where a bug has made two, this one does not give way.
        if self.is_leader() {
            return false;
        }
        self.follow(now, term, Some(from));
        self.heard = Some(now);
        self.await_leader(now);
        true
    }

    fn refuse(&mut self, leader: ServerId, mismatch: Mismatch, round: u64) {
        self.send(leader, Body::Appended { result: Err(mismatch), round });
    }

    fn agree(&mut self, leader: ServerId, index: Index, round: u64) {
        self.send(leader, Body::Appended { result: Ok(index), round });
    }

    /// Takes entries that follow `prev`.
    pub(super) fn append(
        &mut self,
        leader: ServerId,
        mut prev: Position,
        mut entries: Vec<Entry>,
        commit: Index,
        round: u64,
    ) {
        let base = self.log.base();
        if prev.index < base.index {
            // What the snapshot covers is committed, and so the same as the leader's.
            let covered = ((base.index - prev.index) as usize).min(entries.len());
            entries.drain(..covered);
            if entries.is_empty() {
                return self.agree(leader, base.index, round);
            }
            prev = base;
        }
        match self.log.term(prev.index) {
            None => {
                let hint = self.log.last_index();
                return self.refuse(leader, Mismatch { prev: prev.index, hint }, round);
            }
            Some(term) if term != prev.term => {
                let hint =
                    self.log.before_term_of(prev.index).max(self.commit.min(prev.index.saturating_sub(1)));
                return self.refuse(leader, Mismatch { prev: prev.index, hint }, round);
            }
            Some(_) => {}
        }
        let last = prev.index + entries.len() as u64;
        self.take(prev.index + 1, entries);
        self.commit = self.commit.max(commit.min(last));
        self.agree(leader, last, round);
    }

    /// Puts entries into the log from `first` on. An entry that is there already stays, and what follows it too: this
    /// may be an old message. Only one of another term makes way, with all that follow it (paper, §5.3).
    fn take(&mut self, first: Index, entries: Vec<Entry>) {
        if self.has_bug(Bug::LogTruncate) && first <= self.log.last_index() {
            self.cut(first);
        }
        for (index, entry) in (first..).zip(entries) {
            match self.log.term(index) {
                Some(term) if term == entry.term => continue,
                Some(_) => self.cut(index),
                None => {}
            }
            self.changed(index);
            self.log.push(entry);
        }
    }

    fn cut(&mut self, first: Index) {
        self.changed(first);
        self.log.truncate(first);
    }

    /// The log in memory is not the one on the disk from here on.
    pub(super) fn changed(&mut self, index: Index) {
        self.changed_from = Some(self.changed_from.map_or(index, |first| first.min(index)));
    }

    /// Takes a chunk of a snapshot.
    pub(super) fn snapshot_chunk(
        &mut self,
        leader: ServerId,
        last: Position,
        offset: u64,
        chunk: &[u8],
        done: bool,
        round: u64,
    ) {
        if last.index <= self.commit {
            return self.agree(leader, last.index, round);
        }
        let (_, data) = match &mut self.incoming {
            Some(incoming) if incoming.0 == last => incoming,
            incoming => incoming.insert((last, Vec::new())),
        };
        let next = offset == data.len() as u64;
        if next {
            data.extend_from_slice(chunk);
        }
        if !(next && done) {
            let received = data.len() as u64;
            return self.send(leader, Body::SnapshotReply { last, received, round });
        }
        let data = std::mem::take(data).into();
        self.incoming = None;
        self.install(Snapshot { last, data });
        self.agree(leader, last.index, round);
    }

    /// Puts a snapshot in place of the log up to its last entry. What follows that entry stays if the log has it;
    /// otherwise the log is another one, and nothing of it stays (paper, figure 13, steps 6 and 7).
    fn install(&mut self, snapshot: Snapshot) {
        let last = snapshot.last;
        let follows = self.log.term(last.index) == Some(last.term);
        if !follows && !self.has_bug(Bug::SnapshotGap) {
            self.log.truncate(0);
        }
        self.log.compact(last);
        self.commit = last.index;
        self.snapshot = snapshot;
        self.install = true;
        self.changed_from = None;
    }
}
