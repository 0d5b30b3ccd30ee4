//! The network as tests steer it: the door to parameters, zones, partitions and clogs.

use super::barrier::{Clog, Partition};
use super::latency::Latency;
use super::names::{IntoNames, find, find_all, find_set, find_zone};
use super::setting::Link;
use super::shapes;
use super::topology::{Parameters, Scope, Side};
use crate::dns::Dns;
use crate::network::{Net, op};
use crate::traffic::Traffic;
use sim_core::Sim;
use std::future::Future;

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

    /// The one-way latencies between zones: a row for each zone that packets come from, in it an entry for each that they
    /// go to, in the order of `zones`. The diagonal is the latency within a zone.
    ///
    /// ```
    /// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
    /// # use sim_net::NetExt;
    /// # use std::time::Duration;
    /// # let ms = Duration::from_millis;
    /// # (sim.node("a"), sim.node("b"));
    /// sim.zone("eu", ["a"]);
    /// sim.zone("us", ["b"]);
    /// sim.latency_matrix(["eu", "us"], &[
    ///     [ms(1)..ms(2), ms(40)..ms(45)],
    ///     [ms(42)..ms(50), ms(1)..ms(2)],
    /// ]);
    /// # }).result.unwrap();
    /// ```
    ///
    /// # Panics
    /// For a zone that does not exist, and a matrix that is not of that many rows and columns.
    fn latency_matrix<R: AsRef<[L]>, L: Clone + Into<Latency>>(&self, zones: impl IntoNames, one_way: &[R]);

    /// The directions from the nodes of zone `a` to those of zone `b`, which may be the same.
    fn between(&self, a: &str, b: &str) -> Link;

    /// Loses everything between the nodes of `left` and those of `right`, both ways, until the guard is dropped. What
    /// is under way arrives.
    ///
    /// # Panics
    /// For a node on both sides.
    fn partition(&self, left: impl IntoNames, right: impl IntoNames) -> Partition;

    /// A partition of `left` and `right` whose sides `bridge` still reaches, as does whoever is on none: the bridge of
    /// Jepsen, which shows whether a protocol takes "I hear of it" for "it hears me".
    ///
    /// # Panics
    /// For a node in two places.
    fn bridge(&self, left: impl IntoNames, bridge: &str, right: impl IntoNames) -> Partition;

    /// A partition of these nodes into two halves that the seed chooses; of an odd number one half is a majority. The
    /// boring answer leaves the first declared ones together.
    ///
    /// # Panics
    /// For fewer than 2 nodes.
    fn halves(&self, nodes: impl IntoNames) -> Partition;

    /// A partition in which every node reaches a majority of these nodes, itself included, and no two the same one: they
    /// stand in a ring, in an order of the seed, and reach their next neighbours only (Jepsen's majorities ring).
    ///
    /// # Panics
    /// For fewer than 4 nodes: two of three are neighbours anyway.
    fn majority_ring(&self, nodes: impl IntoNames) -> Partition;

    /// Loses everything between a node and all others, those declared later and the harness included.
    fn isolate(&self, node: &str) -> Partition;

    /// Holds everything from `a` to `b` until the guard is dropped; then it goes on its way. What does not fit into
    /// the queue of the link is lost, see [`Link::queue`].
    ///
    /// # Panics
    /// For a node and itself.
    fn clog(&self, a: &str, b: &str) -> Clog;

    /// Holds everything between a node and all others, both ways, those declared later and the harness included.
    fn clog_node(&self, node: &str) -> Clog;

    /// Clogs these nodes one by one, `gap` apart, in an order of the seed, then releases them one by one in another:
    /// FoundationDB's swizzle, which finds what depends on the order in which parts come back. The future ends with the
    /// last release; dropped before, it releases all.
    ///
    /// ```
    /// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
    /// # use sim_net::NetExt;
    /// # use std::time::Duration;
    /// # for node in ["a", "b", "c"] { sim.node(node); }
    /// let swizzle = sim_core::spawn(sim.swizzle_clog(["a", "b", "c"], Duration::from_secs(1)));
    /// // … the workload …
    /// swizzle.await.unwrap();
    /// # }).result.unwrap();
    /// ```
    fn swizzle_clog(
        &self,
        nodes: impl IntoNames,
        gap: impl Into<Latency>,
    ) -> impl Future<Output = ()> + 'static;

    /// The name service: its records, and what goes wrong with it.
    fn dns(&self) -> Dns;

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
    /// Unix sockets of every kind.
    pub unix: usize,
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
    fn latency_matrix<R: AsRef<[L]>, L: Clone + Into<Latency>>(&self, zones: impl IntoNames, one_way: &[R]) {
        let mut names = Vec::new();
        zones.each(&mut |name| names.push(name.to_string()));
        let mut ids = Vec::with_capacity(names.len());
        for name in &names {
            ids.push(find_zone(name));
        }
        let n = ids.len();
        assert!(
            one_way.len() == n,
            "a latency matrix of {} rows for {n} zones: it has a row a zone",
            one_way.len()
        );
        for (from, row) in one_way.iter().enumerate() {
            let row = row.as_ref();
            assert!(
                row.len() == n,
                "row {from} ({:?}) of the latency matrix has {} entries for {n} zones: it has one a zone",
                names[from],
                row.len()
            );
            for (to, latency) in row.iter().enumerate() {
                let set = Parameters { latency: Some(latency.clone().into()), ..Parameters::default() };
                op(|net, _| net.topology.set(Scope::Zones(ids[from], ids[to]), &set));
            }
        }
    }

    #[track_caller]
    fn between(&self, a: &str, b: &str) -> Link {
        Link::new(Scope::Zones(find_zone(a), find_zone(b)))
    }

    #[track_caller]
    fn partition(&self, left: impl IntoNames, right: impl IntoNames) -> Partition {
        Partition::begin(vec![shapes::sides(find_set(&left), find_set(&right))], "two sides")
    }

    #[track_caller]
    fn bridge(&self, left: impl IntoNames, bridge: &str, right: impl IntoNames) -> Partition {
        let (left, bridge, right) = (find_set(&left), find(bridge), find_set(&right));
        shapes::check_bridge(&left, bridge, &right);
        Partition::begin(vec![shapes::sides(left, right)], "bridge")
    }

    #[track_caller]
    fn halves(&self, nodes: impl IntoNames) -> Partition {
        Partition::begin(shapes::halves(find_set(&nodes)), "halves")
    }

    #[track_caller]
    fn majority_ring(&self, nodes: impl IntoNames) -> Partition {
        Partition::begin(shapes::majority_ring(find_set(&nodes)), "ring")
    }

    #[track_caller]
    fn isolate(&self, node: &str) -> Partition {
        let node = find(node);
        Partition::begin(vec![(Side::These(vec![node]), Side::AllBut(vec![node]))], "isolate")
    }

    #[track_caller]
    fn clog(&self, a: &str, b: &str) -> Clog {
        let (from, to) = (find(a), find(b));
        assert!(from != to, "a clog from {a:?} to itself: loopback never leaves the node and has no faults");
        Clog::begin(Side::These(vec![from]), Side::These(vec![to]), false)
    }

    #[track_caller]
    fn clog_node(&self, node: &str) -> Clog {
        let node = find(node);
        Clog::begin(Side::These(vec![node]), Side::AllBut(vec![node]), true)
    }

    #[track_caller]
    fn swizzle_clog(
        &self,
        nodes: impl IntoNames,
        gap: impl Into<Latency>,
    ) -> impl Future<Output = ()> + 'static {
        shapes::swizzle(find_set(&nodes), gap.into())
    }

    fn dns(&self) -> Dns {
        Dns::default()
    }

    #[track_caller]
    fn traffic(&self) -> Traffic {
        op(|net, _| {
            let mishaps = net.topology.mishaps;
            Traffic {
                duplicated: mishaps.duplicated,
                reordered: mishaps.reordered,
                corrupted: mishaps.corrupted,
                ..net.traffic
            }
        })
    }

    #[track_caller]
    fn network_census(&self) -> Census {
        op(|net, k| net.census(k.now()))
    }

    #[track_caller]
    fn established(&self, from: &str, to: &str) -> usize {
        let (from, to) = (find(from), find(to));
        op(|net, _| net.established_between(from, to))
    }
}

impl Net {
    fn census(&self, now: u64) -> Census {
        Census {
            streams: self.streams.len(),
            listeners: self.listeners.len(),
            sockets: self.bound.len(),
            udp: self.udp.len(),
            unix: self.unix.len(),
            datagrams: self.datagrams.len(),
            held: self.held(),
            sets: self.sets.len(),
            ports: self.tcp_ports.len(now) + self.udp_ports.len(now),
            most_streams: self.streams.capacity(),
            most_datagrams: self.datagrams.capacity(),
        }
    }
}
