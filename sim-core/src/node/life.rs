//! Life and death of processes.

use super::{Death, ExitPolicy, NodeId, PanicPolicy};
use crate::clock::What;
use crate::decision::Kind;
use crate::executor::{Removed, spawn_on};
use crate::failure::{Failure, FailureKind};
use crate::fault::{Aspect, Window};
use crate::hash::h;
use crate::kernel::Current;
use crate::panics;
use crate::trace::{About, Event};
use crate::world::{self, World};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The program of a node has returned.
pub(crate) struct Exited {
    node: NodeId,
    life: u32,
    result: Result<(), String>,
}

/// How long a process may take to stop unless the caller says otherwise; as systemd's default, but shorter.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(10);

impl World {
    /// Plans the start of a node's program. It is an event of its own, the cause of whatever the program does.
    pub(crate) fn boot_after(&self, node: NodeId, after: Duration) {
        let mut kernel = self.kernel();
        let name = kernel.name(Kind::Boot, node.0.into());
        let at = kernel.now().saturating_add(crate::clock::nanos(after));
        let life = kernel.machine(node).life;
        kernel.push_event(at, name, What::Boot(node, life));
    }

    /// Starts the program, unless the process it was meant for is gone or runs already.
    pub(crate) fn boot(&self, node: NodeId, life: u32) {
        let program = {
            let mut kernel = self.kernel();
            let machine = kernel.machine_mut(node);
            if machine.life != life || !machine.up || machine.running {
                return;
            }
            let Some(program) = machine.program.clone() else { return };
            machine.running = true;
            kernel.fault_lets_go(node, Aspect::Dead);
            kernel.current = Current { task: None, node, dead: false };
            kernel.record(|| {
                Event::new("boot", format!("process {life} starts"))
                    .about(About::Process { life, ended: None })
            });
            program
        };
        let label = program.label();
        let main = async move {
            let result = program.start().await;
            world::with(|w| w.kernel().program_returned(Exited { node, life, result }));
        };
        let main = spawn_on(self, Some(node), main, label);
        drop(main);
        self.kernel().danger(Window::Boot, node);
    }

    /// The program has returned: its process ends, and what follows is the node's policy.
    pub(crate) fn exited(&self, Exited { node, life, result }: Exited) {
        if self.kernel().machine(node).life != life {
            return;
        }
        let (policy, stopping) = {
            let kernel = self.kernel();
            (kernel.machine(node).on_exit, kernel.machine(node).stopping)
        };
        self.end_process(node, Death::Exit);
        match (policy, result) {
            (ExitPolicy::FailOnError, Err(error)) => {
                let mut kernel = self.kernel();
                let name = kernel.machine(node).name.clone();
                let message = format!("the program of node {name} returned an error: {error}");
                let mut failure = Failure::new(FailureKind::Program, &*name, message);
                failure.node = Some(name.to_string());
                kernel.fail_with(failure);
            }
            (ExitPolicy::Restart(after), _) if !stopping => self.boot_after(node, after),
            _ => {}
        }
    }

    /// Ends the current process of a node: subsystems first, then its tasks, whose destructors find nothing to act
    /// on, then those who wait for it. Gives whether there was anything to end.
    pub(crate) fn end_process(&self, node: NodeId, death: Death) -> bool {
        self.for_subsystems(|s| s.process_died(self, node, death));
        let (removed, stop_waiters, end_waiters, before) = {
            let mut kernel = self.kernel();
            let removed = kernel.remove_all(Some(node));
            let machine = kernel.machine_mut(node);
            machine.life = machine.life.wrapping_add(1);
            let running = machine.running;
            machine.up = death != Death::PowerCut;
            machine.frozen = false;
            machine.paused = false;
            machine.running = false;
            machine.stopping = false;
            machine.handles_stop = false;
            machine.parked.clear();
            machine.cpu.release();
            let waiters = (machine.stop_waiters.take(), machine.end_waiters.take());
            let life = machine.life;
            kernel.look(node);
            kernel.fault_lets_go(node, Aspect::Still);
            kernel.stats.deaths += 1;
            kernel.fold(h(node.0.into(), u64::from(life) << 2 | death as u64));
            let before = kernel.current;
            kernel.current = Current { task: None, node, dead: true };
            let ended = About::Process { life: life.wrapping_sub(1), ended: Some(death) };
            kernel.record(|| Event::new("death", format!("{death:?}")).about(ended));
            (removed, waiters.0, waiters.1, (before, running))
        };
        let (before, running) = before;
        let ended = running || !removed.is_empty();
        let waiters = self.drop_tasks(removed);
        drop(stop_waiters);
        self.kernel().current = before;
        waiters.into_iter().chain(end_waiters).for_each(std::task::Waker::wake);
        ended
    }

