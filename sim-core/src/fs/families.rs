//! The families of faults that disks offer to the nemesis.
//!
//! Their ranges at full intensity; at a lower one the amount is at most that share of the range. What is damaged is mended
//! with the end of the fault: for damage that would stay, that is the end of the chaos. While a fault lasts whose effect
//! hides behind the page cache, memory is short now and then: what is clean there is forgotten.
//!
//! | family | lasts | amount | source |
//! | --- | --- | --- | --- |
//! | `disk-full` | 200 ms – 20 s | | until a log is rotated or somebody makes room; longer would only be idle time |
//! | `disk-slow` | 200 ms – 15 s | 2 – 100 times as long | Hao et al., *The Tail at Store* (FAST 2016): twice as slow for 0.2 % of all disk hours; Gunawi et al., *Fail-Slow at Scale* (FAST 2018): down to a hundredth |
//! | `disk-hang` | 100 ms – 30 s | | Linux gives a disk 30 s for a command before it resets it (`/sys/block/*/device/timeout`) |
//! | `read-error` | 100 ms – 5 s | every read of the device | a link that is reset, a path that fails over |
//! | `write-error` | 100 ms – 5 s | every write | the same |
//! | `fsync-error` | 100 ms – 10 s | the next 1 – 5 syncs; memory is short each 100 ms – 2 s | Rebello et al., *Can Applications Recover from fsync Failures?* (ATC 2020) |
//! | `bad-sector` | to the end of the chaos | 1 – 16 sectors | Bairavasundaram et al., *An Analysis of Latent Sector Errors in Disk Drives* (SIGMETRICS 2007): on 3.45 % of drives in 32 months |
//! | `bit-rot` | to the end of the chaos | 1 – 16 bits | Bairavasundaram et al., *An Analysis of Data Corruption in the Storage Stack* (FAST 2008) |
//! | `lost-write` | to the end of the chaos | the next 1 – 8 pages; memory is short each 100 ms – 2 s | the same; Krioukov et al., *Parity Lost and Parity Regained* (FAST 2008) |
//! | `misdirected-write` | to the end of the chaos | the next 1 – 4 pages; memory is short each 100 ms – 2 s | the same |
//! | `stale-read` | 500 ms – 15 s | every page that is written; memory is short each 100 ms – 2 s | a cache of a controller that keeps what it held |
//! | `page-cache` | 200 ms – 10 s | memory is short each 50 ms – 1 s | a neighbour in the same memory cgroup; `vm.drop_caches` |

use super::control::{Disk, DiskExt};
use super::faults::{FaultGuard, times_as_long};
use super::kernel::fault::FaultKind;
use crate::fault::{End, Family, Injection, Parameter, Slot, Takes, Value, Window, every, part};
use crate::node::Node;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What disks offer.
pub(super) const FAMILIES: &[&dyn Family] = &[
    &FULL,
    &SLOW,
    &HANG,
    &READ_ERROR,
    &WRITE_ERROR,
    &SYNC_ERROR,
    &BAD_SECTOR,
    &BIT_ROT,
    &LOST_WRITE,
    &MISDIRECTED_WRITE,
    &STALE_READ,
    &EVICTION,
];

pub(crate) fn family_names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name())
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What is drawn for a fault of a disk.
struct Drawn {
    parameters: Vec<Parameter>,
    begin: Box<dyn FnOnce() -> FaultGuard>,
    /// How often memory is short while it lasts.
    short: Option<Duration>,
}

impl Drawn {
    fn new(begin: impl FnOnce() -> FaultGuard + 'static) -> Self {
        Drawn { parameters: Vec::new(), begin: Box::new(begin), short: None }
    }

    fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Memory is short now and then, at intervals that the slot draws.
    fn short_of_memory(mut self, slot: &Slot<'_>, each: RangeInclusive<Duration>) -> Self {
        let (least, most) = (each.start().as_millis() as u64, each.end().as_millis() as u64);
        let each = ms(least + slot.pick(part::PEER, most - least + 1));
        self.short = Some(each);
        self.with(Parameter::time("memory short each", each))
    }
}

