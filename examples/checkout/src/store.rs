//! Where a service keeps its state.
//!
//! A store belongs to the node and not to the process: it is made outside of the program and handed to every
//! incarnation, so a kill loses what a process had in its memory and nothing that was written here. This is the
//! place where disks will come.

use std::cell::RefCell;
use std::rc::Rc;

/// State that survives the process. Clones are the same store.
pub struct Store<T>(Rc<Inner<T>>);

struct Inner<T> {
    value: RefCell<T>,
    watch: RefCell<Option<Watch<T>>>,
}

type Watch<T> = Box<dyn Fn(&T)>;

impl<T> Store<T> {
    /// A store that holds `value`.
    pub fn new(value: T) -> Self {
        Store(Rc::new(Inner { value: RefCell::new(value), watch: RefCell::new(None) }))
    }

    /// Looks at the state.
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.value.borrow())
    }

    /// Changes the state, all at once: a kill comes before or after it.
    pub fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let result = f(&mut self.0.value.borrow_mut());
        if let Some(watch) = &*self.0.watch.borrow() {
            watch(&self.0.value.borrow());
        }
        result
    }

    /// Has `watch` look at the state after every change: for invariants, of which the services know nothing.
    pub fn watch(&self, watch: impl Fn(&T) + 'static) {
        *self.0.watch.borrow_mut() = Some(Box::new(watch));
    }
}

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Store(self.0.clone())
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.value.borrow().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_store_and_every_change_is_watched() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (store, log) = (Store::new(1), seen.clone());
        store.watch(move |value| log.borrow_mut().push(*value));
        store.clone().write(|value| *value += 1);
        store.write(|value| *value *= 10);
        assert_eq!((store.read(|value| *value), seen.take()), (20, vec![2, 20]));
    }
}
