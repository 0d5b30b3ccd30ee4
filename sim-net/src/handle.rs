//! Handles of sockets as plain data, and the one future that waits on them.

use crate::network::{Net, op_on_drop, with_net};
use crate::readiness::WaitId;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use sim_core::world::{self, WorldId};
use std::future::Future;
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
            with_net(world, |net, k| f(net, k, self.key))
        })
    }

    /// Runs what a destructor does; nothing where the handle's world does not run.
    pub fn on_drop(&self, f: impl FnOnce(&mut Net, &mut Kernel, Key)) {
        op_on_drop(self.world, |net, k| f(net, k, self.key));
    }
}

/// Which list of a socket a future waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
    Accept,
    Datagram,
    Set,
}

/// Tries a non-blocking operation until it does not have to wait.
///
/// Nothing happens but in the poll that returns `Ready`, so dropping the future loses nothing: it is cancel-safe
/// whenever the operation is one step.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct Wait<'a, F> {
    handle: &'a Handle,
    side: Side,
    id: WaitId,
    operation: F,
}

impl<'a, F> Wait<'a, F> {
    #[inline]
    pub fn new<T>(handle: &'a Handle, side: Side, operation: F) -> Self
    where
        F: FnMut(&mut Net, &mut Kernel, Key) -> Poll<T> + Unpin,
    {
        Wait { handle, side, id: 0, operation }
    }
}

impl<T, F> Future for Wait<'_, F>
where
    F: FnMut(&mut Net, &mut Kernel, Key) -> Poll<T> + Unpin,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Wait { handle, side, id, operation } = self.get_mut();
        handle.op(|net, k, key| {
            let result = operation(net, k, key);
            if result.is_pending() {
                net.wait(*side, key, id, cx);
            } else if *id != 0 {
                net.leave(*side, key, *id);
                *id = 0;
            }
            result
        })
    }
}

impl<F> Drop for Wait<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if self.id != 0 {
            let (side, id) = (self.side, self.id);
            self.handle.on_drop(|net, _, key| net.leave(side, key, id));
        }
    }
}

impl Net {
    /// Adds whoever polls `cx` to a list. On a socket that is gone nobody waits: its operations do not wait either.
    #[inline]
    pub fn wait(&mut self, side: Side, key: Key, id: &mut WaitId, cx: &Context<'_>) {
        let dropped = &mut self.out.dropped;
        let waiters = match side {
            Side::Read => self.streams.get_mut(key).map(|s| &mut s.readers),
            Side::Write => self.streams.get_mut(key).map(|s| &mut s.writers),
            Side::Accept => self.listeners.get_mut(key).map(|l| &mut l.acceptors),
            Side::Datagram => self.udp.get_mut(key).map(|u| &mut u.readers),
            Side::Set => return self.sets.wait(key, id, cx, dropped),
        };
        if let Some(waiters) = waiters {
            waiters.wait(id, cx, dropped);
        }
    }

    pub fn leave(&mut self, side: Side, key: Key, id: WaitId) {
        let dropped = &mut self.out.dropped;
        let waiters = match side {
            Side::Read => self.streams.get_mut(key).map(|s| &mut s.readers),
            Side::Write => self.streams.get_mut(key).map(|s| &mut s.writers),
            Side::Accept => self.listeners.get_mut(key).map(|l| &mut l.acceptors),
            Side::Datagram => self.udp.get_mut(key).map(|u| &mut u.readers),
            Side::Set => return self.sets.leave(key, id, dropped),
        };
        if let Some(waiters) = waiters {
            waiters.leave(id, dropped);
        }
    }
}
