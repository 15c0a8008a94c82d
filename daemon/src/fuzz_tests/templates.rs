//! Templates and parameters, made of everything that the tables know, through the dispatcher: whole ones with strange
//! values, and encodings with changed bytes.

use claviger_protocol::attribute::{ATTRIBUTES, Kind, kind};
use claviger_protocol::call::{
    Call, CopyObject, CreateObject, DeriveKey, Derived, DestroyObject, EncryptInit, FindObjectsFinal,
    FindObjectsInit, GenerateKey, GenerateKeyPair, GetAttributeValue, SessionCancel, SetAttributeValue,
    SignInit, UnwrapKey, WrapKey,
};
use claviger_protocol::mechanism::MECHANISMS;
use claviger_protocol::params::{CounterFormat, HkdfSalt, Mechanism, OaepParams, Params, PrfData};
use claviger_protocol::template::{Attribute, FlatAttribute, FlatValue, Template, Value};
use claviger_protocol::{AttributeType as A, Bytes, KeyType, MechanismType as M, ObjectClass, Rv, codec};

use super::dice::{Dice, peak_kib, runs};
use crate::inside::Inside;
use crate::kms::record::{P11Destroy, Profile, RingName};
use crate::kms::rings::NewRing;
use crate::kms::versions::tests::Store;

/// Made in seconds, not in microseconds.
const SLOW: &[M] =
    &[M::DSA_PARAMETER_GEN, M::DH_PKCS_PARAMETER_GEN, M::X9_42_DH_PARAMETER_GEN, M::PKCS5_PBKD2];
/// Runs after which the application starts anew.
const CONVERSATION: u64 = 20_000;
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

fn bytes(dice: &mut Dice) -> Bytes {
    let byte = dice.next() as u8;
    let length = *dice.pick(&[0usize, 1, 8, 12, 16, 16, 24, 32, 32, 33, 48, 64, 65, 256, 4096]);
    match dice.roll(4) {
        0 => P256.to_vec(),
        // A point, more or less.
        1 => [&[0x04, 0x41, 0x04][..], &[byte; 64]].concat(),
        _ => vec![byte; length],
    }
    .into()
}

fn ulong(dice: &mut Dice) -> u64 {
    let classes_and_types = [0, 1, 2, 3, 4, 0x10, 0x13, 0x1f, 0x40, 0x41, 0x8000_0000, u64::MAX];
    let lengths = [8, 12, 16, 24, 32, 64, 128, 256, 65_536, u64::from(u32::MAX) + 1];
    match dice.roll(2) {
        0 => *dice.pick(&classes_and_types),
        _ => *dice.pick(&lengths),
    }
}

