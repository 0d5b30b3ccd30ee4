//! The file system of a node in a running world: times, life and death, crashes placed at syncs, faults, the view from
//! outside.

use sim_core::fs::{
    self, CrashModel, Difference, DiskExt, Entry, FaultKind, File, OpenOptions, Snapshot, Speed, Sync,
    blocking,
};
use sim_core::time::{Instant, sleep, timeout};
use sim_core::{Config, Node, Sim, Source, run};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world<T: 'static, Fut: Future<Output = T> + 'static>(body: impl FnOnce(Sim) -> Fut) -> T {
    run(Config::seed(7), body).result.unwrap()
}

/// Runs a body on a node; gives the node, too.
async fn on<T: 'static>(node: Node, body: impl Future<Output = io::Result<T>> + 'static) -> io::Result<T> {
    node.spawn(body).await.unwrap()
}

/// A file that is durable with its name.
async fn durable(path: &str, content: &[u8]) -> io::Result<()> {
    fs::write(path, content).await?;
    File::open(path).await?.sync_all().await?;
    File::open(Path::new(path).parent().unwrap()).await?.sync_all().await
}

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

/// What a fault changes: the kind of the first error, or how long the body took, with and without it.
fn compare<T: PartialEq + std::fmt::Debug + 'static>(
    kind: FaultKind,
    inject: impl Fn(fs::Disk) -> Option<fs::FaultGuard> + Copy + 'static,
    look: impl AsyncFn() -> T + Copy + 'static,
) -> (T, T) {
    let once = move |faulty: bool| {
        world(move |sim| async move {
            let node = sim.node("store");
            node.disk().speed(Speed::default().with_jitter(Duration::ZERO));
            on(node, durable("/a", &[7; 10_000])).await.unwrap();
            let guard = if faulty { inject(node.disk()) } else { None };
            let seen = node.spawn(async move { look().await }).await.unwrap();
            let log = sim.faults();
            assert_eq!(log.iter().any(|f| f.family == kind.family() && f.effects > 0), faulty, "{log:?}");
            drop(guard);
            // Once it is over nothing is left of it.
            node.disk().heal();
            assert!(sim.faults().iter().all(|f| f.end.is_some()));
            seen
        })
    };
    (once(false), once(true))
}

async fn code<T>(result: io::Result<T>) -> i32 {
    result.map_or_else(|e| e.raw_os_error().unwrap_or(-1), |_| 0)
}

#[test]
fn each_fault_changes_something_and_without_it_nothing_changes() {
    let full =
        compare(FaultKind::Full, |d| Some(d.full()), async || code(fs::write("/new", b"x").await).await);
    assert_eq!(full, (0, libc::ENOSPC));
    let write = compare(
        FaultKind::WriteError,
        |d| Some(d.fail_writes("a")),
        async || {
            let mut file = OpenOptions::new().append(true).open("/a").await.unwrap();
            code(file.write(b"x").await).await
        },
    );
    assert_eq!(write, (0, libc::EIO));
    let sync = compare(
        FaultKind::SyncError,
        |d| {
            d.fail_next_sync("a");
            None
        },
        async || {
            let file = OpenOptions::new().append(true).open("/a").await.unwrap();
            [code(file.sync_all().await).await, code(file.sync_all().await).await]
        },
    );
    assert_eq!(sync, ([0, 0], [libc::EIO, 0]), "it is told once");
    let read =
        compare(FaultKind::ReadError, |d| Some(d.fail_reads("a")), async || code(fs::read("/a").await).await);
    assert_eq!(read, (0, libc::EIO));
    let slow = compare(
        FaultKind::Slow,
        |d| Some(d.slow(100)),
        async || {
            let start = Instant::now();
            File::open("/a").await.unwrap().sync_all().await.unwrap();
            start.elapsed() > ms(20)
        },
    );
    assert_eq!(slow, (false, true));
    let hang = compare(
        FaultKind::Hang,
        |d| Some(d.hang()),
        async || {
            let file = File::open("/a").await.unwrap();
            timeout(Duration::from_secs(60), file.sync_all()).await.is_err()
        },
    );
    assert_eq!(hang, (false, true));
    let rot = compare(
        FaultKind::BitRot,
        |d| {
            assert!(d.rot("/a", 5000).unwrap());
            None
        },
        async || fs::read("/a").await.unwrap()[5000],
    );
    assert_eq!(rot, (7, 6));
}

