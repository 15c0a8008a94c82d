//! The `openssl` command as a second implementation: what we sign it verifies, what we encrypt it decrypts, and the
//! other way round.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use claviger_protocol::params::{OaepParams, Params};
use claviger_protocol::{Bytes, MechanismType as M};
use openssl::ecdsa::EcdsaSig;

use super::super::{Cipher, Direction, Key, Signer, Verifier};
use super::{P256, on_curve, row, rsa};

/// A directory that goes away with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("claviger-crypto-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, content: &[u8]) -> &Path {
        std::fs::write(self.0.join(name), content).unwrap();
        &self.0
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    /// Runs `openssl` with these words in the folder.
    fn openssl(&self, words: &str) {
        let output = Command::new("openssl").args(words.split_whitespace()).current_dir(&self.0).output();
        let output = output.expect("the openssl command is installed");
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn with_keys(name: &str, private: &Key, public: &Key) -> Folder {
    let folder = Folder::new(name);
    folder.write("private", &private.to_material().unwrap());
    folder.write("public", &public.to_material().unwrap());
    folder.write("data", b"some message");
    folder
}

#[test]
fn signatures() {
    let pss = Params::Pss { hash: M::SHA256, mgf: 4, salt_len: 20 };
    let curve = on_curve(P256);
    let cases = [
        (M::SHA384_RSA_PKCS, Params::None, rsa(), "-sha384"),
        (
            M::SHA256_RSA_PKCS_PSS,
            pss,
            rsa(),
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20 -sigopt rsa_mgf1_md:sha512",
        ),
        (M::ECDSA_SHA512, Params::None, &curve, "-sha512"),
    ];
    for (r#type, params, (private, public), options) in cases {
        let folder = with_keys("signatures", private, public);
        let signature =
            Signer::new(row(r#type), &params, Arc::clone(private)).unwrap().sign(b"some message").unwrap();
        let is_ecdsa = r#type == M::ECDSA_SHA512;
        let signature = if is_ecdsa { to_der(&signature) } else { signature.to_vec() };
        folder.write("signature", &signature);
        folder.openssl(&format!("dgst {options} -verify public -keyform DER -signature signature data"));

        folder.openssl(&format!("dgst {options} -sign private -keyform DER -out theirs data"));
        let theirs = folder.read("theirs");
        let theirs = if is_ecdsa { from_der(&theirs) } else { theirs };
        Verifier::new(row(r#type), &params, Arc::clone(public))
            .unwrap()
            .verify(b"some message", &theirs)
            .unwrap();
    }
}

#[test]
fn encryption() {
    let (private, public) = rsa();
    let oaep =
        Params::Oaep(OaepParams { hash: M::SHA256, mgf: 1, source: 1, source_data: Bytes::from(b"label") });
    let cases = [
        (M::RSA_PKCS, Params::None, "-pkeyopt rsa_padding_mode:pkcs1"),
        (
            M::RSA_PKCS_OAEP,
            oaep,
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha1
             -pkeyopt rsa_oaep_label:6c6162656c",
        ),
    ];
    for (r#type, params, options) in cases {
        let folder = with_keys("encryption", private, public);
        let start = |direction, key: &Arc<Key>| {
            Cipher::new(direction, row(r#type), &params, Arc::clone(key)).unwrap()
        };
        let encrypted = start(Direction::Encrypt, public).one_shot(b"some message").unwrap();
        folder.write("encrypted", &encrypted);
        folder.openssl(&format!(
            "pkeyutl -decrypt -inkey private -keyform DER -in encrypted -out plain {options}"
        ));
        assert_eq!(folder.read("plain"), b"some message");

        folder.openssl(&format!(
            "pkeyutl -encrypt -pubin -inkey public -keyform DER -in data -out theirs {options}"
        ));
        let plain = start(Direction::Decrypt, private).one_shot(&folder.read("theirs")).unwrap();
        assert_eq!(plain[..], *b"some message");
    }
}

/// The `openssl` command pads what it encrypts with `-aes-…-cbc`, and counts 128 bits in CTR.
#[test]
fn symmetric_ciphers() {
    let key = super::secret(&[0x11; 24]);
    let iv = [0x22; 16];
    let cases = [
        (M::AES_CBC_PAD, Params::Bytes(Bytes::from(&iv)), "-aes-192-cbc"),
        (M::AES_CTR, Params::Ctr { counter_bits: 128, block: iv }, "-aes-192-ctr"),
    ];
    for (r#type, params, cipher) in cases {
        let folder = Folder::new("symmetric");
        folder.write("data", b"some message that is longer than a block");
        folder.openssl(&format!(
            "enc {cipher} -K {} -iv {} -in data -out theirs",
            "11".repeat(24),
            "22".repeat(16)
        ));
        let cipher = Cipher::new(Direction::Encrypt, row(r#type), &params, Arc::clone(&key)).unwrap();
        let ours = cipher.one_shot(b"some message that is longer than a block").unwrap();
        assert_eq!(ours[..], folder.read("theirs"));
    }
}

fn to_der(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let number = |half| openssl::bn::BigNum::from_slice(half).unwrap();
    EcdsaSig::from_private_components(number(r), number(s)).unwrap().to_der().unwrap()
}

fn from_der(der: &[u8]) -> Vec<u8> {
    let signature = EcdsaSig::from_der(der).unwrap();
    [signature.r(), signature.s()].iter().flat_map(|half| half.to_vec_padded(32).unwrap()).collect()
}
