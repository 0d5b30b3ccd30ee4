//! The search for a smaller run: what is best so far, what was tried, what may still be spent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::scenario::Scenario;
use super::subject::{Request, Subject, Verdict};

/// What the executions of a pass are taken from, so that none starves the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purse {
    /// Taking things out.
    Plain,
    /// Trading one thing for another: exchange, pairs, repair, flip.
    Trade,
    /// Other application randomness.
    Randomness,
    /// Times and values.
    Values,
}

/// How many executions each purse holds.
const PLAIN: usize = 500;
const TRADE: usize = 500;
const RANDOMNESS: usize = 500;
const ALL: usize = 2_000;

/// What may be spent.
pub(super) struct Budget<'s> {
    left: [usize; 4],
    pub(super) executions: usize,
    /// Whether the time is over. It only cuts the search short: what is found until then does not depend on it.
    late: &'s dyn Fn() -> bool,
    /// What was not done for lack of time or executions.
    pub(super) undone: BTreeSet<&'static str>,
}

impl<'s> Budget<'s> {
    pub(super) fn new(late: &'s dyn Fn() -> bool) -> Budget<'s> {
        let left = [PLAIN, TRADE, RANDOMNESS, ALL - PLAIN - TRADE - RANDOMNESS];
        Budget { left, executions: 0, late, undone: BTreeSet::new() }
    }

    /// Takes one execution for a pass; false when there is none left.
    fn take(&mut self, (purse, pass): (Purse, &'static str)) -> bool {
        let left = &mut self.left[purse as usize];
        if *left == 0 || (self.late)() {
            self.undone.insert(pass);
            return false;
        }
        *left -= 1;
        self.executions += 1;
        true
    }
}

/// A failure of another kind that was met on the way.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) signature: String,
    /// The smallest run that ends with it.
    pub(crate) scenario: Scenario,
    /// How often it was met.
    pub(crate) times: usize,
}

/// The state of the search.
pub(super) struct Search<'s> {
    pub(super) subject: &'s mut dyn Subject,
    pub(super) signature: String,
    pub(super) best: Scenario,
    pub(super) budget: Budget<'s>,
    /// The highest value that each argument had in the run that failed at first, by its number.
    pub(super) highest: BTreeMap<u64, u64>,
    pub(super) findings: BTreeMap<String, Finding>,
    /// Candidates that did not fail. Those that did are not kept: a bisection may come by them again.
    refused: BTreeSet<u64>,
    pub(super) pass: (Purse, &'static str),
}

impl<'s> Search<'s> {
    pub(super) fn new(
        subject: &'s mut dyn Subject,
        signature: String,
        best: Scenario,
        late: &'s dyn Fn() -> bool,
    ) -> Search<'s> {
        let mut highest = BTreeMap::new();
        for (name, (_, number)) in best.parts() {
            let most: &mut u64 = highest.entry(number).or_default();
            *most = (*most).max(best.decisions[&name].value);
        }
        Search {
            subject,
            signature,
            best,
            budget: Budget::new(late),
            highest,
            findings: BTreeMap::new(),
            refused: BTreeSet::new(),
            pass: (Purse::Plain, "prune"),
        }
    }

    /// Does a pass on the executions of a purse.
    pub(super) fn pass(&mut self, purse: Purse, name: &'static str, f: impl FnOnce(&mut Search<'s>)) {
        let before = std::mem::replace(&mut self.pass, (purse, name));
        f(self);
        self.pass = before;
    }

    /// Tries candidates in their order and takes the first that fails in the same way; gives its place.
    ///
    /// As many as the subject can do are tried at once, but what comes after the first success does not count, neither
    /// as result nor as execution: nothing depends on how many they are.
    pub(super) fn first(&mut self, candidates: impl IntoIterator<Item = Scenario>) -> Option<usize> {
        let mut candidates = candidates.into_iter().enumerate();
        let mut waiting = VecDeque::new();
        let won = loop {
            while waiting.len() < self.subject.width() {
                let Some((place, scenario)) = candidates.next() else { break };
                let key = scenario.key();
                if scenario != self.best && !self.refused.contains(&key) {
                    let run = self.subject.begin(&Request::Known { scenario: scenario.clone(), all: false });
                    waiting.push_back((place, key, scenario, run));
                }
            }
            let Some((place, key, scenario, run)) = waiting.pop_front() else { break None };
            // An equal one may have been refused since this one began.
            if self.refused.contains(&key) {
                self.subject.forget(run);
                continue;
            }
            if !self.budget.take(self.pass) {
                self.subject.forget(run);
                break None;
            }
            let verdict = self.subject.verdict(run);
            if self.adopt(&scenario, &verdict) {
                break Some(place);
            }
            self.refused.insert(key);
        };
        waiting.into_iter().for_each(|(.., run)| self.subject.forget(run));
        won
    }

    pub(super) fn try_one(&mut self, candidate: Scenario) -> bool {
        self.first([candidate]).is_some()
    }

    /// Does one run of which all decisions are listed, the boring ones, too.
    pub(super) fn look(&mut self, scenario: &Scenario) -> Option<Verdict> {
        if !self.budget.take(self.pass) {
            return None;
        }
        let run = self.subject.begin(&Request::Known { scenario: scenario.clone(), all: true });
        Some(self.subject.verdict(run))
    }

    /// Whether each of these runs fails in the same way. None of them becomes the best.
    pub(super) fn judge(&mut self, candidates: &[Scenario]) -> Vec<bool> {
        let mut fails = Vec::new();
        for chunk in candidates.chunks(self.subject.width().max(1)) {
            let known = |scenario: &Scenario| Request::Known { scenario: scenario.clone(), all: false };
            let runs: Vec<u64> = chunk.iter().map(|scenario| self.subject.begin(&known(scenario))).collect();
            for run in runs {
                if !self.budget.take(self.pass) {
                    self.subject.forget(run);
                    continue;
                }
                let verdict = self.subject.verdict(run);
                fails.push(verdict.signature.as_deref() == Some(&self.signature));
            }
        }
        fails
    }

    /// Takes a run as the best if it fails in the same way. What it did not ask for is no longer part of it.
    pub(super) fn adopt(&mut self, scenario: &Scenario, verdict: &Verdict) -> bool {
        match &verdict.signature {
            Some(signature) if *signature == self.signature => {
                self.best = Scenario::new(scenario.seed, verdict.decisions.iter().copied());
                true
            }
            Some(other) => {
                let read = Scenario::new(scenario.seed, verdict.decisions.iter().copied());
                let finding = self.findings.entry(other.clone()).or_insert_with(|| Finding {
                    signature: other.clone(),
                    scenario: read.clone(),
                    times: 0,
                });
                finding.times += 1;
                if read.size() < finding.scenario.size() {
                    finding.scenario = read;
                }
                false
            }
            None => false,
        }
    }
}
