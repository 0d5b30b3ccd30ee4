//! What the command line prints.

use crate::request::Request;
use crate::{Planted, Summary, System};
use serde::Serialize;
use sim::{FailedRun, Run, SweepReport};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A line for each planted bug: name, signature, fault families that it needs.
pub(crate) fn list_bugs<B: Planted>() -> String {
    let signature = B::ALL.iter().map(|bug| bug.signature().len()).max().unwrap_or(0);
    let mut lines = String::new();
    for bug in B::ALL {
        let needs = bug.needs().unwrap_or("none");
        let _ = writeln!(lines, "{:<18} {:<signature$}  {needs}", bug.name(), bug.signature());
    }
    lines
}

/// A sweep, as it is told.
pub(crate) struct Report<'a, S: System> {
    request: &'a Request<S::Bug>,
    /// Of all runs that passed.
    sums: S::Summary,
    /// How often faults of each family happened, in all runs.
    faults: BTreeMap<String, u64>,
}

/// How many failing seeds are listed of each signature.
const LISTED: usize = 5;

impl<'a, S: System> Report<'a, S> {
    pub(crate) fn new(request: &'a Request<S::Bug>) -> Self {
        Report { request, sums: S::Summary::default(), faults: BTreeMap::new() }
    }

    /// Adds what one run came to.
    pub(crate) fn add(&mut self, run: &Run<S::Summary>) {
        for fault in run.faults.iter().filter(|fault| fault.happened()) {
            match self.faults.get_mut(&*fault.family) {
                Some(times) => *times += 1,
                None => _ = self.faults.insert(fault.family.to_string(), 1),
            }
        }
        if let Ok(summary) = &run.result {
            self.sums += summary.clone();
        }
    }

    /// For people.
    pub(crate) fn table(&self, swept: &SweepReport) -> String {
        let mut text = String::new();
        self.write(swept, &mut text).expect("a String takes everything");
        text
    }

    fn write(&self, swept: &SweepReport, out: &mut String) -> std::fmt::Result {
        let simulated = swept.simulated.as_secs();
        let mut row = |what: &str, value: String| writeln!(out, "{what:<20} {value}");
        row("seeds", grouped(swept.runs))?;
        row("seeds/s", grouped(swept.runs_per_second() as u64))?;
        row(
            "simulated time",
            format!("{} h {} min {} s", simulated / 3600, simulated / 60 % 60, simulated % 60),
        )?;
        row("faults fired", grouped(self.faults.values().sum()))?;
        let by_family: Vec<_> =
            self.faults.iter().map(|(family, times)| format!("{family} {}", grouped(*times))).collect();
        for line in by_family.chunks(FAMILIES_A_LINE) {
            row("", line.join(", "))?;
        }
        if swept.stats.vetoes > 0 {
            row("faults vetoed", grouped(swept.stats.vetoes))?;
        }
        let failed = swept.failures.len();
        if (failed as u64) < swept.runs {
            for (what, sum) in self.sums.rows() {
                row(what, grouped(sum))?;
            }
        }
        if failed > 0 {
            let rest =
                if failed as u64 == swept.runs { "" } else { ", of which only the faults are counted" };
            row("failed", format!("{}{rest}", seeds_of(failed)))?;
        }
        for invariant in S::INVARIANTS {
            let signatures = ["invariant", "liveness"].map(|kind| format!("{kind} {invariant}"));
            let broken = |run: &&FailedRun| signatures.contains(&run.failure.signature());
            match swept.failures.iter().filter(broken).count() {
                0 => row("held", invariant.to_string())?,
                seeds => row("BROKEN", format!("{invariant}, in {}", seeds_of(seeds)))?,
            }
        }
        for missing in &swept.missing {
            row(if swept.vacuous { "VACUOUS" } else { "missing" }, missing.to_string())?;
        }
        for note in &swept.notes {
            row("note", note.to_string())?;
        }
        if self.request.single {
            self.write_failure(swept, out)?;
        } else {
            self.write_groups(swept, out)?;
        }
        self.write_shrunk(swept, out)
    }

    /// The story of each kind of failure.
    fn write_shrunk(&self, swept: &SweepReport, out: &mut String) -> std::fmt::Result {
        let files = swept.files.iter().map(|files| files.first()).chain(std::iter::repeat(None));
        for (shrunk, file) in swept.shrunk.iter().zip(files) {
            match shrunk {
                Ok(shrunk) => {
                    writeln!(out, "\n{shrunk}\nreplay: SIM_REPLAY={} {}", shrunk.token, self.command())?;
                }
                Err(why) => writeln!(out, "\n{why}")?,
            }
            if let Some(file) = file {
                writeln!(out, "report: {}", file.display())?;
            }
        }
        Ok(())
    }

