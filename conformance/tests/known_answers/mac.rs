//! Message authentication codes.

use claviger_conformance::openssl::{OpenSsl, enc, hex, hmac, unhex};
use claviger_conformance::prelude::*;

use crate::token::{Key, Token};
use crate::{SIGN_VERIFY, key_bytes, lists, pattern};

/// C_Sign and C_Verify.
#[track_caller]
fn signs(token: &Token, mechanism: &Mechanism, key: &Key, data: &[u8], mac: &[u8]) {
    let what = format!("{} of {} bytes", mechanism.r#type, data.len());
    assert_eq!(hex(&token.sign(mechanism, key, data).unwrap()), hex(mac), "{what}");
    token.verify(mechanism, key, data, mac).unwrap();
}

/// Mechanism in its two forms, key type and bytes, the cipher's name for `openssl enc`, its block.
const CBC_MACS: &[(M, M, KeyType, usize, &str, usize)] = &[
    (M::AES_MAC, M::AES_MAC_GENERAL, KeyType::AES, 16, "aes-128-cbc", 16),
    (M::AES_MAC, M::AES_MAC_GENERAL, KeyType::AES, 32, "aes-256-cbc", 16),
    (M::DES3_MAC, M::DES3_MAC_GENERAL, KeyType::DES3, 24, "des-ede3-cbc", 8),
    (M::ARIA_MAC, M::ARIA_MAC_GENERAL, KeyType::ARIA, 16, "aria-128-cbc", 16),
    (M::CAMELLIA_MAC, M::CAMELLIA_MAC_GENERAL, KeyType::CAMELLIA, 16, "camellia-128-cbc", 16),
];

#[test]
fn macs() {
    let token = Token::new();
    // CBC-MAC of data padded with zeros (FIPS 113); the plain form gives half a block.
    for (half, general, key_type, size, cipher, block) in CBC_MACS {
        if !lists(&token, *half) {
            continue;
        }
        let key = token.secret(*key_type, &key_bytes(*size), SIGN_VERIFY).unwrap();
        for length in [1, 8, 16, 33, 100usize] {
            let data = pattern(length);
            let padded = [&data[..], &vec![0; length.next_multiple_of(*block) - length]].concat();
            let whole = enc(&format!("-{cipher} -nopad"), &key_bytes(*size), &vec![0; *block], &padded);
            let last = &whole[whole.len() - block..];
            signs(&token, &Mechanism::new(*half), &key, &data, &last[..block / 2]);
            for length in [1, 5, *block] {
                signs(&token, &Mechanism::ulong(*general, length as u64), &key, &data, &last[..length]);
            }
        }
    }
    // RFC 3566, 4.6, test cases 1 to 3
    if lists(&token, M::AES_XCBC_MAC) {
        let key = token.secret(KeyType::AES, &(0..16).collect::<Vec<u8>>(), SIGN_VERIFY).unwrap();
        for (length, mac) in [
            (0, "75f0251d528ac01c4573dfd584d79f29"),
            (3, "5b376580ae2f19afe7219ceef172756f"),
            (16, "d2a246fa349b68a79998a4394ff7a263"),
        ] {
            let (data, mac): (Vec<u8>, _) = ((0..length).collect(), unhex(mac));
            signs(&token, &M::AES_XCBC_MAC.into(), &key, &data, &mac);
            signs(&token, &M::AES_XCBC_MAC_96.into(), &key, &data, &mac[..12]);
        }
    }
    // RFC 8439, 2.5.2
    if lists(&token, M::POLY1305) {
        let key = unhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");
        let key = token.secret(KeyType::POLY1305, &key, SIGN_VERIFY).unwrap();
        let mac = unhex("a8061dc1305136c6c22b8baf0c0127a9");
        signs(&token, &M::POLY1305.into(), &key, b"Cryptographic Forum Research Group", &mac);
    }
    if lists(&token, M::DES3_CMAC) {
        let key = token.secret(KeyType::DES3, &key_bytes(24), SIGN_VERIFY).unwrap();
        for length in [0, 1, 8, 9, 100] {
            let data = pattern(length);
            let openssl = OpenSsl::with(&[("data", &data)]);
            let arguments = format!(
                "mac -cipher DES-EDE3-CBC -macopt hexkey:{} -in data -binary -out mac CMAC",
                hex(&key_bytes(24))
            );
            openssl.run(&arguments).unwrap();
            let mac = openssl.read("mac");
            signs(&token, &M::DES3_CMAC.into(), &key, &data, &mac);
            signs(&token, &Mechanism::ulong(M::DES3_CMAC_GENERAL, 5), &key, &data, &mac[..5]);
        }
    }
}

#[test]
fn hmacs() {
    let token = Token::with(&["--profile", "legacy"]);
    // RFC 4231, 4.6 (test case 5): truncated to 128 bits.
    let key = token.secret(KeyType::GENERIC_SECRET, &[0x0c; 20], SIGN_VERIFY).unwrap();
    let mac = unhex("a3b6167473100ee06e0c796c2955552b");
    signs(&token, &Mechanism::ulong(M::SHA256_HMAC_GENERAL, 16), &key, b"Test With Truncation", &mac);
    for (whole, general, name) in [
        (M::MD5_HMAC, M::MD5_HMAC_GENERAL, "md5"),
        (M::SHA_1_HMAC, M::SHA_1_HMAC_GENERAL, "sha1"),
        (M::SHA224_HMAC, M::SHA224_HMAC_GENERAL, "sha224"),
        (M::SHA256_HMAC, M::SHA256_HMAC_GENERAL, "sha256"),
        (M::SHA384_HMAC, M::SHA384_HMAC_GENERAL, "sha384"),
        (M::SHA512_HMAC, M::SHA512_HMAC_GENERAL, "sha512"),
        (M::SHA512_224_HMAC, M::SHA512_224_HMAC_GENERAL, "sha512-224"),
        (M::SHA512_256_HMAC, M::SHA512_256_HMAC_GENERAL, "sha512-256"),
        (M::SHA3_224_HMAC, M::SHA3_224_HMAC_GENERAL, "sha3-224"),
        (M::SHA3_256_HMAC, M::SHA3_256_HMAC_GENERAL, "sha3-256"),
        (M::SHA3_384_HMAC, M::SHA3_384_HMAC_GENERAL, "sha3-384"),
        (M::SHA3_512_HMAC, M::SHA3_512_HMAC_GENERAL, "sha3-512"),
        (M::BLAKE2B_512_HMAC, M::BLAKE2B_512_HMAC_GENERAL, "blake2b512"),
    ] {
        if !lists(&token, whole) || !lists(&token, general) {
            continue;
        }
        // Shorter than a block, and longer than any.
        for size in [20, 200] {
            let key = token.secret(KeyType::GENERIC_SECRET, &pattern(size), SIGN_VERIFY).unwrap();
            let data = pattern(300);
            let mac = hmac(name, &pattern(size), &data);
            signs(&token, &Mechanism::new(whole), &key, &data, &mac);
            for length in [1, 10, mac.len()] {
                signs(&token, &Mechanism::ulong(general, length as u64), &key, &data, &mac[..length]);
            }
        }
    }
    // From Python's hmac with its own BLAKE2b.
    for (mechanism, mac) in [
        (M::BLAKE2B_160_HMAC, "98af676e70aac5c26243aaaf06bcb8b8daa2bebd"),
        (M::BLAKE2B_256_HMAC, "bb3e1cd6f38b5df1cb87983ec29d6116587c1b9bf6e5cd167ac7f2bc741d3817"),
        (
            M::BLAKE2B_384_HMAC,
            "d35f3b282f1d5ba23d7cc4c61eb25b985476da5ea487080836ff348a90a6676e53932a4650a62ecf48b6c2a43f3036b9",
        ),
    ] {
        if lists(&token, mechanism) {
            let key = token.secret(KeyType::GENERIC_SECRET, b"key", SIGN_VERIFY).unwrap();
            let data = b"The quick brown fox jumps over the lazy dog";
            signs(&token, &mechanism.into(), &key, data, &unhex(mac));
        }
    }
}
