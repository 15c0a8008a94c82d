//! Templates in, attribute values out. A value is read by its attribute's kind (table 4).

use std::marker::PhantomData;

use claviger_protocol::attribute::{self, Kind};
use claviger_protocol::template::{Attribute, AttributeReply, FlatAttribute, FlatValue, Template, Value};
use claviger_protocol::{AttributeType, MechanismType, Result, Rv};

use super::{Plain, copy, read};
use crate::sys::{CK_ATTRIBUTE, CK_ATTRIBUTE_PTR, CK_BBOOL, CK_ULONG, CK_UNAVAILABLE_INFORMATION};

/// The most attributes of one template. No object has a tenth of it.
const MAX_ATTRIBUTES: usize = 1024;

// SAFETY: integers and a raw pointer.
unsafe impl Plain for CK_ATTRIBUTE {}

/// `CK_ATTRIBUTE_PTR` and its count.
pub struct Attributes<'call> {
    pointer: *mut CK_ATTRIBUTE,
    count: usize,
    call: PhantomData<&'call mut [CK_ATTRIBUTE]>,
}

impl Attributes<'_> {
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL with a count, or for a count no template has.
    ///
    /// # Safety
    /// `pointer` is NULL or points to `count` attributes, whose value pointers are NULL or point to as many
    /// bytes as their lengths say (readable for [`Self::read`], writable for [`Self::write`]); the values of
    /// template attributes are such arrays themselves; all during the call.
    pub unsafe fn new(pointer: CK_ATTRIBUTE_PTR, count: CK_ULONG) -> Result<Self> {
        let count = usize::try_from(count).ok().filter(|n| *n <= MAX_ATTRIBUTES).ok_or(Rv::ARGUMENTS_BAD)?;
        if pointer.is_null() && count > 0 {
            return Err(Rv::ARGUMENTS_BAD);
        }
        Ok(Self { pointer, count, call: PhantomData })
    }

    /// The attributes with their values.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID` for a value that is NULL with a length, too long, or nested too deep.
    pub fn read(&self) -> Result<Template> {
        self.elements().map(attribute).collect()
    }

    /// The types alone: `C_GetAttributeValue`'s question.
    pub fn types(&self) -> Vec<AttributeType> {
        self.elements().map(|element| AttributeType(element.type_)).collect()
    }

    /// Writes `C_GetAttributeValue`'s answer: every attribute gets its value or its length, whatever happens to
    /// the others (PKCS#11 3.2, section 5.7.5).
    ///
    /// # Errors
    /// The first of `CKR_ATTRIBUTE_SENSITIVE`, `CKR_ATTRIBUTE_TYPE_INVALID` and `CKR_BUFFER_TOO_SMALL` that
    /// applies to an attribute; `CKR_DEVICE_ERROR` when the daemon did not answer what was asked.
    pub fn write(self, replies: &[AttributeReply]) -> Result<()> {
        if replies.len() != self.count {
            return Err(Rv::DEVICE_ERROR);
        }
        let mut result = Ok(());
        for (index, (element, reply)) in self.elements().zip(replies).enumerate() {
            let (length, outcome) = match reply {
                AttributeReply::Sensitive => unavailable(Rv::ATTRIBUTE_SENSITIVE),
                AttributeReply::Invalid => unavailable(Rv::ATTRIBUTE_TYPE_INVALID),
                AttributeReply::Value(value) => write_value(element, value),
            };
            // SAFETY: `index` is below the count of an array that the constructor's caller promised.
            unsafe { write_length(self.pointer.wrapping_add(index), length) };
            result = result.and(outcome);
        }
        result
    }

    fn elements(&self) -> impl Iterator<Item = CK_ATTRIBUTE> {
        // SAFETY: every index is below the count of an array that the constructor's caller promised.
        (0..self.count).filter_map(|index| unsafe { read(self.pointer.wrapping_add(index)) })
    }
}

/// What happened to an attribute: its length in bytes for `ulValueLen`, and what it adds to the return value.
type Written = (CK_ULONG, Result<()>);

/// An attribute without a value for the application.
fn unavailable(why: Rv) -> Written {
    (CK_UNAVAILABLE_INFORMATION, Err(why))
}

/// Sets an attribute's length.
///
/// # Safety
/// `attribute` points to a writable attribute.
unsafe fn write_length(attribute: *mut CK_ATTRIBUTE, length: CK_ULONG) {
    // SAFETY: the caller's promise; the field's address is computed without a reference, so alignment does
    // not matter.
    unsafe { (&raw mut (*attribute).ulValueLen).write_unaligned(length) };
}

