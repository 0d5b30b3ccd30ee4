//! The answers of a simulation to the macros of `sim-hooks`.

use crate::decision::{Kind, Name, root};
use crate::hash::{below, h, text};
use crate::world;
use sim_hooks::{Simulator, Site};

/// One run in so many has a site active, and an active one fires one time in so many.
const RARITY: u64 = 4;

/// Has the macros of `sim-hooks` ask this crate.
pub(crate) fn install() {
    sim_hooks::install(Simulator {
        runs_here: || world::try_with(|_| ()).is_some(),
        decide,
        observe: crate::oracle::observe,
    });
}

fn decide(site: Site) -> bool {
    world::try_with(|w| {
        let mut kernel = w.try_kernel()?;
        let place = h(text(site.module), u64::from(site.line) << 32 | u64::from(site.column));
        let active = one_in(root(Kind::Hook, place, 0));
        if kernel.decide(active.0, Kind::Hook, place, active.1) == 0 {
            return Some(false);
        }
        let fires = one_in(kernel.name(Kind::Hook, place));
        Some(kernel.decide(fires.0, Kind::Hook, place, fires.1) != 0)
    })
    .flatten()
    .unwrap_or(false)
}

/// A decision that is 1 one time in [`RARITY`].
fn one_in(name: Name) -> (Name, impl FnOnce(u64) -> u64) {
    (name, |draw| u64::from(below(draw, RARITY) == RARITY - 1))
}
