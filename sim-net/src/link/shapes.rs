//! Shapes of partitions beyond two sides, and clogs that come and go one by one.

use super::barrier::Clog;
use super::latency::Latency;
use super::topology::Side;
use crate::network::op;
use sim_core::NodeId;
use sim_core::decision::Kind;
use sim_core::hash::below;
use sim_core::kernel::Kernel;
use std::time::Duration;

/// Two sides that share no node.
#[track_caller]
pub(super) fn sides(left: Vec<NodeId>, right: Vec<NodeId>) -> (Side, Side) {
    if let Some(both) = left.iter().find(|n| right.contains(n)) {
        panic!("{:?} is on both sides of the partition: a node always reaches itself", name(*both));
    }
    (Side::These(left), Side::These(right))
}

#[track_caller]
pub(super) fn check_bridge(left: &[NodeId], bridge: NodeId, right: &[NodeId]) {
    let apart = !left.contains(&bridge) && !right.contains(&bridge);
    assert!(apart, "{:?} is the bridge and on a side of it: it reaches both", name(bridge));
}

#[track_caller]
pub(super) fn halves(nodes: Vec<NodeId>) -> Vec<(Side, Side)> {
    assert!(nodes.len() >= 2, "two halves of {} nodes: there must be at least 2", nodes.len());
    let nodes = shuffled(nodes);
    let (left, right) = nodes.split_at(nodes.len() / 2);
    vec![(side(left), side(right))]
}

#[track_caller]
pub(super) fn majority_ring(nodes: Vec<NodeId>) -> Vec<(Side, Side)> {
    let n = nodes.len();
    assert!(n >= 4, "a majority ring of {n} nodes: two of three are neighbours anyway, it takes at least 4");
    let ring = shuffled(nodes);
    // So many neighbours on each side, with the node itself, are a majority.
    let reach = (n / 2).div_ceil(2);
    let far = |i: usize| {
        let apart = move |j: usize| (j - i).min(n - (j - i));
        (i + 1..n).filter(|&j| apart(j) > reach).map(|j| ring[j]).collect::<Vec<_>>()
    };
    let cuts = (0..n).map(|i| (ring[i], far(i))).filter(|(_, far)| !far.is_empty());
    cuts.map(|(node, far)| (side(&[node]), side(&far))).collect()
}

/// Clogs the nodes one by one, then releases them one by one.
pub(super) async fn swizzle(nodes: Vec<NodeId>, gap: Latency) {
    let mut clogs = Vec::with_capacity(nodes.len());
    for node in shuffled(nodes) {
        clogs.push(Clog::begin(Side::These(vec![node]), Side::AllBut(vec![node]), true));
        sim_core::time::sleep(drawn(gap)).await;
    }
    while !clogs.is_empty() {
        let next = op(|_, k| chosen(k, 0, clogs.len()));
        drop(clogs.remove(next));
        if !clogs.is_empty() {
            sim_core::time::sleep(drawn(gap)).await;
        }
    }
}

fn drawn(gap: Latency) -> Duration {
    let extra = op(|_, k| {
        if gap.is_constant() {
            return 0;
        }
        let name = k.name(Kind::FaultLen, 0);
        k.decide(name, Kind::FaultLen, 0, |draw| if draw == 0 { 0 } else { gap.extra(draw) })
    });
    gap.least() + Duration::from_nanos(extra)
}

/// The nodes in an order of the seed; the boring one is that of their declaration.
fn shuffled(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    op(|_, k| {
        for i in 0..nodes.len().saturating_sub(1) {
            let next = i + chosen(k, i as u64, nodes.len() - i);
            nodes[i..=next].rotate_right(1);
        }
    });
    nodes
}

/// One of `n`; the boring answer is the first.
fn chosen(k: &mut Kernel, which: u64, n: usize) -> usize {
    let name = k.name(Kind::FaultArg, which);
    // What a saved deviation says may be of another run.
    k.decide(name, Kind::FaultArg, which, |draw| below(draw, n as u64)).min(n as u64 - 1) as usize
}

fn side(nodes: &[NodeId]) -> Side {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    Side::These(nodes)
}

#[track_caller]
fn name(node: NodeId) -> String {
    op(|_, k| k.machine(node).name.to_string())
}
