//! The bank behind the payment service, seen through its gateway: not ours, never down, not always quick, and
//! sometimes silent after it has done what it was asked for.

use crate::protocol::{Cents, Customer, OrderId};
use crate::store::Store;
use sim::rand;
use sim::time::{Duration, sleep};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the bank has in its books.
#[derive(Clone, Debug, Default)]
pub struct Bank {
    /// What each customer has.
    pub accounts: BTreeMap<Customer, Cents>,
    /// What the shop has.
    pub shop: Cents,
    /// What was done by order.
    pub statement: BTreeMap<OrderId, Entry>,
}

/// What the bank did for one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// How often it charged the customer.
    pub charges: u32,
    /// How much of that the shop still has.
    pub held: Cents,
}

impl Bank {
    /// A bank at which so many customers have so much each.
    pub fn with_customers(customers: u32, each: Cents) -> Bank {
        Bank { accounts: (0..customers).map(|customer| (customer, each)).collect(), ..Bank::default() }
    }

    fn charge(&mut self, order: OrderId, amount: Cents) -> bool {
        let account = self.accounts.entry(order.customer).or_default();
        if *account < amount {
            return false;
        }
        *account -= amount;
        self.shop += amount;
        let entry = self.statement.entry(order).or_default();
        entry.charges += 1;
        entry.held += amount;
        true
    }

    fn refund(&mut self, order: OrderId) {
        let Some(entry) = self.statement.get_mut(&order) else { return };
        self.shop -= entry.held;
        *self.accounts.entry(order.customer).or_default() += entry.held;
        entry.held = 0;
    }

    fn has_charged(&self, order: OrderId) -> bool {
        self.statement.get(&order).is_some_and(|entry| entry.held > 0)
    }
}

/// How the gateway is today.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mood {
    /// An answer takes some milliseconds.
    #[default]
    Well,
    /// An answer takes this long.
    Slow(Duration),
    /// No answer comes.
    Silent,
}

/// The way to the bank. The bank does at once what it is asked for; what takes time, or is lost, is the answer. It
/// knows no idempotency keys: asked twice, it charges twice.
#[derive(Clone)]
pub struct Gateway {
    bank: Store<Bank>,
    today: Arc<Mutex<Today>>,
}

/// How the gateway is, and who is to know that somebody has noticed.
#[derive(Default)]
struct Today {
    mood: Mood,
    noticed: Option<Box<dyn Fn() + Send>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("mood", &self.today().mood).finish_non_exhaustive()
    }
}

impl Gateway {
    /// The way to this bank.
    pub fn new(bank: Store<Bank>) -> Self {
        Gateway { bank, today: Arc::default() }
    }

    /// Makes the gateway slow or silent, or well again.
    pub fn set_mood(&self, mood: Mood) {
        *self.today() = Today { mood, noticed: None };
    }

    /// Has `noticed` called for every answer that the present mood delays or loses.
    pub fn on_answer(&self, noticed: impl Fn() + Send + 'static) {
        self.today().noticed = Some(Box::new(noticed));
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes money from the customer; false if the account does not hold as much.
    pub async fn charge(&self, order: OrderId, amount: Cents) -> bool {
        let charged = self.bank.write(|bank| bank.charge(order, amount));
        self.answer().await;
        charged
    }

    /// Gives back all that is held for the order.
    pub async fn refund(&self, order: OrderId) {
        self.bank.write(|bank| bank.refund(order));
        self.answer().await;
    }

    /// Whether money is held for the order.
    pub async fn has_charged(&self, order: OrderId) -> bool {
        let charged = self.bank.read(|bank| bank.has_charged(order));
        self.answer().await;
        charged
    }

    async fn answer(&self) {
        let mood = {
            let today = self.today();
            today.noticed.iter().for_each(|noticed| noticed());
            today.mood
        };
        match mood {
            Mood::Well => sleep(Duration::from_millis(rand::range(2..9))).await,
            Mood::Slow(time) => sleep(time).await,
            Mood::Silent => pending().await,
        }
    }
}
