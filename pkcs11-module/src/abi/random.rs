//! Chapter 5.19: random number generation.

use claviger_protocol::call::{GenerateRandom, SeedRandom};
use claviger_protocol::frame::MAX_DATA_BYTES;
use claviger_protocol::{Result, Rv};

use crate::client::Client;
use crate::ptr::{In, OutArray};

/// `C_SeedRandom`.
pub fn seed_random(client: &Client, session: u64, seed: In) -> Result<()> {
    client.call(&SeedRandom { session, seed: seed.bytes()? })
}

/// `C_GenerateRandom`.
pub fn generate_random(client: &Client, session: u64, random: OutArray<u8>) -> Result<()> {
    let length = random.room();
    if length > MAX_DATA_BYTES as u64 {
        return Err(Rv::DATA_LEN_RANGE);
    }
    let bytes = client.call(&GenerateRandom { session, length })?;
    if bytes.len() as u64 != length {
        // Fewer would leave the application with bytes that are not random.
        return Err(Rv::DEVICE_ERROR);
    }
    random.write(&bytes)
}
