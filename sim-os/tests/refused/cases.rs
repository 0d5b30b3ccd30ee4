//! Every refused call, as a function and by number, inside of a simulation and outside.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libc::{EAGAIN, EBADF, ENOSYS, EPERM, timespec};
use sim_core::{FailureKind, Sim};

use super::{failure_of, outcome};

/// A refused call: its name in the failure, what a refused caller gets, and what it gets outside of a simulation.
pub struct Case {
    pub name: &'static str,
    pub call: Call,
    refused: (i64, c_int),
    outside: (i64, c_int),
}

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Function(fn() -> (i64, c_int)),
    /// With bad descriptors and pointers, and more of them than there can be.
    Number(c_long),
}

impl Call {
    pub fn make(self) -> (i64, c_int) {
        match self {
            Call::Function(call) => call(),
            // SAFETY: with these words the kernel changes nothing, and none of the calls waits.
            Call::Number(number) => outcome(unsafe { libc::syscall(number, -1, usize::MAX, 0, 0, 0, 0) }),
        }
    }
}

const DENIED: (i64, c_int) = (-1, EPERM);
const ABSENT: (i64, c_int) = (-1, ENOSYS);
/// Whichever error the system has for such words, as long as it is not the refusal.
const ANY: (i64, c_int) = (-1, c_int::MAX);

/// Every form of every refused call.
pub fn cases() -> Vec<Case> {
    let functions = functions().into_iter().map(|(name, call, refused, outside)| {
        let call = Call::Function(call);
        Case { name, call, refused, outside }
    });
    let numbers = sim_os::refused_numbers().map(|(number, name)| {
        let refused = if remedy(name) == "Use sim::net" { DENIED } else { ABSENT };
        Case { name, call: Call::Number(number), refused, outside: ANY }
    });
    functions.chain(numbers).collect()
}

/// What the failure says to do instead.
fn remedy(name: &str) -> &'static str {
    match name {
        "pthread_create" => "sim::spawn",
        "nanosleep" | "clock_nanosleep" | "usleep" | "sleep" => "sim::time::sleep",
        "poll" | "ppoll" | "select" | "pselect" | "io_uring_setup" => "futures of sim::net",
        _ if name.starts_with("epoll") => "futures of sim::net",
        _ => "Use sim::net",
    }
}

/// The fields of a [`Case`].
type Function = (&'static str, fn() -> (i64, c_int), (i64, c_int), (i64, c_int));

#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them is in the body")]
/// Every refused function. Outside of a simulation they fail on a bad descriptor, where they take one, or succeed at once.
fn functions() -> Vec<Function> {
    let (bad, done) = ((-1, EBADF), (0, 0));
    // SAFETY of all: the places are ours, or null where the call does not come to use them.
    vec![
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
        ("nanosleep", nanosleep, ABSENT, done),
        (
            "clock_nanosleep",
            || outcome(unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &MOMENT, ptr::null_mut()) }),
            (ENOSYS.into(), 0),
            done,
        ),
        ("usleep", || outcome(unsafe { usleep(1) }), ABSENT, done),
        ("socket", || opened(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }), DENIED, done),
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
            DENIED,
            done,
        ),
        ("bind", || outcome(unsafe { libc::bind(-1, ptr::null(), 0) }), DENIED, bad),
        ("listen", || outcome(unsafe { libc::listen(-1, 1) }), DENIED, bad),
        ("connect", || outcome(unsafe { libc::connect(-1, ptr::null(), 0) }), DENIED, bad),
        ("accept", || outcome(unsafe { libc::accept(-1, ptr::null_mut(), ptr::null_mut()) }), DENIED, bad),
        (
            "accept4",
            || outcome(unsafe { libc::accept4(-1, ptr::null_mut(), ptr::null_mut(), 0) }),
            DENIED,
            bad,
        ),
        ("send", || outcome(unsafe { libc::send(-1, ptr::null(), 0, 0) } as i64), DENIED, bad),
        (
            "sendto",
            || outcome(unsafe { libc::sendto(-1, ptr::null(), 0, 0, ptr::null(), 0) } as i64),
            DENIED,
            bad,
        ),
        ("sendmsg", || outcome(unsafe { libc::sendmsg(-1, ptr::null(), 0) } as i64), DENIED, bad),
        ("sendmmsg", || outcome(unsafe { sendmmsg(-1, ptr::null_mut(), 0, 0) }), DENIED, bad),
        ("recv", || outcome(unsafe { libc::recv(-1, ptr::null_mut(), 0, 0) } as i64), DENIED, bad),
        (
            "recvfrom",
            || {
                let nowhere = ptr::null_mut();
                outcome(unsafe { libc::recvfrom(-1, ptr::null_mut(), 0, 0, nowhere, ptr::null_mut()) } as i64)
            },
            DENIED,
            bad,
        ),
        ("recvmsg", || outcome(unsafe { libc::recvmsg(-1, ptr::null_mut(), 0) } as i64), DENIED, bad),
        (
            "recvmmsg",
            || outcome(unsafe { recvmmsg(-1, ptr::null_mut(), 0, 0, ptr::null_mut()) }),
            DENIED,
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
        ("poll", || outcome(unsafe { libc::poll(ptr::null_mut(), 0, 0) }), ABSENT, done),
        ("ppoll", || outcome(unsafe { libc::ppoll(ptr::null_mut(), 0, &MOMENT, ptr::null()) }), ABSENT, done),
        (
            "select",
            || {
                let none = ptr::null_mut;
                let mut moment = libc::timeval { tv_sec: 0, tv_usec: 0 };
                outcome(unsafe { libc::select(0, none(), none(), none(), &mut moment) })
            },
            ABSENT,
            done,
        ),
        (
            "pselect",
            || {
                let none = ptr::null_mut;
                outcome(unsafe { libc::pselect(0, none(), none(), none(), &MOMENT, ptr::null()) })
            },
            ABSENT,
            done,
        ),
        ("epoll_wait", || outcome(unsafe { libc::epoll_wait(-1, ptr::null_mut(), 1, 0) }), ABSENT, bad),
        (
            "epoll_pwait",
            || outcome(unsafe { libc::epoll_pwait(-1, ptr::null_mut(), 1, 0, ptr::null()) }),
            ABSENT,
            bad,
        ),
        (
            "epoll_pwait2",
            || outcome(unsafe { epoll_pwait2(-1, ptr::null_mut(), 1, &MOMENT, ptr::null()) }),
            ABSENT,
            ANY,
        ),
        // Asked for no time, so that no test waits; inside of a simulation such a sleep is allowed, see `waits`.
        ("sleep", || outcome(c_long::from(unsafe { libc::sleep(u32::from(is_inside())) })), (1, 0), done),
    ]
}

