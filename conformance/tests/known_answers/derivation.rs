//! Key derivation.

use claviger_conformance::openssl::{OpenSsl, enc, hex, unhex};
use claviger_conformance::prelude::*;
use cryptoki_sys as sys;
use openssl::bn::BigNumContext;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::sign::Signer;

use crate::structure::{self, Pointing, Structure};
use crate::token::{Key, Token};
use crate::{key_bytes, lists, pattern};

/// HMAC-SHA-256 by libcrypto.
fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = PKey::hmac(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.sign_oneshot_to_vec(data).unwrap()
}

/// The base key of the derivations below, and its bytes.
fn base(token: &Token) -> (Key<'_>, Vec<u8>) {
    let value = pattern(32);
    (readable(token, &value), value)
}

/// A base key whose derived keys may be read too: PKCS#11 lets them be no less sensitive than it is.
fn readable<'a>(token: &'a Token, value: &[u8]) -> Key<'a> {
    let open = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let template = [secret_key(KeyType::GENERIC_SECRET, value, &[A::DERIVE]), open.to_vec()].concat();
    token.create(&template).unwrap()
}

/// Derives as many bytes as are expected.
#[track_caller]
fn derives(token: &Token, mechanism: &Mechanism, key: &Key, expected: &[u8]) {
    let derived = token.derive(mechanism, key, expected.len());
    assert_eq!(derived.map(|value| hex(&value)), Ok(hex(expected)), "{}", mechanism.r#type);
}

#[test]
fn keys_from_keys() {
    let token = Token::new();
    let (key, value) = base(&token);
    let data = |r#type, data: &[u8]| Structure::new().data(data).of(r#type);
    if lists(&token, M::CONCATENATE_BASE_AND_DATA) {
        let with = [&value[..], b"data"].concat();
        derives(&token, &data(M::CONCATENATE_BASE_AND_DATA, b"data"), &key, &with);
        derives(&token, &data(M::CONCATENATE_BASE_AND_DATA, b"data"), &key, &with[..34]);
        let with = [b"data", &value[..]].concat();
        derives(&token, &data(M::CONCATENATE_DATA_AND_BASE, b"data"), &key, &with);
        let other = readable(&token, b"other");
        let mechanism = Mechanism::ulong(M::CONCATENATE_BASE_AND_KEY, other.handle);
        derives(&token, &mechanism, &key, &[&value[..], b"other"].concat());
    }
    if lists(&token, M::XOR_BASE_AND_DATA) {
        let mask = pattern(48)[16..].to_vec();
        let expected: Vec<u8> = value.iter().zip(&mask).map(|(a, b)| a ^ b).collect();
        derives(&token, &data(M::XOR_BASE_AND_DATA, &mask), &key, &expected);
        derives(&token, &data(M::XOR_BASE_AND_DATA, &mask[..20]), &key, &expected[..20]);
    }
    if lists(&token, M::EXTRACT_KEY_FROM_KEY) {
        // The standard's own example (PKCS#11 3.2, 6.43.7): 16 bits from bit 21, which go round the end.
        let example = readable(&token, &unhex("329f84a9"));
        derives(&token, &Mechanism::ulong(M::EXTRACT_KEY_FROM_KEY, 21), &example, &unhex("9526"));
        derives(&token, &Mechanism::ulong(M::EXTRACT_KEY_FROM_KEY, 64), &key, &value[8..24]);
    }
    for (mechanism, name) in [
        (M::SHA1_KEY_DERIVATION, "SHA1"),
        (M::SHA224_KEY_DERIVATION, "SHA224"),
        (M::SHA256_KEY_DERIVATION, "SHA256"),
        (M::SHA384_KEY_DERIVATION, "SHA384"),
        (M::SHA512_KEY_DERIVATION, "SHA512"),
        (M::SHA512_224_KEY_DERIVATION, "SHA512-224"),
        (M::SHA512_256_KEY_DERIVATION, "SHA512-256"),
        (M::SHA3_224_KEY_DERIVATION, "SHA3-224"),
        (M::SHA3_256_KEY_DERIVATION, "SHA3-256"),
        (M::SHA3_384_KEY_DERIVATION, "SHA3-384"),
        (M::SHA3_512_KEY_DERIVATION, "SHA3-512"),
        (M::BLAKE2B_512_KEY_DERIVE, "BLAKE2B-512"),
    ] {
        if lists(&token, mechanism) {
            let expected = hash(MessageDigest::from_name(name).unwrap(), &value).unwrap();
            derives(&token, &mechanism.into(), &key, &expected);
            derives(&token, &mechanism.into(), &key, &expected[..16]);
        }
    }
    for (mechanism, digest) in [
        (M::SHAKE_128_KEY_DERIVATION, MessageDigest::shake_128()),
        (M::SHAKE_256_KEY_DERIVATION, MessageDigest::shake_256()),
    ] {
        if lists(&token, mechanism) {
            let mut expected = vec![0; 100];
            openssl::hash::hash_xof(digest, &value, &mut expected).unwrap();
            derives(&token, &mechanism.into(), &key, &expected);
        }
    }
}

#[test]
fn keys_from_ciphers() {
    let token = Token::new();
    let plaintext = pattern(48);
    for (ecb, cbc, key_type, size, name, block) in [
        (M::AES_ECB_ENCRYPT_DATA, M::AES_CBC_ENCRYPT_DATA, KeyType::AES, 16, "aes-128", 16),
        (M::AES_ECB_ENCRYPT_DATA, M::AES_CBC_ENCRYPT_DATA, KeyType::AES, 32, "aes-256", 16),
        (M::DES3_ECB_ENCRYPT_DATA, M::DES3_CBC_ENCRYPT_DATA, KeyType::DES3, 24, "des-ede3", 8),
        (M::ARIA_ECB_ENCRYPT_DATA, M::ARIA_CBC_ENCRYPT_DATA, KeyType::ARIA, 16, "aria-128", 16),
    ] {
        if !lists(&token, ecb) {
            continue;
        }
        let bytes = key_bytes(size);
        let key = token.secret(key_type, &bytes, &[A::DERIVE]).unwrap();
        let name_ecb = if block == 8 { name.into() } else { format!("{name}-ecb") };
        let expected = enc(&format!("-{name_ecb} -nopad"), &bytes, &[], &plaintext);
        derives(&token, &Structure::new().data(&plaintext).of(ecb), &key, &expected);
        let iv = pattern(block);
        let expected = enc(&format!("-{name}-cbc -nopad"), &bytes, &iv, &plaintext);
        derives(&token, &Structure::new().inline(&iv).data(&plaintext).of(cbc), &key, &expected);
    }
}

/// `CK_SP800_108_COUNTER_FORMAT`, most significant byte first.
fn counter(bits: u64) -> Vec<u8> {
    [0u64.to_ne_bytes(), bits.to_ne_bytes()].concat()
}

/// `CK_SP800_108_DKM_LENGTH_FORMAT`: the sum of keys, most significant byte first.
fn dkm_length(bits: u64) -> Vec<u8> {
    [1u64.to_ne_bytes(), 0u64.to_ne_bytes(), bits.to_ne_bytes()].concat()
}

/// `CK_SP800_108_KDF_PARAMS` with HMAC-SHA-256; with an IV the structure of feedback mode.
fn sp800_108(r#type: M, parts: &[(u64, Vec<u8>)], iv: Option<&[u8]>) -> Pointing {
    let parts = parts.iter().map(|(kind, value)| Structure::new().ulong(*kind).data(value)).collect();
    let structure = Structure::new().ulong(M::SHA256_HMAC.0).array(parts);
    let structure = match iv {
        Some(iv) => structure.length_first(iv),
        None => structure,
    };
    structure.ulong(0).ulong(0).of(r#type)
}

#[test]
fn sp800_108_derivations() {
    let token = Token::new();
    let (key, value) = base(&token);
    let (label, context, size) = (pattern(11), pattern(20), 72usize);
    // Label || 00 || Context || [L]_32 (SP 800-108 Rev. 1, 4.1)
    let fixed = [&label[..], &[0], &context, &(size as u32 * 8).to_be_bytes()].concat();
    let bytes = sys::CK_SP800_108_BYTE_ARRAY;
    let tail = |first: Vec<(u64, Vec<u8>)>| {
        let rest = [
            (bytes, label.clone()),
            (bytes, vec![0]),
            (bytes, context.clone()),
            (sys::CK_SP800_108_DKM_LENGTH, dkm_length(32)),
        ];
        [first, rest.to_vec()].concat()
    };
    let blocks = |next: &mut dyn FnMut(u32) -> Vec<u8>| {
        let output: Vec<u8> = (1..=3).flat_map(next).collect();
        output[..size].to_vec()
    };
    let iteration = sys::CK_SP800_108_ITERATION_VARIABLE;
    if lists(&token, M::SP800_108_COUNTER_KDF) {
        let expected = blocks(&mut |i| hmac_sha256(&value, &[&i.to_be_bytes()[..], &fixed].concat()));
        let openssl = OpenSsl::with(&[]);
        let arguments = format!(
            "kdf -keylen {size} -kdfopt mac:HMAC -kdfopt digest:SHA256 -kdfopt hexkey:{} \
             -kdfopt hexsalt:{} -kdfopt hexinfo:{} -binary -out key KBKDF",
            hex(&value),
            hex(&label),
            hex(&context)
        );
        openssl.run(&arguments).unwrap();
        assert_eq!(openssl.read("key"), expected);
        let mechanism = sp800_108(M::SP800_108_COUNTER_KDF, &tail(vec![(iteration, counter(32))]), None);
        derives(&token, &mechanism, &key, &expected);
        // The counter may be shorter, and stand elsewhere.
        let expected = blocks(&mut |i| hmac_sha256(&value, &[&label[..], &[i as u8]].concat()));
        let parts = [(bytes, label.clone()), (iteration, counter(8))];
        derives(&token, &sp800_108(M::SP800_108_COUNTER_KDF, &parts, None), &key, &expected);
    }
    if lists(&token, M::SP800_108_FEEDBACK_KDF) {
        for iv in [pattern(32), Vec::new()] {
            let mut last = iv.clone();
            let expected = blocks(&mut |i| {
                last = hmac_sha256(&value, &[&last[..], &i.to_be_bytes(), &fixed].concat());
                last.clone()
            });
            let parts = tail(vec![(iteration, Vec::new()), (sys::CK_SP800_108_COUNTER, counter(32))]);
            let mechanism = sp800_108(M::SP800_108_FEEDBACK_KDF, &parts, Some(&iv));
            derives(&token, &mechanism, &key, &expected);
        }
    }
    if lists(&token, M::SP800_108_DOUBLE_PIPELINE_KDF) {
        let mut a = fixed.clone();
        let expected = blocks(&mut |i| {
            a = hmac_sha256(&value, &a);
            hmac_sha256(&value, &[&a[..], &i.to_be_bytes(), &fixed].concat())
        });
        let parts = tail(vec![(iteration, Vec::new()), (sys::CK_SP800_108_COUNTER, counter(32))]);
        let mechanism = sp800_108(M::SP800_108_DOUBLE_PIPELINE_KDF, &parts, None);
        derives(&token, &mechanism, &key, &expected);
    }
}

#[test]
fn key_agreement_with_a_kdf() {
    let token = Token::new();
    if !lists(&token, M::ECDH1_DERIVE) {
        return;
    }
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let ours = openssl::ec::EcKey::generate(&group).unwrap();
    let peer = openssl::ec::EcKey::generate(&group).unwrap();
    let mut context = BigNumContext::new().unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    let public = peer.public_key().to_bytes(&group, form, &mut context).unwrap();
    let (ours_pkey, peer_pkey) = (PKey::from_ec_key(ours.clone()).unwrap(), PKey::from_ec_key(peer).unwrap());
    let mut deriver = openssl::derive::Deriver::new(&ours_pkey).unwrap();
    deriver.set_peer(&peer_pkey).unwrap();
    let z = deriver.derive_to_vec().unwrap();
    let key = token
        .create(&[
            class(ObjectClass::PRIVATE_KEY),
            key_type(KeyType::EC),
            bytes(A::EC_PARAMS, curve::P256),
            bytes(A::VALUE, ours.private_key().to_vec_padded(32).unwrap()),
            flag(A::DERIVE, true),
        ])
        .unwrap();
    derives(&token, &structure::ecdh(sys::CKD_NULL, &[], &public), &key, &z);
    let shared = pattern(19);
    for (x963, sp800_56, name) in [
        (sys::CKD_SHA1_KDF, sys::CKD_SHA1_KDF_SP800, "SHA1"),
        (sys::CKD_SHA224_KDF, sys::CKD_SHA224_KDF_SP800, "SHA224"),
        (sys::CKD_SHA256_KDF, sys::CKD_SHA256_KDF_SP800, "SHA256"),
        (sys::CKD_SHA384_KDF, sys::CKD_SHA384_KDF_SP800, "SHA384"),
        (sys::CKD_SHA512_KDF, sys::CKD_SHA512_KDF_SP800, "SHA512"),
        (sys::CKD_SHA3_256_KDF, sys::CKD_SHA3_256_KDF_SP800, "SHA3-256"),
        (sys::CKD_SHA3_512_KDF, sys::CKD_SHA3_512_KDF_SP800, "SHA3-512"),
    ] {
        let digest = MessageDigest::from_name(name).unwrap();
        let kdf = |order: &dyn Fn(&[u8]) -> Vec<u8>| {
            let blocks = (1u32..).map(|i| hash(digest, &order(&i.to_be_bytes())).unwrap().to_vec());
            blocks.take(150usize.div_ceil(digest.size())).flatten().take(150).collect::<Vec<u8>>()
        };
        // ANSI X9.63 (SEC 1, 3.6.1): Z || counter || shared
        let expected = kdf(&|counter| [&z[..], counter, &shared].concat());
        derives(&token, &structure::ecdh(x963, &shared, &public), &key, &expected);
        derives(&token, &structure::ecdh(x963, &shared, &public), &key, &expected[..16]);
        // SP 800-56C Rev. 2, 4.1: counter || Z || FixedInfo
        let expected = kdf(&|counter| [counter, &z[..], &shared].concat());
        derives(&token, &structure::ecdh(sp800_56, &shared, &public), &key, &expected);
    }
}
