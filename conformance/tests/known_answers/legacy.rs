//! Broken mechanisms, which only the profile `legacy` has, and the last of the others.

use claviger_conformance::openssl::{enc, hex, unhex, verifies};
use claviger_conformance::prelude::*;
use claviger_conformance::structure::Structure;
use openssl::hash::{MessageDigest, hash};

use crate::token::Token;
use crate::{ENCRYPT_DECRYPT, SIGN_VERIFY, key_bytes, lists, pattern};

#[test]
fn des_is_triple_des_with_one_key() {
    let token = Token::with(&["--profile", "legacy"]);
    let (one, iv) = (key_bytes(8), pattern(8));
    let three = [&one[..], &one, &one].concat();
    let key = token.secret(KeyType::DES, &one, ENCRYPT_DECRYPT).unwrap();
    for (r#type, name, length) in [
        (M::DES_ECB, "des-ede3 -nopad", 48),
        (M::DES_CBC, "des-ede3-cbc -nopad", 48),
        (M::DES_CBC_PAD, "des-ede3-cbc", 45),
        (M::DES_OFB64, "des-ede3-ofb", 45),
        (M::DES_CFB64, "des-ede3-cfb", 45),
        (M::DES_CFB8, "des-ede3-cfb8", 45),
    ] {
        if !lists(&token, r#type) {
            continue;
        }
        let (data, no_iv) = (pattern(length), r#type == M::DES_ECB);
        let expected = enc(&format!("-{name}"), &three, if no_iv { &[] } else { &iv }, &data);
        let mechanism = if no_iv { r#type.into() } else { Mechanism::bytes(r#type, &iv) };
        assert_eq!(hex(&token.encrypt(&mechanism, &key, &data).unwrap()), hex(&expected), "{type}");
        assert_eq!(token.decrypt(&mechanism, &key, &expected).unwrap(), data, "{type}");
    }
    // FIPS 113: the last block of CBC, half of it in the plain form.
    let key = token.secret(KeyType::DES, &one, SIGN_VERIFY).unwrap();
    let data = pattern(32);
    let whole = enc("-des-ede3-cbc -nopad", &three, &[0; 8], &data);
    let mac = token.sign(&M::DES_MAC.into(), &key, &data).unwrap();
    assert_eq!(hex(&mac), hex(&whole[24..28]));
    let mac = token.sign(&Mechanism::ulong(M::DES_MAC_GENERAL, 8), &key, &data).unwrap();
    assert_eq!(hex(&mac), hex(&whole[24..]));
    let key = token.secret(KeyType::DES, &one, &[A::DERIVE]).unwrap();
    let ecb = Structure::new().data(&data).of(M::DES_ECB_ENCRYPT_DATA);
    assert_eq!(token.derive(&ecb, &key, 32).unwrap(), enc("-des-ede3 -nopad", &three, &[], &data));
    let cbc = Structure::new().inline(&iv).data(&data).of(M::DES_CBC_ENCRYPT_DATA);
    assert_eq!(token.derive(&cbc, &key, 32).unwrap(), enc("-des-ede3-cbc -nopad", &three, &iv, &data));
}

#[test]
fn rsa_signatures_over_broken_hashes() {
    let token = Token::with(&["--profile", "legacy"]);
    let bits = [ulong(A::MODULUS_BITS, 1024)];
    let (public, private) = token.pair(&M::RSA_PKCS_KEY_PAIR_GEN.into(), &bits, &[]).unwrap();
    let spki = token.attribute(&public, A::PUBLIC_KEY_INFO).unwrap();
    for (mechanism, name) in [(M::MD5_RSA_PKCS, "-md5"), (M::RIPEMD160_RSA_PKCS, "-ripemd160")] {
        if lists(&token, mechanism) {
            let message = pattern(100);
            let signature = token.sign(&mechanism.into(), &private, &message).unwrap();
            verifies(&spki, name, &message, &signature);
            token.verify(&mechanism.into(), &public, &message, &signature).unwrap();
        }
    }
}

#[test]
fn cipher_text_stealing() {
    let token = Token::new();
    if !lists(&token, M::AES_CTS) {
        return;
    }
    // RFC 3962, appendix B, has CBC-CS3, which puts the last two blocks the other way round than CBC-CS1 (SP 800-38A,
    // addendum); of whole blocks CS1 is CBC.
    let key = token.secret(KeyType::AES, b"chicken teriyaki", ENCRYPT_DECRYPT).unwrap();
    let text = b"I would like the General Gau's Chicken, please,";
    let mechanism = Mechanism::bytes(M::AES_CTS, &[0; 16]);
    for (length, last, rest) in [
        (17, "c6353568f2bf8cb4d8a580362da7ff7f", "97"),
        (31, "fc00783e0efdb2c1d445d4c8eff7ed22", "97687268d6ecccc0c07b25e25ecfe5"),
        (32, "39312523a78662d5be7fcbcc98ebf5a8", "97687268d6ecccc0c07b25e25ecfe584"),
    ] {
        let encrypted = token.encrypt(&mechanism, &key, &text[..length]).unwrap();
        assert_eq!(hex(&encrypted), format!("{rest}{last}"), "{length} bytes");
        assert_eq!(token.decrypt(&mechanism, &key, &encrypted).unwrap(), text[..length]);
    }
}

#[test]
fn key_wrap_by_its_older_name() {
    let token = Token::new();
    if !lists(&token, M::AES_KEY_WRAP_PAD) || !lists(&token, M::AES_KEY_WRAP_PKCS7) {
        return;
    }
    // The same mechanism since 3.0 (PKCS#11 3.2, 6.14).
    let key = token.secret(KeyType::AES, &pattern(32), ENCRYPT_DECRYPT).unwrap();
    let wrap = |mechanism: M| token.encrypt(&mechanism.into(), &key, &pattern(21)).unwrap();
    assert_eq!(wrap(M::AES_KEY_WRAP_PAD), wrap(M::AES_KEY_WRAP_PKCS7));
}

#[test]
fn hmacs_and_keys_of_rarer_hashes() {
    let token = Token::with(&["--profile", "legacy"]);
    // RFC 2286, 2: test cases 1 and 2.
    for (key, data, mac) in [
        (&[0x0b; 20][..], &b"Hi There"[..], "24cb4bd67d20fc1a5d2ed7732dcc39377f0a5668"),
        (b"Jefe", b"what do ya want for nothing?", "dda6c0213a485a9e24f4742064a7f033b43c4069"),
    ] {
        let key = token.secret(KeyType::RIPEMD160_HMAC, key, SIGN_VERIFY).unwrap();
        assert_eq!(hex(&token.sign(&M::RIPEMD160_HMAC.into(), &key, data).unwrap()), mac);
        let general = Mechanism::ulong(M::RIPEMD160_HMAC_GENERAL, 7);
        assert_eq!(hex(&token.sign(&general, &key, data).unwrap()), mac[..14]);
    }
    // A MAC of any length is the beginning of the whole one.
    let key = token.secret(KeyType::GENERIC_SECRET, &pattern(40), SIGN_VERIFY).unwrap();
    for (whole, general) in [
        (M::BLAKE2B_160_HMAC, M::BLAKE2B_160_HMAC_GENERAL),
        (M::BLAKE2B_256_HMAC, M::BLAKE2B_256_HMAC_GENERAL),
        (M::BLAKE2B_384_HMAC, M::BLAKE2B_384_HMAC_GENERAL),
    ] {
        let mac = token.sign(&whole.into(), &key, b"data").unwrap();
        assert_eq!(token.sign(&Mechanism::ulong(general, 11), &key, b"data").unwrap(), mac[..11], "{whole}");
    }
    // SHA-512/t has names of its own for 224 and 256 bits.
    let value = pattern(40);
    for (bits, hmac, name) in
        [(224, M::SHA512_224_HMAC, "SHA512-224"), (256, M::SHA512_256_HMAC, "SHA512-256")]
    {
        let mac = token.sign(&Mechanism::ulong(M::SHA512_T_HMAC, bits), &key, b"data").unwrap();
        assert_eq!(mac, token.sign(&hmac.into(), &key, b"data").unwrap());
        let base = token.readable_base(&value).unwrap();
        let derived = token.derive(&Mechanism::ulong(M::SHA512_T_KEY_DERIVATION, bits), &base, 28).unwrap();
        assert_eq!(derived, hash(MessageDigest::from_name(name).unwrap(), &value).unwrap()[..28]);
    }
    let base = token.readable_base(&value).unwrap();
    let derived = token.derive(&M::MD5_KEY_DERIVATION.into(), &base, 16).unwrap();
    assert_eq!(derived, *hash(MessageDigest::md5(), &value).unwrap());
    // The digests of "abc" that digest.rs has.
    let abc = token.readable_base(b"abc").unwrap();
    for (mechanism, digest) in [
        (M::BLAKE2B_160_KEY_DERIVE, "384264f676f39536840523f284921cdc68b6846b"),
        (M::BLAKE2B_256_KEY_DERIVE, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
        (
            M::BLAKE2B_384_KEY_DERIVE,
            "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6c66ba83be64b302d7cba6ce15bb556f4",
        ),
    ] {
        let digest = unhex(digest);
        assert_eq!(token.derive(&mechanism.into(), &abc, digest.len()).unwrap(), digest, "{mechanism}");
    }
}
