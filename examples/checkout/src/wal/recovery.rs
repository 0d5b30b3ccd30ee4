//! What a log holds when it is opened, and whether it can be believed.
//!
//! Records that were written and not synced may be torn, missing, or there behind others that are not: that is the tail,
//! and it is cut off, since nobody was told of it. But a record that had been durable is there, whatever happened later.
//! Each record says how far the log was durable when it was written: so a bad record in front of one that says so was
//! there once, and the disk has spoilt it. Then nothing is repaired by guessing.

use super::record::{self, Record};
use super::segment;
use crate::Bug;
use sim::fs;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// The payloads of all records, in their order.
    pub records: Vec<Vec<u8>>,
    /// The tail that was cut off.
    pub torn: Option<Torn>,
}

/// A tail that was cut off: it was never acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// In which file.
    pub segment: PathBuf,
    /// Where the records end.
    pub at: u64,
    /// How much was behind it, bytes.
    pub bytes: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Torn { segment, at, bytes } = self;
        write!(f, "{}: a torn tail of {bytes} bytes at byte {at} is cut off", segment.display())
    }
}

/// What had been durable is not there any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Corrupt {
    /// A record is not what it was.
    Record {
        /// In which file.
        segment: PathBuf,
        /// Where it begins.
        at: u64,
        /// Which one it is.
        number: u64,
    },
    /// The beginning of a segment is not what it was.
    Header {
        /// Which file.
        segment: PathBuf,
    },
    /// A segment is not there.
    Missing {
        /// The record with which it begins, or would go on.
        number: u64,
        /// The file that is there instead.
        segment: PathBuf,
    },
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corrupt::Record { segment, at, number } => {
                write!(f, "{}: record {number} at byte {at} is damaged, and was durable", segment.display())
            }
            Corrupt::Header { segment } => {
                write!(f, "{}: its header is damaged, and was durable", segment.display())
            }
            Corrupt::Missing { number, segment } => {
                write!(f, "record {number} is missing: the next segment is {}", segment.display())
            }
        }
    }
}

impl std::error::Error for Corrupt {}

impl From<Corrupt> for io::Error {
    fn from(corrupt: Corrupt) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, corrupt)
    }
}

/// The last segment, to which records are added.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) path: PathBuf,
    /// Where the records end.
    pub(super) end: u64,
    /// The part that may be in memory only, at the end: an earlier process may have written it and not synced it, or
    /// failed to.
    pub(super) unsure: Vec<u8>,
    /// Something is behind them.
    pub(super) is_torn: bool,
    /// It has no record.
    pub(super) is_empty: bool,
}

/// Reads all segments of a directory. Nothing is changed.
pub(super) async fn read(dir: &Path, bug: Option<Bug>) -> io::Result<(Recovered, Option<Last>)> {
    let mut firsts = Vec::new();
    let mut entries = fs::read_dir(dir).await?;
    while let Some(entry) = entries.next_entry().await? {
        firsts.extend(entry.file_name().to_str().and_then(segment::first_of));
    }
    firsts.sort_unstable();
    let (mut recovered, mut last) = (Recovered::default(), None);
    for (place, &first) in firsts.iter().enumerate() {
        let path = segment::path(dir, first);
        let number = recovered.records.len() as u64 + 1;
        if first != number {
            return Err(Corrupt::Missing { number, segment: path }.into());
        }
        let bytes = fs::read(&path).await?;
        let scanned = Scan { path, bytes: &bytes, first, is_last: place + 1 == firsts.len(), bug };
        last = Some(scanned.run(&mut recovered)?);
    }
    Ok((recovered, last))
}

struct Scan<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    first: u64,
    is_last: bool,
    bug: Option<Bug>,
}

impl Scan<'_> {
    fn run(self, recovered: &mut Recovered) -> Result<Last, Corrupt> {
        let (mut number, mut end, mut durable) = (self.first, segment::HEADER, 0);
        let mut starts = Vec::new();
        if segment::decode(self.bytes) != Some(self.first) {
            if !self.is_last || self.was_durable(0, number) {
                return Err(Corrupt::Header { segment: self.path });
            }
            end = 0;
        }
        while end >= segment::HEADER
            && let Some(record) = self.record(end, number)
        {
            starts.push(end);
            recovered.records.push(self.bytes[record.payload.clone()].to_vec());
            durable = record.durable;
            end = record.payload.end;
            number += 1;
        }
        if end < self.bytes.len() {
            if !self.is_last || self.was_durable(end, number) {
                return Err(Corrupt::Record { segment: self.path, at: end as u64, number });
            }
            let bytes = (self.bytes.len() - end) as u64;
            recovered.torn = Some(Torn { segment: self.path.clone(), at: end as u64, bytes });
        }
        let sure = (durable + 1).saturating_sub(self.first) as usize;
        let unsure = starts.get(sure).map_or(&[][..], |&start| &self.bytes[start..end]).to_vec();
        let (is_torn, is_empty) = (end < self.bytes.len(), starts.is_empty());
        Ok(Last { path: self.path, end: end as u64, unsure, is_torn, is_empty })
    }

    fn record(&self, offset: usize, number: u64) -> Option<Record> {
        record::decode(self.bytes, offset, self.bug).filter(|record| record.number == number)
    }

    /// Whether a record somewhere behind `offset` says that `number` was durable when it was written.
    fn was_durable(&self, offset: usize, number: u64) -> bool {
        // A record that is whole begins anywhere: the length of the bad one cannot be believed.
        (offset + 1..self.bytes.len()).any(|start| {
            let says = self.bytes.get(start + 16..start + 24);
            says.is_some_and(|bytes| u64::from_le_bytes(record::array(bytes)) >= number)
                && record::decode(self.bytes, start, None).is_some_and(|later| later.number > number)
        })
    }
}