/// A fault of the disk of one node.
struct OfDisk {
    kind: FaultKind,
    weight: u32,
    lasts: RangeInclusive<Duration>,
    windows: &'static [Window],
    takes: What,
    draw: fn(&Slot<'_>, Disk) -> Option<Drawn>,
}

/// What a fault takes of its node.
enum What {
    Nothing,
    /// A program that cannot use its disk can do nothing but stop.
    Down,
    Data,
}

/// To the end of the chaos.
const TO_THE_END: RangeInclusive<Duration> = Duration::MAX..=Duration::MAX;

const FULL: OfDisk = OfDisk {
    kind: FaultKind::Full,
    weight: 8,
    lasts: ms(200)..=ms(20_000),
    windows: &[Window::Write, Window::Rename],
    takes: What::Down,
    draw: |_, disk| Some(Drawn::new(move || disk.full())),
};

const SLOW: OfDisk = OfDisk {
    kind: FaultKind::Slow,
    weight: 8,
    lasts: ms(200)..=ms(15_000),
    windows: &[Window::Sync, Window::Write],
    takes: What::Nothing,
    draw: |slot, disk| {
        let times = slot.amount(2..=100) as u32;
        Some(Drawn::new(move || disk.slow(times)).with(times_as_long(times)))
    },
};

const HANG: OfDisk = OfDisk {
    kind: FaultKind::Hang,
    weight: 8,
    lasts: ms(100)..=ms(30_000),
    windows: &[Window::Sync, Window::Write, Window::Rename],
    takes: What::Down,
    draw: |_, disk| Some(Drawn::new(move || disk.hang())),
};

const READ_ERROR: OfDisk = OfDisk {
    kind: FaultKind::ReadError,
    weight: 6,
    lasts: ms(100)..=ms(5_000),
    windows: &[Window::Boot],
    takes: What::Down,
    draw: |_, disk| Some(Drawn::new(move || disk.fail_reads(""))),
};

const WRITE_ERROR: OfDisk = OfDisk {
    kind: FaultKind::WriteError,
    weight: 6,
    lasts: ms(100)..=ms(5_000),
    windows: &[Window::Write, Window::Rename],
    takes: What::Down,
    draw: |_, disk| Some(Drawn::new(move || disk.fail_writes(""))),
};

const SYNC_ERROR: OfDisk = OfDisk {
    kind: FaultKind::SyncError,
    weight: 10,
    lasts: ms(100)..=ms(10_000),
    windows: &[Window::Sync, Window::Rename],
    takes: What::Down,
    draw: |slot, disk| {
        Some(next(slot, disk, FaultKind::SyncError, 5).short_of_memory(slot, ms(100)..=ms(2_000)))
    },
};

const BAD_SECTOR: OfDisk = OfDisk {
    kind: FaultKind::BadSector,
    weight: 4,
    lasts: TO_THE_END,
    windows: &[Window::Boot],
    takes: What::Data,
    draw: |slot, disk| damage(slot, disk, FaultKind::BadSector, "sectors"),
};

const BIT_ROT: OfDisk = OfDisk {
    kind: FaultKind::BitRot,
    weight: 4,
    lasts: TO_THE_END,
    windows: &[Window::Boot],
    takes: What::Data,
    draw: |slot, disk| damage(slot, disk, FaultKind::BitRot, "bits"),
};

const LOST_WRITE: OfDisk = OfDisk {
    kind: FaultKind::LostWrite,
    weight: 4,
    lasts: TO_THE_END,
    windows: &[Window::Sync],
    takes: What::Data,
    draw: |slot, disk| {
        Some(next(slot, disk, FaultKind::LostWrite, 8).short_of_memory(slot, ms(100)..=ms(2_000)))
    },
};

const MISDIRECTED_WRITE: OfDisk = OfDisk {
    kind: FaultKind::MisdirectedWrite,
    weight: 3,
    lasts: TO_THE_END,
    windows: &[Window::Sync],
    takes: What::Data,
    draw: |slot, disk| {
        Some(next(slot, disk, FaultKind::MisdirectedWrite, 4).short_of_memory(slot, ms(100)..=ms(2_000)))
    },
};

const STALE_READ: OfDisk = OfDisk {
    kind: FaultKind::StaleRead,
    weight: 3,
    lasts: ms(500)..=ms(15_000),
    windows: &[Window::Sync, Window::Boot],
    takes: What::Data,
    draw: |slot, disk| {
        Some(Drawn::new(move || disk.stale_reads("")).short_of_memory(slot, ms(100)..=ms(2_000)))
    },
};

const EVICTION: OfDisk = OfDisk {
    kind: FaultKind::Eviction,
    weight: 4,
    lasts: ms(200)..=ms(10_000),
    windows: &[],
    takes: What::Nothing,
    draw: |slot, disk| {
        let begin = move || disk.begin(FaultKind::Eviction, "", None);
        Some(Drawn::new(begin).short_of_memory(slot, ms(50)..=ms(1_000)))
    },
};

/// The next few operations are hit, of as many as the slot draws.
fn next(slot: &Slot<'_>, disk: Disk, kind: FaultKind, most: u64) -> Drawn {
    let n = slot.amount(1..=most);
    Drawn::new(move || disk.begin(kind, "", Some(n))).with(Parameter::new("operations", Value::Count(n)))
}

/// Some bits of what the disk holds, or the sectors with them.
fn damage(slot: &Slot<'_>, disk: Disk, kind: FaultKind, what: &'static str) -> Option<Drawn> {
    let all = disk.with(|volume, _| volume.bits());
    if all == 0 {
        return None;
    }
    let n = slot.amount(1..=16);
    let bits: Vec<u64> = (0..n).map(|i| slot.pick(part::ROW + i, all)).collect();
    let begin = move || disk.damage(kind, &bits);
    Some(Drawn::new(begin).with(Parameter::new(what, Value::Count(n))))
}

impl Family for OfDisk {
    fn name(&self) -> &'static str {
        self.kind.family()
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        self.lasts.clone()
    }
    fn windows(&self) -> &'static [Window] {
        self.windows
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let (services, used) =
            (slot.services(), |node: &Node| !node.disk().with(|volume, _| volume.is_blank()));
        let nodes: Vec<Node> = services.into_iter().filter(used).collect();
        if nodes.is_empty() {
            return None;
        }
        let node = slot.node_of(&nodes)?;
        let disk = node.disk();
        let Drawn { parameters, begin, short } = (self.draw)(slot, disk)?;
        let begin = move |name| -> End {
            let guard = begin().mending();
            let stop = short.map(|each| every(name, each, move |_| disk.evict()));
            Box::new(move || {
                stop.into_iter().for_each(|stop| stop());
                drop(guard);
            })
        };
        let takes = match self.takes {
            What::Nothing => Takes::default(),
            What::Down => Takes { down: vec![node.id()], ..Takes::default() },
            What::Data => Takes { corrupt: vec![node.id()], ..Takes::default() },
        };
        let injection = Injection::of_node(node, begin).taking(takes);
        Some(parameters.into_iter().fold(injection, Injection::with))
    }
}
