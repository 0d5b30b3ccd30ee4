//! The event log: what happened, when and where. It is kept only when a run asks for it; the trace hash, which is
//! always on, is folded by the kernel from every event, poll and decision.

use crate::decision::{Deviation, Name};
use crate::fault::FaultId;
use crate::kernel::Kernel;
use crate::node::{Death, NodeId};
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
    /// The particulars, for programs.
    pub about: About,
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// What its name and its words say.
    #[default]
    Words,
    /// A packet that is sent.
    Packet(Packet),
    /// A process of the node starts or ends.
    Process {
        /// Which of the node's lives, counted from 0.
        life: u32,
        /// How it ended; `None` where it starts.
        ended: Option<Death>,
    },
    /// A fault, by its place in the fault log.
    Fault(FaultId),
    /// An operation, by its place in [`Log::operations`].
    Operation(u32),
    /// A line of the program's own log; the words are its text.
    Line {
        /// `INFO` or another level of `tracing`.
        level: Cow<'static, str>,
        /// The module that said it, or what it named instead.
        target: String,
    },
}

/// A packet at the moment when it is sent and its fate decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Its name: the [cause](Entry::cause) of whatever follows from its arrival.
    pub name: Name,
    /// Its sender.
    pub from: NodeId,
    /// Its receiver.
    pub to: NodeId,
    /// Bytes of payload.
    pub bytes: u64,
    /// Whether it only acknowledges.
    pub ack: bool,
    /// What becomes of it.
    pub fate: PacketFate,
    /// Whether some of its bits flip on the way although the checksum fits.
    pub damaged: bool,
    /// When a second copy arrives, ns of virtual time, and the name of that.
    pub copy: Option<(u64, Name)>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacketFate {
    /// It arrives at this instant, ns of virtual time. Nobody need be there to take it.
    Arrives(u64),
    /// It is lost.
    Lost,
    /// It is held by a clog.
    Held,
}

impl Event {
    /// An event with particulars.
    pub fn new(name: &'static str, detail: impl Into<String>) -> Self {
        Event { name: name.into(), detail: detail.into(), about: About::Words }
    }

    /// An event about something that programs can follow.
    #[must_use]
    pub fn about(self, about: About) -> Self {
        Event { about, ..self }
    }
}

/// An event with its time and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// ns of virtual time.
    pub at: u64,
    /// Where.
    pub node: NodeId,
    /// The name of what was being handled: of the packet that had arrived, of the timer that was due.
    pub cause: Name,
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
    pub(crate) fn push(&mut self, at: u64, node: NodeId, cause: Name, event: Event) {
        self.entries.push(Entry { at, node, cause, event });
    }
}

impl Kernel {
    #[cold]
    pub(crate) fn log_poll(&mut self, key: Key) {
        let label = self.label(key);
        self.record(|| Event::new("poll", label.to_string()));
    }
}
