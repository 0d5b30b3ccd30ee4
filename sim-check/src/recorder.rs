//! Records operations while they happen.

use crate::history::{Completion, History, Operation, ProcessId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Source = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// Records what processes do. Handles are cheap: clone them into whatever task needs one.
///
/// In a simulation `sim.recorder()` gives one that stamps by the simulator's count of steps.
pub struct Recorder<I, O>(Arc<Shared<I, O>>);

struct Shared<I, O> {
    source: Option<Source>,
    state: Mutex<State<I, O>>,
}

struct State<I, O> {
    operations: Vec<Operation<I, O>>,
    /// Whether the last operation of each process is under way.
    busy: Vec<bool>,
    last: u64,
}

impl<I, O> Clone for Recorder<I, O> {
    fn clone(&self) -> Self {
        Recorder(self.0.clone())
    }
}

impl<I, O> fmt::Debug for Recorder<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("operations", &self.len()).finish_non_exhaustive()
    }
}

impl<I, O> Default for Recorder<I, O> {
    fn default() -> Self {
        Recorder::new()
    }
}

impl<I, O> Recorder<I, O> {
    /// A recorder that counts what it records: for real systems, where the order in which it hears of things is the best
    /// that is known.
    pub fn new() -> Self {
        Recorder::from_source(None)
    }

    /// A recorder that takes its stamps from `source`, such as a simulator's count of events. A stamp that is not greater
    /// than the last is made so. Where it says `None`, nothing is recorded: who asks is dead.
    pub fn stamped(source: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Recorder::from_source(Some(Box::new(source)))
    }

    fn from_source(source: Option<Source>) -> Self {
        let state = State { operations: Vec::new(), busy: Vec::new(), last: 0 };
        Recorder(Arc::new(Shared { source, state: Mutex::new(state) }))
    }

    /// A process of its own, numbered from 0 in the order of these calls.
    pub fn process(&self) -> Process<I, O> {
        let mut state = self.0.state();
        state.busy.push(false);
        Process { recorder: self.clone(), id: ProcessId(state.busy.len() as u64 - 1) }
    }

    /// How many operations were invoked.
    pub fn len(&self) -> usize {
        self.0.state().operations.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was recorded so far. Of what is under way nobody knows what comes of it.
    pub fn history(&self) -> History<I, O>
    where
        I: Clone,
        O: Clone,
    {
        match History::new(self.0.state().operations.clone()) {
            Ok(history) => history,
            Err(malformed) => unreachable!("a recorder stamps in order: {malformed}"),
        }
    }
}

impl<I, O> Shared<I, O> {
    fn state(&self) -> MutexGuard<'_, State<I, O>> {
        // Each change is whole: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, and the next stamp. The source is asked while nothing is locked: it may be anybody's code.
    fn stamp(&self) -> Option<(MutexGuard<'_, State<I, O>>, u64)> {
        let said = match &self.source {
            Some(source) => Some(source()?),
            None => None,
        };
        let mut state = self.state();
        let next = state.last + 1;
        state.last = said.map_or(next, |said| said.max(next));
        let last = state.last;
        Some((state, last))
    }
}

/// Does operations, one after the other.
pub struct Process<I, O> {
    recorder: Recorder<I, O>,
    id: ProcessId,
}

impl<I, O> fmt::Debug for Process<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.id).finish()
    }
}

impl<I, O> Process<I, O> {
    /// Its number.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// An operation begins: call this before anything is sent.
    ///
    /// # Panics
    /// If one of this process is under way.
    #[track_caller]
    pub fn invoke(&self, input: I) -> Call<I, O> {
        let shared = &self.recorder.0;
        let place = shared.stamp().map(|(mut state, invoked)| {
            let busy = std::mem::replace(&mut state.busy[self.id.0 as usize], true);
            if busy {
                drop(state);
                panic!(
                    "process {} invokes an operation while another of its is under way: one after the other, or a \
                     recorder.process() for each",
                    self.id
                );
            }
            let completion = Completion::Unknown;
            state.operations.push(Operation { process: self.id, input, invoked, completion });
            state.operations.len() - 1
        });
        Call { recorder: self.recorder.clone(), process: self.id, place }
    }
}

/// An operation that is under way. Dropped, it is one of which nobody knows what came of it.
#[must_use = "dropped at once, it is an operation of which nobody knows what came of it"]
pub struct Call<I, O> {
    recorder: Recorder<I, O>,
    process: ProcessId,
    /// `None` where nothing is recorded.
    place: Option<usize>,
}

impl<I, O> fmt::Debug for Call<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("process", &self.process).finish_non_exhaustive()
    }
}

impl<I, O> Call<I, O> {
    /// It returned this.
    pub fn ok(self, output: O) {
        self.complete(|at| Completion::Ok { at, output });
    }

    /// It did not take effect, and never will. Where that is not certain, [`unknown`](Call::unknown) is right.
    pub fn failed(self) {
        self.complete(|at| Completion::Failed { at });
    }

    /// Nobody knows what became of it: the same as dropping it.
    pub fn unknown(self) {}

    fn complete(self, completion: impl FnOnce(u64) -> Completion<O>) {
        let Some(place) = self.place else { return };
        // Bound to a name: it is to be unlocked before `self` is dropped, which locks it again.
        let stamped = self.recorder.0.stamp();
        if let Some((mut state, at)) = stamped {
            state.operations[place].completion = completion(at);
        }
    }
}

impl<I, O> Drop for Call<I, O> {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.recorder.0.state().busy[self.process.0 as usize] = false;
        }
    }
}
