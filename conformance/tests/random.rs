//! Random number generation functions (PKCS#11 3.2, section 5.19).

use std::collections::HashSet;

use claviger_conformance::prelude::*;

#[test]
fn random_bytes_come_in_every_length() {
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    for length in [0, 1, 16, 1000, 1 << 20] {
        assert_eq!(setup.app.raw.generate_random(session, length).map(|random| random.len()), Ok(length));
    }
    assert_eq!(setup.app.raw.generate_random_null(session), Err(Rv::ARGUMENTS_BAD));
}

#[test]
fn no_two_answers_are_alike_and_bits_are_balanced() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let answers: HashSet<Vec<u8>> = (0..500).map(|_| raw.generate_random(session, 16).unwrap()).collect();
    assert_eq!(answers.len(), 500);
    let bytes = raw.generate_random(session, 1 << 20).unwrap();
    let ones: u64 = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
    // 2^23 bits: the standard deviation is 1448; ten of them.
    assert!(ones.abs_diff(1 << 22) < 14_480, "{ones} of {} bits are ones", 1 << 23);
}

#[test]
fn a_seed_is_mixed_in_and_decides_nothing() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let mut answers = HashSet::new();
    for _ in 0..3 {
        assert_eq!(raw.seed_random(session, b"always the same seed"), Ok(()));
        answers.insert(raw.generate_random(session, 32).unwrap());
    }
    assert_eq!(answers.len(), 3);
}
