//! Session management functions (PKCS#11 3.2, section 5.6).

use claviger_conformance::prelude::*;
use claviger_protocol::flags::{session, state, user};

const RO: u64 = session::SERIAL_SESSION;
const RW: u64 = session::RW_SESSION | session::SERIAL_SESSION;

#[test]
fn flags_decide_whether_a_session_opens() {
    let setup = Setup::new();
    let slot = setup.app.slot(&setup.ring);
    let raw = &setup.app.raw;
    assert_eq!(raw.open_session(slot, 0), Err(Rv::SESSION_PARALLEL_NOT_SUPPORTED));
    assert_eq!(raw.open_session(slot, session::RW_SESSION), Err(Rv::SESSION_PARALLEL_NOT_SUPPORTED));
    assert_eq!(raw.open_session(slot, RW | session::ASYNC_SESSION), Err(Rv::SESSION_ASYNC_NOT_SUPPORTED));
    let (ro, rw) = (raw.open_session(slot, RO).unwrap(), raw.open_session(slot, RW).unwrap());
    assert_ne!(ro, rw);
    assert!(ro != 0 && rw != 0, "0 is CK_INVALID_HANDLE");
    assert_eq!(raw.session_info(ro).unwrap().flags, RO);
    assert_eq!(raw.session_info(rw).unwrap().flags, RW);
    assert_eq!(raw.session_info(rw).unwrap().slotID, slot);
    assert_eq!(raw.session_info(rw).unwrap().ulDeviceError, 0);
}

#[test]
fn the_state_is_the_login_and_the_kind_of_session() {
    let setup = Setup::new();
    let slot = setup.app.slot(&setup.ring);
    let raw = &setup.app.raw;
    let state = |session| raw.session_info(session).unwrap().state;
    let (ro, rw) = (raw.open_session(slot, RO).unwrap(), raw.open_session(slot, RW).unwrap());
    assert_eq!((state(ro), state(rw)), (state::RO_PUBLIC_SESSION, state::RW_PUBLIC_SESSION));
    raw.login(ro, user::USER, Some(setup.ring.user_pin.as_bytes())).unwrap();
    assert_eq!((state(ro), state(rw)), (state::RO_USER_FUNCTIONS, state::RW_USER_FUNCTIONS));
    raw.logout(rw).unwrap();
    assert_eq!((state(ro), state(rw)), (state::RO_PUBLIC_SESSION, state::RW_PUBLIC_SESSION));
    raw.close_session(ro).unwrap();
    raw.login(rw, user::SO, Some(setup.ring.so_pin.as_bytes())).unwrap();
    assert_eq!(state(rw), state::RW_SO_FUNCTIONS);
}

#[test]
fn logins_exclude_one_another() {
    let setup = Setup::new();
    let slot = setup.app.slot(&setup.ring);
    let (raw, ring) = (&setup.app.raw, &setup.ring);
    let (user_pin, so_pin) = (ring.user_pin.as_bytes(), ring.so_pin.as_bytes());
    let rw = raw.open_session(slot, RW).unwrap();
    assert_eq!(raw.login(rw, 99, Some(user_pin)), Err(Rv::USER_TYPE_INVALID));
    assert_eq!(
        raw.login(rw, user::USER, None),
        Err(Rv::ARGUMENTS_BAD),
        "there is no other way to give a PIN"
    );
    assert_eq!(raw.login(rw, user::USER, Some(b"")), Err(Rv::PIN_INCORRECT));
    assert_eq!(raw.login(rw, user::CONTEXT_SPECIFIC, Some(user_pin)), Err(Rv::OPERATION_NOT_INITIALIZED));
    assert_eq!(raw.logout(rw), Err(Rv::USER_NOT_LOGGED_IN));
    assert_eq!(raw.login(rw, user::USER, Some(so_pin)), Err(Rv::PIN_INCORRECT));
    assert_eq!(raw.login(rw, user::USER, Some(user_pin)), Ok(()));
    assert_eq!(raw.login(rw, user::USER, Some(user_pin)), Err(Rv::USER_ALREADY_LOGGED_IN));
    assert_eq!(raw.login(rw, user::SO, Some(so_pin)), Err(Rv::USER_ANOTHER_ALREADY_LOGGED_IN));
    assert_eq!(raw.logout(rw), Ok(()));
    assert_eq!(raw.logout(rw), Err(Rv::USER_NOT_LOGGED_IN));
    // The security officer has read-write sessions only.
    let ro = raw.open_session(slot, RO).unwrap();
    assert_eq!(raw.login(rw, user::SO, Some(so_pin)), Err(Rv::SESSION_READ_ONLY_EXISTS));
    raw.close_session(ro).unwrap();
    assert_eq!(raw.login(rw, user::SO, Some(so_pin)), Ok(()));
    assert_eq!(raw.open_session(slot, RO), Err(Rv::SESSION_READ_WRITE_SO_EXISTS));
    assert_eq!(raw.login(rw, user::USER, Some(user_pin)), Err(Rv::USER_ANOTHER_ALREADY_LOGGED_IN));
}

