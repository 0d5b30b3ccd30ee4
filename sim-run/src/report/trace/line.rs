//! The lines of a trace, field by field.

use serde::{Deserialize, Serialize};

/// By which a reader knows whether it can read the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Form {
    pub(super) schema: String,
    pub(super) version: u32,
}

/// The first line as it is written.
#[derive(Serialize)]
pub(super) struct Headed<'a> {
    #[serde(flatten)]
    pub(super) form: Form,
    #[serde(flatten)]
    pub(super) head: &'a Head,
}

/// Which run a trace is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// `shrunk`, `original` or `passing`.
    pub run: String,
    /// The test, by the name that the harness knows it by; of a program, its name.
    pub test: String,
    /// Of the run that failed at first.
    pub seed: u64,
    /// What `SIM_REPLAY` is to say so that this run happens again; `None` where the seed does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
    /// The line for a shell that shows it again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replay: Option<String>,
    /// The names of the nodes in the order of their declaration, the harness first.
    pub nodes: Vec<String>,
    /// Virtual time at the end of the run, ns.
    pub end: u64,
    /// The run's trace hash, 16 hexadecimal digits.
    pub hash: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// ns of virtual time.
    pub at: u64,
    /// The name of the node whose code ran, or which it is about; `None` where that is the whole run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
    /// What was being handled: the number of the packet that had arrived, or of something that is not told of, such as a
    /// timer. Lines with the same number follow from the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A process starts on the node.
    ProcessStart {
        /// Which of the node's, from 0 on.
        process: u32,
    },
    /// A process of the node is gone.
    ProcessEnd {
        /// Which.
        process: u32,
        /// How.
        how: How,
    },
    /// The node sends a packet.
    Packet {
        /// Its number: the cause of what follows from its arrival.
        id: u64,
        /// The receiver.
        to: String,
        /// Payload.
        bytes: u64,
        /// Whether it only acknowledges.
        #[serde(skip_serializing_if = "is_false", default)]
        ack: bool,
        /// What becomes of it.
        fate: Fate,
        /// When it arrives, ns of virtual time.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        arrives: Option<u64>,
        /// Whether some of its bits flip on the way although the checksum fits.
        #[serde(skip_serializing_if = "is_false", default)]
        damaged: bool,
        /// A second copy.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        copy: Option<Arrival>,
    },
    /// A fault begins, or one that was planned is vetoed.
    Fault {
        /// Its number, from 0 on.
        fault: u32,
        /// Such as `partition`.
        family: String,
        /// What it is about, in words.
        target: String,
        /// The nodes that it is about; none when it is about all.
        nodes: Vec<String>,
        /// The rest of it, in words: `length 1.5s`.
        parameters: Vec<String>,
        /// When it ends, ns of virtual time; `None` when it is on until the end.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        end: Option<u64>,
        /// Why it did not happen.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        vetoed: Option<String>,
        /// Why something weaker happened.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        downgraded: Option<String>,
        /// How often it changed something that can be observed.
        effects: u64,
    },
    /// A fault ends.
    FaultEnd {
        /// Which.
        fault: u32,
    },
    /// An operation of a client is invoked.
    Op {
        /// Its number in the run, from 0 on.
        op: u32,
        /// The client.
        client: String,
        /// Which of the client's.
        index: u64,
        /// What was drawn for it, in words.
        words: Vec<String>,
        /// When it returned, ns of virtual time, if the test said so.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        end: Option<u64>,
    },
    /// An operation returns.
    OpEnd {
        /// Which.
        op: u32,
        /// What was wrong; `None` for success.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
    },
    /// The program logged a line.
    Log {
        /// `INFO` or another level of `tracing`.
        level: String,
        /// The module that said it.
        target: String,
        /// The line.
        text: String,
    },
    /// Something else, such as `tcp.connect`.
    Event {
        /// A stable dotted name.
        name: String,
        /// The particulars, for people.
        text: String,
    },
    /// The run fails.
    Failure {
        /// By which failures are grouped.
        signature: String,
        /// What happened, in words.
        message: String,
        /// The place in the source, the name of an invariant, a call.
        site: String,
        /// The task that it happened in.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        task: Option<String>,
        /// Further lines.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        details: Vec<String>,
    },
    /// What was seen, over the whole run, of what the code claims.
    Claim {
        /// `always`, `sometimes`, `reachable` or `unreachable`.
        claim: String,
        /// Its name.
        name: String,
        /// How often it was looked at.
        asked: u64,
        /// How often it held.
        held: u64,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Its program returned or was stopped.
    Exit,
    /// It was killed.
    Kill,
    /// Its machine lost power.
    PowerCut,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It arrives, though nobody need be there to take it.
    Arrives,
    /// It is lost.
    Lost,
    /// It is held by a clog.
    Held,
}

/// The arrival of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The cause of what follows from it.
    pub id: u64,
    /// ns of virtual time.
    pub at: u64,
}

fn is_false(value: &bool) -> bool {
    !value
}
