//! What becomes of one packet: it arrives at an instant, is lost, or is held. The only place that decides about
//! packets.

use super::topology::{Path, Topology, What};
use sim_core::decision::{Kind, Name};
use sim_core::hash::{below, h, mix};
use sim_core::kernel::Kernel;
use sim_core::trace::{About, Packet, PacketFate};
use sim_core::{Event, NodeId};

/// Latency within a machine, ns.
const LOOPBACK: u64 = 1_000;

/// What a packet weighs on the wire besides its payload: Ethernet, IPv4 and TCP headers, bytes.
pub(super) const HEADERS: usize = 66;

/// What each further fragment weighs besides its payload: Ethernet and IPv4 headers, bytes.
const FRAGMENT_HEADERS: u64 = 34;

/// The fate of a packet. Each carries the packet's name, which is the cause of whatever follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there at `at`, ns.
    Arrives { at: u64, name: Name },
    /// The sender does not learn of it.
    Lost { name: Name },
    /// It waits until the clog is released.
    Held { name: Name },
}

/// What becomes of a datagram, which may arrive twice and need not arrive as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub fate: Fate,
    /// When a second copy arrives, ns, and its name.
    pub copy: Option<(u64, Name)>,
    /// Which bits are flipped in a way that the checksum does not notice: see [`damage`]; 0 for none.
    pub damage: u64,
}

/// What a packet consists of: it decides what duplication and corruption do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    /// A segment of TCP, or an ICMP message: a copy changes nothing, and damage is always noticed.
    Segment,
    Datagram {
        v6: bool,
    },
}

impl From<Fate> for Delivery {
    #[inline]
    fn from(fate: Fate) -> Self {
        Delivery { fate, copy: None, damage: 0 }
    }
}

impl Delivery {
    #[cold]
    fn told(self, kind: Kind, from: NodeId, to: NodeId, bytes: usize) -> Event {
        let (name, fate, what) = match self.fate {
            Fate::Arrives { at, name } => (name, PacketFate::Arrives(at), format!("arrives at {at} ns")),
            Fate::Lost { name } => (name, PacketFate::Lost, "lost".into()),
            Fate::Held { name } => (name, PacketFate::Held, "held".into()),
        };
        let (ack, damaged, copy) = (kind == Kind::Ack, self.damage != 0, self.copy);
        let packet = Packet { name, from, to, bytes: bytes as u64, ack, fate, damaged, copy };
        Event::new("net.packet", format!("node {} to node {}, {bytes} bytes: {what}", from.0, to.0))
            .about(About::Packet(packet))
    }
}

/// The target of decisions about the link.
#[inline]
fn link_target(from: NodeId, to: NodeId) -> u64 {
    u64::from(from.0) << 32 | u64::from(to.0)
}

impl Topology {
    /// Sends a packet with `bytes` of payload now. `kind` is [`Kind::Packet`], or [`Kind::Ack`] for
    /// acknowledgements, so that reading less often does not rename the packets that carry data.
    #[inline]
    pub fn carry(&mut self, k: &mut Kernel, kind: Kind, from: NodeId, to: NodeId, bytes: usize) -> Fate {
        match self.try_carry(k, kind, from, to, bytes) {
            Ok((at, name)) => Fate::Arrives { at, name },
            Err(name) => {
                let fate = self.roughly(k, name, (from, to), bytes, Carries::Segment).fate;
                account(k, kind, fate.into(), from, to, bytes);
                fate
            }
        }
    }

    /// Sends a packet if the link only takes its time: the hot path of all that is sent, in registers. Says when it arrives.
    ///
    /// # Errors
    /// The packet's name, for [`Topology::carry_roughly`], on other links.
    #[inline]
    pub fn try_carry(
        &mut self,
        k: &mut Kernel,
        kind: Kind,
        from: NodeId,
        to: NodeId,
        bytes: usize,
    ) -> Result<(u64, Name), Name> {
        let name = k.name(kind, link_target(from, to));
        let at = self.smoothly(k, name, from, to).ok_or(name)?;
        account(k, kind, Fate::Arrives { at, name }.into(), from, to, bytes);
        Ok((at, name))
    }

