//! Chapter 5.15: verifying signatures and MACs.

use claviger_protocol::call::{
    Verify, VerifyFinal, VerifyOnce, VerifyRecover, VerifyRecoverInit, VerifyUpdate,
};
use claviger_protocol::flags::mechanism::{VERIFY, VERIFY_RECOVER};
use claviger_protocol::{Bytes, Result};

use super::large::Large;
use super::operation::{begin, feed, fill, part, whole_verify};
use crate::cache::Kind;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_VerifyInit`.
pub fn verify_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    begin(client, Kind::Verify, session, mechanism.optional()?, key)
}

/// `C_Verify`.
pub fn verify(client: &Client, session: u64, data: In, signature: In) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: VERIFY };
        let finish = || Ok(VerifyFinal { session, signature: signature.bytes()? });
        return large.verify(data, |part| VerifyUpdate { session, part }, finish);
    }
    whole_verify(
        client,
        session,
        data,
        || Ok(Verify { session, data: Bytes::default(), signature: signature.bytes()? }),
        |mechanism, key| {
            Ok(VerifyOnce { session, mechanism, key, data: Bytes::default(), signature: signature.bytes()? })
        },
    )
}

/// `C_VerifyUpdate`.
pub fn verify_update(client: &Client, session: u64, data: In) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: VERIFY };
        return large.feed(data, |part| VerifyUpdate { session, part });
    }
    feed(client, session, VERIFY, data, VerifyUpdate { session, part: Bytes::default() })
}

/// `C_VerifyFinal`.
pub fn verify_final(client: &Client, session: u64, signature: In) -> Result<()> {
    part(client, session, VERIFY, || Ok(VerifyFinal { session, signature: signature.bytes()? }))
}

/// `C_VerifyRecoverInit`.
pub fn verify_recover_init(client: &Client, session: u64, mechanism: MechanismIn, key: u64) -> Result<()> {
    client.call(&VerifyRecoverInit { session, mechanism: mechanism.optional()?, key })
}

/// `C_VerifyRecover`.
pub fn verify_recover(client: &Client, session: u64, signature: In, data: Out) -> Result<()> {
    fill(client, session, VERIFY_RECOVER, data, |room| {
        Ok(VerifyRecover { session, signature: signature.bytes()?, room })
    })
}
