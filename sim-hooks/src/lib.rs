//! Hooks that production code may depend on: they cost next to nothing and do nothing outside of a simulation.
//!
//! The crate links nothing else. A simulation installs itself with [`install`]; until then [`buggify!`] is a load and
//! a branch, and false, and what [`always!`], [`sometimes!`], [`reachable!`] and [`unreachable!`] claim is not looked at.
//!
//! ```
//! use sim_hooks::{buggify, buggify_knob};
//!
//! /// How many entries go into one batch: tiny ones, now and then, where a simulation wants to see the seams.
//! fn batch_size() -> usize {
//!     buggify_knob!(1000, 1)
//! }
//!
//! assert!(!buggify!(), "no simulation runs here");
//! assert_eq!(batch_size(), 1000);
//! ```
//!
//! The idea of the first is FoundationDB's: production code says itself where something rare but allowed could happen, and
//! the simulator makes it happen. That of the others is Antithesis's: it says what must hold, and what a test that is worth
//! its name must have seen.

mod oracle;

pub use oracle::{Claim, Oracle, catalogue};

/// What the macros expand to.
#[doc(hidden)]
pub use oracle::{observe, observed};

use std::fmt;
use std::sync::OnceLock;

/// A place in the code that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its module, as `module_path!()` says: a file's path would differ from machine to machine.
    pub module: &'static str,
    /// Its line.
    pub line: u32,
    /// Its column.
    pub column: u32,
}

/// What answers for simulations.
#[derive(Clone, Copy, Debug)]
pub struct Simulator {
    /// Whether this thread runs a simulation.
    pub runs_here: fn() -> bool,
    /// Whether something rare happens now. It must say `false` on a thread that runs no simulation.
    pub decide: fn(Site) -> bool,
    /// What an oracle has seen, and more about it in words.
    pub observe: fn(&'static Oracle, bool, fmt::Arguments<'_>),
}

static SIMULATOR: OnceLock<Simulator> = OnceLock::new();

/// Installs what answers; the first one stays.
pub fn install(simulator: Simulator) {
    let _ = SIMULATOR.set(simulator);
}

/// What answers on this thread, if it runs a simulation.
#[inline]
fn simulator() -> Option<&'static Simulator> {
    SIMULATOR.get().filter(|simulator| (simulator.runs_here)())
}

/// What [`buggify!`] expands to.
#[doc(hidden)]
#[inline]
pub fn fires(site: Site) -> bool {
    SIMULATOR.get().is_some_and(|simulator| (simulator.decide)(site))
}

/// True, now and then, inside of a simulation; false outside.
///
/// A site is active in one run in four, and an active one fires one time in four, both decided by the seed.
#[macro_export]
macro_rules! buggify {
    () => {
        $crate::fires($crate::Site { module: module_path!(), line: line!(), column: column!() })
    };
}

/// The usual value of a tunable, or, where [`buggify!`] would fire, an extreme one.
#[macro_export]
macro_rules! buggify_knob {
    ($usual:expr, $extreme:expr) => {
        if $crate::buggify!() { $extreme } else { $usual }
    };
}
