//! The fault log: every injected fault with its start, its end and whether anything came of it.
//!
//! Faults by hand and those of the nemesis are written by the same calls, at the place that makes them happen. What the
//! nemesis does is written under its own entry: while that is open for writing, a kill or a partition gets its number.

use crate::hash::{h, text};
use crate::kernel::Kernel;
use crate::node::NodeId;
use crate::trace::{About, Event};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A fault of a run, by the order of its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FaultId(pub u32);

impl FaultId {
    /// A fault that the log had no room for.
    const UNLISTED: FaultId = FaultId(u32::MAX);
}

/// An injected fault, or one that was planned and vetoed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Its family, such as `partition` or `kill`.
    pub family: Cow<'static, str>,
    /// The slot of the plan that it came from; `None` for a fault by hand.
    pub slot: Option<u64>,
    /// What it was about, for people: `order`, `order, catalog | payment`.
    pub target: String,
    /// The nodes that it was about; none when it was about all.
    pub nodes: Vec<NodeId>,
    /// Its particulars.
    pub parameters: Vec<Parameter>,
    /// World time at its start.
    pub start: Duration,
    /// World time at its end; `None` when it was still on at the end of the run.
    pub end: Option<Duration>,
    /// What became of it.
    pub fate: Fate,
    /// How often it changed something that can be observed: packets lost, polls put off, clocks read. 0 for a fault that
    /// nobody noticed.
    pub effects: u64,
}

/// What became of a fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fate {
    /// It happened as it was planned.
    Injected,
    /// Something weaker happened, for this reason.
    Downgraded(String),
    /// It did not happen, for this reason.
    Vetoed(String),
}

/// A particular of a fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parameter {
    /// What it is.
    pub name: Cow<'static, str>,
    /// How much.
    pub value: Value,
}

/// The value of a particular, with its unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Value {
    /// A time, ns; clocks may be behind.
    Nanos(i64),
    /// A share, in millionths.
    Share(u32),
    /// Parts per million that a clock runs fast.
    Ppm(i64),
    /// A number.
    Count(u64),
    /// A manner.
    Word(Cow<'static, str>),
}

impl Parameter {
    /// A particular.
    pub fn new(name: &'static str, value: Value) -> Self {
        Parameter { name: name.into(), value }
    }

    /// A length of time.
    pub fn time(name: &'static str, time: Duration) -> Self {
        Parameter::new(name, Value::Nanos(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// A manner in a word or two.
    pub fn word(name: &'static str, word: impl Into<Cow<'static, str>>) -> Self {
        Parameter::new(name, Value::Word(word.into()))
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        match &self.value {
            Value::Nanos(ns) => {
                let sign = if *ns < 0 { "-" } else { "" };
                write!(f, "{sign}{:?}", Duration::from_nanos(ns.unsigned_abs()))
            }
            Value::Share(millionths) => {
                // Written by hand: 5.5 % and not 5.5000 %.
                let (percent, rest) = (millionths / 10_000, millionths % 10_000);
                match rest {
                    0 => write!(f, "{percent} %"),
                    _ => write!(f, "{percent}.{} %", format!("{rest:04}").trim_end_matches('0')),
                }
            }
            Value::Ppm(ppm) => write!(f, "{ppm:+} ppm"),
            Value::Count(count) => write!(f, "{count}"),
            Value::Word(word) => f.write_str(word),
        }
    }
}

impl Fault {
    /// Whether it happened at all.
    pub fn happened(&self) -> bool {
        !matches!(self.fate, Fate::Vetoed(_))
    }

    /// Whether it was on at an instant of the world.
    pub fn is_on(&self, at: Duration) -> bool {
        self.happened() && self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.end, self.happened()) {
            (_, false) => write!(f, "{:?}", self.start)?,
            (Some(end), _) if end == self.start => write!(f, "{:?}", self.start)?,
            (Some(end), _) => write!(f, "{:?} to {end:?}", self.start)?,
            (None, _) => write!(f, "{:?} to the end", self.start)?,
        }
        write!(f, " {} of {}", self.family, self.target)?;
        for (i, parameter) in self.parameters.iter().enumerate() {
            write!(f, "{}{parameter}", if i == 0 { ": " } else { ", " })?;
        }
        match &self.fate {
            Fate::Injected => {}
            Fate::Downgraded(why) => write!(f, " (downgraded: {why})")?,
            Fate::Vetoed(why) => return write!(f, " (vetoed: {why})"),
        }
        if self.effects == 0 {
            f.write_str(" (nothing came of it)")?;
        }
        Ok(())
    }
}

/// What is known of a fault when it begins.
#[derive(Clone, Debug, Default)]
pub struct Particulars {
    /// What it is about, for people.
    pub target: String,
    /// The nodes that it is about; none when it is about all.
    pub nodes: Vec<NodeId>,
    /// The rest.
    pub parameters: Vec<Parameter>,
}

impl Particulars {
    /// Of a fault of one node.
    pub fn of_node(kernel: &Kernel, node: NodeId) -> Self {
        Particulars {
            target: kernel.machine(node).name.to_string(),
            nodes: vec![node],
            parameters: Vec::new(),
        }
    }

    /// With one more particular.
    #[must_use]
    pub fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }
}

/// What of a machine a fault has taken hold of: it ends when that is as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aspect {
    /// Its process is dead.
    Dead,
    /// It stands still.
    Still,
    /// Its polls take their time.
    Slow,
    /// Its clocks run at another rate.
    Drift,
    /// Its wall clock is off.
    Offset,
}

