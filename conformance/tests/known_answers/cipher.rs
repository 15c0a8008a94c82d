//! Ciphers and their modes.

use claviger_conformance::openssl::{enc, hex, unhex};
use claviger_conformance::prelude::*;

use crate::structure::Structure;
use crate::token::{Key, Token};
use crate::{ENCRYPT_DECRYPT, key_bytes, lists, pattern};

/// NIST SP 800-38A, appendix F: the key, IV and plaintext of all its examples with 128 bits.
const F_KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const F_IV: &str = "000102030405060708090a0b0c0d0e0f";
const F_PLAINTEXT: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                           30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
/// F.1.1, F.2.1, F.3.1 (two bytes), F.3.7 (18 bytes), F.3.13, F.4.1.
const F_CIPHERTEXTS: &[(M, &str)] = &[
    (
        M::AES_ECB,
        "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf\
         43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4",
    ),
    (
        M::AES_CBC,
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
         73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
    ),
    (M::AES_CFB1, "68b3"),
    (M::AES_CFB8, "3b79424c9c0dd436bace9e0ed4586a4f32b9"),
    (
        M::AES_CFB128,
        "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b\
         26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
    ),
    (
        M::AES_OFB,
        "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825\
         9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e",
    ),
];

/// Both directions.
#[track_caller]
fn round_trip(token: &Token, mechanism: &Mechanism, key: &Key, plaintext: &[u8], ciphertext: &[u8]) {
    let what = format!("{} of {} bytes", mechanism.r#type, plaintext.len());
    assert_eq!(hex(&token.encrypt(mechanism, key, plaintext).unwrap()), hex(ciphertext), "{what}");
    assert_eq!(hex(&token.decrypt(mechanism, key, ciphertext).unwrap()), hex(plaintext), "{what}");
}

#[test]
fn modes_of_aes() {
    let token = Token::new();
    let key = token.secret(KeyType::AES, &unhex(F_KEY), ENCRYPT_DECRYPT).unwrap();
    let plaintext = unhex(F_PLAINTEXT);
    for (r#type, ciphertext) in F_CIPHERTEXTS {
        if !lists(&token, *r#type) {
            continue;
        }
        let mechanism = match *r#type {
            M::AES_ECB => Mechanism::new(*r#type),
            _ => Mechanism::bytes(*r#type, &unhex(F_IV)),
        };
        let ciphertext = unhex(ciphertext);
        round_trip(&token, &mechanism, &key, &plaintext[..ciphertext.len()], &ciphertext);
    }
    // F.5.1
    assert!(lists(&token, M::AES_CTR));
    let block = unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
    let ciphertext = "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
                      5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee";
    round_trip(&token, &Mechanism::ctr(128, block), &key, &plaintext, &unhex(ciphertext));
}

/// Mechanism, key type, sizes of keys in bytes, the cipher's name for `openssl enc` with `%` for the bits of the
/// key, bytes of the IV, and the block when data must be whole blocks.
type Row = (M, KeyType, &'static [usize], &'static str, usize, usize);

const CIPHERS: &[Row] = &[
    (M::AES_ECB, KeyType::AES, &[16, 24, 32], "aes-%-ecb", 0, 16),
    (M::AES_CBC, KeyType::AES, &[16, 24, 32], "aes-%-cbc", 16, 16),
    (M::AES_CBC_PAD, KeyType::AES, &[16, 24, 32], "aes-%-cbc", 16, 0),
    (M::AES_CFB1, KeyType::AES, &[16, 24, 32], "aes-%-cfb1", 16, 1),
    (M::AES_CFB8, KeyType::AES, &[16, 24, 32], "aes-%-cfb8", 16, 1),
    (M::AES_CFB128, KeyType::AES, &[16, 24, 32], "aes-%-cfb", 16, 1),
    (M::AES_OFB, KeyType::AES, &[16, 24, 32], "aes-%-ofb", 16, 1),
    (M::ARIA_ECB, KeyType::ARIA, &[16, 24, 32], "aria-%-ecb", 0, 16),
    (M::ARIA_CBC, KeyType::ARIA, &[16, 24, 32], "aria-%-cbc", 16, 16),
    (M::ARIA_CBC_PAD, KeyType::ARIA, &[16, 24, 32], "aria-%-cbc", 16, 0),
    (M::CAMELLIA_ECB, KeyType::CAMELLIA, &[16, 24, 32], "camellia-%-ecb", 0, 16),
    (M::CAMELLIA_CBC, KeyType::CAMELLIA, &[16, 24, 32], "camellia-%-cbc", 16, 16),
    (M::CAMELLIA_CBC_PAD, KeyType::CAMELLIA, &[16, 24, 32], "camellia-%-cbc", 16, 0),
    (M::DES3_ECB, KeyType::DES3, &[24], "des-ede3", 0, 8),
    (M::DES3_CBC, KeyType::DES3, &[24], "des-ede3-cbc", 8, 8),
    (M::DES3_CBC_PAD, KeyType::DES3, &[24], "des-ede3-cbc", 8, 0),
];

#[test]
fn ciphers_agree_with_openssl() {
    let token = Token::new();
    for (r#type, key_type, sizes, name, iv_size, block) in CIPHERS {
        if !lists(&token, *r#type) {
            continue;
        }
        for size in *sizes {
            let (key, iv) = (key_bytes(*size), pattern(*iv_size));
            let handle = token.secret(*key_type, &key, ENCRYPT_DECRYPT).unwrap();
            let mechanism = match iv.len() {
                0 => Mechanism::new(*r#type),
                _ => Mechanism::bytes(*r#type, &iv),
            };
            let padding = if *block == 0 { "" } else { "-nopad" };
            let name = name.replace('%', &(size * 8).to_string());
            for length in [1usize, 16, 17, 48, 1000].into_iter().filter(|n| n.is_multiple_of((*block).max(1)))
            {
                let data = pattern(length);
                let expected = enc(&format!("-{name} {padding}"), &key, &iv, &data);
                round_trip(&token, &mechanism, &handle, &data, &expected);
            }
        }
    }
    // SP 800-67 Rev. 2, appendix B.1
    if lists(&token, M::DES3_ECB) {
        let key = unhex("0123456789abcdef 23456789abcdef01 456789abcdef0123");
        let key = token.secret(KeyType::DES3, &key, ENCRYPT_DECRYPT).unwrap();
        let ciphertext = unhex("a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900");
        round_trip(&token, &M::DES3_ECB.into(), &key, b"The qufck brown fox jump", &ciphertext);
    }
    // RFC 8439, 2.4.2; libcrypto's IV is the counter and then the nonce.
    if lists(&token, M::CHACHA20) {
        let key_bytes: Vec<u8> = (0..32).collect();
        let key = token.secret(KeyType::CHACHA20, &key_bytes, ENCRYPT_DECRYPT).unwrap();
        let (counter, nonce) = (unhex("01000000"), unhex("000000000000004a00000000"));
        let parameter =
            Structure::new().pointer(&counter).ulong(32).pointer(&nonce).ulong(96).of(M::CHACHA20);
        let data = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
                     future, sunscreen would be it.";
        let expected = unhex(
            "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357\
             1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736\
             5af90bbf74a35be6b40b8eedf2785e42874d",
        );
        assert_eq!(enc("-chacha20", &key_bytes, &[counter, nonce].concat(), data), expected);
        round_trip(&token, &parameter, &key, data, &expected);
    }
}

#[test]
fn cfb_of_64_bits() {
    // SP 800-38A, 6.3, over the openssl program's forward cipher: it has no such mode itself.
    let token = Token::new();
    if !lists(&token, M::AES_CFB64) {
        return;
    }
    let iv = pattern(16);
    for size in [16, 24, 32usize] {
        let key_bytes = pattern(size);
        let key = token.secret(KeyType::AES, &key_bytes, ENCRYPT_DECRYPT).unwrap();
        let data = pattern(37);
        let (mut input, mut expected) = (iv.clone(), Vec::new());
        for segment in data.chunks(8) {
            let output = enc(&format!("-aes-{}-ecb -nopad", size * 8), &key_bytes, &[], &input);
            let encrypted: Vec<u8> = segment.iter().zip(&output).map(|(a, b)| a ^ b).collect();
            input = [&input[8..], &encrypted].concat();
            expected.extend(encrypted);
        }
        round_trip(&token, &Mechanism::bytes(M::AES_CFB64, &iv), &key, &data, &expected);
    }
}

#[test]
fn key_wrap_with_padding_of_pkcs7() {
    let token = Token::new();
    if !lists(&token, M::AES_KEY_WRAP_PKCS7) {
        return;
    }
    let key_bytes = pattern(32);
    let key = token.secret(KeyType::AES, &key_bytes, ENCRYPT_DECRYPT).unwrap();
    let wrapping = openssl::aes::AesKey::new_encrypt(&key_bytes).unwrap();
    for length in [8, 15, 16, 17, 100usize] {
        let data = pattern(length);
        // To whole blocks of 8 bytes (PKCS#11 3.2, 6.14.4), then KW.
        let padding = 8 - length % 8;
        let padded = [&data[..], &vec![padding as u8; padding]].concat();
        let mut expected = vec![0; padded.len() + 8];
        openssl::aes::wrap_key(&wrapping, None, &mut expected, &padded).unwrap();
        round_trip(&token, &M::AES_KEY_WRAP_PKCS7.into(), &key, &data, &expected);
    }
}
