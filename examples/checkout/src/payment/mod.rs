//! The payment service: charges each order once, however often and in whatever order it is asked to. It speaks HTTP.

mod client;
mod http;

pub use client::PaymentClient;

use crate::Bug;
use crate::gateway::Gateway;
use crate::protocol::{Busy, Charge, Charged, OrderId, Refund};
use crate::store::Store;
use sim::spawn;
use sim::time::{Duration, timeout};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ledger: what is known of each order. The order is the idempotency key.
pub type Ledger = BTreeMap<OrderId, State>;

/// How the charge for an order is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    ledger: Store<Ledger>,
    gateway: Gateway,
    bug: Option<Bug>,
    /// The orders about which the bank is being asked.
    asking: Asking,
}

type Asking = Arc<Mutex<BTreeSet<OrderId>>>;

impl Payment {
    /// A process on this store.
    pub fn new(ledger: Store<Ledger>, gateway: Gateway, bug: Option<Bug>) -> Self {
        Payment { ledger, gateway, bug, asking: Arc::default() }
    }

    async fn charge(self, Charge { order, amount }: Charge) -> Result<Charged, Busy> {
        let turn = match Turn::take(&self.asking, order) {
            None if self.bug == Some(Bug::DoubleCharge) => {
                // "Whoever asks again has given up on the first attempt: start afresh."
                self.ledger.write(|ledger| ledger.remove(&order));
                None
            }
            None => return Err(Busy),
            turn => turn,
        };
        self.ask_bank(turn, move |payment| async move {
            match payment.state(order) {
                Some(State::Paid) => return Charged::Paid,
                Some(State::Declined | State::Cancelled) => return Charged::Declined,
                // The bank did not answer an earlier attempt, or the process died meanwhile: see what was done.
                Some(State::Pending) if payment.gateway.has_charged(order).await => {
                    payment.record(order, State::Paid);
                    return Charged::Paid;
                }
                Some(State::Pending) | None => {}
            }
            payment.record(order, State::Pending);
            if payment.gateway.charge(order, amount).await {
                payment.record(order, State::Paid);
                Charged::Paid
            } else {
                payment.record(order, State::Declined);
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
            payment.record(order, State::Cancelled);
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
            timeout(BANK_ANSWERS, talk(self)).await
        });
        talk.await.ok().and_then(Result::ok).ok_or(Busy)
    }

    fn state(&self, order: OrderId) -> Option<State> {
        self.ledger.read(|ledger| ledger.get(&order).copied())
    }

    fn record(&self, order: OrderId, state: State) {
        self.ledger.write(|ledger| ledger.insert(order, state));
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
