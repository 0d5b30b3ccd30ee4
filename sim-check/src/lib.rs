//! Histories of operations: what clients asked of a system, when, and what they were told. Independent of the simulator:
//! histories of real systems are as good.
//!
//! | module | subject |
//! | --- | --- |
//! | [`history`] | operations with process, invocation and completion |
//! | [`recorder`] | records them while they happen |
//! | [`jepsen`] | reads and writes histories as Jepsen's EDN, which is also what Porcupine's key-value tests are written in |
//! | [`log`] | the same as Jepsen's log lines, which are what Porcupine's etcd tests are written in |
//! | [`edn`] | the notation that both are written in |
//!
//! ```
//! use sim_check::{Completion, Recorder};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! enum Ask { Write(u32), Read }
//!
//! let recorder = Recorder::new();
//! let (alice, bob) = (recorder.process(), recorder.process());
//! let write = alice.invoke(Ask::Write(7));
//! let read = bob.invoke(Ask::Read);
//! read.ok(Some(7));
//! // Nobody knows what became of it: it may take effect later, or never.
//! drop(write);
//!
//! let history = recorder.history();
//! let [write, read] = history.operations() else { panic!("two were recorded") };
//! assert_eq!(write.completion, Completion::Unknown);
//! assert_eq!(read.completion, Completion::Ok { at: 3, output: Some(7) });
//! assert!(write.invoked < read.invoked);
//! ```

pub mod edn;
pub mod history;
pub mod jepsen;
pub mod log;
pub mod recorder;

pub use history::{Completion, Event, History, Malformed, Operation, ProcessId, What};
pub use recorder::{Call, Process, Recorder};
