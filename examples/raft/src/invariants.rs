//! What must hold, whatever goes wrong. It is looked at from outside, where no fault reaches: servers tell an observer
//! what they do, and know nothing of this.
//!
//! The first five are the properties of figure 3 of the paper, or what they rest on, at the moment at which they break
//! and not when somebody suffers from it.

use crate::consensus::{Entry, Index, Position, ServerId, Term};
use crate::kv::{Applied, Command};
use crate::server::Event;
use sim::Sim;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;

/// Election safety.
pub const ONE_LEADER: &str = "at most one leader a term";
/// On which it rests: a server gives its vote of a term to one candidate, itself included.
pub const VOTES_ONCE: &str = "a server votes once a term";
/// Log matching: entries of the same index and term are the same, and so are those before them.
pub const LOGS_MATCH: &str = "logs with the same entry are the same up to it";
/// Leader completeness.
pub const LEADER_COMPLETE: &str = "a leader has every committed entry";
/// On which it rests: whoever lacks a committed entry finds no majority that would vote for it, now or later.
pub const NOT_ELECTABLE: &str = "nobody without a committed entry can be elected";
/// A follower's log loses entries only when others come in their place.
pub const GIVES_WAY: &str = "entries give way only to others";
/// Committed entries are never lost.
pub const NEVER_LOST: &str = "committed entries are never lost";
/// What a server has told a leader to have, it has when it starts again.
pub const ACKNOWLEDGED: &str = "acknowledged entries survive a restart";
/// While a process lives, its commit index does not go back.
pub const MONOTONIC: &str = "the commit index never goes back";
/// Servers agree on what is committed.
pub const COMMIT_THE_SAME: &str = "servers commit the same entries";
/// State machine safety.
pub const APPLY_THE_SAME: &str = "servers apply the same commands";
/// Nothing is left out, and nothing comes twice.
pub const IN_ORDER: &str = "entries are applied in order";
/// A command of a session takes effect once, however often it is in the log.
pub const ONCE: &str = "a command takes effect once";
/// Clients see one register a key.
pub const LINEARIZABLE: &str = "operations on a register are linearizable";
/// When all faults are over, or a majority is well, somebody leads.
pub const ELECTED: &str = "a leader is elected after healing";
/// And writes are done.
pub const WRITES: &str = "a write completes after healing";
/// And so are the operations that began before.
pub const ANSWERED: &str = "every operation is answered after healing";

/// All of them, in the order of the report.
pub const ALL: &[&str] = &[
    ONE_LEADER,
    VOTES_ONCE,
    LOGS_MATCH,
    LEADER_COMPLETE,
    NOT_ELECTABLE,
    GIVES_WAY,
    NEVER_LOST,
    ACKNOWLEDGED,
    MONOTONIC,
    COMMIT_THE_SAME,
    APPLY_THE_SAME,
    IN_ORDER,
    ONCE,
    LINEARIZABLE,
    ELECTED,
    WRITES,
    ANSWERED,
];

/// Watches all servers of a cluster. Clones are the same.
#[derive(Clone, Debug)]
pub struct Watch {
    sim: Sim,
    state: Rc<RefCell<State>>,
}

/// What is known of the cluster.
#[derive(Debug, Default)]
struct State {
    servers: Vec<Seen>,
    leaders: BTreeMap<Term, ServerId>,
    votes: BTreeMap<(ServerId, Term), ServerId>,
    /// Every entry that ever was in a log, and what was before it.
    entries: BTreeMap<Position, (Position, Option<Command>)>,
    /// The terms of the committed entries, from index 1 on.
    committed: Vec<Term>,
    /// The latest term that anybody led in when they were.
    committed_in: Vec<Term>,
    applied: BTreeMap<Index, (Entry, Option<Applied>)>,
    /// At which index a command of a session took effect.
    effects: BTreeMap<(u64, u64), Index>,
    elections: u64,
}

/// What is known of one server.
#[derive(Clone, Debug, Default)]
struct Seen {
    base: Position,
    /// The terms of the entries after the base.
    log: Vec<Term>,
    /// Up to where it has told a leader to have entries.
    acknowledged: Position,
    commit: Index,
    applied: Index,
    /// In which term it leads.
    leads: Option<Term>,
}

