//! Purposes, protection levels and algorithms: one table, whose names and numbers are Google Cloud KMS's.

use claviger_protocol::{AttributeType, KeyType, MechanismType, ObjectClass};

use crate::attributes::Attributes;
use crate::crypto::curve::Curve;
use crate::error::{Error, Result};

/// Declares an enumeration that the store keeps by its rows' numbers, which never change, so that rows can be
/// added anywhere.
macro_rules! numbered {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $name:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $($(#[$vdoc])* $name,)* }

        impl $type {
            /// Every one, in the order of the table.
            pub const ALL: &'static [$type] = &[$($type::$name,)*];

            /// Its name in JSON and messages.
            pub fn name(self) -> &'static str {
                match self { $($type::$name => $text,)* }
            }

            /// Its number in the store: Google Cloud KMS's, or 1000 and more for what only this daemon has.
            pub fn number(self) -> u32 {
                match self { $($type::$name => $number,)* }
            }

            /// The one with this name, in upper case with underscores or in lower case with dashes.
            pub fn from_name(name: &str) -> Option<$type> {
                Self::ALL.iter().copied().find(|one| {
                    one.name() == name || one.name().to_ascii_lowercase().replace('_', "-") == name
                })
            }
        }

        impl bincode::Encode for $type {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> std::result::Result<(), bincode::error::EncodeError> {
                self.number().encode(encoder)
            }
        }

        impl<Context> bincode::Decode<Context> for $type {
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> std::result::Result<Self, bincode::error::DecodeError> {
                let number: u32 = bincode::Decode::decode(decoder)?;
                let found = Self::ALL.iter().copied().find(|one| one.number() == number);
                found.ok_or(bincode::error::DecodeError::Other(concat!("no such ", stringify!($type))))
            }
        }

        bincode::impl_borrow_decode!($type);
    };
}

pub(super) use numbered;

/// A person's text in a message: without control characters that a terminal would obey, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut start: String = text.chars().take(MAX_CHARS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

numbered! {
    /// What all versions of a key are for.
    Purpose {
        /// Symmetric encryption in the key service's own ciphertext format.
        EncryptDecrypt = 1, "ENCRYPT_DECRYPT";
        /// Signatures.
        AsymmetricSign = 5, "ASYMMETRIC_SIGN";
        /// Decryption of what was encrypted with the public key.
        AsymmetricDecrypt = 6, "ASYMMETRIC_DECRYPT";
        /// Symmetric encryption in a bare mode of operation.
        RawEncryptDecrypt = 7, "RAW_ENCRYPT_DECRYPT";
        /// Message authentication codes.
        Mac = 9, "MAC";
        /// Key encapsulation.
        KeyEncapsulation = 10, "KEY_ENCAPSULATION";
        /// Keys under keys (AES key wrap with padding), by applications.
        AesWrapping = 11, "AES_WRAPPING";
        /// Made by a PKCS#11 application for uses that are no one purpose of the key service.
        P11Generic = 1000, "P11_GENERIC";
    }
}

/// What the command line calls the purposes.
const PURPOSE_WORDS: &[(&str, Purpose)] = &[
    ("encryption", Purpose::EncryptDecrypt),
    ("asymmetric-signing", Purpose::AsymmetricSign),
    ("asymmetric-encryption", Purpose::AsymmetricDecrypt),
    ("raw-encryption", Purpose::RawEncryptDecrypt),
    ("mac", Purpose::Mac),
    ("key-encapsulation", Purpose::KeyEncapsulation),
    ("aes-wrapping", Purpose::AesWrapping),
];

impl Purpose {
    /// The purpose that a person means, by its name or the command line's word.
    ///
    /// # Errors
    /// `InvalidArgument` for any other text.
    pub fn parse(text: &str) -> Result<Purpose> {
        let word = PURPOSE_WORDS.iter().find(|(word, _)| *word == text).map(|(_, purpose)| *purpose);
        let purpose = word.or_else(|| Purpose::from_name(text));
        purpose.filter(|purpose| *purpose != Purpose::P11Generic).ok_or_else(|| {
            let words: Vec<_> = PURPOSE_WORDS.iter().map(|(word, _)| *word).collect();
            let message = format!("{} is no purpose; there are {}", quoted(text), words.join(", "));
            Error::InvalidArgument { message }
        })
    }

