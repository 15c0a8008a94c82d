//! Raw RSA.

use claviger_conformance::prelude::*;
use openssl::bn::{BigNum, BigNumContext};

use crate::token::Token;
use crate::{lists, pattern};

#[test]
fn raw_rsa() {
    let token = Token::new();
    if !lists(&token, M::RSA_X_509) {
        return;
    }
    let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
    let number = |number: &openssl::bn::BigNumRef| number.to_vec();
    let key = token
        .create(&[
            class(ObjectClass::PRIVATE_KEY),
            key_type(KeyType::RSA),
            bytes(A::MODULUS, number(rsa.n())),
            bytes(A::PUBLIC_EXPONENT, number(rsa.e())),
            bytes(A::PRIVATE_EXPONENT, number(rsa.d())),
            bytes(A::PRIME_1, number(rsa.p().unwrap())),
            bytes(A::PRIME_2, number(rsa.q().unwrap())),
            bytes(A::EXPONENT_1, number(rsa.dmp1().unwrap())),
            bytes(A::EXPONENT_2, number(rsa.dmq1().unwrap())),
            bytes(A::COEFFICIENT, number(rsa.iqmp().unwrap())),
            flag(A::SIGN, true),
            flag(A::DECRYPT, true),
        ])
        .unwrap();
    let mut context = BigNumContext::new().unwrap();
    let mut power = |base: &[u8], exponent: &openssl::bn::BigNumRef| {
        let base = BigNum::from_slice(base).unwrap();
        let mut result = BigNum::new().unwrap();
        result.mod_exp(&base, exponent, rsa.n(), &mut context).unwrap();
        result.to_vec_padded(256).unwrap()
    };
    let mut data = pattern(256);
    data[0] = 0;
    assert_eq!(token.sign(&M::RSA_X_509.into(), &key, &data).unwrap(), power(&data, rsa.d()));
    assert_eq!(token.decrypt(&M::RSA_X_509.into(), &key, &data).unwrap(), power(&data, rsa.d()));
    // Shorter data has zeros in front of it.
    let padded = [&[0; 236][..], &pattern(20)].concat();
    assert_eq!(token.sign(&M::RSA_X_509.into(), &key, &pattern(20)).unwrap(), power(&padded, rsa.d()));
}
