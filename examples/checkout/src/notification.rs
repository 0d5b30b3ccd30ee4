//! The notification service: tells customers what became of their orders, each once.

use crate::deadline::Heed;
use crate::protocol::{Notify, OrderId, Status};
use crate::store::Store;
use sim::net::rpc::Server;
use std::collections::BTreeMap;
use std::future::ready;
use std::io;

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

    /// Serves requests until the process ends. Callers repeat themselves until they have heard that it is done.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn serve(self) -> io::Result<()> {
        let tell = move |Notify { order, status }| {
            self.sent.write(|sent| *sent.entry(order).or_insert(status));
            ready(())
        };
        Server::new().on_timely(tell).serve("0.0.0.0:80").await
    }
}
