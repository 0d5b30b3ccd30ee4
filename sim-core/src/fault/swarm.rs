//! Which families a seed meets, and how intensely.
//!
//! Runs must differ from each other instead of all being equally noisy (Groce et al., *Swarm Testing*, ISSTA 2012):
//! families that are always on hide what shows only without them. What a seed meets follows from the seed and the names
//! of the families, so that a family more or less changes nothing for the others. It is not a decision: the decisions
//! are the faults.

use super::family::{Family, Slot};
use super::nemesis::Prefer;
use super::tolerance::{Group, Tolerance};
use crate::decision::ROOT;
use crate::fs::CrashModel;
use crate::hash::{below, h, text};
use crate::node::Node;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// What the nemesis may do in a run: `sim.nemesis(Swarm::default())`.
///
/// Of each run a random half of the families is off altogether, and the others have an intensity, which may be zero; one
/// run in five is free of faults.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(7), |sim| async move {
/// use sim_core::fault::{Swarm, Tolerance};
/// use sim_core::time::{Duration, sleep};
/// let secs = Duration::from_secs;
///
/// for name in ["a", "b", "c"] {
///     sim.node(name).run(move || async move { sleep(secs(3600)).await });
/// }
/// sim.nemesis(Swarm::default().tolerate(Tolerance::new().down(1)).during(secs(1)..secs(30)));
/// sleep(secs(31)).await;
/// sim.heal().await;
/// assert!(sim.nodes().iter().skip(1).all(|node| node.is_running()));
/// # }).result.unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing by itself: give it to sim.nemesis(..)"]
pub struct Swarm {
    pub(super) during: Option<Range<Duration>>,
    pub(super) slot: Duration,
    pub(super) only: Option<Vec<String>>,
    pub(super) without: Vec<String>,
    pub(super) targets: Option<Vec<String>>,
    pub(super) groups: Vec<Group>,
    pub(super) prefer: Vec<Prefer>,
    pub(super) own: Vec<Rc<dyn Family>>,
    pub(super) crash_models: Vec<CrashModel>,
    pub(super) always: bool,
}

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Swarm");
        s.field("during", &self.during).field("only", &self.only).field("without", &self.without);
        s.field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl Default for Swarm {
    /// All families, for a minute from now on, a chance of a fault each two seconds, and no limit but that no data is
    /// lost.
    fn default() -> Self {
        Swarm {
            during: None,
            slot: Duration::from_secs(2),
            only: None,
            without: Vec::new(),
            targets: None,
            groups: Vec::new(),
            prefer: Vec::new(),
            own: Vec::new(),
            crash_models: Vec::new(),
            always: false,
        }
    }
}

impl Swarm {
    /// How long the chaos lasts unless [`Swarm::during`] says it.
    pub(super) const LASTS: Duration = Duration::from_secs(60);

    /// When faults happen, in world time since the start of the run. All have ended at its end.
    ///
    /// # Panics
    /// If the range is empty.
    #[track_caller]
    pub fn during(self, during: Range<Duration>) -> Self {
        assert!(
            during.start < during.end,
            "the nemesis is to act during {during:?}, which is no time at all"
        );
        Swarm { during: Some(during), ..self }
    }

    /// How long a slot is: each has at most one fault that begins. 2 s unless set.
    ///
    /// # Panics
    /// For less than a millisecond.
    #[track_caller]
    pub fn slots_of(self, slot: Duration) -> Self {
        assert!(slot >= Duration::from_millis(1), "slots of {slot:?}: allowed is 1 ms and more");
        Swarm { slot, ..self }
    }

    /// Only these families; see [`Sim::families`](crate::Sim::families) for what there is.
    pub fn only<S: Into<String>>(self, families: impl IntoIterator<Item = S>) -> Self {
        Swarm { only: Some(families.into_iter().map(Into::into).collect()), ..self }
    }

    /// Not these families.
    pub fn without<S: Into<String>>(mut self, families: impl IntoIterator<Item = S>) -> Self {
        self.without.extend(families.into_iter().map(Into::into));
        self
    }

    /// Faults are about these nodes; about all but the harness unless set.
    pub fn nodes<S: Into<String>>(self, nodes: impl IntoIterator<Item = S>) -> Self {
        Swarm { targets: Some(nodes.into_iter().map(Into::into).collect()), ..self }
    }

