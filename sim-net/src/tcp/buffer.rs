//! Where the bytes of a stream are: segments on their way to or waiting for the reader, and the memory that large
//! ones reuse.

use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::collections::VecDeque;

/// Bytes that were sent together, and the instant from which the receiver can see them, ns.
#[derive(Debug)]
pub(crate) struct Segment {
    pub visible: u64,
    pub data: Payload,
}

/// How many bytes lie inline: a payload takes 80 bytes. Most messages are small, and allocating for each costs more than
/// the rest of sending it.
const INLINE: usize = 77;

/// The bytes of a segment.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Small { start: u8, end: u8, bytes: [u8; INLINE] },
    Large(Bytes),
}

impl Payload {
    /// A copy of what the application wrote.
    #[inline]
    pub fn copy(data: &[u8]) -> Self {
        if data.len() > INLINE {
            return Payload::Large(segment(data));
        }
        let mut bytes = [0; INLINE];
        bytes[..data.len()].copy_from_slice(data);
        Payload::Small { start: 0, end: data.len() as u8, bytes }
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Small { start, end, bytes } => &bytes[usize::from(*start)..usize::from(*end)],
            Payload::Large(bytes) => bytes,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }
}

/// Segments in order of arrival. The bytes of a small first one lie in the queue itself, written once and read once: most
/// queues never hold a second.
#[derive(Debug)]
pub(crate) struct Queue {
    head: Head,
    rest: VecDeque<Segment>,
    bytes: [u8; INLINE],
}

/// The first segment.
#[derive(Debug)]
enum Head {
    None,
    /// Its bytes are `start..end` of the queue's.
    Small {
        visible: u64,
        start: u8,
        end: u8,
    },
    Large {
        visible: u64,
        data: Bytes,
    },
}

impl Default for Queue {
    fn default() -> Self {
        Queue { head: Head::None, rest: VecDeque::new(), bytes: [0; INLINE] }
    }
}

impl Queue {
    #[inline]
    pub fn push(&mut self, segment: Segment) {
        debug_assert!(segment.data.len() > 0, "an empty segment would look like the end of the stream");
        if self.is_empty() {
            self.lead(segment);
        } else {
            debug_assert!(self.rest.back().is_none_or(|s| s.visible <= segment.visible));
            self.rest.push_back(segment);
        }
    }

    /// Adds a copy of what the application wrote.
    #[inline]
    pub fn push_copy(&mut self, visible: u64, data: &[u8]) {
        if self.is_empty()
            && let Some(place) = self.bytes.get_mut(..data.len())
        {
            place.copy_from_slice(data);
            self.head = Head::Small { visible, start: 0, end: data.len() as u8 };
        } else {
            self.push(Segment { visible, data: Payload::copy(data) });
        }
    }

    /// Makes a segment the first.
    fn lead(&mut self, Segment { visible, data }: Segment) {
        self.head = match data {
            Payload::Small { start, end, bytes } => {
                self.bytes = bytes;
                Head::Small { visible, start, end }
            }
            Payload::Large(data) => Head::Large { visible, data },
        };
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.head, Head::None)
    }

    /// The first segment: from when it is visible, and its bytes.
    #[inline]
    fn first(&self) -> Option<(u64, &[u8])> {
        match &self.head {
            Head::None => None,
            Head::Small { visible, start, end } => {
                Some((*visible, &self.bytes[usize::from(*start)..usize::from(*end)]))
            }
            Head::Large { visible, data } => Some((*visible, data)),
        }
    }

    /// Every segment in turn.
    fn segments(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.first().into_iter().chain(self.rest.iter().map(|s| (s.visible, s.data.as_slice())))
    }

    /// Whether the first byte is there at `now`.
    #[inline]
    pub fn visible(&self, now: u64) -> bool {
        match self.head {
            Head::None => false,
            Head::Small { visible, .. } | Head::Large { visible, .. } => visible <= now,
        }
    }

    /// When the first segment that is not there yet at `now` will be.
    pub fn next_arrival(&self, now: u64) -> Option<u64> {
        self.segments().map(|(visible, _)| visible).find(|&at| at > now)
    }

    /// Moves what is visible at `now` to `buf`, across segments, and says how much that was.
    #[inline]
    pub fn read(&mut self, now: u64, buf: &mut [u8]) -> usize {
        let mut read = 0;
        while let Some((visible, data)) = self.first()
            && visible <= now
            && read < buf.len()
        {
            let n = data.len().min(buf.len() - read);
            let whole = n == data.len();
            buf[read..read + n].copy_from_slice(&data[..n]);
            read += n;
            if whole {
                self.next();
            } else {
                self.advance(n);
            }
        }
        read
    }

    /// The first segment is read.
    #[inline]
    fn next(&mut self) {
        self.head = Head::None;
        // An inline test: most queues have no second segment.
        if !self.rest.is_empty()
            && let Some(next) = self.rest.pop_front()
        {
            self.lead(next);
        }
    }

    /// The first `n` bytes of the first segment are read.
    fn advance(&mut self, n: usize) {
        match &mut self.head {
            Head::None => {}
            Head::Small { start, .. } => *start += n as u8,
            Head::Large { data, .. } => data.advance(n),
        }
    }

    /// Copies what is visible at `now` without consuming it.
    pub fn peek(&self, now: u64, buf: &mut [u8]) -> usize {
        let mut read = 0;
        for (_, data) in self.segments().take_while(|&(visible, _)| visible <= now) {
            let n = data.len().min(buf.len() - read);
            buf[read..read + n].copy_from_slice(&data[..n]);
            read += n;
        }
        read
    }
}

