//! Runs the tests of a workspace over seeds, one test after the other: each keeps all cores busy by itself.

use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::exit::Trouble;
use crate::lines::{Line, Orders, Seeds, SoFar, VARIABLE};
use crate::screen::Screen;
use crate::shard::Shard;
use crate::sheet::{Sheet, Source, Summary, Tested};
use crate::workspace::{Test, Workspace};

/// Lines of standard error that are kept to say what a test died of.
const LAST_WORDS: usize = 5;

/// What a sweep does, besides its tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) seeds: Option<Seeds>,
    /// Real time for all tests together.
    pub(crate) budget: Option<Duration>,
    pub(crate) jobs: Option<u64>,
    /// Ends the sweep.
    pub(crate) until_failures: Option<u64>,
    /// Runs every seed twice.
    pub(crate) twice: bool,
}

/// The real and CPU time of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
}

/// Sweeps over the tests.
///
/// # Errors
/// When programs cannot be started or read. What a test does is no error.
pub(crate) fn sweep(
    workspace: &Workspace,
    tests: &[Test],
    options: &Options,
    shard: Shard,
) -> Result<(Sheet, Spent), Trouble> {
    let mut sheet = Sheet { source: source(workspace, tests)?, shard, tests: Default::default() };
    let (mut screen, mut cpu, mut failures) = (Screen::new(), 0, 0);
    for (index, test) in tests.iter().enumerate() {
        let orders = Orders {
            seeds: options.seeds,
            shard: (shard != Shard::WHOLE).then_some((shard.index, shard.count)),
            budget_ms: options.budget.map(|budget| {
                let left =
                    budget.saturating_sub(screen.elapsed()).as_millis() / (tests.len() - index) as u128;
                u64::try_from(left).unwrap_or(u64::MAX)
            }),
            twice: options.twice,
            stop_after: options.until_failures.map(|enough| enough - failures),
            ..Orders::default()
        };
        let mut tested =
            Tested { summary: Summary { command: test.alone(), ..Summary::default() }, ..Tested::default() };
        let id = test.id();
        let mut program = test.command();
        if let Some(jobs) = options.jobs {
            program.env("SIM_JOBS", jobs.to_string());
        }
        let trouble = follow(program, &orders, |line| {
            let summary = &mut tested.summary;
            match line {
                Line::Start(part) => {
                    summary.part = part;
                    screen.show(index + 1, tests.len(), &id, summary.part.part_count, &SoFar::default());
                }
                Line::SoFar(so_far) => {
                    screen.show(index + 1, tests.len(), &id, summary.part.part_count, &so_far);
                }
                Line::Failed(failed) => tested.failed.push(failed),
                Line::End(end) => summary.end = Some(end),
                Line::Divergence { seed, found } => {
                    let detail = tested
                        .failed
                        .iter_mut()
                        .filter(|failed| failed.seed == seed)
                        .find_map(|failed| failed.detail.as_mut());
                    if let Some(detail) = detail {
                        // In place of the general hint.
                        detail.details.pop();
                        detail.details.extend(found);
                    }
                }
                Line::Time { cpu_ns } => cpu += cpu_ns,
                Line::Doctor(_) | Line::Pruned(_) => {}
            }
        })?;
        if tested.summary.end.is_none() {
            tested.summary.trouble = Some(trouble);
        }
        failures += tested.failed.len() as u64;
        sheet.tests.insert(id, tested);
        if options.until_failures.is_some_and(|enough| failures >= enough) {
            break;
        }
    }
    screen.clear();
    Ok((sheet, Spent { elapsed: screen.elapsed(), cpu: Duration::from_nanos(cpu) }))
}

/// Starts a test with orders and hands on what it says. Returns how its process ended, for people.
pub(crate) fn follow(
    mut program: Command,
    orders: &Orders,
    mut each: impl FnMut(Line),
) -> Result<String, Trouble> {
    let orders = serde_json::to_string(orders).map_err(|error| Trouble::internal(error.to_string()))?;
    let mut process = program
        .env(VARIABLE, orders)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Trouble::internal(format!("a test cannot be started: {error}")))?;
    let listener = process.stderr.take().map(|stderr| thread::spawn(|| last_words(stderr)));
    let mut misread = None;
    if let Some(stdout) = process.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while stdout.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            match Line::read(&String::from_utf8_lossy(&bytes)) {
                Some(Ok(line)) => each(line),
                Some(Err(error)) => misread = misread.or(Some(error)),
                None => {}
            }
            bytes.clear();
        }
    }
    let status =
        process.wait().map_err(|error| Trouble::internal(format!("a test cannot be waited for: {error}")))?;
    let said = listener.and_then(|listener| listener.join().ok()).unwrap_or_default();
    Ok(match misread {
        Some(error) => format!("it said what cannot be understood: {error}"),
        None if said.is_empty() => status.to_string(),
        None => format!("{status}: {said}"),
    })
}

/// Reads all, and keeps the end.
fn last_words(from: impl Read) -> String {
    let mut kept = VecDeque::new();
    let (mut from, mut bytes) = (BufReader::new(from), Vec::new());
    while from.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        let line = String::from_utf8_lossy(&bytes).trim().to_owned();
        bytes.clear();
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            continue;
        }
        kept.push_back(line);
        if kept.len() > LAST_WORDS {
            kept.pop_front();
        }
    }
    Vec::from(kept).join("; ")
}

/// What is swept: the commit, and a hash of each program.
fn source(workspace: &Workspace, tests: &[Test]) -> Result<Source, Trouble> {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).current_dir(&workspace.workspace_root).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let mut source = Source {
        commit: git(&["rev-parse", "HEAD"]),
        changed: git(&["status", "--porcelain", "--untracked-files=no"])
            .is_some_and(|status| !status.is_empty()),
        ..Source::default()
    };
    for test in tests {
        if let Entry::Vacant(entry) = source.programs.entry(test.of()) {
            let bytes = std::fs::read(&test.program).map_err(|error| {
                Trouble::internal(format!("{} cannot be read: {error}", test.program.display()))
            })?;
            entry.insert(format!("{:016x}", fnv(&bytes)));
        }
    }
    Ok(source)
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): against mistakes, not against forgers.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of the draft.
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_last_words_are_kept() {
        let text = (0..20).map(|line| format!("line {line}\n\n")).collect::<String>();
        assert_eq!(last_words(text.as_bytes()), "line 15; line 16; line 17; line 18; line 19");
    }
}
