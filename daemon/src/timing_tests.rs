//! Does the time of an answer say more than the answer? `make timing` asks the daemon's own calls, past the socket,
//! whose noise would hide everything: inputs of several classes, mixed at random, 10^5 of each.
//!
//! The classes of a table fail (or, for PKCS #1 v1.5 with its implicit rejection, succeed) with one and the same return
//! value, so that the time is all that an attacker has. Printed for each class against the first: Welch's t, Cohen's d, and the
//! difference of the medians, of all samples and of those below the pooled 95th percentile, which leaves out most of what the machine
//! did besides. |t| below 4.5 is no finding (the bound of dudect, Reparaz, Balasch and Verbauwhede, 2017). Nothing here fails: a
//! busy machine is no leak.

use claviger_protocol::call::{DecryptOnce, GenerateKeyPair, Login, UnwrapKey};
use claviger_protocol::flags::user;
use claviger_protocol::params::{Mechanism, OaepParams, Params};
use claviger_protocol::template::{Attribute, Template, Value};
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass, Rv};
use openssl::bn::BigNum;
use openssl::pkey::Public;
use openssl::rsa::{Padding, Rsa};
use openssl::sha::sha256;
use openssl::symm::{Cipher, Crypter, Mode};
use zeroize::Zeroizing;

use crate::access::pin::{Pepper, PinVerifier};
use crate::access::settings::Settings;
use crate::fuzz_tests::dice::Dice;
use crate::inside::Inside;
use crate::kms::record::{P11Destroy, Profile, RingName};
use crate::kms::rings::NewRing;
use crate::kms::versions::tests::Store;

/// Different inputs of a class, so that no class is one value with a time of its own.
const INPUTS: usize = 512;
/// Bits of the RSA key. A small one: its padding is a larger part of the time.
const RSA_BITS: u64 = 1024;
const AES_KEY: [u8; 32] = [7; 32];

