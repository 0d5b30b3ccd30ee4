//! Clocks: `clock_gettime`, `clock_getres`, `gettimeofday`, `time`, `timespec_get` and `times` read the clocks of the
//! node that runs, so `std::time` is virtual. Clocks of CPU time, and clocks that do not exist, are the real function's
//! affair.
//!
//! Safety invariant: a result is written through the caller's pointer only where the real function would write it.
//! Like the real functions, which do not enter the kernel, these answer a null pointer through the real function and
//! trust any other; the forms by number (see `syscall`) check the pointer first, as the kernel does.

use std::ffi::{c_int, c_long, c_void};

use libc::{clock_t, clockid_t, time_t, timespec, timeval, timezone, tms};
use sim_core::host;

use super::{Guard, guard, inside, real};

static CLOCK_GETTIME: real::Next<unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int> =
    // SAFETY: the signature in clock_gettime(2).
    unsafe { real::Next::new(c"clock_gettime") };
static CLOCK_GETRES: real::Next<unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int> =
    // SAFETY: the signature in clock_getres(2).
    unsafe { real::Next::new(c"clock_getres") };
static GETTIMEOFDAY: real::Next<unsafe extern "C" fn(*mut timeval, *mut timezone) -> c_int> =
    // SAFETY: the signature in gettimeofday(2).
    unsafe { real::Next::new(c"gettimeofday") };
static TIME: real::Next<unsafe extern "C" fn(*mut time_t) -> time_t> =
    // SAFETY: the signature in time(2).
    unsafe { real::Next::new(c"time") };
static TIMESPEC_GET: real::Next<unsafe extern "C" fn(*mut timespec, c_int) -> c_int> =
    // SAFETY: the signature in timespec_get(3).
    unsafe { real::Next::new(c"timespec_get") };
static TIMES: real::Next<unsafe extern "C" fn(*mut tms) -> clock_t> =
    // SAFETY: the signature in times(2).
    unsafe { real::Next::new(c"times") };

pub(super) fn guards() -> Vec<Guard> {
    vec![
        guard(c"clock_gettime", clock_gettime as *const c_void),
        guard(c"clock_getres", clock_getres as *const c_void),
        guard(c"gettimeofday", gettimeofday as *const c_void),
        guard(c"time", time as *const c_void),
        guard(c"timespec_get", timespec_get as *const c_void),
        guard(c"times", times as *const c_void),
    ]
}

pub(super) fn look_up() {
    CLOCK_GETTIME.function();
    CLOCK_GETRES.function();
    GETTIMEOFDAY.function();
    TIME.function();
    TIMESPEC_GET.function();
    TIMES.function();
}

/// clock_gettime(2).
///
/// # Safety
///
/// As for the C function: `to` is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, to: *mut timespec) -> c_int {
    if !to.is_null()
        && let Some(now) = read_clock(clock)
    {
        // SAFETY: the caller's promise.
        unsafe { to.write_unaligned(now) };
        return 0;
    }
    match CLOCK_GETTIME.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(clock, to) },
        // SAFETY: as above; the kernel checks the pointer.
        None => unsafe { by_number(libc::SYS_clock_gettime, clock as usize, to as usize) as c_int },
    }
}

/// clock_getres(2).
///
/// # Safety
///
/// As for the C function: `to` is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_getres(clock: clockid_t, to: *mut timespec) -> c_int {
    if let Some(resolution) = resolution(clock) {
        if !to.is_null() {
            // SAFETY: the caller's promise.
            unsafe { to.write_unaligned(resolution) };
        }
        return 0;
    }
    match CLOCK_GETRES.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(clock, to) },
        // SAFETY: as above; the kernel checks the pointer.
        None => unsafe { by_number(libc::SYS_clock_getres, clock as usize, to as usize) as c_int },
    }
}

