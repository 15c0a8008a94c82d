//! Calls in the wrong order: without the Init, twice, mixed, after the end; and what a session may not do in its
//! state.

use claviger_conformance::prelude::*;
use claviger_protocol::flags::session::{RW_SESSION, SERIAL_SESSION};
use claviger_protocol::flags::user;

use crate::buffer::DUAL;
use crate::sheet::Sheet;
use crate::world::World;

const ALL: [Operation; 7] = [
    Operation::Encrypt,
    Operation::Decrypt,
    Operation::Digest,
    Operation::Sign,
    Operation::SignRecover,
    Operation::Verify,
    Operation::VerifyRecover,
];

pub fn cases(sheet: &mut Sheet) {
    let world = World::new();
    without_init(sheet, &world);
    twice_and_mixed(sheet, &world);
    single_part(sheet, &world);
    dual(sheet, &world);
    find(sheet, &world);
    saved_states(sheet, &world);
    login_states(sheet, &world);
    read_only(sheet, &world);
    finalized(sheet, &world);
}

/// The one-shot function.
fn one_shot(world: &World, operation: Operation) -> Rv {
    match operation {
        Operation::Verify => world.raw().verify(world.session, &[1; 16], &[0; 32]).rv(),
        _ => world.raw().one_shot(operation, world.session, &[1; 16], Room::Bytes(512)).rv,
    }
}

/// The Update function; none for what has none.
fn update(world: &World, operation: Operation) -> Option<Rv> {
    let (raw, session) = (world.raw(), world.session);
    match operation {
        Operation::Encrypt | Operation::Decrypt => {
            Some(raw.update(operation, session, &[1; 16], Room::Bytes(64)).rv)
        }
        Operation::Digest | Operation::Sign | Operation::Verify => {
            Some(raw.feed(operation, session, &[1; 16]).rv())
        }
        Operation::SignRecover | Operation::VerifyRecover => None,
    }
}

/// The Final function; none for what has none.
fn last(world: &World, operation: Operation) -> Option<Rv> {
    match operation {
        Operation::SignRecover | Operation::VerifyRecover => None,
        Operation::Verify => Some(world.raw().verify_final(world.session, &[0; 32]).rv()),
        _ => Some(world.raw().finish(operation, world.session, Room::Bytes(64)).rv),
    }
}

fn without_init(sheet: &mut Sheet, world: &World) {
    for operation in ALL {
        let none = Rv::OPERATION_NOT_INITIALIZED;
        sheet.expect(format!("{operation:?} without Init"), one_shot(world, operation), none);
        if let Some(rv) = update(world, operation) {
            sheet.expect(format!("{operation:?}Update without Init"), rv, none);
        }
        if let Some(rv) = last(world, operation) {
            sheet.expect(format!("{operation:?}Final without Init"), rv, none);
        }
    }
    let rv = world.raw().digest_key(world.session, world.secret);
    sheet.expect("DigestKey without Init", rv, Rv::OPERATION_NOT_INITIALIZED);
    for (name, _) in DUAL {
        let rv = world.raw().dual(name, world.session, &[1; 16], Room::Bytes(64));
        sheet.expect(format!("{name} without Init"), rv, Rv::OPERATION_NOT_INITIALIZED);
    }
}

fn twice_and_mixed(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let over = |sheet: &mut Sheet, what: &str, operation| {
        sheet.sure(
            format!("{operation:?} is over {what}"),
            one_shot(world, operation),
            Rv::OPERATION_NOT_INITIALIZED,
        );
    };
    for operation in ALL {
        let (mechanism, key) = world.working(operation);
        world.start(operation);
        let again = raw.start(operation, session, Some(&mechanism), key);
        sheet.expect(format!("{operation:?}Init twice"), again, Rv::OPERATION_ACTIVE);
        sheet.sure(format!("{operation:?} is still on"), raw.start(operation, session, None, 0), Rv::OK);
        over(sheet, "when cancelled", operation);
        let Some(_) = update(world, operation) else { continue };
        world.start(operation);
        sheet.sure(format!("{operation:?}Update"), update(world, operation).unwrap(), Rv::OK);
        let rv = one_shot(world, operation);
        sheet.expect(format!("{operation:?} after {operation:?}Update"), rv, Rv::OPERATION_ACTIVE);
        over(sheet, "when mixed", operation);
        if operation == Operation::Verify {
            continue;
        }
        for (what, next) in [("Update", update as fn(&World, Operation) -> Option<Rv>), ("Final", last)] {
            world.start(operation);
            let size = raw.one_shot(operation, session, &[1; 16], Room::Query);
            sheet.sure(format!("{operation:?}, a size query"), size, Rv::OK);
            let rv = next(world, operation).unwrap();
            let what = format!("{operation:?}{what} after a size query of {operation:?}");
            sheet.expect(what, rv, Rv::OPERATION_ACTIVE);
            over(sheet, "when mixed", operation);
        }
        // After the end nothing is there.
        world.start(operation);
        sheet.sure(format!("{operation:?}"), one_shot(world, operation), Rv::OK);
        let rv = last(world, operation).unwrap();
        sheet.expect(format!("{operation:?}Final after {operation:?}"), rv, Rv::OPERATION_NOT_INITIALIZED);
    }
}