/// An invariant, and how it is broken.
type Broken = Option<(&'static str, String)>;

fn broken(name: &'static str, detail: impl Display) -> Broken {
    Some((name, detail.to_string()))
}

impl Seen {
    fn last(&self) -> Position {
        let index = self.base.index + self.log.len() as u64;
        Position { term: self.log.last().copied().unwrap_or(self.base.term), index }
    }

    /// The term of an entry after the base, or of the base.
    fn term(&self, index: Index) -> Option<Term> {
        match index.checked_sub(self.base.index)? {
            0 => Some(self.base.term),
            place => self.log.get(place as usize - 1).copied(),
        }
    }
}

impl Watch {
    /// Watches so many servers.
    pub fn new(sim: Sim, servers: u8) -> Self {
        let state = State { servers: vec![Seen::default(); servers.into()], ..State::default() };
        Watch { sim, state: Rc::new(RefCell::new(state)) }
    }

    /// A server does something.
    pub fn observe(&self, server: ServerId, event: &Event<'_>) {
        let broken = self.state.borrow_mut().observe(server, event);
        if let Some((name, detail)) = broken {
            self.sim.violated(name, format!("server {server}: {detail}"));
        }
    }

    /// Who leads, in the latest term in which somebody does.
    pub fn leader(&self) -> Option<ServerId> {
        let state = self.state.borrow();
        let leading = state.servers.iter().zip(0..).filter(|(seen, _)| seen.leads.is_some());
        leading.max_by_key(|(seen, _)| seen.leads).map(|(_, server)| server)
    }

    /// How many entries are committed, and how many elections were won.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state.borrow();
        (state.committed.len() as u64, state.elections)
    }
}

impl State {
    fn seen(&mut self, server: ServerId) -> &mut Seen {
        &mut self.servers[usize::from(server)]
    }

    fn observe(&mut self, server: ServerId, event: &Event<'_>) -> Broken {
        match *event {
            Event::Recovered { base, entries } => self.recovered(server, base, entries),
            Event::Logged { first, entries } => self.logged(server, first, entries),
            Event::Installed { last, entries } => self.installed(server, last, entries),
            Event::Voted { term, candidate } => {
                let before = *self.votes.entry((server, term)).or_insert(candidate);
                let detail = || format!("voted for {before} and for {candidate} in term {term}");
                (before != candidate).then(|| (VOTES_ONCE, detail()))
            }
            Event::Leads { term } => self.leads(server, term),
            Event::StepsDown => {
                self.seen(server).leads = None;
                None
            }
            Event::Acknowledged { index, term: None } => {
                broken(GIVES_WAY, format!("acknowledges entry {index}, which it does not have any more"))
            }
            Event::Acknowledged { index, term: Some(term) } => {
                let seen = self.seen(server);
                seen.acknowledged = seen.acknowledged.max(Position { term, index });
                None
            }
            Event::Committed { index } => self.commits(server, index),
            Event::Applied { index, entry, applied } => self.applies(server, index, entry, applied),
        }
    }

    fn recovered(&mut self, server: ServerId, base: Position, entries: &[Entry]) -> Broken {
        let seen = self.seen(server);
        let acknowledged = seen.acknowledged;
        let log = entries.iter().map(|entry| entry.term).collect();
        *seen = Seen { base, log, acknowledged, commit: base.index, applied: base.index, leads: None };
        let there =
            acknowledged.index <= base.index || seen.term(acknowledged.index) == Some(acknowledged.term);
        if !there {
            let last = seen.last();
            return broken(
                ACKNOWLEDGED,
                format!("acknowledged {acknowledged:?}, has {last:?} after a restart"),
            );
        }
        self.learn(base, entries)
    }

    /// Takes note of entries that follow `before` in some log.
    fn learn(&mut self, before: Position, entries: &[Entry]) -> Broken {
        let mut before = before;
        for entry in entries {
            let position = Position { term: entry.term, index: before.index + 1 };
            let known = self.entries.entry(position).or_insert((before, entry.command));
            if *known != (before, entry.command) {
                let detail =
                    format!("{position:?} is {:?} after {before:?}, elsewhere {known:?}", entry.command);
                return broken(LOGS_MATCH, detail);
            }
            before = position;
        }
        None
    }

    fn logged(&mut self, server: ServerId, first: Index, entries: &[Entry]) -> Broken {
        let seen = self.seen(server);
        let old = seen.clone();
        seen.log.truncate(first.saturating_sub(seen.base.index + 1) as usize);
        seen.log.extend(entries.iter().map(|entry| entry.term));
        let (new, before) =
            (seen.clone(), Position { term: seen.term(first - 1).unwrap_or(0), index: first - 1 });
        let differs = |index: &Index| new.term(*index) != old.term(*index);
        if seen.acknowledged.index >= first
            && new.term(seen.acknowledged.index) != Some(seen.acknowledged.term)
        {
            seen.acknowledged = before;
        }
        let lost = (first..=old.last().index).find(differs);
        if let Some(index) = lost {
            if new.term(index).is_none() {
                return broken(
                    GIVES_WAY,
                    format!("had {:?}, has {:?} now, and nothing else", old.last(), new.last()),
                );
            }
            if old.term(index) == self.committed.get(index as usize - 1).copied() {
                return broken(NEVER_LOST, format!("entry {index} of term {:?} is gone", old.term(index)));
            }
        }
        self.learn(before, entries)
    }

    fn installed(&mut self, server: ServerId, last: Position, entries: &[Entry]) -> Broken {
        let seen = self.seen(server);
        let old = seen.clone();
        seen.base = last;
        seen.log = entries.iter().map(|entry| entry.term).collect();
        seen.applied = last.index;
        let (new, of_snapshot) = (seen.last(), old.term(last.index) == Some(last.term));
        if seen.acknowledged.index > last.index && !of_snapshot {
            seen.acknowledged = last;
        }
        if of_snapshot && new < old.last() {
            return broken(
                GIVES_WAY,
                format!("had {:?}, and {new:?} after the snapshot of {last:?}", old.last()),
            );
        }
        self.learn(last, entries)
    }

