//! The log and the database lose nothing that they have acknowledged, however often the power goes. On a drive whose flush
//! does nothing they do: so this could fail.
//!
//! A debug build places fewer power cuts; `cargo test --release -p checkout --test crashes` places 20,000 of each.

use checkout::Bug;
use checkout::catalog::backend;
use checkout::invariants::{NOTHING_INVENTED, NOTHING_LOST};
use checkout::wal::{self, Wal};
use checkout::witness::{Breach, Witness};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use sim::fs::{CrashModel, Sync};
use sim::prelude::*;
use sim::time::sleep;
use sim::{Isolate, Node, Run, SweepReport, rand, spawn, sweep, yield_now};
use std::pin::Pin;

/// How many power cuts there are in a run, and in how many runs.
const CUTS: u64 = 20;
const RUNS: u64 = if cfg!(debug_assertions) { 25 } else { 1_000 };

/// Opens what is on the disk, tells the witness of it, and writes for ever.
type Program = fn(Sim, Witness) -> Pin<Box<dyn Future<Output = ()>>>;

/// How a program is crashed: before which of its syncs, or when.
#[derive(Clone, Copy)]
struct Crashes {
    program: Program,
    syncs: u64,
    within: Duration,
}

const CREDULOUS_LOG: Crashes = Crashes { program: credulous_log, ..LOG };
const LOG: Crashes = Crashes { program: log, syncs: 16, within: Duration::from_millis(15) };
const DATABASE: Crashes = Crashes { program: database, syncs: 24, within: Duration::from_millis(25) };

impl Crashes {
    /// Waits until the power is gone: at a moment, or at a sync.
    async fn cut(self, node: Node) {
        let sync = Sync::nth(rand::range(1..=self.syncs));
        match rand::range(0..4) {
            0 => _ = node.crash_at(sync.before()),
            1 => _ = node.crash_at(sync.during()),
            2 => _ = node.crash_at(sync.after()),
            _ => {
                sleep(Duration::from_nanos(rand::range(0..self.within.as_nanos() as u64))).await;
                node.power_cut();
            }
        }
        while node.is_up() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Runs the program again and again on a disk like this; the report, and how many records were acknowledged.
    fn sweep(self, model: CrashModel) -> (SweepReport, u64) {
        let mut acknowledged = 0;
        let report = sweep(0..RUNS)
            .isolate(Isolate::Thread)
            .on_run(|run: &Run<u64>| acknowledged += run.result.as_ref().unwrap_or(&0))
            .run(move |sim| async move {
                let witness = Witness::default();
                let node = sim.node("store");
                node.disk().crash_model(model);
                let seen = witness.clone();
                let node = node.run(move || (self.program)(sim, seen.clone()));
                for _ in 0..CUTS {
                    self.cut(node).await;
                    node.start();
                }
                sleep(self.within).await;
                witness.acknowledged() as u64
            });
        (report, acknowledged)
    }

    #[track_caller]
    fn lose_nothing(self, model: CrashModel) {
        let (report, acknowledged) = self.sweep(model);
        if let Some(run) = report.failures.first() {
            panic!(
                "{} of {} runs failed; seed {}: {}",
                report.failures.len(),
                report.runs,
                run.seed,
                run.failure
            );
        }
        assert!(acknowledged > RUNS * CUTS, "only {acknowledged} records were acknowledged");
    }

    /// Some run fails in this way.
    #[track_caller]
    fn break_promise(self, model: CrashModel, promise: &str) {
        let (report, _) = self.sweep(model);
        let signatures: Vec<_> = report.groups().iter().map(|group| group.signature.to_string()).collect();
        assert!(signatures.contains(&format!("invariant {promise}")), "{signatures:?}");
    }
}

fn recover<'a>(sim: Sim, witness: &Witness, found: impl ExactSizeIterator<Item = &'a [u8]>) {
    let count = found.len();
    match witness.recover(found) {
        Ok(()) => witness.acknowledge(count as u64),
        Err(breach @ Breach::Lost { .. }) => sim.violated(NOTHING_LOST, breach),
        Err(breach @ Breach::Invented { .. }) => sim.violated(NOTHING_INVENTED, breach),
    }
}

