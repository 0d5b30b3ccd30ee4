//! The line on a terminal that shows how far a sweep is, and the real clock that it needs.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::lines::SoFar;

/// A line that is drawn over and over, on standard error where that is a terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    shown: bool,
    drawn: bool,
    start: Instant,
}

impl Screen {
    pub(crate) fn new() -> Screen {
        Screen { shown: io::stderr().is_terminal(), drawn: false, start: now() }
    }

    /// Real time since the command began.
    pub(crate) fn elapsed(&self) -> Duration {
        now() - self.start
    }

    /// Shows how far the test is that is the `number`th of `tests`.
    pub(crate) fn show(&mut self, number: usize, tests: usize, id: &str, total: u64, so_far: &SoFar) {
        if self.shown {
            self.drawn = true;
            // A closed standard error is no reason to end a sweep.
            let _ = write!(io::stderr(), "\r\x1b[K{}", line(number, tests, id, total, so_far));
        }
    }

    /// Makes room for other lines.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "how long a sweep takes, no run can see")]
fn now() -> Instant {
    Instant::now()
}

fn line(number: usize, tests: usize, id: &str, total: u64, so_far: &SoFar) -> String {
    const WIDTH: u64 = 20;
    let filled =
        (u128::from(so_far.runs) * u128::from(WIDTH) / u128::from(total.max(1))).min(u128::from(WIDTH));
    let filled = filled as usize;
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH as usize - filled));
    let seconds = |nanos: u64| (nanos as f64 / 1e9).max(1e-3);
    let rate = so_far.runs as f64 / seconds(so_far.elapsed_ns);
    let pace = seconds(so_far.simulated_ns) / seconds(so_far.cpu_ns);
    let failed = if so_far.failures == 0 { String::new() } else { format!(", {} failed", so_far.failures) };
    format!(
        "[{bar}] {number}/{tests} {id}: {} runs, {rate:.0}/s, {pace:.0} s of virtual time a CPU second{failed}",
        so_far.runs
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_fast() {
        let so_far = SoFar {
            runs: 500,
            failures: 2,
            simulated_ns: 90_000_000_000,
            elapsed_ns: 2_000_000_000,
            cpu_ns: 3_000_000_000,
        };
        let text = line(1, 3, "shop::checkout lost", 1_000, &so_far);
        assert_eq!(
            text,
            "[##########----------] 1/3 shop::checkout lost: 500 runs, 250/s, 30 s of virtual time a CPU second, 2 failed"
        );
        assert!(line(1, 1, "x", u64::MAX, &SoFar::default()).starts_with("[--------------------]"));
    }
}
