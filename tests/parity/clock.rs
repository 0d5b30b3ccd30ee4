//! Bodies about time. The real side runs on tokio's paused clock, which moves as ours does: nothing waits.

use super::spawn;
use super::time::{self, Duration, Instant, MissedTickBehavior, sleep, sleep_until, timeout, timeout_at};
use std::cell::RefCell;
use std::future::pending;
use std::io::Result;
use std::rc::Rc;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub async fn sleeps_end_in_the_order_of_their_deadlines() -> Result<()> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = [30, 10, 20]
        .map(|n| {
            let order = order.clone();
            spawn(async move {
                sleep(ms(n)).await;
                order.borrow_mut().push(n);
            })
        })
        .into();
    for task in tasks {
        task.await?;
    }
    assert_eq!(*order.borrow(), [10, 20, 30]);
    Ok(())
}

pub async fn time_passes_while_waiting() -> Result<()> {
    let start = Instant::now();
    sleep(ms(1500)).await;
    assert_eq!(start.elapsed(), ms(1500));
    sleep_until(start + ms(2000)).await;
    assert_eq!(start.elapsed(), ms(2000));
    sleep_until(start).await;
    assert_eq!(start.elapsed(), ms(2000), "a deadline in the past is no wait");
    assert_eq!(start.duration_since(start + ms(1)), Duration::ZERO);
    assert_eq!((start + ms(5)) - start, ms(5));
    assert_eq!(start.checked_duration_since(start + ms(1)), None);
    Ok(())
}

pub async fn a_sleep_is_reset() -> Result<()> {
    let start = Instant::now();
    let mut nap = std::pin::pin!(sleep(ms(10)));
    nap.as_mut().reset(start + ms(500));
    assert!(!nap.is_elapsed());
    assert_eq!(nap.deadline(), start + ms(500));
    nap.as_mut().await;
    assert_eq!(start.elapsed(), ms(500));
    assert!(nap.is_elapsed());
    Ok(())
}

pub async fn timeouts_end_at_their_deadline() -> Result<()> {
    let start = Instant::now();
    assert!(timeout(ms(20), pending::<()>()).await.is_err());
    assert_eq!(start.elapsed(), ms(20));
    assert!(timeout_at(start + ms(50), sleep(ms(100))).await.is_err());
    assert_eq!(start.elapsed(), ms(50));
    assert_eq!(timeout(ms(1), async { 7 }).await.ok(), Some(7));
    let elapsed = timeout(ms(1), pending::<()>()).await.unwrap_err();
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
    assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
    Ok(())
}

/// When the ticks of an interval of 100 ms come of which the third is asked for 250 ms late.
async fn late_ticks(behavior: MissedTickBehavior) -> Vec<u128> {
    let start = Instant::now();
    let mut ticks = time::interval(ms(100));
    ticks.set_missed_tick_behavior(behavior);
    let mut seen = Vec::new();
    for i in 0..7 {
        ticks.tick().await;
        seen.push(start.elapsed().as_millis());
        if i == 1 {
            sleep(ms(250)).await;
        }
    }
    seen
}

pub async fn missed_ticks() -> Result<()> {
    assert_eq!(late_ticks(MissedTickBehavior::Burst).await, [0, 100, 350, 350, 400, 500, 600]);
    assert_eq!(late_ticks(MissedTickBehavior::Delay).await, [0, 100, 350, 450, 550, 650, 750]);
    assert_eq!(late_ticks(MissedTickBehavior::Skip).await, [0, 100, 350, 400, 500, 600, 700]);
    Ok(())
}

pub async fn intervals_are_reset() -> Result<()> {
    let start = Instant::now();
    let mut ticks = time::interval_at(start + ms(30), ms(100));
    assert_eq!(ticks.period(), ms(100));
    assert_eq!(ticks.tick().await, start + ms(30));
    sleep(ms(50)).await;
    ticks.reset();
    assert_eq!(ticks.tick().await, start + ms(180));
    ticks.reset_immediately();
    assert_eq!(ticks.tick().await, start + ms(180));
    ticks.reset_after(ms(7));
    assert_eq!(ticks.tick().await, start + ms(187));
    ticks.reset_at(start + ms(1000));
    assert_eq!(ticks.tick().await, start + ms(1000));
    Ok(())
}
