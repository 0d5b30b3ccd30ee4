//! From what the kernel recorded of a run to its trace.

use std::collections::BTreeMap;

use sim_core::decision::Name;
use sim_core::fault::{self, Fault};
use sim_core::trace::{About, Entry, Packet, PacketFate};
use sim_core::{Death, Event, Failure, NodeId};

use super::Trace;
use super::line::{Arrival, Fate, Head, How, Line, What};
use crate::run::Sight;

/// What a recorded run does not know of itself.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) run: &'static str,
    pub(crate) test: String,
    pub(crate) seed: u64,
    pub(crate) token: Option<String>,
    pub(crate) replay: Option<String>,
}

impl Trace {
    /// The trace of a run that was recorded.
    pub(crate) fn of(origin: &Origin, seen: &Sight) -> Trace {
        let Origin { run, test, seed, token, replay } = origin.clone();
        let head = Head {
            run: run.to_owned(),
            test,
            seed,
            token,
            replay,
            nodes: seen.log.nodes.clone(),
            end: seen.now.as_nanos() as u64,
            hash: format!("{:016x}", seen.trace),
        };
        let mut numbers = Numbers::default();
        let mut lines: Vec<Line> =
            seen.log.entries.iter().filter_map(|entry| line(entry, seen, &mut numbers)).collect();
        lines.extend(seen.failure.as_ref().map(failure));
        lines.extend(seen.claims.iter().map(|seen_of| Line {
            at: head.end,
            node: None,
            cause: None,
            what: What::Claim {
                claim: seen_of.claim.to_string(),
                name: seen_of.name.clone(),
                asked: seen_of.asked,
                held: seen_of.held,
            },
        }));
        Trace { head, lines }
    }
}

/// Small numbers for names, in the order in which they are met.
#[derive(Default)]
struct Numbers(BTreeMap<Name, u64>);

impl Numbers {
    fn of(&mut self, name: Name) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(name).or_insert(next)
    }
}

/// `None` for what is of no use outside of the simulator: polls.
fn line(entry: &Entry, seen: &Sight, numbers: &mut Numbers) -> Option<Line> {
    let Entry { at, node, cause, event } = entry;
    if event.name == "poll" {
        return None;
    }
    let cause = Some(numbers.of(*cause));
    let (node, what) = match &event.about {
        About::Packet(sent) => (name(seen, sent.from), packet(seen, sent, numbers)),
        _ => (name(seen, *node), what(event, seen)),
    };
    Some(Line { at: *at, node: Some(node), cause, what })
}

fn name(seen: &Sight, node: NodeId) -> String {
    let name = seen.log.nodes.get(node.0 as usize);
    name.map_or_else(|| format!("node {}", node.0), Clone::clone)
}

fn packet(seen: &Sight, sent: &Packet, numbers: &mut Numbers) -> What {
    let (fate, arrives) = match sent.fate {
        PacketFate::Arrives(at) => (Fate::Arrives, Some(at)),
        PacketFate::Lost => (Fate::Lost, None),
        PacketFate::Held => (Fate::Held, None),
    };
    What::Packet {
        id: numbers.of(sent.name),
        to: name(seen, sent.to),
        bytes: sent.bytes,
        ack: sent.ack,
        fate,
        arrives,
        damaged: sent.damaged,
        copy: sent.copy.map(|(at, name)| Arrival { id: numbers.of(name), at }),
    }
}

fn what(event: &Event, seen: &Sight) -> What {
    let in_words = || What::Event { name: event.name.to_string(), text: event.detail.clone() };
    match &event.about {
        About::Process { life, ended: None } => What::ProcessStart { process: *life },
        About::Process { life, ended: Some(death) } => {
            let how = match death {
                Death::Exit => How::Exit,
                Death::Kill => How::Kill,
                Death::PowerCut => How::PowerCut,
            };
            What::ProcessEnd { process: *life, how }
        }
        About::Fault(id) => match seen.faults.get(id.0 as usize) {
            Some(fault) if event.name == "fault.begins" => fault_begins(id.0, fault, seen),
            Some(_) => What::FaultEnd { fault: id.0 },
            None => in_words(),
        },
        About::Operation(op) => match seen.log.operations.get(*op as usize) {
            Some(operation) if event.name == "op.begins" => What::Op {
                op: *op,
                client: operation.client.clone(),
                index: operation.index,
                words: operation.words.clone(),
                end: operation.ended.as_ref().map(|(at, _)| *at),
            },
            Some(operation) => {
                let error = operation.ended.as_ref().and_then(|(_, how)| how.as_ref().err().cloned());
                What::OpEnd { op: *op, error }
            }
            None => in_words(),
        },
        About::Line { level, target } => {
            What::Log { level: level.to_string(), target: target.clone(), text: event.detail.clone() }
        }
        About::Words | About::Packet(_) => in_words(),
    }
}

fn fault_begins(id: u32, fault: &Fault, seen: &Sight) -> What {
    let (vetoed, downgraded) = match &fault.fate {
        fault::Fate::Injected => (None, None),
        fault::Fate::Vetoed(why) => (Some(why.clone()), None),
        fault::Fate::Downgraded(why) => (None, Some(why.clone())),
    };
    What::Fault {
        fault: id,
        family: fault.family.to_string(),
        target: fault.target.clone(),
        nodes: fault.nodes.iter().map(|node| name(seen, *node)).collect(),
        parameters: fault.parameters.iter().map(ToString::to_string).collect(),
        end: fault.end.map(|end| end.as_nanos() as u64),
        vetoed,
        downgraded,
        effects: fault.effects,
    }
}

fn failure(failure: &Failure) -> Line {
    Line {
        at: failure.at.as_nanos() as u64,
        node: failure.node.clone(),
        cause: None,
        what: What::Failure {
            signature: failure.signature(),
            message: failure.message.clone(),
            site: failure.site.clone(),
            task: failure.task.clone(),
            details: failure.details.clone(),
        },
    }
}
