//! What must hold: some of it after every change, the rest when all faults are over and everything has settled.
//!
//! The services know nothing of this: it looks at their stores from outside, where no fault reaches.

use crate::catalog::{self, Stock};
use crate::gateway::Bank;
use crate::order::Step;
use crate::protocol::{Cents, LeaseId, OrderId, Status};
use crate::shop::Shop;
use sim::Sim;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The customers, the shop and nobody else have the money that there was.
pub const MONEY_CONSERVED: &str = "money conserved";
/// The bank has charged no order twice.
pub const CHARGED_ONCE: &str = "no order charged twice";
/// What was delivered is on the shelf, put aside, or sold.
pub const STOCK_CONSERVED: &str = "stock conserved";
/// Nothing is put aside that is not there.
pub const STOCK_NEVER_NEGATIVE: &str = "stock never negative";
/// When all faults are over, every order that was accepted is brought to its end.
pub const COMES_TO_AN_END: &str = "every accepted order comes to an end";
/// The end of an order is what the others have in their books: paid, or as if it had never been.
pub const PAID_OR_COMPENSATED: &str = "every accepted order ends paid or compensated";
/// What a customer has been told stays true.
pub const TOLD_THE_TRUTH: &str = "customers are told the truth";
/// When all faults are over, every customer is told how the order ended.
pub const EVERYBODY_IS_TOLD: &str = "every customer is told the end";
/// No answer is older than one that the customer had before asking.
pub const READ_YOUR_WRITES: &str = "customers read their own writes";
/// Nobody works on an order that somebody else works on.
pub const ONE_SAGA: &str = "one saga an order";
/// Of the order workers one at a time does what the one does that leads.
pub const ONE_LEADER: &str = "one order worker leads at a time";
/// When all faults are over, the shop works again.
pub const GOES_THROUGH_AFTER_HEALING: &str = "orders go through after healing";
/// What a service has acknowledged is there when it starts again.
pub const NOTHING_LOST: &str = "nothing acknowledged is lost";
/// What a service finds on its disk is what it has written there.
pub const NOTHING_INVENTED: &str = "what is recovered was written";

/// All of them, in the order of the report.
pub const ALL: [&str; 14] = [
    MONEY_CONSERVED,
    CHARGED_ONCE,
    STOCK_CONSERVED,
    STOCK_NEVER_NEGATIVE,
    ONE_SAGA,
    ONE_LEADER,
    READ_YOUR_WRITES,
    GOES_THROUGH_AFTER_HEALING,
    COMES_TO_AN_END,
    PAID_OR_COMPENSATED,
    TOLD_THE_TRUTH,
    EVERYBODY_IS_TOLD,
    NOTHING_LOST,
    NOTHING_INVENTED,
];

/// Has every change of the stock and of the bank's books looked at.
pub fn watch(sim: Sim, shop: &Shop) {
    shop.catalog.stock.watch(move |stock| check_stock(sim, stock));
    let money = shop.bank.read(money);
    shop.bank.watch(move |bank| check_bank(sim, bank, money));
}

fn check_stock(sim: Sim, stock: &Stock) {
    let mut gone = BTreeMap::new();
    for reservation in stock.reservations.values().filter(|r| r.state != catalog::State::Released) {
        *gone.entry(reservation.item).or_default() += reservation.quantity;
    }
    for (item, shelf) in &stock.shelves {
        let gone: i64 = gone.get(item).copied().unwrap_or_default();
        if shelf.on_hand < 0 {
            let detail = format!("{} of item {item} on hand, {} delivered", shelf.on_hand, shelf.delivered);
            sim.violated(STOCK_NEVER_NEGATIVE, detail);
        }
        if shelf.on_hand + gone != shelf.delivered {
            let detail = format!(
                "item {item}: {} delivered, {} on hand, {gone} put aside or sold",
                shelf.delivered, shelf.on_hand
            );
            sim.violated(STOCK_CONSERVED, detail);
        }
    }
}

