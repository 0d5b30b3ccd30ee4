//! Liveness: what comes about within a budget, once faults have ended or a healthy core is left.

use super::eventually::Condition;
use crate::Sim;
use crate::failure::{Failure, FailureKind};
use crate::fault::explain;
use crate::world;
use std::future::{Future, pending};
use std::panic::Location;
use std::time::Duration;

impl Sim {
    /// Claims that `condition` comes to hold within so much virtual time, and waits for it as
    /// [`eventually`](super::eventually) does; gives what it found. Where it does not, the run fails with the signature
    /// `liveness NAME`.
    ///
    /// Its place is after the chaos, when [`heal`](Sim::heal) has ended all faults or [`heal_core`](Sim::heal_core) all but
    /// those that the system was declared to stand: before that, a system that stands still may be right to do so. So the
    /// failure is explained from the fault log first: what was healed and when, what is still broken, and whether what is
    /// well was enough to go on by the declared tolerance.
    ///
    /// ```
    /// use sim_core::Tolerance;
    /// use sim_core::time::{Duration, sleep};
    /// let secs = |n| Duration::from_secs(n);
    /// let outcome = sim_core::run(sim_core::Config::seed(1), |sim| async move {
    ///     let [a, b, c] = ["a", "b", "c"].map(|name| sim.node(name).run(move || sleep(secs(3600))));
    ///     sim.tolerate(Tolerance::new().down(1));
    ///     sleep(secs(1)).await;
    ///     a.kill();
    ///     sim.heal().await;
    ///     sim.liveness("all run again", secs(10), || a.is_running() && b.is_running() && c.is_running()).await;
    ///     sim.liveness("pigs fly", secs(10), || false).await;
    /// });
    /// let failure = outcome.result.unwrap_err();
    /// assert_eq!(failure.signature(), "liveness pigs fly");
    /// assert!(failure.message.ends_with("no fault explains it"), "{failure}");
    /// ```
    #[track_caller]
    pub fn liveness<M, C: Condition<M>>(
        &self,
        name: &str,
        within: Duration,
        condition: C,
    ) -> impl Future<Output = C::Found> + use<M, C> {
        world::with(|w| w.check(self.world(), "Sim"));
        let (name, waiting) = (name.to_owned(), condition.wait(within, Location::caller()));
        async move {
            let missed = match waiting.await {
                Ok(found) => return found,
                Err(missed) => missed,
            };
            world::with(|w| {
                let explained = explain(w);
                let message = format!("{}; {}", missed.told(), explained.verdict);
                let failure = Failure::new(FailureKind::Liveness, name, message);
                w.kernel().fail_with(Failure { details: explained.lines, ..failure });
            });
            // The run is over.
            pending().await
        }
    }
}
