//! Which thread of a child is the run's, and where the run was when it died: a page that a child shares with its
//! worker.
//!
//! Invariant: the page is mapped once, shared, never unmapped, and holds only integers and bytes for which every
//! pattern is valid. Only one thread of a child (the run's) writes it. The worker reads the place after the child is
//! dead, and the thread, one aligned word, at any time. Accesses are volatile because the other side is another
//! process.

use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

const PAGE: usize = 4096;
const THREAD: usize = 16;
const TEXT: usize = 24;

/// Last place that a run reported. See the module's documentation for what its pointer is.
struct Page(*mut u8);

// SAFETY: the mapping lives as long as the process and has no owner thread; who may access it when is the
// module's invariant.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

static BEACON: OnceLock<Option<Page>> = OnceLock::new();

/// Maps the page; without it (or when the system refuses) [`set`] does nothing. For the worker, before it forks.
pub(super) fn prepare() {
    BEACON.get_or_init(|| {
        // SAFETY: a new anonymous mapping at an address of the system's choice touches no memory of ours.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        (page != libc::MAP_FAILED).then_some(Page(page.cast()))
    });
}

/// Reports where the run is: virtual time since its start and, as text, its node.
pub(crate) fn set(now: Duration, place: &str) {
    let Some(Some(page)) = BEACON.get() else { return };
    let text = &place.as_bytes()[..place.len().min(PAGE - TEXT)];
    // SAFETY: time, length and at most PAGE - TEXT bytes of text lie inside the page; the first two are aligned.
    unsafe {
        page.0.cast::<u64>().write_volatile(now.as_nanos() as u64 + 1);
        page.0.add(8).cast::<u64>().write_volatile(text.len() as u64);
        ptr::copy_nonoverlapping(text.as_ptr(), page.0.add(TEXT), text.len());
    }
}

/// Says that the calling thread is the run's.
pub(super) fn set_thread() {
    #[cfg(target_os = "linux")]
    if let Some(Some(page)) = BEACON.get() {
        // SAFETY: the word lies inside the page and is aligned.
        unsafe { page.0.add(THREAD).cast::<u64>().write_volatile(libc::gettid() as u64) };
    }
}

/// The run's thread, as the system numbers it; `None` where it did not say. For the worker.
pub(super) fn thread() -> Option<u64> {
    let Some(Some(page)) = BEACON.get() else { return None };
    // SAFETY: as in `set_thread`.
    Some(unsafe { page.0.add(THREAD).cast::<u64>().read_volatile() }).filter(|thread| *thread != 0)
}

/// Forgets the last report. For the worker, before each fork.
pub(super) fn clear() {
    if let Some(Some(page)) = BEACON.get() {
        // SAFETY: as in `set` and `set_thread`.
        unsafe {
            page.0.cast::<u64>().write_volatile(0);
            page.0.add(THREAD).cast::<u64>().write_volatile(0);
        }
    }
}

/// Copies the last report to `buffer` (at least a page) as eight bytes of time and the text; how many bytes that
/// is, 0 when nothing was reported. For the worker, when the child is dead.
pub(super) fn read(buffer: &mut [u8]) -> usize {
    let Some(Some(page)) = BEACON.get() else { return 0 };
    // SAFETY: as in `set`; the length is checked against the page because a dying child may have written anything.
    unsafe {
        let Some(now) = page.0.cast::<u64>().read_volatile().checked_sub(1) else { return 0 };
        let length = (page.0.add(8).cast::<u64>().read_volatile() as usize).min(PAGE - TEXT);
        buffer[..8].copy_from_slice(&now.to_le_bytes());
        ptr::copy_nonoverlapping(page.0.add(TEXT), buffer[8..8 + length].as_mut_ptr(), length);
        8 + length
    }
}
