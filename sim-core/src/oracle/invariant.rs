//! Invariants: what holds after every step.

use super::{Answer, View};
use crate::failure::{Failure, FailureKind};
use crate::kernel::Current;
use crate::world::{self, World};
use crate::{Sim, panics};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Check = dyn FnMut(&View) -> Result<(), String>;

/// Something that must hold after every step.
pub(crate) struct Invariant {
    name: String,
    check: Box<Check>,
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invariant").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Sim {
    /// Claims that `check` holds after every step of the run from now on: after each poll of a task, and after each event
    /// such as a delivery, a start or a fault. Where it does not, the run ends there and fails with the signature
    /// `invariant NAME`, at the step that broke it.
    ///
    /// The check looks at the world through its [`View`], and at whatever state the test shares with the services. It says
    /// `bool`, a `Result` whose error tells what is wrong, or asserts. It may keep state of its own: what must only grow is
    /// compared with what was seen before. It only looks: one that sends, spawns or decides fails the run as well.
    ///
    /// Name invariants finely: failures are grouped by the name.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    /// let outcome = sim_core::run(sim_core::Config::seed(1), |sim| async move {
    ///     let stock = Rc::new(Cell::new(3));
    ///     let shelf = stock.clone();
    ///     sim.invariant("stock never negative", move |_| match shelf.get() {
    ///         0.. => Ok(()),
    ///         less => Err(format!("{less} on hand")),
    ///     });
    ///     sim.node("shop").spawn(async move {
    ///         loop {
    ///             sim_core::time::sleep(Duration::from_secs(1)).await;
    ///             stock.set(stock.get() - 1);
    ///         }
    ///     });
    ///     sim_core::time::sleep(Duration::from_secs(60)).await;
    /// });
    /// let failure = outcome.result.unwrap_err();
    /// assert_eq!(failure.signature(), "invariant stock never negative");
    /// assert_eq!((failure.message.as_str(), failure.at), ("-1 on hand", Duration::from_secs(4)));
    /// assert_eq!(failure.node.as_deref(), Some("shop"));
    /// ```
    #[track_caller]
    pub fn invariant<A: Answer<Found = ()>>(&self, name: &str, mut check: impl FnMut(&View) -> A + 'static) {
        let check = Box::new(move |view: &View| check(view).answer().map_err(|saw| saw.to_string()));
        let invariant = Invariant { name: name.to_owned(), check };
        world::with(|w| {
            w.check(self.world(), "Sim");
            w.invariants.borrow_mut().push(invariant);
            w.kernel().watch_invariants();
        });
    }
}

impl World {
    /// Looks at all invariants, after a step.
    #[cold]
    pub(crate) fn look_at_invariants(&self) {
        let (before, stats, view) = {
            let mut kernel = self.kernel();
            let before = std::mem::replace(&mut kernel.current, Current::HARNESS);
            (before, kernel.stats, View::new(Sim::new(self.id()), kernel.step()))
        };
        // Taken out, because a check may add another.
        let mut invariants = std::mem::take(&mut *self.invariants.borrow_mut());
        let mut broken = None;
        for invariant in &mut invariants {
            let found = catch_unwind(AssertUnwindSafe(|| (invariant.check)(&view)));
            let acted = self.kernel().stats != stats;
            broken = match found {
                _ if acted => Some(acts(&invariant.name)),
                Ok(Ok(())) => continue,
                Ok(Err(saw)) => Some(Failure::new(FailureKind::Invariant, &invariant.name, saw)),
                Err(payload) => {
                    let panics::Caught { message, location, backtrace } = panics::of(payload.as_ref());
                    let mut failure = Failure::new(FailureKind::Invariant, &invariant.name, message);
                    failure.details.push(format!("its check panicked at {location}"));
                    failure.details.extend(backtrace.iter().flat_map(|b| b.lines()).map(str::to_owned));
                    Some(failure)
                }
            };
            break;
        }
        let mut kept = self.invariants.borrow_mut();
        invariants.append(&mut kept);
        *kept = invariants;
        drop(kept);
        let last = broken.is_some().then(|| self.last_event());
        let mut kernel = self.kernel();
        kernel.current = before;
        if let Some((mut failure, last)) = broken.zip(last) {
            failure.details.insert(0, format!("after step {}; the last event was {last}", view.step()));
            kernel.fail_with(failure);
        }
    }
}

fn acts(name: &str) -> Failure {
    let message = format!(
        "the check of the invariant {name:?} has changed the world: it may only look, or a run with it would be \
         another than a run without"
    );
    Failure::new(FailureKind::Error, "sim.invariant", message)
}
