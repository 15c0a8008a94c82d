//! ML-DSA and SLH-DSA with a hash before them, against libcrypto given the encoded message (FIPS 204, algorithm 4;
//! FIPS 205, algorithm 23). Plain ML-DSA is in Wycheproof.

use claviger_conformance::prelude::*;
use claviger_conformance::structure::Structure;
use openssl::hash::{MessageDigest, hash, hash_xof};
use openssl::md_ctx::MdCtx;
use openssl::pkey::PKey;

use crate::token::{Key, Token};
use crate::{lists, pattern};

/// Mechanisms of ML-DSA and SLH-DSA, libcrypto's name of the hash, its length in bytes, the last number of its object
/// identifier 2.16.840.1.101.3.4.2, and what stands for it in a parameter.
#[allow(clippy::type_complexity, reason = "a table of one file")]
const HASHES: &[(M, M, &str, usize, u8, Option<M>)] = &[
    (M::HASH_ML_DSA_SHA224, M::HASH_SLH_DSA_SHA224, "SHA224", 28, 4, Some(M::SHA224)),
    (M::HASH_ML_DSA_SHA256, M::HASH_SLH_DSA_SHA256, "SHA256", 32, 1, Some(M::SHA256)),
    (M::HASH_ML_DSA_SHA384, M::HASH_SLH_DSA_SHA384, "SHA384", 48, 2, Some(M::SHA384)),
    (M::HASH_ML_DSA_SHA512, M::HASH_SLH_DSA_SHA512, "SHA512", 64, 3, Some(M::SHA512)),
    (M::HASH_ML_DSA_SHA3_224, M::HASH_SLH_DSA_SHA3_224, "SHA3-224", 28, 7, Some(M::SHA3_224)),
    (M::HASH_ML_DSA_SHA3_256, M::HASH_SLH_DSA_SHA3_256, "SHA3-256", 32, 8, Some(M::SHA3_256)),
    (M::HASH_ML_DSA_SHA3_384, M::HASH_SLH_DSA_SHA3_384, "SHA3-384", 48, 9, Some(M::SHA3_384)),
    (M::HASH_ML_DSA_SHA3_512, M::HASH_SLH_DSA_SHA3_512, "SHA3-512", 64, 10, Some(M::SHA3_512)),
    (M::HASH_ML_DSA_SHAKE128, M::HASH_SLH_DSA_SHAKE128, "SHAKE128", 32, 11, None),
    (M::HASH_ML_DSA_SHAKE256, M::HASH_SLH_DSA_SHAKE256, "SHAKE256", 64, 12, None),
];

/// `CKH_HEDGE_PREFERRED`
const HEDGED: u64 = 0;

/// True when libcrypto verifies the signature; a message that is `encoded` is taken as it is.
fn verifies(spki: &[u8], message: &[u8], encoded: bool, context: &[u8], signature: &[u8]) -> bool {
    let key = PKey::public_key_from_der(spki).expect("a SubjectPublicKeyInfo");
    let mut md = MdCtx::new().unwrap();
    let parameters = md.digest_verify_init(None, &key).unwrap();
    if encoded {
        claviger_conformance::process::encoded_message(parameters);
    } else if !context.is_empty() {
        parameters.set_context_string(context).unwrap();
    }
    md.digest_verify(message, signature).unwrap_or(false)
}

fn pair<'a>(token: &'a Token, generate: M, set: u64) -> (Key<'a>, Key<'a>, Vec<u8>) {
    let (public, private) = token.pair(&generate.into(), &[ulong(A::PARAMETER_SET, set)], &[]).unwrap();
    let spki = token.attribute(&public, A::PUBLIC_KEY_INFO).unwrap();
    (public, private, spki)
}

#[test]
fn signatures_verify_in_libcrypto() {
    let token = Token::new();
    let message = pattern(100);
    let context = |mechanism: M, context: &[u8]| Structure::new().ulong(HEDGED).data(context).of(mechanism);
    // All sets of ML-DSA; of SLH-DSA one of each size, the fast ones.
    for (mechanism, generate, sets) in [
        (M::ML_DSA, M::ML_DSA_KEY_PAIR_GEN, &[1, 2, 3][..]),
        (M::SLH_DSA, M::SLH_DSA_KEY_PAIR_GEN, &[3, 4, 7, 11]),
    ] {
        for set in sets {
            if !lists(&token, mechanism) {
                continue;
            }
            let (public, private, spki) = pair(&token, generate, *set);
            for text in [&b""[..], b"context"] {
                let mechanism = context(mechanism, text);
                let signature = token.sign(&mechanism, &private, &message).unwrap();
                assert!(verifies(&spki, &message, false, text, &signature), "{} {set}", mechanism.r#type);
                token.verify(&mechanism, &public, &message, &signature).unwrap();
            }
            let value = token.attribute(&public, A::VALUE).unwrap();
            assert!(spki.ends_with(&value), "the public key is the end of its SubjectPublicKeyInfo");
        }
    }
}

#[test]
fn what_is_hashed_before_is_encoded_as_the_standards_say() {
    let token = Token::new();
    let message = pattern(100);
    let ml_dsa = pair(&token, M::ML_DSA_KEY_PAIR_GEN, 1);
    let slh_dsa = pair(&token, M::SLH_DSA_KEY_PAIR_GEN, 3);
    for (of_ml_dsa, of_slh_dsa, name, length, oid, stands) in HASHES {
        let algorithm = MessageDigest::from_name(name).unwrap();
        let digest = match stands {
            Some(_) => hash(algorithm, &message).unwrap().to_vec(),
            None => {
                let mut digest = vec![0; *length];
                hash_xof(algorithm, &message, &mut digest).unwrap();
                digest
            }
        };
        let text = b"context";
        let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, *oid];
        let encoded = [&[1, text.len() as u8], &text[..], &oid, &digest].concat();
        for (mechanism, given, (public, private, spki)) in
            [(of_ml_dsa, M::HASH_ML_DSA, &ml_dsa), (of_slh_dsa, M::HASH_SLH_DSA, &slh_dsa)]
        {
            let made = Structure::new().ulong(HEDGED).data(text).of(*mechanism);
            let signature = token.sign(&made, private, &message).unwrap();
            assert!(verifies(spki, &encoded, true, text, &signature), "{mechanism}");
            token.verify(&made, public, &message, &signature).unwrap();
            // The same signature over the digest that the caller has made.
            let Some(stands) = stands else { continue };
            let given = Structure::new().ulong(HEDGED).data(text).ulong(stands.0).of(given);
            token.verify(&given, public, &digest, &signature).unwrap();
            let signature = token.sign(&given, private, &digest).unwrap();
            token.verify(&made, public, &message, &signature).unwrap();
        }
    }
}