    /// What all nodes that run a program can stand together.
    pub fn tolerate(mut self, tolerance: Tolerance) -> Self {
        self.groups.push(Group { nodes: None, tolerance });
        self
    }

    /// What these nodes can stand: a replica group, say.
    pub fn tolerate_of<S: Into<String>>(
        mut self,
        nodes: impl IntoIterator<Item = S>,
        tolerance: Tolerance,
    ) -> Self {
        let nodes = Some(nodes.into_iter().map(Into::into).collect());
        self.groups.push(Group { nodes, tolerance });
        self
    }

    /// Half of all faults that are about one node are about the one that this names: the leader, the primary.
    pub fn prefer(mut self, node: impl Fn() -> Option<Node> + 'static) -> Self {
        self.prefer.push(Rc::new(node));
        self
    }

    /// A family of the test's own besides those of the simulator: a bank that does not answer, say.
    pub fn with(mut self, family: impl Family + 'static) -> Self {
        self.own.push(Rc::new(family));
        self
    }

    /// The disks of each run follow one of these models, which the seed chooses: [`CrashModel::Lying`] too, if it is among
    /// them. Without this they follow what each disk was set to, which is [`CrashModel::Chaos`] unless set.
    pub fn crash_models(self, models: impl IntoIterator<Item = CrashModel>) -> Self {
        Swarm { crash_models: models.into_iter().collect(), ..self }
    }

    /// Every family in every run, at full intensity, and a fault in each slot: for tests of single families. It is not
    /// what finds most.
    pub fn at_full_strength(self) -> Self {
        Swarm { always: true, ..self }
    }

    /// Whether a family may be drawn at all.
    pub(super) fn allows(&self, family: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == family);
        self.only.as_deref().is_none_or(named) && !named(&self.without)
    }
}

/// What one run meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    seed: u64,
    always: bool,
}

/// One run in so many has no fault.
const FREE: u64 = 5;

impl Profile {
    pub(super) fn new(seed: u64, nemesis: u64, always: bool) -> Self {
        Profile { seed: h(h(h(seed, ROOT), text("swarm")), nemesis), always }
    }

    /// The run has no faults.
    pub(super) fn is_free(&self) -> bool {
        !self.always && below(h(self.seed, 1), FREE) == 0
    }

    /// How intensely a run meets a family: 0 for not at all, up to [`Slot::FULL`].
    pub(super) fn level(&self, family: &str) -> u64 {
        if self.always {
            return Slot::FULL;
        }
        if self.is_free() {
            return 0;
        }
        let of_family = h(h(self.seed, 2), text(family));
        // Half are off; of the others one in eight is on with an intensity of exactly nothing.
        if of_family >> 63 == 0 { 0 } else { below(h(of_family, 1), Slot::FULL + 1) }
    }

    /// One of `n`.
    pub(super) fn choice(&self, n: usize) -> usize {
        below(h(self.seed, 4), n as u64) as usize
    }

    /// How many slots of a hundred have a fault.
    pub(super) fn density(&self) -> u64 {
        if self.always { 100 } else { 25 * (1 + below(h(self.seed, 3), 4)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_runs_is_free_and_half_of_the_families_are_off() {
        let profiles: Vec<_> = (0..2000).map(|seed| Profile::new(seed, 0, false)).collect();
        let free = profiles.iter().filter(|p| p.is_free()).count();
        assert!(free.abs_diff(400) < 60, "{free} of 2000");
        let others: Vec<_> = profiles.iter().filter(|p| !p.is_free()).collect();
        let on = others.iter().filter(|p| p.level("kill") > 0).count();
        // Half of them, less the eighth whose intensity is zero.
        assert!((on * 100 / others.len()).abs_diff(44) < 4, "{on} of {}", others.len());
        let both = others.iter().filter(|p| p.level("kill") > 0 && p.level("pause") > 0).count();
        assert!((both * 100 / others.len()).abs_diff(19) < 4, "families are on independently: {both}");
    }

    #[test]
    fn what_a_seed_meets_is_pinned() {
        let levels: Vec<u64> = (0..12).map(|seed| Profile::new(seed, 0, false).level("partition")).collect();
        assert_eq!(levels, PINNED);
    }
    const PINNED: [u64; 12] = [0, 0, 2, 6, 0, 0, 1, 5, 0, 2, 0, 0];
}
