//! What the guards on the host's clock and entropy answer with while a simulation runs on the thread.
//!
//! Each function says `None` or `false` when this thread runs no simulation, or when the simulator itself is at
//! work: the guard then asks the real system.

use crate::world;
use std::sync::OnceLock;

/// Says whether the guards are in force, or why not.
pub type GuardsBound = fn() -> Result<(), String>;

static GUARDS: OnceLock<GuardsBound> = OnceLock::new();

/// The guards tell that they are linked, and how to ask whether they are in force.
pub fn set_guards(bound: GuardsBound) {
    // They are linked once; a second word adds nothing.
    let _ = GUARDS.set(bound);
}

/// How to ask whether the guards are in force; `None` if none are linked.
pub fn guards() -> Option<GuardsBound> {
    GUARDS.get().copied()
}

/// Fills a buffer with application randomness, named by cause.
pub fn fill(buffer: &mut [u8]) -> bool {
    world::try_with(|w| w.try_fill(buffer)).unwrap_or(false)
}

/// The monotonic clock of the current node, ns.
pub fn monotonic() -> Option<u64> {
    world::try_with(|w| w.try_kernel().map(|k| k.monotonic())).flatten()
}

/// The wall clock of the current node, ns since 1970.
pub fn realtime() -> Option<u64> {
    world::try_with(|w| w.try_kernel().map(|k| k.realtime())).flatten()
}

/// Virtual time since the start, ns, and the name of the node whose code runs: for log lines.
pub fn stamp() -> Option<(u64, String)> {
    world::try_with(|w| {
        let kernel = w.try_kernel()?;
        Some((kernel.now(), kernel.machine(kernel.here()).name.to_string()))
    })
    .flatten()
}
