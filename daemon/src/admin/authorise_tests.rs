use std::sync::Arc;

use claviger_protocol::admin::{Argument, ArgumentKind, ArgumentValue, Code, Request, VERBS, Verb};
use serde_json::{Value, json};

use super::super::{handle, handle_for};
use crate::access::Identity;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::versions::tests::Store;
use crate::server::Peer;

const ROOT: Peer = Peer { uid: 0, gid: 0, pid: 1 };
const NOBODY: Peer = Peer { uid: 54_321, gid: 54_321, pid: 1 };

fn verb(path: &str) -> &'static Verb {
    VERBS.iter().find(|verb| verb.path == path).unwrap()
}

fn say(daemon: &Arc<Daemon>, peer: Peer, path: &str, arguments: &[(&str, &str)]) -> Result<Value> {
    let verb = verb(path);
    let arguments = arguments.iter().map(|(name, text)| {
        let row = verb.arguments.iter().find(|row| row.name == *name).unwrap();
        ((*name).to_owned(), value(row, text.as_bytes()))
    });
    let document = handle(daemon, &peer, verb, Request { arguments: arguments.collect() })?;
    Ok(document.get("items").cloned().unwrap_or(document))
}

fn value(row: &Argument, text: &[u8]) -> ArgumentValue {
    let string = || String::from_utf8_lossy(text).into_owned();
    match row.kind {
        ArgumentKind::PositionalList => ArgumentValue::List(vec![string()]),
        ArgumentKind::Flag => ArgumentValue::Flag,
        ArgumentKind::File
        | ArgumentKind::PinFile
        | ArgumentKind::Document
        | ArgumentKind::PositionalDocument => ArgumentValue::Bytes(text.to_vec().into()),
        _ => ArgumentValue::Text(string()),
    }
}

/// A ring `r` with keys `k` and `plain`, a job `j` and an alias, and a ciphertext of `k`.
fn daemon() -> (Arc<Daemon>, Vec<u8>) {
    let daemon = Store::new().daemon();
    say(&daemon, ROOT, "keyrings create", &[("name", "r")]).unwrap();
    for name in ["k", "plain"] {
        let arguments = [("name", name), ("keyring", "r"), ("purpose", "encryption")];
        say(&daemon, ROOT, "keys create", &arguments).unwrap();
    }
    say(&daemon, ROOT, "aliases create", &[("alias", "alias/a"), ("keyring", "r"), ("key", "k")]).unwrap();
    let job = [
        ("name", "j"),
        ("keyring", "r"),
        ("import-method", "rsa-oaep-3072-sha256"),
        ("protection-level", "software"),
    ];
    say(&daemon, ROOT, "import-jobs create", &job).unwrap();
    let made =
        say(&daemon, ROOT, "encrypt", &[("keyring", "r"), ("key", "k"), ("plaintext-file", "text")]).unwrap();
    let text = openssl::base64::decode_block(made["ciphertext"].as_str().unwrap()).unwrap();
    (daemon, text)
}

/// A value that the verb can make sense of.
fn plausible(verb: &Verb, row: &Argument, ciphertext: &[u8]) -> ArgumentValue {
    let word = verb.path.split(' ').next().unwrap_or_default();
    let text: &[u8] = match (row.name, row.kind) {
        (_, ArgumentKind::Choice(choices)) => choices[0].as_bytes(),
        ("ciphertext-file", _) => ciphertext,
        ("name", _) if verb.path.ends_with(" create") => b"fresh",
        ("name", _) if word == "keyrings" => b"r",
        ("name", _) if word == "import-jobs" => b"j",
        ("keyring" | "destination-keyring", _) => b"r",
        ("name" | "names" | "key" | "destination-key", _) => b"k",
        ("alias", _) => b"alias/a",
        ("import-job", _) => b"j",
        ("purpose", _) => b"encryption",
        ("tags", _) => b"a=b",
        ("algorithm", _) => b"aes-256-gcm",
        ("policy-file" | "from-file", _) => br#"{"Version": "1", "Statement": []}"#,
        ("member" | "principal", _) => b"uid:7",
        ("role", _) => b"kms.user",
        ("action", _) => b"kms:Encrypt",
        ("resource", _) => b"projects/local",
        _ => b"1",
    };
    value(row, text)
}

