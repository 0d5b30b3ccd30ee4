//! What the shrinker edits: a run as the decisions in it that are not boring.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sim_core::Deviation;
use sim_core::decision::{Kind, Name, part};
use sim_core::hash::h;

/// Particulars of an operation or fault have numbers below this.
pub(super) const PARTS: u64 = 128;
/// The particular that is the instant, of operations and of faults.
pub(super) const INSTANT: u64 = 1;
/// The particular of a fault that says for which moment of danger it waits.
pub(super) const WINDOW: u64 = 6;

/// A run: the seed of its application randomness, and its decisions that are not boring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) decisions: BTreeMap<Name, Deviation>,
}

/// What a reader must hold in mind: instants and arguments belong to their operation or fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Faults of the plan.
    pub faults: usize,
    /// Operations of clients.
    pub operations: usize,
    /// Everything else that went another way: lost packets, delays, orders of tasks.
    pub others: usize,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |n: usize, what: &str| match n {
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        };
        let (operations, faults) = (counted(self.operations, "operation"), counted(self.faults, "fault"));
        write!(f, "{operations}, {faults}, {} other", self.others)
    }
}

/// Whether a decision is about the course of events alone, not about what is done.
pub(super) fn is_noise(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Op
            | Kind::At
            | Kind::Arg
            | Kind::Strategy
            | Kind::Fault
            | Kind::FaultAt
            | Kind::FaultLen
            | Kind::FaultArg
    )
}

impl Scenario {
    pub(crate) fn new(seed: u64, decisions: impl IntoIterator<Item = Deviation>) -> Scenario {
        let listed = decisions.into_iter().filter(|decision| decision.value != 0);
        Scenario { seed, decisions: listed.map(|decision| (decision.name, decision)).collect() }
    }

    pub(crate) fn size(&self) -> Size {
        let count = |f: fn(Kind) -> bool| self.decisions.values().filter(|d| f(d.kind)).count();
        Size {
            faults: count(|kind| kind == Kind::Fault),
            operations: count(|kind| kind == Kind::Op),
            others: count(is_noise),
        }
    }

    /// Tells scenarios apart.
    pub(super) fn key(&self) -> u64 {
        self.decisions.values().fold(self.seed, |key, d| h(h(key, d.name), d.value))
    }

    /// An operation or fault with its particulars, anything else alone.
    pub(super) fn group(&self, name: Name) -> Vec<Name> {
        let mut group = vec![name];
        if self.decisions.get(&name).is_some_and(|d| matches!(d.kind, Kind::Op | Kind::Fault)) {
            let parts = (1..PARTS).map(|number| part(name, number));
            group.extend(parts.filter(|part| self.decisions.contains_key(part)));
        }
        group
    }

    /// Which particular of which operation or fault a decision is.
    pub(super) fn parts(&self) -> BTreeMap<Name, (Name, u64)> {
        let roots = self.decisions.values().filter(|d| matches!(d.kind, Kind::Op | Kind::Fault));
        let parts = roots.flat_map(|d| (1..PARTS).map(|number| (part(d.name, number), (d.name, number))));
        parts.filter(|(part, _)| self.decisions.contains_key(part)).collect()
    }

    /// What is left when these are taken out, operations and faults with their particulars.
    pub(super) fn without(&self, cut: impl IntoIterator<Item = Name>) -> Scenario {
        let gone: BTreeSet<Name> = cut.into_iter().flat_map(|name| self.group(name)).collect();
        let decisions = self.decisions.iter().filter(|(name, _)| !gone.contains(name));
        Scenario { seed: self.seed, decisions: decisions.map(|(name, d)| (*name, *d)).collect() }
    }

    /// With another value for a decision; 0 takes it out.
    pub(super) fn with(&self, decision: Deviation) -> Scenario {
        let mut changed = self.clone();
        match decision.value {
            0 => changed.decisions.remove(&decision.name),
            _ => changed.decisions.insert(decision.name, decision),
        };
        changed
    }

    /// When it comes to pass, ns of virtual time.
    pub(super) fn when(&self, name: Name) -> u64 {
        self.group(name).iter().filter_map(|part| self.decisions.get(part)).map(instant).max().unwrap_or(0)
    }

    /// Those that are of this kind, the latest first.
    pub(super) fn latest_first(&self, choose: impl Fn(Kind) -> bool) -> Vec<Name> {
        let chosen = self.decisions.values().filter(|d| choose(d.kind));
        let mut names: Vec<(u64, Name)> = chosen.map(|d| (self.when(d.name), d.name)).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.into_iter().map(|(_, name)| name).collect()
    }

    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Deviation> {
        self.decisions.values().filter(move |d| d.kind == kind)
    }
}

/// When what was decided comes to pass. The instant of a fault is drawn at the start of its slot, and counts from there.
pub(super) fn instant(decision: &Deviation) -> u64 {
    match decision.kind {
        Kind::FaultAt => decision.at.saturating_add(decision.value),
        _ => decision.at,
    }
}
