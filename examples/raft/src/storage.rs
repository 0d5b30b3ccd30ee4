//! What a server keeps on its disk: its term and vote, a snapshot, and the log after it.
//!
//! `state` and `snapshot` are replaced as a whole: written under another name, synced, renamed, and the directory
//! synced. The `log` grows at its end and is never cut: an entry whose index is there already takes the place of that one
//! and of all that follow it. Each record has a checksum over itself and the checksum of the record before it, so that of
//! what a power cut leaves only what was written in one piece counts; the first record that does not fit is the end.
//!
//! A process that starts trusts nothing that it has not synced itself: what it reads may be in the memory of the kernel
//! and not on the disk, after a kill or after a sync that failed. So it writes all of it again.

use crate::Bug;
use crate::checksum;
use crate::consensus::{Entry, HardState, Index, Position, Snapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sim::codec;
use sim::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};

const DIRECTORY: &str = "/raft";
const STATE: &str = "/raft/state";
const SNAPSHOT: &str = "/raft/snapshot";
const LOG: &str = "/raft/log";

/// A record of the log.
#[derive(Serialize, Deserialize)]
enum Record {
    /// The first: the entry that is before all others.
    Base(Position),
    Entry(Index, Entry),
}

#[derive(Serialize, Deserialize)]
struct StoredSnapshot {
    last: Position,
    data: Vec<u8>,
}

/// What a server finds on its disk.
pub type Recovered = (HardState, Snapshot, Vec<Entry>);

/// The disk of one server. After an error it is in no state to go on with: open it again.
#[derive(Debug)]
pub struct Storage {
    log: File,
    /// The checksum of the last record.
    chain: u32,
    bug: Option<Bug>,
}

impl Storage {
    /// Recovers what is on the disk.
    ///
    /// # Errors
    /// What the disk says; `InvalidData` for a state or snapshot that is damaged, which no crash does.
    pub async fn open(bug: Option<Bug>) -> io::Result<(Storage, Recovered)> {
        fs::create_dir_all(DIRECTORY).await?;
        sync_directory("/").await?;
        let mut hard: HardState = read_sealed(STATE).await?.unwrap_or_default();
        let snapshot = match read_sealed::<StoredSnapshot>(SNAPSHOT).await? {
            Some(StoredSnapshot { last, data }) => Snapshot { last, data: data.into() },
            None => Snapshot::default(),
        };
        let entries = match read(LOG).await? {
            Some(bytes) => after(snapshot.last, records(&bytes)),
            None => Vec::new(),
        };
        // A term whose entries are in the log has begun.
        let last_term = entries.last().map_or(snapshot.last.term, |entry| entry.term);
        if last_term > hard.term {
            hard = HardState { term: last_term, voted_for: None };
        }
        replace(STATE, &sealed(&hard)?).await?;
        if snapshot.last.index > 0 {
            replace_snapshot(&snapshot).await?;
        }
        let (log, chain) = replace_log(snapshot.last, &entries).await?;
        Ok((Storage { log, chain, bug }, (hard, snapshot, entries)))
    }

    /// Saves the term and the vote.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn save_hard_state(&mut self, hard: HardState) -> io::Result<()> {
        // "After a restart there is a new election anyway."
        let voted_for = hard.voted_for.filter(|_| self.bug != Some(Bug::VoteTwice));
        replace(STATE, &sealed(&HardState { voted_for, ..hard })?).await
    }

    /// Saves a snapshot in place of the last one. The log is to be [rewritten](Storage::rewrite) after that.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn save_snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        replace_snapshot(snapshot).await
    }

    /// Has the log hold these entries from `first` on, and nothing after them.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn append(&mut self, first: Index, entries: &[Entry]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (index, entry) in (first..).zip(entries) {
            self.chain = write_record(&mut bytes, self.chain, &Record::Entry(index, entry.clone()))?;
        }
        self.log.write_all(&bytes).await?;
        self.log.sync_data().await
    }

    /// Has the log hold these entries after `base` and nothing else.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn rewrite(&mut self, base: Position, entries: &[Entry]) -> io::Result<()> {
        (self.log, self.chain) = replace_log(base, entries).await?;
        Ok(())
    }
}

fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    codec::encode(value).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

