//! Keys of every type, made in the token itself and kept: a key with just the usage flags that a cell needs, one
//! with none of them, one of another type.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use claviger_protocol::flags::mechanism::GENERATE;
use claviger_protocol::mechanism::{MECHANISMS, MechanismRow, Recipe};
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass, Result, Rv};
use openssl::dh::Dh;

use super::{Outcome, Use, needed};
use crate::application::Application;
use crate::attribute::{Attribute, bytes, class, curve, flag, key_type, secret_key, ulong};
use crate::mechanism::Mechanism;
use crate::raw::{Operation, Raw, Room};

/// Handles of the public and the private key; of a secret key the same one twice.
pub type Pair = (u64, u64);

/// The keys made so far: type, what it may do, and a number that tells keys apart.
type Made = HashMap<(KeyType, Option<Use>, usize), Pair>;

/// The keys of a session.
pub struct Keys<'a> {
    pub raw: &'a Raw,
    pub session: u64,
    /// What the token lists.
    listed: Vec<M>,
    made: RefCell<Made>,
    /// So that keys of given bytes differ.
    count: Cell<u8>,
}

impl Use {
    /// The usage flags that the functions ask for: of a public key, and of a private one. A secret key has both.
    pub fn flags(self) -> (&'static [A], &'static [A]) {
        match self {
            Use::Encrypt => (&[A::ENCRYPT], &[A::DECRYPT]),
            Use::Sign => (&[A::VERIFY], &[A::SIGN]),
            Use::Recover => (&[A::VERIFY_RECOVER], &[A::SIGN_RECOVER]),
            Use::Wrap => (&[A::WRAP], &[A::UNWRAP]),
            Use::Derive => (&[], &[A::DERIVE]),
            Use::Digest | Use::GenerateKey | Use::GenerateKeyPair => (&[], &[]),
        }
    }
}

/// True for types of key pairs.
pub fn is_pair(key_type: KeyType) -> bool {
    claviger_protocol::attribute::is_type_of(key_type, ObjectClass::PRIVATE_KEY)
}

/// The prime, its subgroup's order and the base of RFC 5114, 2.3.
pub fn group() -> [Vec<u8>; 3] {
    let group = Dh::get_2048_256().expect("libcrypto has the group");
    let q = group.prime_q().expect("it has a subgroup").to_vec();
    [group.prime_p().to_vec(), q, group.generator().to_vec()]
}

/// What the public template of a pair of this type has to say.
pub fn pair_parameters(r#type: KeyType) -> Vec<Attribute> {
    let [p, q, g] = group();
    match r#type {
        KeyType::RSA => vec![ulong(A::MODULUS_BITS, 2048)],
        KeyType::EC => vec![bytes(A::EC_PARAMS, curve::P256)],
        KeyType::EC_EDWARDS => vec![bytes(A::EC_PARAMS, curve::ED25519)],
        KeyType::EC_MONTGOMERY => vec![bytes(A::EC_PARAMS, curve::X25519)],
        // CKP_ML_DSA_44, and the fastest of SLH-DSA: CKP_SLH_DSA_SHA2_128F.
        KeyType::ML_DSA => vec![ulong(A::PARAMETER_SET, 1)],
        KeyType::SLH_DSA => vec![ulong(A::PARAMETER_SET, 3)],
        KeyType::DH => vec![bytes(A::PRIME, p), bytes(A::BASE, g)],
        KeyType::DSA | KeyType::X9_42_DH => {
            vec![bytes(A::PRIME, p), bytes(A::SUBPRIME, q), bytes(A::BASE, g)]
        }
        other => panic!("the matrix has no parameters for {other}"),
    }
}

/// How long a secret key of this type is made, in bytes; the smallest that the type and every mechanism take.
pub fn secret_length(key_type: KeyType) -> usize {
    match key_type {
        KeyType::AES | KeyType::ARIA | KeyType::CAMELLIA => 16,
        KeyType::DES => 8,
        KeyType::DES2 | KeyType::SEED | KeyType::SM4 => 16,
        KeyType::DES3 => 24,
        _ => 32,
    }
}

/// The mechanism that makes keys of this type, if there is one.
pub fn generator(key_type: KeyType) -> Option<&'static MechanismRow> {
    MECHANISMS.iter().find(|row| {
        let makes = matches!(
            row.recipe,
            Recipe::GenerateSecret
                | Recipe::GenerateRsa
                | Recipe::GenerateField
                | Recipe::GenerateEc(_)
                | Recipe::GenerateSet
        );
        makes && row.key_types == [key_type]
    })
}

