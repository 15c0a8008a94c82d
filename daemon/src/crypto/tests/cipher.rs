//! SP 800-38A, appendix F; the GCM specification's test cases (McGrew and Viega, appendix B); RFC 3394; RFC 5649.

use std::sync::Arc;

use claviger_protocol::params::{OaepParams, Params};
use claviger_protocol::{Bytes, MechanismType as M};

use super::super::{Cipher, Direction, Key};
use super::{hex, row, rsa, secret};
use crate::error::{Error, Result};

use Direction::{Decrypt, Encrypt};

const KEYS: [&str; 3] = [
    "2b7e151628aed2a6abf7158809cf4f3c",
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
];
const BLOCK: &str = "6bc1bee22e409f96e93d7e117393172a";
const IV: &str = "000102030405060708090a0b0c0d0e0f";
const COUNTER: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

fn start(direction: Direction, r#type: M, params: &Params, key: &Arc<Key>) -> Result<Cipher> {
    Cipher::new(direction, row(r#type), params, Arc::clone(key))
}

fn run(direction: Direction, r#type: M, params: &Params, key: &Arc<Key>, data: &[u8]) -> Result<Bytes> {
    let cipher = start(direction, r#type, params, key)?;
    let most = cipher.one_shot_length(data.len());
    let output = cipher.one_shot(data)?;
    assert!(output.len() <= most, "{type}: {} > {most}", output.len());
    Ok(output)
}

/// Runs in pieces of `piece` bytes, and checks the promised lengths.
fn run_in_pieces(
    direction: Direction,
    r#type: M,
    params: &Params,
    key: &Arc<Key>,
    data: &[u8],
    piece: usize,
) -> Result<Vec<u8>> {
    let mut cipher = start(direction, r#type, params, key)?;
    let mut output = Vec::new();
    for piece in data.chunks(piece) {
        let promised = cipher.update_length(piece.len());
        let given = cipher.update(piece)?;
        assert_eq!(given.len(), promised, "{type} {direction:?}");
        output.extend_from_slice(&given);
    }
    let most = cipher.finish_length();
    let last = cipher.finish()?;
    assert!(last.len() <= most);
    output.extend_from_slice(&last);
    Ok(output)
}

fn iv() -> Params {
    Params::Bytes(hex(IV).into())
}

fn ctr(bits: u64, block: &str) -> Params {
    Params::Ctr { counter_bits: bits, block: hex(block).try_into().unwrap() }
}

fn gcm(iv: &[u8], aad: &[u8], tag_bits: u64) -> Params {
    Params::Gcm { iv: iv.into(), aad: aad.into(), tag_bits }
}

#[test]
fn known_answers_of_the_modes() {
    let answers: [(M, Params, [&str; 3]); 3] = [
        (
            M::AES_ECB,
            Params::None,
            [
                "3ad77bb40d7a3660a89ecaf32466ef97",
                "bd334f1d6e45f25ff712a214571fa5cc",
                "f3eed1bdb5d2a03c064b5a7e3db181f8",
            ],
        ),
        (
            M::AES_CBC,
            iv(),
            [
                "7649abac8119b246cee98e9b12e9197d",
                "4f021db243bc633d7178183a9fa071e8",
                "f58c4c04d6e5f1ba779eabfb5f7bfbd6",
            ],
        ),
        (
            M::AES_CTR,
            ctr(128, COUNTER),
            [
                "874d6191b620e3261bef6864990db6ce",
                "1abc932417521ca24f2b0459fe7e6e0b",
                "601ec313775789a5b7a7f504bbf3d228",
            ],
        ),
    ];
    for (r#type, params, expected) in answers {
        for (key, expected) in KEYS.iter().zip(expected) {
            let key = secret(&hex(key));
            assert_eq!(run(Encrypt, r#type, &params, &key, &hex(BLOCK)).unwrap()[..], hex(expected));
            assert_eq!(run(Decrypt, r#type, &params, &key, &hex(expected)).unwrap()[..], hex(BLOCK));
        }
    }
}

#[test]
fn known_answers_of_gcm() {
    let key = secret(&hex("feffe9928665731c6d6a8f9467308308"));
    let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                     1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    let answers = [
        (
            "cafebabefacedbaddecaf888",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091
             5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            "cafebabefacedbad",
            "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423
             73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598
             3612d2e79e3b0785561be14aaca2fccb",
        ),
    ];
    for (iv, expected) in answers {
        let expected = hex(expected);
        let params = gcm(&hex(iv), &aad, 128);
        assert_eq!(run(Encrypt, M::AES_GCM, &params, &key, &plain).unwrap()[..], expected);
        assert_eq!(run(Decrypt, M::AES_GCM, &params, &key, &expected).unwrap()[..], plain);
        for piece in [1, 7, 16, 100] {
            assert_eq!(run_in_pieces(Encrypt, M::AES_GCM, &params, &key, &plain, piece).unwrap(), expected);
            assert_eq!(run_in_pieces(Decrypt, M::AES_GCM, &params, &key, &expected, piece).unwrap(), plain);
        }
        for tag in [32, 64, 96, 104, 112, 120] {
            let short = &expected[..plain.len() + tag as usize / 8];
            let params = gcm(&hex(iv), &aad, tag);
            assert_eq!(run(Encrypt, M::AES_GCM, &params, &key, &plain).unwrap()[..], *short);
            assert_eq!(run(Decrypt, M::AES_GCM, &params, &key, short).unwrap()[..], plain);
        }
    }
    // Test case 1: nothing to encrypt.
    let zero = secret(&[0; 16]);
    let params = gcm(&[0; 12], &[], 128);
    let tag = hex("58e2fccefa7e3061367f1d57a4e7455a");
    assert_eq!(run(Encrypt, M::AES_GCM, &params, &zero, &[]).unwrap()[..], tag);
    assert_eq!(run(Decrypt, M::AES_GCM, &params, &zero, &tag).unwrap()[..], [0u8; 0]);
}

#[test]
fn gcm_gives_nothing_of_forged_data() {
    let key = secret(&[9; 32]);
    let params = gcm(&[1; 12], b"aad", 128);
    let good = run(Encrypt, M::AES_GCM, &params, &key, &[5; 40]).unwrap().to_vec();
    for position in [0, 39, 40, 55] {
        let mut forged = good.clone();
        forged[position] ^= 1;
        assert_eq!(run(Decrypt, M::AES_GCM, &params, &key, &forged).err(), Some(Error::EncryptedDataInvalid));
        let mut cipher = start(Decrypt, M::AES_GCM, &params, &key).unwrap();
        assert!(cipher.update(&forged).unwrap().is_empty());
        assert_eq!(cipher.finish().err(), Some(Error::EncryptedDataInvalid));
    }
    let other = gcm(&[1; 12], b"other", 128);
    assert_eq!(run(Decrypt, M::AES_GCM, &other, &key, &good).err(), Some(Error::EncryptedDataInvalid));
    assert_eq!(
        run(Decrypt, M::AES_GCM, &params, &key, &good[..15]).err(),
        Some(Error::EncryptedDataLenRange)
    );
}

#[test]
fn pieces_give_what_one_call_gives() {
    let key = secret(&hex(KEYS[1]));
    let data: Vec<u8> = (0..96).collect();
    let modes = [
        (M::AES_ECB, Params::None),
        (M::AES_CBC, iv()),
        (M::AES_CBC_PAD, iv()),
        (M::AES_CTR, ctr(128, COUNTER)),
    ];
    for (r#type, params) in modes {
        for length in [0, 16, 32, 96] {
            let data = &data[..length];
            let encrypted = run(Encrypt, r#type, &params, &key, data).unwrap();
            for piece in [1, 5, 15, 16, 17, 32, 96] {
                assert_eq!(
                    run_in_pieces(Encrypt, r#type, &params, &key, data, piece).unwrap(),
                    encrypted[..]
                );
                assert_eq!(
                    run_in_pieces(Decrypt, r#type, &params, &key, &encrypted, piece).unwrap(),
                    data,
                    "{type} {length} {piece}"
                );
            }
        }
    }
}

#[test]
fn padding_takes_every_length_and_is_checked() {
    let key = secret(&hex(KEYS[2]));
    for length in 0..50 {
        let data = vec![7; length];
        let encrypted = run(Encrypt, M::AES_CBC_PAD, &iv(), &key, &data).unwrap();
        assert_eq!(encrypted.len(), (length / 16 + 1) * 16);
        assert_eq!(run(Decrypt, M::AES_CBC_PAD, &iv(), &key, &encrypted).unwrap()[..], data);
    }
    let wrong = [0; 16];
    let encrypted = run(Encrypt, M::AES_CBC, &iv(), &key, &wrong).unwrap();
    assert_eq!(
        run(Decrypt, M::AES_CBC_PAD, &iv(), &key, &encrypted).err(),
        Some(Error::EncryptedDataInvalid)
    );
    for length in [0, 1, 15, 17] {
        let result = run(Decrypt, M::AES_CBC_PAD, &iv(), &key, &vec![0; length]);
        assert_eq!(result.err(), Some(Error::EncryptedDataLenRange));
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let key = secret(&hex(KEYS[0]));
    for (r#type, params) in [(M::AES_ECB, Params::None), (M::AES_CBC, iv())] {
        for length in [1, 15, 17] {
            let data = vec![0; length];
            assert_eq!(run(Encrypt, r#type, &params, &key, &data).err(), Some(Error::DataLenRange));
            assert_eq!(run(Decrypt, r#type, &params, &key, &data).err(), Some(Error::EncryptedDataLenRange));
        }
    }
}

#[test]
fn a_counter_never_repeats() {
    let key = secret(&hex(KEYS[0]));
    // The last of two bits' worth of counters.
    let params = ctr(2, "000102030405060708090a0b0c0d0e0e");
    assert_eq!(run(Encrypt, M::AES_CTR, &params, &key, &[0; 32]).unwrap().len(), 32);
    assert_eq!(run(Encrypt, M::AES_CTR, &params, &key, &[0; 33]).err(), Some(Error::DataLenRange));
    assert_eq!(run(Decrypt, M::AES_CTR, &params, &key, &[0; 33]).err(), Some(Error::EncryptedDataLenRange));
    let mut cipher = start(Encrypt, M::AES_CTR, &params, &key).unwrap();
    cipher.update(&[0; 31]).unwrap();
    cipher.update(&[0; 1]).unwrap();
    assert_eq!(cipher.update(&[0; 1]).err(), Some(Error::DataLenRange));
    let all = ctr(128, "ffffffffffffffffffffffffffffffff");
    assert_eq!(run(Encrypt, M::AES_CTR, &all, &key, &[0; 16]).unwrap().len(), 16);
    assert_eq!(run(Encrypt, M::AES_CTR, &all, &key, &[0; 17]).err(), Some(Error::DataLenRange));
    let zero = ctr(128, "00000000000000000000000000000000");
    assert_eq!(run(Encrypt, M::AES_CTR, &zero, &key, &[0; 500]).unwrap().len(), 500);
}

#[test]
fn wrong_parameters_and_keys_are_refused() {
    let key = secret(&hex(KEYS[0]));
    let wrong = [
        (M::AES_ECB, iv()),
        (M::AES_CBC, Params::None),
        (M::AES_CBC, Params::Bytes(vec![0; 15].into())),
        (M::AES_CBC_PAD, Params::Bytes(vec![0; 17].into())),
        (M::AES_CTR, iv()),
        (M::AES_CTR, ctr(0, COUNTER)),
        (M::AES_CTR, ctr(129, COUNTER)),
        (M::AES_GCM, iv()),
        (M::AES_GCM, gcm(&[], &[], 128)),
        (M::AES_GCM, gcm(&[0; 129], &[], 128)),
        (M::AES_GCM, gcm(&[0; 12], &[], 0)),
        (M::AES_GCM, gcm(&[0; 12], &[], 127)),
        (M::AES_GCM, gcm(&[0; 12], &[], 136)),
        (M::AES_KEY_WRAP, Params::Bytes(vec![0; 4].into())),
        (M::AES_KEY_WRAP_KWP, Params::Bytes(vec![0; 8].into())),
    ];
    for (r#type, params) in wrong {
        for direction in [Encrypt, Decrypt] {
            let result = start(direction, r#type, &params, &key);
            assert_eq!(result.err(), Some(Error::MechanismParamInvalid), "{type} {params:?}");
        }
    }
    let short = secret(&[0; 15]);
    assert_eq!(start(Encrypt, M::AES_CBC, &iv(), &short).err(), Some(Error::KeySizeRange));
    assert_eq!(start(Encrypt, M::AES_CBC, &iv(), &rsa().0).err(), Some(Error::KeyTypeInconsistent));
    assert_eq!(start(Encrypt, M::SHA256, &Params::None, &key).err(), Some(Error::MechanismInvalid));
}

#[test]
fn known_answers_of_key_wrap() {
    let kek = secret(&hex("000102030405060708090a0b0c0d0e0f"));
    let plain = hex("00112233445566778899aabbccddeeff");
    let wrapped = hex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
    for params in [Params::None, Params::Bytes(vec![0xa6; 8].into())] {
        assert_eq!(run(Encrypt, M::AES_KEY_WRAP, &params, &kek, &plain).unwrap()[..], wrapped);
        assert_eq!(run(Decrypt, M::AES_KEY_WRAP, &params, &kek, &wrapped).unwrap()[..], plain);
    }
    let mut forged = wrapped.clone();
    forged[3] ^= 1;
    let result = run(Decrypt, M::AES_KEY_WRAP, &Params::None, &kek, &forged);
    assert_eq!(result.err(), Some(Error::EncryptedDataInvalid));
    for length in [0, 8, 17] {
        let result = run(Encrypt, M::AES_KEY_WRAP, &Params::None, &kek, &vec![0; length]);
        assert_eq!(result.err(), Some(Error::DataLenRange));
        let result = run(Decrypt, M::AES_KEY_WRAP, &Params::None, &kek, &vec![0; length]);
        assert_eq!(result.err(), Some(Error::EncryptedDataLenRange));
    }
    let mut cipher = start(Encrypt, M::AES_KEY_WRAP, &Params::None, &kek).unwrap();
    assert!(!cipher.multi_part());
    assert_eq!(cipher.update(&plain).err(), Some(Error::KeyFunctionNotPermitted));
}

#[test]
fn rsa_encryption_comes_back() {
    let (private, public) = rsa();
    let label = |source, data: &[u8]| {
        Params::Oaep(OaepParams { hash: M::SHA384, mgf: 2, source, source_data: data.into() })
    };
    let cases = [
        (M::RSA_PKCS, Params::None, 245),
        (M::RSA_PKCS_OAEP, label(0, b""), 158),
        (M::RSA_PKCS_OAEP, label(1, b"label"), 158),
        (
            M::RSA_PKCS_OAEP,
            Params::Oaep(OaepParams { hash: M::SHA_1, mgf: 1, source: 1, source_data: Bytes::default() }),
            214,
        ),
    ];
    for (r#type, params, capacity) in cases {
        for length in [0, 1, capacity] {
            let data = vec![3; length];
            let encrypted = run(Encrypt, r#type, &params, public, &data).unwrap();
            assert_eq!(encrypted.len(), 256);
            assert_eq!(run(Decrypt, r#type, &params, private, &encrypted).unwrap()[..], data);
        }
        let result = run(Encrypt, r#type, &params, public, &vec![3; capacity + 1]);
        assert_eq!(result.err(), Some(Error::DataLenRange));
        let result = run(Decrypt, r#type, &params, private, &[0; 255]);
        assert_eq!(result.err(), Some(Error::EncryptedDataLenRange));
        assert_eq!(start(Encrypt, r#type, &params, private).err(), Some(Error::KeyTypeInconsistent));
        assert_eq!(start(Decrypt, r#type, &params, public).err(), Some(Error::KeyTypeInconsistent));
        assert_eq!(
            start(Encrypt, r#type, &params, &secret(&[0; 16])).err(),
            Some(Error::KeyTypeInconsistent)
        );
    }
    let encrypted = run(Encrypt, M::RSA_PKCS_OAEP, &label(1, b"label"), public, b"data").unwrap();
    let result = run(Decrypt, M::RSA_PKCS_OAEP, &label(1, b"other"), private, &encrypted);
    assert_eq!(result.err(), Some(Error::EncryptedDataInvalid));
    let no_mgf =
        Params::Oaep(OaepParams { hash: M::SHA256, mgf: 99, source: 1, source_data: Bytes::default() });
    for params in [label(0, b"label"), label(2, b""), no_mgf, Params::None] {
        let result = start(Encrypt, M::RSA_PKCS_OAEP, &params, public);
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    }
}

/// A wrong padding is answered with bytes that depend on key and ciphertext alone.
#[test]
fn pkcs1_decryption_rejects_implicitly() {
    let (private, public) = rsa();
    let mut ciphertext = run(Encrypt, M::RSA_PKCS, &Params::None, public, b"secret").unwrap().to_vec();
    *ciphertext.last_mut().unwrap() ^= 1;
    let first = run(Decrypt, M::RSA_PKCS, &Params::None, private, &ciphertext).unwrap();
    let second = run(Decrypt, M::RSA_PKCS, &Params::None, private, &ciphertext).unwrap();
    assert_eq!(first, second);
    assert_ne!(first[..], *b"secret");
}

/// SP 800-38A (F.3, F.4), SP 800-38C (example 1 and 2), RFC 8439 (2.4.2, 2.8.2), RFC 5794 (A.1), IEEE 1619 (B.1),
/// RFC 3962 (appendix B) with its last two blocks in their own order, FIPS 81 and SP 800-67's examples.
#[test]
fn known_answers_of_the_other_ciphers() {
    let bytes = |text: &str| Params::Bytes(hex(text).into());
    let two = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
    let sunscreen = "4c616469657320616e642047656e746c656d656e206f662074686520636c6173
        73206f66202739393a204966204920636f756c64206f6666657220796f75206f
        6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73
        637265656e20776f756c642062652069742e";
    let ccm = |nonce: &str, aad: &str, data_len: u64, mac_len: u64| Params::Ccm {
        data_len,
        nonce: hex(nonce).into(),
        aad: hex(aad).into(),
        mac_len,
    };
    let ccm_key = "404142434445464748494a4b4c4d4e4f";
    let answers: Vec<(M, Params, &str, &str, &str)> = vec![
        (
            M::AES_CFB128,
            bytes(IV),
            KEYS[0],
            two,
            "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b",
        ),
        (
            M::AES_OFB,
            bytes(IV),
            KEYS[0],
            two,
            "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825",
        ),
        (
            M::AES_CFB8,
            bytes(IV),
            KEYS[0],
            "6bc1bee22e409f96e93d7e117393172aae2d",
            "3b79424c9c0dd436bace9e0ed4586a4f32b9",
        ),
        (M::AES_CFB1, bytes(IV), KEYS[0], "6bc1", "68b3"),
        (
            M::AES_CCM,
            ccm("10111213141516", "0001020304050607", 4, 4),
            ccm_key,
            "20212223",
            "7162015b4dac255d",
        ),
        (
            M::AES_CCM,
            ccm("1011121314151617", "000102030405060708090a0b0c0d0e0f", 16, 6),
            ccm_key,
            "202122232425262728292a2b2c2d2e2f",
            "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd",
        ),
        (
            M::AES_XTS,
            bytes("33333333330000000000000000000000"),
            "1111111111111111111111111111111122222222222222222222222222222222",
            "4444444444444444444444444444444444444444444444444444444444444444",
            "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
        ),
        (
            M::CHACHA20,
            Params::ChaCha20 {
                block_counter: hex("01000000").into(),
                nonce: hex("000000000000004a00000000").into(),
            },
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            sunscreen,
            "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b
             f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8
             07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736
             5af90bbf74a35be6b40b8eedf2785e42874d",
        ),
        (
            M::CHACHA20_POLY1305,
            Params::ChaCha20Poly1305 {
                nonce: hex("070000004041424344454647").into(),
                aad: hex("50515253c0c1c2c3c4c5c6c7").into(),
            },
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            sunscreen,
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
             3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
        ),
        (
            M::ARIA_ECB,
            Params::None,
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "d718fbd6ab644c739da95f3be6451778",
        ),
        (
            M::ARIA_ECB,
            Params::None,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "00112233445566778899aabbccddeeff",
            "f92bd7c79fb72e2f2b8f80c1972d24fc",
        ),
        (M::DES_ECB, Params::None, "0123456789abcdef", "4e6f772069732074", "3fa40e8a984d4815"),
        (
            M::DES_CBC,
            bytes("1234567890abcdef"),
            "0123456789abcdef",
            "4e6f77206973207468652074696d6520666f7220616c6c20",
            "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6",
        ),
        (
            M::DES_CFB8,
            bytes("1234567890abcdef"),
            "0123456789abcdef",
            "4e6f77206973207468652074696d6520666f",
            "f31fda07011462ee187f43d80a7cd9b5b0d2",
        ),
        (
            M::DES_CFB64,
            bytes("1234567890abcdef"),
            "0123456789abcdef",
            "4e6f77206973207468652074696d6520666f7220616c6c20",
            "f3096249c7f46e51a69e839b1a92f78403467133898ea622",
        ),
        (
            M::DES3_ECB,
            Params::None,
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "5468652071756663",
            "a826fd8ce53b855f",
        ),
    ];
    for (r#type, params, key, plain, encrypted) in answers {
        let (key, plain, encrypted) = (secret(&hex(key)), hex(plain), hex(encrypted));
        assert_eq!(run(Encrypt, r#type, &params, &key, &plain).unwrap()[..], encrypted, "{type}");
        assert_eq!(run(Decrypt, r#type, &params, &key, &encrypted).unwrap()[..], plain, "{type}");
    }
    // RFC 3962 swaps the last two blocks always (CS3); CS1 only reorders what it must.
    let key = secret(b"chicken teriyaki");
    let text = b"I would like the General Gau's Chicken, please, and wonton soup.";
    let params = Params::Bytes(vec![0; 16].into());
    for (length, cs3) in [
        (17, "c6353568f2bf8cb4d8a580362da7ff7f97"),
        (31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5"),
    ] {
        let cs3 = hex(cs3);
        let cs1 = [&cs3[16..], &cs3[..16]].concat();
        assert_eq!(run(Encrypt, M::AES_CTS, &params, &key, &text[..length]).unwrap()[..], cs1);
        assert_eq!(run(Decrypt, M::AES_CTS, &params, &key, &cs1).unwrap()[..], text[..length]);
    }
    assert_eq!(run(Encrypt, M::AES_CTS, &params, &key, &text[..15]).err(), Some(Error::DataLenRange));
}

/// What takes all data at once may still be given it in parts.
#[test]
fn whole_ciphers_take_parts() {
    let ccm = |data_len| Params::Ccm { data_len, nonce: vec![1; 12].into(), aad: b"aad".into(), mac_len: 16 };
    let iv = || Params::Bytes(vec![3; 16].into());
    let data: Vec<u8> = (0..100).collect();
    for (r#type, params, key) in [(M::AES_CCM, ccm(100), 32), (M::AES_CTS, iv(), 24), (M::AES_XTS, iv(), 64)]
    {
        let key = secret(&(0..key).collect::<Vec<u8>>());
        let whole = run(Encrypt, r#type, &params, &key, &data).unwrap();
        for piece in [1, 16, 33, 100] {
            assert_eq!(run_in_pieces(Encrypt, r#type, &params, &key, &data, piece).unwrap()[..], whole[..]);
            assert_eq!(run_in_pieces(Decrypt, r#type, &params, &key, &whole, piece).unwrap(), data);
        }
    }
    let key = secret(&[7; 16]);
    assert_eq!(run(Encrypt, M::AES_CCM, &ccm(99), &key, &data).err(), Some(Error::DataLenRange));
    let mut sealed = run(Encrypt, M::AES_CCM, &ccm(100), &key, &data).unwrap().to_vec();
    sealed[50] ^= 1;
    assert_eq!(run(Decrypt, M::AES_CCM, &ccm(100), &key, &sealed).err(), Some(Error::EncryptedDataInvalid));
    assert_eq!(run(Encrypt, M::AES_CCM, &ccm(0), &key, &[]).unwrap().len(), 16);
    let equal = secret(&[7; 32]);
    assert_eq!(run(Encrypt, M::AES_XTS, &iv(), &equal, &data).err(), Some(Error::KeyFunctionNotPermitted));
    // The older name of the padded key wrap is the same mechanism.
    for length in 8..40 {
        let wrapped = run(Encrypt, M::AES_KEY_WRAP_PKCS7, &Params::None, &key, &data[..length]).unwrap();
        assert_eq!(
            run(Decrypt, M::AES_KEY_WRAP_PAD, &Params::None, &key, &wrapped).unwrap()[..],
            data[..length]
        );
        // A second implementation: padding by hand, then KW.
        let fill = 8 - length % 8;
        let padded = [&data[..length], &vec![fill as u8; fill]].concat();
        assert_eq!(run(Encrypt, M::AES_KEY_WRAP, &Params::None, &key, &padded).unwrap(), wrapped);
    }
}
