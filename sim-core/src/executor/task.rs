//! Tasks: a spawned future, later its output, and the handle that waits for it.

use super::pool::Pool;
use crate::node::NodeId;
use crate::slab::Key;
use crate::world::{self, World, WorldId};
use parking_lot::Mutex;
use pin_project::pin_project;
use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A spawned future, later its output.
pub(crate) trait Task {
    /// Polls the future; true when its output is there.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool;
    /// The `Option<T>` that holds the output.
    fn output(self: Pin<&mut Self>) -> Option<&mut dyn Any>;
    /// Takes the future out of an `Option<F>`, if this is an ended task of that type.
    fn renew(self: Pin<&mut Self>, future: &mut dyn Any);
    /// The type of a task whose output is gone, so that its memory can serve another; `None` for what must be dropped.
    fn emptied(self: Pin<&mut Self>) -> Option<TypeId>;
    /// Drops the output, which runs code of others.
    fn clear(self: Pin<&mut Self>);
}

pub(crate) type BoxTask = Pin<Box<dyn Task>>;

#[pin_project(project = CellProjection, project_replace = CellReplaced)]
enum Cell<F: Future> {
    Running(#[pin] F),
    Done(Option<F::Output>),
}

impl<F: Future<Output: 'static> + 'static> Task for Cell<F> {
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let CellProjection::Running(future) = self.as_mut().project() else { return true };
        let Poll::Ready(output) = future.poll(cx) else { return false };
        self.project_replace(Cell::Done(Some(output)));
        true
    }

    #[inline]
    fn output(self: Pin<&mut Self>) -> Option<&mut dyn Any> {
        match self.project() {
            CellProjection::Done(output) => Some(output),
            CellProjection::Running(_) => None,
        }
    }

    #[inline]
    fn renew(mut self: Pin<&mut Self>, future: &mut dyn Any) {
        if let Some(future) = future.downcast_mut::<Option<F>>()
            && matches!(*self, Cell::Done(None))
            && let Some(future) = future.take()
        {
            self.set(Cell::Running(future));
        }
    }

    #[inline]
    fn emptied(self: Pin<&mut Self>) -> Option<TypeId> {
        matches!(*self, Cell::Done(None)).then(TypeId::of::<F>)
    }

    fn clear(self: Pin<&mut Self>) {
        if let CellProjection::Done(output) = self.project() {
            drop(output.take());
        }
    }
}

/// A task of a future, in the memory of one that ended if there is some.
#[inline]
pub(super) fn renewed<F: Future<Output: 'static> + 'static>(pool: &mut Pool, future: F) -> BoxTask {
    match pool.take(TypeId::of::<F>()) {
        Some(mut task) => {
            task.as_mut().renew(&mut Some(future));
            task
        }
        None => Box::pin(Cell::Running(future)),
    }
}

/// What reports call a task: its name, if it has one, and where it was spawned.
#[derive(Clone)]
pub(crate) struct Label {
    pub(crate) name: Option<Rc<str>>,
    pub(crate) at: &'static Location<'static>,
}

impl Label {
    #[track_caller]
    #[inline]
    pub(crate) fn here() -> Self {
        Label { name: None, at: Location::caller() }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name:?} ")?;
        }
        write!(f, "spawned at {}", self.at)
    }
}

/// A task whose polls run inside a span of `tracing`.
struct Spanned {
    span: tracing::Span,
    task: BoxTask,
}

impl Task for Spanned {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = &mut *self;
        let _entered = this.span.enter();
        this.task.as_mut().poll(cx)
    }

    fn output(self: Pin<&mut Self>) -> Option<&mut dyn Any> {
        self.get_mut().task.as_mut().output()
    }

    fn renew(self: Pin<&mut Self>, _future: &mut dyn Any) {}

    fn emptied(self: Pin<&mut Self>) -> Option<TypeId> {
        // Its span is told of the end by the drop.
        None
    }

    fn clear(self: Pin<&mut Self>) {
        self.get_mut().task.as_mut().clear();
    }
}

/// Runs a future as a task of the current process. It starts at once, whether its handle is awaited or not, and
/// ends with its process. Unlike tokio's it need not be `Send`: a simulation is one thread.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let label = Label::here();
    world::with(|w| spawn_on(w, None, future, label))
}

/// The same as [`spawn`], with a name that reports show.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Rc<str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let label = Label { name: Some(name.into()), at: Location::caller() };
    world::with(|w| spawn_on(w, None, future, label))
}

/// The same as [`spawn`], under the name that tokio has for futures that are not `Send`.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn(future)
}

