//! RFC 5869, RFC 6070, RFC 7748, RFC 5903; ANSI X9.63 as NIST's validation suite (CAVS 12.0) has it; and the `openssl`
//! command or Python's hmac as second implementations where they are named.

use std::sync::Arc;

use claviger_protocol::flags::{kdf, pbkdf2};
use claviger_protocol::params::{CounterFormat, HkdfSalt, Params, PrfData};
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass};

use super::super::Key;
use super::super::derive::{self, Wanted};
use super::{P256, bytes, create, hex, on_curve, pair, row, secret};
use crate::error::{Error, Result};

fn generic(length: usize) -> Wanted {
    Wanted { key_type: KeyType::GENERIC_SECRET, length: Some(length) }
}

const NATURAL: Wanted = Wanted { key_type: KeyType::GENERIC_SECRET, length: None };

fn value(key: &Key) -> Vec<u8> {
    key.secret().unwrap().to_vec()
}

fn derived(r#type: M, params: &Params, base: &Arc<Key>, wanted: Wanted) -> Result<Vec<u8>> {
    // The one further key there is.
    let further = |handle| if handle == 7 { Ok(secret(b"further")) } else { Err(Error::KeyHandleInvalid) };
    Ok(value(&derive::derive(row(r#type), params, base, &further, &[wanted])?[0]))
}

fn ecdh(kdf: u64, shared: &[u8], public: &[u8]) -> Params {
    Params::Ecdh { kdf, shared_data: shared.into(), public_data: public.into() }
}

fn private(key_type: KeyType, params: &[u8], scalar: &str) -> Arc<Key> {
    let attributes = vec![(A::EC_PARAMS, bytes(params)), (A::VALUE, bytes(&hex(scalar)))];
    Arc::new(create(ObjectClass::PRIVATE_KEY, key_type, attributes).unwrap())
}

#[test]
fn key_agreement_known_answers() {
    // RFC 5903, 8.1
    let p256 = private(KeyType::EC, P256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
    let point = hex("04
        d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
        56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
    let shared = hex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
    let wrapped = [&[4, 65], &point[..]].concat();
    for r#type in [M::ECDH1_DERIVE, M::ECDH1_COFACTOR_DERIVE] {
        for peer in [&point, &wrapped] {
            assert_eq!(derived(r#type, &ecdh(kdf::NULL, b"", peer), &p256, NATURAL).unwrap(), shared);
        }
        // What is left out are the leading bytes.
        let short = derived(r#type, &ecdh(kdf::NULL, b"", &point), &p256, generic(20)).unwrap();
        assert_eq!(short, shared[12..]);
    }
    // RFC 7748, 6.1
    let x25519 = private(
        KeyType::EC_MONTGOMERY,
        b"\x06\x03\x2b\x65\x6e",
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    );
    let peer = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    assert_eq!(
        derived(M::ECDH1_DERIVE, &ecdh(kdf::NULL, b"", &peer), &x25519, NATURAL).unwrap(),
        hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    );
    let bad = [&point[..64], &[0; 65], &[]];
    for peer in bad {
        let result = derived(M::ECDH1_DERIVE, &ecdh(kdf::NULL, b"", peer), &p256, NATURAL);
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    }
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    for params in
        [ecdh(kdf::NULL, b"", &off_curve), ecdh(kdf::NULL, b"ignored?", &point), ecdh(99, b"", &point)]
    {
        let result = derived(M::ECDH1_DERIVE, &params, &p256, NATURAL);
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    }
    let result = derived(M::ECDH1_DERIVE, &ecdh(kdf::NULL, b"", &point), &p256, generic(33));
    assert_eq!(result.err(), Some(Error::TemplateInconsistent));
    let result = derived(M::ECDH1_DERIVE, &ecdh(kdf::SHA256_KDF, b"", &point), &p256, NATURAL);
    assert_eq!(result.err(), Some(Error::TemplateIncomplete));
}

#[test]
fn both_sides_agree() {
    let montgomery = |params: &[u8]| pair(M::EC_MONTGOMERY_KEY_PAIR_GEN, vec![(A::EC_PARAMS, bytes(params))]);
    let point = |(_, public): &(Arc<Key>, Arc<Key>), key_type| {
        let attributes = public.public_attributes(ObjectClass::PUBLIC_KEY, key_type).unwrap();
        attributes
            .into_iter()
            .find_map(|attribute| match (attribute.r#type, attribute.value) {
                (A::EC_POINT, Value::Bytes(point)) => Some(point),
                _ => None,
            })
            .unwrap()
    };
    for (ours, theirs, key_type) in [
        (on_curve(P256), on_curve(P256), KeyType::EC),
        (montgomery(b"\x06\x03\x2b\x65\x6e"), montgomery(b"\x06\x03\x2b\x65\x6e"), KeyType::EC_MONTGOMERY),
        (montgomery(b"\x06\x03\x2b\x65\x6f"), montgomery(b"\x06\x03\x2b\x65\x6f"), KeyType::EC_MONTGOMERY),
    ] {
        let (ours_point, theirs_point) = (point(&ours, key_type), point(&theirs, key_type));
        for number in [kdf::SHA1_KDF, kdf::SHA3_512_KDF, kdf::SHA256_KDF_SP800, kdf::BLAKE2B_160_KDF] {
            let a = ecdh(number, b"info", &theirs_point);
            let b = ecdh(number, b"info", &ours_point);
            let wanted = Wanted { key_type: KeyType::AES, length: Some(32) };
            assert_eq!(
                derived(M::ECDH1_DERIVE, &a, &ours.0, wanted).unwrap(),
                derived(M::ECDH1_DERIVE, &b, &theirs.0, wanted).unwrap()
            );
        }
    }
    // A point of small order gives a secret that anybody knows.
    let (ours, _) = montgomery(b"\x06\x03\x2b\x65\x6e");
    let result = derived(M::ECDH1_DERIVE, &ecdh(kdf::NULL, b"", &[0; 32]), &ours, NATURAL);
    assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
}

#[test]
fn hkdf_known_answers() {
    let hkdf = |extract, expand, salt, info: &str| Params::Hkdf {
        extract,
        expand,
        prf: M::SHA256,
        salt,
        info: hex(info).into(),
    };
    let base = secret(&[0x0b; 22]);
    let salt = HkdfSalt::Data(hex("000102030405060708090a0b0c").into());
    let info = "f0f1f2f3f4f5f6f7f8f9";
    let pseudo_random = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    let output = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    let whole = hkdf(true, true, salt.clone(), info);
    assert_eq!(derived(M::HKDF_DERIVE, &whole, &base, generic(42)).unwrap(), output);
    let extract = hkdf(true, false, salt, "");
    assert_eq!(derived(M::HKDF_DERIVE, &extract, &base, NATURAL).unwrap(), pseudo_random);
    let expand = hkdf(false, true, HkdfSalt::Null, info);
    assert_eq!(derived(M::HKDF_DERIVE, &expand, &secret(&pseudo_random), generic(42)).unwrap(), output);
    // RFC 5869, A.3: no salt, no information.
    let empty = hkdf(true, true, HkdfSalt::Null, "");
    assert_eq!(
        derived(M::HKDF_DERIVE, &empty, &base, generic(42)).unwrap(),
        hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    );
    let by_key = hkdf(true, true, HkdfSalt::Key(7), info);
    let by_data = hkdf(true, true, HkdfSalt::Data(b"further".into()), info);
    assert_eq!(
        derived(M::HKDF_DERIVE, &by_key, &base, generic(42)).unwrap(),
        derived(M::HKDF_DERIVE, &by_data, &base, generic(42)).unwrap()
    );
    for (params, wanted, error) in [
        (hkdf(false, false, HkdfSalt::Null, ""), generic(1), Error::MechanismParamInvalid),
        (hkdf(true, true, HkdfSalt::Key(8), ""), generic(1), Error::KeyHandleInvalid),
        (hkdf(true, true, HkdfSalt::Null, ""), NATURAL, Error::TemplateIncomplete),
        (hkdf(true, false, HkdfSalt::Null, ""), generic(33), Error::TemplateInconsistent),
    ] {
        assert_eq!(derived(M::HKDF_DERIVE, &params, &base, wanted).err(), Some(error));
    }
}

#[test]
fn pbkdf2_known_answers() {
    let params = |iterations, prf| Params::Pbkdf2 {
        salt: b"salt".into(),
        iterations,
        prf,
        prf_data: b"".into(),
        password: b"password".into(),
    };
    for (iterations, expected) in [
        (1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        (2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
        (4096, "4b007901b765489abead49d926f721d065a429c1"),
    ] {
        let key = derive::pbkdf2(&params(iterations, pbkdf2::PKCS5_PBKD2_HMAC_SHA1), generic(20)).unwrap();
        assert_eq!(value(&key), hex(expected), "{iterations}");
    }
    for params in [params(0, 1), params(u64::MAX, 1), params(1, 99), Params::None] {
        assert_eq!(derive::pbkdf2(&params, generic(20)).err(), Some(Error::MechanismParamInvalid));
    }
}

fn format(width_bits: u64) -> CounterFormat {
    CounterFormat { little_endian: false, width_bits }
}

/// Python's hmac; the counter mode also as `openssl kdf KBKDF` has it.
#[test]
fn sp800_108_known_answers() {
    let base = secret(&(0..32).collect::<Vec<u8>>());
    let kdf = |data, iv: Option<&[u8]>| Params::Sp800108 {
        prf: M::SHA256_HMAC,
        data,
        iv: iv.map(Into::into),
        further_keys: Vec::new(),
    };
    let length = PrfData::DkmLength { method: 1, format: format(32) };
    let counter = kdf(
        vec![PrfData::Iteration(Some(format(32))), PrfData::Bytes(b"label\0context".into()), length],
        None,
    );
    assert_eq!(derived(M::SP800_108_COUNTER_KDF, &counter, &base, generic(40)).unwrap(), hex(COUNTER));
    let feedback = kdf(
        vec![PrfData::Iteration(None), PrfData::Counter(format(8)), PrfData::Bytes(b"fixed".into())],
        Some(b"iv"),
    );
    assert_eq!(derived(M::SP800_108_FEEDBACK_KDF, &feedback, &base, generic(40)).unwrap(), hex(FEEDBACK));
    let pipeline = kdf(vec![PrfData::Iteration(None), PrfData::Bytes(b"fixed".into())], None);
    assert_eq!(
        derived(M::SP800_108_DOUBLE_PIPELINE_KDF, &pipeline, &base, generic(40)).unwrap(),
        hex(PIPELINE)
    );
    // Each of several keys starts a segment.
    let none = |_| Err(Error::KeyHandleInvalid);
    let fixed = kdf(vec![PrfData::Iteration(Some(format(8))), PrfData::Bytes(b"x".into())], None);
    let row = row(M::SP800_108_COUNTER_KDF);
    let one = derive::derive(row, &fixed, &base, &none, &[generic(96)]).unwrap();
    let three = derive::derive(row, &fixed, &base, &none, &[generic(16), generic(33), generic(1)]);
    let three = three.unwrap();
    let stream = value(&one[0]);
    assert_eq!(value(&three[0]), stream[..16]);
    assert_eq!(value(&three[1]), stream[32..65]);
    for wrong in [
        vec![],
        vec![PrfData::Iteration(None)],
        vec![PrfData::Iteration(Some(format(7)))],
        vec![PrfData::Iteration(Some(format(64)))],
        vec![PrfData::Iteration(Some(format(8))), PrfData::Iteration(Some(format(8)))],
        vec![PrfData::Iteration(Some(format(8))), PrfData::Counter(format(8))],
        vec![PrfData::Iteration(Some(format(8))), PrfData::DkmLength { method: 3, format: format(8) }],
    ] {
        let result = derived(M::SP800_108_COUNTER_KDF, &kdf(wrong, None), &base, generic(16));
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    }
}

const COUNTER: &str = "c5115a8e2c9cf655fabbfecbe725e440a9838838f5b46130c654f368f780edd650d532c0fdeb6a35";
const FEEDBACK: &str = "662bbe4a2e3400333c00942f18867a412ba8761c55cb670fc8a1abf30a3853f0c30fdb3ce95f127d";
const PIPELINE: &str = "30bdcae4164bf2dccc41b111620d0f50481557e5c680981dbbaae70d7ce41d58a0a657ea556150fa";

#[test]
fn simple_derivations() {
    let base = secret(b"\x80\x01\x02\x03\x04\x05\x06\x07");
    let data = Params::Bytes(b"\xff\xff\xff\xff".into());
    for (r#type, params, wanted, expected) in [
        (M::CONCATENATE_BASE_AND_DATA, data.clone(), NATURAL, "8001020304050607ffffffff"),
        (M::CONCATENATE_DATA_AND_BASE, data.clone(), NATURAL, "ffffffff8001020304050607"),
        (M::CONCATENATE_BASE_AND_KEY, Params::Ulong(7), generic(10), "80010203040506076675"),
        (M::XOR_BASE_AND_DATA, data, NATURAL, "7ffefdfc"),
        (M::EXTRACT_KEY_FROM_KEY, Params::Ulong(0), generic(2), "8001"),
        (M::EXTRACT_KEY_FROM_KEY, Params::Ulong(4), generic(2), "0010"),
        // Around the end.
        (M::EXTRACT_KEY_FROM_KEY, Params::Ulong(60), generic(2), "7800"),
        (M::SHAKE_128_KEY_DERIVATION, Params::None, generic(4), "638ad7ce"),
    ] {
        assert_eq!(derived(r#type, &params, &base, wanted).unwrap(), hex(expected), "{type}");
    }
    let result = derived(M::EXTRACT_KEY_FROM_KEY, &Params::Ulong(64), &base, generic(2));
    assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    let result = derived(M::EXTRACT_KEY_FROM_KEY, &Params::Ulong(0), &base, generic(9));
    assert_eq!(result.err(), Some(Error::TemplateInconsistent));
    // FIPS 180-4's "abc" as a key.
    let abc = secret(b"abc");
    assert_eq!(
        derived(M::SHA1_KEY_DERIVATION, &Params::None, &abc, NATURAL).unwrap(),
        hex("a9993e364706816aba3e25717850c26c9cd0d89d")
    );
    let triple = Wanted { key_type: KeyType::DES3, length: None };
    let result = derived(M::SHA1_KEY_DERIVATION, &Params::None, &abc, triple);
    assert_eq!(result.err(), Some(Error::TemplateInconsistent));
    let key = derived(M::SHA256_KEY_DERIVATION, &Params::None, &abc, triple).unwrap();
    assert!(key.len() == 24 && key.iter().all(|byte| byte.count_ones() % 2 == 1));
    // SP 800-38A, F.1.1 and F.2.1
    let aes = secret(&hex("2b7e151628aed2a6abf7158809cf4f3c"));
    let block = hex("6bc1bee22e409f96e93d7e117393172a");
    assert_eq!(
        derived(M::AES_ECB_ENCRYPT_DATA, &Params::Bytes(block[..].into()), &aes, NATURAL).unwrap(),
        hex("3ad77bb40d7a3660a89ecaf32466ef97")
    );
    let params =
        Params::CbcEncryptData { iv: hex("000102030405060708090a0b0c0d0e0f").into(), data: block[..].into() };
    assert_eq!(
        derived(M::AES_CBC_ENCRYPT_DATA, &params, &aes, NATURAL).unwrap(),
        hex("7649abac8119b246cee98e9b12e9197d")
    );
    let result = derived(M::AES_ECB_ENCRYPT_DATA, &Params::Bytes(block[1..].into()), &aes, NATURAL);
    assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
}