/// Mechanisms that take all data in one call have no Update.
fn single_part(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let none = Rv::OPERATION_NOT_INITIALIZED;
    for (operation, mechanism, key) in [
        (Operation::Encrypt, M::RSA_PKCS, world.rsa.0),
        (Operation::Decrypt, M::RSA_PKCS, world.rsa.1),
        (Operation::Encrypt, M::AES_KEY_WRAP, world.aes),
        (Operation::Sign, M::RSA_PKCS, world.rsa.1),
        (Operation::Sign, M::ECDSA, world.ec.1),
        (Operation::Verify, M::ECDSA, world.ec.0),
    ] {
        for (what, call) in [("Update", update as fn(&World, Operation) -> Option<Rv>), ("Final", last)] {
            raw.start(operation, session, Some(&mechanism.into()), key).unwrap();
            sheet.expect(format!("{operation:?}{what} {mechanism}"), call(world, operation).unwrap(), none);
            let rv = one_shot(world, operation);
            sheet.sure(format!("{operation:?} {mechanism} is over after {what}"), rv, none);
        }
    }
}

fn dual(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    for (name, operations) in DUAL {
        for one in operations {
            world.start(*one);
            let rv = raw.dual(name, session, &[1; 16], Room::Bytes(64));
            sheet.expect(format!("{name} with {one:?} alone"), rv, Rv::OPERATION_NOT_INITIALIZED);
            let lives = if world.cancel(*one) { Rv::OK } else { Rv::OPERATION_NOT_INITIALIZED };
            sheet.sure(format!("{name}: {one:?} lives"), lives, Rv::OK);
        }
        // One of the two in its one-shot form: an error ends both.
        for one in operations {
            if *one == Operation::Verify {
                continue;
            }
            operations.iter().for_each(|operation| world.start(*operation));
            let size = raw.one_shot(*one, session, &[1; 16], Room::Query);
            sheet.sure(format!("{one:?}, a size query"), size, Rv::OK);
            let rv = raw.dual(name, session, &[1; 16], Room::Bytes(64));
            sheet.expect(format!("{name} after a size query of {one:?}"), rv, Rv::OPERATION_ACTIVE);
            for operation in operations {
                let over = if world.cancel(*operation) { Rv::OPERATION_ACTIVE } else { Rv::OK };
                sheet.sure(format!("{name}: {operation:?} is over"), over, Rv::OK);
            }
        }
    }
}

fn find(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    sheet.expect("FindObjects without Init", raw.find_next(session, 1), Rv::OPERATION_NOT_INITIALIZED);
    sheet.expect("FindObjectsFinal without Init", raw.find_final(session), Rv::OPERATION_NOT_INITIALIZED);
    sheet.sure("FindObjectsInit", raw.find_init(session, &[]), Rv::OK);
    sheet.expect("FindObjectsInit twice", raw.find_init(session, &[]), Rv::OPERATION_ACTIVE);
    sheet.sure("FindObjectsFinal", raw.find_final(session), Rv::OK);
    sheet.expect("FindObjectsFinal twice", raw.find_final(session), Rv::OPERATION_NOT_INITIALIZED);
}