/// How many entries a log has at most: what comes on top is injected, but not listed.
const MOST: usize = 1 << 16;

/// The log of a run, and which of its faults have hold of which machine.
#[derive(Debug, Default)]
pub(crate) struct FaultLog {
    entries: Vec<Fault>,
    holding: Vec<(NodeId, Aspect, FaultId)>,
    /// The fault of the nemesis that is beginning: what is done now is part of it.
    under: Option<FaultId>,
    pub(crate) danger: super::danger::Armed,
}

impl FaultLog {
    pub(crate) const fn new() -> Self {
        FaultLog {
            entries: Vec::new(),
            holding: Vec::new(),
            under: None,
            danger: super::danger::Armed::new(),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.entries.clear();
        self.holding.clear();
        self.under = None;
        self.danger.reset();
    }

    pub(crate) fn entries(&self) -> &[Fault] {
        &self.entries
    }

    pub(crate) fn take(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.entries)
    }

    fn get_mut(&mut self, id: FaultId) -> Option<&mut Fault> {
        self.entries.get_mut(id.0 as usize)
    }
}

/// What subsystems say of faults, whether a test injects them by hand or the nemesis does.
impl Kernel {
    /// A fault begins. What the nemesis is beginning has its entry already, whose number this gives then.
    pub fn fault_begins(
        &mut self,
        family: &'static str,
        particulars: impl FnOnce(&Kernel) -> Particulars,
    ) -> FaultId {
        if let Some(under) = self.faults.under {
            return under;
        }
        let particulars = particulars(self);
        self.fault_added(family.into(), None, particulars, Fate::Injected)
    }

    /// A fault ends; again is nothing. One of the nemesis ends when the nemesis says so.
    pub fn fault_ends(&mut self, id: FaultId) {
        if self.faults.get_mut(id).is_some_and(|fault| fault.slot.is_none()) {
            self.fault_closed(id);
        }
    }

    /// A fault has changed something that can be observed.
    #[inline]
    pub fn fault_effect(&mut self, id: FaultId) {
        if let Some(fault) = self.faults.get_mut(id) {
            fault.effects += 1;
        }
    }

    /// A particular of a fault that is known only after its start.
    pub fn fault_parameter(&mut self, id: FaultId, parameter: Parameter) {
        if let Some(fault) = self.faults.get_mut(id).filter(|fault| fault.slot.is_none()) {
            fault.parameters.push(parameter);
        }
    }

