//! The network of a world: every socket and link as plain data, the door through which they are reached, and what
//! happens to them when machines and worlds end.
//!
//! All operations are non-blocking and run with the network and the kernel borrowed. They wake tasks of the world at
//! once. The wakers of others, such as those of a `select`, collect in the [`Outbox`] with those that are given up, and are
//! dealt with after the borrow: they run foreign code.

use crate::dns::Server;
use crate::errno;
use crate::link::{Fate, Held, HeldQueue, Topology};
use crate::ports::Ports;
use crate::readiness::{Sets, Source};
use crate::tcp::{Bound, Listener, Stream};
use crate::traffic::Traffic;
use crate::udp::{Datagram, Groups, Socket};
use crate::unix::Unix;
use sim_core::decision::{Kind, Name};
use sim_core::fault::Family;
use sim_core::kernel::Kernel;
use sim_core::slab::{Key, Slab};
use sim_core::world::{self, Subsystem, SubsystemId, World, WorldId};
use sim_core::{Death, EventKey, Holdings, NodeId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::task::Waker;

/// What an event of the network is about. The key is a stream's unless said otherwise.
pub(crate) mod tag {
    /// Data or a FIN has become visible.
    pub const VISIBLE: u8 = 0;
    /// An acknowledgement arrives at a writer that waits for it.
    pub const CREDIT: u8 = 1;
    /// A SYN of this client arrives.
    pub const SYN: u8 = 2;
    /// The SYN-ACK of this server's end arrives at its client.
    pub const SYN_ACK: u8 = 3;
    /// The last packet of the handshake arrives at this server's end.
    pub const ESTABLISHED: u8 = 4;
    /// A reset arrives.
    pub const RESET: u8 = 5;
    /// Data, FIN or a probe is sent again.
    pub const RETRANSMIT: u8 = 6;
    /// The SYN is sent again.
    pub const SYN_RETRY: u8 = 7;
    /// The SYN-ACK is sent again.
    pub const SYN_ACK_RETRY: u8 = 8;
    /// A keepalive probe is due.
    pub const KEEPALIVE: u8 = 9;
    /// A datagram (by its own key) arrives.
    pub const DATAGRAM: u8 = 10;
    /// An ICMP port unreachable arrives at a datagram socket.
    pub const UNREACHABLE: u8 = 11;
    /// Not an event: a stream that waits for the release of a clog.
    pub const RELEASE: u8 = 12;
}

/// The state of the network.
#[derive(Default)]
pub(crate) struct Net {
    world: Option<WorldId>,
    subsystem: Option<SubsystemId>,
    pub topology: Topology,
    pub streams: Slab<Stream>,
    pub listeners: Slab<Listener>,
    pub bound: Slab<Bound>,
    pub udp: Slab<Socket>,
    pub datagrams: Slab<Datagram>,
    pub unix: Unix,
    pub dns: Server,
    pub tcp_ports: Ports,
    pub udp_ports: Ports,
    pub groups: Groups,
    pub sets: Sets,
    pub traffic: Traffic,
    pub out: Outbox,
    held: BTreeMap<(NodeId, NodeId), HeldQueue>,
    /// How many streams and datagram sockets are gone: packets that wait in clogs may be theirs.
    pub ended: u64,
}

/// Foreign wakers to deal with when nothing is borrowed.
#[derive(Default)]
pub(crate) struct Outbox {
    pub wake: Vec<Waker>,
    pub dropped: Vec<Waker>,
}

impl Outbox {
    #[inline]
    fn is_empty(&self) -> bool {
        self.wake.len() + self.dropped.len() == 0
    }
}

/// What became of a control packet.
pub(crate) enum Sent {
    /// Its event is posted for this instant.
    Posted(u64),
    Lost(Name),
    /// It goes when the clog is released.
    Held(Name),
}

thread_local! {
    static NET: RefCell<Net> = RefCell::default();
}

struct NetSubsystem;

/// Runs an operation on the network of the current world.
///
/// # Panics
/// Outside of a simulation.
#[inline]
#[track_caller]
pub(crate) fn op<R>(f: impl FnOnce(&mut Net, &mut Kernel) -> R) -> R {
    world::with(|world| with_net(world, f))
}

/// The same for destructors: does nothing outside of a simulation, in another world than `id`, or when that one is
/// being taken down.
pub(crate) fn op_on_drop(id: WorldId, f: impl FnOnce(&mut Net, &mut Kernel)) {
    let _ = world::try_with(|world| {
        // The network left this world already, or was never in it: there is nothing to act on.
        let there = NET.try_with(|net| net.borrow().world == Some(world.id()));
        if world.id() == id && there == Ok(true) {
            with_net(world, f);
        }
    });
}

/// Runs an operation, then wakes and drops what it left in the outbox.
#[inline]
pub(crate) fn with_net<R>(world: &World, f: impl FnOnce(&mut Net, &mut Kernel) -> R) -> R {
    NET.with(|cell| {
        let mut net = cell.borrow_mut();
        let mut kernel = world.kernel();
        if net.world != Some(world.id()) {
            net.enter(world, &kernel);
        }
        let result = f(&mut net, &mut kernel);
        if net.out.is_empty() {
            return result;
        }
        drop((net, kernel));
        deliver(cell);
        result
    })
}

/// The same for what the network itself has made in this world, handles and events: it has entered the world already. When
/// it has left it again, it is empty, and such an operation finds nothing.
#[inline]
pub(crate) fn with_net_there<R>(world: &World, f: impl FnOnce(&mut Net, &mut Kernel) -> R) -> R {
    NET.with(|cell| {
        let mut net = cell.borrow_mut();
        let mut kernel = world.kernel();
        let result = f(&mut net, &mut kernel);
        if net.out.is_empty() {
            return result;
        }
        drop((net, kernel));
        deliver(cell);
        result
    })
}

/// Wakes and drops what an operation left in the outbox.
#[cold]
fn deliver(cell: &RefCell<Net>) {
    let mut out = std::mem::take(&mut cell.borrow_mut().out);
    out.dropped.clear();
    out.wake.drain(..).for_each(Waker::wake);
    let mut net = cell.borrow_mut();
    // What was woken may have filled the outbox anew, and delivered it.
    if net.out.wake.capacity() == 0 {
        net.out = out;
    }
}

impl Subsystem for NetSubsystem {
    fn name(&self) -> &'static str {
        "network"
    }

    #[inline]
    fn event(&self, world: &World, tag: u8, key: Key) {
        with_net_there(world, |net, k| net.event(k, tag, key));
    }

    fn process_died(&self, world: &World, node: NodeId, death: Death) {
        with_net(world, |net, k| net.process_died(k, node, death));
    }

    fn heal(&self, world: &World, _stay: &BTreeSet<NodeId>) {
        with_net(world, Net::heal);
    }

    fn families(&self) -> &'static [&'static dyn Family] {
        crate::fault::FAMILIES
    }

    fn holdings(&self, node: NodeId) -> Holdings {
        NET.with(|cell| cell.try_borrow().map_or_else(|_| Holdings::default(), |net| net.holdings(node)))
    }

    fn world_ended(&self, _world: &World) {
        crate::rpc::forget_hooks();
        NET.with(|cell| {
            cell.borrow_mut().forget();
            deliver(cell);
        });
    }
}

