//! Takes out the time in which nothing happens.

use std::collections::BTreeMap;

use sim_core::Deviation;
use sim_core::decision::{Kind, Name, part};

use super::super::scenario::{INSTANT, PARTS, Scenario, instant};
use super::super::search::Search;

/// Shifts below this are not worth a run, ns.
const LEAST: u64 = 1_000_000;

/// The slots of each plan of faults, by the instant at which they begin.
type Slots = BTreeMap<u64, BTreeMap<u64, Name>>;

/// Moves whatever comes after a gap to its begin, gap by gap.
pub(in super::super) fn compress(search: &mut Search<'_>) {
    let mut slots = Slots::new();
    if search.best.of_kind(Kind::Fault).next().is_some() {
        let Some(seen) = search.look(&search.best.clone()) else { return };
        for fault in seen.decisions.iter().filter(|d| d.kind == Kind::Fault) {
            slots.entry(fault.target).or_default().insert(fault.at, fault.name);
        }
    }
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
        if most >= LEAST && search.try_one(earlier(&base, &slots, from, most)) {
            done = most;
        }
        let step = (most / 64).max(LEAST);
        while done + step < most {
            let middle = done + (most - done) / 2;
            match search.try_one(earlier(&base, &slots, from, middle)) {
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

/// Everything from an instant on so much earlier.
fn earlier(base: &Scenario, slots: &Slots, from: u64, by: u64) -> Scenario {
    let mut shifted = base.clone();
    for decision in shifted.decisions.values_mut().filter(|d| d.kind == Kind::At && instant(d) >= from) {
        decision.value = decision.value.saturating_sub(by);
    }
    let faults = base.of_kind(Kind::Fault).map(|fault| (*fault, begin(base, fault)));
    let mut later: Vec<(Deviation, u64)> = faults.filter(|(_, at)| *at >= from).collect();
    // The first moves first, so that its slot is free for the next.
    later.sort_by_key(|(fault, at)| (*at, fault.name));
    for (fault, at) in later {
        move_fault(&mut shifted, slots, &fault, at.saturating_sub(by));
    }
    shifted.decisions.retain(|_, decision| decision.value != 0);
    shifted
}

/// When a fault begins: so long after the begin of its slot.
fn begin(scenario: &Scenario, fault: &Deviation) -> u64 {
    let after = scenario.decisions.get(&part(fault.name, INSTANT)).map_or(0, |d| d.value);
    fault.at.saturating_add(after)
}

/// Has a fault begin at an instant: in its slot, or else in a free one, whose name it takes.
fn move_fault(scenario: &mut Scenario, slots: &Slots, fault: &Deviation, at: u64) {
    let of_plan = slots.get(&fault.target);
    let free = |slot: &(&u64, &Name)| {
        *slot.1 == fault.name || scenario.decisions.get(slot.1).is_none_or(|d| d.kind != Kind::Fault)
    };
    let slot = of_plan.and_then(|slots| slots.range(..=at.min(fault.at)).rev().find(free));
    let (start, name) = slot.map_or((fault.at, fault.name), |(start, name)| (*start, *name));
    let parts: Vec<Name> = scenario.group(fault.name);
    let taken: Vec<Deviation> = parts.iter().filter_map(|part| scenario.decisions.remove(part)).collect();
    let numbers: BTreeMap<Name, u64> = (1..PARTS).map(|number| (part(fault.name, number), number)).collect();
    for decision in taken {
        let renamed = numbers.get(&decision.name).map_or(name, |number| part(name, *number));
        if decision.kind != Kind::FaultAt {
            let at = if decision.kind == Kind::Fault { start } else { decision.at };
            scenario.decisions.insert(renamed, Deviation { name: renamed, at, ..decision });
        }
    }
    let instant = part(name, INSTANT);
    let value = at.saturating_sub(start);
    scenario
        .decisions
        .insert(instant, Deviation { name: instant, kind: Kind::FaultAt, value, at: start, ..*fault });
}
