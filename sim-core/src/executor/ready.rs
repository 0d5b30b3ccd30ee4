//! The ready queue: tasks of normal priority in turn, the others by priority.

use crate::slab::Key;
use std::collections::{BinaryHeap, VecDeque};

/// The tasks that are ready to be polled. Under FIFO it is a plain queue.
#[derive(Debug)]
pub(super) struct Ready {
    /// The first in line of normal priority, ahead of `fifo`; [`Key::NONE`] if there is none. Most events make one task
    /// ready, which goes by here.
    first: Key,
    fifo: VecDeque<Key>,
    ranked: Ranked,
    len: usize,
}

impl Ready {
    pub(super) const fn new() -> Self {
        let ranked = Ranked { used: 0, buckets: Vec::new(), order: 0 };
        Ready { first: Key::NONE, fifo: VecDeque::new(), ranked, len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a task; greater priorities run earlier, 0 is normal.
    #[inline]
    pub(super) fn push(&mut self, key: Key, priority: i64) {
        self.len += 1;
        if priority == 0 {
            // Whoever comes while others are in line goes behind them.
            if self.len == 1 {
                self.first = key;
            } else {
                self.fifo.push_back(key);
            }
        } else {
            self.ranked.push(priority, key);
        }
    }

    /// The next task.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Key> {
        // Most events make one task ready: the queue is empty more often than not.
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        if self.ranked.has_positive() {
            return self.ranked.pop();
        }
        let first = std::mem::replace(&mut self.first, Key::NONE);
        if first != Key::NONE {
            return Some(first);
        }
        match self.fifo.pop_front() {
            Some(key) => Some(key),
            None => self.ranked.pop(),
        }
    }

    /// The `index`th in line, 0 being the next; for schedules that use no priorities.
    pub(super) fn pick(&mut self, index: usize) -> Option<Key> {
        let ahead = usize::from(self.first != Key::NONE);
        match index.checked_sub(ahead).and_then(|index| self.fifo.remove(index)) {
            Some(key) => {
                self.len -= 1;
                Some(key)
            }
            None => self.pop(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.first = Key::NONE;
        self.fifo.clear();
        self.ranked.buckets.iter_mut().for_each(BinaryHeap::clear);
        self.ranked.used = 0;
        self.ranked.order = 0;
        self.len = 0;
    }
}

/// Tasks with a priority: 64 buckets by its top bits, each a heap. Random priorities spread evenly, so that a pop
/// is a bit scan and a look at a few keys.
#[derive(Debug)]
struct Ranked {
    used: u64,
    buckets: Vec<BinaryHeap<Entry>>,
    /// Equal priorities run in turn.
    order: u64,
}

/// Priority, then the order of arrival reversed, then the key.
type Entry = (i64, u64, Key);

impl Ranked {
    fn bucket(priority: i64) -> usize {
        (priority as u64 ^ 1 << 63) as usize >> 58
    }

    #[inline]
    fn push(&mut self, priority: i64, key: Key) {
        if self.buckets.is_empty() {
            self.buckets.resize_with(64, BinaryHeap::new);
        }
        let bucket = Self::bucket(priority);
        self.used |= 1 << bucket;
        self.order += 1;
        self.buckets[bucket].push((priority, !self.order, key));
    }

    #[inline]
    fn has_positive(&self) -> bool {
        self.used >> 32 != 0
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        let top = self.used.checked_ilog2()? as usize;
        let bucket = &mut self.buckets[top];
        let (_, _, key) = bucket.pop()?;
        if bucket.is_empty() {
            self.used &= !(1 << top);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key::new(slot, 0)
    }

    #[test]
    fn positive_then_normal_in_turn_then_negative() {
        let mut ready = Ready::new();
        let tasks = [(1, 0), (2, -5), (3, 7), (4, 0), (5, i64::MAX >> 1), (6, 7), (7, i64::MIN >> 1)];
        for (slot, priority) in tasks {
            ready.push(key(slot), priority);
        }
        assert_eq!(ready.len(), 7);
        let order: Vec<u32> = std::iter::from_fn(|| ready.pop()).map(|k| k.slot()).collect();
        assert_eq!(order, [5, 3, 6, 1, 4, 2, 7]);
        assert_eq!(ready.len(), 0);
    }
}
