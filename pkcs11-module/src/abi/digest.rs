//! Chapter 5.12: message digesting.

use claviger_protocol::Result;
use claviger_protocol::call::{Digest, DigestFinal, DigestInit, DigestKey, DigestUpdate};
use claviger_protocol::flags::mechanism::DIGEST;

use super::{fill, part};
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_DigestInit`.
pub fn digest_init(client: &Client, session: u64, mechanism: MechanismIn) -> Result<()> {
    client.call(&DigestInit { session, mechanism: mechanism.optional()? })
}

/// `C_Digest`.
pub fn digest(client: &Client, session: u64, data: In, out: Out) -> Result<()> {
    fill(client, session, DIGEST, out, |room| Ok(Digest { session, data: data.bytes()?, room }))
}

/// `C_DigestUpdate`.
pub fn digest_update(client: &Client, session: u64, data: In) -> Result<()> {
    part(client, session, DIGEST, || Ok(DigestUpdate { session, part: data.bytes()? }))
}

/// `C_DigestKey`.
pub fn digest_key(client: &Client, session: u64, key: u64) -> Result<()> {
    client.call(&DigestKey { session, key })
}

/// `C_DigestFinal`.
pub fn digest_final(client: &Client, session: u64, out: Out) -> Result<()> {
    fill(client, session, DIGEST, out, |room| Ok(DigestFinal { session, room }))
}
