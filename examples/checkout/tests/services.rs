//! What the services promise each other, one by one: repeated, late, and after a kill.

use checkout::catalog::State;
use checkout::deadline::{Ask, call};
use checkout::gateway::Mood;
use checkout::invariants;
use checkout::order::Step;
use checkout::payment::PaymentClient;
use checkout::protocol::{Busy, Charge, Charged, OrderId, Query, Refund, Refused, Release, Reserve, Status};
use checkout::shop::{Shop, VOUCHER};
use checkout::shopper::Shopper;
use sim::net::rpc::{Client, Request};
use sim::prelude::*;
use sim::time::sleep;

const ORDER: OrderId = OrderId { customer: 0, number: 7 };
const LONG: Duration = Duration::from_secs(5);

/// A shop in which nothing is wrong, once its services have started.
async fn shop(sim: Sim) -> Shop {
    let shop = Shop::open(sim, None);
    invariants::watch(sim, &shop);
    sleep(Duration::from_millis(1)).await;
    shop
}

/// Asks a service as somebody from outside.
async fn ask<Q: Request>(service: &str, request: Q) -> Q::Reply {
    call(&Client::new(format!("{service}:80")), LONG, request).await.expect("nothing is wrong")
}

/// Asks the payment service as somebody from outside.
async fn ask_payment<Q>(request: Q) -> <PaymentClient as Ask<Q>>::Reply
where
    PaymentClient: Ask<Q>,
{
    PaymentClient::new("payment:80").ask(LONG, request).await.expect("nothing is wrong")
}

#[sim_test]
async fn a_reservation_that_comes_twice_is_one(sim: Sim) {
    let shop = shop(sim).await;
    let reserve = Reserve { order: ORDER, item: 0, quantity: 3 };
    let price = ask("catalog", reserve).await.unwrap();
    assert_eq!(ask("catalog", reserve).await, Ok(price));
    let (on_hand, delivered) =
        shop.catalog.stock.read(|stock| (stock.shelves[&0].on_hand, stock.shelves[&0].delivered));
    assert_eq!(on_hand, delivered - 3);
}

#[sim_test]
async fn a_reservation_that_comes_after_its_release_is_refused(sim: Sim) {
    let shop = shop(sim).await;
    ask("catalog", Release(ORDER)).await;
    assert_eq!(ask("catalog", Reserve { order: ORDER, item: 0, quantity: 3 }).await, Err(Refused));
    assert_eq!(shop.catalog.stock.read(|stock| stock.reservations[&ORDER].state), State::Released);
}

#[sim_test]
async fn a_charge_whose_answer_was_lost_is_not_made_again(sim: Sim) {
    let shop = shop(sim).await;
    let charge = Charge { order: ORDER, amount: 500 };
    shop.gateway.set_mood(Mood::Silent);
    assert_eq!(ask_payment(charge).await, Err(Busy));
    shop.gateway.set_mood(Mood::Well);
    assert_eq!(ask_payment(charge).await, Ok(Charged::Paid));
    assert_eq!(ask_payment(charge).await, Ok(Charged::Paid));
    assert_eq!(shop.bank.read(|bank| (bank.statement[&ORDER].charges, bank.shop)), (1, 500));
}

#[sim_test]
async fn a_charge_during_which_the_process_dies_is_not_made_again(sim: Sim) {
    let shop = shop(sim).await;
    shop.gateway.set_mood(Mood::Silent);
    let charge = Charge { order: ORDER, amount: 500 };
    let cut_off = spawn(async move { PaymentClient::new("payment:80").ask(LONG, charge).await.is_err() });
    sleep(Duration::from_millis(100)).await;
    sim.node("payment").restart();
    assert!(cut_off.await.unwrap(), "the connection breaks");
    shop.gateway.set_mood(Mood::Well);
    assert_eq!(ask_payment(charge).await, Ok(Charged::Paid));
    assert_eq!(shop.bank.read(|bank| bank.statement[&ORDER].charges), 1);
}

#[sim_test]
async fn what_was_charged_is_refunded_once_and_never_charged_again(sim: Sim) {
    let shop = shop(sim).await;
    let charge = Charge { order: ORDER, amount: 500 };
    assert_eq!(ask_payment(charge).await, Ok(Charged::Paid));
    assert_eq!(ask_payment(Refund(ORDER)).await, Ok(()));
    assert_eq!(ask_payment(Refund(ORDER)).await, Ok(()));
    assert_eq!(ask_payment(charge).await, Ok(Charged::Declined));
    assert_eq!(shop.bank.read(|bank| (bank.statement[&ORDER].charges, bank.shop)), (1, 0));
}

#[sim_test]
async fn an_order_goes_on_where_the_killed_process_left_it(sim: Sim) {
    let shop = shop(sim).await;
    let cut = sim.partition("order", "payment");
    let shopper = Shopper::new(ORDER.customer, shop.told.clone());
    let placed =
        sim.node("shopper").spawn(async move { shopper.place(ORDER.number, VOUCHER, 2, LONG).await });
    assert_eq!(placed.await.unwrap(), Some(Status::Accepted));
    sleep(Duration::from_millis(300)).await;
    assert!(matches!(shop.orders.entries.read(|orders| orders[&ORDER].step), Step::Charge(_)));
    sim.node("order").restart();
    drop(cut);
    // A lease of the killed process may be good for a term yet; then the customer is told.
    sleep(2 * LONG).await;
    assert!(invariants::settled(&shop));
    assert_eq!(ask("order", Query(ORDER)).await, Some(Status::Paid));
    assert_eq!(shop.sent.entries.read(|sent| sent[&ORDER].status), Status::Paid);
    invariants::check_ends(sim, &shop);
}

#[sim_test]
async fn an_order_that_cannot_be_charged_is_compensated(sim: Sim) {
    let shop = shop(sim).await;
    let _cut = sim.partition("order", "payment");
    let shopper = Shopper::new(ORDER.customer, shop.told.clone());
    let placed =
        sim.node("shopper").spawn(async move { shopper.place(ORDER.number, VOUCHER, 2, LONG).await });
    assert_eq!(placed.await.unwrap(), Some(Status::Accepted));
    sleep(2 * LONG).await;
    assert_eq!(
        shop.orders.entries.read(|orders| orders[&ORDER].step),
        Step::Compensate,
        "as long as payment is away"
    );
    sim.heal();
    sleep(4 * LONG).await;
    assert_eq!(ask("order", Query(ORDER)).await, Some(Status::Compensated));
    invariants::check_ends(sim, &shop);
}
