//! The nemesis: plans faults over time from the seed, within what the system can stand.
//!
//! Time is divided into slots. When the run comes to a slot, the seed says whether it has a fault, of which family and
//! when; at that instant the family draws the rest. So a run that is re-seeded in between gets new faults from there on.
//! Each fault is named by its slot and its end by that name, never by what happened before: one that is taken out leaves
//! the others as they are.

use super::Injection;
use super::family::{End, Family, Slot, Takes, ids, part, then};
use super::heal::Healing;
use super::log::{Fate, FaultId, Particulars};
use super::standing::{members, trouble};
use super::swarm::{Profile, Swarm};
use super::tolerance::{Excess, Group, Tolerance};
use crate::clock::nanos;
use crate::decision::{self, Kind, Name, below, root};
use crate::failure::FailureKind;
use crate::fs::DiskExt;
use crate::hash::{h, mix, text};
use crate::node::{Node, NodeId};
use crate::world;
use crate::{Sim, fault};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// Names the node that faults are to prefer at present.
pub(crate) type Prefer = Rc<dyn Fn() -> Option<Node>>;

/// Everything that the nemeses of a run have planned and done.
#[derive(Default)]
pub(crate) struct Nemesis {
    plans: Vec<Rc<Plan>>,
    active: Vec<Active>,
    /// Faults that stay when a core is healed. Dropped, their ends would heal what they hold.
    for_good: Vec<Active>,
    /// What families leave alone, and until when.
    resting: Vec<(&'static str, Vec<NodeId>, u64)>,
    /// What faults took that no end gives back.
    lost: Takes,
    /// What was declared that the system can stand, besides what swarms say.
    pub(super) declared: Vec<Group>,
    /// When faults were ended last.
    pub(super) healing: Option<Healing>,
}

impl Nemesis {
    pub(crate) const fn new() -> Self {
        Nemesis {
            plans: Vec::new(),
            active: Vec::new(),
            for_good: Vec::new(),
            resting: Vec::new(),
            lost: Takes::NONE,
            declared: Vec::new(),
            healing: None,
        }
    }

    /// The groups that have a tolerance.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.declared.iter().chain(self.plans.iter().flat_map(|plan| &plan.swarm.groups))
    }

    /// What faults of the nemesis take now, and what they took for good.
    pub(super) fn takes(&self) -> impl Iterator<Item = &Takes> {
        let on = self.active.iter().chain(&self.for_good).map(|active| &active.takes);
        std::iter::once(&self.lost).chain(on)
    }
}

/// One call of `sim.nemesis(..)`.
struct Plan {
    sim: Sim,
    number: u64,
    swarm: Swarm,
    profile: Profile,
    start: u64,
    until: u64,
    stopped: Cell<bool>,
}

/// A fault that is on.
struct Active {
    id: FaultId,
    name: Name,
    family: &'static str,
    rests: Duration,
    nodes: Vec<NodeId>,
    takes: Takes,
    end: End,
}

/// What was drawn for a slot when the run came to it.
#[derive(Clone, Copy)]
struct Drawn {
    index: u64,
    slot_start: u64,
    family: u64,
    at: u64,
    /// The seed that it was drawn from.
    from: u64,
}

