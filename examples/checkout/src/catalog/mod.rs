//! The catalog: what is on the shelves, what it costs, and what is put aside for orders.

pub mod backend;

use crate::Bug;
use crate::deadline::Heed;
use crate::protocol::{Cents, Confirm, Item, OrderId, Refused, Release, Reserve};
use crate::store::Store;
use sim::net::rpc::Server;
use sim::rand;
use sim::time::{Duration, Instant, sleep};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::rc::Rc;

/// What the catalog must not forget.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    /// The shelf of each item.
    pub shelves: Vec<Shelf>,
    /// What is put aside, sold or put back, by order. Entries stay, so that what is repeated or late is known.
    pub reservations: BTreeMap<OrderId, Reservation>,
}

/// The place of one item.
#[derive(Clone, Copy, Debug)]
pub struct Shelf {
    /// How many were delivered.
    pub delivered: i64,
    /// How many can still be ordered.
    pub on_hand: i64,
    /// What one costs.
    pub price: Cents,
}

/// What the catalog knows of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// Which item.
    pub item: Item,
    /// How many.
    pub quantity: i64,
    /// What became of them.
    pub state: State,
}

/// What became of a reservation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Put aside.
    Held,
    /// Sold: it does not come back.
    Sold,
    /// Put back, or never to be taken.
    Released,
}

impl Stock {
    /// Shelves with so many pieces at such a price.
    pub fn delivered(items: impl IntoIterator<Item = (i64, Cents)>) -> Stock {
        let shelf = |(pieces, price)| Shelf { delivered: pieces, on_hand: pieces, price };
        Stock { shelves: items.into_iter().map(shelf).collect(), reservations: BTreeMap::new() }
    }

    fn has(&self, item: Item, quantity: i64) -> bool {
        self.shelves.get(item as usize).is_some_and(|shelf| shelf.on_hand >= quantity)
    }

    fn take(&mut self, order: OrderId, item: Item, quantity: i64) {
        self.shelves[item as usize].on_hand -= quantity;
        self.reservations.insert(order, Reservation { item, quantity, state: State::Held });
    }

    fn confirm(&mut self, order: OrderId) {
        if let Some(reservation) = self.reservations.get_mut(&order) {
            reservation.state = State::Sold;
        }
    }

    fn release(&mut self, order: OrderId) {
        let never = Reservation { item: 0, quantity: 0, state: State::Released };
        let reservation = self.reservations.entry(order).or_insert(never);
        if reservation.state == State::Held {
            reservation.state = State::Released;
            self.shelves[reservation.item as usize].on_hand += reservation.quantity;
        }
    }
}

/// Prices are asked for anew when they are older than this.
const PRICES_LAST: Duration = Duration::from_secs(2);

/// One process of the catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    stock: Store<Stock>,
    bug: Option<Bug>,
    priced: Rc<Cell<Option<Instant>>>,
}

impl Catalog {
    /// A process on this store.
    pub fn new(stock: Store<Stock>, bug: Option<Bug>) -> Self {
        Catalog { stock, bug, priced: Rc::default() }
    }

    /// Serves requests until the process ends. Each may come again, and late.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn serve(self) -> io::Result<()> {
        let (confirmed, released) = (self.stock.clone(), self.stock.clone());
        Server::new()
            .on_timely(move |request| {
                let catalog = self.clone();
                async move { catalog.reserve(request).await }
            })
            .on_timely(move |Confirm(order)| {
                confirmed.write(|stock| stock.confirm(order));
                ready(())
            })
            .on_timely(move |Release(order)| {
                released.write(|stock| stock.release(order));
                ready(())
            })
            .serve("0.0.0.0:80")
            .await
    }

    async fn reserve(&self, Reserve { order, item, quantity }: Reserve) -> Result<Cents, Refused> {
        let quantity = i64::from(quantity);
        let enough_before = self.stock.read(|stock| stock.has(item, quantity));
        let price = self.price(item).await.ok_or(Refused)?;
        self.stock.write(|stock| {
            match stock.reservations.get(&order).map(|reservation| reservation.state) {
                Some(State::Released) => return Err(Refused),
                Some(State::Held | State::Sold) => return Ok(price * quantity),
                None => {}
            }
            // The price nearly always comes at once. When it does not, somebody else may have taken the last piece.
            let enough = match self.bug {
                Some(Bug::Oversell) => enough_before,
                _ => stock.has(item, quantity),
            };
            if !enough {
                return Err(Refused);
            }
            stock.take(order, item, quantity);
            Ok(price * quantity)
        })
    }

    /// What an item costs: from memory, except when the list has become too old.
    async fn price(&self, item: Item) -> Option<Cents> {
        if self.priced.get().is_none_or(|at| at.elapsed() > PRICES_LAST) {
            sleep(Duration::from_millis(rand::range(10..60))).await;
            self.priced.set(Some(Instant::now()));
        }
        self.stock.read(|stock| stock.shelves.get(item as usize).map(|shelf| shelf.price))
    }
}
