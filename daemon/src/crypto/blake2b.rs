//! BLAKE2b (RFC 7693) without a key, with a state that can be saved: OpenSSL has no call for that, and the crates that
//! have the hash keep its state to themselves.

use zeroize::Zeroize;

/// Length of a block in bytes.
const BLOCK: usize = 128;
/// The initial value: SHA-512's (RFC 7693, 2.6).
const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];
/// The order of the message's words in each round (2.7).
const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
/// What the four quarter rounds over the columns and the four over the diagonals mix (3.2).
const MIXED: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// A BLAKE2b being computed.
#[derive(Clone)]
pub struct Blake2b {
    chain: [u64; 8],
    /// Bytes that the chaining value covers.
    counted: u128,
    block: [u8; BLOCK],
    /// Bytes in `block`: the last block stays until it is known to be the last.
    used: usize,
}

impl Blake2b {
    /// The state before any data, for a digest of `length` bytes (1 to 64).
    pub fn new(length: usize) -> Blake2b {
        let mut chain = IV;
        // One byte each of length of the digest, of the key (none), fanout and depth (2.5).
        chain[0] ^= 0x0101_0000 ^ length as u64;
        Blake2b { chain, counted: 0, block: [0; BLOCK], used: 0 }
    }

    /// Takes more data.
    pub fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.used == BLOCK {
                self.counted += BLOCK as u128;
                self.compress(false);
                self.used = 0;
            }
            let taken = data.len().min(BLOCK - self.used);
            self.block[self.used..self.used + taken].copy_from_slice(&data[..taken]);
            self.used += taken;
            data = &data[taken..];
        }
    }

    /// The 64 bytes of which the digest is the first.
    pub fn finish(mut self) -> [u8; 64] {
        self.counted += self.used as u128;
        self.block[self.used..].fill(0);
        self.compress(true);
        let mut digest = [0; 64];
        for (bytes, word) in digest.chunks_exact_mut(8).zip(self.chain) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }

    /// The state as bytes: chaining value, count, rest of the data.
    pub fn save(&self) -> Vec<u8> {
        let mut saved = Vec::with_capacity(80 + self.used);
        self.chain.iter().for_each(|word| saved.extend_from_slice(&word.to_be_bytes()));
        saved.extend_from_slice(&self.counted.to_be_bytes());
        saved.extend_from_slice(&self.block[..self.used]);
        saved
    }

    /// The state of these bytes; `None` if they are no saved state.
    pub fn restore(saved: &[u8]) -> Option<Blake2b> {
        let (head, rest) = saved.split_at_checked(80)?;
        let (chain, counted) = head.split_at(64);
        let mut state = Blake2b::new(64);
        for (word, bytes) in state.chain.iter_mut().zip(chain.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        state.counted = u128::from_be_bytes(counted.try_into().ok()?);
        // A full block waits for the next byte, and only what comes first may be empty.
        let whole = state.counted.is_multiple_of(BLOCK as u128);
        if !whole || rest.len() > BLOCK || rest.is_empty() && state.counted > 0 {
            return None;
        }
        state.block[..rest.len()].copy_from_slice(rest);
        state.used = rest.len();
        Some(state)
    }

    /// The compression function F (3.2).
    fn compress(&mut self, last: bool) {
        let mut message = [0u64; 16];
        for (word, bytes) in message.iter_mut().zip(self.block.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let mut work = [0u64; 16];
        work[..8].copy_from_slice(&self.chain);
        work[8..].copy_from_slice(&IV);
        work[12] ^= self.counted as u64;
        work[13] ^= (self.counted >> 64) as u64;
        if last {
            work[14] = !work[14];
        }
        for round in 0..12 {
            let order = &SIGMA[round % 10];
            for (index, [a, b, c, d]) in MIXED.into_iter().enumerate() {
                for (word, [turn_d, turn_b]) in
                    [(order[2 * index], [32, 24]), (order[2 * index + 1], [16, 63])]
                {
                    work[a] = work[a].wrapping_add(work[b]).wrapping_add(message[word]);
                    work[d] = (work[d] ^ work[a]).rotate_right(turn_d);
                    work[c] = work[c].wrapping_add(work[d]);
                    work[b] = (work[b] ^ work[c]).rotate_right(turn_b);
                }
            }
        }
        for index in 0..8 {
            self.chain[index] ^= work[index] ^ work[index + 8];
        }
        message.zeroize();
        work.zeroize();
    }
}

impl Drop for Blake2b {
    fn drop(&mut self) {
        // The data may have been a key (C_DigestKey).
        self.chain.zeroize();
        self.block.zeroize();
    }
}
