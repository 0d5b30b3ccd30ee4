//! The system calls of isolation, each behind a small function.
//!
//! Invariant of this module: a call either touches no memory of the program at all, or only the value that the
//! function itself owns and hands to it. Descriptors come in and go out as std's owned and borrowed types. The
//! one call that Rust cannot be kept safe from, `fork`, is an `unsafe fn` and states what its caller owes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// A process that [`fork`] made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pid(libc::pid_t);

/// Clones the process. `Ok(None)` in the child.
///
/// # Safety
/// Only the calling thread exists in the child. Whatever another thread of the parent held at that instant stays
/// held there, so the caller must know that no other thread is at work, or the child may touch nothing but what
/// the calling thread owns.
pub(super) unsafe fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: takes no arguments; what the caller owes is passed on to it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(Pid(pid))),
    }
}

/// Ends the process without destructors, `atexit` handlers or buffered output.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: does not return and runs none of our code.
    unsafe { libc::_exit(code) }
}

/// Whether the process has ended, and how. Does not wait.
pub(super) fn ended(pid: Pid) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(pid.0, &mut status, libc::WNOHANG) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => Ok(Some(ExitStatus::from_raw(status))),
    }
}

/// Lets another process of this core go first.
pub(super) fn give_way() {
    // SAFETY: takes no arguments.
    unsafe { libc::sched_yield() };
}

/// Kills the process with SIGKILL.
pub(super) fn kill(pid: Pid) {
    // SAFETY: a pid that was not waited for yet belongs to our child.
    unsafe { libc::kill(pid.0, libc::SIGKILL) };
}

/// CPU time that the process has used so far; `None` where the system does not say.
pub(super) fn cpu_time(pid: Pid) -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both out-parameters outlive the calls.
        let known = unsafe {
            libc::clock_getcpuclockid(pid.0, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0
        };
        known.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}