impl Net {
    #[cold]
    fn enter(&mut self, world: &World, k: &Kernel) {
        // A world that ended without a word (a panic of ours) may have left something.
        self.forget();
        if k.actor().is_none() {
            // The world is being taken down. Nothing can be made any more, so there is nothing to be told of.
            return;
        }
        self.world = Some(world.id());
        self.subsystem = Some(world.attach(&NetSubsystem));
    }

    /// Forgets everything but keeps the memory.
    fn forget(&mut self) {
        for key in self.streams.keys() {
            self.streams.get_mut(key).into_iter().for_each(|s| s.forget_waiters(&mut self.out.dropped));
        }
        for key in self.listeners.keys() {
            self.listeners.get_mut(key).into_iter().for_each(|l| l.acceptors.take(&mut self.out.dropped));
        }
        for key in self.udp.keys() {
            self.udp.get_mut(key).into_iter().for_each(|u| u.readers.take(&mut self.out.dropped));
        }
        self.unix.forget(&mut self.out.dropped);
        self.sets.forget(&mut self.out.dropped);
        self.dns.clear();
        self.streams.clear();
        self.listeners.clear();
        self.bound.clear();
        self.udp.clear();
        self.datagrams.clear();
        self.tcp_ports.clear();
        self.udp_ports.clear();
        self.groups.clear();
        self.topology.reset();
        self.traffic = Traffic::default();
        self.held.clear();
        self.ended = 0;
        self.world = None;
        self.subsystem = None;
    }

    #[inline]
    fn event(&mut self, k: &mut Kernel, tag: u8, key: Key) {
        match tag {
            tag::VISIBLE => self.became_visible(k, key),
            tag::CREDIT => self.credit_arrived(k, key),
            tag::DATAGRAM => self.datagram_arrived(k, key),
            tag::SYN => self.syn_arrived(k, key),
            tag::SYN_ACK => self.syn_ack_arrived(k, key),
            tag::ESTABLISHED => self.established(k, key),
            tag::RESET => self.reset_arrived(k, key),
            tag::RETRANSMIT => self.retransmit_due(k, key),
            tag::SYN_RETRY => self.syn_retry(k, key),
            tag::SYN_ACK_RETRY => self.syn_ack_retry(k, key),
            tag::KEEPALIVE => self.keepalive_due(k, key),
            tag::UNREACHABLE => self.unreachable_arrived(k, key),
            _ => unreachable!("the network posted no event {tag}"),
        }
    }

    /// The node that an operation is for; destructors of a dead process get an error.
    pub fn actor(k: &Kernel) -> io::Result<NodeId> {
        k.actor().ok_or_else(errno::network_down)
    }

