//! RFC 5649, section 6; round trips; wrong keys and forgeries.

use claviger_protocol::mechanism::Hash;
use claviger_protocol::params::{OaepParams, Params};
use claviger_protocol::{Bytes, KeyType, MechanismType as M, ObjectClass};

use super::super::{Key, wrap};
use super::{P256, hex, on_curve, row, rsa, secret};
use crate::error::Error;

fn oaep() -> OaepParams {
    OaepParams { hash: M::SHA256, mgf: 2, source: 1, source_data: Bytes::default() }
}

fn rsa_aes(aes_key_bits: u64) -> Params {
    Params::RsaAesKeyWrap { aes_key_bits, oaep: oaep() }
}

#[test]
fn known_answers_of_kwp() {
    let kek = hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
    for (plain, wrapped) in [
        (
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        let (plain, wrapped) = (hex(plain), hex(wrapped));
        assert_eq!(wrap::aes_kwp(&kek, &plain).unwrap(), wrapped);
        assert_eq!(*wrap::aes_kwp_unwrap(&kek, &wrapped).unwrap(), plain);
        let key = secret(&kek);
        let row = row(M::AES_KEY_WRAP_KWP);
        assert_eq!(wrap::wrap(row, &Params::None, &key, &plain).unwrap()[..], wrapped);
        assert_eq!(*wrap::unwrap(row, &Params::None, &key, &wrapped).unwrap(), plain);
        for position in 0..wrapped.len() {
            let mut forged = wrapped.clone();
            forged[position] ^= 1;
            assert_eq!(wrap::aes_kwp_unwrap(&kek, &forged).err(), Some(Error::EncryptedDataInvalid));
            let result = wrap::unwrap(row, &Params::None, &key, &forged);
            assert_eq!(result.err(), Some(Error::WrappedKeyInvalid));
        }
        let result = wrap::unwrap(row, &Params::None, &key, &wrapped[1..]);
        assert_eq!(result.err(), Some(Error::WrappedKeyLenRange));
    }
    assert_eq!(wrap::aes_kwp(&kek, &[]).err(), Some(Error::DataLenRange));
    assert_eq!(wrap::aes_kwp(&kek[1..], &[1]).err(), Some(Error::KeySizeRange));
    for length in 1..70 {
        let data = vec![1; length];
        assert_eq!(*wrap::aes_kwp_unwrap(&kek, &wrap::aes_kwp(&kek, &data).unwrap()).unwrap(), data);
    }
}

#[test]
fn keys_come_back_from_every_wrapping() {
    let (private, public) = rsa();
    let aes = secret(&[7; 32]);
    let ec = on_curve(P256).0.to_material().unwrap();
    let value = [5; 32];
    let cases = [
        (M::RSA_PKCS, Params::None, public, private, &value[..]),
        (M::RSA_PKCS_OAEP, Params::Oaep(oaep()), public, private, &value),
        (M::RSA_AES_KEY_WRAP, rsa_aes(128), public, private, &ec),
        (M::RSA_AES_KEY_WRAP, rsa_aes(256), public, private, &value),
        (M::AES_KEY_WRAP, Params::None, &aes, &aes, &value),
        (M::AES_KEY_WRAP_KWP, Params::None, &aes, &aes, &ec),
        (M::AES_CBC_PAD, Params::Bytes(vec![0; 16].into()), &aes, &aes, &ec),
        (
            M::AES_GCM,
            Params::Gcm { iv: vec![1; 12].into(), aad: Bytes::default(), tag_bits: 128 },
            &aes,
            &aes,
            &ec,
        ),
    ];
    for (r#type, params, wrapping, unwrapping, material) in cases {
        let wrapped = wrap::wrap(row(r#type), &params, wrapping, material).unwrap();
        assert_eq!(**wrap::unwrap(row(r#type), &params, unwrapping, &wrapped).unwrap(), *material, "{type}");
    }
    let wrapped = wrap::wrap(row(M::RSA_AES_KEY_WRAP), &rsa_aes(192), public, &ec).unwrap();
    let material = wrap::unwrap(row(M::RSA_AES_KEY_WRAP), &rsa_aes(192), private, &wrapped).unwrap();
    Key::from_untrusted(ObjectClass::PRIVATE_KEY, KeyType::EC, &material).unwrap();
}

#[test]
fn import_functions_agree_with_the_mechanisms() {
    let (private, public) = rsa();
    let data = vec![8; 100];
    let wrapped = wrap::rsa_oaep(public, Hash::Sha256, &data).unwrap();
    let row_oaep = row(M::RSA_PKCS_OAEP);
    assert_eq!(*wrap::unwrap(row_oaep, &Params::Oaep(oaep()), private, &wrapped).unwrap(), data);
    let wrapped = wrap::wrap(row_oaep, &Params::Oaep(oaep()), public, &data).unwrap();
    assert_eq!(*wrap::rsa_oaep_unwrap(private, Hash::Sha256, &wrapped).unwrap(), data);
    let wrapped = wrap::rsa_aes_key_wrap(public, Hash::Sha256, &data).unwrap();
    let both = row(M::RSA_AES_KEY_WRAP);
    assert_eq!(*wrap::unwrap(both, &rsa_aes(256), private, &wrapped).unwrap(), data);
    for bits in [128, 192, 256] {
        let wrapped = wrap::wrap(both, &rsa_aes(bits), public, &data).unwrap();
        assert_eq!(*wrap::rsa_aes_key_unwrap(private, Hash::Sha256, &wrapped).unwrap(), data);
    }
}

#[test]
fn every_forgery_of_both_parts_has_one_answer() {
    let (private, public) = rsa();
    let wrapped = wrap::rsa_aes_key_wrap(public, Hash::Sha256, &[8; 40]).unwrap();
    let both = row(M::RSA_AES_KEY_WRAP);
    let mut forgeries: Vec<Vec<u8>> = [0, 100, 255, 256, 270, wrapped.len() - 1]
        .iter()
        .map(|position| {
            let mut forged = wrapped.clone();
            forged[*position] ^= 1;
            forged
        })
        .collect();
    forgeries.push(wrapped[..256].to_vec());
    forgeries.push(wrapped[..wrapped.len() - 1].to_vec());
    // A wrapped key that is no AES key.
    let odd = wrap::rsa_oaep(public, Hash::Sha256, &[1; 20]).unwrap();
    forgeries.push([&odd[..], &wrapped[256..]].concat());
    for forged in forgeries {
        let result = wrap::rsa_aes_key_unwrap(private, Hash::Sha256, &forged);
        assert_eq!(result.err(), Some(Error::WrappedKeyInvalid));
        let result = wrap::unwrap(both, &rsa_aes(256), private, &forged);
        assert_eq!(result.err(), Some(Error::WrappedKeyInvalid));
    }
    let result = wrap::unwrap(both, &rsa_aes(128), private, &wrapped);
    assert_eq!(result.err(), Some(Error::WrappedKeyInvalid));
    let result = wrap::unwrap(both, &rsa_aes(256), private, &wrapped[..255]);
    assert_eq!(result.err(), Some(Error::WrappedKeyLenRange));
}

#[test]
fn wrong_keys_sizes_and_parameters_are_named_by_their_role() {
    let (private, public) = rsa();
    let aes = secret(&[7; 32]);
    let short = secret(&[7; 20]);
    let wrapped = [0; 256];
    for (r#type, params) in [
        (M::RSA_PKCS, Params::None),
        (M::RSA_PKCS_OAEP, Params::Oaep(oaep())),
        (M::RSA_AES_KEY_WRAP, rsa_aes(256)),
    ] {
        let row = row(r#type);
        for wrong in [&aes, private, &on_curve(P256).1] {
            let result = wrap::wrap(row, &params, wrong, &[1; 16]);
            let error = result.err().unwrap();
            // An AES key and a curve are out of range as well; the type is what counts where both are wrong.
            assert_eq!(error, Error::WrappingKeyTypeInconsistent, "{type}");
        }
        let result = wrap::unwrap(row, &params, public, &wrapped);
        assert_eq!(result.err(), Some(Error::UnwrappingKeyTypeInconsistent));
    }
    let kwp = row(M::AES_KEY_WRAP_KWP);
    assert_eq!(wrap::wrap(kwp, &Params::None, &short, &[1]).err(), Some(Error::WrappingKeySizeRange));
    assert_eq!(wrap::unwrap(kwp, &Params::None, &short, &wrapped).err(), Some(Error::UnwrappingKeySizeRange));
    assert_eq!(wrap::wrap(kwp, &Params::None, public, &[1]).err(), Some(Error::WrappingKeyTypeInconsistent));
    let result = wrap::wrap(row(M::RSA_PKCS_OAEP), &Params::Oaep(oaep()), public, &[1; 200]);
    assert_eq!(result.err(), Some(Error::KeySizeRange));
    for bits in [0, 64, 255, 512] {
        let result = wrap::wrap(row(M::RSA_AES_KEY_WRAP), &rsa_aes(bits), public, &[1]);
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    }
    let result = wrap::wrap(row(M::SHA256), &Params::None, &aes, &[1]);
    assert_eq!(result.err(), Some(Error::MechanismInvalid));
}

#[test]
fn ecdh_aes_key_wrap_comes_back() {
    use claviger_protocol::flags::kdf;
    let x25519 = super::pair(
        M::EC_MONTGOMERY_KEY_PAIR_GEN,
        vec![(claviger_protocol::AttributeType::EC_PARAMS, super::bytes(b"\x06\x03\x2b\x65\x6e"))],
    );
    for (r#type, (private, public), point) in [
        (M::ECDH_AES_KEY_WRAP, on_curve(P256), 65),
        (M::ECDH_COF_AES_KEY_WRAP, on_curve(P256), 65),
        (M::ECDH_X_AES_KEY_WRAP, x25519, 32),
    ] {
        for (aes_key_bits, number) in [(128, kdf::NULL), (256, kdf::SHA256_KDF)] {
            let shared_data: Bytes = if number == kdf::NULL { b""[..].into() } else { b"shared"[..].into() };
            let params = Params::EcdhAesKeyWrap { aes_key_bits, kdf: number, shared_data };
            let wrapped = wrap::wrap(row(r#type), &params, &public, &[5; 33]).unwrap();
            assert_eq!(wrapped.len(), point + 48);
            assert_eq!(*wrap::unwrap(row(r#type), &params, &private, &wrapped).unwrap(), [5; 33]);
            for position in [1, point / 2, point + 3] {
                let mut forged = wrapped.to_vec();
                forged[position] ^= 1;
                let result = wrap::unwrap(row(r#type), &params, &private, &forged);
                assert_eq!(result.err(), Some(Error::WrappedKeyInvalid), "{type} {position}");
            }
            let result = wrap::unwrap(row(r#type), &params, &private, &wrapped[..20]);
            assert_eq!(result.err(), Some(Error::WrappedKeyLenRange));
        }
    }
}

/// The bare value, filled up with zeros.
#[test]
fn block_ciphers_wrap_what_is_no_whole_block() {
    let key = secret(&[7; 16]);
    for (r#type, params) in [(M::AES_ECB, Params::None), (M::AES_CBC, Params::Bytes(vec![0; 16].into()))] {
        let wrapped = wrap::wrap(row(r#type), &params, &key, &[5; 20]).unwrap();
        let value = wrap::unwrap(row(r#type), &params, &key, &wrapped).unwrap();
        assert_eq!(value[..], [[5; 20].as_slice(), &[0; 12]].concat());
    }
}
