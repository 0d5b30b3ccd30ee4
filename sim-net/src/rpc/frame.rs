//! What is on the wire: a length of four bytes, little endian, and an encoded [`Frame`] of so many bytes.

use super::{Error, Refusal};
use serde::{Deserialize, Serialize};
use sim_core::codec;

/// How large a frame may be unless set, bytes.
pub(super) const LARGEST: usize = 16 << 20;
/// The bytes of a length.
const LENGTH: usize = 4;

/// One message.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Frame {
    Request {
        /// Chosen by the client, never used twice on a connection.
        id: u64,
        /// Hash of the request's name.
        kind: u64,
        body: Vec<u8>,
    },
    Reply {
        id: u64,
        result: Result<Vec<u8>, Refusal>,
    },
    /// The client does not wait any more.
    Cancel {
        id: u64,
    },
}

impl Frame {
    /// The bytes of a frame.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn encode(&self, largest: usize) -> Result<Vec<u8>, Error> {
        let body = codec::encode(self).map_err(Error::Codec)?;
        let bytes = body.len() + LENGTH;
        let length = u32::try_from(body.len()).ok().filter(|_| bytes <= largest);
        let length = length.ok_or(Error::TooLarge { bytes, limit: largest })?;
        let mut frame = Vec::with_capacity(bytes);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&body);
        Ok(frame)
    }
}

/// Frames out of a stream of bytes. Whatever the peer sends, it neither panics nor keeps more than a frame and a read.
#[derive(Debug)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    largest: usize,
}

impl Decoder {
    pub fn new(largest: usize) -> Self {
        Decoder { buffer: Vec::new(), start: 0, largest }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// When the peer announces too large a frame or sends what is none: the connection is of no use any more.
    pub fn next(&mut self) -> Result<Option<Frame>, Error> {
        let rest = &self.buffer[self.start..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length.saturating_add(LENGTH) > self.largest {
            return Err(Error::TooLarge { bytes: length.saturating_add(LENGTH), limit: self.largest });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let frame = codec::decode(body).map_err(Error::Codec)?;
        self.start += LENGTH + length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(body: usize) -> Frame {
        Frame::Request { id: 7, kind: 9, body: vec![1; body] }
    }

    #[test]
    fn frames_are_found_however_the_bytes_arrive() {
        let bytes =
            [frame(0), frame(300), Frame::Cancel { id: 7 }].map(|f| f.encode(LARGEST).unwrap()).concat();
        for piece in [1, 2, 3, 5, 1000] {
            let mut decoder = Decoder::new(LARGEST);
            let mut found = Vec::new();
            for bytes in bytes.chunks(piece) {
                decoder.feed(bytes);
                while let Some(frame) = decoder.next().unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(found, [frame(0), frame(300), Frame::Cancel { id: 7 }]);
        }
    }

    #[test]
    fn too_large_a_frame_is_refused_by_its_length_alone() {
        assert!(matches!(frame(100).encode(64), Err(Error::TooLarge { limit: 64, .. })));
        let mut decoder = Decoder::new(64);
        decoder.feed(&u32::MAX.to_le_bytes());
        assert!(matches!(decoder.next(), Err(Error::TooLarge { limit: 64, .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(1000);
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }
}
