//! HMAC-SHA-256 (RFC 2104) over short texts, with a key that is set up once: of every record of the store and every
//! line of the audit log. EVP takes longer to set itself up than such a text takes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of a MAC, in bytes.
pub const MAC_BYTES: usize = 32;

/// A key, ready for use. Wiped when dropped.
pub struct HmacSha256(Hmac<Sha256>);

impl HmacSha256 {
    /// From a key of 32 bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..key.len()].copy_from_slice(key);
        let hmac = Self(Hmac::new(&block));
        zeroize::Zeroize::zeroize(block.as_mut_slice());
        hmac
    }

    /// The MAC of `parts`, one after the other.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::sign::Signer;

    use super::*;

    #[test]
    fn it_is_what_openssl_computes() {
        let key = [0x5c; 32];
        let ours = HmacSha256::new(&key);
        let reference = PKey::hmac(&key).unwrap();
        for length in [0, 1, 55, 56, 63, 64, 65, 200, 5000] {
            let text: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let expected =
                Signer::new(MessageDigest::sha256(), &reference).unwrap().sign_oneshot_to_vec(&text).unwrap();
            assert_eq!(ours.mac(&[&text]).as_slice(), expected, "{length}");
            let (one, other) = text.split_at(length / 3);
            assert_eq!(ours.mac(&[one, b"", other]).as_slice(), expected, "{length}");
        }
    }
}
