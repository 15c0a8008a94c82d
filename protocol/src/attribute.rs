//! Table 4: every attribute: on which objects, of what kind, with which default, who may set it and when.
//!
//! One interpreter in the daemon (`template.rs`) reads it for create, generate, unwrap, derive, copy and set;
//! the module reads values by [`Kind`].

use crate::attribute_type::AttributeType;
use crate::object::{KeyType, ObjectClass};

/// How an attribute's value looks in C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `CK_BBOOL`.
    Bool,
    /// `CK_ULONG`.
    Ulong,
    /// Bytes of any length.
    Bytes,
    /// `CK_DATE`: 8 digits, or empty.
    Date,
    /// An array of `CK_MECHANISM_TYPE`.
    Mechanisms,
    /// An array of `CK_ATTRIBUTE`.
    Template,
}

/// What an attribute is when a template does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// The object does not have it.
    Absent,
    /// `CK_TRUE` or `CK_FALSE`.
    Bool(bool),
    /// This number.
    Ulong(u64),
    /// No bytes.
    Empty,
    /// The daemon computes it.
    Computed,
    /// A usage flag: true for keys of these types when the template names no usage flag at all, else false.
    Usage(&'static [KeyType]),
}

/// A set of object classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes(pub u16);

impl Classes {
    /// True when `class` is in the set.
    pub fn contains(self, class: ObjectClass) -> bool {
        class.0 < 16 && self.0 & (1 << class.0) != 0
    }
}

const fn classes(list: &[ObjectClass]) -> Classes {
    let mut bits = 0;
    let mut i = 0;
    while i < list.len() {
        bits |= 1 << list[i].0;
        i += 1;
    }
    Classes(bits)
}

/// The rules of an attribute, each a footnote of "Common footnotes for object attribute tables"
/// (PKCS#11 3.2, table 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(pub u16);

impl Rules {
    /// True when all of `other`'s rules are in `self`.
    pub const fn has(self, other: Rules) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of rules.
    pub const fn and(self, other: Rules) -> Rules {
        Rules(self.0 | other.0)
    }
}

/// No rule: may be given when the object is made, and never changed.
pub const FIXED: Rules = Rules(0);
/// Footnote 1: must be given to `C_CreateObject`.
pub const CREATE_MUST: Rules = Rules(1 << 0);
/// Footnote 2: must not be given to `C_CreateObject`.
pub const CREATE_NOT: Rules = Rules(1 << 1);
/// Footnote 3: must be given to `C_GenerateKey` or `C_GenerateKeyPair`.
pub const GENERATE_MUST: Rules = Rules(1 << 2);
/// Footnote 4: must not be given to `C_GenerateKey` or `C_GenerateKeyPair`.
pub const GENERATE_NOT: Rules = Rules(1 << 3);
/// Footnote 5: must be given to `C_UnwrapKey`.
pub const UNWRAP_MUST: Rules = Rules(1 << 4);
/// Footnote 6: must not be given to `C_UnwrapKey`.
pub const UNWRAP_NOT: Rules = Rules(1 << 5);
/// Footnote 7: not revealed when `CKA_SENSITIVE` is true or `CKA_EXTRACTABLE` false.
pub const SENSITIVE: Rules = Rules(1 << 6);
/// Footnote 8: may be changed by `C_SetAttributeValue` and `C_CopyObject`.
pub const MODIFIABLE: Rules = Rules(1 << 7);
/// Footnote 10: only the security officer may set it to true.
pub const SO_ONLY: Rules = Rules(1 << 8);
/// Footnote 11: may be changed to true, and never back.
pub const STICKY_TRUE: Rules = Rules(1 << 9);
/// Footnote 12: may be changed to false, and never back.
pub const STICKY_FALSE: Rules = Rules(1 << 10);
/// May be given to `C_CopyObject` though `C_SetAttributeValue` refuses it (`CKA_TOKEN`, `CKA_PRIVATE`,
/// `CKA_MODIFIABLE`: PKCS#11 3.2, section 5.7.2).
pub const COPY: Rules = Rules(1 << 11);
/// A usage flag, which decides what a key may be used for.
pub const USAGE: Rules = Rules(1 << 12);

