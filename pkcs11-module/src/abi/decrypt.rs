//! Chapter 5.10: decryption.

use claviger_protocol::call::{Decrypt, DecryptFinal, DecryptOnce, DecryptUpdate, Room};
use claviger_protocol::flags::mechanism::DECRYPT;
use claviger_protocol::{Bytes, Result};

use super::large::Large;
use super::operation::{self, begin, transform, whole};
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
    if encrypted_data.is_large() {
        let large = Large { client, session, operation: DECRYPT };
        let update = |encrypted_part, room| DecryptUpdate { session, encrypted_part, room };
        return large.transform(encrypted_data, out, update, Some(|room| DecryptFinal { session, room }));
    }
    whole(
        client,
        Kind::Decrypt,
        session,
        encrypted_data,
        out,
        |room| Decrypt { session, encrypted_data: Bytes::default(), room },
        |mechanism, key, room| DecryptOnce {
            session,
            mechanism,
            key,
            encrypted_data: Bytes::default(),
            room,
        },
    )
}

/// `C_DecryptUpdate`.
pub fn decrypt_update(client: &Client, session: u64, encrypted_part: In, out: Out) -> Result<()> {
    if encrypted_part.is_large() {
        let large = Large { client, session, operation: DECRYPT };
        let update = |encrypted_part, room| DecryptUpdate { session, encrypted_part, room };
        return large.transform(encrypted_part, out, update, None::<fn(Room) -> DecryptFinal>);
    }
    let update = |room| DecryptUpdate { session, encrypted_part: Bytes::default(), room };
    transform(client, session, DECRYPT, encrypted_part, out, update)
}

/// `C_DecryptFinal`.
pub fn decrypt_final(client: &Client, session: u64, out: Out) -> Result<()> {
    let output =
        operation::part(client, session, DECRYPT, || Ok(DecryptFinal { session, room: out.room()? }))?;
    Large { client, session, operation: DECRYPT }.last(0, out, output)
}
