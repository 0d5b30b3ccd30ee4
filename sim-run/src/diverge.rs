//! Where two runs of one seed part, and what is behind it.
//!
//! Both runs are done again with everything recorded: events, polls and all decisions. Up to the first difference they
//! are one run, so what lies before it is what both have in common, and the poll that ran last there is the code that
//! asked something which no seed decides. How the runs differ says what that was.

use std::time::Duration;

use sim_core::decision::{Deviation, Kind};
use sim_core::trace::Entry;
use sim_core::{Decisions, Log, Schedule, Source};

use crate::Isolate;
use crate::isolate::{self, Plan, Trouble, Work};
use crate::run::{Sight, Trial, encode};

/// Pairs of runs that are recorded before it is given up: a leak need not show each time.
const PAIRS: usize = 8;
/// Events after the first difference in which the other run's event is looked for.
const NEAR: usize = 64;

/// What is said of the first difference between two runs of a seed, for people.
///
/// # Errors
/// When workers cannot be started.
pub(crate) fn find(
    plan: &Plan<'_>,
    schedule: Schedule,
    work: &Work<'_>,
    seed: u64,
) -> Result<Vec<String>, Trouble> {
    let Some((first, second)) = differing(plan, schedule, work, seed)? else {
        return Ok(vec![format!(
            "recorded, {PAIRS} pairs of runs of this seed took the same course: what decides seldom differs"
        )]);
    };
    let parting = Parting::of(&first.log, &second.log);
    let mut told = parting.tell(&first.log, &second.log);
    let of_process = plan.isolate == Isolate::Thread
        && Isolate::Process.here() == Isolate::Process
        && differing(&Plan { isolate: Isolate::Process, ..plan.clone() }, schedule, work, seed)?.is_none();
    let suspect = match of_process {
        // Nothing but what is in the process differs between the two ways of running it.
        true => {
            "what one run leaves to the next in its process: a static counter, a thread id, an address; runs in processes \
             of their own agree"
        }
        false => parting.suspect(&first.log, &second.log),
    };
    told.push(format!("suspect: {suspect}"));
    Ok(told)
}

/// Two recorded runs of the seed that differ.
fn differing(
    plan: &Plan<'_>,
    schedule: Schedule,
    work: &Work<'_>,
    seed: u64,
) -> Result<Option<(Sight, Sight)>, Trouble> {
    isolate::experiment(plan, work, |laboratory| {
        let trial = Trial { source: Source::Seeded(seed), schedule, decisions: Decisions::All, record: true };
        for _ in 0..PAIRS {
            let [first, second] = [(); 2].map(|()| laboratory.order(seed, encode(&trial)));
            let (first, second) = (Sight::of(laboratory.end(first)?), Sight::of(laboratory.end(second)?));
            if (first.trace, first.signature()) != (second.trace, second.signature()) {
                return Ok(Some((first, second)));
            }
        }
        Ok(None)
    })
}

/// How far two runs are the same.
#[derive(Debug, PartialEq, Eq)]
struct Parting {
    /// The events that they have in common.
    events: usize,
    /// The decisions that they have in common.
    decisions: usize,
}

impl Parting {
    fn of(first: &Log, second: &Log) -> Parting {
        Parting {
            events: common(&first.entries, &second.entries, same),
            decisions: common(&first.deviations, &second.deviations, PartialEq::eq),
        }
    }

    /// When the first decision that differs was drawn, if that was before the first event that differs.
    fn decided_first(&self, first: &Log, second: &Log) -> bool {
        let event = earliest(self.events, [&first.entries, &second.entries], |entry: &Entry| entry.at);
        let decision =
            earliest(self.decisions, [&first.deviations, &second.deviations], |decision: &Deviation| {
                decision.at
            });
        decision < event
    }

    fn tell(&self, first: &Log, second: &Log) -> Vec<String> {
        if self.is_hidden(first, second) {
            return vec![
                "all recorded events are alike: which of several tasks of one place they are about differs"
                    .to_owned(),
            ];
        }
        let mut told = Vec::new();
        let before = &first.entries[..self.events];
        told.push(match before.last() {
            Some(entry) => format!("in common until: {}", event(first, entry)),
            None => "in common: nothing".to_owned(),
        });
        for (which, log) in [("first", first), ("second", second)] {
            let next = match self.decided_first(first, second) {
                true => log.deviations.get(self.decisions).map(decision),
                false => log.entries.get(self.events).map(|entry| event(log, entry)),
            };
            told.push(format!("then the {which}: {}", next.unwrap_or_else(|| "its end".to_owned())));
        }
        if let Some(poll) = before.iter().rev().find(|entry| entry.event.name == "poll") {
            told.push(format!("between them: {}", event(first, poll)));
        }
        told
    }

