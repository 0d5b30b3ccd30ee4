//! What becomes of calls that a simulation cannot answer: each is an error for the caller and fails the run by name,
//! and is the real thing everywhere else.

#![cfg(guarded)]
#![expect(clippy::disallowed_methods, reason = "the tests are about what the guards do to these")]

extern crate sim_os as _;

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use libc::{EAGAIN, EBADF, EFAULT, ENOSYS, EPERM, timespec};
use sim_core::{Config, Failure, FailureKind, Outcome, PanicPolicy, Sim, spawn_named, yield_now};

/// Runs `body` on a thread of its own.
fn simulate<T, Fut>(body: impl FnOnce(Sim) -> Fut + Send + 'static) -> Outcome<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let run = move || sim_core::run(Config::seed(1), body);
    thread::spawn(run).join().expect("a thread of its own")
}

/// What a call returned, and `errno` if that was -1.
fn outcome(returned: impl Into<i64>) -> (i64, c_int) {
    let returned = returned.into();
    // SAFETY: the thread's own `errno`.
    (returned, if returned == -1 { unsafe { *libc::__errno_location() } } else { 0 })
}

/// Closes the descriptor that a call returned, and says whether it did.
fn opened(fd: impl Into<i64>) -> (i64, c_int) {
    match outcome(fd) {
        // SAFETY: the descriptor is that of the call, and nobody has it yet.
        (fd @ 0.., _) => outcome(unsafe { libc::close(fd as c_int) }),
        error => error,
    }
}

static STARTED: AtomicU32 = AtomicU32::new(0);

extern "C" fn start(_: *mut c_void) -> *mut c_void {
    STARTED.fetch_add(1, Ordering::Relaxed);
    ptr::null_mut()
}

