//! Turns at the bank: it moves a customer's money for one order at a time.

use crate::Bug;
use crate::protocol::Customer;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Who has a turn and who waits for one, by customer.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    lines: Rc<RefCell<BTreeMap<Customer, Line>>>,
    bug: Option<Bug>,
}

#[derive(Debug, Default)]
struct Line {
    taken: bool,
    /// Who is called next, by ticket.
    waiting: VecDeque<(u64, Waker)>,
    tickets: u64,
}

impl Line {
    fn call_next(&mut self) {
        if let Some((_, next)) = self.waiting.pop_front() {
            next.wake();
        }
    }
}

impl Turns {
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Turns { lines: Rc::default(), bug }
    }

    /// Waits for a turn with the customer's money.
    pub(super) fn take(&self, customer: Customer) -> Take {
        Take { turns: self.clone(), customer, ticket: None, done: false }
    }

    fn line<R>(&self, customer: Customer, f: impl FnOnce(&mut Line) -> R) -> R {
        f(self.lines.borrow_mut().entry(customer).or_default())
    }
}

/// The wait for a turn.
#[derive(Debug)]
pub(super) struct Take {
    turns: Turns,
    customer: Customer,
    ticket: Option<u64>,
    done: bool,
}

impl Future for Take {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let (turns, customer, ticket) = (self.turns.clone(), self.customer, self.ticket);
        let waits = turns.line(customer, |line| {
            if !line.taken {
                line.taken = true;
                line.waiting.retain(|(waiting, _)| Some(*waiting) != ticket);
                return None;
            }
            match ticket {
                // "Who has a ticket is in the line." But it was called, and somebody else was quicker.
                Some(ticket) if turns.bug == Some(Bug::LostWakeup) => Some(ticket),
                Some(ticket) => {
                    match line.waiting.iter_mut().find(|(waiting, _)| *waiting == ticket) {
                        Some((_, waker)) => waker.clone_from(cx.waker()),
                        None => line.waiting.push_front((ticket, cx.waker().clone())),
                    }
                    Some(ticket)
                }
                None => {
                    line.tickets += 1;
                    line.waiting.push_back((line.tickets, cx.waker().clone()));
                    Some(line.tickets)
                }
            }
        });
        self.ticket = waits;
        self.done = waits.is_none();
        if self.done { Poll::Ready(Turn { turns, customer }) } else { Poll::Pending }
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.turns.line(self.customer, |line| {
            let before = line.waiting.len();
            line.waiting.retain(|(waiting, _)| Some(*waiting) != self.ticket);
            // It was called and does not come: the next one's turn.
            if self.ticket.is_some() && line.waiting.len() == before && !line.taken {
                line.call_next();
            }
        });
    }
}

/// The right to have a customer's money moved; dropped, the next one's.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    customer: Customer,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.line(self.customer, |line| {
            line.taken = false;
            line.call_next();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::time::{Duration, timeout};
    use sim::{Schedule, spawn, yield_now};

    /// Whether whoever waits gets a turn, when the one before takes another turn as soon as the scheduler lets it.
    fn everybody_gets_a_turn(bug: Option<Bug>, seed: u64, schedule: Schedule) -> bool {
        let outcome = sim::run(sim::Config::seed(seed).schedule(schedule), move |_| async move {
            let turns = Turns::new(bug);
            let first = turns.take(7).await;
            let waits = {
                let turns = turns.clone();
                spawn(async move { drop(turns.take(7).await) })
            };
            yield_now().await;
            drop(first);
            yield_now().await;
            let again = turns.take(7).await;
            yield_now().await;
            drop(again);
            timeout(Duration::from_secs(1), waits).await.is_ok()
        });
        outcome.result.unwrap()
    }

    #[test]
    fn a_turn_comes_to_whoever_waits() {
        for schedule in [Schedule::Fifo, Schedule::Random, Schedule::Portfolio] {
            assert!((0..200).all(|seed| everybody_gets_a_turn(None, seed, schedule)), "{schedule}");
        }
    }

    #[test]
    fn the_planted_bug_needs_an_unlikely_order_of_tasks() {
        let bug = Some(Bug::LostWakeup);
        assert!((0..200).all(|seed| everybody_gets_a_turn(bug, seed, Schedule::Fifo)));
        assert!(!(0..200).all(|seed| everybody_gets_a_turn(bug, seed, Schedule::Random)));
    }

    #[test]
    fn who_gives_up_hands_the_call_on() {
        let outcome = sim::run(sim::Config::seed(1).schedule(Schedule::Fifo), |_| async {
            let turns = Turns::new(None);
            let first = turns.take(7).await;
            let mut gives_up = Box::pin(turns.take(7));
            assert!(futures_are_pending(gives_up.as_mut()).await);
            let last = {
                let turns = turns.clone();
                spawn(async move { drop(turns.take(7).await) })
            };
            yield_now().await;
            drop(first);
            drop(gives_up);
            timeout(Duration::from_secs(1), last).await.is_ok()
        });
        assert!(outcome.result.unwrap());
    }

    async fn futures_are_pending(mut future: Pin<&mut Take>) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }
}
