//! The notification service: tells customers what became of their orders, each once.

use crate::protocol::{Notice, OrderId, Status};
use crate::store::Store;
use std::collections::BTreeMap;

/// What customers have been told.
pub type Sent = BTreeMap<OrderId, Status>;

/// One process of the service.
#[derive(Clone, Debug)]
pub struct Notification {
    sent: Store<Sent>,
}

impl Notification {
    /// A process on this store.
    pub fn new(sent: Store<Sent>) -> Self {
        Notification { sent }
    }

    /// Tells the customer, unless that has been done. Callers repeat themselves until they have heard that it is done.
    pub async fn tell(&self, Notice { order, status }: Notice) {
        self.sent.write(|sent| *sent.entry(order).or_insert(status));
    }
}
