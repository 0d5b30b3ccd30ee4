use super::*;
use sim::fs::CrashModel;
use sim::prelude::*;
use sim::time::Instant;
use sim::{Node, spawn};

const DIR: &str = "/log";
/// Some records of the tests below make a segment.
const SMALL: Options = Options { segment: 90, bug: None };

async fn open(options: Options) -> io::Result<(Wal, Recovered)> {
    let (wal, writer, recovered) = Wal::open(DIR, options).await?;
    spawn(writer.run());
    Ok((wal, recovered))
}

fn texts(recovered: &Recovered) -> Vec<String> {
    recovered.records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect()
}

/// A node whose disk loses what is not synced.
fn strict(sim: Sim) -> Node {
    let node = sim.node("store");
    node.disk().crash_model(CrashModel::Strict);
    node
}

/// Has a process write these records one after the other, and ends it; the error that it met.
async fn write(node: Node, options: Options, records: &'static [&'static str]) -> Result<(), String> {
    let written = node.spawn(async move {
        let (wal, _) = open(options).await.map_err(|error| error.to_string())?;
        for record in records {
            wal.durable(wal.append(record.as_bytes().to_vec())).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    });
    let result = written.await.unwrap();
    node.restart();
    result
}

/// What a new process finds.
async fn read(node: Node, options: Options) -> io::Result<Recovered> {
    let read = node.spawn(async move { open(options).await.map(|(_, recovered)| recovered) }).await.unwrap();
    node.restart();
    read
}

/// Has somebody change the file of a segment, which is durable then.
async fn change(node: Node, first: u64, change: impl FnOnce(&mut Vec<u8>) + 'static) {
    let path = segment::path(Path::new(DIR), first);
    let mut bytes = node.disk().read(&path).unwrap();
    change(&mut bytes);
    let changed = node.spawn(async move {
        fs::write(&path, bytes).await?;
        File::open(path).await?.sync_all().await
    });
    changed.await.unwrap().unwrap();
}

#[sim_test]
async fn records_are_there_in_their_order_through_segments_and_restarts(sim: Sim) {
    let node = strict(sim);
    write(node, SMALL, &["one", "two", "three", "four", "five"]).await.unwrap();
    assert!(node.disk().read(segment::path(Path::new(DIR), 4)).is_ok(), "a second segment");
    node.power_cut();
    node.start();
    write(node, SMALL, &["six"]).await.unwrap();
    node.power_cut();
    node.start();
    let recovered = read(node, SMALL).await.unwrap();
    assert_eq!(texts(&recovered), ["one", "two", "three", "four", "five", "six"]);
    assert_eq!(recovered.torn, None);
}

#[sim_test]
async fn what_comes_during_a_sync_shares_the_next(sim: Sim) {
    let took = |records: u64| {
        sim.node("store").spawn(async move {
            let (wal, _) = open(Options::default()).await.unwrap();
            let start = Instant::now();
            for n in 0..records {
                wal.append(n.to_le_bytes().to_vec());
            }
            wal.durable(records).await.unwrap();
            start.elapsed()
        })
    };
    let one = took(1).await.unwrap();
    sim.node("store").wipe();
    sim.node("store").start();
    assert!(took(1_000).await.unwrap() < 3 * one, "one write and one sync");
}

#[sim_test]
async fn a_torn_tail_is_cut_off_and_told_and_the_log_goes_on(sim: Sim) {
    let node = strict(sim);
    write(node, Options::default(), &["kept"]).await.unwrap();
    let length = node.disk().read("/log/0000000000000001.wal").unwrap().len() as u64;
    change(node, 1, |bytes| {
        record::encode(bytes, 2, 1, b"torn");
        *bytes.last_mut().unwrap() ^= 1;
    })
    .await;
    let recovered = read(node, Options::default()).await.unwrap();
    assert_eq!(texts(&recovered), ["kept"]);
    let torn = recovered.torn.unwrap();
    assert_eq!((torn.at, torn.bytes), (length, record::HEADER as u64 + 4));
    assert!(torn.to_string().contains("0000000000000001.wal"), "{torn}");
    write(node, Options::default(), &["next"]).await.unwrap();
    let recovered = read(node, Options::default()).await.unwrap();
    assert_eq!((texts(&recovered), recovered.torn), (vec!["kept".into(), "next".into()], None));
}

#[sim_test]
async fn a_tail_of_which_the_beginning_is_missing_is_torn_too(sim: Sim) {
    let node = strict(sim);
    write(node, Options::default(), &["kept"]).await.unwrap();
    // Two records of one write: the second does not say that the first was durable.
    change(node, 1, |bytes| {
        bytes.extend([0; 40]);
        record::encode(bytes, 3, 1, b"came to the disk before the second");
    })
    .await;
    let recovered = read(node, Options::default()).await.unwrap();
    assert_eq!(texts(&recovered), ["kept"]);
    assert!(recovered.torn.is_some());
}

#[sim_test]
async fn a_segment_without_a_record_is_begun_anew(sim: Sim) {
    let node = strict(sim);
    write(node, SMALL, &["one", "two", "three"]).await.unwrap();
    for garbage in [vec![], vec![0; 16], segment::header(4).to_vec(), b"WAL1 and no more".to_vec()] {
        node.spawn(fs::write("/log/0000000000000004.wal", garbage)).await.unwrap().unwrap();
        assert_eq!(texts(&read(node, SMALL).await.unwrap()), ["one", "two", "three"]);
    }
    write(node, SMALL, &["four"]).await.unwrap();
    assert_eq!(texts(&read(node, SMALL).await.unwrap()), ["one", "two", "three", "four"]);
}

#[track_caller]
fn assert_corrupt(found: io::Result<Recovered>, says: &str) {
    let error = found.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains(says), "{error}");
}

