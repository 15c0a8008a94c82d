use claviger_protocol::admin::{self, ArgumentValue, Code, VERBS};
use serde_json::json;

use super::*;
use crate::kms::state::Transition;
use crate::kms::versions::tests::Store;

const PEER: Peer = Peer { uid: 0, gid: 0, pid: 1 };
const RING: &str = "projects/local/locations/global/keyRings/r";

/// Carries out a verb given by its words, with texts; a value of `!` is a flag, commas make lists for
/// `versions` and `names`; pages are unwrapped.
fn say(daemon: &Arc<Daemon>, path: &str, arguments: &[(&str, &str)]) -> Result<Value> {
    let arguments = arguments.iter().map(|(name, value)| {
        let value = match (*name, *value) {
            ("versions" | "names", list) => ArgumentValue::List(list.split(',').map(str::to_owned).collect()),
            (name, content) if name.ends_with("-file") => ArgumentValue::Bytes(content.as_bytes().into()),
            (_, "!") => ArgumentValue::Flag,
            (_, text) => ArgumentValue::Text(text.to_owned()),
        };
        ((*name).to_owned(), value)
    });
    let verb = VERBS.iter().find(|verb| verb.path == path).unwrap();
    let document = handle(daemon, &PEER, verb, Request { arguments: arguments.collect() })?;
    Ok(document.get("items").cloned().unwrap_or(document))
}

fn code(result: Result<Value>) -> Code {
    result.unwrap_err().code()
}

fn daemon() -> Arc<Daemon> {
    let daemon = Store::new().daemon();
    say(&daemon, "keyrings create", &[("name", "r")]).unwrap();
    daemon
}

/// A ring `r` with a key `k`.
fn with_key(purpose: &str, algorithm: &str) -> Arc<Daemon> {
    let daemon = daemon();
    let arguments = [("name", "k"), ("keyring", "r"), ("purpose", purpose), ("default-algorithm", algorithm)];
    say(&daemon, "keys create", &arguments).unwrap();
    daemon
}

#[test]
fn every_verb_has_one_handler() {
    let handlers: Vec<_> = HANDLERS.iter().map(|(number, _)| *number).collect();
    let verbs: Vec<_> = VERBS.iter().map(|verb| verb.number).collect();
    assert_eq!(handlers, verbs);
}

#[test]
fn every_word_that_table_5_offers_is_understood() {
    for word in admin::PROFILES {
        assert!(json::PROFILES.iter().any(|(known, _)| known == word));
    }
    for word in admin::P11_DESTROY {
        assert!(json::P11_DESTROY.iter().any(|(known, _)| known == word));
    }
    for word in admin::IMPORT_METHODS {
        crate::kms::import::ImportMethod::parse(word).unwrap();
    }
}

