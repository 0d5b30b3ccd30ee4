//! Wakers of one word beside the vtable: world, generation and slot of the task, packed into the data pointer.
//!
//! Nothing is counted, so clone and drop cost nothing, and a waker may outlive its task and its world: it then
//! finds a stale key and does nothing. The packed ids wrap (20 bits of world, 22 of generation); the worst that a
//! waker kept for so long can do is one wake that nobody asked for, which every future must bear.
//!
//! Safety: the data pointer is never dereferenced; it is a number. Every function of the vtable may be called
//! from any thread.

use crate::clock::What;
use crate::slab::Key;
use crate::world::{self, WorldId};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

const _: () = assert!(usize::BITS == 64, "sim packs task ids into 64-bit pointers");

static VTABLE: RawWakerVTable = RawWakerVTable::new(|d| RawWaker::new(d, &VTABLE), wake, wake, |_| ());

/// Bits of slot and of generation in a waker: at most 4 million tasks live at once.
pub(crate) const BITS: u32 = 22;
pub(crate) const MASK: u32 = (1 << BITS) - 1;
const WORLD_MASK: u64 = (1 << (64 - 2 * BITS)) - 1;

/// The waker of a task.
#[inline]
pub(crate) fn waker(world: WorldId, key: Key) -> Waker {
    let bits = (world.0 & WORLD_MASK) << (2 * BITS)
        | ((key.generation & MASK) as u64) << BITS
        | (key.slot & MASK) as u64;
    let data = std::ptr::without_provenance::<()>(bits as usize);
    // SAFETY: the vtable never dereferences the data, and all of its functions are thread-safe.
    unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
}

/// What an event does to wake `waker`: for one of this world's tasks its key is enough.
#[inline]
pub(crate) fn target(world: WorldId, waker: &Waker) -> What {
    let bits = waker.data().addr() as u64;
    if std::ptr::eq(waker.vtable(), &VTABLE) && bits >> (2 * BITS) == world.0 & WORLD_MASK {
        return What::Task(key(bits));
    }
    What::Waker(waker.clone())
}

fn key(bits: u64) -> Key {
    Key { slot: bits as u32 & MASK, generation: (bits >> BITS) as u32 & MASK }
}

fn wake(data: *const ()) {
    let bits = data.addr() as u64;
    let (world, key) = (bits >> (2 * BITS), key(bits));
    let here = world::try_with(|w| {
        let mine = w.id().0 & WORLD_MASK == world;
        if mine {
            w.kernel().wake(key);
        }
        mine
    });
    if here != Some(true) {
        leave(world, key);
    }
}

/// One inbox for all worlds: wakes from other threads are rare, and reported, since their timing cannot be
/// reproduced.
static INBOX: Mutex<Vec<(u64, Key)>> = Mutex::new(Vec::new());
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// A waker that outlives its world leaves a line here for good; this bounds what they add up to.
const INBOX_BOUND: usize = 1 << 16;

#[cold]
fn leave(world: u64, key: Key) {
    let mut inbox = INBOX.lock();
    if inbox.len() >= INBOX_BOUND {
        inbox.remove(0);
    }
    inbox.push((world, key));
    WAITING.store(inbox.len(), Ordering::Release);
}

/// Whether other threads have left wakes, for whichever world.
#[inline]
pub(crate) fn foreign_wakes() -> bool {
    WAITING.load(Ordering::Acquire) != 0
}

/// Takes the wakes that other threads left for this world.
#[cold]
pub(crate) fn inbox(world: WorldId) -> Vec<Key> {
    let id = world.0 & WORLD_MASK;
    let mut inbox = INBOX.lock();
    let mine = inbox.iter().filter(|w| w.0 == id).map(|w| w.1).collect();
    inbox.retain(|w| w.0 != id);
    WAITING.store(inbox.len(), Ordering::Release);
    mine
}
