//! Shoppers: they place orders, sometimes change their minds, and sometimes ask how an order is.

use crate::deadline::call;
use crate::invariants;
use crate::protocol::{Cancel, Customer, Item, OrderId, Place, Query, Status};
use crate::shop::{ITEMS, ON_SALE};
use proptest::prelude::{Just, Strategy, prop_oneof};
use sim::net::rpc::{Client, Request};
use sim::time::{Duration, Instant, sleep};
use sim::{Node, Op, OpExt, Ops, Sim, rand, spawn};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// How many shoppers there are, and how many operations each has at most: in half of the runs all of them.
pub const SHOPPERS: u32 = 4;
const OPERATIONS: u64 = 17;
const APART: Duration = Duration::from_millis(940);

/// What shoppers were told last, by order: what they were promised must be kept.
pub type Told = Rc<RefCell<BTreeMap<OrderId, Status>>>;

/// What shoppers do, and how often in proportion.
const KINDS: [(u32, Kind); 4] =
    [(56, Kind::Order), (12, Kind::OrderAndRegret), (12, Kind::OrderAndAsk), (20, Kind::Ask)];

/// What customers have to say besides, some more of it and some less: enough for a record that lies in
/// several sectors of a disk, and may be torn.
fn wishes(OrderId { customer, number }: OrderId) -> Arc<str> {
    const ALL: &str = "\
        Please wrap it in brown paper, since it is a present, and tie it with a ribbon that is not red. Put in the card \
        that I wrote to you about, and no bill: that goes to me. Deliver it in the afternoon, but not on Wednesday, when \
        nobody is at home before six; the bell is out of order, so knock, and mind the step. If nobody opens, leave it \
        with the neighbours on the ground floor, who know about it, or behind the green bin, but not in the rain. Should \
        one of the pieces have a scratch, send the others all the same, and the missing one when you have another.";
    let all = ALL.repeat(2);
    all[..ALL.len() + (number as usize * 7 + customer as usize * 3) % 40 * ALL.len() / 40].into()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Places an order.
    Order,
    /// Places an order, wants it no more, and places another instead.
    OrderAndRegret,
    /// Places an order, and asks how it is.
    OrderAndAsk,
    /// Asks how an earlier order is.
    Ask,
}

/// What is ordered: half of the time what is on sale.
fn item() -> impl Strategy<Value = Item> {
    prop_oneof![Just(ON_SALE), 0..ITEMS as Item]
}

/// How long a shopper tries to be heard, waits for an answer, and needs to regret an order.
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPT: Duration = Duration::from_millis(400);
const REGRET: Duration = Duration::from_millis(40);
/// What the number of an order that is placed instead of another is more than that one's.
const INSTEAD: u32 = 1_000;

/// One customer at one machine.
#[derive(Clone, Debug)]
pub struct Shopper {
    customer: Customer,
    order: Client,
    told: Told,
    sim: Sim,
}

impl Shopper {
    /// A customer, who notes down what the shop tells.
    pub fn new(customer: Customer, told: Told) -> Self {
        Shopper { customer, order: Client::new("order:80"), told, sim: Sim::current() }
    }

    /// Does what this run has for the shopper to do, and returns when the last operation has begun.
    pub async fn shop(self, mut ops: Ops) {
        while let Some(op) = ops.next().await {
            let shopper = self.clone();
            spawn(async move {
                match shopper.does(&op).await {
                    Some(_) => op.succeeded(),
                    None => op.failed("no answer, or no such order"),
                }
            });
        }
    }

    /// The operations of a shopper on this machine.
    pub fn operations(node: Node) -> Ops {
        node.ops(OPERATIONS).every(APART)
    }

    /// One operation; the number of an order is that of the operation that places it.
    async fn does(&self, op: &Op) -> Option<Status> {
        let (kind, number) = (op.choose(&KINDS), op.index() as u32);
        if kind == Kind::Ask {
            let back = op.pick(1..=3u32);
            return self.query(number.saturating_sub(back), PATIENCE).await;
        }
        let (item, quantity) = (op.draw(item()), op.pick(1..=3u32));
        let placed = self.place(number, item, quantity, PATIENCE).await;
        match kind {
            Kind::OrderAndRegret => {
                sleep(op.pick(Duration::ZERO..REGRET)).await;
                let instead = self.clone();
                let instead = spawn(async move { instead.place(number + INSTEAD, item, 1, PATIENCE).await });
                let cancelled = self.cancel(number, PATIENCE).await;
                instead.await.ok().flatten().and(cancelled)
            }
            Kind::OrderAndAsk => self.query(number, PATIENCE).await,
            Kind::Order | Kind::Ask => placed,
        }
    }

    /// Places an order; what the shop says to it, if it says anything in time.
    pub async fn place(&self, number: u32, item: u32, quantity: u32, within: Duration) -> Option<Status> {
        let order = self.id(number);
        self.ask(order, Place { order, item, quantity, wishes: wishes(order) }, within, Some).await
    }

    /// Asks how an order is.
    pub async fn query(&self, number: u32, within: Duration) -> Option<Status> {
        self.ask(self.id(number), Query(self.id(number)), within, |status| status).await
    }

    /// Gives up an order, if it is not too late.
    pub async fn cancel(&self, number: u32, within: Duration) -> Option<Status> {
        self.ask(self.id(number), Cancel(self.id(number)), within, |status| status).await
    }

    fn id(&self, number: u32) -> OrderId {
        OrderId { customer: self.customer, number }
    }

    async fn ask<Q: Request + Clone>(
        &self,
        order: OrderId,
        request: Q,
        within: Duration,
        status: impl Fn(Q::Reply) -> Option<Status>,
    ) -> Option<Status> {
        let deadline = Instant::now() + within;
        loop {
            let known = self.told.borrow().get(&order).copied();
            if let Ok(reply) = call(&self.order, ATTEMPT, request.clone()).await {
                let status = status(reply);
                invariants::check_answer(self.sim, order, known, status);
                self.told.borrow_mut().extend(status.map(|status| (order, status)));
                return status;
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(Duration::from_millis(rand::range(200..500))).await;
        }
    }
}