#[test]
fn a_ring_is_shown_with_its_token() {
    let daemon = Store::new().daemon();
    let arguments = [
        ("name", "r"),
        ("token-label", "My token"),
        ("so-pin-file", "27182818"),
        ("user-pin-file", "161803"),
        ("profile", "strict"),
        ("p11-destroy", "deny"),
    ];
    let ring = say(&daemon, "keyrings create", &arguments).unwrap();
    assert_eq!(ring["name"], RING);
    assert_eq!(ring["tokenLabel"], "My token");
    assert_eq!((&ring["profile"], &ring["p11Destroy"]), (&json!("strict"), &json!("deny")));
    assert_eq!((&ring["slot"], &ring["etag"]), (&json!(0), &json!("1")));
    assert_eq!(ring["tokenSerial"].as_str().unwrap().len(), 16);
    assert!(ring["createTime"].as_str().unwrap().ends_with('Z'));
    for name in ["r", RING] {
        assert_eq!(say(&daemon, "keyrings describe", &[("name", name)]).unwrap(), ring);
    }
    assert_eq!(code(say(&daemon, "keyrings create", &[("name", "r")])), Code::AlreadyExists);
    let error = say(&daemon, "keyrings describe", &[("name", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "projects/local/locations/global/keyRings/x does not exist");
    assert_eq!(code(say(&daemon, "keyrings describe", &[("name", "a b")])), Code::InvalidArgument);
    let elsewhere = [("name", "r"), ("location", "eu"), ("project", "p")];
    assert_eq!(
        say(&daemon, "keyrings create", &elsewhere).unwrap()["name"],
        "projects/p/locations/eu/keyRings/r"
    );
    say(&daemon, "keyrings create", &[("name", "a")]).unwrap();
    let list = say(&daemon, "keyrings list", &[]).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|ring| ring["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["projects/local/locations/global/keyRings/a", RING, "projects/p/locations/eu/keyRings/r"]
    );
    let long = [("name", "long"), ("user-pin-file", "123")];
    assert_eq!(code(say(&daemon, "keyrings create", &long)), Code::InvalidArgument);
}

#[test]
fn a_key_is_shown_with_template_state_and_primary() {
    let daemon = daemon();
    let arguments = [
        ("name", "k"),
        ("keyring", "r"),
        ("purpose", "encryption"),
        ("labels", "team=crypto"),
        ("description", "a key"),
        ("destroy-scheduled-duration", "P2D"),
        ("protection-level", "hsm"),
    ];
    let key = say(&daemon, "keys create", &arguments).unwrap();
    let name = format!("{RING}/cryptoKeys/k");
    assert_eq!(key["name"], name);
    assert_eq!(key["purpose"], "ENCRYPT_DECRYPT");
    let template = json!({"algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION", "protectionLevel": "HSM"});
    assert_eq!(key["versionTemplate"], template);
    assert_eq!(key["keyState"], "ENABLED");
    assert_eq!(key["primary"]["name"], format!("{name}/cryptoKeyVersions/1"));
    assert_eq!(key["primary"]["state"], "ENABLED");
    assert_eq!(key["destroyScheduledDuration"], "172800s");
    assert_eq!(key["labels"], json!({"team": "crypto"}));
    assert!(key.get("importOnly").is_none() && key.get("madeByPkcs11").is_none());

    let import_only = [
        ("name", "i"),
        ("keyring", RING),
        ("purpose", "MAC"),
        ("default-algorithm", "HMAC_SHA256"),
        ("import-only", "!"),
        ("skip-initial-version-creation", "!"),
    ];
    let key = say(&daemon, "keys create", &import_only).unwrap();
    assert_eq!((&key["keyState"], &key["importOnly"]), (&json!("PENDING_IMPORT"), &json!(true)));
    for absent in ["primary", "labels", "description"] {
        assert!(key.get(absent).is_none(), "{absent}");
    }
    let list = say(&daemon, "keys list", &[("keyring", "r")]).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, [format!("{RING}/cryptoKeys/i"), name.clone()]);
    let describe = say(&daemon, "keys describe", &[("names", &name), ("keyring", "r")]).unwrap();
    assert_eq!(describe["name"], name);

    say(&daemon, "keyrings create", &[("name", "other")]).unwrap();
    let elsewhere = [("names", name.as_str()), ("keyring", "other")];
    assert_eq!(code(say(&daemon, "keys describe", &elsewhere)), Code::InvalidArgument);
    assert_eq!(code(say(&daemon, "keys describe", &[("names", "x"), ("keyring", "r")])), Code::NotFound);
    assert_eq!(code(say(&daemon, "keys create", &arguments)), Code::AlreadyExists);
    let nonsense = [("name", "n"), ("keyring", "r"), ("purpose", "mac"), ("default-algorithm", "md5")];
    assert_eq!(code(say(&daemon, "keys create", &nonsense)), Code::InvalidArgument);
}

#[test]
fn versions_go_through_their_states_one_by_one() {
    let daemon = with_key("asymmetric-signing", "ec-sign-p256-sha256");
    let key = [("keyring", "r"), ("key", "k")];
    let with = |argument: (&'static str, &'static str)| [&key[..], &[argument]].concat();
    let created = say(&daemon, "keys versions create", &key).unwrap();
    let name = |number: u32| format!("{RING}/cryptoKeys/k/cryptoKeyVersions/{number}");
    assert_eq!(created["name"], name(2));
    assert_eq!(
        (&created["state"], &created["algorithm"]),
        (&json!("ENABLED"), &json!("EC_SIGN_P256_SHA256"))
    );
    assert_eq!(created["protectionLevel"], "SOFTWARE");
    assert!(created.get("generateTime").is_some() && created.get("reimportEligible").is_none());

    let items = say(&daemon, "keys versions destroy", &with(("versions", "1,7,x,2"))).unwrap();
    assert_eq!((&items[0]["name"], &items[0]["ok"]), (&json!(name(1)), &json!(true)));
    assert_eq!(items[0]["state"], "DESTROY_SCHEDULED");
    assert!(items[0]["destroyTime"].is_string() && items[0].get("error").is_none());
    assert_eq!((&items[1]["name"], &items[1]["ok"]), (&json!(name(7)), &json!(false)));
    let error = json!({
        "code": "NOT_FOUND",
        "message": format!("{} does not exist", name(7)),
        "reason": "NotFound",
    });
    assert_eq!(items[1]["error"], error);
    assert_eq!(items[2]["error"]["code"], "INVALID_ARGUMENT");
    assert_eq!(items[3]["ok"], true, "the items after a failure are tried all the same");

    let list = say(&daemon, "keys versions list", &key).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(list[0]["destroyTime"].is_string());
    let shown = say(&daemon, "keys describe", &[("names", "k"), ("keyring", "r")]).unwrap();
    assert_eq!(shown["keyState"], "PENDING_DELETION");
    let enable = say(&daemon, "keys versions enable", &with(("versions", "1"))).unwrap();
    assert_eq!(enable[0]["error"]["reason"], "WrongState");
    let full: &'static str = name(1).leak();
    let restored = say(&daemon, "keys versions restore", &with(("versions", full))).unwrap();
    assert_eq!(restored[0]["state"], "DISABLED");
    assert!(restored[0].get("destroyTime").is_none());
    let enabled = say(&daemon, "keys versions enable", &with(("versions", "1"))).unwrap();
    assert_eq!(enabled[0]["state"], "ENABLED");
    let disabled = say(&daemon, "keys versions disable", &with(("versions", "1"))).unwrap();
    assert_eq!(disabled[0]["state"], "DISABLED");
    for wrong in ["0", "01", "+1", "1 ", "-1", "4294967296", "projects/p", "other/cryptoKeyVersions/1"] {
        let result = say(&daemon, "keys versions describe", &with(("version", wrong)));
        assert_eq!(code(result), Code::InvalidArgument, "{wrong}");
    }
    assert_eq!(code(say(&daemon, "keys versions describe", &with(("version", "3")))), Code::NotFound);

    let cell = daemon.catalog.keys(&daemon.catalog.tokens()[0].uid)[0].version(2).unwrap();
    daemon.destroy_due(cell.record().fate.destroy_time.unwrap()).unwrap();
    let destroyed = say(&daemon, "keys versions describe", &with(("version", "2"))).unwrap();
    assert_eq!(destroyed["state"], "DESTROYED");
    assert!(destroyed["destroyEventTime"].is_string() && destroyed.get("destroyTime").is_none());
}

#[test]
fn public_keys_come_as_pem_or_der_while_enabled() {
    let daemon = with_key("asymmetric-signing", "ec-sign-ed25519");
    let one = [("keyring", "r"), ("key", "k"), ("version", "1")];
    let pem = say(&daemon, "keys versions get-public-key", &one).unwrap();
    let text = pem["pem"].as_str().unwrap();
    let key = openssl::pkey::PKey::public_key_from_pem(text.as_bytes()).unwrap();
    assert_eq!((&pem["publicKeyFormat"], &pem["algorithm"]), (&json!("PEM"), &json!("EC_SIGN_ED25519")));
    let der = [&one[..], &[("public-key-format", "der")]].concat();
    let der = say(&daemon, "keys versions get-public-key", &der).unwrap();
    let der = openssl::base64::decode_block(der["der"].as_str().unwrap()).unwrap();
    assert_eq!(der, key.public_key_to_der().unwrap());

    let cell = daemon.catalog.keys(&daemon.catalog.tokens()[0].uid)[0].version(1).unwrap();
    daemon.transition(&cell, Transition::Disable, Time::now()).unwrap();
    let error = say(&daemon, "keys versions get-public-key", &one).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not enabled, current state is: DISABLED.", cell.name()));
    let symmetric = with_key("raw-encryption", "aes-256-gcm");
    assert_eq!(code(say(&symmetric, "keys versions get-public-key", &one)), Code::FailedPrecondition);
}

#[test]
fn import_jobs_and_imports_are_shown() {
    let daemon = daemon();
    let job = [
        ("name", "j"),
        ("keyring", "r"),
        ("import-method", "rsa-oaep-3072-sha256"),
        ("protection-level", "software"),
    ];
    let created = say(&daemon, "import-jobs create", &job).unwrap();
    assert_eq!(created["name"], format!("{RING}/importJobs/j"));
    assert_eq!(created["state"], "PENDING_GENERATION");
    assert_eq!(created["importMethod"], "RSA_OAEP_3072_SHA256");
    assert!(created.get("publicKey").is_none() && created["expireTime"].is_string());
    let named = [("name", "j"), ("keyring", "r")];
    let active = say(&daemon, "import-jobs wait", &named).unwrap();
    assert_eq!(active["state"], "ACTIVE");
    let pem = active["publicKey"]["pem"].as_str().unwrap();
    let public = openssl::rsa::Rsa::public_key_from_pem(pem.as_bytes()).unwrap();
    assert_eq!(public.size(), 384);
    assert_eq!(say(&daemon, "import-jobs describe", &named).unwrap(), active);
    assert_eq!(say(&daemon, "import-jobs list", &[("keyring", "r")]).unwrap(), json!([active]));
    assert_eq!(code(say(&daemon, "import-jobs create", &job)), Code::AlreadyExists);
    assert_eq!(code(say(&daemon, "import-jobs wait", &[("name", "x"), ("keyring", "r")])), Code::NotFound);

    let key = [
        ("name", "k"),
        ("keyring", "r"),
        ("purpose", "mac"),
        ("default-algorithm", "hmac-sha256"),
        ("skip-initial-version-creation", "!"),
    ];
    say(&daemon, "keys create", &key).unwrap();
    let import = |blob: &[u8]| {
        let text = |text: &str| ArgumentValue::Text(text.to_owned());
        let arguments = [
            ("keyring", text("r")),
            ("key", text("k")),
            ("import-job", text("j")),
            ("algorithm", text("hmac-sha256")),
            ("wrapped-key-file", ArgumentValue::Bytes(blob.into())),
        ];
        let arguments = arguments.map(|(name, value)| (name.to_owned(), value)).to_vec();
        handle(&daemon, &PEER, admin::verb(47).unwrap(), Request { arguments })
    };
    // Well-formed in length, and nothing else.
    let failed = import(&[1; 384]).unwrap();
    assert_eq!(
        (&failed["state"], &failed["importFailureReason"]),
        (&json!("IMPORT_FAILED"), &json!("UNWRAP_FAILED"))
    );
    assert_eq!(failed["reimportEligible"], true);
    let public = openssl::pkey::PKey::from_rsa(public).unwrap();
    let live = crate::crypto::Key::Public(public);
    let wrap = |material: &[u8]| {
        crate::crypto::wrap::rsa_oaep(&live, claviger_protocol::mechanism::Hash::Sha256, material).unwrap()
    };
    let good = import(&wrap(&[7; 32])).unwrap();
    assert_eq!((&good["state"], &good["reimportEligible"]), (&json!("ENABLED"), &json!(false)));
    assert_eq!(good["importJob"], format!("{RING}/importJobs/j"));
    assert!(good["importTime"].is_string() && good.get("generateTime").is_none());
    assert_eq!(code(import(b"short")), Code::InvalidArgument);

    let status = say(&daemon, "status", &[]).unwrap();
    assert_eq!((&status["keyRings"], &status["keys"]), (&json!(1), &json!(1)));
    assert_eq!(status["versions"], json!({"ENABLED": 1, "IMPORT_FAILED": 1}));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn empty_fields_are_left_out() {
    let fields = [
        ("null", Value::Null),
        ("false", json!(false)),
        ("text", json!("")),
        ("list", json!([])),
        ("object", json!({})),
        ("zero", json!(0)),
        ("true", json!(true)),
    ];
    assert_eq!(json::object(fields), json!({"zero": 0, "true": true}));
}
