//! Chapter 5.6: session management.

use claviger_protocol::call::{
    CloseAllSessions, CloseResumable, GetOperationState, GetSessionInfo, GetSessionValidationFlags, Login,
    LoginUser, Logout, OpenResumable, SessionCancel, SetOperationState,
};
use claviger_protocol::flags::mechanism::FIND_OBJECTS;
use claviger_protocol::{Result, Rv};

use super::operation::{self, fill};
use crate::client::Client;
use crate::ptr::{In, Out, Place};
use crate::sys::{CK_FLAGS, CK_SESSION_HANDLE, CK_SESSION_INFO};

/// `C_OpenSession`. The application's callback is never called: nothing here surrenders.
pub fn open_session(
    client: &Client,
    slot: u64,
    flags: CK_FLAGS,
    session: Place<CK_SESSION_HANDLE>,
) -> Result<()> {
    let (handle, ticket) = client.call(&OpenResumable { slot, flags })?;
    client.cache.opened(handle, slot);
    client.keep_ticket(ticket);
    session.write(handle);
    Ok(())
}

/// `C_CloseSession`.
pub fn close_session(client: &Client, session: u64) -> Result<()> {
    if client.cache.has_session_objects() {
        operation::send_pending(client);
    }
    let slot = client.cache.slot(session);
    let takes_more = client.cache.closing(session);
    let result = client.call(&CloseResumable { session });
    client.cache.closed(slot);
    if takes_more {
        client.cache.disturbed();
    }
    result.map(|ticket| client.keep_ticket(ticket))
}

/// `C_CloseAllSessions`.
pub fn close_all_sessions(client: &Client, slot: u64) -> Result<()> {
    client.cache.closing_all(slot);
    let result = client.call(&CloseAllSessions { slot });
    client.keep_resumption();
    result
}

/// `C_GetSessionInfo`.
pub fn get_session_info(client: &Client, session: u64, info: Place<CK_SESSION_INFO>) -> Result<()> {
    let reply = client.ask(&GetSessionInfo { session }, Some(session))?;
    info.write(CK_SESSION_INFO {
        slotID: reply.slot,
        state: reply.state,
        flags: reply.flags,
        ulDeviceError: reply.device_error,
    });
    Ok(())
}

/// `C_SessionCancel`.
pub fn session_cancel(client: &Client, session: u64, flags: CK_FLAGS) -> Result<()> {
    if flags & FIND_OBJECTS != 0 {
        client.cache.end_find(session);
    }
    client.call(&SessionCancel { session, flags })
}

/// `C_GetOperationState`. It is part of no operation, so a wrong argument ends none.
pub fn get_operation_state(client: &Client, session: u64, state: Out) -> Result<()> {
    fill(client, session, 0, state, |room| Ok(GetOperationState { session, room }))
}

/// `C_SetOperationState`.
pub fn set_operation_state(
    client: &Client,
    session: u64,
    state: In,
    encryption_key: u64,
    authentication_key: u64,
) -> Result<()> {
    client.call(&SetOperationState { session, state: state.bytes()?, encryption_key, authentication_key })
}

/// `C_Login`.
pub fn login(client: &Client, session: u64, user_type: u64, pin: In) -> Result<()> {
    client.call(&Login { session, user_type, pin: pin.pin()? })?;
    client.keep_resumption();
    Ok(())
}

/// `C_LoginUser`.
pub fn login_user(client: &Client, session: u64, user_type: u64, pin: In, username: In) -> Result<()> {
    client.call(&LoginUser { session, user_type, pin: pin.pin()?, username: username.bytes()? })?;
    client.keep_resumption();
    Ok(())
}

/// `C_Logout`.
pub fn logout(client: &Client, session: u64) -> Result<()> {
    client.call(&Logout { session })?;
    client.cache.logged_out(session);
    client.keep_resumption();
    Ok(())
}

/// `C_GetSessionValidationFlags`.
pub fn get_session_validation_flags(
    client: &Client,
    session: u64,
    r#type: u64,
    flags: Place<CK_FLAGS>,
) -> Result<()> {
    flags.write(client.call(&GetSessionValidationFlags { session, r#type })?);
    Ok(())
}

/// `C_GetFunctionStatus` and `C_CancelFunction`, relics of parallel sessions (PKCS#11 3.2, section 5.20).
pub fn not_parallel() -> Result<()> {
    Err(Rv::FUNCTION_NOT_PARALLEL)
}
