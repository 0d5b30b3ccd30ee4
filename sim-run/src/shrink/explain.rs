//! What of a shrunk run is needed, and what of it could be anything.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::Deviation;
use sim_core::decision::{Kind, Name};
use sim_core::hash::{below, h};

use super::scenario::{INSTANT, Scenario};
use super::search::Search;

/// Other values that are tried for each particular.
const TRIED: u64 = 4;

/// What is known of the survivors.
#[derive(Clone, Debug, Default)]
pub(super) struct Explained {
    /// Without them the run does not fail.
    pub(super) needed: BTreeSet<Name>,
    /// Particulars whose value does not matter, by their operation or fault.
    pub(super) any: BTreeMap<Name, Vec<&'static str>>,
}

/// Takes each survivor out once, and gives each particular some other values.
pub(super) fn explain(search: &mut Search<'_>) -> Explained {
    let best = search.best.clone();
    let mut explained = Explained::default();
    let parts = best.parts();
    let whole: Vec<Name> = best.decisions.keys().filter(|name| !parts.contains_key(name)).copied().collect();
    let cut: Vec<Scenario> = whole.iter().map(|name| best.without([*name])).collect();
    let fails = search.judge(&cut);
    explained.needed =
        whole.iter().zip(&fails).filter(|(_, fails)| !**fails).map(|(name, _)| *name).collect();
    for (name, (of, number)) in &parts {
        let decision = best.decisions[name];
        let tries = others(&best, decision);
        let fails = search.judge(&tries);
        if fails.len() == tries.len() && fails.iter().all(|fails| *fails) {
            let what = match decision.kind {
                Kind::At | Kind::FaultAt => "any instant",
                Kind::FaultLen => "any length",
                _ if *number == INSTANT => "any instant",
                _ => "any particulars",
            };
            let any = explained.any.entry(*of).or_default();
            if !any.contains(&what) {
                any.push(what);
            }
        }
    }
    explained
}

/// The run with other values: nothing, twice as much, and some between.
fn others(best: &Scenario, decision: Deviation) -> Vec<Scenario> {
    let most = decision.value.saturating_mul(2).max(4);
    let drawn = (0..TRIED - 2).map(|draw| below(h(decision.name, draw), most));
    let values: BTreeSet<u64> = drawn.chain([0, most]).filter(|value| *value != decision.value).collect();
    values.into_iter().map(|value| best.with(Deviation { value, ..decision })).collect()
}