// ACL-05
/// Whoever adds a verb and forgets to ask who says it finds out here.
#[test]
fn a_stranger_is_denied_every_verb() {
    let (daemon, ciphertext) = daemon();
    let identity = Arc::new(Identity::of(NOBODY, daemon.access.settings()));
    let everybody = ["locations list", "algorithms list", "generate-random"];
    let mut denied = 0;
    for verb in VERBS.iter().filter(|verb| !everybody.contains(&verb.path)) {
        let needed = |row: &&Argument| {
            row.required
                || ["keyring", "key", "tags"].contains(&row.name)
                || row.name.starts_with("destination-key")
        };
        let arguments = verb.arguments.iter().filter(needed).filter(|row| {
            let is_local =
                matches!(row.kind, ArgumentKind::Local | ArgumentKind::LocalFlag | ArgumentKind::Output(_));
            // A list of all.
            !is_local && (verb.path != "aliases list" || row.name != "key")
        });
        let arguments = arguments.map(|row| (row.name.to_owned(), plausible(verb, row, &ciphertext)));
        let request = Request { arguments: arguments.collect() };
        let outcome = handle_for(&daemon, &identity, verb, request);
        let codes: Vec<_> = match &outcome {
            Ok(Value::Array(items)) => {
                items.iter().map(|item| item["error"]["code"].as_str().unwrap_or("OK").to_owned()).collect()
            }
            Ok(document) => vec![format!("OK: {document}")],
            Err(error) => vec![error.code().name().to_owned()],
        };
        assert!(!codes.is_empty(), "{} gave nothing", verb.path);
        for code in codes {
            assert_eq!(code, "PERMISSION_DENIED", "claviger {}: {outcome:?}", verb.path);
        }
        denied += 1;
    }
    assert_eq!(denied, VERBS.len() - everybody.len());
}

fn code(result: Result<Value>) -> Code {
    result.unwrap_err().code()
}

/// NOT_FOUND is for those who may look; a stranger learns no name.
#[test]
fn strangers_cannot_tell_what_exists() {
    let (daemon, _) = daemon();
    let describe = |peer, name: &str| {
        say(&daemon, peer, "keys describe", &[("names", name), ("keyring", "r")])
            .map_err(|error| error.to_string())
    };
    let both = |name: &str| describe(NOBODY, name).unwrap_err();
    assert_eq!(both("k").strip_suffix("/k"), both("x").strip_suffix("/x"), "the same words for both");
    let on = |ring: &str| {
        say(&daemon, NOBODY, "keys describe", &[("names", "k"), ("keyring", ring)]).unwrap_err().code()
    };
    assert_eq!((on("r"), on("no-ring")), (Code::PermissionDenied, Code::PermissionDenied));
    for alias in ["alias/a", "alias/b"] {
        assert_eq!(code(say(&daemon, NOBODY, "keys describe", &[("names", alias)])), Code::PermissionDenied);
    }
    let job = |name| say(&daemon, NOBODY, "import-jobs describe", &[("name", name), ("keyring", "r")]);
    assert_eq!((code(job("j")), code(job("x"))), (Code::PermissionDenied, Code::PermissionDenied));

    let viewer = [("member", "uid:54321"), ("role", "roles/cloudkms.viewer")];
    say(&daemon, ROOT, "projects add-binding", &viewer).unwrap();
    assert!(describe(NOBODY, "k").is_ok());
    assert_eq!(
        code(say(&daemon, NOBODY, "keys describe", &[("names", "x"), ("keyring", "r")])),
        Code::NotFound
    );
    assert_eq!(on("no-ring"), Code::NotFound);
    assert_eq!(code(say(&daemon, NOBODY, "keys describe", &[("names", "alias/b")])), Code::NotFound);
    assert_eq!(code(job("x")), Code::NotFound);
    let encrypt = [("keyring", "r"), ("key", "k"), ("plaintext-file", "text")];
    assert_eq!(code(say(&daemon, NOBODY, "encrypt", &encrypt)), Code::PermissionDenied);
}

