//! The verbs that do cryptography. Bytes are base64 in documents, each with its CRC32C.

use std::sync::Arc;

use claviger_protocol::Bytes;
use openssl::base64::encode_block;
use serde_json::{Map, Value, json};

use super::{Call, names};
use crate::access::Target;
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::sm2;
use crate::error::{Error, Result};
use crate::kms::algorithm::{Algorithm, ProtectionLevel, quoted};
use crate::kms::cryptography::{Caller, Message, check_digest_name, wrap_for};

/// Most random bytes of one call.
const MAX_RANDOM_BYTES: usize = 64 << 10;

/// A document of a cryptographic verb.
struct Document(Map<String, Value>);

impl Document {
    fn of(version: &VersionCell) -> Document {
        let mut document = Document(Map::new());
        document.set("name", json!(version.name()));
        document
    }

    fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Bytes and their checksum.
    fn bytes(mut self, name: &str, bytes: &[u8]) -> Document {
        self.set(name, json!(encode_block(bytes)));
        self.set(&format!("{name}Crc32c"), json!(crc32c::crc32c(bytes).to_string()));
        self
    }

    /// Which of the inputs came with a checksum, which was right.
    fn verified(mut self, inputs: &[(&str, bool)]) -> Value {
        for (name, verified) in inputs {
            self.set(&format!("verified{name}Crc32c"), json!(verified));
        }
        Value::Object(self.0)
    }
}

impl Call<'_> {
    fn caller(&self) -> Caller {
        Caller { uid: self.peer.uid, now: self.now }
    }

    /// A file that the verb cannot do without.
    fn input(&self, name: &str) -> Result<(&[u8], bool)> {
        let found = self.args.checked_bytes(name)?.map(|(bytes, verified)| (&bytes[..], verified));
        found.ok_or_else(|| Error::InvalidArgument { message: format!("{name} is missing") })
    }

    /// Authenticated data: a file, or an encryption context in its canonical form.
    fn aad(&self, file: &str, context: &str) -> Result<(Bytes, bool)> {
        match (self.args.checked_bytes(file)?, self.args.text(context)) {
            (Some(_), Some(_)) => refuse(format!("give one of {file} and {context}, not both")),
            (Some((bytes, verified)), None) => Ok((bytes.clone(), verified)),
            (None, Some(text)) => Ok((canonical_context(text)?.into(), false)),
            (None, None) => Ok((Bytes::default(), false)),
        }
    }

    /// Asks about the key that a ciphertext names. One that names none is refused later, as damaged.
    fn authorise_ciphertext(&self, action: &str, text: &[u8]) -> Result<()> {
        let catalog = &self.daemon.catalog;
        let Some(key) = self.daemon.key_of_ciphertext(text) else { return Ok(()) };
        match catalog.token_of(&key.record().ring) {
            Some(token) => self.authorise(action, &Target::key(&token.ring().name, &key)),
            None => Ok(()),
        }
    }

    fn key_and_version(&self) -> Result<(Arc<KeyCell>, Arc<VersionCell>)> {
        let (_, key) = self.named_key("key")?;
        let version = names::version(&key, self.args.required("version")?)?;
        Ok((key, version))
    }
}

/// An encryption context as canonical JSON: keys in order, no blanks.
fn canonical_context(text: &str) -> Result<Vec<u8>> {
    let mut map = std::collections::BTreeMap::new();
    for pair in text.split(',') {
        let Some((key, value)) = pair.split_once('=') else {
            return refuse(format!("{} is no part of a context: key=value is", quoted(pair)));
        };
        if map.insert(key, value).is_some() {
            return refuse(format!("the context has {} twice", quoted(key)));
        }
    }
    serde_json::to_vec(&map).map_err(|error| Error::Internal { detail: error.to_string() })
}

/// `encrypt`
pub fn encrypt(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("key")?;
    let version = call.args.text("version").map(|text| names::version(&key, text)).transpose()?;
    let (plaintext, checked) = call.input("plaintext-file")?;
    let (aad, aad_checked) = call.aad("additional-authenticated-data-file", "context")?;
    let (version, text) = call.daemon.encrypt(&key, version.as_ref(), plaintext, &aad, &call.caller())?;
    Ok(Document::of(&version)
        .bytes("ciphertext", &text)
        .verified(&[("Plaintext", checked), ("AdditionalAuthenticatedData", aad_checked)]))
}

/// `decrypt`
pub fn decrypt(call: &Call<'_>) -> Result<Value> {
    let key = call.args.text("key").map(|text| call.find_key(text)).transpose()?.map(|(_, key)| key);
    let (text, checked) = call.input("ciphertext-file")?;
    if key.is_none() {
        call.authorise_ciphertext("Decrypt", text)?;
    }
    let (aad, aad_checked) = call.aad("additional-authenticated-data-file", "context")?;
    let (version, plaintext) = call.daemon.decrypt(key.as_ref(), text, &aad, &call.caller())?;
    let primary = call.daemon.catalog.key(&version.key).and_then(|key| key.record().primary);
    let mut document = Document::of(&version).bytes("plaintext", &plaintext);
    document.set("usedPrimary", json!(primary == Some(version.number)));
    Ok(document.verified(&[("Ciphertext", checked), ("AdditionalAuthenticatedData", aad_checked)]))
}

