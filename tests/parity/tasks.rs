//! Bodies about what programs build on an executor: `select!`, `join!`, channels, abort.

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use futures::{SinkExt, StreamExt};
use std::io::Result;
use std::rc::Rc;
use time::{Duration, sleep, timeout};

pub async fn select() -> Result<()> {
    let mut ticks = 0;
    let slow = sleep(Duration::from_millis(50));
    tokio::pin!(slow);
    loop {
        tokio::select! {
            () = &mut slow => break,
            () = sleep(Duration::from_millis(1)) => ticks += 1,
        }
    }
    assert!(ticks > 0);
    let ready = futures::select! {
        x = std::pin::pin!(futures::FutureExt::fuse(std::future::ready(1))) => x,
        () = std::pin::pin!(futures::FutureExt::fuse(sleep(Duration::from_secs(3600)))) => 2,
    };
    assert_eq!(ready, 1);
    Ok(())
}

pub async fn join() -> Result<()> {
    let (a, b) = tokio::join!(async { 1 }, async {
        sleep(Duration::from_millis(1)).await;
        2
    });
    let (c, d) = futures::join!(async { 3 }, async { 4 });
    assert_eq!((a, b, c, d), (1, 2, 3, 4));
    let failed = tokio::try_join!(async { Ok::<_, u8>(1) }, async { Err::<u8, u8>(2) });
    assert_eq!(failed, Err(2));
    let all = futures::future::join_all((0..5).map(|i| async move { i })).await;
    assert_eq!(all, [0, 1, 2, 3, 4]);
    Ok(())
}

pub async fn timeouts() -> Result<()> {
    assert!(timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
    assert_eq!(timeout(Duration::from_secs(3600), async { 7 }).await.ok(), Some(7));
    Ok(())
}

pub async fn tokio_channels() -> Result<()> {
    let (tx, mut rx) = tokio::sync::mpsc::channel(2);
    let sending = spawn(async move {
        for i in 0..100 {
            tx.send(i).await.unwrap();
        }
    });
    let mut sum = 0;
    while let Some(i) = rx.recv().await {
        sum += i;
    }
    assert_eq!(sum, 4950);
    sending.await.unwrap();
    let (tx, rx) = tokio::sync::oneshot::channel();
    spawn(async move { tx.send(5).unwrap() });
    assert_eq!(rx.await, Ok(5));
    let (tx, mut rx) = tokio::sync::watch::channel(0);
    spawn(async move { tx.send(1).unwrap() });
    rx.changed().await.unwrap();
    assert_eq!(*rx.borrow(), 1);
    let (tx, mut rx) = tokio::sync::broadcast::channel(4);
    let mut other = tx.subscribe();
    tx.send(9).unwrap();
    assert_eq!((rx.recv().await, other.recv().await), (Ok(9), Ok(9)));
    Ok(())
}

pub async fn futures_channels() -> Result<()> {
    let (mut tx, rx) = futures::channel::mpsc::channel(1);
    let sending = spawn(async move {
        for i in 0..50 {
            tx.send(i).await.unwrap();
        }
    });
    assert_eq!(rx.fold(0, |sum, i| async move { sum + i }).await, 1225);
    sending.await.unwrap();
    let (tx, rx) = futures::channel::oneshot::channel::<u8>();
    drop(tx);
    assert!(rx.await.is_err());
    Ok(())
}

pub async fn notify_and_semaphore() -> Result<()> {
    let notify = Rc::new(tokio::sync::Notify::new());
    let waiting = spawn({
        let notify = notify.clone();
        async move { notify.notified().await }
    });
    notify.notify_one();
    waiting.await.unwrap();
    let permits = Rc::new(tokio::sync::Semaphore::new(2));
    let lock = Rc::new(tokio::sync::Mutex::new(0));
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (permits, lock) = (permits.clone(), lock.clone());
            spawn(async move {
                let _permit = permits.acquire().await.unwrap();
                sleep(Duration::from_millis(1)).await;
                *lock.lock().await += 1;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*lock.lock().await, 10);
    Ok(())
}

pub async fn abort() -> Result<()> {
    let task = spawn(std::future::pending::<()>());
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

pub async fn panics_are_errors() -> Result<()> {
    // In the simulation a panic fails the run, which is what a test wants; what is caught inside a task is its own.
    let caught = spawn(async {
        let result = futures::FutureExt::catch_unwind(async { panic!("expected") }).await;
        result.is_err()
    });
    assert!(caught.await.unwrap());
    Ok(())
}
