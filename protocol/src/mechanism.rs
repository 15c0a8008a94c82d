//! Table 3: every mechanism offered. The module reads parameters by it, the daemon checks keys and runs
//! recipes by it, `C_GetMechanismList` and `C_GetMechanismInfo` print it, the conformance matrix walks it.
//!
//! A mechanism is one row in `mechanism/rows.rs`; a new family is one row, one file in the daemon's `crypto/`,
//! one [`Recipe`].

mod rows;

pub use rows::{FIELD_BITS, MECHANISMS, RSA_BITS, SECRET_BYTES};

use std::sync::LazyLock;

use crate::mechanism_type::MechanismType;
use crate::object::KeyType;
use crate::params::Shape;

/// One row: a mechanism and all that is known of it without running it.
#[derive(Debug, Clone, Copy)]
pub struct MechanismRow {
    /// Its number.
    pub r#type: MechanismType,
    /// How the daemon performs it.
    pub recipe: Recipe,
    /// Types of the key it uses or makes; empty for mechanisms without a key.
    pub key_types: &'static [KeyType],
    /// Smallest and largest key, in the unit the standard gives this mechanism (RSA, EC: bits; AES: bytes); zeros
    /// where the standard gives them no meaning.
    pub key_sizes: (u64, u64),
    /// `CKF_*` of `C_GetMechanismInfo`, exactly the functions that accept it; [`MechanismRow::flags_in`] takes off
    /// what a profile does not allow.
    pub flags: u64,
    /// How its parameter looks.
    pub params: Shape,
    /// In which token profiles it exists.
    pub profiles: Profiles,
}

impl MechanismRow {
    /// The functions that accept it in a profile. `strict` wraps with nothing but ciphers made for it: bare block
    /// modes would let blocks be moved about (NIST SP 800-38F, 3.1), and under a nonce that the caller gives
    /// twice a known key uncovers an unknown one (NIST SP 800-38D, 8).
    pub fn flags_in(&self, profile: Profiles) -> u64 {
        use crate::flags::mechanism::{UNWRAP, WRAP};
        let refused = match self.recipe {
            _ if profile != Profiles::STRICT => 0,
            Recipe::Cipher(_, Mode::KeyWrap | Mode::KeyWrapPad | Mode::KeyWrapPkcs7) => 0,
            Recipe::Cipher(_, Mode::Gcm | Mode::Ccm | Mode::Poly1305) => WRAP,
            Recipe::Cipher(..) => WRAP | UNWRAP,
            _ => 0,
        };
        self.flags & !refused
    }
}

impl MechanismRow {
    /// The key sizes that it takes in a profile.
    pub fn sizes_in(&self, profile: Profiles) -> (u64, u64) {
        let least = self.key_types.first().map_or(0, |key_type| least_bits(*key_type, profile));
        (self.key_sizes.0.max(least), self.key_sizes.1)
    }
}

/// The least size in bits of a key pair of this type in a profile, where profiles differ: what NIST SP 800-131A
/// disallows is for tests of old applications alone (RSA below 1024 bits, curves below 224), so `legacy` has it.
pub fn least_bits(key_type: KeyType, profile: Profiles) -> u64 {
    match key_type {
        _ if profile == Profiles::LEGACY => 0,
        KeyType::RSA => 1024,
        KeyType::EC => 224,
        _ => 0,
    }
}

/// A set of token profiles (a ring has one; the admin sets it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profiles(pub u8);

impl Profiles {
    /// What common clients need.
    pub const STANDARD: Profiles = Profiles(1);
    /// Only what leaks nothing through the API.
    pub const STRICT: Profiles = Profiles(2);
    /// `STANDARD` and the broken mechanisms.
    pub const LEGACY: Profiles = Profiles(4);

