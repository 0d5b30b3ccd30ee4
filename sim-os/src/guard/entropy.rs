//! Random bytes: `getrandom` and `getentropy` give the run's application randomness.
//!
//! Safety invariant: a buffer is written only as far as the kernel confirmed that it can be (see `memory`), and
//! zeroed before a slice of it exists, since the caller need not have initialised it.

use std::ffi::{c_int, c_uint, c_void};
use std::slice;

use libc::{size_t, ssize_t};

use super::{Guard, guard, inside, memory, real};

static GETRANDOM: real::Next<unsafe extern "C" fn(*mut c_void, size_t, c_uint) -> ssize_t> =
    // SAFETY: the signature in getrandom(2).
    unsafe { real::Next::new(c"getrandom") };
static GETENTROPY: real::Next<unsafe extern "C" fn(*mut c_void, size_t) -> c_int> =
    // SAFETY: the signature in getentropy(3).
    unsafe { real::Next::new(c"getentropy") };
pub(super) fn guards() -> Vec<Guard> {
    vec![guard(c"getrandom", getrandom as *const c_void), guard(c"getentropy", getentropy as *const c_void)]
}

pub(super) fn look_up() {
    GETRANDOM.function();
    GETENTROPY.function();
}

/// getrandom(2).
///
/// # Safety
///
/// As for the C function: `buffer` is given up to be overwritten for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { drawn(buffer, length, flags) } {
        return count as ssize_t;
    }
    match GETRANDOM.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(buffer, length, flags) },
        None => {
            let arguments = [buffer as usize, length, flags as usize, 0, 0, 0];
            // SAFETY: as above; the kernel checks the pointer.
            real::conclude(unsafe { real::call(libc::SYS_getrandom, arguments) })
        }
    }
}

/// getentropy(3).
///
/// # Safety
///
/// As for the C function: `buffer` is given up to be overwritten for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
    // SAFETY: the caller's promise.
    if length <= ENTROPY_MOST && unsafe { drawn(buffer, length, 0) } == Some(length) {
        return 0;
    }
    match GETENTROPY.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(buffer, length) },
        None if length > ENTROPY_MOST => real::conclude(-(libc::EIO as isize)) as c_int,
        None => {
            // SAFETY: as above; the kernel checks the pointer. Requests of this size are never cut short.
            let result = unsafe { real::call(libc::SYS_getrandom, [buffer as usize, length, 0, 0, 0, 0]) };
            real::conclude(result).min(0) as c_int
        }
    }
}

/// The most that `getentropy` gives; asked for more, it answers `EIO`.
const ENTROPY_MOST: usize = 256;

