//! The one place that knows bincode (RUSTSEC-2025-0141: unmaintained, so it can be swapped here).
//!
//! Three rules make it safe for bytes of strangers: a size limit that is checked before any allocation,
//! the whole input must be consumed, and no type on the wire is recursive.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{BorrowDecode, Decode, Encode};

use crate::frame::MAX_FRAME_BYTES;

/// Fixed-width little-endian integers: one spelling per value, so equal values have equal bytes.
const CONFIG: Configuration<LittleEndian, Fixint, Limit<MAX_FRAME_BYTES>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<MAX_FRAME_BYTES>();

/// Bytes that are no encoding of the wanted type, or a value too large to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes do not encode the expected value")
    }
}

impl std::error::Error for Malformed {}

/// Appends the encoding of `value` to `buffer`.
///
/// # Errors
/// [`Malformed`] when the encoding would exceed [`MAX_FRAME_BYTES`]; `buffer` is then as long as before.
pub fn encode_into<T: Encode>(value: &T, buffer: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = buffer.len();
    match bincode::encode_into_std_write(value, buffer, CONFIG) {
        Ok(_) if buffer.len() - start <= MAX_FRAME_BYTES => Ok(()),
        _ => {
            buffer.truncate(start);
            Err(Malformed)
        }
    }
}

/// The encoding of `value`.
///
/// # Errors
/// [`Malformed`] when the encoding would exceed [`MAX_FRAME_BYTES`].
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, Malformed> {
    let mut buffer = Vec::new();
    encode_into(value, &mut buffer)?;
    Ok(buffer)
}

/// The value that `bytes` encode, all of them.
///
/// # Errors
/// [`Malformed`] for anything else: truncated, trailing or oversized bytes, unknown variants.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    match bincode::decode_from_slice(bytes, CONFIG) {
        Ok((value, consumed)) if consumed == bytes.len() => Ok(value),
        _ => Err(Malformed),
    }
}

/// As [`decode`], for a value that refers to the bytes.
///
/// # Errors
/// As [`decode`].
pub fn decode_in_place<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    match bincode::borrow_decode_from_slice(bytes, CONFIG) {
        Ok((value, consumed)) if consumed == bytes.len() => Ok(value),
        _ => Err(Malformed),
    }
}

/// As [`decode`], of bytes that may lack what was added to the type since they were written: up to `missing` bytes
/// that are not there read as zeros. Every byte that is there has to be part of the value.
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn decode_prefix<T: Decode<()>>(bytes: &[u8], missing: usize) -> Result<T, Malformed> {
    let mut padded = Vec::with_capacity(bytes.len() + missing);
    padded.extend_from_slice(bytes);
    padded.resize(bytes.len() + missing, 0);
    let decoded = bincode::decode_from_slice(&padded, CONFIG);
    crate::bytes::wipe(&mut padded);
    match decoded {
        Ok((value, consumed)) if consumed >= bytes.len() => Ok(value),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;

    #[test]
    fn a_value_survives_the_trip() {
        let value = (7u64, Some(Bytes::from(b"abc")), vec![1u64, 2]);
        let bytes = encode(&value).unwrap();
        assert_eq!(decode::<(u64, Option<Bytes>, Vec<u64>)>(&bytes), Ok(value));
    }

    #[test]
    fn a_length_prefix_that_lies_is_refused_without_allocating() {
        let mut bytes = (1u64 << 40).to_le_bytes().to_vec();
        bytes.extend_from_slice(b"short");
        assert_eq!(decode::<Bytes>(&bytes), Err(Malformed));
        assert_eq!(decode::<Vec<u64>>(&u64::MAX.to_le_bytes()), Err(Malformed));
    }

    #[test]
    fn every_truncation_and_every_trailing_byte_is_refused() {
        let bytes = encode(&(3u64, Bytes::from(b"hello"))).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(decode::<(u64, Bytes)>(&bytes[..end]), Err(Malformed), "cut at {end}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode::<(u64, Bytes)>(&longer), Err(Malformed));
    }
}
