//! What tests do to links: parameters, zones, partitions, clogs.

use super::latency::Latency;
use super::topology::{Barrier, BarrierId, Parameters, Scope, Side, ZoneId};
use crate::network::{Net, op, op_on_drop};
use crate::traffic::Traffic;
use sim_core::kernel::Kernel;
use sim_core::world::WorldId;
use sim_core::{Event, NodeId, Sim};

/// The network of a simulation, as tests steer it.
///
/// Nodes are called by name and must have been declared with `sim.node(name)`; an unknown name panics and lists the
/// known ones, since a partition of a misspelt node would test nothing.
///
/// # Panics
/// Every function: outside of a simulation, and for a name that is not declared.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use sim_net::NetExt;
/// use std::time::Duration;
/// let ms = Duration::from_millis;
///
/// (sim.node("a"), sim.node("b"), sim.node("c"));
/// sim.link("a", "b").latency(ms(5)..ms(50)).loss(0.01).both();
/// sim.zone("eu", ["a", "b"]);
/// sim.zone("us", ["c"]);
/// sim.between("eu", "us").latency(ms(80)..ms(90)).both();
/// let cut = sim.partition(["a", "b"], ["c"]);
/// sim.after(ms(100), move || drop(cut));
/// # }).result.unwrap();
/// ```
pub trait NetExt {
    /// The direction from `a` to `b`. What is set here goes before zones and the default.
    ///
    /// # Panics
    /// For a node and itself: loopback has no faults.
    fn link(&self, a: &str, b: &str) -> Link;

    /// Every direction that no more specific rule covers. It begins as a uniform latency of 1–10 ms without loss.
    fn default_link(&self) -> Link;

    /// Puts nodes into a zone; a node is in the last one that it was put into.
    fn zone(&self, name: &str, nodes: impl IntoNames);

    /// The directions from the nodes of zone `a` to those of zone `b`, which may be the same.
    fn between(&self, a: &str, b: &str) -> Link;

    /// Loses everything between the nodes of `left` and those of `right`, both ways, until the guard is dropped. What
    /// is under way arrives.
    ///
    /// # Panics
    /// For a node on both sides.
    fn partition(&self, left: impl IntoNames, right: impl IntoNames) -> Partition;

    /// Loses everything between a node and all others, those declared later and the harness included.
    fn isolate(&self, node: &str) -> Partition;

    /// Holds everything from `a` to `b` until the guard is dropped; then it goes on its way. What does not fit into
    /// the queue of the link is lost, see [`Link::queue`].
    ///
    /// # Panics
    /// For a node and itself.
    fn clog(&self, a: &str, b: &str) -> Clog;

    /// Ends all partitions and clogs, forgotten ones too. Parameters of links stay.
    fn heal(&self);

    /// What happened on the network so far.
    fn traffic(&self) -> Traffic;

    /// How many sockets, packets and ports the network holds now: for tests of what is cleaned up.
    fn network_census(&self) -> Census;

    /// How many connections are established from a node to another, as seen by the first.
    fn established(&self, from: &str, to: &str) -> usize;
}

