//! The `openssl` program of the system: a second implementation, of another version than the daemon's own.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// Files of one question to `openssl`.
pub struct OpenSsl {
    directory: TempDir,
}

impl OpenSsl {
    /// With these files in its working directory.
    pub fn with(files: &[(&str, &[u8])]) -> OpenSsl {
        let openssl = OpenSsl { directory: TempDir::new().expect("a temporary directory") };
        for (name, content) in files {
            fs::write(openssl.directory.path().join(name), content).expect("writing a file");
        }
        openssl
    }

    /// Runs `openssl` with arguments separated by blanks.
    ///
    /// # Errors
    /// What it says when it says no.
    pub fn run(&self, arguments: &str) -> Result<String, String> {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.directory.path())
            .output()
            .expect("openssl is installed");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(said) } else { Err(format!("openssl {arguments}: {said}")) }
    }

    /// Reads a file that it wrote.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(name)).expect("a file that openssl wrote")
    }
}

/// Asserts that `signature` over `data` verifies under the public key `spki` (DER). `options` are those of
/// `openssl dgst` and name the digest.
#[track_caller]
pub fn verifies(spki: &[u8], options: &str, data: &[u8], signature: &[u8]) {
    let openssl = OpenSsl::with(&[("key", spki), ("data", data), ("signature", signature)]);
    let said = openssl.run(&format!("dgst {options} -keyform DER -verify key -signature signature data"));
    assert_eq!(said.as_deref().map(str::trim), Ok("Verified OK"));
}

/// Asserts that a signature over a digest, or of Ed25519 over the message, verifies; `options` are those of
/// `openssl pkeyutl`.
#[track_caller]
pub fn verifies_raw(spki: &[u8], options: &str, data: &[u8], signature: &[u8]) {
    let openssl = OpenSsl::with(&[("key", spki), ("data", data), ("signature", signature)]);
    let said = openssl.run(&format!(
        "pkeyutl -verify -pubin -keyform DER -inkey key {options} -in data -sigfile signature"
    ));
    assert_eq!(said.as_deref().map(str::trim), Ok("Signature Verified Successfully"));
}

/// The digest of `data`; `name` as `openssl dgst` takes it.
pub fn digest(name: &str, data: &[u8]) -> Vec<u8> {
    let openssl = OpenSsl::with(&[("data", data)]);
    openssl.run(&format!("dgst -{name} -binary -out digest data")).expect("openssl dgst");
    openssl.read("digest")
}

/// The HMAC of `data` under `key`.
pub fn hmac(name: &str, key: &[u8], data: &[u8]) -> Vec<u8> {
    let openssl = OpenSsl::with(&[("data", data)]);
    openssl
        .run(&format!("dgst -{name} -mac HMAC -macopt hexkey:{} -binary -out mac data", hex(key)))
        .expect("openssl dgst");
    openssl.read("mac")
}

/// `data` through `openssl enc`; `options` name the cipher and more.
pub fn enc(options: &str, key: &[u8], iv: &[u8], data: &[u8]) -> Vec<u8> {
    let openssl = OpenSsl::with(&[("in", data)]);
    let iv = if iv.is_empty() { String::new() } else { format!("-iv {}", hex(iv)) };
    openssl.run(&format!("enc {options} -K {} {iv} -in in -out out", hex(key))).expect("openssl enc");
    openssl.read("out")
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits, blanks allowed, as bytes.
pub fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a digit") as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The DER of an ECDSA signature given as r || s (SEC 1, C.5), which is how OpenSSL wants it.
pub fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let content = [integer(r), integer(s)].concat();
    [&[0x30][..], &length(content.len()), &content].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    let mut value = bytes[zeros..].to_vec();
    if value[0] & 0x80 != 0 {
        value.insert(0, 0);
    }
    [&[0x02][..], &length(value.len()), &value].concat()
}

fn length(length: usize) -> Vec<u8> {
    if length < 0x80 { vec![length as u8] } else { vec![0x81, length as u8] }
}
