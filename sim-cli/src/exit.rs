//! What the exit code says. Those of cargo-nextest where there is one, so that scripts know both.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Nothing was found.
    Clean = 0,
    /// The command line asks for what there is not.
    Usage = 2,
    /// No test was asked for, or there is none.
    NothingToRun = 4,
    /// Something that should not happen, such as a file that cannot be written.
    Internal = 70,
    /// Seeds have failed.
    FailingSeeds = 100,
    /// The tests do not compile.
    BuildFailed = 101,
    /// A seed took two courses.
    Nondeterminism = 110,
    /// A test had many runs, and what they were to see they never saw.
    Vacuous = 111,
    /// Seeds or shards are missing.
    Incomplete = 112,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what was asked, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn usage(message: impl Into<String>) -> Trouble {
        Trouble { exit: Exit::Usage, message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Trouble {
        Trouble { exit: Exit::Internal, message: message.into() }
    }
}

impl From<lexopt::Error> for Trouble {
    fn from(error: lexopt::Error) -> Trouble {
        Trouble::usage(format!("{error}; see cargo sim --help"))
    }
}
