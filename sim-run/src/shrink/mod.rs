//! Shrinking: pin, prune, compress.
//!
//! A run that failed is its decisions that are not boring. The shrinker takes out of them whatever is not needed for a
//! failure of the same signature, until a story is left that a person can read.
//!
//! | file | subject |
//! | --- | --- |
//! | `scenario` | what is edited: decisions, grouped by operation and fault |
//! | `subject` | what is experimented on: a trait, so that passes are tested on a pure function |
//! | `search` | the best so far, candidates side by side, budgets, findings on the way |
//! | `pass` | the passes |
//! | `explain`, `likelihood` | what of the survivors is needed; from when on the failure was inevitable |
//! | `laboratory` | the subject that runs are: in the isolation of the sweep |
//! | `story`, `shrunk` | what is told of it |

mod explain;
mod laboratory;
mod likelihood;
mod pass;
mod scenario;
mod search;
mod shrunk;
mod story;
mod subject;

pub(crate) use laboratory::{record_run, replay_tokens, shrink_run};
pub use likelihood::Likelihood;
pub(crate) use scenario::Scenario;
pub use scenario::Size;
pub use shrunk::{Shrunk, Unshrunk};

use explain::{Explained, explain};
use scenario::is_noise;
use search::{Finding, Purse, Search};
use sim_core::decision::Kind;
use subject::{Request, Subject};

/// Rounds of all passes, at most.
const ROUNDS: usize = 8;

/// What the search came to.
#[derive(Debug)]
struct Found {
    best: Scenario,
    executions: usize,
    explained: Explained,
    findings: Vec<Finding>,
    undone: Vec<&'static str>,
}

/// Searches for the smallest run that fails like `start`; `None` when `start` itself does not fail so any more.
fn search(
    subject: &mut dyn Subject,
    start: Scenario,
    signature: &str,
    late: &dyn Fn() -> bool,
) -> Option<Found> {
    let run = subject.begin(&Request::Known { scenario: start.clone(), all: false });
    let verdict = subject.verdict(run);
    let mut search = Search::new(subject, signature.to_owned(), start.clone(), late);
    if !search.adopt(&start, &verdict) {
        return None;
    }
    for _ in 0..ROUNDS {
        let before = search.best.clone();
        search.pass(Purse::Plain, "pruning", |search| {
            pass::kinds(search);
            pass::prune(search, |kind| kind == Kind::Op);
            pass::prune(search, |kind| kind == Kind::Fault);
            pass::prune(search, is_noise);
            pass::prune(search, |kind| matches!(kind, Kind::Arg | Kind::Strategy));
            pass::prune(search, |kind| matches!(kind, Kind::FaultLen | Kind::FaultArg));
        });
        search.pass(Purse::Trade, "pinning", pass::pin);
        search.pass(Purse::Trade, "exchanging", pass::exchange);
        search.pass(Purse::Trade, "flipping wakes", pass::flip);
        search.pass(Purse::Randomness, "other application randomness", pass::reseed);
        search.pass(Purse::Values, "compressing", pass::compress);
        search.pass(Purse::Values, "shrinking values", pass::values);
        if search.best == before {
            break;
        }
    }
    let executions = search.budget.executions + 1;
    let explained = {
        let mut explained = Explained::default();
        search.pass(Purse::Values, "explaining", |search| explained = explain(search));
        explained
    };
    Some(Found {
        best: search.best,
        executions,
        explained,
        findings: search.findings.into_values().collect(),
        undone: search.budget.undone.into_iter().collect(),
    })
}
