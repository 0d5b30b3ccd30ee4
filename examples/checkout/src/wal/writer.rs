//! Who writes the log.

use super::recovery::Last;
use super::{Options, Wal, record, segment, sync_dir};
use crate::Bug;
use sim::fs::{self, File, OpenOptions};
use sim::spawn;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::Poll;

/// The writer of a log. It is the only one who touches the files.
#[derive(Debug)]
pub struct Writer {
    wal: Wal,
    dir: PathBuf,
    options: Options,
    segment: Option<Segment>,
    /// The last record that was written and synced.
    durable: u64,
    queue: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

/// The last segment.
#[derive(Debug)]
struct Segment {
    file: File,
    end: u64,
}

/// How often the planted bug tries a failed sync again.
const RETRIES: u32 = 5;

impl Writer {
    /// The writer of a log that has been read.
    pub(super) async fn open(
        wal: Wal,
        dir: PathBuf,
        options: Options,
        last: Option<Last>,
    ) -> io::Result<Writer> {
        let segment = match last {
            Some(last) if last.is_empty => {
                fs::remove_file(&last.path).await?;
                None
            }
            Some(last) => Some(Segment::mend(last).await?),
            None => None,
        };
        let durable = wal.appended();
        Ok(Writer { wal, dir, options, segment, durable, queue: Vec::new(), bytes: Vec::new() })
    }

    /// Writes what is appended, for ever.
    ///
    /// # Errors
    /// The first error of the disk. The process has to end then.
    pub async fn run(mut self) -> io::Result<Infallible> {
        loop {
            self.wal.0.has_work.notified().await;
            std::mem::swap(&mut self.queue, &mut self.wal.lock().queue);
            if let Err(error) = self.write().await {
                self.wal.stop();
                return Err(error);
            }
        }
    }

    /// Runs a service that needs the log, and ends with the first of both that ends.
    ///
    /// # Errors
    /// That of the service, or of the disk.
    pub async fn beside<T>(self, service: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut writes = spawn(self.run());
        let mut serves = pin!(service);
        poll_fn(|cx| match Pin::new(&mut writes).poll(cx) {
            Poll::Ready(Ok(Err(error))) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(Ok(never))) => match never {},
            Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Pending => serves.as_mut().poll(cx),
        })
        .await
    }

    /// Writes what is in the queue: one write, one sync.
    async fn write(&mut self) -> io::Result<()> {
        let mut last = self.durable;
        self.bytes.clear();
        for payload in self.queue.drain(..) {
            last += 1;
            record::encode(&mut self.bytes, last, self.durable, &payload);
        }
        let segment = match &mut self.segment {
            Some(segment) if segment.end < self.options.segment => segment,
            _ => self.segment.insert(begin(&self.dir, self.durable + 1, self.options.bug).await?),
        };
        segment.file.write_all_at(&self.bytes, segment.end).await?;
        segment.end += self.bytes.len() as u64;
        if self.options.bug == Some(Bug::AckBeforeSync) {
            // "The write has returned, so it is written."
            self.wal.acknowledge(last);
        }
        let mut synced = segment.file.sync_data().await;
        if self.options.bug == Some(Bug::RetryFsync) {
            // "It did not work at once: try again."
            for _ in 0..RETRIES {
                if synced.is_ok() {
                    break;
                }
                synced = segment.file.sync_data().await;
            }
        }
        synced?;
        self.durable = last;
        self.wal.acknowledge(last);
        Ok(())
    }
}

/// Begins a segment, and makes it durable with its name.
async fn begin(dir: &std::path::Path, first: u64, bug: Option<Bug>) -> io::Result<Segment> {
    let file = File::create_new(segment::path(dir, first)).await?;
    file.write_all_at(&segment::header(first), 0).await?;
    file.sync_all().await?;
    // "The file is synced, and its name with it."
    if bug != Some(Bug::NoDirSync) {
        sync_dir(dir).await?;
    }
    Ok(Segment { file, end: segment::HEADER as u64 })
}

impl Segment {
    /// Opens the last segment, cuts off its torn tail, and has on the disk what may be in memory only.
    async fn mend(Last { path, end, unsure, is_torn, .. }: Last) -> io::Result<Segment> {
        let file = OpenOptions::new().write(true).open(&path).await?;
        if is_torn {
            file.set_len(end).await?;
        }
        if !unsure.is_empty() {
            file.write_all_at(&unsure, end - unsure.len() as u64).await?;
        }
        if is_torn || !unsure.is_empty() {
            file.sync_all().await?;
        }
        Ok(Segment { file, end })
    }
}