    /// Sends a datagram named `name` on a link that does more than take its time.
    pub fn carry_roughly(
        &mut self,
        k: &mut Kernel,
        name: Name,
        (from, to): (NodeId, NodeId),
        bytes: usize,
        v6: bool,
    ) -> Delivery {
        let delivery = self.roughly(k, name, (from, to), bytes, Carries::Datagram { v6 });
        account(k, Kind::Packet, delivery, from, to, bytes);
        delivery
    }

    /// When a packet arrives on a link that only delays; `None` on others.
    #[inline]
    fn smoothly(&mut self, k: &mut Kernel, name: Name, from: NodeId, to: NodeId) -> Option<u64> {
        if self.plain && !self.base.rough && from != to {
            return Some(k.now().saturating_add(delay(k, &self.base, h(name, 2), link_target(from, to))));
        }
        self.smoothly_between(k, name, from, to)
    }

    fn smoothly_between(&mut self, k: &mut Kernel, name: Name, from: NodeId, to: NodeId) -> Option<u64> {
        if from == to {
            return Some(k.now().saturating_add(LOOPBACK));
        }
        let path = self.path(from, to);
        (!path.rough).then(|| k.now().saturating_add(delay(k, &path, h(name, 2), link_target(from, to))))
    }

    #[inline(never)]
    fn roughly(
        &mut self,
        k: &mut Kernel,
        name: Name,
        (from, to): (NodeId, NodeId),
        bytes: usize,
        carries: Carries,
    ) -> Delivery {
        let path = self.path(from, to);
        if path.cut {
            self.credit(k, from, to, What::Cut);
            return Fate::Lost { name }.into();
        }
        if path.held {
            self.credit(k, from, to, What::Held);
            return Fate::Held { name }.into();
        }
        let target = link_target(from, to);
        let pieces = match carries {
            Carries::Segment => 1,
            Carries::Datagram { v6 } => pieces(bytes, path.mtu, v6),
        };
        if path.loss_ppm > 0 {
            let ppm = any_of(pieces, path.loss_ppm);
            let lost = |draw| u64::from(hits(draw, ppm));
            if k.decide(h(name, 1), Kind::Loss, target, lost) != 0 {
                self.credit(k, from, to, What::Lost);
                return Fate::Lost { name }.into();
            }
        }
        let mut departure = k.now();
        if path.bandwidth > 0 {
            let weight = (bytes + HEADERS) as u64 + FRAGMENT_HEADERS * u64::from(pieces - 1);
            let busy = self.busy.entry((from, to)).or_insert(0);
            match queue_for(*busy, k.now(), path.bandwidth, path.queue, weight) {
                Some(end) => (*busy, departure) = (end, end),
                None => return Fate::Lost { name }.into(),
            }
        }
        let mut damage = 0;
        if path.corruption_ppm > 0 {
            let ppm = any_of(pieces, path.corruption_ppm);
            let corrupt = |draw| corruption(draw, ppm, path.undetected);
            damage = k.decide(h(name, 3), Kind::Corrupt, target, corrupt);
            if damage != 0 {
                self.mishaps.corrupted += 1;
                self.credit(k, from, to, What::Corrupted);
            }
            if damage == CAUGHT || damage != 0 && (carries == Carries::Segment || bytes == 0) {
                return Fate::Lost { name }.into();
            }
        }
        if path.reordering_ppm > 0 {
            let ppm = any_of(pieces, path.reordering_ppm);
            let late = |draw| if hits(draw, ppm) { 1 + below(mix(draw), path.reordering_by) } else { 0 };
            let late = k.decide(h(name, 4), Kind::Reorder, target, late);
            if late != 0 {
                self.mishaps.reordered += 1;
                self.credit(k, from, to, What::Reordered);
            }
            departure = departure.saturating_add(late);
        }
        if path.late {
            self.credit(k, from, to, What::Late);
        }
        let at = departure.saturating_add(delay(k, &path, h(name, 2), target));
        let mut copy = None;
        // A copy of one fragment among several is dropped where they are put together, RFC 5722.
        if path.duplication_ppm > 0 && pieces == 1 {
            let twice = |draw| u64::from(hits(draw, path.duplication_ppm));
            if k.decide(h(name, 5), Kind::Duplicate, target, twice) != 0 {
                self.mishaps.duplicated += 1;
                self.credit(k, from, to, What::Duplicated);
                let second = departure.saturating_add(delay(k, &path, h(name, 6), target));
                copy = Some((second, h(name, 7)));
            }
        }
        Delivery { fate: Fate::Arrives { at, name }, copy, damage }
    }
}