/// `raw-encrypt`
pub fn raw_encrypt(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (plaintext, checked) = call.input("plaintext-file")?;
    let (aad, aad_checked) = call.aad("additional-authenticated-data-file", "context")?;
    let given = call.args.checked_bytes("initialization-vector-file")?;
    let iv_checked = given.is_some_and(|(_, checked)| checked);
    let iv = given.map(|(iv, _)| &iv[..]);
    let (iv, text) = call.daemon.raw_encrypt(&key, &version, plaintext, &aad, iv, &call.caller())?;
    Ok(Document::of(&version).bytes("ciphertext", &text).bytes("initializationVector", &iv).verified(&[
        ("Plaintext", checked),
        ("AdditionalAuthenticatedData", aad_checked),
        ("InitializationVector", iv_checked),
    ]))
}

/// `raw-decrypt`
pub fn raw_decrypt(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (text, checked) = call.input("ciphertext-file")?;
    let (aad, aad_checked) = call.aad("additional-authenticated-data-file", "context")?;
    let (iv, iv_checked) = call.input("initialization-vector-file")?;
    let tag = call.args.number("tag-length")?.filter(|length| *length != 0).unwrap_or(16);
    let plain = call.daemon.raw_decrypt(&key, &version, text, &aad, iv, tag, &call.caller())?;
    Ok(Document::of(&version).bytes("plaintext", &plain).verified(&[
        ("Ciphertext", checked),
        ("AdditionalAuthenticatedData", aad_checked),
        ("InitializationVector", iv_checked),
    ]))
}

/// `reencrypt`
pub fn reencrypt(call: &Call<'_>) -> Result<Value> {
    let (text, checked) = call.input("ciphertext-file")?;
    let (old_aad, old_checked) = call.aad("source-additional-authenticated-data-file", "source-context")?;
    let (new_aad, new_checked) =
        call.aad("destination-additional-authenticated-data-file", "destination-context")?;
    call.authorise_ciphertext("Decrypt", text)?;
    let (source, plaintext) = call.daemon.decrypt(None, text, &old_aad, &call.caller())?;
    let missing = || Error::Internal { detail: format!("{} has no key", source.name()) };
    let source_key = call.daemon.catalog.key(&source.key).ok_or_else(missing)?;
    let destination = match call.args.text("destination-key") {
        Some(name) => call.find_key_for("Encrypt", "destination-keyring", name)?.1,
        None => {
            call.authorise_ciphertext("Encrypt", text)?;
            source_key.clone()
        }
    };
    let is_current = destination.uid == source_key.uid
        && source_key.record().primary == Some(source.number)
        && old_aad == new_aad;
    let (version, output) = match is_current {
        true => (source.clone(), text.to_vec()),
        false => call.daemon.encrypt(&destination, None, &plaintext, &new_aad, &call.caller())?,
    };
    let mut document = Document::of(&version).bytes("ciphertext", &output);
    document.set("sourceName", json!(source.name()));
    document.set("reEncrypted", json!(!is_current));
    Ok(document.verified(&[
        ("Ciphertext", checked),
        ("SourceAdditionalAuthenticatedData", old_checked),
        ("DestinationAdditionalAuthenticatedData", new_checked),
    ]))
}

/// `generate-data-key`
pub fn generate_data_key(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let (_, key) = call.named_key("key")?;
    let length = match (args.text("spec"), args.number::<usize>("length")?) {
        (Some(_), Some(_)) => return refuse("give one of spec and length, not both".to_owned()),
        (_, Some(length)) => length,
        (Some("aes-128" | "sm4"), None) => 16,
        (_, None) => 32,
    };
    let (aad, aad_checked) = call.aad("additional-authenticated-data-file", "context")?;
    let made = call.daemon.generate_data_key(&key, length, &aad, &call.caller())?;
    let mut document = Document::of(&made.version).bytes("ciphertext", &made.ciphertext);
    let wrapped =
        args.bytes("wrap-with-public-key-file").map(|pem| wrap_for(pem, &made.plaintext)).transpose()?;
    if let Some(wrapped) = &wrapped {
        document = document.bytes("wrappedKey", wrapped);
    } else if !args.flag("without-plaintext") {
        document = document.bytes("plaintext", &made.plaintext);
    }
    Ok(document.verified(&[("AdditionalAuthenticatedData", aad_checked)]))
}

impl Message<'_> {
    /// What its checksum is called.
    fn kind(&self) -> &'static str {
        match self {
            Message::Data(_) => "Data",
            Message::Digest(_) => "Digest",
        }
    }
}