// ACL-02 ACL-03
/// Lists show what is theirs.
#[test]
fn a_grant_on_one_key_shows_one_key() {
    let (daemon, _) = daemon();
    let bind = [("name", "k"), ("keyring", "r"), ("member", "uid:54321"), ("role", "kms.user")];
    let policy = say(&daemon, ROOT, "keys add-binding", &bind).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 2, "the creator's rights stay: {policy}");
    let list = say(&daemon, NOBODY, "keys list", &[("keyring", "r")]).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["projects/local/locations/global/keyRings/r/cryptoKeys/k"]);
    let encrypt = |key| [("keyring", "r"), ("key", key), ("plaintext-file", "text")];
    say(&daemon, NOBODY, "encrypt", &encrypt("k")).unwrap();
    assert_eq!(code(say(&daemon, NOBODY, "encrypt", &encrypt("plain"))), Code::PermissionDenied);
    let destroy = [("names", "k"), ("keyring", "r")];
    let items = say(&daemon, NOBODY, "keys destroy", &destroy).unwrap();
    assert_eq!(items[0]["error"]["code"], "PERMISSION_DENIED");
    say(&daemon, ROOT, "keys remove-binding", &bind).unwrap();
    assert_eq!(code(say(&daemon, NOBODY, "encrypt", &encrypt("k"))), Code::PermissionDenied, "at once");
    assert_eq!(code(say(&daemon, NOBODY, "keys list", &[("keyring", "r")])), Code::PermissionDenied);
    assert_eq!(code(say(&daemon, ROOT, "keys remove-binding", &bind)), Code::NotFound);
}

// IMP-03 IMP-18 IMP-19
/// Who may use one job imports through it, and makes or sees no other.
#[test]
fn an_import_operator_uses_the_job_and_nothing_else() {
    let (daemon, _) = daemon();
    let job = [("name", "j"), ("keyring", "r"), ("member", "uid:54321"), ("role", "kms.importOperator")];
    say(&daemon, ROOT, "import-jobs add-binding", &job).unwrap();
    say(&daemon, NOBODY, "import-jobs wait", &[("name", "j"), ("keyring", "r")]).unwrap();
    let another = [
        ("name", "mine"),
        ("keyring", "r"),
        ("import-method", "rsa-oaep-3072-sha256"),
        ("protection-level", "software"),
    ];
    assert_eq!(code(say(&daemon, NOBODY, "import-jobs create", &another)), Code::PermissionDenied);
    let blob = "x".repeat(384);
    let import = [
        ("keyring", "r"),
        ("key", "k"),
        ("import-job", "j"),
        ("algorithm", "google-symmetric-encryption"),
        ("wrapped-key-file", blob.as_str()),
    ];
    assert_eq!(
        code(say(&daemon, NOBODY, "keys versions import", &import)),
        Code::PermissionDenied,
        "the key"
    );
    let statement = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Principal": "uid:54321", "Action": "kms:ImportKeyMaterial"},
    ]})
    .to_string();
    let policy = [("name", "k"), ("keyring", "r"), ("policy-file", statement.as_str())];
    say(&daemon, ROOT, "keys set-policy", &policy).unwrap();
    // Both are allowed now: the material is looked at, and is nonsense.
    let version = say(&daemon, NOBODY, "keys versions import", &import).unwrap();
    assert_eq!(version["state"], "IMPORT_FAILED");
    say(&daemon, ROOT, "import-jobs remove-binding", &job).unwrap();
    let error = say(&daemon, NOBODY, "keys versions import", &import).unwrap_err();
    let Error::PermissionDenied { action, resource, .. } = &error else { panic!("{error}") };
    assert_eq!(action, "UseImportJob");
    assert!(resource.ends_with("/importJobs/j"), "{resource}");
}

