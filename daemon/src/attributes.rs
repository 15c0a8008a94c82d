//! The attributes of one object, by type.
//!
//! A store may hold hundreds of thousands of objects, and most of what they say of themselves many others say as well:
//! flags and numbers. [`Attributes::compact`] keeps these once for all objects that agree in all of them; what is left to
//! each is its bytes (label, id, check value). Cloning attributes is cheap.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use claviger_protocol::mechanism_type::MechanismType;
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::template::{Attribute, FlatAttribute, Template, Value};
use claviger_protocol::{AttributeType, Bytes};

use crate::lock;

/// Attribute values by type. Holds nothing secret: private components are computed from the key on demand.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// What many objects have alike, in the order of their types.
    shared: Arc<[Attribute]>,
    /// The rest, in the order of their types.
    own: Arc<Vec<Attribute>>,
}

impl Attributes {
    /// The value of an attribute, if the object has it.
    pub fn value(&self, r#type: AttributeType) -> Option<&Value> {
        find(&self.own, r#type).or_else(|| find(&self.shared, r#type))
    }

    /// Sets an attribute.
    pub fn set(&mut self, r#type: AttributeType, value: Value) {
        let own = self.own_all();
        match place(own, r#type) {
            Ok(place) => own[place].value = value,
            Err(place) => own.insert(place, Attribute { r#type, value }),
        }
    }

    /// Removes an attribute and gives its value.
    pub fn take(&mut self, r#type: AttributeType) -> Option<Value> {
        let own = self.own_all();
        place(own, r#type).ok().map(|place| own.remove(place).value)
    }

    /// All attributes, none of them shared.
    fn own_all(&mut self) -> &mut Vec<Attribute> {
        if !self.shared.is_empty() {
            *self = Self { shared: Arc::default(), own: Arc::new(self.to_template()) };
        }
        Arc::make_mut(&mut self.own)
    }

    /// The same, for an object that stays: what many objects have alike is kept once.
    #[must_use]
    pub fn compact(self) -> Self {
        let all = match self.shared.is_empty() {
            true => Arc::unwrap_or_clone(self.own),
            false => self.to_template(),
        };
        let shared = share(all.iter().filter(|attribute| is_shared(attribute)));
        // Of the right length at once: there may be very many.
        let mut own = Vec::with_capacity(all.len() - shared.len());
        own.extend(all.into_iter().filter(|attribute| !is_shared(attribute)));
        Self { shared, own: Arc::new(own) }
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
        let (mut shared, mut own) = (self.shared.iter().peekable(), self.own.iter().peekable());
        std::iter::from_fn(move || {
            let from_shared = match (shared.peek(), own.peek()) {
                (Some(one), Some(other)) => one.r#type < other.r#type,
                (one, _) => one.is_some(),
            };
            let next = if from_shared { shared.next() } else { own.next() };
            next.map(|attribute| (attribute.r#type, &attribute.value))
        })
    }

    /// What they take, in bytes.
    pub fn size(&self) -> u64 {
        self.iter().map(|(_, value)| 16 + value_size(value)).sum()
    }

    /// As they travel.
    pub fn to_template(&self) -> Template {
        self.iter().map(|(r#type, value)| Attribute { r#type, value: value.clone() }).collect()
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Attributes {}

impl FromIterator<Attribute> for Attributes {
    /// Of two values of one type the later counts.
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        let mut own: Vec<Attribute> = attributes.into_iter().collect();
        // Stable, so that the last of a type is the last still, and the first when reversed.
        own.sort_by_key(|attribute| attribute.r#type);
        own.reverse();
        own.dedup_by_key(|attribute| attribute.r#type);
        own.reverse();
        Self { shared: Arc::default(), own: Arc::new(own) }
    }
}

/// As a [`Template`]: that is what the store has.
impl Encode for Attributes {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> std::result::Result<(), EncodeError> {
        self.to_template().encode(encoder)
    }
}

impl<C> Decode<C> for Attributes {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> std::result::Result<Self, DecodeError> {
        Ok(Template::decode(decoder)?.into_iter().collect::<Attributes>().compact())
    }
}

bincode::impl_borrow_decode!(Attributes);

fn place(attributes: &[Attribute], r#type: AttributeType) -> std::result::Result<usize, usize> {
    attributes.binary_search_by_key(&r#type, |attribute| attribute.r#type)
}

fn find(attributes: &[Attribute], r#type: AttributeType) -> Option<&Value> {
    place(attributes, r#type).ok().map(|place| &attributes[place].value)
}

/// True for values that many objects have alike. Not numbers of any size: each would be a combination of its own.
fn is_shared(attribute: &Attribute) -> bool {
    /// Lengths, sizes and numbers of mechanisms are below or at a few places above.
    const COMMON_BELOW: u64 = 1 << 16;
    match &attribute.value {
        Value::Bool(_) => true,
        Value::Ulong(number) => *number < COMMON_BELOW || *number == u64::MAX,
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Mechanisms(_) | Value::Template(_) => false,
    }
}

thread_local! {
    /// The combination that this thread met last. Next to it there is mostly one that is the same, and no lock is needed
    /// to see that.
    static LAST: RefCell<Arc<[Attribute]>> = RefCell::default();
}

/// The one copy of a combination of attributes.
fn share<'a>(attributes: impl Iterator<Item = &'a Attribute> + Clone) -> Arc<[Attribute]> {
    LAST.with_borrow_mut(|last| {
        if !last.iter().eq(attributes.clone()) {
            *last = share_with_all(attributes.cloned().collect());
        }
        last.clone()
    })
}

fn share_with_all(attributes: Vec<Attribute>) -> Arc<[Attribute]> {
    static SHARED: OnceLock<Mutex<HashSet<Arc<[Attribute]>>>> = OnceLock::new();
    /// So many combinations are kept before those that nobody has any more are looked for.
    const MANY: usize = 1024;
    let mut shared = lock::lock(SHARED.get_or_init(Mutex::default));
    if let Some(known) = shared.get(attributes.as_slice()) {
        return known.clone();
    }
    if shared.len() >= MANY && shared.len().is_power_of_two() {
        shared.retain(|known| Arc::strong_count(known) > 1);
    }
    let new: Arc<[Attribute]> = attributes.into();
    shared.insert(new.clone());
    new
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

#[cfg(test)]
mod tests {
    use super::*;
    use AttributeType as A;

    fn attribute(r#type: A, value: Value) -> Attribute {
        Attribute { r#type, value }
    }

    fn some(label: &str) -> Attributes {
        [
            attribute(A::LABEL, bytes(label.as_bytes().to_vec())),
            attribute(A::TOKEN, Value::Bool(true)),
            attribute(A::KEY_TYPE, Value::Ulong(0x1f)),
            attribute(A::ID, bytes(Vec::new())),
            attribute(A::CLASS, Value::Ulong(4)),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn objects_that_agree_share_what_they_agree_in() {
        let (one, mut other) = (some("one").compact(), some("other").compact());
        assert!(Arc::ptr_eq(&one.shared, &other.shared));
        assert_ne!(one, other);
        other.set(A::LABEL, bytes(b"one".to_vec()));
        assert_eq!(one, other);
        other.set(A::TOKEN, Value::Bool(false));
        assert!(one.is_true(A::TOKEN) && !other.is_true(A::TOKEN));
        assert_eq!(other.take(A::KEY_TYPE), Some(Value::Ulong(0x1f)));
        assert_eq!(other.take(A::KEY_TYPE), None);
    }

    #[test]
    fn they_come_in_the_order_of_their_types_and_are_stored_as_a_template() {
        let attributes = some("label");
        let types: Vec<A> = attributes.iter().map(|(r#type, _)| r#type).collect();
        assert!(types.is_sorted() && types.len() == 5);
        assert_eq!(attributes.clone().compact().iter().map(|(r#type, _)| r#type).collect::<Vec<_>>(), types);
        let stored = claviger_protocol::codec::encode(&attributes).unwrap();
        assert_eq!(stored, claviger_protocol::codec::encode(&attributes.to_template()).unwrap());
        assert_eq!(claviger_protocol::codec::decode(&stored), Ok(attributes));
        let twice: Attributes =
            [attribute(A::ID, bytes(vec![1])), attribute(A::ID, bytes(vec![2]))].into_iter().collect();
        assert_eq!(twice.bytes(A::ID), [2]);
    }
}
