//! What the key service adds to PKCS#11 (kms-model, 17): its own encryption as a mechanism, and attributes that tell of
//! a key's version.

use claviger_conformance::desk::Desk;
use claviger_conformance::prelude::*;
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use openssl::sha::sha256;
use serde_json::Value;

const NAME: &str = "projects/local/locations/global/keyRings/r/cryptoKeys";

/// A daemon with a ring `r` that an application is logged in on.
struct Place {
    desk: Desk,
    app: Application,
    session: u64,
}

impl Place {
    fn new(config: &str) -> Place {
        let daemon = Daemon::prepare();
        std::fs::create_dir_all(daemon.directory()).unwrap();
        std::fs::write(daemon.directory().join("clavigerd.toml"), config).unwrap();
        daemon.restart();
        let desk = Desk { daemon };
        let (so, user) = (desk.file("so", "so-secret\n"), desk.file("user", "user-secret\n"));
        for file in [&so, &user] {
            std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        desk.json(&format!("keyrings create r --token-label r --so-pin-file {so} --user-pin-file {user}"));
        let app = Application::on(&desk.daemon);
        let slot = app.raw.slots(true, Some(8)).2[0];
        let session = app.raw.open_session(slot, 6).unwrap();
        app.raw.login(session, 1, Some(b"user-secret")).unwrap();
        Place { desk, app, session }
    }

    fn find(&self, template: &[Attribute]) -> Vec<u64> {
        self.app.raw.find(self.session, template).unwrap()
    }

    /// The secret key object of a version.
    fn version(&self, key: &str, number: u64) -> u64 {
        let found = self.find(&[label(key), class(ObjectClass::SECRET_KEY), ulong(A::KMS_VERSION, number)]);
        assert_eq!(found.len(), 1, "{key} {number}");
        found[0]
    }

    fn text(&self, object: u64, r#type: A) -> String {
        String::from_utf8(self.app.raw.attribute(self.session, object, r#type).unwrap()).unwrap()
    }

    fn one_shot(&self, operation: Operation, aad: &[u8], key: u64, data: &[u8]) -> Result<Vec<u8>, Rv> {
        let mechanism = Mechanism::bytes(M::KMS_ENVELOPE, aad);
        self.app.raw.start(operation, self.session, Some(&mechanism), key)?;
        let output = self.app.raw.one_shot(operation, self.session, data, Room::Bytes(data.len() + 128));
        if output.rv == Rv::OK { Ok(output.data) } else { Err(output.rv) }
    }

    fn in_parts(&self, operation: Operation, key: u64, data: &[u8]) -> Vec<u8> {
        let raw = &self.app.raw;
        raw.start(operation, self.session, Some(&M::KMS_ENVELOPE.into()), key).unwrap();
        claviger_conformance::rules::cipher_in_parts(raw, operation, self.session, data).unwrap()
    }
}

/// Opens a ciphertext by its description alone: no code of the product is in it.
fn opened(material: &[u8], key_name: &str, aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    // Magic, format, uid of the key, number of the version (below 128), algorithm, salt: then IV, text and tag.
    let (header, rest) = ciphertext.split_at(3 + 16 + 1 + 1 + 16);
    let (iv, rest) = rest.split_at(12);
    let (text, tag) = rest.split_at(rest.len() - 16);
    let mut hkdf = PkeyCtx::new_id(Id::HKDF).unwrap();
    hkdf.derive_init().unwrap();
    hkdf.set_hkdf_md(Md::sha256()).unwrap();
    hkdf.set_hkdf_key(material).unwrap();
    hkdf.set_hkdf_salt(&header[header.len() - 16..]).unwrap();
    hkdf.add_hkdf_info(b"claviger-encrypt-v1\x01").unwrap();
    let mut key = [0; 32];
    hkdf.derive(Some(&mut key)).unwrap();
    let length = (aad.len() as u64).to_be_bytes();
    let mut context = CipherCtx::new().unwrap();
    context.decrypt_init(Some(Cipher::aes_256_gcm()), Some(&key), Some(iv)).unwrap();
    for data in [header, &sha256(key_name.as_bytes())[..], &length, aad] {
        context.cipher_update(data, None).unwrap();
    }
    let mut plaintext = Vec::new();
    context.cipher_update_vec(text, &mut plaintext).unwrap();
    context.set_tag(tag).unwrap();
    context.cipher_final_vec(&mut plaintext).ok().map(|_| plaintext)
}

#[test]
fn what_one_door_encrypts_the_other_one_decrypts() {
    // CRY-01
    let place = Place::new("");
    let desk = &place.desk;
    desk.json("keys create k --keyring r --purpose encryption");
    let first = place.version("k", 1);
    let (data, aad) = (desk.file("data", "some data"), desk.file("aad", "more"));
    for (given, words) in
        [(&b""[..], String::new()), (b"more", format!("--additional-authenticated-data-file {aad}"))]
    {
        let ciphertext = place.one_shot(Operation::Encrypt, given, first, b"some data").unwrap();
        let (file, out) = (desk.file("made", &ciphertext), desk.path("out"));
        desk.json(&format!(
            "decrypt --keyring r --key k --ciphertext-file {file} --plaintext-file {out} {words}"
        ));
        assert_eq!(desk.read("out"), b"some data");
        let text = desk.path("text");
        desk.json(&format!(
            "encrypt --keyring r --key k --plaintext-file {data} --ciphertext-file {text} {words}"
        ));
        let text = desk.read("text");
        assert_eq!(place.one_shot(Operation::Decrypt, given, first, &text).unwrap(), b"some data");
        assert_eq!(
            place.one_shot(Operation::Decrypt, b"other", first, &text),
            Err(Rv::ENCRYPTED_DATA_INVALID)
        );
        assert_eq!((text.len(), ciphertext.len()), (9 + 65, 9 + 65));
    }
    // In parts, and the length is known before.
    let made = place.in_parts(Operation::Encrypt, first, &[7; 1000]);
    assert_eq!(place.in_parts(Operation::Decrypt, first, &made), [7; 1000]);
    let raw = &place.app.raw;
    raw.start(Operation::Encrypt, place.session, Some(&M::KMS_ENVELOPE.into()), first).unwrap();
    assert_eq!(raw.one_shot(Operation::Encrypt, place.session, &[1; 100], Room::Query).length, 165);
    assert_eq!(
        raw.one_shot(Operation::Encrypt, place.session, &[1; 100], Room::Bytes(164)).rv,
        Rv::BUFFER_TOO_SMALL
    );
    assert_eq!(raw.one_shot(Operation::Encrypt, place.session, &[1; 100], Room::Bytes(165)).rv, Rv::OK);

    // A version opens what others of its key made, as long as they are enabled.
    desk.json("keys rotate k --keyring r");
    let second = place.version("k", 2);
    let text = place.one_shot(Operation::Encrypt, b"", second, b"new").unwrap();
    assert_eq!(place.one_shot(Operation::Decrypt, b"", first, &text).unwrap(), b"new");
    let old = place.one_shot(Operation::Encrypt, b"", first, b"old").unwrap();
    assert_eq!(place.one_shot(Operation::Decrypt, b"", second, &old).unwrap(), b"old");
    desk.json("keys versions disable 1 --keyring r --key k --yes");
    assert_eq!(place.one_shot(Operation::Decrypt, b"", second, &old), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(place.one_shot(Operation::Encrypt, b"", first, b""), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    desk.json("keys versions enable 1 --keyring r --key k");
    assert_eq!(place.one_shot(Operation::Decrypt, b"", second, &old).unwrap(), b"old");
    // One that is to be destroyed opens nothing, and its use is told of.
    desk.json("keys versions destroy 1 --keyring r --key k --yes");
    assert_eq!(place.one_shot(Operation::Decrypt, b"", second, &old), Err(Rv::KEY_HANDLE_INVALID));
    let told = desk.json("audit list --operation Event.SCHEDULED_KEY_USE_ATTEMPT");
    assert_eq!(told[0]["resourceName"], format!("{NAME}/k/cryptoKeyVersions/1"));
    desk.json("keys versions restore 1 --keyring r --key k");
    desk.json("keys versions enable 1 --keyring r --key k");
    // An archived key opens, and makes nothing new.
    desk.json("keys archive k --keyring r --yes");
    assert_eq!(place.one_shot(Operation::Decrypt, b"", second, &old).unwrap(), b"old");
    assert_eq!(place.one_shot(Operation::Encrypt, b"", second, b""), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
}

#[test]
fn a_ciphertext_is_what_its_description_says() {
    let place = Place::new("");
    let desk = &place.desk;
    let material = [0x5a; 32];
    let file = desk.file("material", material);
    desk.json(
        "import-jobs create j --keyring r --import-method rsa-oaep-3072-sha256 --protection-level software",
    );
    desk.json("import-jobs wait j --keyring r");
    desk.json("keys create k --keyring r --purpose encryption --skip-initial-version-creation");
    desk.json(&format!(
        "keys versions import --keyring r --key k --import-job j --algorithm google-symmetric-encryption --target-key-file {file}"
    ));
    let key = place.version("k", 1);
    let name = format!("{NAME}/k");
    let text = place.one_shot(Operation::Encrypt, b"more", key, b"some data").unwrap();
    assert_eq!(opened(&material, &name, b"more", &text).unwrap(), b"some data");
    assert_eq!(opened(&material, &name, b"", &text), None);
    assert_eq!(place.text(key, A::KMS_IMPORT_JOB), "projects/local/locations/global/keyRings/r/importJobs/j");
    // Every bit counts, and every refusal is the same one.
    for place_of in 0..text.len() {
        let mut bad = text.clone();
        bad[place_of] ^= 1;
        assert_eq!(
            place.one_shot(Operation::Decrypt, b"more", key, &bad),
            Err(Rv::ENCRYPTED_DATA_INVALID),
            "{place_of}"
        );
    }
    for length in 0..text.len() {
        let cut = place.one_shot(Operation::Decrypt, b"more", key, &text[..length]);
        assert_eq!(cut, Err(Rv::ENCRYPTED_DATA_INVALID), "{length}");
    }
}

#[test]
fn only_keys_of_the_key_service_take_it_and_only_so_much() {
    let place = Place::new("");
    let desk = &place.desk;
    desk.json("keys create k --keyring r --purpose encryption");
    desk.json("keys create raw --keyring r --purpose raw-encryption --default-algorithm aes-256-gcm");
    let key = place.version("k", 1);
    let own = place.app.aes(place.session, 32, &[]).unwrap();
    for other in [place.version("raw", 1), own] {
        assert_eq!(place.one_shot(Operation::Encrypt, b"", other, b""), Err(Rv::KEY_TYPE_INCONSISTENT));
        assert_eq!(place.one_shot(Operation::Decrypt, b"", other, &[10; 99]), Err(Rv::KEY_TYPE_INCONSISTENT));
    }
    let most = vec![1; 65536];
    let text = place.one_shot(Operation::Encrypt, &most, key, &most).unwrap();
    assert_eq!(place.one_shot(Operation::Decrypt, &most, key, &text).unwrap(), most);
    let more = vec![1; 65537];
    assert_eq!(place.one_shot(Operation::Encrypt, b"", key, &more), Err(Rv::DATA_LEN_RANGE));
    assert_eq!(place.one_shot(Operation::Encrypt, &more, key, b""), Err(Rv::MECHANISM_PARAM_INVALID));
    assert_eq!(
        place.one_shot(Operation::Decrypt, b"", key, &vec![10; 70_000]),
        Err(Rv::ENCRYPTED_DATA_LEN_RANGE)
    );
    // A ciphertext of another key.
    desk.json("keys create other --keyring r --purpose encryption");
    let others = place.one_shot(Operation::Encrypt, b"", place.version("other", 1), b"data").unwrap();
    assert_eq!(place.one_shot(Operation::Decrypt, b"", key, &others), Err(Rv::ENCRYPTED_DATA_INVALID));
    // It does not wrap.
    let wrapped = place.app.raw.wrap_key(place.session, &M::KMS_ENVELOPE.into(), key, own, Room::Bytes(200));
    assert_eq!(wrapped.rv, Rv::MECHANISM_INVALID);
    // Uses are counted and recorded as those of every mechanism, and so is what was refused.
    let records = |result: &str| {
        let records =
            desk.json(&format!("audit list --operation P11.C_Encrypt --result {result} --limit 100"));
        let mut seen: Vec<(String, u64)> = Vec::new();
        for record in records.as_array().unwrap() {
            assert_eq!(record["request"]["mechanism"], "CKM_KMS_ENVELOPE", "{record}");
            let count = record["request"]["count"].as_u64().unwrap_or(1);
            seen.push((record["resourceName"].as_str().unwrap().to_owned(), count));
        }
        seen.sort();
        seen
    };
    // One that went well, and two whose Init did.
    assert_eq!(
        records("OK"),
        [(format!("{NAME}/k/cryptoKeyVersions/1"), 3), (format!("{NAME}/other/cryptoKeyVersions/1"), 1)]
    );
    assert!(records("INVALID_ARGUMENT").iter().any(|(name, _)| name.ends_with("/raw/cryptoKeyVersions/1")));
}

#[test]
fn a_version_tells_what_it_is_of_and_in_which_state() {
    let place = Place::new("");
    let desk = &place.desk;
    desk.json("keys create k --keyring r --purpose encryption");
    desk.json("keys create s --keyring r --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 --protection-level hsm");
    desk.json("keys rotate k --keyring r");
    let (first, second) = (place.version("k", 1), place.version("k", 2));
    let primary = |object| place.app.raw.attribute(place.session, object, A::KMS_PRIMARY).unwrap();
    assert_eq!((primary(first), primary(second)), (vec![0], vec![1]));
    assert_eq!(place.text(first, A::KMS_NAME), format!("{NAME}/k/cryptoKeyVersions/1"));
    assert_eq!(place.text(first, A::KMS_ALGORITHM), "GOOGLE_SYMMETRIC_ENCRYPTION");
    assert_eq!(place.text(first, A::KMS_PROTECTION_LEVEL), "SOFTWARE");
    assert_eq!(place.text(first, A::KMS_STATE), "ENABLED");
    assert_eq!(place.text(first, A::KMS_DESTROY_TIME), "");
    assert_eq!(place.text(first, A::KMS_IMPORT_JOB), "");
    desk.json("keys set-primary-version k --version 1 --keyring r");
    assert_eq!((primary(first), primary(second)), (vec![1], vec![0]), "seen at the next call");
    desk.json("keys versions disable 2 --keyring r --key k --yes");
    assert_eq!(place.text(second, A::KMS_STATE), "DISABLED");
    // They are looked for like others, on both halves of a pair.
    assert_eq!(place.find(&[bytes(A::KMS_STATE, "DISABLED")]), [second]);
    assert_eq!(place.find(&[bytes(A::KMS_NAME, format!("{NAME}/k/cryptoKeyVersions/1"))]), [first]);
    assert_eq!(
        place
            .find(&[bytes(A::KMS_ALGORITHM, "EC_SIGN_P256_SHA256"), bytes(A::KMS_PROTECTION_LEVEL, "HSM")])
            .len(),
        2
    );
    assert_eq!(place.find(&[flag(A::KMS_PRIMARY, true)]), [first]);
    // An application's key is a version too; what is in a session alone is none, and neither is a certificate.
    let template = on_token("own");
    let own = place.app.aes(place.session, 32, &template).unwrap();
    assert_eq!(place.text(own, A::KMS_NAME), format!("{NAME}/own/cryptoKeyVersions/1"));
    let brief = place.app.aes(place.session, 32, &[]).unwrap();
    let asked = place.app.raw.attribute(place.session, brief, A::KMS_STATE);
    assert_eq!(asked, Err(Rv::ATTRIBUTE_TYPE_INVALID));
    // Nobody sets them.
    let set = place.app.raw.set_attributes(place.session, own, &[bytes(A::KMS_STATE, "ENABLED")]);
    assert_eq!(set, Err(Rv::ATTRIBUTE_READ_ONLY));
    for r#type in [A::KMS_NAME, A::KMS_ALGORITHM, A::KMS_IMPORT_JOB] {
        let made = place.app.aes(place.session, 32, &[bytes(r#type, "x")]);
        assert_eq!(made, Err(Rv::ATTRIBUTE_READ_ONLY), "{type}");
    }
}

#[test]
fn a_configuration_hides_disabled_versions_and_gives_ids_as_google_has_them() {
    let place = Place::new("[kms]\nshow_disabled = false\ncka_id = \"full-name\"\n");
    let desk = &place.desk;
    desk.json("keys create k --keyring r --purpose encryption");
    let key = place.version("k", 1);
    let name = format!("{NAME}/k/cryptoKeyVersions/1");
    assert_eq!(place.text(key, A::ID), name);
    assert_eq!(place.find(&[bytes(A::ID, &name)]), [key]);
    desk.json("keys versions disable 1 --keyring r --key k --yes");
    assert_eq!(place.find(&[label("k")]), [0; 0]);
    // Who has the handle may read what is no secret, and learn why it does nothing.
    assert_eq!(place.text(key, A::KMS_STATE), "DISABLED");
    assert_eq!(place.one_shot(Operation::Encrypt, b"", key, b""), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    desk.json("keys versions enable 1 --keyring r --key k");
    assert_eq!(place.find(&[label("k")]), [key]);
    let wrong = desk.file("wrong.toml", "[kms]\ncka_id = \"name\"\n");
    let said: Value = serde_json::from_str(&desk.run(&format!("config check --file {wrong}")).stdout)
        .unwrap_or(Value::Null);
    assert_ne!(said["success"], true);
}
