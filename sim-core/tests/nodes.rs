//! The life and death of processes.

use sim_core::time::{Duration, sleep};
use sim_core::{
    Config, ExitPolicy, FailureKind, Node, Outcome, PanicPolicy, Sim, run, signal, spawn, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::rc::Rc;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn simulate<T: 'static, F: Future<Output = T> + 'static>(body: impl FnOnce(Sim) -> F) -> Outcome<T> {
    run(Config::seed(1), body)
}

/// A program that counts its starts and, every millisecond, its ticks.
fn ticker(node: Node) -> (Rc<Cell<u32>>, Rc<Cell<u32>>) {
    let (starts, ticks) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let counts = (starts.clone(), ticks.clone());
    node.run(move || {
        let (starts, ticks) = counts.clone();
        async move {
            starts.set(starts.get() + 1);
            loop {
                sleep(ms(1)).await;
                ticks.set(ticks.get() + 1);
            }
            #[allow(unreachable_code)]
            ()
        }
    });
    (starts, ticks)
}

#[test]
fn a_program_starts_anew_after_kill_power_cut_and_restart() {
    simulate(|sim| async move {
        let node = sim.node("a");
        let (starts, ticks) = ticker(node);
        sleep(ms(10)).await;
        assert!(starts.get() == 1 && ticks.get() >= 9);
        for (i, end) in [Node::kill, Node::power_cut].into_iter().enumerate() {
            end(node);
            assert_eq!((node.is_running(), node.is_up()), (false, i == 0));
            let before = ticks.get();
            sleep(ms(10)).await;
            assert_eq!(ticks.get(), before, "nothing of a dead process runs");
            node.start();
            sleep(ms(10)).await;
            assert_eq!(starts.get(), 2 + i as u32);
            assert!(ticks.get() > before);
        }
        node.restart();
        node.restart();
        sleep(ms(10)).await;
        assert_eq!(starts.get(), 4, "two restarts at one instant start one process");
    })
    .result
    .unwrap();
}

#[test]
fn pause_and_freeze_stand_still_and_resume_goes_on() {
    simulate(|sim| async move {
        let node = sim.node("a");
        let (starts, ticks) = ticker(node);
        for still in [Node::pause, Node::freeze] {
            sleep(ms(10)).await;
            still(node);
            assert!(node.is_still());
            let before = ticks.get();
            sleep(ms(10)).await;
            assert_eq!(ticks.get(), before);
            node.resume();
            sleep(ms(10)).await;
            assert!(ticks.get() > before);
        }
        assert_eq!(starts.get(), 1);
    })
    .result
    .unwrap();
}

#[test]
fn a_graceful_stop_is_awaited_and_a_deaf_process_is_killed_in_the_end() {
    simulate(|sim| async move {
        let node = sim.node("polite");
        let cleaned = Rc::new(Cell::new(false));
        let clean = cleaned.clone();
        node.run(move || {
            let clean = clean.clone();
            async move {
                signal::stopped().await;
                sleep(ms(30)).await;
                clean.set(true);
            }
        });
        sleep(ms(1)).await;
        let start = sim.elapsed();
        node.stop().await;
        assert!(cleaned.get() && node.is_up() && !node.is_running());
        assert_eq!(sim.elapsed() - start, ms(30));

        let slow = sim.node("slow").run(|| async {
            signal::stopped().await;
            pending::<()>().await
        });
        sleep(ms(1)).await;
        let start = sim.elapsed();
        slow.stop_within(ms(500)).await;
        assert_eq!(sim.elapsed() - start, ms(500));

        let deaf = sim.node("deaf").run(pending::<()>);
        sleep(ms(1)).await;
        let start = sim.elapsed();
        deaf.stop().await;
        assert_eq!(sim.elapsed(), start, "who does not listen is ended at once, as by SIGTERM's default");
    })
    .result
    .unwrap();
}

#[test]
fn programs_that_fail_follow_the_policy_of_their_node() {
    let failing = || async {
        sleep(ms(5)).await;
        Err::<(), _>("disk on fire")
    };
    let outcome = simulate(|sim| async move {
        sim.node("a").run(failing);
        sleep(ms(100)).await;
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!((failure.kind, failure.signature().as_str()), (FailureKind::Program, "program a"));
    assert!(failure.message.contains("disk on fire"));

    simulate(|sim| async move {
        sim.node("ignored").on_exit(ExitPolicy::Ignore).run(failing);
        let starts = Rc::new(Cell::new(0));
        let count = starts.clone();
        sim.node("again").on_exit(ExitPolicy::Restart(ms(5))).run(move || {
            count.set(count.get() + 1);
            failing()
        });
        sleep(ms(99)).await;
        assert_eq!(starts.get(), 10);
    })
    .result
    .unwrap();
}

#[test]
fn a_panic_kills_or_restarts_the_process_where_the_policy_says_so() {
    simulate(|sim| async move {
        let starts = Rc::new(Cell::new(0));
        let count = starts.clone();
        let node = sim.node("fragile").on_panic(PanicPolicy::Restart(ms(10))).run(move || {
            count.set(count.get() + 1);
            async {
                sleep(ms(10)).await;
                spawn(async { panic!("fragile") });
                pending::<()>().await
            }
        });
        sleep(ms(99)).await;
        assert_eq!(starts.get(), 5);
        node.on_panic(PanicPolicy::Kill);
        sleep(ms(30)).await;
        assert!(!node.is_running() && starts.get() == 6, "the restart that was planned, and none after it");
    })
    .result
    .unwrap();
}

struct Noisy(Rc<RefCell<Vec<String>>>);

impl Drop for Noisy {
    fn drop(&mut self) {
        // What a destructor of a dead process tries: none of it may happen.
        self.0.borrow_mut().push("dropped".into());
        let say = |what: &'static str| {
            let log = self.0.clone();
            move || log.borrow_mut().push(what.into())
        };
        let (ran, elsewhere, later) = (say("ran"), say("ran elsewhere"), say("ran later"));
        spawn(async move { ran() });
        Sim::current().node("b").spawn(async move { elsewhere() });
        Sim::current().after(ms(1), later);
        Sim::current().node("b").kill();
    }
}

#[test]
fn destructors_of_a_dead_process_have_no_effect() {
    for end in [Node::kill, Node::power_cut] {
        let outcome = simulate(move |sim| async move {
            let log = Rc::new(RefCell::new(Vec::new()));
            let (_, ticks) = ticker(sim.node("b"));
            let node = sim.node("a");
            let noisy = Noisy(log.clone());
            let task = node.spawn(async move {
                let _noisy = noisy;
                pending::<()>().await
            });
            yield_now().await;
            end(node);
            assert!(task.await.unwrap_err().is_cancelled());
            sleep(ms(10)).await;
            assert!(ticks.get() > 5, "another node goes on");
            log.take()
        });
        assert_eq!(outcome.result.unwrap(), ["dropped"]);
    }
}

#[test]
fn a_process_that_kills_itself_does_no_more() {
    let outcome = simulate(|sim| async move {
        let node = sim.node("a");
        let log = Rc::new(RefCell::new(Vec::new()));
        let seen = log.clone();
        let task = node.spawn(async move {
            node.kill();
            let ghost = log.clone();
            spawn(async move { ghost.borrow_mut().push("ghost") });
            yield_now().await;
            log.borrow_mut().push("after");
        });
        assert!(task.await.unwrap_err().is_cancelled());
        sleep(ms(1)).await;
        seen.take()
    });
    assert!(outcome.result.unwrap().is_empty());
}

#[test]
fn a_destructor_that_panics_fails_the_run() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("bad destructor");
        }
    }
    let outcome = simulate(|sim| async move {
        let node = sim.node("a");
        let bad = Bad;
        node.spawn(async move {
            let _bad = bad;
            pending::<()>().await
        });
        yield_now().await;
        node.kill();
        sleep(ms(1)).await;
    });
    assert_eq!(outcome.result.unwrap_err().message, "bad destructor");
}

