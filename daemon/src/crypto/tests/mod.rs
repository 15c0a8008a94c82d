//! Known answers, round trips, and wrong input, mechanism by mechanism. The answers are those of the publications
//! named beside them; `command` compares with the `openssl` command as a second implementation.

mod cipher;
mod command;
mod derive;
mod digest;
mod field;
mod generate;
mod key;
mod signature;
mod wrap;

use std::sync::{Arc, LazyLock};

use claviger_protocol::mechanism::{MECHANISMS, MechanismRow, Recipe, mechanism};
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass};

use super::components;
use super::key::Key;
use crate::error::Result;

fn row(r#type: M) -> &'static MechanismRow {
    mechanism(r#type).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A template as [`components::Get`] wants it.
fn template(attributes: Vec<(A, Value)>) -> impl Fn(A) -> Option<Value> {
    move |wanted| attributes.iter().find(|(r#type, _)| *r#type == wanted).map(|(_, value)| value.clone())
}

fn bytes(value: &[u8]) -> Value {
    Value::Bytes(value.into())
}

fn create(class: ObjectClass, key_type: KeyType, attributes: Vec<(A, Value)>) -> Result<Key> {
    let get = template(attributes);
    let get: components::Get = &get;
    Key::from_components(class, key_type, get)
}

fn secret(value: &[u8]) -> Arc<Key> {
    Arc::new(
        create(ObjectClass::SECRET_KEY, KeyType::GENERIC_SECRET, vec![(A::VALUE, bytes(value))]).unwrap(),
    )
}

/// A private key and its public half.
type Pair = (Arc<Key>, Arc<Key>);

fn pair(r#type: M, attributes: Vec<(A, Value)>) -> Pair {
    let private = super::generate::pair(row(r#type), &template(attributes)).unwrap();
    let public = private.public().unwrap();
    (Arc::new(private), Arc::new(public))
}

/// RSA keys take long to make; all tests share these.
fn rsa() -> &'static Pair {
    static PAIR: LazyLock<Pair> =
        LazyLock::new(|| pair(M::RSA_PKCS_KEY_PAIR_GEN, vec![(A::MODULUS_BITS, Value::Ulong(2048))]));
    &PAIR
}

fn on_curve(params: &[u8]) -> Pair {
    let curve = super::curve::Curve::from_params(params).unwrap();
    let r#type = match curve.key_type() {
        KeyType::EC => M::EC_KEY_PAIR_GEN,
        _ => M::EC_EDWARDS_KEY_PAIR_GEN,
    };
    pair(r#type, vec![(A::EC_PARAMS, bytes(params))])
}

const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
const ED448: &[u8] = b"\x06\x03\x2b\x65\x71";

/// Derivations whose parameter is a number: what is wrong for the others is a handle to them.
fn takes_numbers(recipe: Recipe) -> bool {
    matches!(recipe, Recipe::Concatenate(_) | Recipe::HashKeySha512T | Recipe::Extract)
}

/// No recipe of the table is left without a way to start it.
#[test]
fn every_row_has_an_implementation() {
    use super::{Cipher, Digest, Direction, Signer};
    use crate::error::Error;
    use claviger_protocol::flags::mechanism::*;
    use claviger_protocol::params::Params;
    // The key service performs its own.
    for row in MECHANISMS.iter().filter(|row| row.recipe != Recipe::KmsEnvelope) {
        let key = Arc::new(Key::Secret(zeroize::Zeroizing::new(vec![1; 32])));
        let wrong = Params::Ulong(u64::MAX);
        let offered = |flag| row.flags & flag != 0;
        let mut answers = Vec::new();
        if offered(DIGEST) {
            answers.push(Digest::new(row, &wrong).err());
        }
        if offered(SIGN) {
            answers.push(Signer::new(row, &wrong, Arc::clone(&key)).err());
        }
        if offered(ENCRYPT) {
            answers.push(Cipher::new(Direction::Encrypt, row, &wrong, Arc::clone(&key)).err());
        }
        if offered(WRAP) {
            answers.push(super::wrap::wrap(row, &wrong, &key, &[0; 16]).err());
        }
        if offered(DERIVE) && row.recipe != Recipe::PublicFromPrivate && !takes_numbers(row.recipe) {
            let wanted = [super::derive::Wanted { key_type: KeyType::GENERIC_SECRET, length: Some(16) }];
            let none = |_| Err(Error::KeyHandleInvalid);
            answers.push(super::derive::derive(row, &wrong, &key, &none, &wanted).err());
        }
        if offered(GENERATE_KEY_PAIR) {
            answers.push(super::generate::pair(row, &|_| None).err());
        }
        for answer in answers {
            let answer = answer.unwrap();
            let expected = [
                Error::MechanismParamInvalid,
                Error::KeyTypeInconsistent,
                Error::WrappingKeyTypeInconsistent,
                Error::TemplateIncomplete,
                // Of the ciphers whose keys are not of 256 bits, looked at before the parameter.
                Error::KeySizeRange,
                Error::WrappingKeySizeRange,
            ];
            assert!(expected.contains(&answer), "{}: {answer:?}", row.r#type);
        }
    }
}
