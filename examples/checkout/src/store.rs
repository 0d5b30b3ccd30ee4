//! What oracles look at: memory that is made outside of the programs and outlives them. The bank, which is not ours and
//! never down, has its books here; of the services it is a copy of what they have on their disks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State that survives the process. Clones are the same store.
pub struct Store<T>(Arc<Mutex<Inner<T>>>);

struct Inner<T> {
    value: T,
    watch: Option<Watch<T>>,
}

type Watch<T> = Box<dyn Fn(&T) + Send>;

impl<T> Store<T> {
    /// A store that holds `value`.
    pub fn new(value: T) -> Self {
        Store(Arc::new(Mutex::new(Inner { value, watch: None })))
    }

    /// Looks at the state.
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.lock().value)
    }

    /// Changes the state, all at once: a kill comes before or after it.
    pub fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut inner = self.lock();
        let result = f(&mut inner.value);
        if let Some(watch) = &inner.watch {
            watch(&inner.value);
        }
        result
    }

    /// Has `watch` look at the state after every change: for invariants, of which the services know nothing.
    pub fn watch(&self, watch: impl Fn(&T) + Send + 'static) {
        self.lock().watch = Some(Box::new(watch));
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Store<T> {
    fn default() -> Self {
        Store::new(T::default())
    }
}

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Store(self.0.clone())
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lock().value.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_store_and_every_change_is_watched() {
        let (store, (log, seen)) = (Store::new(1), std::sync::mpsc::channel());
        store.watch(move |value| log.send(*value).unwrap());
        store.clone().write(|value| *value += 1);
        store.write(|value| *value *= 10);
        assert_eq!(store.read(|value| *value), 20);
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [2, 20]);
    }
}
