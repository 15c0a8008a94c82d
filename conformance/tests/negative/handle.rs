//! Handles of nothing: never given, closed or destroyed, another application's. The bad one is named by its role.

use claviger_conformance::prelude::*;

use crate::sheet::Sheet;
use crate::world::World;

type Call = fn(&Raw, u64) -> Rv;

/// Every function of 2.40 with a session, all other arguments harmless.
const SESSION: &[(&str, Call)] = &[
    ("CloseSession", |raw, s| raw.close_session(s).rv()),
    ("GetSessionInfo", |raw, s| raw.session_info(s).rv()),
    ("GetOperationState", |raw, s| raw.operation_state(s, Room::Query).rv),
    ("SetOperationState", |raw, s| raw.set_operation_state(s, b"state").rv()),
    ("Login", |raw, s| raw.login(s, 1, Some(b"1234")).rv()),
    ("Logout", |raw, s| raw.logout(s).rv()),
    ("InitPIN", |raw, s| raw.init_pin(s, b"1234").rv()),
    ("SetPIN", |raw, s| raw.set_pin(s, b"1234", b"5678").rv()),
    ("CreateObject", |raw, s| raw.create_object(s, &[class(ObjectClass::DATA)]).rv()),
    ("CopyObject", |raw, s| raw.copy_object(s, 1, &[]).rv()),
    ("DestroyObject", |raw, s| raw.destroy_object(s, 1).rv()),
    ("GetObjectSize", |raw, s| raw.object_size(s, 1).rv()),
    ("GetAttributeValue", |raw, s| raw.attribute_values(s, 1, &[(A::LABEL, Room::Query)]).0),
    ("SetAttributeValue", |raw, s| raw.set_attributes(s, 1, &[label("x")]).rv()),
    ("FindObjectsInit", |raw, s| raw.find_init(s, &[]).rv()),
    ("FindObjects", |raw, s| raw.find_next(s, 1).rv()),
    ("FindObjectsFinal", |raw, s| raw.find_final(s).rv()),
    ("EncryptInit", |raw, s| raw.start(Operation::Encrypt, s, Some(&M::AES_ECB.into()), 1).rv()),
    ("Encrypt", |raw, s| raw.one_shot(Operation::Encrypt, s, &[0; 16], Room::Bytes(16)).rv),
    ("EncryptUpdate", |raw, s| raw.update(Operation::Encrypt, s, &[0; 16], Room::Bytes(16)).rv),
    ("EncryptFinal", |raw, s| raw.finish(Operation::Encrypt, s, Room::Bytes(16)).rv),
    ("DecryptInit", |raw, s| raw.start(Operation::Decrypt, s, Some(&M::AES_ECB.into()), 1).rv()),
    ("Decrypt", |raw, s| raw.one_shot(Operation::Decrypt, s, &[0; 16], Room::Bytes(16)).rv),
    ("DecryptUpdate", |raw, s| raw.update(Operation::Decrypt, s, &[0; 16], Room::Bytes(16)).rv),
    ("DecryptFinal", |raw, s| raw.finish(Operation::Decrypt, s, Room::Bytes(16)).rv),
    ("DigestInit", |raw, s| raw.start(Operation::Digest, s, Some(&M::SHA256.into()), 0).rv()),
    ("Digest", |raw, s| raw.one_shot(Operation::Digest, s, b"data", Room::Bytes(32)).rv),
    ("DigestUpdate", |raw, s| raw.feed(Operation::Digest, s, b"data").rv()),
    ("DigestKey", |raw, s| raw.digest_key(s, 1).rv()),
    ("DigestFinal", |raw, s| raw.finish(Operation::Digest, s, Room::Bytes(32)).rv),
    ("SignInit", |raw, s| raw.start(Operation::Sign, s, Some(&M::ECDSA.into()), 1).rv()),
    ("Sign", |raw, s| raw.one_shot(Operation::Sign, s, b"data", Room::Bytes(64)).rv),
    ("SignUpdate", |raw, s| raw.feed(Operation::Sign, s, b"data").rv()),
    ("SignFinal", |raw, s| raw.finish(Operation::Sign, s, Room::Bytes(64)).rv),
    ("SignRecoverInit", |raw, s| raw.start(Operation::SignRecover, s, Some(&M::RSA_PKCS.into()), 1).rv()),
    ("SignRecover", |raw, s| raw.one_shot(Operation::SignRecover, s, b"data", Room::Bytes(64)).rv),
    ("VerifyInit", |raw, s| raw.start(Operation::Verify, s, Some(&M::ECDSA.into()), 1).rv()),
    ("Verify", |raw, s| raw.verify(s, b"data", &[0; 64]).rv()),
    ("VerifyUpdate", |raw, s| raw.feed(Operation::Verify, s, b"data").rv()),
    ("VerifyFinal", |raw, s| raw.verify_final(s, &[0; 64]).rv()),
    ("VerifyRecoverInit", |raw, s| raw.start(Operation::VerifyRecover, s, Some(&M::RSA_PKCS.into()), 1).rv()),
    ("VerifyRecover", |raw, s| raw.one_shot(Operation::VerifyRecover, s, &[0; 256], Room::Bytes(64)).rv),
    ("DigestEncryptUpdate", |raw, s| raw.dual("DigestEncryptUpdate", s, b"data", Room::Bytes(64)).rv),
    ("DecryptDigestUpdate", |raw, s| raw.dual("DecryptDigestUpdate", s, b"data", Room::Bytes(64)).rv),
    ("SignEncryptUpdate", |raw, s| raw.dual("SignEncryptUpdate", s, b"data", Room::Bytes(64)).rv),
    ("DecryptVerifyUpdate", |raw, s| raw.dual("DecryptVerifyUpdate", s, b"data", Room::Bytes(64)).rv),
    ("GenerateKey", |raw, s| raw.generate_key(s, &M::AES_KEY_GEN.into(), &[ulong(A::VALUE_LEN, 16)]).rv()),
    ("GenerateKeyPair", |raw, s| {
        let public = [bytes(A::EC_PARAMS, curve::P256)];
        raw.generate_key_pair(s, &M::EC_KEY_PAIR_GEN.into(), &public, &[]).rv()
    }),
    ("WrapKey", |raw, s| raw.wrap_key(s, &M::AES_KEY_WRAP.into(), 1, 2, Room::Bytes(64)).rv),
    ("UnwrapKey", |raw, s| {
        raw.unwrap_key(s, &M::AES_KEY_WRAP.into(), 1, &[0; 24], &[key_type(KeyType::AES)]).rv()
    }),
    ("DeriveKey", |raw, s| raw.derive_key(s, &M::SHA256_KEY_DERIVATION.into(), 1, &[]).rv()),
    ("SeedRandom", |raw, s| raw.seed_random(s, b"seed").rv()),
    ("GenerateRandom", |raw, s| raw.generate_random(s, 8).rv()),
];

