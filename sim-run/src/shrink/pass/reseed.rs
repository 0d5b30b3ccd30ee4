//! Many small delays may be there for nothing but to let timers expire in an order that other application randomness,
//! such as other election timeouts, has by itself.

use std::collections::BTreeSet;

use sim_core::decision::{Kind, Name};
use sim_core::hash::h;

use super::super::scenario::{Scenario, is_noise};
use super::super::search::Search;

/// So few are left to the other passes.
const FEW: usize = 3;
/// Draws of application randomness for each.
const OTHERS: u64 = 40;

/// Takes out all noise, each kind of it, and all operations, while application randomness is drawn anew.
pub(in super::super) fn reseed(search: &mut Search<'_>) {
    let present: BTreeSet<Kind> = search.best.decisions.values().map(|d| d.kind).collect();
    let kinds: Vec<Kind> = present.into_iter().filter(|kind| is_noise(*kind)).collect();
    let names = |search: &Search<'_>, of: &dyn Fn(Kind) -> bool| -> Vec<Name> {
        search.best.decisions.values().filter(|d| of(d.kind)).map(|d| d.name).collect()
    };
    let mut drawn_anew = |of: &dyn Fn(Kind) -> bool| {
        let cut = names(search, of);
        if cut.len() > FEW {
            let base = search.best.without(cut);
            let seed = base.seed;
            search
                .first((1..=OTHERS).map(|other| Scenario { seed: h(seed, 0x0dd5 + other), ..base.clone() }));
        }
    };
    drawn_anew(&|kind| is_noise(kind) || kind == Kind::Op);
    drawn_anew(&is_noise);
    for kind in kinds {
        drawn_anew(&|of| of == kind);
    }
    drawn_anew(&|kind| kind == Kind::Op);
}