#[inline]
fn account(k: &mut Kernel, kind: Kind, delivery: Delivery, from: NodeId, to: NodeId, bytes: usize) {
    if kind == Kind::Packet {
        k.stats().packets += 1;
    }
    if let Fate::Lost { .. } = delivery.fate {
        k.stats().lost += 1;
    }
    k.record(move || delivery.told(kind, from, to, bytes));
}

#[inline(always)]
fn delay(k: &mut Kernel, path: &Path, name: Name, target: u64) -> u64 {
    let least = path.latency.least_nanos();
    if path.latency.is_constant() {
        return least;
    }
    // What a saved deviation says may be of another run, and as large as it likes.
    least.saturating_add(
        k.decide(name, Kind::Delay, target, |draw| if draw == 0 { 0 } else { path.latency.extra(draw) }),
    )
}

/// High draws are the ones that something happens to: 0 is boring.
fn hits(draw: u64, ppm: u32) -> bool {
    below(draw, 1_000_000) >= 1_000_000 - u64::from(ppm)
}

/// In how many fragments a datagram travels: each but the last has a multiple of eight bytes, RFC 791 and RFC 8200.
fn pieces(bytes: usize, mtu: u32, v6: bool) -> u32 {
    let (datagram, header, extension) = (bytes as u32 + 8, if v6 { 40 } else { 20 }, if v6 { 8 } else { 0 });
    if datagram + header <= mtu {
        return 1;
    }
    datagram.div_ceil((mtu - header - extension) / 8 * 8)
}

/// How often at least one of `n` packets is hit, in millionths, when each alone is with `ppm`.
fn any_of(n: u32, ppm: u32) -> u32 {
    if n == 1 {
        return ppm;
    }
    let spared = (0..n).fold(1u64 << 32, |share, _| share * u64::from(1_000_000 - ppm) / 1_000_000);
    1_000_000 - ((spared * 1_000_000) >> 32) as u32
}

/// The corruption that a checksum notices.
const CAUGHT: u64 = 1;

/// 0 for an intact packet, [`CAUGHT`], or the [`damage`] that goes unnoticed with a share of `undetected` / 2^32.
fn corruption(draw: u64, ppm: u32, undetected: u64) -> u64 {
    if !hits(draw, ppm) {
        return 0;
    }
    let value = mix(draw);
    if value & 0xffff_ffff < undetected { 2 + (mix(value) >> 1) } else { CAUGHT }
}

