//! The tally: what all live records come to, so that one that is missing, added, changed or out of date shows.
//!
//! It is the number of records of each tree and the sum, modulo 2^256, of HMAC-SHA-256 over every record: a
//! keyed multiset hash (Clarke, Devadas, van Dijk, Gassend and Suh, "Incremental Multiset Hash Functions",
//! MSet-Add-Hash). A commit moves it in time that depends on the commit alone, and nobody without the key can
//! find another set of records with the same sum.

use super::engine::{Record, RecordKey, Tree};
use super::seal::KEY_BYTES;
use crate::crypto::hmac_sha256::HmacSha256;
pub(super) use crate::crypto::hmac_sha256::MAC_BYTES;

/// What a MAC is about, so that none passes for one of another kind.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Domain {
    Record = 1,
    State = 2,
    Slot = 3,
}

/// Most parts of one MAC, domain and store included.
const MOST_PARTS: usize = 7;

/// The key of tallies, states and anchors.
pub struct Authenticator {
    key: HmacSha256,
    /// Bound into everything that is authenticated.
    store_id: [u8; 16],
}

impl Authenticator {
    /// An authenticator for the store `store_id`.
    pub fn new(key: &[u8; KEY_BYTES], store_id: [u8; 16]) -> Self {
        Self { key: HmacSha256::new(key), store_id }
    }

    /// The MAC of `parts`, one after the other; all but the last have a fixed length or tell it.
    pub(super) fn mac(&self, domain: Domain, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut all: [&[u8]; MOST_PARTS] = [&[]; MOST_PARTS];
        let domain = [domain as u8];
        (all[0], all[1]) = (&domain, &self.store_id);
        all[2..2 + parts.len()].copy_from_slice(parts);
        self.key.mac(&all[..2 + parts.len()])
    }

    /// Splits the MAC off the end of `bytes` and returns what is before it, if it fits.
    pub(super) fn verified<'a>(&self, domain: Domain, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (content, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let right = self.mac(domain, &[content]);
        openssl::memcmp::eq(&right, mac).then_some(content)
    }

    fn record(&self, place: &RecordKey, record: &Record) -> [u8; MAC_BYTES] {
        let tree = [place.tree as u8];
        let length = (tree.len() as u64 + place.key.len() as u64).to_be_bytes();
        let version = record.version.to_be_bytes();
        self.mac(Domain::Record, &[&length, &tree, &place.key, &version, &record.bytes])
    }
}

/// What a set of records comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records of each tree, in the order of [`Tree::ALL`].
    counts: [u64; Tree::ALL.len()],
    /// The sum of the records' MACs, least significant word first.
    sum: [u64; MAC_BYTES / 8],
}

impl Tally {
    /// Takes a record in.
    pub(super) fn add(&mut self, key: &Authenticator, place: &RecordKey, record: &Record) {
        self.add_to_sum(&words(&key.record(place, record)));
        let count = self.count_mut(place.tree);
        *count = count.wrapping_add(1);
    }

    /// Takes all records of another tally in.
    pub(super) fn merge(&mut self, other: &Tally) {
        self.add_to_sum(&other.sum);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.wrapping_add(more);
        }
    }

    fn add_to_sum(&mut self, addends: &[u64; MAC_BYTES / 8]) {
        let mut carry = false;
        for (word, addend) in self.sum.iter_mut().zip(addends) {
            let (partial, first) = word.overflowing_add(*addend);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            (*word, carry) = (total, first || second);
        }
    }

    /// Takes a record out, which was taken in.
    pub(super) fn remove(&mut self, key: &Authenticator, place: &RecordKey, record: &Record) {
        let mac = words(&key.record(place, record));
        let mut borrow = false;
        for (word, subtrahend) in self.sum.iter_mut().zip(mac) {
            let (partial, first) = word.overflowing_sub(subtrahend);
            let (total, second) = partial.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (total, first || second);
        }
        let count = self.count_mut(place.tree);
        *count = count.wrapping_sub(1);
    }

    /// The number of records of `tree`.
    pub fn count(&self, tree: Tree) -> u64 {
        Tree::ALL.iter().zip(self.counts).find(|(other, _)| **other == tree).map_or(0, |(_, count)| count)
    }

    /// The number of all records.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    fn count_mut(&mut self, tree: Tree) -> &mut u64 {
        // Every tree is in the list that the array is as long as.
        let index = Tree::ALL.iter().position(|other| *other == tree).unwrap_or(0);
        &mut self.counts[index]
    }

    /// ```text
    /// number u8 | number × (tree u8 | count u64) | sum[32], integers big endian
    /// ```
    /// Trees without records are left out, so that a tree can be added to the list later.
    pub(super) fn encode(&self, output: &mut Vec<u8>) {
        let present: Vec<_> = Tree::ALL.iter().zip(self.counts).filter(|(_, count)| *count > 0).collect();
        output.push(present.len() as u8);
        for (tree, count) in present {
            output.push(*tree as u8);
            output.extend_from_slice(&count.to_be_bytes());
        }
        self.sum.iter().rev().for_each(|word| output.extend_from_slice(&word.to_be_bytes()));
    }

    /// The reverse of [`Tally::encode`]; moves `rest` past it.
    pub(super) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let mut tally = Self::default();
        let [present] = take(rest)?;
        for _ in 0..present {
            let [tree] = take(rest)?;
            *tally.count_mut(Tree::from_number(tree)?) = u64::from_be_bytes(take(rest)?);
        }
        for word in tally.sum.iter_mut().rev() {
            *word = u64::from_be_bytes(take(rest)?);
        }
        Some(tally)
    }
}

