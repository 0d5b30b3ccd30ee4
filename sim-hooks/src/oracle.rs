//! Oracles: what production code claims of itself, and what tests are to have seen.

use crate::simulator;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// It holds whenever it is asked.
    Always,
    /// It holds at least once in a test.
    Sometimes,
    /// The place is reached at least once in a test.
    Reachable,
    /// The place is never reached.
    Unreachable,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Claim {
    /// All kinds.
    pub const ALL: [Claim; 4] = [Claim::Always, Claim::Sometimes, Claim::Reachable, Claim::Unreachable];

    /// The word for it in signatures and reports.
    pub fn word(self) -> &'static str {
        match self {
            Claim::Always => "always",
            Claim::Sometimes => "sometimes",
            Claim::Reachable => "reachable",
            Claim::Unreachable => "unreachable",
        }
    }

    /// Whether a test in which it never held has not tested what it claims.
    pub fn must_be_seen(self) -> bool {
        matches!(self, Claim::Sometimes | Claim::Reachable)
    }
}

/// A place in the code that claims something: what each macro makes one of, as a static.
pub struct Oracle {
    /// What is claimed.
    pub claim: Claim,
    /// Its name; places with the same claim and name are one oracle.
    pub name: &'static str,
    /// Its module, as `module_path!()` says.
    pub module: &'static str,
    /// Its line.
    pub line: u32,
    function: fn() -> &'static str,
    /// Its place in the catalogue, counted from 1; 0 before it has one.
    number: AtomicU32,
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} at {}:{}", self.claim.word(), self.name, self.module, self.line)
    }
}

impl Oracle {
    /// What the macros say of themselves.
    #[doc(hidden)]
    pub const fn new(
        claim: Claim,
        name: &'static str,
        module: &'static str,
        line: u32,
        function: fn() -> &'static str,
    ) -> Oracle {
        Oracle { claim, name, module, line, function, number: AtomicU32::new(0) }
    }

    /// The path of the function that it stands in, as the compiler writes it, and what comes below that.
    pub fn function(&self) -> &'static str {
        (self.function)()
    }

    /// Its place in this process's catalogue, from 0 on. It says nothing outside of the process.
    #[inline]
    pub fn place(&'static self) -> usize {
        match self.number.load(Ordering::Relaxed) {
            0 => self.enter() as usize - 1,
            number => number as usize - 1,
        }
    }

    #[cold]
    fn enter(&'static self) -> u32 {
        let mut all = CATALOGUE.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.number.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        all.push(self);
        self.number.store(all.len() as u32, Ordering::Relaxed);
        all.len() as u32
    }
}

static CATALOGUE: Mutex<Vec<&'static Oracle>> = Mutex::new(Vec::new());

/// All oracles of this program, each at its [`place`](Oracle::place). On Linux, Android and FreeBSD they are all that are
/// linked, whether they were reached or not; elsewhere those that were reached in this process.
pub fn catalogue() -> Vec<&'static Oracle> {
    for oracle in linked::all() {
        oracle.place();
    }
    CATALOGUE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What the macros ask before they look.
#[doc(hidden)]
#[inline]
pub fn observed() -> bool {
    simulator().is_some()
}

/// What the macros say then.
#[doc(hidden)]
pub fn observe(oracle: &'static Oracle, holds: bool, detail: fmt::Arguments<'_>) {
    if let Some(simulator) = simulator() {
        (simulator.observe)(oracle, holds, detail);
    }
}

/// The section of the program in which the linker gathers a pointer to each oracle.
///
/// The linker defines the symbols `__start_SECTION` and `__stop_SECTION` for a section whose name is an identifier; every
/// entry is put there by the macros of this crate and is a `&'static Oracle`, so that the section is an array of those.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod linked {
    use super::{Claim, Oracle};

    /// Without an entry the linker would not know the section.
    static NONE: Oracle = Oracle::new(Claim::Unreachable, "", "sim_hooks", 0, || "sim_hooks");
    #[used]
    #[unsafe(link_section = "sim_oracles")]
    static FIRST: &Oracle = &NONE;

    unsafe extern "C" {
        #[link_name = "__start_sim_oracles"]
        static START: u8;
        #[link_name = "__stop_sim_oracles"]
        static STOP: u8;
    }

    pub(super) fn all() -> impl Iterator<Item = &'static Oracle> {
        let start = (&raw const START).cast::<&Oracle>();
        let stop = (&raw const STOP).cast::<&Oracle>();
        // SAFETY: both symbols are bounds of the one section, which has entries of this type alone; it is never written.
        let entries = unsafe { std::slice::from_raw_parts(start, stop.offset_from_unsigned(start)) };
        entries.iter().copied().filter(|oracle| !std::ptr::eq(*oracle, &NONE))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod linked {
    use super::Oracle;

    pub(super) fn all() -> impl Iterator<Item = &'static Oracle> {
        std::iter::empty()
    }
}

/// Claims that a condition holds whenever it is asked: where it does not, the run fails with the signature `always NAME`.
/// Further arguments, as of `format!`, say more. The condition is evaluated in simulations alone.
///
/// ```
/// let (stock, sold) = (3, 2);
/// sim_hooks::always!(sold <= stock, "nothing is sold that is not there", "sold {sold} of {stock}");
/// ```
#[macro_export]
macro_rules! always {
    ($condition:expr, $name:literal $(,)?) => { $crate::always!($condition, $name, "{}", stringify!($condition)) };
    ($condition:expr, $name:literal, $($detail:tt)+) => {
        $crate::__oracle!(Always, $name, $condition, $($detail)+)
    };
}

/// Claims that a condition holds at least once in a test: over all of its runs. A test in which it never does is vacuous.
/// The condition is evaluated in simulations alone.
///
/// ```
/// let retries = 0;
/// sim_hooks::sometimes!(retries > 1, "a request was retried twice");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $name:literal $(,)?) => {
        $crate::__oracle!(Sometimes, $name, $condition, "")
    };
}

/// Claims that a test gets here at least once: over all of its runs. A test that never does is vacuous.
#[macro_export]
macro_rules! reachable {
    ($name:literal $(,)?) => {
        $crate::__oracle!(Reachable, $name, true, "")
    };
}

/// Claims that nothing ever gets here: where something does, the run fails with the signature `unreachable NAME`. Further
/// arguments, as of `format!`, say more.
///
/// Unlike the macro of the standard library it does nothing outside of a simulation, and gives `()`.
#[macro_export]
macro_rules! unreachable {
    ($name:literal $(,)?) => { $crate::unreachable!($name, "this place was reached") };
    ($name:literal, $($detail:tt)+) => { $crate::__oracle!(Unreachable, $name, false, $($detail)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __oracle {
    ($claim:ident, $name:literal, $holds:expr, $($detail:tt)+) => {{
        fn function() -> &'static str {
            ::core::any::type_name_of_val(&function)
        }
        static ORACLE: $crate::Oracle = $crate::Oracle::new(
            $crate::Claim::$claim,
            $name,
            ::core::module_path!(),
            ::core::line!(),
            function,
        );
        #[used]
        #[cfg_attr(
            any(target_os = "linux", target_os = "android", target_os = "freebsd"),
            unsafe(link_section = "sim_oracles")
        )]
        static ENTRY: &$crate::Oracle = &ORACLE;
        if $crate::observed() {
            $crate::observe(&ORACLE, $holds, ::core::format_args!($($detail)+));
        }
    }};
}
