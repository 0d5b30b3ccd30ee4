//! The graceful stop of a process, as SIGTERM asks for it.

use crate::node::NodeId;
use crate::world::{self, WorldId};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits until the current process is asked to stop, by [`Node::stop`](crate::Node::stop).
///
/// A process that never calls this is ended by the request, as SIGTERM does by default (signal(7)); one that does has
/// until the deadline to return.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn stopped() -> Stopped {
    world::with(|w| {
        let mut kernel = w.kernel();
        let node = kernel.here();
        let machine = kernel.machine_mut(node);
        machine.handles_stop = true;
        Stopped { world: w.id(), node, life: machine.life }
    })
}

/// Waits for the request to stop.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Stopped {
    world: WorldId,
    node: NodeId,
    life: u32,
}

impl Future for Stopped {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        world::with(|w| {
            w.check(self.world, "signal::stopped");
            let mut kernel = w.kernel();
            let machine = kernel.machine_mut(self.node);
            if machine.stopping || machine.life != self.life {
                return Poll::Ready(());
            }
            if !machine.stop_waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
                machine.stop_waiters.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }
}
