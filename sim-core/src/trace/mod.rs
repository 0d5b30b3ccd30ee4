//! The event log: what happened, when and where. It is kept only when a run asks for it; the trace hash, which is
//! always on, is folded by the kernel from every event, poll and decision.

use crate::decision::Deviation;
use crate::kernel::Kernel;
use crate::node::NodeId;
use crate::slab::Key;
use crate::workload::Operation;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What, as a stable dotted name such as `tcp.connect`.
    pub name: Cow<'static, str>,
    /// The particulars, for people.
    pub detail: String,
}

impl Event {
    /// An event with particulars.
    pub fn new(name: &'static str, detail: impl Into<String>) -> Self {
        Event { name: name.into(), detail: detail.into() }
    }
}

/// An event with its time and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// ns of virtual time.
    pub at: u64,
    /// Where.
    pub node: NodeId,
    /// What.
    pub event: Event,
}

/// What a run did: its events, and its decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// In the order in which they happened; none unless the run was recorded.
    pub entries: Vec<Entry>,
    /// In the order in which they were drawn: those that were not boring, or all, as
    /// [`Config::decisions`](crate::Config::decisions) says.
    pub deviations: Vec<Deviation>,
    /// The names of the nodes, by their numbers.
    pub nodes: Vec<String>,
    /// The operations of its clients, in the order of their begin.
    pub operations: Vec<Operation>,
}

impl Log {
    pub(crate) fn push(&mut self, at: u64, node: NodeId, event: Event) {
        self.entries.push(Entry { at, node, event });
    }
}

impl Kernel {
    #[cold]
    pub(crate) fn log_poll(&mut self, key: Key) {
        let label = self.label(key);
        self.record(|| Event::new("poll", label.to_string()));
    }
}
