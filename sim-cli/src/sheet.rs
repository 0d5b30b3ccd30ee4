//! What a sweep found, as data: written as lines of JSON, read again, put together from shards.
//!
//! Nothing in it is of the machine or the clock, so the sheet of a sweep is the same however many shards did it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::lines::{End, Failed, Part};
use crate::shard::Shard;

const VERSION: u32 = 1;

/// The findings of a sweep, or of one of its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sheet {
    pub(crate) source: Source,
    pub(crate) shard: Shard,
    /// By the id of the test.
    pub(crate) tests: BTreeMap<String, Tested>,
}

/// What was swept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Where it is under version control.
    pub(crate) commit: Option<String>,
    /// Whether files differ from the commit.
    pub(crate) changed: bool,
    /// A hash of each test program, by package and target.
    pub(crate) programs: BTreeMap<String, String>,
}

/// The findings of one test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tested {
    pub(crate) summary: Summary,
    /// In the order of seeds.
    pub(crate) failed: Vec<Failed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// What runs the test alone, without the seed.
    pub(crate) command: String,
    #[serde(flatten)]
    pub(crate) part: Part,
    /// `None` when the test did not come to its end.
    pub(crate) end: Option<End>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

impl Tested {
    /// What its runs were to see and never saw, if they were enough to say so and all passed: what fails may fail before it
    /// sees anything.
    pub(crate) fn missing(&self) -> Vec<String> {
        match &self.summary.end {
            Some(end) if self.failed.is_empty() => end.missing(),
            _ => Vec::new(),
        }
    }
}

/// Failures of one test with one signature.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) id: &'a str,
    pub(crate) tested: &'a Tested,
    /// The one with the smallest seed.
    pub(crate) first: &'a Failed,
    pub(crate) count: u64,
}

impl Group<'_> {
    pub(crate) fn replay(&self) -> String {
        format!("SIM_SEED={} {}", self.first.seed, self.tested.summary.command)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Row {
    Sweep {
        version: u32,
        shard: u64,
        shards: u64,
        #[serde(flatten)]
        source: Source,
    },
    Failed {
        test: String,
        #[serde(flatten)]
        failed: Failed,
    },
    Test {
        test: String,
        #[serde(flatten)]
        summary: Summary,
    },
    Complete {
        tests: usize,
    },
}

/// The signature of a seed that took two courses.
pub(crate) const NONDETERMINISM: &str = "nondeterminism";

impl Sheet {
    /// Failures by test and signature, the most frequent of a test first.
    pub(crate) fn groups(&self) -> Vec<Group<'_>> {
        let mut all = Vec::new();
        for (id, tested) in &self.tests {
            let mut groups: Vec<Group<'_>> = Vec::new();
            for failed in &tested.failed {
                match groups.iter_mut().find(|group| group.first.signature == failed.signature) {
                    Some(group) => group.count += 1,
                    None => groups.push(Group { id, tested, first: failed, count: 1 }),
                }
            }
            groups.sort_by(|a, b| (b.count, &a.first.signature).cmp(&(a.count, &b.first.signature)));
            all.extend(groups);
        }
        all
    }

    /// What the findings mean for the exit code: what failed says more than what is missing.
    pub(crate) fn verdict(&self) -> Exit {
        let mut failed = self.tests.values().flat_map(|tested| &tested.failed).peekable();
        if failed.peek().is_some() {
            let unsound = failed.all(|failed| failed.signature == NONDETERMINISM);
            return if unsound { Exit::Nondeterminism } else { Exit::FailingSeeds };
        }
        if self.tests.values().any(|tested| tested.summary.end.is_none()) {
            return Exit::Incomplete;
        }
        match self.tests.values().all(|tested| tested.missing().is_empty()) {
            true => Exit::Clean,
            false => Exit::Vacuous,
        }
    }

    /// Sums over all tests.
    pub(crate) fn total(&self) -> End {
        let mut total = End::default();
        for end in self.tests.values().filter_map(|tested| tested.summary.end.as_ref()) {
            add(&mut total, end);
        }
        total
    }

    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        let mut row = |row: &Row| {
            let _ = writeln!(text, "{}", serde_json::to_string(row).expect("rows are plain data"));
        };
        row(&Row::Sweep {
            version: VERSION,
            shard: self.shard.index,
            shards: self.shard.count,
            source: self.source.clone(),
        });
        for (test, tested) in &self.tests {
            for failed in &tested.failed {
                row(&Row::Failed { test: test.clone(), failed: failed.clone() });
            }
            row(&Row::Test { test: test.clone(), summary: tested.summary.clone() });
        }
        row(&Row::Complete { tests: self.tests.len() });
        text
    }

    /// # Errors
    /// When the text is no sheet, was cut off, or is of another version.
    pub(crate) fn read(text: &str) -> Result<Sheet, String> {
        let mut sheet = Sheet { source: Source::default(), shard: Shard::WHOLE, tests: BTreeMap::new() };
        let (mut begun, mut failures, mut complete) = (false, Vec::new(), false);
        for (number, line) in text.lines().enumerate() {
            let row = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))?;
            match row {
                Row::Sweep { version, .. } if version != VERSION => {
                    return Err(format!("it has version {version}, and this cargo sim reads {VERSION}"));
                }
                Row::Sweep { shard, shards, source, .. } => {
                    sheet.shard = Shard { index: shard, count: shards };
                    sheet.source = source;
                    begun = true;
                }
                Row::Failed { test, failed } => failures.push((test, failed)),
                Row::Test { test, summary } => {
                    let (own, others) = failures.into_iter().partition(|(of, _)| *of == test);
                    failures = others;
                    let own: Vec<(String, Failed)> = own;
                    let failed = own.into_iter().map(|(_, failed)| failed).collect();
                    sheet.tests.insert(test, Tested { summary, failed });
                }
                Row::Complete { tests } => complete = tests == sheet.tests.len() && failures.is_empty(),
            }
        }
        match (begun, complete) {
            (true, true) => Ok(sheet),
            (false, _) => Err("it is no report of a sweep".to_owned()),
            (true, false) => Err("it is cut off".to_owned()),
        }
    }
}

