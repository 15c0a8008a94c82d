//! An attacker who tries calls at random: up to 12 of them over 6 keys, then puts together all that came out.
//!
//! What it may know is kept as bytes: what it read, decrypted and digested, and what follows from two ciphertexts
//! under one nonce when it knows one plaintext. No quarter of a sensitive key may be among it. The test knows the
//! values of those keys, since it made them; the attacker does not ask.
//!
//! Sequences run side by side, each thread of them as an application of its own. A seed gives its sequence again.

use super::*;

/// Sequences in `make test`; `CLAVIGER_WALKS` sets more.
const WALKS: u64 = 100_000;
/// Bytes of a sensitive key that count as known, where its length is a multiple of them.
const PIECE: usize = 8;
/// Calls of one sequence.
const CALLS: u64 = 12;

/// xorshift64*, so that a seed gives the sequence again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn value(&mut self) -> Vec<u8> {
        (0..32).map(|_| self.roll(256) as u8).collect()
    }
}

/// What one sequence has.
struct Walk<'a> {
    raw: &'a Raw,
    session: u64,
    dice: Dice,
    keys: Vec<u64>,
    /// Values that must stay unknown.
    secrets: Vec<Vec<u8>>,
    known: Vec<Vec<u8>>,
    /// Ciphertexts, with the key and the mechanism that made them.
    blobs: Vec<(u64, M, Vec<u8>)>,
}

const USAGE: [A; 7] = [A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY, A::WRAP, A::UNWRAP, A::DERIVE];