fn words(mac: &[u8; MAC_BYTES]) -> [u64; MAC_BYTES / 8] {
    let mut words = [0; MAC_BYTES / 8];
    let (chunks, _) = mac.as_chunks::<8>();
    words.iter_mut().rev().zip(chunks).for_each(|(word, chunk)| *word = u64::from_be_bytes(*chunk));
    words
}

/// The next `N` bytes of `rest`, which moves past them.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Authenticator {
        Authenticator::new(&[3; 32], [4; 16])
    }

    fn record(number: u64) -> (RecordKey, Record) {
        let tree = Tree::ALL[number as usize % Tree::ALL.len()];
        (RecordKey::new(tree, number.to_be_bytes()), Record { version: number, bytes: vec![number as u8; 9] })
    }

    #[test]
    fn the_order_does_not_matter_and_what_is_removed_leaves_no_trace() {
        let key = key();
        let (mut one, mut other) = (Tally::default(), Tally::default());
        for number in 0..300 {
            let (place, record) = record(number);
            one.add(&key, &place, &record);
        }
        for number in (0..400).rev() {
            let (place, record) = record(number);
            other.add(&key, &place, &record);
        }
        assert_ne!(one, other);
        for number in 300..400 {
            let (place, record) = record(number);
            other.remove(&key, &place, &record);
        }
        assert_eq!(one, other);
        assert_eq!(one.total(), 300);
        let mut halves = [Tally::default(), Tally::default()];
        for number in 0..300 {
            let (place, record) = record(number);
            halves[number as usize % 2].add(&key, &place, &record);
        }
        let [mut half, rest] = halves;
        half.merge(&rest);
        assert_eq!(half, one);
        for number in 0..300 {
            let (place, record) = record(number);
            one.remove(&key, &place, &record);
        }
        assert_eq!(one, Tally::default());
    }

    #[test]
    fn every_part_of_a_record_counts() {
        let key = key();
        let tally = |key: &Authenticator, place: RecordKey, version: u64, bytes: &[u8]| {
            let mut tally = Tally::default();
            tally.add(key, &place, &Record { version, bytes: bytes.into() });
            tally.sum
        };
        let place = || RecordKey::new(Tree::Object, "ab");
        let base = tally(&key, place(), 1, b"cd");
        assert_ne!(base, tally(&key, place(), 2, b"cd"));
        assert_ne!(base, tally(&key, place(), 1, b"ce"));
        assert_ne!(base, tally(&key, RecordKey::new(Tree::Object, "abc"), 1, b"d"));
        assert_ne!(base, tally(&key, RecordKey::new(Tree::Alias, "ab"), 1, b"cd"));
        assert_ne!(base, tally(&Authenticator::new(&[5; 32], [4; 16]), place(), 1, b"cd"));
        assert_ne!(base, tally(&Authenticator::new(&[3; 32], [5; 16]), place(), 1, b"cd"));
    }

    #[test]
    fn the_sum_carries_and_borrows_over_all_words() {
        // HMAC values are random; add their negation word by word through the public operations instead.
        let key = key();
        let (place, record) = record(1);
        let mut tally = Tally { sum: [u64::MAX; 4], ..Tally::default() };
        tally.add(&key, &place, &record);
        let mut expected = words(&key.record(&place, &record));
        // Adding 2^256 - 1 is subtracting 1.
        for word in &mut expected {
            let (less, borrow) = word.overflowing_sub(1);
            *word = less;
            if !borrow {
                break;
            }
        }
        assert_eq!(tally.sum, expected);
        tally.remove(&key, &place, &record);
        assert_eq!(tally.sum, [u64::MAX; 4]);
    }

    #[test]
    fn a_tally_survives_its_encoding() {
        let key = key();
        let mut tally = Tally::default();
        for number in 0..40 {
            let (place, record) = record(number);
            tally.add(&key, &place, &record);
        }
        let mut bytes = Vec::new();
        tally.encode(&mut bytes);
        assert_eq!(Tally::decode(&mut bytes.as_slice()), Some(tally));
        for length in 0..bytes.len() {
            assert_eq!(Tally::decode(&mut &bytes[..length]), None);
        }
    }
}
