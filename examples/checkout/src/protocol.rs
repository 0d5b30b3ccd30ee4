//! What the services say to each other.

use serde::{Deserialize, Serialize};

/// An order, numbered by the shopper who places it: placing it twice is placing it once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct OrderId {
    /// Who placed it.
    pub customer: Customer,
    /// Counts the customer's orders.
    pub number: u32,
}

impl std::fmt::Display for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.customer, self.number)
    }
}

/// A customer, who has an account at the bank.
pub type Customer = u32;

/// A thing for sale, by its place on the shelf.
pub type Item = u32;

/// An amount of money, cents.
pub type Cents = i64;

/// Requests to the order service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToOrder {
    /// Take this order.
    Place {
        /// The customer's number for it.
        order: OrderId,
        /// What is ordered.
        item: Item,
        /// How many of it.
        quantity: u32,
    },
    /// Give up this order, if it is not too late.
    Cancel(OrderId),
    /// Tell how this order is.
    Query(OrderId),
}

/// How an order is. `None` to a request means that there is no such order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Status {
    /// The service has taken it and will bring it to an end.
    Accepted,
    /// The end: reserved, charged, confirmed.
    Paid,
    /// The end: whatever was done for it has been undone.
    Compensated,
    /// The end: there was not enough on the shelf, and nothing was done.
    Rejected,
}

/// Requests to the catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToCatalog {
    /// Put this aside for the order and tell its price.
    Reserve {
        /// For whom.
        order: OrderId,
        /// What.
        item: Item,
        /// How many.
        quantity: u32,
    },
    /// The order is paid: what is reserved for it is sold.
    Confirm(OrderId),
    /// The order is given up: put back what is reserved for it, now and if the reservation is still on its way.
    Release(OrderId),
}

/// Answers of the catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FromCatalog {
    /// It is put aside and costs this much in all.
    Reserved(Cents),
    /// There is not enough of it, or the order has been given up.
    Refused,
    /// It is so now.
    Done,
}

/// Requests to the payment service. The order is the idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ToPayment {
    /// Take this much from the customer's account, once.
    Charge {
        /// For what.
        order: OrderId,
        /// How much.
        amount: Cents,
    },
    /// Give back what was taken for the order, and take nothing for it from now on.
    Cancel(OrderId),
}

/// Answers of the payment service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FromPayment {
    /// It has been taken.
    Paid,
    /// The account does not hold as much, or the order has been cancelled.
    Declined,
    /// Nothing is taken for the order any more.
    Cancelled,
    /// The bank has not answered yet: ask again.
    Busy,
}

/// A request to the notification service: tell the customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// About which order.
    pub order: OrderId,
    /// What became of it.
    pub status: Status,
}
