//! A service that the order service depends on: attempts with a deadline each, retries with backoff and jitter, and a
//! circuit breaker in front.

use super::breaker::Breaker;
use crate::Bug;
use crate::deadline::{NoAnswer, call};
use sim::net::rpc::{Client, Request};
use sim::rand;
use sim::time::{Duration, Instant, sleep};

/// How long one attempt may take.
pub(super) const ATTEMPT: Duration = Duration::from_millis(200);

/// The pauses between attempts: they double from the first to the last, and each is up to twice as long by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// A service, as its clients see it.
#[derive(Debug)]
pub(super) struct Dependency {
    client: Client,
    breaker: Breaker,
}

impl Dependency {
    pub(super) fn new(address: &str, bug: Option<Bug>) -> Self {
        Dependency { client: Client::new(address), breaker: Breaker::new(bug) }
    }

    /// Asks until there is an answer that `accept` takes, but not longer than `within`.
    pub(super) async fn ask<Q: Request + Copy, T>(
        &self,
        request: Q,
        within: Duration,
        accept: impl Fn(Q::Reply) -> Option<T>,
    ) -> Result<T, NoAnswer> {
        let deadline = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(answer) = self.attempt(request).await
                && let Some(accepted) = accept(answer)
            {
                return Ok(accepted);
            }
            let jitter = Duration::from_micros(rand::range(0..pause.as_micros() as u64));
            if Instant::now() + pause + jitter >= deadline {
                return Err(NoAnswer);
            }
            sleep(pause + jitter).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Asks until there is an answer that `accept` takes, for as long as it takes.
    pub(super) async fn insist<Q: Request + Copy, T>(
        &self,
        request: Q,
        accept: impl Fn(Q::Reply) -> Option<T>,
    ) -> T {
        const AN_HOUR: Duration = Duration::from_secs(3600);
        loop {
            if let Ok(accepted) = self.ask(request, AN_HOUR, &accept).await {
                return accepted;
            }
        }
    }

    async fn attempt<Q: Request>(&self, request: Q) -> Option<Q::Reply> {
        if !self.breaker.admits() {
            return None;
        }
        let answer = call(&self.client, ATTEMPT, request).await;
        match answer {
            Ok(_) => self.breaker.succeeded(),
            Err(NoAnswer) => self.breaker.failed(),
        }
        answer.ok()
    }
}
