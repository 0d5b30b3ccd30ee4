//! Waiting for descriptors: what becomes ready on the host, and when, no seed decides.
//!
//! The error is `ENOSYS`, as in a sandbox without the call: callers retry `EINTR` and take nothing else for "not yet".

use std::ffi::c_int;

use libc::{epoll_event, fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};

use super::refuse::{failed, refused};

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