/// One sheet of all shards of a sweep.
///
/// # Errors
/// Everything that keeps them from being one whole sweep of the same thing.
pub(crate) fn merge(mut sheets: Vec<Sheet>) -> Result<Sheet, Vec<String>> {
    sheets.sort_by_key(|sheet| sheet.shard);
    let Some(first) = sheets.first() else { return Err(vec!["there is no shard".to_owned()]) };
    let count = first.shard.count;
    let mut problems = Vec::new();
    for sheet in &sheets {
        let of = format!("shard {}", sheet.shard);
        if sheet.shard.count != count {
            problems.push(format!("{of} and shard {} are of different sweeps", first.shard));
        }
        if sheet.source.commit != first.source.commit || sheet.source.changed != first.source.changed {
            let name = |source: &Source| {
                let commit = source.commit.as_deref().unwrap_or("no commit");
                format!("{commit}{}", if source.changed { " with changes" } else { "" })
            };
            problems.push(format!(
                "{of} ran {}, shard {} ran {}",
                name(&sheet.source),
                first.shard,
                name(&first.source)
            ));
        }
        if sheet.source.programs != first.source.programs {
            problems.push(format!("{of} ran other programs than shard {}: their hashes differ", first.shard));
        }
        if !sheet.tests.keys().eq(first.tests.keys()) {
            problems.push(format!("{of} ran other tests than shard {}", first.shard));
        }
    }
    for index in 0..count {
        match sheets.iter().filter(|sheet| sheet.shard.index == index).count() {
            1 => {}
            0 => problems.push(format!("shard {index}/{count} is missing")),
            more => problems.push(format!("shard {index}/{count} is there {more} times")),
        }
    }
    if !problems.is_empty() {
        problems.dedup();
        return Err(problems);
    }
    let (source, ids) = (first.source.clone(), first.tests.keys().cloned().collect::<Vec<_>>());
    let mut whole = Sheet { source, shard: Shard::WHOLE, tests: BTreeMap::new() };
    for id in ids {
        let parts = sheets.iter_mut().filter_map(|sheet| sheet.tests.remove(&id));
        match join(parts) {
            Ok(tested) => drop(whole.tests.insert(id, tested)),
            Err(problem) => problems.push(format!("{id}: {problem}")),
        }
    }
    if problems.is_empty() { Ok(whole) } else { Err(problems) }
}

