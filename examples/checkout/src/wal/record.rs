//! A record as it lies in a segment.
//!
//! | bytes | what, little-endian |
//! | --- | --- |
//! | 4 | CRC-32 of all that follows |
//! | 4 | how long the payload is |
//! | 8 | the number of the record, counted from 1 through all segments |
//! | 8 | the last record that was durable when this one was written |
//! | … | the payload |

use crate::Bug;
use std::ops::Range;

/// What precedes the payload, bytes.
pub(super) const HEADER: usize = 24;

/// The longest payload, bytes: a length beyond it is not one.
pub const LONGEST: usize = 1 << 16;

/// A record that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) durable: u64,
    pub(super) payload: Range<usize>,
}

/// Appends a record to `out`.
pub(super) fn encode(out: &mut Vec<u8>, number: u64, durable: u64, payload: &[u8]) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(durable.to_le_bytes());
    out.extend(payload);
    let checksum = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// The record at an offset, if there is a whole one.
pub(super) fn decode(segment: &[u8], offset: usize, bug: Option<Bug>) -> Option<Record> {
    let header = segment.get(offset..offset + HEADER)?;
    let length = u32::from_le_bytes(array(&header[4..8])) as usize;
    if length > LONGEST {
        return None;
    }
    let mut end = offset + HEADER + length;
    if bug == Some(Bug::TornTail) {
        // "Its header is there, so it was written."
        end = end.min(segment.len());
    } else if crc32fast::hash(segment.get(offset + 4..end)?) != u32::from_le_bytes(array(&header[..4])) {
        return None;
    }
    Some(Record {
        number: u64::from_le_bytes(array(&header[8..16])),
        durable: u64::from_le_bytes(array(&header[16..24])),
        payload: offset + HEADER..end,
    })
}

pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller gives as many bytes as the type has")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7; 5];
        encode(&mut bytes, 3, 2, payload);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for payload in [&b""[..], b"x", &[9; LONGEST]] {
            let bytes = encoded(payload);
            let record = decode(&bytes, 5, None).unwrap();
            assert_eq!((record.number, record.durable), (3, 2));
            assert_eq!(&bytes[record.payload], payload);
        }
    }

    #[test]
    fn no_single_bit_can_change_and_no_byte_be_missing() {
        let bytes = encoded(b"payload");
        for bit in 5 * 8..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&changed, 5, None), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length], 5, None), None, "{length} bytes");
        }
    }

    #[test]
    fn zeros_and_lengths_beyond_the_longest_are_no_records() {
        assert_eq!(decode(&[0; 64], 0, None), None);
        assert_eq!(decode(&[255; 64], 0, None), None);
    }

    #[test]
    fn the_planted_bug_takes_a_torn_record_for_whole() {
        let mut bytes = encoded(b"payload");
        *bytes.last_mut().unwrap() = 0;
        for torn in [&bytes[..], &bytes[..bytes.len() - 3]] {
            assert_eq!(decode(torn, 5, None), None);
            assert!(decode(torn, 5, Some(Bug::TornTail)).is_some());
        }
    }
}
