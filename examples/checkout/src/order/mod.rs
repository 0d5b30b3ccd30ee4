//! The order service: takes orders, answers for them, and brings each of them to an end.

mod breaker;
mod dependency;
mod saga;

pub use saga::{Order, Step};

use crate::Bug;
use crate::deadline::Heed;
use crate::protocol::{Cancel, OrderId, Place, Query, Status};
use crate::store::Store;
use dependency::ATTEMPT;
use saga::Sagas;
use sim::net::rpc::Server;
use sim::spawn;
use sim::time::sleep;
use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::rc::Rc;

/// All orders that were ever accepted.
pub type Orders = BTreeMap<OrderId, Order>;

/// One process of the service.
#[derive(Clone, Debug)]
pub struct OrderService {
    orders: Store<Orders>,
    sagas: Rc<Sagas>,
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

    /// Serves requests until the process ends.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn serve(self) -> io::Result<()> {
        let (place, cancel, query) = (self.clone(), self.clone(), self);
        Server::new()
            .on_timely(move |request| ready(place.place(request)))
            .on_timely(move |Cancel(id)| ready(cancel.cancel(id)))
            .on_timely(move |Query(id)| ready(query.status(id)))
            .serve("0.0.0.0:80")
            .await
    }

    fn place(&self, Place { order: id, item, quantity }: Place) -> Status {
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
