//! Encryption functions (PKCS#11 3.2, section 5.8).

use claviger_protocol::AttributeType;
use claviger_protocol::call::{Encrypt, EncryptFinal, EncryptInit, EncryptUpdate, Output};
use claviger_protocol::flags::mechanism;

use super::{Context, Handle};
use crate::crypto::cipher::Direction;
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, CipherOperation};

impl Handle for EncryptInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let Some(mechanism) = self.mechanism else {
            return operation::cancel(&mut operations.encrypt);
        };
        if operations.encrypt.is_some() {
            return Err(Error::OperationActive);
        }
        let row = context.mechanism(&session, mechanism.r#type, mechanism::ENCRYPT)?;
        let key = context.key(&session, self.key, &mechanism, row, AttributeType::ENCRYPT)?;
        operations.encrypt = Some(CipherOperation::new(Direction::Encrypt, row, mechanism.params, key)?);
        Ok(())
    }
}

impl Handle for Encrypt {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.encrypt, |operation| operation.one_shot(&self.data, self.room))
    }
}

impl Handle for EncryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.encrypt, |operation| operation.update(&self.part, self.room))
    }
}

impl Handle for EncryptFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.encrypt, |operation| operation.last(self.room))
    }
}
