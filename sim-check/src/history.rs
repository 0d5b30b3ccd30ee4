//! Operations with process, invocation and completion.
//!
//! Everything that happens in a history has a number, its *stamp*, and no two have the same: a total order, as that of
//! events in a simulator or of lines in a log. An operation that completed before another was invoked came before it; any
//! two others are concurrent.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Who does operations, one after the other: a client's connection, a thread. Jepsen's word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u64);

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a process asked, and what came of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Operation<I, O> {
    /// Who asked.
    pub process: ProcessId,
    /// What was asked.
    pub input: I,
    /// The stamp of the invocation.
    pub invoked: u64,
    /// What came of it.
    pub completion: Completion<O>,
}

impl<I, O> Operation<I, O> {
    /// The stamp of the completion, if there was one.
    pub fn completed(&self) -> Option<u64> {
        match self.completion {
            Completion::Ok { at, .. } | Completion::Failed { at } => Some(at),
            Completion::Unknown => None,
        }
    }

    /// What it returned, if it did.
    pub fn output(&self) -> Option<&O> {
        match &self.completion {
            Completion::Ok { output, .. } => Some(output),
            _ => None,
        }
    }
}

/// What came of an operation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completion<O> {
    /// It took effect between its invocation and this.
    Ok {
        /// The stamp of the return.
        at: u64,
        /// What was returned.
        output: O,
    },
    /// It did not take effect, and never will. What is returned as an error and may have taken effect is `Unknown`.
    Failed {
        /// The stamp of the return.
        at: u64,
    },
    /// Nobody knows: it timed out, or who asked has crashed. It may take effect at any time after its invocation, or never.
    Unknown,
}

/// What a number of processes did. Its operations are in the order of their invocation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent, bound(deserialize = "I: Deserialize<'de>, O: Deserialize<'de>"))]
pub struct History<I, O> {
    #[serde(deserialize_with = "well_formed")]
    operations: Vec<Operation<I, O>>,
}

fn well_formed<'de, D, I, O>(from: D) -> Result<Vec<Operation<I, O>>, D::Error>
where
    D: serde::Deserializer<'de>,
    I: Deserialize<'de>,
    O: Deserialize<'de>,
{
    let operations = Vec::deserialize(from)?;
    History::new(operations).map(|history| history.operations).map_err(serde::de::Error::custom)
}

/// One end of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a, I, O> {
    /// Its stamp.
    pub at: u64,
    /// The operation, by its place in [`History::operations`].
    pub operation: usize,
    /// Whose it is.
    pub process: ProcessId,
    /// Which end, and with what.
    pub what: What<'a, I, O>,
}