fn saved_states(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let save = || raw.operation_state(session, Room::Bytes(4096)).rv;
    sheet.expect("GetOperationState of nothing", save(), Rv::OPERATION_NOT_INITIALIZED);
    raw.find_init(session, &[]).unwrap();
    sheet.expect("GetOperationState of a search", save(), Rv::OPERATION_NOT_INITIALIZED);
    raw.find_final(session).unwrap();
    for operation in ALL.into_iter().filter(|operation| *operation != Operation::Digest) {
        world.start(operation);
        sheet.expect(format!("GetOperationState of {operation:?}"), save(), Rv::STATE_UNSAVEABLE);
        let lives = if world.cancel(operation) { Rv::OK } else { Rv::OPERATION_NOT_INITIALIZED };
        sheet.sure(format!("GetOperationState leaves {operation:?}"), lives, Rv::OK);
    }
    for (what, state) in [("nothing", &b""[..]), ("text", b"state"), ("zeros", &[0; 200])] {
        let rv = raw.set_operation_state(session, state);
        sheet.expect(format!("SetOperationState of {what}"), rv, Rv::SAVED_STATE_INVALID);
    }
}

fn login_states(sheet: &mut Sheet, world: &World) {
    let (raw, ring) = (world.raw(), &world.setup.ring);
    // Another application, in which nobody is logged in.
    let app = Application::on(world.setup.daemon);
    let session = app.open(ring);
    let private = app.raw.create_object(session, &[class(ObjectClass::DATA), flag(A::PRIVATE, true)]);
    sheet.expect("CreateObject of a private object by nobody", private, Rv::USER_NOT_LOGGED_IN);
    sheet.expect("GenerateKey by nobody", app.aes(session, 16, &[]), Rv::USER_NOT_LOGGED_IN);
    let pair = app.ec(session, curve::P256, &[]);
    sheet.expect("GenerateKeyPair by nobody", pair, Rv::USER_NOT_LOGGED_IN);
    let public =
        app.aes(session, 16, &[flag(A::PRIVATE, false), flag(A::UNWRAP, true), flag(A::DERIVE, true)]);
    let public = public.unwrap();
    let secret = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)];
    let rv = app.raw.unwrap_key(session, &M::AES_KEY_WRAP.into(), public, &[0; 24], &secret);
    sheet.expect("UnwrapKey by nobody", rv, Rv::USER_NOT_LOGGED_IN);
    let rv = app.raw.derive_key(session, &M::SHA256_KEY_DERIVATION.into(), public, &[]);
    sheet.expect("DeriveKey by nobody", rv, Rv::USER_NOT_LOGGED_IN);
    let copy = app.raw.copy_object(session, public, &[flag(A::PRIVATE, true)]);
    sheet.expect("CopyObject to a private one by nobody", copy, Rv::USER_NOT_LOGGED_IN);
    sheet.expect("InitPIN by nobody", app.raw.init_pin(session, b"1234"), Rv::USER_NOT_LOGGED_IN);
    sheet.expect("Logout by nobody", app.raw.logout(session), Rv::USER_NOT_LOGGED_IN);
    sheet.expect("InitPIN by the user", raw.init_pin(world.session, b"1234"), Rv::USER_NOT_LOGGED_IN);

    app.raw.login(session, user::SO, Some(ring.so_pin.as_bytes())).unwrap();
    sheet.expect("GenerateKey by the security officer", app.aes(session, 16, &[]), Rv::USER_NOT_LOGGED_IN);
    let pair = app.ec(session, curve::P256, &[]);
    sheet.expect("GenerateKeyPair by the security officer", pair, Rv::USER_NOT_LOGGED_IN);
    let ro = app.raw.open_session(world.slot, SERIAL_SESSION);
    sheet.expect("OpenSession, read-only, beside the security officer", ro, Rv::SESSION_READ_WRITE_SO_EXISTS);

    // A key that wants to be asked each time.
    let private = [flag(A::ALWAYS_AUTHENTICATE, true), flag(A::SIGN, true)];
    let public = [bytes(A::EC_PARAMS, curve::P256)];
    let generate = M::EC_KEY_PAIR_GEN.into();
    let (_, key) = raw.generate_key_pair(world.session, &generate, &public, &private).unwrap();
    let sign =
        |world: &World| world.raw().one_shot(Operation::Sign, world.session, &[1; 32], Room::Bytes(64));
    raw.start(Operation::Sign, world.session, Some(&M::ECDSA.into()), key).unwrap();
    sheet.expect("Sign without the login that the key wants", sign(world), Rv::USER_NOT_LOGGED_IN);
    sheet.sure("the signing is over", sign(world), Rv::OPERATION_NOT_INITIALIZED);
    let pin = Some(ring.user_pin.as_bytes());
    let rv = raw.login(world.session, user::CONTEXT_SPECIFIC, pin);
    sheet.expect("Login for an operation that is over", rv, Rv::OPERATION_NOT_INITIALIZED);
    world.start(Operation::Sign);
    let rv = raw.login(world.session, user::CONTEXT_SPECIFIC, pin);
    sheet.expect("Login for a key that does not want it", rv, Rv::OPERATION_NOT_INITIALIZED);
    world.cancel(Operation::Sign);
}