impl Sim {
    /// Has faults planned and injected from now on, as the seed and the swarm say. Several nemeses may be at work.
    ///
    /// All of its faults have ended when its time is over, or with `sim.heal()`.
    ///
    /// # Panics
    /// For nodes that are not declared.
    #[track_caller]
    pub fn nemesis(&self, swarm: Swarm) {
        let groups = swarm.groups.iter().filter_map(|group| group.nodes.as_ref());
        self.check_reachable("the nemesis is to care about", groups.chain(&swarm.targets).flatten());
        let now = nanos(self.elapsed());
        let during = swarm.during.clone();
        let start = during.as_ref().map_or(now, |during| nanos(during.start).max(now));
        let until = during.map_or(now.saturating_add(nanos(Swarm::LASTS)), |during| nanos(during.end));
        let first = world::with(|w| {
            let seed = w.kernel().seed;
            w.kernel().stats().nemeses += 1;
            let mut nemesis = w.nemesis.borrow_mut();
            let number = nemesis.plans.len() as u64;
            let profile = Profile::new(seed, number, swarm.always);
            let stopped = Cell::new(false);
            let plan = Rc::new(Plan { sim: *self, number, swarm, profile, start, until, stopped });
            nemesis.plans.push(plan.clone());
            plan
        });
        if let Some(&model) =
            first.swarm.crash_models.get(first.profile.choice(first.swarm.crash_models.len()))
        {
            first.targets().into_iter().for_each(|node| _ = node.disk().crash_model(model));
        }
        if start < until {
            first.visit(0);
        }
    }

    /// The families of faults that there are now: those of each subsystem from its first use on.
    #[track_caller]
    pub fn families(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = families().iter().map(|family| family.name()).collect();
        names.dedup();
        names
    }

    /// Every fault that was injected or vetoed so far, in the order of their start.
    #[track_caller]
    pub fn faults(&self) -> Vec<fault::Fault> {
        world::with(|w| w.kernel().faults().to_vec())
    }
}

/// All families of the simulator, by name.
fn families() -> Vec<Rc<dyn Family>> {
    let mut all: Vec<Rc<dyn Family>> = Vec::new();
    let mut add = |offered: &'static [&'static dyn Family]| {
        all.extend(offered.iter().map(|&family| Rc::new(family) as Rc<dyn Family>));
    };
    add(super::builtin::FAMILIES);
    add(super::resources::FAMILIES);
    world::with(|w| w.for_subsystems(|s| add(s.families())));
    all.sort_by_key(|family| family.name());
    all
}

/// What a decision says for a family: it follows from the name, so that it means the same when there are others.
fn number_of(family: &str) -> u64 {
    text(family) >> 32 | 1
}

impl Plan {
    fn families(&self) -> Vec<Rc<dyn Family>> {
        let mut all = families();
        all.extend(self.swarm.own.iter().cloned());
        all.sort_by_key(|family| family.name());
        all
    }

    fn allowed(&self) -> impl Iterator<Item = Rc<dyn Family>> {
        self.families().into_iter().filter(|family| self.swarm.allows(family.name()))
    }

    /// Plans the visit of a slot at its start.
    fn visit(self: Rc<Self>, index: u64) {
        let at = self.start.saturating_add(index.saturating_mul(nanos(self.swarm.slot)));
        if at >= self.until {
            return self.check_names();
        }
        let name = root(Kind::Phase, h(text("nemesis"), self.number), index);
        self.sim.at_named(at, name, move |plan| plan.clone().slot_begins(index, at), self.clone());
    }

    /// A name that nobody knows would have tested nothing.
    fn check_names(&self) {
        let known = self.families();
        let named = self.swarm.only.iter().flatten().chain(&self.swarm.without);
        for name in named {
            if known.iter().all(|family| family.name() != name) {
                let known: Vec<_> = known.iter().map(|family| family.name()).collect();
                let message =
                    format!("no family of faults is called {name:?}; there are {}", known.join(", "));
                world::with(|w| w.kernel().fail(FailureKind::Error, "sim.nemesis", message));
            }
        }
    }

    fn slot_begins(self: Rc<Self>, index: u64, slot_start: u64) {
        if self.stopped.get() {
            return;
        }
        self.clone().visit(index + 1);
        if let Some(drawn) = self.draw(index, slot_start) {
            self.plan_begin(drawn);
        }
    }

    fn name(&self, index: u64) -> Name {
        root(Kind::Fault, self.number, index)
    }

