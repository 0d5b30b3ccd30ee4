//! The notification service: tells customers what became of their orders, each once. What it has written to them is in a
//! write-ahead log.

use crate::Bug;
use crate::deadline::Heed;
use crate::journal::{Entries, Journal, Seen};
use crate::protocol::{Notify, OrderId, Status};
use serde::{Deserialize, Serialize};
use sim::always;
use sim::net::rpc::Server;
use std::io;

/// What customers have been told.
pub type Sent = Entries<Letter>;

/// What was written to a customer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// What became of the order.
    pub status: Status,
    /// How the customer was told.
    pub text: String,
}

impl Letter {
    fn new(OrderId { customer, number }: OrderId, status: Status) -> Letter {
        let news = match status {
            Status::Accepted => "We have received your order and are working on it.",
            Status::Paid => "We have charged your account, and the goods are on their way to you.",
            Status::Compensated => {
                "We could not complete your order. Whatever was charged has been refunded."
            }
            Status::Rejected => "What you ordered is sold out. Nothing has been charged.",
        };
        Letter {
            status,
            text: format!("Dear customer {customer},\n\nyour order {number}: {news}\n\n{SMALL_PRINT}"),
        }
    }
}

/// What is below every letter: so a record is longer than a sector of the disk.
const SMALL_PRINT: &str = "\
Goods that you do not like can be sent back within thirty days, in the packaging in which they came and with the
receipt. We refund the price within two weeks of their arrival; the postage is yours. Goods that were damaged on their
way are replaced free of charge: let us have a picture of them, and keep the packaging until you have heard from us.
Prices include all taxes. Goods remain the property of the shop until they are paid for in full. This letter was
written by a machine and is valid without a signature; answers to it are read by nobody.";

/// One process of the service.
#[derive(Clone, Debug)]
pub struct Notification {
    sent: Journal<Letter>,
}

impl Notification {
    /// Runs a process, until it ends or its log fails.
    ///
    /// # Errors
    /// What the disk says, or if the port is taken.
    pub async fn run(seen: Seen<Letter>, bug: Option<Bug>) -> io::Result<()> {
        let (sent, writer) = Journal::open("/sent", seen, bug).await?;
        writer.beside(Notification { sent }.serve()).await
    }

    /// Serves requests until the process ends. Callers repeat themselves until they have heard that it is done.
    async fn serve(self) -> io::Result<()> {
        let tell = move |Notify { order, status }| {
            let sent = self.sent.clone();
            async move {
                match sent.entry(order) {
                    Some(letter) => always!(letter.status == status, "an order has one end"),
                    None => sent.set(order, Some(Letter::new(order, status))),
                }
                sent.durable().await;
            }
        };
        Server::new().on_timely(tell).serve("0.0.0.0:80").await
    }
}
