//! Oracles: what judges a run besides its panics.
//!
//! | file | subject |
//! | --- | --- |
//! | `claim` | what code claims with `always!`, `sometimes!`, `reachable!` and `unreachable!`, and how often it was seen |

mod claim;

pub use claim::{Claim, Seen};

pub(crate) use claim::{Claims, observe};
