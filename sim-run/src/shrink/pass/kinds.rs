//! All of a kind at once, and all that one client does: does the bulk.

use std::collections::BTreeSet;

use sim_core::decision::{Kind, Name};

use super::super::scenario::is_noise;
use super::super::search::Search;

/// Takes out whole kinds of decisions and whole clients.
pub(in super::super) fn kinds(search: &mut Search<'_>) {
    let present: BTreeSet<Kind> = search.best.decisions.values().map(|d| d.kind).collect();
    let noise = present.into_iter().rev().filter(|kind| is_noise(*kind));
    for kind in noise.chain([Kind::Fault, Kind::Arg, Kind::Strategy]) {
        let all: Vec<Name> = search.best.of_kind(kind).map(|d| d.name).collect();
        if !all.is_empty() {
            search.try_one(search.best.without(all));
        }
    }
    let clients: BTreeSet<u64> = search.best.of_kind(Kind::Op).map(|d| d.target).collect();
    for client in clients {
        let all: Vec<Name> =
            search.best.of_kind(Kind::Op).filter(|d| d.target == client).map(|d| d.name).collect();
        search.try_one(search.best.without(all));
    }
}