/// How many objects the network holds, and how many places for streams it ever needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Ends of TCP connections, those included that drain after they were closed.
    pub streams: usize,
    /// TCP listeners.
    pub listeners: usize,
    /// TCP sockets before listen or connect.
    pub sockets: usize,
    /// UDP sockets.
    pub udp: usize,
    /// Datagrams under way.
    pub datagrams: usize,
    /// Packets that wait in clogs, and streams that wait for their release.
    pub held: usize,
    /// Readiness sets.
    pub sets: usize,
    /// Ports in use, TIME_WAIT included.
    pub ports: usize,
    /// The most ends of TCP connections that were there at once.
    pub most_streams: usize,
    /// The most datagrams that were under way at once.
    pub most_datagrams: usize,
}

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
fn find(name: &str) -> NodeId {
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

#[track_caller]
fn find_all(names: &impl IntoNames) -> Vec<NodeId> {
    // Collected first, so that the panic points at the caller.
    let mut all = Vec::new();
    names.each(&mut |name| all.push(name.to_string()));
    let mut nodes: Vec<_> = Vec::with_capacity(all.len());
    for name in &all {
        nodes.push(find(name));
    }
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

#[track_caller]
fn find_zone(name: &str) -> ZoneId {
    let found = op(|net, _| {
        let known = || net.topology.zone_names().collect::<Vec<_>>().join(", ");
        net.topology.find_zone(name).ok_or_else(known)
    });
    match found {
        Ok(zone) => zone,
        Err(known) => panic!("no zone is called {name:?} (there are {known}): declare it with sim.zone(..)"),
    }
}

impl NetExt for Sim {
    #[track_caller]
    fn link(&self, a: &str, b: &str) -> Link {
        let (from, to) = (find(a), find(b));
        assert!(from != to, "a link from {a:?} to itself: loopback never leaves the node and has no faults");
        Link::new(Scope::Pair(from, to))
    }

    #[track_caller]
    fn default_link(&self) -> Link {
        Link::new(Scope::Default)
    }

    #[track_caller]
    fn zone(&self, name: &str, nodes: impl IntoNames) {
        let nodes = find_all(&nodes);
        op(|net, _| net.topology.zone(name, &nodes));
    }

    #[track_caller]
    fn between(&self, a: &str, b: &str) -> Link {
        Link::new(Scope::Zones(find_zone(a), find_zone(b)))
    }

    #[track_caller]
    fn partition(&self, left: impl IntoNames, right: impl IntoNames) -> Partition {
        let (left, right) = (find_all(&left), find_all(&right));
        if let Some(both) = left.iter().find(|n| right.contains(n)) {
            let name = op(|_, k| k.machine(*both).name.to_string());
            panic!("{name:?} is on both sides of the partition: a node always reaches itself");
        }
        Partition(Guard::raise(Side::These(left), Side::These(right), false))
    }

    #[track_caller]
    fn isolate(&self, node: &str) -> Partition {
        let node = find(node);
        Partition(Guard::raise(Side::These(vec![node]), Side::AllBut(vec![node]), false))
    }

    #[track_caller]
    fn clog(&self, a: &str, b: &str) -> Clog {
        let (from, to) = (find(a), find(b));
        assert!(from != to, "a clog from {a:?} to itself: loopback never leaves the node and has no faults");
        Clog(Guard::raise(Side::These(vec![from]), Side::These(vec![to]), true))
    }

    #[track_caller]
    fn heal(&self) {
        op(|net, k| {
            net.topology.clear_barriers();
            net.release(k);
            k.record(|| Event::new("net.healed", "every barrier ends"));
        });
    }

    #[track_caller]
    fn traffic(&self) -> Traffic {
        op(|net, _| net.traffic)
    }

    #[track_caller]
    fn network_census(&self) -> Census {
        op(|net, _| net.census())
    }

    #[track_caller]
    fn established(&self, from: &str, to: &str) -> usize {
        let (from, to) = (find(from), find(to));
        op(|net, _| net.established_between(from, to))
    }
}

/// One direction, or both, whose parameters are being set. Each setting holds from now on, for packets sent from now
/// on.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    scope: Scope,
    set: Parameters,
    both: bool,
}

/// Bits a second. 0 is refused by [`Link::bandwidth`]; without a limit is [`Link::unlimited`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bandwidth(pub u64);

impl Bandwidth {
    /// Thousand bits a second; what does not fit into 64 bits is the most that does.
    pub const fn kbit(n: u64) -> Self {
        Bandwidth(n.saturating_mul(1_000))
    }

    /// Million bits a second; what does not fit into 64 bits is the most that does.
    pub const fn mbit(n: u64) -> Self {
        Bandwidth(n.saturating_mul(1_000_000))
    }

    /// Thousand million bits a second; what does not fit into 64 bits is the most that does.
    pub const fn gbit(n: u64) -> Self {
        Bandwidth(n.saturating_mul(1_000_000_000))
    }
}

impl Link {
    fn new(scope: Scope) -> Self {
        Link { scope, set: Parameters::default(), both: false }
    }

    #[track_caller]
    fn set(mut self, change: Parameters) -> Self {
        self.set.merge(&change);
        op(|net, _| {
            net.topology.set(self.scope, &change);
            if self.both {
                net.topology.set(self.scope.reverse(), &change);
            }
        });
        self
    }

    /// How long packets take: a duration, a range of them (uniform), or a [`Latency`].
    ///
    /// # Panics
    /// For an empty range, or a latency over 90 days.
    #[track_caller]
    pub fn latency(self, latency: impl Into<Latency>) -> Self {
        let latency = Some(latency.into());
        self.set(Parameters { latency, ..Parameters::default() })
    }

    /// The share of packets that is lost, 0 to 1, kept in millionths. TCP sends them again; datagrams are gone.
    ///
    /// # Panics
    /// For a share outside of 0 to 1.
    #[track_caller]
    pub fn loss(self, share: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&share),
            "a loss of {share}: it is the share of packets that is lost, 0.0 to 1.0 (1 % is 0.01)"
        );
        // Rounded by hand: `f64::round` is of the platform.
        let loss_ppm = Some((share * 1_000_000.0 + 0.5) as u32);
        self.set(Parameters { loss_ppm, ..Parameters::default() })
    }

    /// How many bits pass in a second; packets wait for their turn in a queue, see [`Link::queue`].
    ///
    /// # Panics
    /// For 0: that is a partition.
    #[track_caller]
    pub fn bandwidth(self, bandwidth: Bandwidth) -> Self {
        assert!(bandwidth.0 > 0, "a bandwidth of 0: use sim.partition(..) or sim.clog(..) to stop a link");
        self.set(Parameters { bandwidth: Some(bandwidth.0), ..Parameters::default() })
    }

    /// No limit to the bandwidth.
    #[track_caller]
    pub fn unlimited(self) -> Self {
        self.set(Parameters { bandwidth: Some(0), ..Parameters::default() })
    }

    /// How many bytes wait at most for a link of limited bandwidth, or for one that is clogged; what comes on top is
    /// lost. Each packet counts with its headers, 66 bytes. 256 KiB unless set.
    #[track_caller]
    pub fn queue(self, bytes: u64) -> Self {
        self.set(Parameters { queue: Some(bytes), ..Parameters::default() })
    }

    /// The same, with what was set before in this chain and what will be, for the opposite direction too.
    #[track_caller]
    pub fn both(mut self) -> Self {
        self.both = true;
        op(|net, _| net.topology.set(self.scope.reverse(), &self.set));
        self
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
    fn raise(from: Side, to: Side, holds: bool) -> Self {
        op(|net, k| {
            let id = net.topology.add_barrier(Barrier { from, to, both_ways: !holds, holds });
            net.barrier_changed(k);
            k.record(|| {
                Event::new(if holds { "net.clog" } else { "net.partition" }, format!("barrier {id} begins"))
            });
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

    fn census(&self) -> Census {
        Census {
            streams: self.streams.len(),
            listeners: self.listeners.len(),
            sockets: self.bound.len(),
            udp: self.udp.len(),
            datagrams: self.datagrams.len(),
            held: self.held(),
            sets: self.sets.len(),
            ports: self.tcp_ports.len() + self.udp_ports.len(),
            most_streams: self.streams.capacity(),
            most_datagrams: self.datagrams.capacity(),
        }
    }
}

/// A partition. It heals when this is dropped, or by `sim.heal()`.
#[derive(Debug)]
#[must_use = "the partition heals when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct Partition(Guard);

impl Partition {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_beyond_64_bits_is_the_most_that_fits() {
        assert_eq!((Bandwidth::kbit(8), Bandwidth::mbit(8)), (Bandwidth(8_000), Bandwidth(8_000_000)));
        for most in [Bandwidth::kbit(u64::MAX), Bandwidth::mbit(u64::MAX), Bandwidth::gbit(u64::MAX)] {
            assert_eq!(most, Bandwidth(u64::MAX));
        }
    }
}
