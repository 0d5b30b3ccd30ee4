//! A service that the order service depends on: attempts with a deadline each, retries with backoff and jitter, and a
//! circuit breaker in front.

use super::breaker::Breaker;
use crate::Bug;
use crate::rpc::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::rand;
use sim::time::{Duration, Instant, sleep};

/// How long one attempt may take. The deadline travels with the request: a service does not begin what is late.
pub(super) const ATTEMPT: Duration = Duration::from_millis(200);

/// The pauses between attempts: they double from the first to the last, and each is up to twice as long by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// The service did not answer in time, however often it was asked. What it has done is not known.
#[derive(Debug)]
pub(super) struct NoAnswer;

/// A service, as its clients see it.
pub(super) struct Dependency<Q, A> {
    client: Client<Q, A>,
    breaker: Breaker,
}

impl<Q: Serialize, A: DeserializeOwned> Dependency<Q, A> {
    pub(super) fn new(address: &'static str, bug: Option<Bug>) -> Self {
        Dependency { client: Client::new(address), breaker: Breaker::new(bug) }
    }

    /// Asks until there is an answer that is `final`, but not longer than `within`.
    pub(super) async fn ask(
        &self,
        request: &Q,
        within: Duration,
        is_final: impl Fn(&A) -> bool,
    ) -> Result<A, NoAnswer> {
        let deadline = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            if self.breaker.admits() {
                match self.client.call(request, ATTEMPT).await {
                    Ok(answer) => {
                        self.breaker.succeeded();
                        if is_final(&answer) {
                            return Ok(answer);
                        }
                    }
                    Err(_) => self.breaker.failed(),
                }
            }
            let jitter = rand::range(0..=pause.as_micros() as u64);
            let again = Instant::now() + pause + Duration::from_micros(jitter);
            if again >= deadline {
                return Err(NoAnswer);
            }
            sleep(again - Instant::now()).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Asks until there is an answer, for as long as it takes.
    pub(super) async fn insist(&self, request: &Q, is_final: impl Fn(&A) -> bool) -> A {
        const A_DAY: Duration = Duration::from_secs(24 * 3600);
        loop {
            if let Ok(answer) = self.ask(request, A_DAY, &is_final).await {
                return answer;
            }
        }
    }
}
