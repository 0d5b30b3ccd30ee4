//! Histories: what is recorded, what is malformed, and what other tools write and read.

use proptest::prelude::*;
use sim_check::edn::Edn;
use sim_check::jepsen::Ask;
use sim_check::{Completion, History, Malformed, Operation, ProcessId, Recorder, What, jepsen, log};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn op(process: u64, invoked: u64, completed: Option<u64>) -> Operation<u64, ()> {
    let completion = completed.map_or(Completion::Unknown, |at| Completion::Ok { at, output: () });
    Operation { process: ProcessId(process), input: invoked, invoked, completion }
}

#[test]
fn what_is_recorded_is_in_order() {
    let recorder = Recorder::new();
    let (a, b) = (recorder.process(), recorder.process());
    let first = a.invoke("x");
    let second = b.invoke("y");
    second.ok(1);
    first.failed();
    drop(a.invoke("z"));
    // Who does not know goes on.
    a.invoke("again").ok(2);
    b.invoke("open").unknown();

    let history = recorder.history();
    assert_eq!((history.len(), recorder.len(), recorder.is_empty()), (5, 5, false));
    let told: Vec<_> = history.events().iter().map(|e| (e.at, e.process.0, e.operation, e.what)).collect();
    use What::{Failed, Invoke, Ok};
    assert_eq!(
        told,
        [
            (1, 0, 0, Invoke(&"x")),
            (2, 1, 1, Invoke(&"y")),
            (3, 1, 1, Ok(&1)),
            (4, 0, 0, Failed),
            (5, 0, 2, Invoke(&"z")),
            (6, 0, 3, Invoke(&"again")),
            (7, 0, 3, Ok(&2)),
            (8, 1, 4, Invoke(&"open")),
        ]
    );
}

#[test]
fn a_process_does_one_after_the_other() {
    let recorder = Recorder::<(), ()>::new();
    let process = recorder.process();
    let open = process.invoke(());
    let second = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| process.invoke(())));
    let message = *second.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("process 0 invokes an operation while another"), "{message}");
    open.ok(());
    process.invoke(()).ok(());
    assert_eq!(recorder.history().len(), 2);
}

#[test]
fn stamps_come_from_the_source_and_only_grow() {
    let count = Arc::new(AtomicU64::new(10));
    let says = count.clone();
    let recorder = Recorder::stamped(move || Some(says.load(Ordering::Relaxed)).filter(|at| *at < 100));
    let process = recorder.process();
    process.invoke("a").ok(());
    count.store(50, Ordering::Relaxed);
    let call = process.invoke("b");
    count.store(100, Ordering::Relaxed);
    // The dead return nothing, and ask nothing.
    call.ok(());
    process.invoke("c").ok(());
    let stamps: Vec<_> = recorder.history().operations().iter().map(|o| (o.invoked, o.completed())).collect();
    assert_eq!(stamps, [(10, Some(11)), (50, None)]);
}

#[test]
fn threads_record_together() {
    let recorder = Recorder::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            let process = recorder.process();
            scope.spawn(move || (0..100).for_each(|n| process.invoke(n).ok(n)));
        }
    });
    let history = recorder.history();
    assert_eq!((history.len(), history.events().len()), (400, 800));
    let parts = history.partition(|operation| operation.process);
    assert!(parts.values().all(|part| part.operations().iter().map(|o| o.input).eq(0..100)));
}

#[test]
fn what_cannot_have_happened_is_no_history() {
    let ok =
        History::new(vec![op(0, 3, Some(4)), op(0, 1, Some(2)), op(1, 0, None), op(1, 5, None)]).unwrap();
    assert!(ok.operations().iter().map(|o| o.invoked).eq([0, 1, 3, 5]));
    let shared = History::new(vec![op(0, 1, Some(2)), op(1, 2, Some(3))]).unwrap_err();
    assert_eq!(shared, Malformed::SharedStamp(2));
    let before = History::new(vec![op(0, 2, Some(1))]).unwrap_err();
    assert_eq!(before, Malformed::CompletedBefore { process: ProcessId(0), invoked: 2, completed: 1 });
    let overlap = History::new(vec![op(7, 1, Some(3)), op(7, 2, Some(4))]).unwrap_err();
    assert_eq!(overlap, Malformed::Overlap { process: ProcessId(7), first: 1, second: 2 });
    assert!(overlap.to_string().contains("process 7 invokes an operation at 2"), "{overlap}");
}

#[test]
fn serde_reads_back_what_it_writes_and_refuses_the_malformed() {
    let history = History::new(vec![op(0, 1, Some(2)), op(1, 3, None)]).unwrap();
    let json = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History<u64, ()>>(&json).unwrap(), history);
    let broken = json.replace("\"at\":2", "\"at\":0");
    let error = serde_json::from_str::<History<u64, ()>>(&broken).unwrap_err();
    assert!(error.to_string().contains("completes at 0, before that"), "{error}");
}

/// As Jepsen stores it: in a vector, with records, times, and a nemesis.
const STORED: &str = r#"
[#jepsen.history.Op{:index 0, :time 3291485317, :type :invoke, :process 0, :f :txn, :value [[:append 2 1]]}
 {:type :info, :f :start-partition, :process :nemesis, :value :majority, :index 1}
 {:type :invoke, :f :txn, :value [[:r 2 nil]], :process 2, :index 2}
 {:type :fail, :f :txn, :value [[:r 2 nil]], :process 2, :index 3, :error [:aborted "because \"so\""]}
 {:type :invoke, :f :txn, :value [[:r 2 nil]], :process 2, :index 4}
 {:type :ok, :f :txn, :value [[:r 2 [1]]], :process 2, :index 5}]
