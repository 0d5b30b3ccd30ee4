//! The files and the text that a sheet becomes: JSONL, JUnit, Markdown, lines for a terminal.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::exit::Trouble;
use crate::sheet::{Group, NONDETERMINISM, Sheet, Tested};

/// Writes the three files of a whole sweep.
pub(crate) fn write_all(sheet: &Sheet, directory: &Path) -> Result<(), Trouble> {
    write(&directory.join("sweep.jsonl"), &sheet.write())?;
    write(&directory.join("junit.xml"), &junit(sheet)?)?;
    write(&directory.join("summary.md"), &markdown(sheet))
}

/// Writes a file whole or not at all: who finds it finds all of it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    let attempt = || -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        fs::write(&partial, text)?;
        fs::rename(&partial, path)
    };
    attempt().map_err(|error| Trouble::internal(format!("{} cannot be written: {error}", path.display())))
}

/// One test suite a program, one test case a test; a failure for the commonest signature, which lists all.
fn junit(sheet: &Sheet) -> Result<String, Trouble> {
    let mut report = Report::new("cargo sim");
    let groups = sheet.groups();
    let mut suites: Vec<(&str, TestSuite)> = Vec::new();
    for (id, tested) in &sheet.tests {
        let (suite, name) = id.split_once(' ').unwrap_or(("", id));
        let mut case = TestCase::new(name, status(id, tested, &groups));
        case.set_classname(suite);
        if suites.last().is_none_or(|(last, _)| *last != suite) {
            suites.push((suite, TestSuite::new(suite)));
        }
        if let Some((_, suite)) = suites.last_mut() {
            suite.add_test_case(case);
        }
    }
    report.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    report.to_string().map_err(|error| Trouble::internal(format!("junit.xml cannot be made: {error}")))
}

fn status(id: &str, tested: &Tested, groups: &[Group<'_>]) -> TestCaseStatus {
    let own: Vec<_> = groups.iter().filter(|group| group.id == id).collect();
    let Some(commonest) = own.first() else {
        if tested.summary.end.is_some() {
            let missing = tested.missing();
            if missing.is_empty() {
                return TestCaseStatus::success();
            }
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(format!("vacuous: {}", missing[0]));
            status.set_type("vacuous");
            status.set_description(missing.join("\n"));
            return status;
        }
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("the sweep did not come to its end");
        status.set_description(tested.summary.trouble.clone().unwrap_or_default());
        return status;
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let message = commonest.first.detail.as_ref().map_or("", |detail| detail.message.as_str());
    status.set_message(format!("{}: {message}", commonest.first.signature));
    status.set_type(commonest.first.signature.clone());
    let text: Vec<_> = own
        .iter()
        .map(|group| format!("{} times {}\n  replay: {}", group.count, group.first.signature, group.replay()))
        .collect();
    status.set_description(text.join("\n"));
    status
}

/// A page for a pull request or the summary of a job.
fn markdown(sheet: &Sheet) -> String {
    let (groups, total) = (sheet.groups(), sheet.total());
    let mut text = String::new();
    let failed = match total.failures {
        0 => "none failed".to_owned(),
        failures => format!("**{failures} failed**"),
    };
    let _ = writeln!(
        text,
        "# Simulation sweep\n\n{} runs of {} tests, {failed}; {} of virtual time.\n",
        total.runs,
        sheet.tests.len(),
        time(total.simulated_ns)
    );
    if !groups.is_empty() {
        let _ = writeln!(text, "| test | signature | seeds | replay |\n| --- | --- | ---: | --- |");
        for group in &groups {
            let [id, signature, replay] =
                [group.id, &group.first.signature, &group.replay()].map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(text, "| {id} | {signature} | {} | `{replay}` |", group.count);
        }
        text.push('\n');
    }
    for (id, tested) in sheet.tests.iter().filter(|(_, tested)| tested.summary.end.is_none()) {
        let why = tested.summary.trouble.as_deref().unwrap_or("unknown");
        let _ = writeln!(text, "**{id} did not come to its end**: {why}\n");
    }
    for (id, tested) in &sheet.tests {
        for what in tested.missing() {
            let _ = writeln!(text, "**{id} is vacuous**: {what}\n");
        }
    }
    if !total.faults.is_empty() {
        let _ = writeln!(text, "| faults | injected |\n| --- | ---: |");
        for (family, count) in &total.faults {
            let _ = writeln!(text, "| {family} | {count} |");
        }
    }
    text
}

/// What is printed at the end.
pub(crate) fn text(sheet: &Sheet) -> String {
    let (groups, total) = (sheet.groups(), sheet.total());
    let mut text = String::new();
    for group in &groups {
        let seeds = if group.count == 1 { "seed" } else { "seeds" };
        let _ = writeln!(text, "{}: {} {seeds} failed with {}", group.id, group.count, group.first.signature);
        if let Some(detail) = &group.first.detail {
            let first = detail.message.lines().next().unwrap_or_default();
            let node = detail.node.as_ref().map(|node| format!(", on node {node}")).unwrap_or_default();
            let _ =
                writeln!(text, "  {}: {first}, at {} of virtual time{node}", detail.kind, time(detail.at_ns));
        }
        if let Some(detail) = group.first.detail.as_ref().filter(|_| group.first.signature == NONDETERMINISM)
        {
            for line in &detail.details {
                let _ = writeln!(text, "    {line}");
            }
        }
        let _ = writeln!(text, "  replay: {}", group.replay());
    }
    for (id, tested) in &sheet.tests {
        let Some(end) = &tested.summary.end else {
            let why = tested.summary.trouble.as_deref().unwrap_or("unknown");
            let _ = writeln!(text, "{id}: did not come to its end: {why}");
            continue;
        };
        for what in tested.missing() {
            let _ = writeln!(text, "{id}: vacuous: {what}");
        }
        for note in &end.notes {
            let _ =
                writeln!(text, "{id}: note on {} runs, as on seed {}: {}", note.runs, note.seed, note.text);
        }
    }
    let faults: Vec<_> = total.faults.iter().map(|(family, count)| format!("{family} {count}")).collect();
    if !faults.is_empty() {
        let _ = writeln!(text, "faults: {}", faults.join(", "));
    }
    let _ = writeln!(
        text,
        "{} tests, {} runs, {} failed, {} of virtual time",
        sheet.tests.len(),
        total.runs,
        total.failures,
        time(total.simulated_ns)
    );
    text
}

/// ns in a unit that people read.
pub(crate) fn time(nanos: u64) -> String {
    let seconds = Duration::from_nanos(nanos).as_secs_f64();
    match seconds {
        _ if seconds < 0.001 => format!("{} µs", nanos as f64 / 1e3),
        _ if seconds < 1.0 => format!("{:.3} ms", seconds * 1e3),
        _ if seconds < 600.0 => format!("{seconds:.3} s"),
        _ if seconds < 100.0 * 3600.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}
