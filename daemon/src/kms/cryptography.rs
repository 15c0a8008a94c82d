//! What the key service does with keys: its own symmetric encryption, raw modes, signatures, decryption, MACs, data
//! keys.
//!
//! A ciphertext of the key service ("format 1") says by itself which version opens it:
//!
//! `0x0A 'K' | 1 | key uid (16) | version (LEB128) | algorithm (1) | salt (16) | IV (12) | ciphertext | tag (16)`
//!
//! Each message has its own key, HKDF-SHA-256 (RFC 5869) of the version's key with the salt, so that the bound of
//! 2^32 random IVs under one key (SP 800-38D, 8.3) is never met. The additional data is everything before the IV,
//! SHA-256 of the key's full name, and the caller's data behind its length.

use std::ffi::CStr;
use std::sync::Arc;

use claviger_protocol::mechanism::{self, Cipher as BlockCipher, Hash, MechanismRow, Mode, Profiles, Recipe};
use claviger_protocol::params::{Params, Shape};
use claviger_protocol::{Bytes, KeyType, MechanismType, ObjectClass};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::md::Md;
use openssl::pkey::{Id, PKey};
use openssl::pkey_ctx::PkeyCtx;
use openssl::sha::sha256;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyShape, ProtectionLevel, Purpose};
use super::record::Uid;
use super::state::VersionState;
use super::time::Time;
use super::usage::Use;
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::{self, Direction, Key, pair};
use crate::daemon::Daemon;
use crate::error::{Error, Result};

/// First bytes of a ciphertext: the magic and the format.
const MAGIC: [u8; 3] = [0x0a, b'K', 1];
const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Most bytes of a plaintext and of its additional data, each.
const MAX_SOFTWARE_BYTES: usize = 64 << 10;
/// Most bytes of both together at protection level HSM.
const MAX_HSM_BYTES: usize = 8 << 10;
/// Most bytes of a data key.
const MAX_DATA_KEY_BYTES: usize = 1024;
/// Block of AES, in bytes.
const BLOCK_BYTES: usize = 16;

