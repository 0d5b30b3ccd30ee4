//! Deadlines that travel with their requests: a service does not begin what nobody waits for any more.
//!
//! Without this, a request that was held up on its way would be carried out long after its sender has given up on it,
//! and at the same time as the next attempt.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sim::net::rpc::{Client, Request, Server};
use sim::time::{Duration, wall};
use std::future::Future;
use std::rc::Rc;
use std::time::SystemTime;

/// A request, and until when its sender waits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "Q: DeserializeOwned")]
struct Timely<Q: Serialize> {
    until: SystemTime,
    request: Q,
}

impl<Q: Request> Request for Timely<Q> {
    /// `None` if it came too late.
    type Reply = Option<Q::Reply>;
    const NAME: &'static str = Q::NAME;
}

/// Who can be asked for something.
pub trait Ask<Q> {
    /// The answer.
    type Reply;

    /// Asks, and waits no longer than `within`.
    fn ask(&self, within: Duration, request: Q) -> impl Future<Output = Result<Self::Reply, NoAnswer>>;
}

impl<Q: Request> Ask<Q> for Client {
    type Reply = Q::Reply;

    fn ask(&self, within: Duration, request: Q) -> impl Future<Output = Result<Q::Reply, NoAnswer>> {
        call(self, within, request)
    }
}

/// There was no answer in time. Whether the request was carried out is not known.
#[derive(Debug)]
pub struct NoAnswer;

/// Asks a service, and waits no longer than `within`.
///
/// # Errors
/// [`NoAnswer`], whatever the reason is: the caller can only ask again.
pub async fn call<Q: Request>(client: &Client, within: Duration, request: Q) -> Result<Q::Reply, NoAnswer> {
    let timely = Timely { until: wall() + within, request };
    client.call_within(within, timely).await.ok().flatten().ok_or(NoAnswer)
}

/// Servers that heed deadlines.
pub trait Heed {
    /// As [`Server::on`], for requests that are sent with [`call`].
    #[must_use]
    fn on_timely<Q, Fut>(self, handler: impl Fn(Q) -> Fut + 'static) -> Self
    where
        Q: Request,
        Fut: Future<Output = Q::Reply> + 'static;
}

impl Heed for Server {
    fn on_timely<Q, Fut>(self, handler: impl Fn(Q) -> Fut + 'static) -> Self
    where
        Q: Request,
        Fut: Future<Output = Q::Reply> + 'static,
    {
        let handler = Rc::new(handler);
        self.on(move |Timely { until, request }| {
            let handler = handler.clone();
            async move {
                if wall() >= until {
                    return None;
                }
                Some(handler(request).await)
            }
        })
    }
}
