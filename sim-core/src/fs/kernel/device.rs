//! The device under a file system: how long a request takes.
//!
//! Requests stand in one queue. Each occupies the device for as long as its operations per second and its bandwidth say, and
//! is done a latency later; a flush waits for what was written before it.

use super::file::Traffic;
use std::time::Duration;

/// How fast a disk is.
///
/// The default is a consumer NVMe drive. From the data sheet of Samsung's 970 EVO Plus 1 TB: 4 KiB random reads at queue
/// depth 1 take 1/19,000 s, writes 1/60,000 s; 600,000 requests a second at depth 32; 3.3 GB/s. A flush of its cache is not
/// in it: half a millisecond is what drives without protection against power loss take at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Speed {
    /// From the start of a read to its end, when nothing is in the way.
    pub read: Duration,
    /// The same of a write.
    pub write: Duration,
    /// How long the device's cache takes to become durable: the end of each sync.
    pub flush: Duration,
    /// How many requests a second it takes up.
    pub iops: u64,
    /// Bytes a second.
    pub bandwidth: u64,
    /// How much longer than the least a request takes at most; drawn evenly.
    pub jitter: Duration,
    /// What a call costs that needs no device: the way to the kernel and back, on a thread for blocking calls.
    pub call: Duration,
}

impl Default for Speed {
    fn default() -> Self {
        Speed {
            read: Duration::from_nanos(1_000_000_000 / 19_000),
            write: Duration::from_nanos(1_000_000_000 / 60_000),
            flush: Duration::from_micros(500),
            iops: 600_000,
            bandwidth: 3_300_000_000,
            jitter: Duration::from_micros(50),
            call: Duration::from_micros(5),
        }
    }
}

impl Speed {
    /// A disk on which nothing takes time.
    pub const INSTANT: Speed = Speed {
        read: Duration::ZERO,
        write: Duration::ZERO,
        flush: Duration::ZERO,
        iops: u64::MAX,
        bandwidth: u64::MAX,
        jitter: Duration::ZERO,
        call: Duration::ZERO,
    };

    /// A network volume: 3,000 operations and 125 MiB a second, the baseline of an AWS gp3 volume, at a millisecond each
    /// ("single-digit millisecond latency" says its documentation).
    pub const NETWORK_VOLUME: Speed = Speed {
        read: Duration::from_millis(1),
        write: Duration::from_millis(1),
        flush: Duration::from_millis(1),
        iops: 3_000,
        bandwidth: 125 << 20,
        jitter: Duration::from_millis(1),
        call: Duration::from_micros(5),
    };

    /// A hard disk at 7,200 revolutions a minute: 4.2 ms for half a revolution and 8.5 ms for a seek.
    pub const HARD_DISK: Speed = Speed {
        read: Duration::from_micros(12_700),
        write: Duration::from_micros(12_700),
        flush: Duration::from_micros(12_700),
        iops: 80,
        bandwidth: 200_000_000,
        jitter: Duration::from_millis(8),
        call: Duration::from_micros(5),
    };

    /// With this bandwidth, bytes a second. At least 1.
    pub fn with_bandwidth(self, bandwidth: u64) -> Self {
        Speed { bandwidth: bandwidth.max(1), ..self }
    }

    /// With so many requests a second. At least 1.
    pub fn with_iops(self, iops: u64) -> Self {
        Speed { iops: iops.max(1), ..self }
    }

    /// With this time for a flush.
    pub fn with_flush(self, flush: Duration) -> Self {
        Speed { flush, ..self }
    }

    /// With at most this much that a request takes longer than the least.
    pub fn with_jitter(self, jitter: Duration) -> Self {
        Speed { jitter, ..self }
    }
}

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The kernel alone, and so many bytes to copy.
    Call(usize),
    /// Something that is not in memory, and so many bytes to copy.
    Read(Traffic, usize),
    /// Everything dirty, and a flush.
    Sync(Traffic),
}

impl Work {
    /// Whether the device is asked.
    pub fn asks(&self) -> bool {
        match self {
            Work::Call(_) => false,
            Work::Read(traffic, _) => traffic.requests > 0,
            Work::Sync(_) => true,
        }
    }
}

/// The device of a machine.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub speed: Speed,
    /// Until when it is occupied, ns of world time.
    busy: u64,
    /// How many times longer than usual it takes.
    pub slower: u32,
    /// It answers nothing.
    pub hangs: bool,
}

impl Default for Device {
    fn default() -> Self {
        Device { speed: Speed::default(), busy: 0, slower: 1, hangs: false }
    }
}

/// How fast memory is copied: bytes a ns.
const COPY: u64 = 10;

impl Device {
    /// When work that begins now is done, ns of world time; `jitter` is what it takes longer than the least.
    pub fn done(&mut self, now: u64, work: Work, jitter: u64) -> u64 {
        let nanos = crate::clock::nanos;
        let speed = self.speed;
        let (traffic, latency, copied) = match work {
            Work::Call(bytes) => (Traffic::default(), 0, bytes),
            Work::Read(traffic, bytes) => {
                (traffic, if traffic.requests > 0 { nanos(speed.read) } else { 0 }, bytes)
            }
            Work::Sync(traffic) => {
                let write = if traffic.requests > 0 { nanos(speed.write) } else { 0 };
                (traffic, write.saturating_add(nanos(speed.flush)), 0)
            }
        };
        let call = nanos(speed.call).saturating_add(copied as u64 / COPY);
        if !work.asks() {
            return now.saturating_add(call);
        }
        let second = 1_000_000_000u128;
        let by_count = u128::from(traffic.requests) * second / u128::from(speed.iops.max(1));
        let by_bytes = u128::from(traffic.bytes) * second / u128::from(speed.bandwidth.max(1));
        let slower = u64::from(self.slower.max(1));
        let occupied = u64::try_from(by_count.max(by_bytes)).unwrap_or(u64::MAX).saturating_mul(slower);
        self.busy = self.busy.max(now).saturating_add(occupied);
        let latency = latency.saturating_add(jitter).saturating_mul(slower);
        self.busy.saturating_add(latency).saturating_add(call)
    }

    /// The power was away: nothing is in its queue.
    pub fn reset(&mut self) {
        self.busy = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_queue_for_bandwidth_and_operations() {
        let speed = Speed::INSTANT.with_bandwidth(1_000_000_000).with_iops(1_000_000);
        let mut device = Device { speed, ..Device::default() };
        let read = |requests, bytes| Work::Read(Traffic { requests, bytes }, 0);
        assert_eq!(device.done(0, read(1, 4096), 0), 4096, "a byte a ns");
        assert_eq!(
            device.done(0, read(10, 4096), 7),
            4096 + 10_000 + 7,
            "behind it, and bound by operations"
        );
        assert_eq!(device.done(50_000, read(0, 0), 0), 50_000, "from memory");
        device.slower = 3;
        assert_eq!(device.done(50_000, read(1, 4096), 0), 50_000 + 3 * 4096);
    }

    #[test]
    fn a_sync_takes_a_flush() {
        let mut device = Device::default();
        let nothing = device.done(0, Work::Sync(Traffic::default()), 0);
        assert_eq!(nothing, 505_000);
        let page = Traffic { requests: 1, bytes: 4096 };
        assert!(device.done(0, Work::Sync(page), 0) > nothing);
    }
}
