//! The file system of a node in a running world.

mod faults;
mod outside;
mod programs;

use sim_core::fs::{
    self, CrashModel, Difference, DiskExt, Entry, FaultKind, File, OpenOptions, Snapshot, Speed, Sync,
    blocking,
};
use sim_core::time::{Instant, sleep, timeout};
use sim_core::{Config, Node, Sim, Source, run};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world<T: 'static, Fut: Future<Output = T> + 'static>(body: impl FnOnce(Sim) -> Fut) -> T {
    run(Config::seed(7), body).result.unwrap()
}

/// Runs a body on a node.
async fn on<T: 'static>(node: Node, body: impl Future<Output = io::Result<T>> + 'static) -> io::Result<T> {
    node.spawn(body).await.unwrap()
}

/// A file that is durable with its name.
async fn durable(path: &str, content: &[u8]) -> io::Result<()> {
    fs::write(path, content).await?;
    File::open(path).await?.sync_all().await?;
    File::open(Path::new(path).parent().unwrap()).await?.sync_all().await
}
