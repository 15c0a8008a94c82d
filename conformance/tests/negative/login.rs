//! PINs and users, slots, sessions and their flags.

use claviger_conformance::prelude::*;
use claviger_protocol::flags::session::{ASYNC_SESSION, RW_SESSION, SERIAL_SESSION};
use claviger_protocol::flags::user;

use crate::sheet::Sheet;

const RW: u64 = RW_SESSION | SERIAL_SESSION;

pub fn cases(sheet: &mut Sheet) {
    users(sheet);
    pins(sheet);
    slots(sheet);
    tokens(sheet);
}

fn users(sheet: &mut Sheet) {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let (user_pin, so_pin) = (Some(setup.ring.user_pin.as_bytes()), Some(setup.ring.so_pin.as_bytes()));
    for r#type in [3, 4, 99, u64::MAX] {
        let rv = raw.login(session, r#type, user_pin);
        sheet.expect(format!("Login as user type {type:#x}"), rv, Rv::USER_TYPE_INVALID);
    }
    for (what, user) in [("user", user::USER), ("security officer", user::SO)] {
        sheet.expect(
            format!("Login of the {what} without a PIN"),
            raw.login(session, user, None),
            Rv::ARGUMENTS_BAD,
        );
    }
    let rv = raw.login(session, user::CONTEXT_SPECIFIC, user_pin);
    sheet.expect("Login for no operation", rv, Rv::OPERATION_NOT_INITIALIZED);
    raw.login(session, user::USER, user_pin).unwrap();
    sheet.expect("Login twice", raw.login(session, user::USER, user_pin), Rv::USER_ALREADY_LOGGED_IN);
    let second = setup.app.open(&setup.ring);
    let rv = raw.login(second, user::USER, user_pin);
    sheet.expect("Login twice, in two sessions", rv, Rv::USER_ALREADY_LOGGED_IN);
    // Whoever is logged in already learns nothing of a PIN.
    let rv = raw.login(second, user::USER, Some(b"not this one"));
    sheet.expect("Login twice, with a wrong PIN", rv, Rv::USER_ALREADY_LOGGED_IN);
    let rv = raw.login(session, user::SO, so_pin);
    sheet.expect("Login of the security officer beside the user", rv, Rv::USER_ANOTHER_ALREADY_LOGGED_IN);
    raw.logout(second).unwrap();
    sheet.expect("Logout twice", raw.logout(session), Rv::USER_NOT_LOGGED_IN);
    raw.login(session, user::SO, so_pin).unwrap();
    let rv = raw.login(second, user::USER, user_pin);
    sheet.expect("Login of the user beside the security officer", rv, Rv::USER_ANOTHER_ALREADY_LOGGED_IN);
    let rv = raw.login(second, user::SO, so_pin);
    sheet.expect("Login of the security officer twice", rv, Rv::USER_ALREADY_LOGGED_IN);
}

fn pins(sheet: &mut Sheet) {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let (user_pin, so_pin) = (setup.ring.user_pin.as_bytes(), setup.ring.so_pin.as_bytes());
    let longer = [user_pin, b"x"].concat();
    for (what, pin) in [
        ("an empty PIN", &b""[..]),
        ("half the PIN", &user_pin[..4]),
        ("more than the PIN", &longer),
        ("the security officer's PIN", so_pin),
        ("300 bytes", &[b'x'; 300]),
    ] {
        let rv = raw.login(session, user::USER, Some(pin));
        sheet.expect(format!("Login with {what}"), rv, Rv::PIN_INCORRECT);
    }
    let rv = raw.login(session, user::SO, Some(user_pin));
    sheet.expect("Login of the security officer with the user's PIN", rv, Rv::PIN_INCORRECT);
    let rv = raw.set_pin(session, b"not this one", b"a new pin");
    sheet.expect("SetPIN with a wrong PIN", rv, Rv::PIN_INCORRECT);
    for (what, pin) in [("no bytes", &b""[..]), ("3 bytes", b"123"), ("256 bytes", &[b'x'; 256])] {
        let rv = raw.set_pin(session, user_pin, pin);
        sheet.expect(format!("SetPIN to {what}"), rv, Rv::PIN_LEN_RANGE);
    }
    raw.login(session, user::SO, Some(so_pin)).unwrap();
    for (what, pin) in [("no bytes", &b""[..]), ("3 bytes", b"123"), ("256 bytes", &[b'x'; 256])] {
        sheet.expect(format!("InitPIN of {what}"), raw.init_pin(session, pin), Rv::PIN_LEN_RANGE);
    }
}

