//! Waiting for a condition, without sleeps in tests.

use super::Answer;
use crate::slab::Key;
use crate::time::sleep;
use crate::world::{self, WorldId};
use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long after an answer a condition is asked again that takes time itself: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Waits until `condition` holds, for so much virtual time at most, on the clock of the node that waits; gives what it
/// found.
///
/// The condition looks at the state that the test shares with the services, or asks them: a closure that returns `bool`,
/// `Option` or `Result`, or an async one. It is evaluated at once, then at the end of each instant in which something
/// happened, and at the deadline. One that takes time itself, because it asks over the network, is asked again 10 ms after
/// its answer, then after twice as long each time, up to 1 s.
///
/// ```
/// use sim_core::oracle::eventually;
/// use sim_core::time::{Duration, sleep};
/// use std::{cell::Cell, rc::Rc};
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// let settled = Rc::new(Cell::new(0));
/// let counter = settled.clone();
/// sim.node("worker").spawn(async move {
///     for _ in 0..5 {
///         sleep(Duration::from_millis(300)).await;
///         counter.set(counter.get() + 1);
///     }
/// });
/// let three = || match settled.get() {
///     3.. => Ok(()),
///     n => Err(format!("{n} are settled")),
/// };
/// let early = eventually(Duration::from_millis(800), three).await.unwrap_err();
/// assert_eq!(early.saw.as_deref(), Some("2 are settled"));
/// eventually(Duration::from_secs(30), three).await.unwrap();
/// assert_eq!(sim.elapsed(), Duration::from_millis(900));
///
/// // The same, asked each time.
/// eventually(Duration::from_secs(30), async || {
///     sleep(Duration::from_millis(1)).await;
///     settled.get() == 5
/// })
/// .await
/// .unwrap();
/// # }).result.unwrap();
/// ```
///
/// # Errors
/// [`NotInTime`], which says what the condition saw last.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn eventually<M, C: Condition<M>>(
    within: Duration,
    condition: C,
) -> impl Future<Output = Result<C::Found, NotInTime>> {
    condition.wait(within, Location::caller())
}

/// What [`eventually`] waits for: a closure that looks, or an async one that asks. `M` tells the two apart, and is never
/// written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no condition",
    note = "a condition is a closure without arguments, or an async one, that gives a `bool`, an `Option`, or a `Result` \
            whose error can be displayed"
)]
pub trait Condition<M> {
    /// What it finds.
    type Found;

    /// Waits until it holds.
    #[doc(hidden)]
    fn wait(
        self,
        within: Duration,
        place: &'static Location<'static>,
    ) -> impl Future<Output = Result<Self::Found, NotInTime>>;
}

/// The condition looks.
#[derive(Debug)]
pub enum Looks {}

/// The condition asks.
#[derive(Debug)]
pub enum Asks {}

impl<F, A> Condition<Looks> for F
where
    F: FnMut() -> A,
    A: Answer,
{
    type Found = A::Found;

    fn wait(
        mut self,
        within: Duration,
        place: &'static Location<'static>,
    ) -> impl Future<Output = Result<A::Found, NotInTime>> {
        Condition::<Asks>::wait(move || ready(self()), within, place)
    }
}

impl<F, A> Condition<Asks> for F
where
    F: AsyncFnMut() -> A,
    A: Answer,
{
    type Found = A::Found;

    async fn wait(
        mut self,
        within: Duration,
        place: &'static Location<'static>,
    ) -> Result<A::Found, NotInTime> {
        let mut deadline = pin!(sleep(within));
        let mut pause = PAUSE.0;
        let mut saw: Option<A::Saw> = None;
        let mut looks = 0;
        loop {
            looks += 1;
            let mut polls = 0;
            let answer = {
                let mut look = pin!(self());
                poll_fn(|cx| {
                    only_looks();
                    polls += 1;
                    match look.as_mut().poll(cx) {
                        Poll::Ready(answer) => Poll::Ready(Some(answer)),
                        Poll::Pending => deadline.as_mut().poll(cx).map(|()| None),
                    }
                })
                .await
            };
            let answered = answer.is_some();
            match answer.map(Answer::answer) {
                Some(Ok(found)) => return Ok(found),
                Some(Err(instead)) => saw = Some(instead),
                None => {}
            }
            if !answered || deadline.is_elapsed() {
                let saw = saw.map(|saw| saw.to_string());
                return Err(NotInTime { within, saw, looks, answered, place });
            }
            match polls {
                1 => either(Changed::default(), deadline.as_mut()).await,
                _ => {
                    either(pin!(sleep(pause)), deadline.as_mut()).await;
                    pause = PAUSE.1.min(2 * pause);
                }
            }
        }
    }
}

/// Waits for the first of two.
async fn either(mut one: impl Future<Output = ()> + Unpin, mut other: impl Future<Output = ()> + Unpin) {
    poll_fn(|cx| {
        only_looks();
        let first = Pin::new(&mut one).poll(cx);
        if first.is_ready() { first } else { Pin::new(&mut other).poll(cx) }
    })
    .await;
}

fn only_looks() {
    world::with(|w| w.kernel().only_looks());
}

/// Waits until something has happened, and the instant is over.
#[derive(Default)]
struct Changed {
    waits: bool,
    place: Option<Key>,
    world: Option<WorldId>,
}

impl Future for Changed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Whoever polls it a second time was told, or has another reason: looking once more is cheap.
        if std::mem::replace(&mut self.waits, true) {
            return Poll::Ready(());
        }
        let _replaced = world::with(|w| {
            self.world = Some(w.id());
            w.kernel().wait_for_change(&mut self.place, cx.waker())
        });
        Poll::Pending
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _left = world::try_with(|w| {
            if self.world == Some(w.id()) { w.kernel().leave_change(self.place) } else { None }
        });
    }
}

/// A condition did not come to hold in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotInTime {
    /// How long it had.
    pub within: Duration,
    /// What it saw last; `None` if it never answered.
    pub saw: Option<String>,
    /// How often it was looked at.
    pub looks: u64,
    /// Whether the last look came to an end.
    pub answered: bool,
    place: &'static Location<'static>,
}

impl NotInTime {
    /// Without the place, for messages that have a name instead.
    pub(super) fn told(&self) -> String {
        let within = self.within;
        match (&self.saw, self.answered) {
            (Some(saw), true) => format!("not within {within:?}; it last saw: {saw}"),
            (Some(saw), false) => {
                format!("not within {within:?}; it last saw: {saw}, and has not answered since")
            }
            (None, _) => format!("not within {within:?}; it has not answered"),
        }
    }
}

impl fmt::Display for NotInTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what is waited for at {} did not come: {}", self.place, self.told())
    }
}

impl std::error::Error for NotInTime {}
