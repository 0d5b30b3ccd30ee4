//! The random devices: reads of `/dev/urandom` and `/dev/random` give the run's application randomness.
//!
//! A device is recognised when it is *read*, by the descriptor's device number, not when it is opened: that holds for
//! every way to open it and for duplicated descriptors, and a descriptor number that is used again for another file
//! is never mistaken. It costs one `fstat` for each read of a real descriptor inside a simulation. The streams of C are
//! read inside libc, so there `fopen` of a device gives a stream of our own.
//!
//! Safety invariant: a buffer is written only by `entropy::fill`, in the pieces in which the caller gave it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use libc::{FILE, iovec, off_t, size_t, ssize_t};

use super::{Guard, entropy, guard, inside, real};

static READ: real::Next<unsafe extern "C" fn(c_int, *mut c_void, size_t) -> ssize_t> =
    // SAFETY: the signature in read(2).
    unsafe { real::Next::new(c"read") };
static READV: real::Next<unsafe extern "C" fn(c_int, *const iovec, c_int) -> ssize_t> =
    // SAFETY: the signature in readv(2).
    unsafe { real::Next::new(c"readv") };
static PREAD: real::Next<unsafe extern "C" fn(c_int, *mut c_void, size_t, off_t) -> ssize_t> =
    // SAFETY: the signature in pread(2).
    unsafe { real::Next::new(c"pread") };
static PREAD64: real::Next<unsafe extern "C" fn(c_int, *mut c_void, size_t, off_t) -> ssize_t> =
    // SAFETY: the signature in pread(2); `off_t` has 64 bits on these machines.
    unsafe { real::Next::new(c"pread64") };
static FOPEN: real::Next<unsafe extern "C" fn(*const c_char, *const c_char) -> *mut FILE> =
    // SAFETY: the signature in fopen(3).
    unsafe { real::Next::new(c"fopen") };
static FOPEN64: real::Next<unsafe extern "C" fn(*const c_char, *const c_char) -> *mut FILE> =
    // SAFETY: as fopen, for large files.
    unsafe { real::Next::new(c"fopen64") };

pub(super) fn guards() -> Vec<Guard> {
    vec![
        guard(c"read", read as *const c_void),
        guard(c"readv", readv as *const c_void),
        guard(c"pread", pread as *const c_void),
        guard(c"pread64", pread64 as *const c_void),
        guard(c"fopen", fopen as *const c_void),
        guard(c"fopen64", fopen64 as *const c_void),
    ]
}

pub(super) fn look_up() {
    READ.function();
    READV.function();
    PREAD.function();
    PREAD64.function();
    FOPEN.function();
    FOPEN64.function();
}

/// read(2), which differs from the real one only for the random devices.
///
/// # Safety
///
/// As for the C function: `buffer` is given up to be overwritten for `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, count: size_t) -> ssize_t {
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { read_random(fd, buffer, count) } {
        return count as ssize_t;
    }
    match READ.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(fd, buffer, count) },
        // SAFETY: as above; the kernel checks the pointer.
        None => unsafe { by_number(libc::SYS_read, fd, buffer as usize, count, 0) },
    }
}

/// readv(2), which differs from the real one only for the random devices.
///
/// # Safety
///
/// As for the C function: `parts` are `count` buffers, given up to be overwritten.
#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { read_parts(fd, parts, count) } {
        return count as ssize_t;
    }
    match READV.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(fd, parts, count) },
        // SAFETY: as above; the kernel checks the pointers.
        None => unsafe { by_number(libc::SYS_readv, fd, parts as usize, count as usize, 0) },
    }
}

/// pread(2), which differs from the real one only for the random devices; those have no places to read from.
///
/// # Safety
///
/// As for the C function: `buffer` is given up to be overwritten for `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn pread(fd: c_int, buffer: *mut c_void, count: size_t, at: off_t) -> ssize_t {
    // SAFETY: the caller's promise.
    unsafe { read_at(&PREAD, fd, buffer, count, at) }
}

/// pread(2) by its name for large files.
///
/// # Safety
///
/// As for the C function: `buffer` is given up to be overwritten for `count` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn pread64(fd: c_int, buffer: *mut c_void, count: size_t, at: off_t) -> ssize_t {
    // SAFETY: the caller's promise.
    unsafe { read_at(&PREAD64, fd, buffer, count, at) }
}

