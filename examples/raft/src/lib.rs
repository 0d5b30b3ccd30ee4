//! A replicated key-value store on Raft, all of it in one process, in a simulated machine room where everything goes wrong
//! that can, and still nothing that was committed is lost and clients see one store.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`consensus`] | Raft as a pure state machine: messages and the time in, messages and what to persist out |
//! | [`kv`] | what is replicated: registers, and the sessions of clients |
//! | [`storage`] | term, vote, snapshot and log on the disk of a server |
//! | [`transport`], [`checksum`] | messages between servers, over UDP |
//! | [`server`] | one server: Raft, disk, network and state machine together |
//! | [`client`] | a client with a session, which asks until it is answered |
//! | [`cluster`] | which nodes there are, and the course of a run: **start reading here** |
//! | [`invariants`], [`history`] | what must hold whatever goes wrong, linearizability among it |
//! | [`bug`] | six mistakes that a server can be told to make, to see them found |
//! | [`cli`] | what the command line needs to know of it |
//!
//! ```
//! use raft::cluster::{self, Options};
//!
//! let outcome = sim::Builder::new()
//!     .seed(7)
//!     .isolate(sim::Isolate::Thread)
//!     .run(|sim| cluster::run(sim, Options::default()));
//! assert!(outcome.result.unwrap().committed > 0);
//! ```

pub mod bug;
pub mod chase;
pub mod checksum;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod consensus;
pub mod history;
pub mod invariants;
pub mod kv;
pub mod server;
pub mod storage;
pub mod transport;

pub use bug::Bug;