/// gettimeofday(2). The time zone, where asked for, is UTC, as always with glibc.
///
/// # Safety
///
/// As for the C function: each pointer is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(to: *mut timeval, zone: *mut timezone) -> c_int {
    if let Some(now) = host::realtime() {
        if !to.is_null() {
            // SAFETY: the caller's promise.
            unsafe { to.write_unaligned(microseconds(now)) };
        }
        if !zone.is_null() {
            // SAFETY: the caller's promise; two integers, for which zero is a value.
            unsafe { zone.cast::<[c_int; 2]>().write_unaligned([0, 0]) };
        }
        return 0;
    }
    match GETTIMEOFDAY.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(to, zone) },
        // SAFETY: as above; the kernel checks the pointers.
        None => unsafe { by_number(libc::SYS_gettimeofday, to as usize, zone as usize) as c_int },
    }
}

/// time(2).
///
/// # Safety
///
/// As for the C function: `to` is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn time(to: *mut time_t) -> time_t {
    if let Some(now) = host::realtime() {
        let seconds = seconds(now);
        if !to.is_null() {
            // SAFETY: the caller's promise.
            unsafe { to.write_unaligned(seconds) };
        }
        return seconds;
    }
    match TIME.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(to) },
        None => {
            let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the structure is ours. A machine without time(2) has clock_gettime(2).
            unsafe {
                by_number(libc::SYS_clock_gettime, libc::CLOCK_REALTIME as usize, &raw mut now as usize)
            };
            if !to.is_null() {
                // SAFETY: the caller's promise.
                unsafe { to.write_unaligned(now.tv_sec) };
            }
            now.tv_sec
        }
    }
}

/// timespec_get(3), of C11: the wall clock by the base that every system has; others are the real function's affair.
///
/// # Safety
///
/// As for the C function: `to` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn timespec_get(to: *mut timespec, base: c_int) -> c_int {
    const TIME_UTC: c_int = 1;
    if base == TIME_UTC
        && let Some(now) = read_clock(libc::CLOCK_REALTIME)
    {
        // SAFETY: the caller's promise.
        unsafe { to.write_unaligned(now) };
        return base;
    }
    match TIMESPEC_GET.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(to, base) },
        // That of a base which the system does not have.
        None => 0,
    }
}

/// times(2): the ticks are those of the node's monotonic clock; the CPU times that it stores are real.
///
/// # Safety
///
/// As for the C function: `to` is null or can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn times(to: *mut tms) -> clock_t {
    let real = match TIMES.function() {
        // SAFETY: the caller's argument, unchanged.
        Some(real) => unsafe { real(to) },
        // SAFETY: as above; the kernel checks the pointer.
        None => unsafe { by_number(libc::SYS_times, to as usize, 0) as clock_t },
    };
    match host::monotonic() {
        Some(now) if real != -1 => ticks(now),
        _ => real,
    }
}

/// Ticks of times(2): 100 a second on these machines (`USER_HZ`), whatever the kernel's own rate.
pub(super) fn ticks(ns: u64) -> clock_t {
    (ns / (NS_PER_S / 100)) as clock_t
}

/// The time of a clock of the running node; `None` outside of a simulation and for clocks that it does not have.
pub(super) fn read_clock(clock: clockid_t) -> Option<timespec> {
    let now = match family(clock)? {
        Family::Realtime => host::realtime(),
        Family::Monotonic => host::monotonic(),
    }?;
    Some(timespec { tv_sec: seconds(now), tv_nsec: (now % NS_PER_S) as c_long })
}

/// The resolution of a clock of the running node: one nanosecond, also for the coarse clocks, whose real resolution
/// depends on how the host's kernel was built.
pub(super) fn resolution(clock: clockid_t) -> Option<timespec> {
    (family(clock).is_some() && inside()).then_some(timespec { tv_sec: 0, tv_nsec: 1 })
}

/// Splits nanoseconds since 1970 as gettimeofday(2) does.
pub(super) fn microseconds(ns: u64) -> timeval {
    timeval { tv_sec: seconds(ns), tv_usec: (ns % NS_PER_S / 1000) as libc::suseconds_t }
}

/// Whole seconds of a time in nanoseconds.
pub(super) fn seconds(ns: u64) -> time_t {
    (ns / NS_PER_S) as time_t
}

const NS_PER_S: u64 = 1_000_000_000;

/// Which clock of a node answers for a clock of the system.
enum Family {
    Realtime,
    Monotonic,
}

