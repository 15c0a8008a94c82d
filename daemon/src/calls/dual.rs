//! Dual-function cryptographic functions (PKCS#11 3.2, section 5.17): two active operations, fed together.

use claviger_protocol::call::{
    DecryptDigestUpdate, DecryptVerifyUpdate, DigestEncryptUpdate, Output, SignEncryptUpdate,
};

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::lock;
use crate::operation;

impl Handle for DigestEncryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        let digest = operations.digest.as_mut().ok_or(Error::OperationNotInitialized)?;
        operation::run(&mut operations.encrypt, |encrypt| {
            let step = encrypt.update(&self.part, self.room)?;
            if step.has_output() {
                digest.update(&self.part)?;
            }
            Ok(step)
        })
    }
}

impl Handle for DecryptDigestUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        let digest = operations.digest.as_mut().ok_or(Error::OperationNotInitialized)?;
        let output = operation::run(&mut operations.decrypt, |decrypt| {
            decrypt.update(&self.encrypted_part, self.room)
        })?;
        if let Output::Data(part) = &output {
            digest.update(part)?;
        }
        Ok(output)
    }
}

impl Handle for SignEncryptUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        let sign = operations.sign.as_mut().ok_or(Error::OperationNotInitialized)?;
        operation::run(&mut operations.encrypt, |encrypt| {
            let step = encrypt.update(&self.part, self.room)?;
            if step.has_output() {
                sign.update(&self.part)?;
            }
            Ok(step)
        })
    }
}

impl Handle for DecryptVerifyUpdate {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let operations = &mut *operations;
        let verify = operations.verify.as_mut().ok_or(Error::OperationNotInitialized)?;
        let output = operation::run(&mut operations.decrypt, |decrypt| {
            decrypt.update(&self.encrypted_part, self.room)
        })?;
        if let Output::Data(part) = &output {
            verify.update(part)?;
        }
        Ok(output)
    }
}
