//! The four attacks that break most tokens, on a default key in `standard` and `legacy`: it is sensitive and not
//! extractable, and so it is in any profile.

use super::*;

/// Tries all four on a key; gives the value, if one of them has it.
fn attack(ring: &Strict, victim: u64) -> Option<(&'static str, Vec<u8>)> {
    let (raw, session) = (ring.raw(), ring.session);
    let ecb = Mechanism::new(M::AES_ECB);
    let readable = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let secret = [&[class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)], &readable[..]].concat();
    let read = |key| raw.attribute(session, key, A::VALUE).ok();

    // Clulow: a key that wraps and decrypts.
    if let Ok(both) = ring.aes(32, &usage(&[A::WRAP, A::DECRYPT, A::UNWRAP])) {
        for mechanism in [&ecb, &Mechanism::new(M::AES_KEY_WRAP), &*KWP] {
            let wrapped = ring.wrap(mechanism, both, victim);
            if let Some(value) =
                wrapped.ok().and_then(|w| ring.crypt(Operation::Decrypt, mechanism, both, &w).ok())
            {
                return Some(("wrap and decrypt", value));
            }
        }
    }
    // The same with the roles one after the other.
    let toggled = ring.aes(32, &usage(&[A::WRAP])).unwrap();
    let wrapped = ring.wrap(&ecb, toggled, victim);
    let change = [flag(A::WRAP, false), flag(A::DECRYPT, true)];
    if let (Ok(wrapped), Ok(())) = (wrapped, raw.set_attributes(session, toggled, &change))
        && let Ok(value) = ring.crypt(Operation::Decrypt, &ecb, toggled, &wrapped)
    {
        return Some(("WRAP to DECRYPT", value));
    }
    // Out and in again, with other attributes.
    let wrapper = ring.aes(32, &usage(&[A::WRAP, A::UNWRAP])).unwrap();
    if let Ok(wrapped) = ring.wrap(&KWP, wrapper, victim)
        && let Some(value) = raw.unwrap_key(session, &KWP, wrapper, &wrapped, &secret).ok().and_then(read)
    {
        return Some(("import again", value));
    }
    // Under a key that the attacker knows.
    let trojan = raw.create_object(session, &secret_key(KeyType::AES, &[7; 32], &[A::WRAP])).unwrap();
    if let Ok(value) = ring.wrap(&KWP, trojan, victim) {
        return Some(("trojan", value));
    }
    // And what needs no attack.
    for relaxed in [&readable[..1], &readable[1..], &readable[..]] {
        let _ = raw.set_attributes(session, victim, relaxed);
        if let Some(value) = raw.copy_object(session, victim, relaxed).ok().and_then(read) {
            return Some(("copy", value));
        }
    }
    read(victim).map(|value| ("read", value))
}

#[test]
fn a_default_key_withstands_all_four_in_every_profile() {
    for profile in ["standard", "legacy", "strict"] {
        let ring = Strict::of(profile);
        let generic = ring.setup.app.secret(ring.session, 32, &[]).unwrap();
        let (_, ec) = ring.setup.app.ec(ring.session, curve::P256, &[]).unwrap();
        let (_, rsa) = ring.setup.app.rsa(ring.session, 2048, &[]).unwrap();
        let on_token = ring.aes(32, &on_token("victim")).unwrap();
        for victim in [ring.aes(32, &[]).unwrap(), on_token, generic, ec, rsa] {
            assert!(ring.is(victim, A::SENSITIVE) && !ring.is(victim, A::EXTRACTABLE));
            assert_eq!(attack(&ring, victim).map(|(name, _)| name), None, "{profile}");
        }
    }
}

#[test]
fn a_key_that_was_made_extractable_withstands_them_in_strict_alone() {
    let leave = [flag(A::EXTRACTABLE, true)];
    let standard = Strict::of("standard");
    let victim = standard.aes(32, &leave).unwrap();
    assert!(attack(&standard, victim).is_some(), "the attacks here are real ones");
    let strict = Strict::new();
    for victim in [strict.aes(32, &leave).unwrap(), strict.target(32)] {
        assert_eq!(attack(&strict, victim).map(|(name, _)| name), None);
    }
}
