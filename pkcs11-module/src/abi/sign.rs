//! Chapter 5.13: signing and MACing.

use claviger_protocol::call::{Sign, SignFinal, SignOnce, SignRecover, SignRecoverInit, SignUpdate};
use claviger_protocol::flags::mechanism::{SIGN, SIGN_RECOVER};
use claviger_protocol::{Bytes, Result};

use super::large::Large;
use super::operation::{begin, feed, fill, whole};
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
        data,
        signature,
        |room| Sign { session, data: Bytes::default(), room },
        |mechanism, key, room| SignOnce { session, mechanism, key, data: Bytes::default(), room },
    )
}

/// `C_SignUpdate`.
pub fn sign_update(client: &Client, session: u64, data: In) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: SIGN };
        return large.feed(data, |part| SignUpdate { session, part });
    }
    feed(client, session, SIGN, data, SignUpdate { session, part: Bytes::default() })
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
