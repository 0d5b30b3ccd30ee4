//! Deterministic simulation testing: a whole multi-service system in one process, with virtual time, a simulated
//! network and injected faults, and every run reproducible from one 64-bit seed.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`prelude`] | what a test needs: `use sim::prelude::*` |
//! | [`time`], [`net`], [`fs`], [`rand`], [`signal`] | what code inside a node uses, with tokio's names and signatures |
//! | [`Sim`], [`Node`] | the machine room: nodes, their life and death, what happens when |
//! | [`workload`] | what clients do: operations that are decisions of the run |
//! | [`oracle`], [`check`] | what judges a run; histories of operations |
//! | [`sim_test`] | a test that runs under many seeds |
//! | [`Builder`], [`sweep`] | runs outside of tests: one seed, or many |
//!
//! Two features, both off unless asked for: `tokio` gives streams and files the I/O traits of tokio, `hyper` what hyper, axum and
//! tonic
//! need to run on simulated sockets (docs/http.md).
//!
//! ```
//! use sim::prelude::*;
//! use std::time::Duration;
//!
//! async fn echo_server() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("0.0.0.0:7").await?;
//!     loop {
//!         let (mut stream, _) = listener.accept().await?;
//!         sim::spawn(async move {
//!             let mut buffer = [0; 64];
//!             while let Ok(n @ 1..) = stream.read(&mut buffer).await {
//!                 stream.write_all(&buffer[..n]).await?;
//!             }
//!             std::io::Result::Ok(())
//!         });
//!     }
//! }
//!
//! let outcome = sim::Builder::new().seed(7).isolate(sim::Isolate::Thread).run(|sim| async move {
//!     sim.node("server").run(echo_server);
//!     let client = sim.node("client");
//!     let cut = sim.partition(["client"], ["server"]);
//!     sim.after(Duration::from_millis(100), move || drop(cut));
//!     let answer = client.spawn(async {
//!         let mut stream = TcpStream::connect("server:7").await?;
//!         stream.write_all(b"hello").await?;
//!         let mut answer = [0; 5];
//!         stream.read_exact(&mut answer).await?;
//!         std::io::Result::Ok(answer)
//!     });
//!     answer.await.unwrap().unwrap()
//! });
//! assert_eq!(outcome.result.unwrap(), *b"hello");
//! ```

// Without this the linker would leave the guards out, and code that asks the host for time or entropy would get it.
extern crate sim_os as _;

pub use sim_core::oracle::eventually;
pub use sim_core::{
    AbortHandle, Clock, Death, Deviation, Event, ExitPolicy, Failure, FailureKind, Fault, Holdings,
    JoinError, JoinHandle, JoinSet, Kind, LimitGuard, Log, Node, NodeId, Op, Ops, Outcome, PanicPolicy,
    Resource, Schedule, Sim, Source, Stats, Swarm, Tolerance, Verdict, spawn, spawn_local, spawn_named,
    yield_now,
};
pub use sim_core::{
    Config, Decisions, codec, decision, fault, fs, oracle, rand, run, signal, time, workload,
};
pub use sim_hooks::{always, buggify, buggify_knob, reachable, sometimes, unreachable};
/// The same as [`sim_test`], under a name by which rstest knows an asynchronous test: `#[rstest] #[case(1)] #[sim::test]`.
pub use sim_macros::sim_test as test;
pub use sim_macros::sim_test;
pub use sim_net as net;
pub use sim_os::{Unbound, bound};
pub use sim_run::{
    Builder, FailedRun, Files, Group, InvalidFiles, InvalidSeeds, InvalidToken, Isolate, Likelihood, Missing,
    Note, OpExt, Run, Seeds, Shrunk, Size, Sweep, SweepReport, Token, Unshrunk, VACUOUS_AFTER, sweep, trace,
};

/// The names of all families of faults, in their order: what [`Swarm::only`] and [`Swarm::without`] take. In a run,
/// [`Sim::families`] has those of the subsystems that are in use.
///
/// ```
/// let families = sim::families();
/// assert!(["kill", "partition", "disk-full"].iter().all(|family| families.contains(family)));
/// ```
pub fn families() -> Vec<&'static str> {
    let mut all = [sim_core::fault::families(), sim_net::families()].concat();
    all.sort_unstable();
    all
}

/// Histories of operations, for consistency checkers: the crate `sim-check`, and recorders that stamp by the simulator's
/// count of steps.
pub mod check {
    pub use sim_check::*;
    use sim_core::Sim;

    /// Simulations record histories.
    pub trait CheckExt {
        /// A recorder whose stamps are steps of the run, as [`View::step`](crate::oracle::View::step) and messages of broken
        /// invariants count them. What is left of a dead process records nothing: of its last call nobody knows what came of
        /// it.
        ///
        /// ```
        /// # use sim::prelude::*;
        /// let outcome = sim::Builder::new().isolate(sim::Isolate::Thread).run(|sim| async move {
        ///     let recorder = sim.recorder();
        ///     let client = recorder.process();
        ///     sim.node("client").spawn(async move {
        ///         for key in 0..3 {
        ///             let call = client.invoke(key);
        ///             sim::time::sleep(Duration::from_millis(10)).await;
        ///             call.ok(true);
        ///         }
        ///     });
        ///     sim::time::sleep(Duration::from_millis(25)).await;
        ///     recorder.history()
        /// });
        /// let history = outcome.result.unwrap();
        /// assert_eq!((history.len(), history.operations()[2].completed()), (3, None));
        /// ```
        fn recorder<I, O>(&self) -> Recorder<I, O>;
    }

    impl CheckExt for Sim {
        fn recorder<I, O>(&self) -> Recorder<I, O> {
            Recorder::stamped(sim_core::oracle::stamp)
        }
    }
}

/// What a test needs: `use sim::prelude::*`.
pub mod prelude {
    pub use crate::check::CheckExt;
    pub use crate::fs::DiskExt;
    pub use crate::net::{NetExt, TcpListener, TcpStream, UdpSocket};
    pub use crate::{JoinHandle, JoinSet, Node, Op, OpExt, Ops, Sim, Swarm, Tolerance, sim_test, spawn};
    pub use crate::{always, eventually, reachable, sometimes};
    pub use std::time::Duration;

    /// A result whose error can be anything that displays itself: what the body of a test may return.
    pub type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
}

/// What `#[sim_test]` expands to. No part of the public interface.
#[doc(hidden)]
pub use sim_run::__private;

/// Has the examples of the README and of the book compiled and run.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/determinism.md")]
    struct Determinism;
    #[doc = include_str!("../docs/disk.md")]
    struct Disk;
    #[doc = include_str!("../docs/faults.md")]
    struct Faults;
    #[doc = include_str!("../docs/guards.md")]
    struct Guards;
    #[doc = include_str!("../docs/http.md")]
    struct Http;
    #[doc = include_str!("../docs/network.md")]
    struct Network;
    #[doc = include_str!("../docs/oracles.md")]
    struct Oracles;
    #[doc = include_str!("../docs/running.md")]
    struct Running;
    #[doc = include_str!("../docs/shrinking.md")]
    struct Shrinking;
    #[doc = include_str!("../docs/simulated.md")]
    struct Simulated;
    #[doc = include_str!("../docs/time.md")]
    struct Time;
}