#[test]
fn a_closed_session_is_no_session() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    raw.close_session(session).unwrap();
    for session in [session, 0, u64::MAX] {
        let no = Rv::SESSION_HANDLE_INVALID;
        assert_eq!(raw.close_session(session), Err(no));
        assert_eq!(raw.session_info(session).err(), Some(no));
        assert_eq!(raw.login(session, user::USER, Some(b"1234")), Err(no));
        assert_eq!(raw.logout(session), Err(no));
        assert_eq!(raw.find_init(session, &[]), Err(no));
        assert_eq!(raw.find_next(session, 1), Err(no));
        assert_eq!(raw.create_object(session, &[]), Err(no));
        assert_eq!(raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), 1), Err(no));
        assert_eq!(raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(64)).rv, no);
        assert_eq!(raw.generate_random(session, 8), Err(no));
        assert_eq!(raw.seed_random(session, b"seed"), Err(no));
        assert_eq!(raw.init_pin(session, b"1234"), Err(no));
        assert_eq!(raw.set_pin(session, b"1234", b"5678"), Err(no));
    }
    let again = setup.app.open(&setup.ring);
    assert_ne!(again, session, "handles are not reused");
}

#[test]
fn closing_the_last_session_logs_out() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let state = |session| raw.session_info(session).unwrap().state;
    let first = setup.app.login(&setup.ring);
    let second = setup.app.open(&setup.ring);
    raw.close_session(first).unwrap();
    assert_eq!(state(second), state::RW_USER_FUNCTIONS);
    raw.close_session(second).unwrap();
    let third = setup.app.open(&setup.ring);
    assert_eq!(state(third), state::RW_PUBLIC_SESSION);
    raw.close_session(third).unwrap();

    let sessions = [setup.app.login(&setup.ring), setup.app.open(&setup.ring)];
    let elsewhere = Ring::create(setup.daemon, &[]);
    let kept = setup.app.login(&elsewhere);
    raw.close_all_sessions(setup.app.slot(&setup.ring)).unwrap();
    for session in sessions {
        assert_eq!(raw.session_info(session).err(), Some(Rv::SESSION_HANDLE_INVALID));
    }
    assert_eq!(state(kept), state::RW_USER_FUNCTIONS, "another slot's sessions stay");
    assert_eq!(state(setup.app.open(&setup.ring)), state::RW_PUBLIC_SESSION);
}

#[test]
fn session_objects_end_with_their_session() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let (first, second) = (setup.app.login(&setup.ring), setup.app.open(&setup.ring));
    let object = setup.app.aes(first, 16, &[label("short-lived")]).unwrap();
    assert_eq!(raw.find(second, &[label("short-lived")]), Ok(vec![object]), "the application sees it");
    raw.close_session(first).unwrap();
    assert_eq!(raw.find(second, &[label("short-lived")]), Ok(vec![]));
    assert_eq!(raw.object_size(second, object), Err(Rv::OBJECT_HANDLE_INVALID));
    let fresh = setup.app.aes(second, 16, &[]).unwrap();
    assert_ne!(fresh, object, "handles are not reused");
}

