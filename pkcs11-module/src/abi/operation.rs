//! What the chapters of operations share: an Init that travels with the call that follows, where the
//! [rule](crate::cache) allows it.

use claviger_protocol::call::{
    Bulk, Call, DecryptInit, DigestInit, EncryptInit, Output, OutputRef, Room, SessionCancel, SignInit,
    VerifyInit,
};
use claviger_protocol::params::Mechanism;
use claviger_protocol::{Result, Rv};

use crate::cache::{Begin, Kind, Pending, Whole};
use crate::client::Client;
use crate::ptr::{Filled, In, Out};

/// `C_*Init` of a kind; `key` is 0 for a digest.
pub fn begin(
    client: &Client,
    kind: Kind,
    session: u64,
    mechanism: Option<Mechanism>,
    key: u64,
) -> Result<()> {
    let Some(mechanism) = mechanism else {
        if client.cache.cancel(kind, session) {
            return Ok(());
        }
        return init(client, kind, session, None, key);
    };
    match client.cache.begin(kind, session, &mechanism, key, || client.is_alive()) {
        Begin::Admitted => Ok(()),
        Begin::Active => Err(Rv::OPERATION_ACTIVE),
        Begin::Ask(asked) => {
            let result = init(client, kind, session, Some(mechanism.clone()), key);
            client.cache.begun(kind, session, mechanism, key, asked, result.is_ok());
            result
        }
    }
}

fn init(client: &Client, kind: Kind, session: u64, mechanism: Option<Mechanism>, key: u64) -> Result<()> {
    match kind {
        Kind::Encrypt => client.call(&EncryptInit { session, mechanism, key }),
        Kind::Decrypt => client.call(&DecryptInit { session, mechanism, key }),
        Kind::Digest => client.call(&DigestInit { session, mechanism }),
        Kind::Sign => client.call(&SignInit { session, mechanism, key }),
        Kind::Verify => client.call(&VerifyInit { session, mechanism, key }),
    }
}

/// Tells the daemon of all pending operations.
pub fn send_pending(client: &Client) {
    for (session, kind, Pending { mechanism, key, .. }) in client.cache.take_pending() {
        if let Err(rv) = init(client, kind, session, Some(mechanism), key) {
            client.cache.refused(session, kind, rv);
        }
    }
}

/// A call that does a pending or active operation whole, and fills the caller's buffer. `alone` and `with_init` make the
/// call without and with its Init, and without its data.
pub fn whole<A: Bulk<Reply = Output>, W: Bulk<Reply = Output>>(
    client: &Client,
    kind: Kind,
    session: u64,
    data: In,
    out: Out,
    alone: impl FnOnce(Room) -> A,
    with_init: impl FnOnce(Mechanism, u64, Room) -> W,
) -> Result<()> {
    let (room, length) = (out.room(), data.length());
    if room == Ok(None)
        && let Some(answer) = client.cache.length(kind, session, length)
    {
        return out.write(OutputRef::Length(answer), None)?.done();
    }
    let asked = client.cache.stamp();
    let filled = match client.cache.whole(kind, session) {
        Whole::Refused(rv) => return Err(rv),
        Whole::Alone(serial) => {
            let call = |request: A| client.fill_with(request, data, out);
            let filled = sent(client, session, kind.flag(), || Ok(alone(room?)), call);
            if is_over(filled) {
                client.cache.ended(kind, session, serial);
            }
            filled
        }
        Whole::WithInit(begun) => {
            let Pending { mechanism, key, .. } = begun.clone();
            // Arguments that cannot be sent end an operation that the daemon does not know.
            let checked = room.and_then(|room| data.check().map(|()| room));
            let room = checked.inspect_err(|_| client.cache.settled(kind, session, true))?;
            let filled = client.fill_with(with_init(mechanism, key, room), data, out);
            if let Ok(Filled::Length(answer)) = filled {
                client.cache.learn_length(kind, session, &begun, length, answer, asked);
            }
            client.cache.settled(kind, session, is_over(filled));
            filled
        }
    };
    filled?.done()
}

