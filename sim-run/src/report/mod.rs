//! The files about a failure: what happened in the run that failed, and in the smallest one that fails in the same way.
//!
//! | file | subject |
//! | --- | --- |
//! | [`trace`] | what happened, as data: the source of all the others |
//! | `files` | [`Files`]: which of them are written |
//! | `folder` | where |
//! | `html` | the page that draws the run; its style and script are in `page/` |
//! | `perfetto` | the trace for another viewer |
//! | `story` | the failure for a pull request |

mod files;
mod folder;
mod html;
mod perfetto;
mod story;
pub mod trace;

pub use files::{Files, InvalidFiles};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::run::Sight;
use crate::settings::Settings;
use crate::shrink::Shrunk;
use trace::{Origin, Trace};

/// The names of all files that are ever written.
const NAMES: &[&str] =
    &["report.html", "story.md", "trace.jsonl", "original.jsonl", "passing.jsonl", "trace.perfetto.json"];

/// The recorded runs of a failure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The run of the seed.
    pub(crate) original: Option<Sight>,
    /// The smallest run.
    pub(crate) shrunk: Option<Sight>,
    /// A run that does not fail, and what it lacks of the smallest one.
    pub(crate) passing: Option<(Sight, String)>,
}

/// A failure of which files are to be written.
pub(crate) struct Case<'a> {
    pub(crate) test: &'a str,
    pub(crate) seed: u64,
    pub(crate) signature: &'a str,
    /// What the smallest run comes to, if there is one.
    pub(crate) shrunk: Option<&'a Shrunk>,
    /// The line for a shell that shows a run again: the one of this token, or of the seed.
    pub(crate) replay: &'a dyn Fn(Option<&str>) -> String,
    pub(crate) evidence: &'a Evidence,
}

/// Which files are written of failures, and where.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    files: Files,
    root: PathBuf,
}

impl Reports {
    /// As the environment says, or `files` in the directory of what is built.
    pub(crate) fn of(settings: &Settings, files: Files) -> Reports {
        let root = settings.report_dir.clone().unwrap_or_else(folder::default_root);
        Reports { files: settings.files.unwrap_or(files), root }
    }

    /// Whether runs have to be recorded.
    pub(crate) fn any(&self) -> bool {
        self.files != Files::NONE
    }

    /// Writes the files of a failure; gives those that a reader is to open, the best first.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(crate) fn write(&self, case: &Case<'_>) -> io::Result<Vec<PathBuf>> {
        let folder = self.root.join(folder::name(case.test)).join(folder::name(case.signature));
        folder::make_clean(&folder, NAMES)?;
        let traces = case.traces();
        let mut written = Vec::new();
        if let Some(page) = self.files.html.then(|| html::page(case, &traces)).flatten() {
            written.push(write(&folder, "report.html", &page)?);
        }
        if let Some(page) = self.files.story.then(|| story::page(case, &traces)).flatten() {
            written.push(write(&folder, "story.md", &page)?);
        }
        if self.files.jsonl {
            for (name, trace) in &traces {
                written.push(write(&folder, name, &trace.to_string())?);
            }
        }
        if let Some((_, trace)) = traces.first().filter(|_| self.files.perfetto) {
            written.push(write(&folder, "trace.perfetto.json", &perfetto::file(trace))?);
        }
        Ok(written)
    }
}

impl Case<'_> {
    /// The recorded runs with the names of their files, the one to read first.
    fn traces(&self) -> Vec<(&'static str, Trace)> {
        let token = self.shrunk.map(|shrunk| shrunk.token.to_string());
        let trace = |run, token: Option<String>, seen: &Sight| {
            let replay = (run != "passing").then(|| (self.replay)(token.as_deref()));
            Trace::of(&Origin { run, test: self.test.to_owned(), seed: self.seed, token, replay }, seen)
        };
        let Evidence { original, shrunk, passing } = self.evidence;
        let shrunk = shrunk.as_ref().map(|seen| trace("shrunk", token, seen));
        let original = original.as_ref().map(|seen| trace("original", None, seen));
        let passing = passing.as_ref().map(|(seen, _)| trace("passing", None, seen));
        // The one that a reader wants has the plain name.
        let names = if shrunk.is_some() { ["trace.jsonl", "original.jsonl"] } else { ["", "trace.jsonl"] };
        [(names[0], shrunk), (names[1], original), ("passing.jsonl", passing)]
            .into_iter()
            .filter_map(|(name, trace)| Some((name, trace?)))
            .collect()
    }
}

fn write(folder: &Path, name: &str, content: &str) -> io::Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, content).map_err(|error| folder::at(&path, error))?;
    Ok(path)
}
