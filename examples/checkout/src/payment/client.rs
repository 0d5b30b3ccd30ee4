//! The client of the payment service: a pool of connections, and a deadline for each attempt.

use super::http::{ChargeBody, DEADLINE, IDEMPOTENCY_KEY, micros};
use crate::deadline::{Ask, NoAnswer};
use crate::protocol::{Busy, Charge, Charged, OrderId, Refund};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::net::hyper::{SimConnector, SimExecutor, SimTimer};
use sim::time::{Duration, timeout, wall};

/// A connection that nobody has used for so long is closed.
const IDLE: Duration = Duration::from_secs(5);

/// The largest answer, bytes.
const LARGEST: usize = 1 << 10;

/// A client of the payment service, which connects when it has to and keeps connections for later.
///
/// A connection that the service has closed is replaced, and a request that had not been sent on it yet is sent on
/// another. One that answers nothing ends with the attempt: dropping that closes it.
#[derive(Clone, Debug)]
pub struct PaymentClient {
    address: String,
    http: Client<SimConnector, Body>,
}

impl PaymentClient {
    /// A client of the service at `address`, a host and a port.
    pub fn new(address: &str) -> Self {
        let http = Client::builder(SimExecutor::new())
            .pool_timer(SimTimer::new())
            .pool_idle_timeout(IDLE)
            .build(SimConnector::new());
        PaymentClient { address: address.to_owned(), http }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        order: OrderId,
        within: Duration,
        body: &impl Serialize,
    ) -> Result<Result<T, Busy>, NoAnswer> {
        let request = Request::post(format!("http://{}{path}", self.address))
            .header(header::CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, order.to_string())
            .header(DEADLINE, micros(wall() + within))
            .body(Body::from(serde_json::to_vec(body).map_err(|_| NoAnswer)?))
            .map_err(|_| NoAnswer)?;
        let answer = async {
            let response = self.http.request(request).await.map_err(|_| NoAnswer)?;
            match response.status() {
                StatusCode::OK => {
                    let body = to_bytes(Body::new(response.into_body()), LARGEST).await;
                    serde_json::from_slice(&body.map_err(|_| NoAnswer)?).map(Ok).map_err(|_| NoAnswer)
                }
                StatusCode::CONFLICT => Ok(Err(Busy)),
                _ => Err(NoAnswer),
            }
        };
        timeout(within, answer).await.map_err(|_| NoAnswer)?
    }
}

impl Ask<Charge> for PaymentClient {
    type Reply = Result<Charged, Busy>;

    async fn ask(&self, within: Duration, Charge { order, amount }: Charge) -> Result<Self::Reply, NoAnswer> {
        self.post("/charges", order, within, &ChargeBody { amount }).await
    }
}

impl Ask<Refund> for PaymentClient {
    type Reply = Result<(), Busy>;

    async fn ask(&self, within: Duration, Refund(order): Refund) -> Result<Self::Reply, NoAnswer> {
        self.post("/refunds", order, within, &()).await
    }
}