    #[inline]
    pub fn post(&self, k: &mut Kernel, at: u64, name: Name, tag: u8, key: Key) -> EventKey {
        let subsystem = self.subsystem.expect("the network is attached before anything happens in it");
        k.post(at, name, subsystem, tag, key)
    }

    /// Sends a packet that becomes the event (`tag`, `key`) where it arrives.
    pub fn send_packet(
        &mut self,
        k: &mut Kernel,
        kind: Kind,
        (from, to): (NodeId, NodeId),
        bytes: usize,
        (tag, key): (u8, Key),
    ) -> Sent {
        match self.carry(k, kind, from, to, bytes) {
            Fate::Arrives { at, name } => {
                self.post(k, at, name, tag, key);
                Sent::Posted(at)
            }
            Fate::Lost { name } => Sent::Lost(name),
            Fate::Held { name } => {
                // As on any link, what does not fit into the queue is lost.
                if !self.hold(from, to, Held { tag, key, kind, bytes: Some(bytes) }) {
                    k.stats().lost += 1;
                    return Sent::Lost(name);
                }
                Sent::Held(name)
            }
        }
    }

    /// See [`Topology::carry`].
    #[inline]
    pub fn carry(&mut self, k: &mut Kernel, kind: Kind, from: NodeId, to: NodeId, bytes: usize) -> Fate {
        self.topology.carry(k, kind, from, to, bytes)
    }

    /// Has `stream` told when the clog in front of it is released.
    pub fn hold_stream(&mut self, from: NodeId, to: NodeId, stream: Key) {
        self.hold(from, to, Held { tag: tag::RELEASE, key: stream, kind: Kind::Packet, bytes: None });
    }

    /// Puts a packet into the queue of a clog, if it fits.
    pub fn hold(&mut self, from: NodeId, to: NodeId, held: Held) -> bool {
        let limit = self.topology.path(from, to).queue;
        let Net { held: queues, streams, datagrams, udp, .. } = self;
        let wanted = |held: &Held| wanted(held, streams, datagrams, udp);
        queues.entry((from, to)).or_default().push(held, limit, self.ended, wanted)
    }

    /// How many packets and streams wait in clogs.
    pub fn held(&self) -> usize {
        self.held.values().map(HeldQueue::len).sum()
    }

    /// Sends what clogs held that are no longer there. Called after each change of barriers.
    pub fn release(&mut self, k: &mut Kernel) {
        let links: Vec<_> = self.held.keys().copied().collect();
        for link in links {
            if self.topology.path(link.0, link.1).held {
                continue;
            }
            for held in self.held.remove(&link).map(HeldQueue::into_packets).unwrap_or_default() {
                if !wanted(&held, &self.streams, &self.datagrams, &self.udp) {
                    continue;
                }
                match held.bytes {
                    None => self.released(k, held.key),
                    Some(_) if held.tag == tag::DATAGRAM => self.dispatch(k, link, held.key),
                    Some(bytes) => {
                        if held.tag == tag::SYN
                            && let Some(client) = self.streams.get_mut(held.key)
                        {
                            client.cold.handshake.held = false;
                        }
                        // Those that are lost are sent again by timers that run since they were held.
                        self.send_packet(k, held.kind, link, bytes, (held.tag, held.key));
                    }
                }
            }
        }
    }

    /// Tells the readiness sets that watch a source.
    #[cold]
    pub fn tell_watchers(&mut self, k: &mut Kernel, source: Source) {
        self.sets.changed(k, source, &mut self.out);
    }

    fn process_died(&mut self, k: &mut Kernel, node: NodeId, death: Death) {
        let silent = matches!(death, Death::PowerCut);
        for key in self.sets.of_node(node) {
            self.close_set(key);
        }
        for key in keys_of(&self.listeners, |l| l.node == node) {
            if silent { self.forget_listener(key) } else { self.close_listener(k, key) }
        }
        for key in keys_of(&self.streams, |s| s.node == node) {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.forget_waiters(&mut self.out.dropped);
            }
            if silent { self.vanish(k, key) } else { self.close(k, key) }
        }
        for key in keys_of(&self.bound, |b| b.node == node) {
            self.close_bound(key);
        }
        for key in keys_of(&self.udp, |u| u.node == node) {
            self.close_udp(key);
        }
        self.unix_process_died(k, node);
        if silent {
            self.tcp_ports.power_cut(node);
        }
    }
}

/// Whether what a held packet is about is still there.
fn wanted(held: &Held, streams: &Slab<Stream>, datagrams: &Slab<Datagram>, udp: &Slab<Socket>) -> bool {
    match held.tag {
        tag::DATAGRAM => datagrams.get(held.key).is_some(),
        tag::UNREACHABLE => udp.get(held.key).is_some(),
        _ => streams.get(held.key).is_some(),
    }
}

fn keys_of<T>(slab: &Slab<T>, mine: impl Fn(&T) -> bool) -> Vec<Key> {
    slab.iter().filter(|(_, value)| mine(value)).map(|(key, _)| key).collect()
}
