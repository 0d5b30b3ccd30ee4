//! The CPU model of a node: cores, and what a poll costs.
//!
//! With polls that take no time, two requests that arrive microseconds apart never overlap on a node. With a
//! cost, a task's next poll waits until a core is free, packets arrive in between, queues build up. Slow CPU, a
//! pause of a garbage collector and overload are this one mechanism.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The cores of a node.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    /// Until when each core is taken, ns of world time; empty stands for one free core.
    busy: Vec<u64>,
    /// What a poll costs, ns: least and most.
    cost: (u64, u64),
}

impl Cpu {
    /// Whether the model is at work: with no cost, polls take no time.
    pub(crate) fn is_on(&self) -> bool {
        self.cost.1 > 0
    }

    pub(crate) fn set_cores(&mut self, cores: usize) {
        self.busy.resize(cores.max(1), 0);
    }

    /// How many there are; one unless set.
    pub(crate) fn cores(&self) -> usize {
        self.busy.len().max(1)
    }

    pub(crate) fn set_cost(&mut self, least: Duration, most: Duration) {
        self.cost = (crate::clock::nanos(least), crate::clock::nanos(most));
    }

    /// What a poll costs, at least and at most.
    pub(crate) fn cost(&self) -> RangeInclusive<Duration> {
        Duration::from_nanos(self.cost.0)..=Duration::from_nanos(self.cost.1)
    }

    /// The polls that the cores were taken for will not come: their process is dead.
    pub(crate) fn release(&mut self) {
        self.busy.fill(0);
    }

    /// How many ns more than the least a poll may cost.
    pub(crate) fn spread(&self) -> u64 {
        self.cost.1 - self.cost.0
    }

    /// Takes the core that is free first for a poll that costs `extra` more than the least; gives when it starts.
    pub(crate) fn reserve(&mut self, now: u64, extra: u64) -> u64 {
        let cost = self.cost.0.saturating_add(extra);
        if self.busy.is_empty() {
            self.set_cores(1);
        }
        let free_first = (0..self.busy.len()).min_by_key(|&core| self.busy[core]).unwrap_or(0);
        let start = now.max(self.busy[free_first]);
        self.busy[free_first] = start.saturating_add(cost);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_queue_for_the_first_free_core() {
        let mut cpu = Cpu::default();
        cpu.set_cores(2);
        cpu.set_cost(Duration::from_nanos(10), Duration::from_nanos(30));
        assert!(cpu.is_on());
        let starts: Vec<u64> = [0, 20, 0, 0].into_iter().map(|extra| cpu.reserve(100, extra)).collect();
        assert_eq!(starts, [100, 100, 110, 120]);
        assert_eq!(cpu.reserve(500, 0), 500);
        assert_eq!(cpu.spread(), 20);
        cpu.reserve(500, 1000);
        cpu.release();
        assert_eq!(cpu.reserve(500, 0), 500);
    }
}
