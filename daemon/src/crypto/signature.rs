//! Signature schemes: what [`Signer`](super::Signer) and [`Verifier`](super::Verifier) do at the end, when the
//! message has gone through its hash.

use std::ffi::CStr;

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{Hash, MechanismRow, Recipe};
use claviger_protocol::params::Params;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{HasPublic, Id, PKeyRef, Private, Public};
use openssl::pkey_ctx::{PkeyCtx, PkeyCtxRef};

use super::ffi;
use super::key::Key;
use super::post_quantum;
use super::rsa::SignaturePadding;
use crate::error::{Error, Result};

/// A signature scheme with its parameters.
pub enum Scheme {
    /// RSA with a padding.
    Rsa(SignaturePadding),
    /// ECDSA (FIPS 186-5, 6), and DSA (FIPS 186-4, 4), whose signatures look the same.
    Ecdsa,
    /// EdDSA (RFC 8032): the instance if it is not the pure one, and its context.
    Eddsa(Option<&'static CStr>, Bytes),
    /// ML-DSA and SLH-DSA.
    PostQuantum(post_quantum::Signature),
}

impl Scheme {
    /// The scheme of a mechanism for this key, and the hash that the message goes through before it.
    ///
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`; `MechanismInvalid` for mechanisms that sign
    /// with no key pair.
    pub fn new(row: &MechanismRow, params: &Params, key: &Key) -> Result<(Scheme, Option<Hash>)> {
        if let Recipe::MlDsa(hash) | Recipe::SlhDsa(hash) = row.recipe {
            let (signature, hash) = post_quantum::Signature::new(hash, params)?;
            return Ok((Scheme::PostQuantum(signature), hash));
        }
        let ids: &[Id] = match row.recipe {
            Recipe::RsaPkcs(_) | Recipe::RsaPss(_) | Recipe::RsaX509 => &[Id::RSA],
            Recipe::Ecdsa(_) => &[Id::EC],
            Recipe::Dsa(_) => &[Id::DSA],
            Recipe::Eddsa => &[Id::ED25519, Id::ED448],
            _ => return Err(Error::MechanismInvalid),
        };
        key.expect(ids)?;
        key.check_size(row)?;
        match row.recipe {
            Recipe::Ecdsa(hash) | Recipe::Dsa(hash) if *params == Params::None => Ok((Scheme::Ecdsa, hash)),
            Recipe::Ecdsa(_) | Recipe::Dsa(_) => Err(Error::MechanismParamInvalid),
            Recipe::Eddsa => Ok((eddsa(params, key)?, None)),
            _ => {
                let (padding, hash) = match key {
                    Key::Private(key) => SignaturePadding::new(row, params, key)?,
                    Key::Public(key) => SignaturePadding::new(row, params, key)?,
                    Key::Secret(_) => return Err(Error::KeyTypeInconsistent),
                };
                Ok((Scheme::Rsa(padding), hash))
            }
        }
    }

    /// True if the scheme signs a message itself, and reads it more than once, rather than a digest.
    pub fn takes_a_message(&self) -> bool {
        match self {
            Scheme::Rsa(_) | Scheme::Ecdsa => false,
            Scheme::Eddsa(..) => true,
            Scheme::PostQuantum(signature) => signature.takes_a_message(),
        }
    }

    /// Length of a signature by this key, in bytes.
    pub fn length(&self, key: &Key) -> usize {
        match key {
            Key::Private(key) => self.length_by(key),
            Key::Public(key) => self.length_by(key),
            Key::Secret(_) => 0,
        }
    }

    fn length_by<T: HasPublic>(&self, key: &PKeyRef<T>) -> usize {
        match self {
            Scheme::Rsa(_) | Scheme::Eddsa(..) | Scheme::PostQuantum(_) => key.size(),
            Scheme::Ecdsa => 2 * order_length(key),
        }
    }

    /// Signs a digest, or the message itself where the scheme has no hash before it. `DataLenRange`.
    pub fn sign(&self, key: &PKeyRef<Private>, data: &[u8]) -> Result<Bytes> {
        let signature = match self {
            Scheme::Rsa(padding) => padding.sign(key, data)?,
            Scheme::Ecdsa => ecdsa_sign(key, data)?,
            Scheme::PostQuantum(scheme) => scheme.sign(key, data)?,
            Scheme::Eddsa(instance, context) => {
                let mut md = MdCtx::new()?;
                set_eddsa(md.digest_sign_init(None, key)?, *instance, context)?;
                let mut signature = vec![0; key.size()];
                let length = md.digest_sign(data, Some(&mut signature))?;
                signature.truncate(length);
                signature
            }
        };
        Ok(signature.into())
    }

    /// Checks a signature. `SignatureLenRange`, `SignatureInvalid`, `DataLenRange`.
    pub fn verify(&self, key: &PKeyRef<Public>, data: &[u8], signature: &[u8]) -> Result<()> {
        self.check_length(key, signature)?;
        let valid = match self {
            Scheme::Rsa(padding) => return padding.verify(key, data, signature),
            Scheme::Ecdsa => ecdsa_verify(key, data, signature)?,
            Scheme::PostQuantum(scheme) => scheme.verify(key, data, signature)?,
            Scheme::Eddsa(instance, context) => {
                let mut md = MdCtx::new()?;
                set_eddsa(md.digest_verify_init(None, key)?, *instance, context)?;
                md.digest_verify(data, signature).unwrap_or(false)
            }
        };
        if valid { Ok(()) } else { Err(Error::SignatureInvalid) }
    }

    /// The data in a signature. `SignatureLenRange`, `SignatureInvalid`; `MechanismInvalid` where it cannot be
    /// recovered.
    pub fn recover(&self, key: &PKeyRef<Public>, signature: &[u8]) -> Result<Bytes> {
        let Scheme::Rsa(padding) = self else { return Err(Error::MechanismInvalid) };
        self.check_length(key, signature)?;
        Ok(padding.recover(key, signature)?.into())
    }

    fn check_length(&self, key: &PKeyRef<Public>, signature: &[u8]) -> Result<()> {
        let length = self.length_by(key);
        let fits = match self {
            // PKCS#11 3.2, 6.3.1: shorter halves are to be verified as well.
            Scheme::Ecdsa => {
                !signature.is_empty() && signature.len() <= length && signature.len().is_multiple_of(2)
            }
            Scheme::Rsa(_) | Scheme::Eddsa(..) | Scheme::PostQuantum(_) => signature.len() == length,
        };
        if fits { Ok(()) } else { Err(Error::SignatureLenRange) }
    }
}

/// Length of the group order in bytes.
fn order_length<T: HasPublic>(key: &PKeyRef<T>) -> usize {
    match key.id() {
        Id::DSA => ffi::number(key, c"q").map_or(0, |order| order.len()),
        _ => key.bits().div_ceil(8) as usize,
    }
}

/// The longest digest there is, in bytes. What is longer is no digest, and would be cut off unseen.
const LONGEST_DIGEST: usize = 64;

/// OpenSSL speaks DER, PKCS#11 r || s (3.2, 6.3.1).
fn ecdsa_sign(key: &PKeyRef<Private>, digest: &[u8]) -> Result<Vec<u8>> {
    if digest.is_empty() || digest.len() > LONGEST_DIGEST.max(order_length(key)) {
        return Err(Error::DataLenRange);
    }
    let mut context = PkeyCtx::new(key)?;
    context.sign_init()?;
    let mut der = vec![0; key.size()];
    let length = context.sign(digest, Some(&mut der))?;
    let signature = EcdsaSig::from_der(&der[..length])?;
    let half = order_length(key) as i32;
    let mut raw = signature.r().to_vec_padded(half)?;
    raw.extend(signature.s().to_vec_padded(half)?);
    Ok(raw)
}

fn ecdsa_verify(key: &PKeyRef<Public>, digest: &[u8], signature: &[u8]) -> Result<bool> {
    if digest.is_empty() || digest.len() > LONGEST_DIGEST.max(order_length(key)) {
        return Err(Error::DataLenRange);
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    let der = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    Ok(context.verify(digest, &der).unwrap_or(false))
}

/// The instance that a parameter and a key choose (PKCS#11 3.2, table "Mapping to RFC 8032 signature schemes").
/// An empty context without prehash is the pure instance on both curves: RFC 8032 (section 5.1) asks Ed25519ctx
/// for a context that is not empty.
fn eddsa(params: &Params, key: &Key) -> Result<Scheme> {
    /// RFC 8032, 5.1 and 5.2
    const LONGEST_CONTEXT: usize = 255;
    let (prehash, context) = match params {
        Params::None => (false, Bytes::default()),
        Params::Eddsa { prehash, context } if context.len() <= LONGEST_CONTEXT => (*prehash, context.clone()),
        _ => return Err(Error::MechanismParamInvalid),
    };
    let on_25519 = key.expect(&[Id::ED25519]).is_ok();
    let instance = match (on_25519, prehash, context.is_empty()) {
        (true, true, _) => Some(c"Ed25519ph"),
        (false, true, _) => Some(c"Ed448ph"),
        (true, false, false) => Some(c"Ed25519ctx"),
        (false, false, false) => Some(c"Ed448"),
        (_, false, true) => None,
    };
    Ok(Scheme::Eddsa(instance, context))
}

fn set_eddsa<T>(context: &mut PkeyCtxRef<T>, instance: Option<&CStr>, string: &[u8]) -> Result<()> {
    if let Some(instance) = instance {
        ffi::set_text(context, c"instance", instance)?;
    }
    if !string.is_empty() {
        context.set_context_string(string)?;
    }
    Ok(())
}