fn samples() -> usize {
    std::env::var("CLAVIGER_TIMING_SAMPLES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

/// Inputs that differ in what must not show.
struct Class {
    name: &'static str,
    inputs: Vec<Vec<u8>>,
}

impl Class {
    fn new(name: &'static str, make: impl Fn(usize) -> Vec<u8>) -> Class {
        Class { name, inputs: (0..INPUTS).map(make).collect() }
    }
}

#[derive(Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
    median: f64,
}

impl Moments {
    fn of(sorted: &[f64]) -> Moments {
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let variance = sorted.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Moments { count, mean, variance, median: sorted[sorted.len() / 2] }
    }

    /// Welch's t, Cohen's d with the pooled deviation, and the difference of the medians in nanoseconds.
    fn against(self, other: Moments) -> (f64, f64, f64) {
        let difference = self.mean - other.mean;
        let t = difference / (self.variance / self.count + other.variance / other.count).sqrt();
        let d = difference / ((self.variance + other.variance) / 2.0).sqrt();
        (t, d, self.median - other.median)
    }
}

/// Times `act` on inputs of all classes in random order, and prints what tells them apart.
fn compare(what: &str, samples: usize, classes: &[Class], mut act: impl FnMut(&[u8])) {
    let mut dice = Dice::of(std::time::UNIX_EPOCH.elapsed().map_or(1, |now| now.as_nanos() as u64));
    let mut times: Vec<Vec<f64>> = classes.iter().map(|_| Vec::with_capacity(samples)).collect();
    for round in 0..classes.len() * (samples + samples / 50) {
        let class = dice.roll(classes.len());
        let input = dice.pick(&classes[class].inputs);
        let begin = std::time::Instant::now();
        act(input);
        let took = begin.elapsed().as_nanos() as f64;
        // The first ones warm up.
        if round >= classes.len() * samples / 50 {
            times[class].push(took);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let limit = all[all.len() * 95 / 100];
    let quiet: Vec<Moments> = times
        .iter()
        .map(|times| Moments::of(&times[..times.partition_point(|time| *time <= limit)]))
        .collect();
    let all: Vec<Moments> = times.iter().map(|times| Moments::of(times)).collect();
    println!("{what}");
    println!(
        "  {:44} {:>8} {:>11} {:>8} {:>8} {:>9} {:>8} {:>8}",
        "class", "samples", "median ns", "t all", "d all", "t below95", "d", "diff ns"
    );
    for (index, class) in classes.iter().enumerate() {
        let (t, d, _) = all[index].against(all[0]);
        let (t_quiet, d_quiet, difference) = quiet[index].against(quiet[0]);
        println!(
            "  {:44} {:>8} {:>11.0} {t:>8.2} {d:>8.4} {t_quiet:>9.2} {d_quiet:>8.4} {difference:>8.0}",
            class.name,
            times[index].len(),
            all[index].median
        );
    }
}

/// A ring of every mechanism, whose user is logged in, and whose PIN never locks.
fn inside() -> Inside {
    let daemon = Store::new().daemon();
    daemon.access.configure(Settings {
        max_pin_failures: u32::MAX,
        pin_delay_millis: 0,
        ..Settings::default()
    });
    let ring = NewRing {
        name: RingName { project: "local".into(), location: "global".into(), id: "r".into() },
        token_label: None,
        profile: Profile::Legacy,
        p11_destroy: P11Destroy::Immediate,
        rules: Default::default(),
        so_pin: None,
        user_pin: Some(b"the PIN of the user"),
        slot: None,
    };
    let token = daemon.create_ring(ring).unwrap();
    Inside::on(&daemon, &token)
}

fn on(flags: &[A]) -> Template {
    flags.iter().map(|flag| Attribute { r#type: *flag, value: Value::Bool(true) }).collect()
}

/// An RSA key that decrypts and unwraps; its private handle and its public half.
fn rsa(inside: &Inside) -> (u64, Rsa<Public>) {
    let mut public_key_template = on(&[A::ENCRYPT]);
    public_key_template.push(Attribute { r#type: A::MODULUS_BITS, value: Value::Ulong(RSA_BITS) });
    let call = GenerateKeyPair {
        session: inside.session,
        mechanism: Mechanism { r#type: M::RSA_PKCS_KEY_PAIR_GEN, params: Params::None },
        public_key_template,
        private_key_template: on(&[A::DECRYPT, A::UNWRAP]),
    };
    let (public, private) = inside.call(&call).unwrap();
    let part = |r#type| {
        use claviger_protocol::call::GetAttributeValue;
        use claviger_protocol::template::AttributeReply;
        let wanted = GetAttributeValue { session: inside.session, object: public, types: vec![r#type] };
        match inside.call(&wanted).unwrap().into_iter().next() {
            Some(AttributeReply::Value(Value::Bytes(bytes))) => BigNum::from_slice(&bytes).unwrap(),
            _ => panic!("{type} is bytes"),
        }
    };
    (private, Rsa::from_public_components(part(A::MODULUS), part(A::PUBLIC_EXPONENT)).unwrap())
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes
}

/// RSA of an encoded message, whatever is in it.
fn raw(key: &Rsa<Public>, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; key.size() as usize];
    key.public_encrypt(message, &mut out, Padding::NONE).unwrap();
    out
}

/// `00 02 | padding | 00 | message` (RFC 8017, 7.2.1), for a key of [`RSA_BITS`], with a change.
fn pkcs1(key: &Rsa<Public>, message: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let padding = (RSA_BITS / 8) as usize - 3 - message.len();
    let padding = random(padding).into_iter().map(|byte| byte.max(1)).collect();
    let mut encoded = [vec![0, 2], padding, vec![0], message.to_vec()].concat();
    change(&mut encoded);
    raw(key, &encoded)
}

/// Neither in the padding nor in the message stands a zero.
fn without_separator(encoded: &mut [u8]) {
    encoded[2..].iter_mut().for_each(|byte| *byte |= 1);
}

/// MGF1 with SHA-256 (RFC 8017, B.2.1), over `bytes`.
fn mask(seed: &[u8], bytes: &mut [u8]) {
    for (counter, block) in bytes.chunks_mut(32).enumerate() {
        let pad = sha256(&[seed, &(counter as u32).to_be_bytes()].concat());
        block.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
    }
}

/// EME-OAEP with SHA-256 and no label (RFC 8017, 7.1.1), with a change of the data block before it is masked and of the
/// first byte after.
fn oaep(key: &Rsa<Public>, message: &[u8], change: impl Fn(&mut [u8]), first: u8) -> Vec<u8> {
    let size = (RSA_BITS / 8) as usize;
    let zeros = vec![0; size - 2 * 32 - 2 - message.len()];
    let mut block = [sha256(b"").to_vec(), zeros, vec![1], message.to_vec()].concat();
    change(&mut block);
    let mut seed = random(32);
    mask(&seed, &mut block);
    mask(&block, &mut seed);
    raw(key, &[vec![first], seed, block].concat())
}

/// The wrapping of RFC 3394 with an initial value of our own, which is what RFC 5649 puts its check in.
fn wrap(initial: [u8; 8], padded: &[u8]) -> Vec<u8> {
    let key = openssl::aes::AesKey::new_encrypt(&AES_KEY).unwrap();
    let mut out = vec![0; padded.len() + 8];
    openssl::aes::wrap_key(&key, Some(initial), &mut out, padded).unwrap();
    out
}

fn cbc(blocks: &[u8]) -> Vec<u8> {
    let mut crypter = Crypter::new(Cipher::aes_256_cbc(), Mode::Encrypt, &AES_KEY, Some(&[0; 16])).unwrap();
    crypter.pad(false);
    let mut out = vec![0; blocks.len() + 16];
    let length = crypter.update(blocks, &mut out).unwrap();
    out.truncate(length);
    out
}

/// A known AES key that decrypts and unwraps.
fn aes(inside: &Inside) -> u64 {
    let mut template = on(&[A::DECRYPT, A::UNWRAP]);
    template.extend([
        Attribute { r#type: A::CLASS, value: Value::Ulong(ObjectClass::SECRET_KEY.0) },
        Attribute { r#type: A::KEY_TYPE, value: Value::Ulong(KeyType::AES.0) },
        Attribute { r#type: A::VALUE, value: Value::Bytes(AES_KEY.to_vec().into()) },
    ]);
    inside.call(&claviger_protocol::call::CreateObject { session: inside.session, template }).unwrap()
}

fn decrypt(inside: &Inside, key: u64, r#type: M, params: &Params, data: &[u8]) -> Rv {
    let mechanism = Mechanism { r#type, params: params.clone() };
    let call = DecryptOnce {
        session: inside.session,
        mechanism,
        key,
        encrypted_data: data.to_vec().into(),
        room: Some(512),
    };
    inside.call(&call).err().unwrap_or(Rv::OK)
}

fn unwrap(inside: &Inside, unwrapping_key: u64, r#type: M, wrapped: &[u8]) -> Rv {
    let params = if r#type == M::AES_CBC_PAD { Params::Bytes(vec![0; 16].into()) } else { Params::None };
    let call = UnwrapKey {
        session: inside.session,
        mechanism: Mechanism { r#type, params },
        unwrapping_key,
        wrapped_key: wrapped.to_vec().into(),
        template: vec![
            Attribute { r#type: A::CLASS, value: Value::Ulong(ObjectClass::SECRET_KEY.0) },
            Attribute { r#type: A::KEY_TYPE, value: Value::Ulong(KeyType::AES.0) },
        ],
    };
    inside.call(&call).err().unwrap_or(Rv::OK)
}

#[test]
#[ignore = "takes minutes and asserts nothing about time; make timing"]
fn pins() {
    // The comparison after a KDF that costs next to nothing, else 10^5 would take hours.
    let pepper = Pepper::new(Zeroizing::new([1; 32]));
    let pin = b"the PIN of the user";
    let wrong = |at: usize| {
        move |n: usize| {
            let mut pin = pin.to_vec();
            pin[at] ^= 1 + (n % 255) as u8;
            pin
        }
    };
    let verifier = PinVerifier::cheap(pin, &pepper);
    let classes = [
        Class::new("the last byte is wrong", wrong(pin.len() - 1)),
        Class::new("the first byte is wrong", wrong(0)),
        Class::new("all bytes are wrong", |_| random(pin.len())),
        Class::new("the right PIN", |_| pin.to_vec()),
    ];
    compare("PIN: HMAC and comparison, argon2id at its least", samples(), &classes, |pin| {
        std::hint::black_box(verifier.matches(pin, &pepper).unwrap());
    });
    // And the whole login: its count is durable in memory here, and its KDF takes milliseconds.
    let inside = inside();
    inside.application.table.log_out(inside.token.slot);
    let few = samples() / 50;
    compare(
        &format!("PIN: the whole of C_Login, CKR_PIN_INCORRECT ({few} samples)"),
        few,
        &classes[..3],
        |pin| {
            let call =
                Login { session: inside.session, user_type: user::USER, pin: Some(pin.to_vec().into()) };
            assert_eq!(inside.call(&call), Err(Rv::PIN_INCORRECT));
        },
    );
}

#[test]
#[ignore = "takes minutes and asserts nothing about time; make timing"]
fn oaep_decryption() {
    let inside = inside();
    let (key, public) = rsa(&inside);
    let params =
        Params::Oaep(OaepParams { hash: M::SHA256, mgf: 2, source: 1, source_data: Vec::new().into() });
    let good = oaep(&public, b"message", |_| (), 0);
    assert_eq!(decrypt(&inside, key, M::RSA_PKCS_OAEP, &params, &good), Rv::OK);
    let classes = [
        Class::new("the hash of the label is wrong", |_| oaep(&public, b"message", |block| block[0] ^= 1, 0)),
        Class::new("the first byte is not 0 (Manger)", |n| {
            oaep(&public, b"message", |_| (), 1 + (n % 100) as u8)
        }),
        Class::new("no 01 before the message", |_| oaep(&public, b"", |block| block[32..].fill(0), 0)),
        Class::new("something else before the 01", |_| oaep(&public, b"message", |block| block[33] = 2, 0)),
    ];
    compare("RSA-OAEP: C_Decrypt, one return value", samples(), &classes, |data| {
        let rv = decrypt(&inside, key, M::RSA_PKCS_OAEP, &params, data);
        assert_eq!(rv, Rv::ENCRYPTED_DATA_INVALID);
    });
}

#[test]
#[ignore = "takes minutes and asserts nothing about time; make timing"]
fn pkcs1_decryption_and_unwrapping() {
    let inside = inside();
    let (key, public) = rsa(&inside);
    let message = || random(32).into_iter().map(|byte| byte.max(1)).collect::<Vec<u8>>();
    let bad = || {
        vec![
            Class::new("the second byte is not 2", |_| pkcs1(&public, &message(), |encoded| encoded[1] = 1)),
            Class::new("the first byte is not 0", |_| pkcs1(&public, &message(), |encoded| encoded[0] = 1)),
            Class::new("no 0 after the padding", |_| pkcs1(&public, &message(), without_separator)),
            Class::new("a padding of 7 bytes", |_| {
                pkcs1(&public, &message(), |encoded| {
                    without_separator(encoded);
                    encoded[9] = 0;
                })
            }),
        ]
    };
    let mut classes = bad();
    classes.push(Class::new("a good padding", |_| pkcs1(&public, &message(), |_| ())));
    compare("RSA PKCS #1 v1.5: C_Decrypt, CKR_OK for all", samples(), &classes, |data| {
        assert_eq!(decrypt(&inside, key, M::RSA_PKCS, &Params::None, data), Rv::OK);
    });
    let mut classes = bad();
    classes.push(Class::new("a good padding, no AES key", |_| pkcs1(&public, &random(33), |_| ())));
    // What implicit rejection makes up is now and then as long as an AES key: that is a key, and slower.
    for class in &mut classes {
        class.inputs.retain(|input| unwrap(&inside, key, M::RSA_PKCS, input) != Rv::OK);
    }
    compare("RSA PKCS #1 v1.5: C_UnwrapKey, one return value", samples(), &classes, |data| {
        assert_eq!(unwrap(&inside, key, M::RSA_PKCS, data), Rv::WRAPPED_KEY_INVALID);
    });
}

#[test]
#[ignore = "takes minutes and asserts nothing about time; make timing"]
fn key_wrap_and_cbc() {
    let inside = inside();
    let key = aes(&inside);
    let initial = |length: u32| {
        let mut initial = [0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 0];
        initial[4..].copy_from_slice(&length.to_be_bytes());
        initial
    };
    let padded = || [random(31), vec![0]].concat();
    assert_eq!(unwrap(&inside, key, M::AES_KEY_WRAP_KWP, &wrap(initial(32), &random(32))), Rv::OK);
    let classes = [
        Class::new("the check is wrong altogether", |_| random(40)),
        Class::new("the last byte of the check is wrong", |_| {
            let mut initial = initial(31);
            initial[3] ^= 1;
            wrap(initial, &padded())
        }),
        Class::new("the length is too long", |_| wrap(initial(40), &padded())),
        Class::new("the length is too short", |_| wrap(initial(8), &padded())),
        Class::new("the padding is not 0", |_| wrap(initial(31), &[random(31), vec![1]].concat())),
        Class::new("whole, but no AES key", |_| wrap(initial(31), &padded())),
    ];
    compare("AES-KWP: C_UnwrapKey, one return value", samples(), &classes, |data| {
        assert_eq!(unwrap(&inside, key, M::AES_KEY_WRAP_KWP, data), Rv::WRAPPED_KEY_INVALID);
    });
    let ending = |last: &[u8]| cbc(&[random(64 - last.len()), last.to_vec()].concat());
    let classes = [
        Class::new("the last byte is 0", |_| ending(&[0])),
        Class::new("the last byte is 17", |_| ending(&[17])),
        Class::new("the byte before the last is wrong", |_| ending(&[9, 9, 8, 9])),
        Class::new("the first of 16 is wrong", |_| ending(&[&[0][..], &[16; 15]].concat())),
    ];
    let params = Params::Bytes(vec![0; 16].into());
    compare("AES-CBC-PAD: C_Decrypt, one return value", samples(), &classes, |data| {
        assert_eq!(decrypt(&inside, key, M::AES_CBC_PAD, &params, data), Rv::ENCRYPTED_DATA_INVALID);
    });
    let classes = [
        Class::new("the last byte is 0", |_| ending(&[0])),
        Class::new("the first of 16 is wrong", |_| ending(&[&[0][..], &[16; 15]].concat())),
        Class::new("a good padding, no AES key", |_| ending(&[1])),
    ];
    compare("AES-CBC-PAD: C_UnwrapKey, one return value", samples(), &classes, |data| {
        assert_eq!(unwrap(&inside, key, M::AES_CBC_PAD, data), Rv::WRAPPED_KEY_INVALID);
    });
}