/// Functions that name no session, whatever they are given (PKCS#11 3.2, section 5.20).
const NOT_PARALLEL: &[(&str, Call)] = &[
    ("GetFunctionStatus", |raw, s| raw.function_status(s).rv()),
    ("CancelFunction", |raw, s| raw.cancel_function(s).rv()),
];

pub fn cases(sheet: &mut Sheet) {
    let world = World::new();
    let raw = world.raw();
    let closed = world.setup.app.open(&world.setup.ring);
    raw.close_session(closed).unwrap();
    let other = Application::on(world.setup.daemon);
    let theirs = other.open(&world.setup.ring);
    for (what, session) in [("0", 0), ("a closed", closed), ("another application's", theirs)] {
        for (name, call) in SESSION {
            let what = format!("{name} in session {what}");
            sheet.expect(what, call(raw, session), Rv::SESSION_HANDLE_INVALID);
        }
    }
    for session in [0, world.session] {
        for (name, call) in NOT_PARALLEL {
            sheet.expect(*name, call(raw, session), Rv::FUNCTION_NOT_PARALLEL);
        }
    }
    objects(sheet, &world, &other, theirs);
    sheet.sure("their session lives", other.raw.session_info(theirs), Rv::OK);
}

fn objects(sheet: &mut Sheet, world: &World, other: &Application, theirs: u64) {
    let (raw, session) = (world.raw(), world.session);
    let gone = world.setup.app.aes(session, 16, &[]).unwrap();
    raw.destroy_object(session, gone).unwrap();
    let public = [class(ObjectClass::DATA)];
    let foreign = other.raw.create_object(theirs, &public).unwrap();
    let elsewhere = Ring::create(world.setup.daemon, &[]);
    let on_other_token = raw.create_object(world.setup.app.open(&elsewhere), &public).unwrap();
    let handles = [
        ("0", 0),
        ("CK_UNAVAILABLE_INFORMATION", u64::MAX),
        ("a destroyed object's", gone),
        ("another application's", foreign),
        ("another token's", on_other_token),
    ];
    let template = [key_type(KeyType::AES), class(ObjectClass::SECRET_KEY)];
    let hash = M::SHA256_KEY_DERIVATION.into();
    let wrap = M::AES_KEY_WRAP.into();
    let (aes, secret) = (world.aes, world.secret);
    for (what, handle) in handles {
        let mut object = |name, rv: Rv| sheet.expect(format!("{name} {what}"), rv, Rv::OBJECT_HANDLE_INVALID);
        object("CopyObject", raw.copy_object(session, handle, &[]).rv());
        object("DestroyObject", raw.destroy_object(session, handle).rv());
        object("GetObjectSize", raw.object_size(session, handle).rv());
        object("GetAttributeValue", raw.attribute_values(session, handle, &[(A::LABEL, Room::Query)]).0);
        object("SetAttributeValue", raw.set_attributes(session, handle, &[label("x")]).rv());
        for operation in [
            Operation::Encrypt,
            Operation::Decrypt,
            Operation::Sign,
            Operation::SignRecover,
            Operation::Verify,
            Operation::VerifyRecover,
        ] {
            let (mechanism, _) = world.working(operation);
            let rv = raw.start(operation, session, Some(&mechanism), handle);
            sheet.expect(format!("{operation:?}Init {what}"), rv, Rv::KEY_HANDLE_INVALID);
        }
        world.start(Operation::Digest);
        sheet.expect(format!("DigestKey {what}"), raw.digest_key(session, handle), Rv::KEY_HANDLE_INVALID);
        let over = raw.finish(Operation::Digest, session, Room::Bytes(32));
        sheet.sure("the digest is as it was (5.12.4)", over, Rv::OK);
        let room = Room::Bytes(64);
        let rv = raw.wrap_key(session, &wrap, handle, secret, room);
        sheet.expect(format!("WrapKey with {what}"), rv, Rv::WRAPPING_KEY_HANDLE_INVALID);
        let rv = raw.wrap_key(session, &wrap, aes, handle, room);
        sheet.expect(format!("WrapKey of {what}"), rv, Rv::KEY_HANDLE_INVALID);
        let rv = raw.unwrap_key(session, &wrap, handle, &[0; 24], &template);
        sheet.expect(format!("UnwrapKey with {what}"), rv, Rv::UNWRAPPING_KEY_HANDLE_INVALID);
        let rv = raw.derive_key(session, &hash, handle, &[]);
        sheet.expect(format!("DeriveKey from {what}"), rv, Rv::KEY_HANDLE_INVALID);
        let both = Mechanism::ulong(M::CONCATENATE_BASE_AND_KEY, handle);
        let rv = raw.derive_key(session, &both, secret, &[]);
        sheet.expect(format!("DeriveKey with {what} in the parameter"), rv, Rv::KEY_HANDLE_INVALID);
    }
    // An object that is no key, where a key must be.
    let data = raw.create_object(session, &public).unwrap();
    let started = raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), data);
    sheet.expect("EncryptInit with a data object", started, Rv::KEY_HANDLE_INVALID);
    let rv = raw.wrap_key(session, &wrap, data, secret, Room::Bytes(64));
    sheet.expect("WrapKey with a data object", rv, Rv::WRAPPING_KEY_HANDLE_INVALID);
    let rv = raw.derive_key(session, &hash, data, &[]);
    sheet.expect("DeriveKey from a data object", rv, Rv::KEY_HANDLE_INVALID);
    sheet.sure("their object lives", other.raw.object_size(theirs, foreign), Rv::OK);
}