    /// Whether a slot has a fault, of which family, and when.
    fn draw(&self, index: u64, slot_start: u64) -> Option<Drawn> {
        let weights: Vec<(u64, u64)> = self
            .allowed()
            .map(|f| (number_of(f.name()), u64::from(f.weight()) * self.profile.level(f.name())))
            .collect();
        let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
        let calm = if total == 0 { 100 } else { 100 - self.profile.density() };
        let name = self.name(index);
        let family = decision::decide(name, Kind::Fault, self.number, |draw| {
            if below(draw, 100) < calm {
                return 0;
            }
            let mut place = below(mix(draw), total);
            let chosen = weights.iter().find(|(_, weight)| {
                let here = place < *weight;
                place = place.saturating_sub(*weight);
                here
            });
            chosen.map_or(0, |(number, _)| *number)
        });
        if family == 0 {
            return None;
        }
        let slot = nanos(self.swarm.slot);
        let at = decision::part(name, part::AT);
        let at = decision::decide(at, Kind::FaultAt, self.number, |draw| below(draw, slot));
        let from = world::with(|w| w.kernel().drawn_from());
        Some(Drawn { index, slot_start, family, at: slot_start.saturating_add(at), from })
    }

    fn plan_begin(self: Rc<Self>, drawn: Drawn) {
        if drawn.at < self.until {
            let name = self.name(drawn.index);
            self.sim.at_named(drawn.at, name, move |plan| plan.clone().instant(drawn), self.clone());
        }
    }

    /// The instant of a fault has come.
    fn instant(self: Rc<Self>, drawn: Drawn) {
        if self.stopped.get() {
            return;
        }
        if let Some(drawn) = self.clone().still(drawn) {
            self.choose_moment(drawn);
        }
    }

    /// What was drawn, or, when the run was re-seeded since, what is drawn anew; `None` when that comes later or never.
    fn still(self: Rc<Self>, drawn: Drawn) -> Option<Drawn> {
        if world::with(|w| w.kernel().drawn_from()) == drawn.from {
            return Some(drawn);
        }
        let again = self.draw(drawn.index, drawn.slot_start)?;
        if again.at > nanos(self.sim.elapsed()) {
            self.plan_begin(again);
            return None;
        }
        Some(again)
    }

    /// The wait for a moment of danger is over.
    fn waited(self: Rc<Self>, drawn: Drawn, node: Option<Node>) {
        let Some(drawn) = self.clone().still(drawn) else { return };
        if let Some(family) = self.family(drawn.family) {
            self.begin(&*family, drawn.index, node);
        }
    }

    fn family(&self, number: u64) -> Option<Rc<dyn Family>> {
        self.allowed().find(|family| number_of(family.name()) == number)
    }

    /// Begins the fault, or has it wait for a moment of danger, until the end of its slot at most.
    fn choose_moment(self: Rc<Self>, drawn: Drawn) {
        let Some(family) = self.family(drawn.family) else { return };
        let windows = family.windows();
        let n = windows.len() as u64;
        let name = self.name(drawn.index);
        let chosen = match n {
            0 => 0,
            _ => decision::decide(decision::part(name, part::WINDOW), Kind::FaultArg, self.number, |draw| {
                if draw >> 63 == 0 { 0 } else { 1 + below(draw << 1, n) }
            }),
        };
        let Some(&window) = chosen.checked_sub(1).and_then(|i| windows.get(i as usize)) else {
            return self.begin(&*family, drawn.index, None);
        };
        let nodes = ids(&self.targets());
        let waits = self.clone();
        world::with(|w| {
            let action = Box::new(move || {
                let node = world::with(|w| w.kernel().sprung(name));
                let node = node.map(|id| waits.sim.nodes()[id.0 as usize]);
                waits.clone().waited(drawn, node);
            });
            if let Some(key) = w.add_action(action) {
                w.kernel().arm(window, nodes, name, key);
            }
        });
        let end = (drawn.slot_start.saturating_add(nanos(self.swarm.slot))).min(self.until - 1);
        let timeout = decision::part(decision::part(name, part::WINDOW), 1);
        let late = move |plan: &Rc<Plan>| {
            let waited = world::with(|w| {
                let key = w.kernel().disarm(name);
                key.and_then(|key| w.take_action(key))
            });
            if waited.is_some() {
                plan.clone().waited(drawn, None);
            }
        };
        self.sim.at_named(end, timeout, late, self.clone());
    }