unsafe extern "C" {
    fn usleep(microseconds: c_uint) -> c_int;
    fn sendmmsg(fd: c_int, messages: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int;
    fn recvmmsg(
        fd: c_int,
        messages: *mut libc::mmsghdr,
        count: c_uint,
        flags: c_int,
        t: *mut timespec,
    ) -> c_int;
}

/// Calls a system call with bad descriptors and null pointers.
fn number(number: c_long) -> (i64, c_int) {
    // SAFETY: with these words the kernel changes nothing.
    outcome(unsafe { libc::syscall(number, -1, ptr::null::<u8>(), 0, 0, 0, 0) })
}

/// A refused call, as its name in the failure, what a refused caller gets, and what it gets outside of a simulation.
type Case = (&'static str, fn() -> (i64, c_int), (i64, c_int), (i64, c_int));

/// Whichever error the system has for such words, as long as it is not the refusal.
const ANY: (i64, c_int) = (-1, c_int::MAX);

const MOMENT: timespec = timespec { tv_sec: 0, tv_nsec: 1 };

#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them is in the body")]
/// Every refused call. Outside of a simulation they fail on a bad descriptor, where they take one, or succeed at once.
fn cases() -> Vec<Case> {
    let (denied, absent, bad, done) = ((-1, EPERM), (-1, ENOSYS), (-1, EBADF), (0, 0));
    // SAFETY of all: the places are ours, or null where the call does not come to use them.
    let mut cases: Vec<Case> = vec![
        (
            "pthread_create",
            || unsafe {
                let mut thread = 0;
                let returned = libc::pthread_create(&mut thread, ptr::null(), start, ptr::null_mut());
                if returned == 0 {
                    assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
                }
                outcome(returned)
            },
            (EAGAIN.into(), 0),
            done,
        ),
        ("nanosleep", || outcome(unsafe { libc::nanosleep(&MOMENT, ptr::null_mut()) }), absent, done),
        (
            "clock_nanosleep",
            || outcome(unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &MOMENT, ptr::null_mut()) }),
            (ENOSYS.into(), 0),
            done,
        ),
        ("usleep", || outcome(unsafe { usleep(1) }), absent, done),
        ("socket", || opened(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }), denied, done),
        (
            "socketpair",
            || {
                let mut pair = [-1; 2];
                let made = outcome(unsafe {
                    libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr())
                });
                if made.0 == 0 {
                    let _closed = pair.map(opened);
                }
                made
            },
            denied,
            done,
        ),
        ("bind", || outcome(unsafe { libc::bind(-1, ptr::null(), 0) }), denied, bad),
        ("listen", || outcome(unsafe { libc::listen(-1, 1) }), denied, bad),
        ("connect", || outcome(unsafe { libc::connect(-1, ptr::null(), 0) }), denied, bad),
        ("accept", || outcome(unsafe { libc::accept(-1, ptr::null_mut(), ptr::null_mut()) }), denied, bad),
        (
            "accept4",
            || outcome(unsafe { libc::accept4(-1, ptr::null_mut(), ptr::null_mut(), 0) }),
            denied,
            bad,
        ),
        ("send", || outcome(unsafe { libc::send(-1, ptr::null(), 0, 0) } as i64), denied, bad),
        (
            "sendto",
            || outcome(unsafe { libc::sendto(-1, ptr::null(), 0, 0, ptr::null(), 0) } as i64),
            denied,
            bad,
        ),
        ("sendmsg", || outcome(unsafe { libc::sendmsg(-1, ptr::null(), 0) } as i64), denied, bad),
        ("sendmmsg", || outcome(unsafe { sendmmsg(-1, ptr::null_mut(), 0, 0) }), denied, bad),
        ("recv", || outcome(unsafe { libc::recv(-1, ptr::null_mut(), 0, 0) } as i64), denied, bad),
        (
            "recvfrom",
            || {
                let nowhere = ptr::null_mut();
                outcome(unsafe { libc::recvfrom(-1, ptr::null_mut(), 0, 0, nowhere, ptr::null_mut()) } as i64)
            },
            denied,
            bad,
        ),
        ("recvmsg", || outcome(unsafe { libc::recvmsg(-1, ptr::null_mut(), 0) } as i64), denied, bad),
        (
            "recvmmsg",
            || outcome(unsafe { recvmmsg(-1, ptr::null_mut(), 0, 0, ptr::null_mut()) }),
            denied,
            bad,
        ),
        (
            "getaddrinfo",
            || unsafe {
                let mut found = ptr::null_mut();
                let returned = libc::getaddrinfo(c"127.0.0.1".as_ptr(), ptr::null(), ptr::null(), &mut found);
                if returned == 0 {
                    libc::freeaddrinfo(found);
                }
                outcome(returned)
            },
            (libc::EAI_FAIL.into(), 0),
            done,
        ),
        ("poll", || outcome(unsafe { libc::poll(ptr::null_mut(), 0, 0) }), absent, done),
        ("ppoll", || outcome(unsafe { libc::ppoll(ptr::null_mut(), 0, &MOMENT, ptr::null()) }), absent, done),
        (
            "select",
            || {
                let none = ptr::null_mut;
                let mut moment = libc::timeval { tv_sec: 0, tv_usec: 0 };
                outcome(unsafe { libc::select(0, none(), none(), none(), &mut moment) })
            },
            absent,
            done,
        ),
        (
            "pselect",
            || {
                let none = ptr::null_mut;
                outcome(unsafe { libc::pselect(0, none(), none(), none(), &MOMENT, ptr::null()) })
            },
            absent,
            done,
        ),
        ("epoll_wait", || outcome(unsafe { libc::epoll_wait(-1, ptr::null_mut(), 1, 0) }), absent, bad),
        (
            "epoll_pwait",
            || outcome(unsafe { libc::epoll_pwait(-1, ptr::null_mut(), 1, 0, ptr::null()) }),
            absent,
            bad,
        ),
        ("nanosleep", || number(libc::SYS_nanosleep), absent, ANY),
        ("clock_nanosleep", || number(libc::SYS_clock_nanosleep), absent, ANY),
        ("socket", || number(libc::SYS_socket), denied, ANY),
        ("accept4", || number(libc::SYS_accept4), denied, ANY),
        ("sendto", || number(libc::SYS_sendto), denied, ANY),
        ("recvfrom", || number(libc::SYS_recvfrom), denied, ANY),
        ("epoll_pwait", || number(libc::SYS_epoll_pwait), absent, ANY),
        ("epoll_pwait2", || number(libc::SYS_epoll_pwait2), absent, ANY),
        ("io_uring_setup", || number(libc::SYS_io_uring_setup), absent, ANY),
    ];
    // Asked for no time, so that no test waits; inside of a simulation such a sleep is allowed, see below.
    cases.push((
        "sleep",
        || outcome(c_long::from(unsafe { libc::sleep(u32::from(is_inside())) })),
        (1, 0),
        done,
    ));
    cases
}