/// Flips between one and eight bits of `data`, which ones being up to `value`. What they do to the sum, another flip in
/// the checksum's own field makes up for.
///
/// # Panics
/// When there is no byte.
pub(crate) fn damage(data: &mut [u8], value: u64) {
    let bits = data.len() as u64 * 8;
    let flips = 1 + below(mix(value), 8).min(bits - 1);
    let first = below(mix(value ^ 1), bits);
    for i in 0..flips {
        // Neighbours, as in a burst: they are never the same bit twice.
        let bit = (first + i) % bits;
        data[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}

/// When the last bit of a packet leaves a link that is busy until `busy`; `None` when its queue is full.
fn queue_for(busy: u64, now: u64, bits_per_second: u64, queue: u64, bytes: u64) -> Option<u64> {
    let start = busy.max(now);
    let waiting = u128::from(start - now) * u128::from(bits_per_second) / 8_000_000_000;
    // A packet may always wait alone, or one larger than the queue would never pass.
    if waiting > 0 && waiting + u128::from(bytes) > u128::from(queue) {
        return None;
    }
    let wire = u128::from(bytes) * 8_000_000_000 / u128::from(bits_per_second);
    Some(start.saturating_add(wire.min(u128::from(u64::MAX)) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_as_often_as_asked_and_never_the_boring_answer() {
        assert!(!hits(0, 999_999) && hits(0, 1_000_000) && !hits(u64::MAX, 0));
        let lost = (0..100_000).filter(|&i| hits(mix(i), 10_000)).count();
        assert!((900..1100).contains(&lost), "{lost} of 100,000 at 1 %");
    }

    #[test]
    fn a_datagram_is_cut_into_fragments_where_the_frame_ends() {
        assert_eq!((pieces(0, 1500, false), pieces(1472, 1500, false), pieces(1473, 1500, false)), (1, 1, 2));
        // 1480 bytes of 65,515 in each, RFC 791; 1448 of 65,535 behind the extension header, RFC 8200.
        assert_eq!((pieces(65_507, 1500, false), pieces(65_527, 1500, true)), (45, 46));
        assert_eq!((pieces(1452, 1500, true), pieces(1453, 1500, true)), (1, 2));
    }

    #[test]
    fn every_fragment_has_to_get_through() {
        assert_eq!((any_of(1, 10_000), any_of(45, 0), any_of(45, 1_000_000)), (10_000, 0, 1_000_000));
        // 1 - 0.99^45.
        assert!(any_of(45, 10_000).abs_diff(363_815) < 3, "{}", any_of(45, 10_000));
    }

    #[test]
    fn corruption_is_unnoticed_as_often_as_asked() {
        let all: Vec<_> = (0..100_000).map(|i| corruption(mix(i), 100_000, 1 << 31)).collect();
        let (hit, unnoticed) =
            (all.iter().filter(|&&v| v != 0).count(), all.iter().filter(|&&v| v > 1).count());
        assert!((9_700..10_300).contains(&hit) && (4_800..5_200).contains(&unnoticed), "{hit} {unnoticed}");
        assert_eq!(corruption(0, 999_999, 1 << 32), 0);
    }

    #[test]
    fn damage_flips_one_to_eight_bits() {
        for (i, len) in (0..1000).flat_map(|i| [(i, 1), (i, 2), (i, 1472)]) {
            let mut data = vec![0; len];
            damage(&mut data, mix(i));
            let flipped: u32 = data.iter().map(|b| b.count_ones()).sum();
            assert!((1..=8).contains(&flipped), "{flipped}");
        }
    }

    #[test]
    fn bandwidth_spaces_packets_and_its_queue_is_bounded() {
        // 8 Mbit/s: a microsecond a byte.
        let mut busy = 0;
        for i in 1..=10 {
            busy = queue_for(busy, 0, 8_000_000, 10_000, 1_000).unwrap();
            assert_eq!(busy, i * 1_000_000);
        }
        assert_eq!(queue_for(busy, 0, 8_000_000, 10_000, 1_000), None);
        assert_eq!(
            queue_for(busy, 1_000_000, 8_000_000, 10_000, 1_000),
            Some(11_000_000),
            "it drains with time"
        );
        assert_eq!(queue_for(0, 5, 8_000_000, 10, 1_000), Some(1_000_005), "a large packet passes alone");
    }
}
