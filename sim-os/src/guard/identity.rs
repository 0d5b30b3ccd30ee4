//! What tells one machine from another: its name is the node's, and it has as many processors as the node has cores.
//!
//! Safety invariant: a result is written through the caller's pointer only where the real function would write it, and
//! after the kernel confirmed that it can be.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr;
use std::slice;

use libc::{cpu_set_t, pid_t, size_t, utsname};
use sim_core::host;

use super::{Guard, guard, memory, real};

static GETHOSTNAME: real::Next<unsafe extern "C" fn(*mut c_char, size_t) -> c_int> =
    // SAFETY: the signature in gethostname(2).
    unsafe { real::Next::new(c"gethostname") };
static UNAME: real::Next<unsafe extern "C" fn(*mut utsname) -> c_int> =
    // SAFETY: the signature in uname(2).
    unsafe { real::Next::new(c"uname") };
static SYSCONF: real::Next<unsafe extern "C" fn(c_int) -> c_long> =
    // SAFETY: the signature in sysconf(3).
    unsafe { real::Next::new(c"sysconf") };
static SCHED_GETAFFINITY: real::Next<unsafe extern "C" fn(pid_t, size_t, *mut cpu_set_t) -> c_int> =
    // SAFETY: the signature in sched_getaffinity(2).
    unsafe { real::Next::new(c"sched_getaffinity") };
static SCHED_GETCPU: real::Next<unsafe extern "C" fn() -> c_int> =
    // SAFETY: the signature in sched_getcpu(3).
    unsafe { real::Next::new(c"sched_getcpu") };

pub(super) fn guards() -> Vec<Guard> {
    vec![
        guard(c"gethostname", gethostname as *const c_void),
        guard(c"uname", uname as *const c_void),
        guard(c"sysconf", sysconf as *const c_void),
        guard(c"sched_getaffinity", sched_getaffinity as *const c_void),
        guard(c"sched_getcpu", sched_getcpu as *const c_void),
    ]
}

pub(super) fn look_up() {
    GETHOSTNAME.function();
    UNAME.function();
    SYSCONF.function();
    SCHED_GETAFFINITY.function();
    SCHED_GETCPU.function();
}

/// gethostname(2): the name of the node. As glibc does, it gives what there is room for and the error `ENAMETOOLONG`.
///
/// # Safety
///
/// As for the C function: `to` is given up to be overwritten for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostname(to: *mut c_char, length: size_t) -> c_int {
    let mut node = [0; NAME];
    if let Some(name) = name(&mut node) {
        let given = length.min(name.len());
        // SAFETY: the caller's promise.
        unsafe {
            if memory::writable(to.cast(), given) < given {
                return real::conclude(-(libc::EFAULT as isize)) as c_int;
            }
            ptr::copy_nonoverlapping(name.as_ptr(), to.cast(), given);
        }
        let error = if given < name.len() { -(libc::ENAMETOOLONG as isize) } else { 0 };
        return real::conclude(error) as c_int;
    }
    match GETHOSTNAME.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(to, length) },
        None => real::conclude(-(libc::ENOSYS as isize)) as c_int,
    }
}

/// uname(2), with the name of the node.
///
/// # Safety
///
/// As for the C function: `to` is given up to be overwritten.
#[unsafe(no_mangle)]
unsafe extern "C" fn uname(to: *mut utsname) -> c_int {
    // SAFETY: the caller's promise.
    if let Some(result) = unsafe { named(to) } {
        return result as c_int;
    }
    match UNAME.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(to) },
        // SAFETY: as above; the kernel checks the pointer.
        None => real::conclude(unsafe { real::call(libc::SYS_uname, [to as usize, 0, 0, 0, 0, 0]) }) as c_int,
    }
}

/// sysconf(3): the number of processors is that of the node's cores.
///
/// # Safety
///
/// As for the C function, which asks for nothing.
#[unsafe(no_mangle)]
unsafe extern "C" fn sysconf(what: c_int) -> c_long {
    if let libc::_SC_NPROCESSORS_ONLN | libc::_SC_NPROCESSORS_CONF = what
        && let Some(cores) = host::cores()
    {
        return cores as c_long;
    }
    match SYSCONF.function() {
        // SAFETY: the caller's argument, unchanged.
        Some(real) => unsafe { real(what) },
        None => real::conclude(-(libc::EINVAL as isize)) as c_long,
    }
}

/// sched_getaffinity(2): a thread of the simulation may run on all cores of its node.
///
/// # Safety
///
/// As for the C function: `to` is given up to be overwritten for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(thread: pid_t, size: size_t, to: *mut cpu_set_t) -> c_int {
    // SAFETY: the caller's promise.
    if unsafe { affinity(thread, size, to.cast()) }.is_some() {
        return 0;
    }
    match SCHED_GETAFFINITY.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(thread, size, to) },
        None => real::conclude(-(libc::ENOSYS as isize)) as c_int,
    }
}

/// sched_getcpu(3): the first one, whatever runs.
///
/// # Safety
///
/// As for the C function, which asks for nothing.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getcpu() -> c_int {
    if super::inside() {
        return 0;
    }
    match SCHED_GETCPU.function() {
        // SAFETY: it takes nothing.
        Some(real) => unsafe { real() },
        None => real::conclude(-(libc::ENOSYS as isize)) as c_int,
    }
}

/// Bytes of a host name with the NUL at its end, uname(2).
const NAME: usize = 65;

/// The name of the running node as a C string, cut to what a host name has room for; `None` outside of a simulation.
fn name(buffer: &mut [u8; NAME]) -> Option<&[u8]> {
    let length = host::name(&mut buffer[..NAME - 1])?.min(NAME - 1);
    buffer[length] = 0;
    Some(&buffer[..=length])
}