fn is_inside() -> bool {
    Sim::try_current().is_some()
}

/// The failure of a run whose node `payment` has a task `charge` that calls `call` one second after the start.
fn failure_of(call: impl FnOnce() + Send + 'static) -> Failure {
    let run = simulate(|sim| async move {
        sim.node("payment")
            .spawn(async {
                spawn_named("charge", async {
                    sim_core::time::sleep(Duration::from_secs(1)).await;
                    call();
                    // The run is over after this poll.
                    yield_now().await;
                    unreachable!("the run went on");
                })
                .await
            })
            .await
    });
    run.result.expect_err("a violation")
}

#[test]
fn each_refused_call_fails_the_run_by_name() {
    for (name, call, refused, _) in cases() {
        let failure = failure_of(move || assert_eq!(call(), refused, "{name}"));
        assert_eq!(failure.signature(), format!("violation {name}"));
        assert_eq!((failure.kind, failure.at), (FailureKind::Violation, Duration::from_secs(1)));
        assert_eq!(failure.node.as_deref(), Some("payment"));
        assert!(failure.task.as_ref().is_some_and(|task| task.contains("charge")), "{failure:?}");
        assert!(failure.message.starts_with(&format!("{name} was called from ")), "{failure:?}");
        assert!(failure.message.contains("refused.rs:"), "{failure:?}");
        let remedy = match name {
            "pthread_create" => "sim::spawn",
            "nanosleep" | "clock_nanosleep" | "usleep" | "sleep" => "sim::time::sleep",
            "poll" | "ppoll" | "select" | "pselect" | "io_uring_setup" => "futures of sim::net",
            _ if name.starts_with("epoll") => "futures of sim::net",
            _ => "Use sim::net",
        };
        assert!(failure.message.contains(remedy), "{failure:?}");
        assert!(!failure.details.is_empty());
        let foreign = ["std::", "core::", "sim_os::guard", "sim_core::"];
        assert!(
            failure.details.iter().all(|frame| !foreign.iter().any(|f| frame.starts_with(f))),
            "{failure:?}"
        );
    }
}

#[test]
fn every_name_is_tried_here() {
    let mut tried: Vec<_> = cases().iter().map(|case| case.0).collect();
    tried.sort();
    tried.dedup();
    let guards = sim_core::host::guards().expect("they are linked");
    assert_eq!(tried, (guards.refused)());
}

#[test]
fn outside_of_a_simulation_each_works_as_ever() {
    for (name, call, refused, real) in cases() {
        let got = call();
        match real {
            // Sandboxes and older systems are without these.
            ANY if name == "io_uring_setup" || name == "epoll_pwait2" => assert_eq!(got.0, -1, "{name}"),
            ANY => assert!(got.0 == -1 && got != refused, "{name}: {got:?}"),
            _ => assert_eq!(got, real, "{name}"),
        }
    }
    assert!(STARTED.load(Ordering::Relaxed) > 0);
}

#[test]
fn other_threads_of_the_process_are_not_refused() {
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let (answer, answered) = std::sync::mpsc::channel();
    let foreign = thread::spawn(move || {
        asked.recv().unwrap();
        answer.send(cases()[1].1()).unwrap();
        thread::spawn(|| 7).join().unwrap()
    });
    let run = simulate(move |_| async move {
        ask.send(()).unwrap();
        answered.recv().unwrap()
    });
    assert_eq!(run.result.unwrap(), (0, 0));
    assert_eq!(foreign.join().unwrap(), 7);
}

#[test]
fn std_sleep_is_a_violation_and_not_its_panic() {
    let failure = failure_of(|| thread::sleep(Duration::from_millis(1)));
    assert!(
        ["violation nanosleep", "violation clock_nanosleep"].contains(&&*failure.signature()),
        "{failure:?}"
    );
}

#[test]
fn std_spawn_is_a_violation_and_not_its_panic() {
    let failure = failure_of(|| drop(thread::spawn(|| ())));
    assert_eq!(failure.signature(), "violation pthread_create");
    let failure = failure_of(|| {
        let refused = thread::Builder::new().spawn(|| ()).map(drop);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(EAGAIN));
    });
    assert_eq!(failure.signature(), "violation pthread_create");
}

