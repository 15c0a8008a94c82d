//! Who may do what, through both doors, with real users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use claviger_conformance::admin::{Answer, answer};
use claviger_conformance::application::initialize;
use claviger_conformance::prelude::*;
use claviger_conformance::{artefacts, process};
use claviger_protocol::flags::{session as session_flags, token as token_flags, user};
use serde_json::json;

const ALICE: u32 = 12_345;
const BOB: u32 = 12_346;
/// `nogroup` in the group database of Debian and its like.
const NOGROUP: u32 = 65_534;
const DENIED: Option<i32> = Some(6);

/// A daemon whose sockets are open to everybody, so that only policies decide.
struct Open {
    daemon: Daemon,
    claviger: PathBuf,
}

impl Open {
    fn start() -> Open {
        Open::with("")
    }

    fn with(settings: &str) -> Open {
        let daemon = Daemon::prepare();
        fs::create_dir(daemon.directory()).unwrap();
        let open = "pkcs11_socket_mode = 0o666\nadmin_socket_mode = 0o666\n";
        fs::write(daemon.directory().join("clavigerd.toml"), format!("{open}{settings}")).unwrap();
        daemon.restart();
        for directory in [daemon.root().to_owned(), daemon.directory()] {
            fs::set_permissions(directory, PermissionsExt::from_mode(0o711)).unwrap();
        }
        let claviger = daemon.root().join("claviger");
        fs::copy(artefacts::claviger(), &claviger).unwrap();
        fs::set_permissions(&claviger, PermissionsExt::from_mode(0o755)).unwrap();
        Open { daemon, claviger }
    }

    /// A verb, said by the user who started the daemon.
    fn root(&self, line: &str) -> serde_json::Value {
        self.daemon.admin().json(line.split(' '))
    }

    /// A verb, said by somebody else.
    fn say(&self, uid: u32, gid: u32, line: &str) -> Answer {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={uid}"), format!("--regid={gid}")])
            .args(["--clear-groups", "--"])
            .arg(&self.claviger)
            .arg("--socket")
            .arg(self.daemon.admin_socket())
            .args(["--format", "json"])
            .args(line.split(' '))
            .current_dir("/");
        answer(command)
    }

    /// A file that everybody can read.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.daemon.file(name, content);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Runs something with an application of another user: its connection is that user's, whoever then speaks.
    fn application<T>(&self, uid: u32, run: impl FnOnce(&Application) -> T) -> T {
        let application = Application::load(self.daemon.root());
        let socket = self.daemon.pkcs11_socket();
        process::as_user(uid, uid, || {
            initialize(&application.raw, &socket, Arguments::Flags(2)).expect("C_Initialize");
        });
        let outcome = run(&application);
        application.raw.finalize(false).expect("C_Finalize");
        outcome
    }
}

/// The daemon that tests without special settings share.
fn open() -> &'static Open {
    static OPEN: OnceLock<Open> = OnceLock::new();
    OPEN.get_or_init(Open::start)
}

fn is_root() -> bool {
    let is = process::is_root();
    if !is {
        println!("only root can become other users; nothing is tested");
    }
    is
}

fn slots(app: &Application) -> Vec<u64> {
    let (_, count, _) = app.raw.slots(true, None);
    app.raw.slots(true, Some(count + 8)).2
}