fn slots(sheet: &mut Sheet) {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let slot = setup.app.slot(&setup.ring);
    for none in [0xdead_beef, u64::MAX] {
        let no = Rv::SLOT_ID_INVALID;
        sheet.expect(format!("GetSlotInfo of slot {none:#x}"), raw.slot_info(none), no);
        sheet.expect(format!("GetTokenInfo of slot {none:#x}"), raw.token_info(none), no);
        sheet.expect(format!("GetMechanismList of slot {none:#x}"), raw.mechanisms(none, None).0, no);
        let info = raw.mechanism_info(none, M::ECDSA);
        sheet.expect(format!("GetMechanismInfo of slot {none:#x}"), info, no);
        sheet.expect(format!("OpenSession on slot {none:#x}"), raw.open_session(none, RW), no);
        sheet.expect(format!("CloseAllSessions of slot {none:#x}"), raw.close_all_sessions(none), no);
        let init = raw.init_token(none, b"so-pin", "label");
        sheet.expect(format!("InitToken in slot {none:#x}"), init, no);
    }
    for (what, mechanism) in [
        ("nothing", M(0x7fff_0000)),
        ("a vendor's", M::VENDOR_DEFINED),
        ("CK_UNAVAILABLE_INFORMATION", M(u64::MAX)),
        ("a mechanism of another profile", M::DES_ECB),
    ] {
        let rv = raw.mechanism_info(slot, mechanism);
        sheet.expect(format!("GetMechanismInfo of {what}"), rv, Rv::MECHANISM_INVALID);
    }
    for (flags, no) in [
        (0, Rv::SESSION_PARALLEL_NOT_SUPPORTED),
        (RW_SESSION, Rv::SESSION_PARALLEL_NOT_SUPPORTED),
        (ASYNC_SESSION, Rv::SESSION_PARALLEL_NOT_SUPPORTED),
        (RW | ASYNC_SESSION, Rv::SESSION_ASYNC_NOT_SUPPORTED),
    ] {
        sheet.expect(format!("OpenSession with flags {flags:#x}"), raw.open_session(slot, flags), no);
    }
    let session = setup.app.open(&setup.ring);
    raw.close_session(session).unwrap();
    sheet.expect("CloseSession twice", raw.close_session(session), Rv::SESSION_HANDLE_INVALID);
    raw.close_all_sessions(slot).unwrap();
    sheet.expect(
        "GetSessionInfo after CloseAllSessions",
        raw.session_info(session),
        Rv::SESSION_HANDLE_INVALID,
    );
}

fn tokens(sheet: &mut Sheet) {
    let daemon = Daemon::start();
    let app = Application::on(&daemon);
    let raw = &app.raw;
    let free = *raw.slots(true, Some(8)).2.last().unwrap();
    sheet.expect(
        "OpenSession on a token that is none yet",
        raw.open_session(free, RW),
        Rv::TOKEN_NOT_RECOGNIZED,
    );
    for (what, pin) in [("3 bytes", &b"123"[..]), ("256 bytes", &[b'x'; 256])] {
        let rv = raw.init_token(free, pin, "label");
        sheet.expect(format!("InitToken with a PIN of {what}"), rv, Rv::PIN_LEN_RANGE);
    }
    sheet.expect("WaitForSlotEvent with nothing new", raw.wait_for_slot_event(1), Rv::NO_EVENT);
    raw.init_token(free, b"so-pin", "label").unwrap();
    let rv = raw.init_token(free, b"other-pin", "label");
    sheet.expect("InitToken again with a wrong PIN", rv, Rv::PIN_INCORRECT);
    let session = raw.open_session(free, RW).unwrap();
    let rv = raw.init_token(free, b"so-pin", "label");
    sheet.expect("InitToken with a session open", rv, Rv::SESSION_EXISTS);
    let rv = raw.login(session, user::USER, Some(b"1234"));
    sheet.expect("Login before there is a user PIN", rv, Rv::USER_PIN_NOT_INITIALIZED);
    let rv = raw.set_pin(session, b"1234", b"5678");
    sheet.expect("SetPIN before there is a user PIN", rv, Rv::USER_PIN_NOT_INITIALIZED);
    // The wrong PIN above counts too.
    for _ in 0..9 {
        sheet.sure("a wrong PIN", raw.login(session, user::SO, Some(b"wrong-pin")), Rv::PIN_INCORRECT);
    }
    sheet.expect("Login once too often", raw.login(session, user::SO, Some(b"so-pin")), Rv::PIN_LOCKED);
}
