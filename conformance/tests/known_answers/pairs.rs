//! Key pairs that the token makes, and keys under them: another implementation takes both.

use claviger_conformance::openssl::{verifies, verifies_raw};
use claviger_conformance::prelude::*;
use claviger_conformance::structure::{self, Structure};
use openssl::bn::{BigNum, BigNumContext};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey, EcPoint, PointConversionForm};
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::rsa::Padding;

use crate::token::{Key, Token};
use crate::{lists, pattern};

/// The SubjectPublicKeyInfo of a key.
fn spki(token: &Token, key: &Key) -> Vec<u8> {
    token.attribute(key, A::PUBLIC_KEY_INFO).unwrap()
}

#[test]
fn generated_pairs_sign_for_the_openssl_program() {
    let token = Token::new();
    let message = pattern(100);
    let sign = |private: &Key, mechanism: Mechanism| token.sign(&mechanism, private, &message).unwrap();
    let bits = [ulong(A::MODULUS_BITS, 2048)];
    let (public, private) = token.pair(&M::RSA_PKCS_KEY_PAIR_GEN.into(), &bits, &[]).unwrap();
    verifies(&spki(&token, &public), "-sha256", &message, &sign(&private, M::SHA256_RSA_PKCS.into()));
    let on = [bytes(A::EC_PARAMS, curve::P256)];
    let (public, private) = token.pair(&M::EC_KEY_PAIR_GEN.into(), &on, &[]).unwrap();
    let signature = claviger_conformance::openssl::ecdsa_der(&sign(&private, M::ECDSA_SHA256.into()));
    verifies(&spki(&token, &public), "-sha256", &message, &signature);
    let on = [bytes(A::EC_PARAMS, curve::ED25519)];
    let (public, private) = token.pair(&M::EC_EDWARDS_KEY_PAIR_GEN.into(), &on, &[]).unwrap();
    verifies_raw(&spki(&token, &public), "-rawin", &message, &sign(&private, M::EDDSA.into()));
}

#[test]
fn generated_pairs_agree_with_libcrypto() {
    let token = Token::new();
    let derive = [flag(A::DERIVE, true)];
    // X25519
    let on = [bytes(A::EC_PARAMS, curve::X25519)];
    let (public, private) = token.pair(&M::EC_MONTGOMERY_KEY_PAIR_GEN.into(), &on, &derive).unwrap();
    let theirs = PKey::generate_x25519().unwrap();
    let ours = PKey::public_key_from_der(&spki(&token, &public)).unwrap();
    let mut deriver = Deriver::new(&theirs).unwrap();
    deriver.set_peer(&ours).unwrap();
    let mechanism = structure::ecdh(1, b"", &theirs.raw_public_key().unwrap());
    assert_eq!(token.derive(&mechanism, &private, 32).unwrap(), deriver.derive_to_vec().unwrap());
    // Diffie-Hellman: the other side's power.
    let group = openssl::dh::Dh::get_2048_256().unwrap();
    let (p, g) = (group.prime_p(), group.generator());
    let mut context = BigNumContext::new().unwrap();
    let mut power = |base: &openssl::bn::BigNumRef, exponent: &openssl::bn::BigNumRef| {
        let mut result = BigNum::new().unwrap();
        result.mod_exp(base, exponent, p, &mut context).unwrap();
        result
    };
    let exponent = BigNum::from_slice(&pattern(32)).unwrap();
    let theirs = power(g, &exponent).to_vec();
    let subprime = bytes(A::SUBPRIME, group.prime_q().unwrap().to_vec());
    let parameters = [bytes(A::PRIME, p.to_vec()), bytes(A::BASE, g.to_vec())];
    let x9_42 = Structure::new().ulong(1).length_first(b"").length_first(&theirs).of(M::X9_42_DH_DERIVE);
    for (generate, parameters, mechanism) in [
        (M::DH_PKCS_KEY_PAIR_GEN, parameters.to_vec(), Mechanism::bytes(M::DH_PKCS_DERIVE, &theirs)),
        (
            M::X9_42_DH_KEY_PAIR_GEN,
            [&parameters[..], std::slice::from_ref(&subprime)].concat(),
            (*x9_42).clone(),
        ),
    ] {
        let (public, private) = token.pair(&generate.into(), &parameters, &derive).unwrap();
        let value = BigNum::from_slice(&token.attribute(&public, A::VALUE).unwrap()).unwrap();
        let z = power(&value, &exponent).to_vec_padded(256).unwrap();
        assert_eq!(token.derive(&mechanism, &private, 256).unwrap(), z, "{generate}");
    }
    // DSA: libcrypto takes the public key and the signature.
    let parameters = [&parameters[..], &[subprime]].concat();
    let (public, private) = token.pair(&M::DSA_KEY_PAIR_GEN.into(), &parameters, &[]).unwrap();
    let message = pattern(100);
    let signature = token.sign(&M::DSA_SHA256.into(), &private, &message).unwrap();
    let signature = claviger_conformance::openssl::ecdsa_der(&signature);
    verifies(&spki(&token, &public), "-sha256", &message, &signature);
}

/// A P-256 key of libcrypto's, its scalar and its point.
fn p256() -> (PKey<Private>, Vec<u8>, Vec<u8>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let mut context = BigNumContext::new().unwrap();
    let point = key.public_key().to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context).unwrap();
    let scalar = key.private_key().to_vec_padded(32).unwrap();
    (PKey::from_ec_key(key).unwrap(), scalar, point)
}