// ACL-01 ACL-05 ACL-06 RES-16
#[test]
fn every_principal_is_met_at_every_point_by_real_users() {
    if !is_root() {
        return;
    }
    let open = open();
    for line in [
        "keyrings create m",
        "keys create k --keyring m --purpose encryption",
        "keys create l --keyring m --purpose encryption",
        "keyrings create n",
        "keys create k --keyring n --purpose encryption",
    ] {
        open.root(line);
    }
    let text = open.file("text", "a text");
    let encrypt = |ring: &str, key: &str| {
        format!("encrypt --keyring {ring} --key {key} --plaintext-file {text} --ciphertext-file -")
    };
    // The binding's verb, and whether it reaches the keys m/k, m/l and n/k.
    let points = [
        ("projects", "", [true, true, true]),
        ("locations", "", [true, true, true]),
        ("keyrings", " m", [true, true, false]),
        ("keys", " k --keyring m", [true, false, false]),
    ];
    let principals = [
        (format!("uid:{ALICE}"), true, false),
        (format!("gid:{NOGROUP}"), true, false),
        ("group:nogroup".to_owned(), true, false),
        ("*".to_owned(), true, true),
        ("token-user:m".to_owned(), false, false),
    ];
    let mut cells = 0;
    for (word, place, reach) in points {
        for (principal, alice, bob) in &principals {
            let binding = format!("{place} --member {principal} --role kms.user");
            open.root(&format!("{word} add-binding{binding}"));
            for (uid, gid, meant) in [(ALICE, NOGROUP, *alice), (BOB, BOB, *bob)] {
                for ((ring, key), reached) in [("m", "k"), ("m", "l"), ("n", "k")].into_iter().zip(reach) {
                    let said = open.say(uid, gid, &encrypt(ring, key));
                    let expected = if meant && reached { Some(0) } else { DENIED };
                    let what =
                        format!("{uid} {ring}/{key} after {word} add-binding{binding}: {}", said.stderr);
                    assert_eq!(said.code, expected, "{what}");
                    cells += 1;
                }
            }
            open.root(&format!("{word} remove-binding{binding}"));
        }
    }
    println!("{cells} cells of the policy matrix hold with real users");
    assert_eq!(open.say(ALICE, NOGROUP, &encrypt("m", "k")).code, DENIED, "what was taken is gone");
}

// ACL-07 ACL-08 ACL-09
#[test]
fn documents_come_as_json_or_yaml_and_explain_themselves() {
    let open = open();
    open.root("keyrings create doc");
    open.root("keys create k --keyring doc --purpose encryption");
    let key = "projects/local/locations/global/keyRings/doc/cryptoKeys/k";
    let yaml = open.file(
        "policy.yaml",
        "Version: \"1\"\nStatement:\n  - Sid: nights\n    Effect: Deny\n    Principal: [\"*\"]\n    Action: \
         [\"kms:Decrypt\"]\n    Condition:\n      StringEquals: {\"kms:purpose\": ENCRYPT_DECRYPT}\n",
    );
    let set = open.root(&format!("keys set-policy k --keyring doc --policy-file {yaml}"));
    assert_eq!(set["Statement"][0]["Sid"], "nights");
    assert_eq!(open.root("keys get-policy k --keyring doc"), set);
    let test = open.root(&format!("policies test --principal uid:0 --action kms:Decrypt --resource {key}"));
    assert_eq!((&test["decision"], &test["sid"]), (&json!("DENY"), &json!("nights")));
    let admin = open.daemon.admin();
    let stale = ["keys", "set-policy", "k", "--keyring", "doc", "--default", "--etag", "77"];
    assert_eq!(admin.run(stale).code, Some(8), "another etag");
    let back = open.root("keys set-policy k --keyring doc --default");
    assert_eq!(back["Statement"][0]["Sid"], "creator");
    let wrong = open.file("wrong.json", r#"{"Version": "1", "Statement": [{"Effect": "Allow"}]}"#);
    let said = admin.run(["keys", "set-policy", "k", "--keyring", "doc", "--policy-file", &wrong]);
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("statement 1: Principal"), "{}", said.stderr);
    let nonsense = open.file("nonsense", "a: [b");
    let said = admin.run(["keys", "set-policy", "k", "--keyring", "doc", "--policy-file", &nonsense]);
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("neither JSON nor YAML"), "{}", said.stderr);
    // A template is a policy to begin with.
    let template = open.root("policies template --role roles/cloudkms.viewer");
    let file = open.file("template.json", &template.to_string());
    open.root(&format!("policies create viewers --from-file {file}"));
    open.root("policies attach viewers --principal group:nogroup");
    let list = open.root("policies list");
    assert_eq!(list[0]["principals"], json!(["group:nogroup"]));
}

