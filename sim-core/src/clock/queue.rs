//! A monotone radix heap of base 64 for 16-byte keys `(time, tie, slot)`.
//!
//! A key lies in the bucket of the highest base-64 digit in which its time differs from `base`. Finding the next
//! bucket is two bit scans. A small bucket is sorted into `run`, a large one is spread over lower buckets, so
//! that a key moves at most once a digit, and about once in practice. Keys are whole words: a store of two
//! halves that is read as one stalls the load.

/// `(time, tie, slot)` from the top.
pub(super) type QueueKey = u128;

/// The queue of what is due when. Keys may not be earlier than the last one popped.
#[derive(Debug)]
pub(super) struct Queue {
    /// No later than any key.
    base: u64,
    /// Every key before this is in `run`.
    run_end: u64,
    /// The earliest keys, greatest first.
    run: Vec<QueueKey>,
    len: usize,
    levels: u32,
    used: [u64; 11],
    buckets: Vec<Vec<QueueKey>>,
}

/// Buckets up to this size are sorted, not spread.
const SMALL: usize = 20;
/// A longer run gives its later half back to the buckets.
const LONG: usize = 64;

pub(super) fn key(time: u64, tie: u32, slot: u32) -> QueueKey {
    (time as u128) << 64 | (tie as u128) << 32 | slot as u128
}

pub(super) fn time(key: QueueKey) -> u64 {
    (key >> 64) as u64
}

impl Queue {
    pub(super) const fn new() -> Self {
        Queue { base: 0, run_end: 1, run: Vec::new(), len: 0, levels: 0, used: [0; 11], buckets: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, key: QueueKey) {
        self.len += 1;
        if time(key) < self.run_end {
            self.insert(key);
        } else {
            self.place(key);
        }
    }

    #[inline(never)]
    fn insert(&mut self, key: QueueKey) {
        // By time alone, which needs no unpredictable branch; ties are rare.
        let mut i = self.run.partition_point(|&k| time(k) > time(key));
        while self.run.get(i).is_some_and(|&k| k > key) {
            i += 1;
        }
        self.run.insert(i, key);
        if self.run.len() > LONG {
            let split = time(self.run[LONG / 2]);
            if split > time(self.run[LONG]) {
                let n = self.run.partition_point(|&k| time(k) >= split);
                self.run_end = split;
                let later: Vec<QueueKey> = self.run.drain(..n).collect();
                later.into_iter().for_each(|k| self.place(k));
            }
        }
    }

    #[inline]
    fn place(&mut self, key: QueueKey) {
        let time = time(key);
        debug_assert!(time > self.base);
        let level = (63 - ((time ^ self.base) | 1).leading_zeros()) / 6;
        let digit = (time >> (6 * level)) & 63;
        let bucket = level as usize * 64 + digit as usize;
        if bucket >= self.buckets.len() {
            self.buckets.resize_with((level as usize + 1) * 64, Vec::new);
        }
        self.levels |= 1 << level;
        self.used[level as usize] |= 1 << digit;
        self.buckets[bucket].push(key);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<QueueKey> {
        let key = match self.run.pop() {
            Some(key) => key,
            None => self.refill()?,
        };
        self.len -= 1;
        Some(key)
    }

    #[inline]
    fn refill(&mut self) -> Option<QueueKey> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        let digit = self.used[level].trailing_zeros() as usize;
        self.used[level] &= self.used[level] - 1;
        if self.used[level] == 0 {
            self.levels &= self.levels - 1;
        }
        let bucket = &mut self.buckets[level * 64 + digit];
        if bucket.len() == 1 {
            let key = bucket.pop()?;
            self.base = time(key);
            self.run_end = self.base.saturating_add(1);
            return Some(key);
        }
        if bucket.len() <= SMALL {
            std::mem::swap(&mut self.run, bucket);
            self.run.sort_unstable_by(|a, b| b.cmp(a));
            self.base = time(*self.run.last()?);
            let end = (self.base >> (6 * level)).wrapping_add(1) << (6 * level);
            self.run_end = if end > self.base { end } else { u64::MAX };
            return self.run.pop();
        }
        let mut keys = std::mem::take(bucket);
        self.base = keys.iter().map(|&k| time(k)).min()?;
        self.run_end = self.base.saturating_add(1);
        for key in keys.drain(..) {
            if time(key) == self.base {
                self.run.push(key);
            } else {
                self.place(key);
            }
        }
        self.run.sort_unstable_by(|a, b| b.cmp(a));
        self.buckets[level * 64 + digit] = keys;
        self.run.pop()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps the keys for which `keep` holds.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(QueueKey) -> bool) {
        self.run.retain(|&k| keep(k));
        self.len = self.run.len();
        for level in 0..self.buckets.len() / 64 {
            let mut digits = self.used[level];
            while digits != 0 {
                let digit = digits.trailing_zeros() as usize;
                digits &= digits - 1;
                let bucket = &mut self.buckets[level * 64 + digit];
                bucket.retain(|&k| keep(k));
                self.len += bucket.len();
                if bucket.is_empty() {
                    self.used[level] &= !(1 << digit);
                }
            }
            if self.used[level] == 0 {
                self.levels &= !(1 << level);
            }
        }
    }

    /// Forgets every key and the time, but keeps the memory.
    pub(super) fn clear(&mut self) {
        self.retain(|_| false);
        self.base = 0;
        self.run_end = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn keys_come_out_in_order(steps in prop::collection::vec((any::<bool>(), 0u32..44, any::<u32>()), 1..400)) {
            let (mut queue, mut model) = (Queue::new(), BTreeSet::new());
            let mut now = 0u64;
            for (i, (pop, width, draw)) in steps.into_iter().enumerate() {
                if pop {
                    let next = queue.pop();
                    prop_assert_eq!(next, model.pop_first());
                    now = next.map_or(now, time);
                } else {
                    let later = (u64::from(draw) << 12) & ((1 << width) - 1);
                    let k = key(now + later, draw % 3, i as u32);
                    queue.push(k);
                    model.insert(k);
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            queue.retain(|k| (k as u32).is_multiple_of(2));
            model.retain(|k| (*k as u32).is_multiple_of(2));
            while let Some(k) = model.pop_first() {
                prop_assert_eq!(queue.pop(), Some(k));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
