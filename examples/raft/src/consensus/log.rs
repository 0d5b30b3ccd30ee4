//! The log in memory: entries after a snapshot.

use super::{Entry, Index, Position, Term};

/// The entries that follow a snapshot, whose last entry is the *base*. Without a snapshot that is index 0 of term 0.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: Position,
    entries: Vec<Entry>,
}

impl Log {
    /// A log of these entries after `base`.
    pub fn new(base: Position, entries: Vec<Entry>) -> Self {
        Log { base, entries }
    }

    /// The last entry that is not in it, because a snapshot covers it.
    pub fn base(&self) -> Position {
        self.base
    }

    /// Where it ends.
    pub fn last(&self) -> Position {
        match self.entries.last() {
            Some(entry) => Position { term: entry.term, index: self.last_index() },
            None => self.base,
        }
    }

    /// The index at which it ends.
    pub fn last_index(&self) -> Index {
        self.base.index + self.entries.len() as u64
    }

    /// The term of an entry; of the base too. `None` outside of the log.
    pub fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            Some(self.base.term)
        } else {
            self.entry(index).map(|entry| entry.term)
        }
    }

    /// An entry.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        let place = index.checked_sub(self.base.index + 1)?;
        self.entries.get(place as usize)
    }

    /// The entries from `first` on, at most so many.
    pub fn from(&self, first: Index, most: usize) -> &[Entry] {
        let start = (first.saturating_sub(self.base.index + 1) as usize).min(self.entries.len());
        let end = start.saturating_add(most).min(self.entries.len());
        &self.entries[start..end]
    }

    /// Puts an entry at the end.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Removes the entries from `first` on.
    pub fn truncate(&mut self, first: Index) {
        self.entries.truncate(first.saturating_sub(self.base.index + 1) as usize);
    }

    /// Forgets the entries up to `base`, which a snapshot covers.
    pub fn compact(&mut self, base: Position) {
        let gone = (base.index.saturating_sub(self.base.index) as usize).min(self.entries.len());
        self.entries.drain(..gone);
        self.base = base;
    }

    /// The last index before `index` whose entry has another term than the one there.
    pub fn before_term_of(&self, index: Index) -> Index {
        let term = self.term(index);
        let mut before = index.saturating_sub(1);
        while before > self.base.index && self.term(before) == term {
            before -= 1;
        }
        before
    }
}
