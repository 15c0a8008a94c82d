//! Handles that are good, were good, belong to somebody else or never were; and what is random about mechanisms and
//! templates.

use claviger_conformance::prelude::*;
use claviger_conformance::structure::{Pointing, Structure};
use claviger_protocol::attribute::{self, ATTRIBUTES, Kind};
use claviger_protocol::mechanism::{MECHANISMS, MechanismRow};
use claviger_protocol::params::Shape;

use crate::choice::Choice;

/// Most live objects of the random calls; more, and the oldest is destroyed.
pub const MOST_OBJECTS: usize = 200;

/// A key, and its type when it is known.
#[derive(Clone, Copy)]
pub struct Object {
    pub handle: u64,
    pub key_type: Option<KeyType>,
    pub is_private: bool,
}

#[derive(Default)]
pub struct Pool {
    pub sessions: Vec<u64>,
    pub objects: Vec<Object>,
    pub stale: Vec<u64>,
    /// Sessions and objects of another application.
    pub foreign: Vec<u64>,
    /// Points and public values, for agreements.
    pub public_values: Vec<Vec<u8>>,
}

impl Pool {
    fn wrong(&self, choice: &mut Choice) -> u64 {
        match choice.below(5) {
            0 => 0,
            1 => u64::MAX,
            2 => choice.of(&self.foreign).copied().unwrap_or(0),
            3 => choice.number(),
            _ => choice.of(&self.stale).copied().unwrap_or(0),
        }
    }

    pub fn session(&self, choice: &mut Choice) -> u64 {
        if choice.one_in(12) {
            return self.wrong(choice);
        }
        choice.of(&self.sessions).copied().unwrap_or(0)
    }

    pub fn object(&self, choice: &mut Choice) -> u64 {
        if choice.one_in(10) {
            return self.wrong(choice);
        }
        choice.of(&self.objects).map_or(0, |object| object.handle)
    }

    /// A key that the mechanism might take.
    pub fn key(&self, choice: &mut Choice, row: &MechanismRow, private: bool) -> u64 {
        let fits = |object: &&Object| {
            let is_pair = |key_type| attribute::is_type_of(key_type, ObjectClass::PRIVATE_KEY);
            object
                .key_type
                .is_some_and(|t| row.key_types.contains(&t) && (!is_pair(t) || object.is_private == private))
        };
        let fitting: Vec<&Object> = self.objects.iter().filter(fits).collect();
        match choice.of(&fitting) {
            Some(object) if !choice.one_in(8) => object.handle,
            _ => self.object(choice),
        }
    }
}

/// A mechanism for a function, given by its flag; sometimes of another function, sometimes of none.
pub fn row(choice: &mut Choice, flag: u64) -> &'static MechanismRow {
    let fitting: Vec<&MechanismRow> = MECHANISMS.iter().filter(|row| row.flags & flag != 0).collect();
    if choice.one_in(20) {
        return choice.of(MECHANISMS).expect("the table is not empty");
    }
    choice.of(&fitting).expect("every function has mechanisms")
}

