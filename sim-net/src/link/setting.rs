//! The parameters of links, as tests set them.

use super::latency::{LONGEST, Latency};
use super::topology::{Parameters, Scope, What};
use crate::network::{Net, op};
use sim_core::fault::{Parameter, Value};
use sim_core::kernel::Kernel;
use std::time::Duration;

/// One direction, or both, whose parameters are being set. Each setting holds from now on, for packets sent from now
/// on.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    scope: Scope,
    set: Parameters,
    both: bool,
}

/// Bits a second. 0 is refused by [`Link::bandwidth`]; without a limit is [`Link::unlimited`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bandwidth(pub u64);

impl Bandwidth {
    /// Thousand bits a second; what does not fit into 64 bits is the most that does.
    pub const fn kbit(n: u64) -> Self {
        Bandwidth(n.saturating_mul(1_000))
    }

    /// Million bits a second; what does not fit into 64 bits is the most that does.
    pub const fn mbit(n: u64) -> Self {
        Bandwidth(n.saturating_mul(1_000_000))
    }

    /// Thousand million bits a second; what does not fit into 64 bits is the most that does.
    pub const fn gbit(n: u64) -> Self {
        Bandwidth(n.saturating_mul(1_000_000_000))
    }
}

impl Link {
    pub(super) fn new(scope: Scope) -> Self {
        Link { scope, set: Parameters::default(), both: false }
    }

    #[track_caller]
    fn set(mut self, change: Parameters) -> Self {
        self.set.merge(&change);
        op(|net, k| {
            net.change(k, self.scope, &change);
            if self.both {
                net.change(k, self.scope.reverse(), &change);
            }
        });
        self
    }

    /// How long packets take: a duration, a range of them (uniform), or a [`Latency`].
    ///
    /// # Panics
    /// For an empty range, or a latency over 90 days.
    #[track_caller]
    pub fn latency(self, latency: impl Into<Latency>) -> Self {
        let latency = Some(latency.into());
        self.set(Parameters { latency, ..Parameters::default() })
    }

    /// The share of packets that is lost, 0 to 1, kept in millionths. TCP sends them again; datagrams are gone.
    ///
    /// # Panics
    /// For a share outside of 0 to 1.
    #[track_caller]
    pub fn loss(self, share: f64) -> Self {
        let loss_ppm = Some(millionths("a loss", share));
        self.set(Parameters { loss_ppm, ..Parameters::default() })
    }

    /// The share of packets that arrive twice, 0 to 1, kept in millionths. The copy has a latency of its own, so that it
    /// may come first; it takes no bandwidth. Datagrams that travel in fragments arrive once at most. TCP drops what it
    /// has already: there is a packet more, and nothing else.
    ///
    /// # Panics
    /// For a share outside of 0 to 1.
    #[track_caller]
    pub fn duplication(self, share: f64) -> Self {
        let duplication_ppm = Some(millionths("a duplication", share));
        self.set(Parameters { duplication_ppm, ..Parameters::default() })
    }

    /// The share of packets that are kept back, 0 to 1, kept in millionths, and by how much at most: such a packet takes
    /// up to `late` longer than its latency, each time equally often, so that later ones overtake it. In a stream of TCP
    /// what comes behind waits for it.
    ///
    /// A latency that varies reorders packets too, when they are sent in close succession.
    ///
    /// # Panics
    /// For a share outside of 0 to 1, and for a `late` of nothing or of over 90 days.
    #[track_caller]
    pub fn reordering(self, share: f64, late: Duration) -> Self {
        assert!(
            late > Duration::ZERO && late <= LONGEST,
            "a reordering by {late:?}: packets are late by more than nothing and at most {LONGEST:?}"
        );
        let reordering = Some((millionths("a reordering", share), late.as_nanos() as u64));
        self.set(Parameters { reordering, ..Parameters::default() })
    }

    /// The share of packets that are damaged on their way, 0 to 1, kept in millionths: between one and eight
    /// neighbouring bits flip. The checksum of TCP notices it, and so does nearly always that of UDP: the packet is
    /// dropped, as if it was lost. See [`Link::undetected`] for those that get through.
    ///
    /// # Panics
    /// For a share outside of 0 to 1.
    #[track_caller]
    pub fn corruption(self, share: f64) -> Self {
        let corruption_ppm = Some(millionths("a corruption", share));
        self.set(Parameters { corruption_ppm, ..Parameters::default() })
    }

    /// The share of damaged datagrams that the checksum of UDP does not notice, 0 to 1: they arrive changed. A sum of 16
    /// bits (RFC 768, RFC 1071) misses one random damage of 65,536, which is what holds unless this is set; networks that
    /// compute checksums anew behind a broken memory reach 1.0. An empty datagram has nothing to change and is dropped.
    ///
    /// The checksum of TCP is taken to notice everything.
    ///
    /// # Panics
    /// For a share outside of 0 to 1.
    #[track_caller]
    pub fn undetected(self, share: f64) -> Self {
        check_share("an undetected corruption", share);
        let undetected = Some((share * (1u64 << 32) as f64) as u64);
        self.set(Parameters { undetected, ..Parameters::default() })
    }

