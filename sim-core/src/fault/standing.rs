//! How things stand: what is wrong now, how much of it the system was declared to stand, and whether that explains that it
//! does not go on.

use super::Aspect;
use super::heal::Healing;
use super::log::Fault;
use super::nemesis::Nemesis;
use super::tolerance::{Group, Tolerance, Trouble};
use crate::Sim;
use crate::node::{HARNESS, NodeId};
use crate::world::{self, World};
use std::collections::BTreeSet;
use std::time::Duration;

impl Sim {
    /// Declares what all nodes that run a program can stand together, for faults by hand and all nemeses: no plan exceeds
    /// it, and [`heal_core`](Sim::heal_core) leaves no more broken. Where there is a swarm it is the same as
    /// [`Swarm::tolerate`](super::Swarm::tolerate).
    #[track_caller]
    pub fn tolerate(&self, tolerance: Tolerance) {
        self.declare(Group { nodes: None, tolerance });
    }

    /// The same for these nodes: a replica group, say.
    ///
    /// # Panics
    /// For nodes that are not declared.
    #[track_caller]
    pub fn tolerate_of<S: Into<String>>(&self, nodes: impl IntoIterator<Item = S>, tolerance: Tolerance) {
        let nodes: Vec<String> = nodes.into_iter().map(Into::into).collect();
        self.check_reachable("a tolerance is declared for", &nodes);
        self.declare(Group { nodes: Some(nodes), tolerance });
    }

    #[track_caller]
    fn declare(&self, group: Group) {
        world::with(|w| {
            w.check(self.world(), "Sim");
            w.nemesis.borrow_mut().declared.push(group);
        });
    }

    /// # Panics
    /// For names of nodes that are not declared, or that no fault reaches.
    #[track_caller]
    pub(super) fn check_reachable<'a>(&self, what: &str, names: impl IntoIterator<Item = &'a String>) {
        let declared: Vec<String> = self.nodes().iter().map(|node| node.name()).collect();
        for name in names {
            let there = declared.contains(name) && name != HARNESS;
            assert!(
                there,
                "{what} {name:?}, which is no node that faults reach (there are {}): declare it with sim.node({name:?}) \
                 before",
                declared[1..].join(", ")
            );
        }
    }
}

/// The nodes of a group.
pub(super) fn members(w: &World, group: &Group) -> BTreeSet<NodeId> {
    let kernel = w.kernel();
    match &group.nodes {
        Some(names) => names.iter().filter_map(|name| kernel.by_name(name)).collect(),
        None => {
            let all = (1..kernel.machines() as u32).map(NodeId);
            all.filter(|node| kernel.machine(*node).program.is_some()).collect()
        }
    }
}

/// What is wrong in a group now, whoever did it; of partitions by hand nothing is known here.
pub(super) fn trouble(w: &World, nemesis: &Nemesis, of_group: &BTreeSet<NodeId>) -> Trouble {
    let mut trouble = Trouble::default();
    nemesis.takes().for_each(|takes| trouble.add(takes, of_group));
    for (node, aspect) in w.kernel().held().filter(|(node, _)| of_group.contains(node)) {
        match aspect {
            Aspect::Dead | Aspect::Still => trouble.down.insert(node),
            Aspect::Drift | Aspect::Offset => trouble.skewed.insert(node),
            Aspect::Slow => false,
        };
    }
    trouble
}

/// Why the system may not go on, as far as faults are the reason.
#[derive(Debug)]
pub(crate) struct Explained {
    /// Whether the system should go on all the same, in half a sentence.
    pub(crate) verdict: String,
    /// What that is said of: what was healed, what is still broken.
    pub(crate) lines: Vec<String>,
}

/// How many faults a list has at most.
const LISTED: usize = 8;

/// Explains from the fault log that a system does not go on.
pub(crate) fn explain(w: &World) -> Explained {
    let nemesis = w.nemesis.borrow();
    let mut lines = vec![told_of_healing(w, nemesis.healing.as_ref())];
    // Whom a declared tolerance has an eye on, and by how much it is exceeded.
    let mut stood = BTreeSet::new();
    let mut too_much = None;
    for group in nemesis.groups() {
        let members = members(w, group);
        let trouble = trouble(w, &nemesis, &members);
        let well = names(w, members.difference(&trouble.nodes()).copied());
        let who = names(w, members.iter().copied());
        lines.push(format!(
            "of {who}: {}; well: {well}",
            trouble.told(|nodes| names(w, nodes.iter().copied()))
        ));
        if let Some(excess) = trouble.exceeds(&group.tolerance) {
            too_much.get_or_insert_with(|| format!("of {who} {}", excess.told()));
        }
        stood.extend(trouble.nodes());
    }
    let kernel = w.kernel();
    let on: Vec<&Fault> = kernel.faults().iter().filter(|f| f.happened() && f.end.is_none()).collect();
    let uncounted =
        |fault: &&&Fault| fault.nodes.is_empty() || !fault.nodes.iter().all(|node| stood.contains(node));
    let verdict = match (too_much, on.iter().filter(uncounted).count()) {
        (Some(excess), _) => format!("more is broken than the system was declared to stand: {excess}"),
        (None, 0) if on.is_empty() => "no fault explains it".to_owned(),
        (None, 0) => "what is broken the system was declared to stand".to_owned(),
        (None, n) => format!("faults are on that no declared tolerance counts: {n}"),
    };
    list(&mut lines, "still on", on.into_iter());
    let idle = (1..kernel.machines() as u32)
        .map(NodeId)
        .filter_map(|node| Some((node, kernel.machine(node).idle()?)));
    lines.extend(idle.map(|(node, why)| format!("{} {why}", kernel.machine(node).name)));
    if let Some(healing) = &nemesis.healing {
        let at = Some(Duration::from_nanos(healing.at));
        list(&mut lines, "ended then", kernel.faults().iter().filter(|f| f.happened() && f.end == at));
    }
    Explained { verdict, lines }
}

fn told_of_healing(w: &World, healing: Option<&Healing>) -> String {
    match healing {
        None => "faults were not ended before: neither heal nor heal_core was called".to_owned(),
        Some(Healing { at, stay: None }) => {
            format!("all faults were ended at {:?}", Duration::from_nanos(*at))
        }
        Some(Healing { at, stay: Some(stay) }) => {
            let at = Duration::from_nanos(*at);
            match stay.is_empty() {
                true => format!("a core was healed at {at:?}, of which the seed left nobody out"),
                false => format!(
                    "a core was healed at {at:?}; broken for good: {}",
                    names(w, stay.iter().copied())
                ),
            }
        }
    }
}

/// The last faults, each on a line.
fn list<'a>(lines: &mut Vec<String>, what: &str, faults: impl Iterator<Item = &'a Fault>) {
    let faults: Vec<&Fault> = faults.collect();
    let more = faults.len().saturating_sub(LISTED);
    for fault in &faults[more..] {
        let Fault { family, target, start, .. } = fault;
        let unnoticed = if fault.effects == 0 { " (nothing came of it)" } else { "" };
        lines.push(format!("{what}: {family} of {target} since {start:?}{unnoticed}"));
    }
    if more > 0 {
        lines.push(format!("{what}: {more} earlier ones"));
    }
}

fn names(w: &World, nodes: impl IntoIterator<Item = NodeId>) -> String {
    let kernel = w.kernel();
    let names: Vec<&str> = nodes.into_iter().map(|node| &*kernel.machine(node).name).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
