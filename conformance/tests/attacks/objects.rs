//! A14, A15, A17, A19, A20: copies, forged history, what is seen before login, nonces, wiping.

use super::*;

#[test]
fn a14_a_copy_or_change_only_tightens_in_every_profile() {
    for profile in ["standard", "strict", "legacy"] {
        let ring = Strict::of(profile);
        let (raw, session) = (ring.raw(), ring.session);
        let public_copy = [flag(A::PRIVATE, false)];
        // Attribute, and the value that protects.
        let lattice = [
            (A::SENSITIVE, true),
            (A::EXTRACTABLE, false),
            (A::WRAP_WITH_TRUSTED, true),
            (A::COPYABLE, false),
        ];
        for (r#type, protects) in lattice {
            for from in [false, true] {
                let template = [flag(A::DECRYPT, true), flag(r#type, from)];
                let key = ring.aes(32, &template).unwrap();
                for to in [false, true] {
                    let (tightens, change) = (from == to || to == protects, [flag(r#type, to)]);
                    if r#type != A::COPYABLE || from {
                        let copy = raw.copy_object(session, key, &change);
                        assert_eq!(copy.is_ok(), tightens, "{profile}: copy {type} from {from} to {to}");
                        assert!(copy.is_ok() || copy == Err(Rv::ATTRIBUTE_READ_ONLY));
                        if let Ok(copy) = copy {
                            assert!(raw.copy_object(session, copy, &public_copy).is_err());
                            raw.destroy_object(session, copy).unwrap();
                        }
                    } else {
                        assert_eq!(raw.copy_object(session, key, &[]), Err(Rv::ACTION_PROHIBITED));
                    }
                }
                for to in [!protects, protects] {
                    // What has become tight is read-only, whatever it is set to (footnotes 11 and 12).
                    let tightens = ring.is(key, r#type) != protects;
                    let change = raw.set_attributes(session, key, &[flag(r#type, to)]);
                    assert_eq!(change.is_ok(), tightens, "{profile}: set {type} from {from} to {to}");
                }
            }
        }
        let fixed = ring.aes(32, &[flag(A::MODIFIABLE, false)]).unwrap();
        assert!(raw.copy_object(session, fixed, &[flag(A::MODIFIABLE, true)]).is_err());
        assert_eq!(raw.set_attributes(session, fixed, &[bytes(A::ID, b"x")]), Err(Rv::ACTION_PROHIBITED));
    }
}

#[test]
fn a15_history_cannot_be_forged() {
    let strict = Strict::new();
    let (raw, session) = (strict.raw(), strict.session);
    let wrapper = strict.wrapper(32);
    let wrapped = strict.wrap(&KWP, wrapper, strict.target(32)).unwrap();
    let base = strict.setup.app.secret(session, 32, &usage(&[A::DERIVE])).unwrap();
    let key = strict.aes(32, &[]).unwrap();
    for r#type in [A::LOCAL, A::ALWAYS_SENSITIVE, A::NEVER_EXTRACTABLE] {
        for value in [true, false] {
            let forged = flag(r#type, value);
            let create =
                [&secret_key(KeyType::AES, &[7; 32], &[])[..], std::slice::from_ref(&forged)].concat();
            let derive = [key_type(KeyType::AES), ulong(A::VALUE_LEN, 32), forged.clone()];
            let pair = [bytes(A::EC_PARAMS, curve::P256)];
            let forged = std::slice::from_ref(&forged);
            let sha256 = M::SHA256_KEY_DERIVATION.into();
            for (path, made) in [
                ("C_CreateObject", raw.create_object(session, &create)),
                ("C_GenerateKey", strict.aes(32, forged)),
                (
                    "C_GenerateKeyPair",
                    raw.generate_key_pair(session, &M::EC_KEY_PAIR_GEN.into(), &pair, forged).map(|k| k.1),
                ),
                ("C_UnwrapKey", strict.unwrap(wrapper, &wrapped, forged)),
                ("C_DeriveKey", raw.derive_key(session, &sha256, base, &derive)),
                ("C_CopyObject", raw.copy_object(session, key, forged)),
                ("C_SetAttributeValue", raw.set_attributes(session, key, forged).map(|()| 0)),
            ] {
                assert_eq!(made, Err(Rv::ATTRIBUTE_READ_ONLY), "{path} {type} {value}");
            }
        }
    }
}

/// What an application without a login sees of a ring.
fn seen(ring: &Strict, hidden: &[u64]) -> Vec<String> {
    let app = Application::on(ring.setup.daemon);
    let session = app.open(&ring.setup.ring);
    let found = app.raw.find(session, &[]).unwrap();
    let mut seen = vec![format!("{} objects", found.len())];
    let info = app.raw.token_info(app.slot(&ring.setup.ring)).unwrap();
    let free = (info.ulFreePrivateMemory, info.ulFreePublicMemory, info.ulTotalPrivateMemory);
    seen.push(format!("{free:?} {}", info.ulSessionCount));
    for handle in hidden.iter().copied().chain([1, 77, u64::MAX]) {
        let answers = (
            app.raw.attribute(session, handle, A::LABEL).err(),
            app.raw.object_size(session, handle).err(),
            app.raw.copy_object(session, handle, &[]).err(),
            app.raw.destroy_object(session, handle).err(),
            app.raw.start(Operation::Encrypt, session, Some(&M::AES_CTR.into()), handle).err(),
        );
        seen.push(format!("{answers:?}"));
    }
    seen.dedup();
    seen
}

#[test]
fn a17_private_objects_are_not_there_before_login() {
    let with = Strict::new();
    let hidden: Vec<u64> =
        (0..5).map(|i| with.aes(32, &on_token(&format!("private {i}"))).unwrap()).collect();
    let without = Strict::new();
    assert_eq!(seen(&with, &hidden), seen(&without, &[]));
}

#[test]
fn a19_a_key_makes_no_more_gcm_encryptions_than_its_limit() {
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    let config = "[kms]\nstrict_gcm_encryptions = 5\n";
    std::fs::write(daemon.directory().join("clavigerd.toml"), config).unwrap();
    daemon.restart();
    for (profile, limited) in [("strict", true), ("standard", false)] {
        let ring = Ring::create(&daemon, &["--profile", profile]);
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        for template in [vec![], on_token("key")] {
            let key = app.aes(session, 32, &template).unwrap();
            let encrypt = |number: u8| {
                let gcm = Mechanism::gcm(&[number; 12], b"", 128);
                app.raw.start(Operation::Encrypt, session, Some(&gcm), key)?;
                let output = app.raw.one_shot(Operation::Encrypt, session, b"data", Room::Bytes(64));
                if output.rv == Rv::OK { Ok(output.data) } else { Err(output.rv) }
            };
            let mut last = Vec::new();
            for number in 0..5 {
                last = encrypt(number).unwrap();
            }
            let sixth = encrypt(5).map(drop);
            let expected = if limited { Err(Rv::KEY_FUNCTION_NOT_PERMITTED) } else { Ok(()) };
            assert_eq!(sixth, expected, "{profile}");
            let gcm = Mechanism::gcm(&[4; 12], b"", 128);
            app.raw.start(Operation::Decrypt, session, Some(&gcm), key).unwrap();
            let plain = app.raw.one_shot(Operation::Decrypt, session, &last, Room::Bytes(64)).unwrap();
            assert_eq!(plain, b"data", "what is encrypted can be decrypted for ever");
        }
    }
}

#[test]
fn a19_copies_of_a_key_make_no_more_gcm_encryptions_than_it_alone() {
    const LIMIT: usize = 16;
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    let config = format!("[kms]\nstrict_gcm_encryptions = {LIMIT}\n");
    std::fs::write(daemon.directory().join("clavigerd.toml"), config).unwrap();
    daemon.restart();
    let ring = Ring::create(&daemon, &["--profile", "strict"]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let nonces = std::cell::Cell::new(0u64);
    let encrypts = |key: u64| {
        nonces.set(nonces.get() + 1);
        let gcm = Mechanism::gcm(&[&nonces.get().to_le_bytes()[..], &[0; 4]].concat(), b"", 128);
        match app.raw.start(Operation::Encrypt, session, Some(&gcm), key) {
            Ok(()) => app.raw.one_shot(Operation::Encrypt, session, b"data", Room::Bytes(64)).rv == Rv::OK,
            Err(rv) => {
                assert_eq!(rv, Rv::KEY_FUNCTION_NOT_PERMITTED);
                false
            }
        }
    };
    let copied = |key: u64, on_token: bool| app.raw.copy_object(session, key, &[token(on_token)]).unwrap();
    for first_on_token in [false, true] {
        let key = app.aes(session, 32, &[token(first_on_token), label("key")]).unwrap();
        let mut made = (0..3).filter(|_| encrypts(key)).count();
        assert_eq!(made, 3);
        let mut all = vec![key];
        for on_token in [false, true, false, true] {
            // Of the first, and of the copy before.
            all.push(copied(key, on_token));
            all.push(copied(all[all.len() - 2], on_token));
        }
        // A daemon that is killed forgets none of it.
        if first_on_token {
            daemon.kill();
            daemon.restart();
            all.retain(|key| app.raw.attribute(session, *key, A::TOKEN) == Ok(vec![1]));
        }
        for key in all {
            made += (0..=LIMIT).filter(|_| encrypts(key)).count();
        }
        println!("{made} encryptions of {LIMIT} with a key and its eight copies");
        assert!(made > 3 && made <= LIMIT, "{made}");
    }
}

#[test]
fn a20_wiping_a_token_takes_the_so_and_loses_nothing() {
    let strict = Strict::new();
    let (raw, ring) = (strict.raw(), &strict.setup.ring);
    let slot = strict.setup.app.slot(ring);
    strict.aes(32, &on_token("survivor")).unwrap();
    assert_eq!(raw.init_token(slot, ring.so_pin.as_bytes(), "wiped"), Err(Rv::SESSION_EXISTS));
    let seen = strict.as_so(|app, session| {
        let found = app.raw.find(session, &[label("survivor")]).unwrap();
        (found.len(), app.raw.set_pin(session, b"no", b"another-so-pin"))
    });
    assert_eq!(seen, (0, Err(Rv::PIN_INCORRECT)), "the security officer reads nothing private");
    raw.close_all_sessions(slot).unwrap();
    for wrong in [ring.user_pin.as_bytes(), b"nonsense"] {
        assert_eq!(raw.init_token(slot, wrong, "wiped"), Err(Rv::PIN_INCORRECT));
    }
    raw.init_token(slot, ring.so_pin.as_bytes(), "wiped").unwrap();
    let session = raw.open_session(slot, 6).unwrap();
    assert_eq!(raw.login(session, 1, Some(ring.user_pin.as_bytes())), Err(Rv::USER_PIN_NOT_INITIALIZED));
    let versions = ["keys", "versions", "list", "--keyring", &ring.name, "--key", "survivor"];
    let versions = strict.setup.daemon.admin().json(versions);
    assert_eq!(versions[0]["state"], "DESTROY_SCHEDULED");
}

#[test]
fn a20_wiping_schedules_even_where_destroying_is_immediate() {
    let setup = Setup::with(&["--profile", "strict", "--p11-destroy", "immediate"]);
    let session = setup.app.login(&setup.ring);
    setup.app.aes(session, 32, &on_token("survivor")).unwrap();
    let slot = setup.app.slot(&setup.ring);
    setup.app.raw.close_all_sessions(slot).unwrap();
    setup.app.raw.init_token(slot, setup.ring.so_pin.as_bytes(), "wiped").unwrap();
    let versions = ["keys", "versions", "list", "--keyring", &setup.ring.name, "--key", "survivor"];
    assert_eq!(setup.daemon.admin().json(versions)[0]["state"], "DESTROY_SCHEDULED");
}
