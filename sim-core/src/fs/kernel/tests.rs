//! Single cases of the kernel.

use super::*;
use crate::fault::FaultId;
use crate::fs::kernel::fault::{FaultKind, News};

const AT: At = At { now: 0, wall: 0 };

fn volume(model: CrashModel) -> Volume {
    Volume { model, ..Volume::new(AT) }
}

fn create(volume: &mut Volume, path: &str) -> Ino {
    let spot = volume.walk(path.as_bytes(), true).unwrap();
    volume.create(AT, &spot, 0o644).unwrap()
}

fn sync(volume: &mut Volume, ino: Ino) -> io::Result<()> {
    volume.sync(AT, ino, volume.watermark(), Durability::Everything)
}

fn crash(volume: &mut Volume) {
    // Everything that is open is lost.
    volume.crash(AT, &mut |_, dist| dist(1 << 62));
}

#[test]
fn a_name_is_durable_by_the_sync_of_its_directory_alone() {
    for model in [CrashModel::Strict, CrashModel::Chaos] {
        let mut v = volume(model);
        let a = create(&mut v, "/a");
        v.write(AT, a, 0, b"data").unwrap();
        sync(&mut v, a).unwrap();
        crash(&mut v);
        assert!(v.content(b"/a").is_err(), "{model:?}: nobody synced the directory");
        let a = create(&mut v, "/a");
        sync(&mut v, ROOT).unwrap();
        v.write(AT, a, 0, b"data").unwrap();
        crash(&mut v);
        assert_eq!(v.content(b"/a").unwrap(), b"", "{model:?}: nobody synced the file");
    }
}

#[test]
fn with_a_journal_the_sync_of_a_file_commits_its_name() {
    let mut v = volume(CrashModel::Ordered);
    let (a, b) = (create(&mut v, "/a"), create(&mut v, "/b"));
    v.write(AT, b, 0, b"first").unwrap();
    v.write(AT, a, 0, b"data").unwrap();
    create(&mut v, "/late");
    sync(&mut v, a).unwrap();
    crash(&mut v);
    assert_eq!(v.content(b"/a").unwrap(), b"data");
    assert_eq!(v.content(b"/b").unwrap(), b"first", "it came before in the journal");
    assert!(v.content(b"/late").is_err());
}

#[test]
fn data_that_the_journal_shows_comes_with_the_rest_of_its_page() {
    let mut v = volume(CrashModel::Ordered);
    let (a, b) = (create(&mut v, "/a"), create(&mut v, "/b"));
    v.write(AT, a, 0, b"aaaa").unwrap();
    sync(&mut v, a).unwrap();
    v.write(AT, a, 0, b"X").unwrap();
    v.write(AT, a, 4, b"Y").unwrap();
    v.write(AT, b, 0, b"later in the journal").unwrap();
    v.write(AT, a, 1, b"Z").unwrap();
    sync(&mut v, b).unwrap();
    crash(&mut v);
    let found = v.content(b"/a").unwrap();
    assert!(found == b"XaaaY" || found == b"XZaaY"[..], "{:?}", String::from_utf8_lossy(&found));
}

#[test]
fn what_lay_beyond_the_end_does_not_come_back() {
    let mut cut = 0;
    for seed in 0..64 {
        let mut v = volume(CrashModel::Chaos);
        let a = create(&mut v, "/a");
        v.write(AT, a, 0, &[1; 100]).unwrap();
        sync(&mut v, a).unwrap();
        sync(&mut v, ROOT).unwrap();
        v.write(AT, a, 100, &[2; 100]).unwrap();
        v.crash(AT, &mut |about, dist| dist(crate::hash::h(seed, about)));
        if v.inode(a).size() == 100 {
            cut += 1;
            v.truncate(AT, a, 200).unwrap();
            let mut tail = [9; 100];
            v.read(AT, a, 100, &mut tail).unwrap();
            assert_eq!(tail, [0; 100], "seed {seed}");
        }
    }
    assert!(cut > 8, "{cut}");
}

#[test]
fn a_lying_drive_loses_what_was_synced() {
    let mut v = volume(CrashModel::Lying);
    let a = create(&mut v, "/a");
    v.write(AT, a, 0, b"data").unwrap();
    sync(&mut v, a).unwrap();
    sync(&mut v, ROOT).unwrap();
    crash(&mut v);
    assert!(v.content(b"/a").is_err());
}

#[test]
fn old_changes_are_written_back() {
    for (model, survives) in [(CrashModel::Chaos, true), (CrashModel::Strict, false)] {
        let mut v = volume(model);
        let a = create(&mut v, "/a");
        v.write(AT, a, 0, b"data").unwrap();
        v.crash(At { now: 36_000_000_000, wall: 0 }, &mut |_, dist| dist(1 << 62));
        assert_eq!(v.content(b"/a").is_ok(), survives, "{model:?}");
    }
}

