//! What programs see of the operating system: code that runs in a simulation and asks the *host* for the time or
//! for random bytes is answered by the world instead. The crate defines a few libc symbols, so the linker binds
//! Rust's `std`, every crate and C code to them, with no flag and no patch: `SystemTime::now()` and `Instant::now()`
//! follow the node's clock, and `HashMap`, `rand`, `uuid` and `fastrand` repeat with the seed. Calls that would leave
//! the simulation (threads, sleeps, sockets) return an error and fail the run by name. On a thread that runs no
//! simulation each symbol forwards to the real function.
//!
//! # Map
//!
//! | module | subject |
//! | --- | --- |
//! | [`probe`] | whether the guards are in force in this program, and why not |
//! | `guard` | the table of guarded symbols |
//! | `guard::entropy` | `getrandom`, `getentropy`, `arc4random` |
//! | `guard::device` | reads of `/dev/urandom` and `/dev/random` |
//! | `guard::clock` | `clock_gettime`, `clock_getres`, `gettimeofday`, `time`, `timespec_get`, `times` |
//! | `guard::identity` | `gethostname`, `uname`, the number of processors |
//! | `guard::refuse` | what becomes of calls that cannot be answered |
//! | `guard::thread`, `guard::sleep`, `guard::socket`, `guard::wait` | those calls |
//! | `guard::syscall` | `syscall`, for code that calls the same things by number |
//! | `guard::real` | the real functions behind the guards, and system calls without libc |
//! | `guard::memory` | which part of a caller's buffer may be written |
//!
//! # Linking
//!
//! A crate that is only named in `Cargo.toml` is not linked. The facade says `extern crate sim_os as _;`, and so
//! must any program that uses `sim-core` without the facade. [`bound`] tells whether it worked:
//!
//! ```
//! extern crate sim_os as _;
//!
//! match sim_os::bound() {
//!     Ok(()) => println!("clock and entropy are guarded"),
//!     Err(unbound) => println!("{unbound}"),
//! }
//! ```
//!
//! What is guarded, and what cannot be, is in `docs/guards.md`.

#[cfg(guarded)]
mod guard;
pub mod probe;

pub use probe::{Unbound, bound};

/// The system calls that a simulation refuses by number, syscall(2): each with the name under which that fails a run. Empty
/// in a build without guards.
pub fn refused_numbers() -> impl Iterator<Item = (core::ffi::c_long, &'static str)> {
    #[cfg(guarded)]
    return guard::refuse::numbers();
    #[cfg(not(guarded))]
    std::iter::empty()
}
