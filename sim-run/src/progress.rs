//! The line on a terminal that shows how far a sweep is, and the real clock that it needs.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The line is drawn again after so much real time.
const PAUSE: Duration = Duration::from_millis(100);

/// Real time since the start of a sweep, shown while it goes on.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    drawn: Option<Duration>,
    shown: bool,
    total: u64,
}

impl Progress {
    /// `shown`: whether to draw; unless it says, only on a terminal.
    pub(crate) fn start(total: u64, shown: Option<bool>) -> Progress {
        let shown = shown.unwrap_or_else(|| io::stderr().is_terminal());
        Progress { start: now(), drawn: None, shown, total }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        now() - self.start
    }

    pub(crate) fn show(&mut self, runs: u64, failures: usize, simulated: Duration) {
        if !self.shown {
            return;
        }
        let elapsed = self.elapsed();
        if self.drawn.is_some_and(|drawn| elapsed - drawn < PAUSE) {
            return;
        }
        self.drawn = Some(elapsed);
        let line = line(runs, self.total, failures, simulated, elapsed);
        // A closed standard error is no reason to end a sweep.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "how fast a sweep is, no run can see")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn line(runs: u64, total: u64, failures: usize, simulated: Duration, elapsed: Duration) -> String {
    const WIDTH: u64 = 24;
    let filled =
        (u128::from(runs) * u128::from(WIDTH) / u128::from(total.max(1))).min(u128::from(WIDTH)) as usize;
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH as usize - filled));
    let rate = runs as f64 / elapsed.as_secs_f64().max(1e-3);
    let failed = if failures == 0 { String::new() } else { format!(", {failures} failed") };
    // As many as a time takes have no end to show.
    let total = if total >= 1 << 48 { String::new() } else { format!("/{total}") };
    format!("[{bar}] {runs}{total} runs, {rate:.0}/s, {:.0} s simulated{failed}", simulated.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_fast() {
        let text = line(500, 1000, 2, Duration::from_secs(90), Duration::from_secs(2));
        assert_eq!(text, "[############------------] 500/1000 runs, 250/s, 90 s simulated, 2 failed");
        assert!(line(0, 0, 0, Duration::ZERO, Duration::ZERO).contains("0/0 runs"));
        assert!(line(7, u64::MAX, 0, Duration::ZERO, Duration::ZERO).contains("] 7 runs"));
    }
}