/// The parts of one test, in the order of shards.
fn join(parts: impl Iterator<Item = Tested>) -> Result<Tested, String> {
    let mut whole: Option<Tested> = None;
    for mut next in parts {
        let Some(so_far) = &mut whole else {
            whole = Some(next);
            continue;
        };
        let (before, part) = (&mut so_far.summary.part, &next.summary.part);
        if next.summary.end.is_some() && so_far.summary.end.is_some() {
            if (before.first, before.count) != (part.first, part.count) {
                return Err("the shards were given different seeds".to_owned());
            }
            if part.part_count > 0
                && before.part_count > 0
                && before.part_first + before.part_count != part.part_first
            {
                return Err(format!(
                    "between the seeds {} and {} is a gap or an overlap",
                    before.part_first + before.part_count - 1,
                    part.part_first
                ));
            }
        }
        if before.part_count == 0 {
            before.part_first = part.part_first;
        }
        before.part_count += part.part_count;
        for failed in &mut next.failed {
            if so_far.failed.iter().any(|earlier| earlier.signature == failed.signature) {
                failed.detail = None;
            }
        }
        so_far.failed.append(&mut next.failed);
        so_far.summary.trouble = so_far.summary.trouble.take().or(next.summary.trouble);
        so_far.summary.end = match (so_far.summary.end.take(), next.summary.end) {
            (Some(mut end), Some(next)) => {
                add(&mut end, &next);
                Some(end)
            }
            _ => None,
        };
    }
    let whole = whole.ok_or("it is in no shard")?;
    let Part { first, count, part_first, part_count, .. } = whole.summary.part;
    match whole.summary.end.is_none() || (part_first == first && part_count == count) {
        true => Ok(whole),
        false => Err(format!("{part_count} of {count} seeds were given to a shard")),
    }
}

