//! The libc function `syscall`, through which programs call the guarded things by number (`std` and the `getrandom`
//! crates do, where they do not find the function). Everything else goes to the real function with all its words.
//!
//! Safety invariant: the symbol is a jump without a frame. It leaves the registers and the stack as the caller of the
//! variadic C function set them, and that is also where a function of seven words expects its arguments on these
//! machines (System V ABI for x86-64: six registers, then the stack; AAPCS64 as Linux uses it: registers). Words that
//! the caller did not pass hold anything, as in libc's own implementation, and are handed on unread.

use std::arch::naked_asm;
use std::ffi::{c_int, c_long, c_uint, c_void};
use std::sync::atomic::AtomicU32;

use libc::{timespec, timeval};
use sim_core::host;

use super::{Guard, clock, device, entropy, guard, identity, memory, real, refuse, wait};

static SYSCALL: real::Next<unsafe extern "C" fn(c_long, ...) -> c_long> =
    // SAFETY: the signature in syscall(2).
    unsafe { real::Next::new(c"syscall") };

pub(super) fn guards() -> Vec<Guard> {
    vec![guard(c"syscall", syscall as *const c_void)]
}

pub(super) fn look_up() {
    SYSCALL.function();
}

/// syscall(2). Stable Rust has no variadic definitions; and the optimiser must not see a definition with other
/// parameters than the variadic declaration that callers use, so this is a jump that it cannot look into.
///
/// # Safety
///
/// As for the system call.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall() -> c_long {
    naked_asm!("jmp {entry}", entry = sym entry)
}

/// syscall(2). Stable Rust has no variadic definitions; and the optimiser must not see a definition with other
/// parameters than the variadic declaration that callers use, so this is a jump that it cannot look into.
///
/// # Safety
///
/// As for the system call.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall() -> c_long {
    // `hint 34` marks a target of indirect branches (`bti c`) and is a no-op elsewhere.
    naked_asm!("hint 34", "b {entry}", entry = sym entry)
}

/// # Safety
///
/// As for the system call.
unsafe extern "C" fn entry(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    // SAFETY: the caller's promise.
    if let Some(result) = unsafe { dispatch(number, [a, b, c, d]) } {
        return result;
    }
    match SYSCALL.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(number, a, b, c, d, e, f) },
        // SAFETY: as above.
        None => real::conclude(unsafe { real::call(number, [a, b, c, d, e, f]) }) as c_long,
    }
}

/// The result of a guarded call inside a simulation. `None` is for the real one: everything else, and every call that
/// the kernel would refuse.
///
/// # Safety
///
/// As for the system call.
unsafe fn dispatch(number: c_long, [a, b, c, d]: [usize; 4]) -> Option<c_long> {
    match number {
        libc::SYS_getrandom => {
            // SAFETY: the caller's promise.
            let count = unsafe { entropy::drawn(a as *mut c_void, b, c as c_uint) };
            count.map(|n| n as c_long)
        }
        libc::SYS_read => {
            // SAFETY: the caller's promise.
            let count = unsafe { device::read_random(a as c_int, b as *mut c_void, c) };
            count.map(|n| n as c_long)
        }
        libc::SYS_clock_gettime => {
            let now = clock::read_clock(a as c_int)?;
            // SAFETY: the caller's promise.
            unsafe { store(b as *mut timespec, now) }
        }
        libc::SYS_clock_getres => {
            let resolution = clock::resolution(a as c_int)?;
            // SAFETY: the caller's promise.
            if b == 0 { Some(0) } else { unsafe { store(b as *mut timespec, resolution) } }
        }
        libc::SYS_gettimeofday => {
            let now = clock::microseconds(host::realtime()?);
            // SAFETY: the caller's promise.
            if a != 0 && unsafe { store(a as *mut timeval, now) }.is_none() {
                return None;
            }
            // SAFETY: the caller's promise.
            if b == 0 { Some(0) } else { unsafe { store(b as *mut [c_int; 2], [0, 0]) } }
        }
        #[cfg(target_arch = "x86_64")]
        libc::SYS_time => {
            let now = clock::seconds(host::realtime()?);
            // SAFETY: the caller's promise.
            if a != 0 && unsafe { store(a as *mut libc::time_t, now) }.is_none() {
                return None;
            }
            Some(now)
        }
        libc::SYS_times => {
            let now = clock::ticks(host::monotonic()?);
            // SAFETY: the caller's promise; the kernel checks the pointer.
            let real = unsafe { real::call(libc::SYS_times, [a, 0, 0, 0, 0, 0]) };
            Some(if real < 0 && a != 0 { real::conclude(real) as c_long } else { now })
        }
        libc::SYS_readv => {
            // SAFETY: the caller's promise.
            let count = unsafe { device::read_parts(a as c_int, b as *const libc::iovec, c as c_int) };
            count.map(|n| n as c_long)
        }
        libc::SYS_pread64 => {
            // SAFETY: the caller's promise.
            let count = unsafe { device::read_random(a as c_int, b as *mut c_void, c) };
            count.map(|n| n as c_long)
        }
        libc::SYS_uname => {
            // SAFETY: the caller's promise.
            unsafe { identity::named(a as *mut libc::utsname) }
        }
        libc::SYS_sched_getaffinity => {
            // SAFETY: the caller's promise.
            let size = unsafe { identity::affinity(a as libc::pid_t, b, c as *mut u8) };
            size.map(|size| size as c_long)
        }
        libc::SYS_futex => {
            // SAFETY: the caller's promise.
            unsafe { wait::futex(a as *const AtomicU32, b as c_int, c as u32, d as *const timespec) }
        }
        _ => refuse::by_number(number),
    }
}

/// Writes a result where the caller wants it, if that can be written.
///
/// # Safety
///
/// The caller of the guard gave the place up to be overwritten.
unsafe fn store<T>(to: *mut T, value: T) -> Option<c_long> {
    // SAFETY: the caller's promise; the kernel has just written there, at any alignment.
    unsafe {
        if !memory::accepts(to) {
            return None;
        }
        to.write_unaligned(value);
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::{outcome, simulated};

    #[test]
    fn other_calls_get_all_their_words_and_errors() {
        let forwarded = || {
            // SAFETY: a new anonymous file and a mapping of it, both given back; calls that fail.
            unsafe {
                let file = libc::syscall(libc::SYS_memfd_create, c"words".as_ptr(), 0) as c_int;
                let text = [b'a'; 4096].into_iter().chain([b'b'; 4096]).collect::<Vec<u8>>();
                assert_eq!(libc::syscall(libc::SYS_write, file, text.as_ptr(), text.len()), 8192);
                let nowhere = std::ptr::null::<u8>();
                let (protection, flags, offset) = (libc::PROT_READ, libc::MAP_PRIVATE, 4096usize);
                let at = libc::syscall(libc::SYS_mmap, nowhere, 4096usize, protection, flags, file, offset);
                assert_eq!(*(at as *const u8), b'b');
                assert_eq!(libc::syscall(libc::SYS_munmap, at, 4096usize), 0);
                assert_eq!(libc::syscall(libc::SYS_close, file), 0);
                assert_eq!(libc::syscall(libc::SYS_getpid), libc::c_long::from(libc::getpid()));
                let closed = outcome(|| libc::syscall(libc::SYS_close, -1) as isize);
                (closed, outcome(|| libc::syscall(100_000) as isize))
            }
        };
        let expected = ((-1, libc::EBADF), (-1, libc::ENOSYS));
        assert_eq!(forwarded(), expected);
        assert_eq!(simulated(1, forwarded), expected);
    }
}