/// A value that a template may state though objects do not have the attribute: it must be right and is not kept
/// (`CKA_VALUE_LEN` of keys whose type has one length, which old clients state all the same).
pub const STATED: Rules = Rules(1 << 13);

/// Told by the key service when it is asked for, of objects that show a version.
pub const KEY_SERVICE: Rules = Rules(1 << 14);

/// Set by the daemon alone: forbidden to every function that makes an object.
pub const DAEMON: Rules = CREATE_NOT.and(GENERATE_NOT).and(UNWRAP_NOT);

/// One row: an attribute on some objects.
#[derive(Debug, Clone, Copy)]
pub struct AttributeRow {
    /// Which attribute.
    pub r#type: AttributeType,
    /// How its value looks.
    pub kind: Kind,
    /// On objects of these classes,
    pub classes: Classes,
    /// and, for keys and domain parameters, of these key types; empty for all.
    pub key_types: &'static [KeyType],
    /// Who may set it and when.
    pub rules: Rules,
    /// What it is when a template does not say.
    pub default: DefaultValue,
}

use AttributeType as A;
use DefaultValue::{Absent, Bool, Computed, Empty, Usage};
use ObjectClass as O;

const DATA: Classes = classes(&[O::DATA]);
const FEATURE: Classes = classes(&[O::HW_FEATURE]);
const CERTIFICATE: Classes = classes(&[O::CERTIFICATE]);
const PUBLIC: Classes = classes(&[O::PUBLIC_KEY]);
const PRIVATE: Classes = classes(&[O::PRIVATE_KEY]);
const SECRET: Classes = classes(&[O::SECRET_KEY, O::OTP_KEY]);
const DOMAIN: Classes = classes(&[O::DOMAIN_PARAMETERS]);
const KEYS: Classes = classes(&[O::PUBLIC_KEY, O::PRIVATE_KEY, O::SECRET_KEY, O::OTP_KEY]);
const PAIR: Classes = classes(&[O::PUBLIC_KEY, O::PRIVATE_KEY]);
const PROTECTED: Classes = classes(&[O::PRIVATE_KEY, O::SECRET_KEY, O::OTP_KEY]);
const TYPED: Classes =
    classes(&[O::PUBLIC_KEY, O::PRIVATE_KEY, O::SECRET_KEY, O::OTP_KEY, O::DOMAIN_PARAMETERS]);
const STORAGE: Classes = classes(&[
    O::DATA,
    O::CERTIFICATE,
    O::PUBLIC_KEY,
    O::PRIVATE_KEY,
    O::SECRET_KEY,
    O::DOMAIN_PARAMETERS,
    O::OTP_KEY,
    O::TRUST,
]);
const PUBLIC_BY_DEFAULT: Classes =
    classes(&[O::DATA, O::CERTIFICATE, O::PUBLIC_KEY, O::DOMAIN_PARAMETERS, O::TRUST]);
const ANY: Classes = Classes(u16::MAX);