fn mechanism_type(dice: &mut Dice) -> M {
    let r#type = dice.pick(MECHANISMS).r#type;
    if SLOW.contains(&r#type) { M::AES_KEY_GEN } else { r#type }
}

fn flat(dice: &mut Dice, kind: Kind) -> FlatValue {
    match kind {
        Kind::Bool => FlatValue::Bool(dice.roll(2) == 0),
        Kind::Ulong => FlatValue::Ulong(ulong(dice)),
        Kind::Date => {
            let dates = [&b""[..], b"20260230", b"20260101", b"99991231", b"0000000a"];
            FlatValue::Bytes(dice.pick(&dates).to_vec().into())
        }
        Kind::Mechanisms => FlatValue::Mechanisms((0..dice.roll(4)).map(|_| mechanism_type(dice)).collect()),
        Kind::Bytes | Kind::Template => FlatValue::Bytes(bytes(dice)),
    }
}

/// An attribute of any type, mostly with a value of its kind.
fn attribute(dice: &mut Dice) -> Attribute {
    let r#type = dice.pick(ATTRIBUTES).r#type;
    let of = if dice.roll(16) == 0 { kind(dice.pick(ATTRIBUTES).r#type) } else { kind(r#type) };
    let value = match of {
        Kind::Template => Value::Template(
            (0..dice.roll(4))
                .map(|_| {
                    let inner = dice.pick(ATTRIBUTES).r#type;
                    FlatAttribute { r#type: inner, value: flat(dice, kind(inner)) }
                })
                .collect(),
        ),
        other => flat(dice, other).into(),
    };
    Attribute { r#type, value }
}

/// What a call of its kind starts from, with some attributes more and some taken out.
fn template(dice: &mut Dice, begin: &[(A, Value)]) -> Template {
    let begin = begin.iter().map(|(r#type, value)| Attribute { r#type: *r#type, value: value.clone() });
    let mut template: Template = begin.collect();
    for _ in 0..*dice.pick(&[0, 0, 1, 1, 2, 3, 8, 40]) {
        let at = dice.roll(template.len() + 1);
        template.insert(at, attribute(dice));
    }
    if dice.roll(8) == 0 && !template.is_empty() {
        let at = dice.roll(template.len());
        template.remove(at);
    }
    template
}

fn params(dice: &mut Dice, key: u64) -> Params {
    let oaep = |dice: &mut Dice| OaepParams {
        hash: mechanism_type(dice),
        mgf: ulong(dice),
        source: dice.roll(2) as u64,
        source_data: bytes(dice),
    };
    let counter = |dice: &mut Dice| CounterFormat {
        little_endian: dice.roll(2) == 0,
        width_bits: *dice.pick(&[0, 8, 16, 24, 32, 64, 7, u64::MAX]),
    };
    match dice.roll(20) {
        0..=2 => Params::None,
        3 | 4 => Params::Bytes(bytes(dice)),
        5 => Params::Ulong(ulong(dice)),
        6 => Params::Pss { hash: mechanism_type(dice), mgf: ulong(dice), salt_len: ulong(dice) },
        7 => Params::Oaep(oaep(dice)),
        8 => Params::Ctr { counter_bits: ulong(dice), block: [0xff; 16] },
        9 => Params::Gcm { iv: bytes(dice), aad: bytes(dice), tag_bits: ulong(dice) },
        10 => {
            Params::Ccm { data_len: ulong(dice), nonce: bytes(dice), aad: bytes(dice), mac_len: ulong(dice) }
        }
        11 => Params::ChaCha20 { block_counter: bytes(dice), nonce: bytes(dice) },
        12 => Params::Ecdh { kdf: ulong(dice), shared_data: bytes(dice), public_data: bytes(dice) },
        13 => {
            Params::EcdhAesKeyWrap { aes_key_bits: ulong(dice), kdf: ulong(dice), shared_data: bytes(dice) }
        }
        14 => Params::RsaAesKeyWrap { aes_key_bits: ulong(dice), oaep: oaep(dice) },
        15 => Params::Hkdf {
            extract: dice.roll(2) == 0,
            expand: dice.roll(2) == 0,
            prf: mechanism_type(dice),
            salt: match dice.roll(3) {
                0 => HkdfSalt::Null,
                1 => HkdfSalt::Data(bytes(dice)),
                _ => HkdfSalt::Key(key),
            },
            info: bytes(dice),
        },
        16 => Params::Sp800108 {
            prf: *dice.pick(&[M::SHA256_HMAC, M::AES_CMAC, M::SHA_1_HMAC, M::AES_GCM]),
            data: (0..dice.roll(5))
                .map(|_| match dice.roll(5) {
                    0 => PrfData::Iteration(None),
                    1 => PrfData::Iteration(Some(counter(dice))),
                    2 => PrfData::DkmLength { method: dice.roll(3) as u64, format: counter(dice) },
                    3 => PrfData::Bytes(bytes(dice)),
                    _ => PrfData::Key(key),
                })
                .collect(),
            iv: (dice.roll(2) == 0).then(|| bytes(dice)),
            further_keys: (0..dice.roll(3)).map(|_| template(dice, &[])).collect(),
        },
        17 => Params::CbcEncryptData { iv: bytes(dice), data: bytes(dice) },
        18 => Params::X942Dh { kdf: ulong(dice), other_info: bytes(dice), public_data: bytes(dice) },
        _ => Params::Eddsa { prehash: dice.roll(2) == 0, context: bytes(dice) },
    }
}

fn mechanism(dice: &mut Dice, usual: &[M], key: u64) -> Mechanism {
    let r#type = if dice.roll(2) == 0 { *dice.pick(usual) } else { mechanism_type(dice) };
    Mechanism { r#type, params: params(dice, key) }
}

/// Keys for every use, which nobody destroys.
fn keys(inside: &Inside) -> Vec<u64> {
    fn on(flags: &[A]) -> impl Iterator<Item = Attribute> + '_ {
        flags.iter().map(|flag| Attribute { r#type: *flag, value: Value::Bool(true) })
    }
    let secret = [A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY, A::WRAP, A::UNWRAP, A::DERIVE, A::EXTRACTABLE];
    let session = inside.session;
    let made = |r#type: M, length: u64| {
        let mut template: Template = on(&secret).collect();
        template.push(Attribute { r#type: A::VALUE_LEN, value: Value::Ulong(length) });
        let mechanism = Mechanism { r#type, params: Params::None };
        inside.call(&GenerateKey { session, mechanism, template }).unwrap()
    };
    let curve = Attribute { r#type: A::EC_PARAMS, value: Value::Bytes(P256.to_vec().into()) };
    let pair = GenerateKeyPair {
        session,
        mechanism: Mechanism { r#type: M::EC_KEY_PAIR_GEN, params: Params::None },
        public_key_template: on(&[A::VERIFY]).chain([curve]).collect(),
        private_key_template: on(&[A::SIGN, A::DERIVE]).collect(),
    };
    let (public, private) = inside.call(&pair).unwrap();
    vec![made(M::AES_KEY_GEN, 32), made(M::GENERIC_SECRET_KEY_GEN, 32), private, public]
}

/// A request with a template or a parameter in it.
fn request(dice: &mut Dice, session: u64, keys: &[u64]) -> (u16, Vec<u8>) {
    fn of<C: Call>(call: C) -> (u16, Vec<u8>) {
        (C::NUMBER, codec::encode(&call).unwrap())
    }
    let key = *dice.pick(keys);
    let secret = [
        (A::CLASS, Value::Ulong(ObjectClass::SECRET_KEY.0)),
        (
            A::KEY_TYPE,
            Value::Ulong(dice.pick(&[KeyType::AES, KeyType::GENERIC_SECRET, KeyType::SHA256_HMAC]).0),
        ),
    ];
    let value = [(A::VALUE, Value::Bytes(vec![7; 32].into()))];
    let length = [(A::VALUE_LEN, Value::Ulong(32))];
    match dice.roll(11) {
        0 | 1 => {
            let class = *dice.pick(&[
                ObjectClass::DATA,
                ObjectClass::CERTIFICATE,
                ObjectClass::PUBLIC_KEY,
                ObjectClass::PRIVATE_KEY,
                ObjectClass::SECRET_KEY,
                ObjectClass::DOMAIN_PARAMETERS,
                ObjectClass::PROFILE,
            ]);
            let begin = match dice.roll(3) {
                0 => [&secret[..], &value].concat(),
                _ => vec![(A::CLASS, Value::Ulong(class.0))],
            };
            of(CreateObject { session, template: template(dice, &begin) })
        }
        2 => of(CopyObject { session, object: key, template: template(dice, &[]) }),
        3 => of(SetAttributeValue { session, object: key, template: template(dice, &[]) }),
        4 => of(FindObjectsInit { session, template: template(dice, &[]) }),
        5 => {
            let usual = [M::AES_KEY_GEN, M::GENERIC_SECRET_KEY_GEN, M::DES3_KEY_GEN];
            let mechanism = mechanism(dice, &usual, key);
            of(GenerateKey { session, mechanism, template: template(dice, &length) })
        }
        6 => {
            let usual = [M::HKDF_DERIVE, M::ECDH1_DERIVE, M::SHA256_KEY_DERIVATION, M::SP800_108_COUNTER_KDF];
            let mechanism = mechanism(dice, &usual, key);
            let begin = [&secret[..], &length].concat();
            of(DeriveKey { session, mechanism, base_key: key, template: template(dice, &begin) })
        }
        7 => {
            let mechanism = mechanism(dice, &[M::AES_CBC_PAD, M::AES_CTR, M::AES_ECB, M::AES_GCM], key);
            let wrapped_key = vec![3; *dice.pick(&[16, 24, 32, 40, 48])].into();
            let template = template(dice, &secret);
            of(UnwrapKey { session, mechanism, unwrapping_key: key, wrapped_key, template })
        }
        8 => {
            let mechanism = mechanism(dice, &[M::AES_KEY_WRAP_KWP, M::AES_CBC_PAD, M::AES_GCM], key);
            of(WrapKey { session, mechanism, wrapping_key: key, key: *dice.pick(keys), room: Some(512) })
        }
        9 => {
            let mechanism = Some(mechanism(dice, &[M::AES_GCM, M::AES_CBC, M::AES_CTR, M::AES_CCM], key));
            of(EncryptInit { session, mechanism, key })
        }
        _ => {
            let mechanism = Some(mechanism(dice, &[M::ECDSA_SHA256, M::SHA256_HMAC, M::AES_CMAC], key));
            of(SignInit { session, mechanism, key })
        }
    }
}

#[test]
fn templates_and_parameters() {
    let daemon = Store::new().daemon();
    let token = daemon
        .create_ring(NewRing {
            name: RingName { project: "local".into(), location: "global".into(), id: "r".into() },
            token_label: None,
            profile: Profile::Legacy,
            p11_destroy: P11Destroy::Immediate,
            rules: Default::default(),
            so_pin: None,
            user_pin: None,
            slot: None,
        })
        .unwrap();
    let types: Vec<A> = ATTRIBUTES.iter().map(|row| row.r#type).collect();
    let mut inside = Inside::on(&daemon, &token);
    let mut keys_now = keys(&inside);
    let (mut good, mut read, mut reply, mut others) = (0u64, 0u64, Vec::new(), vec![Vec::new(); 64]);
    for run in 0..runs() {
        let mut dice = Dice::of(run);
        let session = inside.session;
        let (number, mut body) = request(&mut dice, session, &keys_now);
        if dice.roll(3) == 0 {
            dice.mutate(&mut body, &others);
        } else {
            others[dice.roll(64)].clone_from(&body);
        }
        reply.clear();
        let rv = inside.answer(number, &body, &mut reply);
        assert_ne!(rv, Rv::GENERAL_ERROR, "run {run}, call {number}: {body:02x?}");
        good += u64::from(rv == Rv::OK);
        let mut made = Vec::new();
        match number {
            _ if rv != Rv::OK => {}
            EncryptInit::NUMBER | SignInit::NUMBER => {
                let _ = inside.call(&SessionCancel { session, flags: u64::MAX });
            }
            FindObjectsInit::NUMBER => inside.call(&FindObjectsFinal { session }).unwrap(),
            CreateObject::NUMBER | CopyObject::NUMBER | GenerateKey::NUMBER | UnwrapKey::NUMBER => {
                made.push(codec::decode::<u64>(&reply).unwrap());
            }
            DeriveKey::NUMBER => {
                let Derived { key, further_keys, .. } = codec::decode(&reply).unwrap();
                made.extend(further_keys);
                made.extend((key != 0).then_some(key));
            }
            _ => {}
        }
        for object in made {
            // Whatever was accepted can be read whole.
            let wanted = GetAttributeValue { session, object, types: types.clone() };
            match inside.call(&wanted) {
                Ok(_) | Err(Rv::ATTRIBUTE_SENSITIVE | Rv::ATTRIBUTE_TYPE_INVALID) => read += 1,
                Err(Rv::OBJECT_HANDLE_INVALID | Rv::SESSION_HANDLE_INVALID) => {}
                Err(rv) => panic!("run {run}: {rv}"),
            }
            let _ = inside.call(&DestroyObject { session, object });
        }
        if run % CONVERSATION == CONVERSATION - 1 {
            inside = Inside::on(&daemon, &token);
            keys_now = keys(&inside);
        }
    }
    let peak = peak_kib("self");
    println!(
        "fuzz template: {} runs, {good} calls succeeded, {read} objects read, at most {peak} KiB",
        runs()
    );
    assert!(good > runs() / 20 && read > runs() / 50, "the fuzzer gets somewhere");
}
