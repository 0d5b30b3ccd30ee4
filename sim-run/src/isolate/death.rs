//! What killed a run's process, in words.

#![cfg_attr(not(unix), allow(dead_code, reason = "only processes die"))]

use std::fmt;
use std::time::Duration;

#[cfg(unix)]
use super::Limits;

/// Why a run ended without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// Short and without numbers: what the signature of the failure names.
    pub(crate) cause: String,
    /// What happened, in a sentence.
    pub(crate) message: String,
    /// Virtual time and node where the run was last seen; known in a run that logs.
    pub(crate) seen: Option<(Duration, String)>,
}

impl Death {
    pub(crate) fn new(cause: &str, message: impl Into<String>) -> Death {
        Death { cause: cause.to_owned(), message: message.into(), seen: None }
    }

    /// Reads the end of a child out of its wait status and what it printed last.
    #[cfg(unix)]
    pub(super) fn of_child(
        status: std::process::ExitStatus,
        blocked: bool,
        output: &str,
        limits: &Limits,
    ) -> Death {
        use std::os::unix::process::ExitStatusExt;
        if blocked {
            let message = format!(
                "the run stood still for {:?} of real time without using the CPU: is it blocked in a call that is \
                 not simulated?",
                limits.blocked
            );
            return Death::new("blocked", message);
        }
        let Some(signal) = status.signal() else {
            let code = status.code().unwrap_or_default();
            let message = match code {
                101 => "a panic outside of the simulation ended the process".to_owned(),
                _ => format!(
                    "the process exited with code {code} before the run had ended: who called `exit`?"
                ),
            };
            return Death::new(&format!("exit {code}"), said(message, last_line(output)));
        };
        let line_with = |text: &str| output.lines().rev().find(|line| line.contains(text));
        match signal {
            libc::SIGPROF | libc::SIGXCPU => Death::new(
                "cpu limit",
                format!(
                    "the run used {:?} of CPU time without ending: a loop that makes no call?",
                    limits.cpu
                ),
            ),
            libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS
                if line_with("has overflowed its stack").is_some() =>
            {
                Death::new(
                    "stack overflow",
                    "the run's thread overflowed its stack: a recursion without end?",
                )
            }
            libc::SIGABRT if line_with("memory allocation of").is_some() => {
                let limit = limits.memory.map_or("none".to_owned(), |bytes| Bytes(bytes).to_string());
                let message = format!("the run asked for more memory than its limit ({limit})");
                Death::new("out of memory", said(message, line_with("memory allocation of")))
            }
            libc::SIGKILL => Death::new(
                "SIGKILL",
                "the process was killed from outside (SIGKILL): is this machine out of memory?",
            ),
            _ => {
                let name = signal_name(signal);
                let message = match signal {
                    libc::SIGSEGV => "the process accessed memory that is not its own (SIGSEGV)".to_owned(),
                    libc::SIGABRT => "the process aborted (SIGABRT)".to_owned(),
                    _ => format!("the process was ended by {name}"),
                };
                Death::new(&name, said(message, last_line(output)))
            }
        }
    }
}

fn said(message: String, line: Option<&str>) -> String {
    match line {
        None => message,
        Some(line) => format!("{message}: {}", line.trim()),
    }
}

pub(super) fn last_line(output: &str) -> Option<&str> {
    output.lines().rev().find(|line| !line.trim().is_empty())
}

#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGTERM => "SIGTERM",
        libc::SIGINT => "SIGINT",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGSYS => "SIGSYS",
        libc::SIGALRM => "SIGALRM",
        libc::SIGXFSZ => "SIGXFSZ",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// A size for people.
#[derive(Clone, Copy, Debug)]
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift)) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn cause(raw: i32, output: &str) -> (String, String) {
        let limits = Limits { memory: Some(3 << 20), ..Limits::default() };
        let death = Death::of_child(ExitStatus::from_raw(raw), false, output, &limits);
        (death.cause, death.message)
    }

    #[test]
    fn each_death_has_its_cause() {
        assert_eq!(cause(libc::SIGSEGV, "").0, "SIGSEGV");
        assert_eq!(
            cause(libc::SIGABRT, "x\nassertion failed\n\n").1,
            "the process aborted (SIGABRT): assertion failed"
        );
        assert_eq!(
            cause(libc::SIGABRT, "thread 'sim' (7) has overflowed its stack\nfatal").0,
            "stack overflow"
        );
        let (cause_of, message) = cause(libc::SIGABRT, "memory allocation of 99 bytes failed");
        assert_eq!(cause_of, "out of memory");
        assert!(message.contains("3 MiB") && message.contains("99 bytes"), "{message}");
        assert_eq!(cause(libc::SIGPROF, "").0, "cpu limit");
        assert_eq!(cause(libc::SIGKILL, "").0, "SIGKILL");
        assert_eq!(cause(3 << 8, "").0, "exit 3");
        assert_eq!(cause(libc::SIGUSR1, "").0, format!("signal {}", libc::SIGUSR1));
    }

    #[test]
    fn sizes_are_exact() {
        assert_eq!(Bytes(2 << 30).to_string(), "2 GiB");
        assert_eq!(Bytes(1536 << 10).to_string(), "1536 KiB");
        assert_eq!(Bytes(1).to_string(), "1 bytes");
    }
}
