//! Every mechanism that a token lists, by its row of table 3, used as it should be and with one thing wrong: the
//! key's type, a size, the parameter, the way of calling, the key's usage flags.
//!
//! * [`run`] goes through a token's mechanisms and functions; [`Entry`] is one cell of the matrix
//! * `keys` a key for every type, made in the token; `parameter` a right and some wrong parameters for every shape
//! * `uses` what a cell asserts, by function
//!
//! A new row is in the matrix by itself. A new [`Recipe`] or shape does not compile until it is named here.

mod keys;
mod parameter;
mod uses;

use std::collections::BTreeMap;

use claviger_protocol::flags::mechanism as flag;
use claviger_protocol::mechanism::{self, MechanismRow, Profiles, Recipe};
use claviger_protocol::{MechanismType, Rv};

use crate::application::Application;
use crate::raw::Answer;
use keys::Keys;

/// What a mechanism is used for: the functions that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the functions'")]
pub enum Use {
    Digest,
    Encrypt,
    Sign,
    Recover,
    Wrap,
    Derive,
    GenerateKey,
    GenerateKeyPair,
}

/// What a cell asserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// What one function made the other undoes, or does again.
    RoundTrip,
    /// A key of another type.
    KeyType,
    /// Keys, data and results of a wrong size.
    Size,
    /// A parameter that the mechanism does not take.
    Parameter,
    /// In parts as in one call; or no parts, where there are none.
    Parts,
    /// A key whose usage flags do not allow it.
    Usage,
}

impl Column {
    /// All of them.
    pub const ALL: [Column; 6] =
        [Column::RoundTrip, Column::KeyType, Column::Size, Column::Parameter, Column::Parts, Column::Usage];
}

/// How a cell came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Every assertion held; so many there were.
    Held(usize),
    /// There is nothing to assert, by this rule.
    Rule(&'static str),
    /// What did not hold.
    Broken(String),
}

/// One cell of the matrix.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Row.
    pub mechanism: MechanismType,
    /// Function.
    pub r#use: Use,
    /// Column.
    pub column: Column,
    /// Outcome.
    pub cell: Cell,
}

/// A cell under way: it counts its assertions and ends with the first that does not hold.
pub(crate) struct Check(usize);

/// Why a cell ends early.
pub(crate) enum End {
    Rule(&'static str),
    Broken(String),
}

pub(crate) type Outcome<T = ()> = std::result::Result<T, End>;

impl Check {
    /// An exact return value.
    pub(crate) fn is(&mut self, what: &str, answer: impl Answer, expected: Rv) -> Outcome {
        let rv = answer.rv();
        self.holds(&format!("{what}: {rv} instead of {expected}"), rv == expected)
    }

