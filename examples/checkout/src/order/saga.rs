//! The saga of one order: reserve, charge, confirm; or compensate.
//!
//! Each step is recorded before it is taken, and taking it twice is taking it once. So a process that starts goes on
//! where the one before it died, and every order comes to an end. Once the customer has been charged the saga only goes
//! forward; until then, whatever is not known to have succeeded is undone.

use super::dependency::Dependency;
use super::turns::Turns;
use crate::Bug;
use crate::deadline::NoAnswer;
use crate::invariants;
use crate::journal::Journal;
use crate::payment::PaymentClient;
use crate::protocol::{
    Cents, Charge, Charged, Confirm, Item, OrderId, Refund, Refused, Release, Reserve, Status,
};
use serde::{Deserialize, Serialize};
use sim::net::rpc::Client;
use sim::time::Duration;
use sim::{always, reachable, yield_now};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use tracing::info;

/// An order, as the service must not forget it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What is ordered.
    pub item: Item,
    /// How many of it.
    pub quantity: u32,
    /// What else the customer has to say.
    pub wishes: Arc<str>,
    /// The step that is being taken.
    pub step: Step,
    /// The customer does not want it any more.
    pub unwanted: bool,
    /// The customer has been told the end.
    pub told: bool,
}

/// The step that an order is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Goods are being put aside.
    Reserve,
    /// The customer is being charged this much.
    Charge(Cents),
    /// The customer has been charged this much, and the goods are being marked as sold.
    Confirm(Cents),
    /// Everything is being undone.
    Compensate,
    /// The end: the customer has been charged this much and has the goods.
    Paid(Cents),
    /// The end: everything has been undone.
    Compensated,
    /// The end: nothing was done.
    Rejected,
}

impl Step {
    /// What customers see of it.
    pub fn status(self) -> Status {
        match self {
            Step::Reserve | Step::Charge(_) | Step::Confirm(_) | Step::Compensate => Status::Accepted,
            Step::Paid(_) => Status::Paid,
            Step::Compensated => Status::Compensated,
            Step::Rejected => Status::Rejected,
        }
    }
}

/// How long a step that may fail is tried before the order is given up.
const STEP_TAKES: Duration = Duration::from_secs(4);

/// What sagas work with: the orders and the services that they depend on.
#[derive(Debug)]
pub(super) struct Sagas {
    orders: Journal<Order>,
    catalog: Dependency<Client>,
    payment: Dependency<PaymentClient>,
    turns: Turns,
    running: RefCell<BTreeSet<OrderId>>,
    bug: Option<Bug>,
}

impl Sagas {
    pub(super) fn new(orders: Journal<Order>, bug: Option<Bug>) -> Self {
        Sagas {
            orders,
            catalog: Dependency::new(Client::new("catalog:80"), bug),
            payment: Dependency::new(PaymentClient::new("payment:80"), bug),
            turns: Turns::new(bug),
            running: RefCell::default(),
            bug,
        }
    }

    /// Brings an order to its end, from whatever step it is at.
    pub(super) async fn pursue(&self, id: OrderId) {
        let first = self.running.borrow_mut().insert(id);
        if !first {
            sim::Sim::current().violated(invariants::ONE_SAGA, format!("order {id} has two"));
        }
        loop {
            let order = self.order(id);
            let turn = match order.step {
                Step::Charge(_) | Step::Compensate => Some(self.turns.take(id.customer).await),
                _ => None,
            };
            let next = match order.step {
                Step::Reserve => self.reserve(id, &order).await,
                Step::Charge(amount) => self.charge(id, amount).await,
                Step::Confirm(amount) => self.confirm(id, amount).await,
                Step::Compensate => self.compensate(id).await,
                Step::Paid(_) | Step::Compensated | Step::Rejected => break,
            };
            info!("order {id}: {:?}, then {next:?}", order.step);
            always!(self.step(id) == order.step, "nobody else takes a step of a saga");
            self.orders.set(id, Some(Order { step: next, ..self.order(id) }));
            self.orders.durable().await;
            if turn.is_some() {
                drop(turn);
                // The customer's other orders come first.
                yield_now().await;
            }
        }
        self.running.borrow_mut().remove(&id);
    }

    async fn reserve(&self, id: OrderId, order: &Order) -> Step {
        let request = Reserve { order: id, item: order.item, quantity: order.quantity };
        match self.catalog.ask(request, STEP_TAKES, Some).await {
            Ok(Ok(amount)) if !self.is_unwanted(id) => Step::Charge(amount),
            Ok(Ok(_)) => Step::Compensate,
            Ok(Err(Refused)) => Step::Rejected,
            // "Nobody answered, so nothing is reserved."
            Err(NoAnswer) if self.bug == Some(Bug::NoCompensation) => Step::Rejected,
            Err(NoAnswer) => Step::Compensate,
        }
    }

    async fn charge(&self, id: OrderId, amount: Cents) -> Step {
        match self.payment.ask(Charge { order: id, amount }, STEP_TAKES, Result::ok).await {
            Ok(Charged::Paid) if !self.is_unwanted(id) => Step::Confirm(amount),
            Ok(Charged::Paid | Charged::Declined) | Err(NoAnswer) => Step::Compensate,
        }
    }

    async fn confirm(&self, id: OrderId, amount: Cents) -> Step {
        self.catalog.insist(Confirm(id), Some).await;
        Step::Paid(amount)
    }

    async fn compensate(&self, id: OrderId) -> Step {
        self.payment.insist(Refund(id), Result::ok).await;
        self.catalog.insist(Release(id), Some).await;
        reachable!("an order is compensated");
        Step::Compensated
    }

    fn step(&self, id: OrderId) -> Step {
        self.orders.read(|orders| orders[&id].step)
    }

    fn is_unwanted(&self, id: OrderId) -> bool {
        self.orders.read(|orders| orders[&id].unwanted)
    }

    fn order(&self, id: OrderId) -> Order {
        self.orders.read(|orders| orders[&id].clone())
    }
}
