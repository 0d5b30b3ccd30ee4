//! Passes on a pure model: a run asks for some decisions and fails or not, as a function says.

use std::collections::BTreeMap;

use sim_core::Deviation;
use sim_core::decision::{Kind, Name, part, root};
use sim_core::hash::mix;

use crate::shrink::scenario::Scenario;
use crate::shrink::subject::{Request, Subject, Verdict};
use crate::shrink::{Found, search};

const SIGNATURE: &str = "invariant of the model";

/// What of a scenario the run asks for, boring decisions included, and what breaks.
type Run<'f> = dyn Fn(&Scenario) -> (Vec<Deviation>, Option<&'static str>) + 'f;

struct Model<'f> {
    run: &'f Run<'f>,
    width: usize,
    begun: u64,
    verdicts: BTreeMap<u64, Verdict>,
}

impl Subject for Model<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn begin(&mut self, request: &Request) -> u64 {
        let Request::Known { scenario, all } = request else { panic!("no strip is drawn here") };
        let (mut decisions, signature) = (self.run)(scenario);
        if !all {
            decisions.retain(|d| d.value != 0);
        }
        let verdict = Verdict { signature: signature.map(str::to_owned), decisions, faults: Vec::new() };
        self.begun += 1;
        self.verdicts.insert(self.begun, verdict);
        self.begun
    }

    fn verdict(&mut self, run: u64) -> Verdict {
        self.verdicts.remove(&run).expect("a run has one verdict")
    }

    fn forget(&mut self, run: u64) {
        self.verdicts.remove(&run);
    }
}

fn decision(name: Name, kind: Kind, value: u64, at: u64) -> Deviation {
    Deviation { name, kind, target: 1, value, at }
}

fn operation(index: u64, argument: u64) -> [Deviation; 3] {
    let (name, at) = (root(Kind::Op, 1, index), 1_000_000_000 * index + 7);
    [
        decision(name, Kind::Op, 1, at),
        decision(part(name, 1), Kind::At, at, at),
        decision(part(name, 11), Kind::Arg, argument, at),
    ]
}

fn packet(number: u64) -> Deviation {
    decision(mix(number), Kind::Loss, 1, 1_000_000 * number)
}

fn shrink(width: usize, start: &Scenario, run: &Run<'_>) -> Found {
    let mut model = Model { run, width, begun: 0, verdicts: BTreeMap::new() };
    let found = search(&mut model, start.clone(), SIGNATURE, &|| false).expect("the start fails");
    assert!(model.verdicts.is_empty(), "every verdict was asked for or forgotten");
    found
}

/// All that the scenario has is asked for.
fn read(scenario: &Scenario) -> Vec<Deviation> {
    scenario.decisions.values().copied().collect()
}

fn present(scenario: &Scenario, index: u64) -> bool {
    scenario.decisions.contains_key(&root(Kind::Op, 1, index))
}

fn crowd() -> Scenario {
    let operations = (0..40).flat_map(|index| operation(index, 1 + index % 5));
    Scenario::new(9, operations.chain((0..200).map(packet)))
}

fn two_and_a_packet(scenario: &Scenario) -> (Vec<Deviation>, Option<&'static str>) {
    let fails =
        present(scenario, 11) && present(scenario, 30) && scenario.decisions.contains_key(&packet(77).name);
    (read(scenario), fails.then_some(SIGNATURE))
}

#[test]
fn what_is_not_needed_goes() {
    let found = shrink(1, &crowd(), &two_and_a_packet);
    let size = found.best.size();
    assert_eq!((size.operations, size.faults, size.others), (2, 0, 1), "{:?}", found.best);
    assert!(found.executions < 150, "{} executions", found.executions);
    assert!(found.undone.is_empty(), "{:?}", found.undone);
    assert!(found.best.of_kind(Kind::Arg).next().is_none(), "arguments are boring");
    let needed = [root(Kind::Op, 1, 11), root(Kind::Op, 1, 30), packet(77).name];
    assert!(needed.iter().all(|name| found.explained.needed.contains(name)));
}

