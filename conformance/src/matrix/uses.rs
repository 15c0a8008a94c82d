//! What a cell asserts, by function.

use claviger_protocol::mechanism::{MechanismRow, Mode, PreHash, Profiles, Recipe};
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass, Rv};

use super::keys::{self, Keys, Pair};
use super::parameter::{self, pattern};
use super::{Check, Column, End, Outcome, Use, needed};
use crate::attribute::{Attribute, as_ulong, bytes, class, curve, flag, key_type, secret_key, ulong};
use crate::mechanism::Mechanism;
use crate::raw::{Answer as _, Operation, Output, Room};
use crate::rules;

/// Longer than any output here.
const ROOM: Room = Room::Bytes(60_000);
/// Length of the keys that are wrapped and derived, in bytes.
const LENGTH: u64 = 16;

/// The half of a pair that an operation takes.
type Half = fn(Pair) -> u64;

/// One cell.
pub fn cell(
    keys: &Keys,
    row: &'static MechanismRow,
    r#use: Use,
    column: Column,
    profile: Profiles,
    check: &mut Check,
) -> Outcome {
    let strict = profile == Profiles::STRICT;
    let subject = Subject { keys, row, r#use, strict, slow: profile == Profiles::STANDARD };
    match r#use {
        Use::Digest => subject.digest(column, check),
        Use::Encrypt => subject.encrypt(column, check),
        Use::Sign => subject.sign(column, check),
        Use::Recover => subject.recover(column, check),
        Use::Wrap => subject.wrap(column, check),
        Use::Derive => subject.derive(column, check),
        Use::GenerateKey => subject.generate_key(column, check),
        Use::GenerateKeyPair => subject.generate_key_pair(column, check),
    }
}

/// A mechanism in one of its functions.
struct Subject<'a> {
    keys: &'a Keys<'a>,
    row: &'static MechanismRow,
    r#use: Use,
    /// The profile has rules for keys, besides a list of mechanisms.
    strict: bool,
    /// Also what takes seconds.
    slow: bool,
}

fn rule(rule: &'static str) -> Outcome {
    Err(End::Rule(rule))
}

fn ok(what: &str, output: Output) -> Outcome<Vec<u8>> {
    needed(what, if output.rv == Rv::OK { Ok(output.data) } else { Err(output.rv) })
}

