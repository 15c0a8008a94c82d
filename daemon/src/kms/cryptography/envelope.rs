//! Format 1 of the key service's ciphertexts: its parts, and the key and additional data of each message.

use std::sync::Arc;

use claviger_protocol::mechanism::MechanismRow;
use claviger_protocol::params::Params;
use claviger_protocol::{Bytes, MechanismType};
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use openssl::sha::sha256;
use zeroize::Zeroizing;

use super::mechanisms::{SM4_GCM, row};
use super::{IV_BYTES, SALT_BYTES, TAG_BYTES, not_here};
use crate::crypto::{self, Direction, Key};
use crate::error::Result;
use crate::kms::algorithm::Algorithm;
use crate::kms::record::Uid;

/// First bytes of a ciphertext: the magic and the format.
pub(super) const MAGIC: [u8; 3] = [0x0a, b'K', 1];

/// A symmetric cipher of format 1.
pub(super) struct Envelope {
    pub(super) number: u8,
    key_bytes: usize,
    /// GCM of the block cipher.
    gcm: &'static MechanismRow,
}

impl Envelope {
    pub(super) fn of(algorithm: Algorithm) -> Result<Envelope> {
        let aes = row(MechanismType::AES_GCM)?;
        let (number, key_bytes, gcm) = match algorithm {
            Algorithm::GoogleSymmetricEncryption => (1, 32, aes),
            Algorithm::Aes192Encryption => (2, 24, aes),
            Algorithm::Aes128Encryption => (3, 16, aes),
            Algorithm::Sm4Encryption => (4, 16, &SM4_GCM),
            other => return not_here(other),
        };
        Ok(Envelope { number, key_bytes, gcm })
    }

    /// Encrypts, the tag behind the text, or decrypts such.
    pub(super) fn crypt(
        &self,
        direction: Direction,
        key: Zeroizing<Vec<u8>>,
        iv: &[u8],
        aad: Vec<u8>,
        data: &[u8],
    ) -> Result<Bytes> {
        let params = Params::Gcm { iv: iv.into(), aad: aad.into(), tag_bits: TAG_BYTES as u64 * 8 };
        crypto::Cipher::new(direction, self.gcm, &params, Arc::new(Key::Secret(key)))?.one_shot(data)
    }

    pub(super) fn message_key(&self, key: &[u8], salt: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let mut context = PkeyCtx::new_id(Id::HKDF)?;
        context.derive_init()?;
        context.set_hkdf_md(Md::sha256())?;
        context.set_hkdf_key(key)?;
        context.set_hkdf_salt(salt)?;
        context.add_hkdf_info(b"claviger-encrypt-v1")?;
        context.add_hkdf_info(&[self.number])?;
        let mut derived = Zeroizing::new(vec![0; self.key_bytes]);
        context.derive(Some(&mut derived))?;
        Ok(derived)
    }
}

/// A ciphertext of format 1 in its parts.
pub(super) struct Header<'a> {
    pub(super) key: Uid,
    pub(super) version: u32,
    pub(super) algorithm: u8,
    pub(super) salt: &'a [u8],
    pub(super) iv: &'a [u8],
    /// Text and tag.
    pub(super) sealed: &'a [u8],
    /// Everything before the IV.
    pub(super) all: &'a [u8],
}

impl Header<'_> {
    pub(super) fn read(ciphertext: &[u8]) -> Option<Header<'_>> {
        let rest = ciphertext.strip_prefix(&MAGIC)?;
        let (key, rest) = rest.split_first_chunk::<16>()?;
        let (version, rest) = read_leb128(rest)?;
        let (algorithm, rest) = rest.split_first()?;
        let (salt, rest) = rest.split_at_checked(SALT_BYTES)?;
        let all = &ciphertext[..ciphertext.len() - rest.len()];
        let (iv, rest) = rest.split_at_checked(IV_BYTES)?;
        let sealed = rest.get(..).filter(|sealed| sealed.len() >= TAG_BYTES)?;
        Some(Header { key: *key, version, algorithm: *algorithm, salt, iv, sealed, all })
    }
}

pub(super) fn leb128(mut number: u32, output: &mut Vec<u8>) {
    while number >= 0x80 {
        output.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    output.push(number as u8);
}

/// A number in the shortest form, and what is behind it.
pub(super) fn read_leb128(input: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in input.iter().take(5).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let is_shortest = index == 0 || *byte != 0;
            let number = u32::try_from(number).ok().filter(|_| is_shortest)?;
            return Some((number, &input[index + 1..]));
        }
    }
    None
}

pub(super) fn additional_data(header: &[u8], name: &str, aad: &[u8]) -> Vec<u8> {
    [header, &sha256(name.as_bytes()), &(aad.len() as u64).to_be_bytes(), aad].concat()
}
