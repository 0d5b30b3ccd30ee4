//! What is taken out may rename what follows. Decisions that nobody asks for any more are bound again to ones that are
//! asked for.

use std::collections::BTreeSet;

use sim_core::Deviation;
use sim_core::decision::{Kind, Name};

use super::super::scenario::Scenario;
use super::super::search::Search;

/// More are not bound again: the run has become another one.
const MOST: usize = 40;

/// Tries a candidate, and tries it again with its unread decisions bound to the nearest of the same kind and target.
pub(super) fn repaired(search: &mut Search<'_>, candidate: &Scenario) -> bool {
    let Some(seen) = search.look(candidate) else { return false };
    if search.adopt(candidate, &seen) {
        return true;
    }
    let asked: BTreeSet<Name> = seen.decisions.iter().map(|d| d.name).collect();
    let mut lost: Vec<Deviation> = candidate
        .decisions
        .values()
        .filter(|d| !asked.contains(&d.name) && may_move(d.kind))
        .copied()
        .collect();
    if lost.is_empty() || lost.len() > MOST {
        return false;
    }
    lost.sort_by_key(|d| (d.at, d.name));
    let mut bound = candidate.clone();
    let mut taken = BTreeSet::new();
    for decision in lost {
        bound.decisions.remove(&decision.name);
        let alike = |d: &&Deviation| {
            (d.kind, d.target) == (decision.kind, decision.target)
                && !taken.contains(&d.name)
                && !candidate.decisions.contains_key(&d.name)
        };
        let nearest =
            seen.decisions.iter().filter(alike).min_by_key(|d| (d.at.abs_diff(decision.at), d.name));
        if let Some(nearest) = nearest {
            taken.insert(nearest.name);
            bound = bound.with(Deviation { value: decision.value, ..*nearest });
        }
    }
    !taken.is_empty() && search.try_one(bound)
}

fn may_move(kind: Kind) -> bool {
    use Kind::{Corrupt, Delay, Disk, Duplicate, Loss, Reorder, Wake};
    matches!(kind, Loss | Delay | Disk | Wake | Duplicate | Reorder | Corrupt)
}
