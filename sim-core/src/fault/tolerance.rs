//! What a system can stand: how many nodes of a group may be out at once.

use super::family::Takes;
use crate::node::NodeId;
use std::collections::BTreeSet;
use std::fmt;

/// How many nodes of a group may be in trouble. A fault that would exceed it is replaced by a weaker one, or vetoed, and
/// the log says so.
///
/// What is not limited may happen to all nodes at once. Losses that never heal are limited to none unless allowed.
///
/// ```
/// use sim_core::fault::Tolerance;
/// // A Raft of five, which survives two, and loses data when it loses a disk.
/// let raft = Tolerance::new().down(2).skewed(1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerance {
    pub(crate) down: Option<usize>,
    pub(crate) skewed: Option<usize>,
    pub(crate) corrupt: usize,
    pub(crate) wiped: usize,
}

impl Tolerance {
    /// Any number of nodes may be down or have a wrong clock; none may lose data.
    pub fn new() -> Self {
        Tolerance { down: None, skewed: None, corrupt: 0, wiped: 0 }
    }

    /// So many nodes may be out of reach at once: dead, standing still, or on the smaller side of a partition.
    #[must_use]
    pub fn down(self, nodes: usize) -> Self {
        Tolerance { down: Some(nodes), ..self }
    }

    /// So many nodes may have a wrong clock at once.
    #[must_use]
    pub fn skewed(self, nodes: usize) -> Self {
        Tolerance { skewed: Some(nodes), ..self }
    }

    /// So many nodes may have damaged data, over the whole run: damage stays until it is found.
    #[must_use]
    pub fn corrupt(self, nodes: usize) -> Self {
        Tolerance { corrupt: nodes, ..self }
    }

    /// So many nodes may lose their disks, over the whole run.
    #[must_use]
    pub fn wiped(self, nodes: usize) -> Self {
        Tolerance { wiped: nodes, ..self }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance::new()
    }
}

/// A tolerance and whom it is about; everybody where no nodes are named.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) nodes: Option<Vec<String>>,
    pub(crate) tolerance: Tolerance,
}

/// Who is in what trouble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) down: BTreeSet<NodeId>,
    pub(crate) skewed: BTreeSet<NodeId>,
    pub(crate) corrupt: BTreeSet<NodeId>,
    pub(crate) wiped: BTreeSet<NodeId>,
}

impl Trouble {
    /// Adds what a fault takes, as far as it is about these nodes.
    pub(crate) fn add(&mut self, takes: &Takes, group: &BTreeSet<NodeId>) {
        let of_group = |nodes: &[NodeId]| nodes.iter().copied().filter(|n| group.contains(n)).collect();
        let down: Vec<NodeId> = of_group(&takes.down);
        self.down.extend(down);
        for (left, right) in &takes.apart {
            let (left, right): (Vec<NodeId>, Vec<NodeId>) = (of_group(left), of_group(right));
            // Where only one side has nodes of the group, nobody of it is cut off from others of it.
            self.down.extend(if left.len() <= right.len() { left } else { right });
        }
        let add = |to: &mut BTreeSet<NodeId>, nodes: &[NodeId]| {
            to.extend(nodes.iter().copied().filter(|n| group.contains(n)));
        };
        add(&mut self.skewed, &takes.skewed);
        add(&mut self.corrupt, &takes.corrupt);
        add(&mut self.wiped, &takes.wiped);
    }

    /// Everybody who is in any.
    pub(super) fn nodes(&self) -> BTreeSet<NodeId> {
        self.kinds().into_iter().flat_map(|(_, nodes)| nodes).copied().collect()
    }

    fn kinds(&self) -> [(&'static str, &BTreeSet<NodeId>); 4] {
        [("down", &self.down), ("skewed", &self.skewed), ("corrupt", &self.corrupt), ("wiped", &self.wiped)]
    }

    /// Who is in what trouble, in words.
    pub(super) fn told(&self, names: impl Fn(&BTreeSet<NodeId>) -> String) -> String {
        let some = self.kinds().into_iter().filter(|(_, nodes)| !nodes.is_empty());
        let told: Vec<String> = some.map(|(what, nodes)| format!("{what}: {}", names(nodes))).collect();
        if told.is_empty() { "nobody is in trouble".to_owned() } else { told.join("; ") }
    }

    /// What of this a tolerance does not allow.
    pub(crate) fn exceeds(&self, tolerance: &Tolerance) -> Option<Excess> {
        let limits = [tolerance.down, tolerance.skewed, Some(tolerance.corrupt), Some(tolerance.wiped)];
        self.kinds().into_iter().zip(limits).find_map(|((what, nodes), limit)| {
            let would_be = nodes.len();
            let allowed = limit.filter(|&limit| would_be > limit)?;
            Some(Excess { what, would_be, allowed })
        })
    }
}

/// More trouble than a tolerance allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    what: &'static str,
    would_be: usize,
    allowed: usize,
}

impl Excess {
    /// Where it has come to that.
    pub(super) fn told(&self) -> String {
        format!("{} are {}, the tolerance is {}", self.would_be, self.what, self.allowed)
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes would be {}, the tolerance is {}", self.would_be, self.what, self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeId; 5] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

    #[test]
    fn the_smaller_side_of_a_partition_is_down() {
        let group = NODES.into_iter().collect();
        let mut trouble = Trouble::default();
        let takes = Takes { apart: vec![(NODES[..2].to_vec(), NODES[2..].to_vec())], ..Takes::default() };
        trouble.add(&takes, &group);
        assert_eq!(trouble.down, NODES[..2].iter().copied().collect());
        trouble.add(&Takes { down: vec![NODES[1]], ..Takes::default() }, &group);
        assert_eq!(trouble.exceeds(&Tolerance::new().down(2)), None, "who is cut off may die as well");
        trouble.add(&Takes { down: vec![NODES[4]], ..Takes::default() }, &group);
        let excess = trouble.exceeds(&Tolerance::new().down(2)).unwrap();
        assert_eq!(excess.to_string(), "3 nodes would be down, the tolerance is 2");
    }

    #[test]
    fn a_partition_from_outsiders_takes_nobody_of_the_group_down() {
        let group = NODES[..3].iter().copied().collect();
        let mut trouble = Trouble::default();
        let takes = Takes { apart: vec![(NODES[..3].to_vec(), NODES[3..].to_vec())], ..Takes::default() };
        trouble.add(&takes, &group);
        assert_eq!(trouble, Trouble::default());
    }

    #[test]
    fn data_is_not_lost_unless_that_is_allowed() {
        let group = NODES.into_iter().collect();
        let mut trouble = Trouble::default();
        trouble.add(&Takes { wiped: vec![NODES[0]], ..Takes::default() }, &group);
        assert!(trouble.exceeds(&Tolerance::new()).is_some());
        assert!(trouble.exceeds(&Tolerance::new().wiped(1)).is_none());
    }
}
