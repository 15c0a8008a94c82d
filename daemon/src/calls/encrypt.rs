//! Encryption functions (PKCS#11 3.2, section 5.8).

use claviger_protocol::AttributeType;
use claviger_protocol::call::{Encrypt, EncryptFinal, EncryptInit, EncryptOnce, EncryptUpdate, Output};
use claviger_protocol::flags::mechanism;
use claviger_protocol::params::Mechanism;

use super::{Context, Handle};
use crate::crypto::cipher::Direction;
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, CipherOperation};
use crate::session::Session;

impl Handle for EncryptInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        match self.mechanism {
            Some(mechanism) => init(&mut operations.encrypt, context, &session, mechanism, self.key),
            None => operation::cancel(&mut operations.encrypt),
        }
    }
}

impl Handle for Encrypt {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.encrypt, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

impl Handle for EncryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.encrypt, |operation| {
            operation.update(&context.input(&self.part), self.room)
        })
    }
}

impl Handle for EncryptFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.encrypt, |operation| operation.last(self.room))
    }
}

impl Handle for EncryptOnce {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        init(&mut operations.encrypt, context, &session, self.mechanism, self.key)?;
        operation::run(&mut operations.encrypt, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

fn init(
    slot: &mut Option<CipherOperation>,
    context: &Context<'_>,
    session: &Session,
    mechanism: Mechanism,
    key: u64,
) -> Result<()> {
    if slot.is_some() {
        return Err(Error::OperationActive);
    }
    let row = context.mechanism(session, mechanism.r#type, mechanism::ENCRYPT)?;
    let key = context.key(session, key, &mechanism, row, AttributeType::ENCRYPT)?;
    *slot = Some(context.cipher(Direction::Encrypt, row, mechanism.params, key)?);
    Ok(())
}
