//! Functions for verifying signatures and MACs (PKCS#11 3.2, section 5.15).

use claviger_protocol::AttributeType;
use claviger_protocol::call::{
    Output, Verify, VerifyFinal, VerifyInit, VerifyOnce, VerifyRecover, VerifyRecoverInit, VerifyUpdate,
};
use claviger_protocol::flags::mechanism;
use claviger_protocol::params::Mechanism;

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, VerifyOperation};
use crate::session::Session;

impl Handle for VerifyInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let usage = (mechanism::VERIFY, AttributeType::VERIFY);
        init(&mut operations.verify, context, &session, self.mechanism, self.key, usage)
    }
}

impl Handle for Verify {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::finish(&mut operations.verify, |operation| {
            operation.one_shot(&context.input(&self.data), &self.signature)
        })
    }
}

impl Handle for VerifyUpdate {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::update(&mut operations.verify, |operation| operation.update(&context.input(&self.part)))
    }
}

impl Handle for VerifyFinal {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::finish(&mut operations.verify, |operation| operation.last(&self.signature))
    }
}

impl Handle for VerifyRecoverInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let usage = (mechanism::VERIFY_RECOVER, AttributeType::VERIFY_RECOVER);
        init(&mut operations.verify_recover, context, &session, self.mechanism, self.key, usage)
    }
}

impl Handle for VerifyRecover {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.verify_recover, |operation| {
            operation.recover(&self.signature, self.room)
        })
    }
}

impl Handle for VerifyOnce {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let usage = (mechanism::VERIFY, AttributeType::VERIFY);
        init(&mut operations.verify, context, &session, Some(self.mechanism), self.key, usage)?;
        operation::finish(&mut operations.verify, |operation| {
            operation.one_shot(&context.input(&self.data), &self.signature)
        })
    }
}

fn init(
    slot: &mut Option<VerifyOperation>,
    context: &Context<'_>,
    session: &Session,
    mechanism: Option<Mechanism>,
    key: u64,
    (flag, usage): (u64, AttributeType),
) -> Result<()> {
    let Some(mechanism) = mechanism else {
        return operation::cancel(slot);
    };
    if slot.is_some() {
        return Err(Error::OperationActive);
    }
    let row = context.mechanism(session, mechanism.r#type, flag)?;
    let key = context.key(session, key, &mechanism, row, usage)?;
    *slot = Some(VerifyOperation::new(row, &mechanism.params, key)?);
    Ok(())
}
