//! Shoppers: they place orders, sometimes change their minds, and sometimes ask how an order is.

use crate::deadline::call;
use crate::draw::Root;
use crate::invariants;
use crate::protocol::{Cancel, Customer, OrderId, Place, Query, Status};
use crate::shop::{ITEMS, ON_SALE};
use sim::net::rpc::{Client, Request};
use sim::time::{Duration, Instant, sleep};
use sim::{Kind, Sim, rand};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many shoppers there are, and how much each has to do.
pub const SHOPPERS: u32 = 4;
const OPERATIONS: u64 = 14;
const APART: Duration = Duration::from_millis(1_140);

/// What shoppers were told last, by order: what they were promised must be kept.
pub type Told = Rc<RefCell<BTreeMap<OrderId, Status>>>;

/// The particulars of an operation, by number.
mod part {
    pub const AT: u64 = 1;
    pub const WHICH: u64 = 11;
    pub const QUANTITY: u64 = 12;
    pub const REGRET: u64 = 13;
}

/// What shoppers do: mostly order, sometimes order and regret it at once or ask at once how the order is, sometimes ask
/// about an earlier order. As [`Root::what`] numbers it.
const WEIGHTS: [u64; 4] = [52, 12, 8, 20];
const ORDER_AND_REGRET: usize = 2;
const ORDER_AND_ASK: usize = 3;
const ASK: usize = 4;

/// How long a shopper tries to be heard, waits for an answer, and needs to regret an order.
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPT: Duration = Duration::from_millis(400);
const REGRET: Duration = Duration::from_millis(40);

/// One customer at one machine.
#[derive(Clone, Debug)]
pub struct Shopper {
    customer: Customer,
    order: Client,
    told: Told,
    sim: Sim,
}

impl Shopper {
    /// A customer, who notes down what the shop tells.
    pub fn new(customer: Customer, told: Told) -> Self {
        Shopper { customer, order: Client::new("order:80"), told, sim: Sim::current() }
    }

    /// Does what this run has for the shopper to do, and returns when the last operation has begun.
    pub async fn shop(self, sim: Sim) {
        for index in 0..OPERATIONS {
            let start = APART * index as u32;
            sim.phase(&format!("operation {index} of {} is drawn", self.customer), start).await;
            let root = Root::new(Kind::Op, self.customer.into(), index);
            let what = root.what(Kind::Op, &WEIGHTS);
            if what == 0 {
                continue;
            }
            let at = start + root.time(part::AT, Kind::At, Duration::ZERO, APART);
            sim.phase(&format!("operation {index} of {} begins", self.customer), at).await;
            let number = index as u32;
            let shopper = self.clone();
            sim::spawn(async move {
                if what == ASK {
                    let back = 1 + root.pick(part::WHICH, Kind::Arg, 3) as u32;
                    shopper.query(number.saturating_sub(back), PATIENCE).await;
                    return;
                }
                // Half of all orders are for what is on sale.
                let item = root.pick(part::WHICH, Kind::Arg, 2 * ITEMS as u64);
                let item = if item < ITEMS as u64 { item as u32 } else { ON_SALE };
                let quantity = 1 + root.pick(part::QUANTITY, Kind::Arg, 3) as u32;
                shopper.place(number, item, quantity, PATIENCE).await;
                if what == ORDER_AND_REGRET {
                    sleep(root.time(part::REGRET, Kind::Arg, Duration::ZERO, REGRET)).await;
                    shopper.cancel(number, PATIENCE).await;
                }
                if what == ORDER_AND_ASK {
                    shopper.query(number, PATIENCE).await;
                }
            });
        }
    }

    /// Places an order; what the shop says to it, if it says anything in time.
    pub async fn place(&self, number: u32, item: u32, quantity: u32, within: Duration) -> Option<Status> {
        let order = self.id(number);
        self.ask(order, Place { order, item, quantity }, within, Some).await
    }

    /// Asks how an order is.
    pub async fn query(&self, number: u32, within: Duration) -> Option<Status> {
        self.ask(self.id(number), Query(self.id(number)), within, |status| status).await
    }

    /// Gives up an order, if it is not too late.
    pub async fn cancel(&self, number: u32, within: Duration) -> Option<Status> {
        self.ask(self.id(number), Cancel(self.id(number)), within, |status| status).await
    }

    fn id(&self, number: u32) -> OrderId {
        OrderId { customer: self.customer, number }
    }

    async fn ask<Q: Request + Copy>(
        &self,
        order: OrderId,
        request: Q,
        within: Duration,
        status: impl Fn(Q::Reply) -> Option<Status>,
    ) -> Option<Status> {
        let deadline = Instant::now() + within;
        loop {
            let known = self.told.borrow().get(&order).copied();
            if let Ok(reply) = call(&self.order, ATTEMPT, request).await {
                let status = status(reply);
                invariants::check_answer(self.sim, order, known, status);
                self.told.borrow_mut().extend(status.map(|status| (order, status)));
                return status;
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(Duration::from_millis(rand::range(200..500))).await;
        }
    }
}
