//! Time as nodes see it.

use sim_core::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout, wall};
use sim_core::{Config, Sim, run};
use std::future::{Future, pending};
use std::time::SystemTime;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn simulate<T: 'static, F: Future<Output = T> + 'static>(body: impl FnOnce(Sim) -> F) -> T {
    run(Config::seed(1), body).result.unwrap()
}

#[test]
fn time_moves_only_by_waiting() {
    simulate(|sim| async move {
        let start = Instant::now();
        for _ in 0..1000 {
            sim_core::yield_now().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        sleep(ms(1500)).await;
        assert_eq!((start.elapsed(), sim.elapsed()), (ms(1500), ms(1500)));
        sleep(Duration::ZERO).await;
        assert_eq!(start.elapsed(), ms(1500));
    });
}

#[test]
fn timeouts_end_what_takes_too_long_and_nothing_else() {
    simulate(|_| async {
        let start = Instant::now();
        assert!(timeout(ms(10), pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), ms(10));
        assert_eq!(timeout(ms(10), async { 1 }).await, Ok(1));
        assert_eq!(timeout(ms(10), sleep(ms(10))).await, Ok(()), "what is ready in time is not timed out");
        assert_eq!(timeout(Duration::MAX, sleep(ms(1))).await, Ok(()), "a deadline beyond the clock's range");
    });
}

async fn late_ticks(behavior: MissedTickBehavior) -> Vec<u128> {
    let start = Instant::now();
    let mut ticks = interval(ms(100));
    ticks.set_missed_tick_behavior(behavior);
    let mut seen = Vec::new();
    for i in 0..6 {
        ticks.tick().await;
        seen.push(start.elapsed().as_millis());
        if i == 1 {
            sleep(ms(250)).await;
        }
    }
    seen
}

#[test]
fn missed_ticks_burst_delay_or_skip() {
    simulate(|_| async {
        assert_eq!(late_ticks(MissedTickBehavior::Burst).await, [0, 100, 350, 350, 400, 500]);
        assert_eq!(late_ticks(MissedTickBehavior::Delay).await, [0, 100, 350, 450, 550, 650]);
        assert_eq!(late_ticks(MissedTickBehavior::Skip).await, [0, 100, 350, 400, 500, 600]);
    });
}

#[test]
fn a_fast_clock_sleeps_shorter_and_never_too_short_on_its_own_terms() {
    simulate(|sim| async move {
        let fast = sim.node("fast");
        fast.clock().drift_ppm(1000);
        let there = fast.spawn(async {
            let start = Instant::now();
            sleep(Duration::from_secs(1000)).await;
            start.elapsed()
        });
        let there = there.await.unwrap();
        assert!(there >= Duration::from_secs(1000) && there < Duration::from_secs(1000) + ms(1), "{there:?}");
        let here = sim.elapsed();
        assert!(here > ms(998_900) && here < ms(999_100), "{here:?}");
    });
}

#[test]
fn a_change_of_drift_moves_the_timers_of_its_node_and_a_step_does_not() {
    simulate(|sim| async move {
        let (changed, other) = (sim.node("changed"), sim.node("other"));
        let nap = |sim: Sim| async move {
            sleep(Duration::from_secs(10)).await;
            sim.elapsed()
        };
        let (a, b) = (changed.spawn(nap(sim)), other.spawn(nap(sim)));
        sleep(Duration::from_secs(5)).await;
        changed.clock().drift_ppm(1_000_000);
        other.clock().step(3_600_000_000_000);
        assert_eq!(a.await.unwrap(), ms(7_500), "the second half runs twice as fast");
        assert_eq!(b.await.unwrap(), ms(10_000));
    });
}

#[test]
fn wall_clocks_start_where_documented_and_are_stepped_and_offset() {
    simulate(|sim| async move {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_nanos(sim_core::EPOCH);
        assert_eq!(wall(), epoch);
        let node = sim.node("off");
        node.clock().offset(-2_000_000_000);
        sleep(ms(10)).await;
        assert_eq!(wall(), epoch + ms(10));
        let read = || async { wall() };
        assert_eq!(node.spawn(read()).await.unwrap(), epoch + ms(10) - ms(2000));
        node.clock().step(5_000_000_000);
        assert_eq!(node.spawn(read()).await.unwrap(), epoch + ms(3010));
        node.clock().offset(1);
        assert_eq!(node.spawn(read()).await.unwrap(), epoch + ms(10) + Duration::from_nanos(1));
    });
}

#[test]
fn a_drift_that_no_clock_has_is_refused_by_name() {
    let outcome = run(Config::seed(1), |sim| async move {
        sim.node("a").clock().drift_ppm(-600_000);
    });
    let message = outcome.result.unwrap_err().message;
    assert!(message.contains("-600000 ppm") && message.contains("-500000"), "{message}");
}

#[test]
fn actions_come_at_their_time() {
    simulate(|sim| async move {
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        for at in [30, 10, 20] {
            let seen = seen.clone();
            sim.at(ms(at), move || seen.borrow_mut().push((at, Sim::current().elapsed())));
        }
        sleep(ms(100)).await;
        assert_eq!(*seen.borrow(), [(10, ms(10)), (20, ms(20)), (30, ms(30))]);
    });
}

#[test]
fn an_interval_that_never_ticks_again_is_no_mistake() {
    simulate(|_| async {
        let mut ticks = interval(Duration::MAX);
        ticks.tick().await;
        assert!(timeout(Duration::from_secs(3600), ticks.tick()).await.is_err());
        ticks.reset();
        ticks.reset_after(Duration::MAX);
    });
}
