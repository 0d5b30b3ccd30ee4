//! What programs see: times, life and death, locks, crashes placed at syncs, the traits.

use super::*;

#[test]
fn a_kill_keeps_everything_and_a_power_cut_what_was_synced() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().crash_model(CrashModel::Strict);
        on(node, async {
            durable("/synced", b"1").await?;
            fs::write("/hasty", b"2").await
        })
        .await
        .unwrap();
        node.kill();
        assert_eq!(node.disk().read("/hasty").unwrap(), b"2");
        node.power_cut();
        assert!(node.disk().read("/hasty").is_err());
        node.start();
        assert_eq!(on(node, fs::read("/synced")).await.unwrap(), b"1");
        node.wipe();
        node.start();
        assert_eq!(on(node, fs::read("/synced")).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn handles_end_with_their_process_and_locks_with_them() {
    world(|sim| async move {
        let node = sim.node("store");
        let file = on(node, async {
            let file = File::create("/lock").await?;
            file.lock().await?;
            fs::remove_file("/lock").await?;
            Ok(file)
        })
        .await
        .unwrap();
        assert_eq!(node.disk().census().1.0, 1);
        node.kill();
        assert_eq!(node.disk().census().1, (0, 0));
        let late = on(node, async move { file.sync_all().await.map_err(|e| (e, drop(file)).0) }).await;
        assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EBADF));
        node.disk().crash_model(CrashModel::Strict);
        node.power_cut();
        assert_eq!(node.disk().census().0, (1, 0), "what nothing leads to is forgotten");
    });
}

