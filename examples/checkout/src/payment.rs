//! The payment service: charges each order once, however often and in whatever order it is asked to.

use crate::Bug;
use crate::gateway::Gateway;
use crate::protocol::{Cents, FromPayment, OrderId, ToPayment};
use crate::store::Store;
use sim::time::{Duration, timeout};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The ledger: what is known of each order. The order is the idempotency key.
pub type Ledger = BTreeMap<OrderId, Charge>;

/// How the charge for an order is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charge {
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
    asking: Rc<RefCell<BTreeSet<OrderId>>>,
}

impl Payment {
    /// A process on this store.
    pub fn new(ledger: Store<Ledger>, gateway: Gateway, bug: Option<Bug>) -> Self {
        Payment { ledger, gateway, bug, asking: Rc::default() }
    }

    /// Answers a request. Every request may come again, also while the first is still being worked on.
    pub async fn answer(&self, request: ToPayment) -> FromPayment {
        let (ToPayment::Charge { order, .. } | ToPayment::Cancel(order)) = request;
        let turn = Turn::take(&self.asking, order);
        if turn.is_none() {
            match (request, self.bug) {
                // "Whoever asks again has given up on the first attempt: start afresh."
                (ToPayment::Charge { .. }, Some(Bug::DoubleCharge)) => self.forget(order),
                _ => return FromPayment::Busy,
            }
        }
        let asked = async {
            match request {
                ToPayment::Charge { order, amount } => self.charge(order, amount).await,
                ToPayment::Cancel(order) => self.cancel(order).await,
            }
        };
        timeout(BANK_ANSWERS, asked).await.unwrap_or(FromPayment::Busy)
    }

    async fn charge(&self, order: OrderId, amount: Cents) -> FromPayment {
        match self.charge_of(order) {
            Some(Charge::Paid) => return FromPayment::Paid,
            Some(Charge::Declined | Charge::Cancelled) => return FromPayment::Declined,
            // An earlier attempt did not hear from the bank, or its process died: see what the bank did.
            Some(Charge::Pending) if self.gateway.has_charged(order).await => {
                self.record(order, Charge::Paid);
                return FromPayment::Paid;
            }
            Some(Charge::Pending) | None => {}
        }
        self.record(order, Charge::Pending);
        match self.gateway.charge(order, amount).await {
            true => {
                self.record(order, Charge::Paid);
                FromPayment::Paid
            }
            false => {
                self.record(order, Charge::Declined);
                FromPayment::Declined
            }
        }
    }

    async fn cancel(&self, order: OrderId) -> FromPayment {
        if self.charge_of(order).is_some_and(|charge| charge != Charge::Cancelled) {
            self.gateway.refund(order).await;
        }
        self.record(order, Charge::Cancelled);
        FromPayment::Cancelled
    }

    fn charge_of(&self, order: OrderId) -> Option<Charge> {
        self.ledger.read(|ledger| ledger.get(&order).copied())
    }

    fn forget(&self, order: OrderId) {
        self.ledger.write(|ledger| ledger.remove(&order));
    }

    fn record(&self, order: OrderId, charge: Charge) {
        self.ledger.write(|ledger| ledger.insert(order, charge));
    }
}

/// The right to ask the bank about an order: one has it at a time.
#[derive(Debug)]
struct Turn {
    asking: Rc<RefCell<BTreeSet<OrderId>>>,
    order: OrderId,
}

impl Turn {
    fn take(asking: &Rc<RefCell<BTreeSet<OrderId>>>, order: OrderId) -> Option<Turn> {
        asking.borrow_mut().insert(order).then(|| Turn { asking: asking.clone(), order })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.asking.borrow_mut().remove(&self.order);
    }
}
