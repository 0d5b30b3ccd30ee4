//! What the command line needs to know of the shop.

use crate::Bug;
use crate::chaos::GATEWAY;
use crate::invariants;
use crate::shop::{self, Options, Summary};
use command::System;
use sim::Sim;
use std::future::Future;

/// The checkout, as `main` hands it to [`command::main`].
#[derive(Clone, Copy, Debug)]
pub struct Checkout;

impl System for Checkout {
    type Bug = Bug;
    type Summary = Summary;
    const NAME: &'static str = "checkout";
    const ABOUT: &'static str = "A checkout of several services under simulated faults.";
    const INVARIANTS: &'static [&'static str] = &invariants::ALL;

    fn families() -> Vec<&'static str> {
        [sim::families(), vec![GATEWAY]].concat()
    }

    fn run(sim: Sim, options: Options) -> impl Future<Output = Summary> + 'static {
        shop::run(sim, options)
    }
}

impl command::Summary for Summary {
    fn rows(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("orders completed", self.completed),
            ("orders compensated", self.compensated),
            ("orders rejected", self.rejected),
        ]
    }
}
