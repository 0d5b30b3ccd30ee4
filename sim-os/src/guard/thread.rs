//! Threads: a thread that a task starts would run at the same time as the world, outside of it.
//!
//! The error is `EAGAIN`, the one of pthread_create(3) for a system without room for a thread: std gives it to the
//! caller of `thread::Builder::spawn`, and `thread::spawn` panics with it. While the caller unwinds, the thread is
//! started after all: the run has failed by then, and a second panic would abort the process.

use std::ffi::{c_int, c_void};

use libc::{pthread_attr_t, pthread_t};

use super::refuse::{refuse, unwinds};
use super::{Guard, guard, real};

const REMEDY: &str = "Spawn a task with sim::spawn instead of std::thread::spawn, spawn_blocking, a thread pool or \
                      a runtime with threads.";

/// The names of these functions.
pub(super) const NAMES: &[&str] = &["pthread_create"];

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

static PTHREAD_CREATE: real::Next<
    unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int,
    // SAFETY: the signature in pthread_create(3).
> = unsafe { real::Next::new(c"pthread_create") };

pub(super) fn guards() -> Vec<Guard> {
    vec![guard(c"pthread_create", pthread_create as *const c_void)]
}

pub(super) fn look_up() {
    PTHREAD_CREATE.function();
}

/// pthread_create(3).
///
/// # Safety
///
/// As for the C function.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    if refuse("pthread_create", REMEDY) && !unwinds() {
        return libc::EAGAIN;
    }
    match PTHREAD_CREATE.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(thread, attributes, start, argument) },
        None => libc::EAGAIN,
    }
}
