//! The guarded symbols. Each guard asks `sim_core::host` first and, where that has no answer (this thread runs no
//! simulation, or its kernel is busy), calls the real function, which then also finds the caller's mistakes.
//!
//! To add a guard: write the function in the file of its subject, list it in that file's `guards` and `look_up`, and,
//! if programs call it by number, add it to `syscall::dispatch`; one that is refused, in a `refused!` list and in
//! `refuse::NUMBERS`.
//!
//! Safety invariant of this folder: every guard has the C signature of the function that it stands in for, takes
//! from its caller what that function takes, and writes through a pointer only where the real one would. No guard
//! unwinds, allocates or takes a lock before it knows that the thread runs a simulation: guards are called before
//! `main`, by allocators, in destructors of thread-locals and in signal handlers.

use std::ffi::{CStr, c_void};

mod clock;
mod device;
mod entropy;
mod identity;
mod memory;
mod real;
pub(crate) mod refuse;
mod sleep;
mod socket;
mod syscall;
mod thread;
mod wait;

/// A symbol that this crate defines.
pub(crate) struct Guard {
    pub(crate) name: &'static CStr,
    pub(crate) address: usize,
}

/// All guards.
pub(crate) fn table() -> impl Iterator<Item = Guard> {
    let all = [
        clock::guards(),
        device::guards(),
        entropy::guards(),
        identity::guards(),
        sleep::guards(),
        socket::guards(),
        syscall::guards(),
        thread::guards(),
        wait::guards(),
    ];
    all.into_iter().flatten()
}

/// Looks the real functions up.
fn look_up() {
    clock::look_up();
    device::look_up();
    entropy::look_up();
    identity::look_up();
    sleep::look_up();
    socket::look_up();
    syscall::look_up();
    thread::look_up();
    wait::look_up();
}

/// The C string of a name that ends in NUL.
const fn c_name(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name ends in its only NUL"),
    }
}

fn guard(name: &'static CStr, function: *const c_void) -> Guard {
    Guard { name, address: function as usize }
}

/// Whether the current thread runs a simulation that can answer now.
fn inside() -> bool {
    sim_core::host::monotonic().is_some()
}

#[cfg(test)]
mod tests {
    //! What the tests of the guards share, and what holds for all guards.

    #![expect(clippy::disallowed_methods, reason = "the tests are about what the guards do to these")]

    use super::*;
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicI64, Ordering};

    /// What a call returned, and `errno` if that was -1.
    pub(super) fn outcome(call: impl FnOnce() -> isize) -> (isize, c_int) {
        let returned = call();
        // SAFETY: the thread's own `errno`.
        (returned, if returned == -1 { unsafe { *libc::__errno_location() } } else { 0 })
    }

    /// Runs `body` as a simulation on a thread of its own.
    pub(super) fn simulated<T: Send + 'static>(seed: u64, body: impl FnOnce() -> T + Send + 'static) -> T {
        let run = move || {
            let outcome = sim_core::run(sim_core::Config::seed(seed), |_| async { body() });
            outcome.result.expect("no failure")
        };
        std::thread::spawn(run).join().expect("a thread of its own")
    }

    /// Checks that what `draws` gives repeats with the seed, differs between seeds, and never comes twice in a run.
    pub(super) fn assert_follows_from_the_seed<T: PartialEq + std::fmt::Debug + Send + 'static>(
        draws: fn() -> Vec<T>,
    ) {
        let first = simulated(7, draws);
        assert_eq!(simulated(7, draws), first);
        for (one, other) in simulated(8, draws).iter().zip(&first) {
            assert_ne!(one, other);
        }
        for (index, drawn) in first.iter().enumerate() {
            assert!(!first[..index].contains(drawn), "draw {index} repeats an earlier one");
        }
    }

    #[test]
    fn no_symbol_is_listed_twice() {
        let mut names: Vec<_> = table().map(|guard| guard.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), table().count());
    }

    #[test]
    fn success_leaves_errno_alone() {
        let calls = || {
            let mut bytes = [0u8; 8];
            let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: all buffers are ours and large enough.
            unsafe {
                *libc::__errno_location() = 77;
                assert_eq!(libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0), 8);
                assert_eq!(libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()), 0);
                assert_eq!(libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now), 0);
                assert_eq!(libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &mut now), 0);
                *libc::__errno_location()
            }
        };
        assert_eq!(calls(), 77);
        assert_eq!(simulated(1, calls), 77);
    }

    static BEFORE_MAIN: AtomicI64 = AtomicI64::new(0);

    #[used]
    #[unsafe(link_section = ".init_array")]
    static READ_THE_CLOCK: extern "C" fn() = {
        extern "C" fn read_the_clock() {
            // SAFETY: a null pointer is allowed.
            BEFORE_MAIN.store(unsafe { libc::time(std::ptr::null_mut()) }, Ordering::Relaxed);
        }
        read_the_clock
    };

    #[test]
    fn guards_forward_before_main() {
        assert!(BEFORE_MAIN.load(Ordering::Relaxed) > 1_600_000_000);
    }

    #[test]
    fn guards_answer_in_destructors_of_thread_locals() {
        struct Asks;
        impl Drop for Asks {
            fn drop(&mut self) {
                let mut bytes = [0u8; 8];
                // SAFETY: the buffer is ours.
                assert_eq!(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) }, 8);
                assert!(std::time::SystemTime::now() > std::time::UNIX_EPOCH);
            }
        }
        thread_local!(static EARLY: Asks = const { Asks });
        thread_local!(static LATE: Asks = const { Asks });
        let thread = std::thread::spawn(|| {
            EARLY.with(|_| ());
            let run = sim_core::run(sim_core::Config::seed(1), |_| async { LATE.with(|_| ()) });
            assert!(run.result.is_ok());
        });
        assert!(thread.join().is_ok());
    }
}
