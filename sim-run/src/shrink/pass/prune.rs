//! Delta debugging (Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, 2002): ever smaller
//! chunks, the latest first.

use sim_core::decision::{Kind, Name};

use super::super::search::Search;

/// Takes out what is of a kind, in chunks from all down to one.
pub(in super::super) fn prune(search: &mut Search<'_>, choose: impl Fn(Kind) -> bool) {
    let mut order = search.best.latest_first(choose);
    let mut size = order.len();
    while size > 0 && !order.is_empty() {
        let mut from = 0;
        while from < order.len() {
            let best = search.best.clone();
            let chunks = order[from..].chunks(size);
            let won = search.first(chunks.map(|chunk: &[Name]| best.without(chunk.iter().copied())));
            match won {
                None => break,
                Some(place) => from += (place + 1) * size,
            }
        }
        order.retain(|name| search.best.decisions.contains_key(name));
        if size == 1 {
            break;
        }
        size = (size / 2).min(order.len()).max(1);
    }
}
