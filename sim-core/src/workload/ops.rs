//! Which operations of a client take place, and when.

use super::{Client, Op, part, swarm};
use crate::clock::{EventKey, nanos};
use crate::decision::{self, Kind, Name, below};
use crate::executor::waker;
use crate::kernel::{Drawn, Kernel};
use crate::node::Node;
use crate::world::{self, WorldId};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

impl Node {
    /// The operations of a client on this node, at most so many: the loop of a workload.
    ///
    /// ```
    /// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
    /// let client = sim.node("client");
    /// let mut ops = client.ops(20);
    /// client.spawn(async move {
    ///     while let Some(op) = ops.next().await {
    ///         match op.choose(&[(3, "read"), (1, "write")]) {
    ///             "write" => { let value = op.pick(0..100); /* … */ }
    ///             _ => { /* … */ }
    ///         }
    ///         op.succeeded();
    ///     }
    /// }).await.unwrap();
    /// # }).result.unwrap();
    /// ```
    ///
    /// Which operations take place, when, and with what arguments are decisions of their own, that nothing else in the run
    /// has an influence on. Operations of a loop that waits for the end of each follow each other, late if need be; spawn
    /// each, and they overlap.
    ///
    /// Call it in the body of the test, once for each client. A node's second loop is another client; a program that has
    /// one begins a new one after each restart.
    #[track_caller]
    pub fn ops(self, most: u64) -> Ops {
        self.with(|w| {
            let mut kernel = w.kernel();
            let client = kernel.add_client(self.id());
            Ops {
                world: w.id(),
                client,
                most,
                every: Ops::EVERY,
                start: kernel.now(),
                swarmed: true,
                plan: None,
                event: None,
            }
        })
    }
}

/// The operations of a client, from [`Node::ops`]; they begin on whatever node calls [`next`](Ops::next).
#[must_use = "no operation begins before `next`"]
pub struct Ops {
    world: WorldId,
    client: Client,
    most: u64,
    every: u64,
    start: u64,
    swarmed: bool,
    plan: Option<Plan>,
    event: Option<Event>,
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops")
            .field("client", &self.client.label)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// The operations that are still to come.
struct Plan {
    /// By instant.
    coming: VecDeque<Planned>,
    /// All that were planned, by index: they are not drawn again.
    planned: BTreeSet<u64>,
    /// When the run is re-seeded: what would come from there on has not been drawn.
    until: Option<u64>,
}

/// What was drawn for an operation that takes place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Planned {
    /// ns after the client's start.
    pub(super) at: u64,
    pub(super) index: u64,
    pub(super) exists: u64,
}

/// What [`Ops::next`] waits for: the cause of what follows.
struct Event {
    name: Name,
    at: u64,
    key: Option<EventKey>,
    begins: Option<Planned>,
}

impl Ops {
    const EVERY: u64 = 1_000_000_000;

    /// Each operation has a stretch of time of its own, of this length, and begins somewhere in it; 1 s unless set.
    ///
    /// # Panics
    /// For less than a microsecond, and when the loop has begun.
    #[track_caller]
    pub fn every(mut self, stretch: Duration) -> Self {
        let every = nanos(stretch);
        assert!(every >= 1000, "an operation every {stretch:?}: allowed is 1 µs and more");
        self.check_new("every");
        self.every = every;
        self
    }

    /// When the first operation's stretch begins, in world time since the start of the run; with the call of
    /// [`Node::ops`] unless set.
    ///
    /// # Panics
    /// When the loop has begun.
    #[track_caller]
    pub fn starting_at(mut self, start: Duration) -> Self {
        self.check_new("starting_at");
        self.start = nanos(start);
        self
    }

    /// Every operation takes place, and kinds have the weights that they are given. Otherwise runs differ: some clients
    /// leave out many of their operations, and some kinds of operations are rare, frequent, or off.
    ///
    /// # Panics
    /// When the loop has begun.
    #[track_caller]
    pub fn steady(mut self) -> Self {
        self.check_new("steady");
        self.swarmed = false;
        self
    }