fn family(clock: clockid_t) -> Option<Family> {
    match clock {
        // TAI equals UTC on a machine whose time daemon has not set the offset.
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_REALTIME_ALARM | libc::CLOCK_TAI => {
            Some(Family::Realtime)
        }
        // A simulated machine is never suspended, so boot time is monotonic time.
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME
        | libc::CLOCK_BOOTTIME_ALARM => Some(Family::Monotonic),
        _ => None,
    }
}

/// # Safety
///
/// As for the system call.
unsafe fn by_number(number: c_long, a: usize, b: usize) -> isize {
    // SAFETY: the caller's promise.
    real::conclude(unsafe { real::call(number, [a, b, 0, 0, 0, 0]) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the tests are about what the guards do to these")]

    use super::*;
    use crate::guard::memory::tests::Pages;
    use crate::guard::tests::{outcome, simulated};
    use std::ptr;
    use std::time::{Duration, Instant, SystemTime};

    const VIRTUAL: [clockid_t; 9] = [
        libc::CLOCK_REALTIME,
        libc::CLOCK_REALTIME_COARSE,
        libc::CLOCK_REALTIME_ALARM,
        libc::CLOCK_TAI,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_MONOTONIC_RAW,
        libc::CLOCK_MONOTONIC_COARSE,
        libc::CLOCK_BOOTTIME,
        libc::CLOCK_BOOTTIME_ALARM,
    ];
    const REAL: [clockid_t; 2] = [libc::CLOCK_PROCESS_CPUTIME_ID, libc::CLOCK_THREAD_CPUTIME_ID];
    const NONE: [clockid_t; 3] = [10, 99, clockid_t::MIN];

    fn by_function(clock: clockid_t) -> (isize, i64, i64) {
        let mut now = timespec { tv_sec: -1, tv_nsec: 0 };
        // SAFETY: the structure is ours.
        let returned = unsafe { libc::clock_gettime(clock, &mut now) };
        (returned as isize, now.tv_sec, now.tv_nsec)
    }

    fn by_syscall(clock: clockid_t) -> (isize, i64, i64) {
        let mut now = timespec { tv_sec: -1, tv_nsec: 0 };
        // SAFETY: the structure is ours.
        let returned = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &mut now) };
        (returned as isize, now.tv_sec, now.tv_nsec)
    }

    #[test]
    fn clocks_exist_inside_that_exist_outside() {
        let answers = || {
            // Machines without a real-time clock that can wake them have no alarm clocks.
            let alarms = [libc::CLOCK_REALTIME_ALARM, libc::CLOCK_BOOTTIME_ALARM];
            let all = VIRTUAL.into_iter().chain(REAL).chain(NONE).filter(|clock| !alarms.contains(clock));
            all.map(|clock| {
                let errors = (outcome(|| by_function(clock).0), outcome(|| by_syscall(clock).0));
                // SAFETY: the resolution may go nowhere.
                (clock, errors, outcome(|| unsafe { libc::clock_getres(clock, ptr::null_mut()) } as isize))
            })
            .collect::<Vec<_>>()
        };
        let outside = answers();
        assert!(outside.contains(&(99, ((-1, libc::EINVAL), (-1, libc::EINVAL)), (-1, libc::EINVAL))));
        assert_eq!(simulated(1, answers), outside);
    }

    #[test]
    fn every_clock_but_those_of_cpu_time_reads_the_node() {
        simulated(1, || {
            for clock in VIRTUAL {
                let first = by_function(clock);
                assert_eq!((by_function(clock), by_syscall(clock)), (first, first), "clock {clock} moved");
            }
            let start = by_function(libc::CLOCK_THREAD_CPUTIME_ID);
            while by_function(libc::CLOCK_THREAD_CPUTIME_ID) == start {}
        });
    }

    #[test]
    fn all_ways_to_ask_for_the_wall_clock_agree() {
        simulated(1, || {
            let now = host::realtime().expect("inside");
            let mut split = timeval { tv_sec: 0, tv_usec: 0 };
            let mut stored = 0;
            let mut zone: [c_int; 2] = [7, 7];
            // SAFETY: all places are ours.
            unsafe {
                assert_eq!(libc::gettimeofday(&mut split, (&raw mut zone).cast()), 0);
                assert_eq!(libc::time(&mut stored), stored);
                assert_eq!(libc::time(ptr::null_mut()), stored);
            }
            assert_eq!(zone, [0, 0]);
            assert_eq!((split.tv_sec, split.tv_usec as u64), (stored, now % NS_PER_S / 1000));
            assert_eq!(stored as u64, now / NS_PER_S);
            assert_eq!(SystemTime::UNIX_EPOCH + Duration::from_nanos(now), SystemTime::now());
            let mut again = timeval { tv_sec: 0, tv_usec: 0 };
            // SAFETY: as above.
            unsafe {
                assert_eq!(libc::syscall(libc::SYS_gettimeofday, &mut again, ptr::null_mut::<c_void>()), 0)
            };
            assert_eq!((again.tv_sec, again.tv_usec), (split.tv_sec, split.tv_usec));
            let mut c11 = timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the structure is ours; base 99 does not exist.
            unsafe {
                assert_eq!(timespec_get(&mut c11, 1), 1);
                assert_eq!(timespec_get(&mut c11, 99), 0);
            }
            assert_eq!((c11.tv_sec as u64, c11.tv_nsec as u64), (now / NS_PER_S, now % NS_PER_S));
        });
    }

    #[test]
    fn bad_pointers_are_refused_by_number() {
        let answers = || {
            let pages = Pages::new();
            [
                ptr::null_mut(),
                pages.before_end(0),
                pages.before_end(12),
                pages.before_end(16),
                pages.before_end(19),
            ]
            .map(|to| {
                // SAFETY: memory that nothing else uses.
                unsafe {
                    let gettime = outcome(|| libc::syscall(libc::SYS_clock_gettime, 0, to) as isize);
                    let getres = outcome(|| libc::syscall(libc::SYS_clock_getres, 0, to) as isize);
                    let nowhere = ptr::null_mut::<c_void>();
                    let of_day = outcome(|| libc::syscall(libc::SYS_gettimeofday, to, nowhere) as isize);
                    (gettime, getres, of_day)
                }
            })
        };
        let outside = answers();
        assert_eq!(outside[1].0, (-1, libc::EFAULT));
        assert_eq!(simulated(1, answers), outside);
    }

    #[test]
    fn an_unaligned_place_is_written() {
        simulated(1, || {
            let pages = Pages::new();
            // SAFETY: memory that nothing else uses.
            assert_eq!(unsafe { libc::clock_gettime(0, pages.before_end(19).cast()) }, 0);
        });
    }

    #[test]
    fn ticks_are_those_of_the_monotonic_clock() {
        let answers = || {
            // SAFETY: all-zero is a value of the structure, which is ours; a null pointer is allowed.
            unsafe {
                let mut used: tms = std::mem::zeroed();
                (times(&mut used), times(ptr::null_mut()), libc::syscall(libc::SYS_times, &mut used))
            }
        };
        let expected = simulated(1, || ticks(host::monotonic().expect("inside")));
        assert_eq!(simulated(1, answers), (expected, expected, expected));
        assert!(answers().0 > 0);
    }

    #[test]
    fn the_resolution_is_one_nanosecond() {
        simulated(1, || {
            for clock in VIRTUAL {
                let mut resolution = timespec { tv_sec: 1, tv_nsec: 0 };
                // SAFETY: the structure is ours.
                assert_eq!(unsafe { libc::clock_getres(clock, &mut resolution) }, 0);
                assert_eq!((resolution.tv_sec, resolution.tv_nsec), (0, 1));
            }
        });
    }

    #[test]
    fn clocks_are_real_outside_of_a_simulation() {
        let before = (Instant::now(), SystemTime::now());
        let virtually = simulated(1, SystemTime::now);
        assert_eq!(virtually, simulated(1, SystemTime::now));
        while Instant::now() == before.0 {}
        assert!(SystemTime::now() > before.1);
        // SAFETY: a null pointer is allowed.
        assert!(unsafe { libc::time(ptr::null_mut()) } > 1_600_000_000);
    }
}
