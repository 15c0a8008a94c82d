//! Chapter 5.13: signing and MACing.

use claviger_protocol::Result;
use claviger_protocol::call::{Sign, SignFinal, SignOnce, SignRecover, SignRecoverInit, SignUpdate};
use claviger_protocol::flags::mechanism::{SIGN, SIGN_RECOVER};

use super::large::Large;
use super::operation::{begin, fill, part, whole};
use crate::cache::Kind;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_SignInit`.
pub fn sign_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    begin(client, Kind::Sign, session, mechanism.optional()?, key)
}

/// `C_Sign`.
pub fn sign(client: &Client, session: u64, data: In, signature: Out) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: SIGN };
        let finish = |room| SignFinal { session, room };
        return large.digest(data, signature, |part| SignUpdate { session, part }, finish);
    }
    whole(
        client,
        Kind::Sign,
        session,
        data.length(),
        signature,
        |room| Ok(Sign { session, data: data.bytes()?, room }),
        |mechanism, key, room| Ok(SignOnce { session, mechanism, key, data: data.bytes()?, room }),
    )
}

/// `C_SignUpdate`.
pub fn sign_update(client: &Client, session: u64, data: In) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: SIGN };
        return large.feed(data, |part| SignUpdate { session, part });
    }
    part(client, session, SIGN, || Ok(SignUpdate { session, part: data.bytes()? }))
}

/// `C_SignFinal`.
pub fn sign_final(client: &Client, session: u64, signature: Out) -> Result<()> {
    fill(client, session, SIGN, signature, |room| Ok(SignFinal { session, room }))
}

/// `C_SignRecoverInit`.
pub fn sign_recover_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    client.call(&SignRecoverInit { session, mechanism: mechanism.optional()?, key })
}

/// `C_SignRecover`.
pub fn sign_recover(client: &Client, session: u64, data: In, signature: Out) -> Result<()> {
    fill(client, session, SIGN_RECOVER, signature, |room| {
        Ok(SignRecover { session, data: data.bytes()?, room })
    })
}
