//! Every chapter of the standard through the `cryptoki` crate, as its users write it: with enums for mechanisms and
//! attributes and two calls for each buffer. What a safe wrapper cannot say is in `negative/`, in full depth a chapter is
//! in the file of its name.

use claviger_conformance::prelude::{Daemon, Setup};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::types::AuthPin;

/// DER of P-256's object identifier.
const P256: &[u8] = claviger_conformance::attribute::curve::P256;

fn setup() -> (Setup, Session) {
    let setup = Setup::new();
    let session = setup.app.cryptoki_login(&setup.ring);
    (setup, session)
}

fn aes(session: &Session) -> ObjectHandle {
    let template = [
        Attribute::ValueLen(16.into()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
        Attribute::Extractable(true),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap()
}

fn p256(session: &Session) -> (ObjectHandle, ObjectHandle) {
    let public = [Attribute::EcParams(P256.to_vec()), Attribute::Verify(true)];
    let private = [Attribute::Sign(true), Attribute::Derive(true)];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap()
}

#[test]
fn slots_tokens_and_mechanisms() {
    let daemon = Daemon::start();
    let app = claviger_conformance::prelude::Application::on(&daemon);
    let pkcs11 = &app.pkcs11;
    assert_eq!(pkcs11.get_library_info().unwrap().manufacturer_id(), "Claviger");
    assert_eq!(pkcs11.get_slot_event().unwrap(), None);
    let free = pkcs11.get_all_slots().unwrap();
    assert_eq!((free.len(), pkcs11.get_slots_with_initialized_token().unwrap().len()), (1, 0));
    let so_pin = AuthPin::new("so-pin".into());
    pkcs11.init_token(free[0], &so_pin, "made").unwrap();
    let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
    assert!(pkcs11.get_slot_info(slot).unwrap().token_present());
    assert_eq!(pkcs11.get_token_info(slot).unwrap().label(), "made");
    let mechanisms = pkcs11.get_mechanism_list(slot).unwrap();
    assert!(mechanisms.contains(&MechanismType::AES_GCM));
    let info = pkcs11.get_mechanism_info(slot, MechanismType::RSA_PKCS).unwrap();
    assert!(info.sign() && info.max_key_size() >= 4096);
    // A user PIN, set by the security officer and changed by the user.
    let session = pkcs11.open_rw_session(slot).unwrap();
    let (first, second) = (AuthPin::new("first-pin".into()), AuthPin::new("second-pin".into()));
    session.login(UserType::So, Some(&so_pin)).unwrap();
    session.init_pin(&first).unwrap();
    session.logout().unwrap();
    session.set_pin(&first, &second).unwrap();
    session.login(UserType::User, Some(&second)).unwrap();
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwUser);
    session.logout().unwrap();
    session.close().unwrap();
    let read_only = pkcs11.open_ro_session(slot).unwrap();
    assert_eq!(read_only.get_session_info().unwrap().session_state(), SessionState::RoPublic);
}

#[test]
fn objects() {
    let (_setup, session) = setup();
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Label(b"note".to_vec()),
        Attribute::Value(b"content".to_vec()),
        Attribute::Token(true),
    ];
    let object = session.create_object(&template).unwrap();
    assert_eq!(session.find_objects(&template[..2]).unwrap(), [object]);
    let value = session.get_attributes(object, &[AttributeType::Value]).unwrap();
    assert_eq!(value, [Attribute::Value(b"content".to_vec())]);
    session.update_attributes(object, &[Attribute::Label(b"renamed".to_vec())]).unwrap();
    let copy = session.copy_object(object, &[Attribute::Token(false)]).unwrap();
    let label = session.get_attributes(copy, &[AttributeType::Label]).unwrap();
    assert_eq!(label, [Attribute::Label(b"renamed".to_vec())]);
    for object in [object, copy] {
        session.destroy_object(object).unwrap();
    }
    assert_eq!(session.find_objects(&[]).unwrap(), []);
    let random = session.generate_random_vec(32).unwrap();
    session.seed_random(&random).unwrap();
}

#[test]
fn encryption_and_digests() {
    let (_setup, session) = setup();
    let (key, data) = (aes(&session), vec![7; 50]);
    let mechanism = Mechanism::AesCbcPad([1; 16]);
    let encrypted = session.encrypt(&mechanism, key, &data).unwrap();
    assert_eq!(session.decrypt(&mechanism, key, &encrypted).unwrap(), data);
    session.encrypt_init(&mechanism, key).unwrap();
    let mut parts = session.encrypt_update(&data[..20]).unwrap();
    parts.extend(session.encrypt_update(&data[20..]).unwrap());
    parts.extend(session.encrypt_final().unwrap());
    assert_eq!(parts, encrypted);
    session.decrypt_init(&mechanism, key).unwrap();
    let mut parts = session.decrypt_update(&encrypted).unwrap();
    parts.extend(session.decrypt_final().unwrap());
    assert_eq!(parts, data);
    let digest = session.digest(&Mechanism::Sha256, &data).unwrap();
    assert_eq!(digest, claviger_conformance::openssl::digest("sha256", &data));
    session.digest_init(&Mechanism::Sha256).unwrap();
    session.digest_update(&data).unwrap();
    assert_eq!(session.digest_final().unwrap(), digest);
    session.digest_init(&Mechanism::Sha256).unwrap();
    session.digest_key(key).unwrap();
    assert_eq!(session.digest_final().unwrap().len(), 32);
}

#[test]
fn signatures() {
    let (_setup, session) = setup();
    let (public, private) = p256(&session);
    let (mechanism, data) = (Mechanism::EcdsaSha256, b"message");
    let signature = session.sign(&mechanism, private, data).unwrap();
    session.verify(&mechanism, public, data, &signature).unwrap();
    session.sign_init(&mechanism, private).unwrap();
    session.sign_update(data).unwrap();
    let signature = session.sign_final().unwrap();
    session.verify_init(&mechanism, public).unwrap();
    session.verify_update(data).unwrap();
    session.verify_final(&signature).unwrap();
    assert!(session.verify(&mechanism, public, b"other", &signature).is_err());
}

#[test]
fn keys_under_keys_and_from_keys() {
    let (_setup, session) = setup();
    let (with, key) = (aes(&session), aes(&session));
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, with, key).unwrap();
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Encrypt(true),
    ];
    let unwrapped = session.unwrap_key(&Mechanism::AesKeyWrap, with, &wrapped, &template).unwrap();
    let encrypt = |key| session.encrypt(&Mechanism::AesEcb, key, &[3; 16]).unwrap();
    assert_eq!(encrypt(unwrapped), encrypt(key));
    let (ours, theirs) = (p256(&session), p256(&session));
    let derived = |private, public| {
        let point = session.get_attributes(public, &[AttributeType::EcPoint]).unwrap();
        let [Attribute::EcPoint(point)] = &point[..] else { panic!("a point") };
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
        let length = [Attribute::ValueLen(16.into())];
        encrypt(session.derive_key(&mechanism, private, &[&template[..], &length].concat()).unwrap())
    };
    assert_eq!(derived(ours.1, theirs.0), derived(theirs.1, ours.0));
}
