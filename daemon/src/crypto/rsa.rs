//! RSA with each padding of RFC 8017: RSASSA-PKCS1-v1_5, RSASSA-PSS, RSAES-PKCS1-v1_5, RSAES-OAEP, and none.

use claviger_protocol::Bytes;
use claviger_protocol::flags::oaep::DATA_SPECIFIED;
use claviger_protocol::mechanism::{Hash, MechanismRow, Recipe};
use claviger_protocol::params::{OaepParams, Params};
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::{PkeyCtx, PkeyCtxRef};
use openssl::rsa::Padding;
use openssl::sign::RsaPssSaltlen;
use zeroize::Zeroizing;

use super::algorithm::{hash_of_mgf, hash_of_rsa, hash_row, md};
use super::cipher::{Direction, Transform};
use super::key::Key;
use crate::error::{Error, Result};

/// Bytes that PKCS #1 v1.5 padding takes at least (RFC 8017, 7.2.1 and 9.2).
const PKCS1_OVERHEAD: usize = 11;

/// Bytes that a `DigestInfo` is longer than its digest: 19 for the hashes that can be too long for a key (RFC 8017, 9.2).
const DIGEST_INFO_OVERHEAD: usize = 19;

/// A signature padding.
pub enum SignaturePadding {
    /// RSASSA-PKCS1-v1_5; without a hash what is signed is the `DigestInfo`, or whatever the caller takes for one.
    Pkcs1(Option<Hash>),
    /// RSASSA-PSS; lengths in bytes.
    Pss {
        /// The hash of the message.
        hash: Hash,
        /// The hash of MGF1.
        mgf: Hash,
        /// The length of the salt.
        salt: i32,
    },
    /// None: the number itself.
    None,
}

impl SignaturePadding {
    /// The padding of a mechanism, with the hash that the message goes through before. `MechanismParamInvalid`,
    /// `KeySizeRange` when the key is too small for hash and salt.
    pub fn new<T: HasPublic>(
        row: &MechanismRow,
        params: &Params,
        key: &PKeyRef<T>,
    ) -> Result<(SignaturePadding, Option<Hash>)> {
        match (row.recipe, params) {
            (Recipe::RsaPkcs(hash), Params::None) => {
                // RFC 8017, 9.2, step 3.
                let digest_info = hash.map_or(0, |hash| hash_row(hash).length + DIGEST_INFO_OVERHEAD);
                if digest_info + PKCS1_OVERHEAD > key.size() {
                    return Err(Error::KeySizeRange);
                }
                Ok((SignaturePadding::Pkcs1(hash), hash))
            }
            (Recipe::RsaX509, Params::None) => Ok((SignaturePadding::None, None)),
            (Recipe::RsaPss(prehash), Params::Pss { hash, mgf, salt_len }) => {
                let hash = hash_of_rsa(*hash).ok_or(Error::MechanismParamInvalid)?;
                let mgf = hash_of_mgf(*mgf).ok_or(Error::MechanismParamInvalid)?;
                if prehash.is_some_and(|prehash| prehash != hash) {
                    return Err(Error::MechanismParamInvalid);
                }
                // RFC 8017, 9.1.1: emLen >= hLen + sLen + 2, where emBits is one less than the modulus'.
                let room = (key.bits() as usize - 1).div_ceil(8);
                let room = room.checked_sub(hash_row(hash).length + 2).ok_or(Error::KeySizeRange)?;
                let salt = usize::try_from(*salt_len).ok().filter(|salt| *salt <= room);
                let salt =
                    salt.and_then(|salt| i32::try_from(salt).ok()).ok_or(Error::MechanismParamInvalid)?;
                Ok((SignaturePadding::Pss { hash, mgf, salt }, prehash))
            }
            (Recipe::RsaPkcs(_) | Recipe::RsaX509 | Recipe::RsaPss(_), _) => {
                Err(Error::MechanismParamInvalid)
            }
            _ => Err(Error::MechanismInvalid),
        }
    }

    /// Signs what the padding takes: a digest, or the caller's data. `DataLenRange` when it has a wrong length.
    pub fn sign(&self, key: &PKeyRef<Private>, data: &[u8]) -> Result<Vec<u8>> {
        let data = self.fit(data, key.size())?;
        let mut context = PkeyCtx::new(key)?;
        context.sign_init()?;
        self.set(&mut context)?;
        let mut signature = vec![0; key.size()];
        let length = match context.sign(&data, Some(&mut signature)) {
            Ok(length) => length,
            // The only such failure that the data can cause: a number not below the modulus.
            Err(_) if matches!(self, SignaturePadding::None) => return Err(Error::DataInvalid),
            Err(stack) => return Err(stack.into()),
        };
        signature.truncate(length);
        Ok(signature)
    }

