//! Tasks, wakers, schedules, and what is found when a run does not end.

use sim_core::time::{Duration, sleep};
use sim_core::{Config, FailureKind, JoinSet, Outcome, PanicPolicy, Schedule, Sim, run, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

const SCHEDULES: [&str; 4] = ["fifo", "random", "pos", "pct(3,64)"];

fn config(seed: u64, schedule: &str) -> Config {
    Config::seed(seed).schedule(schedule.parse().unwrap())
}

fn simulate<T: 'static, F: Future<Output = T> + 'static>(body: impl FnOnce(Sim) -> F) -> Outcome<T> {
    run(Config::seed(1), body)
}

/// Four tasks that wait in the same way write down who comes when.
fn order<F: Future<Output = ()> + 'static>(config: Config, wait: fn() -> F) -> Vec<u32> {
    let body = move |_| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for i in 0..4 {
            let order = order.clone();
            tasks.spawn(async move {
                wait().await;
                order.borrow_mut().push(i);
            });
        }
        tasks.join_all().await;
        order.take()
    };
    run(config, body).result.unwrap()
}

#[test]
fn every_schedule_but_fifo_shows_every_order_of_ready_tasks() {
    for schedule in SCHEDULES {
        let orders: BTreeSet<Vec<u32>> =
            (0..600).map(|seed| order(config(seed, schedule), yield_now)).collect();
        match schedule {
            "fifo" => assert_eq!(orders, BTreeSet::from([vec![0, 1, 2, 3]])),
            "pct(3,64)" => assert!(orders.len() >= 12, "{schedule}: {} of 24 orders", orders.len()),
            _ => assert_eq!(orders.len(), 24, "{schedule}"),
        }
    }
}

#[test]
fn equal_deadlines_fire_in_an_order_that_the_seed_decides() {
    let order = |seed| order(config(seed, "fifo"), || sleep(Duration::from_millis(5)));
    let orders: BTreeSet<Vec<u32>> = (0..300).map(order).collect();
    assert_eq!(orders.len(), 24);
    assert_eq!(order(5), order(5));
}

/// B must come when A has done 40 of its 60 steps and C all of its 20: two ordering constraints.
fn hits(schedule: &str, seeds: u64) -> usize {
    let hit = |&seed: &u64| {
        let body = |_| async {
            let (a, c, hit) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let steps = |n: u32, count: Rc<Cell<u32>>| async move {
                for _ in 0..n {
                    yield_now().await;
                    count.set(count.get() + 1);
                }
            };
            let mut tasks = JoinSet::new();
            tasks.spawn(steps(60, a.clone()));
            let seen = hit.clone();
            let (a2, c2) = (a.clone(), c.clone());
            tasks.spawn(async move {
                yield_now().await;
                seen.set((40..60).contains(&a2.get()) && c2.get() == 20);
            });
            tasks.spawn(steps(20, c));
            tasks.join_all().await;
            hit.get()
        };
        run(config(seed, schedule), body).result.unwrap()
    };
    (0..seeds).filter(hit).count()
}

#[test]
fn pct_finds_what_random_orders_do_not() {
    let (random, pct) = (hits("random", 3000), hits("pct(2,82)", 3000));
    assert!(pct >= 10 && pct > 5 * random, "pct {pct}, random {random} of 3,000 seeds");
}

#[test]
fn the_schedule_is_drawn_from_the_seed() {
    let of = |seed| Schedule::Portfolio.of_seed(seed);
    let kinds: BTreeSet<String> = (0..100).map(|s| of(s).to_string()[..3].to_string()).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert_eq!(
        run(Config::seed(3), |_| async {}).trace,
        run(Config::seed(3).schedule(of(3)), |_| async {}).trace
    );
}

#[test]
fn waking_twice_queues_once() {
    let polls = simulate(|_| async {
        let polls = Rc::new(Cell::new(0));
        let seen = polls.clone();
        let mut first = true;
        spawn(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            if std::mem::take(&mut first) {
                (0..5).for_each(|_| cx.waker().wake_by_ref());
            }
            Poll::<()>::Pending
        }));
        sleep(Duration::from_millis(1)).await;
        seen.get()
    });
    assert_eq!(polls.result.unwrap(), 2);
}

