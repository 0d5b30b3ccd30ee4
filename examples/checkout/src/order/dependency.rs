//! A service that the order service depends on: attempts with a deadline each, retries with backoff and jitter, and a
//! circuit breaker in front.

use super::breaker::Breaker;
use crate::Bug;
use crate::deadline::{Ask, NoAnswer};
use sim::rand;
use sim::time::{Duration, Instant, sleep};

/// How long one attempt may take.
pub(super) const ATTEMPT: Duration = Duration::from_millis(200);

/// The pauses between attempts: they double from the first to the last, and each is up to twice as long by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// A service, as its clients see it.
#[derive(Debug)]
pub(super) struct Dependency<C> {
    client: C,
    breaker: Breaker,
}

impl<C> Dependency<C> {
    pub(super) fn new(client: C, bug: Option<Bug>) -> Self {
        Dependency { client, breaker: Breaker::new(bug) }
    }

    /// Asks until there is an answer that `accept` takes, but not longer than `within`.
    pub(super) async fn ask<Q: Copy, T>(
        &self,
        request: Q,
        within: Duration,
        accept: impl Fn(C::Reply) -> Option<T>,
    ) -> Result<T, NoAnswer>
    where
        C: Ask<Q>,
    {
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
    pub(super) async fn insist<Q: Copy, T>(&self, request: Q, accept: impl Fn(C::Reply) -> Option<T>) -> T
    where
        C: Ask<Q>,
    {
        const AN_HOUR: Duration = Duration::from_secs(3600);
        loop {
            if let Ok(accepted) = self.ask(request, AN_HOUR, &accept).await {
                return accepted;
            }
        }
    }

    async fn attempt<Q>(&self, request: Q) -> Option<C::Reply>
    where
        C: Ask<Q>,
    {
        if !self.breaker.admits() {
            return None;
        }
        let answer = self.client.ask(ATTEMPT, request).await;
        match answer {
            Ok(_) => self.breaker.succeeded(),
            Err(NoAnswer) => self.breaker.failed(),
        }
        answer.ok()
    }
}
