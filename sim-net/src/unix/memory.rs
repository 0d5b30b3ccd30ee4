//! What a socket may have under way: Linux counts the memory of buffers, not the bytes in them.

/// net.core.wmem_default: what of a socket's own may lie in queues of others, bytes of memory.
pub(crate) const SEND_BUFFER: usize = 212_992;
/// The most payload of a datagram: SO_SNDBUF less 32, bytes.
pub(crate) const MOST_DATAGRAM: usize = SEND_BUFFER - 32;
/// The most bytes that a stream puts into one buffer: 32 KiB of pages besides the head.
pub(crate) const MOST_SEGMENT: usize = STREAM_HEAD + (32 << 10);
/// net.unix.max_dgram_qlen: how many datagrams may wait before a sender has to.
pub(crate) const MOST_QUEUED: usize = 10;

/// A page less the bookkeeping behind the data, and four pages less it: what the head of a buffer holds, bytes.
const STREAM_HEAD: usize = PAGE - TAIL;
const DATAGRAM_HEAD: usize = 4 * PAGE - TAIL;
const PAGE: usize = 4096;
/// `struct skb_shared_info` and `struct sk_buff` of x86_64, bytes.
const TAIL: usize = 320;
const BUFFER: usize = 256;

/// Whether a socket that has this much under way is told that it may write: a quarter, `unix_writable` of Linux.
pub(crate) fn writable(sent: usize) -> bool {
    sent * 4 <= SEND_BUFFER
}

/// The memory that bytes of a stream take, at most [`MOST_SEGMENT`] of them.
pub(crate) fn of_segment(bytes: usize) -> usize {
    truesize(bytes, STREAM_HEAD)
}

/// The memory that a datagram takes.
pub(crate) fn of_datagram(bytes: usize) -> usize {
    truesize(bytes, DATAGRAM_HEAD)
}

/// `skb->truesize`: a head, which the allocator rounds up to a power of two, and pages for what does not fit.
fn truesize(bytes: usize, head: usize) -> usize {
    let pages = bytes.saturating_sub(head).next_multiple_of(PAGE);
    let head = bytes.saturating_sub(pages);
    (head + TAIL).next_power_of_two() + BUFFER + pages
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many writes of this size fit, and how many bytes: as counted on Linux 6.18.
    fn writes(size: usize, most: usize, charge: fn(usize) -> usize) -> (usize, usize) {
        let (mut sent, mut calls, mut bytes) = (0, 0, 0);
        while sent < SEND_BUFFER {
            calls += 1;
            let mut left = size;
            loop {
                let n = left.min(most);
                sent += charge(n);
                bytes += n;
                left -= n;
                if left == 0 || sent >= SEND_BUFFER {
                    break;
                }
            }
        }
        (calls, bytes)
    }

    #[test]
    fn streams_take_what_those_of_linux_do() {
        let stream = |size| writes(size, MOST_SEGMENT, of_segment);
        assert_eq!(stream(1), (278, 278));
        assert_eq!(stream(1000), (93, 93_000));
        assert_eq!(stream(4096), (44, 180_224));
        assert_eq!(stream(65_536), (4, 233_152));
        assert_eq!(stream(1 << 20), (1, 219_264));
    }

    #[test]
    fn datagrams_take_what_those_of_linux_do() {
        let datagrams = |size| writes(size, usize::MAX, of_datagram).0;
        assert_eq!([0, 1, 1000, 4096, 65_536].map(datagrams), [278, 278, 93, 26, 4]);
    }
}