#[test]
fn logout_takes_private_objects_away() {
    let setup = Setup::new();
    let (raw, ring) = (&setup.app.raw, &setup.ring);
    let session = setup.app.login(ring);
    let private_session = setup.app.aes(session, 16, &[label("private session")]).unwrap();
    let private_token = setup.app.aes(session, 16, &on_token("private token")).unwrap();
    let public = setup.app.aes(session, 16, &[flag(A::PRIVATE, false), label("public")]).unwrap();
    raw.logout(session).unwrap();
    for object in [private_session, private_token] {
        assert_eq!(raw.attribute(session, object, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
        let start = raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), object);
        assert_eq!(start, Err(Rv::KEY_HANDLE_INVALID));
    }
    assert_eq!(raw.find(session, &[]), Ok(vec![public]));
    raw.login(session, user::USER, Some(ring.user_pin.as_bytes())).unwrap();
    assert_eq!(raw.attribute(session, private_session, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
    // Even if a user is later logged back in, those handles remain invalid (PKCS#11 3.2, 5.6.10).
    assert_eq!(raw.attribute(session, private_token, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
    let found = raw.find(session, &[label("private token")]).unwrap();
    assert_eq!(found.len(), 1);
    assert_ne!(found[0], private_token);
    raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), found[0]).unwrap();
    assert_eq!(raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).unwrap().len(), 16);
    let made = setup.app.aes(session, 16, &on_token("made after")).unwrap();
    assert_eq!(raw.find(session, &[label("made after")]), Ok(vec![made]));
    assert_eq!(raw.destroy_object(session, found[0]), Ok(()));
    // Another application has its own logouts.
    let other = Application::on(setup.daemon);
    let theirs = other.login(ring);
    assert_eq!(other.raw.find(theirs, &[label("made after")]).unwrap().len(), 1);
    assert_eq!(other.raw.attribute(theirs, made, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
}

#[test]
fn logout_ends_operations_with_private_keys() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.aes(session, 16, &on_token("key")).unwrap();
    raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
    raw.logout(session).unwrap();
    let output = raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16));
    assert_eq!(output.rv, Rv::OPERATION_NOT_INITIALIZED);
}

#[test]
fn before_login_public_things_work_and_private_ones_do_not() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let public = [flag(A::PRIVATE, false)];
    let key = setup.app.aes(session, 16, &public).unwrap();
    raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
    assert_eq!(raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).unwrap().len(), 16);
    let pair = setup.app.ec(session, curve::P256, &public).unwrap();
    assert_eq!(raw.attribute(session, pair.1, A::PRIVATE), Ok(vec![0]));
    let data = [class(ObjectClass::DATA), bytes(A::VALUE, "public data"), token(true)];
    assert!(raw.create_object(session, &data).is_ok());

    assert_eq!(setup.app.aes(session, 16, &[]), Err(Rv::USER_NOT_LOGGED_IN), "private by default");
    assert_eq!(setup.app.ec(session, curve::P256, &[]), Err(Rv::USER_NOT_LOGGED_IN));
    let data = [class(ObjectClass::DATA), flag(A::PRIVATE, true)];
    assert_eq!(raw.create_object(session, &data), Err(Rv::USER_NOT_LOGGED_IN));
    assert_eq!(raw.generate_random(session, 8).map(|random| random.len()), Ok(8));
}

#[test]
fn a_read_only_session_changes_nothing_in_the_token() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let rw = setup.app.login(&setup.ring);
    let key = setup.app.aes(rw, 16, &on_token("kept")).unwrap();
    let ro = raw.open_session(setup.app.slot(&setup.ring), RO).unwrap();
    let no = Rv::SESSION_READ_ONLY;
    assert_eq!(setup.app.aes(ro, 16, &on_token("new")), Err(no));
    assert_eq!(setup.app.ec(ro, curve::P256, &on_token("new")), Err(no));
    let data = [class(ObjectClass::DATA), token(true)];
    assert_eq!(raw.create_object(ro, &data), Err(no));
    assert_eq!(raw.copy_object(ro, key, &[label("copy")]), Err(no));
    assert_eq!(raw.set_attributes(ro, key, &[label("changed")]), Err(no));
    assert_eq!(raw.destroy_object(ro, key), Err(no));
    // Session objects are its own.
    let own = setup.app.aes(ro, 16, &[]).unwrap();
    assert_eq!(raw.set_attributes(ro, own, &[label("changed")]), Ok(()));
    assert_eq!(raw.destroy_object(ro, own), Ok(()));
    // And it uses what is in the token.
    raw.start(Operation::Encrypt, ro, Some(&M::AES_ECB.into()), key).unwrap();
    assert_eq!(raw.one_shot(Operation::Encrypt, ro, &[0; 16], Room::Bytes(16)).rv, Rv::OK);
}