    /// Drops what is left of tasks; gives back who waits for them. A destructor that panics fails the run.
    pub(crate) fn drop_tasks(&self, removed: Vec<Removed>) -> Vec<std::task::Waker> {
        let mut waiters = Vec::new();
        for Removed { task, waiter } in removed {
            waiters.extend(waiter);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(task))) {
                self.fail_with_panic(payload.as_ref());
            }
        }
        waiters
    }

    /// A task, an action or a program has panicked.
    pub(crate) fn panicked(&self, payload: Box<dyn Any + Send>) {
        let (task, node, policy) = {
            let kernel = self.kernel();
            let node = kernel.current.node;
            (kernel.current.task, node, kernel.machine(node).on_panic)
        };
        if policy == PanicPolicy::Fail || task.is_none() {
            return self.fail_with_panic(payload.as_ref());
        }
        let caught = panics::of(payload.as_ref());
        self.kernel().record(|| Event::new("panic", format!("{} at {}", caught.message, caught.location)));
        if let (Some(task), PanicPolicy::Catch) = (task, policy) {
            let removed = self.kernel().end_panicked(task, payload);
            return removed.settle();
        }
        self.end_process(node, Death::Kill);
        if let PanicPolicy::Restart(after) = policy {
            self.boot_after(node, after);
        }
    }

    fn fail_with_panic(&self, payload: &(dyn Any + Send)) {
        let caught = panics::of(payload);
        let mut failure = Failure::new(FailureKind::Panic, caught.location, caught.message);
        failure.details = caught.backtrace.iter().flat_map(|b| b.lines()).map(str::to_string).collect();
        self.kernel().fail_with(failure);
    }

    /// Asks a process to stop; what does not listen is ended at once, as by SIGTERM's default action.
    pub(crate) fn request_stop(&self, node: NodeId, within: Duration) {
        let waiters = {
            let mut kernel = self.kernel();
            let machine = kernel.machine_mut(node);
            if machine.stopping || !machine.up {
                return;
            }
            machine.stopping = true;
            let life = machine.life;
            if !machine.handles_stop {
                drop(kernel);
                self.end_process(node, Death::Exit);
                return;
            }
            let waiters = machine.stop_waiters.take();
            let name = kernel.name(Kind::Timer, node.0.into());
            let at = kernel.now().saturating_add(crate::clock::nanos(within));
            kernel.push_event(at, name, What::StopDeadline(node, life));
            kernel.record(|| Event::new("stop", format!("within {within:?}")));
            waiters
        };
        waiters.into_iter().for_each(std::task::Waker::wake);
    }

    /// A process that was asked to stop has had its time.
    pub(crate) fn stop_deadline(&self, node: NodeId, life: u32) {
        let late = {
            let kernel = self.kernel();
            kernel.machine(node).life == life
        };
        if late {
            self.end_process(node, Death::Kill);
        }
    }

    /// Stops or continues the process of a node, or the whole machine.
    pub(crate) fn set_still(&self, node: NodeId, paused: Option<bool>, frozen: Option<bool>) {
        let mut kernel = self.kernel();
        let machine = kernel.machine_mut(node);
        machine.paused = paused.unwrap_or(machine.paused);
        machine.frozen = frozen.unwrap_or(machine.frozen);
        let (paused, frozen) = (machine.paused, machine.frozen);
        match (paused, frozen) {
            (false, false) => kernel.fault_lets_go(node, Aspect::Still),
            (_, true) => _ = kernel.fault_holds(node, Aspect::Still, "freeze", None),
            (true, false) => _ = kernel.fault_holds(node, Aspect::Still, "pause", None),
        }
        kernel.look(node);
        kernel.fold(h(0x571, u64::from(node.0) << 2 | u64::from(paused) << 1 | u64::from(frozen)));
        kernel.record(|| Event::new("still", format!("paused {paused}, frozen {frozen}")));
        if !paused && !frozen {
            kernel.unpark(node);
        }
    }
}