#[test]
fn what_is_spawned_on_a_node_without_power_is_cancelled() {
    simulate(|sim| async move {
        let node = sim.node("a");
        node.power_cut();
        assert!(node.spawn(async {}).await.unwrap_err().is_cancelled());
        node.start();
        node.spawn(async {}).await.unwrap();
    })
    .result
    .unwrap();
}

/// Two requests a microsecond apart on one node, each a check and an act with a yield between.
fn overlaps(cost: Duration) -> bool {
    let outcome = simulate(move |sim| async move {
        let node = sim.node("a").cores(1).poll_cost(cost..=cost);
        let (inside, overlap) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        for i in 0..2 {
            let (inside, overlap) = (inside.clone(), overlap.clone());
            node.spawn(async move {
                sleep(Duration::from_micros(1 + i)).await;
                inside.set(inside.get() + 1);
                yield_now().await;
                overlap.set(overlap.get() | (inside.get() > 1));
                inside.set(inside.get() - 1);
            });
        }
        sleep(ms(10)).await;
        overlap.get()
    });
    assert_eq!(outcome.stats.put_off > 0, cost > Duration::ZERO);
    outcome.result.unwrap()
}

#[test]
fn polls_that_cost_time_let_requests_overlap() {
    assert!(
        !overlaps(Duration::ZERO),
        "with polls that take no time the first is through before the second comes"
    );
    assert!(overlaps(Duration::from_micros(50)));
}

#[test]
fn cores_share_the_work() {
    let duration = |cores| {
        let outcome = simulate(move |sim| async move {
            let node = sim.node("a").cores(cores).poll_cost(ms(1)..=ms(1));
            let tasks: Vec<_> = (0..8).map(|_| node.spawn(async {})).collect();
            for task in tasks {
                task.await.unwrap();
            }
            sim.elapsed()
        });
        outcome.result.unwrap()
    };
    assert_eq!((duration(1), duration(4)), (ms(7), ms(1)));
}

