//! Decryption functions (PKCS#11 3.2, section 5.10).

use claviger_protocol::AttributeType;
use claviger_protocol::call::{Decrypt, DecryptFinal, DecryptInit, DecryptOnce, DecryptUpdate, Output};
use claviger_protocol::flags::mechanism;
use claviger_protocol::params::Mechanism;

use super::{Context, Handle};
use crate::crypto::cipher::Direction;
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, CipherOperation};
use crate::session::Session;

impl Handle for DecryptInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        match self.mechanism {
            Some(mechanism) => init(&mut operations.decrypt, context, &session, mechanism, self.key),
            None => operation::cancel(&mut operations.decrypt),
        }
    }
}

impl Handle for Decrypt {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.decrypt, |operation| {
            operation.one_shot(&context.input(&self.encrypted_data), self.room)
        })
    }
}

impl Handle for DecryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.decrypt, |operation| {
            operation.update(&context.input(&self.encrypted_part), self.room)
        })
    }
}

impl Handle for DecryptFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.decrypt, |operation| operation.last(self.room))
    }
}

impl Handle for DecryptOnce {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        init(&mut operations.decrypt, context, &session, self.mechanism, self.key)?;
        operation::run(&mut operations.decrypt, |operation| {
            operation.one_shot(&context.input(&self.encrypted_data), self.room)
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
    let row = context.mechanism(session, mechanism.r#type, mechanism::DECRYPT)?;
    let key = context.key(session, key, &mechanism, row, AttributeType::DECRYPT)?;
    *slot = Some(context.cipher(Direction::Decrypt, row, mechanism.params, key)?);
    Ok(())
}
