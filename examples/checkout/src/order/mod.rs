//! The order service: takes orders, answers for them, and brings each of them to an end. Of its two workers the one that
//! leads tells the customers.

mod breaker;
mod dependency;
mod lease;
mod saga;
mod turns;
mod worker;

pub use saga::{Order, Step};
pub use worker::{OrderWorker, WORKERS};

use crate::Bug;
use crate::deadline::Heed;
use crate::journal::{Entries, Journal, Seen};
use crate::protocol::{Cancel, Lead, Lease, OrderId, Place, Query, Status};
use dependency::ATTEMPT;
use lease::{Leases, TERM};
use saga::Sagas;
use sim::net::rpc::Server;
use sim::time::{Duration, Instant, sleep, wall};
use sim::{reachable, spawn};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// All orders that were ever accepted.
pub type Orders = Entries<Order>;

/// One process of the service.
#[derive(Clone, Debug)]
pub struct OrderService {
    orders: Journal<Order>,
    sagas: Rc<Sagas>,
    leases: Rc<Leases>,
    /// What queries are answered from, and when it was taken.
    view: Rc<RefCell<Option<View>>>,
    bug: Option<Bug>,
}

type View = (Instant, BTreeMap<OrderId, Status>);

/// How many ends of orders a worker is given at a time.
const A_BATCH: usize = 16;

/// How old what queries are answered from may be, where that is thought to do no harm.
const LAG: Duration = Duration::from_millis(15);

impl OrderService {
    /// Runs a process, until it ends or its log fails. It goes on with the orders that an earlier one left unfinished.
    ///
    /// # Errors
    /// What the disk says, or if the port is taken.
    pub async fn run(seen: Seen<Order>, bug: Option<Bug>) -> io::Result<()> {
        let (orders, writer) = Journal::open("/orders", seen, bug).await?;
        writer.beside(OrderService::new(orders, bug).serve()).await
    }

    fn new(orders: Journal<Order>, bug: Option<Bug>) -> Self {
        let sagas = Rc::new(Sagas::new(orders.clone(), bug));
        let service =
            OrderService { orders, sagas, leases: Rc::new(Leases::new()), view: Rc::default(), bug };
        let unfinished = service.orders.read(|orders| {
            let unfinished = orders.iter().filter(|(_, order)| order.step.status() == Status::Accepted);
            unfinished.map(|(id, _)| *id).collect::<Vec<_>>()
        });
        if !unfinished.is_empty() {
            reachable!("a process finishes the orders of another");
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
        let (place, cancel, query, lead) = (self.clone(), self.clone(), self.clone(), self);
        Server::new()
            .on_timely(move |request| place.clone().answer(move |service| service.place(request)))
            .on_timely(move |Cancel(id)| cancel.clone().answer(move |service| service.cancel(id)))
            .on_timely(move |Query(id)| query.clone().answer(move |service| service.query(id)))
            .on_timely(move |request| lead.clone().answer(move |service| service.lead(request)))
            .serve("0.0.0.0:80")
            .await
    }

    /// Nobody is told anything that is not durable.
    async fn answer<T>(self, request: impl FnOnce(&Self) -> T) -> T {
        let answer = request(&self);
        self.orders.durable().await;
        answer
    }

    fn place(&self, Place { order: id, item, quantity, wishes }: Place) -> Status {
        if let Some(status) = self.status(id) {
            if self.bug == Some(Bug::SplitSaga) && status == Status::Accepted {
                // "Every step may be taken twice, so it does no harm to make sure that the order is worked on."
                self.pursue(id);
            }
            return status;
        }
        let order = Order { item, quantity, wishes, step: Step::Reserve, unwanted: false, told: false };
        self.orders.set(id, Some(order));
        self.pursue(id);
        Status::Accepted
    }

    fn pursue(&self, id: OrderId) {
        let sagas = self.sagas.clone();
        let orders = self.orders.clone();
        spawn(async move {
            // An order that is not durable may never have been.
            orders.durable().await;
            sagas.pursue(id).await;
        });
    }

    /// An order can be cancelled until the customer has been charged.
    fn cancel(&self, id: OrderId) -> Option<Status> {
        let order = self.orders.entry(id)?;
        let status = order.step.status();
        if matches!(order.step, Step::Reserve | Step::Charge(_)) && !order.unwanted {
            self.orders.set(id, Some(Order { unwanted: true, ..order }));
        }
        Some(status)
    }

    fn query(&self, id: OrderId) -> Option<Status> {
        if self.bug == Some(Bug::StaleRead) {
            // "Nobody minds a few milliseconds."
            let mut view = self.view.borrow_mut();
            let take = || {
                let all =
                    |orders: &Orders| orders.iter().map(|(id, order)| (*id, order.step.status())).collect();
                (Instant::now(), self.orders.read(all))
            };
            if view.as_ref().is_none_or(|(taken, _)| taken.elapsed() >= LAG) {
                *view = Some(take());
            }
            return view.as_ref().and_then(|(_, statuses)| statuses.get(&id).copied());
        }
        self.status(id)
    }

    /// A worker wants to lead, and says whom it has told.
    fn lead(&self, Lead { worker, told }: Lead) -> Option<Lease> {
        for id in told {
            if let Some(order) = self.orders.entry(id).filter(|order| !order.told) {
                self.orders.set(id, Some(Order { told: true, ..order }));
            }
        }
        let id = self.leases.ask(worker)?;
        let untold = self.orders.read(|orders| {
            let ends = orders.iter().map(|(id, order)| (*id, order.step.status(), order.told));
            let untold = ends.filter(|(_, status, told)| *status != Status::Accepted && !told);
            untold.map(|(id, status, _)| (id, status)).take(A_BATCH).collect()
        });
        Some(Lease { id, until: wall() + TERM, untold })
    }

    fn status(&self, id: OrderId) -> Option<Status> {
        self.orders.read(|orders| orders.get(&id).map(|order| order.step.status()))
    }
}