    /// The largest packet, its IP header included, bytes; 1,500 unless set. A larger datagram travels in fragments, and
    /// is lost, damaged or late when one of them is; with [`crate::UdpSocket::set_dont_fragment`] it is `EMSGSIZE`. Of
    /// TCP a write is one packet, as with segmentation offload.
    ///
    /// # Panics
    /// Outside of 68 (RFC 791) to 65,535.
    #[track_caller]
    pub fn mtu(self, bytes: u32) -> Self {
        assert!((68..=65_535).contains(&bytes), "an MTU of {bytes}: allowed is 68 to 65535 bytes");
        self.set(Parameters { mtu: Some(bytes), ..Parameters::default() })
    }

    /// Takes over what `fixture` sets: one of [`crate::fixtures`], or a function of yours.
    ///
    /// ```
    /// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
    /// use sim_net::{NetExt, fixtures};
    /// (sim.node("ship"), sim.node("shore"));
    /// sim.link("ship", "shore").like(fixtures::satellite).both();
    /// # }).result.unwrap();
    /// ```
    #[track_caller]
    pub fn like(self, fixture: impl FnOnce(Link) -> Link) -> Self {
        fixture(self)
    }

    /// How many bits pass in a second; packets wait for their turn in a queue, see [`Link::queue`].
    ///
    /// # Panics
    /// For 0: that is a partition.
    #[track_caller]
    pub fn bandwidth(self, bandwidth: Bandwidth) -> Self {
        assert!(bandwidth.0 > 0, "a bandwidth of 0: use sim.partition(..) or sim.clog(..) to stop a link");
        self.set(Parameters { bandwidth: Some(bandwidth.0), ..Parameters::default() })
    }

    /// No limit to the bandwidth.
    #[track_caller]
    pub fn unlimited(self) -> Self {
        self.set(Parameters { bandwidth: Some(0), ..Parameters::default() })
    }

    /// How many bytes wait at most for a link of limited bandwidth, or for one that is clogged; what comes on top is
    /// lost. Each packet counts with its headers, 66 bytes. 256 KiB unless set.
    #[track_caller]
    pub fn queue(self, bytes: u64) -> Self {
        self.set(Parameters { queue: Some(bytes), ..Parameters::default() })
    }

    /// The same, with what was set before in this chain and what will be, for the opposite direction too.
    #[track_caller]
    pub fn both(mut self) -> Self {
        self.both = true;
        op(|net, k| net.change(k, self.scope.reverse(), &self.set));
        self
    }
}

impl Net {
    /// Sets parameters of one direction. What only hurts, such as a loss, is a fault until it is set back to nothing; a
    /// latency is one while it is another than at the start of the run.
    fn change(&mut self, k: &mut Kernel, scope: Scope, change: &Parameters) {
        let latency = change.latency.filter(|_| k.now() > 0);
        let latency = latency.map(|latency| (latency, latency != self.topology.calm_latency(scope)));
        self.topology.set(scope, change);
        let share = |ppm: Option<u32>| ppm.map(|ppm| (Value::Share(ppm), ppm > 0));
        let latency = latency.map(|(latency, other)| (Value::Nanos(latency.least_nanos() as i64), other));
        let hurts = [
            ("loss", "loss", What::Lost, share(change.loss_ppm)),
            ("duplication", "duplication", What::Duplicated, share(change.duplication_ppm)),
            ("reordering", "reordering", What::Reordered, share(change.reordering.map(|r| r.0))),
            ("corruption", "corruption", What::Corrupted, share(change.corruption_ppm)),
            ("latency", "least latency", What::Late, latency),
        ];
        for (family, parameter, what, set) in hurts {
            let Some((value, on)) = set else { continue };
            let begins = on.then(|| {
                let k = &mut *k;
                let target = self.topology.told(k, scope);
                k.fault_begins(family, move |_| target.with(Parameter::new(parameter, value)))
            });
            if let Some(ended) = self.topology.stand(scope, what, begins) {
                k.fault_ends(ended);
            }
        }
    }
}

#[track_caller]
fn check_share(what: &str, share: f64) {
    assert!(
        (0.0..=1.0).contains(&share),
        "{what} of {share}: it is the share of packets that it happens to, 0.0 to 1.0 (1 % is 0.01)"
    );
}

#[track_caller]
fn millionths(what: &str, share: f64) -> u32 {
    check_share(what, share);
    // Rounded by hand: `f64::round` is of the platform.
    (share * 1_000_000.0 + 0.5) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_beyond_64_bits_is_the_most_that_fits() {
        assert_eq!((Bandwidth::kbit(8), Bandwidth::mbit(8)), (Bandwidth(8_000), Bandwidth(8_000_000)));
        for most in [Bandwidth::kbit(u64::MAX), Bandwidth::mbit(u64::MAX), Bandwidth::gbit(u64::MAX)] {
            assert_eq!(most, Bandwidth(u64::MAX));
        }
    }
}