impl Call<'_> {
    /// True when a ciphertext of SM2 is C1, C3 and C2 one after the other, and not ASN.1.
    fn is_in_parts(&self, version: &VersionCell) -> Result<bool> {
        let Some(form) = self.args.text("ciphertext-format") else { return Ok(false) };
        if version.record().algorithm != Algorithm::Sm2Decrypt {
            return refuse("ciphertext-format is for SM2_DECRYPT".to_owned());
        }
        Ok(form == "c1c3c2")
    }

    /// What is signed, from the three arguments that can say it.
    fn message(&self, version: &VersionCell) -> Result<(Message<'_>, bool)> {
        if let Some(name) = self.args.text("digest-algorithm") {
            check_digest_name(version, name)?;
        }
        let digest = self.args.checked_bytes("digest-file")?;
        match (self.args.checked_bytes("input-file")?, digest) {
            (Some((data, checked)), None) => Ok((Message::Data(data), checked)),
            (None, Some((digest, checked))) => Ok((Message::Digest(digest), checked)),
            _ => refuse("give exactly one of input-file and digest-file".to_owned()),
        }
    }
}

/// `asymmetric-sign`
pub fn asymmetric_sign(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (message, checked) = call.message(&version)?;
    let signature = call.daemon.asymmetric_sign(&key, &version, &message, &call.caller())?;
    Ok(Document::of(&version).bytes("signature", &signature).verified(&[(message.kind(), checked)]))
}

/// `asymmetric-verify`
pub fn asymmetric_verify(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (message, checked) = call.message(&version)?;
    let (signature, signature_checked) = call.input("signature-file")?;
    let success = call.daemon.asymmetric_verify(&key, &version, &message, signature, &call.caller())?;
    let mut document = Document::of(&version);
    document.set("success", json!(success));
    Ok(document.verified(&[(message.kind(), checked), ("Signature", signature_checked)]))
}

/// `asymmetric-encrypt`
pub fn asymmetric_encrypt(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (plaintext, checked) = call.input("plaintext-file")?;
    let in_parts = call.is_in_parts(&version)?;
    let text = call.daemon.asymmetric_encrypt(&key, &version, plaintext, &call.caller())?;
    let text = if in_parts { sm2::to_parts(&text)? } else { text };
    Ok(Document::of(&version).bytes("ciphertext", &text).verified(&[("Plaintext", checked)]))
}

/// `asymmetric-decrypt`
pub fn asymmetric_decrypt(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (text, checked) = call.input("ciphertext-file")?;
    let text = match call.is_in_parts(&version)? {
        // What is in no form is none that opens.
        true => sm2::from_parts(text).unwrap_or_default(),
        false => text.to_vec(),
    };
    let plaintext = call.daemon.asymmetric_decrypt(&key, &version, &text, &call.caller())?;
    Ok(Document::of(&version).bytes("plaintext", &plaintext).verified(&[("Ciphertext", checked)]))
}

/// `decapsulate`
pub fn decapsulate(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (text, checked) = call.input("ciphertext-file")?;
    let secret = call.daemon.decapsulate(&key, &version, text, &call.caller())?;
    Ok(Document::of(&version).bytes("sharedSecret", &secret).verified(&[("Ciphertext", checked)]))
}

/// `mac-sign`
pub fn mac_sign(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (data, checked) = call.input("input-file")?;
    let mac = call.daemon.mac_sign(&key, &version, data, &call.caller())?;
    Ok(Document::of(&version).bytes("mac", &mac).verified(&[("Data", checked)]))
}

/// `mac-verify`
pub fn mac_verify(call: &Call<'_>) -> Result<Value> {
    let (key, version) = call.key_and_version()?;
    let (data, data_checked) = call.input("input-file")?;
    let (mac, mac_checked) = call.input("signature-file")?;
    let success = call.daemon.mac_verify(&key, &version, data, mac, &call.caller())?;
    let mut document = Document::of(&version);
    document.set("success", json!(success));
    document.set("verifiedSuccessIntegrity", json!(success));
    Ok(document.verified(&[("Data", data_checked), ("Mac", mac_checked)]))
}

/// `generate-random`
pub fn generate_random(call: &Call<'_>) -> Result<Value> {
    let length = call.args.number::<usize>("length")?.unwrap_or(0);
    if !(1..=MAX_RANDOM_BYTES).contains(&length) {
        return refuse(format!("1 to {MAX_RANDOM_BYTES} random bytes are made at a time"));
    }
    let mut bytes = zeroize::Zeroizing::new(vec![0; length]);
    crate::crypto::random::fill(&mut bytes)?;
    let mut document = Document(Map::new()).bytes("data", &bytes);
    document.set("protectionLevel", json!(ProtectionLevel::Hsm.name()));
    Ok(Value::Object(document.0))
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}
