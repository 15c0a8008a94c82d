//! Chapter 5.12: message digesting.

use claviger_protocol::call::{Digest, DigestFinal, DigestKey, DigestOnce, DigestUpdate};
use claviger_protocol::flags::mechanism::DIGEST;
use claviger_protocol::{Bytes, Result};

use super::large::Large;
use super::operation::{begin, feed, fill, part, whole};
use crate::cache::Kind;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::{In, Out};

/// `C_DigestInit`.
pub fn digest_init(client: &Client, session: u64, mechanism: MechanismIn) -> Result<()> {
    begin(client, Kind::Digest, session, mechanism.optional()?, 0)
}

/// `C_Digest`.
pub fn digest(client: &Client, session: u64, data: In, out: Out) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: DIGEST };
        let finish = |room| DigestFinal { session, room };
        return large.digest(data, out, |part| DigestUpdate { session, part }, finish);
    }
    whole(
        client,
        Kind::Digest,
        session,
        data,
        out,
        |room| Digest { session, data: Bytes::default(), room },
        |mechanism, _, room| DigestOnce { session, mechanism, data: Bytes::default(), room },
    )
}

/// `C_DigestUpdate`.
pub fn digest_update(client: &Client, session: u64, data: In) -> Result<()> {
    if data.is_large() {
        let large = Large { client, session, operation: DIGEST };
        return large.feed(data, |part| DigestUpdate { session, part });
    }
    feed(client, session, DIGEST, data, DigestUpdate { session, part: Bytes::default() })
}

/// `C_DigestKey`.
pub fn digest_key(client: &Client, session: u64, key: u64) -> Result<()> {
    part(client, session, DIGEST, || Ok(DigestKey { session, key }))
}

/// `C_DigestFinal`.
pub fn digest_final(client: &Client, session: u64, out: Out) -> Result<()> {
    fill(client, session, DIGEST, out, |room| Ok(DigestFinal { session, room }))
}