#[test]
fn a_test_names_the_statement_that_decides() {
    let (daemon, _) = daemon();
    let key = "projects/local/locations/global/keyRings/r/cryptoKeys/k";
    let test = |principal: &str, action: &str, resource: &str| {
        let arguments = [("principal", principal), ("action", action), ("resource", resource)];
        say(&daemon, ROOT, "policies test", &arguments).unwrap()
    };
    let denied = test("uid:54321", "kms:Encrypt", key);
    assert_eq!((&denied["decision"], &denied["reason"]), (&json!("DENY"), &json!("no statement allows it")));
    let creator = test("uid:0", "Encrypt", key);
    assert_eq!((&creator["decision"], &creator["sid"]), (&json!("ALLOW"), &json!("creator")));
    assert_eq!(creator["policy"], format!("{key}/policy"));
    let user = test("token-user:r", "kms:Decrypt", key);
    assert_eq!((&user["decision"], &user["sid"]), (&json!("ALLOW"), &json!("logged in")));
    assert_eq!(test("token-so:r", "kms:Decrypt", key)["decision"], "DENY");
    let managed = test("uid:0", "cryptoKeyVersions.destroy", key);
    assert_eq!(managed["reason"], "root and administrators manage everything");
    let file = json!({"Version": "1", "Statement": [
        {"Sid": "hands off", "Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt"},
    ]})
    .to_string();
    say(&daemon, ROOT, "policies create", &[("name", "p"), ("from-file", &file)]).unwrap();
    say(&daemon, ROOT, "policies attach", &[("name", "p"), ("principal", "uid:0")]).unwrap();
    let denied = test("uid:0", "kms:Encrypt", key);
    assert_eq!((&denied["decision"], &denied["sid"]), (&json!("DENY"), &json!("hands off")));
    assert_eq!((&denied["policy"], &denied["statement"]), (&json!("projects/local/policies/p"), &json!(1)));
    let delete = [("name", "p")];
    assert_eq!(code(say(&daemon, ROOT, "policies delete", &delete)), Code::FailedPrecondition);
    say(&daemon, ROOT, "policies detach", &[("name", "p"), ("principal", "uid:0")]).unwrap();
    say(&daemon, ROOT, "policies delete", &delete).unwrap();
    assert_eq!(test("uid:0", "kms:Encrypt", key)["decision"], "ALLOW");
    for role in crate::access::role::ROLES {
        let template = say(&daemon, ROOT, "policies template", &[("role", role.name)]).unwrap();
        let text = template.to_string();
        say(&daemon, ROOT, "policies create", &[("name", "t"), ("from-file", &text), ("replace", "")])
            .unwrap_or_else(|error| panic!("{}: {error}", role.name));
    }
}

