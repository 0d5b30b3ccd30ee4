//! From when on the failure was inevitable: the run that failed is repeated up to an instant, and goes on with other
//! seeds from there.

use serde::{Deserialize, Serialize};
use sim_core::hash::h;

use super::subject::{Request, Subject};

/// Points of the strip, and continuations at each; more where the instant is looked for between two of them.
const POINTS: u64 = 21;
const AT_A_POINT: u64 = 30;
const BETWEEN: u64 = 60;
/// The instant is found to within this, ns.
const WITHIN: u64 = 1_000_000;

/// How likely the failure was as the run went on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likelihood {
    /// Instants, ns of virtual time, and how many of 100 runs fail that are like this one up to there.
    pub strip: Vec<(u64, u8)>,
    /// From this instant on at least half of them fail, ns.
    pub inevitable: Option<u64>,
}

/// Draws the strip of a run that failed at `end`; `None` when the time is over before it is drawn.
pub(super) fn likelihood(
    subject: &mut dyn Subject,
    (seed, signature): (u64, &str),
    end: u64,
    late: &dyn Fn() -> bool,
) -> Option<Likelihood> {
    let mut share = |until: u64, runs: u64| {
        if late() {
            return None;
        }
        let begun: Vec<u64> = (0..runs)
            .map(|i| subject.begin(&Request::Spliced { until, then: h(h(seed, 0x11fe), i) }))
            .collect();
        let fail =
            begun.into_iter().filter(|run| subject.verdict(*run).signature.as_deref() == Some(signature));
        Some((fail.count() as u64 * 100 / runs) as u8)
    };
    let mut strip = Vec::new();
    for point in 0..POINTS {
        let at = end / (POINTS - 1) * point;
        strip.push((at, share(at, AT_A_POINT)?));
    }
    // The last crossing: before it, many other ways to fail may have been open.
    let Some(last_low) = strip.iter().rposition(|(_, share)| *share < 50) else {
        return Some(Likelihood { strip, inevitable: Some(0) });
    };
    let mut low = strip[last_low].0;
    let mut high = strip.get(last_low + 1).map_or(end, |(at, _)| *at);
    while high - low > WITHIN / 4 {
        let middle = low + (high - low) / 2;
        match share(middle, BETWEEN)? >= 50 {
            true => high = middle,
            false => low = middle,
        }
    }
    Some(Likelihood { strip, inevitable: Some(high) })
}
