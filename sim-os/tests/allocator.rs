//! Allocators read the clock (jemalloc does, to age its pages). A guard that allocated, or that looked something up
//! in a way that allocates, before it knows that it is needed would call itself without end.

#![cfg(guarded)]

extern crate sim_os as _;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

struct Aging;

static READS: AtomicU64 = AtomicU64::new(0);

// SAFETY: `System` does the work; reading a clock does not touch the memory.
unsafe impl GlobalAlloc for Aging {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the structure is ours, and a request of no bytes may go anywhere.
        unsafe {
            assert_eq!(libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now), 0);
            assert_eq!(libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &mut now), 0);
            assert_eq!(libc::getrandom(std::ptr::null_mut(), 0, 0), 0);
        }
        READS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Aging = Aging;

#[test]
fn an_allocator_may_read_the_clock() {
    let before = READS.load(Ordering::Relaxed);
    let run = sim_core::run(sim_core::Config::seed(1), |_| async {
        (0..1000).map(|n| (n, n.to_string())).collect::<BTreeMap<u32, String>>().len()
    });
    assert_eq!(run.result.expect("no failure"), 1000);
    assert!(READS.load(Ordering::Relaxed) > before + 1000);
}
