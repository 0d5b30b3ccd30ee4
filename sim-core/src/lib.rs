//! The heart of the simulator: a world that runs on one thread and is a function of one seed.
//!
//! | module | subject |
//! | --- | --- |
//! | [`world`] | what is current on this thread, the loop that runs it, the trait of subsystems |
//! | [`kernel`] | the state of a world as plain data |
//! | [`decision`] | what could have gone another way: names, sources, deviations |
//! | [`time`] | virtual time as nodes see it: sleeps, timeouts, intervals |
//! | `executor` | tasks, wakers, schedules, the CPU model |
//! | [`fault`] | the fault log, families of faults, the nemesis that plans them |
//! | [`oracle`] | what judges a run besides its panics |
//! | `node` | machines and processes, their life and death |
//! | [`fs`] | the disk of each node, and what a power cut leaves of it |
//! | [`trace`] | the log of events |
//! | [`workload`] | what clients do: operations that are decisions |
//! | [`rand`], [`signal`], [`codec`], [`host`], [`panics`] | what programs, other crates and guards ask of the world |
//! | [`hash`], [`slab`] | pinned mixing functions; values with generational keys |
//!
//! ```
//! use sim_core::{Config, run, spawn, time::sleep};
//! use std::time::Duration;
//!
//! let body = |sim: sim_core::Sim| async move {
//!     let node = sim.node("worker");
//!     let job = node.spawn(async {
//!         sleep(Duration::from_millis(250)).await;
//!         42
//!     });
//!     job.await.unwrap()
//! };
//! let (first, second) = (run(Config::seed(7), body), run(Config::seed(7), body));
//! assert_eq!(first.result.unwrap(), 42);
//! assert_eq!(first.trace, second.trace);
//! ```

mod clock;
pub mod codec;
mod config;
pub mod decision;
mod executor;
mod failure;
pub mod fault;
pub mod fs;
pub mod hash;
mod hooks;
pub mod host;
pub mod kernel;
mod node;
pub mod oracle;
mod outcome;
pub mod panics;
pub mod rand;
pub mod signal;
mod sim;
pub mod slab;
pub mod trace;
pub mod workload;
pub mod world;

pub use clock::{ClockError, EPOCH, EventKey};
pub use config::{Config, Decisions};
pub use decision::{Deviation, Kind, Name, Source};
pub use executor::{
    AbortHandle, JoinError, JoinHandle, JoinSet, Schedule, UnknownSchedule, spawn, spawn_local, spawn_named,
    yield_now,
};
pub use failure::{Failure, FailureKind};
pub use fault::{Fault, Swarm, Tolerance};
pub use kernel::Kernel;
pub use node::{
    Clock, Death, ExitPolicy, HARNESS, Holdings, LimitGuard, Machine, Node, NodeId, OBJECT, PanicPolicy,
    Program, Resource, Verdict,
};
pub use outcome::{Outcome, Stats};
pub use sim::Sim;
pub use slab::{Key, Slab};
pub use trace::{Event, Log};
pub use workload::{Op, Ops};
pub use world::{Subsystem, SubsystemId, World, WorldId, run, try_with, with};

/// Virtual time with the names of tokio's `time`.
pub mod time {
    pub use crate::clock::{
        Instant, Interval, MissedTickBehavior, Sleep, Timeout, interval, interval_at, sleep, sleep_until,
        timeout, timeout_at, wall,
    };
    pub use std::time::Duration;

    /// What timeouts end with.
    pub mod error {
        pub use crate::clock::Elapsed;
    }
}
