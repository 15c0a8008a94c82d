//! What is measured: the table of cases.

use claviger_conformance::openssl as program;
use claviger_conformance::prelude::*;

/// DER of a SHA-256 `DigestInfo` up to the digest (RFC 8017, section 9.2).
const SHA256_PREFIX: &str = "3031300d060960864801650304020105000420";

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// An RSA signature, PKCS #1 v1.5, by a key of so many bits.
    RsaPkcs(u32),
    /// An RSA signature, PSS.
    RsaPss,
    /// An ECDSA signature on P-256.
    P256,
    /// An EdDSA signature on edwards25519.
    Ed25519,
    /// HMAC-SHA256 of 64 bytes.
    Hmac,
    /// AES-256-GCM of so many bytes, each with its IV.
    Gcm(usize),
    /// AES-256-CBC of 16 MiB in parts of 64 KiB.
    CbcInParts,
    /// Three attributes of a key.
    Attributes,
    /// A search by label in a token of so many objects.
    Find(usize),
    /// A search that finds nothing.
    FindNothing(usize),
    /// An ECDSA signature on P-256 in a token of so many objects.
    P256Among(usize),
    /// A key pair on P-256 that stays in the token.
    KeyPair,
    /// An AES key that stays in the token.
    AesKey,
    /// A session opened and closed.
    Session,
}

/// A row of the tables. The ratios are what the project wants of one thread and of eight, as far as it has said so.
pub struct Case {
    /// Which chart it is in.
    pub group: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What is done.
    pub work: Work,
    /// With how many threads.
    pub threads: &'static [usize],
    /// Least ratio to libcrypto in this process, with one thread and with eight.
    pub of_libcrypto: [Option<f64>; 2],
    /// Least ratio to SoftHSM2.
    pub of_softhsm2: [Option<f64>; 2],
}

const BOTH: &[usize] = &[1, 8];
const ONE: &[usize] = &[1];
const NONE: [Option<f64>; 2] = [None, None];

const fn case(
    group: &'static str,
    name: &'static str,
    work: Work,
    threads: &'static [usize],
    of_libcrypto: [Option<f64>; 2],
    of_softhsm2: [Option<f64>; 2],
) -> Case {
    Case { group, name, work, threads, of_libcrypto, of_softhsm2 }
}

/// Groups, in the order of the table, with what is counted.
pub const GROUPS: [(&str, &str); 4] = [
    ("sign", "Signatures per second"),
    ("data", "Messages per second"),
    ("token", "Calls per second"),
    ("keys", "Keys per second"),
];