/// A sleep that outside of a simulation takes a moment: (0, 0).
pub fn nanosleep() -> (i64, c_int) {
    // SAFETY: the place is ours, and null is allowed for the other.
    outcome(unsafe { libc::nanosleep(&MOMENT, ptr::null_mut()) })
}

const MOMENT: timespec = timespec { tv_sec: 0, tv_nsec: 1 };

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
    fn epoll_pwait2(
        fd: c_int,
        events: *mut libc::epoll_event,
        most: c_int,
        timeout: *const timespec,
        mask: *const libc::sigset_t,
    ) -> c_int;
}

fn is_inside() -> bool {
    Sim::try_current().is_some()
}

#[test]
fn each_refused_call_fails_the_run_by_name() {
    for Case { name, call, refused, .. } in cases() {
        let failure = failure_of(move || assert_eq!(call.make(), refused, "{name}, {call:?}"));
        assert_eq!(failure.signature(), format!("violation {name}"));
        assert_eq!((failure.kind, failure.at), (FailureKind::Violation, Duration::from_secs(1)));
        assert_eq!(failure.node.as_deref(), Some("payment"));
        assert!(failure.task.as_ref().is_some_and(|task| task.contains("charge")), "{failure:?}");
        assert!(failure.message.starts_with(&format!("{name} was called from ")), "{failure:?}");
        assert!(failure.message.contains("cases.rs:"), "{failure:?}");
        assert!(failure.message.contains(remedy(name)), "{failure:?}");
        assert!(!failure.details.is_empty());
        let foreign = ["std::", "core::", "sim_os::guard", "sim_core::"];
        assert!(
            failure.details.iter().all(|frame| !foreign.iter().any(|f| frame.starts_with(f))),
            "{failure:?}"
        );
    }
}

#[test]
fn every_name_is_tried_here_in_both_forms() {
    let (mut functions, mut numbers) = (Vec::new(), Vec::new());
    for case in cases() {
        match case.call {
            Call::Function(_) => functions.push(case.name),
            Call::Number(_) => numbers.push(case.name),
        }
    }
    // Programs reach these by other calls, or not by number.
    numbers.extend(["getaddrinfo", "pthread_create", "recv", "send", "sleep", "usleep"]);
    if !cfg!(target_arch = "x86_64") {
        numbers.extend(["epoll_wait", "poll", "select"]);
    }
    // libc has no function for it.
    functions.push("io_uring_setup");
    functions.sort_unstable();
    numbers.sort_unstable();
    let guards = sim_core::host::guards().expect("they are linked");
    assert_eq!(functions, (guards.refused)());
    assert_eq!(numbers, (guards.refused)());
}

#[test]
fn outside_of_a_simulation_each_works_as_ever() {
    for Case { name, call, refused, outside } in cases() {
        let got = call.make();
        match outside {
            // Sandboxes and older systems are without these.
            ANY if name == "io_uring_setup" || name == "epoll_pwait2" => {
                assert_eq!(got.0, -1, "{name}, {call:?}")
            }
            ANY => assert!(got.0 == -1 && got != refused, "{name}, {call:?}: {got:?}"),
            _ => assert_eq!(got, outside, "{name}, {call:?}"),
        }
    }
    assert!(STARTED.load(Ordering::Relaxed) > 0);
}