#[test]
fn the_result_does_not_depend_on_how_many_run_at_a_time() {
    let alone = shrink(1, &crowd(), &two_and_a_packet);
    for width in [2, 3, 8] {
        let found = shrink(width, &crowd(), &two_and_a_packet);
        assert_eq!((found.best, found.executions), (alone.best.clone(), alone.executions), "{width}");
    }
}

#[test]
fn time_is_taken_out_and_instants_are_round() {
    let found = shrink(2, &crowd(), &two_and_a_packet);
    let instants: Vec<u64> = found.best.of_kind(Kind::At).map(|d| d.value).collect();
    assert!(instants.iter().all(|at| *at < 100_000_000), "{instants:?}");
}

#[test]
fn delays_go_when_other_randomness_does_without_them() {
    // One draw of application randomness in eight fails by itself.
    let run = |scenario: &Scenario| {
        let lucky = mix(scenario.seed).is_multiple_of(8);
        let delayed = (0..20).all(|number| scenario.decisions.contains_key(&packet(number).name));
        (read(scenario), (present(scenario, 3) && (lucky || delayed)).then_some(SIGNATURE))
    };
    let start = Scenario::new(2, operation(3, 1).into_iter().chain((0..20).map(packet)));
    assert!(!mix(start.seed).is_multiple_of(8));
    let found = shrink(2, &start, &run);
    assert_eq!((found.best.size().operations, found.best.size().others), (1, 0), "{:?}", found.best);
}

#[test]
fn a_fault_moves_to_an_earlier_slot() {
    const SLOT: u64 = 2_000_000_000;
    let fault = |slot: u64, value| Deviation {
        target: 0,
        ..decision(root(Kind::Fault, 0, slot), Kind::Fault, value, slot * SLOT)
    };
    let after = |slot: u64, value| Deviation {
        kind: Kind::FaultAt,
        name: part(fault(slot, 1).name, 1),
        value,
        ..fault(slot, 1)
    };
    // An operation fails in the second after a fault began.
    let run = |scenario: &Scenario| {
        let value =
            |d: Deviation| Deviation { value: scenario.decisions.get(&d.name).map_or(0, |d| d.value), ..d };
        let faults: Vec<u64> = (0..10)
            .filter(|slot| value(fault(*slot, 1)).value != 0)
            .map(|slot| slot * SLOT + value(after(slot, 1)).value)
            .collect();
        let at = value(operation(9, 0)[1]).value;
        let fails =
            present(scenario, 9) && faults.iter().any(|begin| (*begin..begin + 1_000_000_000).contains(&at));
        let op = operation(9, 0).map(value).map(|d| Deviation { at, ..d });
        let asked = (0..10).flat_map(|slot| [value(fault(slot, 1)), value(after(slot, 1))]);
        (asked.chain(op).collect(), fails.then_some(SIGNATURE))
    };
    let late = Scenario::new(1, operation(9, 1).into_iter().chain([fault(4, 7), after(4, 900_000_000)]));
    let found = shrink(1, &late, &run);
    let [fault] = &found.best.of_kind(Kind::Fault).collect::<Vec<_>>()[..] else {
        panic!("{:?}", found.best)
    };
    assert_eq!((fault.at, fault.value), (0, 7), "{:?}", found.best);
    assert_eq!(found.best.decisions.len(), 2, "{:?}", found.best);
}

