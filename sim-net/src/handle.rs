//! Handles of sockets as plain data, and the one future that waits on them.

use crate::network::{Net, op_on_drop, with_net_there};
use crate::readiness::{WaitId, Waiters};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use sim_core::world::{self, WorldId};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A socket of a world. Plain data, so that every type built on it is `Send` and `Sync`; in another world it panics by
/// name, and dropped there it does nothing.
#[derive(Debug)]
pub(crate) struct Handle {
    world: WorldId,
    key: Key,
}

impl Handle {
    pub fn new(k: &Kernel, key: Key) -> Self {
        Handle { world: k.world(), key }
    }

    #[inline]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Runs an operation on the socket.
    ///
    /// # Panics
    /// Outside of the simulation that the handle belongs to.
    #[inline]
    #[track_caller]
    pub fn op<R>(&self, f: impl FnOnce(&mut Net, &mut Kernel, Key) -> R) -> R {
        world::with(|world| {
            world.check(self.world, "socket");
            with_net_there(world, |net, k| f(net, k, self.key))
        })
    }

    /// Runs what a destructor does; nothing where the handle's world does not run.
    pub fn on_drop(&self, f: impl FnOnce(&mut Net, &mut Kernel, Key)) {
        op_on_drop(self.world, |net, k| f(net, k, self.key));
    }
}

/// Which list of a socket a future waits in: known when the program is compiled, so that waiting and leaving are a look
/// at one list.
pub(crate) trait Side {
    /// The list, unless the socket is gone.
    fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters>;
}

/// Those who wait for data of a stream.
#[derive(Debug)]
pub(crate) enum Readers {}

impl Side for Readers {
    #[inline]
    fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters> {
        net.streams.get_mut(key).map(|s| &mut s.readers)
    }
}

/// Those who wait for room in a stream, or for its connection.
#[derive(Debug)]
pub(crate) enum Writers {}

impl Side for Writers {
    #[inline]
    fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters> {
        net.streams.get_mut(key).map(|s| &mut s.writers)
    }
}

/// Those who wait for a connection of a listener.
#[derive(Debug)]
pub(crate) enum Acceptors {}

impl Side for Acceptors {
    #[inline]
    fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters> {
        net.listeners.get_mut(key).map(|l| &mut l.acceptors)
    }
}

/// Those who wait for a datagram.
#[derive(Debug)]
pub(crate) enum Receivers {}

impl Side for Receivers {
    #[inline]
    fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters> {
        net.udp.get_mut(key).map(|u| &mut u.readers)
    }
}

/// Tries a non-blocking operation until it does not have to wait.
///
/// Nothing happens but in the poll that returns `Ready`, so dropping the future loses nothing: it is cancel-safe
/// whenever the operation is one step.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct Wait<'a, S: Side, F> {
    handle: &'a Handle,
    id: WaitId,
    operation: F,
    side: PhantomData<fn() -> S>,
}

impl<'a, S: Side, F> Wait<'a, S, F> {
    #[inline]
    pub fn new<T>(handle: &'a Handle, operation: F) -> Self
    where
        F: FnMut(&mut Net, &mut Kernel, Key) -> Poll<T> + Unpin,
    {
        Wait { handle, id: 0, operation, side: PhantomData }
    }
}

impl<T, S, F> Future for Wait<'_, S, F>
where
    S: Side,
    F: FnMut(&mut Net, &mut Kernel, Key) -> Poll<T> + Unpin,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Wait { handle, id, operation, .. } = self.get_mut();
        handle.op(|net, k, key| {
            let result = operation(net, k, key);
            if result.is_pending() {
                net.wait::<S>(key, id, cx);
            } else if *id != 0 {
                net.leave::<S>(key, *id);
                *id = 0;
            }
            result
        })
    }
}

impl<S: Side, F> Drop for Wait<'_, S, F> {
    #[inline]
    fn drop(&mut self) {
        if self.id != 0 {
            let id = self.id;
            self.handle.on_drop(|net, _, key| net.leave::<S>(key, id));
        }
    }
}

impl Net {
    /// Adds whoever polls `cx` to a list. On a socket that is gone nobody waits: its operations do not wait either.
    #[inline]
    pub fn wait<S: Side>(&mut self, key: Key, id: &mut WaitId, cx: &Context<'_>) {
        let replaced = S::waiters(self, key).and_then(|waiters| waiters.wait(id, cx));
        self.out.dropped.extend(replaced);
    }

    #[inline]
    fn leave<S: Side>(&mut self, key: Key, id: WaitId) {
        let left = S::waiters(self, key).and_then(|waiters| waiters.leave(id));
        self.out.dropped.extend(left);
    }
}
