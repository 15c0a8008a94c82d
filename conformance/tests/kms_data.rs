//! Data keys, re-encryption, checksums, random bytes, and the limits of the verbs that do cryptography.

use claviger_conformance::desk::Desk;
use claviger_conformance::openssl::OpenSsl;
use claviger_conformance::wire::Wire;
use claviger_protocol::admin::{ArgumentValue, Reply, Request, VERBS};

#[test]
fn data_keys_are_made_wrapped_and_forgotten() {
    // CRY-06 CRY-07 CRY-13 CRY-14
    let desk = Desk::new();
    desk.json("keys create k --keyring r --purpose encryption");
    desk.json("keys create m --keyring r --purpose mac --default-algorithm hmac-sha256");
    let (plain, text, out) = (desk.path("plain"), desk.path("text"), desk.path("out"));
    let make = "generate-data-key --keyring r --key k";
    let opens = |bytes: usize, context: &str| {
        desk.json(&format!("decrypt --ciphertext-file {text} {context} --plaintext-file {out}"));
        assert_eq!(desk.read("out").len(), bytes);
        desk.read("out")
    };
    for (options, bytes) in [
        ("", 32),
        ("--spec aes-256", 32),
        ("--spec aes-128", 16),
        ("--spec sm4", 16),
        ("--length 1", 1),
        ("--length 1024", 1024),
    ] {
        desk.json(&format!("{make} {options} --plaintext-file {plain} --ciphertext-file {text}"));
        assert_eq!(opens(bytes, ""), desk.read("plain"), "{options}");
    }
    let first = desk.read("plain");
    desk.json(&format!("{make} --length 1024 --plaintext-file {plain}"));
    assert_ne!(first, desk.read("plain"));
    for (options, sentence) in [
        ("--length 0", "1 to 1024"),
        ("--length 1025", "1 to 1024"),
        ("--length -1", ""),
        ("--spec des", ""),
        ("--spec aes-128 --length 16", "not both"),
        ("--context broken", "key=value"),
    ] {
        desk.fails(&format!("{make} {options}"), 2, sentence);
    }
    desk.fails("generate-data-key --keyring r --key m", 7, "cannot generate data keys");

    let without = desk.json(&format!("{make} --without-plaintext --context a=b --ciphertext-file {text}"));
    assert!(without.get("plaintext").is_none() && without.get("plaintextCrc32c").is_none());
    opens(32, "--context a=b");
    desk.fails(&format!("decrypt --ciphertext-file {text} --context a=c"), 2, "cannot be decrypted");
    // The order of a context does not matter.
    desk.json(&format!("{make} --without-plaintext --context b=2,a=1 --ciphertext-file {text}"));
    opens(32, "--context a=1,b=2");

    // For somebody else: wrapped with their public key, and never in clear.
    let openssl = OpenSsl::with(&[]);
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private").unwrap();
    openssl.run("pkey -in private -pubout -out public").unwrap();
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out small").unwrap();
    openssl.run("pkey -in small -pubout -out small.pub").unwrap();
    let public = desk.file("public.pem", openssl.read("public"));
    let small = desk.file("small.pem", openssl.read("small.pub"));
    let wrapped = desk.path("wrapped");
    let export = format!("{make} --wrap-with-public-key-file {public}");
    let made = desk.json(&format!("{export} --wrapped-key-file {wrapped} --ciphertext-file {text}"));
    assert!(made.get("plaintext").is_none());
    let theirs = OpenSsl::with(&[("private", &openssl.read("private")), ("wrapped", &desk.read("wrapped"))]);
    let oaep = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256";
    theirs.run(&format!("pkeyutl -decrypt -inkey private {oaep} -in wrapped -out plain")).unwrap();
    assert_eq!(theirs.read("plain"), opens(32, ""));
    desk.fails(&format!("{export} --length 1024"), 2, "too long");
    desk.fails(&format!("{make} --wrap-with-public-key-file {small}"), 2, "2048 bits");
    desk.fails(&format!("{make} --wrap-with-public-key-file {text}"), 2, "public key");
}

