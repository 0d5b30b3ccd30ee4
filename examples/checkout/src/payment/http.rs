//! The interface of the payment service: HTTP with JSON, served by axum.
//!
//! | request | body | answers |
//! | --- | --- | --- |
//! | `POST /charges` | `{"amount": 500}` | 200 `"Paid"` or `"Declined"` |
//! | `POST /refunds` | | 200 |
//!
//! Both have the order in the header `Idempotency-Key`. A request whose key is being worked on is answered 409, as the
//! draft of that header has it (draft-ietf-httpapi-idempotency-key-header, 2.6), and one that comes after its deadline,
//! in the header `X-Deadline`, 408.

use super::Payment;
use crate::protocol::{Busy, Cents, Charge, Charged, OrderId, Refund};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sim::net::TcpListener;
use sim::net::hyper::serve;
use sim::time::{Duration, wall};
use std::io;
use std::str::FromStr;
use std::time::SystemTime;

pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub(super) const DEADLINE: &str = "x-deadline";

/// What the body of a charge says.
#[derive(Serialize, Deserialize)]
pub(super) struct ChargeBody {
    pub(super) amount: Cents,
}

/// An instant, as the header has it: microseconds since 1970.
pub(super) fn micros(instant: SystemTime) -> u64 {
    instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

impl Payment {
    /// Serves requests until the process ends. Each may come again, also while the first is being worked on.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn serve(self) -> io::Result<()> {
        let router = Router::new()
            .route("/charges", post(charge))
            .route("/refunds", post(refund))
            .layer(middleware::from_fn(heed))
            .with_state(self);
        serve(TcpListener::bind("0.0.0.0:80").await?, router).await
    }
}

async fn charge(
    State(payment): State<Payment>,
    Key(order): Key,
    Json(body): Json<ChargeBody>,
) -> Result<Json<Charged>, Busy> {
    payment.charge(Charge { order, amount: body.amount }).await.map(Json)
}

async fn refund(State(payment): State<Payment>, Key(order): Key) -> Result<Json<()>, Busy> {
    payment.refund(Refund(order)).await.map(Json)
}

impl IntoResponse for Busy {
    fn into_response(self) -> Response {
        StatusCode::CONFLICT.into_response()
    }
}

/// The order, of the header `Idempotency-Key`.
struct Key(OrderId);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Key, StatusCode> {
        header(&parts.headers, IDEMPOTENCY_KEY).map(Key).ok_or(StatusCode::BAD_REQUEST)
    }
}

/// Does not begin what nobody waits for any more.
async fn heed(request: Request, next: Next) -> Response {
    let until = header(request.headers(), DEADLINE).map(Duration::from_micros);
    if until.is_some_and(|until| wall() >= SystemTime::UNIX_EPOCH + until) {
        return StatusCode::REQUEST_TIMEOUT.into_response();
    }
    next.run(request).await
}

fn header<T: FromStr>(headers: &axum::http::HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
