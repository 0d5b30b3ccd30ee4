//! What cannot simply go may go when others grow: larger arguments, longer faults, another operation at its instant,
//! other application randomness.

use sim_core::Deviation;
use sim_core::decision::{Kind, Name, part};
use sim_core::hash::{below, h};

use super::super::scenario::{INSTANT, Scenario};
use super::super::search::{Purse, Search};
use super::repair::repaired;

/// Of more than this the latest are exchanged, and more than that not in pairs.
const MOST: usize = 8;
const MOST_IN_PAIRS: usize = 5;
/// Draws of all arguments, and of application randomness.
const DRAWS: u64 = 3;
const OTHERS: u64 = 6;
/// A length of nothing grows to this, ns.
const SHORTEST: u64 = 20_000_000;

/// Takes operations and faults out, alone and in pairs, while others make up for them.
pub(in super::super) fn exchange(search: &mut Search<'_>) {
    for kind in [Kind::Op, Kind::Fault] {
        let mut all = search.best.latest_first(|of| of == kind);
        // The first that goes may have made all others large enough: pruning is cheaper then.
        all.truncate(MOST);
        let mut sets: Vec<Vec<Name>> = all.iter().map(|name| vec![*name]).collect();
        if all.len() <= MOST_IN_PAIRS {
            for (i, one) in all.iter().enumerate() {
                sets.extend(all[i + 1..].iter().map(|other| vec![*one, *other]));
            }
        }
        for set in sets {
            if set.iter().all(|name| search.best.decisions.contains_key(name)) {
                without(search, kind, &set);
            }
        }
    }
}

fn without(search: &mut Search<'_>, kind: Kind, set: &[Name]) {
    let base = search.best.without(set.iter().copied());
    if repaired(search, &base) {
        return;
    }
    let mut tries = Vec::new();
    if kind == Kind::Op {
        tries.extend(larger_arguments(search, &base));
        tries.extend(at_the_instant(&search.best, &base, set[0]));
    }
    if base.of_kind(Kind::Fault).next().is_some() {
        tries.extend([2, 4, 16].map(|factor| longer_faults(&base, factor)));
    }
    if search.first(tries).is_none() {
        let seeds = (1..=OTHERS).map(|other| h(base.seed, 0x5eed + other));
        let others = seeds.map(|seed| Scenario { seed, ..base.clone() });
        search.pass(Purse::Randomness, "other application randomness", |search| {
            search.first(others);
        });
    }
}

/// All arguments of a number at the highest that it had, one number after another; then all arguments drawn anew.
fn larger_arguments(search: &mut Search<'_>, base: &Scenario) -> Vec<Scenario> {
    let Some(seen) = search.look(base) else { return Vec::new() };
    let operations: Vec<Name> = base.of_kind(Kind::Op).map(|d| d.name).collect();
    let number_of = |name: Name| {
        let numbers = search.highest.keys().copied();
        numbers.clone().find(|number| operations.iter().any(|operation| part(*operation, *number) == name))
    };
    let asked: Vec<(Deviation, u64, u64)> = seen
        .decisions
        .iter()
        .filter(|d| d.kind == Kind::Arg)
        .filter_map(|d| number_of(d.name).map(|number| (*d, number, search.highest[&number])))
        .collect();
    let mut numbers: Vec<u64> = asked.iter().map(|(_, number, _)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let changed = |value: &dyn Fn(&Deviation, u64, u64) -> Option<u64>| {
        let values = asked.iter().filter_map(|(d, number, most)| value(d, *number, *most).map(|v| (d, v)));
        values.fold(base.clone(), |scenario, (d, value)| scenario.with(Deviation { value, ..*d }))
    };
    let mut tries: Vec<Scenario> = Vec::new();
    for chosen in numbers {
        tries.push(changed(&|_, number, most| (number == chosen).then_some(most)));
    }
    for draw in 0..DRAWS {
        tries.push(changed(&|d, _, most| Some(below(h(h(base.seed, draw), d.name), most + 1))));
    }
    tries
}

/// Another operation at the instant of the one that goes.
fn at_the_instant(best: &Scenario, base: &Scenario, gone: Name) -> Vec<Scenario> {
    let Some(instant) = best.decisions.get(&part(gone, INSTANT)) else { return Vec::new() };
    let others = base.of_kind(Kind::At).filter(|d| d.value != instant.value).take(4);
    others.map(|d| base.with(Deviation { value: instant.value, ..*d })).collect()
}

fn longer_faults(base: &Scenario, factor: u64) -> Scenario {
    let lengths = base.of_kind(Kind::FaultLen).copied();
    lengths.fold(base.clone(), |scenario, d| {
        scenario.with(Deviation { value: d.value.saturating_mul(factor).max(SHORTEST), ..d })
    })
}