/// What getrandom(2) gives inside a simulation: the number of bytes written. `None` is for the real call: outside of
/// a simulation, for requests of no bytes (with which libraries probe for the call; they must not use up a draw), and
/// for what the real call refuses: unknown flags, flags that exclude each other, a bad pointer.
///
/// # Safety
///
/// The caller of the guard gave `[buffer, buffer + length)` up to be overwritten.
pub(super) unsafe fn drawn(buffer: *mut c_void, length: usize, flags: c_uint) -> Option<usize> {
    const INSECURE_RANDOM: c_uint = libc::GRND_INSECURE | libc::GRND_RANDOM;
    let known = flags & !(libc::GRND_NONBLOCK | INSECURE_RANDOM) == 0;
    if !known || flags & INSECURE_RANDOM == INSECURE_RANDOM {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { fill(buffer, length) }
}

/// Writes application randomness as far as the buffer can be written. `None` where no byte was.
///
/// # Safety
///
/// The caller of the guard gave `[buffer, buffer + length)` up to be overwritten.
pub(super) unsafe fn fill(buffer: *mut c_void, length: usize) -> Option<usize> {
    if length == 0 || !inside() {
        return None;
    }
    let start = buffer.cast::<u8>();
    // SAFETY: the caller's promise.
    let length = unsafe { memory::writable(start, length.min(LONGEST)) };
    if length == 0 {
        return None;
    }
    // SAFETY: the kernel has just written to each of these pages, and the caller gave the bytes up.
    let bytes = unsafe {
        start.write_bytes(0, length);
        slice::from_raw_parts_mut(start, length)
    };
    sim_core::host::fill(bytes).then_some(length)
}

/// The most that one system call transfers (`MAX_RW_COUNT`).
const LONGEST: usize = 0x7fff_f000;

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_types, reason = "the tests are about what the guards do to these")]

    use super::super::tests::assert_follows_from_the_seed;
    use super::*;
    use crate::guard::memory::tests::Pages;
    use crate::guard::tests::{outcome, simulated};
    use std::collections::HashMap;
    use std::ptr;

    /// What the call `by` returns for buffers good and bad, sizes and flags.
    fn answers(by: fn(*mut c_void, usize, c_uint) -> isize) -> Vec<(isize, c_int)> {
        let pages = Pages::new();
        let buffers = [
            (ptr::null_mut(), 0),
            (ptr::null_mut(), 16),
            (ptr::without_provenance_mut(usize::MAX), 16),
            (pages.before_end(16), 16),
            (pages.before_end(0), 16),
            (pages.before_end(0), 0),
            (pages.before_end(5000), 4096),
        ];
        let flags = [0, libc::GRND_NONBLOCK, libc::GRND_RANDOM, libc::GRND_INSECURE].into_iter().chain([
            libc::GRND_INSECURE | libc::GRND_RANDOM,
            libc::GRND_NONBLOCK | libc::GRND_RANDOM,
            8,
            0x8000_0000,
        ]);
        flags
            .flat_map(|flags| buffers.map(|(buffer, length)| outcome(|| by(buffer.cast(), length, flags))))
            .collect()
    }

    fn by_function(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        // SAFETY: the buffers of `answers`, which nothing else uses.
        unsafe { libc::getrandom(buffer, length, flags) }
    }

    fn by_number(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize }
    }

    fn by_kernel(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        // SAFETY: as above.
        real::conclude(unsafe {
            real::call(libc::SYS_getrandom, [buffer as usize, length, flags as usize, 0, 0, 0])
        })
    }

    #[test]
    fn getrandom_answers_as_the_kernel_does() {
        let kernel = answers(by_kernel);
        assert!(kernel.contains(&(-1, libc::EFAULT)) && kernel.contains(&(-1, libc::EINVAL)));
        assert_eq!(answers(by_function), kernel);
        assert_eq!(answers(by_number), kernel);
        assert_eq!(simulated(1, || answers(by_function)), kernel);
        assert_eq!(simulated(1, || answers(by_number)), kernel);
    }

    #[test]
    fn getentropy_answers_as_libc_does() {
        let answers = || {
            let pages = Pages::new();
            let buffers = [
                (ptr::null_mut(), 0),
                (ptr::null_mut(), 16),
                (pages.before_end(0), 16),
                (pages.before_end(256), 256),
                (pages.before_end(257), 257),
            ];
            buffers.map(|(buffer, length)| {
                // SAFETY: a buffer that nothing else uses.
                outcome(|| unsafe { libc::getentropy(buffer.cast(), length) as isize })
            })
        };
        let expected = [(0, 0), (-1, libc::EFAULT), (-1, libc::EFAULT), (0, 0), (-1, libc::EIO)];
        assert_eq!(answers(), expected);
        assert_eq!(simulated(1, answers), expected);
    }

    #[test]
    fn a_buffer_is_filled_up_to_the_first_bad_page() {
        let tail = simulated(1, || {
            let pages = Pages::new();
            // The kernel, too, stops short where it has given something already.
            assert_eq!(by_function(pages.before_end(64).cast(), 5000, 0), 64);
            // SAFETY: the bytes before the end of the writable pages.
            unsafe { slice::from_raw_parts(pages.before_end(64), 64).to_vec() }
        });
        assert!(tail[32..].iter().any(|&byte| byte != 0));
    }

    /// Sixteen bytes from each source of entropy.
    fn draws() -> Vec<[u8; 16]> {
        let draw = |fill: &mut dyn FnMut(&mut [u8; 16])| {
            let mut bytes = [0; 16];
            fill(&mut bytes);
            bytes
        };
        vec![
            draw(&mut |bytes| assert_eq!(by_function(bytes.as_mut_ptr().cast(), 16, 0), 16)),
            draw(&mut |bytes| assert_eq!(by_number(bytes.as_mut_ptr().cast(), 16, libc::GRND_NONBLOCK), 16)),
            // SAFETY: the buffer is ours.
            draw(&mut |bytes| assert_eq!(unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), 16) }, 0)),
            draw(&mut |bytes| getrandom02::getrandom(bytes).unwrap()),
            draw(&mut |bytes| getrandom03::fill(bytes).unwrap()),
            draw(&mut |bytes| getrandom04::fill(bytes).unwrap()),
        ]
    }

    #[test]
    fn every_source_repeats_with_the_seed() {
        assert_follows_from_the_seed(draws);
    }

    #[test]
    fn entropy_is_real_outside_of_a_simulation() {
        for (one, other) in draws().iter().zip(&draws()) {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_probe_for_the_call_uses_up_no_draw() {
        let probed = |probes: usize| {
            simulated(7, move || {
                for _ in 0..probes {
                    assert_eq!(by_function(ptr::null_mut(), 0, libc::GRND_NONBLOCK), 0);
                    assert_eq!(by_function(ptr::null_mut(), 16, 0), -1);
                    assert_eq!(by_number(ptr::null_mut(), 16, 8), -1);
                }
                draws()
            })
        };
        assert_eq!(probed(0), probed(3));
    }

    #[test]
    fn the_order_of_a_hash_map_repeats_with_the_seed() {
        let order =
            || (0..100).map(|n| (n, ())).collect::<HashMap<u32, ()>>().into_keys().collect::<Vec<_>>();
        let first = simulated(7, order);
        assert_eq!(simulated(7, order), first);
        assert_ne!(simulated(8, order), first);
    }
}
