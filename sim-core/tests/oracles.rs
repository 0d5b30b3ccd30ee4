//! Invariants, `eventually` and liveness: planted mistakes that they find, and mended ones that they let pass.

use sim_core::fs::File;
use sim_core::oracle::{NotInTime, View, eventually};
use sim_core::time::{Duration, sleep};
use sim_core::{Config, Failure, FailureKind, Outcome, Sim, Tolerance, run, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn failure<T: std::fmt::Debug>(outcome: Outcome<T>) -> Failure {
    outcome.result.unwrap_err()
}

/// A shelf of three from which somebody takes one each second, and, at the same instant and in a poll of its own, another
/// puts one back. Planted: it is taken without a look.
async fn shop(sim: Sim, careless: bool, watched: bool) {
    let stock = Rc::new(Cell::new(3));
    if watched {
        let shelf = stock.clone();
        sim.invariant("stock never negative", move |_| match shelf.get() {
            0.. => Ok(()),
            less => Err(format!("{less} on hand")),
        });
    }
    let catalog = sim.node("catalog");
    let (shelf, returned) = (stock.clone(), stock.clone());
    catalog.spawn(async move {
        for second in 1..=5 {
            sleep(secs(1)).await;
            if careless || shelf.get() > 0 {
                shelf.set(shelf.get() - 1);
            }
            if second == 4 {
                let shelf = returned.clone();
                // It never shows to whoever looks between two instants.
                spawn(async move { shelf.set(shelf.get() + 1) });
            }
        }
    });
    sleep(secs(10)).await;
}

#[test]
fn an_invariant_is_found_broken_at_the_step_that_breaks_it() {
    let broken = failure(run(Config::seed(1), |sim| shop(sim, true, true)));
    assert_eq!(broken.signature(), "invariant stock never negative");
    assert_eq!((broken.kind, broken.message.as_str()), (FailureKind::Invariant, "-1 on hand"));
    // A moment later, at the same instant, it holds again.
    assert_eq!((broken.at, broken.node.as_deref()), (secs(4), Some("catalog")));
    assert!(broken.task.as_ref().is_some_and(|task| task.contains("oracles.rs")), "{broken:?}");
    assert!(broken.details[0].starts_with("after step "), "{broken:?}");
    assert!(broken.details[0].contains("the last event was a wake of the task spawned at "), "{broken:?}");
    run(Config::seed(1), |sim| shop(sim, false, true)).result.unwrap();
}

#[test]
fn an_invariant_leaves_the_run_as_it_is() {
    for seed in 0..20 {
        let with = run(Config::seed(seed), |sim| shop(sim, false, true));
        let without = run(Config::seed(seed), |sim| shop(sim, false, false));
        assert_eq!((with.trace, with.stats), (without.trace, without.stats));
    }
}

#[test]
fn it_is_checked_after_each_step_and_never_without_one() {
    let outcome = run(Config::seed(1), |sim| async move {
        let steps = Rc::new(RefCell::new(Vec::new()));
        let seen = steps.clone();
        sim.invariant("steps are counted", move |view| seen.borrow_mut().push(view.step()));
        for _ in 0..100 {
            sleep(secs(60)).await;
        }
        steps.take()
    });
    let steps = outcome.result.unwrap();
    assert_eq!(steps.len(), 100, "the first poll, and one after each sleep but the last");
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
}

#[test]
fn what_must_only_grow_is_compared_with_what_was_seen_before() {
    let falls = |to: u64| {
        run(Config::seed(1), move |sim| async move {
            let committed = Rc::new(Cell::new(0));
            let (index, mut highest) = (committed.clone(), 0);
            sim.invariant("the commit index never falls", move |_| {
                let fallen = index.get() < highest;
                highest = highest.max(index.get());
                !fallen
            });
            for n in [1, 5, to] {
                sleep(secs(1)).await;
                committed.set(n);
            }
            sleep(secs(1)).await;
        })
    };
    falls(5).result.unwrap();
    let broken = failure(falls(4));
    assert_eq!((broken.message.as_str(), broken.at), ("false", secs(3)));
}

#[test]
fn it_sees_machines_and_faults_from_outside() {
    let outcome = run(Config::seed(1), |sim| async move {
        // Its second process ends of itself.
        let processes = Cell::new(0);
        let node = sim.node("primary").run(move || {
            processes.set(processes.get() + 1);
            let ends = processes.get() == 2;
            async move { sleep(if ends { secs(2) } else { secs(3600) }).await }
        });
        sim.invariant("the primary runs unless a fault is on", |view: &View| {
            let primary = view.node("primary");
            let excused = !view.faults_on().is_empty() || view.elapsed() < ms(1);
            assert_eq!((view.nodes().len(), view.faults().len()), (1, view.stats().faults as usize));
            primary.is_running() || excused
        });
        sleep(secs(1)).await;
        node.kill();
        sleep(secs(1)).await;
        node.start();
        sleep(secs(10)).await;
    });
    let broken = failure(outcome);
    assert_eq!(
        (broken.signature().as_str(), broken.at),
        ("invariant the primary runs unless a fault is on", secs(4))
    );
    assert_eq!(broken.node.as_deref(), Some("primary"));
}

#[test]
fn an_event_that_is_no_poll_is_a_step_too() {
    let broken = failure(run(Config::seed(1), |sim| async move {
        let [a, b] = ["a", "b"].map(|name| sim.node(name).run(|| async { sleep(secs(3600)).await }));
        sim.invariant("one is up", |view| view.nodes().into_iter().any(|node| node.is_up()));
        sim.after(secs(3), move || a.power_cut());
        sim.after(secs(4), move || b.power_cut());
        sleep(secs(10)).await;
    }));
    assert_eq!((broken.signature().as_str(), broken.at), ("invariant one is up", secs(4)));
    assert!(broken.details[0].ends_with("the last event was an action of the test"), "{broken:?}");
    assert_eq!(broken.task, None);
}

/// A store that acknowledges what it has written. Planted: it does so before it is synced.
async fn store(sim: Sim, hasty: bool) {
    let acknowledged = Rc::new(Cell::new(false));
    let told = acknowledged.clone();
    sim.node("store").spawn(async move {
        sleep(secs(1)).await;
        let mut log = File::create("/wal").await?;
        File::open("/").await?.sync_all().await?;
        log.write_all(b"record").await?;
        if hasty {
            told.set(true);
        }
        log.sync_data().await?;
        told.set(true);
        std::io::Result::Ok(())
    });
    sim.invariant("what is acknowledged is durable", move |view| {
        let store = view.node("store");
        if acknowledged.get() {
            assert_eq!(store.read("/wal").unwrap(), b"record");
            assert_eq!(store.durable().read("/wal"), Some(&b"record"[..]), "it is not synced");
        }
    });
    sleep(secs(3)).await;
}

#[test]
fn it_sees_what_is_on_disks() {
    let broken = failure(run(Config::seed(1), |sim| store(sim, true)));
    assert_eq!(broken.signature(), "invariant what is acknowledged is durable");
    run(Config::seed(1), |sim| store(sim, false)).result.unwrap();
}

#[test]
fn an_assertion_in_a_check_is_a_violation() {
    let broken = failure(run(Config::seed(1), |sim| async move {
        let sum = Rc::new(Cell::new(10));
        let money = sum.clone();
        sim.invariant("money conserved", move |_| assert_eq!(money.get(), 10, "somebody took it"));
        sleep(secs(1)).await;
        sum.set(9);
        sleep(secs(1)).await;
    }));
    assert_eq!((broken.signature().as_str(), broken.at), ("invariant money conserved", secs(1)));
    assert!(broken.message.contains("somebody took it"), "{broken}");
    assert!(broken.details[1].contains("oracles.rs"), "{broken:?}");
}

#[test]
fn a_check_that_acts_is_an_error() {
    let acts = failure(run(Config::seed(1), |sim| async move {
        sim.invariant("looks only", move |_| _ = spawn(async {}));
        sleep(secs(1)).await;
    }));
    assert_eq!(acts.kind, FailureKind::Error);
    assert!(acts.message.contains("\"looks only\" has changed the world"), "{acts}");
}

#[test]
fn a_check_may_add_an_invariant() {
    let broken = failure(run(Config::seed(1), |sim| async move {
        let mut added = false;
        sim.invariant("outer", move |_| {
            if !std::mem::replace(&mut added, true) {
                sim.invariant("inner", |view| view.elapsed() < secs(2));
            }
        });
        sleep(secs(5)).await;
        sleep(secs(5)).await;
    }));
    assert_eq!((broken.signature().as_str(), broken.at), ("invariant inner", secs(5)));
}

/// Something that is done after so long.
fn done_after(sim: Sim, after: Duration) -> Rc<Cell<bool>> {
    let done = Rc::new(Cell::new(false));
    let set = done.clone();
    sim.node("worker").spawn(async move {
        sleep(after).await;
        set.set(true);
    });
    done
}

#[test]
fn eventually_returns_at_the_instant_at_which_it_holds() {
    let outcome = run(Config::seed(1), |sim| async move {
        let done = done_after(sim, ms(1234));
        eventually(secs(30), || done.get()).await.unwrap();
        let at_once = sim.elapsed();
        let found = eventually(secs(30), || Some(7).filter(|_| done.get())).await.unwrap();
        let asked = done_after(sim, ms(100));
        eventually(secs(30), async || asked.get()).await.unwrap();
        (at_once, found, sim.elapsed())
    });
    assert_eq!(outcome.result.unwrap(), (ms(1234), 7, ms(1334)));
    assert!(outcome.stats.polls < 20, "it is not polled through idle time: {:?}", outcome.stats);
}

#[test]
fn eventually_says_what_it_saw_last() {
    let outcome = run(Config::seed(1), |sim| async move {
        let done = done_after(sim, secs(10));
        let saw = || if done.get() { Ok(()) } else { Err(format!("not done at {:?}", sim.elapsed())) };
        let early = eventually(secs(9), saw).await.unwrap_err();
        let told = early.to_string();
        // At the deadline itself it is looked at once more.
        eventually(secs(1), saw).await.unwrap();
        (early, told)
    });
    let (NotInTime { within, saw, looks, answered, .. }, told) = outcome.result.unwrap();
    assert_eq!((within, saw.as_deref(), answered), (secs(9), Some("not done at 9s"), true));
    assert!(looks <= 4, "{looks}");
    assert!(told.starts_with("what is waited for at sim-core/tests/oracles.rs:"), "{told}");
    assert!(told.ends_with("saw: not done at 9s"), "{told}");
}

#[test]
fn a_condition_that_takes_time_is_asked_again_and_cut_off_at_the_deadline() {
    let outcome = run(Config::seed(1), |sim| async move {
        let done = done_after(sim, ms(500));
        let mut asked = 0;
        eventually(secs(30), async || {
            asked += 1;
            sleep(ms(5)).await;
            done.get()
        })
        .await
        .unwrap();
        let at = sim.elapsed();
        let never = eventually(secs(2), async || sleep(secs(3600)).await).await.unwrap_err();
        (asked, at, never.saw, never.answered, sim.elapsed() - at)
    });
    let (asked, at, saw, answered, took) = outcome.result.unwrap();
    assert!((5..10).contains(&asked) && at < secs(1), "asked {asked} times until {at:?}");
    assert_eq!((saw, answered, took), (None, false, secs(2)));
}

#[test]
fn those_who_wait_do_not_keep_each_other_awake() {
    let outcome = run(Config::seed(1), |sim| async move {
        let waiting: Vec<_> = (0..3)
            .map(|_| spawn(async { eventually(secs(60), || false).await.unwrap_err().looks }))
            .collect();
        for _ in 0..10 {
            sleep(secs(1)).await;
            yield_now().await;
        }
        let mut looks = Vec::new();
        for waiter in waiting {
            looks.push(waiter.await.unwrap());
        }
        (looks, sim.elapsed())
    });
    let (looks, at) = outcome.result.unwrap();
    assert_eq!(at, secs(60));
    assert!(looks.iter().all(|looks| (10..20).contains(looks)), "{looks:?}");
}

#[test]
fn who_stops_waiting_leaves_nothing() {
    let outcome = run(Config::seed(1), |sim| async move {
        for _ in 0..100 {
            let waiter = spawn(async { eventually(secs(3600), || false).await });
            sleep(ms(1)).await;
            waiter.abort();
        }
        sleep(ms(1)).await;
        sim.census()
    });
    assert_eq!(outcome.result.unwrap(), (1, 0));
}

/// Three of which two are enough; `kills` of them die, by hand or of themselves, before all or a core is healed.
async fn group(sim: Sim) -> [sim_core::Node; 3] {
    let nodes = ["a", "b", "c"].map(|name| sim.node(name).run(|| async { sleep(secs(3600)).await }));
    sim.tolerate_of(["a", "b", "c"], Tolerance::new().down(1));
    sleep(secs(1)).await;
    nodes
}

fn dead(sim: Sim) -> impl std::future::Future<Output = ()> {
    sim.liveness("writes are done", secs(10), || Err::<(), _>("no leader"))
}

#[test]
fn a_system_that_does_not_go_on_after_healing_has_no_excuse() {
    let broken = failure(run(Config::seed(1), |sim| async move {
        let [a, ..] = group(sim).await;
        a.kill();
        sleep(secs(1)).await;
        sim.heal().await;
        dead(sim).await;
    }));
    assert_eq!(
        (broken.signature().as_str(), broken.at),
        ("liveness writes are done", secs(12) + Duration::from_nanos(1))
    );
    assert_eq!(broken.message, "not within 10s; it last saw: no leader; no fault explains it");
    assert_eq!(
        broken.details,
        [
            "all faults were ended at 2s",
            "of a, b, c: nobody is in trouble; well: a, b, c",
            "ended then: kill of a since 1s"
        ]
    );
}

#[test]
fn a_system_that_goes_on_passes() {
    let outcome = run(Config::seed(1), |sim| async move {
        let [a, b, _] = group(sim).await;
        a.kill();
        sim.heal().await;
        sim.liveness("they run", secs(10), || a.is_running() && b.is_running()).await;
        sim.elapsed()
    });
    assert!(outcome.result.unwrap() < ms(1001));
}

#[test]
fn after_a_core_the_tolerated_are_no_excuse() {
    let mut left_out = 0;
    for seed in 0..20 {
        let broken = failure(run(Config::seed(seed), |sim| async move {
            group(sim).await;
            let core = sim.heal_core().await;
            assert!(core.broken.len() <= 1, "{core:?}");
            dead(sim).await;
        }));
        if broken.details[0].contains("nobody out") {
            assert!(broken.message.ends_with("no fault explains it"), "{broken}");
        } else {
            left_out += 1;
            assert!(broken.message.ends_with("what is broken the system was declared to stand"), "{broken}");
            assert!(
                broken.details[0].starts_with("a core was healed at 1s; broken for good: "),
                "{broken:?}"
            );
            assert!(
                broken.details.iter().any(|line| line.starts_with("still on: power-cut of ")),
                "{broken:?}"
            );
            assert!(broken.details.iter().any(|line| line.ends_with(" has no power")), "{broken:?}");
        }
    }
    assert!((5..=15).contains(&left_out), "{left_out} of 20 lost a node");
}

#[test]
fn too_much_that_is_broken_is_said_first() {
    let broken = failure(run(Config::seed(1), |sim| async move {
        let [a, b, _] = group(sim).await;
        sim.heal().await;
        a.kill();
        b.pause();
        dead(sim).await;
    }));
    let excess =
        "more is broken than the system was declared to stand: of a, b, c 2 are down, the tolerance is 1";
    assert!(broken.message.ends_with(excess), "{broken}");
    assert!(broken.details.contains(&"of a, b, c: down: a, b; well: c".to_owned()), "{broken:?}");
    assert!(broken.details.contains(&"a does not run its program".to_owned()), "{broken:?}");
    assert!(broken.details.contains(&"b stands still".to_owned()), "{broken:?}");
}

#[test]
fn without_healing_and_tolerance_the_message_says_so() {
    let broken = failure(run(Config::seed(1), |sim| async move {
        let node = sim.node("only").run(|| async { sleep(secs(3600)).await });
        sleep(secs(1)).await;
        node.kill();
        dead(sim).await;
    }));
    assert!(broken.message.ends_with("faults are on that no declared tolerance counts: 1"), "{broken}");
    assert_eq!(broken.details[0], "faults were not ended before: neither heal nor heal_core was called");
}

#[test]
fn no_core_is_healed_where_no_tolerance_is_declared() {
    let refused = failure(run(Config::seed(1), |sim| async move {
        sim.node("catalog").run(|| async { sleep(secs(3600)).await });
        sim.node("payment").run(|| async { sleep(secs(3600)).await });
        sim.tolerate_of(["catalog"], Tolerance::new().skewed(1));
        sim.heal_core().await;
    }));
    assert_eq!(refused.kind, FailureKind::Panic);
    assert!(refused.site.contains("oracles.rs") && refused.message.contains("tolerate_of"), "{refused}");
}

#[test]
fn a_tolerance_for_a_node_that_is_not_there_is_refused() {
    let refused = failure(run(Config::seed(1), |sim| async move {
        sim.node("a");
        sim.tolerate_of(["a", "b"], Tolerance::new().down(1));
    }));
    assert!(refused.message.contains("a tolerance is declared for \"b\""), "{refused}");
}
