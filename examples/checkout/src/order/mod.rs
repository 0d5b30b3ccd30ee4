//! The order service: takes orders, answers for them, and brings each of them to an end.

mod breaker;
mod dependency;
mod saga;

pub use saga::{Order, Step};

use crate::Bug;
use crate::protocol::{OrderId, Status, ToOrder};
use crate::store::Store;
use dependency::ATTEMPT;
use saga::Sagas;
use sim::spawn;
use sim::time::sleep;
use std::collections::BTreeMap;
use std::rc::Rc;

/// All orders that were ever accepted.
pub type Orders = BTreeMap<OrderId, Order>;

/// One process of the service.
#[derive(Clone)]
pub struct OrderService {
    orders: Store<Orders>,
    sagas: Rc<Sagas>,
}

impl std::fmt::Debug for OrderService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderService").field("orders", &self.orders).finish_non_exhaustive()
    }
}

impl OrderService {
    /// A process on this store. It goes on with the orders that an earlier one left unfinished.
    pub fn new(orders: Store<Orders>, bug: Option<Bug>) -> Self {
        let service = OrderService { sagas: Rc::new(Sagas::new(orders.clone(), bug)), orders };
        let unfinished = service.orders.read(|orders| {
            let unfinished = orders.iter().filter(|(_, order)| !order.told);
            unfinished.map(|(id, _)| *id).collect::<Vec<_>>()
        });
        if !unfinished.is_empty() {
            let sagas = service.sagas.clone();
            spawn(async move {
                // What the earlier process has sent may still be under way; it is too late after this.
                sleep(2 * ATTEMPT).await;
                for id in unfinished {
                    let sagas = sagas.clone();
                    spawn(async move { sagas.pursue(id).await });
                }
            });
        }
        service
    }

    /// Answers a request; `None` when there is no such order.
    pub async fn answer(&self, request: ToOrder) -> Option<Status> {
        match request {
            ToOrder::Place { order, item, quantity } => Some(self.place(order, item, quantity)),
            ToOrder::Cancel(id) => self.cancel(id),
            ToOrder::Query(id) => self.status(id),
        }
    }

    fn place(&self, id: OrderId, item: u32, quantity: u32) -> Status {
        if let Some(status) = self.status(id) {
            return status;
        }
        let order = Order { item, quantity, step: Step::Reserve, unwanted: false, told: false };
        self.orders.write(|orders| orders.insert(id, order));
        let sagas = self.sagas.clone();
        spawn(async move { sagas.pursue(id).await });
        Status::Accepted
    }

    /// An order can be cancelled until the customer has been charged.
    fn cancel(&self, id: OrderId) -> Option<Status> {
        self.orders.write(|orders| {
            let order = orders.get_mut(&id)?;
            order.unwanted |= matches!(order.step, Step::Reserve | Step::Charge(_));
            Some(order.step.status())
        })
    }

    fn status(&self, id: OrderId) -> Option<Status> {
        self.orders.read(|orders| orders.get(&id).map(|order| order.step.status()))
    }
}