// ACL-03 RES-24
#[test]
fn a_ring_that_somebody_may_not_see_does_not_exist_for_their_module() {
    if !is_root() {
        return;
    }
    let open = Open::start();
    let ring = Ring::create(&open.daemon, &[]);
    let other = Ring::create(&open.daemon, &[]);
    let all = open.application(ALICE, slots);
    assert_eq!(all.len(), 3, "two tokens and the free slot, by the default policy of rings");
    let full = format!("projects/local/locations/global/keyRings/{}", ring.name);
    let deny = json!({"Version": "1", "Statement": [
        {"Effect": "Deny", "Principal": format!("uid:{ALICE}"), "Action": "kms:*"},
    ]});
    let file = open.file("deny.json", &deny.to_string());
    let deny_alice = || {
        open.root(&format!("policies create no-alice --replace --from-file {file}"));
        open.root(&format!("policies attach no-alice --principal uid:{ALICE}"));
    };
    let hidden = open.application(ALICE, |app| {
        let slot = app.slot(&ring);
        let session = app.login(&ring);
        let key = app.aes(session, 32, &on_token("mine")).unwrap();
        // An operation in the middle, a search, and a session: all of it ends with the next call.
        let mechanism = Mechanism::from(M::AES_ECB);
        app.raw.start(Operation::Encrypt, session, Some(&mechanism), key).unwrap();
        deny_alice();
        assert_eq!(app.raw.find(session, &[]), Err(Rv::SESSION_HANDLE_INVALID));
        assert_eq!(
            app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(32)).rv,
            Rv::SESSION_HANDLE_INVALID
        );
        assert_eq!(app.raw.token_info(slot).err(), Some(Rv::SLOT_ID_INVALID));
        assert_eq!(app.raw.open_session(slot, RW), Err(Rv::SLOT_ID_INVALID));
        assert_eq!(slots(app).len(), 1, "the free slot alone");
        slot
    });
    // Others see it as before.
    open.application(BOB, |app| {
        assert!(slots(app).contains(&hidden));
        app.login(&ring);
    });
    open.root(&format!("policies detach no-alice --principal uid:{ALICE}"));
    open.application(ALICE, |app| {
        assert!(slots(app).contains(&hidden), "at once");
        let session = app.login(&ring);
        assert_eq!(app.raw.find(session, &[label("mine")]).unwrap().len(), 1);
        app.login(&other);
    });
    // On one ring alone.
    let one = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Principal": format!("uid:{BOB}"), "Action": ["kms:ListKeyRings", "kms:P11.C_Login"]},
    ]});
    let file = open.file("one.json", &one.to_string());
    open.root(&format!("keyrings set-policy {} --policy-file {file}", ring.name));
    open.application(ALICE, |app| assert_eq!(slots(app).len(), 2));
    open.application(BOB, |app| {
        let session = app.login(&ring);
        assert!(app.raw.find(session, &[]).unwrap().is_empty(), "keys that Bob may not see are not there");
        let template = [&[ulong(A::VALUE_LEN, 32)][..], &on_token("new")].concat();
        let made = app.raw.generate_key(session, &M::AES_KEY_GEN.into(), &template);
        assert_eq!(made, Err(Rv::ACTION_PROHIBITED));
        // What is the session's own is nobody else's business.
        app.aes(session, 32, &[]).unwrap();
    });
    let list = open.say(BOB, BOB, "keyrings list");
    assert!(list.stdout.contains(&full) && !list.stdout.contains(&other.name), "{list:?}");
    assert_eq!(open.say(ALICE, ALICE, "keyrings list").code, DENIED);
}

