//! Polls that have to wait although their task is ready: its process is paused or its machine stands still, no core is
//! free, or it still pays for what it did without waiting.

use super::State;
use crate::clock::What;
use crate::decision::Kind;
use crate::fault::Aspect;
use crate::hash::{below, h};
use crate::kernel::Kernel;
use crate::node::NodeId;
use crate::slab::Key;

impl Kernel {
    /// Parks the task of a paused process, or puts its poll off until a core is free; false when it may run.
    #[cold]
    pub(super) fn hinder(&mut self, key: Key) -> bool {
        if !self.executor.debts.is_empty() && self.owes(key) {
            return true;
        }
        let now = self.now();
        let node = self.executor.slots[key.slot() as usize].node;
        let machine = &mut self.machines[node.0 as usize];
        if !machine.hindered {
            return false;
        }
        let s = &mut self.executor.slots[key.slot() as usize];
        if machine.paused || machine.frozen {
            s.state = State::Parked;
            machine.parked.push(key);
            self.fault_told(node, Aspect::Still);
            return true;
        }
        if s.charged || !machine.cpu.is_on() {
            return false;
        }
        let name = self.name(Kind::Cpu, node.0.into());
        let spread = self.machines[node.0 as usize].cpu.spread();
        let dist = |draw| below(draw, spread.saturating_add(1));
        let extra = self.decide(h(name, 1), Kind::Cpu, node.0.into(), dist);
        let start = self.machines[node.0 as usize].cpu.reserve(now, extra);
        let s = &mut self.executor.slots[key.slot() as usize];
        s.charged = true;
        if start <= now {
            return false;
        }
        s.state = State::PutOff;
        self.stats.put_off += 1;
        self.fault_told(node, Aspect::Slow);
        self.push_event(start, name, What::Resume(key));
        true
    }

    /// Puts the poll of a task off that still pays for what it did without waiting.
    fn owes(&mut self, key: Key) -> bool {
        let Some(&until) = self.executor.debts.get(&key) else { return false };
        if until <= self.now() {
            self.executor.debts.remove(&key);
            self.hindered -= 1;
            return false;
        }
        self.executor.slots[key.slot() as usize].state = State::PutOff;
        self.stats.put_off += 1;
        if until < u64::MAX {
            let node = self.executor.slots[key.slot() as usize].node;
            let name = self.name(Kind::Cpu, node.0.into());
            self.push_event(until, name, What::Resume(key));
        }
        true
    }

    /// When the task that runs now will have paid for what it has done in this poll; now, if it owes nothing.
    pub(crate) fn debt(&self) -> u64 {
        let debt = self.current.task.and_then(|key| self.executor.debts.get(&key)).copied();
        debt.unwrap_or(0).max(self.now())
    }

    /// The next poll of the task that runs now comes at `until` at the earliest, or with `None` after
    /// [`Kernel::settle_debts`].
    pub(crate) fn charge(&mut self, until: Option<u64>) {
        let Some(key) = self.current.task else { return };
        let now = self.now();
        let until = until.unwrap_or(u64::MAX);
        if until <= now {
            return;
        }
        // What tasks left that ended with a debt goes here.
        let before = self.executor.debts.len() as u32;
        self.executor.debts.retain(|_, until| *until > now);
        let debt = self.executor.debts.entry(key).or_default();
        *debt = until.max(*debt);
        self.hindered = self.hindered + self.executor.debts.len() as u32 - before;
    }

    /// The tasks of a node whose debts have no known end have paid.
    pub(crate) fn settle_debts(&mut self, node: NodeId) {
        let open: Vec<Key> = self
            .executor
            .debts
            .iter()
            .filter(|(_, until)| **until == u64::MAX)
            .map(|(&key, _)| key)
            .collect();
        for key in open {
            if self.executor.slot(key).is_none_or(|s| s.node == node) {
                self.executor.debts.remove(&key);
                self.hindered -= 1;
                self.resume_poll(key);
            }
        }
    }

    /// A core is free for a poll that was put off.
    pub(crate) fn resume_poll(&mut self, key: Key) {
        if let Some(s) = self.executor.slot(key)
            && s.state == State::PutOff
        {
            s.state = State::Queued;
            self.enqueue(key);
        }
    }

    /// Queues the tasks that were parked while their process stood still.
    pub(crate) fn unpark(&mut self, node: NodeId) {
        for key in std::mem::take(&mut self.machine_mut(node).parked) {
            if let Some(s) = self.executor.slot(key)
                && s.state == State::Parked
            {
                s.state = State::Queued;
                self.enqueue(key);
            }
        }
    }
}
