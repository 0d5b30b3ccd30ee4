//! A fault that waits for a moment of danger moves with whatever brings that moment about. It gets the instant that it
//! had instead.

use sim_core::Deviation;
use sim_core::decision::{Kind, Name, part, root};

use super::super::scenario::{INSTANT, Scenario, WINDOW};
use super::super::search::Search;

/// Numbers of plans and slots that are looked for.
const PLANS: u64 = 4;
const SLOTS: u64 = 4096;
/// Nodes that a fault may be about, at most.
const NODES: u64 = 12;
/// The particular that is the node.
const NODE: u64 = 3;

/// The number of the slot that a fault is named by.
pub(in super::super) fn slot_of(fault: Name) -> Option<u64> {
    (0..PLANS).find_map(|plan| (0..SLOTS).find(|slot| root(Kind::Fault, plan, *slot) == fault))
}

/// Puts faults that wait at the instants at which they went off.
pub(in super::super) fn pin(search: &mut Search<'_>) {
    let waiting: Vec<Deviation> = search
        .best
        .of_kind(Kind::Fault)
        .filter(|fault| search.best.decisions.contains_key(&part(fault.name, WINDOW)))
        .copied()
        .collect();
    if waiting.is_empty() {
        return;
    }
    let Some(seen) = search.look(&search.best.clone()) else { return };
    for fault in waiting {
        let Some(slot) = slot_of(fault.name) else { continue };
        let Some(happened) = seen.faults.iter().find(|f| f.slot == Some(slot) && f.happened()) else {
            continue;
        };
        let start = happened.start.as_nanos() as u64;
        let instant = Deviation {
            name: part(fault.name, INSTANT),
            kind: Kind::FaultAt,
            value: start.saturating_sub(fault.at),
            ..fault
        };
        let pinned = search.best.without([part(fault.name, WINDOW)]).with(instant);
        let node = |value| Deviation { name: part(fault.name, NODE), kind: Kind::FaultArg, value, ..fault };
        let named: Vec<Scenario> = (0..NODES).map(|value| pinned.with(node(value))).collect();
        search.first(std::iter::once(pinned.clone()).chain(named));
    }
}
