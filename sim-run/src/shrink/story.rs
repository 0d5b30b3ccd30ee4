//! A shrunk run as sentences, in the order of time.

use std::collections::BTreeMap;
use std::time::Duration;

use sim_core::Deviation;
use sim_core::decision::{Kind, Name};

use super::explain::Explained;
use super::pass::slot_of;
use super::scenario::Scenario;
use crate::run::Sight;

/// Tells what is left of a run, whose recorded repetition is `seen`.
pub(super) fn story(scenario: &Scenario, explained: &Explained, seen: &Sight) -> Vec<String> {
    let parts = scenario.parts();
    let mut sentences: Vec<(u64, String)> = Vec::new();
    for decision in scenario.decisions.values().filter(|d| !parts.contains_key(&d.name)) {
        let (at, what) = sentence(scenario, decision, seen);
        let mut remarks: Vec<&str> = Vec::new();
        remarks.extend(explained.needed.contains(&decision.name).then_some("needed"));
        remarks.extend(explained.any.get(&decision.name).into_iter().flatten());
        let remarks = if remarks.is_empty() { String::new() } else { format!("  [{}]", remarks.join("; ")) };
        sentences.push((at, format!("{what}{remarks}")));
    }
    sentences.sort();
    // Many packets that share a fate are one sentence.
    let mut told: Vec<(u64, String, usize)> = Vec::new();
    for (at, what) in sentences {
        match told.last_mut() {
            Some((_, last, times)) if *last == what => *times += 1,
            _ => told.push((at, what, 1)),
        }
    }
    let line = |(at, what, times): (u64, String, usize)| {
        let times = if times > 1 { format!("  ({times} times)") } else { String::new() };
        format!("{:?} {what}{times}", Duration::from_nanos(at / 1000 * 1000))
    };
    told.into_iter().map(line).collect()
}

/// Tells one decision of a run.
pub(super) fn told(scenario: &Scenario, name: Name, seen: &Sight) -> String {
    scenario.decisions.get(&name).map(|decision| sentence(scenario, decision, seen).1).unwrap_or_default()
}

fn sentence(scenario: &Scenario, decision: &Deviation, seen: &Sight) -> (u64, String) {
    let at = scenario.when(decision.name);
    let amount = || format!("{:?}", Duration::from_nanos(decision.value));
    let what = match decision.kind {
        Kind::Op => return operation(scenario, decision.name, at, seen),
        Kind::Fault => return fault(decision.name, at, seen),
        Kind::Loss => format!("{} is lost", packet(decision.target, seen)),
        Kind::Delay => format!("{} takes {} longer", packet(decision.target, seen), amount()),
        Kind::Reorder => format!("{} comes {} after its turn", packet(decision.target, seen), amount()),
        Kind::Duplicate => format!("{} comes twice", packet(decision.target, seen)),
        Kind::Corrupt => format!("{} is damaged", packet(decision.target, seen)),
        Kind::Disk => format!("the disk of {} differs by {}", node(decision.target, seen), decision.value),
        Kind::Dns => format!("the name service answers {} otherwise", node(decision.target, seen)),
        Kind::Cpu => format!("a poll on {} takes {} longer", node(decision.target, seen), amount()),
        Kind::Wake => match decision.value {
            1 => "a woken task is back at its normal place in line".to_owned(),
            value if value % 2 == 0 => "a woken task goes before others".to_owned(),
            _ => "a woken task waits for others".to_owned(),
        },
        Kind::Pick => format!("number {} of the ready tasks goes first", decision.value + 1),
        Kind::Hook => "a buggify! fires".to_owned(),
        kind => format!("{kind:?} {}", decision.value),
    };
    (at, what)
}

fn node(target: u64, seen: &Sight) -> String {
    let name = usize::try_from(target).ok().and_then(|number| seen.log.nodes.get(number));
    name.map_or_else(|| format!("node {target}"), Clone::clone)
}

/// The target of a link is its sender above its receiver.
fn packet(target: u64, seen: &Sight) -> String {
    format!("a packet from {} to {}", node(target >> 32, seen), node(target & 0xffff_ffff, seen))
}

fn operation(scenario: &Scenario, name: Name, at: u64, seen: &Sight) -> (u64, String) {
    if let Some(operation) = seen.log.operations.iter().find(|operation| operation.name == name) {
        return (operation.at, operation.to_string());
    }
    // One that a test draws by itself has no words.
    let arguments: BTreeMap<u64, u64> = scenario
        .parts()
        .values()
        .filter(|(of, number)| *of == name && *number > 10)
        .map(|(of, number)| (*number - 10, scenario.decisions[&sim_core::decision::part(*of, *number)].value))
        .collect();
    let said: Vec<String> = arguments.iter().map(|(number, value)| format!("{number}: {value}")).collect();
    match said.is_empty() {
        true => (at, "an operation".to_owned()),
        false => (at, format!("an operation (arguments {})", said.join(", "))),
    }
}

fn fault(name: Name, at: u64, seen: &Sight) -> (u64, String) {
    let slot = slot_of(name);
    let Some(fault) = seen.faults.iter().find(|fault| slot.is_some() && fault.slot == slot) else {
        return (at, "a fault".to_owned());
    };
    let text = fault.to_string();
    // The line has its instant already.
    let start = format!("{:?}", fault.start);
    let rest = text.strip_prefix(&start).unwrap_or(&text).trim_start();
    let rest = match rest.strip_prefix("to ").and_then(|rest| rest.split_once(' ')) {
        Some((end, what)) if end != "the" => format!("until {end}: {what}"),
        _ => rest.to_owned(),
    };
    (fault.start.as_nanos() as u64, rest)
}
