//! What a service must not forget about each order, in its write-ahead log: its state is what the log gives.
//!
//! A change takes effect in memory at once, so that whoever comes next sees it, and goes to the log. Whoever tells
//! somebody outside of it, or acts on it, waits until it is durable: so nothing is ever told that a crash can undo.

use crate::Bug;
use crate::invariants::{NOTHING_INVENTED, NOTHING_LOST};
use crate::protocol::OrderId;
use crate::store::Store;
use crate::wal::{self, Wal, Writer};
use crate::witness::{Breach, Witness};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::{Sim, codec, reachable};
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use tracing::info;

/// What is known of each order.
pub type Entries<V> = BTreeMap<OrderId, V>;

/// How large a segment becomes, bytes: small, so that a run has several.
const SEGMENT: u64 = 8_000;

/// What oracles see of a journal. It outlives the processes, and no process takes anything from it.
#[derive(Debug)]
pub struct Seen<V> {
    /// What the last process has in memory.
    pub entries: Store<Entries<V>>,
    /// What was written and acknowledged by all of them.
    pub witness: Witness,
}

/// One process's journal. Clones are the same.
#[derive(Debug)]
pub struct Journal<V> {
    wal: Wal,
    seen: Seen<V>,
}

impl<V: Clone + Serialize + DeserializeOwned> Journal<V> {
    /// Opens the journal in a directory. The writer has to be run.
    ///
    /// # Errors
    /// Those of [`Wal::open`].
    pub async fn open(dir: &str, seen: Seen<V>, bug: Option<Bug>) -> io::Result<(Journal<V>, Writer)> {
        let opened = Wal::open(dir, wal::Options { segment: SEGMENT, bug }).await;
        if let Err(error) = &opened
            && error.kind() == io::ErrorKind::InvalidData
        {
            // No fault of the shop damages what is on a disk.
            Sim::current().violated(NOTHING_LOST, error);
        }
        let (wal, writer, recovered) = opened?;
        if let Some(torn) = &recovered.torn {
            reachable!("a torn tail is cut off");
            info!("{torn}");
        }
        match seen.witness.recover(recovered.records.iter().map(Vec::as_slice)) {
            Ok(()) => {}
            Err(breach @ Breach::Lost { .. }) => Sim::current().violated(NOTHING_LOST, breach),
            Err(breach @ Breach::Invented { .. }) => Sim::current().violated(NOTHING_INVENTED, breach),
        }
        let mut entries = Entries::new();
        for record in &recovered.records {
            let (order, value): (OrderId, Option<V>) = codec::decode(record).map_err(io::Error::other)?;
            match value {
                Some(value) => _ = entries.insert(order, value),
                None => _ = entries.remove(&order),
            }
        }
        seen.entries.write(|seen| *seen = entries);
        Ok((Journal { wal, seen }, writer))
    }

    /// Looks at what is known, of which some may not be durable yet.
    pub fn read<R>(&self, f: impl FnOnce(&Entries<V>) -> R) -> R {
        self.seen.entries.read(f)
    }

    /// What is known of an order.
    pub fn entry(&self, order: OrderId) -> Option<V> {
        self.read(|entries| entries.get(&order).cloned())
    }

    /// Notes down something else of an order, or nothing at all. It is not durable yet.
    pub fn set(&self, order: OrderId, value: Option<V>) {
        let record = codec::encode(&(order, &value)).expect("numbers, words and enums can be encoded");
        self.seen.witness.write(record.clone());
        self.wal.append(record);
        self.seen.entries.write(|entries| match value {
            Some(value) => entries.insert(order, value),
            None => entries.remove(&order),
        });
    }

    /// Waits until all is durable that was noted down so far. It does not return when the log has failed: the process
    /// is at its end then.
    pub async fn durable(&self) {
        let number = self.wal.appended();
        if self.wal.durable(number).await.is_err() {
            pending::<()>().await;
        }
        self.seen.witness.acknowledge(number);
    }
}

impl<V> Default for Seen<V> {
    fn default() -> Self {
        Seen { entries: Store::new(Entries::new()), witness: Witness::default() }
    }
}

impl<V> Clone for Seen<V> {
    fn clone(&self) -> Self {
        Seen { entries: self.entries.clone(), witness: self.witness.clone() }
    }
}

impl<V> Clone for Journal<V> {
    fn clone(&self) -> Self {
        Journal { wal: self.wal.clone(), seen: self.seen.clone() }
    }
}
