//! Operations and faults as decisions of the run.
//!
//! Each is named by what it is (the third fault, the fifth operation of shopper 2) and not by what happened before
//! it, so that taking one out leaves all others as they were. The value 0 is always the boring answer: no fault, no
//! operation, the first of the choices, no time at all.

use sim::decision::{Kind, Name, below, decide, part, root};
use std::time::Duration;

/// The name of one operation or fault, from which its particulars are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    name: Name,
    target: u64,
}

impl Root {
    /// Operation or fault (`kind`) number `index` of `target`.
    pub fn new(kind: Kind, target: u64, index: u64) -> Root {
        Root { name: root(kind, target, index), target }
    }

    /// What it is: 0 is nothing, otherwise a place in the list of `weights`, counted from 1, chosen by weight. What
    /// is missing to 100 is the chance of nothing.
    pub fn what(&self, kind: Kind, weights: &[u64]) -> usize {
        decide(self.name, kind, self.target, |draw| {
            let percent = below(draw, 100);
            let mut most = 100 - weights.iter().sum::<u64>();
            let mut choice = 0;
            for weight in weights {
                if percent < most {
                    break;
                }
                most += weight;
                choice += 1;
            }
            choice
        }) as usize
    }

    /// A particular, by its number: one of `0..n`.
    pub fn pick(&self, number: u64, kind: Kind, n: u64) -> u64 {
        decide(part(self.name, number), kind, self.target, |draw| below(draw, n))
    }

    /// A particular, by its number: a time from `least` on and below `most`, in microseconds.
    pub fn time(&self, number: u64, kind: Kind, least: Duration, most: Duration) -> Duration {
        let micros = (most - least).as_micros() as u64;
        least + Duration::from_micros(self.pick(number, kind, micros))
    }
}
