//! Message digesting functions (PKCS#11 3.2, section 5.12).

use claviger_protocol::call::{Digest, DigestFinal, DigestInit, DigestKey, DigestOnce, DigestUpdate, Output};
use claviger_protocol::flags::mechanism;
use claviger_protocol::object::ObjectClass;
use claviger_protocol::params::Mechanism;

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;
use crate::operation::{self, DigestOperation};
use crate::profile::{self, Subject};
use crate::session::Session;

impl Handle for DigestInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        match self.mechanism {
            Some(mechanism) => init(&mut operations.digest, context, &session, &mechanism),
            None => operation::cancel(&mut operations.digest),
        }
    }
}

impl Handle for Digest {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.digest, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

impl Handle for DigestUpdate {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::update(&mut operations.digest, |operation| operation.update(&context.input(&self.part)))
    }
}

impl Handle for DigestKey {
    /// Digests a secret key's value. Of a key that may not be read only if it is long enough that nobody finds it
    /// by digesting guesses; in `strict` of none.
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        if operations.digest.is_none() {
            return Err(Error::OperationNotInitialized);
        }
        // A key that cannot be digested leaves the digest as it was: of all functions that feed one, 5.12.4 alone does
        // not say that an error ends it.
        let object = context.object(&session, self.key).map_err(|_| Error::KeyHandleInvalid)?;
        object.admit(Time::now())?;
        object.check_rules(&session.token, false, Time::now())?;
        context.check_may(&session, &object, "P11.C_DeriveKey")?;
        if object.class != ObjectClass::SECRET_KEY {
            return Err(Error::KeyIndigestible);
        }
        let key = object.key(&context.daemon.records)?;
        let attributes = object.attributes();
        let subject = Subject { attributes: &attributes, bits: key.size_bits() };
        if !profile::may_digest(session.token.profile(), &subject) {
            let short = subject.bits < profile::MIN_BITS;
            return Err(if short { Error::KeySizeRange } else { Error::KeyIndigestible });
        }
        operation::update(&mut operations.digest, |operation| operation.update_key(&key))
    }
}

impl Handle for DigestFinal {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operation::run(&mut operations.digest, |operation| operation.last(self.room))
    }
}

impl Handle for DigestOnce {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        init(&mut operations.digest, context, &session, &self.mechanism)?;
        operation::run(&mut operations.digest, |operation| {
            operation.one_shot(&context.input(&self.data), self.room)
        })
    }
}

fn init(
    slot: &mut Option<DigestOperation>,
    context: &Context<'_>,
    session: &Session,
    mechanism: &Mechanism,
) -> Result<()> {
    if slot.is_some() {
        return Err(Error::OperationActive);
    }
    let row = context.mechanism(session, mechanism.r#type, mechanism::DIGEST)?;
    *slot = Some(DigestOperation::new(row, &mechanism.params)?);
    Ok(())
}
