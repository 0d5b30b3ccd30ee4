//! Waits that end at a deadline or at once.

use std::ffi::c_int;
use std::ptr;
use std::thread;
use std::time::Duration;

use libc::{EAGAIN, EFAULT, timespec};
use sim_core::Config;

use super::{failure_of, outcome, simulate};

unsafe extern "C" {
    fn usleep(microseconds: libc::c_uint) -> c_int;
}

#[test]
fn a_sleep_of_no_time_is_allowed() {
    let run = simulate(|_| async {
        let none = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the place is ours; a null pointer is refused by the real call.
        unsafe {
            assert_eq!(outcome(libc::nanosleep(&none, ptr::null_mut())), (0, 0));
            assert_eq!(outcome(usleep(0)), (0, 0));
            assert_eq!(libc::sleep(0), 0);
            assert_eq!(outcome(libc::nanosleep(ptr::null(), ptr::null_mut())), (-1, EFAULT));
        }
    });
    run.result.unwrap();
}

#[test]
fn waits_with_a_deadline_end_and_are_violations() {
    use std::sync::{Condvar, Mutex, mpsc};
    use std::time::Instant;
    let waits: [fn(); 5] = [
        || {
            let (_sender, receiver) = mpsc::channel::<()>();
            assert!(receiver.recv_timeout(Duration::from_secs(3600)).is_err());
        },
        || {
            let (never, changes) = (Mutex::new(()), Condvar::new());
            let wait = changes.wait_timeout_while(never.lock().unwrap(), Duration::from_secs(3600), |_| true);
            assert!(wait.unwrap().1.timed_out());
        },
        || {
            let (never, changes) = (Mutex::new(()), Condvar::new());
            let wait = changes.wait_timeout_while(never.lock().unwrap(), Duration::ZERO, |_| true);
            assert!(wait.unwrap().1.timed_out());
        },
        || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(3600) {
                thread::park_timeout(Duration::from_secs(60));
            }
        },
        || {
            let word = std::sync::atomic::AtomicU32::new(7);
            let hour = timespec { tv_sec: 3600, tv_nsec: 0 };
            // SAFETY: the places are ours.
            let wait =
                || outcome(unsafe { libc::syscall(libc::SYS_futex, &word, libc::FUTEX_WAIT, 7, &hour) });
            assert_eq!(wait(), (-1, libc::ETIMEDOUT));
        },
    ];
    for wait in waits {
        let failure = failure_of(wait);
        assert_eq!(failure.signature(), "violation futex");
        assert!(failure.message.contains("sim::time::timeout"), "{failure:?}");
        assert_eq!(failure.at, Duration::from_secs(1));
    }
}

#[test]
fn waits_that_do_not_wait_are_none() {
    let run = simulate(|_| async {
        let word = std::sync::atomic::AtomicU32::new(7);
        let hour = timespec { tv_sec: 3600, tv_nsec: 0 };
        let futex = |operation: c_int, expected: u32, time: &timespec| {
            // SAFETY: the places are ours.
            outcome(unsafe { libc::syscall(libc::SYS_futex, &word, operation, expected, time) })
        };
        assert_eq!(futex(libc::FUTEX_WAIT, 8, &hour), (-1, EAGAIN));
        assert_eq!(futex(libc::FUTEX_WAKE, 1, &hour), (0, 0));
        let (sender, receiver) = std::sync::mpsc::channel();
        assert!(receiver.recv_timeout(Duration::ZERO).is_err());
        sender.send(()).unwrap();
        assert!(receiver.recv_timeout(Duration::from_secs(3600)).is_ok());
        thread::current().unpark();
        thread::park_timeout(Duration::from_secs(3600));
    });
    run.result.unwrap();
    let thread = thread::spawn(|| {
        let clock =
            || sim_core::run(Config::seed(1), |_| async { std::time::Instant::now() }).result.unwrap();
        let before = clock();
        let failed =
            sim_core::run(Config::seed(1), |_| async { thread::park_timeout(Duration::from_secs(9)) });
        assert_eq!(failed.result.unwrap_err().signature(), "violation futex");
        assert_eq!(clock(), before, "the clock runs ahead in the failed run only");
    });
    thread.join().unwrap();
}