"#;

#[test]
fn what_jepsen_stores_is_read() {
    let history = jepsen::read(STORED).unwrap();
    let told: Vec<_> = history.operations().iter().map(|o| (o.process.0, o.invoked, o.completed())).collect();
    assert_eq!(told, [(0, 0, None), (2, 1, Some(2)), (2, 3, Some(4))]);
    assert_eq!(history.operations()[1].completion, Completion::Failed { at: 2 });
    assert_eq!(history.operations()[2].output().unwrap().to_string(), "[[:r 2 [1]]]");
}

#[test]
fn porcupines_key_value_tests_are_read() {
    let text = r#"{:process 8, :type :invoke, :f :append, :key "8", :value "x 8 0 y"}
{:process 8, :type :ok, :f :append, :key "8", :value "x 8 0 y"}
{:process 3, :type :invoke, :f :get, :key "8", :value nil}
{:process 3, :type :ok, :f :get, :key "8", :value "x 8 0 y"}
"#;
    let history = jepsen::read(text).unwrap();
    assert_eq!(history.operations()[1].input.key, Some("8".into()));
    assert_eq!(jepsen::read(&jepsen::write(&history)).unwrap(), history);
}

#[test]
fn a_process_has_another_number_after_what_nobody_knows() {
    let recorder = Recorder::new();
    let (a, b) = (recorder.process(), recorder.process());
    let ask = |f: &str, value| Ask { f: f.to_owned(), key: None, value };
    drop(a.invoke(ask("write", Edn::Int(1))));
    b.invoke(ask("read", Edn::Nil)).ok(Edn::Nil);
    a.invoke(ask("cas", Edn::Vector(vec![Edn::Int(1), Edn::Int(2)]))).failed();
    let written = log::write(&recorder.history());
    assert_eq!(
        written,
        "INFO  jepsen.util - 0\t:invoke\t:write\t1\n\
         INFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
         INFO  jepsen.util - 1\t:ok\t:read\tnil\n\
         INFO  jepsen.util - 2\t:invoke\t:cas\t[1 2]\n\
         INFO  jepsen.util - 2\t:fail\t:cas\t[1 2]\n\
         INFO  jepsen.util - 0\t:info\t:write\t:unknown\n"
    );
    let processes: Vec<u64> = log::read(&written).unwrap().operations().iter().map(|o| o.process.0).collect();
    assert_eq!(processes, [0, 1, 2]);
}

#[test]
fn what_is_no_history_is_named_with_its_line() {
    let error = |text: &str| jepsen::read(text).unwrap_err().to_string();
    let invoke = "{:process 0, :type :invoke, :f :read, :value nil}\n";
    assert!(
        error(&invoke.repeat(2))
            .starts_with("line 2: process 0 invokes an operation while that of line 1 is")
    );
    let ok = invoke.replace(":invoke", ":ok");
    assert_eq!(error(&ok), "line 1: process 0 has no operation under way to end");
    assert!(error("{:process 0, :type :invoke}").starts_with("line 1: an operation without :f: {"));
    assert_eq!(
        error(&(invoke.to_owned() + &invoke.replace(":invoke", ":done"))),
        "line 2: the type :done; there are :invoke, :ok, :fail and :info"
    );
    assert_eq!(error("\n7"), "line 2: 7, where the map of an operation was expected");
    assert_eq!(log::read("INFO - 0\t:invoke\t:read\t[").unwrap_err().line, 1);
    // Lines that are of no operation are none of a history's.
    assert!(log::read("INFO - :nemesis\t:info\t:start\tnil\nstarting\n").unwrap().is_empty());
}

fn asks() -> impl Strategy<Value = Ask> {
    let value =
        prop_oneof![Just(Edn::Nil), any::<i64>().prop_map(Edn::Int), "[a-z \"\\\\]{0,6}".prop_map(Edn::Text)];
    (prop_oneof![Just("read"), Just("write")], value).prop_map(|(f, value)| Ask {
        f: f.to_owned(),
        key: None,
        value,
    })
}

proptest! {
    /// Whatever the processes do, both forms say the same of it: the order, what was asked, and what came of it.
    #[test]
    fn histories_survive_both_forms(steps in prop::collection::vec((0_usize..4, 0_u8..4, asks()), 0..60)) {
        let recorder = Recorder::new();
        let processes: Vec<_> = (0..4).map(|_| recorder.process()).collect();
        let mut open: Vec<_> = (0..4).map(|_| None).collect();
        for (i, end, ask) in steps {
            match (open[i].take(), end) {
                (None, _) => open[i] = Some(processes[i].invoke(ask)),
                (Some(call), 0) => drop::<sim_check::Call<Ask, Edn>>(call),
                (Some(call), 1) => call.failed(),
                (Some(call), _) => call.ok(ask.value),
            }
        }
        let history = recorder.history();
        let told = |history: &History<Ask, Edn>| -> Vec<_> {
            history.events().iter().map(|event| format!("{} {:?}", event.operation, event.what)).collect()
        };
        prop_assert_eq!(told(&jepsen::read(&jepsen::write(&history)).unwrap()), told(&history));
        prop_assert_eq!(told(&log::read(&log::write(&history)).unwrap()), told(&history));
    }
}
