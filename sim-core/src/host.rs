//! What the guards on calls to the host answer with while a simulation runs on the thread.
//!
//! Each function says `None` or `false` when this thread runs no simulation, or when the simulator itself is at
//! work: the guard then asks the real system.

use crate::trace::{About, Event};
use crate::world;
use std::sync::OnceLock;

/// What the guards tell of themselves.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// Says whether they are in force, or why not.
    pub bound: fn() -> Result<(), String>,
    /// The calls that they refuse: the names that [`Sim::allow`](crate::Sim::allow) takes.
    pub refused: fn() -> Vec<&'static str>,
}

static GUARDS: OnceLock<Guards> = OnceLock::new();

/// The guards tell that they are linked.
pub fn set_guards(guards: Guards) {
    // They are linked once; a second word adds nothing.
    let _ = GUARDS.set(guards);
}

/// What the guards tell of themselves; `None` if none are linked.
pub fn guards() -> Option<Guards> {
    GUARDS.get().copied()
}

/// Fills a buffer with application randomness, named by cause.
pub fn fill(buffer: &mut [u8]) -> bool {
    world::try_with(|w| w.try_fill(buffer)).unwrap_or(false)
}

/// The monotonic clock of the current node, ns.
pub fn monotonic() -> Option<u64> {
    world::try_with(|w| w.try_kernel().map(|mut k| k.monotonic().saturating_add(w.passed()))).flatten()
}

/// The wall clock of the current node, ns since 1970.
pub fn realtime() -> Option<u64> {
    world::try_with(|w| w.try_kernel().map(|mut k| k.realtime().saturating_add(w.passed()))).flatten()
}

/// How many cores the current node has: one, unless it was given more.
pub fn cores() -> Option<usize> {
    world::try_with(|w| w.try_kernel().map(|k| k.machine(k.here()).cpu.cores())).flatten()
}

/// Writes as much of the current node's name as there is room for; gives the length of the whole name.
pub fn name(buffer: &mut [u8]) -> Option<usize> {
    world::try_with(|w| {
        let kernel = w.try_kernel()?;
        let name = kernel.machine(kernel.here()).name.as_bytes();
        let fits = name.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&name[..fits]);
        Some(name.len())
    })
    .flatten()
}

/// Virtual time since the start, ns, and the name of the node whose code runs: for log lines.
pub fn stamp() -> Option<(u64, String)> {
    world::try_with(|w| {
        let kernel = w.try_kernel()?;
        Some((kernel.now(), kernel.machine(kernel.here()).name.to_string()))
    })
    .flatten()
}

/// Adds a line of the program's log to the log of the run, if it keeps one.
pub fn line(level: &'static str, target: &str, text: impl FnOnce() -> String) {
    world::try_with(|w| {
        if w.try_kernel().is_none_or(|kernel| kernel.log.is_none()) {
            return;
        }
        // Put into words while nothing is borrowed: that may call code of the program.
        let (text, target) = (text(), target.to_owned());
        if let Some(mut kernel) = w.try_kernel() {
            let about = About::Line { level: level.into(), target };
            kernel.record(|| Event::new("log", text).about(about));
        }
    });
}

/// A task is about to make a call that no simulation can answer. True when the guard must refuse it with an error:
/// the run then ends after the current poll and fails with the signature `violation CALL`. False when it is to be
/// made: outside of a simulation, and where the run [allows](crate::Sim::allow) it.
///
/// `remedy` is a sentence that says what to do instead. `frames` tells where the call was made, the innermost
/// function first; it is asked only for what becomes the failure of the run, and may make any call itself.
pub fn violation(call: &'static str, remedy: &'static str, frames: impl FnOnce() -> Vec<String>) -> bool {
    world::try_with(|w| w.refuse(call, remedy, frames)).unwrap_or(false)
}

/// Lets the clocks that this module shows run ahead by so many ns for what is left of the run, which must have failed.
///
/// Callers of a refused wait that cannot be told of an error wait on until their deadline has passed, and would never
/// come to the end of their poll.
pub fn pass(ns: u64) {
    world::try_with(|w| w.pass(ns));
}
