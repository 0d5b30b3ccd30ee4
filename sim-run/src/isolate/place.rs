//! Which of a program's sweeps this is, so that a worker that runs the same program knows the one to serve.
//!
//! A sweep is known by the test that it is in (none in a program), its place in the source, and how often the
//! program was there before. A worker that comes to an earlier sweep is given the report that the supervisor had
//! of it, so that the program goes the same way.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// One sweep of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Full name of the test in the harness; `None` in a program.
    pub(crate) test: Option<String>,
    site: String,
    ordinal: u64,
}

static VISITS: Mutex<BTreeMap<(Option<String>, String), u64>> = Mutex::new(BTreeMap::new());
static HISTORY: Mutex<BTreeMap<Option<String>, History>> = Mutex::new(BTreeMap::new());

/// Bytes of reports that are kept of a test or program: each worker is sent all of them.
pub(super) const ROOM: usize = 64 << 20;
/// What an entry takes beside its text, about.
const ENTRY: usize = 64;

/// The reports of the sweeps that a test or program has done.
#[derive(Debug, Default)]
struct History {
    reports: BTreeMap<String, Box<[u8]>>,
    /// What all reports take that were ever added. Beyond [`ROOM`] none is kept.
    bytes: usize,
}

impl History {
    fn add(&mut self, name: String, report: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(ENTRY + name.len() + report.len());
        if self.is_full() {
            self.reports.clear();
        } else {
            self.reports.insert(name, report.into());
        }
    }

    /// A worker that was told only a part of what came before would stop at the first sweep that it does not know.
    fn is_full(&self) -> bool {
        self.bytes > ROOM
    }
}

impl Place {
    /// A visit of `site`, in the test of that name or in the one that this thread runs.
    pub(crate) fn visit(test: Option<&str>, site: &Location<'_>) -> Place {
        let test = test.map(str::to_owned).or_else(test_of_this_thread);
        let site = format!("{}:{}:{}", site.file(), site.line(), site.column());
        let mut visits = VISITS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = visits.entry((test.clone(), site.clone())).or_default();
        let ordinal = *count;
        *count += 1;
        Place { test, site, ordinal }
    }

    /// What its saved runs are runs of: the test, or the program.
    pub(crate) fn subject(&self) -> String {
        self.test.clone().unwrap_or_else(|| {
            let program = std::env::current_exe().ok();
            let name = program.as_deref().and_then(std::path::Path::file_stem);
            name.map_or_else(|| "program".to_owned(), |name| name.to_string_lossy().into_owned())
        })
    }

    /// Keeps the report of a sweep for the workers of later ones. Also of one on threads: a worker that did it
    /// again would not be a process in which nothing ran.
    pub(crate) fn remember(&self, report: Vec<u8>) {
        let mut history = HISTORY.lock().unwrap_or_else(PoisonError::into_inner);
        history.entry(self.test.clone()).or_default().add(self.to_string(), report);
    }

    /// Whether the sweeps before this one left too much to tell a worker.
    #[cfg(unix)]
    pub(super) fn has_too_much_before(&self) -> bool {
        let history = HISTORY.lock().unwrap_or_else(PoisonError::into_inner);
        history.get(&self.test).is_some_and(History::is_full)
    }

    /// Calls `f` with the name and report of each earlier sweep in the same test or program.
    #[cfg(unix)]
    pub(super) fn earlier<E>(&self, mut f: impl FnMut(&str, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let history = HISTORY.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = history.get(&self.test).into_iter().flat_map(|history| &history.reports);
        reports.into_iter().try_for_each(|(name, report)| f(name, report))
    }

    /// Arguments with which this program comes to this sweep again.
    #[cfg(unix)]
    pub(super) fn arguments(&self) -> Vec<std::ffi::OsString> {
        match &self.test {
            None => std::env::args_os().skip(1).collect(),
            Some(test) => [test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]
                .into_iter()
                .map(Into::into)
                .collect(),
        }
    }
}

/// The name that a worker knows the place by.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.test.as_deref().unwrap_or_default(), self.site, self.ordinal)
    }
}

/// The test that this thread runs, when this is a test binary of cargo's with the standard harness: that names the
/// thread after the test, and never runs one on the main thread.
fn test_of_this_thread() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let built_as_test = program.parent()?.file_name()? == "deps";
    #[allow(clippy::disallowed_methods, reason = "the harness says the name of its test nowhere else")]
    let thread = std::thread::current();
    thread.name().filter(|&name| built_as_test && name != "main").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut history = History::default();
        history.add("a small one".to_owned(), vec![1; 100]);
        assert_eq!((history.reports.len(), history.is_full()), (1, false));
        history.add("a large one".to_owned(), vec![1; ROOM]);
        history.add("one more".to_owned(), vec![1]);
        assert_eq!((history.reports.len(), history.is_full()), (0, true));

        let mut many = History::default();
        for run in 0..ROOM / 128 {
            many.add(run.to_string(), vec![0; 128]);
        }
        assert!(many.is_full() && many.reports.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn tests_have_their_own_history() {
        let [one, other] = ["one", "other"].map(|test| Place::visit(Some(test), Location::caller()));
        one.remember(vec![7]);
        let seen = |place: &Place| {
            let mut seen = Vec::new();
            let all: Result<(), ()> = place.earlier(|name, report| {
                seen.push((name.to_owned(), report.to_vec()));
                Ok(())
            });
            all.map(|()| seen).unwrap()
        };
        assert_eq!(seen(&one), [(one.to_string(), vec![7])]);
        assert_eq!(seen(&other), []);
        one.remember(vec![0; ROOM]);
        assert!(one.has_too_much_before() && !other.has_too_much_before());
        assert_eq!(seen(&one), []);
    }

    #[test]
    fn a_place_is_test_site_and_visit() {
        let here = || Location::caller();
        let site = here();
        let [first, second] = [(); 2].map(|()| Place::visit(None, site));
        assert_eq!(first.test.as_deref(), Some("isolate::place::tests::a_place_is_test_site_and_visit"));
        assert_ne!(first.to_string(), second.to_string());
        assert_eq!(Place::visit(Some("other"), site).ordinal, 0);
    }
}
