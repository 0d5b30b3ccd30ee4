//! What faults of a disk change, and that nothing changes without them.

use super::*;

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
