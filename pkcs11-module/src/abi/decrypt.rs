//! Chapter 5.10: decryption.

use claviger_protocol::Result;
use claviger_protocol::call::{Decrypt, DecryptFinal, DecryptInit, DecryptUpdate};
use claviger_protocol::flags::mechanism::DECRYPT;

use super::fill;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_DecryptInit`.
pub fn decrypt_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    client.call(&DecryptInit { session, mechanism: mechanism.optional()?, key })
}

/// `C_Decrypt`.
pub fn decrypt(client: &Client, session: u64, encrypted_data: In, out: Out) -> Result<()> {
    fill(client, session, DECRYPT, out, |room| {
        Ok(Decrypt { session, encrypted_data: encrypted_data.bytes()?, room })
    })
}

/// `C_DecryptUpdate`.
pub fn decrypt_update(client: &Client, session: u64, encrypted_part: In, out: Out) -> Result<()> {
    fill(client, session, DECRYPT, out, |room| {
        Ok(DecryptUpdate { session, encrypted_part: encrypted_part.bytes()?, room })
    })
}

/// `C_DecryptFinal`.
pub fn decrypt_final(client: &Client, session: u64, out: Out) -> Result<()> {
    fill(client, session, DECRYPT, out, |room| Ok(DecryptFinal { session, room }))
}