    /// The faults of this run so far, in the order of their start.
    pub fn faults(&self) -> &[Fault] {
        self.faults.entries()
    }

    pub(crate) fn fault_added(
        &mut self,
        family: Cow<'static, str>,
        slot: Option<u64>,
        particulars: Particulars,
        fate: Fate,
    ) -> FaultId {
        let vetoed = matches!(fate, Fate::Vetoed(_));
        if vetoed {
            self.stats.vetoes += 1;
        } else {
            self.stats.faults += 1;
        }
        self.fold(h(h(text(&family), text(&particulars.target)), u64::from(vetoed)));
        if self.faults.entries.len() == MOST {
            return FaultId::UNLISTED;
        }
        let now = Duration::from_nanos(self.now());
        let Particulars { target, nodes, parameters } = particulars;
        let end = vetoed.then_some(now);
        let fault = Fault { family, slot, target, nodes, parameters, start: now, end, fate, effects: 0 };
        let id = FaultId(self.faults.entries.len() as u32);
        self.record(|| {
            Event::new("fault.begins", format!("{} of {}", fault.family, fault.target))
                .about(About::Fault(id))
        });
        self.faults.entries.push(fault);
        id
    }

    pub(crate) fn fault_closed(&mut self, id: FaultId) {
        let now = Duration::from_nanos(self.now());
        let Some(fault) = self.faults.get_mut(id).filter(|fault| fault.end.is_none()) else { return };
        fault.end = Some(now);
        self.fold(h(0xfa17_e2d5, id.0.into()));
        if self.log.is_some() {
            let fault = &self.faults.entries[id.0 as usize];
            let ended = format!("{} of {}", fault.family, fault.target);
            self.record(|| Event::new("fault.ends", ended).about(About::Fault(id)));
        }
    }

    /// What is done until `None` is set again is part of this fault.
    pub(crate) fn faults_under(&mut self, id: Option<FaultId>) -> Option<FaultId> {
        std::mem::replace(&mut self.faults.under, id)
    }

    /// The fault of the nemesis that is beginning, or doing what it does while it lasts.
    pub fn fault_under(&self) -> Option<FaultId> {
        self.faults.under
    }

    /// A fault takes hold of a machine. One that had this hold before is over.
    pub(crate) fn fault_holds(
        &mut self,
        node: NodeId,
        aspect: Aspect,
        family: &'static str,
        parameter: Option<Parameter>,
    ) -> FaultId {
        self.fault_lets_go(node, aspect);
        let id = self.fault_begins(family, |k| {
            let particulars = Particulars::of_node(k, node);
            parameter.into_iter().fold(particulars, Particulars::with)
        });
        self.faults.holding.push((node, aspect, id));
        id
    }

    /// What a fault had taken hold of is as it should be.
    pub(crate) fn fault_lets_go(&mut self, node: NodeId, aspect: Aspect) {
        while let Some(i) = self.faults.holding.iter().position(|held| (held.0, held.1) == (node, aspect)) {
            let (_, _, id) = self.faults.holding.swap_remove(i);
            // While a fault begins, what it replaces of itself is not its end.
            if self.faults.under != Some(id) {
                self.fault_closed(id);
            }
        }
    }

    /// What faults have hold of, by hand or not.
    pub(crate) fn held(&self) -> impl Iterator<Item = (NodeId, Aspect)> + '_ {
        self.faults.holding.iter().map(|held| (held.0, held.1))
    }

    /// The fault that has hold of a machine has changed something.
    #[cold]
    pub(crate) fn fault_told(&mut self, node: NodeId, aspect: Aspect) {
        let held = self.faults.holding.iter().find(|held| (held.0, held.1) == (node, aspect));
        if let Some(&(_, _, id)) = held {
            self.fault_effect(id);
        }
    }
}
