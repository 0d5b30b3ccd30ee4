//! The order workers: two machines of which one at a time leads, and tells customers how their orders ended.

use super::dependency::ATTEMPT;
use super::lease::Held;
use crate::Bug;
use crate::deadline::call;
use crate::invariants::Leaders;
use crate::protocol::{Lead, Lease, Notify, OrderId, Worker};
use sim::net::rpc::Client;
use sim::spawn;
use sim::time::{Duration, Instant, interval};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

/// The machines of the workers, by their numbers.
pub const WORKERS: [&str; 2] = ["worker-0", "worker-1"];

/// How often a worker asks for work.
const ROUND: Duration = Duration::from_secs(1);

/// One process of a worker.
#[derive(Clone, Debug)]
pub struct OrderWorker {
    number: Worker,
    order: Client,
    notification: Client,
    leaders: Leaders,
    bug: Option<Bug>,
    state: Rc<RefCell<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// Whose customers know the end, which the order service has not heard yet.
    told: BTreeSet<OrderId>,
}

impl OrderWorker {
    /// A process of the worker of this number; `leaders` hears of it when it acts as the one that leads.
    pub fn new(number: Worker, leaders: Leaders, bug: Option<Bug>) -> Self {
        let (order, notification) = (Client::new("order:80"), Client::new("notification:80"));
        OrderWorker { number, order, notification, leaders, bug, state: Rc::default() }
    }

    /// Works until the process ends: a round begins when its time has come, however long the one before it takes.
    ///
    /// # Errors
    /// Never.
    pub async fn work(self) -> io::Result<()> {
        let mut rounds = interval(ROUND);
        loop {
            rounds.tick().await;
            let worker = self.clone();
            spawn(async move { worker.round().await });
        }
    }

    async fn round(&self) {
        let (asked, told) = (Instant::now(), self.state.borrow().told.clone());
        let lead = Lead { worker: self.number, told: told.iter().copied().collect() };
        let mut untold = Vec::new();
        // Without an answer, who leads goes on until the lease has run out.
        if let Ok(answer) = call(&self.order, ATTEMPT, lead).await {
            let mut state = self.state.borrow_mut();
            state.told.retain(|order| !told.contains(order));
            state.held = answer.map(|Lease { id, until, untold: orders }| {
                untold = orders;
                Held::new(id, asked, until, self.bug)
            });
        }
        if !self.acts() {
            return;
        }
        for (order, status) in untold {
            if !self.acts() {
                return;
            }
            let worker = self.clone();
            spawn(async move {
                if call(&worker.notification, ATTEMPT, Notify { order, status }).await.is_ok() {
                    worker.state.borrow_mut().told.insert(order);
                }
            });
        }
    }

    /// Whether it leads, in which case something is done at once that only the one who leads may do.
    fn acts(&self) -> bool {
        let held = self.state.borrow().held.filter(Held::is_good);
        held.iter().for_each(|held| self.leaders.acts(held.id));
        held.is_some()
    }
}