    /// The failure of the one seed that was asked for, in full.
    fn write_failure(&self, swept: &SweepReport, out: &mut String) -> std::fmt::Result {
        for run in &swept.failures {
            writeln!(out, "\nseed {} failed: {}", run.seed, run.failure)?;
            for line in &run.failure.details {
                writeln!(out, "  {line}")?;
            }
            writeln!(out, "  trace {:016x}\n  again: {}", run.trace, self.replay(run.seed))?;
        }
        Ok(())
    }

    fn write_groups(&self, swept: &SweepReport, out: &mut String) -> std::fmt::Result {
        for group in swept.groups() {
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
        format!("cargo run --release -p {} -- --seed {seed}{}", S::NAME, self.options())
    }

    /// The line that runs the same but for seeds.
    pub(crate) fn command(&self) -> String {
        format!("cargo run --release -p {} --{}", S::NAME, self.options())
    }

    /// What was asked for besides seeds, as arguments.
    fn options(&self) -> String {
        let bug = self.request.options.bug.map_or(String::new(), |bug| format!(" --bug {}", bug.name()));
        format!("{bug}{}", self.request.options.faults.arguments())
    }
}

/// How many families are told in a line.
const FAMILIES_A_LINE: usize = 5;

/// For programs: one line.
pub(crate) fn json(swept: &SweepReport) -> String {
    #[derive(Serialize)]
    struct Json {
        runs: u64,
        failures: Vec<Failed>,
        seeds_per_s: f64,
        trace: String,
        /// What the sweep has not tested.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        shrunk: Vec<Smallest>,
    }
    #[derive(Serialize)]
    struct Smallest {
        seed: u64,
        signature: String,
        operations: usize,
        faults: usize,
        others: usize,
        executions: u64,
        token: String,
    }
    #[derive(Serialize)]
    struct Failed {
        seed: u64,
        signature: String,
        trace: String,
    }
    let failed = swept.failures.iter().map(|run| Failed {
        seed: run.seed,
        signature: run.failure.signature(),
        trace: format!("{:016x}", run.trace),
    });
    let shrunk = swept.shrunk.iter().flatten().map(|shrunk| Smallest {
        seed: shrunk.seed,
        signature: shrunk.failure.signature(),
        operations: shrunk.size.operations,
        faults: shrunk.size.faults,
        others: shrunk.size.others,
        executions: shrunk.executions,
        token: shrunk.token.to_string(),
    });
    let json = Json {
        runs: swept.runs,
        failures: failed.collect(),
        seeds_per_s: swept.runs_per_second(),
        trace: format!("{:016x}", swept.trace),
        missing: swept.missing.iter().filter(|_| swept.vacuous).map(ToString::to_string).collect(),
        shrunk: shrunk.collect(),
    };
    let line = serde_json::to_string(&json).expect("numbers and strings are JSON");
    line + "\n"
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
    use crate::request::tests::{Bug, Clock, Ticks, parsed};
    use sim::{Isolate, sweep};

    #[test]
    fn numbers_are_grouped_by_three() {
        let texts = [0, 12, 123, 1_234, 100_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "123", "1,234", "100,000", "1,234,567"]);
    }

    #[test]
    fn every_bug_has_its_line() {
        let lines = list_bugs::<Bug>();
        let words: Vec<Vec<_>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            words,
            [["late", "invariant", "on", "time", "pause"], ["early", "invariant", "on", "time", "none"]]
        );
    }

    fn table(arguments: &str) -> String {
        let request = parsed(arguments).unwrap();
        let mut report = Report::<Clock>::new(&request);
        let swept = sweep(request.seeds.clone())
            .isolate(Isolate::Thread)
            .on_run(|run: &Run<Ticks>| report.add(run))
            .run(|sim| Clock::run(sim, request.options.clone()));
        report.table(&swept)
    }

    #[test]
    fn a_clean_sweep_has_a_row_for_everything() {
        let table = table("--seeds 3");
        for row in ["seeds                3", "ticks                3,000", "held                 on time"] {
            assert!(table.contains(row), "{row} is missing:\n{table}");
        }
        assert!(!table.contains("BROKEN"), "{table}");
    }

    #[test]
    fn a_failing_sweep_says_what_broke_and_how_to_see_it_again() {
        let table = table("--seeds 4..10 --bug late --without kill");
        for row in [
            "failed               6 seeds\n",
            "BROKEN               on time, in 6 seeds",
            "held                 in order",
            "invariant on time: 6 seeds (4, 5, 6, 7, 8, …)",
            "again: cargo run --release -p clock -- --seed 4 --bug late --without kill",
        ] {
            assert!(table.contains(row), "{row} is missing:\n{table}");
        }
    }
}
