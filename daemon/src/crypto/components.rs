//! Keys from the components in a template (`C_CreateObject`), and the attributes that each component of an RSA
//! key is.

use std::ffi::{CStr, CString};

use claviger_protocol::mechanism::{CurveKind, RSA_BITS};
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, Bytes, KeyType, ObjectClass};
use openssl::bn::{BigNum, BigNumContext};
use zeroize::Zeroizing;

use super::curve::Curve;
use super::ffi::{self, Part};
use super::field;
use super::key::{Key, secret_length_is_valid};
use super::{post_quantum, random};
use crate::error::{Error, Result};

/// Where a template's attributes come from.
pub type Get<'a> = &'a dyn Fn(A) -> Option<Value>;

/// A component of an RSA key: its attribute and OpenSSL's name of it.
pub(super) struct Component(pub A, pub &'static CStr);

/// The public components of an RSA key.
pub(super) const RSA_PUBLIC: &[Component] =
    &[Component(A::MODULUS, c"n"), Component(A::PUBLIC_EXPONENT, c"e")];
/// The private components of an RSA key.
pub(super) const RSA_PRIVATE: &[Component] = &[
    Component(A::PRIVATE_EXPONENT, c"d"),
    Component(A::PRIME_1, c"rsa-factor1"),
    Component(A::PRIME_2, c"rsa-factor2"),
    Component(A::EXPONENT_1, c"rsa-exponent1"),
    Component(A::EXPONENT_2, c"rsa-exponent2"),
    Component(A::COEFFICIENT, c"rsa-coefficient1"),
];

impl Key {
    /// A key from the components that a template gives.
    ///
    /// RSA: modulus, public exponent and, for a private key, private exponent; primes and the rest of the CRT
    /// form are computed when any is missing. Curves: parameters and point, or parameters and private value. Secret
    /// keys: the value.
    ///
    /// `TemplateIncomplete` when a component is missing, `AttributeValueInvalid` when one makes no sense,
    /// `TemplateInconsistent` when they contradict each other, `CurveNotSupported`, `DomainParamsInvalid`.
    pub fn from_components(class: ObjectClass, key_type: KeyType, get: Get) -> Result<Key> {
        match (class, key_type) {
            (ObjectClass::SECRET_KEY, _) => secret(key_type, get),
            (ObjectClass::PUBLIC_KEY, KeyType::RSA) => rsa_public(get),
            (ObjectClass::PRIVATE_KEY, KeyType::RSA) => rsa_private(get),
            (ObjectClass::PUBLIC_KEY, KeyType::EC | KeyType::EC_EDWARDS | KeyType::EC_MONTGOMERY) => {
                curve_public(key_type, get)
            }
            (ObjectClass::PRIVATE_KEY, KeyType::EC | KeyType::EC_EDWARDS | KeyType::EC_MONTGOMERY) => {
                curve_private(key_type, get)
            }
            (ObjectClass::PUBLIC_KEY, KeyType::DSA | KeyType::DH | KeyType::X9_42_DH) => {
                field::public_key(key_type, get)
            }
            (ObjectClass::PRIVATE_KEY, KeyType::DSA | KeyType::DH | KeyType::X9_42_DH) => {
                field::private_key(key_type, get)
            }
            (ObjectClass::PUBLIC_KEY | ObjectClass::PRIVATE_KEY, key_type)
                if post_quantum::has_sets(key_type) =>
            {
                post_quantum::from_components(class, key_type, get)
            }
            _ => Err(Error::AttributeValueInvalid),
        }
    }
}

/// The bytes of an attribute, if the template has it. `AttributeValueInvalid` when they are none, or empty.
pub(super) fn optional(get: Get, r#type: A) -> Result<Option<Bytes>> {
    match get(r#type) {
        None => Ok(None),
        Some(Value::Bytes(bytes)) if !bytes.is_empty() => Ok(Some(bytes)),
        Some(_) => Err(Error::AttributeValueInvalid),
    }
}

/// The bytes of an attribute that must be there.
pub(super) fn required(get: Get, r#type: A) -> Result<Bytes> {
    optional(get, r#type)?.ok_or(Error::TemplateIncomplete)
}

/// The number of an attribute, if the template has it.
pub(super) fn number(get: Get, r#type: A) -> Result<Option<u64>> {
    match get(r#type) {
        None => Ok(None),
        Some(Value::Ulong(number)) => Ok(Some(number)),
        Some(_) => Err(Error::AttributeValueInvalid),
    }
}

fn secret(key_type: KeyType, get: Get) -> Result<Key> {
    let value = required(get, A::VALUE)?;
    if !secret_length_is_valid(key_type, value.len()) {
        return Err(Error::AttributeValueInvalid);
    }
    Ok(Key::Secret(Zeroizing::new(value.to_vec())))
}

fn rsa_public(get: Get) -> Result<Key> {
    let n = required(get, A::MODULUS)?;
    let e = required(get, A::PUBLIC_EXPONENT)?;
    check_modulus(&n)?;
    let key = ffi::public_key(c"RSA", &[(c"n", Part::Number(&n)), (c"e", Part::Number(&e))])
        .map_err(|_| Error::AttributeValueInvalid)?;
    let key = Key::Public(key);
    key.check(KeyType::RSA)?;
    Ok(key)
}

fn rsa_private(get: Get) -> Result<Key> {
    let n = required(get, A::MODULUS)?;
    let d = required(get, A::PRIVATE_EXPONENT)?;
    check_modulus(&n)?;
    let primes = match (optional(get, A::PRIME_1)?, optional(get, A::PRIME_2)?) {
        (Some(p), Some(q)) => Some((p, q)),
        _ => None,
    };
    let e = match (optional(get, A::PUBLIC_EXPONENT)?, &primes) {
        (Some(e), _) => e,
        // PKCS#11 lets a template leave the public exponent out, which the primes give back, or a search.
        (None, Some((p, q))) => public_exponent(p, q, &d)?,
        (None, None) => small_exponent(&n, &d)?,
    };
    let (p, q) = match primes {
        Some(primes) => primes,
        None => recover_primes(&n, &e, &d)?,
    };
    let crt = match (
        optional(get, A::EXPONENT_1)?,
        optional(get, A::EXPONENT_2)?,
        optional(get, A::COEFFICIENT)?,
    ) {
        (Some(dp), Some(dq), Some(qi)) => [dp, dq, qi],
        _ => crt(&p, &q, &d)?,
    };
    let [dp, dq, qi] = &crt;
    let values = [&n, &e, &d, &p, &q, dp, dq, qi];
    let parts: Vec<_> = RSA_PUBLIC
        .iter()
        .chain(RSA_PRIVATE)
        .zip(values)
        .map(|(Component(_, name), value)| (*name, Part::Number(value)))
        .collect();
    let key = ffi::private_key(c"RSA", &parts).map_err(|_| Error::AttributeValueInvalid)?;
    if !ffi::pair_is_valid(&key) {
        return Err(Error::TemplateInconsistent);
    }
    Ok(Key::Private(key))
}

/// Checks the modulus' size before anything slow is done with it.
fn check_modulus(n: &[u8]) -> Result<()> {
    let n = BigNum::from_slice(n)?;
    let bits = u64::try_from(n.num_bits()).unwrap_or(0);
    if (RSA_BITS.0..=RSA_BITS.1).contains(&bits) && n.is_odd() {
        Ok(())
    } else {
        Err(Error::AttributeValueInvalid)
    }
}

/// A secret number: OpenSSL wipes it when it is dropped.
pub(super) fn big(bytes: &[u8]) -> Result<BigNum> {
    let mut number = BigNum::new_secure()?;
    number.copy_from_slice(bytes)?;
    Ok(number)
}

fn one_less(number: &BigNum) -> Result<BigNum> {
    let mut less = BigNum::new_secure()?;
    less.checked_sub(number, &*BigNum::from_u32(1)?)?;
    Ok(less)
}

fn to_bytes(number: &BigNum) -> Bytes {
    Bytes::from(number.to_vec())
}

/// `e` = `d`^-1 mod lcm(p - 1, q - 1)
fn public_exponent(p: &[u8], q: &[u8], d: &[u8]) -> Result<Bytes> {
    let mut context = BigNumContext::new_secure()?;
    let (p, q) = (one_less(&big(p)?)?, one_less(&big(q)?)?);
    let mut product = BigNum::new_secure()?;
    product.checked_mul(&p, &q, &mut context)?;
    let mut gcd = BigNum::new_secure()?;
    gcd.gcd(&p, &q, &mut context)?;
    let mut lcm = BigNum::new_secure()?;
    let mut e = BigNum::new_secure()?;
    lcm.checked_div(&product, &gcd, &mut context).map_err(|_| Error::AttributeValueInvalid)?;
    e.mod_inverse(&*big(d)?, &lcm, &mut context).map_err(|_| Error::TemplateInconsistent)?;
    Ok(to_bytes(&e))
}

/// The odd `e` up to 2^16 + 1 with (2^`d`)^`e` = 2 mod `n`: without the primes there is only trying, and no key in use
/// has a larger one. `TemplateIncomplete` when there is none.
fn small_exponent(n: &[u8], d: &[u8]) -> Result<Bytes> {
    const LARGEST: u32 = 65537;
    let mut context = BigNumContext::new_secure()?;
    let (n, mut d) = (big(n)?, big(d)?);
    if d >= n {
        return Err(Error::TemplateInconsistent);
    }
    d.set_const_time();
    let two = BigNum::from_u32(2)?;
    let mut power = BigNum::new_secure()?;
    power.mod_exp(&two, &d, &n, &mut context)?;
    let mut square = BigNum::new_secure()?;
    square.mod_sqr(&power, &n, &mut context)?;
    for e in (3..=LARGEST).step_by(2) {
        let mut next = BigNum::new_secure()?;
        next.mod_mul(&power, &square, &n, &mut context)?;
        power = next;
        if power == two {
            return Ok(to_bytes(&BigNum::from_u32(e)?));
        }
    }
    Err(Error::TemplateIncomplete)
}

/// `d` mod p - 1, `d` mod q - 1 and `q`^-1 mod p (RFC 8017, 3.2)
fn crt(p: &[u8], q: &[u8], d: &[u8]) -> Result<[Bytes; 3]> {
    let mut context = BigNumContext::new_secure()?;
    let (p, q, d) = (big(p)?, big(q)?, big(d)?);
    let mut dp = BigNum::new_secure()?;
    let mut dq = BigNum::new_secure()?;
    let mut qi = BigNum::new_secure()?;
    let invalid = |_| Error::AttributeValueInvalid;
    dp.checked_rem(&d, &*one_less(&p)?, &mut context).map_err(invalid)?;
    dq.checked_rem(&d, &*one_less(&q)?, &mut context).map_err(invalid)?;
    qi.mod_inverse(&q, &p, &mut context).map_err(|_| Error::TemplateInconsistent)?;
    Ok([to_bytes(&dp), to_bytes(&dq), to_bytes(&qi)])
}

/// The primes of a modulus from both exponents, the larger first: a random base's square roots of one split it
/// with probability 1/2 each (SP 800-56B Rev. 2, appendix C.1).
fn recover_primes(n: &[u8], e: &[u8], d: &[u8]) -> Result<(Bytes, Bytes)> {
    /// Bases tried before the exponents are taken to be no pair: misses one in 2^100.
    const BASES: usize = 100;
    let mut context = BigNumContext::new_secure()?;
    let (n, e, d) = (big(n)?, big(e)?, big(d)?);
    if d >= n || e >= n {
        return Err(Error::TemplateInconsistent);
    }
    let mut product = BigNum::new_secure()?;
    product.checked_mul(&e, &d, &mut context)?;
    let mut odd = one_less(&product)?;
    if odd.num_bits() == 0 || odd.is_odd() {
        return Err(Error::TemplateInconsistent);
    }
    let mut twos = 0;
    while odd.is_even() {
        let mut half = BigNum::new_secure()?;
        half.rshift1(&odd)?;
        odd = half;
        twos += 1;
    }
    let one = BigNum::from_u32(1)?;
    let minus_one = one_less(&n)?;
    for _ in 0..BASES {
        let mut base = BigNum::new_secure()?;
        base.nnmod(&*big(&random::secret(n.num_bytes() as usize)?)?, &n, &mut context)?;
        let mut root = BigNum::new_secure()?;
        root.mod_exp(&base, &odd, &n, &mut context)?;
        for _ in 0..twos {
            if root == one || root == minus_one || root.num_bits() == 0 {
                break;
            }
            let mut square = BigNum::new_secure()?;
            square.mod_sqr(&root, &n, &mut context)?;
            if square == one {
                let mut p = BigNum::new_secure()?;
                p.gcd(&*one_less(&root)?, &n, &mut context)?;
                let mut q = BigNum::new_secure()?;
                q.checked_div(&n, &p, &mut context)?;
                return Ok(if p > q { (to_bytes(&p), to_bytes(&q)) } else { (to_bytes(&q), to_bytes(&p)) });
            }
            root = square;
        }
    }
    Err(Error::TemplateInconsistent)
}

fn curve(key_type: KeyType, get: Get) -> Result<&'static Curve> {
    let curve = Curve::from_params(&required(get, A::EC_PARAMS)?)?;
    if curve.key_type() == key_type { Ok(curve) } else { Err(Error::TemplateInconsistent) }
}

fn name(curve: &Curve) -> Result<CString> {
    CString::new(curve.name).map_err(|_| Error::CurveNotSupported)
}

fn curve_public(key_type: KeyType, get: Get) -> Result<Key> {
    let curve = curve(key_type, get)?;
    let point = curve.point(&required(get, A::EC_POINT)?).ok_or(Error::AttributeValueInvalid)?;
    let name = name(curve)?;
    let key = match curve.kind {
        CurveKind::Weierstrass => {
            ffi::public_key(c"EC", &[(c"group", Part::Text(&name)), (c"pub", Part::Octets(&point))])
        }
        CurveKind::Edwards | CurveKind::Montgomery => {
            ffi::public_key(&name, &[(c"pub", Part::Octets(&point))])
        }
    };
    let key = Key::Public(key.map_err(|_| Error::AttributeValueInvalid)?);
    key.check(key_type)?;
    Ok(key)
}

fn curve_private(key_type: KeyType, get: Get) -> Result<Key> {
    let curve = curve(key_type, get)?;
    let value = required(get, A::VALUE)?;
    let given_point = match optional(get, A::EC_POINT)? {
        Some(given) => Some(curve.point(&given).ok_or(Error::AttributeValueInvalid)?),
        None => None,
    };
    let name = name(curve)?;
    let key = match curve.kind {
        CurveKind::Weierstrass => {
            let point = curve.public_point(&value)?;
            let parts = [
                (c"group", Part::Text(&name)),
                (c"priv", Part::Number(&value)),
                (c"pub", Part::Octets(&point)),
            ];
            ffi::private_key(c"EC", &parts)
        }
        CurveKind::Edwards | CurveKind::Montgomery => {
            let octets = curve.private_octets(&value).ok_or(Error::AttributeValueInvalid)?;
            ffi::private_key(&name, &[(c"priv", Part::Octets(octets))])
        }
    };
    let key = key.map_err(|_| Error::AttributeValueInvalid)?;
    if let Some(given) = given_point
        && ffi::octets(&key, c"pub").as_ref().map(|point| point.as_slice()) != Some(&given[..])
    {
        return Err(Error::TemplateInconsistent);
    }
    let key = Key::Private(key);
    key.check(key_type)?;
    Ok(key)
}