#[test]
fn ciphertexts_are_renewed_without_being_seen() {
    // CRY-08 ROT-11 ROT-05 CRY-05
    let desk = Desk::new();
    desk.json("keys create k --keyring r --purpose encryption");
    desk.json("keys create l --keyring r --purpose encryption");
    desk.json("keys create s --keyring r --purpose mac --default-algorithm hmac-sha256");
    let (data, text, again, out) =
        (desk.file("data", b"data"), desk.path("text"), desk.path("again"), desk.path("out"));
    let aad = desk.file("aad", b"a");
    desk.json(&format!("encrypt --keyring r --key k --plaintext-file {data} --ciphertext-file {text}"));
    let same = desk.json(&format!("reencrypt --ciphertext-file {text} --output-file {again}"));
    assert_eq!((&same["reEncrypted"], desk.read("again")), (&false.into(), desk.read("text")));
    assert!(same.get("plaintext").is_none());
    // Another context, another key, another version: each makes it anew.
    let renewed = desk.json(&format!(
        "reencrypt --ciphertext-file {text} --destination-additional-authenticated-data-file {aad} --output-file {again}"
    ));
    assert_eq!(
        (&renewed["reEncrypted"], &renewed["verifiedDestinationAdditionalAuthenticatedDataCrc32c"]),
        (&true.into(), &true.into())
    );
    desk.fails(&format!("decrypt --ciphertext-file {again}"), 2, "cannot be decrypted");
    desk.json(&format!(
        "decrypt --ciphertext-file {again} --additional-authenticated-data-file {aad} --plaintext-file {out}"
    ));
    assert_eq!(desk.read("out"), b"data");
    let moved = desk.json(&format!(
        "reencrypt --ciphertext-file {text} --destination-keyring r --destination-key l --output-file {again}"
    ));
    assert!(moved["name"].as_str().unwrap().ends_with("cryptoKeys/l/cryptoKeyVersions/1"));
    assert!(moved["sourceName"].as_str().unwrap().ends_with("cryptoKeys/k/cryptoKeyVersions/1"));
    desk.json("keys rotate k --keyring r");
    assert_eq!(
        desk.json(&format!("reencrypt --ciphertext-file {text} --output-file {again}"))["reEncrypted"],
        true
    );
    let renew = format!("reencrypt --ciphertext-file {text}");
    desk.fails(&format!("{renew} --source-context a=b"), 2, "cannot be decrypted");
    desk.fails(
        &format!("{renew} --source-context a=b --source-additional-authenticated-data-file {aad}"),
        2,
        "not both",
    );
    desk.fails(&format!("{renew} --destination-key s --destination-keyring r"), 7, "cannot encrypt");
    desk.fails(&format!("{renew} --destination-key none --destination-keyring r"), 4, "does not exist");
    desk.fails(&format!("reencrypt --ciphertext-file {data}"), 2, "cannot be decrypted");
    // The source must still open.
    desk.json("keys versions disable 1 --keyring r --key k");
    desk.fails(&renew, 7, "current state is: DISABLED.");
}

#[test]
fn checksums_are_checked_and_given() {
    // CRY-01
    let desk = Desk::new();
    desk.json("keys create k --keyring r --purpose encryption");
    let (digits, empty) = (desk.file("digits", b"123456789"), desk.file("empty", b""));
    let encrypt = "encrypt --keyring r --key k --plaintext-file";
    for file in [&digits, &empty] {
        let sent = desk.json(&format!("{encrypt} {file}"));
        assert_eq!(sent["verifiedPlaintextCrc32c"], true);
        assert!(sent["ciphertextCrc32c"].as_str().unwrap().parse::<u32>().is_ok());
        let unsent = desk.json(&format!("{encrypt} {file} --skip-integrity-verification"));
        assert_eq!(unsent["verifiedPlaintextCrc32c"], false);
    }
    // 0xE3069283 is the check value of CRC-32C.
    let (mut wire, _) = Wire::greet(&desk.daemon.admin_socket(), None);
    let verb = VERBS.iter().find(|verb| verb.path == "encrypt").unwrap();
    let text = |text: &str| ArgumentValue::Text(text.to_owned());
    let mut say = |checksum: &str| {
        let arguments = vec![
            ("keyring".to_owned(), text("r")),
            ("key".to_owned(), text("k")),
            ("plaintext-file".to_owned(), ArgumentValue::Bytes(b"123456789".into())),
            ("plaintext-file-crc32c".to_owned(), text(checksum)),
        ];
        wire.verb(verb.number, &Request { arguments }).1
    };
    assert!(matches!(say(&0xE306_9283_u32.to_string()), Reply::Document(_)));
    for wrong in ["0", "-1", "3808858756", "18446744073709551615", ""] {
        let Reply::Failure(failure) = say(wrong) else { panic!("{wrong}") };
        assert_eq!(failure.code.name(), "INVALID_ARGUMENT");
        assert!(failure.message.contains("checksum"), "{}", failure.message);
    }
    // Every verb that takes a file of data can send its checksum.
    for verb in VERBS.iter().filter(|verb| verb.number >= 80 && verb.number < 100) {
        let has_file =
            verb.arguments.iter().any(|row| row.kind == claviger_protocol::admin::ArgumentKind::File);
        let may_skip = verb.arguments.iter().any(|row| row.name == "skip-integrity-verification");
        assert_eq!(has_file, may_skip, "{}", verb.path);
    }
}

