//! Waiting for descriptors: what becomes ready on the host, and when, no seed decides.
//!
//! The error is `ENOSYS`, as in a sandbox without the call: callers retry `EINTR` and take nothing else for "not yet".
//!
//! And waiting for other threads until a deadline, which std and parking_lot do through futex(2) by number. They take no
//! error, and compare their deadline with the clock of the node, which does not move meanwhile. So the answer is that
//! the deadline has passed, and so it has for all who read that clock in what is left of the failed run.

use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{epoll_event, fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};

use super::refuse::{failed, refuse, refused};
use super::{clock, real};

pub(super) const REMEDY: &str =
    "Await futures of sim::net and sim::time in a task; another runtime cannot run inside a simulation.";
pub(super) const ERROR: c_int = libc::ENOSYS;

refused! {
    REMEDY;
    /// poll(2).
    fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int => failed(ERROR);
    /// ppoll(2).
    fn ppoll(fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int => failed(ERROR);
    /// select(2).
    fn select(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, timeout: *mut timeval
    ) -> c_int => failed(ERROR);
    /// pselect(2).
    fn pselect(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, timeout: *const timespec,
        mask: *const sigset_t
    ) -> c_int => failed(ERROR);
    /// epoll_wait(2).
    fn epoll_wait(fd: c_int, events: *mut epoll_event, most: c_int, timeout: c_int) -> c_int => failed(ERROR);
    /// epoll_pwait(2).
    fn epoll_pwait(
        fd: c_int, events: *mut epoll_event, most: c_int, timeout: c_int, mask: *const sigset_t
    ) -> c_int => failed(ERROR);
    /// epoll_pwait2(2).
    fn epoll_pwait2(
        fd: c_int, events: *mut epoll_event, most: c_int, timeout: *const timespec, mask: *const sigset_t
    ) -> c_int => failed(ERROR);
}

/// What futex(2) gives to who would wait until a deadline inside a simulation; `None` for everything else, such as
/// waiting without one, which a lock does that another thread holds for a moment.
///
/// The run cannot allow it: the deadline is one of a clock that the kernel does not have.
///
/// # Safety
///
/// As for the system call, where `word` and `timeout` are used as this operation does.
pub(super) unsafe fn futex(
    word: *const AtomicU32,
    operation: c_int,
    expected: u32,
    timeout: *const timespec,
) -> Option<c_long> {
    const REMEDY: &str = "Wait in sim::time::timeout(…) for a channel or a lock that is awaited.";
    let clock = match operation & libc::FUTEX_CLOCK_REALTIME {
        0 => libc::CLOCK_MONOTONIC,
        _ => libc::CLOCK_REALTIME,
    };
    let absolute = match operation & libc::FUTEX_CMD_MASK {
        libc::FUTEX_WAIT => false,
        libc::FUTEX_WAIT_BITSET => true,
        _ => return None,
    };
    let now = clock::read_clock(clock)?;
    if timeout.is_null() || word.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let (value, until) = unsafe { ((*word).load(Ordering::Relaxed), timeout.read()) };
    if value != expected {
        // The kernel has the caller look again, and does not wait.
        return None;
    }
    let left = nanoseconds(until).saturating_sub(if absolute { nanoseconds(now) } else { 0 });
    if !refuse("futex", REMEDY) {
        return None;
    }
    // A little at least: `Condvar::wait_timeout_while` waits again at the deadline itself.
    sim_core::host::pass(left.max(1));
    Some(real::conclude(-(libc::ETIMEDOUT as isize)) as c_long)
}

/// A time that is not negative, in nanoseconds; the longest there is for longer ones.
fn nanoseconds(time: timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
