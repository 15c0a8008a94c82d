//! Chapter 5.17: dual-function cryptographic functions. An error ends both operations.

use claviger_protocol::Result;
use claviger_protocol::call::{
    DecryptDigestUpdate, DecryptVerifyUpdate, DigestEncryptUpdate, SignEncryptUpdate,
};
use claviger_protocol::flags::mechanism::{DECRYPT, DIGEST, ENCRYPT, SIGN, VERIFY};

use super::operation::fill;
use crate::client::Client;
use crate::ptr::{In, Out};

/// `C_DigestEncryptUpdate`.
pub fn digest_encrypt_update(client: &Client, session: u64, part: In, out: Out) -> Result<()> {
    let operations = DIGEST | ENCRYPT;
    fill(client, session, operations, out, |room| {
        Ok(DigestEncryptUpdate { session, part: part.bytes()?, room })
    })
}

/// `C_DecryptDigestUpdate`.
pub fn decrypt_digest_update(client: &Client, session: u64, encrypted_part: In, out: Out) -> Result<()> {
    let operations = DECRYPT | DIGEST;
    fill(client, session, operations, out, |room| {
        Ok(DecryptDigestUpdate { session, encrypted_part: encrypted_part.bytes()?, room })
    })
}

/// `C_SignEncryptUpdate`.
pub fn sign_encrypt_update(client: &Client, session: u64, part: In, out: Out) -> Result<()> {
    let operations = SIGN | ENCRYPT;
    fill(client, session, operations, out, |room| {
        Ok(SignEncryptUpdate { session, part: part.bytes()?, room })
    })
}

/// `C_DecryptVerifyUpdate`.
pub fn decrypt_verify_update(client: &Client, session: u64, encrypted_part: In, out: Out) -> Result<()> {
    let operations = DECRYPT | VERIFY;
    fill(client, session, operations, out, |room| {
        Ok(DecryptVerifyUpdate { session, encrypted_part: encrypted_part.bytes()?, room })
    })
}