    /// The nodes that faults may be about.
    fn targets(&self) -> Vec<Node> {
        let all = self.sim.nodes().into_iter().filter(|node| node.id() != NodeId::HARNESS);
        match &self.swarm.targets {
            Some(names) => all.filter(|node| names.contains(&node.name())).collect(),
            None => all.collect(),
        }
    }

    /// Injects a fault, as far as the tolerance allows.
    fn begin(self: Rc<Self>, family: &dyn Family, index: u64, sprung: Option<Node>) {
        let nodes = self.targets();
        if self.stopped.get() || nodes.is_empty() {
            return;
        }
        let name = self.name(index);
        let level = self.profile.level(family.name()).max(1);
        let prefer = &self.swarm.prefer;
        let slot = Slot { name, index: self.number, nodes: &nodes, level, prefer, sprung, row: Cell::new(0) };
        let Some(first) = family.plan(&slot) else { return };
        if let Some(why) = self.rest(family, &first) {
            return self.veto(family, index, first, why);
        }
        let (injection, fate) = match self.excess(&first.takes) {
            None => (first, Fate::Injected),
            Some(excess) => {
                let why = excess.to_string();
                match family.weaker(&slot).filter(|weaker| self.excess(&weaker.takes).is_none()) {
                    Some(weaker) => (weaker, Fate::Downgraded(format!("from {}: {why}", told(&first)))),
                    None => return self.veto(family, index, first, why),
                }
            }
        };
        let (least, most) = family.lasts().into_inner();
        let length = decision::part(name, part::LENGTH);
        let more = nanos(most).saturating_sub(nanos(least));
        let more = decision::decide(length, Kind::FaultLen, self.number, |draw| below(draw, more + 1));
        let lasts = nanos(least).saturating_add(more);
        let Injection { target, nodes, parameters, takes, begin } = injection;
        let particulars = Particulars { target, nodes: nodes.clone(), parameters };
        let id = world::with(|w| {
            let mut kernel = w.kernel();
            let id = kernel.fault_added(family.name().into(), Some(index), particulars, fate);
            kernel.faults_under(Some(id));
            id
        });
        let end = begin(name);
        world::with(|w| {
            w.kernel().faults_under(None);
            let mut nemesis = w.nemesis.borrow_mut();
            nemesis.lost.wiped.extend(&takes.wiped);
            nemesis.lost.corrupt.extend(&takes.corrupt);
            let (family, rests) = (family.name(), family.rests());
            nemesis.active.push(Active { id, name, family, rests, nodes, takes, end });
        });
        let now = nanos(self.sim.elapsed());
        let at = now.saturating_add(lasts).min(self.until).max(now);
        self.sim.at_named(at, decision::part(name, part::END), move |_| end_one(id), self.clone());
    }

    fn veto(&self, family: &dyn Family, index: u64, injection: Injection, why: String) {
        let Injection { target, nodes, parameters, .. } = injection;
        let particulars = Particulars { target, nodes, parameters };
        world::with(|w| {
            w.kernel().fault_added(family.name().into(), Some(index), particulars, Fate::Vetoed(why));
        });
    }