#[test]
fn silent_faults_of_writes_show_after_a_power_cut() {
    for (kind, expected) in [
        (None, (8, 7)),
        (Some(FaultKind::LostWrite), (7, 7)),
        (Some(FaultKind::MisdirectedWrite), (7, 8)),
        (Some(FaultKind::StaleRead), (7, 7)),
    ] {
        world(|sim| async move {
            let node = sim.node("store");
            on(node, durable("/a", &[7; 8192])).await.unwrap();
            let disk = node.disk();
            match kind {
                Some(FaultKind::LostWrite) => disk.lose_next_write("a"),
                Some(FaultKind::MisdirectedWrite) => disk.misdirect_next_write("a"),
                Some(FaultKind::StaleRead) => disk.stale_reads("a").forget(),
                _ => {}
            }
            on(node, async {
                let file = OpenOptions::new().write(true).open("/a").await?;
                file.write_all_at(&[8; 4096], 0).await?;
                file.sync_all().await
            })
            .await
            .unwrap();
            node.power_cut();
            node.start();
            let found = on(node, fs::read("/a")).await.unwrap();
            assert_eq!((found[0], found[4096]), expected, "{kind:?}");
            assert_eq!(disk.durable().read("/a").unwrap()[0], 8, "beneath it is the truth");
            assert_eq!(sim.faults().iter().any(|f| f.effects > 0 && f.family != "power-cut"), kind.is_some());
            disk.heal();
            assert_eq!(on(node, fs::read("/a")).await.unwrap()[0], 8);
        });
    }
}

#[test]
fn each_open_file_is_told_once_of_a_failed_sync() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().crash_model(CrashModel::Strict);
        on(node, async {
            durable("/a", b"old").await?;
            let mut one = OpenOptions::new().write(true).open("/a").await?;
            let two = File::open("/a").await?;
            Sim::current().here().disk().fail_next_sync("a");
            one.write_all(b"new").await?;
            assert_eq!(code(one.sync_data().await).await, libc::EIO);
            let three = File::open("/a").await?;
            assert_eq!(code(one.sync_data().await).await, 0, "what is in memory is believed to be clean");
            assert_eq!(code(two.sync_data().await).await, libc::EIO);
            assert_eq!(code(two.sync_data().await).await, 0);
            assert_eq!(code(three.sync_data().await).await, 0, "it was opened after somebody had been told");
            assert_eq!(fs::read("/a").await?, b"new");
            Ok(())
        })
        .await
        .unwrap();
        node.power_cut();
        assert_eq!(node.disk().read("/a").unwrap(), b"old");
    });
}

#[test]
fn a_hang_ends_and_everything_that_waited_goes_on() {
    world(|sim| async move {
        let node = sim.node("store");
        on(node, durable("/a", &[7; 4096])).await.unwrap();
        let hang = node.disk().hang();
        node.disk().evict();
        let read = node.spawn(async { fs::read("/a").await.unwrap().len() });
        let sync = node.spawn(async { File::open("/a").await?.sync_all().await });
        let blocked = node.spawn(async {
            blocking::File::open("/a")?.sync_all()?;
            sim_core::yield_now().await;
            io::Result::Ok(())
        });
        sim.after(Duration::from_secs(30), move || drop(hang));
        assert_eq!(read.await.unwrap(), 4096);
        sync.await.unwrap().unwrap();
        blocked.await.unwrap().unwrap();
        assert!((Duration::from_secs(30)..Duration::from_secs(31)).contains(&sim.elapsed()));
    });
}

#[test]
fn a_disk_is_looked_at_kept_and_put_back() {
    world(|sim| async move {
        let node = sim.node("store");
        let disk = node.disk().crash_model(CrashModel::Strict);
        on(node, async {
            fs::create_dir_all("/db/logs").await?;
            fs::write("/db/a", b"1").await?;
            fs::symlink("a", "/db/link").await
        })
        .await
        .unwrap();
        let before = disk.snapshot();
        assert_eq!(before.iter().count(), 4);
        assert_eq!(before.get("db/link"), Some(&Entry::Symlink("a".into())));
        assert_eq!(disk.durable(), Snapshot::default(), "nothing was synced");
        on(node, async {
            fs::write("/db/a", b"2").await?;
            fs::write("/db/b", b"3").await?;
            fs::remove_dir("/db/logs").await
        })
        .await
        .unwrap();
        let expected = BTreeMap::from([
            ("/db/a".into(), Difference::Changed),
            ("/db/b".into(), Difference::Added),
            ("/db/logs".into(), Difference::Removed),
        ]);
        assert_eq!(before.diff(&disk.snapshot()), expected);
        disk.restore(&before).unwrap();
        assert_eq!(disk.snapshot(), before);
        node.power_cut();
        assert_eq!(disk.snapshot(), before, "what is put there is durable");
        // Another disk of the same content.
        let copy = sim.node("copy").disk();
        copy.put(&before).unwrap();
        assert_eq!(copy.snapshot(), before);
    });
}