    /// Checks a signature as long as the modulus. `DataLenRange`, `SignatureInvalid`.
    pub fn verify(&self, key: &PKeyRef<Public>, data: &[u8], signature: &[u8]) -> Result<()> {
        let data = self.fit(data, key.size())?;
        let mut context = PkeyCtx::new(key)?;
        context.verify_init()?;
        self.set(&mut context)?;
        match context.verify(&data, signature) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Error::SignatureInvalid),
        }
    }

    /// The data in a signature as long as the modulus (`C_VerifyRecover`). `SignatureInvalid`.
    pub fn recover(&self, key: &PKeyRef<Public>, signature: &[u8]) -> Result<Vec<u8>> {
        let mut context = PkeyCtx::new(key)?;
        context.verify_recover_init()?;
        self.set(&mut context)?;
        let mut data = vec![0; key.size()];
        let length =
            context.verify_recover(signature, Some(&mut data)).map_err(|_| Error::SignatureInvalid)?;
        data.truncate(length);
        Ok(data)
    }

    /// The data in the length that OpenSSL wants for this padding and a modulus of `size` bytes.
    fn fit(&self, data: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>> {
        let fits = match self {
            SignaturePadding::Pkcs1(Some(hash)) => data.len() == hash_row(*hash).length,
            // OpenSSL signs nothing at all, but takes the result for an invalid signature.
            SignaturePadding::Pkcs1(None) => !data.is_empty() && data.len() + PKCS1_OVERHEAD <= size,
            SignaturePadding::Pss { hash, .. } => data.len() == hash_row(*hash).length,
            SignaturePadding::None => return left_padded(data, size),
        };
        if fits { Ok(Zeroizing::new(data.to_vec())) } else { Err(Error::DataLenRange) }
    }

    fn set<T>(&self, context: &mut PkeyCtxRef<T>) -> Result<()> {
        match self {
            SignaturePadding::Pkcs1(hash) => {
                context.set_rsa_padding(Padding::PKCS1)?;
                if let Some(hash) = hash {
                    context.set_signature_md(md(*hash)?)?;
                }
            }
            SignaturePadding::Pss { hash, mgf, salt } => {
                context.set_rsa_padding(Padding::PKCS1_PSS)?;
                context.set_signature_md(md(*hash)?)?;
                context.set_rsa_mgf1_md(md(*mgf)?)?;
                context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(*salt))?;
            }
            SignaturePadding::None => context.set_rsa_padding(Padding::NONE)?,
        }
        Ok(())
    }
}

