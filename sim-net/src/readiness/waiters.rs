//! Who waits for a socket: any number of tasks, the first inline since most sockets have one.

use std::task::{Context, Waker};

/// The identity of one wait, kept by the future that waits: 0 while it does not.
///
/// Dropping a future that waits takes its waker out again, so that a socket on which tasks wait in vain (a timeout
/// around each read) does not collect their wakers.
pub(crate) type WaitId = u32;

/// The place shared by all `poll_…` functions of a direction: as in tokio, only the last caller is woken.
pub(crate) const POLLED: WaitId = u32::MAX;

/// The wakers of the tasks that wait for one kind of readiness.
///
/// This is the one place that runs foreign code while the network and the kernel are borrowed: `wait` clones the
/// caller's waker. Those of tasks are numbers, and those built on `Arc` (`std::task::Wake`, the combinators of
/// `futures`) count; only a hand-made `RawWaker` whose clone calls the simulation would find it borrowed, and panic
/// at that call. Cloning before the borrow costs each operation that need not wait 8 % of a small message; borrowing
/// twice costs as much where it has to. Wakes and drops, in which `Arc`s do run foreign code, always come after.
#[derive(Default)]
pub(crate) struct Waiters {
    first: Option<(WaitId, Waker)>,
    /// The last identity given out. A woken future keeps its own, so one is not given twice.
    last: WaitId,
    // The box keeps a stream that one task reads small.
    #[expect(clippy::box_collection, reason = "a word instead of three in each of two lists of each stream")]
    rest: Option<Box<Vec<(WaitId, Waker)>>>,
}

impl Waiters {
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.as_ref().is_none_or(|r| r.is_empty())
    }

    /// Waits under `id`, which gets a value if it has none. A replaced waker goes to `dropped`: nothing foreign may
    /// run while the network is borrowed.
    #[inline]
    pub fn wait(&mut self, id: &mut WaitId, cx: &Context<'_>, dropped: &mut Vec<Waker>) {
        if *id == 0 {
            self.last = if self.last >= POLLED - 1 { 1 } else { self.last + 1 };
            *id = self.last;
        }
        if self.first.is_none() && self.rest.is_none() {
            self.first = Some((*id, cx.waker().clone()));
            return;
        }
        self.wait_behind(*id, cx, dropped);
    }

    fn wait_behind(&mut self, id: WaitId, cx: &Context<'_>, dropped: &mut Vec<Waker>) {
        let rest = self.rest.get_or_insert_default();
        if let Some((_, waker)) = self.first.iter_mut().chain(rest.iter_mut()).find(|w| w.0 == id) {
            if !waker.will_wake(cx.waker()) {
                dropped.push(std::mem::replace(waker, cx.waker().clone()));
            }
        } else if self.first.is_none() {
            self.first = Some((id, cx.waker().clone()));
        } else {
            rest.push((id, cx.waker().clone()));
        }
    }

    /// The wait `id` is over before it was served.
    #[inline]
    pub fn leave(&mut self, id: WaitId, dropped: &mut Vec<Waker>) {
        // Who was woken is in no list any more.
        if self.first.is_some() || self.rest.is_some() {
            self.take_out(id, dropped);
        }
    }

    fn take_out(&mut self, id: WaitId, dropped: &mut Vec<Waker>) {
        if self.first.as_ref().is_some_and(|w| w.0 == id) {
            dropped.extend(self.first.take().map(|w| w.1));
        } else if let Some(rest) = &mut self.rest
            && let Some(at) = rest.iter().position(|w| w.0 == id)
        {
            dropped.push(rest.remove(at).1);
        }
    }

    /// Moves everybody who waits to `out`.
    #[inline]
    pub fn take(&mut self, out: &mut Vec<Waker>) {
        if let Some((_, waker)) = self.first.take() {
            out.push(waker);
        }
        if let Some(rest) = &mut self.rest {
            out.extend(rest.drain(..).map(|w| w.1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn everybody_who_waits_is_taken_once() {
        let (mut w, mut out) = (Waiters::default(), Vec::new());
        for _ in 0..5 {
            w.wait(&mut 0, &cx(), &mut out);
        }
        assert!(out.is_empty() && !w.is_empty());
        w.take(&mut out);
        assert_eq!(out.len(), 5);
        w.take(&mut out);
        assert!(out.len() == 5 && w.is_empty());
    }

    #[test]
    fn waiting_again_and_leaving_keep_one_entry_each() {
        let (mut w, mut out) = (Waiters::default(), Vec::new());
        let mut ids = [0; 3];
        for _ in 0..10 {
            ids.iter_mut().for_each(|id| w.wait(id, &cx(), &mut out));
        }
        assert_eq!(ids, [1, 2, 3]);
        // Wakers that were replaced by their like.
        out.clear();
        w.leave(ids[1], &mut out);
        assert_eq!(out.len(), 1);
        w.take(&mut out);
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn a_woken_future_does_not_take_the_place_of_another() {
        let (mut w, mut out) = (Waiters::default(), Vec::new());
        let (mut a, mut b) = (0, 0);
        w.wait(&mut a, &cx(), &mut out);
        w.take(&mut out);
        w.wait(&mut b, &cx(), &mut out);
        w.wait(&mut a, &cx(), &mut out);
        out.clear();
        w.take(&mut out);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn waits_in_vain_leave_nothing_behind() {
        let (mut w, mut out) = (Waiters::default(), Vec::new());
        w.wait(&mut 0, &cx(), &mut out);
        for _ in 0..1000 {
            let mut id = 0;
            w.wait(&mut id, &cx(), &mut out);
            w.leave(id, &mut out);
        }
        assert!(w.rest.as_ref().is_some_and(|r| r.is_empty() && r.capacity() < 10));
        assert!(!w.is_empty());
    }
}
