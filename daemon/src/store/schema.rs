//! How records of earlier versions of Claviger are read.
//!
//! * A field that is added at the end of a record reads as zero (`None`, empty, false, 0) where it is missing, and
//!   needs nothing else: see [`decode`].
//! * Any other change of a record's form raises [`SCHEMA`] and adds a row to [`UPGRADES`]. Records are written in
//!   the present schema, so each moves on with its next change.
//! * Either way `conformance/golden/` keeps a store of every released form, and a test opens it.

use bincode::Decode;
use claviger_protocol::codec;
use zeroize::Zeroizing;

use super::engine::{RecordKey, Tree};
use super::error::{Error, Result};

/// The schema of records that are written now. It stands in the header of each.
pub(super) const SCHEMA: u8 = 1;

/// Turns the encoding of a record in a tree from one schema into the next; `None` when it makes no sense.
type Upgrade = fn(Tree, Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>>;

/// Row 0 turns schema 1 into schema 2, and so on.
const UPGRADES: &[Upgrade] = &[];

// One row for each step.
const _: () = assert!(UPGRADES.len() + 1 == SCHEMA as usize);

/// Zeros that stand for the fields that a record from before does not have.
const MISSING_BYTES: usize = 4096;

/// The encoding of schema `schema` in the present one.
///
/// # Errors
/// [`Error::Undecodable`] when it makes no sense.
pub(super) fn upgraded(
    place: &RecordKey,
    schema: u8,
    value: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>> {
    by(UPGRADES, place, schema, value)
}

fn by(
    upgrades: &[Upgrade],
    place: &RecordKey,
    schema: u8,
    value: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>> {
    let undecodable = || Error::Undecodable { place: place.clone() };
    let first = usize::from(schema).checked_sub(1).ok_or_else(undecodable)?;
    let steps = upgrades.get(first..).ok_or_else(undecodable)?;
    steps.iter().try_fold(value, |value, step| step(place.tree, value).ok_or_else(undecodable))
}

/// The value that `bytes` encode; fields that are missing at the end read as zero. The bytes are authentic, so a
/// value that ends early was written that way.
///
/// # Errors
/// [`Error::Undecodable`] when they encode no value of this type.
pub(super) fn decode<T: Decode<()>>(place: &RecordKey, bytes: &[u8]) -> Result<T> {
    if let Ok(value) = codec::decode(bytes) {
        return Ok(value);
    }
    codec::decode_prefix(bytes, MISSING_BYTES).map_err(|_| Error::Undecodable { place: place.clone() })
}

#[cfg(test)]
mod tests {
    use bincode::Encode;

    use super::*;

    #[derive(Encode, Decode)]
    struct Before {
        name: String,
        number: u64,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Now {
        name: String,
        number: u64,
        flag: bool,
        time: Option<u64>,
        list: Vec<String>,
    }

    fn place() -> RecordKey {
        RecordKey::new(Tree::Version, "a")
    }

    #[test]
    fn fields_added_at_the_end_read_as_zero() {
        let before = codec::encode(&Before { name: "n".into(), number: 7 }).unwrap();
        let now = Now { name: "n".into(), number: 7, flag: false, time: None, list: Vec::new() };
        assert_eq!(decode::<Now>(&place(), &before).unwrap(), now);
        let bytes = codec::encode(&now).unwrap();
        assert_eq!(decode::<Now>(&place(), &bytes).unwrap(), now);
        // What is longer than the type is of a newer version.
        assert!(decode::<Before>(&place(), &bytes).is_err());
        // A length beyond what may be missing is none.
        assert!(decode::<Now>(&place(), &20_000u64.to_le_bytes()).is_err());
    }

    #[test]
    fn older_schemas_go_through_every_step() {
        let table: &[Upgrade] = &[
            |_, mut value| {
                value.push(b'2');
                Some(value)
            },
            |tree, mut value| {
                value.push(b'3');
                (tree == Tree::Version).then_some(value)
            },
        ];
        let from = |schema| by(table, &place(), schema, Zeroizing::new(b"x".to_vec()));
        assert_eq!(from(1).unwrap().as_slice(), b"x23");
        assert_eq!(from(2).unwrap().as_slice(), b"x3");
        assert_eq!(from(3).unwrap().as_slice(), b"x");
        assert!(from(0).is_err() && from(4).is_err());
        assert!(by(table, &RecordKey::new(Tree::Object, "a"), 1, Zeroizing::default()).is_err());
    }
}
