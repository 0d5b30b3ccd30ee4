//! The end of the chaos: all faults, or all but what the tolerance allows.

use super::Aspect;
use super::nemesis::stop;
use super::standing::members;
use super::tolerance::Group;
use crate::Sim;
use crate::decision::{self, Kind, below, part, root};
use crate::hash::text;
use crate::node::{Node, NodeId};
use crate::world::{self, World};
use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

/// All faults have ended; awaited, the programs that died run again.
#[derive(Debug)]
pub struct Healed(Sim);

impl IntoFuture for Healed {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.0.after_this_instant("healed").await })
    }
}

/// A core has been healed; awaited, its programs run again, and it gives who is well.
#[derive(Debug)]
pub struct CoreHealed(Sim, BTreeSet<NodeId>);

impl IntoFuture for CoreHealed {
    type Output = Core;
    type IntoFuture = Pin<Box<dyn Future<Output = Core>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let CoreHealed(sim, broken) = self;
            sim.after_this_instant("core healed").await;
            let all = sim.nodes().into_iter().skip(1);
            let (broken, healthy): (Vec<Node>, Vec<Node>) = all.partition(|node| broken.contains(&node.id()));
            let names = |nodes: Vec<Node>| nodes.into_iter().map(Node::name).collect();
            Core { healthy: names(healthy), broken: names(broken) }
        })
    }
}

/// The last time that faults were ended.
#[derive(Clone, Debug)]
pub(super) struct Healing {
    /// ns of world time.
    pub(super) at: u64,
    /// Who stays broken; `None` where all were healed.
    pub(super) stay: Option<BTreeSet<NodeId>>,
}

/// What [`Sim::heal_core`] left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Core {
    /// The nodes that are well, in the order of declaration.
    pub healthy: Vec<String>,
    /// Those that stay broken for good.
    pub broken: Vec<String>,
}

impl Sim {
    /// Ends all faults: those of the nemeses, which plan nothing more, and those by hand. Partitions, clogs and faults of
    /// names end, what stands still goes on, what was killed or had its power cut starts again, clocks are right.
    ///
    /// What a test set for good stays: parameters of links, records of names, costs of polls.
    ///
    /// It happens at once. Awaited, it also lets the programs start, and makes what follows a root for the naming of
    /// decisions, so that it stays what it is when a shrinker takes something out of the chaos.
    #[track_caller]
    pub fn heal(&self) -> Healed {
        world::with(|w| w.check(self.world(), "Sim"));
        end_faults(None);
        Healed(*self)
    }

    /// Heals only a core: of each group that has a tolerance for nodes that are down, as many nodes as it allows at most,
    /// chosen by the seed, stay broken for good, without power where nothing else is wrong with them. A system that is
    /// live needs no more than the core; what hides behind a complete recovery shows.
    ///
    /// It happens at once. Awaited, it also lets the programs of the core start, and makes what follows a root for the naming
    /// of decisions, as [`heal`](Sim::heal) does.
    ///
    /// # Panics
    /// If nothing says how many nodes may be down, in [`Sim::tolerate`], [`Sim::tolerate_of`] or a swarm: a system that can do
    /// without nobody would be broken for good.
    #[track_caller]
    pub fn heal_core(&self) -> CoreHealed {
        let broken = world::with(|w| {
            w.check(self.world(), "Sim");
            choose(w)
        });
        let Some(broken) = broken else {
            panic!(
                "heal_core leaves nodes broken for good, as many as the system was declared to stand, and nothing says how \
                 many that are: declare it with sim.tolerate_of([..], Tolerance::new().down(1)) or in the swarm, or end all \
                 faults with sim.heal()"
            )
        };
        end_faults(Some(&broken));
        for &node in &broken {
            let node = Node::new_here(node);
            if node.is_up() && !node.is_still() && (node.is_running() || !node.has_program()) {
                node.power_cut();
            }
        }
        CoreHealed(*self, broken)
    }

    /// Waits until everything that is due now has happened.
    async fn after_this_instant(&self, tag: &str) {
        self.phase(tag, self.elapsed() + Duration::from_nanos(1)).await;
    }
}

/// Ends all faults, except what is wrong with the nodes that are to stay broken.
fn end_faults(stay: Option<&BTreeSet<NodeId>>) {
    let nobody = BTreeSet::new();
    stop(stay.unwrap_or(&nobody));
    mend(stay.unwrap_or(&nobody));
    world::with(|w| {
        let at = w.kernel().now();
        w.nemesis.borrow_mut().healing = Some(Healing { at, stay: stay.cloned() });
    });
}

/// The nodes that stay broken; `None` where nothing says how many may.
fn choose(w: &World) -> Option<BTreeSet<NodeId>> {
    let groups: Vec<Group> = w.nemesis.borrow().groups().cloned().collect();
    if groups.iter().all(|group| group.tolerance.down.is_none()) {
        return None;
    }
    let mut broken = BTreeSet::new();
    let in_trouble: BTreeSet<NodeId> = w.kernel().held().map(|(node, _)| node).collect();
    for (index, group) in groups.iter().enumerate() {
        let members = members(w, group);
        let already = members.intersection(&broken).count();
        let most = group.tolerance.down.unwrap_or(0).min(members.len()).saturating_sub(already) as u64;
        // Who is broken now comes first, so that the boring answers break nobody else.
        let (mut nodes, others): (Vec<_>, Vec<_>) =
            members.into_iter().filter(|n| !broken.contains(n)).partition(|node| in_trouble.contains(node));
        nodes.extend(others);
        let name = root(Kind::Phase, text("core"), index as u64);
        let draw = |number, n| {
            decision::decide(part(name, number), Kind::FaultArg, index as u64, |draw| below(draw, n))
        };
        for i in 0..draw(1, most + 1).min(most) {
            let n = nodes.len() as u64;
            broken.insert(nodes.remove(draw(2 + i, n).min(n - 1) as usize));
        }
    }
    // Another group may stand less than this one.
    groups.iter().filter(|group| group.tolerance.down.is_some()).for_each(|group| {
        let members = members(w, group);
        while members.intersection(&broken).count() > group.tolerance.down.unwrap_or(0) {
            let Some(&last) = members.intersection(&broken).last() else { return };
            broken.remove(&last);
        }
    });
    Some(broken)
}

/// Ends what faults have taken hold of, except on the nodes that are to stay broken.
fn mend(stay: &BTreeSet<NodeId>) {
    world::with(|w| w.for_subsystems(|s| s.heal(w, stay)));
    world::with(|w| w.kernel().lift_limits(stay));
    let mut held: Vec<(NodeId, Aspect)> = world::with(|w| w.kernel().held().collect());
    held.sort_by_key(|(node, _)| *node);
    for (node, aspect) in held.into_iter().filter(|(node, _)| !stay.contains(node)) {
        let node = Node::new_here(node);
        match aspect {
            Aspect::Dead => node.start(),
            Aspect::Still => node.resume(),
            Aspect::Drift => _ = node.clock().drift_ppm(0).offset(0),
            Aspect::Offset => _ = node.clock().offset(0),
            Aspect::Slow => {}
        }
    }
}
