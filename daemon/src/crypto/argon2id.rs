//! Argon2id (RFC 9106), for PINs and passphrases. Not by OpenSSL, which takes the memory that it works in from the
//! heap for private keys (`ffi::secure_heap`) and fails where that is smaller.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

/// What one run costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes; they are worked on one after the other.
    pub lanes: u32,
}

/// 32 bytes made of a secret and a salt of at least 8 bytes.
///
/// # Errors
/// A cost or a salt outside of what RFC 9106, 3.1, allows.
pub fn argon2id(secret: &[u8], salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, argon2::Error> {
    let cost = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))?;
    let mut memory = Zeroizing::new(vec![Block::default(); cost.block_count()]);
    let mut stretched = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost).hash_password_into_with_memory(
        secret,
        salt,
        stretched.as_mut_slice(),
        memory.as_mut_slice(),
    )?;
    Ok(stretched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssl_makes_the_same() {
        for (memory_kib, passes, lanes) in [(64, 1, 1), (1024, 2, 1), (256, 3, 4)] {
            let ours = argon2id(b"a secret", &[7; 16], Cost { memory_kib, passes, lanes }).unwrap();
            let mut theirs = [0; 32];
            let salt = [7; 16];
            openssl::kdf::argon2id(
                None,
                b"a secret",
                &salt,
                None,
                None,
                passes,
                lanes,
                memory_kib,
                &mut theirs,
            )
            .unwrap();
            assert_eq!(*ours, theirs, "{memory_kib} KiB, {passes} passes, {lanes} lanes");
        }
    }
}