#[test]
fn locks_wait_for_each_other() {
    world(|sim| async move {
        let node = sim.node("store");
        on(node, async {
            let first = File::create("/lock").await?;
            first.lock().await?;
            let waiter = sim_core::spawn(async {
                let second = File::open("/lock").await?;
                assert!(matches!(second.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
                assert!(matches!(second.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)));
                second.lock_shared().await?;
                io::Result::Ok(Instant::now())
            });
            sleep(ms(10)).await;
            first.lock_shared().await?;
            assert!(waiter.await.unwrap()?.elapsed() < ms(1));
            let third = File::open("/lock").await?;
            assert!(third.try_lock_shared().is_ok() && third.try_lock().is_err());
            first.unlock().await?;
            assert!(third.try_lock().is_ok(), "the waiter's was closed");
            let clone = third.try_clone().await?;
            drop(third);
            assert!(first.try_lock().is_err(), "a clone holds it");
            drop(clone);
            assert!(first.try_lock().is_ok());
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn operations_take_the_time_of_the_device() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().speed(Speed::default().with_jitter(Duration::ZERO));
        on(node, async {
            let start = Instant::now();
            fs::create_dir("/d").await?;
            assert_eq!(start.elapsed(), Duration::from_micros(5), "a call");
            let mut file = File::create("/d/a").await?;
            let start = Instant::now();
            file.write_all(&vec![1; 1 << 20]).await?;
            let cached = start.elapsed();
            assert!(cached < ms(1), "{cached:?}");
            let start = Instant::now();
            file.sync_all().await?;
            assert!(start.elapsed() > Duration::from_micros(800), "bandwidth and flush");
            Ok(())
        })
        .await
        .unwrap();
        node.disk().evict();
        on(node, async {
            let start = Instant::now();
            fs::read("/d/a").await?;
            let cold = start.elapsed();
            let start = Instant::now();
            fs::read("/d/a").await?;
            assert!(start.elapsed() * 2 < cold, "the second time it is in memory");
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn the_blocking_form_is_paid_for_at_the_next_poll() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().speed(Speed::default().with_jitter(Duration::ZERO).with_flush(ms(2)));
        on(node, async {
            let start = Instant::now();
            let file = blocking::File::create("/a")?;
            for i in 0..3 {
                file.write_all_at(b"x", i)?;
                file.sync_data()?;
            }
            assert_eq!(start.elapsed(), Duration::ZERO);
            sim_core::yield_now().await;
            assert!(start.elapsed() > ms(6), "one call after the other: {:?}", start.elapsed());
            let start = Instant::now();
            sim_core::yield_now().await;
            assert_eq!(start.elapsed(), Duration::ZERO, "it is paid");
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_power_cut_in_a_blocking_call_fails_it_and_all_that_follow() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().crash_model(CrashModel::Strict);
        node.crash_at(Sync::nth(2));
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let results = seen.clone();
        let task = node.spawn(async move {
            let file = blocking::File::create("/a").unwrap();
            file.write_all_at(b"x", 0).unwrap();
            results.borrow_mut().push(file.sync_all().is_ok());
            results.borrow_mut().push(file.sync_all().is_ok());
            results.borrow_mut().push(file.write_at(b"y", 0).is_ok());
            results.borrow_mut().push(blocking::File::create("/b").is_ok());
            results.borrow_mut().push(blocking::read("/a").is_ok());
        });
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(*seen.borrow(), [true, false, false, false, false]);
        assert!(!node.is_up());
    });
}

#[test]
fn a_crash_comes_before_during_or_after_a_sync() {
    for (sync, survives) in [
        (Sync::nth(2).of("/wal").before(), false),
        (Sync::nth(2).of("wal").during(), false),
        (Sync::nth(2).of("wal").after(), true),
    ] {
        let found = world(|sim| async move {
            let node = sim.node("store");
            node.disk().crash_model(CrashModel::Strict);
            node.run(|| async {
                if fs::try_exists("/wal").await? {
                    return std::future::pending().await;
                }
                durable("/wal", b"first").await?;
                durable("/other", b"not counted").await?;
                let mut wal = OpenOptions::new().append(true).open("/wal").await?;
                wal.write_all(b" second").await?;
                wal.sync_all().await?;
                fs::write("/never", b"").await
            });
            node.crash_at(sync.restart_after(ms(50)));
            sleep(ms(40)).await;
            assert!(!node.is_up());
            sleep(ms(40)).await;
            assert!(node.is_up() && node.is_running());
            assert!(node.disk().read("/never").is_err());
            node.disk().read("/wal").unwrap()
        });
        assert_eq!(found, if survives { &b"first second"[..] } else { b"first" });
    }
}

#[test]
fn a_sync_goes_on_without_its_caller() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().crash_model(CrashModel::Strict);
        on(node, async {
            durable("/a", b"").await?;
            let mut file = OpenOptions::new().write(true).open("/a").await?;
            file.write_all(b"x").await?;
            assert!(timeout(Duration::from_micros(10), file.sync_all()).await.is_err());
            drop(file);
            sleep(ms(10)).await;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(node.disk().durable().read("/a"), Some(&b"x"[..]));
        assert_eq!(node.disk().census().1, (0, 0));
    });
}

#[test]
fn the_traits_of_futures_do_the_same() {
    use futures::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
    world(|sim| async move {
        let node = sim.node("store");
        on(node, async {
            let mut file = OpenOptions::new().read(true).write(true).create(true).open("/a").await?;
            AsyncWriteExt::write_all(&mut file, b"hello world").await?;
            AsyncWriteExt::flush(&mut file).await?;
            AsyncSeekExt::seek(&mut file, SeekFrom::Start(6)).await?;
            let mut text = String::new();
            AsyncReadExt::read_to_string(&mut file, &mut text).await?;
            assert_eq!(text, "world");
            let mut synced = OpenOptions::new().append(true).custom_flags(libc::O_DSYNC).open("/a").await?;
            AsyncWriteExt::write_all(&mut synced, b"!").await?;
            AsyncWriteExt::close(&mut synced).await
        })
        .await
        .unwrap();
        let inodes = node.disk().census().0;
        assert_eq!(inodes.0, 2);
        node.disk().crash_model(CrashModel::Strict);
    });
}

#[test]
fn what_is_left_of_a_dead_process_changes_nothing() {
    struct Writes(Option<File>);
    impl Drop for Writes {
        fn drop(&mut self) {
            let _ = blocking::write("/late", b"x");
            let _ = blocking::remove_file("/a");
            drop(self.0.take());
        }
    }
    world(|sim| async move {
        let node = sim.node("store");
        node.spawn(async {
            let file = File::create("/a").await.unwrap();
            let _writes = Writes(Some(file));
            std::future::pending::<()>().await;
        });
        sleep(ms(1)).await;
        node.kill();
        let names: Vec<_> = node.disk().snapshot().iter().map(|(path, _)| path.to_path_buf()).collect();
        assert_eq!(names, [Path::new("/a")]);
    });
}

#[test]
fn a_handle_of_another_world_panics_by_name_and_is_dropped_in_silence() {
    let file = world(|sim| async move { on(sim.node("store"), File::create("/a")).await.unwrap() });
    let outcome = run(Config::seed(1), |sim| async move {
        on(sim.node("store"), async move { file.sync_all().await }).await
    });
    let failure = outcome.result.unwrap_err();
    assert!(failure.message.contains("this file belongs to another simulation"), "{failure}");
    let file = world(|sim| async move { on(sim.node("store"), File::create("/a")).await.unwrap() });
    drop(file);
    fn plain<T: Send + std::marker::Sync>() {}
    plain::<File>();
    plain::<blocking::File>();
    plain::<fs::ReadDir>();
    fn sent<F: Future + Send>(future: F) {
        drop(future);
    }
    world(|_| async {
        let mut file = File::create("/a").await.unwrap();
        sent(file.write_all(b"x"));
        sent(file.sync_all());
        sent(file.lock());
        sent(fs::read("/a"));
        sent(fs::create_dir_all("/d/e"));
        sent(fs::read_dir("/"));
        sent(fs::remove_dir_all("/d"));
    });
}