    #[track_caller]
    fn check_new(&self, what: &str) {
        assert!(
            self.plan.is_none(),
            "the loop of {} has begun: say `{what}` before `next`",
            self.client.label
        );
    }

    /// Waits for the next operation; `None` when there are no more. What follows has the operation as its cause.
    ///
    /// Dropped before it has an answer, it loses none.
    ///
    /// # Panics
    /// In another simulation.
    pub async fn next(&mut self) -> Option<Op> {
        loop {
            if self.event.is_none() {
                self.event = Some(self.coming()?);
            }
            poll_fn(|cx| self.poll_event(cx)).await;
            let event = self.event.take()?;
            if let Some(planned) = event.begins {
                return Some(world::with(|w| {
                    let mut kernel = w.kernel();
                    let late = kernel.now().saturating_sub(event.at);
                    Op::begin(&mut kernel, &self.client, planned, late, self.swarmed)
                }));
            }
        }
    }

    /// What comes next: an operation, or the instant from which on another seed says what comes.
    fn coming(&mut self) -> Option<Event> {
        world::with(|w| {
            w.check(self.world, "Ops");
            let kernel = w.kernel();
            let mut plan = self.plan.take().unwrap_or_else(|| Plan {
                coming: VecDeque::new(),
                planned: BTreeSet::new(),
                until: Some(0),
            });
            while let Some(from) = plan.until.filter(|until| *until <= kernel.now()) {
                self.draw(&kernel, &mut plan, from);
            }
            let plan = self.plan.insert(plan);
            match (plan.coming.pop_front(), plan.until) {
                (Some(next), _) => Some(Event {
                    name: decision::root(Kind::Op, self.client.id, next.index),
                    at: self.start.saturating_add(next.at),
                    key: None,
                    begins: Some(next),
                }),
                (None, Some(at)) => {
                    let name = decision::root(Kind::Phase, self.client.id, 0);
                    Some(Event { name, at, key: None, begins: None })
                }
                (None, None) => None,
            }
        })
    }

    /// Draws what comes from an instant on, as far as the seed of now says it.
    fn draw(&self, kernel: &Kernel, plan: &mut Plan, from: u64) {
        plan.until = kernel.reseeded_at();
        let value = |name, dist: &dyn Fn(u64) -> u64| match kernel.draw(name) {
            Drawn::Bits(bits) => dist(bits),
            Drawn::Value(value) => value,
        };
        let density = if self.swarmed { swarm::density(kernel.seed, self.client.id) } else { 100 };
        for index in 0..self.most {
            if plan.planned.contains(&index) {
                continue;
            }
            let name = decision::root(Kind::Op, self.client.id, index);
            let exists = value(name, &|draw| u64::from(below(draw, 100) < density));
            if exists == 0 {
                continue;
            }
            let stretch = index.saturating_mul(self.every);
            let micros = self.every / 1000;
            let at = value(decision::part(name, part::AT), &|draw| {
                stretch.saturating_add(1000 * below(draw, micros))
            });
            let instant = self.start.saturating_add(at);
            if instant >= from && plan.until.is_none_or(|until| instant < until) {
                plan.planned.insert(index);
                plan.coming.push_back(Planned { at, index, exists });
            }
        }
        plan.coming.make_contiguous().sort_unstable();
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(event) = &mut self.event else { return Poll::Ready(()) };
        let replaced = world::with(|w| {
            w.check(self.world, "Ops");
            let mut kernel = w.kernel();
            let target = waker::target(w.id(), cx.waker());
            match event.key {
                Some(key) if kernel.is_pending(key) => Some(kernel.rewake(key, target)),
                Some(_) => None,
                None => {
                    event.key = Some(kernel.push_wake(event.at, event.name, target));
                    Some(None)
                }
            }
        });
        match replaced {
            Some(_waker) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        let Some(key) = self.event.as_ref().and_then(|event| event.key) else { return };
        let _waker = world::try_with(|w| if w.id() == self.world { w.kernel().cancel(key) } else { None });
    }
}