#[test]
fn arguments_grow_so_that_operations_can_go() {
    let sum = |scenario: &Scenario| {
        let sum: u64 = (0..40)
            .filter(|index| present(scenario, *index))
            .map(|index| part(root(Kind::Op, 1, index), 11))
            .map(|argument| 1 + scenario.decisions.get(&argument).map_or(0, |d| d.value.min(5)))
            .sum();
        let asked = (0..40).filter(|index| present(scenario, *index)).flat_map(|index| {
            let [op, at, _] = operation(index, 0);
            let value = |d: Deviation| Deviation {
                value: scenario.decisions.get(&d.name).map_or(0, |d| d.value),
                ..d
            };
            [op, value(at), value(operation(index, 0)[2])]
        });
        (asked.collect(), (sum > 10).then_some(SIGNATURE))
    };
    let found = shrink(2, &crowd(), &sum);
    assert_eq!(found.best.size().operations, 2, "{:?}", found.best);
}

#[test]
fn decisions_that_were_renamed_are_bound_again() {
    // The name of the packet follows from whether operation 5 took place, which the failure does not need.
    let renamed = |scenario: &Scenario| {
        let mut packet = packet(if present(scenario, 5) { 1_000 } else { 2_000 });
        packet.at = 5;
        packet.value = scenario.decisions.get(&packet.name).map_or(0, |d| d.value);
        let operations = scenario.decisions.values().filter(|d| d.kind != Kind::Loss).copied();
        let fails = packet.value != 0 && present(scenario, 7);
        (operations.chain([packet]).collect(), fails.then_some(SIGNATURE))
    };
    let start = Scenario::new(1, [5, 7].into_iter().flat_map(|i| operation(i, 1)).chain([packet(1_000)]));
    let found = shrink(1, &start, &renamed);
    assert_eq!((found.best.size().operations, found.best.size().others), (1, 1), "{:?}", found.best);
}

#[test]
fn other_failures_do_not_count_and_are_kept() {
    let other = |scenario: &Scenario| {
        let signature = match (present(scenario, 3), present(scenario, 4)) {
            (true, true) => Some(SIGNATURE),
            (true, false) => Some("panic elsewhere"),
            _ => None,
        };
        (read(scenario), signature)
    };
    let found = shrink(2, &crowd(), &other);
    assert_eq!(found.best.size().operations, 2);
    let [finding] = &found.findings[..] else { panic!("{:?}", found.findings) };
    assert_eq!(finding.signature, "panic elsewhere");
    assert_eq!(finding.scenario.size().operations, 1);
}

#[test]
fn two_wakes_become_a_late_one() {
    let wake = |number, value| Deviation { target: number, ..decision(mix(number), Kind::Wake, value, 50) };
    let order = |scenario: &Scenario| {
        let value = |number| scenario.decisions.get(&mix(number)).map_or(0, |d| d.value);
        let sooner = [1, 2].iter().all(|number| value(*number) >= 2 && value(*number) % 2 == 0);
        let later = value(3) % 2 == 1 && value(3) > 1;
        let asked = (1..4).map(|number| wake(number, value(number))).collect();
        (asked, (sooner || later).then_some(SIGNATURE))
    };
    let found = shrink(1, &Scenario::new(1, [wake(1, 40), wake(2, 60)]), &order);
    assert_eq!(found.best.size().others, 1, "{:?}", found.best);
    assert_eq!(found.best.decisions[&mix(3)].value, 3, "{:?}", found.best);
}

#[test]
fn what_time_cuts_short_is_said() {
    let mut model = Model { run: &two_and_a_packet, width: 1, begun: 0, verdicts: BTreeMap::new() };
    let found = search(&mut model, crowd(), SIGNATURE, &|| true).expect("the start fails");
    assert_eq!(found.executions, 1);
    assert!(found.undone.contains(&"pruning"), "{:?}", found.undone);
    assert_eq!(found.best, crowd());
}

#[test]
fn a_start_that_does_not_fail_is_refused() {
    let passes = |scenario: &Scenario| (read(scenario), None);
    let mut model = Model { run: &passes, width: 1, begun: 0, verdicts: BTreeMap::new() };
    assert!(search(&mut model, crowd(), SIGNATURE, &|| false).is_none());
}
