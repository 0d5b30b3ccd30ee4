//! A checkout under chaos: the services of a small shop, all in one process, in a simulated machine room where
//! everything goes wrong that can, and still no order is charged twice or lost.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`order`] | takes orders; the saga of each: reserve, charge, confirm, or compensate; retries, breaker; two workers, of which one leads |
//! | [`catalog`] | stock, prices, reservations, in redb |
//! | [`payment`], [`gateway`] | the ledger with its idempotency keys, behind HTTP (axum), and the bank behind it |
//! | [`notification`] | tells customers how their orders ended |
//! | [`protocol`], [`deadline`] | what they say to each other, and how long for |
//! | [`journal`], [`wal`] | where the others keep their state: in a write-ahead log |
//! | [`store`], [`witness`] | what oracles look at, and an oracle of what a log has acknowledged |
//! | [`shop`] | which nodes there are, and the course of a run: **start reading here** |
//! | [`shopper`] | the customers: what is asked of the shop |
//! | [`chaos`] | what goes wrong: the nemesis, and a bank that does not answer |
//! | [`invariants`] | what must hold all the same |
//! | [`bug`] | the mistakes that a run can be told to make, to see them found |
//! | [`cli`] | what the command line needs to know of it |
//!
//! ```
//! use checkout::shop::{self, Options};
//!
//! let outcome = sim::Builder::new()
//!     .seed(7)
//!     .isolate(sim::Isolate::Thread)
//!     .run(|sim| shop::run(sim, Options::default()));
//! assert!(outcome.result.unwrap().completed > 0);
//! ```

pub mod bug;
pub mod catalog;
pub mod chaos;
pub mod cli;
pub mod deadline;
pub mod gateway;
pub mod invariants;
pub mod journal;
pub mod notification;
pub mod order;
pub mod payment;
pub mod protocol;
pub mod shop;
pub mod shopper;
pub mod store;
pub mod wal;
pub mod witness;

pub use bug::Bug;
