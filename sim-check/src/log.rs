//! Histories as Jepsen logs them: a line for each end of an operation, with process, type, function and value, separated by
//! tabs, behind whatever else the line begins with. Porcupine's etcd tests are such logs.
//!
//! ```
//! let text = "INFO  jepsen.util - 0\t:invoke\t:write\t3\n\
//!             INFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
//!             INFO  jepsen.util - 1\t:ok\t:read\t3\n\
//!             INFO  jepsen.util - 0\t:info\t:write\t:timed-out\n";
//! let history = sim_check::log::read(text)?;
//! assert_eq!((history.len(), history.operations()[0].completed()), (2, None));
//! assert_eq!(sim_check::log::read(&sim_check::log::write(&history))?, history);
//! # Ok::<(), sim_check::edn::Unreadable>(())
//! ```

use crate::edn::{Edn, Unreadable};
use crate::history::History;
use crate::jepsen::{Ask, Gathered, ends};
use std::fmt::Write;

/// What begins a line.
const PREFIX: &str = "INFO  jepsen.util - ";

/// Reads a history. Lines that are of no operation of a numbered process are left out: a log has others. Stamps are counted
/// from 0 on.
///
/// # Errors
/// Where the lines are no history.
pub fn read(text: &str) -> Result<History<Ask, Edn>, Unreadable> {
    let mut gathered = Gathered::default();
    for (number, line) in (1..).zip(text.lines()) {
        let mut fields = line.splitn(4, '\t');
        let (Some(process), Some(kind), Some(f)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let process = process.rsplit(char::is_whitespace).next().unwrap_or_default();
        let (Ok(process), Some(kind), Some(f)) =
            (process.parse(), kind.strip_prefix(':'), f.strip_prefix(':'))
        else {
            continue;
        };
        let value = match fields.next().map(str::trim) {
            None | Some("") => Edn::Nil,
            // What is said beside an operation of which nobody knows may be anything.
            Some(_) if kind == "info" => Edn::Nil,
            Some(value) => Edn::read(value).map_err(|error| Unreadable::new(number, error.what))?,
        };
        gathered.add(number, process, kind, Ask { f: f.to_owned(), key: None, value })?;
    }
    gathered.finish()
}

/// Writes a history. As in [`jepsen::write`](crate::jepsen::write), a process has another number after an operation of which
/// nobody knows. The form has no place for keys: those are left out.
pub fn write(history: &History<Ask, Edn>) -> String {
    let mut text = String::new();
    for end in ends(history) {
        let value = if end.kind == "info" { &Edn::Keyword("unknown".to_owned()) } else { end.value };
        let _ = writeln!(text, "{PREFIX}{}\t:{}\t:{}\t{value}", end.process, end.kind, end.ask.f);
    }
    text
}