thread_local! {
    /// Memory of large segments, used again: the allocator would give it back to the system each time.
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// How many buffers the pool keeps.
const POOLED: usize = 8;
/// From this size on, bytes, memory is reused.
const LARGE: usize = 4096;

struct Pooled(Vec<u8>);

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // The pool may be gone when a thread ends.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED {
                pool.push(buffer);
            }
        });
    }
}

fn segment(data: &[u8]) -> Bytes {
    if data.len() < LARGE {
        return Bytes::copy_from_slice(data);
    }
    let mut buffer = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
    buffer.clear();
    buffer.extend_from_slice(data);
    Bytes::from_owner(Pooled(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(segments: &[(u64, &'static [u8])]) -> Queue {
        let mut q = Queue::default();
        segments.iter().for_each(|&(visible, data)| q.push(Segment { visible, data: Payload::copy(data) }));
        q
    }

    #[test]
    fn reading_crosses_segments_and_stops_at_what_is_still_under_way() {
        let mut q = queue(&[(1, b"ab"), (2, b"cd"), (9, b"ef")]);
        let mut buf = [0; 8];
        assert_eq!(q.read(0, &mut buf), 0);
        assert_eq!(q.peek(5, &mut buf), 4);
        assert_eq!(q.read(5, &mut buf[..3]), 3);
        assert_eq!(&buf[..3], b"abc");
        assert!(q.visible(5) && q.next_arrival(5) == Some(9));
        assert_eq!(q.read(5, &mut buf), 1);
        assert_eq!(buf[0], b'd');
        assert!(!q.visible(8) && q.visible(9) && !q.is_empty());
        assert_eq!(q.read(9, &mut buf), 2);
        assert!(q.is_empty());
    }

    #[test]
    fn payloads_of_every_size_are_what_was_written() {
        for size in [1, INLINE - 1, INLINE, INLINE + 1, LARGE - 1, LARGE] {
            let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let payload = Payload::copy(&data);
            assert_eq!((payload.as_slice(), payload.len()), (&data[..], size));
            let mut buf = vec![0; size];
            // First in line, where it lies inline, and second, from where it moves there.
            for ahead in [0, 1] {
                let mut q = Queue::default();
                for _ in 0..=ahead {
                    q.push_copy(1, &data);
                }
                for _ in 0..=ahead {
                    let half = q.read(1, &mut buf[..size / 2]);
                    assert_eq!(half + q.read(1, &mut buf[size / 2..]), size);
                    assert_eq!(buf, data);
                }
                assert!(q.is_empty());
            }
        }
        assert_eq!(size_of::<Payload>(), 80);
    }

    #[test]
    fn large_segments_reuse_memory() {
        let first = segment(&[7; LARGE]);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(segment(&[8; LARGE]).as_ptr(), place);
    }
}
