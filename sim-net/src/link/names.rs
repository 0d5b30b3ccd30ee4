//! Names of nodes and zones, as tests give them.

use super::topology::ZoneId;
use crate::network::op;
use sim_core::NodeId;

/// Several names of nodes: an array, slice or vector of them, or one.
pub trait IntoNames {
    /// Calls `f` with each.
    fn each(&self, f: &mut dyn FnMut(&str));
}

impl IntoNames for &str {
    fn each(&self, f: &mut dyn FnMut(&str)) {
        f(self);
    }
}

impl<S: AsRef<str>, const N: usize> IntoNames for [S; N] {
    fn each(&self, f: &mut dyn FnMut(&str)) {
        self.iter().for_each(|s| f(s.as_ref()));
    }
}

impl<S: AsRef<str>> IntoNames for &[S] {
    fn each(&self, f: &mut dyn FnMut(&str)) {
        self.iter().for_each(|s| f(s.as_ref()));
    }
}

impl<S: AsRef<str>> IntoNames for Vec<S> {
    fn each(&self, f: &mut dyn FnMut(&str)) {
        self.iter().for_each(|s| f(s.as_ref()));
    }
}

#[track_caller]
pub(crate) fn find(name: &str) -> NodeId {
    let found = op(|_, k| {
        k.by_name(name).ok_or_else(|| {
            let known: Vec<_> =
                (0..k.machines()).map(|i| k.machine(NodeId(i as u32)).name.to_string()).collect();
            known.join(", ")
        })
    });
    match found {
        Ok(node) => node,
        Err(known) => {
            panic!("no node is called {name:?} (there are {known}): declare it with sim.node({name:?})")
        }
    }
}

/// The nodes in the order in which they are named.
#[track_caller]
pub(super) fn find_all(names: &impl IntoNames) -> Vec<NodeId> {
    // Collected first, so that the panic points at the caller.
    let mut all = Vec::new();
    names.each(&mut |name| all.push(name.to_string()));
    let mut nodes: Vec<_> = Vec::with_capacity(all.len());
    for name in &all {
        nodes.push(find(name));
    }
    nodes
}

/// The same, sorted and each once.
#[track_caller]
pub(super) fn find_set(names: &impl IntoNames) -> Vec<NodeId> {
    let mut nodes = find_all(names);
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

#[track_caller]
pub(super) fn find_zone(name: &str) -> ZoneId {
    let found = op(|net, _| {
        let known = || net.topology.zone_names().collect::<Vec<_>>().join(", ");
        net.topology.find_zone(name).ok_or_else(known)
    });
    match found {
        Ok(zone) => zone,
        Err(known) => panic!("no zone is called {name:?} (there are {known}): declare it with sim.zone(..)"),
    }
}