impl Subject<'_> {
    fn data(&self) -> Vec<u8> {
        pattern(match self.row.recipe {
            Recipe::Cipher(_, Mode::KeyWrap | Mode::KeyWrapPad | Mode::KeyWrapPkcs7) => 32,
            // What has the length of a digest.
            Recipe::Ecdsa(None) | Recipe::Dsa(None) | Recipe::RsaPss(None) | Recipe::RsaPkcs(None) => 32,
            Recipe::MlDsa(PreHash::Given) | Recipe::SlhDsa(PreHash::Given) => 32,
            Recipe::RsaX509 => 100,
            _ => 64,
        })
    }

    fn right(&self) -> Outcome<crate::structure::Pointing> {
        parameter::right(
            self.keys,
            self.row,
            (self.row.key_types.first().copied().unwrap_or(KeyType::EC), 0),
            64,
        )
    }

    fn start(&self, operation: Operation, mechanism: &Mechanism, key: u64) -> claviger_protocol::Result<()> {
        self.keys.raw.start(operation, self.keys.session, Some(mechanism), key)
    }

    fn one_shot(&self, operation: Operation, mechanism: &Mechanism, key: u64, data: &[u8]) -> Output {
        match self.start(operation, mechanism, key) {
            Ok(()) => self.keys.raw.one_shot(operation, self.keys.session, data, ROOM),
            Err(rv) => Output { rv, length: 0, data: Vec::new() },
        }
    }

    fn verify(&self, mechanism: &Mechanism, key: u64, data: &[u8], signature: &[u8]) -> Rv {
        let started = self.start(Operation::Verify, mechanism, key);
        started.and_then(|()| self.keys.raw.verify(self.keys.session, data, signature)).rv()
    }

    /// True where all data comes in one call.
    fn is_single_part(&self) -> bool {
        matches!(
            self.row.recipe,
            Recipe::RsaPkcs(None)
                | Recipe::RsaPss(None)
                | Recipe::RsaOaep
                | Recipe::RsaX509
                | Recipe::Ecdsa(None)
                | Recipe::Dsa(None)
                | Recipe::MlDsa(PreHash::Given)
                | Recipe::SlhDsa(PreHash::Given)
                | Recipe::Cipher(_, Mode::KeyWrap | Mode::KeyWrapPad | Mode::KeyWrapPkcs7)
        )
    }

    /// True where the same data gives another signature each time.
    fn is_random(&self) -> bool {
        matches!(
            self.row.recipe,
            Recipe::RsaPss(_) | Recipe::Ecdsa(_) | Recipe::Dsa(_) | Recipe::MlDsa(_) | Recipe::SlhDsa(_)
        )
    }

    /// Both operations of a pair of functions, each with its key.
    fn operations(&self) -> [(Operation, Half); 2] {
        match self.r#use {
            Use::Encrypt => [(Operation::Encrypt, |pair| pair.0), (Operation::Decrypt, |pair| pair.1)],
            Use::Sign => [(Operation::Sign, |pair| pair.1), (Operation::Verify, |pair| pair.0)],
            Use::Recover => {
                [(Operation::SignRecover, |pair| pair.1), (Operation::VerifyRecover, |pair| pair.0)]
            }
            other => unreachable!("{other:?} has no Init"),
        }
    }

    /// Both Inits must be refused.
    fn inits(
        &self,
        check: &mut Check,
        what: &str,
        mechanism: &Mechanism,
        pair: Pair,
        expected: Rv,
    ) -> Outcome {
        for (operation, key) in self.operations() {
            let rv = self.start(operation, mechanism, key(pair));
            if rv.is_ok() {
                let _ = self.keys.raw.start(operation, self.keys.session, None, 0);
            }
            check.is(&format!("{operation:?}Init with {what}"), rv, expected)?;
        }
        Ok(())
    }

    /// The columns that encrypting, signing and recovering have in common.
    fn init_column(&self, column: Column, check: &mut Check) -> Outcome {
        let pair = || self.keys.of(self.row.key_types[0], self.r#use, 0);
        match column {
            Column::KeyType => {
                let other = self.keys.of_another_type(self.row, self.r#use)?;
                self.inits(check, "a key of another type", &*self.right()?, other, Rv::KEY_TYPE_INCONSISTENT)
            }
            Column::Parameter => {
                for (what, mechanism) in parameter::wrong(self.row) {
                    self.inits(check, what, &mechanism, pair()?, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::Usage => {
                for key_type in self.row.key_types {
                    let key = self.keys.without(*key_type, self.r#use)?;
                    let what = format!("a key of {key_type} without the usage flag");
                    self.inits(check, &what, &*self.right()?, key, Rv::KEY_FUNCTION_NOT_PERMITTED)?;
                }
                Ok(())
            }
            Column::RoundTrip | Column::Size | Column::Parts => unreachable!("each function has its own"),
        }
    }

    fn digest(&self, column: Column, check: &mut Check) -> Outcome {
        let mechanism = self.right()?;
        let digest = |data: &[u8]| ok("Digest", self.one_shot(Operation::Digest, &mechanism, 0, data));
        let data = pattern(300);
        match column {
            Column::RoundTrip => {
                let whole = digest(&data)?;
                check.holds("the same data gives the same digest", digest(&data)? == whole)?;
                check.holds("other data gives another digest", digest(&data[1..])? != whole)
            }
            Column::Parts => {
                let whole = digest(&data)?;
                needed("DigestInit", self.start(Operation::Digest, &mechanism, 0))?;
                for part in rules::parts(&data) {
                    check.is(
                        "DigestUpdate",
                        self.keys.raw.feed(Operation::Digest, self.keys.session, part),
                        Rv::OK,
                    )?;
                }
                let parts = self.keys.raw.finish(Operation::Digest, self.keys.session, ROOM);
                check.holds("in parts as in one call", ok("DigestFinal", parts)? == whole)
            }
            Column::Parameter => {
                for (what, mechanism) in parameter::wrong(self.row) {
                    let rv = self.start(Operation::Digest, &mechanism, 0);
                    check.is(&format!("DigestInit with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::KeyType => {
                let (public, _) = self.keys.of(KeyType::EC, Use::Sign, 0)?;
                needed("DigestInit", self.start(Operation::Digest, &mechanism, 0))?;
                let rv = self.keys.raw.digest_key(self.keys.session, public);
                check.is("DigestKey of a public key", rv, Rv::KEY_INDIGESTIBLE)?;
                self.digest_goes_on(check)
            }
            Column::Size => {
                let template = [ulong(A::VALUE_LEN, 8)];
                let generate = M::GENERIC_SECRET_KEY_GEN.into();
                let key = self.keys.raw.generate_key(self.keys.session, &generate, &template);
                let key = needed("a key of 8 bytes", key)?;
                needed("DigestInit", self.start(Operation::Digest, &mechanism, 0))?;
                let rv = self.keys.raw.digest_key(self.keys.session, key);
                self.keys.destroy(key);
                check.is("DigestKey of a key that could be guessed", rv, Rv::KEY_SIZE_RANGE)?;
                self.digest_goes_on(check)
            }
            Column::Usage => rule("a digest has no key"),
        }
    }

    /// A key that is refused leaves the digest as it was.
    fn digest_goes_on(&self, check: &mut Check) -> Outcome {
        let last = self.keys.raw.finish(Operation::Digest, self.keys.session, ROOM);
        check.is("DigestFinal after a key that was refused", last, Rv::OK)
    }

    fn encrypt(&self, column: Column, check: &mut Check) -> Outcome {
        if matches!(column, Column::KeyType | Column::Parameter | Column::Usage) {
            return self.init_column(column, check);
        }
        let (mechanism, data) = (self.right()?, self.data());
        match column {
            Column::RoundTrip => {
                for key_type in self.row.key_types {
                    let (public, private) = self.keys.of(*key_type, self.r#use, 0)?;
                    let encrypted =
                        ok("Encrypt", self.one_shot(Operation::Encrypt, &mechanism, public, &data))?;
                    check.holds("the ciphertext is not the plaintext", encrypted != data)?;
                    let decrypted = self.one_shot(Operation::Decrypt, &mechanism, private, &encrypted);
                    let decrypted = ok("Decrypt", decrypted)?;
                    // Without a padding RSA gives a number, as long as the modulus.
                    let same = match self.row.recipe {
                        Recipe::RsaX509 => decrypted.ends_with(&data),
                        _ => decrypted == data,
                    };
                    check.holds("Decrypt gives what was encrypted", same)?;
                }
                Ok(())
            }
            Column::Parts => self.encrypt_parts(check),
            _ => self.encrypt_size(check),
        }
    }

    fn encrypt_parts(&self, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let (mechanism, data) = (self.right()?, self.data());
        let pair = self.keys.of(self.row.key_types[0], self.r#use, 0)?;
        if self.is_single_part() {
            for (operation, key) in self.operations() {
                needed("Init", self.start(operation, &mechanism, key(pair)))?;
                let part = raw.update(operation, session, &data, ROOM);
                check.is(&format!("{operation:?}Update"), part, Rv::OPERATION_NOT_INITIALIZED)?;
            }
            return Ok(());
        }
        let encrypted = ok("Encrypt", self.one_shot(Operation::Encrypt, &mechanism, pair.0, &data))?;
        needed("EncryptInit", self.start(Operation::Encrypt, &mechanism, pair.0))?;
        let parts = rules::cipher_in_parts(raw, Operation::Encrypt, session, &data);
        check.holds("Encrypt in parts as in one call", needed("EncryptUpdate", parts)? == encrypted)?;
        needed("DecryptInit", self.start(Operation::Decrypt, &mechanism, pair.1))?;
        let parts = rules::cipher_in_parts(raw, Operation::Decrypt, session, &encrypted);
        check.holds("Decrypt in parts as in one call", needed("DecryptUpdate", parts)? == data)
    }

    fn encrypt_size(&self, check: &mut Check) -> Outcome {
        self.key_size(check)?;
        let mechanism = self.right()?;
        let (public, private) = self.keys.of(self.row.key_types[0], self.r#use, 0)?;
        // Lengths that plaintext and ciphertext cannot have, in bytes.
        let (plain, cipher): (&[usize], &[usize]) = match self.row.recipe {
            Recipe::Cipher(_, Mode::Ecb | Mode::Cbc) => (&[1, 63], &[1, 63]),
            Recipe::Cipher(_, Mode::CbcPad) => (&[], &[0, 1, 63]),
            Recipe::Cipher(_, Mode::Cts | Mode::Xts) => (&[0, 15], &[0, 15]),
            Recipe::Cipher(_, Mode::Ccm) => (&[63, 65], &[64, 79, 81]),
            Recipe::Cipher(_, Mode::Gcm | Mode::Poly1305) => (&[], &[0, 15]),
            Recipe::Cipher(_, Mode::KeyWrap) => (&[0, 8, 31], &[0, 16, 39]),
            Recipe::Cipher(_, Mode::KeyWrapPad) => (&[0], &[0, 8, 39]),
            Recipe::Cipher(_, Mode::KeyWrapPkcs7) => (&[0, 7], &[0, 16, 39]),
            Recipe::Cipher(
                _,
                Mode::Ctr | Mode::Ofb | Mode::Cfb1 | Mode::Cfb8 | Mode::Cfb64 | Mode::Cfb128 | Mode::Stream,
            ) => (&[], &[]),
            Recipe::RsaPkcs(None) => (&[246, 256], &[0, 255, 257]),
            // SHA-256 and 2048 bits (RFC 8017, 7.1.1).
            Recipe::RsaOaep => (&[191, 256], &[0, 255, 257]),
            Recipe::RsaX509 => (&[257], &[0, 255, 257]),
            other => panic!("the matrix has no lengths for {other:?}"),
        };
        for length in plain {
            let rv = self.one_shot(Operation::Encrypt, &mechanism, public, &pattern(*length));
            check.is(&format!("Encrypt {length} bytes"), rv, Rv::DATA_LEN_RANGE)?;
        }
        for length in cipher {
            let rv = self.one_shot(Operation::Decrypt, &mechanism, private, &pattern(*length));
            check.is(&format!("Decrypt {length} bytes"), rv, Rv::ENCRYPTED_DATA_LEN_RANGE)?;
        }
        Ok(())
    }

    /// No key of a wrong size exists, or it is refused where it is used.
    fn key_size(&self, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        for r#type in self.row.key_types {
            if keys::is_pair(*r#type) {
                self.pair_size(check, *r#type)?;
                continue;
            }
            // No type of secret key has these lengths but those that have any.
            let any = has_any_length(*r#type);
            let lengths = if any { vec![0, 16_385] } else { vec![0, 7, 17, 33, 65] };
            for length in lengths {
                let rv = raw.create_object(session, &secret_key(*r#type, &vec![1; length], &[]));
                let what = format!("CreateObject of a key of {type} of {length} bytes");
                check.is(&what, rv, Rv::ATTRIBUTE_VALUE_INVALID)?;
            }
        }
        // RFC 3566 has keys of 128 bits alone.
        if matches!(self.row.recipe, Recipe::XcbcMac { .. }) {
            let template = [ulong(A::VALUE_LEN, 32), flag(A::SIGN, true), flag(A::VERIFY, true)];
            let key = raw.generate_key(session, &M::AES_KEY_GEN.into(), &template);
            let key = needed("an AES key of 32 bytes", key)?;
            let outcome =
                self.inits(check, "32 bytes of key", &*self.right()?, (key, key), Rv::KEY_SIZE_RANGE);
            self.keys.destroy(key);
            outcome?;
        }
        Ok(())
    }

    fn pair_size(&self, check: &mut Check, r#type: KeyType) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let generator = keys::generator(r#type).expect("pairs are generated");
        let (min, max) = generator.key_sizes;
        let generate =
            |template: &[Attribute]| raw.generate_key_pair(session, &generator.r#type.into(), template, &[]);
        match r#type {
            KeyType::RSA => {
                for bits in [0, min - 1, max + 1, u64::MAX] {
                    let rv = generate(&[ulong(A::MODULUS_BITS, bits)]);
                    check.is(&format!("an RSA key of {bits} bits"), rv, Rv::KEY_SIZE_RANGE)?;
                }
                Ok(())
            }
            KeyType::EC | KeyType::EC_EDWARDS | KeyType::EC_MONTGOMERY => {
                let rv = generate(&[bytes(A::EC_PARAMS, curve::SECP160R1)]);
                check.is("a curve of 160 bits", rv, Rv::CURVE_NOT_SUPPORTED)
            }
            KeyType::ML_DSA | KeyType::SLH_DSA => {
                for set in [0, 13, u64::MAX] {
                    let rv = generate(&[ulong(A::PARAMETER_SET, set)]);
                    check.is(&format!("parameter set {set}"), rv, Rv::ATTRIBUTE_VALUE_INVALID)?;
                }
                check.is("no parameter set", generate(&[]), Rv::TEMPLATE_INCOMPLETE)
            }
            _ => {
                let [_, q, _] = keys::group();
                let template: Vec<Attribute> = keys::pair_parameters(r#type)
                    .into_iter()
                    .map(|attribute| match attribute.r#type {
                        A::PRIME => bytes(A::PRIME, &q),
                        _ => attribute,
                    })
                    .collect();
                check.is("a prime of 256 bits", generate(&template), Rv::DOMAIN_PARAMS_INVALID)
            }
        }
    }

    fn sign(&self, column: Column, check: &mut Check) -> Outcome {
        if matches!(column, Column::KeyType | Column::Parameter | Column::Usage) {
            return self.init_column(column, check);
        }
        let (mechanism, data) = (self.right()?, self.data());
        match column {
            Column::RoundTrip => {
                for key_type in self.row.key_types {
                    let (public, private) = self.keys.of(*key_type, self.r#use, 0)?;
                    let signature = ok("Sign", self.one_shot(Operation::Sign, &mechanism, private, &data))?;
                    check.is("Verify", self.verify(&mechanism, public, &data, &signature), Rv::OK)?;
                    let mut forged = signature.clone();
                    *forged.last_mut().ok_or(End::Broken("an empty signature".into()))? ^= 1;
                    let rv = self.verify(&mechanism, public, &data, &forged);
                    check.is("Verify a forged signature", rv, Rv::SIGNATURE_INVALID)?;
                    let mut other = data.clone();
                    other[1] ^= 1;
                    let rv = self.verify(&mechanism, public, &other, &signature);
                    check.is("Verify other data", rv, Rv::SIGNATURE_INVALID)?;
                }
                Ok(())
            }
            Column::Parts => self.sign_parts(check),
            _ => {
                self.key_size(check)?;
                let (public, private) = self.keys.of(self.row.key_types[0], self.r#use, 0)?;
                let signature = ok("Sign", self.one_shot(Operation::Sign, &mechanism, private, &data))?;
                let longer = [&signature[..], &[0]].concat();
                for wrong in [&signature[..signature.len() - 1], &longer, &[]] {
                    let rv = self.verify(&mechanism, public, &data, wrong);
                    let what = format!("Verify a signature of {} bytes", wrong.len());
                    check.is(&what, rv, Rv::SIGNATURE_LEN_RANGE)?;
                }
                let lengths: &[usize] = match self.row.recipe {
                    Recipe::RsaPkcs(None) => &[246],
                    Recipe::RsaPss(None) | Recipe::MlDsa(PreHash::Given) | Recipe::SlhDsa(PreHash::Given) => {
                        &[31, 33]
                    }
                    Recipe::RsaX509 => &[257],
                    _ => &[],
                };
                for length in lengths {
                    let rv = self.one_shot(Operation::Sign, &mechanism, private, &pattern(*length));
                    check.is(&format!("Sign {length} bytes"), rv, Rv::DATA_LEN_RANGE)?;
                }
                Ok(())
            }
        }
    }

    fn sign_parts(&self, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let (mechanism, data) = (self.right()?, self.data());
        let (public, private) = self.keys.of(self.row.key_types[0], self.r#use, 0)?;
        if self.is_single_part() {
            for (operation, key) in [(Operation::Sign, private), (Operation::Verify, public)] {
                needed("Init", self.start(operation, &mechanism, key))?;
                let rv = raw.feed(operation, session, &data);
                check.is(&format!("{operation:?}Update"), rv, Rv::OPERATION_NOT_INITIALIZED)?;
            }
            return Ok(());
        }
        let signature = ok("Sign", self.one_shot(Operation::Sign, &mechanism, private, &data))?;
        needed("SignInit", self.start(Operation::Sign, &mechanism, private))?;
        for part in rules::parts(&data) {
            check.is("SignUpdate", raw.feed(Operation::Sign, session, part), Rv::OK)?;
        }
        let in_parts = ok("SignFinal", raw.finish(Operation::Sign, session, ROOM))?;
        if !self.is_random() {
            check.holds("Sign in parts as in one call", in_parts == signature)?;
        }
        check.is(
            "Verify what was signed in parts",
            self.verify(&mechanism, public, &data, &in_parts),
            Rv::OK,
        )?;
        needed("VerifyInit", self.start(Operation::Verify, &mechanism, public))?;
        for part in rules::parts(&data) {
            check.is("VerifyUpdate", raw.feed(Operation::Verify, session, part), Rv::OK)?;
        }
        check.is("VerifyFinal", raw.verify_final(session, &signature), Rv::OK)
    }

    fn recover(&self, column: Column, check: &mut Check) -> Outcome {
        if matches!(column, Column::KeyType | Column::Parameter | Column::Usage) {
            return self.init_column(column, check);
        }
        let (mechanism, data) = (self.right()?, self.data());
        let (public, private) = self.keys.of(self.row.key_types[0], self.r#use, 0)?;
        let sign = |data: &[u8]| self.one_shot(Operation::SignRecover, &mechanism, private, data);
        let recover =
            |signature: &[u8]| self.one_shot(Operation::VerifyRecover, &mechanism, public, signature);
        match column {
            Column::RoundTrip => {
                let recovered = ok("VerifyRecover", recover(&ok("SignRecover", sign(&data))?))?;
                check.holds("VerifyRecover gives what was signed", recovered.ends_with(&data))
            }
            Column::Size => {
                check.is("SignRecover 257 bytes", sign(&pattern(257)), Rv::DATA_LEN_RANGE)?;
                for length in [0, 255, 257] {
                    let rv = recover(&pattern(length));
                    check.is(&format!("VerifyRecover {length} bytes"), rv, Rv::SIGNATURE_LEN_RANGE)?;
                }
                Ok(())
            }
            _ => rule("C_SignRecover and C_VerifyRecover have no parts"),
        }
    }

    fn wrap(&self, column: Column, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let (mechanism, unwrapped) = (
            parameter::right(self.keys, self.row, (self.row.key_types[0], 0), LENGTH as usize)?,
            Keys::signing(LENGTH),
        );
        let wrap = |mechanism: &Mechanism, with, key| raw.wrap_key(session, mechanism, with, key, ROOM);
        let unwrap = |mechanism: &Mechanism, with, wrapped: &[u8]| {
            raw.unwrap_key(session, mechanism, with, wrapped, &unwrapped)
        };
        let target = self.keys.target(LENGTH)?;
        let pair = |key_type| self.keys.of(key_type, self.r#use, 0);
        let first = self.row.key_types[0];
        // In `strict` a public key wraps only when the security officer trusts it: anybody may know the other half.
        let untrusted = self.strict && keys::is_pair(first);
        let outcome = (|| match column {
            Column::RoundTrip | Column::Size | Column::Parts if untrusted => {
                let rv = wrap(&mechanism, pair(first)?.0, target);
                check.is("WrapKey with a key that nobody trusts", rv, Rv::KEY_FUNCTION_NOT_PERMITTED)
            }
            Column::RoundTrip => {
                for key_type in self.row.key_types {
                    let (public, private) = pair(*key_type)?;
                    let wrapped = ok("WrapKey", wrap(&mechanism, public, target))?;
                    let key = needed("UnwrapKey", unwrap(&mechanism, private, &wrapped))?;
                    let same = self.keys.fingerprint(key)? == self.keys.fingerprint(target)?;
                    self.keys.destroy(key);
                    check.holds("the key that comes out is the one that went in", same)?;
                }
                Ok(())
            }
            Column::KeyType => {
                let (public, private) = self.keys.of_another_type(self.row, self.r#use)?;
                let rv = wrap(&mechanism, public, target);
                check.is("WrapKey with another type", rv, Rv::WRAPPING_KEY_TYPE_INCONSISTENT)?;
                let rv = unwrap(&mechanism, private, &[1; 256]);
                check.is("UnwrapKey with another type", rv, Rv::UNWRAPPING_KEY_TYPE_INCONSISTENT)
            }
            Column::Size => {
                self.key_size(check)?;
                let (public, private) = pair(first)?;
                let mut wrapped = ok("WrapKey", wrap(&mechanism, public, target))?;
                wrapped.pop();
                // Where the end is authenticated a missing byte is a forgery, elsewhere a wrong length.
                let expected = match self.row.recipe {
                    Recipe::RsaAesKeyWrap | Recipe::EcdhAesKeyWrap => Rv::WRAPPED_KEY_INVALID,
                    Recipe::Cipher(_, Mode::Gcm) => Rv::WRAPPED_KEY_INVALID,
                    _ => Rv::WRAPPED_KEY_LEN_RANGE,
                };
                check.is(
                    "UnwrapKey without the last byte",
                    unwrap(&mechanism, private, &wrapped),
                    expected,
                )?;
                let rv = unwrap(&mechanism, private, &[]);
                check.is("UnwrapKey of nothing", rv, Rv::WRAPPED_KEY_LEN_RANGE)?;
                let too_long = match self.row.recipe {
                    Recipe::RsaPkcs(_) | Recipe::RsaOaep | Recipe::RsaX509 => 300,
                    Recipe::Cipher(_, Mode::KeyWrap) => 17,
                    Recipe::Cipher(_, Mode::Ccm) => 32,
                    _ => return Ok(()),
                };
                let long = self.keys.target(too_long)?;
                let rv = wrap(&mechanism, public, long);
                self.keys.destroy(long);
                // In `strict` the wrapping key has to be as long as what it wraps.
                let expected = if self.strict { Rv::WRAPPING_KEY_SIZE_RANGE } else { Rv::KEY_SIZE_RANGE };
                check.is(&format!("WrapKey of {too_long} bytes"), rv, expected)
            }
            Column::Parameter => {
                let (public, private) = pair(first)?;
                for (what, mechanism) in parameter::wrong(self.row) {
                    let rv = wrap(&mechanism, public, target);
                    check.is(&format!("WrapKey with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                    let rv = unwrap(&mechanism, private, &[1; 256]);
                    check.is(&format!("UnwrapKey with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::Parts => {
                // No parts; but the size can be asked, and is the one that it has.
                let (public, _) = pair(first)?;
                let size = raw.wrap_key(session, &mechanism, public, target, Room::Query);
                check.is("WrapKey, a size query", size.rv, Rv::OK)?;
                let wrapped = ok("WrapKey", wrap(&mechanism, public, target))?;
                check.holds("the size that was told", wrapped.len() as u64 == size.length)
            }
            Column::Usage => {
                for key_type in self.row.key_types {
                    let (public, private) = self.keys.without(*key_type, self.r#use)?;
                    let rv = wrap(&mechanism, public, target);
                    check.is("WrapKey without the usage flag", rv, Rv::KEY_FUNCTION_NOT_PERMITTED)?;
                    let rv = unwrap(&mechanism, private, &[1; 256]);
                    check.is("UnwrapKey without the usage flag", rv, Rv::KEY_FUNCTION_NOT_PERMITTED)?;
                }
                Ok(())
            }
        })();
        self.keys.destroy(target);
        outcome
    }

    fn derive(&self, column: Column, check: &mut Check) -> Outcome {
        match self.row.recipe {
            Recipe::PublicFromPrivate => self.public_key(column, check),
            Recipe::Hkdf { data: true } => self.derived_data(column, check),
            _ => self.derived_key(column, check),
        }
    }

    fn base(&self, key_type: KeyType, number: usize) -> Outcome<u64> {
        self.keys.of(key_type, Use::Derive, number).map(|(_, private)| private)
    }

    /// The columns that all derivations have in common.
    fn derive_column(&self, column: Column, check: &mut Check, template: &[Attribute]) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let derive = |mechanism: &Mechanism, base| raw.derive_key(session, mechanism, base, template);
        match column {
            Column::KeyType => {
                let (_, other) = self.keys.of_another_type(self.row, self.r#use)?;
                let rv = derive(&*self.right()?, other);
                check.is("DeriveKey from another type", rv, Rv::KEY_TYPE_INCONSISTENT)
            }
            Column::Parameter => {
                for (what, mechanism) in parameter::wrong(self.row) {
                    let rv = derive(&mechanism, self.base(self.row.key_types[0], 0)?);
                    check.is(&format!("DeriveKey with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::Usage => {
                for key_type in self.row.key_types {
                    let (_, base) = self.keys.without(*key_type, self.r#use)?;
                    let rv = derive(&*self.right()?, base);
                    check.is("DeriveKey without the usage flag", rv, Rv::KEY_FUNCTION_NOT_PERMITTED)?;
                }
                Ok(())
            }
            Column::Parts => rule("a derivation is one call"),
            Column::RoundTrip | Column::Size => unreachable!("each kind has its own"),
        }
    }

    fn derived_key(&self, column: Column, check: &mut Check) -> Outcome {
        let template = Keys::signing(LENGTH);
        let (raw, session) = (self.keys.raw, self.keys.session);
        let derive = |mechanism: &Mechanism, base| {
            let key = needed("DeriveKey", raw.derive_key(session, mechanism, base, &template))?;
            let print = self.keys.fingerprint(key);
            self.keys.destroy(key);
            print
        };
        match column {
            Column::RoundTrip => {
                for key_type in self.row.key_types {
                    // Not every type has a bit to extract or 16 bytes to combine.
                    let short = keys::secret_length(*key_type) < LENGTH as usize && !keys::is_pair(*key_type);
                    if short && matches!(self.row.recipe, Recipe::Xor | Recipe::Extract) {
                        continue;
                    }
                    self.agree(check, *key_type, &derive)?;
                }
                Ok(())
            }
            Column::Size => {
                let base = self.base(self.row.key_types[0], 0)?;
                let aes = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES), ulong(A::VALUE_LEN, 15)];
                let none = Keys::signing(0);
                for (what, template) in [("an AES key of 15 bytes", &aes[..]), ("no bytes", &none)] {
                    let rv = raw.derive_key(session, &*self.right()?, base, template);
                    check.is(&format!("DeriveKey of {what}"), rv, Rv::KEY_SIZE_RANGE)?;
                }
                let bounded = matches!(
                    self.row.recipe,
                    Recipe::HashKey(_)
                        | Recipe::HashKeySha512T
                        | Recipe::Concatenate(_)
                        | Recipe::Xor
                        | Recipe::Ecdh { .. }
                        | Recipe::Dh
                        | Recipe::X942Dh
                );
                let shake = matches!(
                    self.row.recipe,
                    Recipe::HashKey(
                        claviger_protocol::mechanism::Hash::Shake128
                            | claviger_protocol::mechanism::Hash::Shake256
                    )
                );
                let expected = match self.row.recipe {
                    // The data, which is too short, is the parameter.
                    Recipe::EncryptData(..) => Rv::MECHANISM_PARAM_INVALID,
                    _ if bounded && !shake => Rv::TEMPLATE_INCONSISTENT,
                    _ => Rv::KEY_SIZE_RANGE,
                };
                let rv = raw.derive_key(session, &*self.right()?, base, &Keys::signing(20_000));
                check.is("DeriveKey of 20000 bytes", rv, expected)
            }
            _ => self.derive_column(column, check, &template),
        }
    }

    /// Two parties agree, or the same derivation gives the same key and another base key another.
    fn agree(
        &self,
        check: &mut Check,
        key_type: KeyType,
        derive: &dyn Fn(&Mechanism, u64) -> Outcome<Vec<u8>>,
    ) -> Outcome {
        let agreement = matches!(self.row.recipe, Recipe::Ecdh { .. } | Recipe::Dh | Recipe::X942Dh);
        let bases = [self.base(key_type, 0)?, self.base(key_type, 1)?];
        let right = |peer| parameter::right(self.keys, self.row, (key_type, peer), 64);
        let (one, other) = match agreement {
            true => (derive(&*right(1)?, bases[0])?, derive(&*right(0)?, bases[1])?),
            false => (derive(&*right(0)?, bases[0])?, derive(&*right(0)?, bases[0])?),
        };
        check.holds(&format!("from {key_type}: both derive the same key"), one == other)?;
        let another = derive(&*right(0)?, bases[if agreement { 0 } else { 1 }])?;
        check.holds(&format!("from {key_type}: another base, another key"), another != one)
    }

    fn public_key(&self, column: Column, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        match column {
            Column::RoundTrip => {
                for key_type in self.row.key_types {
                    let (public, private) = self.keys.of(*key_type, Use::Derive, 0)?;
                    let key = raw.derive_key(session, &self.row.r#type.into(), private, &[]);
                    let key = needed("DeriveKey", key)?;
                    let info = |key| self.keys.attribute(key, A::PUBLIC_KEY_INFO);
                    let same = info(key)? == info(public)?;
                    self.keys.destroy(key);
                    check.holds(&format!("the public key of {key_type} is the pair's"), same)?;
                }
                Ok(())
            }
            Column::Size => {
                let base = self.base(KeyType::RSA, 0)?;
                let template = [ulong(A::VALUE_LEN, 16)];
                let rv = raw.derive_key(session, &self.row.r#type.into(), base, &template);
                check.is("DeriveKey of a public key of 16 bytes", rv, Rv::ATTRIBUTE_TYPE_INVALID)
            }
            _ => self.derive_column(column, check, &[]),
        }
    }

    fn derived_data(&self, column: Column, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let template = |length| [class(ObjectClass::DATA), ulong(A::VALUE_LEN, length)];
        match column {
            // In `strict` a sensitive key gives no data, which anybody could read.
            Column::RoundTrip | Column::Size if self.strict => {
                let base = self.base(self.row.key_types[0], 0)?;
                let rv = raw.derive_key(session, &*self.right()?, base, &template(LENGTH));
                check.is("DeriveKey of data", rv, Rv::KEY_FUNCTION_NOT_PERMITTED)
            }
            Column::RoundTrip => {
                let value = |base| {
                    let data = raw.derive_key(session, &*self.right()?, base, &template(LENGTH));
                    self.keys.attribute(needed("DeriveKey", data)?, A::VALUE)
                };
                for key_type in self.row.key_types {
                    let (one, other) = (self.base(*key_type, 0)?, self.base(*key_type, 1)?);
                    let first = value(one)?;
                    check.holds("the same key gives the same data", first == value(one)?)?;
                    check.holds("another key gives other data", first != value(other)?)?;
                }
                Ok(())
            }
            Column::Size => {
                let base = self.base(self.row.key_types[0], 0)?;
                for length in [0, 20_000] {
                    let rv = raw.derive_key(session, &*self.right()?, base, &template(length));
                    check.is(&format!("DeriveKey of {length} bytes"), rv, Rv::ATTRIBUTE_VALUE_INVALID)?;
                }
                Ok(())
            }
            _ => self.derive_column(column, check, &template(LENGTH)),
        }
    }

    fn generate_key(&self, column: Column, check: &mut Check) -> Outcome {
        if self.row.recipe == Recipe::GenerateFieldParameters {
            return self.generate_parameters(column, check);
        }
        let (raw, session) = (self.keys.raw, self.keys.session);
        let any_type = self.row.recipe == Recipe::Pbkdf2;
        let r#type = if any_type { KeyType::AES } else { self.row.key_types[0] };
        let mut good = self.keys.length_of(r#type);
        if any_type {
            good.push(key_type(r#type));
        }
        let generate =
            |mechanism: &Mechanism, template: &[Attribute]| raw.generate_key(session, mechanism, template);
        match column {
            Column::RoundTrip => {
                let key = needed("GenerateKey", generate(&*self.right()?, &good))?;
                let number = |attribute| self.keys.attribute(key, attribute).map(|value| as_ulong(&value));
                check.holds("CKA_KEY_TYPE", number(A::KEY_TYPE)? == r#type.0)?;
                check.holds("CKA_KEY_GEN_MECHANISM", number(A::KEY_GEN_MECHANISM)? == self.row.r#type.0)?;
                check.holds("CKA_LOCAL", self.keys.attribute(key, A::LOCAL)? == [1])?;
                if !self.keys.length_of(r#type).is_empty() {
                    let length = keys::secret_length(r#type) as u64;
                    check.holds("CKA_VALUE_LEN", number(A::VALUE_LEN)? == length)?;
                }
                self.keys.destroy(key);
                Ok(())
            }
            Column::KeyType => {
                let wrong: Vec<Attribute> = good
                    .iter()
                    .filter(|attribute| attribute.r#type != A::KEY_TYPE)
                    .cloned()
                    .chain([key_type(KeyType::RSA)])
                    .collect();
                let rv = generate(&*self.right()?, &wrong);
                // The length is no attribute of an RSA key, but its type is what is looked at first.
                check.is("GenerateKey of type RSA", rv, Rv::TEMPLATE_INCONSISTENT)?;
                let wrong = [&good[..], &[class(ObjectClass::PRIVATE_KEY)]].concat();
                check.is(
                    "GenerateKey of a private key",
                    generate(&*self.right()?, &wrong),
                    Rv::TEMPLATE_INCONSISTENT,
                )
            }
            Column::Size => {
                let (lengths, expected) = match r#type {
                    KeyType::DES | KeyType::DES2 | KeyType::DES3 | KeyType::CHACHA20 | KeyType::POLY1305 => {
                        ([7, 33], Rv::TEMPLATE_INCONSISTENT)
                    }
                    r#type if has_any_length(r#type) => ([0, 16_385], Rv::KEY_SIZE_RANGE),
                    _ => ([15, 65], Rv::KEY_SIZE_RANGE),
                };
                for length in lengths {
                    let kept = good.iter().filter(|attribute| attribute.r#type != A::VALUE_LEN).cloned();
                    let wrong: Vec<_> = kept.chain([ulong(A::VALUE_LEN, length)]).collect();
                    check.is(
                        &format!("GenerateKey of {length} bytes"),
                        generate(&*self.right()?, &wrong),
                        expected,
                    )?;
                }
                Ok(())
            }
            Column::Parameter => {
                for (what, mechanism) in parameter::wrong(self.row) {
                    let rv = generate(&mechanism, &good);
                    check.is(&format!("GenerateKey with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::Parts => rule("a generation is one call"),
            Column::Usage => rule("a generation uses no key"),
        }
    }

    fn generate_parameters(&self, column: Column, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let sizes = |bits| {
            let mut template = vec![ulong(A::PRIME_BITS, bits)];
            if self.row.key_types == [KeyType::X9_42_DH] {
                template.push(ulong(A::SUBPRIME_BITS, 160));
            }
            template
        };
        let generate =
            |mechanism: &Mechanism, template: &[Attribute]| raw.generate_key(session, mechanism, template);
        let mechanism = self.row.r#type.into();
        match column {
            Column::RoundTrip if !self.slow => rule("primes take seconds, in one profile they are found"),
            Column::RoundTrip => {
                let key = needed("GenerateKey", generate(&mechanism, &sizes(1024)))?;
                let prime = self.keys.attribute(key, A::PRIME)?;
                self.keys.destroy(key);
                check.holds("a prime of 1024 bits", prime.len() == 128 && prime[0] & 0x80 != 0)
            }
            Column::KeyType => {
                let wrong = [&sizes(1024)[..], &[key_type(KeyType::RSA)]].concat();
                check.is("GenerateKey of type RSA", generate(&mechanism, &wrong), Rv::TEMPLATE_INCONSISTENT)
            }
            Column::Size => {
                for bits in [0, 1, 512, 1 << 20] {
                    let rv = generate(&mechanism, &sizes(bits));
                    check.is(&format!("GenerateKey of {bits} bits"), rv, Rv::KEY_SIZE_RANGE)?;
                }
                Ok(())
            }
            Column::Parameter => {
                for (what, mechanism) in parameter::wrong(self.row) {
                    let rv = generate(&mechanism, &sizes(1024));
                    check.is(&format!("GenerateKey with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::Parts => rule("a generation is one call"),
            Column::Usage => rule("a generation uses no key"),
        }
    }

    fn generate_key_pair(&self, column: Column, check: &mut Check) -> Outcome {
        let (raw, session) = (self.keys.raw, self.keys.session);
        let r#type = self.row.key_types[0];
        let good = keys::pair_parameters(r#type);
        let generate = |mechanism: &Mechanism, public: &[Attribute], private: &[Attribute]| {
            raw.generate_key_pair(session, mechanism, public, private)
        };
        let mechanism = self.row.r#type.into();
        match column {
            Column::RoundTrip => {
                let (public, private) = needed("GenerateKeyPair", generate(&mechanism, &good, &[]))?;
                for key in [public, private] {
                    let number =
                        |attribute| self.keys.attribute(key, attribute).map(|value| as_ulong(&value));
                    check.holds("CKA_KEY_TYPE", number(A::KEY_TYPE)? == r#type.0)?;
                    check
                        .holds("CKA_KEY_GEN_MECHANISM", number(A::KEY_GEN_MECHANISM)? == self.row.r#type.0)?;
                    check.holds("CKA_LOCAL", self.keys.attribute(key, A::LOCAL)? == [1])?;
                }
                let info = |key| self.keys.attribute(key, A::PUBLIC_KEY_INFO);
                check.holds("both halves have one public key", info(public)? == info(private)?)?;
                self.keys.destroy(public);
                self.keys.destroy(private);
                Ok(())
            }
            Column::KeyType => {
                let wrong = [key_type(KeyType::AES)];
                let rv = generate(&mechanism, &good, &wrong);
                check.is("GenerateKeyPair, private of type AES", rv, Rv::TEMPLATE_INCONSISTENT)?;
                let wrong = [&good[..], &wrong].concat();
                let rv = generate(&mechanism, &wrong, &[]);
                check.is("GenerateKeyPair, public of type AES", rv, Rv::TEMPLATE_INCONSISTENT)
            }
            Column::Size => self.pair_size(check, r#type),
            Column::Parameter => {
                for (what, mechanism) in parameter::wrong(self.row) {
                    let rv = generate(&mechanism, &good, &[]);
                    check.is(&format!("GenerateKeyPair with {what}"), rv, Rv::MECHANISM_PARAM_INVALID)?;
                }
                Ok(())
            }
            Column::Parts => rule("a generation is one call"),
            Column::Usage => rule("a generation uses no key"),
        }
    }
}

/// True for types whose keys may have any length up to the token's limit.
fn has_any_length(r#type: KeyType) -> bool {
    !matches!(
        r#type,
        KeyType::AES
            | KeyType::AES_XTS
            | KeyType::ARIA
            | KeyType::CAMELLIA
            | KeyType::CHACHA20
            | KeyType::POLY1305
            | KeyType::DES
            | KeyType::DES2
            | KeyType::DES3
            | KeyType::SEED
            | KeyType::SM4
    )
}
