//! General purpose functions (PKCS#11 3.2, section 5.4).

use std::sync::Arc;

use claviger_conformance::application::initialize;
use claviger_conformance::prelude::*;
use cryptoki_sys::{CKF_INTERFACE_FORK_SAFE, CKF_LIBRARY_CANT_CREATE_OS_THREADS, CKF_OS_LOCKING_OK};

/// A module that is loaded and not initialised.
fn loaded() -> Application {
    Application::load(daemon().root())
}

fn start(application: &Application, arguments: Arguments) -> Result<(), Rv> {
    initialize(&application.raw, &daemon().pkcs11_socket(), arguments)
}

#[test]
fn the_old_function_list_has_68_entries() {
    let application = loaded();
    assert_eq!(application.raw.function_list(), ((2, 40), 68));
    assert_eq!(application.raw.get_function_list_null(), Rv::ARGUMENTS_BAD);
}

#[test]
fn there_are_three_interfaces_and_none_has_a_hole() {
    let interfaces = loaded().raw.interfaces();
    let expected: Vec<_> = [((3, 2), 104), ((3, 0), 92), ((2, 40), 68)]
        .into_iter()
        .map(|(version, entries)| ("PKCS 11".to_owned(), version, CKF_INTERFACE_FORK_SAFE, entries))
        .collect();
    let mut found = interfaces.clone();
    found.sort_by_key(|interface| std::cmp::Reverse(interface.1));
    assert_eq!(found, expected);
}

#[test]
fn an_interface_is_found_by_name_version_and_flags() {
    let raw = &loaded().raw;
    let version = |name, version, flags| raw.interface(name, version, flags).map(|found| found.1);
    assert_eq!(version(None, None, 0), Ok((3, 2)), "the default is the newest");
    assert_eq!(version(Some(c"PKCS 11"), None, 0), Ok((3, 2)));
    for wanted in [(2, 40), (3, 0), (3, 2)] {
        assert_eq!(version(Some(c"PKCS 11"), Some(wanted), 0), Ok(wanted));
        assert_eq!(version(None, Some(wanted), CKF_INTERFACE_FORK_SAFE), Ok(wanted));
    }
    assert_eq!(version(Some(c"Vendor"), None, 0), Err(Rv::FUNCTION_FAILED));
    assert_eq!(version(None, Some((9, 9)), 0), Err(Rv::FUNCTION_FAILED));
    assert_eq!(
        version(None, None, CKF_INTERFACE_FORK_SAFE << 1),
        Err(Rv::FUNCTION_FAILED),
        "an unknown flag"
    );
    assert_eq!(raw.interface_count(2), (Rv::BUFFER_TOO_SMALL, 3));
    assert_eq!(raw.interface_count(5), (Rv::OK, 3));
}

#[test]
fn nothing_works_before_initialize() {
    let raw = &loaded().raw;
    let no = Rv::CRYPTOKI_NOT_INITIALIZED;
    assert_eq!(raw.info().err(), Some(no));
    assert_eq!(raw.slots(false, None).0, no);
    assert_eq!(raw.slot_info(0).err(), Some(no));
    assert_eq!(raw.token_info(0).err(), Some(no));
    assert_eq!(raw.mechanisms(0, None).0, no);
    assert_eq!(raw.open_session(0, 4), Err(no));
    assert_eq!(raw.close_session(1), Err(no));
    assert_eq!(raw.login(1, 1, Some(b"1234")), Err(no));
    assert_eq!(raw.find_init(1, &[]), Err(no));
    assert_eq!(raw.start(Operation::Sign, 1, Some(&M::ECDSA.into()), 1), Err(no));
    assert_eq!(raw.one_shot(Operation::Sign, 1, b"data", Room::Bytes(64)).rv, no);
    assert_eq!(raw.generate_random(1, 8), Err(no));
    assert_eq!(raw.wait_for_slot_event(1), Err(no));
    assert_eq!(raw.finalize(false), Err(no));
}