    /// The usage flags of its objects of a class: what PKCS#11 applications may do with them.
    pub fn usage(self, class: ObjectClass) -> impl Iterator<Item = AttributeType> {
        let row = usage_row(self, class);
        row.into_iter().flat_map(|row| row.natural.iter().chain(row.optional).copied())
    }
}

/// Which usage flags a purpose means on an object.
struct UsageRow {
    purpose: Purpose,
    class: ObjectClass,
    /// Flags that an object of this purpose has,
    natural: &'static [AttributeType],
    /// and flags that it may have besides.
    optional: &'static [AttributeType],
}

const fn usage(
    purpose: Purpose,
    class: ObjectClass,
    natural: &'static [AttributeType],
    optional: &'static [AttributeType],
) -> UsageRow {
    UsageRow { purpose, class, natural, optional }
}

use AttributeType as A;
use ObjectClass as O;

const USAGE: &[UsageRow] = &[
    usage(Purpose::EncryptDecrypt, O::SECRET_KEY, &[A::ENCRYPT, A::DECRYPT], &[]),
    usage(Purpose::RawEncryptDecrypt, O::SECRET_KEY, &[A::ENCRYPT, A::DECRYPT], &[]),
    usage(Purpose::Mac, O::SECRET_KEY, &[A::SIGN, A::VERIFY], &[]),
    usage(Purpose::AsymmetricSign, O::PRIVATE_KEY, &[A::SIGN], &[]),
    usage(Purpose::AsymmetricSign, O::PUBLIC_KEY, &[A::VERIFY], &[]),
    usage(Purpose::AsymmetricDecrypt, O::PRIVATE_KEY, &[A::DECRYPT], &[A::UNWRAP]),
    usage(Purpose::AsymmetricDecrypt, O::PUBLIC_KEY, &[A::ENCRYPT], &[A::WRAP]),
    usage(Purpose::KeyEncapsulation, O::PRIVATE_KEY, &[A::DECAPSULATE], &[]),
    usage(Purpose::KeyEncapsulation, O::PUBLIC_KEY, &[A::ENCAPSULATE], &[]),
    usage(Purpose::AesWrapping, O::SECRET_KEY, &[A::WRAP, A::UNWRAP], &[]),
];

fn usage_row(purpose: Purpose, class: ObjectClass) -> Option<&'static UsageRow> {
    USAGE.iter().find(|row| row.purpose == purpose && row.class == class)
}