/// As [`whole`], for `C_Verify`, which fills no buffer.
pub fn whole_verify<A: Bulk<Reply = ()>, W: Bulk<Reply = ()>>(
    client: &Client,
    session: u64,
    data: In,
    alone: impl FnOnce() -> Result<A>,
    with_init: impl FnOnce(Mechanism, u64) -> Result<W>,
) -> Result<()> {
    let kind = Kind::Verify;
    let is_over = |result: &Result<()>| result.map_or_else(ends, |()| true);
    match client.cache.whole(kind, session) {
        Whole::Refused(rv) => Err(rv),
        Whole::Alone(serial) => {
            let result = sent(client, session, kind.flag(), alone, |request| client.feed(request, data));
            if is_over(&result) {
                client.cache.ended(kind, session, serial);
            }
            result
        }
        Whole::WithInit(begun) => {
            let request = data.check().and_then(|()| with_init(begun.mechanism, begun.key));
            let request = request.inspect_err(|_| client.cache.settled(kind, session, true))?;
            let result = client.feed(request, data);
            client.cache.settled(kind, session, is_over(&result));
            result
        }
    }
}

/// True for an answer after which there is no operation any more.
fn is_over(filled: Result<Filled>) -> bool {
    filled.map_or_else(ends, |filled| filled == Filled::Data)
}

/// True for an error that says that there was an operation, and that it is over.
fn ends(rv: Rv) -> bool {
    matches!(
        rv,
        Rv::SIGNATURE_INVALID
            | Rv::SIGNATURE_LEN_RANGE
            | Rv::DATA_INVALID
            | Rv::DATA_LEN_RANGE
            | Rv::ENCRYPTED_DATA_INVALID
            | Rv::ENCRYPTED_DATA_LEN_RANGE
    )
}

/// Sends a call of an active operation. `flags` are `CKF_*` of what the call belongs to, 0 for none; pending Inits of
/// these go first.
pub fn part<C: Call>(
    client: &Client,
    session: u64,
    flags: u64,
    request: impl FnOnce() -> Result<C>,
) -> Result<C::Reply> {
    send_inits(client, session, flags)?;
    sent(client, session, flags, request, |request| client.call(&request))
}

/// Sends a call that feeds an active operation; see [`part`].
pub fn feed<C: Bulk<Reply = ()>>(
    client: &Client,
    session: u64,
    flags: u64,
    data: In,
    request: C,
) -> Result<()> {
    send_inits(client, session, flags)?;
    sent(client, session, flags, || Ok(request), |request| client.feed(request, data))
}

/// Sends a call that gives output for data, behind `written` bytes of it; see [`part`] and [`Out::put`].
pub fn put<C: Bulk<Reply = Output>>(
    client: &Client,
    session: u64,
    flags: u64,
    data: In,
    (out, written): (&mut Out, u64),
    request: C,
) -> Result<Option<u64>> {
    send_inits(client, session, flags)?;
    sent(client, session, flags, || Ok(request), |request| client.put_with(request, data, out, written))
}

/// Sends a call that gives output for data; see [`part`].
pub fn transform<C: Bulk<Reply = Output>>(
    client: &Client,
    session: u64,
    flags: u64,
    data: In,
    out: Out,
    request: impl FnOnce(Room) -> C,
) -> Result<()> {
    send_inits(client, session, flags)?;
    let room = out.room();
    let call = |request| client.fill_with(request, data, out);
    sent(client, session, flags, || Ok(request(room?)), call)?.done()
}

/// Sends a call that fills the caller's buffer; see [`part`].
pub fn fill<C: Call<Reply = Output>>(
    client: &Client,
    session: u64,
    flags: u64,
    out: Out,
    request: impl FnOnce(Room) -> Result<C>,
) -> Result<()> {
    send_inits(client, session, flags)?;
    let room = out.room();
    sent(client, session, flags, || request(room?), |request| client.fill(&request, out))?.done()
}

fn send_inits(client: &Client, session: u64, flags: u64) -> Result<()> {
    for (kind, Pending { mechanism, key, .. }) in client.cache.in_parts(session, flags)? {
        init(client, kind, session, Some(mechanism), key)?;
    }
    Ok(())
}

/// An error ends an operation (PKCS#11 3.2, section 5.2), and the daemon sees to that for errors that it finds.
/// Arguments that cannot be sent are found here, so the operation is cancelled.
fn sent<C: Call, R>(
    client: &Client,
    session: u64,
    flags: u64,
    request: impl FnOnce() -> Result<C>,
    call: impl FnOnce(C) -> Result<R>,
) -> Result<R> {
    match request().and_then(call) {
        Err(rv @ (Rv::ARGUMENTS_BAD | Rv::DATA_LEN_RANGE | Rv::HOST_MEMORY)) if flags != 0 => {
            match client.call(&SessionCancel { session, flags }) {
                // The session's own error comes first (section 5.1.2).
                Err(Rv::SESSION_HANDLE_INVALID) => Err(Rv::SESSION_HANDLE_INVALID),
                _ => Err(rv),
            }
        }
        result => result,
    }
}
