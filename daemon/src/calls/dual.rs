//! Dual-function cryptographic functions (PKCS#11 3.2, section 5.17): two active operations, fed together. An error
//! ends both.

use claviger_protocol::call::{
    DecryptDigestUpdate, DecryptVerifyUpdate, DigestEncryptUpdate, Output, Room, SignEncryptUpdate,
};

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, CipherOperation};
use crate::sharing::Input;

impl Handle for DigestEncryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        encrypt(&mut operations.encrypt, &mut operations.digest, &self.part, self.room, |digest, part| {
            digest.update(&Input::Frame(part))
        })
    }
}

impl Handle for SignEncryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        encrypt(&mut operations.encrypt, &mut operations.sign, &self.part, self.room, |sign, part| {
            sign.update(&Input::Frame(part))
        })
    }
}

impl Handle for DecryptDigestUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        let (part, room) = (&self.encrypted_part, self.room);
        decrypt(&mut operations.decrypt, &mut operations.digest, part, room, |digest, part| {
            digest.update(&Input::Frame(part))
        })
    }
}

impl Handle for DecryptVerifyUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        let (part, room) = (&self.encrypted_part, self.room);
        decrypt(&mut operations.decrypt, &mut operations.verify, part, room, |verify, part| {
            verify.update(&Input::Frame(part))
        })
    }
}

/// Encrypts a part and, once there is room for the result, feeds the part to the other operation.
fn encrypt<T>(
    cipher: &mut Option<CipherOperation>,
    other: &mut Option<T>,
    part: &[u8],
    room: Room,
    feed: impl FnOnce(&mut T, &[u8]) -> Result<()>,
) -> Result<Output> {
    both(cipher, other)?;
    let output = operation::run(cipher, |cipher| cipher.update(&Input::Frame(part), room));
    let fed = output.and_then(|output| match output {
        Output::Data(_) => operation::update(other, |other| feed(other, part)).map(|()| output),
        _ => Ok(output),
    });
    fed.inspect_err(|_| end(cipher, other))
}

/// Decrypts a part and, once there is room for the result, feeds the result to the other operation.
fn decrypt<T>(
    cipher: &mut Option<CipherOperation>,
    other: &mut Option<T>,
    part: &[u8],
    room: Room,
    feed: impl FnOnce(&mut T, &[u8]) -> Result<()>,
) -> Result<Output> {
    both(cipher, other)?;
    let output = operation::run(cipher, |cipher| cipher.update(&Input::Frame(part), room));
    let fed = output.and_then(|output| {
        if let Output::Data(part) = &output {
            operation::update(other, |other| feed(other, part))?;
        }
        Ok(output)
    });
    fed.inspect_err(|_| end(cipher, other))
}

/// Refuses when one is missing, which harms neither.
fn both<T>(cipher: &Option<CipherOperation>, other: &Option<T>) -> Result<()> {
    match cipher.is_some() && other.is_some() {
        true => Ok(()),
        false => Err(Error::OperationNotInitialized),
    }
}

fn end<T>(cipher: &mut Option<CipherOperation>, other: &mut Option<T>) {
    *cipher = None;
    *other = None;
}
