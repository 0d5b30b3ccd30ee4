//! What broke: the one form in which every failure of a run is told.

use crate::executor::Spin;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What kind of thing broke.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FailureKind {
    /// A task panicked.
    Panic,
    /// The body of the test returned an error.
    Error,
    /// A named invariant did not hold.
    Invariant,
    /// Something did not come about in time, although faults had ended.
    Liveness,
    /// An `always!` did not hold.
    Always,
    /// An `unreachable!` was reached.
    Unreachable,
    /// The program of a node returned an error.
    Program,
    /// Nothing is ready, nothing is due, and the body has not ended.
    Deadlock,
    /// The run took more virtual time than it may.
    TimeLimit,
    /// Tasks run on and on at one instant.
    Spin,
    /// A bound of the simulator was reached.
    Limit,
    /// The operating-system process of the run died.
    Crash,
    /// Two runs of one seed differ.
    Nondeterminism,
    /// A task made a call to the host that no simulation can answer, such as starting a thread.
    Violation,
    /// A saved run no longer fits the test: decisions that it holds were never asked for, and nothing else broke.
    Stale,
}

impl FailureKind {
    /// The word for this kind in signatures and reports.
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::Panic => "panic",
            FailureKind::Error => "error",
            FailureKind::Invariant => "invariant",
            FailureKind::Liveness => "liveness",
            FailureKind::Always => "always",
            FailureKind::Unreachable => "unreachable",
            FailureKind::Program => "program",
            FailureKind::Deadlock => "deadlock",
            FailureKind::TimeLimit => "time-limit",
            FailureKind::Spin => "spin",
            FailureKind::Limit => "limit",
            FailureKind::Crash => "crash",
            FailureKind::Nondeterminism => "nondeterminism",
            FailureKind::Violation => "violation",
            FailureKind::Stale => "stale",
        }
    }
}

/// Why a run failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of thing broke.
    pub kind: FailureKind,
    /// Where or which: `src/order.rs:10:5`, the name of an invariant, a node or a call; empty where the kind says all.
    pub site: String,
    /// What happened, in words.
    pub message: String,
    /// Virtual time of the failure since the start of the run.
    pub at: Duration,
    /// The node that it happened on.
    pub node: Option<String>,
    /// The task that it happened in: its name, if it has one, and where it was spawned.
    pub task: Option<String>,
    /// Further lines: what every task waits for, a backtrace.
    pub details: Vec<String>,
}

impl Failure {
    /// A failure at the start of the run, on no node: whoever knows better fills that in.
    pub fn new(kind: FailureKind, site: impl Into<String>, message: impl Into<String>) -> Self {
        Failure {
            kind,
            site: site.into(),
            message: message.into(),
            at: Duration::ZERO,
            node: None,
            task: None,
            details: Vec::new(),
        }
    }

    /// What stays the same when the same bug shows in another run: kind and site, without messages or numbers.
    pub fn signature(&self) -> String {
        match self.site.is_empty() {
            true => self.kind.word().to_string(),
            false => format!("{} {}", self.kind.word(), self.site),
        }
    }

    /// Whether the failure belongs to the task that ran.
    pub(crate) fn is_of_a_task(&self) -> bool {
        !matches!(
            self.kind,
            FailureKind::Deadlock | FailureKind::TimeLimit | FailureKind::Crash | FailureKind::Stale
        )
    }

    pub(crate) fn deadlock(waiting: Vec<String>) -> Self {
        let message = format!(
            "nothing is ready and nothing is due, but the body has not ended; {} tasks wait for something that \
             no event will bring",
            waiting.len()
        );
        Failure { details: waiting, ..Failure::new(FailureKind::Deadlock, "", message) }
    }

    pub(crate) fn time_limit(limit: Duration, waiting: Vec<String>) -> Self {
        let message = format!("the body has not ended after {limit:?} of virtual time");
        Failure { details: waiting, ..Failure::new(FailureKind::TimeLimit, "", message) }
    }

    pub(crate) fn spin(node: &str, spin: &Spin) -> Self {
        let message = format!(
            "{} polls at one instant of virtual time: a task runs on and on without waiting for anything; the last \
             one runs on node {node}: {}",
            spin.polls, spin.task
        );
        let mut failure = Failure::new(FailureKind::Spin, spin.task.at.to_string(), message);
        failure.node = Some(node.to_string());
        failure.task = Some(spin.task.to_string());
        failure
    }

    pub(crate) fn event_spin(last: &str) -> Self {
        let message = format!("events go on and on at one instant of virtual time; the last was {last}");
        Failure::new(FailureKind::Spin, "", message)
    }

    pub(crate) fn violation(call: &str, remedy: &str, frames: Vec<String>) -> Self {
        let from = match frames.first() {
            Some(frame) => format!("from {frame}"),
            None => "from a place that this build has no symbols for".to_string(),
        };
        let message = format!(
            "{call} was called {from}\n\
             It was refused, because it waits for the host or starts something there, which no seed decides.\n\
             {remedy}"
        );
        Failure { details: frames, ..Failure::new(FailureKind::Violation, call, message) }
    }

    pub(crate) fn too_many_tasks(bound: usize) -> Self {
        Failure::new(FailureKind::Limit, "tasks", format!("more than {bound} tasks are alive at once"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.signature(), self.message)?;
        write!(f, "\n  at {:?} of virtual time", self.at)?;
        if let Some(node) = &self.node {
            write!(f, " on node {node}")?;
        }
        if let Some(task) = &self.task {
            write!(f, ", in the task {task}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
