//! One operation of a client.

use super::ops::Planned;
use super::swarm;
use super::{Client, Pick, part};
use crate::decision::{self, Kind, Name, below};
use crate::kernel::Kernel;
use crate::trace::{About, Event};
use crate::world::{self, World, WorldId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An operation that takes place now, from [`Ops::next`](super::Ops::next). Hand it to whatever carries the operation out.
///
/// Each argument is a decision named by the operation and by how many were drawn before it: draw them in the same order
/// in all operations of a kind.
///
/// # Panics
/// Every method that draws panics outside of the simulation that gave the operation.
#[derive(Clone)]
pub struct Op(Arc<Inner>);

struct Inner {
    world: WorldId,
    name: Name,
    index: u64,
    client: u64,
    label: Arc<str>,
    seed: u64,
    swarmed: bool,
    drawn: AtomicU64,
    /// Its place in the log, if there is one.
    listed: Option<usize>,
    told: AtomicBool,
}

/// An operation as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The name of its decision.
    pub name: Name,
    /// The name of the node, with a number where that has several loops.
    pub client: String,
    /// Which of the client's operations.
    pub index: u64,
    /// ns of virtual time at its begin.
    pub at: u64,
    /// How much later than drawn that was, ns, because the loop had not asked for it before.
    pub late: u64,
    /// What was drawn for it, in words and in order: `place`, `3`.
    pub words: Vec<String>,
    /// When it ended and how, where the test said so: ns of virtual time, and what was wrong.
    pub ended: Option<(u64, Result<(), String>)>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {} of {}", self.index, self.client)?;
        if let Some((first, rest)) = self.words.split_first() {
            write!(f, ": {first}")?;
            rest.iter()
                .enumerate()
                .try_for_each(|(i, word)| write!(f, "{}{word}", if i == 0 { " " } else { ", " }))?;
        }
        match &self.ended {
            Some((_, Err(why))) => write!(f, " (failed: {why})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Op({} of {})", self.0.index, self.0.label)
    }
}

impl Op {
    /// It begins: from here on the run has asked for it.
    pub(super) fn begin(
        kernel: &mut Kernel,
        client: &Client,
        planned: Planned,
        late: u64,
        swarmed: bool,
    ) -> Op {
        let Planned { index, exists, at } = planned;
        let name = decision::root(Kind::Op, client.id, index);
        kernel.decided(name, Kind::Op, client.id, exists);
        kernel.decided(decision::part(name, part::AT), Kind::At, client.id, at);
        kernel.stats().ops += 1;
        let (now, label) = (kernel.now(), &client.label);
        let listed = kernel.log.as_mut().map(|log| {
            let (client, words) = (label.to_string(), Vec::new());
            log.operations.push(Operation { name, client, index, at: now, late, words, ended: None });
            log.operations.len() - 1
        });
        kernel
            .record(|| Event::new("op.begins", format!("operation {index} of {label}")).about(about(listed)));
        Op(Arc::new(Inner {
            world: kernel.world(),
            name,
            index,
            client: client.id,
            label: client.label.clone(),
            seed: kernel.seed,
            swarmed,
            drawn: AtomicU64::new(0),
            listed,
            told: AtomicBool::new(false),
        }))
    }

    /// Which of its client's operations it is, from 0 on. Those that do not take place have their numbers, too.
    pub fn index(&self) -> u64 {
        self.0.index
    }

    /// The name of its decision: the root of whatever follows from it.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// Draws an argument: one of a range, or of a list. The first is the boring one.
    ///
    /// ```
    /// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
    /// # let mut ops = sim.node("client").ops(3);
    /// while let Some(op) = ops.next().await {
    ///     let quantity = op.pick(1..=3);
    ///     let colour = op.pick(&["red", "green"]);
    /// #   assert!((1..=3).contains(&quantity) && colour.len() > 2);
    /// }
    /// # }).result.unwrap();
    /// ```
    ///
    /// # Panics
    /// If there is nothing to pick from.
    #[track_caller]
    pub fn pick<P: Pick>(&self, from: P) -> P::Value {
        let count = from.places();
        assert!(count > 0, "an operation cannot pick from an empty {}", std::any::type_name::<P>());
        let place = self.argument(Kind::Arg, |draw| below(draw, count));
        // What a saved deviation says may be of another run.
        let value = from.at_place(place.min(count - 1));
        self.say(|| words(&value));
        value
    }

