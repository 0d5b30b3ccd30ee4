//! Links with published numbers, for [`Link::like`], and three regions at their published distances.
//!
//! | fixture | one way | loss | bits a second | source |
//! | --- | --- | --- | --- | --- |
//! | [`lan`] | 100 µs and an exponential extra of 150 µs | none | 10 G | J. Dean, "Designs, Lessons and Advice from Building Large Distributed Systems", LADIS 2009: half a millisecond a round trip |
//! | [`mobile_down`], [`mobile_up`] | 75 ms and an exponential extra of 10 ms | 0.5 % | 1.6 M, 0.75 M | Lighthouse, `docs/throttling.md`: "Slow 4G", 150 ms a round trip; loss: Loadero, "Network conditions", 3.5G |
//! | [`satellite`] | 279 ms and an exponential extra of 5 ms | 0.01 % | 10 M | RFC 2488, section 2: 279.0 ms at the edge of the view of a geostationary satellite; bandwidth and loss are ours |
//! | [`regions`] | half the round trip, and a log-normal extra of 2 % of it | none | no limit | "Latency Between AWS Global Regions", averages of 2016, as tabled in <https://acomputerscientistlearnsaws.blogspot.com/2017/04/aws-regions.html> |
//!
//! The spread is ours where the source has a mean only; that of `regions` comes on top of the average.

use super::control::NetExt;
use super::latency::Latency;
use super::names::IntoNames;
use super::setting::{Bandwidth, Link};
use sim_core::Sim;
use std::time::Duration;

const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// One direction within a data centre.
#[track_caller]
pub fn lan(link: Link) -> Link {
    link.latency(Latency::exponential(us(100), us(150))).bandwidth(Bandwidth::gbit(10))
}

/// To a phone, on a slow and lossy cell.
#[track_caller]
pub fn mobile_down(link: Link) -> Link {
    mobile(link).bandwidth(Bandwidth::kbit(1_600))
}

/// From a phone, on a slow and lossy cell.
#[track_caller]
pub fn mobile_up(link: Link) -> Link {
    mobile(link).bandwidth(Bandwidth::kbit(750))
}

#[track_caller]
fn mobile(link: Link) -> Link {
    link.latency(Latency::exponential(us(75_000), us(10_000))).loss(0.005)
}

/// One direction over a geostationary satellite.
#[track_caller]
pub fn satellite(link: Link) -> Link {
    link.latency(Latency::exponential(us(279_000), us(5_000))).loss(0.0001).bandwidth(Bandwidth::mbit(10))
}

/// The round trips between the three zones of [`regions`], µs.
const ROUND_TRIPS: [[u64; 3]; 3] = [[0, 80_500, 145_300], [80_500, 0, 212_400], [145_300, 212_400, 0]];

/// Puts nodes into the zones "virginia", "ireland" and "tokyo", with links as between those regions and [`lan`] within
/// each.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use sim_net::{NetExt, fixtures};
/// for node in ["a", "b", "c"] {
///     sim.node(node);
/// }
/// fixtures::regions(sim, ["a"], ["b"], ["c"]);
/// sim.between("tokyo", "ireland").loss(0.01);
/// # }).result.unwrap();
/// ```
///
/// # Panics
/// For a node that is not declared.
#[track_caller]
pub fn regions(sim: Sim, virginia: impl IntoNames, ireland: impl IntoNames, tokyo: impl IntoNames) {
    const ZONES: [&str; 3] = ["virginia", "ireland", "tokyo"];
    sim.zone(ZONES[0], virginia);
    sim.zone(ZONES[1], ireland);
    sim.zone(ZONES[2], tokyo);
    let wan = |round_trip: u64| Latency::log_normal(us(round_trip / 2), us(round_trip / 100), 0.5);
    sim.latency_matrix(ZONES, &ROUND_TRIPS.map(|row| row.map(wan)));
    for zone in ZONES {
        sim.between(zone, zone).like(lan);
    }
}
