//! Which parameters a packet meets on its way: the most specific of pair, zone pair and default, and whether a
//! partition or a clog lies across it.
//!
//! Cost follows packets. What is configured is a handful of rules; the path of an ordered pair is worked out when
//! its first packet goes, and forgotten when a rule changes. While there are no rules at all, nothing is looked up.

use super::latency::Latency;
use sim_core::NodeId;
use sim_core::fault::{FaultId, Particulars};
use sim_core::hash::Map;
use sim_core::kernel::Kernel;
use std::collections::BTreeMap;

/// What one direction between two machines does to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub latency: Latency,
    pub loss_ppm: u32,
    pub duplication_ppm: u32,
    pub reordering_ppm: u32,
    /// By how much a packet that is reordered is late at most, ns.
    pub reordering_by: u64,
    pub corruption_ppm: u32,
    /// Which share of the corrupted datagrams the checksum lets through, in 2^-32.
    pub undetected: u64,
    /// Bits a second; 0 is unlimited.
    pub bandwidth: u64,
    /// How many bytes may wait for their turn on a link of limited bandwidth.
    pub queue: u64,
    /// The largest packet, IP header included, bytes.
    pub mtu: u32,
    /// A partition: everything is lost.
    pub cut: bool,
    /// A clog: everything waits until it is released.
    pub held: bool,
    /// A fault makes its packets take longer.
    pub late: bool,
    /// Whether anything but latency matters; kept by `refresh`.
    pub rough: bool,
}

impl Path {
    fn refresh(mut self) -> Self {
        let shares = self.loss_ppm | self.duplication_ppm | self.reordering_ppm | self.corruption_ppm;
        self.rough = self.cut || self.held || self.late || shares > 0 || self.bandwidth > 0;
        self
    }
}

/// The parameters that a rule sets; the others come from the next less specific rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub latency: Option<Latency>,
    pub loss_ppm: Option<u32>,
    pub duplication_ppm: Option<u32>,
    /// With the most that a packet is late by, ns.
    pub reordering: Option<(u32, u64)>,
    pub corruption_ppm: Option<u32>,
    pub undetected: Option<u64>,
    pub bandwidth: Option<u64>,
    pub queue: Option<u64>,
    pub mtu: Option<u32>,
}

impl Parameters {
    /// Takes over what `other` sets.
    pub fn merge(&mut self, other: &Parameters) {
        let old = *self;
        *self = Parameters {
            latency: other.latency.or(old.latency),
            loss_ppm: other.loss_ppm.or(old.loss_ppm),
            duplication_ppm: other.duplication_ppm.or(old.duplication_ppm),
            reordering: other.reordering.or(old.reordering),
            corruption_ppm: other.corruption_ppm.or(old.corruption_ppm),
            undetected: other.undetected.or(old.undetected),
            bandwidth: other.bandwidth.or(old.bandwidth),
            queue: other.queue.or(old.queue),
            mtu: other.mtu.or(old.mtu),
        };
    }

    fn apply(&self, path: &mut Path) {
        let (reordering_ppm, reordering_by) =
            self.reordering.unwrap_or((path.reordering_ppm, path.reordering_by));
        *path = Path {
            latency: self.latency.unwrap_or(path.latency),
            loss_ppm: self.loss_ppm.unwrap_or(path.loss_ppm),
            duplication_ppm: self.duplication_ppm.unwrap_or(path.duplication_ppm),
            reordering_ppm,
            reordering_by,
            corruption_ppm: self.corruption_ppm.unwrap_or(path.corruption_ppm),
            undetected: self.undetected.unwrap_or(path.undetected),
            bandwidth: self.bandwidth.unwrap_or(path.bandwidth),
            queue: self.queue.unwrap_or(path.queue),
            mtu: self.mtu.unwrap_or(path.mtu),
            ..*path
        };
    }
}

/// Where a rule holds: one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Default,
    Zones(ZoneId, ZoneId),
    Pair(NodeId, NodeId),
}

