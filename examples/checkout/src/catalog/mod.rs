//! The catalog: what is on the shelves, what it costs, and what is put aside for orders. It keeps its books in redb.

pub mod backend;
mod books;

pub use books::{Delivery, Reservation, Seen, Shelf, State, Stock};

use crate::Bug;
use crate::deadline::Heed;
use crate::protocol::{Cents, Confirm, OrderId, Refused, Release, Reserve};
use books::Books;
use futures::future::{Either, select};
use sim::net::rpc::Server;
use sim::time::{Duration, Instant, sleep};
use sim::{rand, reachable, yield_now};
use std::cell::Cell;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Prices are asked for anew when they are older than this.
const PRICES_LAST: Duration = Duration::from_secs(2);

/// One process of the catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    books: Rc<Books>,
    bug: Option<Bug>,
    priced: Rc<Cell<Option<Instant>>>,
    /// Hears why the database has failed.
    failed: UnboundedSender<redb::Error>,
}

impl Catalog {
    /// Runs a process, until it ends or its database fails. The first one puts the delivery on the shelves.
    ///
    /// # Errors
    /// What the database and the disk say, or if the port is taken.
    pub async fn run(delivery: Delivery, seen: Seen, bug: Option<Bug>) -> io::Result<()> {
        let books = Rc::new(Books::open("/stock.redb", delivery, seen).map_err(io::Error::other)?);
        let (failed, mut failure) = unbounded_channel();
        let catalog = Catalog { books, bug, priced: Rc::default(), failed };
        match select(pin!(catalog.serve()), pin!(failure.recv())).await {
            Either::Left((ended, _)) => ended,
            Either::Right((failure, _)) => Err(failure.map_or(io::ErrorKind::Other.into(), io::Error::other)),
        }
    }

    /// Serves requests until the process ends. Each may come again, and late.
    async fn serve(self) -> io::Result<()> {
        let (confirms, releases, reserves) = (self.clone(), self.clone(), self);
        Server::new()
            .on_timely(move |request| {
                let catalog = reserves.clone();
                async move { catalog.answer(catalog.reserve(request).await).await }
            })
            .on_timely(move |Confirm(order)| {
                let catalog = confirms.clone();
                async move { catalog.answer(catalog.confirm(order)).await }
            })
            .on_timely(move |Release(order)| {
                let catalog = releases.clone();
                async move { catalog.answer(catalog.release(order)).await }
            })
            .serve("0.0.0.0:80")
            .await
    }

    /// What has been committed, when the time is over that the disk took for it. A database that has failed takes no more
    /// commits: the process ends, and nobody gets an answer.
    async fn answer<T>(&self, done: Result<T, redb::Error>) -> T {
        yield_now().await;
        match done {
            Ok(answer) => answer,
            Err(error) => {
                // Somebody else may have said so already.
                let _ = self.failed.send(error);
                pending().await
            }
        }
    }

    async fn reserve(
        &self,
        Reserve { order, item, quantity }: Reserve,
    ) -> Result<Result<Cents, Refused>, redb::Error> {
        let quantity = i64::from(quantity);
        let before = match self.bug {
            Some(Bug::Oversell) => self.books.shelf(item)?,
            _ => None,
        };
        self.look_up_prices().await;
        let Some(shelf) = self.books.shelf(item)? else { return Ok(Err(Refused)) };
        let price = shelf.price * quantity;
        match self.books.reservation(order)?.map(|reservation| reservation.state) {
            Some(State::Released) => return Ok(Err(Refused)),
            Some(State::Held | State::Sold) => {
                reachable!("a reservation comes again");
                return Ok(Ok(price));
            }
            None => {}
        }
        // The price nearly always comes at once. When it does not, somebody else may have taken the last piece.
        if before.unwrap_or(shelf).on_hand < quantity {
            return Ok(Err(Refused));
        }
        let left = Shelf { on_hand: shelf.on_hand - quantity, ..shelf };
        self.books.commit(order, Reservation { item, quantity, state: State::Held }, Some(left))?;
        Ok(Ok(price))
    }

    fn confirm(&self, order: OrderId) -> Result<(), redb::Error> {
        match self.books.reservation(order)? {
            Some(held) if held.state == State::Held => {
                self.books.commit(order, Reservation { state: State::Sold, ..held }, None)
            }
            _ => Ok(()),
        }
    }

    fn release(&self, order: OrderId) -> Result<(), redb::Error> {
        let never = Reservation { item: 0, quantity: 0, state: State::Released };
        match self.books.reservation(order)? {
            Some(held) if held.state == State::Held => {
                let shelf = self.books.shelf(held.item)?;
                let back = shelf.map(|shelf| Shelf { on_hand: shelf.on_hand + held.quantity, ..shelf });
                self.books.commit(order, Reservation { state: State::Released, ..held }, back)
            }
            Some(_) => Ok(()),
            None => self.books.commit(order, never, None),
        }
    }

    /// Makes sure that the list of prices is not too old.
    async fn look_up_prices(&self) {
        if self.priced.get().is_none_or(|at| at.elapsed() > PRICES_LAST) {
            sleep(Duration::from_millis(rand::range(10..60))).await;
            self.priced.set(Some(Instant::now()));
        }
    }
}
