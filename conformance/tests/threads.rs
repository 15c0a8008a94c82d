//! Many threads and many processes at once.

use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;
use claviger_protocol::flags::user;
use cryptoki_sys::{CKF_RW_SESSION, CKF_SERIAL_SESSION};

const RW: u64 = CKF_RW_SESSION | CKF_SERIAL_SESSION;

#[test]
fn threads_sign_with_one_key_and_every_signature_is_good() {
    let setup = Setup::new();
    let main = setup.app.login(&setup.ring);
    let (public, private) = setup.app.ec(main, curve::P256, &on_token("shared")).unwrap();
    let spki = setup.app.raw.attribute(main, public, A::PUBLIC_KEY_INFO).unwrap();
    let key = openssl::pkey::PKey::public_key_from_der(&spki).unwrap().ec_key().unwrap();
    let slot = setup.app.slot(&setup.ring);
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (raw, key) = (&setup.app.raw, &key);
            scope.spawn(move || {
                let session = raw.open_session(slot, RW).unwrap();
                for n in 0..50u8 {
                    let hash = [[thread, n].as_slice(), &[7; 30]].concat();
                    raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private).unwrap();
                    let signature = raw.one_shot(Operation::Sign, session, &hash, Room::Bytes(64)).unwrap();
                    let part = |half: &[u8]| openssl::bn::BigNum::from_slice(half).unwrap();
                    let signature = openssl::ecdsa::EcdsaSig::from_private_components(
                        part(&signature[..32]),
                        part(&signature[32..]),
                    );
                    assert!(signature.unwrap().verify(&hash, key).unwrap(), "thread {thread}, signature {n}");
                }
                raw.close_session(session).unwrap();
            });
        }
    });
}

#[test]
fn threads_with_their_own_objects_do_not_meet() {
    let setup = Setup::new();
    let main = setup.app.login(&setup.ring);
    let slot = setup.app.slot(&setup.ring);
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let app = &setup.app;
            scope.spawn(move || {
                let session = app.raw.open_session(slot, RW).unwrap();
                for n in 0..20u8 {
                    let value = [thread, n].repeat(16);
                    let key = app.known(session, KeyType::AES, &value, &[A::ENCRYPT]);
                    app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
                    let output =
                        app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).unwrap();
                    let cipher = openssl::symm::Cipher::aes_256_ecb();
                    let expected = openssl::symm::encrypt(cipher, &value, None, &[0; 16]).unwrap();
                    assert_eq!(output, expected[..16]);
                    app.raw.destroy_object(session, key).unwrap();
                }
                app.raw.close_session(session).unwrap();
            });
        }
    });
    assert_eq!(setup.app.raw.find(main, &[]), Ok(vec![]));
    assert_eq!(setup.app.raw.token_info(slot).unwrap().ulSessionCount, 1);
}

#[test]
fn threads_on_one_session_disturb_each_other_and_nobody_else() {
    // PKCS#11 3.2, section 5.2: operations of one session are one at a time; the outcome is one of these.
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let key = setup.app.aes(session, 16, &[]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let raw = &setup.app.raw;
            scope.spawn(move || {
                for _ in 0..50 {
                    let start = raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key);
                    assert!(matches!(start, Ok(()) | Err(Rv::OPERATION_ACTIVE)), "{start:?}");
                    let output = raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16));
                    assert!(matches!(output.rv, Rv::OK | Rv::OPERATION_NOT_INITIALIZED), "{}", output.rv);
                }
            });
        }
    });
    let _ = setup.app.raw.start(Operation::Encrypt, session, None, 0);
    setup.app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
    assert_eq!(setup.app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).rv, Rv::OK);
}

#[test]
fn of_logins_at_once_one_is_the_first() {
    let setup = Setup::new();
    let slot = setup.app.slot(&setup.ring);
    let barrier = Barrier::new(4);
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let session = setup.app.raw.open_session(slot, RW).unwrap();
                    barrier.wait();
                    setup.app.raw.login(session, user::USER, Some(setup.ring.user_pin.as_bytes()))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    results.sort_by_key(|result| result.is_err());
    assert_eq!(results[0], Ok(()));
    assert!(
        results[1..].iter().all(|result| matches!(result, Ok(()) | Err(Rv::USER_ALREADY_LOGGED_IN))),
        "{results:?}"
    );
}

#[test]
fn slow_key_generation_holds_up_nobody_else() {
    let setup = Setup::new();
    let main = setup.app.login(&setup.ring);
    let (_, private) = setup.app.ec(main, curve::P256, &on_token("signer")).unwrap();
    let other = Application::on(setup.daemon);
    let generator = setup.app.open(&setup.ring);
    let signers = [(&setup.app, setup.app.open(&setup.ring)), (&other, other.login(&setup.ring))];
    let (generating, begun) = (&AtomicBool::new(true), &Barrier::new(3));
    // Signatures while the generation was on: by another thread of the application, by another application.
    let signed = &[AtomicU32::new(0), AtomicU32::new(0)];
    std::thread::scope(|scope| {
        let app = &setup.app;
        scope.spawn(move || {
            begun.wait();
            for _ in 0..2 {
                app.rsa(generator, 4096, &[]).unwrap();
            }
            generating.store(false, Ordering::SeqCst);
        });
        for ((app, session), count) in signers.into_iter().zip(signed) {
            scope.spawn(move || {
                begun.wait();
                while generating.load(Ordering::SeqCst) {
                    app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private).unwrap();
                    let output = app.raw.one_shot(Operation::Sign, session, &[9; 32], Room::Bytes(64));
                    assert_eq!(output.rv, Rv::OK);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    // Each would have one or two if it had to wait for the generation.
    let signed = signed.each_ref().map(|count| count.load(Ordering::SeqCst));
    assert!(signed.iter().all(|count| *count > 20), "{signed:?}");
}

#[test]
fn sixteen_processes_start_at_once() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    setup.app.ec(session, curve::P256, &on_token("key")).unwrap();
    let children: Vec<_> = (0..16)
        .map(|_| {
            Command::new(artefacts::client())
                .arg("sign")
                .arg(artefacts::module())
                .args([&setup.ring.label, "10"])
                .env("CLAVIGER_SOCKET", setup.daemon.pkcs11_socket())
                .env("PIN", &setup.ring.user_pin)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "signed 10\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
