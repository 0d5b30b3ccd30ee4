//! A write-ahead log: what was acknowledged is there after any crash, and in its order.
//!
//! A log is a directory of segments (`segment`), each a file of records (`record`) with length, number and checksum.
//! When a segment is large enough the next one is begun; its name is made durable before a record is written to it.
//! Opening a log reads all of it, cuts off a torn tail and says so, and refuses what was damaged otherwise
//! (`recovery`).
//!
//! Records are taken in the order of [`Wal::append`]. One task writes them: all that came while it wrote and synced the
//! ones before them make one write and one sync.
//!
//! When a sync has failed, the kernel may have dropped what it was to write, and a second sync would succeed without
//! writing it (fsync(2); it is why PostgreSQL stops then, since 2018). So the writer ends with the first error, and its
//! process has to end too: the next one goes on from what can be read, and writes anew what may be in memory only.

mod record;
mod recovery;
mod segment;
mod writer;

pub use record::LONGEST;
pub use recovery::{Corrupt, Recovered, Torn};
pub use writer::Writer;

use crate::Bug;
use sim::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// How a log is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// A segment that is as large is the last one no more, bytes.
    pub segment: u64,
    /// A mistake to make.
    pub bug: Option<Bug>,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment: 1 << 20, bug: None }
    }
}

/// A log that records can be added to. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Wal(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    has_work: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What is not written yet.
    queue: Vec<Vec<u8>>,
    /// The last record that was appended, and the last that is durable.
    appended: u64,
    durable: u64,
    /// Who waits for which record.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    /// The writer has ended.
    has_stopped: bool,
}

/// The log has failed: the process must end, since nothing can be promised any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the log has failed and takes no more records")
    }
}

impl std::error::Error for Stopped {}

impl Wal {
    /// Opens the log in a directory, which is made if it is not there. One process at a time may have it open.
    ///
    /// The writer has to be run, in a task of its own, for anything to become durable.
    ///
    /// # Errors
    /// What the disk says, and [`Corrupt`] as `InvalidData`.
    pub async fn open(dir: impl AsRef<Path>, options: Options) -> io::Result<(Wal, Writer, Recovered)> {
        let dir = dir.as_ref().to_owned();
        make_dir(&dir).await?;
        let (recovered, last) = recovery::read(&dir, options.bug).await?;
        // An earlier process may have been killed before it made the names durable that have just been read.
        sync_dir(&dir).await?;
        let number = recovered.records.len() as u64;
        let state = State { appended: number, durable: number, ..State::default() };
        let wal = Wal(Arc::new(Shared { state: Mutex::new(state), has_work: Notify::new() }));
        let writer = Writer::open(wal.clone(), dir, options, last).await?;
        Ok((wal, writer, recovered))
    }

    /// Adds a record, after all that were added before; gives its number. It is not durable yet: see
    /// [`Wal::durable`].
    ///
    /// # Panics
    /// If the payload is longer than [`LONGEST`].
    pub fn append(&self, payload: Vec<u8>) -> u64 {
        assert!(payload.len() <= LONGEST, "a payload of {} bytes is longer than {LONGEST}", payload.len());
        let mut state = self.lock();
        state.queue.push(payload);
        state.appended += 1;
        self.0.has_work.notify_one();
        state.appended
    }

    /// Waits until the record of this number and all before it are durable.
    ///
    /// # Errors
    /// [`Stopped`]: whether it is there after a restart is not known.
    pub async fn durable(&self, number: u64) -> Result<(), Stopped> {
        let done = {
            let mut state = self.lock();
            if state.durable >= number {
                return Ok(());
            }
            if state.has_stopped {
                return Err(Stopped);
            }
            let (done, wait) = oneshot::channel();
            state.waiting.push((number, done));
            wait
        };
        done.await.map_err(|_| Stopped)
    }

    /// The number of the last record that was added.
    pub fn appended(&self) -> u64 {
        self.lock().appended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledge(&self, number: u64) {
        let mut state = self.lock();
        state.durable = number;
        for (_, done) in state.waiting.extract_if(.., |(waits_for, _)| *waits_for <= number) {
            // Nobody may be waiting any more.
            let _ = done.send(());
        }
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.has_stopped = true;
        state.waiting.clear();
    }
}

async fn make_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir).await?;
    for above in dir.ancestors().skip(1) {
        sync_dir(above).await?;
    }
    Ok(())
}

/// Makes durable which names a directory has.
async fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir).await?.sync_all().await
}

#[cfg(test)]
mod tests;