/// What is signed.
pub enum Message<'a> {
    /// Data; the daemon makes the digest.
    Data(&'a [u8]),
    /// The digest itself.
    Digest(&'a [u8]),
}

/// Somebody's use of a version.
pub struct Caller {
    /// Who.
    pub uid: u32,
    /// When.
    pub now: Time,
}

/// A data key.
pub struct DataKey {
    /// The data key.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// It, encrypted.
    pub ciphertext: Vec<u8>,
    /// With what.
    pub version: Arc<VersionCell>,
}

impl Daemon {
    /// Encrypts with a version, or with the primary one.
    ///
    /// # Errors
    /// `FailedPrecondition` for a key of another purpose or without a version, `InvalidArgument` for too much,
    /// `Archived`, `VersionNotEnabled`.
    pub fn encrypt(
        &self,
        key: &KeyCell,
        version: Option<&Arc<VersionCell>>,
        plaintext: &[u8],
        aad: &[u8],
        caller: &Caller,
    ) -> Result<(Arc<VersionCell>, Vec<u8>)> {
        check_purpose(key, Purpose::EncryptDecrypt, "encrypt")?;
        check_size(key, plaintext.len(), aad.len())?;
        let version = match version {
            Some(version) => version.clone(),
            None => key.record().primary.and_then(|number| key.version(number)).ok_or_else(|| {
                Error::FailedPrecondition { message: format!("{} has no primary version", key.name) }
            })?,
        };
        let live = self.admit(key, &version, caller, Use::Encrypt, true)?;
        let cipher = Envelope::of(version.record().algorithm)?;
        let mut output = MAGIC.to_vec();
        output.extend(key.uid);
        leb128(version.number, &mut output);
        output.push(cipher.number);
        let mut random = [0; SALT_BYTES + IV_BYTES];
        crypto::random::fill(&mut random)?;
        let (salt, iv) = random.split_at(SALT_BYTES);
        output.extend(salt);
        let message_key = cipher.message_key(secret(&live)?, salt)?;
        let authenticated = additional_data(&output, &key.name, aad);
        let sealed = cipher.crypt(Direction::Encrypt, message_key, iv, authenticated, plaintext)?;
        output.extend(iv);
        output.extend(&sealed[..]);
        Ok((version, output))
    }

    /// Decrypts; `key` absent: the ciphertext tells. Gives the version, and whether it is the primary one.
    ///
    /// # Errors
    /// `InvalidArgument`, always the same, for whatever does not open; `VersionNotEnabled`.
    pub fn decrypt(
        &self,
        key: Option<&Arc<KeyCell>>,
        ciphertext: &[u8],
        aad: &[u8],
        caller: &Caller,
    ) -> Result<(Arc<VersionCell>, Zeroizing<Vec<u8>>)> {
        if let Some(key) = key {
            check_purpose(key, Purpose::EncryptDecrypt, "decrypt")?;
        }
        let header = Header::read(ciphertext).ok_or_else(cannot_decrypt)?;
        let found = self.catalog.key(&header.key).ok_or_else(cannot_decrypt)?;
        if key.is_some_and(|key| key.uid != found.uid) {
            return Err(cannot_decrypt());
        }
        let version = found.version(header.version).ok_or_else(cannot_decrypt)?;
        let live = self.admit(&found, &version, caller, Use::Decrypt, false)?;
        let cipher = Envelope::of(version.record().algorithm)?;
        if cipher.number != header.algorithm {
            return Err(cannot_decrypt());
        }
        let message_key = cipher.message_key(secret(&live)?, header.salt)?;
        let authenticated = additional_data(header.all, &found.name, aad);
        let opened = cipher.crypt(Direction::Decrypt, message_key, header.iv, authenticated, header.sealed);
        match opened {
            Ok(plaintext) => Ok((version, Zeroizing::new(plaintext.into_vec()))),
            Err(_) => Err(cannot_decrypt()),
        }
    }

    /// The key that a ciphertext says it is of.
    pub fn key_of_ciphertext(&self, ciphertext: &[u8]) -> Option<Arc<KeyCell>> {
        Header::read(ciphertext).and_then(|header| self.catalog.key(&header.key))
    }

    /// Makes a data key of `length` bytes and encrypts it; nothing of it is kept.
    ///
    /// # Errors
    /// As of [`Daemon::encrypt`]; `InvalidArgument` for another length than 1 to 1024.
    pub fn generate_data_key(
        &self,
        key: &KeyCell,
        length: usize,
        aad: &[u8],
        caller: &Caller,
    ) -> Result<DataKey> {
        check_purpose(key, Purpose::EncryptDecrypt, "generate data keys")?;
        if !(1..=MAX_DATA_KEY_BYTES).contains(&length) {
            return refuse(format!("a data key has 1 to {MAX_DATA_KEY_BYTES} bytes"));
        }
        let plaintext = crypto::random::secret(length)?;
        let (version, ciphertext) = self.encrypt(key, None, &plaintext, aad, caller)?;
        Ok(DataKey { plaintext, ciphertext, version })
    }

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

    /// Signs. ECDSA signatures are DER (RFC 3279).
    ///
    /// # Errors
    /// `InvalidArgument` for a digest of another algorithm or too much data.
    pub fn asymmetric_sign(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        message: &Message<'_>,
        caller: &Caller,
    ) -> Result<Bytes> {
        check_purpose(key, Purpose::AsymmetricSign, "asymmetric-sign")?;
        if let KeyShape::Named(name) = version.record().algorithm.shape() {
            check_named_message(key, name, message)?;
            let live = self.admit(key, version, caller, Use::Sign, true)?;
            return match message {
                Message::Data(data) => Ok(pair::sign(name, &live, data)?.into()),
                Message::Digest(digest) => Ok(pair::sign_digest(&live, digest)?.into()),
            };
        }
        let scheme = Signature::of(version.record().algorithm)?;
        let input = scheme.input(key, message)?;
        let live = self.admit(key, version, caller, Use::Sign, true)?;
        let signer = crypto::Signer::new(row(scheme.mechanism)?, &scheme.params(), Arc::new(live))?;
        let signature = signer.sign(&input).map_err(|error| match error {
            Error::DataLenRange => {
                Error::InvalidArgument { message: "the data is too long for this key".to_owned() }
            }
            other => other,
        })?;
        if !scheme.is_ecdsa() {
            return Ok(signature);
        }
        let (r, s) = signature.split_at(signature.len() / 2);
        let number = BigNum::from_slice;
        Ok(EcdsaSig::from_private_components(number(r)?, number(s)?)?.to_der()?.into())
    }

    /// Verifies a signature as [`Daemon::asymmetric_sign`] makes it.
    ///
    /// # Errors
    /// As there; a signature that is wrong is no error.
    pub fn asymmetric_verify(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        message: &Message<'_>,
        signature: &[u8],
        caller: &Caller,
    ) -> Result<bool> {
        check_purpose(key, Purpose::AsymmetricSign, "asymmetric-verify")?;
        let algorithm = version.record().algorithm;
        if let KeyShape::Named(name) = algorithm.shape() {
            check_named_message(key, name, message)?;
            let live = self.admit(key, version, caller, Use::Verify, false)?.public()?;
            return match message {
                Message::Data(data) => pair::verify(name, &live, data, signature),
                Message::Digest(digest) => pair::verify_digest(&live, digest, signature),
            };
        }
        let scheme = Signature::of(algorithm)?;
        let input = scheme.input(key, message)?;
        let live = self.admit(key, version, caller, Use::Verify, false)?.public()?;
        let signature = match algorithm.shape() {
            KeyShape::Curve(_) if scheme.is_ecdsa() => {
                let Ok(parts) = EcdsaSig::from_der(signature) else { return Ok(false) };
                // DER that says the same otherwise is refused: one signature, one form.
                if parts.to_der()? != signature {
                    return Ok(false);
                }
                let length = i32::try_from(live.size_bits().div_ceil(8)).map_err(|_| Error::KeySizeRange)?;
                match (parts.r().to_vec_padded(length), parts.s().to_vec_padded(length)) {
                    (Ok(r), Ok(s)) => [r, s].concat(),
                    _ => return Ok(false),
                }
            }
            _ => signature.to_vec(),
        };
        let verifier = crypto::Verifier::new(row(scheme.mechanism)?, &scheme.params(), Arc::new(live))?;
        match verifier.verify(&input, &signature) {
            Ok(()) => Ok(true),
            Err(Error::SignatureInvalid | Error::SignatureLenRange) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Encrypts with the public key of a version.
    ///
    /// # Errors
    /// `InvalidArgument` for too much.
    pub fn asymmetric_encrypt(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        plaintext: &[u8],
        caller: &Caller,
    ) -> Result<Vec<u8>> {
        check_purpose(key, Purpose::AsymmetricDecrypt, "asymmetric-encrypt")?;
        if let KeyShape::Named(_) = version.record().algorithm.shape() {
            check_size(key, plaintext.len(), 0)?;
            let live = self.admit(key, version, caller, Use::Encrypt, true)?.public()?;
            return pair::encrypt_to(&live, plaintext);
        }
        let hash = oaep_hash(version.record().algorithm)?;
        let live = self.admit(key, version, caller, Use::Encrypt, true)?.public()?;
        crypto::wrap::rsa_oaep(&live, hash, plaintext).map_err(|error| match error {
            Error::DataLenRange => {
                Error::InvalidArgument { message: "the plaintext is too long for this key".to_owned() }
            }
            other => other,
        })
    }

    /// Decrypts what was encrypted with the public key of a version.
    ///
    /// # Errors
    /// `InvalidArgument`, always the same, for whatever does not open.
    pub fn asymmetric_decrypt(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        ciphertext: &[u8],
        caller: &Caller,
    ) -> Result<Zeroizing<Vec<u8>>> {
        check_purpose(key, Purpose::AsymmetricDecrypt, "asymmetric-decrypt")?;
        if let KeyShape::Named(_) = version.record().algorithm.shape() {
            let live = self.admit(key, version, caller, Use::Decrypt, false)?;
            return pair::decrypt(&live, ciphertext).map_err(|_| cannot_decrypt());
        }
        let hash = oaep_hash(version.record().algorithm)?;
        let live = self.admit(key, version, caller, Use::Decrypt, false)?;
        crypto::wrap::rsa_oaep_unwrap(&live, hash, ciphertext).map_err(|_| cannot_decrypt())
    }

    /// The secret that somebody has encapsulated for a version's public key.
    ///
    /// # Errors
    /// `InvalidArgument` for a ciphertext of another length than the algorithm's; a wrong one of that length gives some
    /// secret.
    pub fn decapsulate(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        ciphertext: &[u8],
        caller: &Caller,
    ) -> Result<Zeroizing<Vec<u8>>> {
        check_purpose(key, Purpose::KeyEncapsulation, "decapsulate")?;
        let live = self.admit(key, version, caller, Use::Decapsulate, true)?;
        pair::decapsulate(&live, ciphertext).map_err(|_| cannot_decrypt())
    }

    /// The public key of a version that applications do not see, as `SubjectPublicKeyInfo`; none for other versions.
    /// The caller has checked the state.
    ///
    /// # Errors
    /// What the store says.
    pub fn named_public_key(&self, version: &VersionCell) -> Result<Option<Vec<u8>>> {
        let KeyShape::Named(name) = version.record().algorithm.shape() else { return Ok(None) };
        let Some(material) = self.records.material(&version.uid)? else { return Ok(None) };
        let public = pair::from_material(name, &material)?.public()?;
        Ok(Some(public.to_material()?.to_vec()))
    }

    /// Makes a message authentication code.
    ///
    /// # Errors
    /// `InvalidArgument` for too much data.
    pub fn mac_sign(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        data: &[u8],
        caller: &Caller,
    ) -> Result<Bytes> {
        self.mac(key, version, data, caller, Use::GenerateMac)
    }

    /// Checks a message authentication code, in constant time.
    ///
    /// # Errors
    /// As of [`Daemon::mac_sign`]; a code that is wrong is no error.
    pub fn mac_verify(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        data: &[u8],
        mac: &[u8],
        caller: &Caller,
    ) -> Result<bool> {
        let expected = self.mac(key, version, data, caller, Use::VerifyMac)?;
        Ok(expected.len() == mac.len() && openssl::memcmp::eq(&expected, mac))
    }

    fn mac(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        data: &[u8],
        caller: &Caller,
        used: Use,
    ) -> Result<Bytes> {
        check_purpose(key, Purpose::Mac, "mac-sign and mac-verify")?;
        check_size(key, data.len(), 0)?;
        let mechanism = match version.record().algorithm {
            Algorithm::HmacSha1 => row(MechanismType::SHA_1_HMAC)?,
            Algorithm::HmacSha224 => row(MechanismType::SHA224_HMAC)?,
            Algorithm::HmacSha256 => row(MechanismType::SHA256_HMAC)?,
            Algorithm::HmacSha384 => row(MechanismType::SHA384_HMAC)?,
            Algorithm::HmacSha512 => row(MechanismType::SHA512_HMAC)?,
            Algorithm::HmacSm3 => &SM3_HMAC,
            other => return not_here(other),
        };
        let live = self.admit(key, version, caller, used, used == Use::GenerateMac)?;
        crypto::Signer::new(mechanism, &Params::None, Arc::new(live))?.sign(data)
    }

    /// Lets a use of a version through, counts it, and gives the live key. `makes_new`: an archived key refuses.
    fn admit(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        caller: &Caller,
        used: Use,
        makes_new: bool,
    ) -> Result<Key> {
        if makes_new && key.record().care.archived {
            return Err(Error::Archived { resource: key.name.clone() });
        }
        if let Some(token) = self.catalog.token_of(&version.ring) {
            self.check_project_open(&token.ring().name.project)?;
        }
        let state = version.state(caller.now);
        if state == VersionState::DestroyScheduled {
            return Err(Error::VersionScheduled { version: version.name.clone() });
        }
        if state != VersionState::Enabled {
            return Err(Error::VersionNotEnabled { version: version.name.clone(), state: state.name() });
        }
        let gone = || Error::VersionNotEnabled { version: version.name.clone(), state: "DESTROYED" };
        let material = self.records.material(&version.uid)?.ok_or_else(gone)?;
        let shape = version.record().algorithm.shape();
        let class = match shape {
            KeyShape::Secret(..) => ObjectClass::SECRET_KEY,
            _ => ObjectClass::PRIVATE_KEY,
        };
        let live = match shape {
            KeyShape::Named(name) => pair::from_material(name, &material)?,
            _ => Key::from_material(class, shape.key_type().unwrap_or(KeyType::GENERIC_SECRET), &material)?,
        };
        self.note_use(version, used, caller.uid);
        Ok(live)
    }
}

/// A symmetric cipher of format 1.
struct Envelope {
    number: u8,
    key_bytes: usize,
    /// GCM of the block cipher.
    gcm: &'static MechanismRow,
}

impl Envelope {
    fn of(algorithm: Algorithm) -> Result<Envelope> {
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
    fn crypt(
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

    fn message_key(&self, key: &[u8], salt: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
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
struct Header<'a> {
    key: Uid,
    version: u32,
    algorithm: u8,
    salt: &'a [u8],
    iv: &'a [u8],
    /// Text and tag.
    sealed: &'a [u8],
    /// Everything before the IV.
    all: &'a [u8],
}

impl Header<'_> {
    fn read(ciphertext: &[u8]) -> Option<Header<'_>> {
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

fn leb128(mut number: u32, output: &mut Vec<u8>) {
    while number >= 0x80 {
        output.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    output.push(number as u8);
}

/// A number in the shortest form, and what is behind it.
fn read_leb128(input: &[u8]) -> Option<(u32, &[u8])> {
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

fn additional_data(header: &[u8], name: &str, aad: &[u8]) -> Vec<u8> {
    [header, &sha256(name.as_bytes()), &(aad.len() as u64).to_be_bytes(), aad].concat()
}

/// Mechanisms of the key service alone: PKCS#11 has none of SM4 and SM3.
static SM4_GCM: MechanismRow = sm4(1, Mode::Gcm, Shape::Gcm);
static SM4_CBC: MechanismRow = sm4(2, Mode::Cbc, Shape::Bytes);
static SM4_CTR: MechanismRow = sm4(3, Mode::Ctr, Shape::Ctr);
static SM3_HMAC: MechanismRow = MechanismRow {
    r#type: MechanismType(KEY_SERVICE_MECHANISM | 4),
    recipe: Recipe::Hmac { hash: Hash::Sm3, general: false },
    key_types: &[KeyType::SM3_HMAC],
    key_sizes: (32, 32),
    flags: 0,
    params: Shape::None,
    profiles: Profiles(0),
};
/// No mechanism of a token has such a number.
const KEY_SERVICE_MECHANISM: u64 = 0xc34c_ff00;

const fn sm4(number: u64, mode: Mode, params: Shape) -> MechanismRow {
    MechanismRow {
        r#type: MechanismType(KEY_SERVICE_MECHANISM | number),
        recipe: Recipe::Cipher(BlockCipher::Sm4, mode),
        key_types: &[KeyType::SM4],
        key_sizes: (16, 16),
        flags: 0,
        params,
        profiles: Profiles(0),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RawMode {
    Gcm,
    Cbc,
    Ctr,
}

impl RawMode {
    fn of(algorithm: Algorithm) -> Result<RawMode> {
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

    fn iv_bytes(self) -> usize {
        if self == RawMode::Gcm { IV_BYTES } else { BLOCK_BYTES }
    }
}

/// How an algorithm signs.
struct Signature {
    mechanism: MechanismType,
    /// None: data is signed as it is.
    digest: Option<Digest>,
}

/// A digest: its name, OpenSSL's, PKCS#11's, its MGF1, and what DER says before it (RFC 8017, 9.2).
#[derive(Clone, Copy)]
struct Digest {
    name: &'static str,
    new: fn() -> MessageDigest,
    mechanism: MechanismType,
    mgf: u64,
    bytes: usize,
    prefix: &'static [u8],
}

const fn digest_info<const N: usize>(last: u8, bytes: u8) -> [u8; N] {
    let mut prefix = [0; N];
    let parts: [u8; 19] = [
        0x30,
        17 + bytes,
        0x30,
        0x0d,
        0x06,
        0x09,
        0x60,
        0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x02,
        last,
        0x05,
        0x00,
        0x04,
        bytes,
    ];
    let mut i = 0;
    while i < N {
        prefix[i] = parts[i];
        i += 1;
    }
    prefix
}

const SHA256: Digest = Digest {
    name: "sha256",
    new: MessageDigest::sha256,
    mechanism: MechanismType::SHA256,
    mgf: 2,
    bytes: 32,
    prefix: &digest_info::<19>(1, 32),
};
const SHA384: Digest = Digest {
    name: "sha384",
    new: MessageDigest::sha384,
    mechanism: MechanismType::SHA384,
    mgf: 3,
    bytes: 48,
    prefix: &digest_info::<19>(2, 48),
};
const SHA512: Digest = Digest {
    name: "sha512",
    new: MessageDigest::sha512,
    mechanism: MechanismType::SHA512,
    mgf: 4,
    bytes: 64,
    prefix: &digest_info::<19>(3, 64),
};

impl Signature {
    fn of(algorithm: Algorithm) -> Result<Signature> {
        use Algorithm::*;
        let (mechanism, digest) = match algorithm {
            RsaSignPss2048Sha256 | RsaSignPss3072Sha256 | RsaSignPss4096Sha256 => {
                (MechanismType::RSA_PKCS_PSS, Some(SHA256))
            }
            RsaSignPss4096Sha512 => (MechanismType::RSA_PKCS_PSS, Some(SHA512)),
            RsaSignPkcs12048Sha256 | RsaSignPkcs13072Sha256 | RsaSignPkcs14096Sha256 => {
                (MechanismType::RSA_PKCS, Some(SHA256))
            }
            RsaSignPkcs14096Sha512 => (MechanismType::RSA_PKCS, Some(SHA512)),
            RsaSignRawPkcs12048 | RsaSignRawPkcs13072 | RsaSignRawPkcs14096 => {
                (MechanismType::RSA_PKCS, None)
            }
            EcSignP256Sha256 | EcSignSecp256k1Sha256 => (MechanismType::ECDSA, Some(SHA256)),
            EcSignP384Sha384 => (MechanismType::ECDSA, Some(SHA384)),
            EcSignP521Sha512 => (MechanismType::ECDSA, Some(SHA512)),
            EcSignEd25519 | EcSignEd448 => (MechanismType::EDDSA, None),
            other => return not_here(other),
        };
        Ok(Signature { mechanism, digest })
    }

    fn is_ecdsa(&self) -> bool {
        self.mechanism == MechanismType::ECDSA
    }

    fn params(&self) -> Params {
        match self.digest {
            Some(digest) if self.mechanism == MechanismType::RSA_PKCS_PSS => {
                Params::Pss { hash: digest.mechanism, mgf: digest.mgf, salt_len: digest.bytes as u64 }
            }
            _ => Params::None,
        }
    }

    /// What the mechanism signs.
    fn input(&self, key: &KeyCell, message: &Message<'_>) -> Result<Vec<u8>> {
        let digest = match (self.digest, message) {
            (None, Message::Digest(_)) => {
                return refuse(format!("{} signs data, not a digest of it", key.name));
            }
            (None, Message::Data(data)) => {
                check_size(key, data.len(), 0)?;
                return Ok(data.to_vec());
            }
            (Some(digest), Message::Digest(value)) if value.len() != digest.bytes => {
                return refuse(format!(
                    "{} signs {} digests of {} bytes",
                    key.name, digest.name, digest.bytes
                ));
            }
            (Some(_), Message::Digest(value)) => value.to_vec(),
            (Some(digest), Message::Data(data)) => {
                check_size(key, data.len(), 0)?;
                hash((digest.new)(), data)?.to_vec()
            }
        };
        match (self.mechanism, self.digest) {
            (MechanismType::RSA_PKCS, Some(kind)) => Ok([kind.prefix, &digest].concat()),
            _ => Ok(digest),
        }
    }
}

/// Judges what a pair of the key service alone is to sign.
fn check_named_message(key: &KeyCell, name: &CStr, message: &Message<'_>) -> Result<()> {
    match message {
        Message::Data(data) => check_size(key, data.len(), 0),
        Message::Digest(digest) if name == pair::SM2 && digest.len() == pair::SM3_BYTES => Ok(()),
        Message::Digest(_) if name == pair::SM2 => {
            refuse(format!("{} signs sm3 digests of {} bytes", key.name, pair::SM3_BYTES))
        }
        Message::Digest(_) => refuse(format!("{} signs data, not a digest of it", key.name)),
    }
}

/// Judges the name of a digest that somebody gave for a version.
///
/// # Errors
/// `InvalidArgument` when the version's algorithm has another one.
pub fn check_digest_name(version: &VersionCell, name: &str) -> Result<()> {
    let algorithm = version.record().algorithm;
    let has = match algorithm.shape() {
        KeyShape::Named(name) => (name == pair::SM2).then_some("sm3"),
        _ => Signature::of(algorithm)?.digest.map(|digest| digest.name),
    };
    if has.is_some_and(|has| has == name.to_ascii_lowercase().replace('-', "")) {
        return Ok(());
    }
    refuse(format!("{} signs {}", algorithm.name(), has.map_or("data, not digests", |has| has)))
}

/// Wraps a data key with somebody's public key: RSAES-OAEP with SHA-256, or SM2.
///
/// # Errors
/// `InvalidArgument` for what is no RSA public key of 2048 bits or more, or one that is too short.
pub fn wrap_for(public_pem: &[u8], material: &[u8]) -> Result<Vec<u8>> {
    let bad = || Error::InvalidArgument {
        message: "an RSA public key (PEM) of 2048 bits or more, or an SM2 public key, is wanted".to_owned(),
    };
    let key = PKey::public_key_from_pem(public_pem).map_err(|_| bad())?;
    if pair::is(&key, pair::SM2) {
        return pair::encrypt(&key, material);
    }
    if key.id() != Id::RSA || key.bits() < 2048 {
        return Err(bad());
    }
    crypto::wrap::rsa_oaep(&Key::Public(key), Hash::Sha256, material).map_err(|error| match error {
        Error::DataLenRange => {
            Error::InvalidArgument { message: "the data key is too long for the public key".to_owned() }
        }
        other => other,
    })
}

fn oaep_hash(algorithm: Algorithm) -> Result<Hash> {
    use Algorithm::*;
    Ok(match algorithm {
        RsaDecryptOaep2048Sha256 | RsaDecryptOaep3072Sha256 | RsaDecryptOaep4096Sha256 => Hash::Sha256,
        RsaDecryptOaep4096Sha512 => Hash::Sha512,
        RsaDecryptOaep2048Sha1 | RsaDecryptOaep3072Sha1 | RsaDecryptOaep4096Sha1 => Hash::Sha1,
        other => return not_here(other),
    })
}

fn row(r#type: MechanismType) -> Result<&'static MechanismRow> {
    mechanism::mechanism(r#type).ok_or(Error::MechanismInvalid)
}

fn secret(live: &Key) -> Result<&[u8]> {
    match live {
        Key::Secret(value) => Ok(value),
        _ => Err(Error::KeyTypeInconsistent),
    }
}

fn check_purpose(key: &KeyCell, purpose: Purpose, verb: &str) -> Result<()> {
    let has = key.record().purpose;
    if has == purpose {
        return Ok(());
    }
    let message = format!("{} cannot {verb}: it is for {}", key.name, has.name());
    Err(Error::FailedPrecondition { message })
}

fn check_size(key: &KeyCell, data: usize, aad: usize) -> Result<()> {
    match key.record().protection_level {
        ProtectionLevel::Software if data > MAX_SOFTWARE_BYTES || aad > MAX_SOFTWARE_BYTES => {
            refuse(format!("data and authenticated data have at most {} KiB each", MAX_SOFTWARE_BYTES >> 10))
        }
        ProtectionLevel::Hsm if data + aad > MAX_HSM_BYTES => refuse(format!(
            "data and authenticated data have at most {} KiB together at protection level HSM",
            MAX_HSM_BYTES >> 10
        )),
        _ => Ok(()),
    }
}

/// One answer for everything that does not open, whatever the reason.
fn cannot_decrypt() -> Error {
    Error::InvalidArgument { message: "the ciphertext cannot be decrypted".to_owned() }
}

fn not_here<T>(algorithm: Algorithm) -> Result<T> {
    let message = format!("keys of algorithm {} do not do this", algorithm.name());
    Err(Error::FailedPrecondition { message })
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
#[path = "cryptography_tests.rs"]
mod tests;
