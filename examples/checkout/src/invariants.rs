//! What must hold: some of it after every change, the rest when all faults are over and everything has settled.
//!
//! The services know nothing of this: it looks at their stores from outside, where no fault reaches.

use crate::catalog::{self, Stock};
use crate::gateway::Bank;
use crate::order::Step;
use crate::protocol::{Cents, Status};
use crate::shop::Shop;
use sim::Sim;

/// The customers, the shop and nobody else have the money that there was.
pub const MONEY_CONSERVED: &str = "money conserved";
/// The bank has charged no order twice.
pub const CHARGED_ONCE: &str = "no order charged twice";
/// What was delivered is on the shelf, put aside, or sold.
pub const STOCK_CONSERVED: &str = "stock conserved";
/// Nothing is put aside that is not there.
pub const STOCK_NEVER_NEGATIVE: &str = "stock never negative";
/// When all faults are over, every order that was accepted is brought to its end: paid, or as if it had never been.
pub const PAID_OR_COMPENSATED: &str = "every accepted order ends paid or compensated";
/// When all faults are over, the shop works again.
pub const GOES_THROUGH_AFTER_HEALING: &str = "orders go through after healing";
/// What a service has acknowledged is there when it starts again.
pub const NOTHING_LOST: &str = "nothing acknowledged is lost";
/// What a service finds on its disk is what it has written there.
pub const NOTHING_INVENTED: &str = "what is recovered was written";

/// All of them, in the order of the report.
pub const ALL: [&str; 6] = [
    MONEY_CONSERVED,
    CHARGED_ONCE,
    STOCK_CONSERVED,
    STOCK_NEVER_NEGATIVE,
    PAID_OR_COMPENSATED,
    GOES_THROUGH_AFTER_HEALING,
];

/// Has every change of the stock and of the bank's books looked at.
pub fn watch(sim: Sim, shop: &Shop) {
    shop.stock.watch(move |stock| check_stock(sim, stock));
    let money = shop.bank.read(money);
    shop.bank.watch(move |bank| check_bank(sim, bank, money));
}

fn check_stock(sim: Sim, stock: &Stock) {
    let mut gone = vec![0; stock.shelves.len()];
    for reservation in stock.reservations.values().filter(|r| r.state != catalog::State::Released) {
        gone[reservation.item as usize] += reservation.quantity;
    }
    for (item, (shelf, gone)) in stock.shelves.iter().zip(gone).enumerate() {
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

/// Whether every order has come to its end.
pub fn settled(shop: &Shop) -> bool {
    shop.orders.read(|orders| orders.values().all(|order| order.step.status() != Status::Accepted))
}

/// Checks every order's end against the books of the others.
pub fn check_ends(sim: Sim, shop: &Shop) {
    let orders = shop.orders.read(Clone::clone);
    let mut earned = 0;
    for (&id, order) in &orders {
        let reserved = shop.stock.read(|stock| stock.reservations.get(&id).map(|r| r.state));
        let held = shop.bank.read(|bank| bank.statement.get(&id).map_or(0, |entry| entry.held));
        let good = match order.step {
            Step::Paid(amount) => {
                earned += amount;
                reserved == Some(catalog::State::Sold) && held == amount
            }
            Step::Compensated => reserved == Some(catalog::State::Released) && held == 0,
            Step::Rejected => matches!(reserved, None | Some(catalog::State::Released)) && held == 0,
            _ => false,
        };
        if !good {
            let detail =
                format!("order {id} ends at {:?}: reservation {reserved:?}, {held} charged", order.step);
            sim.violated(PAID_OR_COMPENSATED, detail);
        }
    }
    for (id, told) in &*shop.told.borrow() {
        let kept =
            orders.get(id).is_some_and(|order| *told == Status::Accepted || *told == order.step.status());
        if !kept {
            let is = orders.get(id).map(|order| order.step);
            sim.violated(
                PAID_OR_COMPENSATED,
                format!("the customer of order {id} was told {told:?}, it is {is:?}"),
            );
        }
    }
    let has = shop.bank.read(|bank| bank.shop);
    if has != earned {
        sim.violated(
            MONEY_CONSERVED,
            format!("the orders that ended paid come to {earned}, the shop has {has}"),
        );
    }
}
