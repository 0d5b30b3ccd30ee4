//! The handle of the world that runs on this thread.

use crate::clock::{What, nanos};
use crate::decision::{self, Kind};
use crate::failure::FailureKind;
use crate::node::{Node, NodeId};
use crate::world::{self, World, WorldId};
use std::fmt::Display;
use std::time::Duration;

/// The simulation that runs on this thread: declares nodes and says what happens when. The handle is plain data.
///
/// # Panics
/// Every method panics outside of the simulation that gave the handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sim {
    world: WorldId,
}

impl Sim {
    pub(crate) fn new(world: WorldId) -> Self {
        Sim { world }
    }

    /// The simulation that runs on this thread.
    ///
    /// # Panics
    /// Outside of a simulation.
    #[track_caller]
    pub fn current() -> Sim {
        world::with(|w| Sim::new(w.id()))
    }

    /// The simulation that runs on this thread, if there is one.
    pub fn try_current() -> Option<Sim> {
        world::try_with(|w| Sim::new(w.id()))
    }

    pub(crate) fn world(&self) -> WorldId {
        self.world
    }

    #[track_caller]
    fn with<R>(&self, f: impl FnOnce(&World) -> R) -> R {
        world::with(|w| {
            w.check(self.world, "Sim");
            f(w)
        })
    }

    /// The seed of this run.
    #[track_caller]
    pub fn seed(&self) -> u64 {
        self.with(|w| w.kernel().seed)
    }

    /// World time since the start of the run, which no node's clock changes.
    #[track_caller]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.with(|w| w.kernel().now()))
    }

    /// The node of this name; it is declared if there is none. Its first addresses are 10.x.y.z and fd00::n, by the
    /// order of declaration.
    ///
    /// # Panics
    /// If a new node's name could not be told from something else by whoever connects to it: if it is empty, `localhost`,
    /// an address, the name of another node in other capitals, or has a colon, a white space or a control character.
    #[track_caller]
    pub fn node(&self, name: &str) -> Node {
        let declared = self.with(|w| {
            let mut kernel = w.kernel();
            match kernel.by_name(name) {
                Some(id) => Ok(id),
                None => kernel.check_name(name).map(|()| kernel.add_machine(name)),
            }
        });
        match declared {
            Ok(id) => Node::new(self.world, id),
            Err(why) => panic!("a node cannot be called {name:?}: {why}"),
        }
    }

    /// The node on which the body of the test runs.
    pub fn harness(&self) -> Node {
        Node::new(self.world, NodeId::HARNESS)
    }

    /// The node whose code runs now.
    #[track_caller]
    pub fn here(&self) -> Node {
        Node::new(self.world, self.with(|w| w.kernel().here()))
    }

    /// Every node, the harness first, then in the order of declaration.
    #[track_caller]
    pub fn nodes(&self) -> Vec<Node> {
        let count = self.with(|w| w.kernel().machines()) as u32;
        (0..count).map(|id| Node::new(self.world, NodeId(id))).collect()
    }

    /// Calls `action` when the world's time since the start is `at`; at once if that is past.
    #[track_caller]
    pub fn at(&self, at: Duration, action: impl FnOnce() + 'static) {
        self.with(|w| {
            let Some(key) = w.add_action(Box::new(action)) else { return };
            let mut kernel = w.kernel();
            let name = kernel.name(Kind::Phase, 0);
            kernel.push_event(nanos(at), name, What::Action(key));
        });
    }

    /// Calls `action` after so much of the world's time.
    #[track_caller]
    pub fn after(&self, after: Duration, action: impl FnOnce() + 'static) {
        self.at(self.elapsed().saturating_add(after), action);
    }

    /// Waits until the world's time since the start is `at`, and makes what follows a root: it is named by `tag`
    /// instead of by whatever the test did before, so that a shrinker can take that away.
    pub async fn phase(&self, tag: &str, at: Duration) {
        let (sent, done) = handover();
        self.with(|w| {
            let Some(key) = w.add_action(Box::new(move || sent.fire())) else { return };
            let mut kernel = w.kernel();
            let name = decision::root(Kind::Phase, crate::hash::text(tag), 0);
            kernel.push_event(nanos(at), name, What::Action(key));
        });
        done.await;
    }

    /// Says that an invariant is broken: the run ends after the current poll and fails with the signature
    /// `invariant NAME`. The first failure of a run counts.
    #[track_caller]
    pub fn violated(&self, name: &str, detail: impl Display) {
        self.with(|w| w.kernel().fail(FailureKind::Invariant, name, detail.to_string()));
    }

    /// Lets this run make calls to the host that would otherwise fail it with a `violation`, by the names that such
    /// failures have, such as `"pthread_create"`. They are made for real, and what comes of them cannot be reproduced;
    /// a note in the outcome says how often each was made.
    ///
    /// # Panics
    /// If nothing of that name is refused.
    #[track_caller]
    pub fn allow<'a>(&self, calls: impl IntoIterator<Item = &'a str>) {
        let refused = crate::host::guards().map(|guards| (guards.refused)()).unwrap_or_default();
        for call in calls {
            // Where there are no guards, nothing is refused and everything allowed.
            assert!(
                refused.is_empty() || refused.contains(&call),
                "{call:?} is no call that a simulation refuses, so it cannot be allowed; these can: {}",
                refused.join(", ")
            );
            self.with(|w| w.allow(call.to_owned()));
        }
    }

    /// How many tasks have not ended and how many events are pending: for tests of what is cleaned up.
    #[track_caller]
    pub fn census(&self) -> (usize, usize) {
        self.with(|w| {
            let kernel = w.kernel();
            (kernel.unfinished(), kernel.pending_events())
        })
    }

    /// What this run has counted so far.
    #[track_caller]
    pub fn stats(&self) -> crate::Stats {
        self.with(|w| *w.kernel().stats())
    }
}

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// One side fires once, the other waits for it.
fn handover() -> (Handover, impl Future<Output = ()>) {
    let state = Handover::default();
    let wait = state.clone();
    let done = std::future::poll_fn(move |cx| {
        let mut state = wait.0.borrow_mut();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    });
    (state, done)
}

#[derive(Clone, Default)]
struct Handover(Rc<RefCell<(bool, Option<Waker>)>>);

impl Handover {
    fn fire(self) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
