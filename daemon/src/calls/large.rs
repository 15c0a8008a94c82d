//! Long data: not functions of their own, but how the module brings data and output of more than a frame in parts, and
//! shares memory for what would fill a frame.

use claviger_protocol::call::{Announce, Attach, AttachMailbox, Output, Rest, Share};
use claviger_protocol::flags::mechanism;

use super::{Context, Handle};
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::{self, CipherOperation, DigestOperation, SignOperation, VerifyOperation};

impl Handle for Announce {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let cipher =
            |operation: &mut CipherOperation| operation.announce(self.length, self.one_shot, self.room);
        match self.operation {
            mechanism::ENCRYPT => operation::run(&mut operations.encrypt, cipher),
            mechanism::DECRYPT => operation::run(&mut operations.decrypt, cipher),
            mechanism::DIGEST => {
                operation::run(&mut operations.digest, |o: &mut DigestOperation| o.announce(self.room))
            }
            mechanism::SIGN => {
                operation::run(&mut operations.sign, |o: &mut SignOperation| o.announce(self.room))
            }
            mechanism::VERIFY => operation::run(&mut operations.verify, VerifyOperation::announce),
            _ => Err(Error::ArgumentsBad),
        }
    }
}

impl Handle for Rest {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let rest = |operation: &mut CipherOperation| operation.rest(self.offset);
        match self.operation {
            mechanism::ENCRYPT => operation::run(&mut operations.encrypt, rest),
            mechanism::DECRYPT => operation::run(&mut operations.decrypt, rest),
            _ => Err(Error::ArgumentsBad),
        }
    }
}

impl Handle for Share {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.sharing.ask(context.application, self.bytes)
    }
}

impl Handle for Attach {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.sharing.attach()
    }
}

impl Handle for AttachMailbox {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.sharing.attach_mailbox()
    }
}