impl UsageRow {
    /// True when the object's usage flags mean this purpose and nothing else.
    fn is_meant_by(&self, attributes: &Attributes) -> bool {
        let class = attributes.class().unwrap_or(ObjectClass::DATA);
        let flags = claviger_protocol::attribute::rows(class, attributes.key_type())
            .filter(|row| row.rules.has(claviger_protocol::attribute::USAGE))
            .map(|row| row.r#type);
        let (mut has_all, mut has_others) = (true, false);
        for flag in flags {
            let on = attributes.is_true(flag);
            has_all &= on || !self.natural.contains(&flag);
            has_others |= on && !self.natural.contains(&flag) && !self.optional.contains(&flag);
        }
        has_all && !has_others
    }
}

numbered! {
    /// Where a key lives. This daemon runs the same code for both: `HSM` is emulated.
    ProtectionLevel {
        /// In the daemon.
        Software = 1, "SOFTWARE";
        /// In the daemon, under an HSM's rules.
        Hsm = 2, "HSM";
    }
}

impl ProtectionLevel {
    /// The level that a person means.
    ///
    /// # Errors
    /// `InvalidArgument` for any other text.
    pub fn parse(text: &str) -> Result<ProtectionLevel> {
        ProtectionLevel::from_name(text).ok_or_else(|| Error::InvalidArgument {
            message: format!(
                "{} is no protection level that is offered: there are software and hsm",
                quoted(text)
            ),
        })
    }
}

/// What a key of an algorithm is made of, and how PKCS#11 sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShape {
    /// A secret key of this type and so many bytes. Imported raw.
    Secret(KeyType, usize),
    /// An RSA pair with a modulus of so many bits. Imported as PKCS #8.
    Rsa(u32),
    /// A pair on the curve of this name in the table of [`curve`](crate::crypto::curve). Imported as PKCS #8.
    Curve(&'static str),
    /// A pair of a key type with numbered parameter sets, and the set (`CKP_*`). Imported as PKCS #8.
    Set(KeyType, u64),
    /// An SM2 pair, which only the key service uses. Imported as PKCS #8; applications do not see it.
    Sm2,
    /// An X-Wing key, which only the key service uses. Never imported: no format of its import is settled.
    XWing,
    /// Whatever PKCS#11 knows. Never imported through a job.
    Any,
}

/// One row of the table of algorithms.
#[derive(Debug, Clone, Copy)]
pub struct AlgorithmRow {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// What keys of it are for.
    pub purpose: Purpose,
    /// What keys of it are.
    pub shape: KeyShape,
    /// It is the one of its purpose and shape that a key gets which a PKCS#11 application makes.
    from_pkcs11: bool,
}

/// Origin column: only the key service's verbs make such keys.
const KMS: bool = false;
/// Origin column: PKCS#11 applications make such keys too.
const P11: bool = true;

macro_rules! algorithms {
    ($($name:ident = $number:literal, $text:literal, $purpose:ident, $shape:expr, $origin:ident;)*) => {
        numbered! {
            /// What a version's material is for, precisely.
            #[allow(missing_docs, reason = "the names are Google Cloud KMS's")]
            Algorithm { $($name = $number, $text;)* }
        }

        /// The table.
        pub const ALGORITHMS: &[AlgorithmRow] = &[$(AlgorithmRow {
            algorithm: Algorithm::$name,
            purpose: Purpose::$purpose,
            shape: $shape,
            from_pkcs11: $origin,
        },)*];
    };
}

const AES_128: KeyShape = KeyShape::Secret(KeyType::AES, 16);
const AES_192: KeyShape = KeyShape::Secret(KeyType::AES, 24);
const AES_256: KeyShape = KeyShape::Secret(KeyType::AES, 32);
const SM4: KeyShape = KeyShape::Secret(KeyType::SM4, 16);
const RSA_2048: KeyShape = KeyShape::Rsa(2048);
const RSA_3072: KeyShape = KeyShape::Rsa(3072);
const RSA_4096: KeyShape = KeyShape::Rsa(4096);
const ML_DSA_44: KeyShape = KeyShape::Set(KeyType::ML_DSA, 1);
const ML_DSA_65: KeyShape = KeyShape::Set(KeyType::ML_DSA, 2);
const ML_DSA_87: KeyShape = KeyShape::Set(KeyType::ML_DSA, 3);
const SLH_DSA_SHA2_128S: KeyShape = KeyShape::Set(KeyType::SLH_DSA, 1);
const ML_KEM_768: KeyShape = KeyShape::Set(KeyType::ML_KEM, 2);
const ML_KEM_1024: KeyShape = KeyShape::Set(KeyType::ML_KEM, 3);

// PSS salts and HMAC keys are as long as the digest, MGF1 uses the digest's hash, OAEP labels are empty.
algorithms! {
    GoogleSymmetricEncryption = 1, "GOOGLE_SYMMETRIC_ENCRYPTION", EncryptDecrypt, AES_256, KMS;
    Aes128Encryption = 1001, "AES_128_ENCRYPTION", EncryptDecrypt, AES_128, KMS;
    Aes192Encryption = 1002, "AES_192_ENCRYPTION", EncryptDecrypt, AES_192, KMS;
    Sm4Encryption = 1003, "SM4_ENCRYPTION", EncryptDecrypt, SM4, KMS;

    Aes128Gcm = 41, "AES_128_GCM", RawEncryptDecrypt, AES_128, P11;
    Aes192Gcm = 1011, "AES_192_GCM", RawEncryptDecrypt, AES_192, P11;
    Aes256Gcm = 19, "AES_256_GCM", RawEncryptDecrypt, AES_256, P11;
    Aes128Cbc = 42, "AES_128_CBC", RawEncryptDecrypt, AES_128, KMS;
    Aes192Cbc = 1012, "AES_192_CBC", RawEncryptDecrypt, AES_192, KMS;
    Aes256Cbc = 43, "AES_256_CBC", RawEncryptDecrypt, AES_256, KMS;
    Aes128Ctr = 44, "AES_128_CTR", RawEncryptDecrypt, AES_128, KMS;
    Aes192Ctr = 1013, "AES_192_CTR", RawEncryptDecrypt, AES_192, KMS;
    Aes256Ctr = 45, "AES_256_CTR", RawEncryptDecrypt, AES_256, KMS;
    Sm4Gcm = 1014, "SM4_GCM", RawEncryptDecrypt, SM4, KMS;
    Sm4Cbc = 1015, "SM4_CBC", RawEncryptDecrypt, SM4, KMS;
    Sm4Ctr = 1016, "SM4_CTR", RawEncryptDecrypt, SM4, KMS;

    RsaSignPss2048Sha256 = 2, "RSA_SIGN_PSS_2048_SHA256", AsymmetricSign, RSA_2048, KMS;
    RsaSignPss3072Sha256 = 3, "RSA_SIGN_PSS_3072_SHA256", AsymmetricSign, RSA_3072, KMS;
    RsaSignPss4096Sha256 = 4, "RSA_SIGN_PSS_4096_SHA256", AsymmetricSign, RSA_4096, KMS;
    RsaSignPss4096Sha512 = 15, "RSA_SIGN_PSS_4096_SHA512", AsymmetricSign, RSA_4096, KMS;
    RsaSignPkcs12048Sha256 = 5, "RSA_SIGN_PKCS1_2048_SHA256", AsymmetricSign, RSA_2048, KMS;
    RsaSignPkcs13072Sha256 = 6, "RSA_SIGN_PKCS1_3072_SHA256", AsymmetricSign, RSA_3072, KMS;
    RsaSignPkcs14096Sha256 = 7, "RSA_SIGN_PKCS1_4096_SHA256", AsymmetricSign, RSA_4096, KMS;
    RsaSignPkcs14096Sha512 = 16, "RSA_SIGN_PKCS1_4096_SHA512", AsymmetricSign, RSA_4096, KMS;
    RsaSignRawPkcs12048 = 28, "RSA_SIGN_RAW_PKCS1_2048", AsymmetricSign, RSA_2048, P11;
    RsaSignRawPkcs13072 = 29, "RSA_SIGN_RAW_PKCS1_3072", AsymmetricSign, RSA_3072, P11;
    RsaSignRawPkcs14096 = 30, "RSA_SIGN_RAW_PKCS1_4096", AsymmetricSign, RSA_4096, P11;
    EcSignP256Sha256 = 12, "EC_SIGN_P256_SHA256", AsymmetricSign, KeyShape::Curve("P-256"), P11;
    EcSignP384Sha384 = 13, "EC_SIGN_P384_SHA384", AsymmetricSign, KeyShape::Curve("P-384"), P11;
    EcSignP521Sha512 = 1021, "EC_SIGN_P521_SHA512", AsymmetricSign, KeyShape::Curve("P-521"), P11;
    EcSignSecp256k1Sha256 = 31, "EC_SIGN_SECP256K1_SHA256", AsymmetricSign, KeyShape::Curve("secp256k1"), P11;
    EcSignEd25519 = 40, "EC_SIGN_ED25519", AsymmetricSign, KeyShape::Curve("ED25519"), P11;
    EcSignEd448 = 1022, "EC_SIGN_ED448", AsymmetricSign, KeyShape::Curve("ED448"), P11;
    EcSignSm2Sm3 = 1023, "EC_SIGN_SM2_SM3", AsymmetricSign, KeyShape::Sm2, KMS;
    PqSignMlDsa44 = 68, "PQ_SIGN_ML_DSA_44", AsymmetricSign, ML_DSA_44, P11;
    PqSignMlDsa65 = 56, "PQ_SIGN_ML_DSA_65", AsymmetricSign, ML_DSA_65, P11;
    PqSignMlDsa87 = 69, "PQ_SIGN_ML_DSA_87", AsymmetricSign, ML_DSA_87, P11;
    PqSignMlDsa44ExternalMu = 70, "PQ_SIGN_ML_DSA_44_EXTERNAL_MU", AsymmetricSign, ML_DSA_44, KMS;
    PqSignMlDsa65ExternalMu = 67, "PQ_SIGN_ML_DSA_65_EXTERNAL_MU", AsymmetricSign, ML_DSA_65, KMS;
    PqSignMlDsa87ExternalMu = 71, "PQ_SIGN_ML_DSA_87_EXTERNAL_MU", AsymmetricSign, ML_DSA_87, KMS;
    PqSignSlhDsaSha2128s = 57, "PQ_SIGN_SLH_DSA_SHA2_128S", AsymmetricSign, SLH_DSA_SHA2_128S, P11;
    PqSignHashSlhDsaSha2128sSha256 = 60, "PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256", AsymmetricSign, SLH_DSA_SHA2_128S, KMS;

    RsaDecryptOaep2048Sha256 = 8, "RSA_DECRYPT_OAEP_2048_SHA256", AsymmetricDecrypt, RSA_2048, P11;
    RsaDecryptOaep3072Sha256 = 9, "RSA_DECRYPT_OAEP_3072_SHA256", AsymmetricDecrypt, RSA_3072, P11;
    RsaDecryptOaep4096Sha256 = 10, "RSA_DECRYPT_OAEP_4096_SHA256", AsymmetricDecrypt, RSA_4096, P11;
    RsaDecryptOaep4096Sha512 = 17, "RSA_DECRYPT_OAEP_4096_SHA512", AsymmetricDecrypt, RSA_4096, KMS;
    RsaDecryptOaep2048Sha1 = 37, "RSA_DECRYPT_OAEP_2048_SHA1", AsymmetricDecrypt, RSA_2048, KMS;
    RsaDecryptOaep3072Sha1 = 38, "RSA_DECRYPT_OAEP_3072_SHA1", AsymmetricDecrypt, RSA_3072, KMS;
    RsaDecryptOaep4096Sha1 = 39, "RSA_DECRYPT_OAEP_4096_SHA1", AsymmetricDecrypt, RSA_4096, KMS;

    RsaDecryptPkcs12048 = 1042, "RSA_DECRYPT_PKCS1_2048", AsymmetricDecrypt, RSA_2048, KMS;
    Sm2Decrypt = 1041, "SM2_DECRYPT", AsymmetricDecrypt, KeyShape::Sm2, KMS;

    MlKem768 = 47, "ML_KEM_768", KeyEncapsulation, ML_KEM_768, P11;
    MlKem1024 = 48, "ML_KEM_1024", KeyEncapsulation, ML_KEM_1024, P11;
    KemXWing = 63, "KEM_XWING", KeyEncapsulation, KeyShape::XWing, KMS;

    HmacSha256 = 32, "HMAC_SHA256", Mac, KeyShape::Secret(KeyType::SHA256_HMAC, 32), P11;
    HmacSha1 = 33, "HMAC_SHA1", Mac, KeyShape::Secret(KeyType::SHA_1_HMAC, 20), P11;
    HmacSha384 = 34, "HMAC_SHA384", Mac, KeyShape::Secret(KeyType::SHA384_HMAC, 48), P11;
    HmacSha512 = 35, "HMAC_SHA512", Mac, KeyShape::Secret(KeyType::SHA512_HMAC, 64), P11;
    HmacSha224 = 36, "HMAC_SHA224", Mac, KeyShape::Secret(KeyType::SHA224_HMAC, 28), P11;

    HmacSm3 = 1031, "HMAC_SM3", Mac, KeyShape::Secret(KeyType::SM3_HMAC, 32), KMS;

    Aes256Kwp = 73, "AES_256_KWP", AesWrapping, AES_256, KMS;

    P11Generic = 1000, "P11_GENERIC", P11Generic, KeyShape::Any, KMS;
}

impl Algorithm {
    /// Its row.
    pub fn row(self) -> &'static AlgorithmRow {
        // The table and the enumeration come from the same lines, in the same order.
        &ALGORITHMS[self as usize]
    }

