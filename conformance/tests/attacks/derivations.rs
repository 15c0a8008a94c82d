//! A10 to A13: what is derived from a key, or digested of it.

use claviger_conformance::attribute::template;
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::nid::Nid;

use super::*;

/// A generic secret that derives, of random bytes, with more attributes.
fn base(strict: &Strict, bytes: u64, more: &[Attribute]) -> u64 {
    let template = [&usage(&[A::DERIVE]), more].concat();
    strict.setup.app.secret(strict.session, bytes, &template).unwrap()
}

#[test]
fn a10_a11_no_prefix_is_short_enough_to_be_guessed() {
    let strict = Strict::new();
    let base = base(&strict, 32, &[]);
    for length in 1..=32u64 {
        for mechanism in
            [&M::SHA256_KEY_DERIVATION.into(), &*structure::hkdf(M::HKDF_DERIVE, M::SHA256, b"salt", b"info")]
        {
            let wanted = [key_type(KeyType::GENERIC_SECRET), ulong(A::VALUE_LEN, length)];
            let derived = strict.raw().derive_key(strict.session, mechanism, base, &wanted);
            let expected = if length < 16 { Err(Rv::KEY_SIZE_RANGE) } else { Ok(()) };
            assert_eq!(derived.map(drop), expected, "{} of {length} bytes", mechanism.r#type);
        }
    }
}

#[test]
fn a11_what_is_derived_is_no_less_protected() {
    let strict = Strict::new();
    let derive = |base, more: &[Attribute]| {
        let wanted = [&[key_type(KeyType::GENERIC_SECRET), ulong(A::VALUE_LEN, 32)], more].concat();
        strict.raw().derive_key(strict.session, &M::SHA256_KEY_DERIVATION.into(), base, &wanted)
    };
    let hidden = base(&strict, 32, &[]);
    assert_eq!(derive(hidden, &[flag(A::SENSITIVE, false)]), Err(CONFLICT));
    assert_eq!(derive(hidden, &[flag(A::EXTRACTABLE, true)]), Err(CONFLICT));
    let derived = derive(hidden, &[]).unwrap();
    for (r#type, expected) in [(A::SENSITIVE, true), (A::EXTRACTABLE, false), (A::LOCAL, false)] {
        assert_eq!(strict.is(derived, r#type), expected, "{type}");
    }
    let readable = base(&strict, 32, &[flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)]);
    let open = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let derived = derive(readable, &open).unwrap();
    assert_eq!(strict.raw().attribute(strict.session, derived, A::VALUE).map(|v| v.len()), Ok(32));
    // The template of the base key is obeyed, to the letter.
    let demanded = base(&strict, 32, &[template(A::DERIVE_TEMPLATE, &[bytes(A::ID, b"abc")])]);
    assert_eq!(derive(demanded, &[bytes(A::ID, b"abd")]), Err(CONFLICT));
    let derived = derive(demanded, &[]).unwrap();
    assert_eq!(strict.raw().attribute(strict.session, derived, A::ID), Ok(b"abc".to_vec()));
}

#[test]
fn a11_data_is_derived_only_where_keys_may_be_read() {
    let strict = Strict::new();
    let data = structure::hkdf(M::HKDF_DATA, M::SHA256, b"salt", b"info");
    let wanted = [ulong(A::VALUE_LEN, 32)];
    let derive = |base| strict.raw().derive_key(strict.session, &data, base, &wanted);
    // It would be the value of the key that HKDF gives for the same salt and info.
    assert_eq!(derive(base(&strict, 32, &[])), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    assert!(derive(base(&strict, 32, &[flag(A::SENSITIVE, false)])).is_ok());
    let open = template(A::DERIVE_TEMPLATE, &[flag(A::SENSITIVE, false)]);
    assert!(derive(base(&strict, 32, &[open])).is_ok());
}

#[test]
fn a12_a_shared_secret_is_read_only_where_the_base_key_says_so() {
    let strict = Strict::new();
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let peer = EcKey::generate(&group).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let point = peer.public_key().to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context).unwrap();
    let agree = |private, more: &[Attribute]| {
        let wanted = [&[key_type(KeyType::GENERIC_SECRET), ulong(A::VALUE_LEN, 32)], more].concat();
        strict.raw().derive_key(strict.session, &structure::ecdh(1, b"", &point), private, &wanted)
    };
    let pair = |more: &[Attribute]| {
        let generate = M::EC_KEY_PAIR_GEN.into();
        let private = [&usage(&[A::DERIVE]), more].concat();
        let public = [bytes(A::EC_PARAMS, curve::P256)];
        strict.raw().generate_key_pair(strict.session, &generate, &public, &private).unwrap().1
    };
    let open = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let closed = pair(&[]);
    assert_eq!(agree(closed, &open), Err(CONFLICT));
    assert!(strict.is(agree(closed, &[]).unwrap(), A::SENSITIVE));
    // As a TLS library needs it.
    let tls = pair(&[template(A::DERIVE_TEMPLATE, &open)]);
    let secret = agree(tls, &open).unwrap();
    assert_eq!(strict.raw().attribute(strict.session, secret, A::VALUE).map(|value| value.len()), Ok(32));
    assert_eq!(strict.raw().attribute(strict.session, tls, A::VALUE), Err(Rv::ATTRIBUTE_SENSITIVE));
}

#[test]
fn a13_only_a_long_key_that_may_be_read_is_digested() {
    let strict = Strict::new();
    let digest = |key| {
        strict.raw().start(Operation::Digest, strict.session, Some(&M::SHA256.into()), 0).unwrap();
        let fed = strict.raw().digest_key(strict.session, key);
        strict.raw().finish(Operation::Digest, strict.session, Room::Bytes(32)).unwrap();
        fed
    };
    let secret = |bytes, more: &[Attribute]| strict.setup.app.secret(strict.session, bytes, more).unwrap();
    let open = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    assert_eq!(digest(secret(32, &[])), Err(Rv::KEY_INDIGESTIBLE));
    assert_eq!(digest(secret(8, &open)), Err(Rv::KEY_SIZE_RANGE));
    assert_eq!(digest(secret(16, &open)), Ok(()));
    let standard = Strict::of("standard");
    let short = standard.setup.app.secret(standard.session, 8, &[]).unwrap();
    let raw = standard.raw();
    raw.start(Operation::Digest, standard.session, Some(&M::SHA256.into()), 0).unwrap();
    assert_eq!(raw.digest_key(standard.session, short), Err(Rv::KEY_SIZE_RANGE), "short, in any profile");
}
