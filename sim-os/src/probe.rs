//! Tells whether the guards are in force. Interception that is silently absent would let a test pass that depends
//! on the host, so `sim-run` asks once, before the first run, sweep or test of a process.
//!
//! Safety invariant: `dlsym` is called with names that end in NUL, and what it returns is compared, never called.

use std::error::Error;
use std::fmt;

/// Whether each guarded symbol is bound to the definition in this crate.
///
/// Compares the address that the dynamic linker gives for each name (`dlsym(RTLD_DEFAULT, name)`, which is what
/// shared libraries, and crates that look symbols up at run time, are bound to) with the guard's own. A few
/// microseconds; the answer never changes while a process lives, except through `dlopen` with `RTLD_DEEPBIND`.
///
/// # Errors
///
/// [`Unbound`] says which symbols are somebody else's, or why this build has no guards.
///
/// ```
/// if let Err(unbound) = sim_os::bound() {
///     eprintln!("warning: {unbound}");
/// }
/// ```
pub fn bound() -> Result<(), Unbound> {
    check()
}

/// The guards are not in force: a run may depend on the host's clock or entropy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unbound {
    /// This build of the crate defines no symbols.
    Absent {
        /// What stands in the way, as half a sentence.
        reason: &'static str,
    },
    /// The symbols are defined, but these names are bound to other definitions.
    Shadowed {
        /// Names of libc functions.
        symbols: Vec<&'static str>,
    },
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unbound::Absent { reason } => {
                write!(f, "clock and entropy of the host are not guarded: {reason}")
            }
            Unbound::Shadowed { symbols } => write!(
                f,
                "clock and entropy of the host are not guarded everywhere: {} bound to another definition for shared \
                 libraries and for crates that look symbols up at run time. Likely causes: a linker flag that hides \
                 the program's symbols (--exclude-libs, a version script), or `sim` built as a shared library that is \
                 searched after libc or after a library in LD_PRELOAD",
                symbols.join(", ") + if symbols.len() == 1 { " is" } else { " are" },
            ),
        }
    }
}

impl Error for Unbound {}

#[cfg(guarded)]
fn check() -> Result<(), Unbound> {
    let symbols: Vec<&'static str> = crate::guard::table()
        .filter(|guard| {
            // SAFETY: the name is a C string; the address is only compared.
            let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, guard.name.as_ptr()) };
            address as usize != guard.address
        })
        .map(|guard| guard.name.to_str().expect("names of libc functions are ASCII"))
        .collect();
    if symbols.is_empty() { Ok(()) } else { Err(Unbound::Shadowed { symbols }) }
}

#[cfg(not(guarded))]
fn check() -> Result<(), Unbound> {
    Err(Unbound::Absent { reason: env!("SIM_OS_UNGUARDED") })
}

/// The calls that are refused inside a simulation.
#[cfg(guarded)]
fn refused() -> Vec<&'static str> {
    crate::guard::refuse::names()
}

/// The calls that are refused inside a simulation.
#[cfg(all(not(guarded), target_os = "linux"))]
fn refused() -> Vec<&'static str> {
    Vec::new()
}

/// Tells the simulator, before `main`, that the guards are linked: `sim-run` asks [`bound`] before its first run.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds pointers to functions without arguments, which the C runtime calls once before `main`;
// this one only stores a pointer, for which Rust's runtime is not needed.
#[unsafe(link_section = ".init_array")]
static ANNOUNCE: extern "C" fn() = {
    extern "C" fn announce() {
        sim_core::host::set_guards(sim_core::host::Guards {
            bound: || bound().map_err(|unbound| unbound.to_string()),
            refused,
        });
    }
    announce
};

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(guarded)]
    #[test]
    fn the_symbols_are_ours_in_a_test_binary() {
        assert_eq!(bound(), Ok(()));
    }

    #[cfg(not(guarded))]
    #[test]
    fn a_build_without_guards_says_why() {
        let unbound = bound().expect_err("there are no guards");
        assert!(matches!(unbound, Unbound::Absent { reason } if !reason.is_empty()));
    }

    #[test]
    fn shadowed_symbols_are_named() {
        let one = Unbound::Shadowed { symbols: vec!["getrandom"] }.to_string();
        assert!(one.contains("getrandom is bound to another definition"), "{one}");
        let two = Unbound::Shadowed { symbols: vec!["getrandom", "time"] }.to_string();
        assert!(two.contains("getrandom, time are bound"), "{two}");
    }
}
