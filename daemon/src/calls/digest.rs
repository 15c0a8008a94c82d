//! Message digesting functions (PKCS#11 3.2, section 5.12).

use claviger_protocol::call::{Digest, DigestFinal, DigestInit, DigestKey, DigestUpdate, Output};
use claviger_protocol::flags::mechanism;
use claviger_protocol::object::ObjectClass;

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;
use crate::operation::{self, DigestOperation};

impl Handle for DigestInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let Some(mechanism) = self.mechanism else {
            operations.digest = None;
            return Ok(());
        };
        if operations.digest.is_some() {
            return Err(Error::OperationActive);
        }
        let row = context.mechanism(&session, mechanism.r#type, mechanism::DIGEST)?;
        operations.digest = Some(DigestOperation::new(row, &mechanism.params)?);
        Ok(())
    }
}

impl Handle for Digest {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.digest, |operation| operation.one_shot(&self.data, self.room))
    }
}

impl Handle for DigestUpdate {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::update(&mut operations.digest, |operation| operation.update(&self.part))
    }
}

impl Handle for DigestKey {
    /// Digests a secret key's value. A key that is not sensitive may be digested by whoever may read it; a
    /// sensitive one too, since a digest of a key with at least 128 bits tells nothing of it.
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::update(&mut operations.digest, |operation| {
            let object = context.object(&session, self.key).map_err(|_| Error::KeyHandleInvalid)?;
            object.admit(Time::now())?;
            if object.class != ObjectClass::SECRET_KEY {
                return Err(Error::KeyIndigestible);
            }
            operation.update_key(&*object.key(&context.daemon.records)?)
        })
    }
}

impl Handle for DigestFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.digest, |operation| operation.last(self.room))
    }
}
