//! How algorithms sign.

use claviger_protocol::params::Params;
use claviger_protocol::{Bytes, MechanismType};
use openssl::hash::{MessageDigest, hash};

use super::mechanisms::NO_MECHANISM;
use super::{Message, check_size, not_here, refuse};
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::{Key, post_quantum, sm2};
use crate::error::Result;
use crate::kms::algorithm::Algorithm;

/// `CKH_HEDGE_PREFERRED`
const HEDGE_PREFERRED: u64 = 0;

/// How an algorithm signs.
pub(super) struct Signature {
    pub(super) mechanism: MechanismType,
    /// None: data is signed as it is.
    pub(super) digest: Option<Digest>,
    /// What it does that is no mechanism of PKCS#11.
    own: Option<Own>,
}

/// What the key service signs without a mechanism of PKCS#11.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// SM2, with SM3.
    Sm2,
    /// ML-DSA over a digest of message and public key that somebody has made outside. Messages go through the
    /// mechanism.
    Mu,
}

impl Own {
    /// Judges what is to be signed.
    pub(super) fn check(self, key: &KeyCell, message: &Message<'_>) -> Result<()> {
        let (name, bytes) = (self.digest_name(), self.digest_bytes());
        match message {
            Message::Data(data) => check_size(key, data.len(), 0),
            Message::Digest(digest) if digest.len() == bytes => Ok(()),
            Message::Digest(_) => refuse(format!("{} signs {name} digests of {bytes} bytes", key.name)),
        }
    }

    fn digest_name(self) -> &'static str {
        match self {
            Own::Sm2 => "sm3",
            Own::Mu => "external-mu",
        }
    }

    fn digest_bytes(self) -> usize {
        match self {
            Own::Sm2 => sm2::SM3_BYTES,
            Own::Mu => post_quantum::MU_BYTES,
        }
    }

    pub(super) fn sign(self, live: &Key, message: &Message<'_>) -> Result<Vec<u8>> {
        match (self, message) {
            (Own::Sm2, Message::Data(data)) => sm2::sign(live, data),
            (Own::Sm2, Message::Digest(digest)) => sm2::sign_digest(live, digest),
            (Own::Mu, Message::Data(data) | Message::Digest(data)) => post_quantum::sign_mu(live, data),
        }
    }

    pub(super) fn verify(self, live: &Key, message: &Message<'_>, signature: &[u8]) -> Result<bool> {
        match (self, message) {
            (Own::Sm2, Message::Data(data)) => sm2::verify(live, data, signature),
            (Own::Sm2, Message::Digest(digest)) => sm2::verify_digest(live, digest, signature),
            (Own::Mu, Message::Data(data) | Message::Digest(data)) => {
                post_quantum::verify_mu(live, data, signature)
            }
        }
    }
}

/// A digest: its name, OpenSSL's, PKCS#11's, its MGF1, and what DER says before it (RFC 8017, 9.2).
#[derive(Clone, Copy)]
pub(super) struct Digest {
    pub(super) name: &'static str,
    pub(super) new: fn() -> MessageDigest,
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
    pub(super) fn of(algorithm: Algorithm) -> Result<Signature> {
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
            EcSignSm2Sm3 => {
                return Ok(Signature { mechanism: NO_MECHANISM, digest: None, own: Some(Own::Sm2) });
            }
            PqSignMlDsa44 | PqSignMlDsa65 | PqSignMlDsa87 => (MechanismType::ML_DSA, None),
            PqSignMlDsa44ExternalMu | PqSignMlDsa65ExternalMu | PqSignMlDsa87ExternalMu => {
                let own = Some(Own::Mu);
                return Ok(Signature { mechanism: MechanismType::ML_DSA, digest: None, own });
            }
            PqSignSlhDsaSha2128s => (MechanismType::SLH_DSA, None),
            PqSignHashSlhDsaSha2128sSha256 => (MechanismType::HASH_SLH_DSA, Some(SHA256)),
            other => return not_here(other),
        };
        Ok(Signature { mechanism, digest, own: None })
    }

    /// What signs this message instead of the mechanism.
    pub(super) fn own(&self, message: &Message<'_>) -> Option<Own> {
        self.own.filter(|own| *own == Own::Sm2 || matches!(message, Message::Digest(_)))
    }

    /// The name of the digests that it signs.
    pub(super) fn digest_name(&self) -> Option<&'static str> {
        self.digest.map(|digest| digest.name).or(self.own.map(Own::digest_name))
    }

    pub(super) fn is_ecdsa(&self) -> bool {
        self.mechanism == MechanismType::ECDSA
    }

    pub(super) fn params(&self) -> Params {
        match self.digest {
            Some(digest) if self.mechanism == MechanismType::RSA_PKCS_PSS => {
                Params::Pss { hash: digest.mechanism, mgf: digest.mgf, salt_len: digest.bytes as u64 }
            }
            Some(digest) if self.mechanism == MechanismType::HASH_SLH_DSA => Params::SignContext {
                hedge: HEDGE_PREFERRED,
                context: Bytes::default(),
                hash: Some(digest.mechanism),
            },
            _ => Params::None,
        }
    }

    /// What the mechanism signs.
    pub(super) fn input(&self, key: &KeyCell, message: &Message<'_>) -> Result<Vec<u8>> {
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

/// Judges the name of a digest that somebody gave for a version.
///
/// # Errors
/// `InvalidArgument` when the version's algorithm has another one.
pub fn check_digest_name(version: &VersionCell, name: &str) -> Result<()> {
    let algorithm = version.record().algorithm;
    let has = Signature::of(algorithm)?.digest_name();
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "");
    if has.is_some_and(|has| plain(has) == plain(name)) {
        return Ok(());
    }
    refuse(format!("{} signs {}", algorithm.name(), has.map_or("data, not digests", |has| has)))
}