#[test]
fn handles_join_abort_and_report_panics() {
    let outcome = simulate(|sim| async move {
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);

        let dropped = Rc::new(Cell::new(false));
        let guard = OnDrop(dropped.clone());
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.abort();
        assert!(dropped.get() && task.is_finished());
        assert!(task.await.unwrap_err().is_cancelled());

        let forgiving = sim.node("forgiving").on_panic(PanicPolicy::Catch);
        let error = forgiving.spawn(async { panic!("on purpose") }).await.unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("on purpose"), "{error}");

        let mut set = JoinSet::new();
        for i in [3u64, 1, 2] {
            set.spawn(async move {
                sleep(Duration::from_secs(i)).await;
                i
            });
        }
        assert_eq!(set.join_all().await, [1, 2, 3]);
    });
    outcome.result.unwrap();
}

struct OnDrop(Rc<Cell<bool>>);
impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_panic_in_any_task_fails_the_run_and_names_its_place() {
    let outcome = simulate(|sim| async move {
        sim.node("order").spawn(async {
            sleep(Duration::from_millis(3)).await;
            panic!("boom {}", 1);
        });
        sleep(Duration::from_secs(1)).await;
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Panic, "boom 1"));
    assert!(failure.site.contains("executor.rs"), "{failure}");
    assert_eq!((failure.node.as_deref(), failure.at), (Some("order"), Duration::from_millis(3)));
    assert!(failure.task.unwrap().contains("executor.rs"));
}

