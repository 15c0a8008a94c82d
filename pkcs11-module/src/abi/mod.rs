//! The functions' bodies, one file per chapter of the standard: arguments in, call out, reply written.

pub mod decrypt;
pub mod digest;
pub mod dual;
pub mod encrypt;
pub mod general;
pub mod key;
pub mod object;
pub mod random;
pub mod session;
pub mod sign;
pub mod slot_token;
pub mod verify;

use claviger_protocol::call::{Call, Output, Room, SessionCancel};
use claviger_protocol::{Result, Rv};

use crate::client::Client;
use crate::ptr::Out;

/// Sends a call of an active operation. `operation` is what the call belongs to, as the flags of
/// `C_SessionCancel`, 0 for none.
///
/// An error ends an operation (PKCS#11 3.2, section 5.2), and the daemon sees to that for errors that it finds.
/// Arguments that cannot be sent are found here, so the operation is cancelled.
fn part<C: Call>(
    client: &Client,
    session: u64,
    operation: u64,
    request: impl FnOnce() -> Result<C>,
) -> Result<C::Reply> {
    match request().and_then(|request| client.call(&request)) {
        Err(rv @ (Rv::ARGUMENTS_BAD | Rv::DATA_LEN_RANGE | Rv::HOST_MEMORY)) if operation != 0 => {
            match client.call(&SessionCancel { session, flags: operation }) {
                // The session's own error comes first (section 5.1.2).
                Err(Rv::SESSION_HANDLE_INVALID) => Err(Rv::SESSION_HANDLE_INVALID),
                _ => Err(rv),
            }
        }
        result => result,
    }
}

/// Sends a call that fills the caller's buffer; see [`part`].
fn fill<C: Call<Reply = Output>>(
    client: &Client,
    session: u64,
    operation: u64,
    out: Out,
    request: impl FnOnce(Room) -> Result<C>,
) -> Result<()> {
    let output = part(client, session, operation, || request(out.room()?))?;
    out.write(&output)
}