#[test]
fn a_rename_over_a_file_leaves_the_one_or_the_other() {
    let mut seen = [0; 2];
    for seed in 0..64 {
        let mut v = volume(CrashModel::Chaos);
        let old = create(&mut v, "/current");
        v.write(AT, old, 0, b"old").unwrap();
        sync(&mut v, old).unwrap();
        sync(&mut v, ROOT).unwrap();
        let new = create(&mut v, "/tmp");
        v.write(AT, new, 0, b"new").unwrap();
        sync(&mut v, new).unwrap();
        v.rename(AT, b"/tmp", b"/current").unwrap();
        v.crash(AT, &mut |about, dist| dist(crate::hash::h(seed, about)));
        match &v.content(b"/current").unwrap()[..] {
            b"old" => seen[0] += 1,
            b"new" => seen[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(seen[0] > 8 && seen[1] > 8, "{seen:?}");
}

#[test]
fn a_file_moved_into_a_new_directory_is_not_lost() {
    for seed in 0..256 {
        let mut v = volume(CrashModel::Chaos);
        create(&mut v, "/a");
        sync(&mut v, ROOT).unwrap();
        v.make_dir(AT, b"/d", 0o755).unwrap();
        v.make_dir(AT, b"/d/e", 0o755).unwrap();
        v.rename(AT, b"/a", b"/d/e/a").unwrap();
        v.rename(AT, b"/d/e", b"/e").unwrap();
        v.remove_dir(AT, b"/d").unwrap();
        v.crash(AT, &mut |about, dist| dist(crate::hash::h(seed, about)));
        let found = [&b"/a"[..], b"/d/e/a", b"/e/a"].iter().filter(|path| v.content(path).is_ok()).count();
        assert_eq!(found, 1, "seed {seed}: {:?}", v.snapshot(view::Side::Live));
    }
}

#[test]
fn space_is_counted_in_pages_and_comes_back() {
    let mut v = volume(CrashModel::Chaos);
    v.capacity = 3 * PAGE;
    let a = create(&mut v, "/a");
    assert_eq!(v.write(AT, a, 0, &[1; 20_000]).unwrap().0, 3 * PAGE as usize, "as much as fits");
    let full = v.write(AT, a, 3 * PAGE, b"x").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(v.write(AT, a, 0, b"over").unwrap().0, 4, "what is there can be written over");
    v.truncate(AT, a, 1).unwrap();
    assert_eq!(v.write(AT, a, 100 * PAGE, b"far").unwrap().0, 3, "holes take no space");
    v.open(a);
    v.unlink(AT, b"/a").unwrap();
    assert_eq!(v.used, 2, "it is open");
    v.close(a);
    assert_eq!((v.used, v.used_inodes), (0, 1));
    v.inodes_most = 2;
    create(&mut v, "/b");
    let spot = v.walk(b"/c", true).unwrap();
    assert_eq!(v.create(AT, &spot, 0o644).unwrap_err().kind(), io::ErrorKind::StorageFull);
}

const FAULT: FaultId = FaultId(0);

/// How often faults have shown since it was asked last.
fn hits(v: &mut Volume) -> usize {
    v.faults.news().filter(|news| matches!(news, News::Effect(_))).count()
}

#[test]
fn a_failed_sync_leaves_clean_pages_that_the_disk_does_not_hold() {
    let mut v = volume(CrashModel::Strict);
    let a = create(&mut v, "/a");
    v.write(AT, a, 0, b"old").unwrap();
    sync(&mut v, a).unwrap();
    sync(&mut v, ROOT).unwrap();
    v.write(AT, a, 0, b"new").unwrap();
    v.faults.begin(FAULT, FaultKind::SyncError, "a", Some(1));
    assert_eq!(sync(&mut v, a).unwrap_err().raw_os_error(), Some(libc::EIO));
    sync(&mut v, a).unwrap();
    assert_eq!(v.content(b"/a").unwrap(), b"new", "memory still has it");
    let mut lost = volume(CrashModel::Strict);
    std::mem::swap(&mut lost, &mut v);
    lost.evict();
    assert_eq!(lost.content(b"/a").unwrap(), b"old");
}

#[test]
fn a_write_after_a_failed_sync_rescues_its_page() {
    let mut v = volume(CrashModel::Strict);
    let a = create(&mut v, "/a");
    sync(&mut v, ROOT).unwrap();
    v.write(AT, a, 0, b"first").unwrap();
    v.faults.begin(FAULT, FaultKind::SyncError, "", Some(1));
    sync(&mut v, a).unwrap_err();
    v.write(AT, a, 5, b"second").unwrap();
    sync(&mut v, a).unwrap();
    crash(&mut v);
    assert_eq!(v.content(b"/a").unwrap(), b"firstsecond", "a page is written as a whole");
}

#[test]
fn corruption_is_the_same_at_each_read_and_heals() {
    let mut v = volume(CrashModel::Strict);
    let a = create(&mut v, "/a");
    v.write(AT, a, 0, &[7; 5000]).unwrap();
    sync(&mut v, a).unwrap();
    let place = v.faults.begin(FAULT, FaultKind::BitRot, "a", None);
    assert!(v.reaches(a, 4500));
    v.damage(FaultKind::BitRot, (a, 4500, 0), place);
    assert!(!v.reaches(a, 5000), "beyond the end is nothing to hit");
    let read = |v: &mut Volume| {
        let mut content = vec![0; 5000];
        v.read(AT, a, 0, &mut content).unwrap();
        content
    };
    let wrong = read(&mut v);
    assert_eq!(wrong.iter().filter(|&&byte| byte != 7).count(), 1);
    v.evict();
    assert_eq!(read(&mut v), wrong);
    assert_eq!(hits(&mut v), 2, "it came back from the device twice");
    assert_eq!(v.inode(a).file().unwrap().durable(), [7; 5000], "beneath it is the truth");
    v.heal_corruption();
    assert_eq!(read(&mut v), [7; 5000]);
}

#[test]
fn a_bad_sector_stays_bad_until_it_is_written() {
    let mut v = volume(CrashModel::Strict);
    let a = create(&mut v, "/a");
    v.write(AT, a, 0, &[7; 8192]).unwrap();
    sync(&mut v, a).unwrap();
    let place = v.faults.begin(FAULT, FaultKind::BadSector, "a", None);
    v.damage(FaultKind::BadSector, (a, 4096, 0), place);
    let mut buffer = [0; 8192];
    assert_eq!(v.read(AT, a, 0, &mut buffer).unwrap().0, 4096, "up to it");
    for _ in 0..2 {
        assert_eq!(v.read(AT, a, 4096, &mut buffer).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
    assert_eq!(v.write(AT, a, 5000, b"part").unwrap_err().raw_os_error(), Some(libc::EIO));
    v.write(AT, a, 4096, &[8; 4096]).unwrap();
    sync(&mut v, a).unwrap();
    v.evict();
    assert_eq!(v.read(AT, a, 0, &mut buffer).unwrap().0, 8192);
}

#[test]
fn lost_misdirected_and_stale_writes_show_when_memory_is_gone() {
    for kind in [FaultKind::LostWrite, FaultKind::MisdirectedWrite, FaultKind::StaleRead] {
        let mut v = volume(CrashModel::Strict);
        let a = create(&mut v, "/a");
        v.write(AT, a, 0, &[1; 8192]).unwrap();
        sync(&mut v, a).unwrap();
        v.write(AT, a, 0, &[2; 512]).unwrap();
        v.faults.begin(FAULT, kind, "a", Some(1));
        sync(&mut v, a).unwrap();
        let mut content = vec![0; 8192];
        v.read(AT, a, 0, &mut content).unwrap();
        assert_eq!(content[0], 2, "{kind:?}: memory has it");
        // A page that another one's bytes went to was forgotten in memory.
        assert_eq!(hits(&mut v) > 0, kind == FaultKind::MisdirectedWrite);
        v.evict();
        v.read(AT, a, 0, &mut content).unwrap();
        assert_eq!(content[0], 1, "{kind:?}: the disk has not");
        assert_eq!(content[4096], if kind == FaultKind::MisdirectedWrite { 2 } else { 1 });
        assert!(hits(&mut v) > 0);
        assert_eq!(v.inode(a).file().unwrap().durable()[0], 2, "beneath it is the truth");
        v.heal_corruption();
        v.read(AT, a, 0, &mut content).unwrap();
        assert_eq!((content[0], content[4096]), (2, 1), "{kind:?}");
    }
}

#[test]
fn a_fault_elsewhere_hits_nothing() {
    let mut v = volume(CrashModel::Strict);
    let a = create(&mut v, "/a");
    for kind in [FaultKind::SyncError, FaultKind::LostWrite, FaultKind::ReadError, FaultKind::WriteError] {
        v.faults.begin(FAULT, kind, "wal/", None);
    }
    v.write(AT, a, 0, b"x").unwrap();
    sync(&mut v, a).unwrap();
    v.evict();
    assert_eq!(v.read(AT, a, 0, &mut [0; 4]).unwrap().0, 1);
    assert_eq!(hits(&mut v), 0);
}