#[test]
fn a_deadlock_says_what_every_task_waits_for() {
    let outcome = simulate(|sim| async move {
        sim.node("stuck").spawn(pending::<()>());
        pending::<()>().await
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Deadlock);
    assert_eq!(failure.details.len(), 2, "{:?}", failure.details);
    assert!(
        failure.details.iter().any(|d| d.starts_with("stuck: task spawned at") && d.contains("executor.rs"))
    );
}

#[test]
fn a_run_that_takes_too_long_is_ended() {
    let config = Config::seed(1).time_limit(Duration::from_secs(60));
    let outcome = run(config, |_| async {
        loop {
            sleep(Duration::from_secs(7)).await;
        }
        #[allow(unreachable_code)]
        ()
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!((failure.kind, failure.at), (FailureKind::TimeLimit, Duration::from_secs(60)));
}

#[test]
fn a_task_that_spins_is_found_and_named() {
    let outcome = simulate(|sim| async move {
        sim.node("spinner").spawn(async {
            loop {
                yield_now().await;
            }
            #[allow(unreachable_code)]
            ()
        });
        sleep(Duration::from_secs(1)).await;
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!((failure.kind, failure.node.as_deref()), (FailureKind::Spin, Some("spinner")));
    assert!(failure.message.contains("executor.rs"), "{failure}");
}

#[test]
fn an_honest_burst_at_one_instant_is_no_spin() {
    let outcome = simulate(|_| async {
        for _ in 0..100_000 {
            yield_now().await;
        }
    });
    outcome.result.unwrap();
}

#[test]
fn a_wake_from_another_thread_arrives_and_is_reported() {
    let outcome = simulate(|_| async {
        let mut woken = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            Poll::Pending
        })
        .await;
    });
    outcome.result.as_ref().unwrap();
    assert_eq!(outcome.stats.foreign_wakes, 1);
    assert!(outcome.notes[0].contains("other operating-system threads"));
}

#[test]
fn wakers_outlive_their_task_and_their_world() {
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    simulate(|_| async move {
        spawn(poll_fn(move |cx| {
            *keep.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }))
        .await
        .unwrap();
    });
    kept.borrow().as_ref().unwrap().wake_by_ref();
    let polls = simulate(|_| async move {
        kept.take().unwrap().wake();
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(polls.stats.foreign_wakes, 0);
}

#[test]
fn handles_of_another_world_panic_by_name_and_drop_in_silence() {
    let handle = simulate(|_| std::future::ready(spawn(async {}))).result.unwrap();
    let failure = simulate(|_| handle).result.unwrap_err();
    assert!(failure.message.contains("JoinHandle belongs to another simulation"), "{failure}");
    let (sleeping, node) =
        simulate(|sim| async move { (sleep(Duration::ZERO), sim.node("a")) }).result.unwrap();
    drop(sleeping);
    let failure = simulate(|_| async move { node.kill() }).result.unwrap_err();
    assert!(failure.message.contains("Node belongs to another simulation"), "{failure}");
}

#[test]
fn calls_outside_of_a_simulation_say_what_is_missing() {
    for call in [
        || drop(spawn(async {})),
        || drop(sleep(Duration::ZERO)),
        || {
            sim_core::rand::u64();
        },
    ] {
        let panic = std::panic::catch_unwind(call).unwrap_err();
        let message = sim_core::panics::message(panic.as_ref()).to_string();
        assert!(message.contains("needs a simulation around it"), "{message}");
    }
}

#[test]
fn a_run_inside_a_run_is_refused() {
    let outcome = simulate(|_| async { drop(run(Config::seed(1), |_| async {})) });
    assert!(outcome.result.unwrap_err().message.contains("already running"));
}

#[test]
fn channels_and_macros_of_futures_work() {
    use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc, select};
    let outcome = simulate(|_| async {
        let (mut send, mut receive) = mpsc::channel(1);
        spawn(async move {
            for i in 0..10 {
                sleep(Duration::from_millis(1)).await;
                send.send(i).await.unwrap();
            }
        });
        let mut sum = 0;
        let mut late = Box::pin(sleep(Duration::from_secs(1)).fuse());
        loop {
            select! {
                item = receive.next() => match item {
                    Some(i) => sum += i,
                    None => break,
                },
                () = late => panic!("nothing came"),
            }
        }
        futures::join!(sleep(Duration::from_secs(1)), sleep(Duration::from_secs(2)));
        sum
    });
    assert_eq!((outcome.result.unwrap(), outcome.now), (45, Duration::from_millis(2010)));
}

#[test]
fn ten_million_sleeps_leave_no_trace_in_memory() {
    // Ten million in release, where it takes a second.
    const ROUNDS: u32 = if cfg!(debug_assertions) { 500 } else { 10_000 };
    let outcome = run(config(1, "fifo"), |_| async {
        for _ in 0..ROUNDS {
            let mut tasks = JoinSet::new();
            for i in 0..10 {
                tasks.spawn(async move {
                    for k in 0..50 {
                        sleep(Duration::from_micros(i * 10 + k)).await;
                    }
                });
            }
            tasks.join_all().await;
        }
        for _ in 0..500 * ROUNDS {
            // A deadline that is set and cancelled, as every call over the network does.
            let mut sleeping = std::pin::pin!(sleep(Duration::from_secs(3600)));
            poll_fn(|cx| {
                assert!(sleeping.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
    });
    outcome.result.unwrap();
    assert!(outcome.stats.tasks > u64::from(10 * ROUNDS));
    assert!(outcome.stats.most_tasks < 20 && outcome.stats.most_events < 200, "{:?}", outcome.stats);
}

#[test]
fn handles_and_futures_may_be_sent_anywhere() {
    use sim_core::time::{Interval, Sleep, Timeout};
    fn plain<T: Send + Sync>(_: impl FnOnce() -> T) {}
    plain(|| -> Sleep { unreachable!() });
    plain(|| -> Timeout<Sleep> { unreachable!() });
    plain(|| -> Interval { unreachable!() });
    plain(|| -> sim_core::JoinHandle<Rc<()>> { unreachable!() });
    plain(|| -> JoinSet<Rc<()>> { unreachable!() });
    plain(|| -> sim_core::JoinError { unreachable!() });
    plain(|| -> sim_core::signal::Stopped { unreachable!() });
    plain(|| -> (Sim, sim_core::Node, sim_core::Clock) { unreachable!() });
    plain(|| sim_core::Sim::current().harness().stop());
}

#[test]
fn reports_call_a_task_by_its_name() {
    let outcome = simulate(|_| async {
        sim_core::spawn_named("refill", async { panic!("empty") });
        sleep(Duration::from_secs(1)).await;
    });
    let task = outcome.result.unwrap_err().task.unwrap();
    assert!(task.starts_with("\"refill\" spawned at") && task.contains("executor.rs"), "{task}");
}

#[test]
fn events_that_go_on_and_on_at_one_instant_are_found() {
    fn again(sim: Sim) {
        sim.after(Duration::ZERO, move || again(sim));
    }
    let failure = simulate(|sim| async move {
        again(sim);
        sleep(Duration::from_secs(1)).await;
    });
    let failure = failure.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Spin);
    assert!(failure.message.ends_with("an action of the test"), "{failure}");

    let failure = simulate(|sim| async move {
        let restart = sim_core::ExitPolicy::Restart(Duration::ZERO);
        sim.node("eager").on_exit(restart).run(|| async {});
        sleep(Duration::from_secs(1)).await;
    });
    let failure = failure.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Spin);
    assert!(failure.message.contains("node eager"), "{failure}");
}

#[test]
fn a_panic_that_is_raised_again_keeps_its_place() {
    let outcome = simulate(|sim| async move {
        let node = sim.node("a").on_panic(PanicPolicy::Catch);
        let mut set = JoinSet::new();
        set.spawn_on_node(async { panic!("first") }, node);
        sleep(Duration::from_millis(1)).await;
        let caught = std::panic::catch_unwind(|| panic!("second, which is caught"));
        assert!(caught.is_err());
        set.join_all().await
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.message, "first");
}
