//! Takes out the time in which nothing happens.

use sim_core::decision::Kind;

use super::super::scenario::{Scenario, instant};
use super::super::search::Search;

/// Shifts below this are not worth a run, ns.
const LEAST: u64 = 1_000_000;

/// Moves whatever comes after a gap to its begin, gap by gap.
pub(in super::super) fn compress(search: &mut Search<'_>) {
    let mut gap = 0;
    loop {
        let mut instants: Vec<u64> =
            search.best.decisions.values().filter(|d| is_instant(d.kind)).map(instant).collect();
        instants.sort_unstable();
        instants.dedup();
        let Some(&from) = instants.get(gap) else { return };
        let before = gap.checked_sub(1).map_or(0, |i| instants[i]);
        let base = search.best.clone();
        let (mut done, mut most) = (0, from - before);
        if most >= LEAST && search.try_one(earlier(&base, from, most)) {
            done = most;
        }
        let step = (most / 64).max(LEAST);
        while done + step < most {
            let middle = done + (most - done) / 2;
            match search.try_one(earlier(&base, from, middle)) {
                true => done = middle,
                false => most = middle,
            }
        }
        gap += 1;
    }
}

fn is_instant(kind: Kind) -> bool {
    matches!(kind, Kind::At | Kind::FaultAt)
}

/// Everything from an instant on so much earlier; a fault not before its slot.
fn earlier(base: &Scenario, from: u64, by: u64) -> Scenario {
    let mut shifted = base.clone();
    for decision in shifted.decisions.values_mut().filter(|d| is_instant(d.kind) && instant(d) >= from) {
        decision.value = decision.value.saturating_sub(by);
    }
    shifted.decisions.retain(|_, decision| decision.value != 0);
    shifted
}
