//! The attributes of one object, by type.

use std::collections::BTreeMap;

use claviger_protocol::mechanism_type::MechanismType;
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::template::{Attribute, FlatAttribute, Template, Value};
use claviger_protocol::{AttributeType, Bytes};

/// Attribute values by type. Holds nothing secret: private components are computed from the key on demand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<AttributeType, Value>);

impl Attributes {
    /// The value of an attribute, if the object has it.
    pub fn value(&self, r#type: AttributeType) -> Option<&Value> {
        self.0.get(&r#type)
    }

    /// Sets an attribute.
    pub fn set(&mut self, r#type: AttributeType, value: Value) {
        self.0.insert(r#type, value);
    }

    /// Removes an attribute and gives its value.
    pub fn take(&mut self, r#type: AttributeType) -> Option<Value> {
        self.0.remove(&r#type)
    }

    /// True when the attribute is `CK_TRUE`; absent is false.
    pub fn is_true(&self, r#type: AttributeType) -> bool {
        matches!(self.value(r#type), Some(Value::Bool(true)))
    }

    /// The bytes of an attribute; absent is empty.
    pub fn bytes(&self, r#type: AttributeType) -> &[u8] {
        match self.value(r#type) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// The number of an attribute.
    pub fn ulong(&self, r#type: AttributeType) -> Option<u64> {
        match self.value(r#type) {
            Some(Value::Ulong(number)) => Some(*number),
            _ => None,
        }
    }

    /// `CKA_KEY_TYPE`.
    pub fn key_type(&self) -> Option<KeyType> {
        self.ulong(AttributeType::KEY_TYPE).map(KeyType)
    }

    /// `CKA_CLASS`.
    pub fn class(&self) -> Option<ObjectClass> {
        self.ulong(AttributeType::CLASS).map(ObjectClass)
    }

    /// `CKA_ALLOWED_MECHANISMS`; absent or empty allows all.
    pub fn allows(&self, mechanism: MechanismType) -> bool {
        match self.value(AttributeType::ALLOWED_MECHANISMS) {
            Some(Value::Mechanisms(allowed)) => allowed.is_empty() || allowed.contains(&mechanism),
            _ => true,
        }
    }

    /// A template attribute (`CKA_WRAP_TEMPLATE` and its like); absent is empty.
    pub fn template(&self, r#type: AttributeType) -> &[FlatAttribute] {
        match self.value(r#type) {
            Some(Value::Template(template)) => template,
            _ => &[],
        }
    }

    /// All attributes, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (AttributeType, &Value)> {
        self.0.iter().map(|(r#type, value)| (*r#type, value))
    }

    /// What they take, in bytes.
    pub fn size(&self) -> u64 {
        self.iter().map(|(_, value)| 16 + value_size(value)).sum()
    }

    /// As the store keeps them.
    pub fn to_template(&self) -> Template {
        self.iter().map(|(r#type, value)| Attribute { r#type, value: value.clone() }).collect()
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|attribute| (attribute.r#type, attribute.value)).collect())
    }
}

/// A byte-string value.
pub fn bytes(value: impl Into<Bytes>) -> Value {
    Value::Bytes(value.into())
}

fn value_size(value: &Value) -> u64 {
    match value {
        Value::Bool(_) => 1,
        Value::Ulong(_) => 8,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::Mechanisms(list) => 8 * list.len() as u64,
        Value::Template(list) => 24 * list.len() as u64,
    }
}
