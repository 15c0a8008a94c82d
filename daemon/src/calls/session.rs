//! Session management functions (PKCS#11 3.2, section 5.6).

use claviger_protocol::Bytes;
use claviger_protocol::call::{
    CloseAllSessions, CloseResumable, CloseSession, GetOperationState, GetResumption, GetSessionInfo,
    GetSessionValidationFlags, Login, LoginUser, Logout, OpenResumable, OpenSession, Output, Resume,
    SessionCancel, SessionInfo, SetOperationState,
};
use claviger_protocol::flags::{session as session_flags, user};

use super::{Context, Handle};
use crate::access::action::SEE_RING;
use crate::access::login;
use crate::error::{Error, Result};
use crate::lock;
use crate::operation::KeyUse;
use crate::session::Session;
use crate::session_table::User;

impl Handle for OpenSession {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        if self.flags & session_flags::SERIAL_SESSION == 0 {
            return Err(Error::SessionParallelNotSupported);
        }
        if self.flags & session_flags::ASYNC_SESSION != 0 {
            return Err(Error::SessionAsyncNotSupported);
        }
        let token = context.token(self.slot)?;
        let read_write = self.flags & session_flags::RW_SESSION != 0;
        let sight = context.permit(&token, None, SEE_RING);
        context.application.open(Session::new(context.daemon.handles.next(), token, read_write, sight))
    }
}

impl Handle for CloseSession {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.application.table.close(self.session)
    }
}

impl Handle for CloseAllSessions {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        match context.token(self.slot) {
            Ok(_) | Err(Error::TokenNotInitialized | Error::TokenShut) => {
                context.application.table.close_all(self.slot)
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Handle for GetSessionInfo {
    fn handle(self, context: &Context<'_>) -> Result<SessionInfo> {
        let session = context.session(self.session)?;
        let read_write = if session.read_write { session_flags::RW_SESSION } else { 0 };
        Ok(SessionInfo {
            slot: session.slot,
            state: session.state(context.application.table.login(session.slot)),
            flags: session_flags::SERIAL_SESSION | read_write,
            device_error: 0,
        })
    }
}

impl Handle for SessionCancel {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        operations.cancel(self.flags);
        Ok(())
    }
}

impl Handle for GetOperationState {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let operations = lock::lock(&session.operations);
        match operations.digest.as_ref() {
            _ if operations.is_cryptographic_beside_digest() => Err(Error::StateUnsaveable),
            Some(digest) => digest.save(self.room),
            None => Err(Error::OperationNotInitialized),
        }
    }
}

impl Handle for SetOperationState {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        if self.encryption_key != 0 || self.authentication_key != 0 {
            return Err(Error::KeyNotNeeded);
        }
        let digest = crate::operation::DigestOperation::restore(&self.state)?;
        lock::lock(&session.operations).digest = Some(digest);
        Ok(())
    }
}

impl Handle for Login {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let pin = self.pin.as_ref();
        match self.user_type {
            user::SO => log_in(context, &session, User::So, pin),
            user::USER => log_in(context, &session, User::User, pin),
            user::CONTEXT_SPECIFIC => log_in_for_operation(context, &session, pin),
            _ => Err(Error::UserTypeInvalid),
        }
    }
}

impl Handle for LoginUser {
    /// Tokens have one user; a user name is accepted when it is empty.
    fn handle(self, context: &Context<'_>) -> Result<()> {
        if !self.username.is_empty() {
            return Err(Error::ArgumentsBad);
        }
        Login { session: self.session, user_type: self.user_type, pin: self.pin }.handle(context)
    }
}

impl Handle for Logout {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        if context.application.table.login(session.slot).is_none() {
            return Err(Error::UserNotLoggedIn);
        }
        context.application.table.log_out(session.slot);
        Ok(())
    }
}

impl Handle for GetResumption {
    fn handle(self, context: &Context<'_>) -> Result<Bytes> {
        if self.session != 0 {
            context.session(self.session)?;
        }
        context.daemon.resume_ticket(context.application)
    }
}

impl Handle for Resume {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.daemon.resume(context.application, &self.ticket)
    }
}

impl Handle for OpenResumable {
    fn handle(self, context: &Context<'_>) -> Result<(u64, Bytes)> {
        let session = OpenSession { slot: self.slot, flags: self.flags }.handle(context)?;
        // A session without a ticket is one that ends with the daemon.
        Ok((session, context.daemon.resume_ticket(context.application).unwrap_or_default()))
    }
}

impl Handle for CloseResumable {
    fn handle(self, context: &Context<'_>) -> Result<Bytes> {
        CloseSession { session: self.session }.handle(context)?;
        Ok(context.daemon.resume_ticket(context.application).unwrap_or_default())
    }
}

impl Handle for GetSessionValidationFlags {
    /// No validation authority has looked at this token, so no flag is set.
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        context.session(self.session)?;
        Ok(0)
    }
}

fn log_in(context: &Context<'_>, session: &Session, who: User, pin: Option<&Bytes>) -> Result<()> {
    context.permit(&session.token, None, "P11.C_Login").check(context.remembered())?;
    context.application.table.may_log_in(session.slot, who)?;
    check(context, session, who, pin)?;
    context.application.table.log_in(session.slot, who)
}

/// Checks a PIN; without one, whether who calls needs none (`CKF_PROTECTED_AUTHENTICATION_PATH`).
fn check(context: &Context<'_>, session: &Session, who: User, pin: Option<&Bytes>) -> Result<()> {
    match pin {
        Some(pin) => login::check_pin(context.daemon, &session.token, who, pin),
        None if login::without_pin(context.daemon, &session.token, &context.application.identity, who) => {
            Ok(())
        }
        None => Err(Error::ArgumentsBad),
    }
}

/// `CKU_CONTEXT_SPECIFIC`: frees the operation of a key with `CKA_ALWAYS_AUTHENTICATE` for one use.
fn log_in_for_operation(context: &Context<'_>, session: &Session, pin: Option<&Bytes>) -> Result<()> {
    let waits = |key: &KeyUse| key.awaits_login;
    {
        let operations = lock::lock(&session.operations);
        let waiting = operations.sign.as_ref().is_some_and(|o| waits(&o.key))
            || operations.sign_recover.as_ref().is_some_and(|o| waits(&o.key))
            || operations.decrypt.as_ref().is_some_and(|o| waits(&o.key));
        if !waiting {
            return Err(Error::OperationNotInitialized);
        }
    }
    check(context, session, User::User, pin)?;
    let mut operations = lock::lock(&session.operations);
    if let Some(operation) = &mut operations.sign {
        operation.key.awaits_login = false;
    }
    if let Some(operation) = &mut operations.sign_recover {
        operation.key.awaits_login = false;
    }
    if let Some(operation) = &mut operations.decrypt {
        operation.key.awaits_login = false;
    }
    Ok(())
}
