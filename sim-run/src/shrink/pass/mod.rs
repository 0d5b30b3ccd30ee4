//! The passes: each looks for a smaller run in a way of its own.

mod compress;
mod exchange;
mod flip;
mod kinds;
mod pin;
mod prune;
mod repair;
mod reseed;
mod values;

pub(super) use compress::compress;
pub(super) use exchange::exchange;
pub(super) use flip::flip;
pub(super) use kinds::kinds;
pub(super) use pin::{pin, slot_of};
pub(super) use prune::prune;
pub(super) use reseed::reseed;
pub(super) use values::values;

#[cfg(test)]
mod tests;