/// The table.
pub const CASES: &[Case] = &[
    case(
        "sign",
        "RSA-2048 PKCS#1",
        Work::RsaPkcs(2048),
        BOTH,
        [Some(0.93), Some(0.88)],
        [Some(1.5), Some(1.6)],
    ),
    case("sign", "RSA-2048 PSS", Work::RsaPss, BOTH, [Some(0.93), Some(0.88)], [Some(1.5), Some(1.6)]),
    case("sign", "RSA-4096 PKCS#1", Work::RsaPkcs(4096), BOTH, [Some(0.97), Some(0.93)], [Some(1.1), None]),
    case("sign", "ECDSA P-256", Work::P256, BOTH, [Some(0.48), Some(0.50)], [Some(1.6), Some(2.8)]),
    case("sign", "Ed25519", Work::Ed25519, BOTH, [Some(0.55), Some(0.55)], [Some(3.5), Some(5.0)]),
    case("data", "HMAC-SHA256 64 B", Work::Hmac, BOTH, NONE, [Some(1.3), Some(2.0)]),
    case("data", "AES-GCM 64 B", Work::Gcm(64), BOTH, NONE, [Some(1.3), Some(2.0)]),
    case("data", "AES-GCM 1 KiB", Work::Gcm(1 << 10), BOTH, NONE, [Some(1.3), Some(2.0)]),
    case(
        "data",
        "AES-GCM 64 KiB",
        Work::Gcm(64 << 10),
        BOTH,
        [Some(0.25), Some(0.5)],
        [Some(1.2), Some(2.5)],
    ),
    case("data", "AES-GCM 1 MiB", Work::Gcm(1 << 20), BOTH, [Some(0.33), None], [Some(1.1), None]),
    case("data", "AES-CBC 16 MiB in parts", Work::CbcInParts, ONE, [Some(0.55), None], [Some(0.65), None]),
    case("token", "GetAttributeValue", Work::Attributes, BOTH, NONE, [Some(1.6), Some(4.0)]),
    case("token", "Find in 10", Work::Find(10), ONE, NONE, NONE),
    case("token", "Find in 1,000", Work::Find(1000), ONE, NONE, [Some(400.0), None]),
    case("token", "Find in 10,000", Work::Find(10_000), ONE, NONE, NONE),
    case("token", "Find in 100,000", Work::Find(100_000), ONE, NONE, NONE),
    case("token", "Find nothing in 10", Work::FindNothing(10), ONE, NONE, NONE),
    case("token", "Find nothing in 100,000", Work::FindNothing(100_000), ONE, NONE, NONE),
    case("token", "ECDSA P-256 among 10", Work::P256Among(10), ONE, NONE, NONE),
    case("token", "ECDSA P-256 among 1,000", Work::P256Among(1000), ONE, NONE, NONE),
    case("token", "ECDSA P-256 among 10,000", Work::P256Among(10_000), ONE, NONE, NONE),
    case("token", "ECDSA P-256 among 100,000", Work::P256Among(100_000), ONE, NONE, NONE),
    case("token", "Open and close a session", Work::Session, ONE, NONE, NONE),
    case("keys", "P-256 pair on the token", Work::KeyPair, BOTH, NONE, [Some(25.0), None]),
    case("keys", "AES key on the token", Work::AesKey, BOTH, NONE, [Some(15.0), None]),
];

impl Work {
    /// What is signed: a digest as PKCS#11 has it for this mechanism.
    pub fn data(self) -> Vec<u8> {
        let digest = vec![0x5a; 32];
        match self {
            Work::RsaPkcs(_) => [program::unhex(SHA256_PREFIX), digest].concat(),
            Work::Hmac => vec![0x5a; 64],
            Work::Gcm(size) => vec![0x5a; size],
            Work::CbcInParts => vec![0x5a; PART_BYTES],
            _ => digest,
        }
    }

    /// With what it is signed.
    pub fn mechanism(self) -> Mechanism {
        match self {
            Work::RsaPkcs(_) => M::RSA_PKCS.into(),
            // CKG_MGF1_SHA256.
            Work::RsaPss => Mechanism::pss(M::RSA_PKCS_PSS, M::SHA256, 2, 32),
            Work::P256 | Work::P256Among(_) => M::ECDSA.into(),
            Work::Ed25519 => M::EDDSA.into(),
            _ => M::SHA256_HMAC.into(),
        }
    }

    /// How many objects the token must have.
    pub fn objects(self) -> usize {
        match self {
            Work::Find(objects) | Work::FindNothing(objects) | Work::P256Among(objects) => objects,
            _ => 0,
        }
    }
}

impl Case {
    /// The same among the fewest objects, with which growth is compared.
    pub fn among_few(&self) -> Option<Work> {
        match self.work {
            Work::Find(_) => Some(Work::Find(10)),
            Work::FindNothing(_) => Some(Work::FindNothing(10)),
            Work::P256Among(_) => Some(Work::P256Among(10)),
            _ => None,
        }
        .filter(|few| *few != self.work)
    }
}

/// Size of a part of [`Work::CbcInParts`], and how many there are.
pub const PART_BYTES: usize = 64 << 10;
/// See [`PART_BYTES`].
pub const PARTS: usize = 256;
