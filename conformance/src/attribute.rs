//! `CK_ATTRIBUTE` with values that it owns, and the templates that tests use often.

use claviger_protocol::{AttributeType, KeyType, MechanismType, ObjectClass};
use cryptoki_sys::CK_ATTRIBUTE;

/// An attribute and its value, as its bytes in C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Which attribute.
    pub r#type: AttributeType,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// A `CK_ULONG`.
pub fn ulong(r#type: AttributeType, value: u64) -> Attribute {
    Attribute { r#type, value: value.to_ne_bytes().to_vec() }
}

/// A `CK_BBOOL`.
pub fn flag(r#type: AttributeType, value: bool) -> Attribute {
    Attribute { r#type, value: vec![u8::from(value)] }
}

/// Any bytes.
pub fn bytes(r#type: AttributeType, value: impl AsRef<[u8]>) -> Attribute {
    Attribute { r#type, value: value.as_ref().to_vec() }
}

/// `CKA_ALLOWED_MECHANISMS`.
pub fn mechanisms(value: &[MechanismType]) -> Attribute {
    let value = value.iter().flat_map(|mechanism| mechanism.0.to_ne_bytes()).collect();
    Attribute { r#type: AttributeType::ALLOWED_MECHANISMS, value }
}

/// `CKA_CLASS`.
pub fn class(class: ObjectClass) -> Attribute {
    ulong(AttributeType::CLASS, class.0)
}

/// `CKA_KEY_TYPE`.
pub fn key_type(key_type: KeyType) -> Attribute {
    ulong(AttributeType::KEY_TYPE, key_type.0)
}

/// `CKA_LABEL`.
pub fn label(label: &str) -> Attribute {
    bytes(AttributeType::LABEL, label)
}

/// `CKA_TOKEN`.
pub fn token(token: bool) -> Attribute {
    flag(AttributeType::TOKEN, token)
}

/// An attribute that is a template, such as `CKA_WRAP_TEMPLATE`. What it points to lives as long as the process.
pub fn template(r#type: AttributeType, inner: &[Attribute]) -> Attribute {
    let field = |number: usize| number.to_ne_bytes();
    let fields = inner.iter().flat_map(|attribute| {
        let value: &'static [u8] = attribute.value.clone().leak();
        [attribute.r#type.0.to_ne_bytes(), field(value.as_ptr().expose_provenance()), field(value.len())]
    });
    Attribute { r#type, value: fields.flatten().collect() }
}

/// The number in an attribute's value.
pub fn as_ulong(value: &[u8]) -> u64 {
    u64::from_ne_bytes(value.try_into().expect("a CK_ULONG has 8 bytes"))
}

/// A session key that C_CreateObject makes of these bytes, with usage flags.
pub fn secret_key(r#type: KeyType, value: &[u8], usage: &[AttributeType]) -> Vec<Attribute> {
    let mut template =
        vec![class(ObjectClass::SECRET_KEY), key_type(r#type), bytes(AttributeType::VALUE, value)];
    template.extend(usage.iter().map(|usage| flag(*usage, true)));
    template
}

/// DER of the curve's object identifier, for `CKA_EC_PARAMS`.
pub mod curve {
    /// P-256 (1.2.840.10045.3.1.7).
    pub const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    /// P-384 (1.3.132.0.34).
    pub const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    /// P-521 (1.3.132.0.35).
    pub const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
    /// Ed25519 by its object identifier of RFC 8410 (1.3.101.112).
    pub const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
    /// X25519 (1.3.101.110, RFC 8410).
    pub const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];
    /// P-192 (1.2.840.10045.3.1.1), which `legacy` alone offers.
    pub const P192: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01];
    /// secp160r1 (1.3.132.0.8), which is too small to be offered in any profile.
    pub const SECP160R1: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x08];
    /// Ed25519 by the name of PKCS#11 3.0, a PrintableString.
    pub const EDWARDS25519: &[u8] = b"\x13\x0cedwards25519";
}

/// The array that C wants. The pointers are into `attributes`, which must outlive it; the module only reads.
pub(crate) fn array(attributes: &[Attribute]) -> Vec<CK_ATTRIBUTE> {
    attributes
        .iter()
        .map(|attribute| CK_ATTRIBUTE {
            type_: attribute.r#type.0,
            pValue: attribute.value.as_ptr().cast_mut().cast(),
            ulValueLen: attribute.value.len() as u64,
        })
        .collect()
}
