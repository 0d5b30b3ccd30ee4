//! What is due when: one queue for timers, deliveries and everything else that happens by itself.
//!
//! Equal times fire in the order of a tie, which the seed decides. Cancelled entries stay until they are due
//! or until they are the majority.

use super::queue::{self, Queue};
use crate::decision::Name;
use crate::node::NodeId;
use crate::slab::{Key, Slab};
use crate::world::SubsystemId;
use std::task::Waker;

/// What happens when an event is due: plain data, stored as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// Wakes one of our own tasks.
    Task(Key),
    /// Wakes something of another library (a `select!`, a `FuturesUnordered`), whose waker the events keep.
    Waker(Key),
    /// A subsystem's event: its tag and its key.
    Subsystem(SubsystemId, u8, Key),
    /// Calls an action that the test planned.
    Action(Key),
    /// The program of a node starts; the number tells an outdated start.
    Boot(NodeId, u32),
    /// A graceful stop has taken too long.
    StopDeadline(NodeId, u32),
    /// A poll that the CPU model put off.
    Resume(Key),
    /// Nothing: it was cancelled, or its place is free.
    Nothing,
}

/// Whom a timer wakes.
pub(crate) enum Target {
    /// One of our own tasks, by its key.
    Task(Key),
    /// Something of another library.
    Foreign(Waker),
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// Whose clock a timer follows; nobody's for other events.
    clock: u32,
    what: What,
    name: Name,
}

const NO_CLOCK: u32 = u32::MAX;

/// A pending event, as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey(Key);

/// An event that is due.
pub(crate) struct Due {
    pub(crate) time: u64,
    pub(crate) name: Name,
    pub(crate) what: What,
}

/// The pending events.
#[derive(Debug)]
pub(crate) struct Events {
    queue: Queue,
    slots: Vec<Slot>,
    free: Vec<u32>,
    wakers: Slab<Waker>,
    cancelled: usize,
}

impl Events {
    pub(crate) const fn new() -> Self {
        Events { queue: Queue::new(), slots: Vec::new(), free: Vec::new(), wakers: Slab::new(), cancelled: 0 }
    }

    /// Adds an event at a time of the world.
    #[inline]
    pub(crate) fn push(&mut self, time: u64, tie: u32, name: Name, what: What) -> EventKey {
        self.insert(time, tie, name, what, NO_CLOCK)
    }

    /// Adds a timer that follows the clock of a node, which at present says that it is due at `time`.
    #[inline]
    pub(crate) fn push_timer(
        &mut self,
        (time, tie): (u64, u32),
        name: Name,
        what: What,
        clock: NodeId,
    ) -> EventKey {
        self.insert(time, tie, name, what, clock.0)
    }

    /// What wakes a target; a foreign waker is kept until then.
    #[inline]
    pub(crate) fn wake_of(&mut self, target: Target) -> What {
        match target {
            Target::Task(key) => What::Task(key),
            Target::Foreign(waker) => What::Waker(self.wakers.insert(waker)),
        }
    }

    /// The waker of a [`What::Waker`] that is due.
    pub(crate) fn take_waker(&mut self, key: Key) -> Option<Waker> {
        self.wakers.remove(key)
    }

    #[inline]
    fn insert(&mut self, time: u64, tie: u32, name: Name, what: What, clock: u32) -> EventKey {
        let key = match self.free.pop() {
            Some(slot) => {
                let s = &mut self.slots[slot as usize];
                let generation = s.generation;
                *s = Slot { generation, clock, what, name };
                Key::new(slot, generation)
            }
            None => {
                self.slots.push(Slot { generation: 0, clock, what, name });
                Key::new(self.slots.len() as u32 - 1, 0)
            }
        };
        self.queue.push(queue::key(time, tie, key.slot()));
        EventKey(key)
    }

