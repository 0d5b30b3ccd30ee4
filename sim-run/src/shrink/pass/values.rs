//! Smaller and rounder values.

use sim_core::Deviation;
use sim_core::decision::{Kind, Name};

use super::super::search::Search;

/// Round lengths of time, ns.
const ROUND: [u64; 6] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 1_000];

/// The steps by which the value of a strategy was made simpler.
const STEPS: u64 = (1 << 16) - 1;

/// Bisects values down to a sixteenth, then rounds them.
pub(in super::super) fn values(search: &mut Search<'_>) {
    let all: Vec<Deviation> = search.best.decisions.values().copied().collect();
    for Deviation { name, kind, .. } in all {
        let Some(&now) = search.best.decisions.get(&name) else { continue };
        match kind {
            Kind::Op | Kind::Fault | Kind::Loss | Kind::Pick => {}
            Kind::At | Kind::FaultAt => round(search, now),
            Kind::Strategy => simplify(search, name),
            Kind::Wake => {
                let simple = [1, 2, 3].into_iter().filter(|value| *value < now.value);
                let tries: Vec<_> =
                    simple.map(|value| search.best.with(Deviation { value, ..now })).collect();
                search.first(tries);
            }
            _ => {
                bisect(search, now);
                if let Some(&now) = search.best.decisions.get(&name) {
                    round(search, now);
                }
            }
        }
    }
}

/// What a strategy has drawn is made simpler step by step, as its value says in its lower 16 bits.
fn simplify(search: &mut Search<'_>, name: Name) {
    let mut step = 1;
    while let Some(&now) = search.best.decisions.get(&name) {
        let taken = now.value & STEPS;
        let simpler = Deviation { value: now.value + step, ..now };
        match taken + step <= STEPS && search.try_one(search.best.with(simpler)) {
            true => step *= 2,
            false if step == 1 => return,
            false => step = 1,
        }
    }
}

fn bisect(search: &mut Search<'_>, now: Deviation) {
    let (mut low, mut high) = (0, now.value);
    let step = (now.value / 16).max(1);
    while high - low > step && search.best.decisions.contains_key(&now.name) {
        let middle = low + (high - low) / 2;
        match search.try_one(search.best.with(Deviation { value: middle, ..now })) {
            true => high = middle,
            false => low = middle,
        }
    }
}

/// The roundest value that is not much larger. Numbers that are no times are small and stay.
fn round(search: &mut Search<'_>, now: Deviation) {
    let up = ROUND.iter().take_while(|round| !now.value.is_multiple_of(**round));
    let up = up.map(|round| now.value.div_ceil(*round) * round);
    let near: Vec<_> = up
        .filter(|up| now.value > ROUND[5] && *up - now.value <= now.value / 8)
        .map(|value| search.best.with(Deviation { value, ..now }))
        .collect();
    search.first(near);
}