#[test]
fn limits_are_those_of_the_level() {
    // CRY-01 CRY-03
    let desk = Desk::new();
    for level in ["software", "hsm"] {
        desk.json(&format!(
            "keys create {level} --keyring r --purpose encryption --protection-level {level}"
        ));
        desk.json(&format!(
            "keys create {level}-mac --keyring r --purpose mac --default-algorithm hmac-sha256 --protection-level {level}"
        ));
        desk.json(&format!(
            "keys create {level}-ec --keyring r --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 --protection-level {level}"
        ));
    }
    let sized = |bytes: usize| desk.file(&format!("size-{bytes}"), vec![1; bytes]);
    let encrypt = |level: &str, plain: usize, aad: usize| {
        let (plain, aad) = (sized(plain), sized(aad));
        desk.run(&format!(
            "encrypt --keyring r --key {level} --plaintext-file {plain} --additional-authenticated-data-file {aad} --format none"
        ))
    };
    const K: usize = 1024;
    for (level, plain, aad, fits) in [
        ("software", 64 * K, 64 * K, true),
        ("software", 64 * K + 1, 0, false),
        ("software", 0, 64 * K + 1, false),
        ("software", 0, 0, true),
        ("hsm", 4 * K, 4 * K, true),
        ("hsm", 8 * K, 0, true),
        ("hsm", 8 * K, 1, false),
        ("hsm", 1, 8 * K, false),
    ] {
        let answer = encrypt(level, plain, aad);
        assert_eq!(answer.code, Some(if fits { 0 } else { 2 }), "{level} {plain} {aad}: {}", answer.stderr);
        assert!(fits || answer.stderr.contains("at most"), "{}", answer.stderr);
    }
    for (level, bytes) in [("software", 64 * K), ("hsm", 8 * K)] {
        for verb in [format!("mac-sign --key {level}-mac"), format!("asymmetric-sign --key {level}-ec")] {
            let (fits, over) = (sized(bytes), sized(bytes + 1));
            desk.json(&format!("{verb} --version 1 --keyring r --input-file {fits}"));
            desk.fails(&format!("{verb} --version 1 --keyring r --input-file {over}"), 2, "at most");
        }
    }
    let huge = sized(193 * K);
    desk.fails(&format!("encrypt --keyring r --key software --plaintext-file {huge}"), 2, "longer than");
    // Text instead of bytes, and a result that only its owner may read.
    let (text, out) = (desk.file("text", "aGVsbG8=\n"), desk.path("out"));
    let encrypt = "encrypt --keyring r --key software";
    desk.json(&format!("{encrypt} --plaintext-file {text} --base64 --ciphertext-file {out}"));
    let shown = desk.json(&format!("decrypt --ciphertext-file {out} --base64"));
    assert_eq!(shown["plaintext"], "aGVsbG8=");
    desk.fails(
        &format!("{encrypt} --plaintext-file {out} --base64 --additional-authenticated-data-file {huge}"),
        2,
        "",
    );
    let odd = desk.file("odd", "no base64!");
    desk.fails(&format!("{encrypt} --plaintext-file {odd} --base64"), 2, "no base64");
    desk.fails(&format!("{encrypt} --plaintext-file - --additional-authenticated-data-file -"), 2, "stdin");
    desk.fails(&format!("{encrypt} --plaintext-file {}", desk.path("none")), 2, "none");
    desk.fails(
        &format!("{encrypt} --plaintext-file {text} --ciphertext-file {}", desk.path("no/where")),
        2,
        "",
    );
    desk.fails(&format!("encrypt --key software --plaintext-file {text}"), 2, "key ring");
    desk.fails(&format!("decrypt --keyring r --key hsm --ciphertext-file {text}"), 2, "cannot be decrypted");
}

#[test]
fn random_bytes_come_in_any_number() {
    // CRY-12 CRY-03
    let desk = Desk::new();
    let out = desk.path("out");
    for length in [1, 8, 1024, 65536, 65537, 200_000] {
        let words = format!("generate-random --length {length} --output-file {out}");
        assert_eq!(desk.run(&words).code, Some(0));
        assert_eq!(desk.read("out").len(), length);
    }
    let all = desk.read("out");
    // Nothing comes twice: 16-byte blocks are all different.
    let blocks: std::collections::HashSet<_> = all.chunks(16).collect();
    assert_eq!(blocks.len(), all.chunks(16).count());
    desk.run(&format!("generate-random --length 100000 --base64 --output-file {out}"));
    let openssl = OpenSsl::with(&[("text", &desk.read("out"))]);
    openssl.run("enc -d -base64 -A -in text -out bytes").unwrap();
    assert_eq!(openssl.read("bytes").len(), 100_000);
    for length in ["0", "-1", "x", "99999999999999999999"] {
        assert_eq!(
            desk.run(&format!("generate-random --length={length} --output-file {out}")).code,
            Some(2),
            "{length}"
        );
    }
    desk.fails("generate-random --length 100000", 2, "--output-file");
}

