//! The workload loop: what clients do, as operations that are decisions of the run.
//!
//! | file | subject |
//! | --- | --- |
//! | `ops` | [`Ops`]: which operations of a client take place, and when |
//! | `op` | [`Op`]: one of them, its arguments and how it ended |
//! | `pick` | [`Pick`]: what an argument can be picked from |
//! | `swarm` | how busy a client is in a run, and which kinds of operations it prefers |
//!
//! An operation is a root of the naming, `root(Kind::Op, client, index)`: whatever follows from it is named by it, so that
//! taking one out leaves the others as they were, with their instants and arguments. Its instant is part
//! [`part::AT`], its arguments count from [`part::ARGUMENT`].

mod op;
mod ops;
mod pick;
mod swarm;

pub use op::{Op, Operation};
pub use ops::Ops;
pub use pick::{Pick, Step};

use crate::hash::{BuildMix, Map, h, text};
use crate::kernel::Kernel;
use crate::node::NodeId;
use std::sync::Arc;

/// The particulars of an operation, by number: parts of its name.
pub mod part {
    /// Its instant, ns after the client's start.
    pub const AT: u64 = 1;
    /// Its first argument; the others follow in the order in which they are drawn.
    pub const ARGUMENT: u64 = 11;
}

/// A client: the node of its operations, and how many loops that node has had before.
#[derive(Clone, Debug)]
struct Client {
    /// What the names of its operations have as target.
    id: u64,
    label: Arc<str>,
}

/// How many loops each node has had.
#[derive(Debug)]
pub(crate) struct Clients(Map<NodeId, u64>);

impl Clients {
    pub(crate) const fn new() -> Self {
        Clients(Map::with_hasher(BuildMix::new()))
    }

    pub(crate) fn reset(&mut self) {
        self.0.clear();
    }
}

impl Kernel {
    fn add_client(&mut self, node: NodeId) -> Client {
        let before = self.clients.0.entry(node).or_default();
        let number = *before;
        *before += 1;
        self.stats.clients += 1;
        let name = &*self.machine(node).name;
        match number {
            0 => Client { id: text(name), label: name.into() },
            _ => Client { id: h(text(name), number), label: format!("{name} ({})", number + 1).into() },
        }
    }
}