    /// What keys of it are for.
    pub fn purpose(self) -> Purpose {
        self.row().purpose
    }

    /// What keys of it are.
    pub fn shape(self) -> KeyShape {
        self.row().shape
    }

    /// The algorithm that a person means, in upper case with underscores or in lower case with dashes.
    ///
    /// # Errors
    /// `InvalidArgument` for any other text, and for `P11_GENERIC`, which only PKCS#11 applications make.
    pub fn parse(text: &str) -> Result<Algorithm> {
        let algorithm = Algorithm::from_name(text).filter(|algorithm| *algorithm != Algorithm::P11Generic);
        algorithm.ok_or_else(|| Error::InvalidArgument {
            message: format!("{} is no algorithm that is offered, such as ec-sign-p256-sha256", quoted(text)),
        })
    }

    /// The mechanism that applications use its keys with, for algorithms that are one mechanism and no more.
    pub fn only_mechanism(self) -> Option<MechanismType> {
        (self == Algorithm::Aes256Kwp).then_some(MechanismType::AES_KEY_WRAP_KWP)
    }

    /// The algorithms of a purpose.
    pub fn of_purpose(purpose: Purpose) -> impl Iterator<Item = Algorithm> {
        ALGORITHMS.iter().filter(move |row| row.purpose == purpose).map(|row| row.algorithm)
    }

