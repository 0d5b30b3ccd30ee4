//! What the services say to each other: most of it over `sim::net::rpc`, what the payment service is asked over HTTP.

use serde::{Deserialize, Serialize};
use sim::net::rpc::Request;
use std::sync::Arc;
use std::time::SystemTime;

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

impl std::str::FromStr for OrderId {
    type Err = std::num::ParseIntError;

    /// Reads what `Display` wrote.
    fn from_str(text: &str) -> Result<OrderId, Self::Err> {
        let (customer, number) = text.split_once('/').unwrap_or((text, ""));
        Ok(OrderId { customer: customer.parse()?, number: number.parse()? })
    }
}

/// A customer, who has an account at the bank.
pub type Customer = u32;

/// A thing for sale, by its place on the shelf.
pub type Item = u32;

/// An amount of money, cents.
pub type Cents = i64;

/// How an order is.
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

/// To the order service: take this order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The customer's number for it.
    pub order: OrderId,
    /// What is ordered.
    pub item: Item,
    /// How many of it.
    pub quantity: u32,
    /// What else the customer has to say.
    pub wishes: Arc<str>,
}

/// To the order service: give up this order, if it is not too late. Answered like [`Query`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cancel(pub OrderId);

/// To the order service: tell how this order is; `None` if there is no such order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Query(pub OrderId);

/// To the catalog: put this aside for the order, and tell what it costs in all.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reserve {
    /// For whom.
    pub order: OrderId,
    /// What.
    pub item: Item,
    /// How many.
    pub quantity: u32,
}

/// The catalog does not have enough of it, or the order has been given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused;

/// To the catalog: the order is paid, what is reserved for it is sold.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Confirm(pub OrderId);

/// To the catalog: the order is given up. Put back what is reserved for it, also if the reservation comes later.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Release(pub OrderId);

/// To the payment service: take this much from the customer's account. The order is the idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// For what.
    pub order: OrderId,
    /// How much.
    pub amount: Cents,
}

/// To the payment service: give back what was taken for the order, and take nothing for it from now on.
#[derive(Clone, Copy, Debug)]
pub struct Refund(pub OrderId);

/// How a charge ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Charged {
    /// The money is the shop's.
    Paid,
    /// The account does not hold as much, or the charge was cancelled.
    Declined,
}

/// The bank has not answered the payment service yet: ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Busy;

/// To the notification service: tell the customer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Notify {
    /// About which order.
    pub order: OrderId,
    /// What became of it.
    pub status: Status,
}

/// A worker of the order service, by number.
pub type Worker = u32;

/// What tells one lease from another.
pub type LeaseId = u64;

/// From a worker to the order service: let me lead, or go on leading. `None` while another leads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lead {
    /// Who asks.
    pub worker: Worker,
    /// The orders whose customers it has told the end.
    pub told: Vec<OrderId>,
}

/// The right to lead the workers for a while, and what is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Stays the same as long as the same worker leads.
    pub id: LeaseId,
    /// When it runs out unless it is renewed, by the clock of the order service.
    pub until: SystemTime,
    /// Orders that have ended, whose customers do not know it yet.
    pub untold: Vec<(OrderId, Status)>,
}

macro_rules! replies {
    ($($request:ident => $reply:ty;)*) => {
        $(impl Request for $request {
            type Reply = $reply;
            const NAME: &'static str = stringify!($request);
        })*
    };
}

replies! {
    Place => Status;
    Cancel => Option<Status>;
    Query => Option<Status>;
    Reserve => Result<Cents, Refused>;
    Confirm => ();
    Release => ();
    Notify => ();
    Lead => Option<Lease>;
}