impl Scope {
    pub fn reverse(self) -> Self {
        match self {
            Scope::Default => Scope::Default,
            Scope::Zones(a, b) => Scope::Zones(b, a),
            Scope::Pair(a, b) => Scope::Pair(b, a),
        }
    }
}

/// Index of a zone, in the order of declaration.
pub(crate) type ZoneId = u32;

/// Machines, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    These(Vec<NodeId>),
    AllBut(Vec<NodeId>),
}

impl Side {
    pub fn contains(&self, node: NodeId) -> bool {
        match self {
            Side::These(nodes) => nodes.binary_search(&node).is_ok(),
            Side::AllBut(nodes) => nodes.binary_search(&node).is_err(),
        }
    }
}

/// A partition or a clog.
#[derive(Clone, Debug)]
pub(crate) struct Barrier {
    /// From the first of a pair to the second.
    pub between: Vec<(Side, Side)>,
    pub both_ways: bool,
    pub holds: bool,
    /// Its entry in the fault log.
    pub fault: FaultId,
}

impl Barrier {
    fn lies_across(&self, from: NodeId, to: NodeId) -> bool {
        let one_way = |from, to| self.between.iter().any(|(a, b)| a.contains(from) && b.contains(to));
        one_way(from, to) || self.both_ways && one_way(to, from)
    }
}

/// What can happen to a packet that a fault is to blame for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Cut,
    Held,
    Late,
    Lost,
    Duplicated,
    Reordered,
    Corrupted,
}

/// What the nemesis does to links on top of their parameters.
#[derive(Clone, Debug)]
pub(crate) struct Disturbance {
    pub between: Vec<(Side, Side)>,
    pub what: What,
    /// What at least holds.
    pub change: Parameters,
    pub fault: FaultId,
}

impl Disturbance {
    /// Both ways: it is about the link.
    fn covers(&self, from: NodeId, to: NodeId) -> bool {
        let one_way = |from, to| self.between.iter().any(|(a, b)| a.contains(from) && b.contains(to));
        one_way(from, to) || one_way(to, from)
    }

    fn apply(&self, path: &mut Path) {
        let change = &self.change;
        path.loss_ppm = path.loss_ppm.max(change.loss_ppm.unwrap_or(0));
        path.duplication_ppm = path.duplication_ppm.max(change.duplication_ppm.unwrap_or(0));
        path.corruption_ppm = path.corruption_ppm.max(change.corruption_ppm.unwrap_or(0));
        if let Some((ppm, by)) = change.reordering.filter(|(ppm, _)| *ppm > path.reordering_ppm) {
            (path.reordering_ppm, path.reordering_by) = (ppm, by);
        }
        if let Some(latency) = change.latency
            && latency.least_nanos() > path.latency.least_nanos()
        {
            path.latency = latency;
            path.late = true;
        }
    }
}

/// Numbers a barrier for its guard; never reused within a world.
pub(crate) type BarrierId = u64;

/// The rules.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(super) base: Path,
    /// No rule but the default one exists.
    pub(super) plain: bool,
    pairs: Map<(NodeId, NodeId), Parameters>,
    zone_pairs: Map<(ZoneId, ZoneId), Parameters>,
    zone_names: BTreeMap<String, ZoneId>,
    zones: Map<NodeId, ZoneId>,
    barriers: BTreeMap<BarrierId, Barrier>,
    last_barrier: BarrierId,
    disturbances: Vec<Disturbance>,
    /// Which settings of the test's own are faults.
    standing: Vec<(Scope, What, FaultId)>,
    /// The latency of each rule whose latency was changed in the middle of the run, before that.
    calm: Vec<(Scope, Latency)>,
    /// The paths that packets have taken since the last change.
    paths: Map<(NodeId, NodeId), Path>,
    /// Until when each link of limited bandwidth that was used is busy, ns.
    pub(super) busy: Map<(NodeId, NodeId), u64>,
    pub mishaps: Mishaps,
}

/// How often links did to packets what links should not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mishaps {
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupted: u64,
}

