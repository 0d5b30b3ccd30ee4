//! Who waits for a socket: any number of tasks, the first inline since most sockets have one.

use sim_core::kernel::Kernel;
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

    /// Waits under `id`, which gets a value if it has none. A replaced waker is for the caller to drop when the network is
    /// no longer borrowed.
    #[inline]
    pub fn wait(&mut self, id: &mut WaitId, cx: &Context<'_>) -> Option<Waker> {
        if *id == 0 {
            self.last = if self.last >= POLLED - 1 { 1 } else { self.last + 1 };
            *id = self.last;
        }
        if self.first.is_none() && self.rest.is_none() {
            self.first = Some((*id, cx.waker().clone()));
            return None;
        }
        self.wait_behind(*id, cx)
    }

    fn wait_behind(&mut self, id: WaitId, cx: &Context<'_>) -> Option<Waker> {
        let rest = self.rest.get_or_insert_default();
        if let Some((_, waker)) = self.first.iter_mut().chain(rest.iter_mut()).find(|w| w.0 == id) {
            if !waker.will_wake(cx.waker()) {
                return Some(std::mem::replace(waker, cx.waker().clone()));
            }
        } else if self.first.is_none() {
            self.first = Some((id, cx.waker().clone()));
        } else {
            rest.push((id, cx.waker().clone()));
        }
        None
    }

    /// The wait `id` is over before it was served. Its waker is for the caller to drop when the network is no longer
    /// borrowed.
    #[inline]
    pub fn leave(&mut self, id: WaitId) -> Option<Waker> {
        // Who was woken is in no list any more.
        if self.first.is_none() && self.rest.is_none() {
            return None;
        }
        self.take_out(id)
    }

    fn take_out(&mut self, id: WaitId) -> Option<Waker> {
        if self.first.as_ref().is_some_and(|w| w.0 == id) {
            return self.first.take().map(|w| w.1);
        }
        let rest = self.rest.as_mut()?;
        let at = rest.iter().position(|w| w.0 == id)?;
        Some(rest.remove(at).1)
    }

    /// Wakes everybody who waits: tasks of this world at once, whose wakers are numbers; the wakers of others run foreign
    /// code and go to `out`.
    #[inline]
    pub fn wake(&mut self, k: &mut Kernel, out: &mut Vec<Waker>) {
        if let Some((_, waker)) = self.first.take() {
            out.extend(k.wake_task(waker).err());
        }
        if let Some(rest) = &mut self.rest {
            out.extend(rest.drain(..).filter_map(|(_, waker)| k.wake_task(waker).err()));
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
            out.extend(w.wait(&mut 0, &cx()));
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
            ids.iter_mut().for_each(|id| out.extend(w.wait(id, &cx())));
        }
        assert_eq!(ids, [1, 2, 3]);
        // Wakers that were replaced by their like.
        out.clear();
        out.extend(w.leave(ids[1]));
        assert_eq!(out.len(), 1);
        w.take(&mut out);
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn a_woken_future_does_not_take_the_place_of_another() {
        let (mut w, mut out) = (Waiters::default(), Vec::new());
        let (mut a, mut b) = (0, 0);
        out.extend(w.wait(&mut a, &cx()));
        w.take(&mut out);
        out.extend(w.wait(&mut b, &cx()));
        out.extend(w.wait(&mut a, &cx()));
        out.clear();
        w.take(&mut out);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn waits_in_vain_leave_nothing_behind() {
        let mut w = Waiters::default();
        w.wait(&mut 0, &cx());
        for _ in 0..1000 {
            let mut id = 0;
            w.wait(&mut id, &cx());
            assert!(w.leave(id).is_some());
        }
        assert!(w.rest.as_ref().is_some_and(|r| r.is_empty() && r.capacity() < 10));
        assert!(!w.is_empty());
    }
}
