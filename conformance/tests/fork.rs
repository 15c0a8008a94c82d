//! fork, exec and exit, in a process of one thread.

use std::process::Command;

use claviger_conformance::admin::{Answer, answer};
use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

/// A token with a P-256 pair labelled "key".
fn token_with_key() -> Setup {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    setup.app.ec(session, curve::P256, &on_token("key")).unwrap();
    setup
}

fn run(setup: &Setup, scenario: &[&str], environment: &[(&str, &str)]) -> Answer {
    let mut command = Command::new(artefacts::client());
    command
        .arg(scenario[0])
        .arg(artefacts::module())
        .args(&scenario[1..])
        .env("CLAVIGER_SOCKET", setup.daemon.pkcs11_socket())
        .env("PIN", &setup.ring.user_pin)
        .envs(environment.iter().copied());
    answer(command)
}

#[test]
fn a_child_does_not_share_the_memory_that_its_parent_shares_with_the_daemon() {
    let setup = token_with_key();
    let answer = run(&setup, &["fork-long", &setup.ring.label], &[]);
    let expected = "\
parent shares memory: true
child shares memory: false
child: true, shares memory: true
child: exit 0
parent: true
parent shares memory: false
";
    assert_eq!((answer.stdout.as_str(), answer.code), (expected, Some(0)), "{}", answer.stderr);
}

#[test]
fn a_child_starts_afresh_and_its_parent_sees_nothing_of_it() {
    let setup = token_with_key();
    let answer = run(&setup, &["fork", &setup.ring.label], &[]);
    let expected = "\
child C_GetSlotList: CKR_CRYPTOKI_NOT_INITIALIZED
child C_GetSessionInfo: CKR_CRYPTOKI_NOT_INITIALIZED
child C_Finalize: CKR_CRYPTOKI_NOT_INITIALIZED
child C_Initialize: CKR_OK
child parent's session: CKR_SESSION_HANDLE_INVALID
child C_Login: CKR_OK
child C_Sign: CKR_OK
child C_Finalize: CKR_OK
child: exit 0
parent C_Sign: CKR_OK
idle child: exit 0
parent C_Sign after an idle child: CKR_OK
rude child: signal 9
parent C_Sign after a rude child: CKR_OK
grandchild C_GetSlotList: CKR_CRYPTOKI_NOT_INITIALIZED
grandchild C_Initialize: CKR_OK
grandchild C_Login: CKR_OK
grandchild: exit 0
child C_Login: CKR_OK
child: exit 0
parent C_DigestFinal: CKR_OK
parent digest: true
parent C_Finalize: CKR_OK
";
    assert_eq!((answer.stdout.as_str(), answer.code), (expected, Some(0)), "{}", answer.stderr);
}

#[test]
fn a_child_may_be_told_to_go_on_without_initialize() {
    // For servers whose workers do not call C_Initialize.
    let setup = token_with_key();
    let answer = run(&setup, &["fork", &setup.ring.label], &[("CLAVIGER_FORK_TOLERANT", "1")]);
    let lines: Vec<_> = answer.stdout.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "child C_GetSlotList: CKR_OK",
            "child C_GetSessionInfo: CKR_SESSION_HANDLE_INVALID",
            "child C_Finalize: CKR_OK"
        ],
        "{}",
        answer.stderr
    );
    assert_eq!(answer.code, Some(0));
}

#[test]
fn a_program_that_is_started_inherits_no_socket() {
    let setup = token_with_key();
    let answer = run(&setup, &["exec", &setup.ring.label], &[]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.contains(" 1 -> "), "{}", answer.stdout);
    assert!(!answer.stdout.contains("socket:"), "{}", answer.stdout);
}

#[test]
fn leaving_without_finalize_and_finalizing_late_are_harmless() {
    let setup = token_with_key();
    let rude = run(&setup, &["exit", &setup.ring.label], &[]);
    assert_eq!((rude.code, rude.stdout.as_str()), (Some(0), ""), "{}", rude.stderr);
    let late = run(&setup, &["exit-late", &setup.ring.label], &[]);
    assert_eq!((late.code, late.stdout.as_str()), (Some(0), "C_Finalize: CKR_OK\n"), "{}", late.stderr);
}