/// A parameter of the row's shape with random content, or bytes of a length that no structure has: the module
/// follows the pointers of whatever has a structure's length.
pub fn parameter(choice: &mut Choice, row: &MechanismRow, pool: &Pool) -> Pointing {
    let r#type = if choice.one_in(200) { M(choice.ulong()) } else { row.r#type };
    let known = claviger_protocol::mechanism::mechanism(r#type);
    if choice.one_in(20) || known.is_none_or(|known| known.params != row.params) {
        let odd = choice.below(100) | 1;
        return Mechanism::bytes(r#type, &choice.bytes(odd)).into();
    }
    if choice.one_in(40) {
        return Mechanism::new(r#type).into();
    }
    let hash = |choice: &mut Choice| {
        let hashes = [M::SHA_1, M::SHA256, M::SHA512, M::SHA3_256, M::SHA256_HMAC, M::MD5];
        if choice.one_in(10) { choice.ulong() } else { hashes[choice.below(6)].0 }
    };
    let iv = |choice: &mut Choice| {
        let length = if choice.one_in(5) { choice.below(40) } else { [8, 12, 16][choice.below(3)] };
        choice.bytes(length)
    };
    let small = |choice: &mut Choice| {
        let length = choice.below(50);
        choice.bytes(length)
    };
    let peer = |choice: &mut Choice| match choice.of(&pool.public_values) {
        Some(value) if !choice.one_in(4) => value.clone(),
        _ => small(choice),
    };
    let oaep = |choice: &mut Choice| {
        let structure = Structure::new().ulong(hash(choice)).ulong(choice.below(11) as u64);
        structure.ulong(u64::from(!choice.one_in(9))).data(&small(choice))
    };
    let kdf = |choice: &mut Choice| if choice.one_in(3) { choice.below(30) as u64 } else { 1 };
    let structure = Structure::new();
    match row.params {
        Shape::None => return Mechanism::new(r#type).into(),
        Shape::Eddsa | Shape::SignContext if choice.one_in(2) => return Mechanism::new(r#type).into(),
        Shape::Bytes if row.recipe == claviger_protocol::mechanism::Recipe::Dh => {
            return Mechanism::bytes(r#type, &peer(choice)).into();
        }
        Shape::Bytes => return Mechanism::bytes(r#type, &iv(choice)).into(),
        Shape::OptionalBytes if choice.one_in(2) => return Mechanism::new(r#type).into(),
        Shape::OptionalBytes => return Mechanism::bytes(r#type, &iv(choice)).into(),
        Shape::Ulong => {
            let number = if choice.one_in(3) { pool.object(choice) } else { choice.ulong() };
            return Mechanism::ulong(r#type, number).into();
        }
        Shape::Data => structure.data(&choice.data()),
        Shape::Pss => structure.ulong(hash(choice)).ulong(choice.below(11) as u64).ulong(choice.ulong()),
        Shape::Oaep => oaep(choice),
        Shape::Ctr => structure.ulong(choice.below(140) as u64).inline(&choice.bytes(16)),
        Shape::Gcm => {
            let tag = if choice.one_in(4) { choice.ulong() } else { 128 };
            let iv = iv(choice);
            structure.data(&iv).ulong(iv.len() as u64 * 8).data(&small(choice)).ulong(tag)
        }
        Shape::Ccm => structure
            .ulong(choice.below(100) as u64)
            .data(&iv(choice))
            .data(&small(choice))
            .ulong(choice.below(20) as u64),
        Shape::ChaCha20 => {
            let (counter, nonce) = [(4, 12), (8, 8), (3, 12)][choice.below(3)];
            structure
                .pointer(&choice.bytes(counter))
                .ulong(counter as u64 * 8)
                .pointer(&choice.bytes(nonce))
                .ulong(nonce as u64 * 8)
        }
        Shape::ChaCha20Poly1305 => structure.data(&iv(choice)).data(&small(choice)),
        Shape::Eddsa => {
            structure.inline(&[choice.below(2) as u8, 0, 0, 0, 0, 0, 0, 0]).length_first(&small(choice))
        }
        Shape::Ecdh | Shape::X942Dh => {
            let shared = if choice.one_in(2) { Vec::new() } else { small(choice) };
            structure.ulong(kdf(choice)).length_first(&shared).length_first(&peer(choice))
        }
        Shape::EcdhAesKeyWrap => {
            let bits = [128, 192, 256, 100][choice.below(4)];
            structure.ulong(bits).ulong(choice.below(30) as u64).length_first(&small(choice))
        }
        Shape::RsaAesKeyWrap => structure.ulong([128, 256, 7][choice.below(3)]).structure(oaep(choice)),
        Shape::Hkdf => structure
            .inline(&[choice.below(2) as u8, choice.below(2) as u8, 0, 0, 0, 0, 0, 0])
            .ulong(hash(choice))
            .ulong([1, 2, 4, 0][choice.below(4)])
            .data(&small(choice))
            .ulong(pool.object(choice))
            .data(&small(choice)),
        // Few iterations: what is random here is not how long it takes.
        Shape::Pbkdf2 => structure
            .ulong(1)
            .data(&small(choice))
            .ulong(choice.below(50) as u64)
            .ulong(choice.below(10) as u64)
            .data(&[])
            .data(&small(choice)),
        Shape::Sp800108 | Shape::Sp800108Feedback => {
            let parts = (0..choice.below(4)).map(|_| part(choice, pool)).collect();
            let prf = [M::SHA256_HMAC, M::SHA_1_HMAC, M::AES_CMAC, M::SHA256][choice.below(4)];
            let structure = structure.ulong(prf.0).array(parts);
            let structure = match row.params {
                Shape::Sp800108 => structure,
                _ => structure.length_first(&small(choice)),
            };
            structure.ulong(0).ulong(0)
        }
        Shape::CbcEncryptData(length) => {
            structure.inline(&choice.bytes(usize::from(length))).data(&choice.data())
        }
        Shape::SignContext => structure.ulong(choice.below(4) as u64).data(&small(choice)),
        Shape::HashSignContext => {
            structure.ulong(choice.below(4) as u64).data(&small(choice)).ulong(hash(choice))
        }
    }
    .of(r#type)
}

/// A `CK_PRF_DATA_PARAM`; the structures in it have no pointers.
fn part(choice: &mut Choice, pool: &Pool) -> Structure {
    let width = [8, 16, 24, 32, 64, 7][choice.below(6)];
    let little = [choice.below(2) as u8, 0, 0, 0, 0, 0, 0, 0];
    let format = Structure::new().inline(&little).ulong(width);
    let length = Structure::new().ulong(choice.below(4) as u64).inline(&little).ulong(width);
    let header = |r#type: u64| Structure::new().ulong(r#type);
    match choice.below(6) {
        0 => header(1).data(&[]),
        1 => header(1).sized(format),
        2 => header(2).sized(format),
        3 => header(3).sized(length),
        4 => header(5).sized(Structure::new().ulong(pool.object(choice))),
        _ => header(4).data(&choice.data()),
    }
}

/// Attributes that a template might say.
pub fn template(choice: &mut Choice, class: ObjectClass, key_type: Option<KeyType>) -> Vec<Attribute> {
    let fitting: Vec<_> = attribute::rows(class, key_type).collect();
    let count = choice.below(5);
    (0..count)
        .map(|_| {
            let row = match choice.of(&fitting) {
                Some(row) if !choice.one_in(6) => *row,
                _ => choice.of(ATTRIBUTES).expect("the table is not empty"),
            };
            value(choice, row.r#type, row.kind)
        })
        .collect()
}

fn value(choice: &mut Choice, r#type: A, kind: Kind) -> Attribute {
    if choice.one_in(300) {
        return bytes(A(choice.ulong() | 1 << 40), choice.data());
    }
    match kind {
        // A wrong length of what is no array of templates.
        Kind::Bool | Kind::Ulong | Kind::Bytes | Kind::Date | Kind::Mechanisms if choice.one_in(15) => {
            bytes(r#type, choice.data())
        }
        // A token object costs a write to the disk; those are made elsewhere.
        Kind::Bool if r#type == A::TOKEN => flag(r#type, false),
        Kind::Bool => flag(r#type, choice.one_in(2)),
        // No prime is looked for, and RSA keys stay small.
        Kind::Ulong if matches!(r#type, A::MODULUS_BITS | A::PRIME_BITS) => {
            ulong(r#type, choice.below(600) as u64)
        }
        Kind::Ulong => ulong(r#type, choice.ulong()),
        Kind::Bytes => bytes(r#type, choice.data()),
        Kind::Date => bytes(r#type, "20270101"),
        Kind::Mechanisms => mechanisms(&[M::AES_ECB, M::SHA256_HMAC, M::ECDSA][..choice.below(4)]),
        // An array of attributes has pointers; 7 bytes are none.
        Kind::Template => bytes(r#type, [0; 7]),
    }
}
