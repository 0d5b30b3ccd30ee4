//! Partitions and clogs as tests hold them: they end when they are dropped.

use super::topology::{Barrier, BarrierId, Side};
use crate::network::{Net, op, op_on_drop};
use sim_core::Event;
use sim_core::kernel::Kernel;
use sim_core::world::WorldId;

/// A partition. It heals when this is dropped, or by `sim.heal()`.
#[derive(Debug)]
#[must_use = "the partition heals when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct Partition(Guard);

impl Partition {
    /// Loses what goes between the sides of each pair, both ways.
    #[track_caller]
    pub(super) fn begin(between: Vec<(Side, Side)>) -> Self {
        Partition(Guard::raise(Barrier { between, both_ways: true, holds: false }))
    }

    /// Only what goes from the left to the right is lost.
    #[must_use = "the partition heals when this is dropped"]
    pub fn one_way(self) -> Self {
        self.0.edit(|barrier| barrier.both_ways = false);
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
    pub(super) fn begin(from: Side, to: Side, both_ways: bool) -> Self {
        Clog(Guard::raise(Barrier { between: vec![(from, to)], both_ways, holds: true }))
    }

    /// The opposite direction too.
    #[must_use = "the clog is released when this is dropped"]
    pub fn both(self) -> Self {
        self.0.edit(|barrier| barrier.both_ways = true);
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
    fn raise(barrier: Barrier) -> Self {
        op(|net, k| {
            let what = if barrier.holds { "net.clog" } else { "net.partition" };
            let id = net.topology.add_barrier(barrier);
            net.barrier_changed(k);
            k.record(|| Event::new(what, format!("barrier {id} begins")));
            Guard { world: k.world(), id }
        })
    }

    fn edit(&self, edit: impl FnOnce(&mut Barrier)) {
        op_on_drop(self.world, |net, k| {
            net.topology.edit_barrier(self.id, edit);
            net.barrier_changed(k);
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        op_on_drop(self.world, |net, k| {
            if net.topology.remove_barrier(self.id) {
                net.release(k);
                k.record(|| Event::new("net.healed", format!("barrier {} ends", self.id)));
            }
        });
    }
}

impl Net {
    fn barrier_changed(&mut self, k: &mut Kernel) {
        self.barrier_rose(k);
        self.release(k);
    }
}
