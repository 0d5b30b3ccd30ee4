//! What the command line needs to know of the cluster.

use crate::Bug;
use crate::chase::LEADER_CHASE;
use crate::cluster::{self, Options, Summary};
use crate::invariants;
use command::System;
use sim::Sim;

/// Raft, for the command line.
#[derive(Clone, Copy, Debug)]
pub struct Raft;

impl System for Raft {
    type Bug = Bug;
    type Summary = Summary;
    const NAME: &'static str = "raft";
    const ABOUT: &'static str = "A replicated key-value store on Raft under simulated faults.";
    const INVARIANTS: &'static [&'static str] = invariants::ALL;

    fn families() -> Vec<&'static str> {
        let stands = |family: &&str| !cluster::NOT_STOOD.contains(family);
        sim::families().into_iter().filter(stands).chain([LEADER_CHASE]).collect()
    }

    async fn run(sim: Sim, options: Options) -> Summary {
        cluster::run(sim, options).await
    }
}

impl command::Summary for Summary {
    fn rows(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("faults", self.faults),
            ("elections won", self.elections),
            ("entries committed", self.committed),
            ("operations answered", self.answered),
        ]
    }
}