#[test]
fn a_caught_panic_does_not_hide_it() {
    let failure = failure_of(|| drop(catch_unwind(|| thread::spawn(|| ()))));
    assert_eq!(failure.signature(), "violation pthread_create");
    let run = simulate(|sim| async move {
        let node = sim.node("payment");
        node.on_panic(PanicPolicy::Catch);
        node.spawn(async { thread::sleep(Duration::from_secs(5)) }).await
    });
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Violation);
}

#[test]
fn in_an_unwinding_thread_nothing_panics_again() {
    struct Sleeps;
    impl Drop for Sleeps {
        fn drop(&mut self) {
            thread::sleep(Duration::from_secs(3600));
            assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
        }
    }
    let failure = failure_of(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _sleeps = Sleeps;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
    });
    assert!(failure.signature().ends_with("nanosleep"), "{failure:?}");
}

#[test]
fn the_first_of_several_counts() {
    let failure = failure_of(|| {
        for (_, call, ..) in cases().into_iter().skip(4) {
            call();
        }
    });
    assert_eq!(failure.signature(), "violation socket");
}

#[test]
fn a_violation_in_the_last_poll_counts() {
    let run = simulate(|_| async { cases()[1].1() });
    assert_eq!(run.result.unwrap_err().signature(), "violation nanosleep");
    let run: Outcome<()> = simulate(|_| {
        cases()[1].1();
        std::future::pending()
    });
    assert_eq!(run.result.unwrap_err().signature(), "violation nanosleep");
}

#[test]
fn a_violation_stays_in_its_run() {
    let thread = thread::spawn(|| {
        let run = || {
            sim_core::run(Config::seed(1), |_| async {
                sim_core::time::sleep(Duration::from_secs(1)).await;
                sim_core::rand::u64()
            })
        };
        let before = run();
        let broken = sim_core::run(Config::seed(1), |_| async { cases()[1].1() });
        assert_eq!(broken.result.unwrap_err().kind, FailureKind::Violation);
        assert_eq!(cases()[1].1(), (0, 0), "between runs it is the real call");
        let after = run();
        assert_eq!((after.result.unwrap(), after.trace), (before.result.unwrap(), before.trace));
        assert!(after.notes.is_empty());
    });
    thread.join().unwrap();
}

#[test]
fn what_a_destructor_calls_at_the_end_of_a_run_has_no_effect() {
    struct Sleeps;
    impl Drop for Sleeps {
        fn drop(&mut self) {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    let run = simulate(|sim| async move {
        let sleeps = Sleeps;
        drop(sim.node("a").spawn(async move {
            let _sleeps = sleeps;
            std::future::pending::<()>().await
        }));
    });
    assert!(run.result.is_ok());
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
fn a_run_may_allow_calls_and_says_so() {
    let run = simulate(|sim| async move {
        sim.allow(["pthread_create", "nanosleep"]);
        assert_eq!(cases()[1].1(), (0, 0));
        thread::spawn(|| 7).join().unwrap() + thread::spawn(|| 8).join().unwrap()
    });
    assert_eq!(run.result.unwrap(), 15);
    assert_eq!(run.notes.len(), 2, "{:?}", run.notes);
    assert!(run.notes[0].starts_with("pthread_create was allowed and called 2 times"), "{:?}", run.notes);
    let run = simulate(|sim| async move {
        sim.allow(["pthread_create"]);
        cases()[1].1()
    });
    assert_eq!(run.result.unwrap_err().signature(), "violation nanosleep", "others are refused still");
    let thread = thread::spawn(|| {
        let allowing = sim_core::run(Config::seed(1), |sim| async move { sim.allow(["nanosleep"]) });
        assert!(allowing.result.is_ok() && allowing.notes.is_empty());
        sim_core::run(Config::seed(1), |_| async { cases()[1].1() }).result.unwrap_err().signature()
    });
    assert_eq!(thread.join().unwrap(), "violation nanosleep", "it is for one run");
}

#[test]
fn what_is_not_refused_cannot_be_allowed() {
    let run = simulate(|sim| async move { sim.allow(["getrandom"]) });
    let failure = run.result.unwrap_err();
    assert!(failure.message.contains("\"getrandom\" is no call that a simulation refuses"), "{failure:?}");
    assert!(failure.message.contains("pthread_create"), "{failure:?}");
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