/// # Safety
///
/// As for pread(2).
unsafe fn read_at(
    next: &real::Next<unsafe extern "C" fn(c_int, *mut c_void, size_t, off_t) -> ssize_t>,
    fd: c_int,
    buffer: *mut c_void,
    count: size_t,
    at: off_t,
) -> ssize_t {
    if at >= 0 {
        // SAFETY: the caller's promise.
        if let Some(count) = unsafe { read_random(fd, buffer, count) } {
            return count as ssize_t;
        }
    }
    match next.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(fd, buffer, count, at) },
        // SAFETY: as above; the kernel checks the pointer.
        None => unsafe { by_number(libc::SYS_pread64, fd, buffer as usize, count, at as usize) },
    }
}

/// fopen(3), which differs from the real one only for the random devices, opened to be read.
///
/// # Safety
///
/// As for the C function: both are C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut FILE {
    // SAFETY: the caller's promise.
    unsafe { open_stream(&FOPEN, path, mode) }
}

/// fopen(3) by its name for large files.
///
/// # Safety
///
/// As for the C function: both are C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn fopen64(path: *const c_char, mode: *const c_char) -> *mut FILE {
    // SAFETY: the caller's promise.
    unsafe { open_stream(&FOPEN64, path, mode) }
}

/// # Safety
///
/// As for fopen(3).
unsafe fn open_stream(
    next: &real::Next<unsafe extern "C" fn(*const c_char, *const c_char) -> *mut FILE>,
    path: *const c_char,
    mode: *const c_char,
) -> *mut FILE {
    // SAFETY: the caller's promise.
    if inside() && unsafe { names_random(path) && reads_only(mode) } {
        let functions =
            CookieFunctions { read: give, write: ptr::null(), seek: ptr::null(), close: ptr::null() };
        // SAFETY: the mode is a C string; the function needs no cookie, and fits the signature in fopencookie(3).
        return unsafe { fopencookie(ptr::null_mut(), mode, functions) };
    }
    match next.function() {
        // SAFETY: the caller's arguments, unchanged.
        Some(real) => unsafe { real(path, mode) },
        None => {
            real::conclude(-(libc::ENOSYS as isize));
            ptr::null_mut()
        }
    }
}

/// `cookie_io_functions_t` of fopencookie(3). What a stream cannot do is null.
#[repr(C)]
struct CookieFunctions {
    read: unsafe extern "C" fn(*mut c_void, *mut c_char, size_t) -> ssize_t,
    write: *const c_void,
    seek: *const c_void,
    close: *const c_void,
}

unsafe extern "C" {
    fn fopencookie(cookie: *mut c_void, mode: *const c_char, functions: CookieFunctions) -> *mut FILE;
}

/// Reads for a stream of a random device, which may outlive the simulation that opened it.
///
/// # Safety
///
/// libc gives `buffer` up to be overwritten for `count` bytes.
unsafe extern "C" fn give(_: *mut c_void, buffer: *mut c_char, count: size_t) -> ssize_t {
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { entropy::fill(buffer.cast(), count) } {
        return count as ssize_t;
    }
    // SAFETY: as above; the kernel checks the pointer.
    real::conclude(unsafe { real::call(libc::SYS_getrandom, [buffer as usize, count, 0, 0, 0, 0]) })
}

/// # Safety
///
/// `path` is null or a C string.
unsafe fn names_random(path: *const c_char) -> bool {
    // SAFETY: the caller's promise.
    !path.is_null() && [c"/dev/urandom", c"/dev/random"].contains(&unsafe { CStr::from_ptr(path) })
}

/// # Safety
///
/// `mode` is null or a C string.
unsafe fn reads_only(mode: *const c_char) -> bool {
    // SAFETY: the caller's promise.
    !mode.is_null() && {
        // SAFETY: as above.
        let mode = unsafe { CStr::from_ptr(mode) }.to_bytes();
        mode.first() == Some(&b'r') && !mode.contains(&b'+')
    }
}

