//! The one place that knows how values become bytes: frames of RPC, outcomes of runs, saved scenarios.
//!
//! The format is bincode's standard configuration: little endian, integers of variable length. Decoding is
//! strict: bytes that are left over are an error, and no input makes it panic.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Why a value could not be written or bytes could not be read: whoever made the bytes is at fault, or the
/// type asks for what a format without field names cannot do (such as `#[serde(untagged)]`).
#[derive(Debug)]
pub enum Error {
    /// The value could not be encoded.
    Encode(String),
    /// The bytes are not a value of this type.
    Decode(String),
    /// A value ended before the bytes did.
    Trailing {
        /// How many bytes were left.
        bytes: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Encode(why) => write!(f, "the value cannot be encoded: {why}"),
            Error::Decode(why) => write!(f, "the bytes cannot be decoded: {why}"),
            Error::Trailing { bytes } => write!(f, "{bytes} bytes follow the end of the value"),
        }
    }
}

impl std::error::Error for Error {}

/// The bytes of a value.
///
/// # Errors
/// When the type cannot be said in a format without field names.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|e| Error::Encode(e.to_string()))
}

/// The value of bytes that [`encode`] gave.
///
/// # Errors
/// When the bytes end early, go on after the value, or are no value of this type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // The limit keeps a forged length from reserving memory that the bytes could never fill.
    let config = bincode::config::standard().with_limit::<{ 1 << 30 }>();
    let (value, read) =
        bincode::serde::decode_from_slice(bytes, config).map_err(|e| Error::Decode(e.to_string()))?;
    match bytes.len() - read {
        0 => Ok(value),
        bytes => Err(Error::Trailing { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_and_bad_bytes_are_errors() {
        let value = (7u32, "seven".to_string(), vec![Some(1u64), None]);
        let mut bytes = encode(&value).unwrap();
        assert_eq!(decode::<(u32, String, Vec<Option<u64>>)>(&bytes).unwrap(), value);
        bytes.push(0);
        let trailing = decode::<(u32, String, Vec<Option<u64>>)>(&bytes);
        assert!(matches!(trailing, Err(Error::Trailing { bytes: 1 })));
        assert!(matches!(decode::<String>(&[200, 1, 2]), Err(Error::Decode(_))));
        assert!(matches!(
            decode::<Vec<u64>>(&[253, 255, 255, 255, 255, 255, 255, 255, 255]),
            Err(Error::Decode(_))
        ));
    }
}
