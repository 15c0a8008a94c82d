//! Chapter 5.8: encryption.

use claviger_protocol::Result;
use claviger_protocol::call::{Encrypt, EncryptFinal, EncryptOnce, EncryptUpdate};
use claviger_protocol::flags::mechanism::ENCRYPT;

use super::operation::{begin, fill, whole};
use crate::cache::Kind;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_EncryptInit`.
pub fn encrypt_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    begin(client, Kind::Encrypt, session, mechanism.optional()?, key)
}

/// `C_Encrypt`.
pub fn encrypt(client: &Client, session: u64, data: In, out: Out) -> Result<()> {
    whole(
        client,
        Kind::Encrypt,
        session,
        data.length(),
        out,
        |room| Ok(Encrypt { session, data: data.bytes()?, room }),
        |mechanism, key, room| Ok(EncryptOnce { session, mechanism, key, data: data.bytes()?, room }),
    )
}

/// `C_EncryptUpdate`.
pub fn encrypt_update(client: &Client, session: u64, part: In, out: Out) -> Result<()> {
    fill(client, session, ENCRYPT, out, |room| Ok(EncryptUpdate { session, part: part.bytes()?, room }))
}

/// `C_EncryptFinal`.
pub fn encrypt_final(client: &Client, session: u64, out: Out) -> Result<()> {
    fill(client, session, ENCRYPT, out, |room| Ok(EncryptFinal { session, room }))
}
