//! What supervisor and worker say to each other over their socket.
//!
//! The supervisor opens with [`TARGET`], any number of [`HISTORY`] and [`START`]; after that it sends bare tasks of
//! [`TASK`] bytes, each followed by its orders. The worker answers with [`READY`] and then, for each task in order, any number of [`RESULT`] and
//! [`OUTPUT`] and one [`END`]. Both run the same program, so the format has no version.

use std::io::{self, Read, Write};
use std::process::ExitStatus;
use std::time::Duration;

/// Names the environment variable that makes a process a worker: `descriptor:pid of the supervisor`.
pub(super) const VARIABLE: &str = "SIM_WORKER";

pub(super) const TARGET: u8 = b'T';
pub(super) const HISTORY: u8 = b'H';
pub(super) const START: u8 = b'S';
pub(super) const READY: u8 = b'Y';
pub(super) const RESULT: u8 = b'R';
pub(super) const OUTPUT: u8 = b'O';
pub(super) const END: u8 = b'E';

/// Kind and length in front of each frame.
pub(super) const HEADER: usize = 5;
/// Seed, flags and the length of the orders.
pub(super) const TASK: usize = 13;
/// Orders of a task, in bytes at most: some 800,000 decisions.
pub(super) const MOST_ORDERS: usize = 16 << 20;

pub(super) fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let length = u32::try_from(length).expect("a frame of more than 4 GiB").to_le_bytes();
    [kind, length[0], length[1], length[2], length[3]]
}

pub(super) fn write_frame(to: &mut impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    to.write_all(&header(kind, payload.len()))?;
    to.write_all(payload)
}

/// Reads one frame; its payload replaces what is in `payload`.
pub(super) fn read_frame(from: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<u8> {
    let mut head = [0; HEADER];
    from.read_exact(&mut head)?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    payload.resize(length, 0);
    from.read_exact(payload)?;
    Ok(head[0])
}

pub(super) fn task(seed: u64, log: bool, orders: usize) -> [u8; TASK] {
    let orders = u32::try_from(orders).expect("orders of more than 4 GiB");
    let mut bytes = [0; TASK];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = u8::from(log);
    bytes[9..].copy_from_slice(&orders.to_le_bytes());
    bytes
}

/// Seed, whether the run logs, and how long its orders are.
pub(super) fn parse_task(bytes: &[u8; TASK]) -> (u64, bool, usize) {
    let [a, b, c, d, e, f, g, h, log, i, j, k, l] = *bytes;
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), log != 0, u32::from_le_bytes([i, j, k, l]) as usize)
}

/// How a child ended, as its worker saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChildEnd {
    pub(super) status: ExitStatus,
    /// The worker killed it because it neither ended nor used the CPU.
    pub(super) blocked: bool,
    /// Virtual time and node where the run was last seen.
    pub(super) seen: Option<(Duration, String)>,
}

/// Writes the part of an [`END`] frame that precedes what [`super::beacon::read`] gives.
pub(super) fn end_prefix(status: ExitStatus, blocked: bool) -> [u8; 5] {
    use std::os::unix::process::ExitStatusExt;
    let raw = status.into_raw().to_le_bytes();
    [raw[0], raw[1], raw[2], raw[3], u8::from(blocked)]
}

pub(super) fn parse_end(payload: &[u8]) -> Option<ChildEnd> {
    use std::os::unix::process::ExitStatusExt;
    let (raw, rest) = payload.split_first_chunk::<4>()?;
    let (blocked, rest) = rest.split_first()?;
    let seen = rest.split_first_chunk::<8>().map(|(now, text)| {
        (Duration::from_nanos(u64::from_le_bytes(*now)), String::from_utf8_lossy(text).into_owned())
    });
    Some(ChildEnd { status: ExitStatus::from_raw(i32::from_le_bytes(*raw)), blocked: *blocked != 0, seen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn frames_and_tasks_arrive_as_they_were_sent() {
        let mut wire = Vec::new();
        write_frame(&mut wire, RESULT, b"abc").unwrap();
        write_frame(&mut wire, END, b"").unwrap();
        let (mut from, mut payload) = (&wire[..], Vec::new());
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), RESULT);
        assert_eq!(payload, b"abc");
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), END);
        assert_eq!(payload, b"");
        assert_eq!(parse_task(&task(u64::MAX - 1, true, 70_000)), (u64::MAX - 1, true, 70_000));
    }

    #[test]
    fn an_end_carries_status_and_last_place() {
        let status = ExitStatus::from_raw(libc::SIGSEGV);
        let mut payload = end_prefix(status, true).to_vec();
        assert_eq!(parse_end(&payload), Some(ChildEnd { status, blocked: true, seen: None }));
        payload.extend(7u64.to_le_bytes());
        payload.extend(b"node a");
        let seen = Some((Duration::from_nanos(7), "node a".to_owned()));
        assert_eq!(parse_end(&payload), Some(ChildEnd { status, blocked: true, seen }));
        assert_eq!(parse_end(b"abc"), None);
    }
}
