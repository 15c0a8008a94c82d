//! RFC 8032, section 7; RFC 6979, appendix A.2.5; RFC 4231; RFC 2202. Round trips for what is random.

use std::sync::Arc;

use claviger_protocol::flags::mechanism::SIGN;
use claviger_protocol::mechanism::{Cipher, CurveKind, MECHANISMS, PreHash, Recipe};
use claviger_protocol::params::Params;
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, Bytes, KeyType, MechanismType as M, ObjectClass};

use super::super::algorithm::hash_row;
use super::super::curve::CURVES;
use super::super::{Key, Signer, Verifier};
use super::{ED448, ED25519, P256, bytes, create, hex, on_curve, pair, row, rsa, secret};
use crate::error::{Error, Result};

fn sign(r#type: M, params: &Params, key: &Arc<Key>, data: &[u8]) -> Result<Bytes> {
    let signer = Signer::new(row(r#type), params, Arc::clone(key))?;
    let length = signer.length();
    let signature = signer.sign(data)?;
    assert_eq!(signature.len(), length, "{type}");
    Ok(signature)
}

fn verify(r#type: M, params: &Params, key: &Arc<Key>, data: &[u8], signature: &[u8]) -> Result<()> {
    Verifier::new(row(r#type), params, Arc::clone(key))?.verify(data, signature)
}

/// Signs and verifies in one call and in pieces, crosswise, and refuses what was changed.
fn round_trip(r#type: M, params: &Params, private: &Arc<Key>, public: &Arc<Key>, data: &[u8]) {
    let mut signatures = vec![sign(r#type, params, private, data).unwrap()];
    let mut signer = Signer::new(row(r#type), params, Arc::clone(private)).unwrap();
    if signer.multi_part() {
        for piece in data.chunks(3) {
            signer.update(piece).unwrap();
        }
        signatures.push(signer.finish().unwrap());
    } else {
        assert_eq!(signer.update(data).err(), Some(Error::KeyFunctionNotPermitted));
        assert_eq!(signer.finish().err(), Some(Error::KeyFunctionNotPermitted));
    }
    for signature in signatures {
        verify(r#type, params, public, data, &signature).unwrap();
        let mut verifier = Verifier::new(row(r#type), params, Arc::clone(public)).unwrap();
        if verifier.multi_part() {
            for piece in data.chunks(5) {
                verifier.update(piece).unwrap();
            }
            verifier.finish(&signature).unwrap();
        } else {
            assert_eq!(verifier.update(data).err(), Some(Error::KeyFunctionNotPermitted));
        }
        let mut changed = data.to_vec();
        changed[0] ^= 1;
        let result = verify(r#type, params, public, &changed, &signature);
        assert_eq!(result.err(), Some(Error::SignatureInvalid), "{type}");
        let mut forged = signature.to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let result = verify(r#type, params, public, data, &forged);
        assert_eq!(result.err(), Some(Error::SignatureInvalid), "{type}");
        for wrong in [&signature[..signature.len() - 1], &[&signature[..], &[0]].concat(), &[]] {
            let result = verify(r#type, params, public, data, wrong);
            assert_eq!(result.err(), Some(Error::SignatureLenRange), "{type}");
        }
    }
}

#[test]
fn every_signing_row_signs_and_verifies() {
    let curve = on_curve(P256);
    let dsa = super::field::dsa();
    let edwards = [on_curve(ED25519), on_curve(ED448)];
    // The smallest sets, of SLH-DSA the fast one.
    let ml_dsa = pair(M::ML_DSA_KEY_PAIR_GEN, vec![(A::PARAMETER_SET, Value::Ulong(1))]);
    let slh_dsa = pair(M::SLH_DSA_KEY_PAIR_GEN, vec![(A::PARAMETER_SET, Value::Ulong(3))]);
    let key = secret(b"a key that is long enough for any hash");
    for row in MECHANISMS.iter().filter(|row| row.flags & SIGN != 0) {
        let digest = [7; 64];
        match row.recipe {
            Recipe::RsaPkcs(_) => round_trip(row.r#type, &Params::None, &rsa().0, &rsa().1, b"some message"),
            Recipe::RsaPss(Some(hash)) => {
                let hash = hash_row(hash);
                let params = Params::Pss {
                    hash: hash.mechanism.unwrap(),
                    mgf: hash.mgf.unwrap(),
                    salt_len: hash.length as u64,
                };
                round_trip(row.r#type, &params, &rsa().0, &rsa().1, b"some message");
                // Another hash in MGF1, and no salt.
                let params = Params::Pss { hash: hash.mechanism.unwrap(), mgf: 1, salt_len: 0 };
                round_trip(row.r#type, &params, &rsa().0, &rsa().1, b"some message");
            }
            Recipe::RsaPss(None) => {
                let params = Params::Pss { hash: M::SHA384, mgf: 3, salt_len: 20 };
                round_trip(row.r#type, &params, &rsa().0, &rsa().1, &digest[..48]);
            }
            Recipe::Ecdsa(_) => round_trip(row.r#type, &Params::None, &curve.0, &curve.1, &digest[..32]),
            Recipe::Eddsa => {
                for (private, public) in &edwards {
                    for (prehash, context) in
                        [(false, &b""[..]), (false, b"foo"), (true, b""), (true, b"foo")]
                    {
                        let params = Params::Eddsa { prehash, context: context.into() };
                        round_trip(row.r#type, &params, private, public, b"some message");
                    }
                }
            }
            Recipe::Hmac { general, .. } => {
                let params = if general { Params::Ulong(13) } else { Params::None };
                round_trip(row.r#type, &params, &key, &key, b"some message");
            }
            Recipe::HmacSha512T => round_trip(row.r#type, &Params::Ulong(200), &key, &key, b"some message"),
            Recipe::RsaX509 => round_trip(row.r#type, &Params::None, &rsa().0, &rsa().1, &digest),
            Recipe::Cmac { cipher, general } | Recipe::CbcMac { cipher, general } => {
                let key = secret(&vec![9; if cipher == Cipher::Des { 8 } else { 16 }]);
                let params = if general { Params::Ulong(5) } else { Params::None };
                round_trip(row.r#type, &params, &key, &key, b"a message of more than two blocks of ciphers");
            }
            Recipe::Dsa(_) => round_trip(row.r#type, &Params::None, &dsa.0, &dsa.1, &digest[..32]),
            Recipe::XcbcMac { .. } => {
                let key = secret(&[9; 16]);
                round_trip(row.r#type, &Params::None, &key, &key, b"a message of more than two blocks");
            }
            Recipe::Gmac => {
                let key = secret(&[9; 32]);
                let params = Params::Gcm { iv: b"twelve bytes".into(), aad: b"".into(), tag_bits: 96 };
                round_trip(row.r#type, &params, &key, &key, b"a message of more than two blocks");
            }
            Recipe::Poly1305 => {
                let key = secret(&[9; 32]);
                round_trip(row.r#type, &Params::None, &key, &key, b"a message of more than two blocks");
            }
            Recipe::MlDsa(hash) | Recipe::SlhDsa(hash) => {
                let (private, public) =
                    if matches!(row.recipe, Recipe::MlDsa(_)) { &ml_dsa } else { &slh_dsa };
                for context in [&b""[..], b"foo"] {
                    let given = (hash == PreHash::Given).then_some(M::SHA256);
                    let params = Params::SignContext { hedge: 0, context: context.into(), hash: given };
                    round_trip(row.r#type, &params, private, public, &digest[..32]);
                }
            }
            other => panic!("no test for {other:?}"),
        }
    }
}

#[test]
fn ecdsa_on_every_curve() {
    for curve in CURVES.iter().filter(|curve| curve.kind == CurveKind::Weierstrass) {
        let (private, public) = on_curve(curve.oid);
        for r#type in [M::ECDSA_SHA1, M::ECDSA_SHA512] {
            round_trip(r#type, &Params::None, &private, &public, b"some message");
        }
    }
}

#[test]
fn ecdsa_known_answer() {
    let point = hex("04
        60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
        7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    let public = Arc::new(
        create(
            ObjectClass::PUBLIC_KEY,
            KeyType::EC,
            vec![(A::EC_PARAMS, bytes(P256)), (A::EC_POINT, bytes(&point))],
        )
        .unwrap(),
    );
    let signature = hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
                         f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    verify(M::ECDSA_SHA256, &Params::None, &public, b"sample", &signature).unwrap();
    let private = Arc::new(
        create(
            ObjectClass::PRIVATE_KEY,
            KeyType::EC,
            vec![
                (A::EC_PARAMS, bytes(P256)),
                (A::VALUE, bytes(&hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"))),
            ],
        )
        .unwrap(),
    );
    let signature = sign(M::ECDSA_SHA256, &Params::None, &private, b"sample").unwrap();
    verify(M::ECDSA_SHA256, &Params::None, &public, b"sample", &signature).unwrap();
}

/// PKCS#11 3.2, 6.3.1: halves shorter than the order are to be verified.
#[test]
fn ecdsa_takes_short_halves() {
    let (private, public) = on_curve(P256);
    let digest = [1; 32];
    let short = loop {
        let signature = sign(M::ECDSA, &Params::None, &private, &digest).unwrap();
        if signature[0] == 0 && signature[32] == 0 {
            break [&signature[1..32], &signature[33..]].concat();
        }
    };
    verify(M::ECDSA, &Params::None, &public, &digest, &short).unwrap();
}

#[test]
fn eddsa_known_answers() {
    let cases = [
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            Params::None,
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
            Params::Eddsa { prehash: false, context: b"foo".into() },
            "f726936d19c800494e3fdaff20b276a8",
            "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a
             8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            Params::Eddsa { prehash: true, context: Bytes::default() },
            "616263",
            "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41
             31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
        ),
    ];
    for (private, params, message, expected) in cases {
        let key = create(
            ObjectClass::PRIVATE_KEY,
            KeyType::EC_EDWARDS,
            vec![(A::EC_PARAMS, bytes(ED25519)), (A::VALUE, bytes(&hex(private)))],
        );
        let key = Arc::new(key.unwrap());
        assert_eq!(sign(M::EDDSA, &params, &key, &hex(message)).unwrap()[..], hex(expected));
        let public = Arc::new(key.public().unwrap());
        verify(M::EDDSA, &params, &public, &hex(message), &hex(expected)).unwrap();
    }
}

#[test]
fn hmac_known_answers() {
    let key = secret(&[0x0b; 20]);
    let answers = [
        (M::SHA_1_HMAC, M::SHA_1_HMAC_GENERAL, "b617318655057264e28bc0b6fb378c8ef146be00"),
        (M::SHA224_HMAC, M::SHA224_HMAC_GENERAL, "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"),
        (
            M::SHA256_HMAC,
            M::SHA256_HMAC_GENERAL,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            M::SHA384_HMAC,
            M::SHA384_HMAC_GENERAL,
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c
             faea9ea9076ede7f4af152e8b2fa9cb6",
        ),
        (
            M::SHA512_HMAC,
            M::SHA512_HMAC_GENERAL,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde
             daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
    ];
    for (whole, general, expected) in answers {
        let expected = hex(expected);
        assert_eq!(sign(whole, &Params::None, &key, b"Hi There").unwrap()[..], expected);
        verify(whole, &Params::None, &key, b"Hi There", &expected).unwrap();
        for length in [1, 10, expected.len()] {
            let params = Params::Ulong(length as u64);
            assert_eq!(sign(general, &params, &key, b"Hi There").unwrap()[..], expected[..length]);
        }
        for length in [0, expected.len() as u64 + 1, u64::MAX] {
            let result = sign(general, &Params::Ulong(length), &key, b"");
            assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
        }
        assert_eq!(sign(general, &Params::None, &key, b"").err(), Some(Error::MechanismParamInvalid));
        assert_eq!(sign(whole, &Params::Ulong(1), &key, b"").err(), Some(Error::MechanismParamInvalid));
        assert_eq!(sign(whole, &Params::None, &rsa().0, b"").err(), Some(Error::KeyTypeInconsistent));
    }
    // RFC 4231, test case 6: a key longer than a block.
    let long = secret(&[0xaa; 131]);
    assert_eq!(
        sign(M::SHA256_HMAC, &Params::None, &long, b"Test Using Larger Than Block-Size Key - Hash Key First")
            .unwrap()[..],
        hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    );
}

#[test]
fn rsa_recovers_what_was_signed() {
    let (private, public) = rsa();
    for length in [1, 35, 245] {
        let data = vec![9; length];
        let signature = sign(M::RSA_PKCS, &Params::None, private, &data).unwrap();
        let recover = |signature: &[u8]| {
            Verifier::new(row(M::RSA_PKCS), &Params::None, Arc::clone(public))?.recover(signature)
        };
        assert_eq!(recover(&signature).unwrap()[..], data);
        assert_eq!(recover(&signature[1..]).err(), Some(Error::SignatureLenRange));
        assert_eq!(recover(&[1; 256]).err(), Some(Error::SignatureInvalid));
    }
    for length in [0, 246] {
        let result = sign(M::RSA_PKCS, &Params::None, private, &vec![9; length]);
        assert_eq!(result.err(), Some(Error::DataLenRange));
    }
    let verifier = Verifier::new(row(M::SHA256_RSA_PKCS), &Params::None, Arc::clone(public)).unwrap();
    assert_eq!(verifier.recover(&[0; 256]).err(), Some(Error::MechanismInvalid));
}

#[test]
fn wrong_data_parameters_and_keys_are_refused() {
    let (private, public) = rsa();
    let pss = |hash, mgf, salt_len| Params::Pss { hash, mgf, salt_len };
    for length in [0, 31, 33] {
        let result = sign(M::RSA_PKCS_PSS, &pss(M::SHA256, 2, 32), private, &vec![0; length]);
        assert_eq!(result.err(), Some(Error::DataLenRange));
        let result = verify(M::RSA_PKCS_PSS, &pss(M::SHA256, 2, 32), public, &vec![0; length], &[0; 256]);
        assert_eq!(result.err(), Some(Error::DataLenRange));
    }
    for params in [
        Params::None,
        pss(M::SHA512, 2, 32),
        pss(M::SHA256, 77, 32),
        pss(M::AES_CBC, 2, 32),
        pss(M::SHA256, 2, 223),
        pss(M::SHA256, 2, u64::MAX),
    ] {
        let result = sign(M::SHA256_RSA_PKCS_PSS, &params, private, b"");
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid), "{params:?}");
    }
    sign(M::SHA256_RSA_PKCS_PSS, &pss(M::SHA256, 2, 222), private, b"").unwrap();
    let (curve, curve_public) = on_curve(P256);
    for length in [0, 65] {
        let result = sign(M::ECDSA, &Params::None, &curve, &vec![0; length]);
        assert_eq!(result.err(), Some(Error::DataLenRange));
    }
    let wrong_key = Some(Error::KeyTypeInconsistent);
    assert_eq!(sign(M::ECDSA, &Params::None, private, &[0; 32]).err(), wrong_key);
    assert_eq!(sign(M::EDDSA, &Params::None, &curve, &[0; 32]).err(), wrong_key);
    assert_eq!(sign(M::SHA256_RSA_PKCS, &Params::None, &curve, b"").err(), wrong_key);
    assert_eq!(sign(M::SHA256_RSA_PKCS, &Params::None, &secret(&[1; 32]), b"").err(), wrong_key);
    // A public key signs as little as a private one verifies.
    assert_eq!(sign(M::SHA256_RSA_PKCS, &Params::None, public, b"").err(), wrong_key);
    assert_eq!(verify(M::ECDSA, &Params::None, &curve, &[0; 32], &[0; 64]).err(), wrong_key);
    let invalid = Some(Error::SignatureInvalid);
    assert_eq!(verify(M::ECDSA, &Params::None, &curve_public, &[0; 32], &[0; 64]).err(), invalid);
    assert_eq!(verify(M::ECDSA, &Params::None, &curve_public, &[0; 32], &[0xff; 64]).err(), invalid);
    let (edwards, edwards_public) = on_curve(ED25519);
    assert_eq!(verify(M::EDDSA, &Params::None, &edwards_public, b"", &[0xff; 64]).err(), invalid);
    let long = Params::Eddsa { prehash: false, context: vec![0; 256].into() };
    assert_eq!(sign(M::EDDSA, &long, &edwards, b"").err(), Some(Error::MechanismParamInvalid));
    assert_eq!(sign(M::AES_CBC, &Params::None, &edwards, b"").err(), Some(Error::MechanismInvalid));
    let small = super::super::generate::pair(
        row(M::RSA_PKCS_KEY_PAIR_GEN),
        &super::template(vec![(A::MODULUS_BITS, Value::Ulong(512))]),
    );
    let small = Arc::new(small.unwrap());
    assert!(sign(M::SHA256_RSA_PKCS, &Params::None, &small, b"").is_ok());
    assert_eq!(sign(M::SHA384_RSA_PKCS, &Params::None, &small, b"").err(), Some(Error::KeySizeRange));
}

/// Answers of Python's hmac module over hashlib.
#[test]
fn hmac_known_answers_of_the_other_hashes() {
    let answers: &[(M, &str)] = &[
        (M::SHA512_224_HMAC, "a1afb4f708cb63570639195121785ada3dc615989cc3c73f38e306a3"),
        (M::SHA512_256_HMAC, "7fb65e03577da9151a1016e9c2e514d4d48842857f13927f348588173dca6d89"),
        (M::SHA3_224_HMAC, "ff6fa8447ce10fb1efdccfe62caf8b640fe46c4fb1007912bf85100f"),
        (M::SHA3_256_HMAC, "8c6e0683409427f8931711b10ca92a506eb1fafa48fadd66d76126f47ac2c333"),
        (
            M::SHA3_384_HMAC,
            "aa739ad9fcdf9be4a04f06680ade7a1bd1e01a0af64accb04366234cf9f6934a0f8589772f857681fcde8acc256091a2",
        ),
        (
            M::SHA3_512_HMAC,
            "237a35049c40b3ef5ddd960b3dc893d8284953b9a4756611b1b61bffcf53edd9
             79f93547db714b06ef0a692062c609b70208ab8d4a280ceee40ed8100f293063",
        ),
        (M::BLAKE2B_160_HMAC, "98af676e70aac5c26243aaaf06bcb8b8daa2bebd"),
        (M::BLAKE2B_256_HMAC, "bb3e1cd6f38b5df1cb87983ec29d6116587c1b9bf6e5cd167ac7f2bc741d3817"),
        (
            M::BLAKE2B_384_HMAC,
            "d35f3b282f1d5ba23d7cc4c61eb25b985476da5ea487080836ff348a90a6676e53932a4650a62ecf48b6c2a43f3036b9",
        ),
        (M::MD5_HMAC, "80070713463e7749b90c2dc24911e275"),
        (M::RIPEMD160_HMAC, "50278a77d4d7670561ab72e867383aef6ce50b3e"),
    ];
    let key = secret(b"key");
    let data = b"The quick brown fox jumps over the lazy dog";
    for (r#type, expected) in answers {
        assert_eq!(sign(*r#type, &Params::None, &key, data).unwrap()[..], hex(expected), "{type}");
    }
    // SHA-512/256 by its parameter, with the key hashed first.
    let long = secret(&[7; 200]);
    assert_eq!(
        sign(M::SHA512_T_HMAC, &Params::Ulong(256), &long, data).unwrap(),
        sign(M::SHA512_256_HMAC, &Params::None, &long, data).unwrap()
    );
    assert_eq!(
        sign(M::SHA512_T_HMAC, &Params::Ulong(256), &key, data).unwrap(),
        sign(M::SHA512_256_HMAC, &Params::None, &key, data).unwrap()
    );
}

/// SP 800-38B (RFC 4493), RFC 3566, RFC 8439 (2.5.2), the GCM specification's test case 1, and for the MACs of FIPS
/// 113 the last block of SP 800-38A's CBC example.
#[test]
fn cipher_mac_known_answers() {
    let aes = secret(&hex("2b7e151628aed2a6abf7158809cf4f3c"));
    let block = hex("6bc1bee22e409f96e93d7e117393172a");
    let more = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411");
    for (data, expected) in [
        (&[][..], "bb1d6929e95937287fa37d129b756746"),
        (&block, "070a16b46b4d4144f79bdd9dd04a287c"),
        (&more, "dfa66747de9ae63030ca32611497c827"),
    ] {
        assert_eq!(sign(M::AES_CMAC, &Params::None, &aes, data).unwrap()[..], hex(expected));
        let short = sign(M::AES_CMAC_GENERAL, &Params::Ulong(4), &aes, data).unwrap();
        assert_eq!(short[..], hex(expected)[..4]);
    }
    let sequence: Vec<u8> = (0..34).collect();
    let xcbc = secret(&sequence[..16]);
    for (length, expected) in [
        (0, "75f0251d528ac01c4573dfd584d79f29"),
        (3, "5b376580ae2f19afe7219ceef172756f"),
        (16, "d2a246fa349b68a79998a4394ff7a263"),
        (20, "47f51b4564966215b8985c63055ed308"),
        (32, "f54f0ec8d2b9f3d36807734bd5283fd4"),
        (34, "becbb3bccdb518a30677d5481fb6b4d8"),
    ] {
        let data = &sequence[..length];
        assert_eq!(sign(M::AES_XCBC_MAC, &Params::None, &xcbc, data).unwrap()[..], hex(expected), "{length}");
        let short = sign(M::AES_XCBC_MAC_96, &Params::None, &xcbc, data).unwrap();
        assert_eq!(short[..], hex(expected)[..12]);
    }
    let poly = secret(&hex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"));
    let tag = sign(M::POLY1305, &Params::None, &poly, b"Cryptographic Forum Research Group").unwrap();
    assert_eq!(tag[..], hex("a8061dc1305136c6c22b8baf0c0127a9"));
    let gmac = Params::Gcm { iv: vec![0; 12].into(), aad: b"".into(), tag_bits: 128 };
    let tag = sign(M::AES_GMAC, &gmac, &secret(&[0; 16]), b"").unwrap();
    assert_eq!(tag[..], hex("58e2fccefa7e3061367f1d57a4e7455a"));
    // CBC with a zero IV of one block is ECB.
    let mac = sign(M::AES_MAC_GENERAL, &Params::Ulong(16), &aes, &block).unwrap();
    assert_eq!(mac[..], hex("3ad77bb40d7a3660a89ecaf32466ef97"));
    assert_eq!(sign(M::AES_MAC, &Params::None, &aes, &block).unwrap()[..], mac[..8]);
}
