//! Histories recorded in simulations: of a register that one node serves, whose clients time out, die and are cut off.

use sim::check::{Completion, History, Operation};
use sim::prelude::*;
use sim::time::timeout;
use std::collections::BTreeMap;
use std::io;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Writes what it gets, or reads for 0; says what is there. Planted: an answer that is older than the last write.
async fn register(stale: bool) -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:1").await?;
    let content = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    loop {
        let (mut stream, _) = listener.accept().await?;
        let content = content.clone();
        spawn(async move {
            let mut ask = [0];
            while stream.read_exact(&mut ask).await.is_ok() {
                let (is, was) = content.get();
                if ask[0] > 0 {
                    content.set((ask[0], is));
                }
                let answer = if ask[0] > 0 {
                    ask[0]
                } else if stale {
                    was
                } else {
                    is
                };
                stream.write_all(&[answer]).await?;
            }
            io::Result::Ok(())
        });
    }
}

type Calls = History<u8, u8>;

/// Two clients at work while the link is cut now and then, and one of them dies in the middle of a call.
async fn recorded(sim: Sim, stale: bool) -> Calls {
    sim.node("register").run(move || register(stale));
    let recorder = sim.recorder();
    for (client, name) in ["alice", "bob"].into_iter().enumerate() {
        let process = recorder.process();
        sim.node(name).spawn(async move {
            for n in 0..20 {
                sim::time::sleep(ms(5)).await;
                let ask = if n % 2 == 0 { 10 * (1 + client as u8) + n / 2 } else { 0 };
                let call = process.invoke(ask);
                let asking = async {
                    let mut stream = TcpStream::connect("register:1").await?;
                    stream.write_all(&[ask]).await?;
                    let mut answer = [0];
                    stream.read_exact(&mut answer).await?;
                    io::Result::Ok(answer[0])
                };
                // Where there is no answer in time, the call is dropped: nobody knows.
                if let Ok(Ok(answer)) = timeout(ms(50), asking).await {
                    call.ok(answer);
                }
            }
        });
    }
    sim.after(ms(30), move || sim.partition(["bob"], ["register"]).forget());
    sim.after(ms(150), move || sim.node("alice").kill());
    sim::time::sleep(ms(160)).await;
    sim.heal().await;
    sim::time::sleep(Duration::from_secs(5)).await;
    recorder.history()
}

/// What each process has read of its own writes: nobody else is asked here, since no checker of ours is.
fn reads_its_writes(history: &Calls) -> Result<(), String> {
    let mut last: BTreeMap<_, (u64, u8)> = BTreeMap::new();
    let returned = |o: &Operation<u8, u8>| o.output().copied().zip(o.completed());
    for read in history.operations() {
        let Some((value, at)) = returned(read) else { continue };
        if read.input > 0 {
            last.insert(read.process, (read.invoked, read.input));
            continue;
        }
        let Some(&(written, own)) = last.get(&read.process) else { continue };
        // Another's write that was under way together with it or since, or is unknown, may have come between.
        let others = history.into_iter().filter(|o| o.process != read.process && o.input > 0);
        let mut since = others.filter(|o| o.invoked < at && o.completed().is_none_or(|end| end > written));
        if value != own && !since.any(|o| o.input == value) {
            return Err(format!("process {} reads {value} after it has written {own}", read.process));
        }
    }
    Ok(())
}

#[test]
fn a_history_is_of_the_run() {
    let mut unknown = [0; 2];
    for seed in 0..20 {
        let history = sim::run(sim::Config::seed(seed), |sim| recorded(sim, false)).result.unwrap();
        let again = sim::run(sim::Config::seed(seed), |sim| recorded(sim, false)).result.unwrap();
        assert_eq!(history, again);
        for operation in history.operations() {
            unknown[operation.process.0 as usize] += u32::from(operation.completion == Completion::Unknown);
        }
        assert_eq!(reads_its_writes(&history), Ok(()), "seed {seed}");
    }
    assert!(unknown[0] > 0, "who dies in a call leaves it open");
    assert!(unknown[1] >= 20, "and who is cut off gives some up: {unknown:?}");
}

#[test]
fn it_shows_the_planted_mistake() {
    let found = (0..20).filter(|seed| {
        let history = sim::run(sim::Config::seed(*seed), |sim| recorded(sim, true)).result.unwrap();
        reads_its_writes(&history).is_err()
    });
    assert!(found.count() > 10);
}

#[test]
fn stamps_are_steps_and_recording_leaves_the_run_as_it_is() {
    let course = |records: bool| {
        sim::run(sim::Config::seed(1), move |sim| async move {
            let recorder = sim.recorder();
            let process = recorder.process();
            let steps = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
            let seen = steps.clone();
            sim.invariant("steps are counted", move |view| seen.borrow_mut().push(view.step()));
            for n in 0..10 {
                let call = records.then(|| process.invoke(n));
                sim::time::sleep(ms(1)).await;
                call.into_iter().for_each(|call| call.ok(()));
            }
            (recorder.history(), steps.take())
        })
    };
    let (with, without) = (course(true), course(false));
    assert_eq!((with.trace, with.stats), (without.trace, without.stats));
    let (history, steps) = with.result.unwrap();
    assert_eq!(history.events().len(), 20);
    // All that happens in the step that ends with number 9, say, has at most that, and more than the one before has.
    for operation in history.operations() {
        let ends = operation.completed().unwrap();
        assert!(
            steps.iter().any(|step| operation.invoked <= *step && *step < ends),
            "{operation:?} {steps:?}"
        );
    }
}
