//! What clients asked and were told, and whether that is linearizable: as if each operation had happened at one instant
//! between its beginning and its end (Herlihy and Wing, *Linearizability*, 1990).

use crate::kv::{Key, Value, Write};
use sim::time::Duration;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What was asked of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// What it holds.
    Read,
    /// To change it.
    Write(Write),
}

/// One operation on one register.
#[derive(Clone, Copy, Debug)]
struct Record {
    operation: Operation,
    begin: Duration,
    /// When it was answered, and what: the value read, or whether the register was set. `None` as long as nobody knows.
    end: Option<(Duration, Value)>,
}

/// Where in the history an operation is.
#[derive(Clone, Copy, Debug)]
pub struct Place(Key, usize);

/// The operations of all clients by register. Clones are the same history.
#[derive(Clone, Debug, Default)]
pub struct History(Rc<RefCell<BTreeMap<Key, Vec<Record>>>>);

impl History {
    /// An operation begins.
    pub fn begin(&self, now: Duration, key: Key, operation: Operation) -> Place {
        let mut history = self.0.borrow_mut();
        let records = history.entry(key).or_default();
        records.push(Record { operation, begin: now, end: None });
        Place(key, records.len() - 1)
    }

    /// It has been answered.
    pub fn end(&self, now: Duration, Place(key, index): Place, value: Value) {
        if let Some(record) = self.0.borrow_mut().get_mut(&key).and_then(|records| records.get_mut(index)) {
            record.end = Some((now, value));
        }
    }

    /// How many operations were answered.
    pub fn answered(&self) -> u64 {
        let history = self.0.borrow();
        history.values().flatten().filter(|record| record.end.is_some()).count() as u64
    }

    /// How many were not.
    pub fn unanswered(&self) -> u64 {
        let history = self.0.borrow();
        history.values().flatten().filter(|record| record.end.is_none()).count() as u64
    }

    /// The first register whose operations are in no order that explains the answers, with these operations.
    pub fn not_linearizable(&self) -> Option<(Key, String)> {
        let history = self.0.borrow();
        let (key, records) = history.iter().find(|(_, records)| !linearizable(records))?;
        let told: Vec<String> = records.iter().map(tell).collect();
        Some((*key, told.join("; ")))
    }
}

fn tell(record: &Record) -> String {
    let Record { operation, begin, end } = record;
    match (operation, end) {
        (operation, None) => format!("{operation:?} from {begin:?}, unanswered"),
        (Operation::Read, Some((end, value))) => format!("read {value} ({begin:?} to {end:?})"),
        (Operation::Write(Write::Put { value, .. }), Some((end, _))) => {
            format!("put {value} ({begin:?} to {end:?})")
        }
        (Operation::Write(Write::Swap { expected, value, .. }), Some((end, done))) => {
            let done = if *done == 1 { "done" } else { "refused" };
            format!("swap {expected} for {value}, {done} ({begin:?} to {end:?})")
        }
    }
}

/// A search for an order (Wing and Gong, *Testing and Verifying Concurrent Objects*, 1993) that remembers where it has
/// been (Lowe, *Testing for Linearizability*, 2017). An operation without an answer may have happened or not.
fn linearizable(records: &[Record]) -> bool {
    let mut records = records.to_vec();
    records.sort_by_key(|record| record.begin);
    let mut open = vec![(BTreeSet::<usize>::new(), 0, 0)];
    let mut seen = BTreeSet::new();
    // Done are all before `from`, and those in the set.
    while let Some((done, from, value)) = open.pop() {
        let rest = || (from..records.len()).filter(|index| !done.contains(index));
        if rest().all(|index| records[index].end.is_none()) {
            return true;
        }
        let ends = rest().filter_map(|index| records[index].end.map(|(end, _)| end));
        let Some(first_end) = ends.min() else { return true };
        for index in rest().take_while(|&index| records[index].begin <= first_end) {
            let Some(value) = after(&records[index], value) else { continue };
            let mut done = done.clone();
            done.insert(index);
            let mut from = from;
            while done.remove(&from) {
                from += 1;
            }
            if seen.insert((done.clone(), from, value)) {
                open.push((done, from, value));
            }
        }
    }
    false
}

/// What a register holds after an operation on it, if the answer is the right one.
fn after(record: &Record, value: Value) -> Option<Value> {
    let answer = record.end.map(|(_, answer)| answer);
    let (right, next) = match record.operation {
        Operation::Read => (value, value),
        Operation::Write(Write::Put { value: put, .. }) => (1, put),
        Operation::Write(Write::Swap { expected, value: to, .. }) => match value == expected {
            true => (1, to),
            false => (0, value),
        },
    };
    answer.is_none_or(|answer| answer == right).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation, when it began, and when it was answered and what; in seconds.
    type Told = (Operation, u64, Option<(u64, Value)>);

    fn history(operations: &[Told]) -> bool {
        let records: Vec<Record> = operations
            .iter()
            .map(|&(operation, begin, end)| Record {
                operation,
                begin: Duration::from_secs(begin),
                end: end.map(|(end, value)| (Duration::from_secs(end), value)),
            })
            .collect();
        linearizable(&records)
    }

    fn put(value: Value) -> Operation {
        Operation::Write(Write::Put { key: 0, value })
    }

    fn swap(expected: Value, value: Value) -> Operation {
        Operation::Write(Write::Swap { key: 0, expected, value })
    }

    #[test]
    fn reads_see_the_last_write() {
        let one = (put(1), 0, Some((1, 1)));
        assert!(history(&[one, (Operation::Read, 2, Some((3, 1)))]));
        assert!(!history(&[one, (Operation::Read, 2, Some((3, 0)))]));
        assert!(!history(&[one, (put(2), 2, Some((3, 1))), (Operation::Read, 4, Some((5, 1)))]));
        assert!(history(&[]));
    }

    #[test]
    fn what_overlaps_may_be_in_either_order_but_in_one() {
        let write = (put(1), 0, Some((10, 1)));
        let old = |begin, end| (Operation::Read, begin, Some((end, 0)));
        let new = |begin, end| (Operation::Read, begin, Some((end, 1)));
        assert!(history(&[write, old(1, 2), new(3, 4)]));
        assert!(!history(&[write, new(1, 2), old(3, 4)]), "a value that was there is gone again");
        assert!(history(&[write, new(1, 4), old(2, 3)]));
    }

    #[test]
    fn what_was_not_answered_may_have_happened_or_not() {
        let lost = (put(1), 0, None);
        assert!(history(&[lost, (Operation::Read, 2, Some((3, 0)))]));
        assert!(history(&[lost, (Operation::Read, 2, Some((3, 0))), (Operation::Read, 4, Some((5, 1)))]));
        assert!(!history(&[lost, (Operation::Read, 2, Some((3, 1))), (Operation::Read, 4, Some((5, 0)))]));
    }

    #[test]
    fn a_swap_tells_what_was_there() {
        let one = (put(1), 0, Some((1, 1)));
        assert!(history(&[one, (swap(1, 2), 2, Some((3, 1))), (swap(1, 3), 2, Some((3, 0)))]));
        assert!(!history(&[one, (swap(1, 2), 2, Some((3, 1))), (swap(1, 3), 2, Some((3, 1)))]));
        assert!(!history(&[one, (swap(1, 2), 2, Some((3, 0)))]));
    }
}
