//! Keys over prime fields: DSA (FIPS 186-4), Diffie-Hellman with a prime and a base (PKCS #3) and with the order of a
//! subgroup as well (ANSI X9.42).

use std::ffi::CStr;

use claviger_protocol::mechanism::FIELD_BITS;
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, Bytes, KeyType};
use openssl::bn::{BigNum, BigNumContext};
use openssl::pkey::{PKey, PKeyRef, Private};

use super::components::{Get, big, number, required};
use super::ffi::{self, Part};
use super::key::Key;
use crate::error::{Error, Result};

/// True for the key types of this file.
pub fn is_field(key_type: KeyType) -> bool {
    matches!(key_type, KeyType::DSA | KeyType::DH | KeyType::X9_42_DH)
}

/// A group.
struct Group {
    /// OpenSSL's name of the algorithm.
    algorithm: &'static CStr,
    prime: Bytes,
    /// The order of the base, where the key type has it.
    subprime: Option<Bytes>,
    base: Bytes,
}

impl Group {
    /// The group that a template gives. `TemplateIncomplete`, `DomainParamsInvalid`.
    fn new(key_type: KeyType, get: Get) -> Result<Group> {
        let algorithm = match key_type {
            KeyType::DSA => c"DSA",
            KeyType::DH => c"DH",
            _ => c"DHX",
        };
        let prime = required(get, A::PRIME)?;
        let base = required(get, A::BASE)?;
        let subprime = if key_type == KeyType::DH { None } else { Some(required(get, A::SUBPRIME)?) };
        let (p, g) = (BigNum::from_slice(&prime)?, BigNum::from_slice(&base)?);
        let bits = u64::try_from(p.num_bits()).unwrap_or(0);
        let order_is_valid = match &subprime {
            None => true,
            Some(subprime) => {
                let q = BigNum::from_slice(subprime)?;
                q.is_odd() && q.num_bits() >= 160 && q < p
            }
        };
        let valid = (FIELD_BITS.0..=FIELD_BITS.1).contains(&bits)
            && p.is_odd()
            && g.num_bits() >= 2
            && g < p
            && order_is_valid;
        if !valid {
            return Err(Error::DomainParamsInvalid);
        }
        Ok(Group { algorithm, prime, subprime, base })
    }

    fn parts(&self) -> Vec<(&'static CStr, Part<'_>)> {
        let mut parts = vec![(c"p", Part::Number(&self.prime)), (c"g", Part::Number(&self.base))];
        if let Some(subprime) = &self.subprime {
            parts.push((c"q", Part::Number(subprime)));
        }
        parts
    }
}

/// The attributes of new domain parameters for a template's `CKA_PRIME_BITS` and `CKA_SUBPRIME_BITS`.
///
/// With an order: a group of its own (FIPS 186-4). Without: the well-known one of that size with a safe prime (RFC
/// 3526, RFC 2409), because a fresh safe prime takes minutes and is no better.
///
/// `TemplateIncomplete`, `KeySizeRange`.
pub fn parameters(key_type: KeyType, get: Get) -> Result<Vec<(A, Value)>> {
    let bits = number(get, A::PRIME_BITS)?.ok_or(Error::TemplateIncomplete)?;
    let bytes = |bytes: Vec<u8>| Value::Bytes(bytes.into());
    if key_type == KeyType::DH {
        let prime = match bits {
            1024 => BigNum::get_rfc2409_prime_1024()?,
            1536 => BigNum::get_rfc3526_prime_1536()?,
            2048 => BigNum::get_rfc3526_prime_2048()?,
            3072 => BigNum::get_rfc3526_prime_3072()?,
            4096 => BigNum::get_rfc3526_prime_4096()?,
            6144 => BigNum::get_rfc3526_prime_6144()?,
            8192 => BigNum::get_rfc3526_prime_8192()?,
            _ => return Err(Error::KeySizeRange),
        };
        return Ok(vec![(A::PRIME, bytes(prime.to_vec())), (A::BASE, bytes(vec![2]))]);
    }
    // FIPS 186-4, 4.2
    let order = match (bits, number(get, A::SUBPRIME_BITS)?) {
        (1024, None | Some(160)) => 160,
        (2048, Some(224)) => 224,
        (2048 | 3072, None | Some(256)) => 256,
        _ => return Err(Error::KeySizeRange),
    };
    let [prime, subprime, base] = ffi::field_group(bits as u32, order)?;
    Ok(vec![(A::PRIME, bytes(prime)), (A::SUBPRIME, bytes(subprime)), (A::BASE, bytes(base))])
}

