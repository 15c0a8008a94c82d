//! Decryption functions (PKCS#11 3.2, section 5.10).

use claviger_protocol::AttributeType;
use claviger_protocol::call::{Decrypt, DecryptFinal, DecryptInit, DecryptUpdate, Output};
use claviger_protocol::flags::mechanism;

use super::{Context, Handle};
use crate::crypto::cipher::Direction;
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, CipherOperation};

impl Handle for DecryptInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let Some(mechanism) = self.mechanism else {
            return operation::cancel(&mut operations.decrypt);
        };
        if operations.decrypt.is_some() {
            return Err(Error::OperationActive);
        }
        let row = context.mechanism(&session, mechanism.r#type, mechanism::DECRYPT)?;
        let key = context.key(&session, self.key, &mechanism, row, AttributeType::DECRYPT)?;
        operations.decrypt = Some(CipherOperation::new(Direction::Decrypt, row, mechanism.params, key)?);
        Ok(())
    }
}

impl Handle for Decrypt {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.decrypt, |operation| {
            operation.one_shot(&self.encrypted_data, self.room)
        })
    }
}

impl Handle for DecryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.decrypt, |operation| operation.update(&self.encrypted_part, self.room))
    }
}

impl Handle for DecryptFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.decrypt, |operation| operation.last(self.room))
    }
}