    /// A fact.
    pub(crate) fn holds(&mut self, what: &str, fact: bool) -> Outcome {
        self.0 += 1;
        if fact { Ok(()) } else { Err(End::Broken(what.into())) }
    }
}

/// A call that has to succeed for the cell to mean anything.
pub(crate) fn needed<T>(what: &str, result: claviger_protocol::Result<T>) -> Outcome<T> {
    result.map_err(|rv| End::Broken(format!("{what}: {rv}")))
}

/// The functions of `CKF_*` flags.
fn uses(flags: u64) -> Vec<Use> {
    [
        (flag::DIGEST, Use::Digest),
        (flag::ENCRYPT, Use::Encrypt),
        (flag::SIGN, Use::Sign),
        (flag::SIGN_RECOVER, Use::Recover),
        (flag::WRAP, Use::Wrap),
        (flag::DERIVE, Use::Derive),
        (flag::GENERATE, Use::GenerateKey),
        (flag::GENERATE_KEY_PAIR, Use::GenerateKeyPair),
    ]
    .into_iter()
    .filter_map(|(flag, r#use)| (flags & flag != 0).then_some(r#use))
    .collect()
}

/// The matrix of the token in `slot`, which has this profile, in a session with the user logged in.
///
/// # Panics
/// When the token lists what table 3 does not have.
pub fn run(application: &Application, slot: u64, session: u64, profile: Profiles) -> Vec<Entry> {
    let raw = &application.raw;
    let (_, count, _) = raw.mechanisms(slot, None);
    let (rv, _, listed) = raw.mechanisms(slot, Some(count));
    assert_eq!(rv, Rv::OK, "C_GetMechanismList");
    let keys = Keys::new(application, session, listed.clone());
    let mut entries = Vec::new();
    for r#type in listed {
        let row = mechanism::mechanism(r#type).expect("a mechanism of table 3");
        let info = raw.mechanism_info(slot, r#type).expect("C_GetMechanismInfo");
        for r#use in uses(info.flags) {
            for column in Column::ALL {
                let mut check = Check(0);
                if row.recipe == Recipe::KmsEnvelope {
                    let cell = Cell::Rule("only the key service makes keys for it: kms_envelope.rs");
                    entries.push(Entry { mechanism: r#type, r#use, column, cell });
                    continue;
                }
                let cell = match uses::cell(&keys, row, r#use, column, profile, &mut check) {
                    Ok(()) => Cell::Held(check.0),
                    Err(End::Rule(rule)) => Cell::Rule(rule),
                    Err(End::Broken(what)) => Cell::Broken(what),
                };
                entries.push(Entry { mechanism: r#type, r#use, column, cell });
            }
        }
    }
    entries
}

/// The family of a mechanism, for the table of counts.
pub fn family(row: &MechanismRow) -> &'static str {
    match row.recipe {
        Recipe::RsaPkcs(_)
        | Recipe::RsaPss(_)
        | Recipe::RsaOaep
        | Recipe::RsaX509
        | Recipe::RsaAesKeyWrap
        | Recipe::GenerateRsa => "RSA",
        Recipe::Ecdsa(_)
        | Recipe::Eddsa
        | Recipe::Ecdh { .. }
        | Recipe::EcdhAesKeyWrap
        | Recipe::PublicFromPrivate
        | Recipe::GenerateEc(_) => "curves",
        Recipe::MlDsa(_) | Recipe::SlhDsa(_) | Recipe::GenerateSet => "ML-DSA, SLH-DSA",
        Recipe::Dsa(_)
        | Recipe::Dh
        | Recipe::X942Dh
        | Recipe::GenerateField
        | Recipe::GenerateFieldParameters => "DSA, Diffie-Hellman",
        Recipe::Digest(_) | Recipe::DigestSha512T => "digests",
        Recipe::Hmac { .. } | Recipe::HmacSha512T => "HMAC",
        Recipe::Cmac { .. }
        | Recipe::CbcMac { .. }
        | Recipe::XcbcMac { .. }
        | Recipe::Gmac
        | Recipe::Poly1305 => "MACs of ciphers",
        Recipe::Cipher(..) => "ciphers, key wraps",
        Recipe::KmsEnvelope => "the key service's",
        Recipe::HashKey(_)
        | Recipe::HashKeySha512T
        | Recipe::Hkdf { .. }
        | Recipe::Pbkdf2
        | Recipe::Sp800108(_)
        | Recipe::Concatenate(_)
        | Recipe::Xor
        | Recipe::Extract
        | Recipe::EncryptData(..) => "key derivation",
        Recipe::GenerateSecret => "secret key generation",
    }
}

/// The counts of a matrix as lines of text: per family and column the cells that held, and behind a `+` those
/// that a rule takes out; then the rules.
pub fn table(entries: &[Entry]) -> String {
    let mut families: BTreeMap<&str, BTreeMap<Column, [usize; 2]>> = BTreeMap::new();
    let mut mechanisms: BTreeMap<&str, std::collections::BTreeSet<u64>> = BTreeMap::new();
    let (mut rules, mut assertions): (BTreeMap<&str, usize>, usize) = (BTreeMap::new(), 0);
    for entry in entries {
        let family = mechanism::mechanism(entry.mechanism).map_or("?", family);
        mechanisms.entry(family).or_default().insert(entry.mechanism.0);
        let counts = families.entry(family).or_default().entry(entry.column).or_default();
        match &entry.cell {
            Cell::Rule(rule) => {
                counts[1] += 1;
                *rules.entry(rule).or_default() += 1;
            }
            Cell::Held(count) => {
                counts[0] += 1;
                assertions += count;
            }
            Cell::Broken(_) => {}
        }
    }
    let mut lines = vec![format!(
        "{:22} {:>5} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "rows", "round trip", "key type", "size", "parameter", "parts", "usage"
    )];
    for (family, columns) in &families {
        let count = |column| {
            let [held, rule] = columns.get(&column).copied().unwrap_or_default();
            if rule == 0 { held.to_string() } else { format!("{held}+{rule}") }
        };
        let [a, b, c, d, e, f] = Column::ALL.map(count);
        let rows = mechanisms[family].len();
        lines.push(format!("{family:22} {rows:>5} {a:>10} {b:>9} {c:>9} {d:>9} {e:>9} {f:>9}"));
    }
    let total = |f: fn(&Cell) -> bool| entries.iter().filter(|entry| f(&entry.cell)).count();
    lines.push(format!(
        "{} cells with {assertions} assertions held, {} are out by a rule, {} are broken",
        total(|cell| matches!(cell, Cell::Held(_))),
        total(|cell| matches!(cell, Cell::Rule(_))),
        total(|cell| matches!(cell, Cell::Broken(_))),
    ));
    lines.extend(rules.iter().map(|(rule, count)| format!("  {count:4} by rule: {rule}")));
    lines.join("\n")
}