    /// True when every profile of `other` is in `self`.
    pub const fn contains(self, other: Profiles) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a mechanism is performed; the daemon's `crypto/` has one file per family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// A message digest.
    Digest(Hash),
    /// SHA-512/t (FIPS 180-4, 5.3.6), with t in bits as the parameter.
    DigestSha512T,
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2); without a hash the caller's data is the `DigestInfo`.
    /// Without a hash also RSAES-PKCS1-v1_5 (7.2).
    RsaPkcs(Option<Hash>),
    /// RSASSA-PSS (RFC 8017, 8.1); without a hash the caller's data is the digest.
    RsaPss(Option<Hash>),
    /// RSAES-OAEP (RFC 8017, 7.1).
    RsaOaep,
    /// Raw RSA (`CKM_RSA_X_509`).
    RsaX509,
    /// ECDSA (FIPS 186-5, 6), signature r || s; without a hash the caller's data is the digest.
    Ecdsa(Option<Hash>),
    /// Ed25519 and Ed448 (RFC 8032).
    Eddsa,
    /// HMAC (RFC 2104); `general` takes the length of the MAC as its parameter.
    Hmac {
        /// The hash.
        hash: Hash,
        /// `CKM_*_HMAC_GENERAL`.
        general: bool,
    },
    /// CMAC (NIST SP 800-38B); `general` takes the length of the MAC as its parameter.
    Cmac {
        /// The block cipher.
        cipher: Cipher,
        /// `CKM_*_CMAC_GENERAL`.
        general: bool,
    },
    /// The last block of a CBC encryption, or half of it (FIPS 113); `general` takes its length as the parameter.
    CbcMac {
        /// The block cipher.
        cipher: Cipher,
        /// `CKM_*_MAC_GENERAL`.
        general: bool,
    },
    /// AES-XCBC-MAC (RFC 3566).
    XcbcMac {
        /// Length of the MAC in bytes.
        length: usize,
    },
    /// AES-GMAC (NIST SP 800-38D); the data is what GCM calls additional authenticated data.
    Gmac,
    /// Poly1305 (RFC 8439, 2.5).
    Poly1305,
    /// The key service's own encryption, with optional additional data as the parameter.
    KmsEnvelope,
    /// HMAC with SHA-512/t, with t in bits as the parameter.
    HmacSha512T,
    /// A key that is the hash of another key's value (PKCS#11 3.2, 6.20.6).
    HashKey(Hash),
    /// As [`Recipe::HashKey`] with SHA-512/t, t in bits as the parameter.
    HashKeySha512T,
    /// ECDH (NIST SP 800-56A, 5.7.1.2; RFC 7748).
    Ecdh {
        /// With the cofactor.
        cofactor: bool,
    },
    /// Diffie-Hellman of PKCS #3.
    Dh,
    /// Diffie-Hellman of ANSI X9.42.
    X942Dh,
    /// HKDF (RFC 5869).
    Hkdf {
        /// Gives a data object (`CKM_HKDF_DATA`).
        data: bool,
    },
    /// PBKDF2 (RFC 8018, 5.2).
    Pbkdf2,
    /// A mode of NIST SP 800-108.
    Sp800108(Sp800108),
    /// A key's value and more, one after the other (PKCS#11 3.2, 6.43).
    Concatenate(Concatenation),
    /// A key's value XORed with data.
    Xor,
    /// Bits of a key's value.
    Extract,
    /// Data encrypted under a key (6.18).
    EncryptData(Cipher, Mode),
    /// The public key of a private key.
    PublicFromPrivate,
    /// A cipher in a mode.
    Cipher(Cipher, Mode),
    /// A key under a fresh AES key (KWP), and that one under an RSA key (OAEP), one after the other
    /// (PKCS#11 3.2, 6.1.20).
    RsaAesKeyWrap,
    /// A key under an AES key (KWP) that comes of ECDH with a fresh key pair (PKCS#11 3.2, 6.3.21).
    EcdhAesKeyWrap,
    /// DSA (FIPS 186-4, 4), signature r || s; without a hash the caller's data is the digest.
    Dsa(Option<Hash>),
    /// ML-DSA (FIPS 204, 5.2 and 5.4), with the message's hash before it or without.
    MlDsa(PreHash),
    /// SLH-DSA (FIPS 205, 10.2), likewise.
    SlhDsa(PreHash),
    /// A key pair of a numbered parameter set; the key type is the row's.
    GenerateSet,
    /// A key pair over a prime field; the key type is the row's.
    GenerateField,
    /// The parameters of a prime field; the key type is the row's.
    GenerateFieldParameters,
    /// A secret key of random bytes; the key type is the row's.
    GenerateSecret,
    /// An RSA key pair.
    GenerateRsa,
    /// A key pair on a named curve of this kind.
    GenerateEc(CurveKind),
}

/// Message digests, and the extendable-output functions where a length is fixed or given.
#[allow(missing_docs, reason = "the names are FIPS 180-4's, FIPS 202's and RFC 7693's")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    /// With 256 bits of output where no other length is given (FIPS 202, A.2).
    Shake128,
    /// With 512 bits of output where no other length is given.
    Shake256,
    Blake2b160,
    Blake2b256,
    Blake2b384,
    Blake2b512,
    Md5,
    Ripemd160,
    Sm3,
}

