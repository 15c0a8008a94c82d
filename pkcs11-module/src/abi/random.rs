//! Chapter 5.19: random number generation.

use claviger_protocol::call::{GenerateRandom, SeedRandom};
use claviger_protocol::frame::MAX_DATA_BYTES;
use claviger_protocol::{Result, Rv};

use crate::client::Client;
use crate::ptr::{In, OutArray};

/// `C_SeedRandom`.
pub fn seed_random(client: &Client, session: u64, seed: In) -> Result<()> {
    if seed.is_large() {
        return seed.chunks().try_for_each(|seed| client.call(&SeedRandom { session, seed: seed.bytes()? }));
    }
    client.call(&SeedRandom { session, seed: seed.bytes()? })
}

/// `C_GenerateRandom`.
pub fn generate_random(client: &Client, session: u64, mut random: OutArray<u8>) -> Result<()> {
    let mut offset = 0;
    loop {
        let length = (random.room() - offset).min(MAX_DATA_BYTES as u64);
        let bytes = client.call(&GenerateRandom { session, length })?;
        if bytes.len() as u64 != length {
            // Fewer would leave the application with bytes that are not random.
            return Err(Rv::DEVICE_ERROR);
        }
        random.put(offset, &bytes)?;
        offset += length;
        if offset == random.room() {
            return Ok(());
        }
    }
}