#[test]
fn two_applications_share_the_token_and_nothing_else() {
    let setup = Setup::new();
    let other = Application::on(setup.daemon);
    let mine = setup.app.login(&setup.ring);
    let theirs = other.open(&setup.ring);
    // Not the login,
    assert_eq!(other.raw.session_info(theirs).unwrap().state, state::RW_PUBLIC_SESSION);
    let token_key = setup.app.aes(mine, 16, &on_token("shared")).unwrap();
    assert_eq!(other.raw.find(theirs, &[label("shared")]), Ok(vec![]), "private: they are not logged in");
    // not the sessions,
    assert_eq!(other.raw.session_info(mine).err(), Some(Rv::SESSION_HANDLE_INVALID));
    assert_eq!(other.raw.close_session(mine), Err(Rv::SESSION_HANDLE_INVALID));
    // not the session objects, even after their own login,
    let session_key = setup.app.aes(mine, 16, &[label("mine")]).unwrap();
    let public_data = setup.app.raw.create_object(mine, &[class(ObjectClass::DATA), label("mine")]).unwrap();
    other.raw.login(theirs, user::USER, Some(setup.ring.user_pin.as_bytes())).unwrap();
    assert_eq!(other.raw.find(theirs, &[label("mine")]), Ok(vec![]));
    for object in [session_key, public_data] {
        assert_eq!(other.raw.attribute(theirs, object, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
        assert_eq!(other.raw.destroy_object(theirs, object), Err(Rv::OBJECT_HANDLE_INVALID));
    }
    // but the token's objects, with the same handle.
    assert_eq!(other.raw.find(theirs, &[label("shared")]), Ok(vec![token_key]));
    // One's end is not the other's.
    other.raw.logout(theirs).unwrap();
    assert_eq!(setup.app.raw.session_info(mine).unwrap().state, state::RW_USER_FUNCTIONS);
    drop(other);
    assert_eq!(setup.app.raw.session_info(mine).unwrap().state, state::RW_USER_FUNCTIONS);
    assert_eq!(setup.app.raw.attribute(mine, session_key, A::LABEL), Ok(b"mine".to_vec()));
}

#[test]
fn the_state_of_a_digest_can_be_saved_and_restored() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let (from, to) = (setup.app.open(&setup.ring), setup.app.open(&setup.ring));
    assert_eq!(raw.operation_state(from, Room::Query).rv, Rv::OPERATION_NOT_INITIALIZED);
    raw.start(Operation::Digest, from, Some(&M::SHA256.into()), 0).unwrap();
    raw.feed(Operation::Digest, from, b"The first half, ").unwrap();
    let size = raw.operation_state(from, Room::Query);
    assert_eq!(size.rv, Rv::OK);
    let small = raw.operation_state(from, Room::Bytes(size.length as usize - 1));
    assert_eq!((small.rv, small.length), (Rv::BUFFER_TOO_SMALL, size.length));
    let state = raw.operation_state(from, Room::Bytes(size.length as usize)).unwrap();
    raw.set_operation_state(to, &state).unwrap();
    for session in [from, to] {
        raw.feed(Operation::Digest, session, b"and the second.").unwrap();
        let digest = raw.finish(Operation::Digest, session, Room::Bytes(32)).unwrap();
        let expected = claviger_conformance::openssl::digest("sha256", b"The first half, and the second.");
        assert_eq!(digest, expected);
    }
    for bad in [&b""[..], b"garbage", &state[..state.len() - 1], &[&state[..], &[0]].concat()] {
        assert_eq!(raw.set_operation_state(to, bad), Err(Rv::SAVED_STATE_INVALID), "{} bytes", bad.len());
    }
}

#[test]
fn the_state_of_a_digest_with_a_key_in_it_stays_inside() {
    // A saved state holds the last bytes that went in: here, of a sensitive key.
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.secret(session, 32, &[]).unwrap();
    raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).unwrap();
    raw.digest_key(session, key).unwrap();
    assert_eq!(raw.operation_state(session, Room::Query).rv, Rv::STATE_UNSAVEABLE);
    assert_eq!(raw.operation_state(session, Room::Bytes(1000)).rv, Rv::STATE_UNSAVEABLE);
    assert_eq!(raw.finish(Operation::Digest, session, Room::Bytes(32)).rv, Rv::OK, "the digest goes on");
}