/// The sizes of the group that attributes give, in bits: of the prime and, where the key type has it, of the order.
///
/// `TemplateIncomplete`, `DomainParamsInvalid`; `AttributeValueInvalid` for a key type without such groups.
pub fn sizes(key_type: KeyType, get: Get) -> Result<Vec<(A, Value)>> {
    if !is_field(key_type) {
        return Err(Error::AttributeValueInvalid);
    }
    let group = Group::new(key_type, get)?;
    let bits = |number: &[u8]| -> Result<Value> {
        Ok(Value::Ulong(u64::try_from(BigNum::from_slice(number)?.num_bits()).unwrap_or(0)))
    };
    let mut sizes = vec![(A::PRIME_BITS, bits(&group.prime)?)];
    if let Some(subprime) = &group.subprime {
        sizes.push((A::SUBPRIME_BITS, bits(subprime)?));
    }
    Ok(sizes)
}

/// A new pair over the group that a template gives. `TemplateIncomplete`, `DomainParamsInvalid`.
pub fn pair(key_type: KeyType, get: Get) -> Result<PKey<Private>> {
    let group = Group::new(key_type, get)?;
    ffi::pair_over(group.algorithm, &group.parts()).map_err(|_| Error::DomainParamsInvalid)
}

/// A public key from its components. `TemplateIncomplete`, `DomainParamsInvalid`, `AttributeValueInvalid`.
pub fn public_key(key_type: KeyType, get: Get) -> Result<Key> {
    let group = Group::new(key_type, get)?;
    let value = required(get, A::VALUE)?;
    let mut parts = group.parts();
    parts.push((c"pub", Part::Number(&value)));
    let key = ffi::public_key(group.algorithm, &parts).map_err(|_| Error::AttributeValueInvalid)?;
    let key = Key::Public(key);
    key.check(key_type)?;
    Ok(key)
}

/// A private key from its components, its public value computed. `TemplateIncomplete`, `DomainParamsInvalid`,
/// `AttributeValueInvalid`.
pub fn private_key(key_type: KeyType, get: Get) -> Result<Key> {
    let group = Group::new(key_type, get)?;
    let value = required(get, A::VALUE)?;
    let mut exponent = big(&value)?;
    exponent.set_const_time();
    let limit = BigNum::from_slice(group.subprime.as_ref().unwrap_or(&group.prime))?;
    if exponent.num_bits() == 0 || exponent >= limit {
        return Err(Error::AttributeValueInvalid);
    }
    let public = power(&group.base, &exponent, &group.prime)?.to_vec();
    let mut parts = group.parts();
    parts.push((c"pub", Part::Number(&public)));
    parts.push((c"priv", Part::Number(&value)));
    let key = ffi::private_key(group.algorithm, &parts).map_err(|_| Error::AttributeValueInvalid)?;
    Ok(Key::Private(key))
}

/// True when the halves belong together. Whether the prime is one is not asked: that takes seconds, and a caller who
/// lies about his own group harms himself alone.
pub fn pair_is_valid(key: &PKeyRef<Private>) -> Result<bool> {
    let number = |name| ffi::number(key, name).ok_or(Error::AttributeValueInvalid);
    let mut exponent = big(&number(c"priv")?)?;
    exponent.set_const_time();
    let public = power(&number(c"g")?, &exponent, &number(c"p")?)?;
    Ok(public == BigNum::from_slice(&number(c"pub")?)?)
}

fn power(base: &[u8], exponent: &BigNum, prime: &[u8]) -> Result<BigNum> {
    let mut context = BigNumContext::new_secure()?;
    let mut power = BigNum::new_secure()?;
    power.mod_exp(&*BigNum::from_slice(base)?, exponent, &*BigNum::from_slice(prime)?, &mut context)?;
    Ok(power)
}