fn record(longest: u64) -> Vec<u8> {
    let length = rand::range(0..longest);
    (0..length).map(|_| rand::range(0..256) as u8).collect()
}

/// Three clients of a log, which syncs for all of them at once.
fn log(sim: Sim, witness: Witness) -> Pin<Box<dyn Future<Output = ()>>> {
    keep_log(sim, witness, 200, None)
}

/// The same, of a log that believes what is torn. Its records lie in several sectors, or little is torn.
fn credulous_log(sim: Sim, witness: Witness) -> Pin<Box<dyn Future<Output = ()>>> {
    keep_log(sim, witness, 3_000, Some(Bug::TornTail))
}

fn keep_log(sim: Sim, witness: Witness, longest: u64, bug: Option<Bug>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let options = wal::Options { segment: 1_000, bug };
        let (wal, writer, recovered) = match Wal::open("/log", options).await {
            Ok(opened) => opened,
            Err(error) => return sim.violated(NOTHING_LOST, error),
        };
        recover(sim, &witness, recovered.records.iter().map(Vec::as_slice));
        for _ in 0..3 {
            let (wal, witness) = (wal.clone(), witness.clone());
            spawn(async move {
                loop {
                    let record = record(longest);
                    witness.write(record.clone());
                    let number = wal.append(record);
                    wal.durable(number).await.expect("no fault but power cuts");
                    witness.acknowledge(number);
                }
            });
        }
        let failed = writer.run().await;
        sim.violated(NOTHING_LOST, format!("the writer ended: {failed:?}"));
    })
}

const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("records");

/// One client of a database, who commits record after record.
fn database(sim: Sim, witness: Witness) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        if let Err(error) = write_for_ever(sim, &witness).await {
            // The power may have gone in the middle of a call. Then nobody comes back from here.
            yield_now().await;
            sim.violated(NOTHING_LOST, error);
        }
    })
}

async fn write_for_ever(sim: Sim, witness: &Witness) -> Result<(), redb::Error> {
    let database = backend::open("/records.redb")?;
    let begin = database.begin_write()?;
    begin.open_table(TABLE)?;
    begin.commit()?;
    let mut found = Vec::new();
    for entry in database.begin_read()?.open_table(TABLE)?.iter()? {
        found.push(entry?.1.value().to_vec());
    }
    recover(sim, witness, found.iter().map(Vec::as_slice));
    for number in found.len() as u64 + 1.. {
        let record = record(200);
        witness.write(record.clone());
        let write = database.begin_write()?;
        write.open_table(TABLE)?.insert(number, &*record)?;
        write.commit()?;
        witness.acknowledge(number);
        yield_now().await;
    }
    Ok(())
}

#[test]
fn the_log_loses_nothing_where_any_subset_of_what_is_not_synced_may_be_lost() {
    LOG.lose_nothing(CrashModel::Chaos);
}

#[test]
fn the_log_loses_something_on_a_drive_whose_flush_does_nothing() {
    LOG.break_promise(CrashModel::Lying, NOTHING_LOST);
}

#[test]
fn a_log_that_believes_torn_records_has_some_that_nobody_wrote() {
    CREDULOUS_LOG.break_promise(CrashModel::Chaos, NOTHING_INVENTED);
}

#[test]
fn redb_loses_nothing_where_any_subset_of_what_is_not_synced_may_be_lost() {
    DATABASE.lose_nothing(CrashModel::Chaos);
}

#[test]
fn redb_loses_something_on_a_drive_whose_flush_does_nothing() {
    DATABASE.break_promise(CrashModel::Lying, NOTHING_LOST);
}
