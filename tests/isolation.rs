//! Whatever a run does to its process is one failure of its seed, and the sweep goes on.
#![cfg(unix)]

use std::io::Read;
use std::time::Duration;

use sim::{Builder, FailureKind, Isolate, Run, Sim, SweepReport, sweep, time};

/// Seeds 0 to 9, of which seed 4 does it.
fn with_a_bad_seed(bad: fn()) -> SweepReport {
    sweep(0..10).jobs(2).memory_limit(256 << 20).blocked_limit(Duration::from_millis(400)).try_run(
        move |sim: Sim| async move {
            if sim.seed() == 4 {
                bad();
            }
            Ok::<_, String>(())
        },
    )
}

/// The message of the only failure, which is a crash with that signature, of seed 4.
fn crash(report: &SweepReport, signature: &str) -> String {
    assert_eq!(report.runs, 10);
    let [failed] = &report.failures[..] else { panic!("expected one failure: {:?}", report.failures) };
    assert_eq!((failed.seed, failed.failure.kind), (4, FailureKind::Crash));
    assert_eq!(failed.failure.signature(), signature);
    failed.failure.message.clone()
}

#[test]
fn an_invalid_access() {
    #[expect(unsafe_code, reason = "it is what is tested")]
    let report = with_a_bad_seed(|| {
        // SAFETY: none: the process must die of it.
        unsafe { std::ptr::null_mut::<u8>().wrapping_add(16).write_volatile(1) }
    });
    assert!(crash(&report, "crash SIGSEGV").contains("not its own"));
}

#[test]
fn an_abort() {
    let report = with_a_bad_seed(|| {
        eprintln!("the last words");
        std::process::abort();
    });
    assert!(crash(&report, "crash SIGABRT").contains("the last words"));
}

#[test]
fn a_recursion_without_end() {
    fn deeper(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        if depth == u64::MAX { 0 } else { deeper(depth + 1) + frame[(depth % 64) as usize] }
    }
    let report = with_a_bad_seed(|| assert_ne!(deeper(0), 1));
    assert!(crash(&report, "crash stack overflow").contains("overflowed its stack"));
}

#[test]
fn a_loop_that_makes_no_call() {
    let report = sweep(0..10).cpu_limit(Duration::from_millis(200)).run(|sim: Sim| async move {
        while sim.seed() == 4 {
            std::hint::spin_loop();
        }
    });
    assert!(crash(&report, "crash cpu limit").contains("200ms of CPU time"));
}

#[test]
fn more_memory_than_allowed() {
    let report = with_a_bad_seed(|| {
        let mut eaten = Vec::new();
        for _ in 0..4096 {
            eaten.push(vec![1u8; 1 << 20]);
        }
        assert_eq!(eaten.len(), 4096);
    });
    let message = crash(&report, "crash out of memory");
    assert!(message.contains("256 MiB") && message.contains("memory allocation of"), "{message}");
}

#[test]
fn an_exit() {
    let report = with_a_bad_seed(|| std::process::exit(0));
    assert!(crash(&report, "crash exit 0").contains("before the run had ended"));
}

#[test]
fn a_wait_for_something_outside() {
    let report = with_a_bad_seed(|| {
        let (mut never, _writer) = std::io::pipe().unwrap();
        let _ = never.read(&mut [0]);
    });
    assert!(crash(&report, "crash blocked").contains("not simulated"));
}

#[test]
fn the_death_of_a_worker_costs_one_seed() {
    let report = with_a_bad_seed(|| {
        let worker = std::os::unix::process::parent_id().to_string();
        let killed = std::process::Command::new("kill").args(["-KILL", &worker]).status();
        // Dies with its worker.
        loop {
            std::hint::black_box(&killed);
        }
    });
    assert!(crash(&report, "crash worker").contains("under this run"));
}

#[test]
fn what_a_run_leaves_in_its_process_is_gone_in_the_next() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut counts = Vec::new();
    sweep(0..50)
        .on_run(|run: &Run<u64>| counts.push(*run.result.as_ref().unwrap()))
        .run(async |_: Sim| COUNT.fetch_add(1, Ordering::Relaxed));
    assert_eq!(counts, [0; 50]);
}