impl Default for Topology {
    fn default() -> Self {
        Topology {
            base: default_path(),
            plain: true,
            pairs: Map::default(),
            zone_pairs: Map::default(),
            zone_names: BTreeMap::new(),
            zones: Map::default(),
            barriers: BTreeMap::new(),
            last_barrier: 0,
            disturbances: Vec::new(),
            standing: Vec::new(),
            calm: Vec::new(),
            paths: Map::default(),
            busy: Map::default(),
            mishaps: Mishaps::default(),
        }
    }
}

/// Uniform latency of 1–10 ms, no loss, no limit.
fn default_path() -> Path {
    let ms = std::time::Duration::from_millis;
    Path {
        latency: Latency::from(ms(1)..=ms(10)),
        loss_ppm: 0,
        duplication_ppm: 0,
        reordering_ppm: 0,
        reordering_by: 1,
        corruption_ppm: 0,
        undetected: (1 << 32) / 65_536,
        bandwidth: 0,
        queue: 256 << 10,
        mtu: 1500,
        cut: false,
        held: false,
        late: false,
        rough: false,
    }
}

impl Topology {
    /// Forgets every rule but keeps the memory.
    pub fn reset(&mut self) {
        self.base = default_path();
        self.plain = true;
        self.pairs.clear();
        self.zone_pairs.clear();
        self.zone_names.clear();
        self.zones.clear();
        self.barriers.clear();
        self.last_barrier = 0;
        self.disturbances.clear();
        self.standing.clear();
        self.calm.clear();
        self.paths.clear();
        self.busy.clear();
        self.mishaps = Mishaps::default();
    }

    /// What a packet from `from` to `to` meets now.
    #[inline]
    pub fn path(&mut self, from: NodeId, to: NodeId) -> Path {
        if self.plain {
            return self.base;
        }
        match self.paths.get(&(from, to)) {
            Some(path) => *path,
            None => self.work_out(from, to),
        }
    }

    /// Whether a partition or a clog lies across this direction; free while there are none.
    #[inline(always)]
    pub fn blocked(&mut self, from: NodeId, to: NodeId) -> bool {
        if self.barriers.is_empty() || from == to {
            return false;
        }
        let path = self.path(from, to);
        path.cut || path.held
    }

    #[cold]
    fn work_out(&mut self, from: NodeId, to: NodeId) -> Path {
        let mut path = self.base;
        if let (Some(&a), Some(&b)) = (self.zones.get(&from), self.zones.get(&to))
            && let Some(parameters) = self.zone_pairs.get(&(a, b))
        {
            parameters.apply(&mut path);
        }
        if let Some(parameters) = self.pairs.get(&(from, to)) {
            parameters.apply(&mut path);
        }
        for barrier in self.barriers.values().filter(|b| b.lies_across(from, to)) {
            path.held |= barrier.holds;
            path.cut |= !barrier.holds;
        }
        self.disturbances.iter().filter(|d| d.covers(from, to)).for_each(|d| d.apply(&mut path));
        path.late |= self.standing.iter().any(|s| s.1 == What::Late && self.applies(s.0, from, to));
        let path = path.refresh();
        self.paths.insert((from, to), path);
        path
    }

    fn changed(&mut self) {
        self.paths.clear();
        let rules = self.pairs.len() + self.zone_pairs.len() + self.barriers.len() + self.disturbances.len();
        self.plain = rules == 0 && self.standing.iter().all(|standing| standing.1 != What::Late);
    }

    /// Sets parameters of one direction.
    pub fn set(&mut self, scope: Scope, parameters: &Parameters) {
        match scope {
            Scope::Default => {
                parameters.apply(&mut self.base);
                self.base = self.base.refresh();
            }
            Scope::Zones(a, b) => self.zone_pairs.entry((a, b)).or_default().merge(parameters),
            Scope::Pair(a, b) => self.pairs.entry((a, b)).or_default().merge(parameters),
        }
        self.changed();
    }

    /// Puts nodes into a zone (out of the one that they were in) and gives its id.
    pub fn zone(&mut self, name: &str, nodes: &[NodeId]) -> ZoneId {
        let next = self.zone_names.len() as ZoneId;
        let id = *self.zone_names.entry(name.into()).or_insert(next);
        for &node in nodes {
            self.zones.insert(node, id);
        }
        self.changed();
        id
    }

