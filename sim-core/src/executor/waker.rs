//! Wakers of one word beside the vtable: world, generation and slot of the task, packed into the data pointer.
//!
//! Nothing is counted, so clone and drop cost nothing, and a waker may outlive its task and its world: it then
//! finds a stale key and does nothing. The packed ids wrap (20 bits of world, 22 of generation); the worst that a
//! waker kept for so long can do is one wake that nobody asked for, which every future must bear.
//!
//! Safety: the data pointer is never dereferenced; it is a number. Every function of the vtable may be called
//! from any thread.

use crate::clock::Target;
use crate::slab::Key;
use crate::world::{self, WorldId};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
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
        | ((key.generation() & MASK) as u64) << BITS
        | (key.slot() & MASK) as u64;
    let data = std::ptr::without_provenance::<()>(bits as usize);
    // SAFETY: the vtable never dereferences the data, and all of its functions are thread-safe.
    unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
}

/// Whom an event wakes that stands for `waker`: for one of this world's tasks its key is enough.
#[inline]
pub(crate) fn target(world: WorldId, waker: &Waker) -> Target {
    match task_of(world, waker) {
        Some(key) => Target::Task(key),
        None => Target::Foreign(waker.clone()),
    }
}

/// The task that `waker` wakes, if it is one of this world's.
#[inline]
pub(crate) fn task_of(world: WorldId, waker: &Waker) -> Option<Key> {
    let bits = waker.data().addr() as u64;
    let ours = std::ptr::eq(waker.vtable(), &VTABLE) && bits >> (2 * BITS) == world.0 & WORLD_MASK;
    ours.then(|| key(bits))
}

fn key(bits: u64) -> Key {
    Key::new(bits as u32 & MASK, (bits >> BITS) as u32 & MASK)
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

/// The worlds that run, on whichever thread, and the wakes that other threads left for them. Such wakes are rare,
/// and reported, since their timing cannot be reproduced.
struct Inbox {
    live: Vec<u64>,
    wakes: Vec<(u64, Key)>,
}

static INBOX: Mutex<Inbox> = Mutex::new(Inbox { live: Vec::new(), wakes: Vec::new() });
/// How many wakes were ever left: a world looks into the inbox when the number has changed.
static LEFT: AtomicU64 = AtomicU64::new(0);

#[cold]
fn leave(world: u64, key: Key) {
    let mut inbox = INBOX.lock();
    // A waker that outlives its world wakes nobody.
    if inbox.live.contains(&world) {
        inbox.wakes.push((world, key));
        LEFT.fetch_add(1, Ordering::Release);
    }
}

/// Other threads may leave wakes for this world from here on.
pub(crate) fn open_inbox(world: WorldId) {
    INBOX.lock().live.push(world.0 & WORLD_MASK);
}

/// Nobody can wake this world any more.
pub(crate) fn close_inbox(world: WorldId) {
    let id = world.0 & WORLD_MASK;
    let mut inbox = INBOX.lock();
    if let Some(place) = inbox.live.iter().position(|&w| w == id) {
        inbox.live.swap_remove(place);
    }
    inbox.wakes.retain(|w| w.0 != id);
}

/// How many wakes were ever left, for whichever world.
#[inline]
pub(crate) fn wakes_left() -> u64 {
    LEFT.load(Ordering::Acquire)
}

/// Takes the wakes that other threads left for this world.
#[cold]
pub(crate) fn inbox(world: WorldId) -> Vec<Key> {
    let id = world.0 & WORLD_MASK;
    let mut inbox = INBOX.lock();
    let mine = inbox.wakes.iter().filter(|w| w.0 == id).map(|w| w.1).collect();
    inbox.wakes.retain(|w| w.0 != id);
    mine
}