const RSA: &[KeyType] = &[KeyType::RSA];
/// Keys on curves: parameters and a point, or a scalar.
const CURVE: &[KeyType] = &[KeyType::EC, KeyType::EC_EDWARDS, KeyType::EC_MONTGOMERY];
const DSA: &[KeyType] = &[KeyType::DSA];
const DH: &[KeyType] = &[KeyType::DH];
const X9_42_DH: &[KeyType] = &[KeyType::X9_42_DH];
/// Keys over a prime field, with a prime and a base.
const FIELD: &[KeyType] = &[KeyType::DSA, KeyType::DH, KeyType::X9_42_DH];
/// Of those, the ones with a subgroup order.
const SUBGROUP: &[KeyType] = &[KeyType::DSA, KeyType::X9_42_DH];
/// Keys with a numbered parameter set.
const SETS: &[KeyType] = &[KeyType::ML_KEM, KeyType::ML_DSA, KeyType::SLH_DSA];
/// Parameter-set keys that are made from a seed (FIPS 203, FIPS 204).
const SEEDED: &[KeyType] = &[KeyType::ML_KEM, KeyType::ML_DSA];
/// Secret keys whose length is the type's, which carry no `CKA_VALUE_LEN`.
const ANY_LENGTH: &[KeyType] = &[
    KeyType::GENERIC_SECRET,
    KeyType::AES,
    KeyType::AES_XTS,
    KeyType::CAMELLIA,
    KeyType::ARIA,
    KeyType::BLOWFISH,
    KeyType::SHA_1_HMAC,
    KeyType::SHA224_HMAC,
    KeyType::SHA256_HMAC,
    KeyType::SHA384_HMAC,
    KeyType::SHA512_HMAC,
    KeyType::SM3_HMAC,
    KeyType::SHA512_224_HMAC,
    KeyType::SHA512_256_HMAC,
    KeyType::SHA512_T_HMAC,
    KeyType::SHA3_224_HMAC,
    KeyType::SHA3_256_HMAC,
    KeyType::SHA3_384_HMAC,
    KeyType::SHA3_512_HMAC,
    KeyType::BLAKE2B_160_HMAC,
    KeyType::BLAKE2B_256_HMAC,
    KeyType::BLAKE2B_384_HMAC,
    KeyType::BLAKE2B_512_HMAC,
    KeyType::MD5_HMAC,
    KeyType::RIPEMD160_HMAC,
    KeyType::HKDF,
    KeyType::HOTP,
];
/// Secret keys of one length that carry no `CKA_VALUE_LEN`.
const NO_LENGTH: &[KeyType] = &[KeyType::DES, KeyType::DES2, KeyType::DES3, KeyType::SEED, KeyType::SM4];
/// Secret keys of one length that carry `CKA_VALUE_LEN` all the same.
const ONE_LENGTH: &[KeyType] = &[KeyType::CHACHA20, KeyType::POLY1305];

/// Secret keys of one length, which carry no `CKA_VALUE_LEN`.
const FIXED_LENGTH: &[KeyType] = &[KeyType::DES, KeyType::DES2, KeyType::DES3, KeyType::SEED, KeyType::SM4];
/// Types of secret keys.
const SECRETS: &[&[KeyType]] = &[ANY_LENGTH, ONE_LENGTH, FIXED_LENGTH];
/// Types of key pairs.
const PAIRS: &[&[KeyType]] = &[RSA, CURVE, FIELD, SETS, &[KeyType::SM2, KeyType::HSS]];

/// Types that encrypt when nothing else is said.
const CIPHERS: &[KeyType] = &[
    KeyType::AES,
    KeyType::AES_XTS,
    KeyType::DES,
    KeyType::DES2,
    KeyType::DES3,
    KeyType::CHACHA20,
    KeyType::CAMELLIA,
    KeyType::ARIA,
    KeyType::SEED,
    KeyType::SM4,
];
/// Secret key types that sign when nothing else is said.
const MACS: &[KeyType] = &[
    KeyType::GENERIC_SECRET,
    KeyType::POLY1305,
    KeyType::SHA_1_HMAC,
    KeyType::SHA224_HMAC,
    KeyType::SHA256_HMAC,
    KeyType::SHA384_HMAC,
    KeyType::SHA512_HMAC,
    KeyType::SM3_HMAC,
    KeyType::SHA512_224_HMAC,
    KeyType::SHA512_256_HMAC,
    KeyType::SHA512_T_HMAC,
    KeyType::SHA3_224_HMAC,
    KeyType::SHA3_256_HMAC,
    KeyType::SHA3_384_HMAC,
    KeyType::SHA3_512_HMAC,
    KeyType::BLAKE2B_160_HMAC,
    KeyType::BLAKE2B_256_HMAC,
    KeyType::BLAKE2B_384_HMAC,
    KeyType::BLAKE2B_512_HMAC,
    KeyType::MD5_HMAC,
    KeyType::RIPEMD160_HMAC,
    KeyType::HOTP,
];
/// Pair types that sign when nothing else is said.
const SIGNERS: &[KeyType] = &[
    KeyType::RSA,
    KeyType::EC,
    KeyType::EC_EDWARDS,
    KeyType::DSA,
    KeyType::ML_DSA,
    KeyType::SLH_DSA,
    KeyType::SM2,
    KeyType::HSS,
];
const DERIVERS: &[KeyType] =
    &[KeyType::EC, KeyType::EC_MONTGOMERY, KeyType::DH, KeyType::X9_42_DH, KeyType::HKDF];