#[test]
fn initialize_takes_what_clients_give_and_refuses_contradictions() {
    let application = loaded();
    let refused = [
        (Arguments::Reserved, Rv::ARGUMENTS_BAD),
        (Arguments::Mutexes(1, 0), Rv::ARGUMENTS_BAD),
        (Arguments::Mutexes(2, 0), Rv::ARGUMENTS_BAD),
        (Arguments::Mutexes(3, CKF_OS_LOCKING_OK), Rv::ARGUMENTS_BAD),
    ];
    for (arguments, rv) in refused {
        assert_eq!(start(&application, arguments), Err(rv), "{arguments:?}");
    }
    let accepted = [
        Arguments::Null,
        Arguments::Flags(0),
        Arguments::Flags(CKF_OS_LOCKING_OK),
        Arguments::Flags(CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS),
        Arguments::Mutexes(4, CKF_OS_LOCKING_OK),
        // The application's own locks are not needed: the module locks for itself, whatever it is told.
        Arguments::Mutexes(4, 0),
    ];
    for arguments in accepted {
        assert_eq!(start(&application, arguments), Ok(()), "{arguments:?}");
        assert_eq!(start(&application, arguments), Err(Rv::CRYPTOKI_ALREADY_INITIALIZED));
        assert_eq!(application.raw.finalize(true), Err(Rv::ARGUMENTS_BAD));
        assert_eq!(application.raw.slots(false, None).0, Rv::OK, "a refused C_Finalize ends nothing");
        assert_eq!(application.raw.finalize(false), Ok(()));
        assert_eq!(application.raw.finalize(false), Err(Rv::CRYPTOKI_NOT_INITIALIZED));
    }
}

#[test]
fn of_threads_that_initialize_together_one_succeeds() {
    let application = Arc::new(loaded());
    // One more application sets the environment first, so that the threads only read it.
    let _other = Application::on(daemon());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let application = Arc::clone(&application);
            std::thread::spawn(move || start(&application, Arguments::Flags(CKF_OS_LOCKING_OK)))
        })
        .collect();
    let mut results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    results.sort_by_key(|result| result.is_err());
    assert_eq!(results[0], Ok(()));
    assert!(
        results[1..].iter().all(|result| *result == Err(Rv::CRYPTOKI_ALREADY_INITIALIZED)),
        "{results:?}"
    );
}

#[test]
fn info_tells_version_and_maker() {
    let application = Application::on(daemon());
    let info = application.raw.info().unwrap();
    assert_eq!(
        (info.cryptokiVersion.major, info.cryptokiVersion.minor),
        (2, 40),
        "of the list it came through"
    );
    assert_eq!(info.flags, 0);
    let padded = |text: &str, field: &[u8]| {
        assert_eq!(field, format!("{text:width$}", width = field.len()).as_bytes());
    };
    padded("Claviger", &info.manufacturerID);
    let description = String::from_utf8(info.libraryDescription.to_vec()).unwrap();
    assert!(description.starts_with("Claviger"), "{description:?}");
    assert!(!description.contains('\0'));
    let newest = application.pkcs11.get_library_info().unwrap().cryptoki_version();
    assert_eq!((newest.major(), newest.minor()), (3, 2));
    assert_eq!(application.raw.info_null(), Err(Rv::ARGUMENTS_BAD));
}

#[test]
fn parallel_functions_are_none() {
    let application = Application::on(daemon());
    for session in [0, 1, u64::MAX] {
        assert_eq!(application.raw.function_status(session), Err(Rv::FUNCTION_NOT_PARALLEL));
        assert_eq!(application.raw.cancel_function(session), Err(Rv::FUNCTION_NOT_PARALLEL));
    }
}

#[test]
fn what_is_not_offered_yet_says_so() {
    use cryptoki::error::{Error, RvError};
    let setup = Setup::new();
    let session = setup.app.cryptoki_login(&setup.ring);
    let key = session
        .generate_key(
            &cryptoki::mechanism::Mechanism::AesKeyGen,
            &[cryptoki::object::Attribute::ValueLen(32.into())],
        )
        .unwrap();
    let outcome = session.message_encrypt_init(&cryptoki::mechanism::Mechanism::AesEcb, key);
    assert!(matches!(outcome, Err(Error::Pkcs11(RvError::FunctionNotSupported, _))), "{outcome:?}");
    let outcome = session.encapsulate_key(&cryptoki::mechanism::Mechanism::RsaPkcs, key, &[]);
    assert!(matches!(outcome, Err(Error::Pkcs11(RvError::FunctionNotSupported, _))), "{outcome:?}");
}
