//! A circuit breaker: when a service has failed several times in a row it is left alone for a while, and then a
//! single probe finds out whether it is back.

use crate::Bug;
use sim::reachable;
use sim::time::{Duration, Instant};
use std::cell::Cell;

/// How many failures in a row open the breaker.
const FAILURES: u32 = 8;

/// How long it stays open.
pub(super) const STAYS_OPEN: Duration = Duration::from_millis(1_200);

/// After how many failed probes the planted bug gives a service up.
const GONE: u32 = 3;

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    /// Calls go through; so many have failed in a row.
    Closed(u32),
    /// No call goes through until then; so many probes have failed in a row.
    Open(Instant, u32),
    /// One call is on its way, the probe after so many that failed.
    HalfOpen(u32),
}

/// The breaker in front of one service.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Cell<State>,
    bug: Option<Bug>,
}

impl Breaker {
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Breaker { state: Cell::new(State::Closed(0)), bug }
    }

    /// Whether a call may be made now. The caller must say how it went.
    pub(super) fn admits(&self) -> bool {
        match self.state.get() {
            State::Closed(_) => true,
            State::Open(until, probes) if Instant::now() >= until => {
                self.state.set(State::HalfOpen(probes));
                true
            }
            State::Open(..) | State::HalfOpen(_) => false,
        }
    }

    /// A call was answered.
    pub(super) fn succeeded(&self) {
        self.state.set(State::Closed(0));
    }

    /// A call was not answered.
    pub(super) fn failed(&self) {
        let open = |probes| State::Open(Instant::now() + STAYS_OPEN, probes);
        self.state.set(match self.state.get() {
            State::Closed(failures) if failures + 1 < FAILURES => State::Closed(failures + 1),
            State::Closed(_) => {
                reachable!("a breaker opens");
                open(0)
            }
            // "It is gone for good by now."
            State::HalfOpen(GONE) if self.bug == Some(Bug::StuckBreaker) => State::HalfOpen(GONE),
            State::HalfOpen(probes) => open(probes + 1),
            State::Open(until, probes) => State::Open(until, probes),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::time::sleep;

    fn in_simulation<Fut: Future<Output = ()> + 'static>(body: impl FnOnce() -> Fut) {
        let outcome = sim::run(sim::Config::seed(1), |_| body());
        outcome.result.unwrap();
    }

    async fn opened(bug: Option<Bug>) -> Breaker {
        let breaker = Breaker::new(bug);
        for _ in 0..FAILURES {
            assert!(breaker.admits());
            breaker.failed();
        }
        assert!(!breaker.admits());
        sleep(STAYS_OPEN).await;
        breaker
    }

    #[test]
    fn after_a_while_one_probe_decides() {
        in_simulation(|| async {
            let breaker = opened(None).await;
            assert!(breaker.admits(), "the probe");
            assert!(!breaker.admits(), "nobody else");
            breaker.failed();
            assert!(!breaker.admits(), "open again");
            sleep(STAYS_OPEN).await;
            assert!(breaker.admits());
            breaker.succeeded();
            assert!(breaker.admits() && breaker.admits());
        });
    }

    #[test]
    fn the_planted_bug_keeps_it_half_open() {
        in_simulation(|| async {
            let breaker = opened(Some(Bug::StuckBreaker)).await;
            for _ in 0..GONE {
                assert!(breaker.admits());
                breaker.failed();
                sleep(STAYS_OPEN).await;
            }
            assert!(breaker.admits());
            breaker.failed();
            sleep(STAYS_OPEN * 100).await;
            assert!(!breaker.admits());
        });
    }
}
