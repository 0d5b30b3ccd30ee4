//! Who waits for something to happen to a process.

use crate::slab::{Key, Slab};
use std::task::Waker;

/// Wakers, each with a place of its own, so that whoever stops waiting takes his away: what waits is bounded by what is
/// alive.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Slab<Waker>);

impl Waiters {
    pub(crate) const fn new() -> Self {
        Waiters(Slab::new())
    }

    /// Has `waker` wait at `place`, in whose stead another may have waited; that one is given back for dropping.
    pub(crate) fn wait(&mut self, place: &mut Option<Key>, waker: &Waker) -> Option<Waker> {
        match place.and_then(|key| self.0.get_mut(key)) {
            Some(waiting) if waiting.will_wake(waker) => None,
            Some(waiting) => Some(std::mem::replace(waiting, waker.clone())),
            None => {
                *place = Some(self.0.insert(waker.clone()));
                None
            }
        }
    }

    /// Nobody waits at `place` any more; the waker is given back for dropping.
    pub(crate) fn leave(&mut self, place: Option<Key>) -> Option<Waker> {
        self.0.remove(place?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes all of them, to be woken or dropped.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        let keys = self.0.keys();
        keys.into_iter().filter_map(|key| self.0.remove(key)).collect()
    }
}
