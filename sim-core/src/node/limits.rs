//! Resource limits of a machine: open files, connections, memory. Calls that would exceed one fail as on Linux.
//!
//! What a process holds is counted when a limit asks, and not while there is none: each subsystem says what its kernel
//! objects are.

use super::{Node, NodeId};
use crate::fault::{FaultId, Parameter, Particulars, Value};
use crate::kernel::Kernel;
use crate::world::{self, World, WorldId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::{fmt, io};

/// What a machine may run out of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Resource {
    /// Descriptors of the process: open files, sockets, readiness sets, and the three of standard input and output, which
    /// every process has (`RLIMIT_NOFILE` of setrlimit(2)). open(2), socket(2), accept(2), dup(2) and epoll_create(2) say
    /// `EMFILE`. A connection that cannot be accepted stays in the queue of its listener, and an `accept` that finds no
    /// connection waits for one first, as tokio's does.
    OpenFiles,
    /// TCP connections that the machine tracks, those that drain or close included (`nf_conntrack_max`;
    /// Documentation/networking/nf_conntrack-sysctl.rst). The packet that would begin one more is dropped without a word
    /// ("nf_conntrack: table full, dropping packet"), in and out: connect(2) tries again and times out.
    Connections,
    /// Bytes of kernel memory: what sockets have in their buffers, and [`OBJECT`] for each descriptor (`memory.max` of
    /// control groups; Documentation/admin-guide/cgroup-v2.rst). open(2), socket(2), accept(2) and epoll_create(2) say
    /// `ENOMEM`. The page cache can be reclaimed and does not count; the heap of the program is not seen.
    Memory,
}

/// Bytes of kernel memory for a descriptor, about: a `struct tcp_sock` is 2.3 KiB, a `struct file` with its dentry and
/// inode 1.5 KiB (/proc/slabinfo of Linux 6).
pub const OBJECT: u64 = 2048;

/// Standard input, output and error.
pub(crate) const STANDARD: u64 = 3;

impl Resource {
    /// The family of faults, as the log names it.
    pub fn family(self) -> &'static str {
        match self {
            Resource::OpenFiles => "open-files",
            Resource::Connections => "connections",
            Resource::Memory => "memory",
        }
    }

    pub(crate) fn of(self, held: Holdings) -> u64 {
        match self {
            Resource::OpenFiles => held.descriptors,
            Resource::Connections => held.connections,
            Resource::Memory => held.bytes,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family())
    }
}

/// What a machine holds of its limited resources.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Holdings {
    /// Descriptors; [`Node::holdings`] counts standard input, output and error too.
    pub descriptors: u64,
    /// Connections that the machine tracks.
    pub connections: u64,
    /// Bytes of kernel memory.
    pub bytes: u64,
}

impl Holdings {
    /// So many descriptors, and the kernel's memory for them.
    pub fn descriptors(n: u64) -> Self {
        Holdings { descriptors: n, connections: 0, bytes: n * OBJECT }
    }