    /// The zone of a node; those that were put into none share one.
    pub fn zone_of(&self, node: NodeId) -> Option<ZoneId> {
        self.zones.get(&node).copied()
    }

    /// The zone of a name.
    pub fn find_zone(&self, name: &str) -> Option<ZoneId> {
        self.zone_names.get(name).copied()
    }

    /// The names of the zones.
    pub fn zone_names(&self) -> impl Iterator<Item = &str> {
        self.zone_names.keys().map(String::as_str)
    }

    pub fn add_barrier(&mut self, barrier: Barrier) -> BarrierId {
        self.last_barrier += 1;
        self.barriers.insert(self.last_barrier, barrier);
        self.changed();
        self.last_barrier
    }

    /// Edits a barrier that still stands.
    pub fn edit_barrier(&mut self, id: BarrierId, edit: impl FnOnce(&mut Barrier)) -> Option<&Barrier> {
        if let Some(barrier) = self.barriers.get_mut(&id) {
            edit(barrier);
        }
        self.changed();
        self.barriers.get(&id)
    }

    /// The barrier, if it stood.
    pub fn remove_barrier(&mut self, id: BarrierId) -> Option<Barrier> {
        let stood = self.barriers.remove(&id);
        self.changed();
        stood
    }

    /// Takes all barriers away; gives their faults.
    pub fn clear_barriers(&mut self) -> Vec<FaultId> {
        let faults = std::mem::take(&mut self.barriers).into_values().map(|barrier| barrier.fault).collect();
        self.changed();
        faults
    }

    /// Adds what the nemesis does to links.
    pub fn disturb(&mut self, disturbance: Disturbance) {
        self.disturbances.push(disturbance);
        self.changed();
    }

    /// Takes back what a fault does to links.
    pub fn undisturb(&mut self, fault: FaultId) {
        self.disturbances.retain(|disturbance| disturbance.fault != fault);
        self.changed();
    }

    /// Something has happened to a packet because of a fault: a partition, a clog, a disturbance, or a parameter that
    /// the test changed. The cost is paid by packets that something happens to.
    #[cold]
    pub fn credit(&self, k: &mut Kernel, from: NodeId, to: NodeId, what: What) {
        for barrier in self.barriers.values().filter(|b| b.lies_across(from, to)) {
            if what == if barrier.holds { What::Held } else { What::Cut } {
                k.fault_effect(barrier.fault);
            }
        }
        for disturbance in self.disturbances.iter().filter(|d| d.covers(from, to) && d.what == what) {
            k.fault_effect(disturbance.fault);
        }
        for (scope, of, fault) in &self.standing {
            if *of == what && self.applies(*scope, from, to) {
                k.fault_effect(*fault);
            }
        }
    }

    /// The latency that holds for a rule, and the one that did when none of its changes was a fault.
    pub fn calm_latency(&mut self, scope: Scope) -> Latency {
        let set = match scope {
            Scope::Default => None,
            Scope::Zones(a, b) => self.zone_pairs.get(&(a, b)).and_then(|p| p.latency),
            Scope::Pair(a, b) => self.pairs.get(&(a, b)).and_then(|p| p.latency),
        };
        let now = set.unwrap_or(self.base.latency);
        match self.calm.iter().find(|(known, _)| *known == scope) {
            Some((_, calm)) => *calm,
            None => {
                self.calm.push((scope, now));
                now
            }
        }
    }

    /// Where a rule holds, for the fault log.
    pub fn told(&self, k: &Kernel, scope: Scope) -> Particulars {
        let node = |node: NodeId| k.machine(node).name.to_string();
        let zone = |id: ZoneId| {
            let name = self.zone_names.iter().find(|(_, zone)| **zone == id).map(|(name, _)| name.as_str());
            name.unwrap_or_default().to_string()
        };
        let (target, nodes) = match scope {
            Scope::Default => ("all links".to_string(), Vec::new()),
            Scope::Zones(a, b) => (format!("zone {} to zone {}", zone(a), zone(b)), Vec::new()),
            Scope::Pair(a, b) => (format!("{} to {}", node(a), node(b)), vec![a, b]),
        };
        Particulars { target, nodes, parameters: Vec::new() }
    }

