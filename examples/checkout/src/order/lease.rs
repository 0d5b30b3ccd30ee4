//! Who leads the order workers: a lease that the order service grants for a time to one of them.
//!
//! The service grants it to another only when it has run out by the service's clock, and a worker leads only while it
//! has not run out by the worker's. Neither looks at the hour of the day: both measure how long something is ago, the
//! service its grant and the worker its request, which came before that. So clocks may differ; what they drift apart in
//! a term is the margin.

use crate::Bug;
use crate::protocol::{LeaseId, Worker};
use sim::time::{Duration, Instant, wall};
use sim::{rand, reachable};
use std::cell::Cell;
use std::time::SystemTime;

/// How long a lease is good for.
pub const TERM: Duration = Duration::from_secs(3);

/// What two clocks drift apart in a term: each is wrong by 500 ppm at most. Twice that.
const MARGIN: Duration = Duration::from_millis(6);

/// The service's side.
#[derive(Debug)]
pub(super) struct Leases(Cell<Granted>);

#[derive(Clone, Copy, Debug)]
struct Granted {
    to: Option<(Worker, LeaseId)>,
    until: Instant,
}

impl Leases {
    /// Of a process that has just started: what the one before it granted may be good for a term yet.
    pub(super) fn new() -> Self {
        Leases(Cell::new(Granted { to: None, until: Instant::now() + TERM }))
    }

    /// A worker wants to lead, or go on leading; `None` while another does.
    pub(super) fn ask(&self, worker: Worker) -> Option<LeaseId> {
        let (now, granted) = (Instant::now(), self.0.get());
        let id = match granted.to {
            Some((holder, id)) if holder == worker && now < granted.until => id,
            _ if now < granted.until => return None,
            Some((holder, _)) if holder != worker => {
                reachable!("another worker leads");
                rand::range(0..=u64::MAX)
            }
            _ => rand::range(0..=u64::MAX),
        };
        self.0.set(Granted { to: Some((worker, id)), until: now + TERM });
        Some(id)
    }
}

/// A worker's side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) id: LeaseId,
    until: Until,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Elapsed(Instant),
    OClock(SystemTime),
}

impl Held {
    /// Asked for at an instant, and good until a time of the service's clock.
    pub(super) fn new(id: LeaseId, asked: Instant, until: SystemTime, bug: Option<Bug>) -> Self {
        let until = match bug {
            // "The lease says until when it is good."
            Some(Bug::SkewedLease) => Until::OClock(until),
            _ => Until::Elapsed(asked + (TERM - MARGIN)),
        };
        Held { id, until }
    }

    /// Whether its holder leads.
    pub(super) fn is_good(&self) -> bool {
        match self.until {
            Until::Elapsed(until) => Instant::now() < until,
            Until::OClock(until) => wall() < until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::time::sleep;

    const MS: Duration = Duration::from_millis(1);

    async fn run_out(bug: Option<Bug>, step: i64) -> [bool; 3] {
        let node = sim::Sim::current().node("worker");
        let work = node.spawn(async move {
            let leases = Leases::new();
            sleep(TERM).await;
            let (asked, id) = (Instant::now(), leases.ask(0).expect("nobody has it"));
            let held = Held::new(id, asked, wall() + TERM, bug);
            assert_eq!(leases.ask(0), Some(id), "it is renewed");
            assert_eq!(leases.ask(1), None, "one at a time");
            node.clock().step(step);
            let mut good = [held.is_good(), false, false];
            sleep(TERM - 10 * MS).await;
            good[1] = held.is_good() && leases.ask(1).is_none();
            sleep(10 * MS).await;
            good[2] = held.is_good() && leases.ask(1).is_some_and(|other| other != id);
            good
        });
        work.await.expect("it ends")
    }

    fn in_simulation(bug: Option<Bug>, step: i64) -> [bool; 3] {
        sim::run(sim::Config::seed(1), move |_| run_out(bug, step)).result.unwrap()
    }

    const BACK: i64 = -1_000_000_000;

    #[test]
    fn a_lease_ends_for_its_holder_before_another_gets_it_whatever_the_clock_shows() {
        for step in [0, BACK, -BACK] {
            assert_eq!(in_simulation(None, step), [true, true, false], "stepped by {step} ns");
        }
    }

    #[test]
    fn the_planted_bug_believes_the_clock() {
        assert_eq!(in_simulation(Some(Bug::SkewedLease), 0), [true, true, false]);
        assert_eq!(in_simulation(Some(Bug::SkewedLease), BACK), [true, true, true], "two lead");
    }
}