#[test]
fn the_public_key_of_a_private_key() {
    let token = Token::new();
    let (key, scalar, _) = p256();
    let template = [
        class(ObjectClass::PRIVATE_KEY),
        key_type(KeyType::EC),
        bytes(A::EC_PARAMS, curve::P256),
        bytes(A::VALUE, &scalar),
        flag(A::DERIVE, true),
    ];
    let private = token.create(&template).unwrap();
    if lists(&token, M::PUB_KEY_FROM_PRIV_KEY) {
        let public = token.derive_from(&M::PUB_KEY_FROM_PRIV_KEY.into(), &private, &[]).unwrap();
        assert_eq!(spki(&token, &public), key.public_key_to_der().unwrap());
    }
    // The curves of the table have cofactor 1.
    let (theirs, _, point) = p256();
    let mut deriver = Deriver::new(&key).unwrap();
    deriver.set_peer(&theirs).unwrap();
    if lists(&token, M::ECDH1_COFACTOR_DERIVE) {
        let mechanism =
            Structure::new().ulong(1).length_first(b"").length_first(&point).of(M::ECDH1_COFACTOR_DERIVE);
        assert_eq!(token.derive(&mechanism, &private, 32).unwrap(), deriver.derive_to_vec().unwrap());
    }
}

/// AES-256-KWP of libcrypto (RFC 5649).
fn kwp(key: &[u8], data: &[u8], wrap: bool) -> Vec<u8> {
    let mut context = CipherCtx::new().unwrap();
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    let cipher = Cipher::aes_256_wrap_pad();
    match wrap {
        true => context.encrypt_init(Some(cipher), Some(key), None).unwrap(),
        false => context.decrypt_init(Some(cipher), Some(key), None).unwrap(),
    }
    let mut output = Vec::new();
    context.cipher_update_vec(data, &mut output).unwrap();
    output
}

#[test]
fn rsa_aes_key_wrap_is_oaep_and_kwp() {
    let token = Token::new();
    if !lists(&token, M::RSA_AES_KEY_WRAP) {
        return;
    }
    let rsa = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
    let (n, e) = (rsa.rsa().unwrap().n().to_vec(), rsa.rsa().unwrap().e().to_vec());
    let with = token
        .create(&[
            class(ObjectClass::PUBLIC_KEY),
            key_type(KeyType::RSA),
            bytes(A::MODULUS, n),
            bytes(A::PUBLIC_EXPONENT, e),
            flag(A::WRAP, true),
        ])
        .unwrap();
    let value = pattern(21);
    let key = token.wrappable(&value).unwrap();
    let mechanism = structure::rsa_aes_key_wrap(256, structure::oaep(M::SHA256, 2));
    let wrapped = token.wrap(&mechanism, &with, &key).unwrap();
    let (first, second) = wrapped.split_at(256);
    let mut decrypter = openssl::encrypt::Decrypter::new(&rsa).unwrap();
    decrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
    decrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
    decrypter.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
    let mut aes = vec![0; 256];
    let length = decrypter.decrypt(first, &mut aes).unwrap();
    assert_eq!(length, 32);
    assert_eq!(kwp(&aes[..32], second, false), value);
}

/// What ECDH with the shared data gives for a key of 256 bits: one block of X9.63 with SHA-256 (SEC 1, 3.6.1).
fn kek(ours: &PKeyRef<Private>, theirs: &PKeyRef<openssl::pkey::Public>) -> Vec<u8> {
    let mut deriver = Deriver::new(ours).unwrap();
    deriver.set_peer(theirs).unwrap();
    let z = deriver.derive_to_vec().unwrap();
    hash(MessageDigest::sha256(), &[&z[..], &[0, 0, 0, 1], b"shared"].concat()).unwrap().to_vec()
}

#[test]
fn ecdh_aes_key_wrap_is_ecdh_and_kwp() {
    let token = Token::new();
    let (p256, _, point) = p256();
    let x25519 = PKey::generate_x25519().unwrap();
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    for (mechanism, r#type, params, ours, point) in [
        (M::ECDH_AES_KEY_WRAP, KeyType::EC, curve::P256, &p256, point.clone()),
        (M::ECDH_COF_AES_KEY_WRAP, KeyType::EC, curve::P256, &p256, point),
        (
            M::ECDH_X_AES_KEY_WRAP,
            KeyType::EC_MONTGOMERY,
            curve::X25519,
            &x25519,
            x25519.raw_public_key().unwrap(),
        ),
    ] {
        if !lists(&token, mechanism) {
            continue;
        }
        let with = token
            .create(&[
                class(ObjectClass::PUBLIC_KEY),
                key_type(r#type),
                bytes(A::EC_PARAMS, params),
                bytes(A::EC_POINT, [&[4, point.len() as u8][..], &point].concat()),
                flag(A::WRAP, true),
            ])
            .unwrap();
        let value = pattern(21);
        let key = token.wrappable(&value).unwrap();
        // CKD_SHA256_KDF
        let parameter = Structure::new().ulong(256).ulong(6).length_first(b"shared").of(mechanism);
        let wrapped = token.wrap(&parameter, &with, &key).unwrap();
        let (public, rest) = wrapped.split_at(point.len());
        let theirs = match r#type {
            KeyType::EC => {
                let mut context = BigNumContext::new().unwrap();
                let point = EcPoint::from_bytes(&group, public, &mut context).unwrap();
                PKey::from_ec_key(EcKey::from_public_key(&group, &point).unwrap()).unwrap()
            }
            _ => PKey::public_key_from_raw_bytes(public, Id::X25519).unwrap(),
        };
        assert_eq!(kwp(&kek(ours, &theirs), rest, false), value, "{mechanism}");
    }
}