// ACL-10 ACL-11 ACL-14 DST-23
/// Each role by the verbs that it is for, and one that it is not for.
#[test]
fn roles_do_what_they_are_for() {
    let (daemon, _) = daemon();
    let key = [("names", "k"), ("keyring", "r")];
    let version = [("versions", "1"), ("keyring", "r"), ("key", "k")];
    let encrypt = [("keyring", "r"), ("key", "k"), ("plaintext-file", "text")];
    let create = |name| [("name", name), ("keyring", "r"), ("purpose", "encryption")];
    let try_verb = |verb: &str| {
        let outcome = match verb {
            "encrypt" => say(&daemon, NOBODY, verb, &encrypt),
            "keys create" => say(&daemon, NOBODY, verb, &create("another")),
            "audit list" => say(&daemon, NOBODY, verb, &[]),
            "keys describe" | "keys disable" | "keys enable" => say(&daemon, NOBODY, verb, &key),
            "keys get-policy" => say(&daemon, NOBODY, verb, &[("name", "k"), ("keyring", "r")]),
            _ => say(&daemon, NOBODY, verb, &version),
        };
        match outcome {
            Ok(Value::Array(items)) if items.iter().any(|item| item["ok"] == false) => {
                items[0]["error"]["code"].as_str().unwrap_or_default().to_owned()
            }
            Ok(_) => "OK".to_owned(),
            Err(error) => error.code().name().to_owned(),
        }
    };
    let verbs = [
        "encrypt",
        "keys create",
        "audit list",
        "keys describe",
        "keys get-policy",
        "keys versions destroy",
        "keys versions restore",
        "keys enable",
    ];
    for (role, allowed) in [
        (
            "roles/cloudkms.admin",
            &[
                "keys create",
                "keys describe",
                "keys get-policy",
                "keys versions destroy",
                "keys versions restore",
                "keys enable",
            ][..],
        ),
        ("roles/cloudkms.cryptoKeyEncrypterDecrypter", &["encrypt", "keys describe"]),
        ("kms.signer", &["keys describe"]),
        ("roles/kms.crypto", &["encrypt", "keys describe"]),
        ("roles/cloudkms.importer", &["keys create"]),
        ("kms.destroyer", &["keys versions destroy", "keys versions restore"]),
        ("kms.auditor", &["audit list"]),
        ("roles/cloudkms.viewer", &["keys describe"]),
        ("roles/editor", &["keys create", "keys describe", "keys enable"]),
    ] {
        let binding = [("member", "uid:54321"), ("role", role)];
        say(&daemon, ROOT, "projects add-binding", &binding).unwrap();
        for verb in verbs {
            let code = try_verb(verb);
            let expected = !allowed.contains(&verb);
            assert_eq!(code == "PERMISSION_DENIED", expected, "{role} {verb}: {code}");
        }
        // Left as it was.
        let _ = say(&daemon, ROOT, "keys versions restore", &version);
        say(&daemon, ROOT, "keys enable", &key).unwrap();
        say(&daemon, ROOT, "projects remove-binding", &binding).unwrap();
    }
}

/// Data keys without plaintext are an action of their own, and so is exporting one.
#[test]
fn the_action_depends_on_the_arguments() {
    let (daemon, ciphertext) = daemon();
    let allow = |actions: &[&str]| {
        let text = json!({"Version": "1", "Statement": [
            {"Effect": "Allow", "Principal": "uid:54321", "Action": actions},
        ]})
        .to_string();
        say(&daemon, ROOT, "keys set-policy", &[("name", "k"), ("keyring", "r"), ("policy-file", &text)])
            .unwrap();
    };
    let key = [("keyring", "r"), ("key", "k")];
    let made = |more: &[(&str, &str)]| {
        say(&daemon, NOBODY, "generate-data-key", &[&key[..], more].concat())
            .map(|_| ())
            .map_err(|e| e.code())
    };
    allow(&["kms:GenerateDataKeyWithoutPlaintext"]);
    assert_eq!(made(&[]), Err(Code::PermissionDenied));
    assert_eq!(made(&[("without-plaintext", "")]), Ok(()));
    allow(&["kms:GenerateDataKey"]);
    assert_eq!((made(&[]), made(&[("without-plaintext", "")])), (Ok(()), Err(Code::PermissionDenied)));
    assert_eq!(made(&[("wrap-with-public-key-file", "x")]), Err(Code::PermissionDenied));

    // To encrypt anew takes both sides.
    let reencrypt = || {
        let request = Request {
            arguments: vec![("ciphertext-file".into(), ArgumentValue::Bytes(ciphertext.clone().into()))],
        };
        handle(&daemon, &NOBODY, verb("reencrypt"), request).map(|_| ()).map_err(|error| error.code())
    };
    allow(&["kms:Decrypt"]);
    assert_eq!(reencrypt(), Err(Code::PermissionDenied));
    allow(&["kms:Decrypt", "kms:Encrypt"]);
    assert_eq!(reencrypt(), Ok(()));
}