/// Adds the sums of other seeds.
fn add(end: &mut End, other: &End) {
    end.runs += other.runs;
    end.failures += other.failures;
    let word = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
    end.trace = format!("{:016x}", word(&end.trace).wrapping_add(word(&other.trace)));
    end.simulated_ns = end.simulated_ns.saturating_add(other.simulated_ns);
    for (name, value) in &other.stats {
        let sum = end.stats.entry(name.clone()).or_default();
        // The most at once, over several runs, is the most in one.
        *sum = if name.starts_with("most_") { *value.max(sum) } else { *sum + value };
    }
    for (family, count) in &other.faults {
        *end.faults.entry(family.clone()).or_default() += count;
    }
    for (what, (asked, held)) in &other.to_be_seen {
        let sum = end.to_be_seen.entry(what.clone()).or_default();
        *sum = (sum.0 + asked, sum.1 + held);
    }
    end.vacuous_after = end.vacuous_after.or(other.vacuous_after);
    for note in &other.notes {
        match end.notes.iter_mut().find(|earlier| earlier.same_kind(note)) {
            Some(earlier) => earlier.runs += note.runs,
            None => end.notes.push(note.clone()),
        }
    }
    end.stopped = end.stopped.take().or_else(|| other.stopped.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Detail;

    fn detail() -> Detail {
        Detail {
            kind: "panic".to_owned(),
            message: "lost".to_owned(),
            site: "a.rs:1:1".to_owned(),
            at_ns: 5,
            node: None,
            details: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// A sweep of 100 seeds from 1000 on, every tenth of which fails, cut as shards are.
    fn shard(index: u64, count: u64) -> Sheet {
        let at = |index: u64| 1000 + index * 100 / count;
        let (first, end) = (at(index), at(index + 1));
        let mut failed: Vec<Failed> = (first..end)
            .filter(|seed| seed % 10 == 3)
            .map(|seed| Failed {
                seed,
                trace: format!("{seed:016x}"),
                signature: format!("panic {}", seed % 20),
                detail: None,
            })
            .collect();
        let mut seen = Vec::new();
        for failed in &mut failed {
            if !seen.contains(&failed.signature) {
                seen.push(failed.signature.clone());
                failed.detail = Some(detail());
            }
        }
        let summary = Summary {
            command: "cargo test".to_owned(),
            part: Part { version: 1, first: 1000, count: 100, part_first: first, part_count: end - first },
            end: Some(End {
                runs: end - first,
                failures: failed.len() as u64,
                trace: format!("{:016x}", (first..end).sum::<u64>()),
                simulated_ns: (end - first) * 1_000,
                stats: [("polls".to_owned(), end - first), ("most_tasks".to_owned(), end)].into(),
                faults: [("kill".to_owned(), end - first)].into(),
                to_be_seen: [("sometimes \"a cart is full\"".to_owned(), (end - first, 0))].into(),
                vacuous_after: Some(100),
                ..End::default()
            }),
            trouble: None,
        };
        let source = Source {
            commit: Some("abc".to_owned()),
            changed: false,
            programs: [("shop::checkout".to_owned(), "1".to_owned())].into(),
        };
        let tests = [("shop::checkout lost".to_owned(), Tested { summary, failed })].into();
        Sheet { source, shard: Shard { index, count }, tests }
    }

    #[test]
    fn however_many_shards_the_sheet_is_the_same() {
        let whole = shard(0, 1);
        assert_eq!(whole.verdict(), Exit::FailingSeeds);
        assert!(
            whole.tests.values().all(|tested| tested.missing().is_empty()),
            "it failed, and may be cut short"
        );
        for count in [1, 2, 3, 7, 100, 250] {
            // In any order, and through their files.
            let shards =
                (0..count).rev().map(|index| Sheet::read(&shard(index, count).write()).unwrap()).collect();
            assert_eq!(merge(shards).unwrap(), whole, "{count} shards");
        }
    }

    #[test]
    fn what_is_no_whole_sweep_is_refused_by_name() {
        let refused = |change: fn(&mut Vec<Sheet>)| {
            let mut shards: Vec<Sheet> = (0..4).map(|index| shard(index, 4)).collect();
            change(&mut shards);
            merge(shards).unwrap_err().join("; ")
        };
        for (change, named) in [
            ((|shards| drop(shards.remove(2))) as fn(&mut Vec<Sheet>), "shard 2/4 is missing"),
            (|shards| shards.push(shard(1, 4)), "shard 1/4 is there 2 times"),
            (|shards| shards.push(shard(1, 5)), "different sweeps"),
            (|shards| shards[3].source.commit = None, "no commit"),
            (|shards| shards[3].source.changed = true, "abc with changes"),
            (|shards| shards[3].source.programs.clear(), "hashes differ"),
            (|shards| shards[3].tests.clear(), "other tests"),
            (
                |shards| shards[3].tests.values_mut().for_each(|tested| tested.summary.part.first = 5),
                "different seeds",
            ),
            (
                |shards| shards[3].tests.values_mut().for_each(|tested| tested.summary.part.part_first += 1),
                "gap or an overlap",
            ),
            (
                |shards| shards[3].tests.values_mut().for_each(|tested| tested.summary.part.part_count -= 1),
                "99 of 100 seeds",
            ),
        ] {
            let problems = refused(change);
            assert!(problems.contains(named), "{named} is missing in {problems}");
        }
        assert!(merge(Vec::new()).is_err());
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused() {
        let text = shard(0, 1).write();
        let lines: Vec<_> = text.lines().collect();
        for kept in 0..lines.len() {
            assert!(Sheet::read(&lines[..kept].join("\n")).is_err(), "{kept} lines");
        }
        assert!(Sheet::read(&text[..text.len() - 5]).unwrap_err().contains("line"));
        assert!(
            Sheet::read(&text.replace("\"version\":1", "\"version\":2")).unwrap_err().contains("version 2")
        );
    }

    #[test]
    fn shards_too_small_to_be_vacuous_are_it_together() {
        let passed = |index, count| {
            let mut sheet = shard(index, count);
            sheet.tests.values_mut().for_each(|tested| tested.failed.clear());
            sheet
        };
        assert_eq!(passed(0, 2).verdict(), Exit::Clean);
        let whole = merge(vec![passed(0, 2), passed(1, 2)]).unwrap();
        assert_eq!(whole.verdict(), Exit::Vacuous);
        let missing = whole.tests.values().next().unwrap().missing();
        assert_eq!(missing, ["sometimes \"a cart is full\": seen in none of 100 times"]);
    }

    #[test]
    fn the_verdict_is_the_worst_that_was_found() {
        let mut sheet = shard(0, 1);
        let tested = sheet.tests.values_mut().next().unwrap();
        tested.failed.truncate(1);
        tested.failed[0].signature = NONDETERMINISM.to_owned();
        assert_eq!(sheet.verdict(), Exit::Nondeterminism);
        sheet.tests.values_mut().for_each(|tested| tested.failed.clear());
        assert_eq!(sheet.verdict(), Exit::Vacuous);
        let change = |sheet: &mut Sheet, change: fn(&mut End)| {
            sheet.tests.values_mut().for_each(|tested| tested.summary.end.iter_mut().for_each(change));
        };
        change(&mut sheet, |end| end.vacuous_after = Some(101));
        assert_eq!(sheet.verdict(), Exit::Clean);
        change(&mut sheet, |end| end.vacuous_after = Some(100));
        change(&mut sheet, |end| end.to_be_seen.values_mut().for_each(|sum| sum.1 = 1));
        assert_eq!(sheet.verdict(), Exit::Clean);
        sheet.tests.values_mut().for_each(|tested| tested.summary.end = None);
        assert_eq!(sheet.verdict(), Exit::Incomplete);
    }
}
