//! The fault log, the nemesis, and the families of faults that this crate has: each shows, and off it does not.

mod disks;
mod processes;

use std::collections::BTreeSet;
use std::time::Duration;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Those that need sockets to show: `sim-net/tests/net/limits.rs`.
const SHOWN_BY_THE_NETWORK: [&str; 3] = ["open-files", "connections", "memory"];

/// A new family fails this until a table says how it shows.
#[test]
fn every_family_has_a_test_that_it_shows() {
    let shown: BTreeSet<&str> = (processes::SHOWN.iter().map(|(family, _)| *family))
        .chain(disks::SHOWN.iter().map(|(family, _)| *family))
        .chain(SHOWN_BY_THE_NETWORK)
        .collect();
    assert_eq!(shown, BTreeSet::from_iter(sim_core::fault::families()));
}
