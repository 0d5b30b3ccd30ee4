//! The saga of one order: reserve, charge, confirm; or compensate.
//!
//! Each step is recorded before it is taken, and taking it twice is taking it once. So a process that starts goes on
//! where the one before it died, and every order comes to an end. Once the customer has been charged the saga only goes
//! forward; until then, whatever is not known to have succeeded is undone.

use super::Orders;
use super::dependency::Dependency;
use crate::Bug;
use crate::protocol::{Cents, FromCatalog, FromPayment, Item, Notice, OrderId, Status, ToCatalog, ToPayment};
use crate::store::Store;
use sim::time::Duration;

/// An order, as the service must not forget it.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// What is ordered.
    pub item: Item,
    /// How many of it.
    pub quantity: u32,
    /// The step that is being taken.
    pub step: Step,
    /// The customer does not want it any more.
    pub unwanted: bool,
    /// The customer has been told the end.
    pub told: bool,
}

/// The step that an order is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
pub(super) struct Sagas {
    orders: Store<Orders>,
    catalog: Dependency<ToCatalog, FromCatalog>,
    payment: Dependency<ToPayment, FromPayment>,
    notification: Dependency<Notice, ()>,
    bug: Option<Bug>,
}

impl Sagas {
    pub(super) fn new(orders: Store<Orders>, bug: Option<Bug>) -> Self {
        Sagas {
            orders,
            catalog: Dependency::new("catalog:1", bug),
            payment: Dependency::new("payment:1", bug),
            notification: Dependency::new("notification:1", bug),
            bug,
        }
    }

    /// Brings an order to its end, from whatever step it is at.
    pub(super) async fn pursue(&self, id: OrderId) {
        let status = loop {
            let order = self.order(id);
            let next = match order.step {
                Step::Reserve => self.reserve(id, &order).await,
                Step::Charge(amount) => self.charge(id, amount).await,
                Step::Confirm(amount) => self.confirm(id, amount).await,
                Step::Compensate => self.compensate(id).await,
                end => break end.status(),
            };
            self.change(id, |order| order.step = next);
        };
        if !self.order(id).told {
            self.notification.insist(&Notice { order: id, status }, |()| true).await;
            self.change(id, |order| order.told = true);
        }
    }

    async fn reserve(&self, id: OrderId, order: &Order) -> Step {
        let request = ToCatalog::Reserve { order: id, item: order.item, quantity: order.quantity };
        match self.catalog.ask(&request, STEP_TAKES, |_| true).await {
            Ok(FromCatalog::Reserved(amount)) if !self.order(id).unwanted => Step::Charge(amount),
            Ok(FromCatalog::Reserved(_)) => Step::Compensate,
            Ok(FromCatalog::Refused | FromCatalog::Done) => Step::Rejected,
            // "Nobody answered, so nothing is reserved."
            Err(_) if self.bug == Some(Bug::NoCompensation) => Step::Rejected,
            Err(_) => Step::Compensate,
        }
    }

    async fn charge(&self, id: OrderId, amount: Cents) -> Step {
        let request = ToPayment::Charge { order: id, amount };
        match self.payment.ask(&request, STEP_TAKES, |answer| *answer != FromPayment::Busy).await {
            Ok(FromPayment::Paid) if !self.order(id).unwanted => Step::Confirm(amount),
            _ => Step::Compensate,
        }
    }

    async fn confirm(&self, id: OrderId, amount: Cents) -> Step {
        self.catalog.insist(&ToCatalog::Confirm(id), |_| true).await;
        Step::Paid(amount)
    }

    async fn compensate(&self, id: OrderId) -> Step {
        self.payment.insist(&ToPayment::Cancel(id), |answer| *answer != FromPayment::Busy).await;
        self.catalog.insist(&ToCatalog::Release(id), |_| true).await;
        Step::Compensated
    }

    fn order(&self, id: OrderId) -> Order {
        self.orders.read(|orders| orders[&id])
    }

    fn change(&self, id: OrderId, change: impl FnOnce(&mut Order)) {
        self.orders.write(|orders| orders.get_mut(&id).map(change));
    }
}
