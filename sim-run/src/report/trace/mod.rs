//! The trace of a run: what happened in it, a line of JSON each, in the order in which it happened. `docs/trace.md` says
//! what each line has.
//!
//! A trace says nothing of the machine that made it: two traces of one run are equal, byte for byte.

mod line;
mod make;

pub use line::{Arrival, Fate, Head, How, Line, What};
pub(crate) use make::Origin;

use std::fmt::{self, Write as _};

/// What every trace says that it is.
const SCHEMA: &str = "sim.trace";
/// Of the schema. A change that a reader of this one would misunderstand is another version; fields may be added.
pub const VERSION: u32 = 1;

/// A run as it is told to programs: a head, and a line for each thing that happened.
///
/// Displayed, it is the content of `trace.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Which run it is of.
    pub head: Head,
    /// What happened, in the order in which it happened.
    pub lines: Vec<Line>,
}

impl Trace {
    /// Reads what [`Display`](fmt::Display) has written. Empty lines are left out.
    ///
    /// # Errors
    /// When a line cannot be read, or when another version has written it.
    pub fn read(text: &str) -> Result<Trace, InvalidTrace> {
        let mut numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let Some((place, first)) = numbered.next() else {
            return Err(InvalidTrace { line: 1, why: "there is nothing in it".to_owned() });
        };
        let invalid = |place: usize, why: String| InvalidTrace { line: place + 1, why };
        let form: line::Form = serde_json::from_str(first)
            .map_err(|error| invalid(place, format!("no head of a trace: {error}")))?;
        if (&*form.schema, form.version) != (SCHEMA, VERSION) {
            let why = format!(
                "it is a {} of version {}, and this reads {SCHEMA} of version {VERSION}",
                form.schema, form.version
            );
            return Err(invalid(place, why));
        }
        let head = serde_json::from_str(first).map_err(|error| invalid(place, error.to_string()))?;
        let lines = numbered
            .map(|(place, line)| {
                serde_json::from_str(line).map_err(|error| invalid(place, error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Trace { head, lines })
    }

    /// How the run failed, if it did.
    pub fn failure(&self) -> Option<&Line> {
        self.lines.iter().rev().find(|line| matches!(line.what, What::Failure { .. }))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = line::Form { schema: SCHEMA.to_owned(), version: VERSION };
        let head = line::Headed { form, head: &self.head };
        writeln!(f, "{}", serde_json::to_string(&head).map_err(|_| fmt::Error)?)?;
        for line in &self.lines {
            f.write_str(&serde_json::to_string(line).map_err(|_| fmt::Error)?)?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// A text that is no trace; says which line, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidTrace {
    /// Counted from 1.
    pub line: usize,
    why: String,
}

impl fmt::Display for InvalidTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the trace cannot be read: {}", self.line, self.why)
    }
}

impl std::error::Error for InvalidTrace {}