    /// Purpose and algorithm of a key that a PKCS#11 application makes: the one that its usage flags mean, or
    /// `P11_GENERIC` when they mean several or none. Takes the attributes of the secret or private key.
    pub fn for_pkcs11(attributes: &Attributes) -> (Purpose, Algorithm) {
        let Some(class) = attributes.class() else { return (Purpose::P11Generic, Algorithm::P11Generic) };
        let found = ALGORITHMS.iter().find(|row| {
            row.from_pkcs11
                && row.shape.fits(attributes)
                && usage_row(row.purpose, class).is_some_and(|usage| usage.is_meant_by(attributes))
        });
        found.map_or((Purpose::P11Generic, Algorithm::P11Generic), |row| (row.purpose, row.algorithm))
    }
}

impl KeyShape {
    /// `CKA_KEY_TYPE` of its objects; none for keys of any shape.
    pub fn key_type(self) -> Option<KeyType> {
        match self {
            KeyShape::Secret(key_type, _) => Some(key_type),
            KeyShape::Rsa(_) => Some(KeyType::RSA),
            KeyShape::Curve(name) => Curve::named(name).map(Curve::key_type),
            KeyShape::Set(key_type, _) => Some(key_type),
            KeyShape::Sm2 => Some(KeyType::SM2),
            KeyShape::XWing | KeyShape::Any => None,
        }
    }

