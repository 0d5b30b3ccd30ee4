//! Histories as Jepsen writes them in EDN: a map for each end of an operation, with `:process`, `:type` (`:invoke`, `:ok`,
//! `:fail`, `:info`), `:f` and `:value`, one after the other or in one vector. The semantics are those of
//! github.com/jepsen-io/history. A `:key` beside the value is kept: Porcupine's key-value tests have one.
//!
//! What no client did, such as the acts of a nemesis, has a `:process` that is no number, and is left out. An operation
//! that ends with `:info`, or not at all, is one of which nobody knows what came of it.
//!
//! ```
//! let text = "{:process 0, :type :invoke, :f :write, :value 3}
//!             {:process :nemesis, :type :info, :f :kill, :value [\"n1\"]}
//!             {:process 1, :type :invoke, :f :read, :value nil}
//!             {:process 1, :type :ok, :f :read, :value 3}
//!             {:process 0, :type :info, :f :write, :value 3, :error :timeout}";
//! let history = sim_check::jepsen::read(text)?;
//! let [write, read] = history.operations() else { panic!() };
//! assert_eq!((write.input.f.as_str(), write.completed()), ("write", None));
//! assert_eq!(read.output(), Some(&3.into()));
//! # Ok::<(), sim_check::edn::Unreadable>(())
//! ```

use crate::edn::{Edn, Unreadable};
use crate::history::{Completion, History, Operation, ProcessId, What};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ask {
    /// The function: `read`, `write`, `txn`.
    pub f: String,
    /// What it is about, where that is told apart from the value.
    pub key: Option<Edn>,
    /// Its argument; of a read usually `nil`.
    pub value: Edn,
}

/// Reads a history. Stamps are the numbers of the lines, or rather of the ends of operations, from 0 on.
///
/// # Errors
/// Where the text is no history.
pub fn read(text: &str) -> Result<History<Ask, Edn>, Unreadable> {
    let mut gathered = Gathered::default();
    for (line, value) in Edn::read_all(text)? {
        match value {
            Edn::Vector(entries) | Edn::List(entries) => {
                entries.iter().try_for_each(|entry| gathered.add_map(line, entry))?;
            }
            entry => gathered.add_map(line, &entry)?,
        }
    }
    gathered.finish()
}

/// Writes a history, an end of an operation on each line.
///
/// After an operation of which nobody knows its process has another number, as Jepsen has it: by as much greater as there
/// are processes. Its `:info` is the last that the old number does.
pub fn write(history: &History<Ask, Edn>) -> String {
    let mut text = String::new();
    for (index, end) in ends(history).into_iter().enumerate() {
        let End { process, kind, ask, value } = end;
        let _ = write!(text, "{{:index {index}, :process {process}, :type :{kind}, :f :{}", ask.f);
        if let Some(key) = &ask.key {
            let _ = write!(text, ", :key {key}");
        }
        let _ = writeln!(text, ", :value {value}}}");
    }
    text
}

/// One end of an operation, to be written.
pub(crate) struct End<'a> {
    pub(crate) process: u64,
    pub(crate) kind: &'static str,
    pub(crate) ask: &'a Ask,
    pub(crate) value: &'a Edn,
}

/// The ends of all operations, in their order: those without one end when everything is over.
pub(crate) fn ends(history: &History<Ask, Edn>) -> Vec<End<'_>> {
    let processes = history.operations().iter().map(|o| o.process.0 + 1).max().unwrap_or(0);
    // By how much the number of a process has grown, and by how much it had for each operation.
    let mut grown: BTreeMap<ProcessId, u64> = BTreeMap::new();
    let mut numbers = Vec::with_capacity(history.len());
    for operation in history {
        let more = grown.entry(operation.process).or_default();
        numbers.push(operation.process.0 + *more);
        if operation.completed().is_none() {
            *more += processes;
        }
    }
    let mut ends = Vec::with_capacity(2 * history.len());
    for event in history.events() {
        let operation = &history.operations()[event.operation];
        let (kind, value) = match event.what {
            What::Invoke(ask) => ("invoke", &ask.value),
            What::Ok(output) => ("ok", output),
            What::Failed => ("fail", &operation.input.value),
        };
        ends.push(End { process: numbers[event.operation], kind, ask: &operation.input, value });
    }
    for (operation, process) in history.into_iter().zip(numbers) {
        if operation.completed().is_none() {
            ends.push(End { process, kind: "info", ask: &operation.input, value: &operation.input.value });
        }
    }
    ends
}

/// The ends of operations, as they are read.
#[derive(Default)]
pub(crate) struct Gathered {
    operations: Vec<Operation<Ask, Edn>>,
    /// The operation that each process has under way, and its line.
    open: BTreeMap<u64, (usize, usize)>,
    stamp: u64,
}

impl Gathered {
    fn add_map(&mut self, line: usize, entry: &Edn) -> Result<(), Unreadable> {
        let entry = match entry {
            // A record, as newer versions write it.
            Edn::Tagged(_, map) => map,
            entry => entry,
        };
        if !matches!(entry, Edn::Map(_)) {
            return Err(Unreadable::new(
                line,
                format!("{entry}, where the map of an operation was expected"),
            ));
        }
        let field = |key: &str| {
            entry
                .get(key)
                .ok_or_else(|| Unreadable::new(line, format!("an operation without :{key}: {entry}")))
        };
        let Edn::Int(process) = *field("process")? else { return Ok(()) };
        let (Edn::Keyword(kind), Edn::Keyword(f)) = (field("type")?, field("f")?) else {
            return Err(Unreadable::new(line, format!(":type and :f are keywords, not so in {entry}")));
        };
        let ask = Ask {
            f: f.clone(),
            key: entry.get("key").cloned(),
            value: entry.get("value").cloned().unwrap_or(Edn::Nil),
        };
        self.add(line, process, kind, ask)
    }

    pub(crate) fn add(&mut self, line: usize, process: i64, kind: &str, ask: Ask) -> Result<(), Unreadable> {
        let process = u64::try_from(process)
            .map_err(|_| Unreadable::new(line, format!("process {process}: they are numbered from 0")))?;
        let at = self.stamp;
        self.stamp += 1;
        if kind == "invoke" {
            if let Some((_, before)) = self.open.insert(process, (self.operations.len(), line)) {
                let what = format!(
                    "process {process} invokes an operation while that of line {before} is under way: a process does \
                     one after the other"
                );
                return Err(Unreadable::new(line, what));
            }
            let completion = Completion::Unknown;
            self.operations.push(Operation {
                process: ProcessId(process),
                input: ask,
                invoked: at,
                completion,
            });
            return Ok(());
        }
        let Some((open, _)) = self.open.remove(&process) else {
            return Err(Unreadable::new(
                line,
                format!("process {process} has no operation under way to end"),
            ));
        };
        self.operations[open].completion = match kind {
            "ok" => Completion::Ok { at, output: ask.value },
            "fail" => Completion::Failed { at },
            "info" => Completion::Unknown,
            kind => {
                let what = format!("the type :{kind}; there are :invoke, :ok, :fail and :info");
                return Err(Unreadable::new(line, what));
            }
        };
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<History<Ask, Edn>, Unreadable> {
        History::new(self.operations).map_err(|malformed| Unreadable::new(1, malformed.to_string()))
    }
}
