//! The random generator: OpenSSL's, reseeded from the kernel.

use openssl::rand::{rand_bytes, rand_priv_bytes};
use zeroize::Zeroizing;

use super::ffi;
use crate::error::Result;

/// Most bytes asked of OpenSSL at once; it takes a C `int`.
const CHUNK: usize = 1 << 20;

/// Fills `output` with random bytes that may be shown (`C_GenerateRandom`, IVs, salts).
pub fn fill(output: &mut [u8]) -> Result<()> {
    for chunk in output.chunks_mut(CHUNK) {
        rand_bytes(chunk)?;
    }
    Ok(())
}

/// Random bytes that stay secret, from a generator whose output is never shown.
pub fn secret(length: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    for chunk in bytes.chunks_mut(CHUNK) {
        rand_priv_bytes(chunk)?;
    }
    Ok(bytes)
}

/// Mixes the caller's bytes into the generator (`C_SeedRandom`). They are never relied on.
pub fn seed(bytes: &[u8]) {
    ffi::add_seed(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_differ() {
        let mut a = [0; 32];
        let mut b = [0; 32];
        fill(&mut a).unwrap();
        seed(b"not entropy");
        fill(&mut b).unwrap();
        assert_ne!(a, b);
        assert_ne!(a, [0; 32]);
        assert_ne!(*secret(32).unwrap(), a);
        let mut long = vec![0; CHUNK + 5];
        fill(&mut long).unwrap();
        assert_ne!(long[CHUNK..], [0; 5]);
    }
}
