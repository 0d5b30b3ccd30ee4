//! What becomes of one packet: it arrives at an instant, is lost, or is held. The only place that decides about
//! packets.

use super::topology::{Path, Topology};
use sim_core::decision::{Kind, Name};
use sim_core::hash::{below, h};
use sim_core::kernel::Kernel;
use sim_core::{Event, NodeId};

/// Latency within a machine, ns.
const LOOPBACK: u64 = 1_000;

/// What a packet weighs on the wire besides its payload: Ethernet, IPv4 and TCP headers, bytes.
pub(super) const HEADERS: usize = 66;

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

impl Fate {
    #[cold]
    fn told(self, from: NodeId, to: NodeId, bytes: usize) -> Event {
        let what = match self {
            Fate::Arrives { at, .. } => format!("arrives at {at} ns"),
            Fate::Lost { .. } => "lost".into(),
            Fate::Held { .. } => "held".into(),
        };
        Event::new("net.packet", format!("node {} to node {}, {bytes} bytes: {what}", from.0, to.0))
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
        let fate = self.decide(k, kind, from, to, bytes);
        if kind == Kind::Packet {
            k.stats().packets += 1;
        }
        if let Fate::Lost { .. } = fate {
            k.stats().lost += 1;
        }
        k.record(|| fate.told(from, to, bytes));
        fate
    }

    #[inline]
    fn decide(&mut self, k: &mut Kernel, kind: Kind, from: NodeId, to: NodeId, bytes: usize) -> Fate {
        let target = link_target(from, to);
        let name = k.name(kind, target);
        if from == to {
            return Fate::Arrives { at: k.now() + LOOPBACK, name };
        }
        if self.plain && !self.base.rough {
            return Fate::Arrives { at: k.now() + delay(k, &self.base, name, target), name };
        }
        let path = self.path(from, to);
        self.carry_specially(k, path, name, from, to, bytes)
    }

    fn carry_specially(
        &mut self,
        k: &mut Kernel,
        path: Path,
        name: Name,
        from: NodeId,
        to: NodeId,
        bytes: usize,
    ) -> Fate {
        if !path.rough {
            return Fate::Arrives { at: k.now() + delay(k, &path, name, link_target(from, to)), name };
        }
        if path.cut {
            return Fate::Lost { name };
        }
        if path.held {
            return Fate::Held { name };
        }
        let target = link_target(from, to);
        if path.loss_ppm > 0 {
            let lost = |draw| u64::from(loses(draw, path.loss_ppm));
            if k.decide(h(name, 1), Kind::Loss, target, lost) != 0 {
                return Fate::Lost { name };
            }
        }
        let mut departure = k.now();
        if path.bandwidth > 0 {
            let busy = self.busy.entry((from, to)).or_insert(0);
            match queue_for(*busy, k.now(), path.bandwidth, path.queue, (bytes + HEADERS) as u64) {
                Some(end) => (*busy, departure) = (end, end),
                None => return Fate::Lost { name },
            }
        }
        Fate::Arrives { at: departure + delay(k, &path, name, target), name }
    }
}

#[inline]
fn delay(k: &mut Kernel, path: &Path, name: Name, target: u64) -> u64 {
    let least = path.latency.least_nanos();
    if path.latency.is_constant() {
        return least;
    }
    least
        + k.decide(
            h(name, 2),
            Kind::Delay,
            target,
            |draw| if draw == 0 { 0 } else { path.latency.extra(draw) },
        )
}

/// High draws are the lost ones: 0 is boring.
fn loses(draw: u64, ppm: u32) -> bool {
    below(draw, 1_000_000) >= 1_000_000 - u64::from(ppm)
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
    use sim_core::hash::mix;

    #[test]
    fn loss_is_as_often_as_asked_and_never_the_boring_answer() {
        assert!(!loses(0, 999_999) && loses(0, 1_000_000) && !loses(u64::MAX, 0));
        let lost = (0..100_000).filter(|&i| loses(mix(i), 10_000)).count();
        assert!((900..1100).contains(&lost), "{lost} of 100,000 at 1 %");
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
