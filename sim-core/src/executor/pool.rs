//! Memory of tasks that ended, for the next of the same type: servers spawn the same few futures over and over, and a
//! thread runs one world after the other. The allocator keeps only a handful of blocks at hand.

use super::task::BoxTask;
use std::any::TypeId;
use std::collections::BTreeMap;

/// How much memory the pool keeps for one type of task, bytes.
const MOST: usize = 1 << 20;
/// How many types it keeps memory for.
const TYPES: usize = 256;

/// Empty tasks by type.
pub(crate) struct Pool {
    shelves: Vec<Shelf>,
    places: BTreeMap<TypeId, usize>,
    /// The shelf that was asked for last: most tasks follow one of their kind.
    last: usize,
}

struct Shelf {
    of: TypeId,
    tasks: Vec<BoxTask>,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Pool { shelves: Vec::new(), places: BTreeMap::new(), last: 0 }
    }

    /// An empty task of the type.
    #[inline]
    pub(super) fn take(&mut self, of: TypeId) -> Option<BoxTask> {
        self.shelf(of)?.tasks.pop()
    }

    /// Keeps a task whose output was taken out.
    #[inline]
    pub(super) fn put(&mut self, mut task: BoxTask) {
        let Some(of) = task.as_mut().emptied() else { return };
        let most = MOST / size_of_val(&*task).max(1);
        let shelf = match self.shelf(of) {
            Some(shelf) => shelf,
            None => match self.add(of) {
                Some(shelf) => shelf,
                None => return,
            },
        };
        if shelf.tasks.len() < most {
            shelf.tasks.push(task);
        }
    }

    #[inline]
    fn shelf(&mut self, of: TypeId) -> Option<&mut Shelf> {
        if self.shelves.get(self.last).is_none_or(|shelf| shelf.of != of) {
            self.last = *self.places.get(&of)?;
        }
        self.shelves.get_mut(self.last)
    }

    #[cold]
    fn add(&mut self, of: TypeId) -> Option<&mut Shelf> {
        if self.shelves.len() == TYPES {
            return None;
        }
        self.places.insert(of, self.shelves.len());
        self.shelves.push(Shelf { of, tasks: Vec::new() });
        self.shelves.last_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::{Task, renewed};
    use super::*;
    use std::task::{Context, Waker};

    fn ended(pool: &mut Pool, size: usize) -> BoxTask {
        let mut task = match size {
            0 => renewed(pool, async { 7u64 }),
            _ => renewed(pool, async move {
                let kept = [size as u8; 1 << 16];
                std::future::ready(()).await;
                kept.iter().map(|&x| u64::from(x)).sum::<u64>()
            }),
        };
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        task
    }

    fn address(task: &BoxTask) -> *const () {
        std::ptr::from_ref::<dyn Task>(&**task).cast()
    }

    #[test]
    fn a_task_takes_the_memory_of_one_of_its_type() {
        let mut pool = Pool::new();
        let (mut small, mut large) = (ended(&mut pool, 0), ended(&mut pool, 1));
        let places = (address(&small), address(&large));
        let output = small.as_mut().output().and_then(|o| o.downcast_mut::<Option<u64>>()?.take());
        assert_eq!(output, Some(7));
        large.as_mut().output().and_then(|o| o.downcast_mut::<Option<u64>>()?.take());
        pool.put(small);
        pool.put(large);
        let (small, large) = (ended(&mut pool, 0), ended(&mut pool, 1));
        assert_eq!((address(&small), address(&large)), places);
    }

    #[test]
    fn a_task_with_an_output_is_not_kept() {
        let mut pool = Pool::new();
        let task = ended(&mut pool, 0);
        pool.put(task);
        assert!(pool.shelves.is_empty());
    }

    #[test]
    fn the_memory_that_is_kept_is_bounded() {
        let mut pool = Pool::new();
        let tasks: Vec<BoxTask> = (0..100).map(|_| ended(&mut pool, 1)).collect();
        for mut task in tasks {
            task.as_mut().output().and_then(|o| o.downcast_mut::<Option<u64>>()?.take());
            pool.put(task);
        }
        assert!((1..=16).contains(&pool.shelves[0].tasks.len()), "{}", pool.shelves[0].tasks.len());
    }
}
