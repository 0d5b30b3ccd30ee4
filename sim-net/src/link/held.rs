//! The packets that wait in a clog, in the order in which they came.
//!
//! What nobody waits for any more, since its socket is gone, takes no room and is not sent at the release. It is
//! looked for when the queue would overflow or has doubled, so that a packet costs the same however many wait.

use super::carry::HEADERS;
use sim_core::decision::Kind;
use sim_core::slab::Key;

/// How many packets wait before it is worth looking for those whose sockets are gone.
const FEW: usize = 32;

/// A packet that waits, as the event that it becomes.
pub(crate) struct Held {
    pub tag: u8,
    pub key: Key,
    pub kind: Kind,
    /// Payload; `None` for a stream that is to be told of the release, which takes no room.
    pub bytes: Option<usize>,
}

impl Held {
    fn weight(&self) -> u64 {
        self.bytes.map_or(0, |bytes| (bytes + HEADERS) as u64)
    }
}

/// The queue of one direction.
#[derive(Default)]
pub(crate) struct HeldQueue {
    packets: Vec<Held>,
    /// The weight of all of them, bytes.
    weight: u64,
    /// How many sockets had ended when the queue was last looked through.
    ended: u64,
    /// How many packets make it worth to look through it again.
    many: usize,
}

impl HeldQueue {
    /// Adds a packet, unless the queue would weigh more than `limit` with it, bytes. `ended` counts the sockets that
    /// ended so far, and `wanted` says of a packet whether its socket is there.
    #[must_use]
    pub fn push(&mut self, held: Held, limit: u64, ended: u64, wanted: impl Fn(&Held) -> bool) -> bool {
        let full = |queue: &Self| queue.weight + held.weight() > limit && held.bytes.is_some();
        if (full(self) || self.packets.len() >= self.many.max(FEW)) && self.ended != ended {
            self.packets.retain(wanted);
            self.weight = self.packets.iter().map(Held::weight).sum();
            self.ended = ended;
            self.many = self.packets.len() * 2;
        }
        if full(self) {
            return false;
        }
        self.weight += held.weight();
        self.packets.push(held);
        true
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    pub fn into_packets(self) -> Vec<Held> {
        self.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn packet(slot: u32, bytes: usize) -> Held {
        Held { tag: 0, key: Key::new(slot, 1), kind: Kind::Packet, bytes: Some(bytes) }
    }

    #[test]
    fn empty_packets_take_room_too() {
        let mut queue = HeldQueue::default();
        let fits = (0..1000).filter(|&i| queue.push(packet(i, 0), 10_000, 0, |_| true)).count();
        assert_eq!(fits, 10_000 / HEADERS);
        let told = Held { bytes: None, ..packet(0, 0) };
        assert!(queue.push(told, 10_000, 0, |_| true), "who is to be told of the release always may wait");
    }

    #[test]
    fn what_nobody_waits_for_makes_room() {
        let mut queue = HeldQueue::default();
        for i in 0..1000 {
            // Each ends before the next comes.
            assert!(queue.push(packet(i, 1000), 10_000, u64::from(i), |h| h.key.slot() == i));
        }
        assert!(queue.len() <= 10);
    }

    #[test]
    fn packets_without_weight_that_nobody_waits_for_do_not_collect() {
        let mut queue = HeldQueue::default();
        for i in 0..1000 {
            let told = Held { bytes: None, ..packet(i, 0) };
            assert!(queue.push(told, 0, u64::from(i), |h| h.key.slot() == i));
        }
        assert!(queue.len() <= FEW + 1, "{}", queue.len());
    }

    #[test]
    fn a_packet_costs_the_same_however_many_wait() {
        let (mut queue, looked) = (HeldQueue::default(), Cell::new(0));
        for i in 0..100_000 {
            let wanted = |_: &Held| {
                looked.set(looked.get() + 1);
                true
            };
            let _ = queue.push(packet(i, 0), u64::MAX, u64::from(i), wanted);
        }
        assert!(looked.get() < 300_000, "{} looks", looked.get());
    }
}
