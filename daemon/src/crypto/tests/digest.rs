//! FIPS 180-4's examples ("abc"), and saved states.

use claviger_protocol::MechanismType as M;
use claviger_protocol::params::Params;

use super::super::Digest;
use super::{hex, row, secret};
use crate::error::Error;

const ABC: &[(M, &str)] = &[
    (M::SHA_1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (M::SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    (M::SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        M::SHA384,
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    ),
    (
        M::SHA512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd
         454d4423643ce80e2a9ac94fa54ca49f",
    ),
];

fn start(r#type: M) -> Digest {
    Digest::new(row(r#type), &Params::None).unwrap()
}

#[test]
fn known_answers() {
    for (r#type, expected) in ABC {
        let mut digest = start(*r#type);
        digest.update(b"a").unwrap();
        let copy = digest.try_clone().unwrap();
        for mut digest in [digest, copy] {
            digest.update(b"").unwrap();
            digest.update(b"bc").unwrap();
            assert_eq!(digest.length(), hex(expected).len());
            assert_eq!(digest.finish().unwrap()[..], hex(expected), "{type}");
        }
    }
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let data: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
    for (r#type, _) in ABC {
        for cut in [0, 1, 55, 63, 64, 65, 127, 128, 129, 500, 999] {
            let mut whole = start(*r#type);
            whole.update(&data[..cut]).unwrap();
            let saved = whole.save().unwrap();
            whole.update(&data[cut..]).unwrap();
            let mut restored = Digest::restore(row(*r#type), &saved).unwrap();
            restored.update(&data[cut..]).unwrap();
            // A second implementation: the one behind EVP_MD.
            let md = super::super::algorithm::md(match row(*r#type).recipe {
                claviger_protocol::mechanism::Recipe::Digest(hash) => hash,
                _ => unreachable!(),
            })
            .unwrap();
            let mut context = openssl::md_ctx::MdCtx::new().unwrap();
            context.digest_init(md).unwrap();
            context.digest_update(&data).unwrap();
            let mut expected = [0; 64];
            let length = context.digest_final(&mut expected).unwrap();
            assert_eq!(whole.finish().unwrap()[..], expected[..length], "{type} {cut}");
            assert_eq!(restored.finish().unwrap()[..], expected[..length], "{type} {cut}");
        }
    }
}

#[test]
fn what_is_no_saved_state_is_refused() {
    let mut digest = start(M::SHA256);
    digest.update(b"some data").unwrap();
    let saved = digest.save().unwrap();
    let refused = |r#type, saved: &[u8]| Digest::restore(row(r#type), saved).err();
    assert_eq!(refused(M::SHA256, &saved), None);
    assert_eq!(refused(M::SHA224, &saved), Some(Error::SavedStateInvalid));
    assert_eq!(refused(M::SHA256, &saved[..saved.len() - 1]), Some(Error::SavedStateInvalid));
    assert_eq!(refused(M::SHA256, &[&saved[..], &[0]].concat()), Some(Error::SavedStateInvalid));
    assert_eq!(refused(M::SHA256, &[]), Some(Error::SavedStateInvalid));
    let mut other_version = saved.to_vec();
    other_version[0] = 9;
    assert_eq!(refused(M::SHA256, &other_version), Some(Error::SavedStateInvalid));
}

#[test]
fn a_digested_key_is_never_shown() {
    let mut digest = start(M::SHA256);
    digest.update_key(&secret(b"abc")).unwrap();
    assert_eq!(digest.save().err(), Some(Error::StateUnsaveable));
    assert_eq!(digest.try_clone().unwrap().save().err(), Some(Error::StateUnsaveable));
    assert_eq!(digest.finish().unwrap()[..], hex(ABC[2].1));
    let (private, _) = super::on_curve(super::P256);
    assert_eq!(start(M::SHA256).update_key(&private).err(), Some(Error::KeyIndigestible));
}

#[test]
fn parameters_and_other_mechanisms_are_refused() {
    assert_eq!(Digest::new(row(M::SHA256), &Params::Ulong(1)).err(), Some(Error::MechanismParamInvalid));
    assert_eq!(Digest::new(row(M::AES_CBC), &Params::None).err(), Some(Error::MechanismInvalid));
}
