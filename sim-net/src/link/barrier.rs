//! Partitions and clogs as tests hold them: they end when they are dropped.

use super::topology::{Barrier, BarrierId, Side};
use crate::network::{Net, op, op_on_drop};
use sim_core::NodeId;
use sim_core::fault::{Parameter, Particulars};
use sim_core::kernel::Kernel;
use sim_core::world::WorldId;

/// A partition. It heals when this is dropped, or by `sim.heal()`.
#[derive(Debug)]
#[must_use = "the partition heals when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct Partition(Guard);

impl Partition {
    /// Loses what goes between the sides of each pair, both ways.
    #[track_caller]
    pub(crate) fn begin(between: Vec<(Side, Side)>, shape: &'static str) -> Self {
        Partition(Guard::raise(between, true, Some(shape)))
    }

    /// Only what goes from the left to the right is lost.
    #[must_use = "the partition heals when this is dropped"]
    pub fn one_way(self) -> Self {
        self.0.edit("one way", |barrier| barrier.both_ways = false);
        self
    }

    /// Ends it, as dropping does.
    pub fn heal(self) {}

    /// Leaves it to `sim.heal()`.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

/// A clog. It is released when this is dropped, or by `sim.heal()`.
#[derive(Debug)]
#[must_use = "the clog is released when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct Clog(Guard);

impl Clog {
    #[track_caller]
    pub(crate) fn begin(from: Side, to: Side, both_ways: bool) -> Self {
        Clog(Guard::raise(vec![(from, to)], both_ways, None))
    }

    /// The opposite direction too.
    #[must_use = "the clog is released when this is dropped"]
    pub fn both(self) -> Self {
        self.0.edit("both ways", |barrier| barrier.both_ways = true);
        self
    }

    /// Ends it, as dropping does.
    pub fn release(self) {}

    /// Leaves it to `sim.heal()`.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

/// Ends its barrier when it is dropped.
#[derive(Debug)]
struct Guard {
    world: WorldId,
    id: BarrierId,
}

impl Guard {
    #[track_caller]
    fn raise(between: Vec<(Side, Side)>, both_ways: bool, shape: Option<&'static str>) -> Self {
        op(|net, k| {
            let what = if shape.is_some() { "partition" } else { "clog" };
            let fault = k.fault_begins(what, |k| {
                let particulars = told(k, &between);
                shape.into_iter().fold(particulars, |p, shape| p.with(Parameter::word("shape", shape)))
            });
            let id = net.topology.add_barrier(Barrier { between, both_ways, holds: shape.is_none(), fault });
            net.barrier_changed(k);
            Guard { world: k.world(), id }
        })
    }

    fn edit(&self, how: &'static str, edit: impl FnOnce(&mut Barrier)) {
        op_on_drop(self.world, |net, k| {
            if let Some(barrier) = net.topology.edit_barrier(self.id, edit) {
                k.fault_parameter(barrier.fault, Parameter::word("direction", how));
            }
            net.barrier_changed(k);
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        op_on_drop(self.world, |net, k| {
            if let Some(barrier) = net.topology.remove_barrier(self.id) {
                net.release(k);
                k.fault_ends(barrier.fault);
            }
        });
    }
}

/// Who is on which side.
pub(crate) fn told(k: &Kernel, between: &[(Side, Side)]) -> Particulars {
    let names = |nodes: &[NodeId]| {
        nodes.iter().map(|&node| k.machine(node).name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let side = |side: &Side| match side {
        Side::These(nodes) => names(nodes),
        Side::AllBut(nodes) if nodes.is_empty() => "all".to_string(),
        Side::AllBut(nodes) => format!("all but {}", names(nodes)),
    };
    let pairs: Vec<_> = between.iter().map(|(a, b)| format!("{} | {}", side(a), side(b))).collect();
    let these = |side: &Side| match side {
        Side::These(nodes) => nodes.clone(),
        Side::AllBut(_) => Vec::new(),
    };
    let mut nodes: Vec<_> = between.iter().flat_map(|(a, b)| [these(a), these(b)]).flatten().collect();
    nodes.sort_unstable();
    nodes.dedup();
    Particulars { target: pairs.join("; "), nodes, parameters: Vec::new() }
}

impl Net {
    /// Every fault of the network ends, also those that nobody holds any more.
    pub fn heal(&mut self, k: &mut Kernel) {
        let mut ended: Vec<_> = self.topology.clear_barriers();
        ended.extend(self.dns.heal());
        self.release(k);
        ended.into_iter().for_each(|fault| k.fault_ends(fault));
    }

    fn barrier_changed(&mut self, k: &mut Kernel) {
        self.barrier_rose(k);
        self.release(k);
    }
}