fn read_only(sheet: &mut Sheet, world: &World) {
    let (raw, no) = (world.raw(), Rv::SESSION_READ_ONLY);
    let app = &world.setup.app;
    let kept =
        app.aes(world.session, 16, &[on_token("kept"), usage(&[A::DERIVE, A::UNWRAP])].concat()).unwrap();
    let ro = raw.open_session(world.slot, SERIAL_SESSION).unwrap();
    let in_token = [token(true)];
    let data = [class(ObjectClass::DATA), token(true)];
    sheet.expect("CreateObject, read-only", raw.create_object(ro, &data), no);
    sheet.expect("CopyObject, read-only", raw.copy_object(ro, world.aes, &in_token), no);
    sheet.expect("SetAttributeValue, read-only", raw.set_attributes(ro, kept, &[label("x")]), no);
    sheet.expect("DestroyObject, read-only", raw.destroy_object(ro, kept), no);
    sheet.expect("GenerateKey, read-only", app.aes(ro, 16, &in_token), no);
    sheet.expect("GenerateKeyPair, read-only", app.ec(ro, curve::P256, &in_token), no);
    let secret = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES), token(true)];
    let rv = raw.unwrap_key(ro, &M::AES_KEY_WRAP.into(), world.aes, &[0; 24], &secret);
    sheet.expect("UnwrapKey, read-only", rv, no);
    let rv = raw.derive_key(ro, &M::SHA256_KEY_DERIVATION.into(), world.secret, &in_token);
    sheet.expect("DeriveKey, read-only", rv, no);
    let (old, new) = (world.setup.ring.user_pin.as_bytes(), b"a new pin");
    sheet.expect("SetPIN, read-only", raw.set_pin(ro, old, new), no);
    let rv = Application::on(world.setup.daemon);
    let their_ro = rv.raw.open_session(world.slot, SERIAL_SESSION).unwrap();
    let so = Some(world.setup.ring.so_pin.as_bytes());
    let login = rv.raw.login(their_ro, user::SO, so);
    sheet.expect("Login of the security officer, read-only", login, Rv::SESSION_READ_ONLY_EXISTS);
    raw.close_session(ro).unwrap();
}

fn finalized(sheet: &mut Sheet, world: &World) {
    let app = Application::on(world.setup.daemon);
    let again = app.raw.initialize(Arguments::Null);
    sheet.expect("Initialize twice", again, Rv::CRYPTOKI_ALREADY_INITIALIZED);
    app.raw.finalize(false).unwrap();
    let (raw, none) = (&app.raw, Rv::CRYPTOKI_NOT_INITIALIZED);
    sheet.expect("Finalize twice", raw.finalize(false), none);
    sheet.expect("GetInfo after Finalize", raw.info(), none);
    sheet.expect("GetSlotList after Finalize", raw.slots(true, None).0, none);
    sheet.expect("GetTokenInfo after Finalize", raw.token_info(world.slot), none);
    let open = raw.open_session(world.slot, RW_SESSION | SERIAL_SESSION);
    sheet.expect("OpenSession after Finalize", open, none);
    sheet.expect("CloseSession after Finalize", raw.close_session(world.session), none);
    sheet.expect("CloseAllSessions after Finalize", raw.close_all_sessions(world.slot), none);
    sheet.expect("WaitForSlotEvent after Finalize", raw.wait_for_slot_event(1), none);
    sheet.expect("GenerateRandom after Finalize", raw.generate_random(world.session, 8), none);
    sheet.expect("GetFunctionStatus after Finalize", raw.function_status(0), none);
    for (what, arguments) in [
        ("something reserved", Arguments::Reserved),
        ("one mutex function", Arguments::Mutexes(1, 0)),
        ("three mutex functions", Arguments::Mutexes(3, 0)),
        ("three mutex functions and the system's locks", Arguments::Mutexes(3, 2)),
    ] {
        sheet.expect(format!("Initialize with {what}"), raw.initialize(arguments), Rv::ARGUMENTS_BAD);
    }
}
