//! The payment service: charges each order once, however often and in whatever order it is asked to. It speaks HTTP.

mod client;
mod http;

pub use client::PaymentClient;

use crate::Bug;
use crate::gateway::Gateway;
use crate::journal::{Entries, Journal, Seen};
use crate::protocol::{Busy, Charge, Charged, OrderId, Refund};
use serde::{Deserialize, Serialize};
use sim::time::{Duration, timeout};
use sim::{reachable, spawn};
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ledger: what is known of each order. The order is the idempotency key.
pub type Ledger = Entries<State>;

/// How the charge for an order is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The bank was asked, or is about to be: what it did is not known.
    Pending,
    /// The bank has charged the customer.
    Paid,
    /// The bank has refused.
    Declined,
    /// It was cancelled before or after it was made.
    Cancelled,
}

/// How long the bank may take to answer.
const BANK_ANSWERS: Duration = Duration::from_millis(600);

/// One process of the service.
#[derive(Clone, Debug)]
pub struct Payment {
    ledger: Journal<State>,
    gateway: Gateway,
    bug: Option<Bug>,
    /// The orders about which the bank is being asked.
    asking: Asking,
}

type Asking = Arc<Mutex<BTreeSet<OrderId>>>;

impl Payment {
    /// Runs a process, until it ends or its log fails.
    ///
    /// # Errors
    /// What the disk says, or if the port is taken.
    pub async fn run(seen: Seen<State>, gateway: Gateway, bug: Option<Bug>) -> io::Result<()> {
        let (ledger, writer) = Journal::open("/ledger", seen, bug).await?;
        let payment = Payment { ledger, gateway, bug, asking: Arc::default() };
        writer.beside(payment.serve()).await
    }

    async fn charge(self, Charge { order, amount }: Charge) -> Result<Charged, Busy> {
        let turn = match Turn::take(&self.asking, order) {
            None if self.bug == Some(Bug::DoubleCharge) => {
                // "Whoever asks again has given up on the first attempt: start afresh."
                self.ledger.set(order, None);
                None
            }
            None => {
                reachable!("a charge comes again while the bank is asked");
                return Err(Busy);
            }
            turn => turn,
        };
        self.ask_bank(turn, move |payment| async move {
            match payment.state(order) {
                Some(State::Paid) => return Charged::Paid,
                Some(State::Declined | State::Cancelled) => return Charged::Declined,
                // The bank did not answer an earlier attempt, or the process died meanwhile: see what was done.
                Some(State::Pending) if payment.gateway.has_charged(order).await => {
                    reachable!("the bank has done what it had not answered");
                    payment.record(order, State::Paid).await;
                    return Charged::Paid;
                }
                Some(State::Pending) | None => {}
            }
            payment.record(order, State::Pending).await;
            if payment.gateway.charge(order, amount).await {
                payment.record(order, State::Paid).await;
                Charged::Paid
            } else {
                payment.record(order, State::Declined).await;
                Charged::Declined
            }
        })
        .await
    }

    async fn refund(self, Refund(order): Refund) -> Result<(), Busy> {
        let turn = Turn::take(&self.asking, order).ok_or(Busy)?;
        self.ask_bank(Some(turn), move |payment| async move {
            if payment.state(order).is_some_and(|state| state != State::Cancelled) {
                payment.gateway.refund(order).await;
            }
            payment.record(order, State::Cancelled).await;
        })
        .await
    }

    /// Talks to the bank in a task of its own, which goes on when the caller gives up; the turn ends with it.
    async fn ask_bank<T: 'static, Fut: Future<Output = T> + 'static>(
        self,
        turn: Option<Turn>,
        talk: impl FnOnce(Payment) -> Fut + 'static,
    ) -> Result<T, Busy> {
        let talk = spawn(async move {
            let _turn = turn;
            let ledger = self.ledger.clone();
            timeout(BANK_ANSWERS, async {
                let answer = talk(self).await;
                // What an earlier talk has noted down, and did not wait for.
                ledger.durable().await;
                answer
            })
            .await
        });
        talk.await.ok().and_then(Result::ok).ok_or(Busy)
    }

    fn state(&self, order: OrderId) -> Option<State> {
        self.ledger.entry(order)
    }

    async fn record(&self, order: OrderId, state: State) {
        self.ledger.set(order, Some(state));
        self.ledger.durable().await;
    }
}

/// The right to ask the bank about an order: one has it at a time.
#[derive(Debug)]
struct Turn {
    asking: Asking,
    order: OrderId,
}

impl Turn {
    fn take(asking: &Asking, order: OrderId) -> Option<Turn> {
        lock(asking).insert(order).then(|| Turn { asking: asking.clone(), order })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.asking).remove(&self.order);
    }
}

fn lock(asking: &Asking) -> MutexGuard<'_, BTreeSet<OrderId>> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}