impl Walk<'_> {
    /// A ciphertext, and what to undo it with: mostly what made it.
    fn blob(&mut self, key: u64, mechanism: Mechanism) -> Option<(u64, Mechanism, Vec<u8>)> {
        if self.blobs.is_empty() {
            return None;
        }
        let index = self.dice.roll(self.blobs.len());
        let (made_by, kind, blob) = self.blobs[index].clone();
        Some(if self.dice.roll(3) > 0 { (made_by, by_number(kind), blob) } else { (key, mechanism, blob) })
    }

    fn mechanism(&mut self) -> Mechanism {
        by_number(
            [M::AES_KEY_WRAP, M::AES_ECB, M::AES_CBC, M::AES_GCM, M::AES_CTR, M::AES_KEY_WRAP_KWP]
                [self.dice.roll(6)],
        )
    }

    fn key(&mut self) -> u64 {
        let index = self.dice.roll(self.keys.len());
        self.keys[index]
    }

    fn flags(&mut self) -> Vec<Attribute> {
        let mut flags = Vec::new();
        for r#type in USAGE {
            if self.dice.roll(3) == 0 {
                flags.push(flag(r#type, true));
            }
        }
        for r#type in [A::SENSITIVE, A::EXTRACTABLE, A::WRAP_WITH_TRUSTED] {
            if self.dice.roll(2) == 0 {
                flags.push(flag(r#type, self.dice.roll(2) == 0));
            }
        }
        flags
    }

    fn keep(&mut self, key: Result<u64, Rv>) {
        if let Ok(key) = key {
            let place = self.dice.roll(self.keys.len());
            self.keys[place] = key;
        }
    }

    fn step(&mut self) {
        let (raw, session) = (self.raw, self.session);
        let (mechanism, key, other) = (self.mechanism(), self.key(), self.key());
        let kind = mechanism.r#type;
        match self.dice.roll(12) {
            0..=2 => {
                let wrapped = raw.wrap_key(session, &mechanism, key, other, Room::Bytes(512));
                if wrapped.rv == Rv::OK {
                    self.blobs.push((key, kind, wrapped.data));
                }
            }
            3 | 4 => {
                let Some((key, mechanism, blob)) = self.blob(key, mechanism) else { return };
                if raw.start(Operation::Decrypt, session, Some(&mechanism), key).is_ok() {
                    let plain = raw.one_shot(Operation::Decrypt, session, &blob, Room::Bytes(600));
                    self.known.push(plain.data);
                }
            }
            5 | 6 => {
                let Some((key, mechanism, blob)) = self.blob(key, mechanism) else { return };
                let r#type = if self.dice.roll(2) == 0 { KeyType::AES } else { KeyType::GENERIC_SECRET };
                let template =
                    [vec![class(ObjectClass::SECRET_KEY), key_type(r#type)], self.flags()].concat();
                let made = raw.unwrap_key(session, &mechanism, key, &blob, &template);
                self.keep(made);
            }
            7 => {
                let length = [1, 16, 32][self.dice.roll(3)];
                let template =
                    [vec![key_type(KeyType::AES), ulong(A::VALUE_LEN, length)], self.flags()].concat();
                let made = raw.derive_key(session, &M::SHA256_KEY_DERIVATION.into(), key, &template);
                self.keep(made);
            }
            8 => {
                let change = self.flags();
                let _ = raw.set_attributes(session, key, &change);
            }
            9 => {
                let change = self.flags();
                let made = raw.copy_object(session, key, &change);
                self.keep(made);
            }
            10 => {
                let value = [0x5a; 32];
                self.known.push(value.to_vec());
                let template = [secret_key(KeyType::AES, &value, &[]), self.flags()].concat();
                let made = raw.create_object(session, &template);
                self.keep(made);
            }
            _ => {
                let template = [vec![ulong(A::VALUE_LEN, 32)], self.flags()].concat();
                let made = raw.generate_key(session, &M::AES_KEY_GEN.into(), &template);
                self.keep(made);
                if raw.start(Operation::Encrypt, session, Some(&mechanism), key).is_ok() {
                    let sealed = raw.one_shot(Operation::Encrypt, session, &[0; 32], Room::Bytes(600));
                    self.known.push(vec![0; 32]);
                    self.blobs.push((key, kind, sealed.data));
                }
            }
        }
    }

    /// Reads what can be read, and gives the sensitive value that is known after all.
    fn conclude(&mut self) -> Option<Vec<u8>> {
        for key in self.keys.clone() {
            self.known.extend(self.raw.attribute(self.session, key, A::VALUE).ok());
        }
        self.known.retain(|known| known.len() >= PIECE);
        // One after the other: a piece that two of them make together would be found by a chance of 2^-64.
        let mut concluded = self.known.concat();
        for (i, (key, kind, one)) in self.blobs.iter().enumerate() {
            // One nonce, two plaintexts.
            for (_, _, two) in self.blobs[..i].iter().filter(|(k, m, _)| (k, m) == (key, kind)) {
                let difference = xor(one, two);
                self.known.iter().for_each(|known| concluded.extend(xor(&difference, known)));
            }
        }
        let found = |secret: &&Vec<u8>| {
            secret.chunks(PIECE).any(|piece| memchr::memmem::find(&concluded, piece).is_some())
        };
        self.secrets.iter().find(found).cloned()
    }
}

/// The difference of as many bytes as both have.
fn xor(one: &[u8], two: &[u8]) -> Vec<u8> {
    let both = one.len().min(two.len());
    let number = |bytes: &[u8]| {
        let mut number = [0; 16];
        number[..bytes.len()].copy_from_slice(bytes);
        u128::from_ne_bytes(number)
    };
    let blocks = one[..both].chunks(16).zip(two[..both].chunks(16));
    let mut difference: Vec<u8> =
        blocks.flat_map(|(one, two)| (number(one) ^ number(two)).to_ne_bytes()).collect();
    difference.truncate(both);
    difference
}

fn by_number(r#type: M) -> Mechanism {
    match r#type {
        M::AES_CBC => Mechanism::bytes(M::AES_CBC, &[0; 16]),
        M::AES_GCM => Mechanism::gcm(&[0; 12], b"", 128),
        M::AES_CTR => Mechanism::ctr(128, [0; 16]),
        r#type => r#type.into(),
    }
}

/// Runs one sequence; gives a sensitive value that came out.
fn walk(raw: &Raw, slot: u64, seed: u64) -> Option<Vec<u8>> {
    let session = raw.open_session(slot, 6).unwrap();
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut keys = Vec::new();
    let mut secrets = Vec::new();
    // Three that the attacker must not learn, each with the role that makes it most useful.
    for usage in [A::DECRYPT, A::ENCRYPT, A::DERIVE] {
        let value = dice.value();
        let leave = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, false)];
        let template = [secret_key(KeyType::AES, &value, &[usage]), leave.to_vec()].concat();
        keys.push(raw.create_object(session, &template).unwrap());
        secrets.push(value);
    }
    for flags in [&[A::WRAP, A::UNWRAP][..], &[A::WRAP], &[A::ENCRYPT, A::DECRYPT]] {
        let template = [vec![ulong(A::VALUE_LEN, 32)], usage(flags)].concat();
        keys.push(raw.generate_key(session, &M::AES_KEY_GEN.into(), &template).unwrap());
    }
    let mut walk = Walk { raw, session, dice, keys, secrets, known: Vec::new(), blobs: Vec::new() };
    for _ in 0..CALLS {
        walk.step();
    }
    let found = walk.conclude();
    raw.close_session(session).unwrap();
    found
}

/// Runs so many sequences on a new ring; gives the seeds of those that gave a key away.
fn walks(profile: &str, walks: u64) -> Vec<u64> {
    let ring = Strict::of(profile);
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64).clamp(2, 8);
    let part = |first: u64| {
        let app = Application::on(ring.setup.daemon);
        let slot = app.slot(&ring.setup.ring);
        // As long as it is open, the others are logged in.
        let _login = app.login(&ring.setup.ring);
        (first..walks)
            .step_by(threads as usize)
            .filter(|seed| walk(&app.raw, slot, *seed).is_some())
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn({
                    let part = &part;
                    move || part(first)
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

#[test]
fn no_sequence_of_calls_computes_a_sensitive_value_in_strict() {
    let count = std::env::var("CLAVIGER_WALKS").ok().and_then(|n| n.parse().ok()).unwrap_or(WALKS);
    let broken = walks("strict", count);
    println!(
        "random walks in strict: {count} of {CALLS} calls over 6 keys, {} gave a key away",
        broken.len()
    );
    assert!(broken.is_empty(), "seeds {broken:?}");
    // The same attacker breaks what it is allowed to break: extractable keys in standard.
    let broken = walks("standard", 1000).len();
    println!("the same attacker on extractable keys in standard: {broken} of 1000");
    assert!(broken > 0);
}
