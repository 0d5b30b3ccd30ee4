//! The shop: which nodes there are, what runs on them, and the course of one run.

use crate::Bug;
use crate::catalog::{Catalog, Stock};
use crate::chaos::{self, CHAOS};
use crate::gateway::{Bank, Gateway};
use crate::invariants::{self, Leaders};
use crate::notification::{Notification, Sent};
use crate::order::{OrderService, OrderWorker, Orders, WORKERS};
use crate::payment::{Ledger, Payment};
use crate::protocol::Status;
use crate::shopper::{SHOPPERS, Shopper, Told};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use sim::Sim;
use sim::net::NetExt;
use sim::time::{Duration, sleep};
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

/// The state of all services, which outlives their processes.
#[derive(Debug)]
pub struct Shop {
    /// Of the catalog.
    pub stock: Store<Stock>,
    /// Of the order service.
    pub orders: Store<Orders>,
    /// Of the payment service.
    pub ledger: Store<Ledger>,
    /// Of the notification service.
    pub sent: Store<Sent>,
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
        let shelves = [(28, 1_999), (30, 250), (25, 4_900), (40, 120), (20, 899), (1_000, 1_000)];
        let bank = Store::new(Bank::with_customers(SHOPPERS + 1, 36_000));
        let shop = Shop {
            stock: Store::new(Stock::delivered(shelves)),
            orders: Store::new(Orders::new()),
            ledger: Store::new(Ledger::new()),
            sent: Store::new(Sent::new()),
            gateway: Gateway::new(bank.clone()),
            bank,
            told: Told::default(),
        };
        sim.default_link().latency(LATENCY);

        // A program is called for every process of its node: each gets the stores that the one before it had.
        let stock = shop.stock.clone();
        sim.node("catalog").run(move || Catalog::new(stock.clone(), bug).serve());
        let (ledger, gateway) = (shop.ledger.clone(), shop.gateway.clone());
        sim.node("payment").run(move || Payment::new(ledger.clone(), gateway.clone(), bug).serve());
        let sent = shop.sent.clone();
        sim.node("notification").run(move || Notification::new(sent.clone()).serve());
        let orders = shop.orders.clone();
        sim.node("order").run(move || OrderService::new(orders.clone(), bug).serve());
        let leaders = Leaders::default();
        for (number, name) in (0..).zip(WORKERS) {
            let leaders = leaders.clone();
            sim.node(name).run(move || OrderWorker::new(number, leaders.clone(), bug).work());
        }
        shop
    }
}

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
    let tried = sim.node("late-shopper").spawn(goes_through(sim, customer)).await;
    if !tried.unwrap_or(false) {
        sim.violated(invariants::GOES_THROUGH_AFTER_HEALING, format!("none did within {PATIENCE:?}"));
    }
    let mut waited = Duration::ZERO;
    while !invariants::settled(&shop) && waited < PATIENCE {
        sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
    invariants::check_ends(sim, &shop);

    let ends = |status| {
        shop.orders
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

/// Whether an order is paid when all faults are over.
async fn goes_through(sim: Sim, customer: Shopper) -> bool {
    let mut number = 0;
    customer.place(number, VOUCHER, 1, PATIENCE).await;
    while sim.elapsed() < CHAOS.end + PATIENCE {
        match customer.query(number, PATIENCE).await {
            Some(Status::Paid) => return true,
            Some(Status::Accepted) | None => sleep(LOOK_AGAIN).await,
            // Given up, because the shop had not come right yet.
            Some(Status::Compensated | Status::Rejected) => {
                number += 1;
                customer.place(number, VOUCHER, 1, PATIENCE).await;
            }
        }
    }
    false
}
