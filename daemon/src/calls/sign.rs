//! Signing and MACing functions (PKCS#11 3.2, section 5.13).

use claviger_protocol::AttributeType;
use claviger_protocol::call::{
    Output, Sign, SignFinal, SignInit, SignOnce, SignRecover, SignRecoverInit, SignUpdate,
};
use claviger_protocol::flags::mechanism;
use claviger_protocol::params::Mechanism;

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, SignOperation};
use crate::session::Session;

impl Handle for SignInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let usage = (mechanism::SIGN, AttributeType::SIGN);
        init(&mut operations.sign, context, &session, self.mechanism, self.key, usage)
    }
}

impl Handle for Sign {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.sign, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

impl Handle for SignUpdate {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::update(&mut operations.sign, |operation| operation.update(&context.input(&self.part)))
    }
}

impl Handle for SignFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.sign, |operation| operation.last(self.room))
    }
}

impl Handle for SignRecoverInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let usage = (mechanism::SIGN_RECOVER, AttributeType::SIGN_RECOVER);
        init(&mut operations.sign_recover, context, &session, self.mechanism, self.key, usage)
    }
}

impl Handle for SignRecover {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.sign_recover, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

impl Handle for SignOnce {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let usage = (mechanism::SIGN, AttributeType::SIGN);
        init(&mut operations.sign, context, &session, Some(self.mechanism), self.key, usage)?;
        operation::run(&mut operations.sign, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

fn init(
    slot: &mut Option<SignOperation>,
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
    *slot = Some(SignOperation::new(row, &mechanism.params, key)?);
    Ok(())
}
