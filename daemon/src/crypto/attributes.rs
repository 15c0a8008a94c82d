//! The attributes that are computed from a key.

use claviger_protocol::attribute::attribute;
use claviger_protocol::mechanism::{Cipher as BlockCipher, CurveKind, Hash, Mode};
use claviger_protocol::template::{Attribute, Value};
use claviger_protocol::{AttributeType as A, Bytes, KeyType, ObjectClass};
use openssl::cipher_ctx::CipherCtx;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef};

use super::components::{Component, RSA_PRIVATE, RSA_PUBLIC};
use super::curve::Curve;
use super::digest::Digest;
use super::key::Key;
use super::{algorithm, der, ffi, post_quantum};
use crate::error::{Error, Result};

impl Key {
    /// Every attribute computed from the key that is no secret, as far as an object of this class and key type
    /// has it; of a private key also those of its public half. Big integers are unsigned without leading zeros; `CKA_EC_POINT` is a DER `OCTET STRING`.
    pub fn public_attributes(&self, class: ObjectClass, key_type: KeyType) -> Result<Vec<Attribute>> {
        let computed = match self {
            Key::Private(key) => pair_attributes(key, Half::of(class))?,
            Key::Public(key) => pair_attributes(key, Half::Public)?,
            Key::Secret(value) => vec![
                (A::VALUE_LEN, Value::Ulong(value.len() as u64)),
                (A::CHECK_VALUE, Value::Bytes(check_value(key_type, value)?)),
            ],
        };
        Ok(computed
            .into_iter()
            .filter(|(r#type, _)| attribute(*r#type, class, Some(key_type)).is_some())
            .map(|(r#type, value)| Attribute { r#type, value })
            .collect())
    }

    /// True for a `SubjectPublicKeyInfo`, in any encoding, of the key's public half; an empty one says nothing.
    pub fn has_public_info(&self, info: &Value) -> bool {
        let Value::Bytes(info) = info else { return false };
        let given = PKey::public_key_from_der(info);
        match self {
            Key::Secret(_) => false,
            _ if info.is_empty() => true,
            Key::Private(key) => given.is_ok_and(|given| given.public_eq(key)),
            Key::Public(key) => given.is_ok_and(|given| given.public_eq(key)),
        }
    }

    /// A secret component, which only an extractable key that is not sensitive may show; `None` if the key has no
    /// such component.
    pub fn secret_attribute(&self, r#type: A) -> Result<Option<Bytes>> {
        let key = match self {
            Key::Private(key) => key,
            Key::Public(_) => return Ok(None),
            Key::Secret(value) => return Ok((r#type == A::VALUE).then(|| Bytes::from(value.as_slice()))),
        };
        let part = match key.id() {
            Id::RSA => RSA_PRIVATE
                .iter()
                .find(|component| component.0 == r#type)
                .and_then(|Component(_, name)| ffi::number(key, name)),
            Id::EC | Id::DSA | Id::DH | Id::DHX if r#type == A::VALUE => ffi::number(key, c"priv"),
            Id::ED25519 | Id::ED448 | Id::X25519 | Id::X448 if r#type == A::VALUE => {
                ffi::octets(key, c"priv")
            }
            _ => post_quantum::secret_part(key, r#type).and_then(|name| ffi::octets(key, name)),
        };
        Ok(part.map(|part| Bytes::from(part.as_slice())))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Public,
    Private,
}

impl Half {
    fn of(class: ObjectClass) -> Half {
        if class == ObjectClass::PUBLIC_KEY { Half::Public } else { Half::Private }
    }
}

fn pair_attributes<T: HasPublic>(key: &PKeyRef<T>, half: Half) -> Result<Vec<(A, Value)>> {
    if [Id::EC, Id::ED25519, Id::ED448, Id::X25519, Id::X448].contains(&key.id()) {
        return curve_attributes(key);
    }
    let mut attributes = vec![(A::PUBLIC_KEY_INFO, Value::Bytes(key.public_key_to_der()?.into()))];
    if let Some(computed) = post_quantum::attributes(key, half == Half::Public)? {
        attributes.extend(computed);
        return Ok(attributes);
    }
    if key.id() == Id::RSA {
        for Component(r#type, name) in RSA_PUBLIC {
            let number = ffi::number(key, name).ok_or(Error::DataInvalid)?;
            attributes.push((*r#type, Value::Bytes(number.as_slice().into())));
        }
        attributes.push((A::MODULUS_BITS, Value::Ulong(u64::from(key.bits()))));
        return Ok(attributes);
    }
    if [Id::DSA, Id::DH, Id::DHX].contains(&key.id()) {
        // CKA_VALUE is the public value on a public key, and secret on a private one.
        let public = [(A::PRIME, c"p"), (A::SUBPRIME, c"q"), (A::BASE, c"g"), (A::VALUE, c"pub")];
        for (r#type, name) in &public[..if half == Half::Public { 4 } else { 3 }] {
            if let Some(number) = ffi::number(key, name) {
                attributes.push((*r#type, Value::Bytes(number.as_slice().into())));
            }
        }
        if let (Half::Private, Some(number)) = (half, ffi::number(key, c"priv")) {
            let bits =
                number.len() as u64 * 8 - u64::from(number.first().map_or(0, |byte| byte.leading_zeros()));
            attributes.push((A::VALUE_BITS, Value::Ulong(bits)));
        }
        return Ok(attributes);
    }
    Err(Error::KeyTypeInconsistent)
}

fn curve_attributes<T: HasPublic>(key: &PKeyRef<T>) -> Result<Vec<(A, Value)>> {
    /// First byte of an uncompressed point (SEC 1, 2.3.3).
    const UNCOMPRESSED: u8 = 4;
    let curve = Curve::of(key)?;
    // A public key that came as SubjectPublicKeyInfo may hold its point compressed, and OpenSSL's "pub" always does.
    let form = if curve.kind == CurveKind::Weierstrass { c"encoded-pub-key" } else { c"pub" };
    let point = ffi::octets(key, form).ok_or(Error::DataInvalid)?;
    let is_as_given = curve.kind != CurveKind::Weierstrass || point.first() == Some(&UNCOMPRESSED);
    let (info, point) = match is_as_given {
        // What OpenSSL's encoder would say, which looks for itself among all encoders each time.
        true => (curve.public_key_info(&point), point.to_vec()),
        false => (key.public_key_to_der()?, curve.point(&point).ok_or(Error::DataInvalid)?),
    };
    Ok(vec![
        (A::PUBLIC_KEY_INFO, Value::Bytes(info.into())),
        (A::EC_PARAMS, Value::Bytes(curve.oid.into())),
        (A::EC_POINT, Value::Bytes(der::octet_string(&point).into())),
    ])
}

/// Three bytes that tell keys apart: of a block of zeros under the key, or of the SHA-1 of its value for keys
/// that are not of a block cipher (PKCS#11 3.2, 4.10.2).
fn check_value(key_type: KeyType, value: &[u8]) -> Result<Bytes> {
    const LENGTH: usize = 3;
    let mut check = if let Some(cipher) = block_cipher(key_type) {
        let key = algorithm::CipherKey::new(cipher, value);
        let cipher = algorithm::cipher(cipher, Mode::Ecb, value.len())?;
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(cipher), Some(&key), None)?;
        context.set_padding(false);
        let mut block = Vec::new();
        context.cipher_update_vec(&vec![0; cipher.block_size()], &mut block)?;
        block
    } else {
        let mut digest = Digest::with(Hash::Sha1)?;
        digest.update(value)?;
        digest.finish()?.into_vec()
    };
    check.truncate(LENGTH);
    Ok(check.into())
}

/// The block cipher that keys of this type are for.
fn block_cipher(key_type: KeyType) -> Option<BlockCipher> {
    match key_type {
        KeyType::AES => Some(BlockCipher::Aes),
        KeyType::DES => Some(BlockCipher::Des),
        KeyType::DES2 | KeyType::DES3 => Some(BlockCipher::Des3),
        KeyType::ARIA => Some(BlockCipher::Aria),
        KeyType::SM4 => Some(BlockCipher::Sm4),
        _ => None,
    }
}