#[sim_test]
async fn damage_in_the_middle_is_refused_by_file_and_place(sim: Sim) {
    let node = strict(sim);
    write(node, Options::default(), &["one", "two", "three"]).await.unwrap();
    let second = segment::HEADER + record::HEADER + 3;
    change(node, 1, move |bytes| bytes[second + record::HEADER] ^= 1).await;
    let says = format!("0000000000000001.wal: record 2 at byte {second} is damaged");
    assert_corrupt(read(node, Options::default()).await, &says);
    change(node, 1, |bytes| bytes[0] ^= 1).await;
    assert_corrupt(read(node, Options::default()).await, "header is damaged");
}

#[sim_test]
async fn damage_in_an_earlier_segment_is_refused(sim: Sim) {
    let node = strict(sim);
    write(node, SMALL, &["one", "two", "three", "four"]).await.unwrap();
    let first = node.disk().read("/log/0000000000000001.wal").unwrap();
    change(node, 1, |bytes| *bytes.last_mut().unwrap() ^= 1).await;
    assert_corrupt(read(node, SMALL).await, "record 3 at byte");
    change(node, 1, move |bytes| *bytes = first[..first.len() - 1].to_vec()).await;
    assert_corrupt(read(node, SMALL).await, "record 3 at byte");
    change(node, 1, |bytes| bytes.clear()).await;
    assert_corrupt(read(node, SMALL).await, "header is damaged");
    node.spawn(fs::remove_file("/log/0000000000000001.wal")).await.unwrap().unwrap();
    assert_corrupt(
        read(node, SMALL).await,
        "record 1 is missing: the next segment is /log/0000000000000004.wal",
    );
}

/// Has a sync fail, the process end, and the power go when another process has opened the log.
async fn after_a_failed_sync(sim: Sim, bug: Option<Bug>) -> (Result<(), Stopped>, Vec<String>) {
    let node = strict(sim);
    let options = Options { bug, ..Options::default() };
    write(node, options, &["kept"]).await.unwrap();
    let told = node.spawn(async move {
        let (wal, _) = open(options).await.unwrap();
        node.disk().fail_next_sync("log/");
        wal.durable(wal.append(b"in memory only".to_vec())).await
    });
    let told = told.await.unwrap();
    node.restart();
    if bug.is_none() {
        read(node, options).await.unwrap();
    }
    node.power_cut();
    node.start();
    (told, texts(&read(node, options).await.unwrap()))
}

#[sim_test]
async fn a_failed_sync_stops_the_log_and_what_was_in_memory_only_is_written_anew(sim: Sim) {
    let (told, found) = after_a_failed_sync(sim, None).await;
    assert_eq!(told, Err(Stopped));
    assert_eq!(found, ["kept", "in memory only"], "the second process had read it, and may have told of it");
}

#[sim_test]
async fn the_planted_bug_believes_the_second_sync(sim: Sim) {
    let (told, found) = after_a_failed_sync(sim, Some(Bug::RetryFsync)).await;
    assert_eq!((told, found), (Ok(()), vec!["kept".to_string()]));
}

async fn after_a_new_segment(sim: Sim, bug: Option<Bug>) -> Vec<String> {
    let node = strict(sim);
    write(node, Options { bug, ..SMALL }, &["one", "two", "three", "four"]).await.unwrap();
    node.power_cut();
    node.start();
    texts(&read(node, SMALL).await.unwrap())
}

#[sim_test]
async fn the_name_of_a_new_segment_is_durable_before_its_records(sim: Sim) {
    assert_eq!(after_a_new_segment(sim, None).await.len(), 4);
}

#[sim_test]
async fn the_planted_bug_loses_a_new_segment_with_its_name(sim: Sim) {
    assert!(after_a_new_segment(sim, Some(Bug::NoDirSync)).await.len() < 4);
}

#[sim_test]
async fn the_planted_bug_acknowledges_what_is_not_synced(sim: Sim) {
    for (bug, kept) in [(None, 1), (Some(Bug::AckBeforeSync), 0)] {
        let node = strict(sim);
        let told = node.spawn(async move {
            let (wal, _) = open(Options { bug, ..Options::default() }).await.unwrap();
            wal.durable(wal.append(b"promised".to_vec())).await
        });
        assert_eq!(told.await.unwrap(), Ok(()));
        node.power_cut();
        node.start();
        assert_eq!(read(node, Options::default()).await.unwrap().records.len(), kept);
        node.wipe();
        node.start();
    }
}

#[sim_test]
async fn a_process_that_is_killed_in_the_middle_leaves_a_log_that_opens(sim: Sim) {
    let node = strict(sim);
    for round in 0..20 {
        node.spawn(async {
            let (wal, _) = open(SMALL).await.unwrap();
            loop {
                wal.durable(wal.append(b"record".to_vec())).await.unwrap();
            }
        });
        sim::time::sleep(sim::time::Duration::from_micros(round * 777)).await;
        node.restart();
        read(node, SMALL).await.unwrap();
    }
}
