//! An oracle for whatever keeps a sequence of records: it remembers what was written and what was acknowledged, where no
//! fault reaches, and compares with what a restart finds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was written and acknowledged so far. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    written: Vec<Vec<u8>>,
    acknowledged: usize,
}

/// A promise that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breach {
    /// Not everything that was acknowledged is there.
    Lost {
        /// How many records are there.
        found: usize,
        /// How many were acknowledged.
        acknowledged: usize,
    },
    /// A record is there that was not written so.
    Invented {
        /// Which, counted from 1.
        number: usize,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::Lost { found, acknowledged } => {
                write!(f, "{found} records are there, {acknowledged} were acknowledged")
            }
            Breach::Invented { number } => write!(f, "record {number} is not what was written"),
        }
    }
}

impl Witness {
    /// A record is about to be written behind all others.
    pub fn write(&self, record: Vec<u8>) {
        self.lock().written.push(record);
    }

    /// The first so many records are acknowledged.
    pub fn acknowledge(&self, records: u64) {
        let mut seen = self.lock();
        seen.acknowledged = seen.acknowledged.max(records as usize);
    }

    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lock().acknowledged
    }

    /// A restart has found these records: what else was written is gone, and had better not been acknowledged.
    ///
    /// # Errors
    /// The [`Breach`], if there is one.
    pub fn recover<'a>(&self, found: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Breach> {
        let mut seen = self.lock();
        let mut count = 0;
        for record in found {
            if seen.written.get(count).is_none_or(|written| written != record) {
                return Err(Breach::Invented { number: count + 1 });
            }
            count += 1;
        }
        if count < seen.acknowledged {
            return Err(Breach::Lost { found: count, acknowledged: seen.acknowledged });
        }
        seen.written.truncate(count);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_must_be_there_and_nothing_that_was_not_written() {
        let witness = Witness::default();
        for record in [b"a", b"b", b"c"] {
            witness.write(record.to_vec());
        }
        witness.acknowledge(2);
        assert_eq!(witness.recover([&b"a"[..]]), Err(Breach::Lost { found: 1, acknowledged: 2 }));
        assert_eq!(witness.recover([&b"a"[..], b"x", b"c"]), Err(Breach::Invented { number: 2 }));
        assert_eq!(witness.recover([&b"a"[..], b"b"]), Ok(()));
        assert_eq!(
            witness.recover([&b"a"[..], b"b", b"c"]),
            Err(Breach::Invented { number: 3 }),
            "it was gone"
        );
    }
}
