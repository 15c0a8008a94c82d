//! What the key service computes, checked by the `openssl` program for every algorithm that it offers.
//!
//! Keys are made by `openssl` and imported, so that it can do both halves. An algorithm that `algorithms list` names
//! and [`CASES`] does not is a failure.

use std::collections::HashMap;

use claviger_conformance::desk::Desk;
use claviger_conformance::openssl::{OpenSsl, enc, hex, hmac, unhex, verifies, verifies_raw};

/// What is encrypted, signed and authenticated: three blocks.
const DATA: &[u8] = b"attack at dawn, sixteen of us, by the old river.";
const AAD: &[u8] = b"context";

/// How an algorithm is checked.
#[derive(Clone, Copy)]
enum Case {
    /// The key service's own format over this block cipher (its name in `openssl enc`, without a mode), with its
    /// number in the format.
    Envelope(&'static str, usize, u8),
    /// GCM of this block cipher, key of so many bytes.
    Gcm(&'static str, usize),
    /// A cipher of `openssl enc`, key of so many bytes.
    Bare(&'static str, usize),
    /// A signature that `openssl dgst` checks with these options, by a key of this kind.
    Sign(Kind, &'static str),
    /// A signature over a `DigestInfo` that the caller made.
    RawPkcs1(Kind),
    /// A signature over the message itself.
    Pure(Kind),
    /// RSAES-OAEP with this hash.
    Oaep(Kind, &'static str),
    /// HMAC with this hash, key of so many bytes.
    Hmac(&'static str, usize),
    /// SM2 with SM3.
    Sm2Sign,
    /// SM2 encryption.
    Sm2Decrypt,
    /// A signature that the `openssl` program of today's distributions does not know, its public key and itself of so
    /// many bytes (FIPS 204, table 2; FIPS 205, table 2). A library verifies it here, another one in `make interop`.
    PostQuantum(usize, usize),
    /// ML-DSA over the digest of message and public key, which `openssl dgst` makes here; sizes as above.
    Mu(usize, usize),
    /// SLH-DSA over a digest; sizes as above. `two_doors` has the token's mechanism, which known answers have proved,
    /// verify it.
    HashSlhDsa(usize, usize),
    /// Keys under keys, which applications alone do: `two_doors` has `openssl` wrap the same.
    Kwp,
    /// X-Wing, which no `openssl` has.
    XWing,
    /// ML-KEM: public key and ciphertext of so many bytes (FIPS 203, table 3).
    Kem(usize, usize),
}

/// A kind of pair, as `openssl genpkey` makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind(&'static str);

const RSA_2048: Kind = Kind("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
const RSA_3072: Kind = Kind("-algorithm RSA -pkeyopt rsa_keygen_bits:3072");
const RSA_4096: Kind = Kind("-algorithm RSA -pkeyopt rsa_keygen_bits:4096");
const SM2: Kind = Kind("-algorithm EC -pkeyopt ec_paramgen_curve:SM2");
const PSS_32: &str =
    "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256";
const PSS_64: &str =
    "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:64 -sigopt rsa_mgf1_md:sha512";

const fn curve(options: &'static str) -> Kind {
    Kind(options)
}

const CASES: &[(&str, Case)] = &[
    ("GOOGLE_SYMMETRIC_ENCRYPTION", Case::Envelope("aes-256", 32, 1)),
    ("AES_192_ENCRYPTION", Case::Envelope("aes-192", 24, 2)),
    ("AES_128_ENCRYPTION", Case::Envelope("aes-128", 16, 3)),
    ("SM4_ENCRYPTION", Case::Envelope("sm4", 16, 4)),
    ("AES_128_GCM", Case::Gcm("aes-128", 16)),
    ("AES_192_GCM", Case::Gcm("aes-192", 24)),
    ("AES_256_GCM", Case::Gcm("aes-256", 32)),
    ("AES_128_CBC", Case::Bare("aes-128-cbc", 16)),
    ("AES_192_CBC", Case::Bare("aes-192-cbc", 24)),
    ("AES_256_CBC", Case::Bare("aes-256-cbc", 32)),
    ("AES_128_CTR", Case::Bare("aes-128-ctr", 16)),
    ("AES_192_CTR", Case::Bare("aes-192-ctr", 24)),
    ("AES_256_CTR", Case::Bare("aes-256-ctr", 32)),
    ("SM4_GCM", Case::Gcm("sm4", 16)),
    ("SM4_CBC", Case::Bare("sm4-cbc", 16)),
    ("SM4_CTR", Case::Bare("sm4-ctr", 16)),
    ("RSA_SIGN_PSS_2048_SHA256", Case::Sign(RSA_2048, PSS_32)),
    ("RSA_SIGN_PSS_3072_SHA256", Case::Sign(RSA_3072, PSS_32)),
    ("RSA_SIGN_PSS_4096_SHA256", Case::Sign(RSA_4096, PSS_32)),
    ("RSA_SIGN_PSS_4096_SHA512", Case::Sign(RSA_4096, PSS_64)),
    ("RSA_SIGN_PKCS1_2048_SHA256", Case::Sign(RSA_2048, "-sha256")),
    ("RSA_SIGN_PKCS1_3072_SHA256", Case::Sign(RSA_3072, "-sha256")),
    ("RSA_SIGN_PKCS1_4096_SHA256", Case::Sign(RSA_4096, "-sha256")),
    ("RSA_SIGN_PKCS1_4096_SHA512", Case::Sign(RSA_4096, "-sha512")),
    ("RSA_SIGN_RAW_PKCS1_2048", Case::RawPkcs1(RSA_2048)),
    ("RSA_SIGN_RAW_PKCS1_3072", Case::RawPkcs1(RSA_3072)),
    ("RSA_SIGN_RAW_PKCS1_4096", Case::RawPkcs1(RSA_4096)),
    ("EC_SIGN_P256_SHA256", Case::Sign(curve("-algorithm EC -pkeyopt ec_paramgen_curve:P-256"), "-sha256")),
    ("EC_SIGN_P384_SHA384", Case::Sign(curve("-algorithm EC -pkeyopt ec_paramgen_curve:P-384"), "-sha384")),
    ("EC_SIGN_P521_SHA512", Case::Sign(curve("-algorithm EC -pkeyopt ec_paramgen_curve:P-521"), "-sha512")),
    (
        "EC_SIGN_SECP256K1_SHA256",
        Case::Sign(curve("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"), "-sha256"),
    ),
    ("EC_SIGN_ED25519", Case::Pure(curve("-algorithm ED25519"))),
    ("EC_SIGN_ED448", Case::Pure(curve("-algorithm ED448"))),
    ("EC_SIGN_SM2_SM3", Case::Sm2Sign),
    ("PQ_SIGN_ML_DSA_44", Case::PostQuantum(1312, 2420)),
    ("PQ_SIGN_ML_DSA_65", Case::PostQuantum(1952, 3309)),
    ("PQ_SIGN_ML_DSA_87", Case::PostQuantum(2592, 4627)),
    ("PQ_SIGN_SLH_DSA_SHA2_128S", Case::PostQuantum(32, 7856)),
    ("PQ_SIGN_ML_DSA_44_EXTERNAL_MU", Case::Mu(1312, 2420)),
    ("PQ_SIGN_ML_DSA_65_EXTERNAL_MU", Case::Mu(1952, 3309)),
    ("PQ_SIGN_ML_DSA_87_EXTERNAL_MU", Case::Mu(2592, 4627)),
    ("PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256", Case::HashSlhDsa(32, 7856)),
    ("AES_256_KWP", Case::Kwp),
    ("SM2_DECRYPT", Case::Sm2Decrypt),
    ("ML_KEM_768", Case::Kem(1184, 1088)),
    ("ML_KEM_1024", Case::Kem(1568, 1568)),
    ("KEM_XWING", Case::XWing),
    ("RSA_DECRYPT_OAEP_2048_SHA256", Case::Oaep(RSA_2048, "sha256")),
    ("RSA_DECRYPT_OAEP_3072_SHA256", Case::Oaep(RSA_3072, "sha256")),
    ("RSA_DECRYPT_OAEP_4096_SHA256", Case::Oaep(RSA_4096, "sha256")),
    ("RSA_DECRYPT_OAEP_4096_SHA512", Case::Oaep(RSA_4096, "sha512")),
    ("RSA_DECRYPT_OAEP_2048_SHA1", Case::Oaep(RSA_2048, "sha1")),
    ("RSA_DECRYPT_OAEP_3072_SHA1", Case::Oaep(RSA_3072, "sha1")),
    ("RSA_DECRYPT_OAEP_4096_SHA1", Case::Oaep(RSA_4096, "sha1")),
    ("HMAC_SHA256", Case::Hmac("sha256", 32)),
    ("HMAC_SHA1", Case::Hmac("sha1", 20)),
    ("HMAC_SHA384", Case::Hmac("sha384", 48)),
    ("HMAC_SHA512", Case::Hmac("sha512", 64)),
    ("HMAC_SHA224", Case::Hmac("sha224", 28)),
    ("HMAC_SM3", Case::Hmac("sm3", 32)),
];

/// An admin with an import job, and the pairs that `openssl` made.
struct Bench {
    desk: Desk,
    pairs: HashMap<Kind, (Vec<u8>, Vec<u8>)>,
}

impl Bench {
    fn new() -> Bench {
        let desk = Desk::new();
        desk.json("import-jobs create j --keyring r --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software");
        desk.json("import-jobs wait j --keyring r");
        Bench { desk, pairs: HashMap::new() }
    }

    /// PKCS #8 and public key of a pair; the same one for every algorithm, because RSA-4096 is slow to make.
    fn pair(&mut self, kind: Kind) -> (Vec<u8>, Vec<u8>) {
        let make = || {
            let openssl = OpenSsl::with(&[]);
            openssl.run(&format!("genpkey {} -out key", kind.0)).unwrap();
            openssl.run("pkcs8 -topk8 -nocrypt -in key -outform DER -out pkcs8").unwrap();
            openssl.run("pkey -in key -pubout -outform DER -out public").unwrap();
            (openssl.read("pkcs8"), openssl.read("public"))
        };
        self.pairs.entry(kind).or_insert_with(make).clone()
    }

    /// Creates a key for an algorithm and imports version 1.
    fn import(&self, purpose: &str, algorithm: &str, material: &[u8]) {
        self.desk.json(&format!(
            "keys create {algorithm} --keyring r --purpose {purpose} --default-algorithm {algorithm} \
             --skip-initial-version-creation"
        ));
        let file = self.desk.file("material", material);
        self.desk.json(&format!(
            "keys versions import --keyring r --key {algorithm} --import-job j --algorithm {algorithm} --target-key-file {file}"
        ));
    }

    fn check(&mut self, purpose: &str, algorithm: &str, case: Case) {
        let of = format!("--keyring r --key {algorithm} --version 1");
        let random = |bytes: usize| {
            let openssl = OpenSsl::with(&[]);
            openssl.run(&format!("rand -out random {bytes}")).unwrap();
            openssl.read("random")
        };
        match case {
            Case::Envelope(cipher, bytes, number) => {
                let key = random(bytes);
                self.import(purpose, algorithm, &key);
                self.envelope(&of, algorithm, (cipher, number), &key);
            }
            Case::Gcm(cipher, bytes) => {
                let key = random(bytes);
                self.import(purpose, algorithm, &key);
                self.gcm(&of, cipher, &key);
            }
            Case::Bare(cipher, bytes) => {
                let key = random(bytes);
                self.import(purpose, algorithm, &key);
                self.bare(&of, cipher, &key);
            }
            Case::Sign(kind, options) => {
                let (material, public) = self.pair(kind);
                self.import(purpose, algorithm, &material);
                self.sign(&of, &material, &public, options);
            }
            Case::RawPkcs1(kind) => {
                let (material, public) = self.pair(kind);
                self.import(purpose, algorithm, &material);
                self.raw_pkcs1(&of, &public);
            }
            Case::Pure(kind) => {
                let (material, public) = self.pair(kind);
                self.import(purpose, algorithm, &material);
                self.pure(&of, &material, &public);
            }
            Case::Oaep(kind, hash) => {
                let (material, public) = self.pair(kind);
                self.import(purpose, algorithm, &material);
                self.oaep(&of, &material, &public, hash);
            }
            Case::Hmac(hash, bytes) => {
                let key = random(bytes);
                self.import(purpose, algorithm, &key);
                self.mac(&of, hash, &key);
            }
            Case::Sm2Sign => {
                let (material, public) = self.pair(SM2);
                self.import(purpose, algorithm, &material);
                self.sm2_sign(&of, &material, &public);
            }
            Case::Sm2Decrypt => {
                let (material, public) = self.pair(SM2);
                self.import(purpose, algorithm, &material);
                self.sm2_decrypt(&of, &material, &public);
            }
            Case::PostQuantum(public, signature) => {
                self.post_quantum(&of, purpose, algorithm, public, signature)
            }
            Case::Mu(public, signature) => self.mu(&of, purpose, algorithm, public, signature),
            Case::HashSlhDsa(public, signature) => {
                self.hash_slh_dsa(&of, purpose, algorithm, public, signature);
            }
            Case::Kwp => {
                self.import(purpose, algorithm, &random(32));
                let data = self.desk.file("data", DATA);
                self.desk.fails(
                    &format!("raw-encrypt {of} --plaintext-file {data}"),
                    7,
                    "it is for AES_WRAPPING",
                );
            }
            Case::XWing => self.xwing(&of, purpose, algorithm),
            Case::Kem(public, ciphertext) => self.kem(&of, purpose, algorithm, public, ciphertext),
        }
        if let Case::Sign(kind, _) | Case::RawPkcs1(kind) | Case::Pure(kind) | Case::Oaep(kind, _) = case {
            assert_eq!(self.desk.public_key(algorithm, 1), self.pair(kind).1, "{algorithm}");
        }
    }

    fn envelope(&self, of: &str, algorithm: &str, (cipher, number): (&str, u8), key: &[u8]) {
        let desk = &self.desk;
        let (data, aad, out) = (desk.file("data", DATA), desk.file("aad", AAD), desk.path("out"));
        let made = desk.json(&format!(
            "encrypt {of} --plaintext-file {data} --additional-authenticated-data-file {aad} --ciphertext-file {out}"
        ));
        let version = made["name"].as_str().unwrap();
        let name = version.strip_suffix("/cryptoKeyVersions/1").unwrap();
        // magic (3), key uid (16), version (1), algorithm (1), salt (16), IV (12), text, tag (16)
        let text = desk.read("out");
        assert_eq!(text.len(), 65 + DATA.len());
        assert_eq!((&text[..3], text[19], text[20]), (&b"\x0aK\x01"[..], 1, number));
        let (salt, iv, rest) = (&text[21..37], &text[37..49], &text[49..]);
        let openssl = OpenSsl::with(&[]);
        openssl
            .run(&format!(
                "kdf -keylen {} -kdfopt digest:SHA256 -kdfopt hexkey:{} -kdfopt hexsalt:{} -kdfopt hexinfo:{}{number:02x} \
                 -binary -out key HKDF",
                key.len(),
                hex(key),
                hex(salt),
                hex(b"claviger-encrypt-v1")
            ))
            .unwrap();
        let openssl_hash = OpenSsl::with(&[("name", name.as_bytes())]);
        openssl_hash.run("dgst -sha256 -binary -out hash name").unwrap();
        let authenticated =
            [&text[..37], &openssl_hash.read("hash"), &(AAD.len() as u64).to_be_bytes(), AAD].concat();
        let (plain, tag) =
            gcm_open(cipher, &openssl.read("key"), iv, &authenticated, &rest[..rest.len() - 16]);
        assert_eq!((&plain[..], &tag[..]), (DATA, &rest[rest.len() - 16..]), "{algorithm}");

        let text = desk.file("text", &text);
        desk.json(&format!(
            "decrypt --ciphertext-file {text} --additional-authenticated-data-file {aad} --plaintext-file {out}"
        ));
        assert_eq!(desk.read("out"), DATA);
        desk.fails(&format!("decrypt --ciphertext-file {text}"), 2, "cannot be decrypted");
    }

    fn gcm(&self, of: &str, cipher: &str, key: &[u8]) {
        let desk = &self.desk;
        let (data, aad, out) = (desk.file("data", DATA), desk.file("aad", AAD), desk.path("out"));
        let iv = desk.path("iv");
        desk.json(&format!(
            "raw-encrypt {of} --plaintext-file {data} --additional-authenticated-data-file {aad} \
             --ciphertext-file {out} --initialization-vector-output-file {iv}"
        ));
        let (text, nonce) = (desk.read("out"), desk.read("iv"));
        let (body, tag) = text.split_at(text.len() - 16);
        let (plain, expected) = gcm_open(cipher, key, &nonce, AAD, body);
        assert_eq!((&plain[..], &expected[..]), (DATA, tag), "{of}");
        // The other way round, with a tag of 12 bytes.
        let iv = desk.file("own-iv", [9; 12]);
        let body = gcm_open(cipher, key, &[9; 12], AAD, DATA).0;
        let tag = gcm_open(cipher, key, &[9; 12], AAD, &body).1;
        let text = desk.file("text", [&body[..], &tag[..12]].concat());
        let open = format!(
            "raw-decrypt {of} --ciphertext-file {text} --initialization-vector-file {iv} --plaintext-file {out}"
        );
        desk.json(&format!("{open} --additional-authenticated-data-file {aad} --tag-length 12"));
        assert_eq!(desk.read("out"), DATA, "{of}");
        desk.fails(&format!("{open} --tag-length 12"), 2, "cannot be decrypted");
        desk.fails(&format!("{open} --tag-length 11"), 2, "12 to 16");
        desk.fails(
            &format!("raw-encrypt {of} --plaintext-file {data} --initialization-vector-file {iv}"),
            2,
            "takes no initialization vector",
        );
    }

    fn bare(&self, of: &str, cipher: &str, key: &[u8]) {
        let desk = &self.desk;
        let (data, out, iv) = (desk.file("data", DATA), desk.path("out"), desk.file("iv", [5; 16]));
        desk.json(&format!(
            "raw-encrypt {of} --plaintext-file {data} --initialization-vector-file {iv} --ciphertext-file {out}"
        ));
        let expected = enc(&format!("-{cipher} -nopad"), key, &[5; 16], DATA);
        assert_eq!(desk.read("out"), expected, "{of}");
        let text = desk.file("text", &expected);
        desk.json(&format!(
            "raw-decrypt {of} --ciphertext-file {text} --initialization-vector-file {iv} --plaintext-file {out}"
        ));
        assert_eq!(desk.read("out"), DATA, "{of}");
        // An IV that the daemon chose is given back.
        let chosen = desk.path("chosen");
        desk.json(&format!(
            "raw-encrypt {of} --plaintext-file {data} --initialization-vector-output-file {chosen} --ciphertext-file {out}"
        ));
        assert_eq!(
            desk.read("out"),
            enc(&format!("-{cipher} -nopad"), key, &desk.read("chosen"), DATA),
            "{of}"
        );
        let odd = desk.file("odd", &DATA[..47]);
        let uneven = desk.run(&format!("raw-encrypt {of} --plaintext-file {odd}"));
        assert_eq!(uneven.code, Some(if cipher.ends_with("cbc") { 2 } else { 0 }), "{of}: {}", uneven.stderr);
        desk.fails(
            &format!("raw-encrypt {of} --plaintext-file {data} --additional-authenticated-data-file {iv}"),
            2,
            "only GCM",
        );
    }

    fn sign(&self, of: &str, private: &[u8], public: &[u8], options: &str) {
        let desk = &self.desk;
        let (data, out) = (desk.file("data", DATA), desk.path("out"));
        let digest_name = options.split_whitespace().next().unwrap().trim_start_matches('-');
        desk.json(&format!("asymmetric-sign {of} --input-file {data} --signature-file {out}"));
        verifies(public, options, DATA, &desk.read("out"));
        // The digest instead of the data.
        let openssl = OpenSsl::with(&[("data", DATA), ("key", private)]);
        openssl.run(&format!("dgst -{digest_name} -binary -out digest data")).unwrap();
        let digest = desk.file("digest", openssl.read("digest"));
        let by_digest =
            format!("asymmetric-sign {of} --digest-algorithm {digest_name} --digest-file {digest}");
        desk.json(&format!("{by_digest} --signature-file {out}"));
        verifies(public, options, DATA, &desk.read("out"));
        // What openssl signs, claviger verifies; and not over something else.
        openssl.run(&format!("dgst {options} -sign key -keyform DER -out signature data")).unwrap();
        let signature = desk.file("signature", openssl.read("signature"));
        let verify = format!("asymmetric-verify {of} --signature-file {signature}");
        assert_eq!(desk.json(&format!("{verify} --input-file {data}"))["success"], true);
        let said = desk.run(&format!("{verify} --input-file {digest}"));
        assert_eq!(said.code, Some(13), "{of}: {}", said.stderr);
        let short = desk.file("short", &DATA[..20]);
        desk.fails(&format!("asymmetric-sign {of} --digest-file {short}"), 2, "digests of");
        desk.fails(&format!("asymmetric-sign {of} --digest-algorithm md5 --input-file {data}"), 2, "signs");
        desk.fails(
            &format!("asymmetric-sign {of} --digest-file {digest} --input-file {data}"),
            2,
            "exactly one",
        );
        desk.fails(&format!("asymmetric-sign {of}"), 2, "exactly one");
    }

    fn raw_pkcs1(&self, of: &str, public: &[u8]) {
        let desk = &self.desk;
        let openssl = OpenSsl::with(&[("data", DATA)]);
        openssl.run("dgst -sha256 -binary -out digest data").unwrap();
        // DigestInfo of SHA-256 (RFC 8017, 9.2).
        let info = [&unhex("3031300d060960864801650304020105000420")[..], &openssl.read("digest")].concat();
        let (input, out) = (desk.file("info", info), desk.path("out"));
        desk.json(&format!("asymmetric-sign {of} --input-file {input} --signature-file {out}"));
        verifies(public, "-sha256", DATA, &desk.read("out"));
        let long = desk.file("long", vec![1; desk.read("out").len() - 10]);
        desk.fails(&format!("asymmetric-sign {of} --input-file {long}"), 2, "too long");
    }

    fn pure(&self, of: &str, private: &[u8], public: &[u8]) {
        let desk = &self.desk;
        let (data, out) = (desk.file("data", DATA), desk.path("out"));
        desk.json(&format!("asymmetric-sign {of} --input-file {data} --signature-file {out}"));
        verifies_raw(public, "-rawin", DATA, &desk.read("out"));
        let openssl = OpenSsl::with(&[("data", DATA), ("key", private)]);
        openssl.run("pkeyutl -sign -rawin -inkey key -keyform DER -in data -out signature").unwrap();
        let signature = desk.file("signature", openssl.read("signature"));
        let verify = format!("asymmetric-verify {of} --signature-file {signature}");
        assert_eq!(desk.json(&format!("{verify} --input-file {data}"))["success"], true);
        assert_eq!(desk.run(&format!("{verify} --input-file {signature}")).code, Some(13));
        desk.fails(&format!("asymmetric-sign {of} --digest-file {data}"), 2, "not a digest");
    }

    fn oaep(&self, of: &str, private: &[u8], public: &[u8], hash: &str) {
        let desk = &self.desk;
        let oaep = format!(
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{hash} -pkeyopt rsa_mgf1_md:{hash} -keyform DER"
        );
        let openssl = OpenSsl::with(&[("data", DATA), ("public", public), ("private", private)]);
        openssl.run(&format!("pkeyutl -encrypt -pubin -inkey public {oaep} -in data -out text")).unwrap();
        let (text, out) = (desk.file("text", openssl.read("text")), desk.path("out"));
        desk.json(&format!("asymmetric-decrypt {of} --ciphertext-file {text} --plaintext-file {out}"));
        assert_eq!(desk.read("out"), DATA, "{of}");
        let data = desk.file("data", DATA);
        desk.json(&format!("asymmetric-encrypt {of} --plaintext-file {data} --ciphertext-file {out}"));
        let openssl = OpenSsl::with(&[("text", &desk.read("out")), ("private", private)]);
        openssl.run(&format!("pkeyutl -decrypt -inkey private {oaep} -in text -out plain")).unwrap();
        assert_eq!(openssl.read("plain"), DATA, "{of}");
        let cut = desk.file("cut", &desk.read("out")[1..]);
        desk.fails(&format!("asymmetric-decrypt {of} --ciphertext-file {cut}"), 2, "cannot be decrypted");
        let long = desk.file("long", vec![1; 600]);
        desk.fails(&format!("asymmetric-encrypt {of} --plaintext-file {long}"), 2, "too long");
    }

    fn sm2_sign(&self, of: &str, private: &[u8], public: &[u8]) {
        let desk = &self.desk;
        let (data, out) = (desk.file("data", DATA), desk.path("out"));
        let options = "-rawin -digest sm3 -pkeyopt distid:1234567812345678";
        desk.json(&format!(
            "asymmetric-sign {of} --digest-algorithm sm3 --input-file {data} --signature-file {out}"
        ));
        verifies_raw(public, options, DATA, &desk.read("out"));
        let openssl = OpenSsl::with(&[("data", DATA), ("key", private)]);
        openssl
            .run(&format!("pkeyutl -sign {options} -inkey key -keyform DER -in data -out signature"))
            .unwrap();
        let signature = desk.file("signature", openssl.read("signature"));
        let verify = format!("asymmetric-verify {of} --signature-file {signature}");
        assert_eq!(desk.json(&format!("{verify} --input-file {data}"))["success"], true);
        assert_eq!(desk.run(&format!("{verify} --input-file {signature}")).code, Some(13));
        // A digest that the caller made, whatever it is of.
        let digest = desk.file("digest", [7; 32]);
        desk.json(&format!("asymmetric-sign {of} --digest-file {digest} --signature-file {out}"));
        verifies_raw(public, "", &[7; 32], &desk.read("out"));
        desk.json(&format!("asymmetric-verify {of} --digest-file {digest} --signature-file {out}"));
        desk.fails(&format!("asymmetric-sign {of} --digest-file {data}"), 2, "digests of 32 bytes");
        desk.fails(
            &format!("asymmetric-sign {of} --digest-algorithm sha256 --input-file {data}"),
            2,
            "signs sm3",
        );
    }

    fn sm2_decrypt(&self, of: &str, private: &[u8], public: &[u8]) {
        let desk = &self.desk;
        let openssl = OpenSsl::with(&[("data", DATA), ("public", public), ("private", private)]);
        openssl.run("pkeyutl -encrypt -pubin -inkey public -keyform DER -in data -out text").unwrap();
        let (text, out) = (desk.file("text", openssl.read("text")), desk.path("out"));
        desk.json(&format!("asymmetric-decrypt {of} --ciphertext-file {text} --plaintext-file {out}"));
        assert_eq!(desk.read("out"), DATA);
        let data = desk.file("data", DATA);
        desk.json(&format!("asymmetric-encrypt {of} --plaintext-file {data} --ciphertext-file {out}"));
        let openssl = OpenSsl::with(&[("text", &desk.read("out")), ("private", private)]);
        openssl.run("pkeyutl -decrypt -inkey private -keyform DER -in text -out plain").unwrap();
        assert_eq!(openssl.read("plain"), DATA);
        desk.fails(&format!("asymmetric-decrypt {of} --ciphertext-file {data}"), 2, "cannot be decrypted");
        // C1, C3 and C2 one after the other: the same, cut and put together here.
        desk.json(&format!("asymmetric-encrypt {of} --plaintext-file {data} --ciphertext-file {out} --ciphertext-format c1c3c2"));
        let parts = desk.read("out");
        assert_eq!((parts[0], parts.len()), (4, 65 + 32 + DATA.len()));
        let integer = |number: &[u8]| {
            let number = openssl::bn::BigNum::from_slice(number).unwrap().to_vec();
            let sign = if number[0] & 0x80 == 0 { &[][..] } else { &[0] };
            [&[2, (number.len() + sign.len()) as u8], sign, &number].concat()
        };
        let octets = |octets: &[u8]| [&[4, octets.len() as u8], octets].concat();
        let content =
            [integer(&parts[1..33]), integer(&parts[33..65]), octets(&parts[65..97]), octets(&parts[97..])]
                .concat();
        let asn1 = [&[0x30, 0x81, content.len() as u8][..], &content].concat();
        let openssl = OpenSsl::with(&[("text", &asn1), ("private", private)]);
        openssl.run("pkeyutl -decrypt -inkey private -keyform DER -in text -out plain").unwrap();
        assert_eq!(openssl.read("plain"), DATA);
        let text = desk.file("parts", &parts);
        let open = format!("asymmetric-decrypt {of} --ciphertext-file {text} --plaintext-file {out}");
        desk.json(&format!("{open} --ciphertext-format c1c3c2"));
        assert_eq!(desk.read("out"), DATA);
        desk.fails(&open, 2, "cannot be decrypted");
        let cut = desk.file("cut", &parts[..96]);
        desk.fails(
            &format!("asymmetric-decrypt {of} --ciphertext-file {cut} --ciphertext-format c1c3c2"),
            2,
            "cannot be decrypted",
        );
        // A data key for somebody with an SM2 key.
        let pem = OpenSsl::with(&[("public", public)]);
        pem.run("pkey -pubin -inform DER -in public -out pem").unwrap();
        let pem = desk.file("sm2.pem", pem.read("pem"));
        desk.json("keys create exporting --keyring r --purpose encryption");
        let wrapped = desk.path("wrapped");
        desk.json(&format!(
            "generate-data-key --keyring r --key exporting --spec sm4 --wrap-with-public-key-file {pem} --wrapped-key-file {wrapped}"
        ));
        desk.json(&format!("asymmetric-decrypt {of} --ciphertext-file {wrapped} --plaintext-file {out}"));
        assert_eq!(desk.read("out").len(), 16);
    }

    /// The public key of a key that was generated, of this length.
    fn generated(&self, purpose: &str, algorithm: &str, public_bytes: usize) -> Vec<u8> {
        let desk = &self.desk;
        desk.json(&format!(
            "keys create {algorithm} --keyring r --purpose {purpose} --default-algorithm {algorithm}"
        ));
        let get = format!("keys versions get-public-key 1 --keyring r --key {algorithm}");
        desk.fails(&get, 2, "public-key-format");
        let raw = desk.json(&format!("{get} --public-key-format nist-pqc"));
        let raw = openssl::base64::decode_block(raw["raw"].as_str().unwrap()).unwrap();
        let der = desk.public_key(algorithm, 1);
        assert_eq!(raw.len(), public_bytes, "{algorithm}");
        assert!(der.ends_with(&raw), "{algorithm}: SubjectPublicKeyInfo ends with the key");
        der
    }

    fn post_quantum(&self, of: &str, purpose: &str, algorithm: &str, public: usize, signature: usize) {
        let desk = &self.desk;
        let der = self.generated(purpose, algorithm, public);
        let (data, out) = (desk.file("data", DATA), desk.path("out"));
        desk.json(&format!("asymmetric-sign {of} --input-file {data} --signature-file {out}"));
        let made = desk.read("out");
        assert_eq!(made.len(), signature, "{algorithm}");
        let key = openssl::pkey::PKey::public_key_from_der(&der).unwrap();
        let verifies = |data: &[u8], signature: &[u8]| {
            let mut context = openssl::md_ctx::MdCtx::new().unwrap();
            context.digest_verify_init(None, &key).unwrap();
            context.digest_verify(data, signature).unwrap_or(false)
        };
        assert!(verifies(DATA, &made) && !verifies(AAD, &made), "{algorithm}");
        let verify = format!("asymmetric-verify {of} --signature-file {out}");
        assert_eq!(desk.json(&format!("{verify} --input-file {data}"))["success"], true);
        assert_eq!(desk.run(&format!("{verify} --input-file {out}")).code, Some(13));
        let cut = desk.file("cut", &made[1..]);
        let cut = desk.run(&format!("asymmetric-verify {of} --signature-file {cut} --input-file {data}"));
        assert_eq!(cut.code, Some(13));
        desk.fails(&format!("asymmetric-sign {of} --digest-file {data}"), 2, "not a digest");
    }

    fn mu(&self, of: &str, purpose: &str, algorithm: &str, public: usize, signature: usize) {
        let desk = &self.desk;
        let der = self.generated(purpose, algorithm, public);
        // FIPS 204: SHAKE256 of SHAKE256 of the public key, the empty context, and the message.
        let shake = |data: &[u8]| {
            let openssl = OpenSsl::with(&[("data", data)]);
            openssl.run("dgst -shake256 -xoflen 64 -binary -out out data").unwrap();
            openssl.read("out")
        };
        let mu = shake(&[&shake(&der[der.len() - public..])[..], &[0, 0], DATA].concat());
        let (mu, data, out) = (desk.file("mu", mu), desk.file("data", DATA), desk.path("out"));
        let key = openssl::pkey::PKey::public_key_from_der(&der).unwrap();
        for input in [format!("--digest-file {mu}"), format!("--input-file {data}")] {
            desk.json(&format!("asymmetric-sign {of} {input} --signature-file {out}"));
            let made = desk.read("out");
            assert_eq!(made.len(), signature, "{algorithm}");
            let mut context = openssl::md_ctx::MdCtx::new().unwrap();
            context.digest_verify_init(None, &key).unwrap();
            assert!(context.digest_verify(DATA, &made).unwrap(), "{algorithm} {input}");
            for known in [format!("--digest-file {mu}"), format!("--input-file {data}")] {
                let said = desk.json(&format!("asymmetric-verify {of} --signature-file {out} {known}"));
                assert_eq!(said["success"], true, "{algorithm} {known}");
            }
            let other = desk.file("other", [7; 64]);
            let said =
                desk.run(&format!("asymmetric-verify {of} --signature-file {out} --digest-file {other}"));
            assert_eq!(said.code, Some(13));
        }
        let short = desk.file("short", [1; 32]);
        desk.fails(
            &format!("asymmetric-sign {of} --digest-file {short}"),
            2,
            "external-mu digests of 64 bytes",
        );
    }

    fn hash_slh_dsa(&self, of: &str, purpose: &str, algorithm: &str, public: usize, signature: usize) {
        let desk = &self.desk;
        self.generated(purpose, algorithm, public);
        let openssl = OpenSsl::with(&[("data", DATA)]);
        openssl.run("dgst -sha256 -binary -out out data").unwrap();
        let (digest, data) = (desk.file("digest", openssl.read("out")), desk.file("data", DATA));
        let out = desk.path("out");
        desk.json(&format!("asymmetric-sign {of} --digest-file {digest} --signature-file {out}"));
        assert_eq!(desk.read("out").len(), signature);
        let verify = format!("asymmetric-verify {of} --signature-file {out}");
        for input in
            [format!("--digest-file {digest}"), format!("--digest-algorithm sha256 --input-file {data}")]
        {
            assert_eq!(desk.json(&format!("{verify} {input}"))["success"], true, "{input}");
        }
        assert_eq!(desk.run(&format!("{verify} --input-file {out}")).code, Some(13));
        desk.fails(&format!("asymmetric-sign {of} --digest-file {data}"), 2, "sha256 digests of 32 bytes");
    }

    fn kem(&self, of: &str, purpose: &str, algorithm: &str, public: usize, ciphertext: usize) {
        let desk = &self.desk;
        self.generated(purpose, algorithm, public);
        // Whatever has the right length opens to something (FIPS 203, 6.3), always the same.
        let out = desk.path("secret");
        let open = |byte: u8, bytes: usize| {
            let text = desk.file("text", vec![byte; bytes]);
            format!("decapsulate {of} --ciphertext-file {text} --shared-secret-file {out}")
        };
        let secret = |byte: u8| {
            desk.json(&open(byte, ciphertext));
            desk.read("secret")
        };
        let (one, two, again) = (secret(1), secret(2), secret(1));
        assert_eq!((one.len(), &one), (32, &again), "{algorithm}");
        assert_ne!(one, two, "{algorithm}");
        for bytes in [0, ciphertext - 1, ciphertext + 1] {
            desk.fails(&open(1, bytes), 2, "cannot be decrypted");
        }
        desk.fails(&format!("asymmetric-sign {of} --input-file {out}"), 7, "cannot asymmetric-sign");
    }

    /// The draft's known answer is in the daemon's own tests (`crypto/xwing.rs`).
    fn xwing(&self, of: &str, purpose: &str, algorithm: &str) {
        let desk = &self.desk;
        desk.json(&format!(
            "keys create {algorithm} --keyring r --purpose {purpose} --default-algorithm {algorithm}"
        ));
        let get = format!("keys versions get-public-key 1 --keyring r --key {algorithm}");
        desk.fails(&get, 2, "xwing-raw-bytes");
        desk.fails(&format!("{get} --public-key-format nist-pqc"), 2, "xwing-raw-bytes");
        let raw = desk.json(&format!("{get} --public-key-format xwing-raw-bytes"));
        let raw = openssl::base64::decode_block(raw["raw"].as_str().unwrap()).unwrap();
        assert_eq!(raw.len(), 1216);
        let out = desk.path("secret");
        let open = |text: &[u8]| {
            let text = desk.file("text", text);
            format!("decapsulate {of} --ciphertext-file {text} --shared-secret-file {out}")
        };
        let point = openssl::pkey::PKey::generate_x25519().unwrap().raw_public_key().unwrap();
        let secret = |first: u8| {
            desk.json(&open(&[&[first; 1088][..], &point].concat()));
            desk.read("secret")
        };
        let (one, two, again) = (secret(1), secret(2), secret(1));
        assert_eq!((one.len(), &one), (32, &again));
        assert_ne!(one, two);
        for bytes in [0, 1088, 1119, 1121] {
            desk.fails(&open(&vec![1; bytes]), 2, "cannot be decrypted");
        }
        let junk = desk.file("junk", [1; 32]);
        desk.fails(
            &format!("keys versions import --keyring r --key {algorithm} --import-job j --algorithm {algorithm} --wrapped-key-file {junk}"),
            7,
            "generated, not imported",
        );
    }

    fn mac(&self, of: &str, hash: &str, key: &[u8]) {
        let desk = &self.desk;
        let (data, out) = (desk.file("data", DATA), desk.path("out"));
        desk.json(&format!("mac-sign {of} --input-file {data} --signature-file {out}"));
        assert_eq!(desk.read("out"), hmac(hash, key, DATA), "{of}");
        let verify = format!("mac-verify {of} --signature-file {out}");
        let said = desk.json(&format!("{verify} --input-file {data}"));
        assert_eq!((&said["success"], &said["verifiedSuccessIntegrity"]), (&true.into(), &true.into()));
        assert_eq!(desk.run(&format!("{verify} --input-file {out}")).code, Some(13), "{of}");
    }
}

/// Opens GCM (SP 800-38D) with counter mode and single blocks of `openssl enc`, which has no GCM: the plaintext, and
/// the tag that it should have.
fn gcm_open(cipher: &str, key: &[u8], iv: &[u8], aad: &[u8], text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let block = |input: &[u8]| enc(&format!("-{cipher}-ecb -nopad"), key, &[], input);
    let counter = |n: u8| [iv, &[0, 0, 0, n]].concat();
    let plain = enc(&format!("-{cipher}-ctr"), key, &counter(2), text);
    let number = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().unwrap());
    let h = number(&block(&[0; 16]));
    let times_h = |x: u128| {
        let (mut product, mut v) = (0, h);
        for bit in (0..128).rev() {
            if x >> bit & 1 == 1 {
                product ^= v;
            }
            v = if v & 1 == 1 { v >> 1 ^ 0xe1 << 120 } else { v >> 1 };
        }
        product
    };
    let mut hash = 0;
    for part in [aad, text] {
        for chunk in part.chunks(16) {
            let mut padded = [0; 16];
            padded[..chunk.len()].copy_from_slice(chunk);
            hash = times_h(hash ^ u128::from_be_bytes(padded));
        }
    }
    hash = times_h(hash ^ (((aad.len() as u128 * 8) << 64) | (text.len() as u128 * 8)));
    (plain, (hash ^ number(&block(&counter(1)))).to_be_bytes().to_vec())
}

#[test]
fn every_algorithm_that_is_offered_agrees_with_openssl() {
    // ALG-17 ALG-18 ALG-19 CRY-01 CRY-09 CRY-10 CRY-13
    let mut bench = Bench::new();
    let listed = bench.desk.json("algorithms list");
    let mut seen = Vec::new();
    for row in listed.as_array().unwrap() {
        let (name, purpose) = (row["name"].as_str().unwrap(), row["purpose"].as_str().unwrap());
        let case = CASES.iter().find(|(case, _)| *case == name);
        let (_, case) =
            case.unwrap_or_else(|| panic!("{name} is offered, and no case of this test checks it"));
        bench.check(purpose, name, *case);
        seen.push(name.to_owned());
    }
    for (name, _) in CASES {
        assert!(seen.iter().any(|seen| seen == name), "{name} is not offered any more");
    }
}