    fn applies(&self, scope: Scope, from: NodeId, to: NodeId) -> bool {
        match scope {
            Scope::Default => true,
            Scope::Zones(a, b) => self.zones.get(&from) == Some(&a) && self.zones.get(&to) == Some(&b),
            Scope::Pair(a, b) => (a, b) == (from, to),
        }
    }

    /// The fault that a test's own setting of a link is, replaced by another or by none; gives the one that ends.
    pub fn stand(&mut self, scope: Scope, what: What, fault: Option<FaultId>) -> Option<FaultId> {
        let before = self.standing.iter().position(|s| (s.0, s.1) == (scope, what));
        let ended = before.map(|i| self.standing.swap_remove(i).2);
        self.standing.extend(fault.map(|fault| (scope, what, fault)));
        self.changed();
        ended
    }

    /// How many ordered pairs have state: what the memory of this follows.
    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.paths.len() + self.busy.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn latency(ms: u64) -> Parameters {
        Parameters { latency: Some(Latency::constant(Duration::from_millis(ms))), ..Parameters::default() }
    }

    fn least(t: &mut Topology, from: NodeId, to: NodeId) -> u64 {
        t.path(from, to).latency.least_nanos() / 1_000_000
    }

    #[test]
    fn the_most_specific_rule_wins_for_each_parameter_alone() {
        let mut t = Topology::default();
        assert_eq!(least(&mut t, A, B), 1);
        let eu = t.zone("eu", &[A]);
        let us = t.zone("us", &[B]);
        t.set(Scope::Default, &latency(2));
        t.set(Scope::Zones(eu, us), &Parameters { loss_ppm: Some(7), ..latency(40) });
        t.set(Scope::Pair(A, B), &latency(3));
        let path = t.path(A, B);
        assert_eq!((least(&mut t, A, B), path.loss_ppm, path.rough), (3, 7, true));
        assert_eq!((least(&mut t, B, A), least(&mut t, A, C)), (2, 2), "directions are separate");
        // A change is seen by the next packet.
        t.set(Scope::Pair(A, B), &latency(9));
        assert_eq!(least(&mut t, A, B), 9);
    }

    #[test]
    fn barriers_add_up_and_end_one_by_one() {
        let mut t = Topology::default();
        let cut = |from: &[NodeId], to: &[NodeId], both_ways| Barrier {
            between: vec![(Side::These(from.into()), Side::These(to.into()))],
            both_ways,
            holds: false,
            fault: FaultId(0),
        };
        let first = t.add_barrier(cut(&[A], &[B], true));
        let second = t.add_barrier(cut(&[A], &[B], false));
        assert!(t.blocked(A, B) && t.blocked(B, A) && !t.blocked(A, C));
        assert!(t.remove_barrier(first).is_some() && t.remove_barrier(first).is_none());
        assert!(t.blocked(A, B) && !t.blocked(B, A), "the one-way partition still stands");
        t.remove_barrier(second);
        assert!(!t.blocked(A, B) && t.plain);
    }

    #[test]
    fn isolation_reaches_machines_that_come_later() {
        let mut t = Topology::default();
        let all_but = Side::AllBut(vec![A]);
        let between = vec![(Side::These(vec![A]), all_but)];
        let isolate = Barrier { between, both_ways: true, holds: false, fault: FaultId(0) };
        t.add_barrier(isolate);
        assert!(t.blocked(A, NodeId(99)) && t.blocked(NodeId(99), A) && !t.blocked(B, C));
    }

    #[test]
    fn links_that_nobody_uses_cost_nothing() {
        let mut t = Topology::default();
        for i in 0..1000 {
            t.set(Scope::Pair(NodeId(i), NodeId(i + 1)), &latency(5));
        }
        t.path(A, B);
        assert_eq!(t.remembered(), 1);
    }
}