#[test]
fn directories_of_the_host_come_in_and_go_out() {
    let host = std::env::temp_dir().join(format!("sim-fs-{}", std::process::id()));
    let (source, target) = (host.join("in"), host.join("out"));
    std::fs::create_dir_all(source.join("sub")).unwrap();
    std::fs::write(source.join("sub/file"), b"content").unwrap();
    std::os::unix::fs::symlink("sub", source.join("link")).unwrap();
    let (from, to) = (source.clone(), target.clone());
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().copy_in(from, "/data").unwrap();
        assert_eq!(on(node, fs::read("/data/link/file")).await.unwrap(), b"content");
        on(node, fs::write("/data/sub/more", b"!")).await.unwrap();
        node.disk().copy_out("/data", to).unwrap();
        assert!(node.disk().copy_out("/none", "/nowhere").is_err());
    });
    assert_eq!(std::fs::read(target.join("link/more")).unwrap(), b"!");
    std::fs::remove_dir_all(&host).unwrap();
}

#[test]
fn the_order_of_a_directory_is_the_seeds() {
    let order = |seed| {
        let outcome = run(Config::seed(seed), |sim| async move {
            on(sim.node("store"), async {
                for name in ["a", "b", "c", "d", "e"] {
                    fs::write(format!("/{name}"), b"").await?;
                }
                let (mut entries, mut names) = (fs::read_dir("/").await?, Vec::new());
                while let Some(entry) = entries.next_entry().await? {
                    names.push(entry.file_name());
                }
                Ok(names)
            })
            .await
        });
        outcome.result.unwrap().unwrap()
    };
    assert_eq!(order(1), order(1));
    assert!((2..10).any(|seed| order(seed) != order(1)));
}

/// A run whose power cut loses something: what is left, and the run's deviations.
fn cut(config: Config) -> (Snapshot, u64, BTreeMap<u64, u64>) {
    let outcome = run(config.record(), |sim| async move {
        let node = sim.node("store");
        on(node, async {
            durable("/log", b"").await?;
            for i in 0..6 {
                fs::write(format!("/{i}"), [i; 5000]).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
        node.power_cut();
        node.disk().snapshot()
    });
    let deviations = outcome.log.unwrap().deviations.iter().map(|d| (d.name, d.value)).collect();
    (outcome.result.unwrap(), outcome.trace, deviations)
}

#[test]
fn what_a_power_cut_leaves_is_the_seeds_and_boring_is_everything() {
    let runs: Vec<_> = (0..20).map(|seed| cut(Config::seed(seed))).collect();
    assert!((0..20).all(|seed| cut(Config::seed(seed)) == runs[seed as usize]));
    assert!(runs.iter().any(|r| r.0 != runs[0].0), "seeds differ");
    for (seed, (left, _, deviations)) in runs.into_iter().enumerate() {
        let seed = seed as u64;
        let replay = |deviations: BTreeMap<u64, u64>| {
            cut(Config::seed(seed).source(Source::Explicit { seed, deviations: Arc::new(deviations) })).0
        };
        assert_eq!(replay(deviations), left, "the deviations are the run");
        let boring = replay(BTreeMap::new());
        assert_eq!(boring.iter().count(), 7, "with none nothing is lost");
    }
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

#[test]
fn the_disk_is_full_at_its_capacity() {
    world(|sim| async move {
        let node = sim.node("store");
        node.disk().capacity(8192).inodes(3);
        on(node, async {
            let mut file = File::create("/a").await?;
            assert_eq!(file.write(&[1; 10_000]).await?, 8192);
            assert_eq!(file.write(&[1; 1]).await.unwrap_err().kind(), ErrorKind::StorageFull);
            File::create("/b").await?;
            assert_eq!(File::create("/c").await.unwrap_err().kind(), ErrorKind::StorageFull);
            fs::remove_file("/a").await?;
            drop(file);
            fs::write("/b", [2; 8192]).await
        })
        .await
        .unwrap();
    });
}