// ACL-02 ACL-03
#[test]
fn a_key_s_policy_holds_through_the_module_from_the_next_call_on() {
    if !is_root() {
        return;
    }
    let open = open();
    let ring = Ring::create(&open.daemon, &[]);
    open.root(&format!(
        "keys create tls --keyring {} --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256",
        ring.name
    ));
    let deny = json!({"Version": "1", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "kms:AsymmetricSign", "Condition": {"Bool": {"kms:viaPkcs11": true}}},
    ]});
    let file = open.file("no-signing.json", &deny.to_string());
    let invisible = json!({"Version": "1", "Statement": [
        {"Effect": "Deny", "Principal": format!("uid:{ALICE}"), "Action": "kms:DescribeKey"},
    ]});
    let hide = open.file("invisible.json", &invisible.to_string());
    let no_aes = json!({"Version": "1", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": ["kms:Encrypt", "kms:RawEncrypt"]},
    ]});
    let no_aes = open.file("no-aes.json", &no_aes.to_string());
    open.application(ALICE, |app| {
        let session = app.login(&ring);
        let private = app.raw.find(session, &[class(ObjectClass::PRIVATE_KEY)]).unwrap();
        let [key] = private.as_slice() else { panic!("{private:?}") };
        let mechanism = Mechanism::from(M::ECDSA_SHA256);
        let sign = || {
            app.raw.start(Operation::Sign, session, Some(&mechanism), *key)?;
            match app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(128)).rv {
                Rv::OK => Ok(()),
                rv => Err(rv),
            }
        };
        assert_eq!(sign(), Ok(()));
        app.raw.start(Operation::Sign, session, Some(&mechanism), *key).unwrap();
        open.root(&format!("keys set-policy tls --keyring {} --policy-file {file}", ring.name));
        let cut = app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(128)).rv;
        assert_eq!(cut, Rv::ACTION_PROHIBITED, "an operation in progress is cut");
        assert_eq!(sign(), Err(Rv::ACTION_PROHIBITED));
        open.root(&format!("keys set-policy tls --keyring {} --default", ring.name));
        assert_eq!(sign(), Ok(()));
        // A copy in the session is as usable as what it is a copy of.
        let original = app.aes(session, 32, &on_token("copied")).unwrap();
        let copy = app.raw.copy_object(session, original, &[token(false)]).unwrap();
        let ecb = Mechanism::from(M::AES_ECB);
        let encrypt = |key| {
            app.raw.start(Operation::Encrypt, session, Some(&ecb), key)?;
            app.raw.start(Operation::Encrypt, session, None, 0)
        };
        assert_eq!((encrypt(original), encrypt(copy)), (Ok(()), Ok(())));
        open.root(&format!("keys set-policy copied --keyring {} --policy-file {no_aes}", ring.name));
        assert_eq!(
            (encrypt(original), encrypt(copy)),
            (Err(Rv::ACTION_PROHIBITED), Err(Rv::ACTION_PROHIBITED))
        );
        open.root(&format!("keys set-policy tls --keyring {} --policy-file {hide}", ring.name));
        assert!(app.raw.find(session, &[class(ObjectClass::PRIVATE_KEY), token(true)]).unwrap().is_empty());
        assert_eq!(app.raw.object_size(session, *key), Err(Rv::OBJECT_HANDLE_INVALID));
        assert_eq!(
            app.raw.start(Operation::Sign, session, Some(&mechanism), *key),
            Err(Rv::KEY_HANDLE_INVALID)
        );
    });
}

