//! Refusal: what the guards do with calls that a simulation cannot answer. The caller gets an error, and the run fails
//! after the current poll with the call's name, its place and what to do instead, whatever the caller makes of the
//! error.
//!
//! The errors are ones that callers do not retry, because a caller that does would never come to the end of its poll.
//! Nothing here unwinds, and nothing is done before it is known that the thread runs a simulation.

use std::backtrace::Backtrace;
use std::ffi::{c_int, c_long};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{real, sleep, socket, thread, wait};

/// Whether a call is to be refused. If so, and if it is the first of its run, it is now the failure of the run.
pub(super) fn refuse(call: &'static str, remedy: &'static str) -> bool {
    sim_core::host::violation(call, remedy, || {
        // A panic must not leave a C function.
        catch_unwind(AssertUnwindSafe(|| frames(call, &Backtrace::force_capture().to_string())))
            .unwrap_or_default()
    })
}

/// Whether the thread unwinds. An error would have std panic a second time, which aborts the process and hides the
/// violation.
pub(super) fn unwinds() -> bool {
    std::thread::panicking()
}

/// The calls that are refused, by the names that [`refuse`] is given.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names = [thread::NAMES, sleep::NAMES, socket::NAMES, wait::NAMES, BY_NUMBER_ONLY].concat();
    names.sort_unstable();
    names
}

/// Calls that libc has no function for.
const BY_NUMBER_ONLY: &[&str] = &["io_uring_setup"];

/// The calls that are refused by number: each with the name under which that fails the run, the remedy, and the error.
const NUMBERS: &[(c_long, &str, &str, c_int)] = &[
    (libc::SYS_nanosleep, "nanosleep", sleep::REMEDY, sleep::ERROR),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", sleep::REMEDY, sleep::ERROR),
    (libc::SYS_socket, "socket", socket::REMEDY, socket::ERROR),
    (libc::SYS_socketpair, "socketpair", socket::REMEDY, socket::ERROR),
    (libc::SYS_bind, "bind", socket::REMEDY, socket::ERROR),
    (libc::SYS_listen, "listen", socket::REMEDY, socket::ERROR),
    (libc::SYS_connect, "connect", socket::REMEDY, socket::ERROR),
    (libc::SYS_accept, "accept", socket::REMEDY, socket::ERROR),
    (libc::SYS_accept4, "accept4", socket::REMEDY, socket::ERROR),
    (libc::SYS_sendto, "sendto", socket::REMEDY, socket::ERROR),
    (libc::SYS_sendmsg, "sendmsg", socket::REMEDY, socket::ERROR),
    (libc::SYS_sendmmsg, "sendmmsg", socket::REMEDY, socket::ERROR),
    (libc::SYS_recvfrom, "recvfrom", socket::REMEDY, socket::ERROR),
    (libc::SYS_recvmsg, "recvmsg", socket::REMEDY, socket::ERROR),
    (libc::SYS_recvmmsg, "recvmmsg", socket::REMEDY, socket::ERROR),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", wait::REMEDY, wait::ERROR),
    (libc::SYS_ppoll, "ppoll", wait::REMEDY, wait::ERROR),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", wait::REMEDY, wait::ERROR),
    (libc::SYS_pselect6, "pselect", wait::REMEDY, wait::ERROR),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", wait::REMEDY, wait::ERROR),
    (libc::SYS_epoll_pwait, "epoll_pwait", wait::REMEDY, wait::ERROR),
    (libc::SYS_epoll_pwait2, "epoll_pwait2", wait::REMEDY, wait::ERROR),
    (libc::SYS_io_uring_setup, "io_uring_setup", wait::REMEDY, wait::ERROR),
];

/// The calls that are refused by number, with the names that [`refuse`] is given.
pub(crate) fn numbers() -> impl Iterator<Item = (c_long, &'static str)> {
    NUMBERS.iter().map(|&(number, call, ..)| (number, call))
}

/// The result of a call by number, if it is refused.
pub(super) fn by_number(number: c_long) -> Option<c_long> {
    let &(_, call, remedy, error) = NUMBERS.iter().find(|refused| refused.0 == number)?;
    refuse(call, remedy).then(|| real::conclude(-(error as isize)) as c_long)
}

/// -1, with the error in `errno`.
pub(super) fn failed(error: c_int) -> c_int {
    real::conclude(-(error as isize)) as c_int
}

/// How many lines of a backtrace are kept.
const DEPTH: usize = 32;

/// The frames of a backtrace that say where in the program a call was made, the innermost first, as
/// `function at file:line:column`: without those of the guards, the standard library and the simulator.
fn frames(call: &str, backtrace: &str) -> Vec<String> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for line in backtrace.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(last) = all.last_mut() {
                last.1 = place.trim_start_matches("./");
            }
        } else if let Some((_, function)) = line.split_once(": ") {
            all.push((function, ""));
        }
    }
    // The guard has the name of the call, or that of the function for calls by number.
    let guard =
        |function: &str| [call, "syscall", "entry", "sim_os::guard::syscall::entry"].contains(&function);
    let outside = all.iter().position(|(function, _)| guard(without_hash(function))).map_or(0, |at| at + 1);
    let made = all[outside..].iter().take_while(|frame| !is_of("sim_core", "sim-core", frame));
    let made = made.filter(|frame| is_of_the_program(frame)).take(DEPTH);
    made.map(|(function, place)| match place.is_empty() {
        true => without_hash(function).to_owned(),
        false => format!("{} at {place}", without_hash(function)),
    })
    .collect()
}