#[test]
fn material_is_never_shown() {
    // CRY-14 ALG-02
    let desk = Desk::new();
    desk.json(
        "import-jobs create j --keyring r --import-method rsa-oaep-3072-sha256 --protection-level software",
    );
    desk.json("import-jobs wait j --keyring r");
    let material = b"thirty-two bytes that are a key!";
    let file = desk.file("material", material);
    desk.json("keys create k --keyring r --purpose encryption --skip-initial-version-creation");
    desk.json(&format!(
        "keys versions import --keyring r --key k --import-job j --algorithm google-symmetric-encryption --target-key-file {file}"
    ));
    desk.json("keys set-primary-version k --keyring r --version 1");
    let shown = [
        "keys describe k --keyring r",
        "keys versions describe 1 --keyring r --key k",
        "keys list --keyring r --full",
        "audit list --limit 1000",
        "import-jobs describe j --keyring r",
        "status",
    ]
    .map(|words| desk.json(words).to_string());
    let base64 = openssl::base64::encode_block(material);
    for text in &shown {
        assert!(!text.contains("thirty-two") && !text.contains(&base64[..16]), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
    desk.fails("keys versions get-public-key 1 --keyring r --key k", 7, "no public key");
    // Nor is it in the store, in clear.
    desk.daemon.kill();
    let mut files = vec![desk.daemon.directory()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            assert!(!content.windows(16).any(|window| window == &material[..16]), "{}", path.display());
        }
    }
    assert!(!desk.daemon.log().contains("thirty-two"));
}

#[test]
fn rsa_with_the_old_padding_is_off_until_it_is_asked_for() {
    // ALG-18
    use claviger_conformance::openssl::OpenSsl;
    let desk = Desk::new();
    let create = "keys create old --keyring r --purpose asymmetric-encryption --default-algorithm rsa-decrypt-pkcs1-2048";
    desk.fails(create, 7, "rsa_decrypt_pkcs1 = true in [kms] turns it on");
    let listed = |desk: &Desk| desk.run("algorithms list --format value(name)").stdout;
    assert!(!listed(&desk).contains("PKCS1_2048\n") || !listed(&desk).contains("RSA_DECRYPT_PKCS1"));
    let config = desk.daemon.directory().join("clavigerd.toml");
    std::fs::write(&config, "[kms]\nrsa_decrypt_pkcs1 = true\n").unwrap();
    desk.daemon.kill();
    desk.daemon.restart();
    assert!(listed(&desk).contains("RSA_DECRYPT_PKCS1_2048"));
    desk.json(create);
    let public = desk.public_key("old", 1);
    let openssl = OpenSsl::with(&[("data", b"by the old river"), ("public", &public)]);
    openssl.run("pkey -pubin -inform DER -in public -pubout -out pem").unwrap();
    openssl
        .run("pkeyutl -encrypt -pubin -inkey pem -pkeyopt rsa_padding_mode:pkcs1 -in data -out text")
        .unwrap();
    let (text, out) = (desk.file("text", openssl.read("text")), desk.path("out"));
    let of = "--keyring r --key old --version 1";
    desk.json(&format!("asymmetric-decrypt {of} --ciphertext-file {text} --plaintext-file {out}"));
    assert_eq!(desk.read("out"), b"by the old river");
    // Wrong padding is not told from a right one (implicit rejection): some bytes, the same each time.
    let bad = desk.file("bad", [&[0][..], &[7; 255]].concat());
    let answers = [0, 1].map(|_| {
        desk.json(&format!("asymmetric-decrypt {of} --ciphertext-file {bad} --plaintext-file {out}"));
        desk.read("out")
    });
    assert_eq!(answers[0], answers[1]);
    let short = desk.file("short", [7; 255]);
    desk.fails(&format!("asymmetric-decrypt {of} --ciphertext-file {short}"), 2, "cannot be decrypted");
    // Turned off again, what exists is refused too.
    std::fs::write(&config, "").unwrap();
    desk.daemon.kill();
    desk.daemon.restart();
    desk.fails(&format!("asymmetric-decrypt {of} --ciphertext-file {text}"), 7, "is off");
}