    fn leads(&mut self, server: ServerId, term: Term) -> Broken {
        self.elections += 1;
        self.seen(server).leads = Some(term);
        let other = *self.leaders.entry(term).or_insert(server);
        if other != server {
            return broken(ONE_LEADER, format!("leads in term {term}, and so does server {other}"));
        }
        // Who is late to hear of its votes may find itself the leader of a term that is over already: what later leaders
        // have committed it need not have.
        let committed = self.committed_in.partition_point(|committed_in| *committed_in < term) as u64;
        let (has, seen) = (self.has_committed(server, committed), self.seen(server));
        (!has).then(|| {
            let last = seen.last();
            (
                LEADER_COMPLETE,
                format!("leads in term {term} with a log up to {last:?}; {committed} are committed"),
            )
        })
    }

    /// Whether a server has the committed entry of this index.
    fn has_committed(&self, server: ServerId, index: Index) -> bool {
        let seen = &self.servers[usize::from(server)];
        let Some(place) = index.checked_sub(1) else { return true };
        index <= seen.base.index || seen.term(index) == self.committed.get(place as usize).copied()
    }

    fn commits(&mut self, server: ServerId, index: Index) -> Broken {
        let seen = self.seen(server).clone();
        self.seen(server).commit = index;
        if index < seen.commit {
            return broken(MONOTONIC, format!("from {} back to {index}", seen.commit));
        }
        let known = self.committed.len() as u64;
        for index in seen.commit.max(seen.base.index) + 1..=index {
            let Some(term) = seen.term(index) else { break };
            match self.committed.get(index as usize - 1) {
                None => {
                    self.committed.push(term);
                    let latest = self.leaders.last_key_value().map_or(0, |(term, _)| *term);
                    self.committed_in.push(latest);
                }
                Some(&other) if other != term => {
                    let detail = format!("commits entry {index} of term {term}, others that of term {other}");
                    return broken(COMMIT_THE_SAME, detail);
                }
                Some(_) => {}
            }
        }
        if self.committed.len() as u64 > known { self.nobody_without(server) } else { None }
    }

    /// Looks for a server that lacks the last committed entry, and whose log is good enough for a majority.
    fn nobody_without(&self, server: ServerId) -> Broken {
        let index = self.committed.len() as u64;
        let all = 0..self.servers.len() as ServerId;
        for candidate in all.filter(|&candidate| !self.has_committed(candidate, index)) {
            let last = self.servers[usize::from(candidate)].last();
            let voters = self.servers.iter().filter(|voter| voter.last() <= last).count();
            if voters > self.servers.len() / 2 {
                let detail = format!(
                    "commits entry {index} of term {}, but server {candidate} with its log up to {last:?} could \
                     still be elected by {voters} without it",
                    self.committed[index as usize - 1]
                );
                return broken(NOT_ELECTABLE, format!("{detail} (as {server} commits)"));
            }
        }
        None
    }

    fn applies(&mut self, server: ServerId, index: Index, entry: &Entry, applied: Option<Applied>) -> Broken {
        let seen = self.seen(server);
        let expected = seen.applied + 1;
        seen.applied = index;
        if index != expected {
            return broken(IN_ORDER, format!("applies entry {index}, after {}", expected - 1));
        }
        let before = self.applied.entry(index).or_insert_with(|| (entry.clone(), applied));
        if (&before.0, before.1) != (entry, applied) {
            let detail = format!("applies {entry:?} at {index} with {applied:?}, another server {before:?}");
            return broken(APPLY_THE_SAME, detail);
        }
        if let (Some(Command::Write { session, number, .. }), Some(Applied { fresh: true, .. })) =
            (entry.command, applied)
        {
            let effect = *self.effects.entry((session, number)).or_insert(index);
            if effect != index {
                let detail =
                    format!("command {number} of session {session} takes effect at {effect} and {index}");
                return broken(ONCE, detail);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_has_what_earlier_leaders_have_committed_and_need_not_have_more() {
        let mut state = State { servers: vec![Seen::default(); 3], ..State::default() };
        let entries = [Entry { term: 2, command: None }];
        let logged = Event::Logged { first: 1, entries: &entries };
        let agreed = [
            state.observe(0, &Event::Leads { term: 2 }),
            state.observe(0, &logged),
            state.observe(1, &logged),
            state.observe(0, &Event::Committed { index: 1 }),
            // It is late to hear that it won an earlier term.
            state.observe(2, &Event::Leads { term: 1 }),
            state.observe(1, &Event::Leads { term: 3 }),
        ];
        assert!(agreed.iter().all(Option::is_none), "{agreed:?}");
        let (broken, _) = state.observe(2, &Event::Leads { term: 4 }).unwrap();
        assert_eq!(broken, LEADER_COMPLETE);
    }
}
