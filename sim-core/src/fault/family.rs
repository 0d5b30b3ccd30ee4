//! What a subsystem says of the faults that it can inject, and what a slot of the plan draws for one.
//!
//! The nemesis names no family: each draws its own target and particulars from the slot, and says what it takes away
//! from the system, so that no plan exceeds the tolerance.

use super::danger::Window;
use super::log::{FaultId, Parameter};
use super::nemesis::Prefer;
use crate::clock::What;
use crate::decision::{self, Kind, Name, below};
use crate::node::{Node, NodeId};
use crate::world;
use std::cell::Cell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

/// The particulars of a fault, by number: parts of its name.
pub mod part {
    /// Its instant within its slot.
    pub const AT: u64 = 1;
    /// How long it lasts beyond the least.
    pub const LENGTH: u64 = 2;
    /// The node that it is about.
    pub const NODE: u64 = 3;
    /// How strong it is.
    pub const AMOUNT: u64 = 4;
    /// Of which manner it is, where a family has several.
    pub const MANNER: u64 = 5;
    /// Whether it waits for a moment of danger.
    pub const WINDOW: u64 = 6;
    /// The other end of a link.
    pub const PEER: u64 = 7;
    /// The first of a row, for orders and sides.
    pub const ROW: u64 = 20;
    /// The first of those that a family uses for what it does while it lasts; up to [`END`].
    pub const STEP: u64 = 50;
    /// Its end, the cause of what follows from that.
    pub const END: u64 = 99;
}

/// What ends a fault.
pub type End = Box<dyn FnOnce()>;

/// A family of faults.
///
/// Subsystems offer theirs by [`Subsystem::families`](crate::Subsystem::families); a test adds its own with
/// [`Swarm::with`](super::Swarm::with).
pub trait Family {
    /// Its name in logs and on command lines, such as `partition`. It is part of what a saved run means.
    fn name(&self) -> &'static str;

    /// How often it is drawn in proportion to others.
    fn weight(&self) -> u32 {
        10
    }

    /// How long a fault lasts, at least and at most: shorter would not be noticed.
    fn lasts(&self) -> RangeInclusive<Duration>;

    /// How long the nodes of a fault are left alone by this family after it.
    fn rests(&self) -> Duration {
        Duration::from_millis(200)
    }

    /// The moments of danger that it prefers.
    fn windows(&self) -> &'static [Window] {
        &[]
    }

    /// Draws a fault; `None` when there is nothing that it could be about.
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection>;

    /// A weaker one of the same draws, for when the tolerance does not allow the first.
    fn weaker(&self, _slot: &Slot<'_>) -> Option<Injection> {
        None
    }
}

/// A fault that has been drawn and has not begun.
#[allow(missing_debug_implementations)]
pub struct Injection {
    /// What it is about, for people.
    pub target: String,
    /// The nodes that it is about; none for all.
    pub nodes: Vec<NodeId>,
    /// Its particulars.
    pub parameters: Vec<Parameter>,
    /// What it takes away from the system.
    pub takes: Takes,
    /// Makes it happen, given its name; gives what ends it. What it calls of the by-hand interface is logged as part of it.
    pub begin: Box<dyn FnOnce(Name) -> End>,
}

impl Injection {
    /// A fault of one node.
    pub fn of_node(node: Node, begin: impl FnOnce(Name) -> End + 'static) -> Self {
        Injection {
            target: node.name(),
            nodes: vec![node.id()],
            parameters: Vec::new(),
            takes: Takes::default(),
            begin: Box::new(begin),
        }
    }

    /// With one more particular.
    #[must_use]
    pub fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// With what it takes.
    #[must_use]
    pub fn taking(self, takes: Takes) -> Self {
        Injection { takes, ..self }
    }
}

/// What a fault takes away while it lasts; damage and wiped disks stay taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// Nodes that are out of reach of everybody.
    pub down: Vec<NodeId>,
    /// Sides that do not reach each other, in one direction at least.
    pub apart: Vec<(Vec<NodeId>, Vec<NodeId>)>,
    /// Nodes whose clocks are wrong.
    pub skewed: Vec<NodeId>,
    /// Nodes whose data is damaged.
    pub corrupt: Vec<NodeId>,
    /// Nodes whose disks are gone.
    pub wiped: Vec<NodeId>,
}

impl Takes {
    pub(crate) const NONE: Takes = Takes {
        down: Vec::new(),
        apart: Vec::new(),
        skewed: Vec::new(),
        corrupt: Vec::new(),
        wiped: Vec::new(),
    };
}

impl<F: Family + ?Sized> Family for &F {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn weight(&self) -> u32 {
        (**self).weight()
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        (**self).lasts()
    }
    fn rests(&self) -> Duration {
        (**self).rests()
    }
    fn windows(&self) -> &'static [Window] {
        (**self).windows()
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        (**self).plan(slot)
    }
    fn weaker(&self, slot: &Slot<'_>) -> Option<Injection> {
        (**self).weaker(slot)
    }
}

/// What a family draws a fault from: decisions named by the slot, and the nodes that faults may be about.
#[allow(missing_debug_implementations)]
pub struct Slot<'a> {
    pub(crate) name: Name,
    pub(crate) index: u64,
    pub(crate) nodes: &'a [Node],
    /// 1 to [`Slot::FULL`].
    pub(crate) level: u64,
    pub(crate) prefer: &'a [Prefer],
    /// Where the moment of danger is that the fault has waited for.
    pub(crate) sprung: Option<Node>,
    pub(crate) row: Cell<u64>,
}

