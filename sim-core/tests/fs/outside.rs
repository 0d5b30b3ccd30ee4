//! The disk from outside: what is on it, what comes in and goes out, what the seed chooses.

use super::*;

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
