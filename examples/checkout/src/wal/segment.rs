//! A segment: a file of records that follow each other, named by the number of the first.
//!
//! It begins with 16 bytes: `WAL1`, the CRC-32 of what follows, and the number of its first record.

use super::record::array;
use std::path::{Path, PathBuf};

/// Where the records begin.
pub(super) const HEADER: usize = 16;

const MAGIC: &[u8; 4] = b"WAL1";

/// The file of the segment that begins with this record.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:016x}.wal"))
}

/// The first record of the segment in a file of this name, if it is one.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// What a segment begins with.
pub(super) fn header(first: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&crc32fast::hash(&first.to_le_bytes()).to_le_bytes());
    header[8..].copy_from_slice(&first.to_le_bytes());
    header
}

/// The number in a header, if it is one.
pub(super) fn decode(segment: &[u8]) -> Option<u64> {
    let first = u64::from_le_bytes(array(segment.get(8..HEADER)?));
    (segment[..HEADER] == header(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_first_record_and_sorts_like_it() {
        let names = [1, 0xff, 0x1_0000].map(|first| path(Path::new("/log"), first));
        assert!(names.is_sorted());
        assert_eq!(names.map(|path| first_of(path.file_name()?.to_str()?)), [1, 0xff, 0x1_0000].map(Some));
        assert_eq!(["1.wal", "0000000000000001", "000000000000000g.wal"].map(first_of), [None; 3]);
    }

    #[test]
    fn a_header_is_whole_or_none() {
        let header = header(42);
        assert_eq!(decode(&header), Some(42));
        for bit in 0..HEADER * 8 {
            let mut changed = header;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&changed), None, "bit {bit}");
        }
        assert_eq!(decode(&header[..15]), None);
    }
}