    /// `CKA_CLASS` of its objects, the one that holds the material first.
    pub fn classes(self) -> &'static [ObjectClass] {
        match self {
            KeyShape::Secret(..) => &[O::SECRET_KEY],
            KeyShape::Rsa(_) | KeyShape::Curve(_) | KeyShape::Set(..) => &[O::PRIVATE_KEY, O::PUBLIC_KEY],
            KeyShape::Sm2 | KeyShape::XWing | KeyShape::Any => &[],
        }
    }

    /// The mechanism that makes such a key, `CKA_KEY_GEN_MECHANISM`.
    pub fn key_gen_mechanism(self) -> Option<MechanismType> {
        match self.key_type()? {
            KeyType::AES => Some(MechanismType::AES_KEY_GEN),
            KeyType::RSA => Some(MechanismType::RSA_PKCS_KEY_PAIR_GEN),
            KeyType::EC => Some(MechanismType::EC_KEY_PAIR_GEN),
            KeyType::EC_EDWARDS => Some(MechanismType::EC_EDWARDS_KEY_PAIR_GEN),
            KeyType::ML_DSA => Some(MechanismType::ML_DSA_KEY_PAIR_GEN),
            KeyType::SLH_DSA => Some(MechanismType::SLH_DSA_KEY_PAIR_GEN),
            KeyType::ML_KEM => Some(MechanismType::ML_KEM_KEY_PAIR_GEN),
            KeyType::SM2 => None,
            _ => Some(MechanismType::GENERIC_SECRET_KEY_GEN),
        }
    }

    /// True when an object of a secret or private key has this shape.
    fn fits(self, attributes: &Attributes) -> bool {
        if self.key_type().is_none() || attributes.key_type() != self.key_type() {
            return false;
        }
        match self {
            KeyShape::Secret(_, length) => attributes.ulong(A::VALUE_LEN) == Some(length as u64),
            KeyShape::Rsa(bits) => modulus_bits(attributes.bytes(A::MODULUS)) == bits as usize,
            KeyShape::Curve(name) => Curve::from_params(attributes.bytes(A::EC_PARAMS))
                .is_ok_and(|curve| Curve::named(name).is_some_and(|named| named.oid == curve.oid)),
            KeyShape::Set(_, set) => attributes.ulong(A::PARAMETER_SET) == Some(set),
            KeyShape::Sm2 | KeyShape::XWing | KeyShape::Any => false,
        }
    }
}

