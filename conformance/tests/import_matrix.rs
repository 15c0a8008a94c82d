//! Six import methods by eight kinds of keys, wrapped by the `openssl` program; what came in is used.

use claviger_conformance::desk::Desk;
use claviger_conformance::openssl::{OpenSsl, enc, hex, hmac, verifies, verifies_raw};

/// Method, its modulus in bytes, its hash, and whether an AES key is between.
const METHODS: [(&str, usize, &str, bool); 6] = [
    ("rsa-oaep-3072-sha1-aes-256", 384, "sha1", true),
    ("rsa-oaep-4096-sha1-aes-256", 512, "sha1", true),
    ("rsa-oaep-3072-sha256-aes-256", 384, "sha256", true),
    ("rsa-oaep-4096-sha256-aes-256", 512, "sha256", true),
    ("rsa-oaep-3072-sha256", 384, "sha256", false),
    ("rsa-oaep-4096-sha256", 512, "sha256", false),
];

/// A kind of key: what it is called, its purpose and algorithm, and how `openssl genpkey` makes one (a secret key
/// of so many bytes else).
struct Kind {
    name: &'static str,
    purpose: &'static str,
    algorithm: &'static str,
    genpkey: Result<&'static str, usize>,
    /// Options of `openssl dgst` that check its signatures; none are checked as of EdDSA.
    digest: &'static str,
}

