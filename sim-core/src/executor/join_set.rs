//! `JoinSet`: tasks awaited in the order in which they end.

use super::task::{AbortHandle, JoinError, JoinHandle, spawn};
use crate::node::Node;
use futures::stream::{FuturesUnordered, Stream};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A set of tasks. Dropping it aborts all that still run.
pub struct JoinSet<T: 'static> {
    handles: FuturesUnordered<JoinHandle<T>>,
}

impl<T: 'static> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        JoinSet { handles: FuturesUnordered::new() }
    }

    /// How many tasks are in the set, ended ones that were not awaited included.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether no task is in the set.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Spawns a task of the current process into the set.
    ///
    /// # Panics
    /// Outside of a simulation.
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&mut self, future: F) -> AbortHandle {
        self.add(spawn(future))
    }

    /// The same as [`JoinSet::spawn`]: a simulation is one thread.
    #[track_caller]
    pub fn spawn_local<F: Future<Output = T> + 'static>(&mut self, future: F) -> AbortHandle {
        self.add(spawn(future))
    }

    /// Spawns a task on another node into the set.
    #[track_caller]
    pub fn spawn_on_node<F: Future<Output = T> + 'static>(&mut self, future: F, node: Node) -> AbortHandle {
        self.add(node.spawn(future))
    }

    fn add(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        self.handles.push(handle);
        abort
    }

    /// Waits for the next task to end; `None` when the set is empty. Safe to cancel.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        std::future::poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Polls for the next task to end.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        Pin::new(&mut self.handles).poll_next(cx)
    }

    /// A task that has ended, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        match self.poll_join_next(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }

    /// Aborts every task; they stay in the set as cancelled.
    pub fn abort_all(&mut self) {
        self.handles.iter().for_each(JoinHandle::abort);
    }

    /// Aborts every task and waits until the set is empty.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Lets every task run on by itself.
    pub fn detach_all(&mut self) {
        self.handles = FuturesUnordered::new();
    }

    /// Waits for all and gives their outputs in the order in which they ended.
    ///
    /// # Panics
    /// If a task panicked, with its panic.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(ended) = self.join_next().await {
            match ended {
                Ok(output) => outputs.push(output),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => panic!("{error}"),
            }
        }
        outputs
    }
}

impl<T: 'static> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}