impl Slot<'_> {
    /// The highest intensity.
    pub const FULL: u64 = 7;

    /// The nodes that faults may be about, in the order of declaration; never empty.
    pub fn nodes(&self) -> &[Node] {
        self.nodes
    }

    /// Those that run a program.
    pub fn services(&self) -> Vec<Node> {
        self.nodes.iter().copied().filter(|node| node.has_program()).collect()
    }

    /// Draws one of `0..n`, by the number of the particular; 0 is the boring answer.
    pub fn pick(&self, number: u64, n: u64) -> u64 {
        let drawn = decision::decide(decision::part(self.name, number), Kind::FaultArg, self.index, |draw| {
            below(draw, n)
        });
        // What a saved deviation says may be of another run.
        drawn.min(n.saturating_sub(1))
    }

    /// Draws how strong the fault is: from `least` on, at full intensity up to `most`.
    pub fn amount(&self, range: RangeInclusive<u64>) -> u64 {
        let (least, most) = (*range.start(), *range.end());
        least + self.pick(part::AMOUNT, (most - least) * self.level / Self::FULL + 1)
    }

    /// The same for a length of time, ns.
    pub fn amount_of_time(&self, range: RangeInclusive<Duration>) -> Duration {
        let nanos = crate::clock::nanos;
        Duration::from_nanos(self.amount(nanos(*range.start())..=nanos(*range.end())))
    }

    /// Draws the node that the fault is about: where the moment is that it waited for, else one of `nodes`, of which
    /// those that the test prefers, such as leaders, are half of all draws. `None` when there are no nodes.
    pub fn node_of(&self, nodes: &[Node]) -> Option<Node> {
        if let Some(sprung) = self.sprung.filter(|node| nodes.contains(node)) {
            return Some(sprung);
        }
        let n = nodes.len() as u64;
        let preferred: Vec<Node> =
            self.prefer.iter().filter_map(|prefer| prefer()).filter(|node| nodes.contains(node)).collect();
        let m = preferred.len() as u64;
        let name = decision::part(self.name, part::NODE);
        let drawn = decision::decide(name, Kind::FaultArg, self.index, |draw| match m {
            0 => below(draw, n),
            _ if draw >> 63 == 0 => below(draw << 1, n),
            _ => n + below(draw << 1, m),
        });
        match drawn.checked_sub(n) {
            Some(i) if m > 0 => preferred.get(i.min(m - 1) as usize).copied(),
            _ => nodes.get(drawn.min(n.saturating_sub(1)) as usize).copied(),
        }
    }

    /// One of the nodes that run a program, or of all where none does.
    pub fn service(&self) -> Option<Node> {
        let services = self.services();
        if services.is_empty() { None } else { self.node_of(&services) }
    }

    /// Draws a node and another one.
    pub fn two_nodes(&self) -> Option<(Node, Node)> {
        let services = self.services();
        let one = self.node_of(if services.is_empty() { self.nodes } else { &services })?;
        let others: Vec<Node> = self.nodes.iter().copied().filter(|node| *node != one).collect();
        let other = others.get(self.pick(part::PEER, others.len() as u64) as usize)?;
        Some((one, *other))
    }

    /// Draws an order of these nodes; the boring one is theirs.
    pub fn shuffled(&self, mut nodes: Vec<Node>) -> Vec<Node> {
        for i in 0..nodes.len().saturating_sub(1) {
            let number = part::ROW + self.row.replace(self.row.get() + 1) % (part::STEP - part::ROW);
            let next = i + self.pick(number, (nodes.len() - i) as u64) as usize;
            nodes[i..=next].rotate_right(1);
        }
        nodes
    }
}

/// Calls `action` after so much world time, as an event with this name: what follows from it is named by it, so that it
/// stays what it is when other faults are taken out. Called while a fault of the nemesis begins, what it does is logged
/// as part of that fault.
pub fn then(name: Name, after: Duration, action: impl FnOnce() + 'static) {
    world::with(|w| {
        let under = w.kernel().fault_under();
        let action: Box<dyn FnOnce()> = match under {
            None => Box::new(action),
            Some(_) => Box::new(move || {
                let before = world::with(|w| w.kernel().faults_under(under));
                action();
                world::with(|w| w.kernel().faults_under(before));
            }),
        };
        let Some(key) = w.add_action(action) else { return };
        let mut kernel = w.kernel();
        let at = kernel.now().saturating_add(crate::clock::nanos(after));
        kernel.push_event(at, name, What::Action(key));
    });
}

/// The fault of the nemesis that is beginning: for a family of a test's own, to say later that it was [`noticed`].
pub fn beginning() -> Option<FaultId> {
    world::with(|w| w.kernel().fault_under())
}

/// A fault has changed something that can be observed. Without any the log says that nothing came of it.
pub fn noticed(fault: FaultId) {
    world::with(|w| w.kernel().fault_effect(fault));
}

/// Has `step` called every `period` from the start of a fault on, with the number of the step, until what is given is
/// dropped or called.
pub(crate) fn every(name: Name, period: Duration, step: impl Fn(u64) + 'static) -> End {
    let on = Rc::new(Cell::new(true));
    tick(name, period, 0, Rc::new(step), on.clone());
    Box::new(move || on.set(false))
}

fn tick(name: Name, period: Duration, index: u64, step: Rc<dyn Fn(u64)>, on: Rc<Cell<bool>>) {
    if !on.get() {
        return;
    }
    step(index);
    // Numbered apart from the parts, of which there are fewer than a strobe has steps.
    let next = decision::part(decision::part(name, part::STEP), index);
    then(next, period, move || tick(name, period, index + 1, step, on));
}

impl Node {
    /// Whether it has a program to run.
    #[track_caller]
    pub fn has_program(self) -> bool {
        world::with(|w| w.kernel().machine(self.id()).program.is_some())
    }
}

pub(crate) fn ids(nodes: &[Node]) -> Vec<NodeId> {
    nodes.iter().map(|node| node.id()).collect()
}
