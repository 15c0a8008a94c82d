//! Symmetric encryption in a bare mode of operation.

use std::sync::Arc;

use claviger_protocol::params::Params;
use claviger_protocol::{Bytes, KeyType, MechanismType};
use zeroize::Zeroizing;

use super::mechanisms::{SM4_CBC, SM4_CTR, SM4_GCM, row};
use super::{Caller, IV_BYTES, TAG_BYTES, cannot_decrypt, check_purpose, check_size, not_here, refuse};
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::{self, Direction};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::algorithm::{Algorithm, Purpose};
use crate::kms::usage::Use;

/// Block of AES and SM4, in bytes.
const BLOCK_BYTES: usize = 16;

impl Daemon {
    /// Encrypts in the bare mode of a version's algorithm. Gives the initialization vector and the ciphertext.
    ///
    /// # Errors
    /// `InvalidArgument` for an IV that may not be chosen, data that does not fit.
    pub fn raw_encrypt(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        plaintext: &[u8],
        aad: &[u8],
        iv: Option<&[u8]>,
        caller: &Caller,
    ) -> Result<(Vec<u8>, Bytes)> {
        check_purpose(key, Purpose::RawEncryptDecrypt, "raw-encrypt")?;
        check_size(key, plaintext.len(), aad.len())?;
        let mode = RawMode::of(version.record().algorithm)?;
        if mode == RawMode::Gcm && iv.is_some() {
            return refuse(
                "GCM takes no initialization vector: a second use of one would break it".to_owned(),
            );
        }
        let iv = match iv {
            Some(iv) => iv.to_vec(),
            None => {
                let mut iv = vec![0; mode.iv_bytes()];
                crypto::random::fill(&mut iv)?;
                iv
            }
        };
        let text =
            self.raw(key, version, (Direction::Encrypt, plaintext), (mode, aad, &iv, TAG_BYTES), caller)?;
        Ok((iv, text))
    }

    /// Decrypts in the bare mode of a version's algorithm; `tag_bytes` is of GCM.
    ///
    /// # Errors
    /// `InvalidArgument` for whatever does not open.
    #[allow(clippy::too_many_arguments, reason = "they are the verb's")]
    pub fn raw_decrypt(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        ciphertext: &[u8],
        aad: &[u8],
        iv: &[u8],
        tag_bytes: usize,
        caller: &Caller,
    ) -> Result<Zeroizing<Vec<u8>>> {
        check_purpose(key, Purpose::RawEncryptDecrypt, "raw-decrypt")?;
        check_size(key, ciphertext.len().saturating_sub(TAG_BYTES), aad.len())?;
        if !(12..=TAG_BYTES).contains(&tag_bytes) {
            return refuse("a tag has 12 to 16 bytes".to_owned());
        }
        let mode = RawMode::of(version.record().algorithm)?;
        let text = (Direction::Decrypt, ciphertext);
        let opened =
            self.raw(key, version, text, (mode, aad, iv, tag_bytes), caller).map_err(|e| match e {
                Error::EncryptedDataInvalid | Error::EncryptedDataLenRange | Error::AeadDecryptFailed => {
                    cannot_decrypt()
                }
                other => other,
            })?;
        Ok(Zeroizing::new(opened.into_vec()))
    }

    fn raw(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        (direction, data): (Direction, &[u8]),
        (mode, aad, iv, tag_bytes): (RawMode, &[u8], &[u8], usize),
        caller: &Caller,
    ) -> Result<Bytes> {
        if mode != RawMode::Gcm && !aad.is_empty() {
            return refuse("only GCM authenticates additional data".to_owned());
        }
        let block = match (mode, <[u8; BLOCK_BYTES]>::try_from(iv)) {
            (RawMode::Gcm, _) if !iv.is_empty() => [0; BLOCK_BYTES],
            (RawMode::Cbc | RawMode::Ctr, Ok(block)) => block,
            _ => return refuse(format!("the initialization vector has {} bytes", mode.iv_bytes())),
        };
        if mode == RawMode::Cbc && data.len() % BLOCK_BYTES != 0 {
            return refuse(format!("CBC takes a multiple of {BLOCK_BYTES} bytes; it is not padded"));
        }
        let encrypts = matches!(direction, Direction::Encrypt);
        let used = if encrypts { Use::Encrypt } else { Use::Decrypt };
        let live = self.admit(key, version, caller, used, encrypts)?;
        let params = match mode {
            RawMode::Gcm => Params::Gcm { iv: iv.into(), aad: aad.into(), tag_bits: tag_bytes as u64 * 8 },
            RawMode::Cbc => Params::Bytes(iv.into()),
            RawMode::Ctr => Params::Ctr { counter_bits: 128, block },
        };
        let is_sm4 = version.record().algorithm.shape().key_type() == Some(KeyType::SM4);
        let mechanism = match (mode, is_sm4) {
            (RawMode::Gcm, false) => row(MechanismType::AES_GCM)?,
            (RawMode::Cbc, false) => row(MechanismType::AES_CBC)?,
            (RawMode::Ctr, false) => row(MechanismType::AES_CTR)?,
            (RawMode::Gcm, true) => &SM4_GCM,
            (RawMode::Cbc, true) => &SM4_CBC,
            (RawMode::Ctr, true) => &SM4_CTR,
        };
        crypto::Cipher::new(direction, mechanism, &params, Arc::new(live))?.one_shot(data)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RawMode {
    Gcm,
    Cbc,
    Ctr,
}

impl RawMode {
    pub(super) fn of(algorithm: Algorithm) -> Result<RawMode> {
        Ok(match algorithm {
            Algorithm::Aes128Gcm | Algorithm::Aes192Gcm | Algorithm::Aes256Gcm | Algorithm::Sm4Gcm => {
                RawMode::Gcm
            }
            Algorithm::Aes128Cbc | Algorithm::Aes192Cbc | Algorithm::Aes256Cbc | Algorithm::Sm4Cbc => {
                RawMode::Cbc
            }
            Algorithm::Aes128Ctr | Algorithm::Aes192Ctr | Algorithm::Aes256Ctr | Algorithm::Sm4Ctr => {
                RawMode::Ctr
            }
            other => return not_here(other),
        })
    }

    pub(super) fn iv_bytes(self) -> usize {
        if self == RawMode::Gcm { IV_BYTES } else { BLOCK_BYTES }
    }
}