#[test]
fn later_sweeps_see_what_earlier_ones_found() {
    // Workers of the later sweeps come by the earlier ones, and must be told their reports.
    let mut found = Vec::new();
    for round in 1..=3u64 {
        let base = found.iter().sum::<u64>();
        let report = sweep(0..4).try_run(move |sim: Sim| async move {
            if sim.seed() < round { Err(format!("{base}")) } else { Ok(()) }
        });
        assert!(report.failures.iter().all(|failed| failed.failure.message == base.to_string()));
        found.push(report.failures.len() as u64);
        let outcome = Builder::new().seed(round).run(move |sim: Sim| async move { sim.seed() + base });
        found.push(outcome.result.unwrap());
    }
    assert_eq!(found, [1, 1, 2, 2 + 2, 3, 3 + 8]);
}

#[test]
fn workers_of_later_runs_are_not_sent_the_logs_of_earlier_ones() {
    let counts = [Isolate::Process, Isolate::Thread].map(|isolate| {
        let logged =
            Builder::new().isolate(isolate).record(true).run(|_| time::sleep(Duration::from_secs(1)));
        let entries = logged.log.expect("a log was asked for").entries.len();
        // The body is made in a worker, which came by the run above.
        let there = Builder::new().run(move |_| async move { entries });
        (entries, there.result.unwrap())
    });
    for (here, there) in counts {
        assert!(here > 0 && there == 0, "{here} entries here and {there} in a worker");
    }
}

#[test]
#[should_panic(expected = "returned more than 64 MiB")]
fn what_is_too_much_for_a_worker_to_be_told_is_said() {
    let large = Builder::new().isolate(Isolate::Thread).run(|_| async { "x".repeat(65 << 20) });
    assert_eq!(large.result.unwrap().len(), 65 << 20);
    // On a thread nobody must be told.
    Builder::new().isolate(Isolate::Thread).run(|_| async {}).result.unwrap();
    let _ = Builder::new().run(|_| async {});
}

#[test]
fn output_of_a_run_stays_with_it() {
    let mut outputs = Vec::new();
    sweep(0..3).jobs(1).on_run(|run: &Run<()>| outputs.push(run.output.clone())).run(|sim: Sim| async move {
        println!("out {}", sim.seed());
        eprintln!("err {}", sim.seed());
        print!("without an end");
    });
    assert_eq!(outputs, [0, 1, 2].map(|seed| format!("out {seed}\nerr {seed}\nwithout an end")));
}

#[test]
fn a_panic_or_error_on_a_thread_is_one_failure_too() {
    let report = sweep(0..10).isolate(Isolate::Thread).try_run(|sim: Sim| async move {
        match sim.seed() {
            3 => panic!("three"),
            6 => Err("six"),
            seed => Ok(seed),
        }
    });
    let found: Vec<_> = report
        .failures
        .iter()
        .map(|failed| (failed.seed, failed.failure.kind, &*failed.failure.message))
        .collect();
    assert_eq!(found, [(3, FailureKind::Panic, "three"), (6, FailureKind::Error, "six")]);
    assert!(report.failures[0].failure.site.starts_with("tests/isolation.rs:"));
}

#[test]
fn values_come_back_whole() {
    let value = || (vec![1u64, 2, 3], "text".to_owned(), Some(-1i8));
    let outcome = Builder::new().run(move |_| async move { value() });
    assert_eq!(outcome.result.unwrap(), value());
    let large = Builder::new().run(|_| async { vec![7u8; 3 << 20] });
    assert_eq!(large.result.unwrap(), vec![7u8; 3 << 20]);
}

#[test]
#[should_panic(expected = "inside of a simulation")]
fn a_run_cannot_start_another_one() {
    let outcome = Builder::new().isolate(Isolate::Thread).run(|_| async {
        let _ = Builder::new().run(|_| async {});
    });
    panic!("{}", outcome.result.unwrap_err().message);
}
