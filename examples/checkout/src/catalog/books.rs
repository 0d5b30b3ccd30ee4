//! The books of the catalog, in the database on its disk: each change is one commit, and durable when it returns.

use super::backend;
use crate::invariants::{NOTHING_INVENTED, NOTHING_LOST};
use crate::protocol::{Cents, Customer, Item, OrderId};
use crate::store::Store;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use sim::Sim;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What comes to the shelves first: of each item how many, and what one costs.
pub type Delivery = &'static [(i64, Cents)];

/// What is in the books.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stock {
    /// The shelf of each item.
    pub shelves: BTreeMap<Item, Shelf>,
    /// What is put aside, sold or put back, by order. Entries stay, so that what is repeated or late is known.
    pub reservations: BTreeMap<OrderId, Reservation>,
}

/// The place of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// What oracles see of the books. It outlives the processes, and no process takes anything from it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What was committed.
    pub stock: Store<Stock>,
    /// The change that is being committed, if it was not heard how that ended: it may be in the books or not.
    underway: Rc<Cell<Option<Change>>>,
}

/// What one commit writes.
#[derive(Clone, Copy, Debug)]
struct Change {
    order: OrderId,
    reservation: Reservation,
    /// The shelf of the item, if there is something else on it.
    shelf: Option<Shelf>,
}

impl Stock {
    fn make(&mut self, Change { order, reservation, shelf }: Change) {
        self.reservations.insert(order, reservation);
        if let Some(shelf) = shelf {
            self.shelves.insert(reservation.item, shelf);
        }
    }
}

impl Seen {
    /// A restart has found this in the books.
    fn recover(&self, found: Stock) {
        let mut expected = self.stock.read(Clone::clone);
        if let Some(change) = self.underway.take()
            && found.reservations.get(&change.order) == Some(&change.reservation)
        {
            expected.make(change);
        }
        // The first process has nothing to find.
        if !expected.shelves.is_empty() && found != expected {
            let missing = expected.reservations.keys().find(|order| !found.reservations.contains_key(order));
            match missing {
                Some(order) => {
                    Sim::current().violated(NOTHING_LOST, format!("of order {order} nothing is known"))
                }
                None => Sim::current().violated(NOTHING_INVENTED, format!("{found:?} is not {expected:?}")),
            }
        }
        self.stock.write(|stock| *stock = found);
    }
}

const SHELVES: TableDefinition<Item, (i64, i64, Cents)> = TableDefinition::new("shelves");
const RESERVATIONS: TableDefinition<(Customer, u32), (Item, i64, u8)> = TableDefinition::new("reservations");

/// The books as one process has them.
#[derive(Debug)]
pub(super) struct Books {
    database: Database,
    seen: Seen,
}

impl Books {
    /// Opens the books in a file. The first time the delivery is entered.
    pub(super) fn open(path: &str, delivery: Delivery, seen: Seen) -> Result<Books, redb::Error> {
        let database = backend::open(path)?;
        let write = database.begin_write()?;
        let is_new = {
            write.open_table(RESERVATIONS)?;
            let mut shelves = write.open_table(SHELVES)?;
            let is_new = shelves.is_empty()?;
            if is_new {
                for (item, &(pieces, price)) in (0..).zip(delivery) {
                    shelves.insert(item, (pieces, pieces, price))?;
                }
            }
            is_new
        };
        if is_new {
            write.commit()?;
        } else {
            write.abort()?;
        }
        let books = Books { database, seen };
        books.seen.recover(books.read()?);
        Ok(books)
    }

    fn read(&self) -> Result<Stock, redb::Error> {
        let read = self.database.begin_read()?;
        let mut stock = Stock::default();
        for entry in read.open_table(SHELVES)?.iter()? {
            let (item, shelf) = entry?;
            stock.shelves.insert(item.value(), shelf_of(shelf.value()));
        }
        for entry in read.open_table(RESERVATIONS)?.iter()? {
            let ((customer, number), reservation) = entry.map(|(key, value)| (key.value(), value.value()))?;
            stock.reservations.insert(OrderId { customer, number }, reservation_of(reservation)?);
        }
        Ok(stock)
    }

    /// The shelf of an item, if there is such an item.
    pub(super) fn shelf(&self, item: Item) -> Result<Option<Shelf>, redb::Error> {
        let shelves = self.database.begin_read()?.open_table(SHELVES)?;
        Ok(shelves.get(item)?.map(|shelf| shelf_of(shelf.value())))
    }

    /// What is known of an order.
    pub(super) fn reservation(&self, order: OrderId) -> Result<Option<Reservation>, redb::Error> {
        let reservations = self.database.begin_read()?.open_table(RESERVATIONS)?;
        let entry = reservations.get((order.customer, order.number))?;
        entry.map(|entry| reservation_of(entry.value())).transpose()
    }

    /// Enters what is known of an order now, and what is left on the shelf of its item.
    pub(super) fn commit(
        &self,
        order: OrderId,
        reservation: Reservation,
        shelf: Option<Shelf>,
    ) -> Result<(), redb::Error> {
        let change = Change { order, reservation, shelf };
        let write = self.database.begin_write()?;
        self.seen.underway.set(Some(change));
        let Reservation { item, quantity, state } = reservation;
        write
            .open_table(RESERVATIONS)?
            .insert((order.customer, order.number), (item, quantity, code_of(state)))?;
        if let Some(Shelf { delivered, on_hand, price }) = shelf {
            write.open_table(SHELVES)?.insert(item, (delivered, on_hand, price))?;
        }
        write.commit()?;
        self.seen.underway.set(None);
        self.seen.stock.write(|stock| stock.make(change));
        Ok(())
    }
}

fn shelf_of((delivered, on_hand, price): (i64, i64, Cents)) -> Shelf {
    Shelf { delivered, on_hand, price }
}

fn reservation_of((item, quantity, code): (Item, i64, u8)) -> Result<Reservation, redb::Error> {
    let states = [State::Held, State::Sold, State::Released];
    match states.into_iter().find(|&state| code_of(state) == code) {
        Some(state) => Ok(Reservation { item, quantity, state }),
        None => Err(redb::Error::Corrupted(format!("there is no state {code} of a reservation"))),
    }
}

fn code_of(state: State) -> u8 {
    match state {
        State::Held => 0,
        State::Sold => 1,
        State::Released => 2,
    }
}
