//! What the command line prints.

use crate::Bug;
use crate::chaos::Family;
use crate::cli::Request;
use crate::invariants;
use crate::shop::Summary;
use serde::Serialize;
use sim::SweepReport;
use std::fmt::Write;

/// A line for each planted bug: name, signature, fault family that it needs.
pub(crate) fn list_bugs() -> String {
    let mut lines = String::new();
    for bug in Bug::ALL {
        let needs = bug.needs().map_or("none", Family::name);
        let _ = writeln!(lines, "{:<16} {:<56} {needs}", bug.name(), bug.signature());
    }
    lines
}

/// A sweep, as it is told.
pub(crate) struct Report<'a> {
    pub(crate) request: &'a Request,
    pub(crate) swept: &'a SweepReport,
    pub(crate) sums: Summary,
}

/// How many failing seeds are listed of each signature.
const LISTED: usize = 5;

impl Report<'_> {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a String takes everything");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let simulated = self.swept.simulated.as_secs();
        let mut row = |what: &str, value: String| writeln!(out, "{what:<20} {value}");
        row("seeds", grouped(self.swept.runs))?;
        row("seeds/s", grouped(self.swept.runs_per_second() as u64))?;
        row(
            "simulated time",
            format!("{} h {} min {} s", simulated / 3600, simulated / 60 % 60, simulated % 60),
        )?;
        let failed = self.swept.failures.len();
        if failed as u64 == self.swept.runs {
            row("failed", seeds_of(failed))?;
        } else {
            let Summary { completed, compensated, rejected, fired } = self.sums;
            let by_family = Family::ALL.iter().zip(fired).filter(|(_, times)| *times > 0);
            let by_family: Vec<_> =
                by_family.map(|(family, times)| format!("{family} {}", grouped(times))).collect();
            row("faults fired", grouped(fired.iter().sum()))?;
            if !by_family.is_empty() {
                row("", by_family.join(", "))?;
            }
            row("orders completed", grouped(completed))?;
            row("orders compensated", grouped(compensated))?;
            row("orders rejected", grouped(rejected))?;
            if failed > 0 {
                row("failed", format!("{}, whose faults and orders are not counted", seeds_of(failed)))?;
            }
        }
        for invariant in invariants::ALL {
            let signature = format!("invariant {invariant}");
            let broken =
                self.swept.failures.iter().filter(|run| run.failure.signature() == signature).count();
            match broken {
                0 => row("held", invariant.to_string())?,
                seeds => row("BROKEN", format!("{invariant}, in {}", seeds_of(seeds)))?,
            }
        }
        for note in &self.swept.notes {
            row("note", note.to_string())?;
        }
        if self.request.single {
            return self.write_failure(out);
        }
        self.write_groups(out)
    }

    /// The failure of the one seed that was asked for, in full.
    fn write_failure(&self, out: &mut String) -> std::fmt::Result {
        for run in &self.swept.failures {
            writeln!(out, "\nseed {} failed: {}", run.seed, run.failure)?;
            for line in &run.failure.details {
                writeln!(out, "  {line}")?;
            }
            writeln!(out, "  trace {:016x}\n  again: {}", run.trace, self.replay(run.seed))?;
        }
        Ok(())
    }

    fn write_groups(&self, out: &mut String) -> std::fmt::Result {
        for group in self.swept.groups() {
            let mut seeds: Vec<_> = group.runs.iter().take(LISTED).map(|run| run.seed.to_string()).collect();
            if group.runs.len() > LISTED {
                seeds.push("…".to_string());
            }
            writeln!(out, "\n{}: {} ({})", group.signature, seeds_of(group.runs.len()), seeds.join(", "))?;
            writeln!(out, "  {}", group.runs[0].failure.message)?;
            writeln!(out, "  again: {}", self.replay(group.runs[0].seed))?;
        }
        Ok(())
    }

    /// The line that shows the failure of a seed again.
    fn replay(&self, seed: u64) -> String {
        let mut line = format!("cargo run --release -p checkout -- --seed {seed}");
        if let Some(bug) = self.request.options.bug {
            let _ = write!(line, " --bug {bug}");
        }
        if self.request.options.faults == crate::chaos::Faults::OFF {
            line.push_str(" --faults off");
        } else {
            for family in &self.request.without {
                let _ = write!(line, " --without {family}");
            }
        }
        line
    }

    /// For programs: one line.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Json {
            runs: u64,
            failures: Vec<Failed>,
            seeds_per_s: f64,
            trace: String,
        }
        #[derive(Serialize)]
        struct Failed {
            seed: u64,
            signature: String,
            trace: String,
        }
        let failed = self.swept.failures.iter().map(|run| Failed {
            seed: run.seed,
            signature: run.failure.signature(),
            trace: format!("{:016x}", run.trace),
        });
        let json = Json {
            runs: self.swept.runs,
            failures: failed.collect(),
            seeds_per_s: self.swept.runs_per_second(),
            trace: format!("{:016x}", self.swept.trace),
        };
        let line = serde_json::to_string(&json).expect("numbers and strings are JSON");
        line + "\n"
    }
}

fn seeds_of(count: usize) -> String {
    if count == 1 { "1 seed".to_string() } else { format!("{} seeds", grouped(count as u64)) }
}

/// A number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let texts = [0, 12, 123, 1_234, 100_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "123", "1,234", "100,000", "1,234,567"]);
    }

    #[test]
    fn every_bug_has_its_line() {
        let lines = list_bugs();
        assert_eq!(lines.lines().count(), Bug::ALL.len());
        assert!(lines.lines().any(|line| line.starts_with("oversell ") && line.ends_with(" none")));
        assert!(lines.lines().any(|line| line.starts_with("double-charge ") && line.ends_with(" gateway")));
    }
}
