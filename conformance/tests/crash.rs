//! SIGKILL at any moment: what was acknowledged is there, what was not is whole or absent.

use std::collections::BTreeMap;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use claviger_conformance::prelude::*;

/// A small generator of pauses (xorshift), so that a run can be repeated.
struct Pauses(u64);

impl Pauses {
    fn next(&mut self, below_micros: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % below_micros)
    }
}

#[test]
fn no_acknowledged_key_is_lost() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let mut pauses = Pauses(0x2545_f491_4f6c_dd1d);
    // Handle and check value, or public key, by label.
    let acknowledged: Mutex<BTreeMap<String, (u64, Vec<u8>)>> = Mutex::default();
    for round in 0..10 {
        let logged_in = &Barrier::new(3);
        let before = acknowledged.lock().unwrap().len();
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let app = Application::on(&daemon);
                let (ring, acknowledged) = (&ring, &acknowledged);
                scope.spawn(move || {
                    let session = app.login(ring);
                    logged_in.wait();
                    for n in 0.. {
                        let name = format!("key-{round}-{worker}-{n}");
                        let made = if n % 2 == 0 {
                            app.aes(session, 32, &on_token(&name)).map(|key| (key, A::CHECK_VALUE))
                        } else {
                            let pair = app.ec(session, curve::P256, &on_token(&name));
                            pair.map(|(_, private)| (private, A::PUBLIC_KEY_INFO))
                        };
                        let Ok((key, attribute)) = made else { return };
                        let Ok(value) = app.raw.attribute(session, key, attribute) else {
                            // Acknowledged all the same; its value is looked at after the restart.
                            acknowledged.lock().unwrap().insert(name, (key, Vec::new()));
                            return;
                        };
                        acknowledged.lock().unwrap().insert(name, (key, value));
                    }
                });
            }
            logged_in.wait();
            // However slow the machine is, a round has keys to lose.
            while acknowledged.lock().unwrap().len() == before {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(pauses.next(60_000));
            daemon.kill();
        });
        daemon.restart();
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= 10, "only {} keys were made", acknowledged.len());

    let app = Application::on(&daemon);
    let session = app.login(&ring);
    for (name, (key, value)) in &acknowledged {
        let attribute =
            if name.ends_with(['0', '2', '4', '6', '8']) { A::CHECK_VALUE } else { A::PUBLIC_KEY_INFO };
        let found = app.raw.attribute(session, *key, attribute);
        assert!(found.as_ref().is_ok_and(|found| value.is_empty() || found == value), "{name}: {found:?}");
        assert_eq!(app.raw.attribute(session, *key, A::LABEL).as_deref(), Ok(name.as_bytes()));
    }
    // Whatever else is there is whole: a pair has both halves, a key can be used.
    let private = app.raw.find(session, &[class(ObjectClass::PRIVATE_KEY)]).unwrap();
    let public = app.raw.find(session, &[class(ObjectClass::PUBLIC_KEY)]).unwrap();
    assert_eq!(private.len(), public.len());
    for key in &private {
        app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), *key).unwrap();
        assert_eq!(app.raw.one_shot(Operation::Sign, session, &[1; 32], Room::Bytes(64)).rv, Rv::OK);
    }
    let secret = app.raw.find(session, &[class(ObjectClass::SECRET_KEY)]).unwrap();
    for key in &secret {
        app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), *key).unwrap();
        assert_eq!(app.raw.one_shot(Operation::Encrypt, session, &[1; 16], Room::Bytes(16)).rv, Rv::OK);
    }
    // And the admin sees the same keys.
    let keys = daemon.admin().json(["keys", "list", "--keyring", &ring.name]);
    assert_eq!(keys.as_array().unwrap().len(), private.len() + secret.len());
}

#[test]
fn acknowledged_changes_of_state_are_kept() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    app.aes(session, 32, &on_token("key")).unwrap();
    let version = |verb: &str| {
        let answer = daemon.admin().run([
            "keys",
            "versions",
            verb,
            "1",
            "--keyring",
            &ring.name,
            "--key",
            "key",
            "--yes",
        ]);
        assert_eq!(answer.code, Some(0), "{verb}: {}", answer.stderr);
        let answer: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        answer.get(0).unwrap_or(&answer)["state"].as_str().unwrap().to_owned()
    };
    for verb in ["disable", "enable", "destroy", "restore", "enable"] {
        let acknowledged = version(verb);
        daemon.kill();
        daemon.restart();
        assert_eq!(version("describe"), acknowledged, "after {verb}");
    }
}

#[test]
fn a_daemon_killed_while_it_starts_starts_again() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let key = app.aes(session, 32, &on_token("key")).unwrap();
    daemon.kill();
    let mut pauses = Pauses(0x9e37_79b9_7f4a_7c15);
    for _ in 0..15 {
        let mut command = daemon.command();
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = claviger_conformance::process::spawn(command).unwrap();
        std::thread::sleep(pauses.next(30_000));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    daemon.restart();
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    assert_eq!(app.raw.attribute(session, key, A::LABEL), Ok(b"key".to_vec()));
}

#[test]
fn a_first_start_that_is_killed_leaves_nothing_that_stands_in_the_way() {
    let mut pauses = Pauses(0xda94_2042_e4dd_58b5);
    for _ in 0..8 {
        let daemon = Daemon::prepare();
        for _ in 0..2 {
            let mut command = daemon.command();
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let mut child = claviger_conformance::process::spawn(command).unwrap();
            std::thread::sleep(pauses.next(25_000));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        daemon.restart();
        Ring::create(&daemon, &[]);
    }
}