    /// Why a family is to leave these nodes alone for now: one of its faults is on there, or was until just now.
    fn rest(&self, family: &dyn Family, injection: &Injection) -> Option<String> {
        let now = nanos(self.sim.elapsed());
        let touches =
            |nodes: &[NodeId]| nodes.is_empty() || nodes.iter().any(|node| injection.nodes.contains(node));
        world::with(|w| {
            let mut nemesis = w.nemesis.borrow_mut();
            nemesis.resting.retain(|(_, _, until)| *until > now);
            let is_on = nemesis.active.iter().any(|a| a.family == family.name() && touches(&a.nodes));
            if is_on {
                return Some("one of its family is on".to_string());
            }
            let rests =
                nemesis.resting.iter().find(|(name, nodes, _)| *name == family.name() && touches(nodes));
            rests.map(|(.., until)| format!("rests until {:?}", Duration::from_nanos(*until)))
        })
    }

    /// What would be too much with this on top of all that is wrong now.
    fn excess(&self, takes: &Takes) -> Option<Excess> {
        world::with(|w| {
            let nemesis = w.nemesis.borrow();
            let mut groups: Vec<_> =
                nemesis.groups().map(|group| (members(w, group), group.tolerance.clone())).collect();
            // Who is in no group may lose no data.
            let mut others = members(w, &Group { nodes: None, tolerance: Tolerance::new() });
            others.retain(|node| groups.iter().all(|(of_group, _)| !of_group.contains(node)));
            groups.push((others, Tolerance::new()));
            groups.iter().find_map(|(of_group, tolerance)| {
                let mut trouble = trouble(w, &nemesis, of_group);
                trouble.add(takes, of_group);
                trouble.exceeds(tolerance)
            })
        })
    }
}

fn told(injection: &Injection) -> String {
    let particulars: Vec<String> = injection.parameters.iter().map(ToString::to_string).collect();
    match particulars.is_empty() {
        true => injection.target.clone(),
        false => format!("{} ({})", injection.target, particulars.join(", ")),
    }
}

/// Ends a fault, unless it has ended.
fn end_one(id: FaultId) {
    let active = world::with(|w| {
        let mut nemesis = w.nemesis.borrow_mut();
        let i = nemesis.active.iter().position(|active| active.id == id)?;
        let active = nemesis.active.remove(i);
        let until = w.kernel().now().saturating_add(nanos(active.rests));
        nemesis.resting.push((active.family, active.nodes.clone(), until));
        Some(active)
    });
    let Some(active) = active else { return };
    world::with(|w| w.kernel().faults_under(Some(id)));
    (active.end)();
    world::with(|w| {
        let mut kernel = w.kernel();
        kernel.faults_under(None);
        kernel.fault_closed(id);
    });
}

/// Plans nothing more, and ends what is on, except what is about none but the nodes that are to `stay` broken: that goes
/// on for good.
pub(super) fn stop(stay: &BTreeSet<NodeId>) {
    let (ending, kept): (Vec<_>, Vec<_>) = world::with(|w| {
        let nemesis = w.nemesis.borrow();
        nemesis.plans.iter().for_each(|plan| plan.stopped.set(true));
        let stays = |a: &Active| !a.nodes.is_empty() && a.nodes.iter().all(|node| stay.contains(node));
        let kept: Vec<Name> = nemesis.active.iter().filter(|a| stays(a)).map(|a| a.name).collect();
        let ending = nemesis.active.iter().filter(|a| !stays(a)).map(|a| a.id).collect::<Vec<_>>();
        (ending, kept)
    });
    ending.into_iter().for_each(end_one);
    // Their ends are never called.
    world::with(|w| {
        let mut nemesis = w.nemesis.borrow_mut();
        let (for_good, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut nemesis.active).into_iter().partition(|a| kept.contains(&a.name));
        nemesis.active = rest;
        nemesis.for_good.extend(for_good);
    });
}

impl Sim {
    /// Has `action` called with `plan` at a time, as an event of this name.
    fn at_named(&self, at: u64, name: Name, action: impl FnOnce(&Rc<Plan>) + 'static, plan: Rc<Plan>) {
        let now = nanos(self.elapsed());
        then(name, Duration::from_nanos(at.saturating_sub(now)), move || action(&plan));
    }
}
