//! Readiness: what a call on a socket would not have to wait for, who waits for it, and sets of sockets to wait for at
//! once.
//!
//! [`ReadinessSet`] behaves as epoll(7) does: level and edge triggers, one-shot, changes of interest while others wait.

mod set;
mod state;
mod waiters;

pub(crate) use set::Sets;
pub use set::{Event, Mode, ReadinessSet, Watch};
pub(crate) use waiters::{POLLED, WaitId, Waiters};

use sim_core::slab::Key;
pub use state::{Interest, Ready};

/// A socket, as readiness sets know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    #[doc(hidden)]
    Stream(Key),
    #[doc(hidden)]
    Listener(Key),
    #[doc(hidden)]
    Udp(Key),
    #[doc(hidden)]
    UnixStream(Key),
    #[doc(hidden)]
    UnixListener(Key),
    #[doc(hidden)]
    UnixDatagram(Key),
}