/// Bits of a big integer, most significant byte first.
fn modulus_bits(modulus: &[u8]) -> usize {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    match modulus.get(zeros) {
        Some(first) => 8 * (modulus.len() - zeros) - first.leading_zeros() as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use claviger_protocol::codec;
    use claviger_protocol::mechanism;
    use claviger_protocol::template::Value;

    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_survive_store_and_command_line() {
        for (i, algorithm) in Algorithm::ALL.iter().enumerate() {
            assert_eq!(algorithm.row().algorithm, *algorithm);
            for other in &Algorithm::ALL[..i] {
                assert!(other.number() != algorithm.number() && other.name() != algorithm.name());
            }
            let stored = codec::encode(algorithm).unwrap();
            assert_eq!(codec::decode::<Algorithm>(&stored), Ok(*algorithm));
            if *algorithm != Algorithm::P11Generic {
                assert_eq!(Algorithm::parse(algorithm.name()), Ok(*algorithm));
                let spelled = algorithm.name().to_lowercase().replace('_', "-");
                assert_eq!(Algorithm::parse(&spelled), Ok(*algorithm));
            }
        }
        assert_eq!(codec::encode(&Algorithm::EcSignP256Sha256).unwrap(), 12u32.to_le_bytes());
        assert!(codec::decode::<Algorithm>(&9999u32.to_le_bytes()).is_err());
        for unknown in ["", "P11_GENERIC", "p11-generic", "ec-sign-p256", "EC-SIGN-P256-SHA256", "ML_KEM_512"]
        {
            assert!(matches!(Algorithm::parse(unknown), Err(Error::InvalidArgument { .. })), "{unknown}");
        }
    }

    #[test]
    fn googles_numbers_are_kept() {
        let google = [
            ("RSA_SIGN_PSS_2048_SHA256", 2),
            ("EC_SIGN_P384_SHA384", 13),
            ("AES_256_GCM", 19),
            ("RSA_DECRYPT_OAEP_4096_SHA1", 39),
            ("EC_SIGN_ED25519", 40),
            ("HMAC_SHA224", 36),
        ];
        for (name, number) in google {
            assert_eq!(Algorithm::from_name(name).unwrap().number(), number);
        }
        assert_eq!(Purpose::Mac.number(), 9);
        assert_eq!(ProtectionLevel::Hsm.number(), 2);
    }

    #[test]
    fn purposes_and_levels_have_words_and_names() {
        assert_eq!(Purpose::parse("asymmetric-encryption"), Ok(Purpose::AsymmetricDecrypt));
        assert_eq!(Purpose::parse("ASYMMETRIC_DECRYPT"), Ok(Purpose::AsymmetricDecrypt));
        assert_eq!(Purpose::parse("encryption"), Ok(Purpose::EncryptDecrypt));
        assert!(Purpose::parse("P11_GENERIC").is_err());
        assert!(Purpose::parse("signing").unwrap_err().to_string().contains("asymmetric-signing"));
        assert_eq!(ProtectionLevel::parse("hsm"), Ok(ProtectionLevel::Hsm));
        assert!(ProtectionLevel::parse("external").is_err());
    }

    #[test]
    fn every_algorithm_has_a_key_that_pkcs11_can_make_and_use() {
        for row in ALGORITHMS.iter().filter(|row| !row.shape.classes().is_empty()) {
            let name = row.algorithm.name();
            let mechanism = row.shape.key_gen_mechanism().unwrap();
            // Of ML-KEM tokens have keys and no mechanisms.
            let is_kem = row.purpose == Purpose::KeyEncapsulation;
            assert!(
                mechanism::mechanism(mechanism).is_some_and(|row| !row.key_types.is_empty()) || is_kem,
                "{name}"
            );
            if let KeyShape::Curve(curve) = row.shape {
                assert!(Curve::named(curve).is_some(), "{name}");
            }
            let key_type = row.shape.key_type().unwrap();
            for class in row.shape.classes() {
                for flag in row.purpose.usage(*class) {
                    assert!(
                        claviger_protocol::attribute::attribute(flag, *class, Some(key_type)).is_some(),
                        "{name} {flag}"
                    );
                }
                assert!(row.purpose.usage(*class).next().is_some(), "{name}");
            }
        }
    }

    fn object(class: ObjectClass, key_type: KeyType, flags: &[AttributeType]) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.set(A::CLASS, Value::Ulong(class.0));
        attributes.set(A::KEY_TYPE, Value::Ulong(key_type.0));
        for flag in flags {
            attributes.set(*flag, Value::Bool(true));
        }
        attributes
    }

    fn algorithm_of(attributes: Attributes) -> Algorithm {
        let (purpose, algorithm) = Algorithm::for_pkcs11(&attributes);
        assert_eq!(algorithm.purpose(), purpose);
        algorithm
    }

    #[test]
    fn keys_made_through_pkcs11_have_one_meaning_or_are_generic() {
        let rsa = |bits: usize, flags: &[AttributeType]| {
            let mut key = object(O::PRIVATE_KEY, KeyType::RSA, flags);
            key.set(A::MODULUS, crate::attributes::bytes([vec![0x80], vec![1; bits / 8 - 1]].concat()));
            algorithm_of(key)
        };
        assert_eq!(rsa(2048, &[A::SIGN]), Algorithm::RsaSignRawPkcs12048);
        assert_eq!(rsa(4096, &[A::DECRYPT]), Algorithm::RsaDecryptOaep4096Sha256);
        assert_eq!(rsa(3072, &[A::DECRYPT, A::UNWRAP]), Algorithm::RsaDecryptOaep3072Sha256);
        assert_eq!(rsa(2048, &[A::DECRYPT, A::SIGN]), Algorithm::P11Generic);
        assert_eq!(rsa(2048, &[A::UNWRAP]), Algorithm::P11Generic);
        assert_eq!(rsa(2048, &[]), Algorithm::P11Generic);
        assert_eq!(rsa(1024, &[A::SIGN]), Algorithm::P11Generic);

        let ec = |key_type, params: &[u8], flags: &[AttributeType]| {
            let mut key = object(O::PRIVATE_KEY, key_type, flags);
            key.set(A::EC_PARAMS, crate::attributes::bytes(params));
            algorithm_of(key)
        };
        let p256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        assert_eq!(ec(KeyType::EC, p256, &[A::SIGN]), Algorithm::EcSignP256Sha256);
        assert_eq!(ec(KeyType::EC, p256, &[A::SIGN, A::DERIVE]), Algorithm::P11Generic);
        assert_eq!(ec(KeyType::EC, b"\x06\x05\x2b\x81\x04\x00\x23", &[A::SIGN]), Algorithm::EcSignP521Sha512);
        assert_eq!(ec(KeyType::EC, b"\x06\x05\x2b\x81\x04\x00\x21", &[A::SIGN]), Algorithm::P11Generic);
        assert_eq!(ec(KeyType::EC_EDWARDS, b"\x06\x03\x2b\x65\x70", &[A::SIGN]), Algorithm::EcSignEd25519);

        let secret = |key_type, length, flags: &[AttributeType]| {
            let mut key = object(O::SECRET_KEY, key_type, flags);
            key.set(A::VALUE_LEN, Value::Ulong(length));
            algorithm_of(key)
        };
        assert_eq!(secret(KeyType::AES, 24, &[A::ENCRYPT, A::DECRYPT]), Algorithm::Aes192Gcm);
        assert_eq!(secret(KeyType::AES, 32, &[A::ENCRYPT, A::DECRYPT, A::WRAP]), Algorithm::P11Generic);
        assert_eq!(secret(KeyType::AES, 32, &[A::ENCRYPT]), Algorithm::P11Generic);
        assert_eq!(secret(KeyType::SHA256_HMAC, 32, &[A::SIGN, A::VERIFY]), Algorithm::HmacSha256);
        assert_eq!(secret(KeyType::SHA256_HMAC, 20, &[A::SIGN, A::VERIFY]), Algorithm::P11Generic);
        assert_eq!(secret(KeyType::GENERIC_SECRET, 32, &[A::SIGN, A::VERIFY]), Algorithm::P11Generic);
    }
}
