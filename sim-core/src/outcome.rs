//! What a run leaves: its result, its trace hash, what it counted.

use crate::Failure;
use crate::fault::Fault;
use crate::oracle::Seen;
use crate::trace::Log;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::time::Duration;

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// What the body returned, or why the run failed.
    pub result: Result<T, Failure>,
    /// The hash of every event, poll and decision: equal for two runs that did the same.
    pub trace: u64,
    /// Virtual time at the end.
    pub now: Duration,
    /// What was counted.
    pub stats: Stats,
    /// Every injected or vetoed fault, in the order of their start.
    pub faults: Vec<Fault>,
    /// What was seen of what the code claims, by claim and name.
    pub claims: Vec<Seen>,
    /// Events and deviations, if the configuration asked for them.
    pub log: Option<Log>,
    /// What the reader should know although the run did not fail, such as wakes from other threads.
    pub notes: Vec<String>,
}

/// What is counted in a run; sums over runs are made with `+=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Polls of tasks.
    pub polls: u64,
    /// Events handled.
    pub events: u64,
    /// Decisions drawn.
    pub decisions: u64,
    /// Decisions that were not boring.
    pub deviations: u64,
    /// Tasks spawned.
    pub tasks: u64,
    /// Polls that the CPU model put off.
    pub put_off: u64,
    /// Packets sent, acknowledgements without payload not counted.
    pub packets: u64,
    /// Packets lost.
    pub lost: u64,
    /// Bytes of payload sent.
    pub bytes: u64,
    /// Processes that died, were stopped or returned.
    pub deaths: u64,
    /// Faults injected, by hand or by the nemesis.
    pub faults: u64,
    /// Faults that were planned and vetoed.
    pub vetoes: u64,
    /// Nemeses that were let loose.
    pub nemeses: u64,
    /// Loops of operations, of clients.
    pub clients: u64,
    /// Operations of clients that took place.
    pub ops: u64,
    /// Those of which the test said that they succeeded.
    pub ops_succeeded: u64,
    /// Wakes that came from other operating-system threads.
    pub foreign_wakes: u64,
    /// The most tasks alive at once; over several runs, the most in one.
    pub most_tasks: u64,
    /// The most events pending at once; over several runs, the most in one.
    pub most_events: u64,
}

impl Stats {
    pub(crate) const NONE: Stats = Stats {
        polls: 0,
        events: 0,
        decisions: 0,
        deviations: 0,
        tasks: 0,
        put_off: 0,
        packets: 0,
        lost: 0,
        bytes: 0,
        deaths: 0,
        faults: 0,
        vetoes: 0,
        nemeses: 0,
        clients: 0,
        ops: 0,
        ops_succeeded: 0,
        foreign_wakes: 0,
        most_tasks: 0,
        most_events: 0,
    };
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Stats) {
        self.polls += other.polls;
        self.events += other.events;
        self.decisions += other.decisions;
        self.deviations += other.deviations;
        self.tasks += other.tasks;
        self.put_off += other.put_off;
        self.packets += other.packets;
        self.lost += other.lost;
        self.bytes += other.bytes;
        self.deaths += other.deaths;
        self.faults += other.faults;
        self.vetoes += other.vetoes;
        self.nemeses += other.nemeses;
        self.clients += other.clients;
        self.ops += other.ops;
        self.ops_succeeded += other.ops_succeeded;
        self.foreign_wakes += other.foreign_wakes;
        self.most_tasks = self.most_tasks.max(other.most_tasks);
        self.most_events = self.most_events.max(other.most_events);
    }
}