fn money(bank: &Bank) -> Cents {
    bank.shop + bank.accounts.values().sum::<Cents>()
}

fn check_bank(sim: Sim, bank: &Bank, before: Cents) {
    if let Some((order, entry)) = bank.statement.iter().find(|(_, entry)| entry.charges > 1) {
        sim.violated(CHARGED_ONCE, format!("order {order} was charged {} times", entry.charges));
    }
    if money(bank) != before {
        sim.violated(MONEY_CONSERVED, format!("there was {before}, there is {}", money(bank)));
    }
}

/// Whether every order has come to its end, and its customer knows.
pub fn settled(shop: &Shop) -> bool {
    shop.orders.entries.read(|orders| orders.values().all(|order| order.told))
}

/// Checks every order's end against the books of the others.
pub fn check_ends(sim: Sim, shop: &Shop) {
    let orders = shop.orders.entries.read(Clone::clone);
    let mut earned = 0;
    for (&id, order) in &orders {
        let reserved = shop.catalog.stock.read(|stock| stock.reservations.get(&id).map(|r| r.state));
        let held = shop.bank.read(|bank| bank.statement.get(&id).map_or(0, |entry| entry.held));
        let good = match order.step {
            Step::Paid(amount) => {
                earned += amount;
                reserved == Some(catalog::State::Sold) && held == amount
            }
            Step::Compensated => reserved == Some(catalog::State::Released) && held == 0,
            Step::Rejected => matches!(reserved, None | Some(catalog::State::Released)) && held == 0,
            step => {
                sim.violated(COMES_TO_AN_END, format!("order {id} is still at {step:?}"));
                continue;
            }
        };
        if !good {
            let detail =
                format!("order {id} ends at {:?}: reservation {reserved:?}, {held} charged", order.step);
            sim.violated(PAID_OR_COMPENSATED, detail);
        }
        let sent = shop.sent.entries.read(|sent| sent.get(&id).map(|letter| letter.status));
        if sent != Some(order.step.status()) {
            let is = order.step;
            sim.violated(
                EVERYBODY_IS_TOLD,
                format!("order {id} ends at {is:?}, the customer heard {sent:?}"),
            );
        }
    }
    for (id, told) in &*shop.told.borrow() {
        let is = orders.get(id).map(|order| order.step);
        if !is.is_some_and(|is| *told == Status::Accepted || *told == is.status()) {
            let detail = format!("the customer of order {id} was told {told:?}, it is {is:?}");
            sim.violated(TOLD_THE_TRUTH, detail);
        }
    }
    let has = shop.bank.read(|bank| bank.shop);
    if has != earned {
        let detail = format!("the orders that ended paid come to {earned}, the shop has {has}");
        sim.violated(MONEY_CONSERVED, detail);
    }
}

/// Looks at an answer that a customer gets: it may not fall behind `known`, what the customer knew when asking.
pub fn check_answer(sim: Sim, id: OrderId, known: Option<Status>, answer: Option<Status>) {
    let falls_behind = match (known, answer) {
        (None, _) | (Some(Status::Accepted), Some(_)) => false,
        (known, answer) => known != answer,
    };
    if falls_behind {
        let detail = format!("order {id}: {answer:?} after {known:?}");
        sim.violated(READ_YOUR_WRITES, detail);
    }
}

/// Hears of every act of an order worker as the one that leads.
#[derive(Clone, Debug, Default)]
pub struct Leaders(Arc<Mutex<Vec<LeaseId>>>);

impl Leaders {
    /// The holder of this lease acts.
    pub fn acts(&self, lease: LeaseId) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.last() == Some(&lease) {
            return;
        }
        if leases.contains(&lease) {
            let detail = "one acts after another has begun to";
            Sim::current().violated(ONE_LEADER, detail);
        }
        leases.push(lease);
    }
}
