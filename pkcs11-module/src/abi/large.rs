//! Data of more than a frame: announced, so that the daemon judges its length and the room for what becomes of it
//! before it takes any, and then sent in parts. What an application does in one call stays one call to it.

use claviger_protocol::call::{Announce, Bulk, Call, Output, Rest, Room};
use claviger_protocol::{Bytes, Result, Rv};

use super::operation::{feed, part, put};
use crate::client::Client;
use crate::ptr::{In, Out};

/// An operation of a session, by its `CKF_*`.
#[derive(Clone, Copy)]
pub struct Large<'a> {
    /// The way to the daemon.
    pub client: &'a Client,
    /// The session.
    pub session: u64,
    /// Which operation, as `C_SessionCancel` takes it.
    pub operation: u64,
}

impl Large<'_> {
    /// Data of a one-shot call whose output comes at the end: a digest, a signature.
    pub fn digest<U: Bulk<Reply = ()>, F: Call<Reply = Output>>(
        self,
        data: In,
        out: Out,
        update: impl Fn(Bytes) -> U,
        finish: impl FnOnce(Room) -> F,
    ) -> Result<()> {
        if let Some(answer) = self.announce(data.length(), true, out.room())? {
            return out.write((&answer).into(), None)?.done();
        }
        self.feed(data, update)?;
        let output = self.part(|| Ok(finish(out.room()?)))?;
        out.write((&output).into(), None)?.done()
    }

    /// Data of a one-shot call without output: `C_Verify`.
    pub fn verify<U: Bulk<Reply = ()>, F: Call<Reply = ()>>(
        self,
        data: In,
        update: impl Fn(Bytes) -> U,
        finish: impl FnOnce() -> Result<F>,
    ) -> Result<()> {
        self.announce(data.length(), true, Ok(None))?;
        self.feed(data, update)?;
        self.part(finish)
    }

    /// Data of a multi-part call without output.
    pub fn feed<U: Bulk<Reply = ()>>(self, data: In, update: impl Fn(Bytes) -> U) -> Result<()> {
        let Large { client, session, operation } = self;
        data.chunks().try_for_each(|chunk| feed(client, session, operation, chunk, update(Bytes::default())))
    }

    /// Data that becomes as much output. `finish` ends a one-shot call; without it, it is a part.
    pub fn transform<U: Bulk<Reply = Output>, F: Call<Reply = Output>>(
        self,
        data: In,
        mut out: Out,
        update: impl Fn(Bytes, Room) -> U,
        finish: Option<impl FnOnce(Room) -> F>,
    ) -> Result<()> {
        if let Some(answer) = self.announce(data.length(), finish.is_some(), out.room())? {
            return out.write((&answer).into(), None)?.done();
        }
        let mut written = 0;
        for chunk in data.chunks() {
            let Large { client, session, operation } = self;
            let request = update(Bytes::default(), out.room_after(written)?);
            match put(client, session, operation, chunk, (&mut out, written), request)? {
                Some(length) => written += length,
                None => return Err(Rv::BUFFER_TOO_SMALL),
            }
        }
        match finish {
            None => out.end(written),
            Some(finish) => {
                let output = self.part(|| Ok(finish(out.room_after(written)?)))?;
                self.last(written, out, output)
            }
        }
    }

    /// Writes the last output of an operation behind what was written, and fetches it when it is more than a frame.
    pub fn last(self, written: u64, mut out: Out, output: Output) -> Result<()> {
        let total = match (&output, out.room_after(written)?) {
            (Output::Length(total), Some(_)) => *total,
            (Output::Length(_), None) => return out.write((&output).into(), None)?.done(),
            _ => {
                return match out.put(written, (&output).into(), None)? {
                    Some(length) => out.end(written + length),
                    None => Err(Rv::BUFFER_TOO_SMALL),
                };
            }
        };
        let mut offset = 0;
        while offset < total {
            let Large { session, operation, .. } = self;
            let output = self.part(|| Ok(Rest { session, operation, offset }))?;
            match out.put(written + offset, (&output).into(), None)? {
                Some(length) if length > 0 => offset += length,
                _ => return Err(Rv::DEVICE_ERROR),
            }
        }
        out.end(written + total)
    }

    /// Tells the daemon what is to come. An answer is a length, or too little room for it.
    fn announce(self, length: u64, one_shot: bool, room: Result<Room>) -> Result<Option<Output>> {
        let Large { session, operation, .. } = self;
        match self.part(|| Ok(Announce { session, operation, length, one_shot, room: room? }))? {
            Output::Data(_) => Ok(None),
            answer => Ok(Some(answer)),
        }
    }

    fn part<C: Call>(self, request: impl FnOnce() -> Result<C>) -> Result<C::Reply> {
        part(self.client, self.session, self.operation, request)
    }
}
