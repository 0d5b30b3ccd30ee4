//! Two wakes for one: what several tasks do sooner, another one can do later.

use sim_core::Deviation;
use sim_core::decision::Kind;

use super::super::scenario::Scenario;
use super::super::search::Search;

/// More than this are not flipped.
const MOST: usize = 6;
/// Wakes that are tried in the place of two.
const TRIED: usize = 60;
/// Later than normal, as wakes say it.
const LATER: u64 = 201;

/// Takes two wakes out and makes one late that comes at the same time.
pub(in super::super) fn flip(search: &mut Search<'_>) {
    let wakes: Vec<Deviation> = search.best.of_kind(Kind::Wake).copied().collect();
    if wakes.len() < 2 || wakes.len() > MOST {
        return;
    }
    for (i, one) in wakes.iter().enumerate() {
        for other in &wakes[i + 1..] {
            if ![one, other].iter().all(|wake| search.best.decisions.contains_key(&wake.name)) {
                continue;
            }
            let base = search.best.without([one.name, other.name]);
            let Some(seen) = search.look(&base) else { return };
            let at_once =
                seen.decisions.iter().filter(|d| d.kind == Kind::Wake && d.at == one.at).take(TRIED);
            let tries: Vec<Scenario> = at_once.map(|d| base.with(Deviation { value: LATER, ..*d })).collect();
            search.first(tries);
        }
    }
}
