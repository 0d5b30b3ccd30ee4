//! The world as oracles see it: from outside, without touching anything.

use crate::fault::Fault;
use crate::fs::{DiskExt, Snapshot};
use crate::node::{Holdings, Node, NodeId};
use crate::world;
use crate::{Sim, Stats};
use std::io;
use std::path::Path;
use std::time::Duration;

/// The world at the end of a step: what an invariant looks at besides the state that its test shares with the services.
#[derive(Debug)]
pub struct View {
    sim: Sim,
    step: u64,
}

impl View {
    pub(super) fn new(sim: Sim, step: u64) -> View {
        View { sim, step }
    }

    /// World time since the start of the run.
    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// The number of the step that has just ended: polls of tasks, events, and what tests stamp, counted from
    /// the start of the run.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// A node.
    ///
    /// # Panics
    /// If none has this name; in an invariant that is a violation like that of an assertion.
    #[track_caller]
    pub fn node(&self, name: &str) -> NodeView {
        let known = world::with(|w| w.kernel().by_name(name));
        match known {
            Some(id) => NodeView(Node::new_here(id)),
            None => {
                let names: Vec<String> = self.nodes().into_iter().map(|node| node.name()).collect();
                panic!("no node is called {name:?}; there are {}", names.join(", "))
            }
        }
    }

    /// All nodes but the harness, in the order of declaration.
    pub fn nodes(&self) -> Vec<NodeView> {
        let all = self.sim.nodes().into_iter().filter(|node| node.id() != NodeId::HARNESS);
        all.map(NodeView).collect()
    }

    /// Every fault that was injected or vetoed so far, in the order of their start. It is a copy: where there are many
    /// faults, [`faults_on`](View::faults_on) is cheaper.
    pub fn faults(&self) -> Vec<Fault> {
        self.sim.faults()
    }

    /// The faults that are on.
    pub fn faults_on(&self) -> Vec<Fault> {
        let on = |fault: &&Fault| fault.happened() && fault.end.is_none();
        world::with(|w| w.kernel().faults().iter().filter(on).cloned().collect())
    }

    /// What the run has counted so far.
    pub fn stats(&self) -> Stats {
        self.sim.stats()
    }
}

/// A node as oracles see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeView(Node);

impl NodeView {
    /// Its name.
    pub fn name(self) -> String {
        self.0.name()
    }

    /// Whether it has power.
    pub fn is_up(self) -> bool {
        self.0.is_up()
    }

    /// Whether its program has started and has not ended.
    pub fn is_running(self) -> bool {
        self.0.is_running()
    }

    /// Whether its process or the whole machine stands still.
    pub fn is_still(self) -> bool {
        self.0.is_still()
    }

    /// By how much its wall clock is ahead of the world's, ns.
    pub fn clock_off(self) -> i128 {
        world::with(|w| w.kernel().clock_off(self.0.id()))
    }

    /// What it holds of its limited resources.
    pub fn holdings(self) -> Holdings {
        self.0.holdings()
    }

    /// The content of a file of its disk, as programs see it.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn read(self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.0.disk().read(path)
    }

    /// Everything on its disk, as programs see it.
    pub fn snapshot(self) -> Snapshot {
        self.0.disk().snapshot()
    }

    /// Everything that is on its disk for certain: what a power cut in the strictest model leaves.
    pub fn durable(self) -> Snapshot {
        self.0.disk().durable()
    }
}