    /// Draws what kind of operation it is, by weight. The first is the boring one.
    ///
    /// Runs differ in their weights: each kind is off in some of them, and more frequent than it is meant to be in others,
    /// unless the loop is [`steady`](super::Ops::steady). A weight of 0 is a kind that is never drawn.
    ///
    /// # Panics
    /// If all weights are zero.
    #[track_caller]
    pub fn choose<T: Clone + fmt::Debug>(&self, kinds: &[(u32, T)]) -> T {
        assert!(
            kinds.iter().any(|(weight, _)| *weight > 0),
            "an operation cannot choose among {} kinds without any weight: give at least one a weight above 0",
            kinds.len()
        );
        let weights: Vec<u64> = if self.0.swarmed {
            let given: Vec<_> = kinds.iter().map(|(weight, kind)| (words(kind), *weight)).collect();
            swarm::weights(self.0.seed, &given)
        } else {
            kinds.iter().map(|(weight, _)| u64::from(*weight)).collect()
        };
        let place = self.argument(Kind::Arg, |draw| {
            let mut left = below(draw, weights.iter().sum());
            let here = |weight: &u64| {
                let here = left < *weight;
                left = left.saturating_sub(*weight);
                here
            };
            weights.iter().position(here).unwrap_or(0) as u64
        });
        let kind = &kinds[(place as usize).min(kinds.len() - 1)].1;
        self.say(|| words(kind));
        kind.clone()
    }

    /// Draws an argument as a number, for what [`pick`](Op::pick) does not have: `dist` maps 64 random bits to a value, of
    /// which 0 is the boring one. [`say`](Op::say) tells reports what it means.
    #[track_caller]
    pub fn argument(&self, kind: Kind, dist: impl FnOnce(u64) -> u64) -> u64 {
        world::with(|w| w.check(self.0.world, "Op"));
        let number = part::ARGUMENT + self.0.drawn.fetch_add(1, Ordering::Relaxed);
        decision::decide(decision::part(self.0.name, number), kind, self.0.client, dist)
    }

    /// Adds to the words by which reports tell the operation. They are asked for only in a run that is logged.
    pub fn say(&self, words: impl FnOnce() -> String) {
        if self.0.listed.is_some() {
            let words = words();
            self.listed(|operation, _| operation.words.push(words));
        }
    }

    /// It had the effect that it was to have. A test in which no operation ever has tests nothing, and says so.
    pub fn succeeded(&self) {
        self.ends(Ok(()));
    }

    /// It had no effect, or it is not known whether it had one. The first word of how it ended counts.
    pub fn failed(&self, why: impl fmt::Display) {
        self.ends(Err(why.to_string()));
    }

    /// [`succeeded`](Op::succeeded) or [`failed`](Op::failed), as a result says.
    pub fn ended<T, E: fmt::Display>(&self, result: &Result<T, E>) {
        self.ends(result.as_ref().map(|_| ()).map_err(ToString::to_string));
    }

    fn ends(&self, how: Result<(), String>) {
        if self.0.told.swap(true, Ordering::Relaxed) {
            return;
        }
        self.with(|w| {
            let mut kernel = w.kernel();
            if how.is_ok() {
                kernel.stats().ops_succeeded += 1;
            }
            let Inner { index, label, listed, .. } = &*self.0;
            kernel.record(|| {
                let event = match &how {
                    Ok(()) => Event::new("op.succeeds", format!("operation {index} of {label}")),
                    Err(why) => Event::new("op.fails", format!("operation {index} of {label}: {why}")),
                };
                event.about(about(*listed))
            });
        });
        self.listed(|operation, now| operation.ended = Some((now, how)));
    }

    fn listed(&self, amend: impl FnOnce(&mut Operation, u64)) {
        let Some(place) = self.0.listed else { return };
        self.with(|w| {
            let mut kernel = w.kernel();
            let now = kernel.now();
            if let Some(operation) = kernel.log.as_mut().and_then(|log| log.operations.get_mut(place)) {
                amend(operation, now);
            }
        });
    }

    /// Does nothing outside of the operation's own run, and for what is left of a dead process.
    fn with(&self, f: impl FnOnce(&World)) {
        world::try_with(|w| {
            if w.id() == self.0.world && w.acts() {
                f(w);
            }
        });
    }
}

fn about(listed: Option<usize>) -> About {
    listed.map_or(About::Words, |place| About::Operation(place as u32))
}

/// A value as people write it: texts without quotes.
fn words(value: &impl fmt::Debug) -> String {
    let words = format!("{value:?}");
    match words.strip_prefix('"').and_then(|words| words.strip_suffix('"')) {
        Some(text) => text.to_owned(),
        None => words,
    }
}
