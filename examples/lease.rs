//! A leader lease that a skewed clock breaks, and the lease that it cannot break.
//!
//! A granter lends leadership for a second at a time. The first candidate believes what the grant says: "yours until
//! 12:00:01", and looks at its own wall clock. The second counts from the moment at which it asked, on its own monotonic
//! clock, and takes off what the two clocks may drift apart. Wall clocks here are up to a second off, and run up to 200 ppm
//! fast or slow: what a bad day of NTP does.
//!
//! `cargo run --release --example lease`

use serde::{Deserialize, Serialize};
use sim::net::rpc::{Client, Request, Server};
use sim::prelude::*;
use sim::time::{Instant, sleep, timeout, wall};
use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::SystemTime;

const LEASE: Duration = Duration::from_secs(1);
/// Twice what an oscillator may be off, over the length of a lease.
const MARGIN: Duration = Duration::from_micros(400);

/// "Let me lead."
#[derive(Serialize, Deserialize)]
struct Lead(String);

impl Request for Lead {
    /// Until when, on the granter's wall clock; `None` while another leads.
    type Reply = Option<SystemTime>;
    const NAME: &'static str = "lead";
}

/// Lends leadership to one candidate at a time, and is right about it: it waits for the end of a lease on its own clock.
async fn granter() -> std::io::Result<()> {
    let lent: Rc<RefCell<Option<(String, Instant)>>> = Rc::default();
    let lend = move |Lead(candidate)| {
        let mut lent = lent.borrow_mut();
        let free = lent.as_ref().is_none_or(|(holder, end)| *holder == candidate || *end <= Instant::now());
        if free {
            *lent = Some((candidate, Instant::now() + LEASE));
        }
        std::future::ready(free.then(|| wall() + LEASE))
    };
    Server::new().on(lend).serve("0.0.0.0:80").await
}

/// How a candidate knows that it still leads.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lease {
    WallClock,
    Monotonic,
}

/// Until when a candidate may lead, by whichever clock it trusts.
enum Until {
    Wall(SystemTime),
    Monotonic(Instant),
}

impl Until {
    fn holds(&self) -> bool {
        match self {
            Until::Wall(end) => wall() < *end,
            Until::Monotonic(end) => Instant::now() < *end,
        }
    }
}

/// Asks for the lease, leads while it believes to hold it, and lets go for a while.
async fn candidate(name: &'static str, lease: Lease, leaders: Rc<Cell<u32>>) {
    let granter = Client::new("granter:80");
    loop {
        let asked = Instant::now();
        let grant = timeout(Duration::from_millis(200), granter.call(Lead(name.into()))).await;
        if let Ok(Ok(Some(end))) = grant {
            let until = match lease {
                Lease::WallClock => Until::Wall(end),
                Lease::Monotonic => Until::Monotonic(asked + LEASE - MARGIN),
            };
            while until.holds() {
                // What only one may do at a time.
                leaders.set(leaders.get() + 1);
                if leaders.get() > 1 {
                    Sim::current().violated("one-leader", format!("{name} leads, and so does another"));
                }
                sleep(Duration::from_millis(5)).await;
                leaders.set(leaders.get() - 1);
            }
        }
        sleep(Duration::from_millis(sim::rand::range(1..300))).await;
    }
}

/// Ten seconds of two candidates whose clocks are off.
async fn run(sim: Sim, lease: Lease) {
    sim.default_link().latency(Duration::from_millis(1)..=Duration::from_millis(30)).loss(0.01);
    sim.node("granter").run(granter);
    let leaders = Rc::new(Cell::new(0));
    for name in ["a", "b"] {
        let leaders = leaders.clone();
        let off = || sim::rand::range(0..2_000_000_000) as i64 - 1_000_000_000;
        sim.node(name).clock().offset(off()).drift_ppm(off() / 5_000_000);
        sim.node(name).run(move || candidate(name, lease, leaders.clone()));
    }
    sleep(Duration::from_secs(10)).await;
}

fn main() -> ExitCode {
    let [trusting, careful] = [Lease::WallClock, Lease::Monotonic].map(|lease| {
        let report = sim::sweep(0..500).run(move |sim| run(sim, lease));
        println!("{lease:?}: two leaders in {} of {} runs", report.failures.len(), report.runs);
        println!("  trace {:016x}", report.trace);
        if let Some(first) = report.failures.first() {
            println!("  seed {}: {}", first.seed, first.failure);
        }
        report
    });
    let expected = trusting.failures.iter().all(|f| f.failure.signature() == "invariant one-leader");
    match expected && !trusting.failures.is_empty() && careful.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