fn attribute(element: CK_ATTRIBUTE) -> Result<Attribute> {
    let r#type = AttributeType(element.type_);
    let value = match attribute::kind(r#type) {
        Kind::Template => Value::Template(nested(element)?.read_flat()?),
        kind => flat_value(kind, element)?.into(),
    };
    Ok(Attribute { r#type, value })
}

/// The value of a template attribute as an array of attributes.
fn nested<'call>(element: CK_ATTRIBUTE) -> Result<Attributes<'call>> {
    let size = size_of::<CK_ATTRIBUTE>() as CK_ULONG;
    if !element.ulValueLen.is_multiple_of(size) {
        return Err(Rv::ATTRIBUTE_VALUE_INVALID);
    }
    // SAFETY: `element` comes from an array that Attributes::new was promised, which covers nested arrays.
    unsafe { Attributes::new(element.pValue.cast(), element.ulValueLen / size) }
        .map_err(|_| Rv::ATTRIBUTE_VALUE_INVALID)
}

impl Attributes<'_> {
    /// The attributes of a template attribute. A template attribute among them is refused: nesting goes one
    /// level deep.
    fn read_flat(&self) -> Result<Vec<FlatAttribute>> {
        self.elements()
            .map(|element| {
                let r#type = AttributeType(element.type_);
                match attribute::kind(r#type) {
                    Kind::Template => Err(Rv::ATTRIBUTE_VALUE_INVALID),
                    kind => Ok(FlatAttribute { r#type, value: flat_value(kind, element)? }),
                }
            })
            .collect()
    }
}

fn flat_value(kind: Kind, element: CK_ATTRIBUTE) -> Result<FlatValue> {
    let invalid = Rv::ATTRIBUTE_VALUE_INVALID;
    // SAFETY: `element` comes from an array that Attributes::new was promised.
    let bytes = unsafe { copy(element.pValue.cast(), element.ulValueLen, invalid, invalid) }?;
    Ok(match kind {
        // CK_TRUE is 1, and any other number but 0 is what C calls true.
        Kind::Bool if bytes.len() == size_of::<CK_BBOOL>() => FlatValue::Bool(bytes[0] != 0),
        Kind::Ulong => match <[u8; 8]>::try_from(&*bytes) {
            Ok(number) => FlatValue::Ulong(u64::from_ne_bytes(number)),
            Err(_) => FlatValue::Bytes(bytes),
        },
        Kind::Mechanisms => match bytes.as_chunks::<8>() {
            (numbers, []) => {
                FlatValue::Mechanisms(numbers.iter().map(|n| MechanismType(u64::from_ne_bytes(*n))).collect())
            }
            _ => FlatValue::Bytes(bytes),
        },
        Kind::Bool | Kind::Bytes | Kind::Date | Kind::Template => FlatValue::Bytes(bytes),
    })
}

fn write_value(element: CK_ATTRIBUTE, value: &Value) -> Written {
    match value {
        Value::Bool(value) => write_bool(element, *value),
        Value::Ulong(value) => write_bytes(element, &value.to_ne_bytes()),
        Value::Bytes(value) => write_bytes(element, value),
        Value::Mechanisms(value) => write_mechanisms(element, value),
        Value::Template(value) => write_template(element, value),
    }
}

fn write_flat_value(element: CK_ATTRIBUTE, value: &FlatValue) -> Written {
    match value {
        FlatValue::Bool(value) => write_bool(element, *value),
        FlatValue::Ulong(value) => write_bytes(element, &value.to_ne_bytes()),
        FlatValue::Bytes(value) => write_bytes(element, value),
        FlatValue::Mechanisms(value) => write_mechanisms(element, value),
    }
}

fn write_bool(element: CK_ATTRIBUTE, value: bool) -> Written {
    write_bytes(element, &[CK_BBOOL::from(value)])
}

fn write_mechanisms(element: CK_ATTRIBUTE, value: &[MechanismType]) -> Written {
    let bytes: Vec<u8> = value.iter().flat_map(|mechanism| mechanism.0.to_ne_bytes()).collect();
    write_bytes(element, &bytes)
}

fn write_bytes(element: CK_ATTRIBUTE, bytes: &[u8]) -> Written {
    let length = bytes.len() as CK_ULONG;
    if !element.pValue.is_null() {
        if length > element.ulValueLen {
            return unavailable(Rv::BUFFER_TOO_SMALL);
        }
        // SAFETY: not NULL, and there is room; `element` comes from an array that Attributes::new was
        // promised. `bytes` is our own memory and cannot overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), element.pValue.cast(), bytes.len()) };
    }
    (length, Ok(()))
}

/// Writes a template attribute: the elements' types and lengths, and the values of those that have a pointer.
fn write_template(element: CK_ATTRIBUTE, value: &[FlatAttribute]) -> Written {
    let length = (value.len() * size_of::<CK_ATTRIBUTE>()) as CK_ULONG;
    if element.pValue.is_null() {
        return (length, Ok(()));
    }
    if length > element.ulValueLen {
        return unavailable(Rv::BUFFER_TOO_SMALL);
    }
    let array = element.pValue.cast::<CK_ATTRIBUTE>();
    let mut result = Ok(());
    for (index, attribute) in value.iter().enumerate() {
        let place = array.wrapping_add(index);
        // SAFETY: the array has room for all elements of `value`, and Attributes::new was promised that a
        // template attribute's value is an array of attributes.
        let Some(inner) = (unsafe { read(place) }) else { continue };
        let (inner_length, outcome) = write_flat_value(inner, &attribute.value);
        // SAFETY: as above, writable.
        unsafe {
            (&raw mut (*place).type_).write_unaligned(attribute.r#type.0);
            write_length(place, inner_length);
        }
        result = result.and(outcome);
    }
    (length, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_protocol::AttributeType as A;
    use claviger_protocol::Bytes;
    use std::ptr::null_mut;

    fn raw<T>(r#type: AttributeType, value: &mut [T]) -> CK_ATTRIBUTE {
        let length = size_of_val(value) as CK_ULONG;
        CK_ATTRIBUTE { type_: r#type.0, pValue: value.as_mut_ptr().cast(), ulValueLen: length }
    }

    fn null(r#type: AttributeType, length: CK_ULONG) -> CK_ATTRIBUTE {
        CK_ATTRIBUTE { type_: r#type.0, pValue: null_mut(), ulValueLen: length }
    }

    fn attributes(list: &mut [CK_ATTRIBUTE]) -> Attributes<'_> {
        // SAFETY: the tests' lists are whole.
        unsafe { Attributes::new(list.as_mut_ptr(), list.len() as CK_ULONG) }.unwrap()
    }

    fn values(list: &mut [CK_ATTRIBUTE]) -> Vec<Value> {
        attributes(list).read().unwrap().into_iter().map(|attribute| attribute.value).collect()
    }

    #[test]
    fn values_are_read_by_their_kind() {
        let (mut class, mut token, mut label) = ([3u64], [1u8], *b"name");
        let (mut allowed, mut vendor) = ([1u64, 0x40], [9u8]);
        let mut list = [
            raw(A::CLASS, &mut class),
            raw(A::TOKEN, &mut token),
            raw(A::LABEL, &mut label),
            raw(A::ALLOWED_MECHANISMS, &mut allowed),
            raw(A(0x8000_1234), &mut vendor),
            null(A::ID, 0),
        ];
        assert_eq!(
            values(&mut list),
            [
                Value::Ulong(3),
                Value::Bool(true),
                Value::Bytes(Bytes::from(b"name")),
                Value::Mechanisms(vec![MechanismType(1), MechanismType(0x40)]),
                Value::Bytes(Bytes::from(&[9u8])),
                Value::Bytes(Bytes::default()),
            ]
        );
    }

    #[test]
    fn a_value_of_the_wrong_length_stays_bytes() {
        let (mut class, mut token, mut allowed) = ([3u32], [1u8, 0], [1u8; 9]);
        let mut list =
            [raw(A::CLASS, &mut class), raw(A::TOKEN, &mut token), raw(A::ALLOWED_MECHANISMS, &mut allowed)];
        for value in values(&mut list) {
            assert!(matches!(value, Value::Bytes(_)), "{value:?}");
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        for list in [[null(A::LABEL, 4)], [null(A::LABEL, CK_ULONG::MAX)]] {
            assert_eq!(attributes(&mut list.clone()).read(), Err(Rv::ATTRIBUTE_VALUE_INVALID));
        }
        let mut one = [1u8];
        let mut long = [raw(A::LABEL, &mut one)];
        long[0].ulValueLen = CK_UNAVAILABLE_INFORMATION;
        assert_eq!(attributes(&mut long).read(), Err(Rv::ATTRIBUTE_VALUE_INVALID));
        // SAFETY: both are refused before anything is read.
        unsafe {
            assert_eq!(Attributes::new(null_mut(), 1).err(), Some(Rv::ARGUMENTS_BAD));
            assert_eq!(Attributes::new(null_mut(), CK_ULONG::MAX).err(), Some(Rv::ARGUMENTS_BAD));
            assert_eq!(Attributes::new(null_mut(), 0).unwrap().read(), Ok(vec![]));
        }
    }

    #[test]
    fn templates_nest_one_level() {
        let (mut class, mut extractable) = ([4u64], [0u8]);
        let mut inner = [raw(A::CLASS, &mut class), raw(A::EXTRACTABLE, &mut extractable)];
        let mut list = [raw(A::WRAP_TEMPLATE, &mut inner)];
        let expected = vec![
            FlatAttribute { r#type: A::CLASS, value: FlatValue::Ulong(4) },
            FlatAttribute { r#type: A::EXTRACTABLE, value: FlatValue::Bool(false) },
        ];
        assert_eq!(values(&mut list), [Value::Template(expected)]);

        let mut outer = [raw(A::UNWRAP_TEMPLATE, &mut list)];
        assert_eq!(attributes(&mut outer).read(), Err(Rv::ATTRIBUTE_VALUE_INVALID));
        list[0].ulValueLen -= 1;
        assert_eq!(attributes(&mut list).read(), Err(Rv::ATTRIBUTE_VALUE_INVALID));
    }

    #[test]
    fn each_attribute_is_answered_whatever_the_others_are() {
        let (mut class, mut value, mut label, mut small) = ([0u64], [0u8; 4], [0u8; 4], [0u8; 2]);
        let mut list = [
            raw(A::VALUE, &mut value),
            raw(A::CLASS, &mut class),
            raw(A::LABEL, &mut label),
            raw(A::ID, &mut small),
            null(A::MODULUS, 0),
            null(A::URL, 0),
        ];
        let replies = [
            AttributeReply::Sensitive,
            AttributeReply::Value(Value::Ulong(3)),
            AttributeReply::Value(Value::Bytes(Bytes::from(b"abc"))),
            AttributeReply::Value(Value::Bytes(Bytes::from(b"abc"))),
            AttributeReply::Value(Value::Bytes(Bytes::from(&[7u8; 256]))),
            AttributeReply::Invalid,
        ];
        assert_eq!(attributes(&mut list).write(&replies), Err(Rv::ATTRIBUTE_SENSITIVE));
        let lengths: Vec<CK_ULONG> = list.iter().map(|attribute| attribute.ulValueLen).collect();
        let gone = CK_UNAVAILABLE_INFORMATION;
        assert_eq!(lengths, [gone, 8, 3, gone, 256, gone]);
        assert_eq!((class, value, label, small), ([3], [0; 4], *b"abc\0", [0; 2]));

        let mut list = [raw(A::ID, &mut small)];
        assert_eq!(attributes(&mut list).write(&replies[3..4]), Err(Rv::BUFFER_TOO_SMALL));
        assert_eq!(attributes(&mut list).write(&[]), Err(Rv::DEVICE_ERROR));
    }

    #[test]
    fn template_values_are_sized_then_filled() {
        let reply = [AttributeReply::Value(Value::Template(vec![
            FlatAttribute { r#type: A::CLASS, value: FlatValue::Ulong(4) },
            FlatAttribute { r#type: A::LABEL, value: FlatValue::Bytes(Bytes::from(b"label")) },
            FlatAttribute { r#type: A::TOKEN, value: FlatValue::Bool(true) },
        ]))];
        let size = size_of::<CK_ATTRIBUTE>() as CK_ULONG;
        let mut query = [null(A::WRAP_TEMPLATE, 0)];
        assert_eq!(attributes(&mut query).write(&reply), Ok(()));
        assert_eq!(query[0].ulValueLen, 3 * size);

        let (mut class, mut label) = ([0u64], [0u8; 2]);
        let mut inner = [raw(A(0), &mut class), raw(A(0), &mut label), null(A(0), 0)];
        let mut list = [raw(A::WRAP_TEMPLATE, &mut inner)];
        assert_eq!(attributes(&mut list).write(&reply), Err(Rv::BUFFER_TOO_SMALL));
        assert_eq!(list[0].ulValueLen, 3 * size);
        assert_eq!(class, [4]);
        let got: Vec<_> = inner.iter().map(|a| (AttributeType(a.type_), a.ulValueLen)).collect();
        assert_eq!(got, [(A::CLASS, 8), (A::LABEL, CK_UNAVAILABLE_INFORMATION), (A::TOKEN, 1)]);

        let mut short = [raw(A::WRAP_TEMPLATE, &mut inner[..2])];
        assert_eq!(attributes(&mut short).write(&reply), Err(Rv::BUFFER_TOO_SMALL));
        assert_eq!(short[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    }
}
