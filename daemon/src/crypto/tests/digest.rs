//! FIPS 180-4's examples ("abc"), and saved states.

use claviger_protocol::MechanismType as M;
use claviger_protocol::mechanism::{Hash, MECHANISMS, Recipe};
use claviger_protocol::params::Params;

use super::super::Digest;
use super::{hex, row, secret};
use crate::error::Error;

const ABC: &[(M, &str)] = &[
    (M::SHA_1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (M::SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    (M::SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        M::SHA384,
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    ),
    (
        M::SHA512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd
         454d4423643ce80e2a9ac94fa54ca49f",
    ),
];

fn start(r#type: M) -> Digest {
    Digest::new(row(r#type), &Params::None).unwrap()
}

#[test]
fn known_answers() {
    for (r#type, expected) in ABC {
        let mut digest = start(*r#type);
        digest.update(b"a").unwrap();
        let copy = digest.try_clone().unwrap();
        for mut digest in [digest, copy] {
            digest.update(b"").unwrap();
            digest.update(b"bc").unwrap();
            assert_eq!(digest.length(), hex(expected).len());
            assert_eq!(digest.finish().unwrap()[..], hex(expected), "{type}");
        }
    }
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let data: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
    let others = [
        M::MD5,
        M::RIPEMD160,
        M::SHA3_224,
        M::SHA3_256,
        M::SHA3_384,
        M::SHA3_512,
        M::SHA512_224,
        M::SHA512_256,
        M::BLAKE2B_512,
    ];
    for r#type in ABC.iter().map(|(r#type, _)| r#type).chain(&others) {
        for cut in [0, 1, 55, 63, 64, 65, 127, 128, 129, 500, 999] {
            let mut whole = start(*r#type);
            whole.update(&data[..cut]).unwrap();
            let saved = whole.save().unwrap();
            whole.update(&data[cut..]).unwrap();
            let mut restored = Digest::restore(row(*r#type), &saved).unwrap();
            restored.update(&data[cut..]).unwrap();
            // A second implementation: the one behind EVP_MD.
            let md = super::super::algorithm::md(match row(*r#type).recipe {
                Recipe::Digest(hash) => hash,
                _ => unreachable!(),
            })
            .unwrap();
            let mut context = openssl::md_ctx::MdCtx::new().unwrap();
            context.digest_init(md).unwrap();
            context.digest_update(&data).unwrap();
            let mut expected = [0; 64];
            let length = context.digest_final(&mut expected).unwrap();
            assert_eq!(whole.finish().unwrap()[..], expected[..length], "{type} {cut}");
            assert_eq!(restored.finish().unwrap()[..], expected[..length], "{type} {cut}");
        }
    }
}

#[test]
fn what_is_no_saved_state_is_refused() {
    let mut digest = start(M::SHA256);
    digest.update(b"some data").unwrap();
    let saved = digest.save().unwrap();
    let refused = |r#type, saved: &[u8]| Digest::restore(row(r#type), saved).err();
    assert_eq!(refused(M::SHA256, &saved), None);
    assert_eq!(refused(M::SHA224, &saved), Some(Error::SavedStateInvalid));
    assert_eq!(refused(M::SHA256, &saved[..saved.len() - 1]), Some(Error::SavedStateInvalid));
    assert_eq!(refused(M::SHA256, &[&saved[..], &[0]].concat()), Some(Error::SavedStateInvalid));
    assert_eq!(refused(M::SHA256, &[]), Some(Error::SavedStateInvalid));
    let mut other_version = saved.to_vec();
    other_version[0] = 9;
    assert_eq!(refused(M::SHA256, &other_version), Some(Error::SavedStateInvalid));
}

#[test]
fn a_digested_key_is_never_shown() {
    let mut digest = start(M::SHA256);
    digest.update_key(&secret(b"abc")).unwrap();
    assert_eq!(digest.save().err(), Some(Error::StateUnsaveable));
    assert_eq!(digest.try_clone().unwrap().save().err(), Some(Error::StateUnsaveable));
    assert_eq!(digest.finish().unwrap()[..], hex(ABC[2].1));
    let (private, _) = super::on_curve(super::P256);
    assert_eq!(start(M::SHA256).update_key(&private).err(), Some(Error::KeyIndigestible));
}

#[test]
fn parameters_and_other_mechanisms_are_refused() {
    assert_eq!(Digest::new(row(M::SHA256), &Params::Ulong(1)).err(), Some(Error::MechanismParamInvalid));
    assert_eq!(Digest::new(row(M::AES_CBC), &Params::None).err(), Some(Error::MechanismInvalid));
}

/// FIPS 180-4's and FIPS 202's examples, RFC 7693 (appendix A), RFC 1321 (A.5), the RIPEMD-160 paper.
const MORE: &[(M, &str)] = &[
    (M::SHA512_224, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
    (M::SHA512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
    (M::SHA3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
    (M::SHA3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    (
        M::SHA3_384,
        "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
    ),
    (
        M::SHA3_512,
        "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
    ),
    (
        M::BLAKE2B_512,
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
    ),
    // The sizes as GNU coreutils' b2sum has them.
    (M::BLAKE2B_160, "384264f676f39536840523f284921cdc68b6846b"),
    (M::BLAKE2B_256, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
    (
        M::BLAKE2B_384,
        "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6c66ba83be64b302d7cba6ce15bb556f4",
    ),
    (M::MD5, "900150983cd24fb0d6963f7d28e17f72"),
    (M::RIPEMD160, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
];

#[test]
fn known_answers_of_the_other_hashes() {
    for (r#type, expected) in MORE {
        let mut digest = start(*r#type);
        digest.update(b"a").unwrap();
        let copy = digest.try_clone().unwrap();
        for mut digest in [digest, copy] {
            digest.update(b"bc").unwrap();
            assert_eq!(digest.finish().unwrap()[..], hex(expected), "{type}");
        }
    }
}

#[test]
fn sha512_t_is_sha512_224_at_224() {
    let by_parameter = |bits| {
        let mut digest = Digest::new(row(M::SHA512_T), &Params::Ulong(bits)).unwrap();
        digest.update(b"abc").unwrap();
        digest.finish().unwrap()
    };
    assert_eq!(by_parameter(224)[..], hex(MORE[0].1));
    assert_eq!(by_parameter(256)[..], hex(MORE[1].1));
    assert_eq!(by_parameter(8).len(), 1);
    for bits in [0, 4, 225, 384, 512, u64::MAX] {
        let refused = Digest::new(row(M::SHA512_T), &Params::Ulong(bits)).err();
        assert_eq!(refused, Some(Error::MechanismParamInvalid), "{bits}");
    }
    let mut digest = Digest::new(row(M::SHA512_T), &Params::Ulong(224)).unwrap();
    digest.update(b"ab").unwrap();
    let mut restored = Digest::restore(row(M::SHA512_T), &digest.save().unwrap()).unwrap();
    restored.update(b"c").unwrap();
    assert_eq!(restored.finish().unwrap()[..], hex(MORE[0].1));
}

#[test]
fn every_hash_that_is_offered_can_be_saved_at_any_point() {
    let data: Vec<u8> = (0..400u32).map(|i| (i * 7) as u8).collect();
    for row in MECHANISMS.iter().filter(|row| matches!(row.recipe, Recipe::Digest(_))) {
        let whole = |data: &[u8]| {
            let mut digest = start(row.r#type);
            digest.update(data).unwrap();
            digest.finish().unwrap()
        };
        for cut in 0..data.len() {
            let mut digest = start(row.r#type);
            digest.update(&data[..cut]).unwrap();
            let saved = digest.save().unwrap();
            let mut digest = Digest::restore(row, &saved).unwrap();
            digest.update(&data[cut..]).unwrap();
            assert_eq!(digest.finish().unwrap(), whole(&data), "{} {cut}", row.r#type);
        }
        let saved = start(row.r#type).save().unwrap();
        for wrong in [&saved[..saved.len() - 1], &[&saved[..], &[0; 200]].concat()] {
            assert_eq!(Digest::restore(row, wrong).err(), Some(Error::SavedStateInvalid), "{}", row.r#type);
        }
    }
}

#[test]
fn blake2b_is_openssl_s_at_every_length() {
    let md = super::super::algorithm::md(Hash::Blake2b512).unwrap();
    let data = [0x5a; 300];
    for length in 0..data.len() {
        let mut context = openssl::md_ctx::MdCtx::new().unwrap();
        context.digest_init(md).unwrap();
        context.digest_update(&data[..length]).unwrap();
        let mut expected = [0; 64];
        context.digest_final(&mut expected).unwrap();
        let mut digest = start(M::BLAKE2B_512);
        for part in data[..length].chunks(97) {
            digest.update(part).unwrap();
        }
        assert_eq!(digest.finish().unwrap()[..], expected, "{length} bytes");
    }
}
