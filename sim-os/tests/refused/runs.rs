//! What a refused call does to its run, and to no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use libc::EAGAIN;
use sim_core::{Config, FailureKind, Outcome, PanicPolicy};

use super::cases::{cases, nanosleep};
use super::{failure_of, simulate};

#[test]
fn other_threads_of_the_process_are_not_refused() {
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let (answer, answered) = std::sync::mpsc::channel();
    let foreign = thread::spawn(move || {
        asked.recv().unwrap();
        answer.send(nanosleep()).unwrap();
        thread::spawn(|| 7).join().unwrap()
    });
    let run = simulate(move |_| async move {
        ask.send(()).unwrap();
        answered.recv().unwrap()
    });
    assert_eq!(run.result.unwrap(), (0, 0));
    assert_eq!(foreign.join().unwrap(), 7);
}

#[test]
fn std_sleep_is_a_violation_and_not_its_panic() {
    let failure = failure_of(|| thread::sleep(Duration::from_millis(1)));
    assert!(
        ["violation nanosleep", "violation clock_nanosleep"].contains(&&*failure.signature()),
        "{failure:?}"
    );
}

#[test]
fn std_spawn_is_a_violation_and_not_its_panic() {
    let failure = failure_of(|| drop(thread::spawn(|| ())));
    assert_eq!(failure.signature(), "violation pthread_create");
    let failure = failure_of(|| {
        let refused = thread::Builder::new().spawn(|| ()).map(drop);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(EAGAIN));
    });
    assert_eq!(failure.signature(), "violation pthread_create");
}

#[test]
fn a_caught_panic_does_not_hide_it() {
    let failure = failure_of(|| drop(catch_unwind(|| thread::spawn(|| ()))));
    assert_eq!(failure.signature(), "violation pthread_create");
    let run = simulate(|sim| async move {
        let node = sim.node("payment");
        node.on_panic(PanicPolicy::Catch);
        node.spawn(async { thread::sleep(Duration::from_secs(5)) }).await
    });
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Violation);
}

#[test]
fn in_an_unwinding_thread_nothing_panics_again() {
    struct Sleeps;
    impl Drop for Sleeps {
        fn drop(&mut self) {
            thread::sleep(Duration::from_secs(3600));
            assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
        }
    }
    let failure = failure_of(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _sleeps = Sleeps;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
    });
    assert!(failure.signature().ends_with("nanosleep"), "{failure:?}");
}

#[test]
fn the_first_of_several_counts() {
    let failure = failure_of(|| {
        for case in cases().into_iter().skip_while(|case| case.name != "socket") {
            case.call.make();
        }
    });
    assert_eq!(failure.signature(), "violation socket");
}

#[test]
fn a_violation_in_the_last_poll_counts() {
    let run = simulate(|_| async { nanosleep() });
    assert_eq!(run.result.unwrap_err().signature(), "violation nanosleep");
    let run: Outcome<()> = simulate(|_| {
        nanosleep();
        std::future::pending()
    });
    assert_eq!(run.result.unwrap_err().signature(), "violation nanosleep");
}

#[test]
fn a_violation_stays_in_its_run() {
    let thread = thread::spawn(|| {
        let run = || {
            sim_core::run(Config::seed(1), |_| async {
                sim_core::time::sleep(Duration::from_secs(1)).await;
                sim_core::rand::u64()
            })
        };
        let before = run();
        let broken = sim_core::run(Config::seed(1), |_| async { nanosleep() });
        assert_eq!(broken.result.unwrap_err().kind, FailureKind::Violation);
        assert_eq!(nanosleep(), (0, 0), "between runs it is the real call");
        let after = run();
        assert_eq!((after.result.unwrap(), after.trace), (before.result.unwrap(), before.trace));
        assert!(after.notes.is_empty());
    });
    thread.join().unwrap();
}

#[test]
fn what_a_destructor_calls_at_the_end_of_a_run_has_no_effect() {
    struct Sleeps;
    impl Drop for Sleeps {
        fn drop(&mut self) {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    let run = simulate(|sim| async move {
        let sleeps = Sleeps;
        drop(sim.node("a").spawn(async move {
            let _sleeps = sleeps;
            std::future::pending::<()>().await
        }));
    });
    assert!(run.result.is_ok());
}

#[test]
fn a_run_may_allow_calls_and_says_so() {
    let run = simulate(|sim| async move {
        sim.allow(["pthread_create", "nanosleep"]);
        assert_eq!(nanosleep(), (0, 0));
        thread::spawn(|| 7).join().unwrap() + thread::spawn(|| 8).join().unwrap()
    });
    assert_eq!(run.result.unwrap(), 15);
    assert_eq!(run.notes.len(), 2, "{:?}", run.notes);
    assert!(run.notes[0].starts_with("pthread_create was allowed and called 2 times"), "{:?}", run.notes);
    let run = simulate(|sim| async move {
        sim.allow(["pthread_create"]);
        nanosleep()
    });
    assert_eq!(run.result.unwrap_err().signature(), "violation nanosleep", "others are refused still");
    let thread = thread::spawn(|| {
        let allowing = sim_core::run(Config::seed(1), |sim| async move { sim.allow(["nanosleep"]) });
        assert!(allowing.result.is_ok() && allowing.notes.is_empty());
        sim_core::run(Config::seed(1), |_| async { nanosleep() }).result.unwrap_err().signature()
    });
    assert_eq!(thread.join().unwrap(), "violation nanosleep", "it is for one run");
}

#[test]
fn what_is_not_refused_cannot_be_allowed() {
    let run = simulate(|sim| async move { sim.allow(["getrandom"]) });
    let failure = run.result.unwrap_err();
    assert!(failure.message.contains("\"getrandom\" is no call that a simulation refuses"), "{failure:?}");
    assert!(failure.message.contains("pthread_create"), "{failure:?}");
}
