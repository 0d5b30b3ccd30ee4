//! Sleeps: a task that sleeps for real holds the whole world, whose clock does not move meanwhile.
//!
//! The error is `ENOSYS`, as in a sandbox without the call. `EINTR`, the usual one, would be retried for ever, and
//! success would let a loop that waits for another task turn for ever; `std::thread::sleep` panics with `ENOSYS`,
//! which ends the poll. While the caller unwinds, the sleep is over at once instead: a second panic would abort the
//! process. A sleep of no time is no wait but a way to yield, and is done.

use std::ffi::{c_int, c_uint, c_void};

use libc::{clockid_t, timespec};

use super::refuse::{failed, refuse, unwinds};
use super::{Guard, guard, inside, real};

pub(super) const REMEDY: &str =
    "Wait with sim::time::sleep(…).await instead of std::thread::sleep: it takes virtual time only.";
pub(super) const ERROR: c_int = libc::ENOSYS;

/// The names of these functions.
pub(super) const NAMES: &[&str] = &["nanosleep", "clock_nanosleep", "usleep", "sleep"];

static NANOSLEEP: real::Next<unsafe extern "C-unwind" fn(*const timespec, *mut timespec) -> c_int> =
    // SAFETY: the signature in nanosleep(2).
    unsafe { real::Next::new(c"nanosleep") };
static CLOCK_NANOSLEEP: real::Next<
    unsafe extern "C-unwind" fn(clockid_t, c_int, *const timespec, *mut timespec) -> c_int,
    // SAFETY: the signature in clock_nanosleep(2).
> = unsafe { real::Next::new(c"clock_nanosleep") };
static USLEEP: real::Next<unsafe extern "C-unwind" fn(c_uint) -> c_int> =
    // SAFETY: the signature in usleep(3).
    unsafe { real::Next::new(c"usleep") };
static SLEEP: real::Next<unsafe extern "C-unwind" fn(c_uint) -> c_uint> =
    // SAFETY: the signature in sleep(3).
    unsafe { real::Next::new(c"sleep") };

pub(super) fn guards() -> Vec<Guard> {
    vec![
        guard(c"nanosleep", nanosleep as *const c_void),
        guard(c"clock_nanosleep", clock_nanosleep as *const c_void),
        guard(c"usleep", usleep as *const c_void),
        guard(c"sleep", sleep as *const c_void),
    ]
}

pub(super) fn look_up() {
    NANOSLEEP.function();
    CLOCK_NANOSLEEP.function();
    USLEEP.function();
    SLEEP.function();
}

/// nanosleep(2).
///
/// # Safety
///
/// As for the C function: `time` can be read, `left` is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { waits(time) } && refuse("nanosleep", REMEDY) {
        return if unwinds() { 0 } else { failed(ERROR) };
    }
    match NANOSLEEP.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(time, left) },
        None => failed(ERROR),
    }
}

/// clock_nanosleep(2), which returns its error.
///
/// # Safety
///
/// As for the C function: `time` can be read, `left` is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { waits(time) } && refuse("clock_nanosleep", REMEDY) {
        return if unwinds() { 0 } else { ERROR };
    }
    match CLOCK_NANOSLEEP.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(clock, flags, time, left) },
        None => ERROR,
    }
}

/// usleep(3).
///
/// # Safety
///
/// As for the C function, which asks for nothing.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn usleep(microseconds: c_uint) -> c_int {
    if microseconds > 0 && refuse("usleep", REMEDY) {
        return if unwinds() { 0 } else { failed(ERROR) };
    }
    match USLEEP.function() {
        // SAFETY: the caller's argument, unchanged.
        Some(real) => unsafe { real(microseconds) },
        None => failed(ERROR),
    }
}

/// sleep(3), which has no error: refused, it returns the time that was not slept, as when a signal comes at once.
///
/// # Safety
///
/// As for the C function, which asks for nothing.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn sleep(seconds: c_uint) -> c_uint {
    if seconds > 0 && refuse("sleep", REMEDY) {
        return if unwinds() { 0 } else { seconds };
    }
    match SLEEP.function() {
        // SAFETY: the caller's argument, unchanged.
        Some(real) => unsafe { real(seconds) },
        None => seconds,
    }
}

/// Whether a sleep inside a simulation takes time; a null pointer is the real function's affair.
///
/// # Safety
///
/// `time` is null or can be read.
unsafe fn waits(time: *const timespec) -> bool {
    if time.is_null() || !inside() {
        return false;
    }
    // SAFETY: the caller's promise.
    let time = unsafe { time.read_unaligned() };
    (time.tv_sec, time.tv_nsec) != (0, 0)
}
