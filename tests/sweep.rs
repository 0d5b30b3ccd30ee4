//! Sweeps: their report, their order, what stops them.

use std::time::Duration;

use sim::{FailureKind, Isolate, Run, Seeds, Sim, sweep, time};

async fn waits_its_seed(sim: Sim) -> u64 {
    time::sleep(Duration::from_secs(sim.seed())).await;
    sim.seed() * 2
}

#[test]
fn runs_are_reported_in_the_order_of_their_seeds() {
    for isolate in [Isolate::Process, Isolate::Thread] {
        let mut seen = Vec::new();
        let seeds = vec![9, 2, 77, 0, 5, 30, 41, 4, 12, 13, 14, 15, 16, 17, 18, 19, 20];
        let report = sweep(seeds.clone())
            .jobs(2)
            .isolate(isolate)
            .on_run(|run: &Run<u64>| {
                assert_eq!(run.now.as_secs(), run.seed);
                seen.push(*run.result.as_ref().unwrap());
            })
            .run(waits_its_seed);
        assert_eq!(seen, seeds.iter().map(|seed| seed * 2).collect::<Vec<_>>());
        assert_eq!(report.runs, 17);
        assert_eq!(report.simulated, Duration::from_secs(seeds.iter().sum()));
        assert_eq!(report.stats.tasks, 17);
    }
}

#[test]
fn a_later_sweep_finds_what_an_earlier_one_was_told() {
    let mut sum = 0;
    let earlier =
        sweep(0..10).on_run(|run: &Run<u64>| sum += run.result.as_ref().unwrap()).run(waits_its_seed);
    // The workers of this sweep come by the first one on their way here.
    let report = sweep(0..2)
        .on_run(|run: &Run<u64>| assert_eq!(run.result.as_ref().unwrap(), &90))
        .run(|_| async move { sum });
    assert!(earlier.failures.is_empty() && report.failures.is_empty(), "{report:?}");
    assert_eq!((sum, report.runs), (90, 2));
}

#[test]
fn the_report_follows_from_the_seeds_alone() {
    let report = |jobs, isolate| {
        let report = sweep(0..300).jobs(jobs).isolate(isolate).try_run(|sim: Sim| async move {
            waits_its_seed(sim).await;
            if sim.seed() % 100 == 99 { Err("the last of a hundred") } else { Ok(()) }
        });
        sim::SweepReport { elapsed: Duration::ZERO, ..report }
    };
    let first = report(1, Isolate::Process);
    assert_eq!(first.failures.iter().map(|failed| failed.seed).collect::<Vec<_>>(), [99, 199, 299]);
    assert_eq!(first.groups().len(), 1);
    assert_eq!(report(2, Isolate::Process), first);
    assert_eq!(report(2, Isolate::Thread), first);
    let other = sweep(1..301).isolate(Isolate::Thread).run(waits_its_seed);
    assert_ne!(other.trace, first.trace);
}

#[test]
fn a_sweep_stops_when_it_has_failures_enough() {
    for isolate in [Isolate::Process, Isolate::Thread] {
        let report = sweep(0..1_000_000).stop_after(2).isolate(isolate).run(|sim: Sim| async move {
            assert!(sim.seed() % 10 != 3, "a three");
        });
        assert_eq!(report.runs, 14);
        assert_eq!(report.failures.iter().map(|failed| failed.seed).collect::<Vec<_>>(), [3, 13]);
    }
}

#[test]
fn each_kind_of_failure_keeps_its_own() {
    let report = sweep(0..4).time_limit(Duration::from_secs(60)).run(|sim: Sim| async move {
        match sim.seed() {
            1 => std::future::pending().await,
            2 => time::sleep(Duration::from_secs(61)).await,
            3 => sim.violated("stock is never negative", "it was -1"),
            _ => {}
        }
    });
    let kinds: Vec<_> = report.failures.iter().map(|failed| failed.failure.kind).collect();
    assert_eq!(kinds, [FailureKind::Deadlock, FailureKind::TimeLimit, FailureKind::Invariant]);
    assert_eq!(report.failures[2].failure.signature(), "invariant stock is never negative");
}

#[test]
fn a_body_that_asks_outside_of_the_seed_is_found() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static RUNS: AtomicU64 = AtomicU64::new(1);
    // On a thread a static outlives the run; in processes it would not.
    let report = sweep(0..3).check_determinism(true).jobs(1).isolate(Isolate::Thread).run(|_| async {
        time::sleep(Duration::from_secs(RUNS.fetch_add(1, Ordering::Relaxed))).await;
    });
    let kinds: Vec<_> = report.failures.iter().map(|failed| failed.failure.kind).collect();
    assert_eq!(kinds, [FailureKind::Nondeterminism; 3]);
    assert!(report.failures[0].failure.details[0].contains("1s of virtual time"), "{:?}", report.failures[0]);
}

#[test]
fn remarks_are_grouped_in_the_report() {
    let report = sweep(10..20).isolate(Isolate::Thread).run(|sim: Sim| async move {
        sim.allow(["pthread_create"]);
        let mut wakes = match sim.seed() {
            13 => 2,
            17 => 1,
            _ => 0,
        };
        std::future::poll_fn(move |cx| {
            if wakes == 0 {
                return std::task::Poll::Ready(());
            }
            wakes -= 1;
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            std::task::Poll::Pending
        })
        .await;
    });
    let [note, allowed] = &report.notes[..] else { panic!("expected two notes: {:?}", report.notes) };
    assert_eq!((note.seed, note.runs), (13, 2));
    assert_eq!((allowed.seed, allowed.runs), (13, 2));
    assert!(allowed.text.starts_with("pthread_create was allowed and called 2 times"), "{allowed}");
    assert!(note.text.starts_with("2 wakes came from other operating-system threads"), "{note}");
    assert!(note.to_string().ends_with("(and 1 run more)"), "{note}");
    assert_eq!(sweep(0..3).isolate(Isolate::Thread).run(waits_its_seed).notes, []);
}

#[test]
fn no_seeds_are_no_runs() {
    let report = sweep(Seeds::from(5..5)).run(waits_its_seed);
    assert_eq!((report.runs, report.trace), (0, 0));
}

#[test]
#[should_panic(expected = "must survive serde's round trip")]
fn a_value_that_cannot_travel_is_said_to_be_one() {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
    }
    let mut said = String::new();
    sweep(0..1)
        .isolate(Isolate::Thread)
        .on_run(|run: &Run<Untagged>| {
            said = run.result.as_ref().map(|_| String::new()).unwrap_err().message.clone()
        })
        .run(|_| async { Untagged::Number(1) });
    panic!("{said}");
}