/// What read(2) gives for a random device inside a simulation; `None` for everything else.
///
/// # Safety
///
/// The caller of the guard gave `[buffer, buffer + count)` up to be overwritten.
pub(super) unsafe fn read_random(fd: c_int, buffer: *mut c_void, count: usize) -> Option<usize> {
    if !inside() || !is_random(fd) {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { entropy::fill(buffer, count) }
}

/// What readv(2) gives for a random device inside a simulation; `None` for everything else.
///
/// # Safety
///
/// As for readv(2): `parts` are `count` buffers, given up to be overwritten.
pub(super) unsafe fn read_parts(fd: c_int, parts: *const iovec, count: c_int) -> Option<usize> {
    // The real call refuses other counts.
    if !(1..=libc::UIO_MAXIOV).contains(&count) || !inside() || !is_random(fd) {
        return None;
    }
    let mut total = 0;
    for index in 0..count as usize {
        // SAFETY: the caller's promise.
        let part = unsafe { parts.add(index).read_unaligned() };
        // SAFETY: as above.
        let filled = unsafe { entropy::fill(part.iov_base, part.iov_len) }.unwrap_or(0);
        total += filled;
        if filled < part.iov_len {
            break;
        }
    }
    (total > 0).then_some(total)
}

fn is_random(fd: c_int) -> bool {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure, whose layout is its own on these machines, or fails.
    let result =
        unsafe { real::call(libc::SYS_fstat, [fd as usize, stat.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    if result != 0 {
        return false;
    }
    // SAFETY: the call succeeded, so the structure is filled.
    let stat = unsafe { stat.assume_init() };
    // Device numbers: Documentation/admin-guide/devices.txt of Linux.
    let (random, urandom) = (libc::makedev(1, 8), libc::makedev(1, 9));
    stat.st_mode & libc::S_IFMT == libc::S_IFCHR && (stat.st_rdev == random || stat.st_rdev == urandom)
}

/// # Safety
///
/// As for the system call.
unsafe fn by_number(number: libc::c_long, fd: c_int, a: usize, b: usize, c: usize) -> ssize_t {
    // SAFETY: the caller's promise.
    real::conclude(unsafe { real::call(number, [fd as usize, a, b, c, 0, 0]) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_follows_from_the_seed;
    use super::*;
    use crate::guard::tests::{outcome, simulated};
    use std::fs::File;
    use std::io::{IoSliceMut, Read};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::FileExt;

    /// Sixteen bytes from each way to read a device.
    fn draws() -> Vec<[u8; 16]> {
        let mut all = Vec::new();
        for path in ["/dev/urandom", "/dev/random"] {
            let mut file = File::open(path).unwrap();
            let mut bytes = [[0; 16]; 5];
            file.read_exact(&mut bytes[0]).unwrap();
            file.read_exact_at(&mut bytes[1], 5).unwrap();
            let copy = file.try_clone().unwrap();
            let (first, second) = bytes[2].split_at_mut(7);
            let parts = &mut [IoSliceMut::new(first), IoSliceMut::new(&mut []), IoSliceMut::new(second)];
            assert_eq!((&copy).read_vectored(parts).unwrap(), 16);
            let number = copy.as_raw_fd();
            // SAFETY: the buffers are ours.
            unsafe {
                assert_eq!(libc::syscall(libc::SYS_read, number, bytes[3].as_mut_ptr(), 16usize), 16);
                assert_eq!(libc::pread(number, bytes[4].as_mut_ptr().cast(), 16, 0), 16);
            }
            all.extend(bytes);
        }
        all.extend([c"/dev/urandom", c"/dev/random"].map(|path| stream(path, c"rb")));
        all
    }

    /// Sixteen bytes through a stream of C.
    fn stream(path: &CStr, mode: &CStr) -> [u8; 16] {
        let mut bytes = [0; 16];
        // SAFETY: C strings, a buffer of ours, and a stream that is closed once.
        unsafe {
            let file = libc::fopen(path.as_ptr(), mode.as_ptr());
            assert!(!file.is_null());
            assert_eq!(libc::fread(bytes.as_mut_ptr().cast(), 1, 16, file), 16);
            assert_eq!(libc::fclose(file), 0);
        }
        bytes
    }

    #[test]
    fn every_way_to_read_a_device_repeats_with_the_seed() {
        assert_follows_from_the_seed(draws);
        for (one, other) in draws().iter().zip(&draws()) {
            assert_ne!(one, other, "outside of a simulation they are real");
        }
    }

    #[test]
    fn reads_of_other_files_are_untouched() {
        let read = || {
            let mut text = String::new();
            File::open("/proc/self/comm")
                .and_then(|mut file| file.read_to_string(&mut text))
                .expect("procfs");
            let mut zeros = [1u8; 4];
            File::open("/dev/zero").and_then(|mut file| file.read_exact(&mut zeros)).expect("a device");
            let streamed = stream(c"/dev/zero", c"r");
            // SAFETY: the buffer is ours; the descriptor is not open; no such file.
            unsafe {
                let closed = outcome(|| libc::read(-1, zeros.as_mut_ptr().cast(), 4));
                let vectored = outcome(|| libc::readv(-1, ptr::null(), 1));
                let positioned = outcome(|| libc::pread(-1, zeros.as_mut_ptr().cast(), 4, 0));
                let missing = libc::fopen(c"/dev/no-such-device".as_ptr(), c"r".as_ptr()).is_null();
                (text.is_empty(), zeros, streamed, closed, vectored, positioned, missing)
            }
        };
        let bad = (-1, libc::EBADF);
        let expected = (false, [0; 4], [0; 16], bad, bad, bad, true);
        assert_eq!(read(), expected);
        assert_eq!(simulated(1, read), expected);
    }
}
