//! Chapter 5.10: decryption.

use claviger_protocol::Result;
use claviger_protocol::call::{Decrypt, DecryptFinal, DecryptOnce, DecryptUpdate};
use claviger_protocol::flags::mechanism::DECRYPT;

use super::operation::{begin, fill, whole};
use crate::cache::Kind;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_DecryptInit`.
pub fn decrypt_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    begin(client, Kind::Decrypt, session, mechanism.optional()?, key)
}

/// `C_Decrypt`.
pub fn decrypt(client: &Client, session: u64, encrypted_data: In, out: Out) -> Result<()> {
    whole(
        client,
        Kind::Decrypt,
        session,
        encrypted_data.length(),
        out,
        |room| Ok(Decrypt { session, encrypted_data: encrypted_data.bytes()?, room }),
        |mechanism, key, room| {
            Ok(DecryptOnce { session, mechanism, key, encrypted_data: encrypted_data.bytes()?, room })
        },
    )
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