#[test]
fn addresses_are_given_by_order_and_can_be_chosen() {
    simulate(|sim| async move {
        let (a, b) = (sim.node("a"), sim.node("b"));
        assert_eq!(a, sim.node("a"));
        assert_eq!(a.address().to_string(), "10.0.0.2");
        assert_eq!(b.addresses()[1].to_string(), "fd00::3");
        b.with_addresses(["192.168.7.7".parse().unwrap()]);
        assert_eq!(b.address().to_string(), "192.168.7.7");
    })
    .result
    .unwrap();
    let outcome = simulate(|sim| async move {
        let taken = sim.node("a").address();
        sim.node("b").add_address(taken);
    });
    let message = outcome.result.unwrap_err().message;
    assert!(message.contains("10.0.0.2") && message.contains("\"a\""), "{message}");
}

#[test]
fn no_fault_touches_the_harness() {
    let faults: [fn(Node); 9] = [
        Node::kill,
        Node::power_cut,
        Node::pause,
        Node::freeze,
        |node| drop(node.stop()),
        |node| _ = node.run(|| async {}),
        |node| _ = node.on_panic(PanicPolicy::Kill),
        |node| _ = node.poll_cost(ms(1)..=ms(1)),
        |node| _ = node.clock().drift_ppm(1),
    ];
    for (i, fault) in faults.into_iter().enumerate() {
        let outcome = simulate(move |sim| async move {
            fault(sim.harness());
            if i == 4 {
                sim.harness().stop().await;
            }
        });
        let message = outcome.result.unwrap_err().message;
        assert!(message.starts_with("the harness cannot"), "{i}: {message}");
    }
}

#[test]
fn a_restarted_process_finds_its_cores_free() {
    simulate(|sim| async move {
        let node = sim.node("a").poll_cost(ms(500)..=ms(500));
        (0..10).for_each(|_| drop(node.spawn(async {})));
        sleep(ms(1)).await;
        node.kill();
        let start = sim.elapsed();
        node.spawn(async {}).await.unwrap();
        assert_eq!(sim.elapsed(), start);
    })
    .result
    .unwrap();
}

#[test]
fn destructors_at_the_end_of_a_run_may_ask_for_the_time() {
    struct Asks;
    impl Drop for Asks {
        fn drop(&mut self) {
            assert!(sim_core::host::monotonic().is_some() && sim_core::host::stamp().is_some());
            let _ = (sim_core::time::Instant::now(), sim_core::rand::u64());
            spawn(async {});
            Sim::current().after(ms(1), || {});
        }
    }
    let outcome = simulate(|sim| async move {
        let (action, program, task) = (Asks, Asks, Asks);
        sim.after(ms(60_000), move || drop(action));
        let program = Rc::new(program);
        sim.node("a").run(move || {
            let _kept = program.clone();
            pending::<()>()
        });
        spawn(async move {
            let _kept = task;
            pending::<()>().await
        });
        yield_now().await;
    });
    outcome.result.unwrap();
    simulate(|_| async {}).result.unwrap();
}

#[test]
fn the_census_counts_what_is_alive() {
    simulate(|sim| async move {
        assert_eq!(sim.census(), (1, 0));
        let node = sim.node("a");
        node.spawn(sleep(ms(5)));
        sleep(ms(1)).await;
        assert_eq!(sim.census(), (2, 1));
        node.kill();
        assert_eq!(sim.census(), (1, 0));
    })
    .result
    .unwrap();
}

#[test]
fn a_name_that_could_mean_something_else_is_refused() {
    for (name, why) in [
        ("", "at least one character"),
        ("a b", "no colon, white space"),
        ("db:80", "no colon, white space"),
        ("10.9.9.9", "means an address"),
        ("LocalHost", "means an address"),
        ("Payment", "there is a node \"payment\""),
    ] {
        let outcome = sim_core::run(sim_core::Config::seed(1), move |sim| async move {
            sim.node("payment");
            sim.node(name);
        });
        let message = outcome.result.unwrap_err().message;
        assert!(message.starts_with(&format!("a node cannot be called {name:?}: ")), "{message}");
        assert!(message.contains(why), "{message}");
    }
    let outcome = sim_core::run(sim_core::Config::seed(1), |sim| async move {
        sim.node("Db-1");
        sim.node("db_2");
        sim.node("2nd");
        sim.node("Db-1").name()
    });
    assert_eq!(outcome.result.unwrap(), "Db-1");
}

#[test]
fn an_address_that_is_not_one_machines_is_refused() {
    for address in ["255.255.255.255", "::ffff:10.0.0.9", "0.0.0.0", "127.0.0.1", "ff02::1"] {
        let outcome = sim_core::run(sim_core::Config::seed(1), move |sim| async move {
            sim.node("a").with_addresses([address.parse().unwrap()]);
        });
        assert!(outcome.result.unwrap_err().message.starts_with(address));
    }
}