/// Spawns on a node, or on the one whose process runs now. Where there is none, or it has no power, the future is
/// dropped and its handle says cancelled.
pub(crate) fn spawn_on<F>(w: &World, node: Option<NodeId>, future: F, label: Label) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let spawned = if w.traced() {
        let name = {
            let kernel = w.kernel();
            kernel.machine(node.unwrap_or(kernel.here())).name.clone()
        };
        let span = tracing::info_span!("task", node = %name, spawned = %label);
        let task = Box::pin(Spanned { span, task: Box::pin(Cell::Running(future)) });
        w.kernel().spawn(node, task, label)
    } else {
        let mut kernel = w.kernel();
        let task = renewed(kernel.pool(), future);
        kernel.spawn(node, task, label)
    };
    // A task that cannot run is dropped here, outside of the borrow.
    let key = spawned.unwrap_or(Key::NONE);
    JoinHandle { world: w.id(), key, output: PhantomData }
}

/// Waits for a task's output. Dropping it lets the task run on.
///
/// A handle is plain data and may be sent anywhere, but only the world that spawned the task can await it.
pub struct JoinHandle<T> {
    world: WorldId,
    key: Key,
    output: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<T> JoinHandle<T> {
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Ends the task at its current wait: its future is dropped, and its handle says cancelled.
    pub fn abort(&self) {
        self.abort_handle().abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.abort_handle().is_finished()
    }

    /// A handle that can only abort.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { world: self.world, key: self.key }
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let joined = world::with(|w| {
            w.check(self.world, "JoinHandle");
            let mut kernel = w.kernel();
            match kernel.join(self.key, cx.waker()) {
                Joined::Done(mut task) => {
                    let output = task.as_mut().output().and_then(|o| o.downcast_mut::<Option<T>>()?.take());
                    kernel.pool().put(task);
                    Ok(output)
                }
                other => Err(other),
            }
        });
        if let Err(Joined::Pending(_replaced)) = joined {
            return Poll::Pending;
        }
        self.key = Key::NONE;
        Poll::Ready(match joined {
            Ok(output) => output.ok_or(JoinError(Repr::Cancelled)),
            Err(Joined::Panicked(payload)) => Err(JoinError(Repr::Panic(Mutex::new(payload)))),
            Err(_) => Err(JoinError(Repr::Cancelled)),
        })
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if self.key == Key::NONE {
            return;
        }
        let _left = world::try_with(|w| (w.id() == self.world).then(|| w.kernel().detach(self.key)));
    }
}

/// Aborts a task.
#[derive(Clone, Copy, Debug)]
pub struct AbortHandle {
    world: WorldId,
    key: Key,
}

impl AbortHandle {
    /// Ends the task at its current wait.
    pub fn abort(&self) {
        let removed = world::try_with(|w| (w.id() == self.world).then(|| w.kernel().remove(self.key)));
        if let Some(Some(removed)) = removed {
            removed.settle();
        }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        world::try_with(|w| w.id() != self.world || w.kernel().is_finished(self.key)).unwrap_or(true)
    }
}

/// What [`Kernel::join`](crate::Kernel) says; whatever it carries is for the caller to drop.
pub(crate) enum Joined {
    Pending(Option<std::task::Waker>),
    Done(BoxTask),
    Panicked(Box<dyn Any + Send>),
    Gone,
}

/// What is left of a task that was taken out: to be dropped and woken outside of any borrow.
#[derive(Default)]
#[must_use = "whoever waits for the task must be woken"]
pub(crate) struct Removed {
    pub(crate) task: Option<BoxTask>,
    pub(crate) waiter: Option<std::task::Waker>,
}

impl Removed {
    pub(crate) fn settle(self) {
        drop(self.task);
        self.waiter.into_iter().for_each(std::task::Waker::wake);
    }
}

/// Why a task has no output: it was aborted or its process died, or it panicked.
pub struct JoinError(Repr);

enum Repr {
    Cancelled,
    // Locked so that the error is `Sync`, as tokio's is.
    Panic(Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    /// Whether the task was aborted, or ended with its process.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Repr::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Repr::Panic(_))
    }

    /// What the task panicked with, for `std::panic::resume_unwind`.
    ///
    /// # Panics
    /// If the task did not panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.try_into_panic().expect("`JoinError` reason is not a panic.")
    }

    /// What the task panicked with.
    ///
    /// # Errors
    /// The error itself if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.0 {
            Repr::Panic(payload) => Ok(payload.into_inner()),
            Repr::Cancelled => Err(self),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Cancelled => f.write_str("task was cancelled"),
            Repr::Panic(payload) => {
                write!(f, "task panicked with message {:?}", crate::panics::message(payload.lock().as_ref()))
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> Self {
        std::io::Error::other(error.to_string())
    }
}

/// Lets the other ready tasks run.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