const KINDS: [Kind; 8] = [
    Kind { name: "aes", purpose: "raw-encryption", algorithm: "aes-256-cbc", genpkey: Err(32), digest: "" },
    Kind { name: "hmac", purpose: "mac", algorithm: "hmac-sha256", genpkey: Err(32), digest: "" },
    Kind {
        name: "p256",
        purpose: "asymmetric-signing",
        algorithm: "ec-sign-p256-sha256",
        genpkey: Ok("-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
        digest: "-sha256",
    },
    Kind {
        name: "p384",
        purpose: "asymmetric-signing",
        algorithm: "ec-sign-p384-sha384",
        genpkey: Ok("-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        digest: "-sha384",
    },
    Kind {
        name: "ed25519",
        purpose: "asymmetric-signing",
        algorithm: "ec-sign-ed25519",
        genpkey: Ok("-algorithm ED25519"),
        digest: "",
    },
    Kind {
        name: "rsa2048",
        purpose: "asymmetric-signing",
        algorithm: "rsa-sign-pkcs1-2048-sha256",
        genpkey: Ok("-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
        digest: "-sha256",
    },
    Kind {
        name: "rsa3072",
        purpose: "asymmetric-signing",
        algorithm: "rsa-sign-pss-3072-sha256",
        genpkey: Ok("-algorithm RSA -pkeyopt rsa_keygen_bits:3072"),
        digest: "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
    },
    Kind {
        name: "rsa4096",
        purpose: "asymmetric-signing",
        algorithm: "rsa-sign-pkcs1-4096-sha512",
        genpkey: Ok("-algorithm RSA -pkeyopt rsa_keygen_bits:4096"),
        digest: "-sha512",
    },
];

/// What `openssl` made: the material as it is imported, and the public key.
struct Made {
    material: Vec<u8>,
    public: Vec<u8>,
}

impl Kind {
    fn make(&self) -> Made {
        let openssl = OpenSsl::with(&[]);
        match self.genpkey {
            Err(bytes) => {
                openssl.run(&format!("rand -out key {bytes}")).unwrap();
                Made { material: openssl.read("key"), public: vec![] }
            }
            Ok(options) => {
                openssl.run(&format!("genpkey {options} -out key")).unwrap();
                openssl.run("pkcs8 -topk8 -nocrypt -in key -outform DER -out pkcs8").unwrap();
                openssl.run("pkey -in key -pubout -outform DER -out public").unwrap();
                Made { material: openssl.read("pkcs8"), public: openssl.read("public") }
            }
        }
    }

    fn is_rsa(&self) -> bool {
        self.name.starts_with("rsa")
    }
}

/// Wraps as somebody who has only `openssl` and the job's public key.
fn wrap(pem: &str, (_, modulus, hash, ephemeral): (&str, usize, &str, bool), material: &[u8]) -> Vec<u8> {
    let openssl = OpenSsl::with(&[("job", pem.as_bytes()), ("material", material)]);
    openssl.run("rand -out kek 32").unwrap();
    let inner = if ephemeral { "kek" } else { "material" };
    openssl
        .run(&format!(
            "pkeyutl -encrypt -pubin -inkey job -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{hash} \
             -pkeyopt rsa_mgf1_md:{hash} -in {inner} -out c1"
        ))
        .unwrap();
    let mut wrapped = openssl.read("c1");
    assert_eq!(wrapped.len(), modulus);
    if ephemeral {
        let kek = hex(&openssl.read("kek"));
        openssl.run(&format!("enc -id-aes256-wrap-pad -iv A65959A6 -K {kek} -in material -out c2")).unwrap();
        wrapped.extend(openssl.read("c2"));
    }
    wrapped
}

/// Uses version 1 of an imported key, and has `openssl` agree.
fn use_it(desk: &Desk, kind: &Kind, key: &str, made: &Made) {
    let data = desk.file("data", b"sixteen bytes or");
    let out = desk.path("out");
    let of = format!("--keyring r --key {key} --version 1");
    match kind.purpose {
        "raw-encryption" => {
            let iv = desk.file("iv", [3; 16]);
            desk.json(&format!(
                "raw-encrypt {of} --plaintext-file {data} --initialization-vector-file {iv} --ciphertext-file {out}"
            ));
            let expected = enc("-aes-256-cbc -nopad", &made.material, &[3; 16], b"sixteen bytes or");
            assert_eq!(desk.read("out"), expected, "{key}");
        }
        "mac" => {
            desk.json(&format!("mac-sign {of} --input-file {data} --signature-file {out}"));
            assert_eq!(desk.read("out"), hmac("sha256", &made.material, b"sixteen bytes or"), "{key}");
        }
        _ => {
            desk.json(&format!("asymmetric-sign {of} --input-file {data} --signature-file {out}"));
            // The public key that the daemon shows is the one that openssl kept.
            assert_eq!(desk.public_key(key, 1), made.public, "{key}");
            let signature = desk.read("out");
            match kind.digest {
                "" => verifies_raw(&made.public, "-rawin", b"sixteen bytes or", &signature),
                options => verifies(&made.public, options, b"sixteen bytes or", &signature),
            }
        }
    }
}

#[test]
fn six_methods_bring_eight_kinds_of_keys() {
    // IMP-01 IMP-04 IMP-05 IMP-08 IMP-14 IMP-21 IMP-22 IMP-24 IMP-29
    let desk = Desk::new();
    for (method, ..) in METHODS {
        desk.json(&format!(
            "import-jobs create {method} --keyring r --import-method {method} --protection-level software"
        ));
    }
    let made: Vec<Made> = KINDS.iter().map(Kind::make).collect();
    for method in METHODS {
        let job = desk.json(&format!("import-jobs wait {} --keyring r", method.0));
        let pem = job["publicKey"]["pem"].as_str().unwrap();
        let pem_file = desk.file("job.pem", pem);
        for (kind, made) in KINDS.iter().zip(&made) {
            let import = |key: &str, option: &str, content: &[u8]| {
                desk.json(&format!(
                    "keys create {key} --keyring r --purpose {} --default-algorithm {} \
                     --skip-initial-version-creation --import-only",
                    kind.purpose, kind.algorithm
                ));
                let file = desk.file("import", content);
                desk.run(&format!(
                    "keys versions import --keyring r --key {key} --import-job {} --algorithm {} {option} {file}",
                    method.0, kind.algorithm
                ))
            };
            let (by_cli, by_hand) =
                (format!("{}-cli-{}", kind.name, method.0), format!("{}-{}", kind.name, method.0));
            let automatic =
                import(&by_cli, &format!("--public-key-file {pem_file} --target-key-file"), &made.material);
            if kind.is_rsa() && !method.3 {
                // OAEP alone has no room for it; whoever pretends is told by the length.
                assert_eq!(automatic.code, Some(2), "{by_cli}: {}", automatic.stderr);
                assert!(automatic.stderr.contains("wraps at most"), "{by_cli}: {}", automatic.stderr);
                let blob = wrap(pem, (method.0, method.1, method.2, true), &made.material);
                let manual = import(&by_hand, "--wrapped-key-file", &blob);
                assert_eq!(manual.code, Some(2), "{by_hand}: {}", manual.stderr);
                let versions = desk.json(&format!("keys versions list --keyring r --key {by_hand}"));
                assert_eq!(versions.as_array().map(Vec::len), Some(0), "{by_hand}");
                continue;
            }
            assert_eq!(automatic.code, Some(0), "{by_cli}: {}", automatic.stderr);
            let manual = import(&by_hand, "--wrapped-key-file", &wrap(pem, method, &made.material));
            assert_eq!(manual.code, Some(0), "{by_hand}: {}", manual.stderr);
            use_it(&desk, kind, &by_hand, made);
        }
    }
}

#[test]
fn the_same_key_comes_back_in_another_encoding() {
    // IMP-30 IMP-31 IMP-32 IMP-34 IMP-35 DST-24
    let desk = Desk::new();
    for name in ["old", "new"] {
        desk.json(&format!(
            "import-jobs create {name} --keyring r --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software"
        ));
        desk.json(&format!("import-jobs wait {name} --keyring r"));
    }
    let openssl = OpenSsl::with(&[]);
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key").unwrap();
    openssl.run("pkcs8 -topk8 -nocrypt -in key -outform DER -out first").unwrap();
    // Without the optional public key: other bytes, the same key.
    openssl.run("ec -in key -no_public -out bare").unwrap();
    openssl.run("pkcs8 -topk8 -nocrypt -in bare -outform DER -out second").unwrap();
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out other").unwrap();
    let (first, second) = (openssl.read("first"), openssl.read("second"));
    assert_ne!(first, second);
    desk.json(
        "keys create k --keyring r --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 \
         --skip-initial-version-creation --import-only --destroy-scheduled-duration 0",
    );
    let import = |job: &str, option: &str, material: &[u8]| {
        let file = desk.file("material", material);
        desk.run(&format!(
            "keys versions import --keyring r --key k --import-job {job} --algorithm ec-sign-p256-sha256 \
             --target-key-file {file} {option}"
        ))
    };
    let version = || desk.json("keys versions describe 1 --keyring r --key k");
    assert_eq!(import("old", "--async", &first).code, Some(0));
    assert_eq!((&version()["state"], &version()["reimportEligible"]), (&"ENABLED".into(), &false.into()));
    let again = import("new", "--version 1", &second);
    assert_eq!(again.code, Some(7), "it has material: {}", again.stderr);
    desk.json("keys versions destroy 1 --keyring r --key k --yes");
    assert_eq!((&version()["state"], &version()["reimportEligible"]), (&"DESTROYED".into(), &true.into()));
    let before = version();
    let other = import("new", "--version 1", &openssl.read("other"));
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("MATERIAL_MISMATCH"), "{}", other.stderr);
    assert_eq!(version(), before, "a mismatch changes nothing");
    assert_eq!(import("new", "--version 2", &second).code, Some(4), "there is no version 2");
    let again = import("new", "--version 1", &second);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let after = version();
    assert_eq!(after["state"], "ENABLED");
    assert!(after["importJob"].as_str().unwrap().ends_with("/importJobs/new"));
    assert!(after.get("destroyEventTime").is_none());
    let (data, out) = (desk.file("data", b"data"), desk.path("signature"));
    desk.json(&format!(
        "asymmetric-sign --keyring r --key k --version 1 --input-file {data} --signature-file {out}"
    ));
    openssl.run("pkey -in key -pubout -outform DER -out public").unwrap();
    verifies(&openssl.read("public"), "-sha256", b"data", &desk.read("signature"));
}

#[test]
fn what_the_command_line_cannot_import_it_refuses() {
    // IMP-04 IMP-06 IMP-07 IMP-17 IMP-20 STA-07
    let desk = Desk::new();
    let create = "import-jobs create j --keyring r --import-method rsa-oaep-4096-sha256-aes-256 --protection-level software";
    assert_eq!(desk.json(create)["state"], "PENDING_GENERATION", "the answer does not wait for the key pair");
    let key = desk.file("key", [7; 32]);
    desk.json("keys create k --keyring r --purpose encryption --skip-initial-version-creation");
    let import =
        "keys versions import --keyring r --key k --import-job j --algorithm google-symmetric-encryption";
    // While it is pending; on a very fast machine it may be ready by now.
    let early = desk.run(&format!("{import} --target-key-file {key}"));
    assert!(
        early.code == Some(0) || early.code == Some(7) && early.stderr.contains("PENDING_GENERATION"),
        "{early:?}"
    );
    desk.fails(import, 2, "exactly one of");
    desk.fails(&format!("{import} --target-key-file {key} --wrapped-key-file {key}"), 2, "exactly one of");
    desk.fails(&format!("{import} --wrapped-key-file {key} --public-key-file {key}"), 2, "alone");
    desk.fails(&format!("{import} --target-key-file {}", desk.path("missing")), 2, "missing");
    let job = desk.json("import-jobs wait j --keyring r");
    let said = desk
        .daemon
        .admin()
        .command()
        .args("import-jobs describe j --keyring r --format value(state)".split(' '))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "ACTIVE");
    for (field, is) in [("importMethod", "RSA_OAEP_4096_SHA256_AES_256"), ("protectionLevel", "SOFTWARE")] {
        assert_eq!(job[field], is);
    }
    // A public key of another size than the job's, and what is none.
    let openssl = OpenSsl::with(&[]);
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa").unwrap();
    openssl.run("pkey -in rsa -pubout -out public").unwrap();
    let small = desk.file("small.pem", openssl.read("public"));
    desk.fails(&format!("{import} --target-key-file {key} --public-key-file {small}"), 2, "4096 bits");
    desk.fails(&format!("{import} --target-key-file {key} --public-key-file {key}"), 2, "no public key");
    let long = desk.file("long", vec![1; 200 << 10]);
    desk.fails(&format!("{import} --wrapped-key-file {long}"), 2, "longer than");
    let empty = desk.file("empty", b"");
    desk.fails(&format!("{import} --target-key-file {empty}"), 2, "");
    desk.fails(&format!("{import} --wrapped-key-file {empty}"), 2, "0 bytes");
    let short = desk.file("short", [7; 31]);
    desk.fails(&format!("{import} --target-key-file {short}"), 2, "WRONG_LENGTH");
    for (what, code) in [
        ("--import-method rsa-oaep-3072-sha256 --protection-level software", 5),
        ("--import-method rsa-pkcs1-2048 --protection-level software", 2),
        ("--import-method rsa-oaep-3072-sha256 --protection-level external", 2),
    ] {
        assert_eq!(desk.run(&format!("import-jobs create j --keyring r {what}")).code, Some(code), "{what}");
    }
    desk.fails(
        "import-jobs create j/k --keyring r --import-method rsa-oaep-3072-sha256 --protection-level hsm",
        2,
        "",
    );
    desk.fails("import-jobs describe none --keyring r", 4, "does not exist");
    desk.fails("import-jobs wait none --keyring r", 4, "does not exist");
}