/// Usage flags, as far as keys of this class and type have them.
fn flags(class: ObjectClass, key_type: KeyType, types: &[A], value: bool) -> Vec<Attribute> {
    let has =
        |r#type: &&A| claviger_protocol::attribute::attribute(**r#type, class, Some(key_type)).is_some();
    types.iter().filter(has).map(|r#type| flag(*r#type, value)).collect()
}

impl<'a> Keys<'a> {
    pub fn new(application: &'a Application, session: u64, listed: Vec<M>) -> Keys<'a> {
        Keys { raw: &application.raw, session, listed, made: RefCell::default(), count: Cell::default() }
    }

    /// A key that may do what `use` says and nothing else. `number` tells keys apart.
    pub fn of(&self, r#type: KeyType, r#use: Use, number: usize) -> Outcome<Pair> {
        let (public, private) = r#use.flags();
        self.kept((r#type, Some(r#use), number), public, private, true)
    }

    /// A key that may not do what `use` says, and whatever else is not asked.
    pub fn without(&self, r#type: KeyType, r#use: Use) -> Outcome<Pair> {
        let (public, private) = r#use.flags();
        let key = (r#type, Some(r#use), usize::MAX);
        self.kept(key, public, private, false)
    }

    fn kept(
        &self,
        key: (KeyType, Option<Use>, usize),
        public: &[A],
        private: &[A],
        value: bool,
    ) -> Outcome<Pair> {
        if let Some(pair) = self.made.borrow().get(&key) {
            return Ok(*pair);
        }
        let of = |class| if is_pair(key.0) { class } else { ObjectClass::SECRET_KEY };
        let public = flags(of(ObjectClass::PUBLIC_KEY), key.0, public, value);
        let private = flags(of(ObjectClass::PRIVATE_KEY), key.0, private, value);
        let pair = needed(&format!("a key of {}", key.0), self.make(key.0, &public, &private))?;
        self.made.borrow_mut().insert(key, pair);
        Ok(pair)
    }

    /// A new key with these attributes; a secret key has both lists.
    pub fn make(&self, r#type: KeyType, public: &[Attribute], private: &[Attribute]) -> Result<Pair> {
        let generator = generator(r#type).filter(|row| self.listed.contains(&row.r#type));
        if is_pair(r#type) {
            let generator = generator.ok_or(Rv::MECHANISM_INVALID)?;
            let public = [&pair_parameters(r#type), public].concat();
            return self.raw.generate_key_pair(self.session, &generator.r#type.into(), &public, private);
        }
        let more = [public, private].concat();
        let secret = match generator.filter(|row| row.flags & GENERATE != 0) {
            Some(row) => {
                let template = [self.length_of(r#type), more].concat();
                self.raw.generate_key(self.session, &row.r#type.into(), &template)?
            }
            None => {
                self.count.set(self.count.get() + 1);
                let mut value: Vec<u8> = (1..=secret_length(r#type) as u8).collect();
                value[0] = self.count.get();
                let template = [secret_key(r#type, &value, &[]), more].concat();
                self.raw.create_object(self.session, &template)?
            }
        };
        Ok((secret, secret))
    }

    /// `CKA_VALUE_LEN`, where keys of this type have it.
    pub fn length_of(&self, r#type: KeyType) -> Vec<Attribute> {
        use claviger_protocol::attribute::{DefaultValue, attribute};
        match attribute(A::VALUE_LEN, ObjectClass::SECRET_KEY, Some(r#type)) {
            // Keys of some types have none, though a template may state it.
            Some(row) if row.default == DefaultValue::Computed => {
                vec![ulong(A::VALUE_LEN, secret_length(r#type) as u64)]
            }
            _ => Vec::new(),
        }
    }

    /// A key of a type that the row does not take, with the flags of `use`.
    pub fn of_another_type(&self, row: &MechanismRow, r#use: Use) -> Outcome<Pair> {
        let secret = row.key_types.iter().any(|key_type| !is_pair(*key_type));
        let types = match secret {
            // A secret key for a secret key, so that only the type is wrong.
            true => [KeyType::GENERIC_SECRET, KeyType::AES, KeyType::EC],
            false => [KeyType::AES, KeyType::GENERIC_SECRET, KeyType::RSA],
        };
        let other = types.into_iter().find(|r#type| !row.key_types.contains(r#type));
        self.of(other.expect("no row takes all of them"), r#use, 0)
    }

    /// A generic secret that may be wrapped, and that signs.
    pub fn target(&self, length: u64) -> Outcome<u64> {
        let template = [
            ulong(A::VALUE_LEN, length),
            flag(A::EXTRACTABLE, true),
            flag(A::SIGN, true),
            flag(A::WRAP_WITH_TRUSTED, false),
        ];
        let mechanism = M::GENERIC_SECRET_KEY_GEN.into();
        needed("a key to wrap", self.raw.generate_key(self.session, &mechanism, &template))
    }

    /// Something that only this key gives, without reading it: a MAC under it. It must sign.
    pub fn fingerprint(&self, key: u64) -> Outcome<Vec<u8>> {
        let mechanism: Mechanism = M::SHA256_HMAC.into();
        needed("SignInit", self.raw.start(Operation::Sign, self.session, Some(&mechanism), key))?;
        let mac = self.raw.one_shot(Operation::Sign, self.session, b"fingerprint", Room::Bytes(32));
        needed("Sign", if mac.rv == Rv::OK { Ok(mac.data) } else { Err(mac.rv) })
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: u64, r#type: A) -> Outcome<Vec<u8>> {
        needed(&r#type.to_string(), self.raw.attribute(self.session, key, r#type))
    }

    /// Destroys a key.
    pub fn destroy(&self, key: u64) {
        let _ = self.raw.destroy_object(self.session, key);
    }

    /// A template for a secret key that signs, so that it has a fingerprint.
    pub fn signing(length: u64) -> Vec<Attribute> {
        vec![
            class(ObjectClass::SECRET_KEY),
            key_type(KeyType::GENERIC_SECRET),
            ulong(A::VALUE_LEN, length),
            flag(A::SIGN, true),
        ]
    }
}
