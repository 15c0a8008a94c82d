//! Signatures, public-key encryption, encapsulated secrets and public keys.

use std::sync::Arc;

use claviger_protocol::mechanism::Hash;
use claviger_protocol::{AttributeType, Bytes, ObjectClass};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::{Id, PKey};
use zeroize::Zeroizing;

use super::mechanisms::row;
use super::signature::Signature;
use super::{Caller, Message, cannot_decrypt, check_purpose, check_size, not_here};
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::{self, Key, post_quantum, sm2, xwing};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::algorithm::{Algorithm, KeyShape, Purpose};
use crate::kms::usage::Use;

impl Daemon {
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
        let scheme = Signature::of(version.record().algorithm)?;
        if let Some(own) = scheme.own(message) {
            own.check(key, message)?;
            let live = self.admit(key, version, caller, Use::Sign, true)?;
            return Ok(own.sign(&live, message)?.into());
        }
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
        let scheme = Signature::of(algorithm)?;
        if let Some(own) = scheme.own(message) {
            own.check(key, message)?;
            let live = self.admit(key, version, caller, Use::Verify, false)?.public()?;
            return own.verify(&live, message, signature);
        }
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
        if version.record().algorithm.shape() == KeyShape::Sm2 {
            check_size(key, plaintext.len(), 0)?;
            let live = self.admit(key, version, caller, Use::Encrypt, true)?.public()?;
            return sm2::encrypt_to(&live, plaintext);
        }
        let algorithm = version.record().algorithm;
        self.settings.check_offers(algorithm)?;
        let hash = oaep_hash(algorithm)?;
        let live = self.admit(key, version, caller, Use::Encrypt, true)?.public()?;
        let encrypted = match hash {
            Some(hash) => crypto::wrap::rsa_oaep(&live, hash, plaintext),
            None => crypto::wrap::rsa_pkcs1(&live, plaintext),
        };
        encrypted.map_err(|error| match error {
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
        if version.record().algorithm.shape() == KeyShape::Sm2 {
            let live = self.admit(key, version, caller, Use::Decrypt, false)?;
            return sm2::decrypt(&live, ciphertext).map_err(|_| cannot_decrypt());
        }
        let algorithm = version.record().algorithm;
        self.settings.check_offers(algorithm)?;
        let hash = oaep_hash(algorithm)?;
        let live = self.admit(key, version, caller, Use::Decrypt, false)?;
        let decrypted = match hash {
            Some(hash) => crypto::wrap::rsa_oaep_unwrap(&live, hash, ciphertext),
            None => crypto::wrap::rsa_pkcs1_unwrap(&live, ciphertext),
        };
        decrypted.map_err(|_| cannot_decrypt())
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
        let opened = match version.record().algorithm {
            Algorithm::KemXWing => xwing::decapsulate(&live, ciphertext),
            _ => post_quantum::decapsulate(&live, ciphertext),
        };
        opened.map_err(|_| cannot_decrypt())
    }

    /// The public key of a version, as `SubjectPublicKeyInfo`; none for versions that have none. The caller has checked
    /// the state.
    ///
    /// # Errors
    /// What the store says.
    pub fn public_key(&self, version: &VersionCell) -> Result<Option<Bytes>> {
        let record = version.record();
        // The private object has it too, and is there when an application has destroyed the public one.
        let private = record.objects.iter().find(|object| object.class == ObjectClass::PRIVATE_KEY);
        if let Some(private) = private {
            return Ok(Some(private.attributes.bytes(AttributeType::PUBLIC_KEY_INFO).into()));
        }
        let key_type = match record.algorithm.shape() {
            KeyShape::Secret(..) | KeyShape::XWing | KeyShape::Any => None,
            shape => shape.key_type(),
        };
        let (Some(key_type), Some(material)) = (key_type, self.records.material(&version.uid)?) else {
            return Ok(None);
        };
        let public = Key::from_material(ObjectClass::PRIVATE_KEY, key_type, &material)?.public()?;
        Ok(Some(public.to_material()?.as_slice().into()))
    }

    /// The public key of an X-Wing version in the draft's form; none for versions of another algorithm. The caller has
    /// checked the state.
    ///
    /// # Errors
    /// What the store says.
    pub fn xwing_public_key(&self, version: &VersionCell) -> Result<Option<Vec<u8>>> {
        if version.record().algorithm != Algorithm::KemXWing {
            return Ok(None);
        }
        let Some(seed) = self.records.material(&version.uid)? else { return Ok(None) };
        Ok(Some(xwing::public(&Key::Secret(seed))?))
    }
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
    if sm2::is(&key) {
        return sm2::encrypt(&key, material);
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

/// The hash of OAEP; none for PKCS #1 v1.5.
fn oaep_hash(algorithm: Algorithm) -> Result<Option<Hash>> {
    use Algorithm::*;
    Ok(match algorithm {
        RsaDecryptOaep2048Sha256 | RsaDecryptOaep3072Sha256 | RsaDecryptOaep4096Sha256 => Some(Hash::Sha256),
        RsaDecryptOaep4096Sha512 => Some(Hash::Sha512),
        RsaDecryptOaep2048Sha1 | RsaDecryptOaep3072Sha1 | RsaDecryptOaep4096Sha1 => Some(Hash::Sha1),
        RsaDecryptPkcs12048 => None,
        other => return not_here(other),
    })
}
