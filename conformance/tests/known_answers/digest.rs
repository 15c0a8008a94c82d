//! Message digests.

use claviger_conformance::openssl::hex;
use claviger_conformance::prelude::*;
use openssl::hash::{MessageDigest, hash};

use crate::token::Token;
use crate::{lists, pattern};

/// Mechanism, name for libcrypto (none where it has none), digest of "abc".
const DIGESTS: &[(M, &str, &str)] = &[
    // FIPS 180-4 and 202: NIST's examples. BLAKE2b: RFC 7693, appendix A, and its shorter outputs.
    (M::SHA_1, "SHA1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (M::SHA224, "SHA224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    (M::SHA256, "SHA256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        M::SHA384,
        "SHA384",
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    ),
    (
        M::SHA512,
        "SHA512",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (M::SHA512_224, "SHA512-224", "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
    (M::SHA512_256, "SHA512-256", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
    (M::SHA3_224, "SHA3-224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
    (M::SHA3_256, "SHA3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    (
        M::SHA3_384,
        "SHA3-384",
        "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
    ),
    (
        M::SHA3_512,
        "SHA3-512",
        "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e\
         10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
    ),
    (M::BLAKE2B_160, "", "384264f676f39536840523f284921cdc68b6846b"),
    (M::BLAKE2B_256, "", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
    (
        M::BLAKE2B_384,
        "",
        "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6c66ba83be64b302d7cba6ce15bb556f4",
    ),
    (
        M::BLAKE2B_512,
        "BLAKE2B-512",
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
         7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
    ),
    // RFC 1321, A.5; Dobbertin, Bosselaers, Preneel: RIPEMD-160, appendix B.
    (M::MD5, "MD5", "900150983cd24fb0d6963f7d28e17f72"),
    (M::RIPEMD160, "", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
];

#[test]
fn digests() {
    let token = Token::with(&["--profile", "legacy"]);
    for (mechanism, name, abc) in DIGESTS {
        if !lists(&token, *mechanism) {
            continue;
        }
        let digest = |data: &[u8]| token.digest(&Mechanism::new(*mechanism), data).unwrap();
        assert_eq!(hex(&digest(b"abc")), *abc, "{mechanism}");
        if let Some(reference) = (!name.is_empty()).then(|| MessageDigest::from_name(name).unwrap()) {
            // Around the blocks of all of them: 64 and 128 bytes, and the rates of SHA-3.
            for length in (0..290).chain([1000, 65_536]) {
                let data = pattern(length);
                assert_eq!(digest(&data), *hash(reference, &data).unwrap(), "{mechanism} of {length} bytes");
            }
        }
    }
    // FIPS 180-4, 5.3.6: 224 and 256 bits have names of their own; 160 and 376 come from an implementation of
    // the section in Python.
    for (bits, abc) in [
        (224, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
        (256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        (160, "0a74fe1b43eecbea62182658da8a68b8acef25bf"),
        (
            376,
            "2338439fe6427e701c0f430c4f7126d65e737f0c04e54f5da021fc25d529087fb1a8d272bd9d871427d5caa5fb8579",
        ),
    ] {
        if lists(&token, M::SHA512_T) {
            let digest = token.digest(&Mechanism::ulong(M::SHA512_T, bits), b"abc").unwrap();
            assert_eq!(hex(&digest), abc, "SHA-512/{bits}");
        }
    }
}
