//! Which part of a caller's buffer may be written. System calls answer a bad pointer with `EFAULT`, and a guard that
//! stands in for one must too, rather than crash.
//!
//! Safety invariant: memory is touched by the kernel only (which checks), and only inside the buffer that the caller
//! gave to be overwritten.

use super::real;

/// The step of the check: the smallest page size of the supported machines, which divides all others.
const PAGE: usize = 4096;

/// The number of bytes from `start` on, at most `len`, that this process may write.
///
/// What the writable bytes hold afterwards is unspecified: the kernel checks by writing one byte a page.
///
/// # Safety
///
/// The caller of the guard gave `[start, start + len)` up to be overwritten.
pub(super) unsafe fn writable(start: *mut u8, len: usize) -> usize {
    let mut done = 0;
    while done < len {
        let at = (start as usize).wrapping_add(done);
        // rt_sigpending(2) is the cheapest call that writes as little as one byte and has no other effect.
        // SAFETY: the kernel checks the address; the byte is the caller's to overwrite.
        let result = unsafe { real::call(libc::SYS_rt_sigpending, [at, 1, 0, 0, 0, 0]) };
        if result == -(libc::EFAULT as isize) {
            break;
        }
        done += PAGE - at % PAGE;
    }
    done.min(len)
}

/// Whether `T` can be written at `to`, which need not be aligned.
///
/// # Safety
///
/// As for [`writable`].
pub(super) unsafe fn accepts<T>(to: *mut T) -> bool {
    let size = size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe { writable(to.cast(), size) == size }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::ptr;

    /// Three pages: two that can be written, then one that cannot.
    pub(crate) struct Pages(*mut u8);

    impl Pages {
        pub(crate) fn new() -> Pages {
            let (protection, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping, and its last page is made read-only before anyone sees it.
            unsafe {
                let start = libc::mmap(ptr::null_mut(), 3 * PAGE, protection, flags, -1, 0);
                assert_ne!(start, libc::MAP_FAILED);
                assert_eq!(libc::mprotect(start.byte_add(2 * PAGE), PAGE, libc::PROT_READ), 0);
                Pages(start.cast())
            }
        }

        /// The address that lies `bytes` before the read-only page.
        pub(crate) fn before_end(&self, bytes: usize) -> *mut u8 {
            self.0.wrapping_add(2 * PAGE - bytes)
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours and no reference to it is left.
            unsafe { libc::munmap(self.0.cast(), 3 * PAGE) };
        }
    }

    #[test]
    fn finds_the_first_page_that_cannot_be_written() {
        let pages = Pages::new();
        // SAFETY: nothing else uses these pages.
        unsafe {
            assert_eq!(writable(pages.before_end(PAGE + 7), 7), 7);
            assert_eq!(writable(pages.before_end(PAGE + 7), PAGE + 7), PAGE + 7);
            assert_eq!(writable(pages.before_end(PAGE + 7), 3 * PAGE), PAGE + 7);
            assert_eq!(writable(pages.before_end(0), 1), 0);
            assert_eq!(writable(ptr::null_mut(), 1), 0);
            assert_eq!(writable(usize::MAX as *mut u8, 2), 0);
            assert_eq!(writable(ptr::null_mut(), 0), 0);
            assert!(accepts(pages.before_end(8).cast::<u64>()));
            assert!(!accepts(pages.before_end(4).cast::<u64>()));
        }
    }
}
