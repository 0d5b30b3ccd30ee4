//! Which files are written of a failure.

use std::fmt;
use std::str::FromStr;

/// Which files are written of a failure. The default is what people read, and the trace that programs do.
///
/// As text, `SIM_TRACE` has their names with commas between them.
///
/// ```
/// use sim_run::Files;
///
/// assert_eq!("jsonl".parse(), Ok(Files { jsonl: true, ..Files::NONE }));
/// assert_eq!("none".parse(), Ok(Files::NONE));
/// assert!("pdf".parse::<Files>().unwrap_err().to_string().contains("jsonl"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// `html`: `report.html`, a page that draws the run.
    pub html: bool,
    /// `jsonl`: `trace.jsonl`, what happened as data.
    pub jsonl: bool,
    /// `perfetto`: `trace.perfetto.json`, for ui.perfetto.dev.
    pub perfetto: bool,
    /// `story`: `story.md`, for a pull request.
    pub story: bool,
}

impl Files {
    /// None of them: runs are not recorded.
    pub const NONE: Files = Files { html: false, jsonl: false, perfetto: false, story: false };
    /// All of them.
    pub const ALL: Files = Files { html: true, jsonl: true, perfetto: true, story: true };
}

impl Default for Files {
    fn default() -> Self {
        Files { html: true, jsonl: true, perfetto: false, story: true }
    }
}

impl FromStr for Files {
    type Err = InvalidFiles;

    fn from_str(text: &str) -> Result<Files, InvalidFiles> {
        match text.trim() {
            "none" => return Ok(Files::NONE),
            "all" => return Ok(Files::ALL),
            _ => {}
        }
        let mut files = Files::NONE;
        for name in text.split(',') {
            match name.trim() {
                "html" => files.html = true,
                "jsonl" => files.jsonl = true,
                "perfetto" => files.perfetto = true,
                "story" => files.story = true,
                _ => return Err(InvalidFiles(name.trim().to_owned())),
            }
        }
        Ok(files)
    }
}

/// A text that names no file that could be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidFiles(String);

impl fmt::Display for InvalidFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no kind of file: expected html, jsonl, perfetto, story, all, or none", self.0)
    }
}

impl std::error::Error for InvalidFiles {}