fn sealed(value: &impl Serialize) -> io::Result<Vec<u8>> {
    Ok(checksum::seal(&encode(value)?))
}

/// The content of a file, if there is one.
async fn read(path: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read_sealed<T: DeserializeOwned>(path: &str) -> io::Result<Option<T>> {
    let Some(bytes) = read(path).await? else { return Ok(None) };
    let value = checksum::open(&bytes).and_then(|bytes| codec::decode(bytes).ok());
    let damaged = || io::Error::new(ErrorKind::InvalidData, format!("{path} is damaged"));
    value.ok_or_else(damaged).map(Some)
}

/// Puts a file in the place of another, all at once.
async fn replace(path: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{path}.new");
    let mut file = File::create(&new).await?;
    file.write_all(bytes).await?;
    file.sync_data().await?;
    fs::rename(&new, path).await?;
    sync_directory(DIRECTORY).await
}

async fn replace_snapshot(snapshot: &Snapshot) -> io::Result<()> {
    let stored = StoredSnapshot { last: snapshot.last, data: snapshot.data.to_vec() };
    replace(SNAPSHOT, &sealed(&stored)?).await
}

/// The new log, open at its end, and the checksum of its last record.
async fn replace_log(base: Position, entries: &[Entry]) -> io::Result<(File, u32)> {
    let mut bytes = Vec::new();
    let mut chain = write_record(&mut bytes, 0, &Record::Base(base))?;
    for (index, entry) in (base.index + 1..).zip(entries) {
        chain = write_record(&mut bytes, chain, &Record::Entry(index, entry.clone()))?;
    }
    replace(LOG, &bytes).await?;
    Ok((OpenOptions::new().append(true).open(LOG).await?, chain))
}

async fn sync_directory(path: &str) -> io::Result<()> {
    File::open(path).await?.sync_all().await
}

/// Adds a record: its length, its checksum, itself. The checksum is the answer.
fn write_record(bytes: &mut Vec<u8>, chain: u32, record: &Record) -> io::Result<u32> {
    let body = encode(record)?;
    let sum = checksum::extend(chain, &body);
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(sum.to_le_bytes());
    bytes.extend(body);
    Ok(sum)
}

/// The records up to the first that does not fit.
fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut chain = 0;
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let Some((sum, rest)) = rest.split_first_chunk() else { break };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        chain = checksum::extend(chain, body);
        if chain != u32::from_le_bytes(*sum) {
            break;
        }
        let Ok(record) = codec::decode(body) else { break };
        records.push(record);
        bytes = rest;
    }
    records
}