/// CPU time of this process, and of all its descendants that were waited for.
pub(super) fn cpu_time_with_children() -> Duration {
    let of = |who| {
        // SAFETY: all zero is a valid value of this plain struct.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the out-parameter outlives the call.
        if unsafe { libc::getrusage(who, &mut usage) } == -1 {
            return Duration::ZERO;
        }
        let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
        time(usage.ru_utime) + time(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

/// Whether [`fix_addresses`] has an effect; `None` where the system has no such call.
pub(super) fn addresses_can_be_fixed() -> Option<bool> {
    #[cfg(target_os = "linux")]
    {
        const QUERY: libc::c_ulong = 0xffff_ffff;
        // SAFETY: takes flags by value and changes nothing but this process's execution domain, which it restores.
        let fixed = unsafe {
            let before = libc::personality(QUERY);
            fix_addresses();
            let after = libc::personality(QUERY);
            libc::personality(before as libc::c_ulong);
            before != -1 && after != -1 && after & libc::ADDR_NO_RANDOMIZE != 0
        };
        Some(fixed)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Whether a thread of the process has or waits for a core; `false` where the system does not say. Allocates nothing.
pub(super) fn wants_core(pid: Pid, thread: u64) -> bool {
    let mut path = [0u8; 64];
    let mut rest = &mut path[..];
    if write!(rest, "/proc/{}/task/{thread}/stat", pid.0).is_err() {
        return false;
    }
    let unused = rest.len();
    let length = path.len() - unused;
    let Ok(path) = std::str::from_utf8(&path[..length]) else { return false };
    let mut stat = [0; 128];
    let Ok(read) = File::open(path).and_then(|mut file| file.read(&mut stat)) else { return false };
    // `7 (name) R …`, proc(5); a name may hold anything, and that of the run's thread is short.
    let state = stat[..read].iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    state == Some(&b'R')
}

/// Waits until one of the descriptors can be read or is closed; which of them can. All `false` after `timeout`.
pub(super) fn readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Duration,
) -> io::Result<[bool; N]> {
    // A negative descriptor is skipped by poll(2).
    let mut polled = fds.map(|fd| libc::pollfd {
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let millis = timeout.as_millis().min(i32::MAX as u128) as i32;
    // SAFETY: the array and its length belong together and outlive the call.
    if unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, millis) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok([false; N]);
    }
    Ok(polled.map(|fd| fd.revents != 0))
}

/// Makes standard output and standard error of this process `to`.
pub(super) fn redirect_output(to: BorrowedFd<'_>) -> io::Result<()> {
    for fd in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: both are open descriptors; std never assumes what 1 and 2 refer to.
        if unsafe { libc::dup2(to.as_raw_fd(), fd) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Makes reads of the descriptor return `WouldBlock` instead of waiting.
pub(super) fn do_not_wait(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: reads and sets flags of a descriptor that the caller lent.
    let set = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        flags != -1 && libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) != -1
    };
    if set { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets whether a program that this process executes inherits the descriptor. Safe between fork and exec.
pub(super) fn inherit(fd: RawFd, inherited: bool) -> io::Result<()> {
    // SAFETY: sets a flag; a number that is no descriptor is refused with EBADF.
    let set = unsafe { libc::fcntl(fd, libc::F_SETFD, if inherited { 0 } else { libc::FD_CLOEXEC }) };
    if set == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes over a descriptor that the supervisor left open for its worker.
///
/// # Safety
/// Nothing else in the process may own the number.
pub(super) unsafe fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    inherit(fd, false)?;
    // SAFETY: `inherit` has shown that it is open; that nobody else owns it is the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Asks for fixed addresses in the program that this process executes next. Safe between fork and exec.
///
/// A refusal (some container runtimes forbid it) is no error: runs are then only as reproducible as programs that
/// do not depend on addresses.
pub(super) fn fix_addresses() {
    #[cfg(target_os = "linux")]
    {
        const QUERY: libc::c_ulong = 0xffff_ffff;
        // SAFETY: takes flags by value and changes nothing but this process's execution domain.
        unsafe {
            let now = libc::personality(QUERY);
            if now != -1 {
                libc::personality(now as libc::c_ulong | libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
            }
        }
    }
}

/// Has the system kill this process when the thread that made it ends. Safe between fork and exec.
pub(super) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    // SAFETY: takes its arguments by value.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    };
}

/// The pid of the parent process.
pub(super) fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Bytes of address space in use; `None` where the system does not say.
pub(super) fn address_space() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
    // SAFETY: takes its argument by value.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page).ok()?)
}

/// Limits the address space of this process, in bytes.
pub(super) fn limit_address_space(bytes: u64) {
    limit(libc::RLIMIT_AS, bytes);
}

/// Keeps this process from writing a core dump, which can take longer than a thousand runs.
pub(super) fn no_core_dump() {
    limit(libc::RLIMIT_CORE, 0);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

fn limit(resource: Resource, value: u64) {
    let value = value as libc::rlim_t;
    let mut limits = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limits` and `now` outlive the calls.
    unsafe {
        let mut now = limits;
        if libc::getrlimit(resource, &mut now) == 0 && now.rlim_max < value {
            limits = now;
        }
        libc::setrlimit(resource, &limits);
    }
}

/// Ends this process with SIGPROF once it has used that much CPU time.
///
/// `RLIMIT_CPU` would count whole seconds only.
pub(super) fn limit_cpu(time: Duration) {
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let first = libc::timeval {
        tv_sec: time.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_usec: time.subsec_micros() as libc::suseconds_t,
    };
    let timer = libc::itimerval { it_interval: never, it_value: first };
    // SAFETY: restores the default action of a signal and arms a timer from a value that outlives the call.
    unsafe {
        libc::signal(libc::SIGPROF, libc::SIG_DFL);
        #[cfg(target_os = "linux")]
        libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut());
        #[cfg(not(target_os = "linux"))]
        libc::setitimer(2, &timer, std::ptr::null_mut());
    }
}

/// The program of this process, even when its file was replaced since (a build that goes on in parallel).
pub(super) fn own_program() -> io::Result<std::path::PathBuf> {
    let link = std::path::PathBuf::from("/proc/self/exe");
    if File::open(&link).is_ok() { Ok(link) } else { std::env::current_exe() }
}