/// What uname(2) gives inside a simulation: the host's answer with the name of the node. `None` for the real call,
/// also where it would fail.
///
/// # Safety
///
/// The caller of the guard gave the place up to be overwritten.
pub(super) unsafe fn named(to: *mut utsname) -> Option<c_long> {
    let mut node = [0; NAME];
    let name = name(&mut node)?;
    // SAFETY: the kernel checks the place, and fills it or fails.
    if unsafe { real::call(libc::SYS_uname, [to as usize, 0, 0, 0, 0, 0]) } != 0 {
        return None;
    }
    // SAFETY: the kernel has just written there; the field has room for every host name.
    unsafe { ptr::copy_nonoverlapping(name.as_ptr(), (&raw mut (*to).nodename).cast(), name.len()) };
    Some(0)
}

/// What sched_getaffinity(2) gives for the calling thread inside a simulation: the number of bytes that the kernel
/// writes, and a bit for each core of the node. `None` for the real call: for other threads, and where it would fail.
///
/// # Safety
///
/// The caller of the guard gave `[to, to + size)` up to be overwritten.
pub(super) unsafe fn affinity(thread: pid_t, size: usize, to: *mut u8) -> Option<usize> {
    let cores = host::cores()?;
    let word = size_of::<c_long>();
    let needed = cores.div_ceil(8 * word) * word;
    if thread != 0 || size < needed || !size.is_multiple_of(word) {
        return None;
    }
    // SAFETY: the caller's promise.
    if unsafe { memory::writable(to, size) } < size {
        return None;
    }
    // SAFETY: as above, and the kernel has just written to each of these pages.
    let set = unsafe {
        to.write_bytes(0, size);
        slice::from_raw_parts_mut(to, size)
    };
    for core in 0..cores {
        set[core / 8] |= 1 << (core % 8);
    }
    Some(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::outcome;
    use std::ffi::CStr;
    use std::thread::available_parallelism;

    /// Runs `body` on a node.
    fn on_node<T: Send + 'static>(name: &str, cores: usize, body: fn() -> T) -> T {
        let name = name.to_owned();
        let run = move || {
            let body = async move |sim: sim_core::Sim| {
                let node = sim.node(&name);
                node.cores(cores);
                node.spawn(async move { body() }).await.expect("no panic")
            };
            sim_core::run(sim_core::Config::seed(1), body).result.expect("no failure")
        };
        std::thread::spawn(run).join().expect("a thread of its own")
    }

    fn names() -> (String, String, String) {
        let mut own = [0x55u8; 80];
        // SAFETY: the places are ours; all-zero is a value of the structure.
        unsafe {
            assert_eq!(libc::gethostname(own.as_mut_ptr().cast(), own.len()), 0);
            let mut all: [utsname; 2] = std::mem::zeroed();
            assert_eq!(libc::uname(&mut all[0]), 0);
            assert_eq!(libc::syscall(libc::SYS_uname, &mut all[1]), 0);
            let text = |name: *const c_char| CStr::from_ptr(name).to_str().unwrap().to_owned();
            assert_eq!(text(all[0].sysname.as_ptr()), "Linux");
            (text(own.as_ptr().cast()), text(all[0].nodename.as_ptr()), text(all[1].nodename.as_ptr()))
        }
    }

    #[test]
    fn the_host_name_is_that_of_the_node() {
        let all = |name: &str| (name.to_owned(), name.to_owned(), name.to_owned());
        assert_eq!(on_node("payment", 1, names), all("payment"));
        assert_eq!(on_node(&"x".repeat(70), 1, names), all(&"x".repeat(64)));
        let outside = names();
        assert_eq!(outside, all(&outside.0));
        let short = || {
            let mut name = [0x55u8; 4];
            // SAFETY: the buffer is ours; the other pointer is bad.
            unsafe {
                let cut = outcome(|| libc::gethostname(name.as_mut_ptr().cast(), 4) as isize);
                (cut, name, outcome(|| libc::gethostname(8 as *mut c_char, 80) as isize))
            }
        };
        let expected = ((-1, libc::ENAMETOOLONG), *b"paym", (-1, libc::EFAULT));
        assert_eq!(on_node("payment", 1, short), expected);
    }

    fn processors() -> (usize, i64, i64, i64) {
        let mut set = [0xffu8; 128];
        // SAFETY: the buffer is ours.
        unsafe {
            let written = libc::syscall(libc::SYS_sched_getaffinity, 0, set.len(), set.as_mut_ptr());
            let bits: u32 = set[..written as usize].iter().map(|byte| byte.count_ones()).sum();
            let parallelism = available_parallelism().unwrap().get();
            (
                parallelism,
                libc::sysconf(libc::_SC_NPROCESSORS_ONLN),
                libc::sysconf(libc::_SC_NPROCESSORS_CONF),
                bits.into(),
            )
        }
    }

    #[test]
    fn a_node_has_as_many_processors_as_cores() {
        assert_eq!(on_node("small", 1, processors), (1, 1, 1, 1));
        let large = on_node("large", 70, processors);
        assert_eq!((large.1, large.2, large.3), (70, 70, 70));
        // SAFETY: it takes nothing.
        assert_eq!(on_node("first", 70, || unsafe { sched_getcpu() }), 0);
        // SAFETY: a set for 64 processors is too small for 70, also for the real call.
        let refused = || outcome(|| unsafe { libc::sched_getaffinity(0, 1, ptr::null_mut()) } as isize);
        assert_eq!(on_node("large", 70, refused), (-1, libc::EINVAL));
        let outside = processors();
        assert!(outside.0 >= 1 && outside.3 >= 1);
        // SAFETY: no pointer is involved.
        assert!(unsafe { libc::sysconf(libc::_SC_PAGESIZE) } >= 4096);
    }
}