    /// The next event, if there is one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Due> {
        loop {
            let key = self.queue.pop()?;
            let slot = key as u32;
            let s = &mut self.slots[slot as usize];
            let (what, name) = (s.what, s.name);
            s.generation = s.generation.wrapping_add(1);
            self.free.push(slot);
            if let What::Nothing = what {
                self.cancelled -= 1;
                continue;
            }
            return Some(Due { time: queue::time(key), name, what });
        }
    }

    #[inline]
    fn slot(&mut self, key: EventKey) -> Option<&mut Slot> {
        let EventKey(key) = key;
        self.slots.get_mut(key.slot() as usize).filter(|s| s.generation == key.generation())
    }

    /// Whether the event is still to come.
    #[inline]
    pub(crate) fn is_pending(&mut self, key: EventKey) -> bool {
        self.slot(key).is_some()
    }

    /// Points a pending timer at another target; gives the waker that it had back for dropping.
    #[inline]
    pub(crate) fn rewake(&mut self, key: EventKey, target: Target) -> Option<Waker> {
        let before = self.slot(key)?.what;
        match (before, target) {
            (What::Waker(old), Target::Foreign(waker)) => {
                return self.wakers.get_mut(old).map(|place| std::mem::replace(place, waker));
            }
            (What::Waker(_) | What::Task(_), target) => {
                let what = self.wake_of(target);
                self.slot(key)?.what = what;
            }
            _ => {}
        }
        self.waker_of(before)
    }

    /// Takes a pending event back; the caller drops the waker outside of any borrow.
    #[inline]
    pub(crate) fn cancel(&mut self, key: EventKey) -> Option<Waker> {
        let s = self.slot(key)?;
        let before = std::mem::replace(&mut s.what, What::Nothing);
        s.generation = s.generation.wrapping_add(1);
        self.cancelled += 1;
        if self.cancelled > 64 && self.cancelled * 2 > self.queue.len() {
            self.compact();
        }
        self.waker_of(before)
    }

    #[inline]
    fn waker_of(&mut self, what: What) -> Option<Waker> {
        if let What::Waker(key) = what { self.wakers.remove(key) } else { None }
    }

    #[cold]
    fn compact(&mut self) {
        let (slots, free) = (&self.slots, &mut self.free);
        self.queue.retain(|key| {
            let s = &slots[key as u32 as usize];
            let keep = !matches!(s.what, What::Nothing);
            if !keep {
                free.push(key as u32);
            }
            keep
        });
        self.cancelled = 0;
    }

    /// Computes anew when the timers of a clock are due; `due` maps the old time to the new one.
    pub(crate) fn rearm(&mut self, clock: NodeId, due: impl Fn(u64) -> u64) {
        let mut moved = Vec::new();
        let slots = &self.slots;
        self.queue.retain(|key| {
            let s = &slots[key as u32 as usize];
            let stays = s.clock != clock.0 || matches!(s.what, What::Nothing);
            if !stays {
                moved.push(key);
            }
            stays
        });
        for key in moved {
            let (tie, slot) = ((key >> 32) as u32, key as u32);
            self.queue.push(queue::key(due(queue::time(key)), tie, slot));
        }
    }

    /// How many events are pending.
    pub(crate) fn len(&self) -> usize {
        self.queue.len() - self.cancelled
    }

    /// How many events were ever pending at once.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Forgets all events but keeps the memory; the wakers are for the caller to drop.
    pub(crate) fn clear(&mut self) -> Slab<Waker> {
        self.slots.clear();
        self.free.clear();
        self.queue.clear();
        self.cancelled = 0;
        std::mem::take(&mut self.wakers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(slot: u32) -> What {
        What::Task(Key::new(slot, 0))
    }

    #[test]
    fn equal_times_fire_in_the_order_of_their_ties() {
        let mut events = Events::new();
        events.push(5, 9, 1, task(1));
        events.push(5, 3, 2, task(2));
        events.push(4, 9, 3, task(3));
        let names: Vec<_> = std::iter::from_fn(|| events.pop()).map(|d| (d.time, d.name)).collect();
        assert_eq!(names, [(4, 3), (5, 2), (5, 1)]);
    }

    #[test]
    fn cancelled_events_do_not_pile_up() {
        let mut events = Events::new();
        events.push(1_000_000, 0, 1, task(0));
        for i in 0..100_000 {
            let key = events.push(1_000 + i, 0, 2, task(1));
            assert!(events.cancel(key).is_none());
            assert!(!events.is_pending(key));
        }
        assert_eq!(events.len(), 1);
        assert!(events.capacity() < 200, "{} slots", events.capacity());
        assert_eq!(events.pop().map(|d| d.name), Some(1));
    }

    #[test]
    fn a_changed_clock_moves_only_its_own_timers() {
        let mut events = Events::new();
        events.push_timer((100, 0), 1, task(1), NodeId(1));
        events.push_timer((100, 0), 2, task(2), NodeId(2));
        events.rearm(NodeId(1), |due| due * 2);
        let due: Vec<_> = std::iter::from_fn(|| events.pop()).map(|d| (d.time, d.name)).collect();
        assert_eq!(due, [(100, 2), (200, 1)]);
    }
}
