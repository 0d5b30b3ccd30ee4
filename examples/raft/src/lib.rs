//! A replicated key-value store on Raft.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`consensus`] | Raft as a pure state machine: messages and the time in, messages and what to persist out |
//! | [`kv`] | what is replicated: registers, and the sessions of clients |
//! | [`bug`] | mistakes that a server can be told to make, to see them found |

pub mod bug;
pub mod consensus;
pub mod kv;

pub use bug::Bug;
