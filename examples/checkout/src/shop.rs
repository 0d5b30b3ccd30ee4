//! The shop: which nodes there are, what runs on them, and the course of one run.

use crate::Bug;
use crate::catalog::{self, Catalog, Delivery};
use crate::chaos::{self, CHAOS};
use crate::gateway::{Bank, Gateway};
use crate::invariants::{self, Leaders};
use crate::journal::Seen;
use crate::notification::{Letter, Notification};
use crate::order::{Order, OrderService, OrderWorker, WORKERS};
use crate::payment::{self, Payment};
use crate::protocol::Status;
use crate::shopper::{SHOPPERS, Shopper, Told};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use sim::net::NetExt;
use sim::time::{Duration, sleep};
use sim::{ExitPolicy, Sim, eventually};
use std::ops::{AddAssign, Range};

/// How many items can be ordered.
pub const ITEMS: usize = 5;
/// The item that everybody wants.
pub const ON_SALE: u32 = 0;
/// An item of which there is always enough.
pub const VOUCHER: u32 = ITEMS as u32;
/// The customer who tries the shop out when all faults are over.
const LATE_CUSTOMER: u32 = SHOPPERS;

/// How a run is to be.
pub type Options = command::Options<Bug>;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Orders that ended paid.
    pub completed: u64,
    /// Orders that were undone.
    pub compensated: u64,
    /// Orders for which there was not enough on the shelf.
    pub rejected: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.completed += other.completed;
        self.compensated += other.compensated;
        self.rejected += other.rejected;
    }
}

/// What oracles see of all services, of which each has its state on its disk.
#[derive(Debug)]
pub struct Shop {
    /// Of the catalog.
    pub catalog: catalog::Seen,
    /// Of the order service.
    pub orders: Seen<Order>,
    /// Of the payment service.
    pub ledger: Seen<payment::State>,
    /// Of the notification service.
    pub sent: Seen<Letter>,
    /// Of the bank, which is not ours.
    pub bank: Store<Bank>,
    /// The way to the bank.
    pub gateway: Gateway,
    /// What customers were told.
    pub told: Told,
}

impl Shop {
    /// Starts all services.
    pub fn open(sim: Sim, bug: Option<Bug>) -> Shop {
        let bank = Store::new(Bank::with_customers(SHOPPERS + 1, 36_000));
        let shop = Shop {
            catalog: catalog::Seen::default(),
            orders: Seen::default(),
            ledger: Seen::default(),
            sent: Seen::default(),
            gateway: Gateway::new(bank.clone()),
            bank,
            told: Told::default(),
        };
        sim.default_link().latency(LATENCY);

        // A program is called for every process of its node.
        let seen = shop.catalog.clone();
        sim.node("catalog").run(move || Catalog::run(DELIVERY, seen.clone(), bug)).on_exit(AGAIN);
        let (ledger, gateway) = (shop.ledger.clone(), shop.gateway.clone());
        sim.node("payment").run(move || Payment::run(ledger.clone(), gateway.clone(), bug)).on_exit(AGAIN);
        let sent = shop.sent.clone();
        sim.node("notification").run(move || Notification::run(sent.clone(), bug)).on_exit(AGAIN);
        let orders = shop.orders.clone();
        sim.node("order").run(move || OrderService::run(orders.clone(), bug)).on_exit(AGAIN);
        let leaders = Leaders::default();
        for (number, name) in (0..).zip(WORKERS) {
            let leaders = leaders.clone();
            sim.node(name).run(move || OrderWorker::new(number, leaders.clone(), bug).work());
        }
        shop
    }
}

/// How many of each item there are, and what one costs. The last is the voucher.
const DELIVERY: Delivery = &[(28, 1_999), (30, 250), (25, 4_900), (40, 120), (20, 899), (1_000, 1_000)];

/// A service whose disk has failed ends, and is started again.
const AGAIN: ExitPolicy = ExitPolicy::Restart(Duration::from_millis(300));

/// How long packets take when nothing is wrong.
pub const LATENCY: Range<Duration> = Duration::from_millis(1)..Duration::from_millis(8);

/// One run: the shop opens, shoppers shop while things go wrong, the faults end, and then everything must come right.
pub async fn run(sim: Sim, options: Options) -> Summary {
    let shop = Shop::open(sim, options.bug);
    invariants::watch(sim, &shop);
    for customer in 0..SHOPPERS {
        let (shopper, node) =
            (Shopper::new(customer, shop.told.clone()), sim.node(&format!("shopper-{customer}")));
        node.spawn(shopper.shop(Shopper::operations(node)));
    }
    let swarm = options.faults.of(chaos::swarm(&shop.gateway));
    let calm = swarm.is_none();
    swarm.into_iter().for_each(|swarm| sim.nemesis(swarm));

    sim.phase("the chaos is over", CHAOS.end).await;
    if !calm {
        chaos::end(sim).await;
    }
    let customer = Shopper::new(LATE_CUSTOMER, shop.told.clone());
    let paid = sim.node("late-shopper").spawn(goes_through(customer));
    sim.liveness(invariants::GOES_THROUGH_AFTER_HEALING, PATIENCE, || paid.is_finished()).await;
    // Which orders do not settle, and so break which invariant, is said next.
    let _ = eventually(PATIENCE, || invariants::settled(&shop)).await;
    invariants::check_ends(sim, &shop);

    let ends = |status| {
        shop.orders
            .entries
            .read(|orders| orders.values().filter(|order| order.step.status() == status).count() as u64)
    };
    Summary {
        completed: ends(Status::Paid),
        compensated: ends(Status::Compensated),
        rejected: ends(Status::Rejected),
    }
}

/// How long the shop may take to come right.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Orders until an order is paid.
async fn goes_through(customer: Shopper) {
    let mut number = 0;
    customer.place(number, VOUCHER, 1, PATIENCE).await;
    loop {
        match customer.query(number, PATIENCE).await {
            Some(Status::Paid) => return,
            Some(Status::Accepted) | None => sleep(LOOK_AGAIN).await,
            // Given up, because the shop had not come right yet.
            Some(Status::Compensated | Status::Rejected) => {
                number += 1;
                customer.place(number, VOUCHER, 1, PATIENCE).await;
            }
        }
    }
}
