//! The graceful stop of a process, as SIGTERM asks for it.

use crate::node::NodeId;
use crate::slab::Key;
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
        Stopped { world: w.id(), node, life: machine.life, place: None }
    })
}

/// Waits for the request to stop.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Stopped {
    world: WorldId,
    node: NodeId,
    life: u32,
    /// Where it waits among those of its process.
    place: Option<Key>,
}

impl Future for Stopped {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let replaced = world::with(|w| {
            w.check(self.world, "signal::stopped");
            let mut kernel = w.kernel();
            let machine = kernel.machine_mut(self.node);
            if machine.stopping || machine.life != self.life {
                return None;
            }
            Some(machine.stop_waiters.wait(&mut self.place, cx.waker()))
        });
        match replaced {
            Some(_dropped) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let place = self.place;
        let _left = world::try_with(|w| {
            // Those of an earlier process have been taken with it.
            let mut kernel = w.kernel();
            let machine = (w.id() == self.world).then(|| kernel.machine_mut(self.node))?;
            if machine.life == self.life { machine.stop_waiters.leave(place) } else { None }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Duration, sleep, timeout};
    use crate::{Config, Sim, run, spawn};

    /// How many wait on node `a`.
    fn waiting(sim: Sim) -> usize {
        let node = sim.node("a").id();
        world::with(|w| w.kernel().machine(node).stop_waiters.len())
    }

    #[test]
    fn those_who_stop_waiting_are_forgotten() {
        let body = |sim: Sim| async move {
            let node = sim.node("a").run(|| async {
                for _ in 0..1000 {
                    // As a server does for every connection.
                    let connection = spawn(timeout(Duration::from_millis(1), stopped()));
                    assert!(connection.await.unwrap().is_err());
                }
                stopped().await;
            });
            sleep(Duration::from_millis(500)).await;
            assert_eq!(waiting(sim), 1);
            sleep(Duration::from_secs(10)).await;
            assert_eq!(waiting(sim), 1);
            node.stop().await;
            assert_eq!(waiting(sim), 0);
        };
        run(Config::seed(1), body).result.unwrap();
    }
}
