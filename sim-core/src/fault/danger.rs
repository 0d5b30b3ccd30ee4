//! Moments at which a fault does most harm: a process that recovers, a file that is being synced.
//!
//! Whoever comes to such a moment says so; that is a flag test unless a fault waits for it.

use crate::clock::What;
use crate::decision::Name;
use crate::kernel::Kernel;
use crate::node::NodeId;
use crate::slab::Key;

/// A moment that a fault may wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// A process has just started: it recovers what the one before it left.
    Boot,
    /// Data is on its way to the disk.
    Sync,
    /// A file gets another name.
    Rename,
    /// A file is written.
    Write,
}

impl Window {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A fault that waits: for what, on which nodes (any, when there are none), and the action that injects it.
#[derive(Debug)]
struct Waiting {
    window: Window,
    nodes: Vec<NodeId>,
    name: Name,
    action: Key,
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(crate) struct Armed {
    mask: u8,
    waiting: Vec<Waiting>,
    /// Where each that went off did.
    sprung: Vec<(Name, NodeId)>,
}

impl Armed {
    pub(crate) const fn new() -> Self {
        Armed { mask: 0, waiting: Vec::new(), sprung: Vec::new() }
    }

    pub(crate) fn reset(&mut self) {
        self.mask = 0;
        self.waiting.clear();
        self.sprung.clear();
    }

    fn refresh(&mut self) {
        self.mask = self.waiting.iter().fold(0, |mask, waiting| mask | waiting.window.bit());
    }
}

impl Kernel {
    /// A node comes to a moment at which faults do harm. One that waited for it happens now, before the clock moves on.
    #[inline]
    pub fn danger(&mut self, window: Window, node: NodeId) {
        if self.faults.danger.mask & window.bit() != 0 {
            self.spring(window, node);
        }
    }

    #[cold]
    fn spring(&mut self, window: Window, node: NodeId) {
        let armed = &mut self.faults.danger;
        let due = armed
            .waiting
            .iter()
            .position(|w| w.window == window && (w.nodes.is_empty() || w.nodes.contains(&node)));
        let Some(due) = due else { return };
        let Waiting { name, action, .. } = armed.waiting.remove(due);
        armed.sprung.push((name, node));
        armed.refresh();
        self.push_event(self.now(), name, What::Action(action));
    }

    /// Has an action wait for a moment.
    pub(crate) fn arm(&mut self, window: Window, nodes: Vec<NodeId>, name: Name, action: Key) {
        self.faults.danger.waiting.push(Waiting { window, nodes, name, action });
        self.faults.danger.refresh();
    }

    /// Takes back what still waits; its action, if it does.
    pub(crate) fn disarm(&mut self, name: Name) -> Option<Key> {
        let armed = &mut self.faults.danger;
        let i = armed.waiting.iter().position(|w| w.name == name)?;
        let action = armed.waiting.remove(i).action;
        armed.refresh();
        Some(action)
    }

    /// Where the fault went off that waited under this name.
    pub(crate) fn sprung(&mut self, name: Name) -> Option<NodeId> {
        let sprung = &mut self.faults.danger.sprung;
        let i = sprung.iter().position(|s| s.0 == name)?;
        Some(sprung.swap_remove(i).1)
    }
}
