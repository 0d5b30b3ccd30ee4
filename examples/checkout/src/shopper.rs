//! Shoppers: they place orders, sometimes change their minds, and sometimes ask how an order is.

use crate::draw::Root;
use crate::protocol::{Customer, OrderId, Status, ToOrder};
use crate::rpc::Client;
use crate::shop::{ITEMS, ON_SALE};
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
}

/// One customer at one machine.
#[derive(Clone)]
pub struct Shopper {
    customer: Customer,
    order: Rc<Client<ToOrder, Option<Status>>>,
    told: Told,
}

impl std::fmt::Debug for Shopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shopper").field("customer", &self.customer).finish_non_exhaustive()
    }
}

impl Shopper {
    /// A customer, who notes down what the shop tells.
    pub fn new(customer: Customer, told: Told) -> Self {
        Shopper { customer, order: Rc::new(Client::new("order:1")), told }
    }

    /// Does what this run has for the shopper to do, and returns when the last operation has begun.
    pub async fn shop(self, sim: Sim) {
        for index in 0..OPERATIONS {
            let start = APART * index as u32;
            sim.phase(&format!("operation {index} of {} is drawn", self.customer), start).await;
            let root = Root::new(Kind::Op, self.customer.into(), index);
            let what = root.what(Kind::Op, &[72, 12, 12]);
            if what == 0 {
                continue;
            }
            let at = start + root.time(part::AT, Kind::At, Duration::ZERO, APART);
            sim.phase(&format!("operation {index} of {} begins", self.customer), at).await;
            let number = index as u32;
            let shopper = self.clone();
            sim::spawn(async move {
                match what {
                    1 => {
                        // Half of all orders are for what is on sale.
                        let item = root.pick(part::WHICH, Kind::Arg, 2 * ITEMS as u64);
                        let item = if item < ITEMS as u64 { item as u32 } else { ON_SALE };
                        let quantity = 1 + root.pick(part::QUANTITY, Kind::Arg, 3) as u32;
                        shopper.place(number, item, quantity, Duration::from_secs(10)).await;
                    }
                    earlier => {
                        let back = 1 + root.pick(part::WHICH, Kind::Arg, 3) as u32;
                        let order = shopper.id(number.saturating_sub(back));
                        let request = if earlier == 2 { ToOrder::Cancel(order) } else { ToOrder::Query(order) };
                        shopper.ask(order, request, Duration::from_secs(10)).await;
                    }
                }
            });
        }
    }

    /// Places an order; what the shop says to it, if it says anything in time.
    pub async fn place(&self, number: u32, item: u32, quantity: u32, within: Duration) -> Option<Status> {
        let order = self.id(number);
        self.ask(order, ToOrder::Place { order, item, quantity }, within).await
    }

    /// Asks how an order is.
    pub async fn query(&self, number: u32, within: Duration) -> Option<Status> {
        self.ask(self.id(number), ToOrder::Query(self.id(number)), within).await
    }

    fn id(&self, number: u32) -> OrderId {
        OrderId { customer: self.customer, number }
    }

    async fn ask(&self, order: OrderId, request: ToOrder, within: Duration) -> Option<Status> {
        let deadline = Instant::now() + within;
        loop {
            match self.order.call(&request, Duration::from_millis(400)).await {
                Ok(status) => {
                    if let Some(status) = status {
                        self.told.borrow_mut().insert(order, status);
                    }
                    return status;
                }
                Err(_) if Instant::now() >= deadline => return None,
                Err(_) => sleep(Duration::from_millis(rand::range(200..500))).await,
            }
        }
    }
}