/// PKCS#11 lets the data of raw RSA be shorter than the modulus (3.2, 6.1.7).
fn left_padded(data: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>> {
    let zeros = size.checked_sub(data.len()).ok_or(Error::DataLenRange)?;
    let mut padded = Zeroizing::new(vec![0; size]);
    padded[zeros..].copy_from_slice(data);
    Ok(padded)
}

/// An encryption padding.
#[derive(Clone)]
pub enum EncryptionPadding {
    /// RSAES-PKCS1-v1_5. Decryption never says that the padding was wrong: OpenSSL 3.2 and later answer with bytes
    /// derived from key and ciphertext instead (implicit rejection, draft-irtf-cfrg-rsa-guidance).
    Pkcs1,
    /// RSAES-OAEP.
    Oaep {
        /// The hash of the label.
        hash: Hash,
        /// The hash of MGF1.
        mgf: Hash,
        /// The label.
        label: Bytes,
    },
    /// None: the number itself.
    None,
}

impl EncryptionPadding {
    /// The padding of a mechanism. `MechanismParamInvalid`.
    pub fn new(row: &MechanismRow, params: &Params) -> Result<EncryptionPadding> {
        match (row.recipe, params) {
            (Recipe::RsaPkcs(None), Params::None) => Ok(EncryptionPadding::Pkcs1),
            (Recipe::RsaX509, Params::None) => Ok(EncryptionPadding::None),
            (Recipe::RsaOaep, Params::Oaep(oaep)) => EncryptionPadding::oaep(oaep),
            (Recipe::RsaPkcs(None) | Recipe::RsaX509 | Recipe::RsaOaep, _) => {
                Err(Error::MechanismParamInvalid)
            }
            _ => Err(Error::MechanismInvalid),
        }
    }

    /// OAEP with these parameters. `MechanismParamInvalid`.
    pub fn oaep(params: &OaepParams) -> Result<EncryptionPadding> {
        let hash = hash_of_rsa(params.hash).ok_or(Error::MechanismParamInvalid)?;
        let mgf = hash_of_mgf(params.mgf).ok_or(Error::MechanismParamInvalid)?;
        let label_is_valid =
            params.source == DATA_SPECIFIED || params.source == 0 && params.source_data.is_empty();
        if !label_is_valid {
            return Err(Error::MechanismParamInvalid);
        }
        Ok(EncryptionPadding::Oaep { hash, mgf, label: params.source_data.clone() })
    }

    /// Most bytes that fit under a modulus of `size` bytes. `KeySizeRange` when it is too small for the padding.
    pub fn capacity(&self, size: usize) -> Result<usize> {
        let overhead = match self {
            EncryptionPadding::Pkcs1 => PKCS1_OVERHEAD,
            // RFC 8017, 7.1.1
            EncryptionPadding::Oaep { hash, .. } => 2 * hash_row(*hash).length + 2,
            EncryptionPadding::None => 0,
        };
        size.checked_sub(overhead).ok_or(Error::KeySizeRange)
    }

    /// Encrypts. `DataLenRange`; without a padding `DataInvalid` for a number not below the modulus.
    pub fn encrypt(&self, key: &PKeyRef<Public>, data: &[u8]) -> Result<Vec<u8>> {
        if data.len() > self.capacity(key.size())? {
            return Err(Error::DataLenRange);
        }
        let data = match self {
            EncryptionPadding::None => left_padded(data, key.size())?,
            _ => Zeroizing::new(data.to_vec()),
        };
        let mut context = PkeyCtx::new(key)?;
        context.encrypt_init()?;
        self.set(&mut context)?;
        let mut encrypted = vec![0; key.size()];
        let length = match context.encrypt(&data, Some(&mut encrypted)) {
            Ok(length) => length,
            Err(_) if matches!(self, EncryptionPadding::None) => return Err(Error::DataInvalid),
            Err(stack) => return Err(stack.into()),
        };
        encrypted.truncate(length);
        Ok(encrypted)
    }

    /// Decrypts. `EncryptedDataLenRange` unless `data` is as long as the modulus; `EncryptedDataInvalid`.
    pub fn decrypt(&self, key: &PKeyRef<Private>, data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if data.len() != key.size() {
            return Err(Error::EncryptedDataLenRange);
        }
        let mut context = PkeyCtx::new(key)?;
        context.decrypt_init()?;
        self.set(&mut context)?;
        let mut decrypted = Zeroizing::new(vec![0; key.size()]);
        let length = context.decrypt(data, Some(&mut decrypted)).map_err(|_| Error::EncryptedDataInvalid)?;
        decrypted.truncate(length);
        Ok(decrypted)
    }

    fn set<T>(&self, context: &mut PkeyCtxRef<T>) -> Result<()> {
        match self {
            EncryptionPadding::Pkcs1 => context.set_rsa_padding(Padding::PKCS1)?,
            EncryptionPadding::Oaep { hash, mgf, label } => {
                context.set_rsa_padding(Padding::PKCS1_OAEP)?;
                context.set_rsa_oaep_md(md(*hash)?)?;
                context.set_rsa_mgf1_md(md(*mgf)?)?;
                if !label.is_empty() {
                    context.set_rsa_oaep_label(label)?;
                }
            }
            EncryptionPadding::None => context.set_rsa_padding(Padding::NONE)?,
        }
        Ok(())
    }
}

/// RSA as a cipher: one block, one call.
pub struct RsaCipher {
    padding: EncryptionPadding,
    key: Half,
    /// Most bytes of plaintext.
    capacity: usize,
}

enum Half {
    Public(PKey<Public>),
    Private(PKey<Private>),
}

impl RsaCipher {
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`.
    pub fn new(direction: Direction, row: &MechanismRow, params: &Params, key: &Key) -> Result<RsaCipher> {
        key.expect(&[Id::RSA])?;
        let padding = EncryptionPadding::new(row, params)?;
        let (key, size) = match direction {
            Direction::Encrypt => {
                let key = key.public_key()?;
                (Half::Public(key.to_owned()), key.size())
            }
            Direction::Decrypt => {
                let key = key.private()?;
                (Half::Private(key.to_owned()), key.size())
            }
        };
        let capacity = padding.capacity(size)?;
        Ok(RsaCipher { padding, key, capacity })
    }
}

impl Transform for RsaCipher {
    fn multi_part(&self) -> bool {
        false
    }

    fn update_length(&self, _input: usize) -> usize {
        0
    }

    fn finish_length(&self) -> usize {
        0
    }

    fn one_shot_length(&self, _input: usize) -> usize {
        match &self.key {
            Half::Public(key) => key.size(),
            Half::Private(_) => self.capacity,
        }
    }

    fn update(&mut self, _input: &[u8], _output: &mut Vec<u8>) -> Result<()> {
        Err(Error::KeyFunctionNotPermitted)
    }

    fn finish(self: Box<Self>, _output: &mut Vec<u8>) -> Result<()> {
        Err(Error::KeyFunctionNotPermitted)
    }

    fn one_shot(self: Box<Self>, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        match &self.key {
            Half::Public(key) => output.extend_from_slice(&self.padding.encrypt(key, input)?),
            Half::Private(key) => output.extend_from_slice(&self.padding.decrypt(key, input)?),
        }
        Ok(())
    }
}
