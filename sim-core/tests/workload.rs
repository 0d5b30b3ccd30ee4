//! Operations of clients: which take place, when, with what arguments, and what is left when one is taken out.

use sim_core::decision::{Kind, part, root};
use sim_core::hash::text;
use sim_core::time::{Duration, sleep, timeout};
use sim_core::workload::{Operation, part as number};
use sim_core::{Config, Outcome, Sim, Source, rand, run, spawn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Deviations = BTreeMap<u64, u64>;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What an operation was, and the application randomness that follows from it.
type Done = (u64, Duration, &'static str, u32, u64);

/// Two clients whose operations overlap, and take their time.
async fn body(sim: Sim) -> BTreeMap<(&'static str, u64), Done> {
    let clients = ["alice", "bob"].map(|name| {
        let mut ops = sim.node(name).ops(12).every(ms(100)).starting_at(ms(50));
        sim.node(name).spawn(async move {
            let mut running = Vec::new();
            while let Some(op) = ops.next().await {
                let began = sim.elapsed();
                running.push(spawn(async move {
                    let kind = op.choose(&[(3, "read"), (1, "write")]);
                    let amount = op.pick(1..=100u32);
                    let jitter = rand::range(0..300);
                    sleep(ms(jitter)).await;
                    op.succeeded();
                    (op.index(), began, kind, amount, jitter)
                }));
            }
            let mut done = BTreeMap::new();
            for task in running {
                let what: Done = task.await.unwrap();
                done.insert((name, what.0), what);
            }
            done
        })
    });
    let mut all = BTreeMap::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    all
}

fn go(config: Config) -> Outcome<BTreeMap<(&'static str, u64), Done>> {
    run(config.record(), body)
}

fn deviations<T>(outcome: &Outcome<T>) -> Deviations {
    outcome.log.as_ref().unwrap().deviations.iter().map(|d| (d.name, d.value)).collect()
}

fn explicit(seed: u64, deviations: Deviations) -> Config {
    Config::seed(seed).source(Source::Explicit { seed, deviations: Arc::new(deviations) })
}

fn op(client: &str, index: u64) -> u64 {
    root(Kind::Op, text(client), index)
}

#[test]
fn operations_follow_from_the_seed_and_begin_in_their_stretch() {
    let mut mixtures = BTreeSet::new();
    let mut loads = BTreeSet::new();
    for seed in 0..40 {
        let done = go(Config::seed(seed)).result.unwrap();
        assert_eq!(done, go(Config::seed(seed)).result.unwrap());
        for (index, began, _, amount, _) in done.values() {
            let stretch = ms(50 + 100 * index)..ms(150 + 100 * index);
            assert!(stretch.contains(began), "operation {index} began at {began:?}");
            assert!((1..=100).contains(amount));
        }
        loads.insert(done.len());
        mixtures.insert(done.values().map(|done| done.2).collect::<BTreeSet<_>>());
    }
    assert!(loads.contains(&24) && loads.first() < Some(&14), "clients are more or less busy: {loads:?}");
    assert_eq!(mixtures.len(), 3, "kinds are off in some runs: {mixtures:?}");
}

#[test]
fn a_steady_client_does_all_that_it_may_as_its_weights_are() {
    let mut writes = 0;
    for seed in 0..40 {
        let outcome = run(Config::seed(seed), |sim| async move {
            let mut ops = sim.harness().ops(50).every(ms(1)).steady();
            let mut writes = 0;
            while let Some(op) = ops.next().await {
                writes += u32::from(op.choose(&[(3, "read"), (1, "write"), (0, "never")]) == "write");
            }
            writes
        });
        assert_eq!(outcome.stats.ops, 50);
        writes += outcome.result.unwrap();
    }
    assert!((400..600).contains(&writes), "a quarter of 2000: {writes}");
}

#[test]
fn a_run_is_its_deviations() {
    for seed in 0..30 {
        let whole = go(Config::seed(seed));
        let again = go(explicit(seed, deviations(&whole)));
        assert_eq!((again.trace, again.result), (whole.trace, whole.result), "seed {seed}");
    }
}

#[test]
fn a_run_without_deviations_has_no_operations() {
    let none = go(explicit(1, Deviations::new()));
    assert!(none.result.unwrap().is_empty());
    assert_eq!((none.stats.ops, none.now), (0, Duration::ZERO));
}

#[test]
fn taking_one_out_leaves_the_others_as_they_were() {
    let mut taken = 0;
    for seed in 0..12 {
        let whole = go(Config::seed(seed));
        let all = deviations(&whole);
        let done = whole.result.unwrap();
        for &(client, index) in done.keys() {
            let mut rest = all.clone();
            assert!(rest.remove(&op(client, index)).is_some());
            let mut expected = done.clone();
            expected.remove(&(client, index));
            assert_eq!(
                go(explicit(seed, rest)).result.unwrap(),
                expected,
                "seed {seed}, without {index} of {client}"
            );
            taken += 1;
        }
    }
    assert!(taken > 100, "{taken} were taken out");
}

#[test]
fn an_operation_takes_place_when_and_how_its_decisions_say() {
    let (first, second) = (op("alice", 3), op("alice", 7));
    let only = Deviations::from([
        (first, 1),
        (part(first, number::AT), 5_000_000),
        (part(first, number::ARGUMENT + 1), 41),
        (second, 1),
        (part(second, number::ARGUMENT), 1),
    ]);
    let done = go(explicit(1, only)).result.unwrap();
    let of = |index| {
        let (_, began, kind, amount, _) = done[&("alice", index)];
        (began, kind, amount)
    };
    assert_eq!((of(3), of(7)), ((ms(55), "read", 42), (ms(50), "write", 1)));
    assert_eq!(done.len(), 2);
}

#[test]
fn values_out_of_range_are_the_last_in_it() {
    let name = op("alice", 0);
    let only = Deviations::from([
        (name, 9),
        (part(name, number::ARGUMENT), u64::MAX),
        (part(name, number::ARGUMENT + 1), 1_000),
    ]);
    let done = go(explicit(1, only)).result.unwrap();
    assert_eq!((done[&("alice", 0)].2, done[&("alice", 0)].3), ("write", 100));
}

#[test]
fn another_seed_from_an_instant_on_changes_only_what_comes_after_it() {
    let until = 600_000_000;
    let before = |done: &BTreeMap<(&'static str, u64), Done>| -> Vec<Done> {
        done.values().filter(|done| done.1.as_nanos() < u128::from(until)).copied().collect()
    };
    let plain = go(Config::seed(5)).result.unwrap();
    let mut later = BTreeSet::new();
    for then in 0..20 {
        let done = go(Config::seed(5).source(Source::Spliced { seed: 5, until, then })).result.unwrap();
        let when = |done: &Vec<Done>| done.iter().map(|d| (d.0, d.1, d.2, d.3)).collect::<Vec<_>>();
        assert_eq!(when(&before(&done)), when(&before(&plain)));
        let after: Vec<Duration> =
            done.values().map(|done| done.1).filter(|began| began.as_nanos() >= u128::from(until)).collect();
        later.insert(after);
    }
    assert!(later.len() > 15, "what comes after it is drawn anew: {} courses", later.len());
}

#[test]
fn a_loop_that_waits_is_late_and_says_so() {
    let outcome = run(Config::seed(1).record(), |sim| async move {
        let mut ops = sim.harness().ops(5).every(ms(10)).steady();
        let mut began = Vec::new();
        while let Some(op) = ops.next().await {
            began.push((op.index(), sim.elapsed()));
            sleep(ms(100)).await;
        }
        began
    });
    let log = outcome.log.unwrap();
    let began = outcome.result.unwrap();
    assert_eq!(began.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for (pair, operation) in began.windows(2).zip(&log.operations[1..]) {
        assert_eq!(pair[1].1 - pair[0].1, ms(100));
        let drawn = log.deviations.iter().find(|d| d.name == part(operation.name, number::AT));
        assert_eq!(operation.at - operation.late, drawn.unwrap().value);
    }
}

#[test]
fn nothing_is_lost_when_the_wait_for_the_next_is_given_up() {
    let outcome = run(Config::seed(1), |sim| async move {
        let mut ops = sim.harness().ops(10).every(ms(50)).steady();
        let (mut seen, mut given_up) = (Vec::new(), 0);
        loop {
            match timeout(ms(7), ops.next()).await {
                Ok(Some(op)) => seen.push(op.index()),
                Ok(None) => break,
                Err(_) => given_up += 1,
            }
        }
        assert!(given_up > 20);
        seen
    });
    assert_eq!(outcome.result.unwrap(), (0..10).collect::<Vec<_>>());
}

#[test]
fn reports_have_the_words() {
    let outcome = run(Config::seed(2).record(), |sim| async move {
        let mut ops = sim.node("shop").ops(2).steady();
        let mut other = sim.node("shop").ops(1).steady();
        while let Some(op) = ops.next().await {
            op.choose(&[(1, "place")]);
            op.pick(3..4);
            op.pick(&["red"]);
            match op.index() {
                0 => op.ended(&Ok::<(), String>(())),
                _ => op.failed("no answer"),
            }
            op.succeeded();
        }
        other.next().await.unwrap();
    });
    let log = outcome.log.unwrap();
    let told: Vec<String> = log.operations.iter().map(Operation::to_string).collect();
    let expected = [
        "operation 0 of shop: place 3, red",
        "operation 1 of shop: place 3, red (failed: no answer)",
        "operation 0 of shop (2)",
    ];
    assert_eq!(told, expected);
    let events: Vec<_> =
        log.entries.iter().map(|e| &*e.event.name).filter(|name| name.starts_with("op.")).collect();
    assert_eq!(events, ["op.begins", "op.succeeds", "op.begins", "op.fails", "op.begins"]);
    assert_eq!((outcome.stats.ops, outcome.stats.ops_succeeded), (3, 1), "the first word counts");
}

#[test]
#[should_panic(expected = "cannot pick from an empty")]
fn nothing_can_be_picked_from_nothing() {
    let outcome = run(Config::seed(1), |sim| async move {
        let op = sim.harness().ops(1).steady().next().await.unwrap();
        op.pick::<&[u8]>(&[]);
    });
    panic!("{}", outcome.result.unwrap_err().message);
}

#[test]
#[should_panic(expected = "give at least one a weight above 0")]
fn kinds_without_weight_are_refused() {
    let outcome = run(Config::seed(1), |sim| async move {
        let op = sim.harness().ops(1).steady().next().await.unwrap();
        op.choose(&[(0, "read")]);
    });
    panic!("{}", outcome.result.unwrap_err().message);
}