    fn suspect(&self, first: &Log, second: &Log) -> &'static str {
        const ORDER: &str = "the order of a map or set: the same things happen in another order, as when code iterates over \
                             one that is hashed with keys of its own or by address";
        const CLOCK: &str = "a real clock: the same thing happens at another time";
        const ENTROPY: &str = "unseeded entropy, or another value of the host, such as a process id or the content of a \
                               file: the runs do and draw different things";
        if self.is_hidden(first, second) {
            return ORDER;
        }
        let [a, b] = [first, second].map(|log| &log.entries[self.events..]);
        match (a.first(), b.first()) {
            (Some(one), Some(other)) if comes_later(a, other) && comes_later(b, one) => ORDER,
            (Some(one), Some(other))
                if one.at != other.at && same(&Entry { at: other.at, ..one.clone() }, other) =>
            {
                CLOCK
            }
            _ => ENTROPY,
        }
    }

    /// Whether nothing that is recorded differs.
    fn is_hidden(&self, first: &Log, second: &Log) -> bool {
        [first, second]
            .iter()
            .all(|log| (log.entries.len(), log.deviations.len()) == (self.events, self.decisions))
    }
}

/// Whether what `wanted` tells is soon told there, too, at the same instant.
fn comes_later(entries: &[Entry], wanted: &Entry) -> bool {
    entries.iter().skip(1).take(NEAR).any(|entry| same(entry, wanted))
}

/// Whether two events look alike to who reads of them: what they follow from is not told.
fn same(one: &Entry, other: &Entry) -> bool {
    (one.at, one.node, &one.event.name, &one.event.detail)
        == (other.at, other.node, &other.event.name, &other.event.detail)
}

fn common<T>(first: &[T], second: &[T], same: fn(&T, &T) -> bool) -> usize {
    first.iter().zip(second).take_while(|(one, other)| same(one, other)).count()
}

/// The earlier of the times of what comes at that place in either run; no time is later than any.
fn earliest<T>(place: usize, runs: [&[T]; 2], at: impl Fn(&T) -> u64) -> u64 {
    runs.into_iter().filter_map(|run| run.get(place).map(&at)).min().unwrap_or(u64::MAX)
}

fn event(log: &Log, entry: &Entry) -> String {
    let node = log.nodes.get(entry.node.0 as usize).map_or("?", String::as_str);
    let what = &entry.event;
    let (name, of) = if what.name == "poll" { ("poll of the task", "") } else { (&*what.name, "") };
    format!("{name}{of} {} on {node} at {:?}", what.detail, Duration::from_nanos(entry.at))
}

fn decision(decision: &Deviation) -> String {
    let what = match decision.kind {
        Kind::Pick => "the choice of a ready task",
        Kind::Wake => "the priority of a wake",
        Kind::Delay => "the latency of a packet",
        Kind::Loss => "the loss of a packet",
        _ => {
            return format!(
                "decision {:?} = {} at {:?}",
                decision.kind,
                decision.value,
                Duration::from_nanos(decision.at)
            );
        }
    };
    format!("{what} = {} at {:?}", decision.value, Duration::from_nanos(decision.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::trace::Event;
    use sim_core::{Name, NodeId};

    fn log(events: &[(u64, &'static str)], decisions: &[(u64, Name, u64)]) -> Log {
        let entries = events.iter().map(|&(at, task)| Entry {
            at,
            node: NodeId(0),
            cause: 0,
            event: Event::new("poll", task),
        });
        let drawn = |&(at, name, value): &(u64, Name, u64)| Deviation {
            name,
            kind: Kind::Delay,
            target: 0,
            value,
            at,
        };
        Log {
            entries: entries.collect(),
            deviations: decisions.iter().map(drawn).collect(),
            nodes: vec!["harness".to_owned()],
            ..Log::default()
        }
    }

    fn suspect(first: &Log, second: &Log) -> &'static str {
        Parting::of(first, second).suspect(first, second)
    }

    #[test]
    fn the_suspect_follows_from_how_the_runs_differ() {
        let base = log(&[(1, "a"), (2, "b"), (2, "c")], &[(1, 7, 5), (2, 8, 5)]);
        assert!(
            suspect(&base, &log(&[(1, "a"), (2, "c"), (2, "b")], &[(1, 7, 5), (2, 8, 5)])).contains("order")
        );
        assert!(
            suspect(&base, &log(&[(1, "a"), (9, "b"), (9, "c")], &[(1, 7, 5), (9, 8, 5)])).contains("clock")
        );
        assert!(suspect(&base, &log(&[(1, "a"), (2, "d")], &[(1, 7, 5)])).contains("entropy"));
    }

    #[test]
    fn the_poll_between_and_both_ways_are_told() {
        let (first, second) = (log(&[(1, "a"), (2, "b")], &[]), log(&[(1, "a"), (3, "b")], &[]));
        let told = Parting::of(&first, &second).tell(&first, &second);
        let expected = [
            "in common until: poll of the task a on harness at 1ns",
            "then the first: poll of the task b on harness at 2ns",
            "then the second: poll of the task b on harness at 3ns",
            "between them: poll of the task a on harness at 1ns",
        ];
        assert_eq!(told, expected);
    }
}