const ENCAPSULATORS: &[KeyType] = &[KeyType::ML_KEM];

const USE: Rules = MODIFIABLE.and(USAGE);

const fn row(
    r#type: AttributeType,
    kind: Kind,
    classes: Classes,
    key_types: &'static [KeyType],
    rules: Rules,
    default: DefaultValue,
) -> AttributeRow {
    AttributeRow { r#type, kind, classes, key_types, rules, default }
}

/// The table. An attribute has one row per meaning: `CKA_VALUE` of a certificate is not `CKA_VALUE` of a key.
pub const ATTRIBUTES: &[AttributeRow] = &[
    // Common (PKCS#11 3.2, 4.1 and 4.4)
    row(A::CLASS, Kind::Ulong, ANY, &[], CREATE_MUST, Absent),
    row(A::TOKEN, Kind::Bool, STORAGE, &[], COPY, Bool(false)),
    row(A::PRIVATE, Kind::Bool, PROTECTED, &[], COPY, Bool(true)),
    row(A::PRIVATE, Kind::Bool, PUBLIC_BY_DEFAULT, &[], COPY, Bool(false)),
    row(A::MODIFIABLE, Kind::Bool, STORAGE, &[], COPY, Bool(true)),
    row(A::LABEL, Kind::Bytes, STORAGE, &[], MODIFIABLE, Empty),
    row(A::COPYABLE, Kind::Bool, STORAGE, &[], MODIFIABLE.and(STICKY_FALSE), Bool(true)),
    row(A::DESTROYABLE, Kind::Bool, STORAGE, &[], MODIFIABLE, Bool(true)),
    row(A::UNIQUE_ID, Kind::Bytes, ANY, &[], DAEMON, Computed),
    // Hardware features, mechanisms, profiles (4.3, 4.12, 4.13)
    row(A::HW_FEATURE_TYPE, Kind::Ulong, FEATURE, &[], FIXED, Absent),
    row(A::VALUE, Kind::Bytes, FEATURE, &[], FIXED, Absent),
    row(A::RESET_ON_INIT, Kind::Bool, FEATURE, &[], FIXED, Absent),
    row(A::HAS_RESET, Kind::Bool, FEATURE, &[], FIXED, Absent),
    row(A::MECHANISM_TYPE, Kind::Ulong, classes(&[O::MECHANISM]), &[], FIXED, Absent),
    row(A::PROFILE_ID, Kind::Ulong, classes(&[O::PROFILE]), &[], FIXED, Absent),
    // Data (4.5)
    row(A::APPLICATION, Kind::Bytes, DATA, &[], MODIFIABLE, Empty),
    // The standard gives none of the three footnote 8; applications keep changing data in the other two all the same.
    row(A::OBJECT_ID, Kind::Bytes, DATA, &[], FIXED, Empty),
    row(A::VALUE, Kind::Bytes, DATA, &[], MODIFIABLE, Empty),
    // Certificates (4.6)
    row(A::CERTIFICATE_TYPE, Kind::Ulong, CERTIFICATE, &[], CREATE_MUST, Absent),
    row(A::TRUSTED, Kind::Bool, CERTIFICATE, &[], MODIFIABLE.and(SO_ONLY), Bool(false)),
    row(A::CERTIFICATE_CATEGORY, Kind::Ulong, CERTIFICATE, &[], FIXED, DefaultValue::Ulong(0)),
    row(A::CHECK_VALUE, Kind::Bytes, CERTIFICATE, &[], FIXED, Computed),
    row(A::START_DATE, Kind::Date, CERTIFICATE, &[], MODIFIABLE, Empty),
    row(A::END_DATE, Kind::Date, CERTIFICATE, &[], MODIFIABLE, Empty),
    row(A::PUBLIC_KEY_INFO, Kind::Bytes, CERTIFICATE, &[], FIXED, Computed),
    row(A::SUBJECT, Kind::Bytes, CERTIFICATE, &[], CREATE_MUST, Absent),
    row(A::ID, Kind::Bytes, CERTIFICATE, &[], MODIFIABLE, Empty),
    row(A::ISSUER, Kind::Bytes, CERTIFICATE, &[], MODIFIABLE, Empty),
    row(A::SERIAL_NUMBER, Kind::Bytes, CERTIFICATE, &[], MODIFIABLE, Empty),
    row(A::VALUE, Kind::Bytes, CERTIFICATE, &[], CREATE_MUST, Absent),
    row(A::URL, Kind::Bytes, CERTIFICATE, &[], FIXED, Empty),
    row(A::HASH_OF_SUBJECT_PUBLIC_KEY, Kind::Bytes, CERTIFICATE, &[], FIXED, Empty),
    row(A::HASH_OF_ISSUER_PUBLIC_KEY, Kind::Bytes, CERTIFICATE, &[], FIXED, Empty),
    row(A::JAVA_MIDP_SECURITY_DOMAIN, Kind::Ulong, CERTIFICATE, &[], FIXED, DefaultValue::Ulong(0)),
    row(A::NAME_HASH_ALGORITHM, Kind::Ulong, CERTIFICATE, &[], FIXED, DefaultValue::Ulong(0x220)),
    // All keys (4.7)
    row(A::KEY_TYPE, Kind::Ulong, TYPED, &[], CREATE_MUST.and(UNWRAP_MUST), Absent),
    row(A::ID, Kind::Bytes, KEYS, &[], MODIFIABLE, Empty),
    row(A::START_DATE, Kind::Date, KEYS, &[], MODIFIABLE, Empty),
    row(A::END_DATE, Kind::Date, KEYS, &[], MODIFIABLE, Empty),
    row(A::DERIVE, Kind::Bool, KEYS, &[], USE, Usage(DERIVERS)),
    row(A::LOCAL, Kind::Bool, TYPED, &[], DAEMON, Computed),
    row(A::KEY_GEN_MECHANISM, Kind::Ulong, KEYS, &[], DAEMON, Computed),
    row(A::ALLOWED_MECHANISMS, Kind::Mechanisms, KEYS, &[], FIXED, Absent),
    // Public keys (4.8)
    row(A::SUBJECT, Kind::Bytes, PAIR, &[], MODIFIABLE, Empty),
    row(A::ENCRYPT, Kind::Bool, PUBLIC, &[], USE, Usage(RSA)),
    row(A::VERIFY, Kind::Bool, PUBLIC, &[], USE, Usage(SIGNERS)),
    row(A::VERIFY_RECOVER, Kind::Bool, PUBLIC, &[], USE, Usage(RSA)),
    row(A::WRAP, Kind::Bool, PUBLIC, &[], USE, Usage(&[])),
    row(A::TRUSTED, Kind::Bool, PUBLIC, &[], MODIFIABLE.and(SO_ONLY), Bool(false)),
    row(A::WRAP_TEMPLATE, Kind::Template, PUBLIC, &[], FIXED, Absent),
    row(A::ENCAPSULATE, Kind::Bool, PUBLIC, &[], USE, Usage(ENCAPSULATORS)),
    row(A::ENCAPSULATE_TEMPLATE, Kind::Template, PUBLIC, &[], FIXED, Absent),
    row(A::PUBLIC_KEY_INFO, Kind::Bytes, PAIR, &[], GENERATE_NOT.and(UNWRAP_NOT), Computed),
    // Private keys (4.9)
    row(A::SENSITIVE, Kind::Bool, PROTECTED, &[], MODIFIABLE.and(STICKY_TRUE), Bool(true)),
    row(A::DECRYPT, Kind::Bool, PRIVATE, &[], USE, Usage(RSA)),
    row(A::SIGN, Kind::Bool, PRIVATE, &[], USE, Usage(SIGNERS)),
    row(A::SIGN_RECOVER, Kind::Bool, PRIVATE, &[], USE, Usage(RSA)),
    row(A::UNWRAP, Kind::Bool, PRIVATE, &[], USE, Usage(&[])),
    row(A::EXTRACTABLE, Kind::Bool, PROTECTED, &[], MODIFIABLE.and(STICKY_FALSE), Bool(false)),
    row(A::ALWAYS_SENSITIVE, Kind::Bool, PROTECTED, &[], DAEMON, Computed),
    row(A::NEVER_EXTRACTABLE, Kind::Bool, PROTECTED, &[], DAEMON, Computed),
    row(A::WRAP_WITH_TRUSTED, Kind::Bool, PROTECTED, &[], MODIFIABLE.and(STICKY_TRUE), Bool(false)),
    row(A::UNWRAP_TEMPLATE, Kind::Template, PROTECTED, &[], FIXED, Absent),
    row(A::DERIVE_TEMPLATE, Kind::Template, PROTECTED, &[], FIXED, Absent),
    row(A::ALWAYS_AUTHENTICATE, Kind::Bool, PRIVATE, &[], FIXED, Bool(false)),
    row(A::DECAPSULATE, Kind::Bool, PRIVATE, &[], USE, Usage(ENCAPSULATORS)),
    row(A::DECAPSULATE_TEMPLATE, Kind::Template, PRIVATE, &[], FIXED, Absent),
    // Secret keys (4.10)
    row(A::ENCRYPT, Kind::Bool, SECRET, &[], USE, Usage(CIPHERS)),
    row(A::DECRYPT, Kind::Bool, SECRET, &[], USE, Usage(CIPHERS)),
    row(A::SIGN, Kind::Bool, SECRET, &[], USE, Usage(MACS)),
    row(A::VERIFY, Kind::Bool, SECRET, &[], USE, Usage(MACS)),
    row(A::WRAP, Kind::Bool, SECRET, &[], USE, Usage(&[])),
    row(A::UNWRAP, Kind::Bool, SECRET, &[], USE, Usage(&[])),
    row(A::CHECK_VALUE, Kind::Bytes, SECRET, &[], FIXED, Computed),
    row(A::TRUSTED, Kind::Bool, SECRET, &[], MODIFIABLE.and(SO_ONLY), Bool(false)),
    row(A::WRAP_TEMPLATE, Kind::Template, SECRET, &[], FIXED, Absent),
    row(
        A::VALUE,
        Kind::Bytes,
        SECRET,
        &[],
        CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT).and(SENSITIVE),
        Computed,
    ),
    row(A::VALUE_LEN, Kind::Ulong, SECRET, ANY_LENGTH, CREATE_NOT.and(GENERATE_MUST), Computed),
    row(A::VALUE_LEN, Kind::Ulong, SECRET, ONE_LENGTH, CREATE_NOT, Computed),
    row(A::VALUE_LEN, Kind::Ulong, SECRET, NO_LENGTH, CREATE_NOT.and(STATED), Absent),
    // RSA (6.1.2, 6.1.3)
    row(A::MODULUS, Kind::Bytes, PUBLIC, RSA, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(A::MODULUS_BITS, Kind::Ulong, PUBLIC, RSA, CREATE_NOT.and(GENERATE_MUST), Computed),
    row(A::PUBLIC_EXPONENT, Kind::Bytes, PUBLIC, RSA, CREATE_MUST, Computed),
    row(A::MODULUS, Kind::Bytes, PRIVATE, RSA, CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT), Computed),
    row(A::PUBLIC_EXPONENT, Kind::Bytes, PRIVATE, RSA, GENERATE_NOT.and(UNWRAP_NOT), Computed),
    row(A::PRIVATE_EXPONENT, Kind::Bytes, PRIVATE, RSA, CREATE_MUST.and(MADE_SECRET), Computed),
    row(A::PRIME_1, Kind::Bytes, PRIVATE, RSA, MADE_SECRET, Computed),
    row(A::PRIME_2, Kind::Bytes, PRIVATE, RSA, MADE_SECRET, Computed),
    row(A::EXPONENT_1, Kind::Bytes, PRIVATE, RSA, MADE_SECRET, Computed),
    row(A::EXPONENT_2, Kind::Bytes, PRIVATE, RSA, MADE_SECRET, Computed),
    row(A::COEFFICIENT, Kind::Bytes, PRIVATE, RSA, MADE_SECRET, Computed),
    // Curves (6.3.3 to 6.3.8)
    row(A::EC_PARAMS, Kind::Bytes, PUBLIC, CURVE, CREATE_MUST.and(GENERATE_MUST), Computed),
    row(A::EC_POINT, Kind::Bytes, PUBLIC, CURVE, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(A::EC_PARAMS, Kind::Bytes, PRIVATE, CURVE, CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT), Computed),
    row(A::EC_POINT, Kind::Bytes, PRIVATE, CURVE, GENERATE_NOT.and(UNWRAP_NOT), Computed),
    row(A::VALUE, Kind::Bytes, PRIVATE, CURVE, CREATE_MUST.and(MADE_SECRET), Computed),
    // DSA, Diffie-Hellman, X9.42 (6.2, 6.4)
    row(A::PRIME, Kind::Bytes, PUBLIC, FIELD, CREATE_MUST.and(GENERATE_MUST), Computed),
    row(A::SUBPRIME, Kind::Bytes, PUBLIC, SUBGROUP, CREATE_MUST.and(GENERATE_MUST), Computed),
    row(A::BASE, Kind::Bytes, PUBLIC, FIELD, CREATE_MUST.and(GENERATE_MUST), Computed),
    row(A::VALUE, Kind::Bytes, PUBLIC, FIELD, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(A::PRIME, Kind::Bytes, PRIVATE, FIELD, CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT), Computed),
    row(A::SUBPRIME, Kind::Bytes, PRIVATE, SUBGROUP, CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT), Computed),
    row(A::BASE, Kind::Bytes, PRIVATE, FIELD, CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT), Computed),
    row(A::VALUE, Kind::Bytes, PRIVATE, FIELD, CREATE_MUST.and(MADE_SECRET), Computed),
    row(A::VALUE_BITS, Kind::Ulong, PRIVATE, DH, CREATE_NOT.and(UNWRAP_NOT), Computed),
    row(A::PRIME, Kind::Bytes, DOMAIN, FIELD, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(A::SUBPRIME, Kind::Bytes, DOMAIN, SUBGROUP, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(A::BASE, Kind::Bytes, DOMAIN, FIELD, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(A::PRIME_BITS, Kind::Ulong, DOMAIN, FIELD, CREATE_NOT.and(GENERATE_MUST), Computed),
    row(A::SUBPRIME_BITS, Kind::Ulong, DOMAIN, DSA, CREATE_NOT, Computed),
    row(A::SUBPRIME_BITS, Kind::Ulong, DOMAIN, X9_42_DH, CREATE_NOT.and(GENERATE_MUST), Computed),
    // ML-KEM, ML-DSA, SLH-DSA (6.67 to 6.69)
    row(A::PARAMETER_SET, Kind::Ulong, PUBLIC, SETS, CREATE_MUST.and(GENERATE_MUST), Computed),
    row(A::VALUE, Kind::Bytes, PUBLIC, SETS, CREATE_MUST.and(GENERATE_NOT), Computed),
    row(
        A::PARAMETER_SET,
        Kind::Ulong,
        PRIVATE,
        SETS,
        CREATE_MUST.and(GENERATE_NOT).and(UNWRAP_NOT),
        Computed,
    ),
    row(A::SEED, Kind::Bytes, PRIVATE, SEEDED, MADE_SECRET, Computed),
    row(A::VALUE, Kind::Bytes, PRIVATE, SETS, MADE_SECRET, Computed),
    // What the key service says of a version: not kept with the object, since it changes without it
    row(A::KMS_NAME, Kind::Bytes, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_VERSION, Kind::Ulong, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_STATE, Kind::Bytes, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_PRIMARY, Kind::Bool, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_ALGORITHM, Kind::Bytes, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_PROTECTION_LEVEL, Kind::Bytes, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_DESTROY_TIME, Kind::Bytes, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
    row(A::KMS_IMPORT_JOB, Kind::Bytes, KEYS, &[], DAEMON.and(KEY_SERVICE), Absent),
];

/// A private component: never given when the key is made here, never revealed when sensitive.
const MADE_SECRET: Rules = GENERATE_NOT.and(UNWRAP_NOT).and(SENSITIVE);

/// The row of an attribute on an object of this class and, for keys, type.
pub fn attribute(
    r#type: AttributeType,
    class: ObjectClass,
    key_type: Option<KeyType>,
) -> Option<&'static AttributeRow> {
    rows(class, key_type).find(|row| row.r#type == r#type)
}

/// True when there are keys, or domain parameters, of this class and type.
pub fn is_type_of(key_type: KeyType, class: ObjectClass) -> bool {
    let lists: &[&[KeyType]] = match class {
        ObjectClass::SECRET_KEY => SECRETS,
        ObjectClass::PUBLIC_KEY | ObjectClass::PRIVATE_KEY => PAIRS,
        ObjectClass::DOMAIN_PARAMETERS => &[FIELD],
        ObjectClass::OTP_KEY => &[&[KeyType::HOTP]],
        _ => &[],
    };
    lists.iter().any(|list| list.contains(&key_type))
}

/// All rows of an object of this class and, for keys, type.
pub fn rows(class: ObjectClass, key_type: Option<KeyType>) -> impl Iterator<Item = &'static AttributeRow> {
    ATTRIBUTES.iter().filter(move |row| {
        row.classes.contains(class)
            && (row.key_types.is_empty() || key_type.is_some_and(|t| row.key_types.contains(&t)))
    })
}

/// True when some kind of object may have to hide this attribute.
pub fn may_be_sensitive(r#type: AttributeType) -> bool {
    ATTRIBUTES.iter().any(|row| row.r#type == r#type && row.rules.has(SENSITIVE))
}

/// How the value of an attribute looks, whatever object it is on; bytes for attributes unknown here.
pub fn kind(r#type: AttributeType) -> Kind {
    ATTRIBUTES.iter().find(|row| row.r#type == r#type).map_or(Kind::Bytes, |row| row.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_one_kind_whatever_object_it_is_on() {
        for row in ATTRIBUTES {
            assert_eq!(row.kind, kind(row.r#type), "{}", row.r#type);
        }
    }

    #[test]
    fn every_type_of_a_row_has_keys_of_its_classes() {
        let classes = [O::PUBLIC_KEY, O::PRIVATE_KEY, O::SECRET_KEY, O::DOMAIN_PARAMETERS];
        for row in ATTRIBUTES {
            for key_type in row.key_types {
                let known = classes.into_iter().filter(|class| row.classes.contains(*class));
                let fits = known.filter(|class| *class != O::DOMAIN_PARAMETERS || FIELD.contains(key_type));
                for class in fits {
                    assert!(is_type_of(*key_type, class), "{key_type} {class}");
                }
            }
        }
        for row in crate::mechanism::MECHANISMS {
            for key_type in row.key_types {
                assert!(
                    classes.iter().any(|class| is_type_of(*key_type, *class)),
                    "{} {key_type}",
                    row.r#type
                );
            }
        }
    }

    #[test]
    fn no_object_has_two_rows_of_one_attribute() {
        for (class, _) in ObjectClass::NAMED {
            for key_type in
                [None, Some(KeyType::RSA), Some(KeyType::EC), Some(KeyType::AES), Some(KeyType::ML_KEM)]
            {
                let all: Vec<_> = rows(*class, key_type).map(|row| row.r#type).collect();
                for (i, r#type) in all.iter().enumerate() {
                    assert!(!all[..i].contains(r#type), "{type} twice on {class}");
                }
            }
        }
    }
}
