//! X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 and X25519 together, so that a secret is one as long as either
//! holds. A private key is its seed; only the key service has such keys.

use openssl::derive::Deriver;
use openssl::hash::{MessageDigest, hash, hash_xof};
use openssl::pkey::{Id, PKey, Private};
use zeroize::Zeroizing;

use super::ffi::{self, Part};
use super::key::Key;
use super::random;
use crate::error::{Error, Result};

/// Bytes of a private key.
pub const SEED_BYTES: usize = 32;
/// Bytes of ML-KEM-768's seed, d and z (FIPS 203, 7.1).
const ML_KEM_SEED_BYTES: usize = 64;
/// Bytes of ML-KEM-768's ciphertext (FIPS 203, table 3).
const ML_KEM_CIPHERTEXT_BYTES: usize = 1088;
/// Bytes of X25519's keys (RFC 7748).
const X25519_BYTES: usize = 32;
/// The draft's label, which ends what is hashed.
const LABEL: &[u8; 6] = br"\.//^\";

/// The halves that a seed stands for.
struct Halves {
    ml_kem: PKey<Private>,
    x25519: PKey<Private>,
}

impl Halves {
    fn of(key: &Key) -> Result<Halves> {
        let mut expanded = Zeroizing::new([0; ML_KEM_SEED_BYTES + X25519_BYTES]);
        hash_xof(MessageDigest::shake_256(), key.secret()?, &mut expanded[..])?;
        let (seed, scalar) = expanded.split_at(ML_KEM_SEED_BYTES);
        Ok(Halves {
            ml_kem: ffi::private_key(c"ML-KEM-768", &[(c"seed", Part::Octets(seed))])?,
            x25519: PKey::private_key_from_raw_bytes(scalar, Id::X25519)?,
        })
    }
}

/// A new key.
pub fn generate() -> Result<Key> {
    Ok(Key::Secret(random::secret(SEED_BYTES)?))
}

/// The public key of a seed, as the draft writes it: that of ML-KEM-768, then that of X25519.
pub fn public(key: &Key) -> Result<Vec<u8>> {
    let halves = Halves::of(key)?;
    let ml_kem = ffi::octets(&halves.ml_kem, c"pub").ok_or(Error::DataInvalid)?;
    Ok([&ml_kem[..], &halves.x25519.raw_public_key()?].concat())
}

/// The secret that a ciphertext carries. `EncryptedDataLenRange` for another length, `EncryptedDataInvalid` for a point
/// of small order; anything else of the right length gives some secret.
pub fn decapsulate(key: &Key, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (ml_kem, point) =
        ciphertext.split_at_checked(ML_KEM_CIPHERTEXT_BYTES).ok_or(Error::EncryptedDataLenRange)?;
    if point.len() != X25519_BYTES {
        return Err(Error::EncryptedDataLenRange);
    }
    let halves = Halves::of(key)?;
    let first = ffi::decapsulate(&halves.ml_kem, ml_kem).map_err(|_| Error::EncryptedDataLenRange)?;
    let peer = PKey::public_key_from_raw_bytes(point, Id::X25519)?;
    let mut deriver = Deriver::new(&halves.x25519)?;
    deriver.set_peer(&peer)?;
    let second = Zeroizing::new(deriver.derive_to_vec().map_err(|_| Error::EncryptedDataInvalid)?);
    let public = halves.x25519.raw_public_key()?;
    let combined = Zeroizing::new([&first[..], &second, point, &public, LABEL].concat());
    Ok(Zeroizing::new(hash(MessageDigest::sha3_256(), &combined)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first vector of the draft's appendix C.
    const SEED: &str = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26";
    const SECRET: &str = "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384";
    /// How the public key begins and ends.
    const PUBLIC: (&str, &str) =
        ("e2236b35a8c24b39b10aa1323a96a919a2ced884", "9844570216223593d4ba32d9abac8cd049040ef6534");
    const CIPHERTEXT: &str = include_str!("tests/xwing_ciphertext.hex");

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn the_drafts_vector_opens() {
        // ALG-18
        let key = Key::Secret(Zeroizing::new(bytes(SEED)));
        let public: String = public(&key).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(public.len(), 2 * 1216);
        assert!(public.starts_with(PUBLIC.0) && public.ends_with(PUBLIC.1), "{public}");
        let ciphertext = bytes(CIPHERTEXT);
        assert_eq!(&decapsulate(&key, &ciphertext).unwrap()[..], bytes(SECRET));
        // A change in either half gives another secret, a wrong length none.
        for place in [0, 1119] {
            let mut changed = ciphertext.clone();
            changed[place] ^= 1;
            assert_ne!(&decapsulate(&key, &changed).unwrap()[..], bytes(SECRET));
        }
        for length in [0, 1119] {
            assert_eq!(decapsulate(&key, &ciphertext[..length]), Err(Error::EncryptedDataLenRange));
        }
        let low = [&ciphertext[..1088], &[0; 32]].concat();
        assert_eq!(decapsulate(&key, &low), Err(Error::EncryptedDataInvalid));
    }
}
