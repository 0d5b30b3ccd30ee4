//! What runs cost around their own work: worlds a second on threads, the overhead of a child process, idle time.
//!
//! ```sh
//! cargo bench --bench runs
//! ```

use sim::time::{Duration, interval, sleep};
use sim::{Config, Isolate, Schedule, Sim, run, sweep};
use std::time::Instant;

fn main() {
    // A worker of the process sweep below comes here too, and must reach it first.
    let children = 2000;
    let (child, _) = stopwatch(|| sweep(0..children).run(five_nodes).runs);
    let (own, _) = stopwatch(|| (0..children).for_each(|seed| drop(run(config(seed), five_nodes))));
    let overhead = 1e3 * (child - own) / children as f64;
    println!("a child over the run itself, whole sweep    {overhead:8.3} ms");

    let threads = 40_000;
    let (seconds, _) = stopwatch(|| sweep(0..threads).isolate(Isolate::Thread).run(five_nodes).runs);
    println!("five-node worlds on threads                 {:8.0} a second", threads as f64 / seconds);

    let (seconds, _) = stopwatch(|| run(config(1), idle_hour).result.expect("the hour passes"));
    println!("an hour of 50 nodes with one-second timers  {:8.1} ms", 1e3 * seconds);
}

/// The one place that reads the real clock: outside of every simulation.
#[expect(clippy::disallowed_methods, reason = "measures how long the simulator itself takes")]
fn stopwatch<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

fn config(seed: u64) -> Config {
    Config::seed(seed).schedule(Schedule::Fifo)
}

async fn five_nodes(sim: Sim) {
    let naps: Vec<_> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .map(|name| sim.node(name).spawn(sleep(Duration::from_millis(10))))
        .collect();
    for nap in naps {
        nap.await.expect("the node lives");
    }
}

async fn idle_hour(sim: Sim) {
    for i in 0..50 {
        sim.node(&format!("idle{i}")).spawn(async {
            let mut ticks = interval(Duration::from_secs(1));
            loop {
                ticks.tick().await;
            }
        });
    }
    sleep(Duration::from_secs(3600)).await;
}