    fn and(self, other: Holdings) -> Self {
        Holdings {
            descriptors: self.descriptors + other.descriptors,
            connections: self.connections + other.connections,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// A limit that is in force.
#[derive(Clone, Copy, Debug)]
struct Limit {
    id: u32,
    resource: Resource,
    most: u64,
    fault: FaultId,
}

/// The limits of a machine.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    all: Vec<Limit>,
    last: u32,
}

impl Limits {
    /// The limit that does not allow so much.
    fn exceeded(&self, resource: Resource, would_be: u64) -> Option<FaultId> {
        let over = self.all.iter().filter(|limit| limit.resource == resource && would_be > limit.most);
        over.min_by_key(|limit| limit.most).map(|limit| limit.fault)
    }
}

/// What every subsystem but those that are at work holds of a node.
fn others(w: &World, node: NodeId) -> Holdings {
    let mut held = Holdings::default();
    w.for_subsystems(|subsystem| held = held.and(subsystem.holdings(node)));
    held
}

/// What subsystems ask before they make something.
impl Kernel {
    /// Whether a machine has a limit at all.
    #[inline]
    pub fn is_limited(&self, node: NodeId) -> bool {
        self.machine(node).limits.is_some()
    }

    /// Whether a process may have one more descriptor; `own` is what the subsystem that asks holds itself.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    #[cold]
    pub fn admit_descriptor(&mut self, node: NodeId, own: Holdings) -> io::Result<()> {
        let one = Holdings { descriptors: STANDARD + 1, connections: 0, bytes: OBJECT };
        for (resource, code) in [(Resource::OpenFiles, libc::EMFILE), (Resource::Memory, libc::ENOMEM)] {
            if !self.admit(node, resource, own.and(one)) {
                return Err(io::Error::from_raw_os_error(code));
            }
        }
        Ok(())
    }

    /// Whether a machine may track one more connection.
    #[cold]
    pub fn admit_connection(&mut self, node: NodeId, own: Holdings) -> bool {
        self.admit(node, Resource::Connections, own.and(Holdings { connections: 1, ..Holdings::default() }))
    }

    fn admit(&mut self, node: NodeId, resource: Resource, own: Holdings) -> bool {
        let would_be = resource.of(world::with(|w| others(w, node)).and(own));
        let limits = self.machine(node).limits.as_ref();
        let exceeded = limits.and_then(|limits| limits.exceeded(resource, would_be));
        exceeded.into_iter().for_each(|fault| self.fault_effect(fault));
        exceeded.is_none()
    }

    /// Lifts the limits of all machines but these.
    pub(crate) fn lift_limits(&mut self, stay: &BTreeSet<NodeId>) {
        for node in (0..self.machines() as u32).map(NodeId).filter(|node| !stay.contains(node)) {
            let lifted = self.machine_mut(node).limits.take();
            lifted.into_iter().flat_map(|limits| limits.all).for_each(|limit| self.fault_ends(limit.fault));
        }
    }

    fn lift(&mut self, node: NodeId, id: u32) {
        let machine = self.machine_mut(node);
        let Some(limits) = &mut machine.limits else { return };
        let Some(i) = limits.all.iter().position(|limit| limit.id == id) else { return };
        let limit = limits.all.remove(i);
        if limits.all.is_empty() {
            machine.limits = None;
        }
        self.fault_ends(limit.fault);
    }
}

impl Node {
    /// Gives the machine no more than so much of a resource, until the guard is dropped. What it holds stays; of several
    /// limits the least counts.
    ///
    /// ```
    /// # use sim_core::{Config, Resource, run, fs};
    /// # let outcome = run(Config::seed(1), |sim| async move {
    /// let node = sim.node("store");
    /// let limit = node.limit(Resource::OpenFiles, 4);
    /// let opened = node.spawn(async {
    ///     let _one = fs::File::create("/one").await?;
    ///     fs::File::create("/two").await
    /// });
    /// assert_eq!(opened.await.unwrap().unwrap_err().raw_os_error(), Some(24)); // EMFILE
    /// drop(limit);
    /// # });
    /// # outcome.result.unwrap();
    /// ```
    #[track_caller]
    pub fn limit(self, resource: Resource, most: u64) -> LimitGuard {
        self.with(|w| {
            let node = self.id();
            let mut kernel = w.kernel();
            let fault = kernel.fault_begins(resource.family(), |k| {
                Particulars::of_node(k, node).with(Parameter::new("most", Value::Count(most)))
            });
            let limits = kernel.machine_mut(node).limits.get_or_insert_default();
            limits.last += 1;
            let id = limits.last;
            limits.all.push(Limit { id, resource, most, fault });
            LimitGuard { world: w.id(), node, id, resource }
        })
    }

    /// What the machine holds of its limited resources now.
    #[track_caller]
    pub fn holdings(self) -> Holdings {
        self.with(|w| others(w, self.id()).and(Holdings { descriptors: STANDARD, ..Holdings::default() }))
    }
}

/// Lifts a limit when it is dropped.
#[derive(Debug)]
#[must_use = "the limit is lifted when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct LimitGuard {
    world: WorldId,
    node: NodeId,
    id: u32,
    resource: Resource,
}

impl LimitGuard {
    /// What is limited.
    pub fn resource(&self) -> Resource {
        self.resource
    }

    /// Leaves it to `sim.heal()`.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for LimitGuard {
    fn drop(&mut self) {
        let _ = world::try_with(|w| {
            if w.id() == self.world
                && let Some(mut kernel) = w.try_kernel()
            {
                kernel.lift(self.node, self.id);
            }
        });
    }
}