/// What a signature of FIPS 204 or FIPS 205 is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreHash {
    /// The message itself.
    None,
    /// A digest that the caller has made, by the hash that the parameter names.
    Given,
    /// The message's digest by this hash.
    Made(Hash),
}

/// The modes of NIST SP 800-108.
#[allow(missing_docs, reason = "the names are the modes'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sp800108 {
    Counter,
    Feedback,
    DoublePipeline,
}

/// What stands before and behind in a concatenation.
#[allow(missing_docs, reason = "the names are the mechanisms'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concatenation {
    BaseAndKey,
    BaseAndData,
    DataAndBase,
}

/// Ciphers.
#[allow(missing_docs, reason = "the names are the ciphers'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cipher {
    Aes,
    /// One part.
    Des,
    /// Two or three parts.
    Des3,
    Aria,
    Sm4,
    ChaCha20,
}

/// Modes of operation (NIST SP 800-38A, 38C, 38D, 38F).
#[allow(missing_docs, reason = "the names are the modes'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    Ecb,
    Cbc,
    /// CBC with PKCS #7 padding (RFC 5652, 6.3).
    CbcPad,
    Ctr,
    Ofb,
    Cfb1,
    Cfb8,
    Cfb64,
    Cfb128,
    /// CBC with ciphertext stealing, CS1 (SP 800-38A, addendum).
    Cts,
    /// SP 800-38E
    Xts,
    Gcm,
    Ccm,
    /// A stream cipher by itself.
    Stream,
    /// A stream cipher with Poly1305 (RFC 8439, 2.8).
    Poly1305,
    /// KW (SP 800-38F, 6.2; RFC 3394).
    KeyWrap,
    /// KWP (SP 800-38F, 6.3; RFC 5649).
    KeyWrapPad,
    /// KW of data with PKCS #7 padding.
    KeyWrapPkcs7,
}

/// Kinds of elliptic curves, which PKCS#11 gives a key type each.
#[allow(missing_docs, reason = "the names are the curves'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CurveKind {
    Weierstrass,
    Edwards,
    Montgomery,
}

/// The row of a mechanism, if it is offered in any profile.
pub fn mechanism(r#type: MechanismType) -> Option<&'static MechanismRow> {
    /// By number: every Init looks here.
    static SORTED: LazyLock<Vec<&'static MechanismRow>> = LazyLock::new(|| {
        let mut rows: Vec<_> = MECHANISMS.iter().collect();
        rows.sort_by_key(|row| row.r#type);
        rows
    });
    let index = SORTED.binary_search_by_key(&r#type, |row| row.r#type).ok()?;
    Some(SORTED[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::mechanism::{DIGEST, WRAP};

    #[test]
    fn strict_wraps_with_ciphers_that_are_made_for_it() {
        for row in MECHANISMS.iter().filter(|row| row.profiles.contains(Profiles::STRICT)) {
            assert_eq!(row.flags_in(Profiles::STANDARD), row.flags);
            let wraps = row.flags_in(Profiles::STRICT) & WRAP != 0;
            let made_for_it = matches!(
                row.recipe,
                Recipe::Cipher(_, Mode::KeyWrap | Mode::KeyWrapPad | Mode::KeyWrapPkcs7)
                    | Recipe::RsaOaep
                    | Recipe::RsaAesKeyWrap
                    | Recipe::EcdhAesKeyWrap
            );
            assert!(!wraps || made_for_it, "{}", row.r#type);
        }
    }

    #[test]
    fn a_row_is_found_by_its_number() {
        for row in MECHANISMS {
            assert_eq!(mechanism(row.r#type).map(|found| found.r#type), Some(row.r#type));
        }
        assert!(mechanism(MechanismType(u64::MAX)).is_none());
    }

    #[test]
    fn no_mechanism_has_two_rows() {
        for (i, row) in MECHANISMS.iter().enumerate() {
            assert!(MECHANISMS[..i].iter().all(|other| other.r#type != row.r#type), "{}", row.r#type);
        }
    }

    #[test]
    fn every_mechanism_has_a_name_and_every_key_mechanism_a_key_type() {
        for row in MECHANISMS {
            assert!(row.r#type.name().is_some() || row.r#type.0 >= MechanismType::VENDOR_DEFINED.0);
            assert_eq!(row.key_types.is_empty(), row.flags & DIGEST != 0, "{}", row.r#type);
            assert!(row.key_sizes.0 <= row.key_sizes.1, "{}", row.r#type);
        }
    }
}