#[test]
fn a_user_or_group_logs_in_without_a_pin_where_a_ring_says_so() {
    if !is_root() {
        return;
    }
    let open = open();
    let ring = Ring::create(&open.daemon, &[]);
    open.root(&format!("keyrings logins add {} --member uid:{ALICE}", ring.name));
    open.root(&format!("keyrings logins add {} --member gid:{BOB} --role so", ring.name));
    let flag = token_flags::PROTECTED_AUTHENTICATION_PATH;
    open.application(ALICE, |app| {
        let slot = app.slot(&ring);
        assert_eq!(app.raw.token_info(slot).unwrap().flags & flag, flag);
        let session = app.open(&ring);
        assert_eq!(app.raw.login(session, user::SO, None), Err(Rv::ARGUMENTS_BAD));
        assert_eq!(app.raw.login(session, user::USER, None), Ok(()));
        app.aes(session, 32, &on_token("made without a PIN")).unwrap();
        app.raw.logout(session).unwrap();
        // With a PIN it is the PIN that counts.
        assert_eq!(app.raw.login(session, user::USER, Some(b"wrong")), Err(Rv::PIN_INCORRECT));
        assert_eq!(app.raw.login(session, user::USER, Some(ring.user_pin.as_bytes())), Ok(()));
    });
    open.application(BOB, |app| {
        let slot = app.slot(&ring);
        assert_eq!(app.raw.token_info(slot).unwrap().flags & flag, 0, "the flag speaks of the user");
        let session = app.open(&ring);
        assert_eq!(app.raw.login(session, user::USER, None), Err(Rv::ARGUMENTS_BAD));
        assert_eq!(app.raw.login(session, user::SO, None), Ok(()));
        assert_eq!(app.raw.init_pin(session, b"another-pin"), Ok(()));
    });
    let left = open.root(&format!("keyrings logins remove {} --member uid:{ALICE} --role user", ring.name));
    assert_eq!(left.as_array().unwrap().len(), 1);
    open.application(ALICE, |app| {
        let session = app.open(&ring);
        assert_eq!(app.raw.login(session, user::USER, None), Err(Rv::ARGUMENTS_BAD));
        assert_eq!(app.raw.login(session, user::USER, Some(b"another-pin")), Ok(()));
    });
}