/// What happens at one end of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What<'a, I, O> {
    /// It is invoked.
    Invoke(&'a I),
    /// It returns.
    Ok(&'a O),
    /// It is said not to have taken effect.
    Failed,
}

impl<I, O> Default for History<I, O> {
    fn default() -> Self {
        History { operations: Vec::new() }
    }
}

impl<I, O> History<I, O> {
    /// A history of these operations, in whatever order.
    ///
    /// # Errors
    /// [`Malformed`], where they cannot have happened.
    pub fn new(mut operations: Vec<Operation<I, O>>) -> Result<Self, Malformed> {
        operations.sort_by_key(|operation| operation.invoked);
        check(&operations)?;
        Ok(History { operations })
    }

    /// The operations, in the order of their invocation.
    pub fn operations(&self) -> &[Operation<I, O>] {
        &self.operations
    }

    /// The same, to keep.
    pub fn into_operations(self) -> Vec<Operation<I, O>> {
        self.operations
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Everything that happened, in its order.
    pub fn events(&self) -> Vec<Event<'_, I, O>> {
        let mut events = Vec::with_capacity(2 * self.len());
        for (number, operation) in self.operations.iter().enumerate() {
            let mut add =
                |at, what| events.push(Event { at, operation: number, process: operation.process, what });
            add(operation.invoked, What::Invoke(&operation.input));
            match &operation.completion {
                Completion::Ok { at, output } => add(*at, What::Ok(output)),
                Completion::Failed { at } => add(*at, What::Failed),
                Completion::Unknown => {}
            }
        }
        events.sort_unstable_by_key(|event| event.at);
        events
    }

    /// The same history in other words.
    ///
    /// ```
    /// # use sim_check::Recorder;
    /// # let recorder = Recorder::new();
    /// # recorder.process().invoke("7").ok("ok");
    /// # let history = recorder.history();
    /// let numbers = history.map(|input| input.parse::<u32>().unwrap(), |_input, output| output.len());
    /// assert_eq!((numbers.operations()[0].input, numbers.operations()[0].output()), (7, Some(&2)));
    /// ```
    pub fn map<J, P>(
        self,
        mut input: impl FnMut(I) -> J,
        mut output: impl FnMut(&J, O) -> P,
    ) -> History<J, P> {
        let operations = self.operations.into_iter().map(|operation| {
            let Operation { process, invoked, completion, .. } = operation;
            let input = input(operation.input);
            let completion = match completion {
                Completion::Ok { at, output: was } => Completion::Ok { at, output: output(&input, was) },
                Completion::Failed { at } => Completion::Failed { at },
                Completion::Unknown => Completion::Unknown,
            };
            Operation { process, input, invoked, completion }
        });
        History { operations: operations.collect() }
    }

    /// A history for each key: of the register, the account, the queue that an operation is about.
    pub fn partition<K: Ord>(self, mut key: impl FnMut(&Operation<I, O>) -> K) -> BTreeMap<K, History<I, O>> {
        let mut parts: BTreeMap<K, History<I, O>> = BTreeMap::new();
        for operation in self.operations {
            parts.entry(key(&operation)).or_default().operations.push(operation);
        }
        parts
    }
}

impl<'a, I, O> IntoIterator for &'a History<I, O> {
    type Item = &'a Operation<I, O>;
    type IntoIter = std::slice::Iter<'a, Operation<I, O>>;

    fn into_iter(self) -> Self::IntoIter {
        self.operations.iter()
    }
}

/// Operations that cannot have happened so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Two things happened at the same stamp.
    SharedStamp(u64),
    /// An operation completed before it was invoked.
    CompletedBefore {
        /// Whose it is.
        process: ProcessId,
        /// The stamp of its invocation.
        invoked: u64,
        /// That of its completion.
        completed: u64,
    },
    /// A process invoked an operation before the one before had completed.
    Overlap {
        /// Who did.
        process: ProcessId,
        /// The stamp of the first invocation.
        first: u64,
        /// That of the second.
        second: u64,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::SharedStamp(stamp) => {
                write!(f, "two things happen at {stamp}: each needs a stamp of its own")
            }
            Malformed::CompletedBefore { process, invoked, completed } => {
                write!(
                    f,
                    "an operation of process {process} is invoked at {invoked} and completes at {completed}, before that"
                )
            }
            Malformed::Overlap { process, first, second } => write!(
                f,
                "process {process} invokes an operation at {second}, while its operation of {first} is under way: a \
                 process does one after the other"
            ),
        }
    }
}

impl std::error::Error for Malformed {}

fn check<I, O>(operations: &[Operation<I, O>]) -> Result<(), Malformed> {
    let mut stamps: Vec<u64> =
        operations.iter().flat_map(|o| [Some(o.invoked), o.completed()]).flatten().collect();
    stamps.sort_unstable();
    if let Some(pair) = stamps.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Malformed::SharedStamp(pair[0]));
    }
    // When the last operation of each process was invoked, and completed.
    let mut last: BTreeMap<ProcessId, (u64, Option<u64>)> = BTreeMap::new();
    for operation in operations {
        let Operation { process, invoked, .. } = *operation;
        let completed = operation.completed();
        if let Some(completed) = completed.filter(|&completed| completed < invoked) {
            return Err(Malformed::CompletedBefore { process, invoked, completed });
        }
        // One of which nobody knows is given up when the next is invoked.
        if let Some((first, Some(until))) = last.insert(process, (invoked, completed))
            && until > invoked
        {
            return Err(Malformed::Overlap { process, first, second: invoked });
        }
    }
    Ok(())
}
