//! Attributes and templates as they travel: typed values, nesting one level deep and never more.

use bincode::{Decode, Encode};

use crate::attribute_type::AttributeType;
use crate::bytes::Bytes;
use crate::mechanism_type::MechanismType;

/// One attribute with its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Attribute {
    /// Which attribute.
    pub r#type: AttributeType,
    /// Its value.
    pub value: Value,
}

/// An attribute's value. The module reads it by the attribute's [kind](crate::attribute::Kind); bytes of a
/// wrong length stay [`Value::Bytes`], which the daemon then refuses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Value {
    /// `CK_BBOOL`.
    Bool(bool),
    /// `CK_ULONG`.
    Ulong(u64),
    /// Anything that is bytes: strings, big integers, DER, dates.
    Bytes(Bytes),
    /// `CKA_ALLOWED_MECHANISMS`.
    Mechanisms(Vec<MechanismType>),
    /// `CKA_WRAP_TEMPLATE` and its like. Elements hold no template themselves.
    Template(Vec<FlatAttribute>),
}

/// An attribute inside a template attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct FlatAttribute {
    /// Which attribute.
    pub r#type: AttributeType,
    /// Its value.
    pub value: FlatValue,
}

/// A value inside a template attribute: [`Value`] without the template, so that no type is recursive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum FlatValue {
    /// `CK_BBOOL`.
    Bool(bool),
    /// `CK_ULONG`.
    Ulong(u64),
    /// Anything that is bytes.
    Bytes(Bytes),
    /// `CKA_ALLOWED_MECHANISMS`.
    Mechanisms(Vec<MechanismType>),
}

impl From<FlatValue> for Value {
    fn from(value: FlatValue) -> Self {
        match value {
            FlatValue::Bool(value) => Value::Bool(value),
            FlatValue::Ulong(value) => Value::Ulong(value),
            FlatValue::Bytes(value) => Value::Bytes(value),
            FlatValue::Mechanisms(value) => Value::Mechanisms(value),
        }
    }
}

impl From<FlatAttribute> for Attribute {
    fn from(attribute: FlatAttribute) -> Self {
        Attribute { r#type: attribute.r#type, value: attribute.value.into() }
    }
}

/// A template: attributes in the caller's order.
pub type Template = Vec<Attribute>;

/// One attribute of a `C_GetAttributeValue` reply.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AttributeReply {
    /// The value.
    Value(Value),
    /// The object has it and does not reveal it (`CKR_ATTRIBUTE_SENSITIVE`).
    Sensitive,
    /// The object has no such attribute (`CKR_ATTRIBUTE_TYPE_INVALID`).
    Invalid,
}
