//! Slot and token management functions (PKCS#11 3.2, section 5.5).

use claviger_conformance::prelude::*;
use claviger_protocol::flags::{mechanism as mechanism_flags, session, state, token as token_flags, user};
use claviger_protocol::mechanism::{MECHANISMS, Profiles};
use cryptoki_sys::CKF_DONT_BLOCK;

const RW: u64 = session::RW_SESSION | session::SERIAL_SESSION;

#[test]
fn slots_are_the_key_rings_and_a_free_one_at_the_end() {
    let daemon = Daemon::start();
    let rings = [Ring::create(&daemon, &[]), Ring::create(&daemon, &[])];
    let app = Application::on(&daemon);
    let (rv, count, _) = app.raw.slots(true, None);
    assert_eq!((rv, count), (Rv::OK, 3));
    let (rv, count, slots) = app.raw.slots(true, Some(3));
    assert_eq!((rv, count), (Rv::OK, 3));
    assert_eq!(app.raw.slots(true, Some(2)), (Rv::BUFFER_TOO_SMALL, 3, Vec::new()));
    assert_eq!(app.raw.slots(false, Some(8)).2, slots);
    assert_eq!(slots[..2], [app.slot(&rings[0]), app.slot(&rings[1])], "in the order of their making");

    let free = app.raw.token_info(slots[2]).unwrap();
    assert_eq!(free.flags & token_flags::TOKEN_INITIALIZED, 0);
    assert_eq!(app.raw.open_session(slots[2], RW), Err(Rv::TOKEN_NOT_RECOGNIZED));
    for slot in &slots {
        let info = app.raw.slot_info(*slot).unwrap();
        assert_eq!(info.flags, claviger_protocol::flags::slot::TOKEN_PRESENT);
        assert!(!info.slotDescription.contains(&0), "padded with blanks");
    }
    daemon.kill();
    daemon.restart();
    assert_eq!(Application::on(&daemon).raw.slots(true, Some(8)).2, slots, "the same after a restart");
}

#[test]
fn a_slot_that_is_none_is_refused_everywhere() {
    let app = Application::on(daemon());
    let none = 0xdead_beef;
    assert_eq!(app.raw.slot_info(none).err(), Some(Rv::SLOT_ID_INVALID));
    assert_eq!(app.raw.token_info(none).err(), Some(Rv::SLOT_ID_INVALID));
    assert_eq!(app.raw.mechanisms(none, None).0, Rv::SLOT_ID_INVALID);
    assert_eq!(app.raw.mechanism_info(none, M::ECDSA).err(), Some(Rv::SLOT_ID_INVALID));
    assert_eq!(app.raw.open_session(none, RW), Err(Rv::SLOT_ID_INVALID));
    assert_eq!(app.raw.close_all_sessions(none), Err(Rv::SLOT_ID_INVALID));
    assert_eq!(app.raw.init_token(none, b"1234", "label"), Err(Rv::SLOT_ID_INVALID));
}

#[test]
fn the_token_is_what_the_admin_made() {
    let setup = Setup::new();
    let described = setup.daemon.admin().json(["keyrings", "describe", &setup.ring.name]);
    let info = setup.app.raw.token_info(setup.app.slot(&setup.ring)).unwrap();
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
    assert_eq!(text(&info.label), format!("{:32}", setup.ring.label));
    assert_eq!(text(&info.serialNumber), described["tokenSerial"].as_str().unwrap());
    assert_eq!(text(&info.manufacturerID), format!("{:32}", "Claviger"));
    assert_eq!((info.ulMinPinLen, info.ulMaxPinLen), (4, 255));
    assert_eq!(
        info.flags,
        token_flags::RNG
            | token_flags::LOGIN_REQUIRED
            | token_flags::USER_PIN_INITIALIZED
            | token_flags::TOKEN_INITIALIZED
            | token_flags::DUAL_CRYPTO_OPERATIONS
    );
    assert_eq!((info.ulSessionCount, info.ulRwSessionCount), (0, 0));
    let _rw = setup.app.open(&setup.ring);
    let _ro = setup.app.raw.open_session(setup.app.slot(&setup.ring), session::SERIAL_SESSION).unwrap();
    let info = setup.app.raw.token_info(setup.app.slot(&setup.ring)).unwrap();
    assert_eq!((info.ulSessionCount, info.ulRwSessionCount), (2, 1));
}