/// Whether a function is neither libc's nor the standard library's, nor one that nothing is known of.
fn is_of_the_program(frame: &(&str, &str)) -> bool {
    const LIBRARY: [&str; 3] = ["std", "core", "alloc"];
    let (function, place) = *frame;
    let nameless = place.is_empty() && (function == "<unknown>" || !function.contains("::"));
    let library = |name| is_of(name, name, frame) || place.contains(&format!("/library/{name}/src/"));
    !nameless && !function.starts_with("__rust") && !LIBRARY.into_iter().any(library)
}

/// Whether a function is one of a crate: by its name, or, since inlined ones have no path in small debug information,
/// by the folder of the crate's package.
fn is_of(name: &str, package: &str, (function, place): &(&str, &str)) -> bool {
    let path = function.trim_start_matches(['<', '&']);
    let named = path.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
    let mut folders = place.split('/').zip(place.split('/').skip(1));
    named || folders.any(|(folder, next)| next == "src" && folder.starts_with(package))
}

/// The name of a function without the hash of its mangled name.
fn without_hash(function: &str) -> &str {
    match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => function,
    }
}

/// Defines libc functions that a simulation refuses: each line a signature and, after `=>`, what a refused caller
/// gets. Outside of a simulation, and where the run allows the call, they are the real functions. They may be
/// unwound through, because thread cancellation does that to the functions that wait.
macro_rules! refused {
    ($remedy:expr; $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty => $answer:expr;)*) => {
        /// The names of these functions.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];

        mod next {
            #![allow(non_upper_case_globals, reason = "each has the name of its function")]
            use super::*;
            $(
                pub(super) static $name: $crate::guard::real::Next<
                    unsafe extern "C-unwind" fn($($type),*) -> $result
                    // SAFETY: the signature of the function of this name, in its manual page.
                > = unsafe { $crate::guard::real::Next::new($crate::guard::c_name(concat!(stringify!($name), "\0"))) };
            )*
        }

        pub(super) fn guards() -> Vec<$crate::guard::Guard> {
            vec![$($crate::guard::guard(
                $crate::guard::c_name(concat!(stringify!($name), "\0")),
                $name as *const std::ffi::c_void,
            )),*]
        }

        pub(super) fn look_up() {
            $(next::$name.function();)*
        }

        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// As for the C function.
            #[unsafe(no_mangle)]
            unsafe extern "C-unwind" fn $name($($arg: $type),*) -> $result {
                if $crate::guard::refuse::refuse(stringify!($name), $remedy) {
                    return $answer;
                }
                match next::$name.function() {
                    // SAFETY: the caller's arguments, unchanged.
                    Some(real) => unsafe { real($($arg),*) },
                    None => $answer,
                }
            }
        )*
    };
}

pub(super) use refused;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_is_cut_to_the_program() {
        let text = "   0: do_call<sim_os::guard::refuse::refuse>\n             at /rustc/1/library/std/src/panicking.rs:1:2\n   \
                    1: sim_os::guard::refuse::refuse\n             at ./sim-os/src/guard/refuse.rs:1:2\n   \
                    2: nanosleep\n   3: std::thread::sleep\n   4: wait\n   \
                    5: nanosleep\n             at ./src/shop.rs:7:5\n   \
                    6: shop::wait::h0123456789abcdef\n             at ./src/shop.rs:9:5\n   \
                    7: <shop::Order as core::future::Future>::poll\n   8: <core::pin::Pin<P> as Future>::poll\n   \
                    9: <unknown>\n   10: poll<T>\n             at /home/me/sim-core-0.1.0/src/executor/task.rs:1:1\n   \
                    11: sim_core::world::World::steps\n   12: shop::main\n";
        let made = [
            "nanosleep at src/shop.rs:7:5",
            "shop::wait at src/shop.rs:9:5",
            "<shop::Order as core::future::Future>::poll",
        ];
        assert_eq!(frames("nanosleep", text), made);
        assert!(frames("nanosleep", "disabled backtrace").is_empty());
    }

    #[test]
    fn each_name_is_given_once() {
        let all = names();
        let mut once = all.clone();
        once.dedup();
        assert_eq!(all, once);
    }

    #[test]
    fn whoever_unwinds_is_known() {
        assert!(!unwinds());
        struct Looks;
        impl Drop for Looks {
            fn drop(&mut self) {
                assert!(unwinds());
            }
        }
        let unwound = catch_unwind(|| {
            let _looks = Looks;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(unwound.is_err());
    }
}
