//! What follows when a program returns or panics, and what counts as its result.

use std::fmt::Display;
use std::time::Duration;

/// What follows when the program of a node returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExitPolicy {
    /// An error fails the run; otherwise the process has ended.
    #[default]
    FailOnError,
    /// The process has ended, whatever it returned.
    Ignore,
    /// It is started again after a while, as a supervisor would, unless it was asked to stop.
    Restart(Duration),
}

/// What follows when a task panics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PanicPolicy {
    /// The run fails.
    #[default]
    Fail,
    /// The process dies, as with `panic = "abort"`.
    Kill,
    /// The process dies and is started again after a while.
    Restart(Duration),
    /// Only the task ends; its handle gives the panic, as tokio's does.
    Catch,
}

/// What a program or a body of a test may return: nothing, or a result whose error can be displayed.
pub trait Verdict {
    /// Nothing if it went well, else the error's text.
    ///
    /// # Errors
    /// The error's text.
    fn verdict(self) -> Result<(), String>;
}

impl Verdict for () {
    fn verdict(self) -> Result<(), String> {
        Ok(())
    }
}

impl<T, E: Display> Verdict for Result<T, E> {
    fn verdict(self) -> Result<(), String> {
        match self {
            Ok(_) => Ok(()),
            // The alternate form gives the chain of causes where the error type has one.
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

impl Verdict for std::convert::Infallible {
    fn verdict(self) -> Result<(), String> {
        match self {}
    }
}