#[test]
fn the_mechanism_list_is_the_table_in_each_profile() {
    let profiles =
        [("standard", Profiles::STANDARD), ("strict", Profiles::STRICT), ("legacy", Profiles::LEGACY)];
    for (name, profile) in profiles {
        let setup = Setup::with(&["--profile", name]);
        let slot = setup.app.slot(&setup.ring);
        let expected: Vec<M> =
            MECHANISMS.iter().filter(|row| row.profiles.contains(profile)).map(|row| row.r#type).collect();
        let (rv, count, _) = setup.app.raw.mechanisms(slot, None);
        assert_eq!((rv, count as usize), (Rv::OK, expected.len()), "{name}");
        assert_eq!(setup.app.raw.mechanisms(slot, Some(count)), (Rv::OK, count, expected.clone()), "{name}");
        assert_eq!(
            setup.app.raw.mechanisms(slot, Some(count - 1)),
            (Rv::BUFFER_TOO_SMALL, count, Vec::new()),
            "{name}"
        );
        for row in MECHANISMS {
            let info = setup.app.raw.mechanism_info(slot, row.r#type);
            if expected.contains(&row.r#type) {
                let info = info.unwrap();
                let told = (info.ulMinKeySize, info.ulMaxKeySize, info.flags);
                let (min, max) = row.sizes_in(profile);
                assert_eq!(told, (min, max, row.flags_in(profile)), "{name} {}", row.r#type);
                assert_eq!(info.flags & mechanism_flags::HW, 0, "no hardware is claimed");
            } else {
                assert_eq!(info.err(), Some(Rv::MECHANISM_INVALID), "{name} {}", row.r#type);
            }
        }
        assert_eq!(setup.app.raw.mechanism_info(slot, M(0x7fff_0000)).err(), Some(Rv::MECHANISM_INVALID));
    }
}

#[test]
fn init_token_makes_a_key_ring_of_the_free_slot() {
    let daemon = Daemon::start();
    let app = Application::on(&daemon);
    let slot = *app.raw.slots(true, Some(8)).2.last().unwrap();
    assert_eq!(app.raw.init_token(slot, b"123", "mine"), Err(Rv::PIN_LEN_RANGE));
    assert_eq!(daemon.admin().json(["keyrings", "list"]), serde_json::json!([]), "a refusal leaves nothing");
    assert_eq!(app.raw.init_token(slot, b"so-pin", "mine"), Ok(()));
    let rings = daemon.admin().json(["keyrings", "list"]);
    assert_eq!(rings.as_array().unwrap().len(), 1);
    assert_eq!(rings[0]["tokenLabel"], "mine");
    let info = app.raw.token_info(slot).unwrap();
    let initialized = token_flags::TOKEN_INITIALIZED;
    assert_eq!(info.flags & (initialized | token_flags::USER_PIN_INITIALIZED), initialized);
    assert_eq!(app.raw.slots(true, Some(8)).2.len(), 2, "there is a new free slot");

    // Not a user's PIN yet, until the security officer sets one.
    let session = app.raw.open_session(slot, RW).unwrap();
    assert_eq!(app.raw.login(session, user::USER, Some(b"1234")), Err(Rv::USER_PIN_NOT_INITIALIZED));
    assert_eq!(app.raw.init_pin(session, b"1234"), Err(Rv::USER_NOT_LOGGED_IN));
    assert_eq!(app.raw.login(session, user::SO, Some(b"so-pin")), Ok(()));
    assert_eq!(app.raw.init_pin(session, b"123"), Err(Rv::PIN_LEN_RANGE));
    assert_eq!(app.raw.init_pin(session, b"1234"), Ok(()));
    assert_eq!(app.raw.logout(session), Ok(()));
    assert_eq!(app.raw.login(session, user::USER, Some(b"1234")), Ok(()));
    app.aes(session, 32, &on_token("key")).unwrap();

    // Once more: needs the same PIN and no session of anybody.
    let other = Application::on(&daemon);
    assert_eq!(other.raw.init_token(slot, b"so-pin", "again"), Err(Rv::SESSION_EXISTS));
    app.raw.close_all_sessions(slot).unwrap();
    assert_eq!(other.raw.init_token(slot, b"wrong-pin", "again"), Err(Rv::PIN_INCORRECT));
    assert_eq!(other.raw.init_token(slot, b"so-pin", "again"), Ok(()));
    let info = other.raw.token_info(slot).unwrap();
    assert_eq!(&info.label, format!("{:32}", "again").as_bytes());
    assert_eq!(info.flags & token_flags::USER_PIN_INITIALIZED, 0);
    let ring = rings[0]["name"].as_str().unwrap().rsplit('/').next().unwrap();
    let versions = daemon.admin().json(["keys", "versions", "list", "--keyring", ring, "--key", "key"]);
    assert_eq!(versions[0]["state"], "DESTROY_SCHEDULED", "the admin can still restore it");
}

#[test]
fn set_pin_changes_the_pin_of_who_is_logged_in() {
    let setup = Setup::new();
    let (raw, ring) = (&setup.app.raw, &setup.ring);
    let session = setup.app.open(ring);
    let (user_pin, so_pin) = (ring.user_pin.as_bytes(), ring.so_pin.as_bytes());
    // Nobody is logged in: the user's.
    assert_eq!(raw.set_pin(session, b"wrong-pin", b"new-pin"), Err(Rv::PIN_INCORRECT));
    assert_eq!(raw.set_pin(session, user_pin, b"abc"), Err(Rv::PIN_LEN_RANGE));
    assert_eq!(raw.set_pin(session, user_pin, &[b'x'; 256]), Err(Rv::PIN_LEN_RANGE));
    assert_eq!(raw.set_pin(session, user_pin, b"second-pin"), Ok(()));
    assert_eq!(raw.login(session, user::USER, Some(user_pin)), Err(Rv::PIN_INCORRECT));
    assert_eq!(raw.login(session, user::USER, Some(b"second-pin")), Ok(()));
    assert_eq!(raw.set_pin(session, b"second-pin", b"third-pin"), Ok(()));
    assert_eq!(raw.session_info(session).unwrap().state, state::RW_USER_FUNCTIONS, "still logged in");
    raw.logout(session).unwrap();
    // The security officer's.
    assert_eq!(raw.login(session, user::SO, Some(so_pin)), Ok(()));
    assert_eq!(raw.set_pin(session, so_pin, b"new-so-pin"), Ok(()));
    raw.logout(session).unwrap();
    assert_eq!(raw.login(session, user::SO, Some(so_pin)), Err(Rv::PIN_INCORRECT));
    assert_eq!(raw.login(session, user::SO, Some(b"new-so-pin")), Ok(()));
    raw.logout(session).unwrap();
    assert_eq!(raw.login(session, user::USER, Some(b"third-pin")), Ok(()));
    raw.close_all_sessions(setup.app.slot(ring)).unwrap();
    let read_only = raw.open_session(setup.app.slot(ring), session::SERIAL_SESSION).unwrap();
    assert_eq!(raw.set_pin(read_only, b"third-pin", b"fourth-pin"), Err(Rv::SESSION_READ_ONLY));
}

#[test]
fn wrong_pins_lock_the_pin_and_the_security_officer_unlocks_it() {
    let setup = Setup::new();
    let (raw, ring) = (&setup.app.raw, &setup.ring);
    let slot = setup.app.slot(ring);
    let session = setup.app.open(ring);
    let flags = || {
        raw.token_info(slot).unwrap().flags
            & (token_flags::USER_PIN_COUNT_LOW
                | token_flags::USER_PIN_FINAL_TRY
                | token_flags::USER_PIN_LOCKED)
    };
    assert_eq!(flags(), 0);
    for wrong in 1..=10 {
        assert_eq!(
            raw.login(session, user::USER, Some(b"not this one")),
            Err(Rv::PIN_INCORRECT),
            "try {wrong}"
        );
        let expected = match wrong {
            ..=8 => token_flags::USER_PIN_COUNT_LOW,
            9 => token_flags::USER_PIN_COUNT_LOW | token_flags::USER_PIN_FINAL_TRY,
            _ => token_flags::USER_PIN_COUNT_LOW | token_flags::USER_PIN_LOCKED,
        };
        assert_eq!(flags(), expected, "after wrong try {wrong}");
    }
    let right = ring.user_pin.as_bytes();
    assert_eq!(raw.login(session, user::USER, Some(right)), Err(Rv::PIN_LOCKED), "even the right one");
    assert_eq!(raw.login(session, user::SO, Some(ring.so_pin.as_bytes())), Ok(()));
    assert_eq!(raw.init_pin(session, b"fresh-pin"), Ok(()));
    raw.logout(session).unwrap();
    assert_eq!(flags(), 0);
    assert_eq!(raw.login(session, user::USER, Some(b"fresh-pin")), Ok(()));
}

#[test]
fn a_right_pin_sets_the_count_back() {
    let setup = Setup::new();
    let (raw, ring) = (&setup.app.raw, &setup.ring);
    let session = setup.app.open(ring);
    for _ in 0..2 {
        for _ in 0..7 {
            assert_eq!(raw.login(session, user::USER, Some(b"not this one")), Err(Rv::PIN_INCORRECT));
        }
        assert_eq!(raw.login(session, user::USER, Some(ring.user_pin.as_bytes())), Ok(()));
        raw.logout(session).unwrap();
    }
}

#[test]
fn a_new_key_ring_is_a_slot_event() {
    let daemon = Daemon::start();
    let app = Application::on(&daemon);
    assert_eq!(app.raw.wait_for_slot_event(CKF_DONT_BLOCK), Err(Rv::NO_EVENT));
    let ring = Ring::create(&daemon, &[]);
    let slot = app.raw.wait_for_slot_event(CKF_DONT_BLOCK).expect("an event");
    // The ring took the free slot, whose number was known; the slot that is new is the next free one.
    assert!(app.raw.slots(true, Some(8)).2.contains(&slot));
    assert_eq!(app.raw.wait_for_slot_event(CKF_DONT_BLOCK), Err(Rv::NO_EVENT));
    assert!(app.raw.token_info(app.slot(&ring)).unwrap().flags & token_flags::TOKEN_INITIALIZED != 0);

    // A blocking wait ends with the event, and with C_Finalize.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| app.raw.wait_for_slot_event(0));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!waiter.is_finished());
        Ring::create(&daemon, &[]);
        assert!(waiter.join().unwrap().is_ok());
        let waiter = scope.spawn(|| app.raw.wait_for_slot_event(0));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!waiter.is_finished());
        assert_eq!(app.raw.finalize(false), Ok(()));
        assert_eq!(waiter.join().unwrap(), Err(Rv::CRYPTOKI_NOT_INITIALIZED));
    });
}