#[test]
fn the_admin_recovers_locked_pins() {
    let open = Open::with("[access]\nmax_pin_failures = 2\npin_delay_millis = 0\n");
    let ring = Ring::create(&open.daemon, &[]);
    let app = Application::on(&open.daemon);
    let session = app.open(&ring);
    let wrong = |who| app.raw.login(session, who, Some(b"not this"));
    let low = token_flags::SO_PIN_COUNT_LOW;
    let flags = || {
        let all = low | token_flags::SO_PIN_FINAL_TRY | token_flags::SO_PIN_LOCKED;
        app.raw.token_info(app.slot(&ring)).unwrap().flags & all
    };
    assert_eq!(wrong(user::SO), Err(Rv::PIN_INCORRECT));
    assert_eq!(flags(), low | token_flags::SO_PIN_FINAL_TRY);
    assert_eq!(wrong(user::SO), Err(Rv::PIN_INCORRECT));
    assert_eq!(flags(), low | token_flags::SO_PIN_LOCKED);
    assert_eq!(app.raw.login(session, user::SO, Some(ring.so_pin.as_bytes())), Err(Rv::PIN_LOCKED));
    open.root(&format!("keyrings unlock {}", ring.name));
    assert_eq!(flags(), 0);
    assert_eq!(app.raw.login(session, user::SO, Some(ring.so_pin.as_bytes())), Ok(()));
    app.raw.logout(session).unwrap();
    let pin = open.daemon.file("fresh.pin", "a fresh pin\n");
    open.root(&format!("keyrings reset-pin {} --so-pin-file {}", ring.name, pin.display()));
    assert_eq!(app.raw.login(session, user::SO, Some(b"a fresh pin")), Ok(()));
    app.raw.logout(session).unwrap();
    let short = open.daemon.file("short.pin", "abc");
    let said = open.daemon.admin().run([
        "keyrings",
        "reset-pin",
        &ring.name,
        "--user-pin-file",
        &short.to_string_lossy(),
    ]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    let strict = Ring::create(&open.daemon, &["--profile", "strict"]);
    let session = app.login(&strict);
    assert_eq!(app.raw.token_info(app.slot(&strict)).unwrap().ulMinPinLen, 6);
    assert_eq!(app.raw.set_pin(session, strict.user_pin.as_bytes(), b"12345"), Err(Rv::PIN_LEN_RANGE));
    for weak in [&b"123456"[..], b"777777", b"Passw0rd"] {
        assert_eq!(app.raw.set_pin(session, strict.user_pin.as_bytes(), weak), Err(Rv::PIN_INVALID));
    }
    assert_eq!(app.raw.set_pin(session, strict.user_pin.as_bytes(), b"150372"), Ok(()));
}

/// T17: the try is on the disk before the PIN is looked at.
#[test]
fn killing_the_daemon_in_a_login_wins_no_further_try() {
    let kills: u32 = std::env::var("CLAVIGER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let open = Open::with(&format!("[access]\nmax_pin_failures = {}\npin_delay_millis = 0\n", kills + 1));
    let ring = Ring::create(&open.daemon, &[]);
    let (mut counted, mut unanswered) = (0, 0);
    for kill in 0..kills {
        let app = Application::on(&open.daemon);
        let session = app.open(&ring);
        std::thread::scope(|scope| {
            let login = scope.spawn(|| app.raw.login(session, user::USER, Some(b"a guess")));
            // From before the request arrives until after the answer.
            std::thread::sleep(std::time::Duration::from_micros(u64::from(kill * 7919 % 40_000)));
            open.daemon.kill();
            match login.join().unwrap() {
                Err(Rv::PIN_INCORRECT) => counted += 1,
                Err(Rv::DEVICE_ERROR | Rv::DEVICE_REMOVED) => unanswered += 1,
                other => panic!("{other:?}"),
            }
        });
        open.daemon.restart();
    }
    // The lock comes after as many tries as were answered, at the most as many as were made.
    let app = Application::on(&open.daemon);
    let session = app.open(&ring);
    let mut more = 0;
    while app.raw.login(session, user::USER, Some(b"a guess")) == Err(Rv::PIN_INCORRECT) {
        more += 1;
    }
    let tries = kills + 1 - more;
    println!("{kills} kills: {counted} answered and {unanswered} unanswered tries, {tries} counted");
    assert!(tries >= counted, "{tries} of {counted} answered tries were counted");
    assert!(tries <= kills);
}

/// T19: whoever may write into the socket's directory is not thereby the daemon.
#[test]
fn a_forged_daemon_gets_no_byte() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let socket = directory.path().join("pkcs11.sock");
    let (path, stop): (&Path, _) = (&socket, std::sync::atomic::AtomicBool::new(false));
    let listening = std::sync::Barrier::new(2);
    let got = std::thread::scope(|scope| {
        let forger = scope.spawn(|| {
            process::as_user(BOB, BOB, || {
                use std::io::Read;
                let listener = UnixListener::bind(path).unwrap();
                fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
                listening.wait();
                listener.set_nonblocking(true).unwrap();
                let (mut connections, mut bytes) = (0, Vec::new());
                loop {
                    match listener.accept() {
                        Ok((mut stream, _)) => {
                            connections += 1;
                            stream.set_nonblocking(false).unwrap();
                            let _ = stream.read_to_end(&mut bytes);
                        }
                        // Only with nobody left who waits.
                        Err(_) if stop.load(std::sync::atomic::Ordering::Acquire) => break,
                        Err(_) => std::thread::sleep(std::time::Duration::from_millis(1)),
                    }
                }
                (connections, bytes)
            })
        });
        listening.wait();
        for uid in [0, ALICE] {
            let app = Application::load(directory.path());
            process::as_user(uid, uid, || {
                initialize(&app.raw, path, Arguments::Flags(2)).unwrap();
                assert_eq!(app.raw.open_session(0, RW), Err(Rv::DEVICE_REMOVED));
                assert_eq!(app.raw.login(1, user::USER, Some(b"the PIN")), Err(Rv::DEVICE_REMOVED));
                app.raw.finalize(false).unwrap();
            });
        }
        stop.store(true, std::sync::atomic::Ordering::Release);
        forger.join().unwrap()
    });
    let (connections, bytes) = got;
    assert!(connections >= 2, "the module did connect, to see who listens");
    assert_eq!(bytes, b"", "and left without a word");
}

const RW: u64 = session_flags::RW_SESSION | session_flags::SERIAL_SESSION;