/// The entries that follow a snapshot, as the rule for snapshots of a leader has it (paper, figure 13, steps 6 and 7):
/// a crash may have come between saving a snapshot and rewriting the log.
fn after(last: Position, records: Vec<Record>) -> Vec<Entry> {
    let mut records = records.into_iter();
    let Some(Record::Base(base)) = records.next() else { return Vec::new() };
    let mut entries: Vec<Entry> = Vec::new();
    for record in records {
        let Record::Entry(index, entry) = record else { break };
        let Some(place) = index.checked_sub(base.index + 1).filter(|place| *place <= entries.len() as u64)
        else {
            break;
        };
        entries.truncate(place as usize);
        entries.push(entry);
    }
    let Some(covered) = last.index.checked_sub(base.index) else { return Vec::new() };
    let term = match covered.checked_sub(1) {
        None => Some(base.term),
        Some(place) => entries.get(place as usize).map(|entry| entry.term),
    };
    if term == Some(last.term) { entries.split_off(covered as usize) } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Command;
    use sim::fs::{CrashModel, DiskExt};
    use sim::{Node, Sim};

    fn entry(term: u64) -> Entry {
        Entry { term, command: Some(Command::Open { nonce: term }) }
    }

    fn entries(terms: &[u64]) -> Vec<Entry> {
        terms.iter().map(|&term| entry(term)).collect()
    }

    fn simulated<T: 'static, Fut: Future<Output = T> + 'static>(
        seed: u64,
        body: impl Fn(Sim, Node) -> Fut,
    ) -> T {
        let run = |sim: Sim| body(sim, sim.node("server"));
        sim::run(sim::Config::seed(seed), run).result.unwrap()
    }

    async fn reopen(node: Node) -> Recovered {
        node.spawn(Storage::open(None)).await.unwrap().unwrap().1
    }

    #[test]
    fn what_was_saved_survives_a_power_cut_in_the_strictest_model() {
        let hard = HardState { term: 4, voted_for: Some(2) };
        let recovered = simulated(1, move |_, node| async move {
            node.disk().crash_model(CrashModel::Strict);
            let saved = node.spawn(async move {
                let (mut storage, empty) = Storage::open(None).await?;
                assert_eq!(empty, (HardState::default(), Snapshot::default(), Vec::new()));
                storage.save_hard_state(hard).await?;
                storage.append(1, &entries(&[1, 1, 2])).await?;
                storage.append(3, &entries(&[3])).await?;
                storage.append(3, &[]).await?;
                storage.append(4, &entries(&[4])).await
            });
            saved.await.unwrap().unwrap();
            node.power_cut();
            node.start();
            reopen(node).await
        });
        assert_eq!(recovered, (hard, Snapshot::default(), entries(&[1, 1, 3, 4])));
    }

    #[test]
    fn a_power_cut_at_any_moment_leaves_a_beginning_of_what_was_to_be_appended() {
        for seed in 0..200 {
            let recovered = simulated(seed, |sim, node| async move {
                let writes = node.spawn(async {
                    let (mut storage, _) = Storage::open(None).await?;
                    storage.append(1, &entries(&[1; 200])).await?;
                    // Takes the place of the last hundred.
                    storage.append(101, &entries(&[2; 150])).await
                });
                let cut_at = sim::rand::range(0..6_000);
                sim.after(sim::time::Duration::from_micros(cut_at), move || {
                    node.power_cut();
                    node.start();
                });
                let _ = writes.await;
                sim::time::sleep(sim::time::Duration::from_millis(10)).await;
                reopen(node).await
            });
            let terms: Vec<u64> = recovered.2.iter().map(|entry| entry.term).collect();
            let twos = terms.iter().filter(|term| **term == 2).count();
            let valid = match twos {
                0 => terms.len() <= 200,
                _ => terms[..100].iter().all(|term| *term == 1) && terms.len() == 100 + twos,
            };
            assert!(valid, "seed {seed}: {terms:?}");
        }
    }

    #[test]
    fn after_a_snapshot_the_log_counts_only_where_it_is_the_same() {
        let recovered = |terms: &'static [u64]| {
            simulated(1, move |_, node| async move {
                let saved = node.spawn(async move {
                    let (mut storage, _) = Storage::open(None).await?;
                    storage.append(1, &entries(terms)).await?;
                    let last = Position { term: 2, index: 2 };
                    storage.save_snapshot(&Snapshot { last, data: [9].into() }).await
                });
                saved.await.unwrap().unwrap();
                // The process dies before it rewrites the log.
                node.kill();
                node.start();
                reopen(node).await
            })
        };
        let (hard, snapshot, kept) = recovered(&[1, 2, 2]);
        assert_eq!((hard.term, snapshot.last.index, kept), (2, 2, entries(&[2])));
        assert_eq!(recovered(&[1, 1, 3]).2, []);
        assert_eq!(recovered(&[1]).2, []);
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let error = simulated(1, |_, node| async move {
            node.spawn(Storage::open(None)).await.unwrap().unwrap();
            node.spawn(fs::write(STATE, b"nonsense")).await.unwrap().unwrap();
            node.spawn(Storage::open(None)).await.unwrap().unwrap_err()
        });
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::InvalidData, format!("{STATE} is damaged"))
        );
    }

    #[test]
    fn a_vote_that_is_not_saved_is_forgotten() {
        let vote = HardState { term: 4, voted_for: Some(2) };
        let kept = |bug| {
            simulated(1, move |_, node| async move {
                let saved =
                    node.spawn(async move { Storage::open(bug).await?.0.save_hard_state(vote).await });
                saved.await.unwrap().unwrap();
                node.kill();
                node.start();
                reopen(node).await.0
            })
        };
        assert_eq!(kept(None), vote);
        assert_eq!(kept(Some(Bug::VoteTwice)), HardState { voted_for: None, ..vote });
    }
}
