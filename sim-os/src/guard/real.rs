//! The real functions behind the guards, and system calls without libc.
//!
//! A real function is found with `dlsym(RTLD_NEXT, …)`: the next definition after ours in the search order. All are
//! looked up by a constructor before `main`, so that a signal handler or a forked child never has to; a guard that
//! is called even earlier looks its function up itself. Where there is none, and while the lookup is under way, the
//! guard makes the system call itself.
//!
//! Safety invariant: a [`Next`] is created with the type of the C function of its name, and its address is only ever
//! null, [`ABSENT`] or what `dlsym` gave for that name. [`call`] is the system call instruction and nothing else.

use std::arch::asm;
use std::ffi::{CStr, c_int, c_long, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The definition of a libc function that comes after ours. `F` is its type as a function pointer.
pub(super) struct Next<F> {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
    function: PhantomData<F>,
}

/// Stands for "there is none, or it is being looked up"; no function has this address.
const ABSENT: *mut c_void = ptr::without_provenance_mut(1);

impl<F: Copy> Next<F> {
    /// # Safety
    ///
    /// `F` is an `extern "C"` function pointer type with the signature of the C function `name`.
    pub(super) const unsafe fn new(name: &'static CStr) -> Next<F> {
        assert!(size_of::<F>() == size_of::<*mut c_void>());
        Next { name, address: AtomicPtr::new(ptr::null_mut()), function: PhantomData }
    }

    /// The real function, if there is one.
    #[inline]
    pub(super) fn function(&self) -> Option<F> {
        // Relaxed is enough: the address is that of code, which was there before the address was known.
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            address = self.resolve();
        }
        if address == ABSENT {
            return None;
        }
        // SAFETY: the address is that of the function `name`, whose type `F` is, by the promise made in `new`.
        Some(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&address) })
    }

    #[cold]
    fn resolve(&self) -> *mut c_void {
        // Should the lookup itself call the guard, it finds this and does not look up again.
        self.address.store(ABSENT, Ordering::Relaxed);
        let errno = errno();
        // SAFETY: the name is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        set_errno(errno);
        let address = if found.is_null() { ABSENT } else { found };
        self.address.store(address, Ordering::Relaxed);
        address
    }
}

/// Runs before `main`, among the program's constructors.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_UP: extern "C" fn() = {
    extern "C" fn look_up() {
        super::look_up();
    }
    look_up
};

/// Makes a system call and returns what the kernel returned: a negative value is an error number. `errno` stays as
/// it was.
///
/// # Safety
///
/// As for the system call.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the registers are those of the kernel's calling convention, syscall(2); the rest is the caller's.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a system call and returns what the kernel returned: a negative value is an error number. `errno` stays as
/// it was.
///
/// # Safety
///
/// As for the system call.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the registers are those of the kernel's calling convention, syscall(2); the rest is the caller's.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}

/// Turns what the kernel returned into what a libc function returns: -1 and `errno` for an error.
pub(super) fn conclude(result: isize) -> isize {
    if (-4095..0).contains(&result) {
        set_errno(-result as c_int);
        return -1;
    }
    result
}

fn errno() -> c_int {
    // SAFETY: the pointer is to the calling thread's own `errno`.
    unsafe { *libc::__errno_location() }
}

fn set_errno(value: c_int) {
    // SAFETY: the pointer is to the calling thread's own `errno`.
    unsafe { *libc::__errno_location() = value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_function_is_absent_and_leaves_errno_alone() {
        // SAFETY: there is no such function, so the type does not matter.
        static NONE: Next<extern "C" fn()> = unsafe { Next::new(c"sim_os_no_such_function") };
        set_errno(77);
        assert!(NONE.function().is_none());
        assert!(NONE.function().is_none());
        assert_eq!(errno(), 77);
    }

    #[test]
    fn the_next_definition_is_not_ours() {
        // SAFETY: the signature in time(2).
        static TIME: Next<unsafe extern "C" fn(*mut libc::time_t) -> libc::time_t> =
            unsafe { Next::new(c"time") };
        let real = TIME.function().expect("libc has it");
        let ours = super::super::table().find(|guard| guard.name == c"time").expect("guarded");
        assert_ne!(real as *const c_void as usize, ours.address);
    }

    #[test]
    fn a_call_without_libc_gives_all_six_words() {
        // SAFETY: a new anonymous file and a mapping of it, both given back.
        unsafe {
            let file = conclude(call(libc::SYS_memfd_create, [c"words".as_ptr() as usize, 0, 0, 0, 0, 0]));
            assert!(file >= 0);
            let text = [b'a'; 4096].into_iter().chain([b'b'; 4096]).collect::<Vec<u8>>();
            assert_eq!(libc::write(file as c_int, text.as_ptr().cast(), text.len()), 8192);
            let (protection, flags) = (libc::PROT_READ as usize, libc::MAP_PRIVATE as usize);
            let at = conclude(call(libc::SYS_mmap, [0, 4096, protection, flags, file as usize, 4096]));
            assert_eq!(*(at as *const u8), b'b');
            assert_eq!(conclude(call(libc::SYS_munmap, [at as usize, 4096, 0, 0, 0, 0])), 0);
            libc::close(file as c_int);
        }
    }

    #[test]
    fn an_error_of_the_kernel_becomes_errno() {
        assert_eq!(conclude(-(libc::EFAULT as isize)), -1);
        assert_eq!(errno(), libc::EFAULT);
        assert_eq!(conclude(-4096), -4096);
        assert_eq!(conclude(7), 7);
    }
}
