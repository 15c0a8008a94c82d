//! Parts of records that say nothing for nearly all of them. A store may hold hundreds of thousands of records, so such a
//! part takes a pointer until it says something.

use std::ops::{Deref, DerefMut};

use bincode::de::{BorrowDecode, BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

/// A value that says nothing.
pub trait Nothing: Default + PartialEq + 'static {
    /// It equals the default.
    const NOTHING: &'static Self;
}

/// A value, which is elsewhere unless it says [nothing](Nothing::NOTHING). The store has it as the value itself.
#[derive(Debug, Clone)]
pub struct Seldom<T>(Option<Box<T>>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Seldom(None)
    }
}

impl<T: Nothing> From<T> for Seldom<T> {
    fn from(value: T) -> Self {
        Seldom((value != *T::NOTHING).then(|| Box::new(value)))
    }
}

impl<T: Nothing> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::NOTHING)
    }
}

impl<T: Nothing> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Nothing + Encode> Encode for Seldom<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        T::encode(self, encoder)
    }
}

impl<C, T: Nothing + Decode<C>> Decode<C> for Seldom<T> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        T::decode(decoder).map(Self::from)
    }
}

impl<'de, C, T: Nothing + BorrowDecode<'de, C>> BorrowDecode<'de, C> for Seldom<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        T::borrow_decode(decoder).map(Self::from)
    }
}
