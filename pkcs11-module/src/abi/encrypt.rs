//! Chapter 5.8: encryption.

use claviger_protocol::call::{Encrypt, EncryptFinal, EncryptOnce, EncryptUpdate, Room};
use claviger_protocol::flags::mechanism::ENCRYPT;
use claviger_protocol::{Bytes, Result};

use super::large::Large;
use super::operation::{self, begin, transform, whole};
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
    if data.is_large() {
        let large = Large { client, session, operation: ENCRYPT };
        let update = |part, room| EncryptUpdate { session, part, room };
        return large.transform(data, out, update, Some(|room| EncryptFinal { session, room }));
    }
    whole(
        client,
        Kind::Encrypt,
        session,
        data,
        out,
        |room| Encrypt { session, data: Bytes::default(), room },
        |mechanism, key, room| EncryptOnce { session, mechanism, key, data: Bytes::default(), room },
    )
}

/// `C_EncryptUpdate`.
pub fn encrypt_update(client: &Client, session: u64, part: In, out: Out) -> Result<()> {
    if part.is_large() {
        let large = Large { client, session, operation: ENCRYPT };
        let update = |part, room| EncryptUpdate { session, part, room };
        return large.transform(part, out, update, None::<fn(Room) -> EncryptFinal>);
    }
    let update = |room| EncryptUpdate { session, part: Bytes::default(), room };
    transform(client, session, ENCRYPT, part, out, update)
}

/// `C_EncryptFinal`.
pub fn encrypt_final(client: &Client, session: u64, out: Out) -> Result<()> {
    let output =
        operation::part(client, session, ENCRYPT, || Ok(EncryptFinal { session, room: out.room()? }))?;
    Large { client, session, operation: ENCRYPT }.last(0, out, output)
}
