//! The application's link to the daemon, from `C_Initialize` to `C_Finalize`: connections, one per thread that
//! calls at the same time, all of one application.
//!
//! When the daemon goes away, a call that was sent and not answered is `CKR_DEVICE_ERROR`; the next one looks
//! for the daemon again, for [`RESTART_PATIENCE`] if it has been there before, and says `CKR_DEVICE_REMOVED` when there
//! is none; later ones look once, until it is back. A daemon that has forgotten the
//! application makes a new one, and gives it its sessions and logins back by the ticket that
//! [`Client::keep_resumption`] kept; operations in the middle and session objects are gone.

use std::time::{Duration, Instant};

use claviger_protocol::call::{
    Bulk, Call, CreateObject, DeriveKey, Finalize, GenerateKey, GenerateKeyPair, GetResumption, Output,
    Resume, UnwrapKey,
};
use claviger_protocol::codec::{self, Malformed};
use claviger_protocol::frame::ApplicationTicket;
use claviger_protocol::{Bytes, Result, Rv};

use crate::abi::operation;
use crate::cache::{self, Cache};
use crate::connection::{Connection, Failure};
use crate::pool::{Joined, Pool};
use crate::ptr::{Filled, In, Out, Page};
use crate::socket::{Address, Socket, SocketTable};
use crate::sync::{Arc, Mutex, lock};

/// How long a reply may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a reply may take that waits for prime numbers.
const MAKE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long calls wait for a daemon that was there, from when the first of them misses it: it may be starting anew.
const RESTART_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks for it.
const RESTART_STEP: Duration = Duration::from_millis(20);
/// How long `C_Finalize` waits for the daemon to say that it has heard.
const FINALIZE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a daemon answers to the ticket of an application that it does not know, or no longer.
const UNKNOWN_APPLICATION: Rv = Rv::CRYPTOKI_NOT_INITIALIZED;

/// See the module's documentation.
pub struct Client {
    address: Address,
    /// Where this process records its sockets.
    table: &'static SocketTable,
    /// Closed when `C_Finalize` has begun.
    pool: Pool<Connection>,
    /// What may be answered without the daemon.
    pub cache: Cache,
    /// Brings sessions and logins back when the daemon has been started anew.
    resumption: Mutex<Resumption>,
    /// A daemon has been there, and since when none is.
    presence: Mutex<Presence>,
}

#[derive(Default)]
struct Presence {
    met: bool,
    missed_since: Option<Instant>,
}

/// What brings sessions and logins back.
#[derive(Default)]
struct Resumption {
    /// The number of the state of the application that the ticket is of; 0 before the first.
    number: u64,
    ticket: Option<Bytes>,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(address: Address, table: &'static SocketTable) -> Self {
        Self {
            address,
            table,
            pool: Pool::new(),
            cache: Cache::default(),
            resumption: Mutex::default(),
            presence: Mutex::default(),
        }
    }

    /// Connects ahead of the first call, if the daemon is there.
    pub fn warm(&self) {
        if let Ok(connection) = self.connect() {
            self.give_back(connection);
        }
    }

    /// Sends a call and gives its reply. Pending operations are sent before any call that they might not outlive.
    ///
    /// # Errors
    /// What the daemon answers; `CKR_DEVICE_REMOVED` when it cannot be reached, `CKR_DEVICE_ERROR` when it did
    /// not answer or not sensibly, `CKR_DATA_LEN_RANGE` for a request over the limit, and
    /// `CKR_CRYPTOKI_NOT_INITIALIZED` when `C_Finalize` came between.
    pub fn call<C: Call>(&self, call: &C) -> Result<C::Reply> {
        self.send_pending_before(C::NUMBER);
        let result = self.send(call);
        self.cache.answered(C::NUMBER);
        result
    }

    /// As [`Self::call`], for a question whose answer holds until something happens. `session` is the session that
    /// it is about.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn ask<C: Call>(&self, call: &C, session: Option<u64>) -> Result<C::Reply> {
        let request = codec::encode(call).map_err(|Malformed| Rv::DATA_LEN_RANGE)?;
        if let Some(reply) = self.cache.reply(C::NUMBER, &request, session, || self.is_alive()) {
            return codec::decode(&reply).map_err(|Malformed| Rv::DEVICE_ERROR);
        }
        let asked = self.cache.stamp();
        let reply = self.call(call)?;
        if let Ok(encoded) = codec::encode(&reply) {
            self.cache.learn_reply(C::NUMBER, request, encoded, asked);
        }
        Ok(reply)
    }

    /// Keeps what brings the sessions and logins back as they are now, should the daemon be started anew. Called
    /// after each change of them. Without it they would end with the daemon, which is no error.
    pub fn keep_resumption(&self) {
        self.keep_ticket(self.send(&GetResumption { session: 0 }).unwrap_or_default());
    }

    /// As [`Self::keep_resumption`], with the ticket that came with the change, behind its number. Of two that come at the
    /// same time the one with the higher number stays; without a number there was none to be had.
    pub fn keep_ticket(&self, numbered: Bytes) {
        let mut kept = lock(&self.resumption);
        match numbered.split_first_chunk::<8>() {
            Some((number, ticket)) => {
                let number = u64::from_le_bytes(*number);
                if number > kept.number {
                    *kept = Resumption { number, ticket: Some(ticket.into()).filter(|_| !ticket.is_empty()) };
                }
            }
            None => kept.ticket = None,
        }
    }

    /// Goes on in a new application where a daemon before this one stopped. A ticket is tried once.
    fn resume(&self, mut connection: Connection) -> Result<Connection> {
        // The new application counts anew.
        let Some(ticket) = std::mem::take(&mut *lock(&self.resumption)).ticket else { return Ok(connection) };
        let resume = Resume { ticket };
        let encode = |buffer: &mut Vec<u8>| codec::encode_into(&resume, buffer);
        match connection.exchange(Resume::NUMBER, Some(REPLY_TIMEOUT), &encode) {
            Ok(rv) => {
                connection.rest();
                if rv == Rv::OK {
                    lock(&self.resumption).ticket.get_or_insert(resume.ticket);
                }
                Ok(connection)
            }
            Err(_) => Err(Rv::DEVICE_REMOVED),
        }
    }

    /// Sends a call whose output goes to the application's buffer, without a copy between.
    ///
    /// # Errors
    /// As [`Self::call`], and as [`Out::write`].
    pub fn fill<C: Call<Reply = Output>>(&self, call: &C, out: Out) -> Result<Filled> {
        self.send_pending_before(C::NUMBER);
        let encode = |buffer: &mut Vec<u8>| codec::encode_into(call, buffer);
        let result = self.exchange(C::NUMBER, Some(timeout(C::NUMBER)), &encode).and_then(|connection| {
            let filled = codec::decode_in_place(connection.body()).map(|output| out.write(output, None));
            // A connection whose peer talks nonsense is dropped.
            let filled = filled.map_err(|Malformed| Rv::DEVICE_ERROR)?;
            self.give_back(connection);
            filled
        });
        self.cache.answered(C::NUMBER);
        result
    }

    /// As [`Self::call`], for a call with long data, which `call` is still without.
    ///
    /// # Errors
    /// As [`Self::call`], and as [`In::bytes`].
    pub fn feed<C: Bulk<Reply = ()>>(&self, call: C, data: In) -> Result<()> {
        self.with_data(call, data, |connection| codec::decode(connection.body()).map(Ok))
    }

    /// As [`Self::fill`], for a call with long data, which `call` is still without.
    ///
    /// # Errors
    /// As [`Self::fill`], and as [`In::bytes`].
    pub fn fill_with<C: Bulk<Reply = Output>>(&self, call: C, data: In, out: Out) -> Result<Filled> {
        self.with_data(call, data, |connection| {
            codec::decode_in_place(connection.body()).map(|output| out.write(output, connection.memory()))
        })
    }

    /// As [`Self::fill_with`], behind `written` bytes of output: see [`Out::put`].
    ///
    /// # Errors
    /// As [`Self::fill`], and as [`In::bytes`].
    pub fn put_with<C: Bulk<Reply = Output>>(
        &self,
        call: C,
        data: In,
        out: &mut Out,
        written: u64,
    ) -> Result<Option<u64>> {
        self.with_data(call, data, |connection| {
            let output = codec::decode_in_place(connection.body());
            output.map(|output| out.put(written, output, connection.memory()))
        })
    }

    /// Sends a call with its data, and has `read` look at the reply.
    fn with_data<C: Bulk, T>(
        &self,
        mut call: C,
        data: In,
        read: impl FnOnce(&Connection) -> std::result::Result<Result<T>, Malformed>,
    ) -> Result<T> {
        data.check()?;
        self.send_pending_before(C::NUMBER);
        let timeout = Some(timeout(C::NUMBER));
        let exchanged = self.exchange_by(|connection| connection.exchange_data(&mut call, data, timeout));
        let result = exchanged.and_then(|connection| {
            // A connection whose peer talks nonsense is dropped.
            let result = read(&connection).map_err(|Malformed| Rv::DEVICE_ERROR)?;
            self.give_back(connection);
            result
        });
        self.cache.answered(C::NUMBER);
        result
    }

    /// True when an idle connection says that the daemon is there and still knows this application.
    pub fn is_alive(&self) -> bool {
        self.pool.has_idle(Connection::is_idle)
    }

    fn send_pending_before(&self, call: u16) {
        if !cache::is_quiet(call) && self.cache.has_pending() {
            operation::send_pending(self);
        }
    }

    fn send<C: Call>(&self, call: &C) -> Result<C::Reply> {
        let encode = |buffer: &mut Vec<u8>| codec::encode_into(call, buffer);
        let connection = self.exchange(C::NUMBER, Some(timeout(C::NUMBER)), &encode)?;
        self.decode::<C>(connection)
    }

    /// Sends a call that may take for ever (`C_WaitForSlotEvent`), on a connection of its own that
    /// [`Self::close`] shuts down.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn wait<C: Call>(&self, call: &C) -> Result<C::Reply> {
        let mut connection = self.connect()?;
        let socket = Arc::clone(connection.socket());
        let encode = |buffer: &mut Vec<u8>| codec::encode_into(call, buffer);
        let outcome = self.pool.wait(&socket, || connection.exchange(C::NUMBER, None, &encode));
        drop(socket);
        let outcome = outcome.ok_or(Rv::CRYPTOKI_NOT_INITIALIZED)?;
        let connection = self.settle(connection, outcome)?;
        self.decode::<C>(connection)
    }

    /// Ends the application: wakes who waits, tells the daemon, closes what is idle. Calls that other threads
    /// are in the middle of close their connections themselves.
    pub fn close(&self) {
        let mut idle = self.pool.close();
        let connection = idle.pop().or_else(|| {
            // All connections are in use or lost: a new one, if the daemon still knows the application.
            let ticket = self.pool.ticket()?;
            self.join(Some(&ticket)).ok().map(|joined| joined.connection)
        });
        if let Some(mut connection) = connection {
            let encode = |buffer: &mut Vec<u8>| codec::encode_into(&Finalize {}, buffer);
            // Without an answer the daemon ends the application when its last connection closes.
            let _ = connection.exchange(Finalize::NUMBER, Some(FINALIZE_TIMEOUT), &encode);
        }
    }

    fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    fn exchange(
        &self,
        call: u16,
        timeout: Option<Duration>,
        encode: &dyn Fn(&mut Vec<u8>) -> std::result::Result<(), Malformed>,
    ) -> Result<Connection> {
        self.exchange_by(|connection| Ok(connection.exchange(call, timeout, encode)))
    }

    /// One exchange, with a second try when the daemon has not got the first: it was restarted while the
    /// connection was idle. An error says that there was none.
    fn exchange_by(
        &self,
        mut exchange: impl FnMut(&mut Connection) -> Result<std::result::Result<Rv, Failure>>,
    ) -> Result<Connection> {
        let mut connection = match self.pool.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let mut outcome = exchange(&mut connection);
        if outcome == Ok(Err(Failure::NotSent)) && !self.is_closed() {
            connection = self.connect()?;
            outcome = exchange(&mut connection);
        }
        match outcome {
            Ok(outcome) => self.settle(connection, outcome),
            Err(rv) => {
                self.give_back(connection);
                Err(rv)
            }
        }
    }

    /// Turns an exchange into a connection that holds a reply's body, or into what to tell the application.
    fn settle(
        &self,
        connection: Connection,
        outcome: std::result::Result<Rv, Failure>,
    ) -> Result<Connection> {
        let rv = match outcome {
            Ok(Rv::OK) => return Ok(connection),
            Ok(rv) => rv,
            Err(Failure::TooLong) => Rv::DATA_LEN_RANGE,
            Err(_) if self.is_closed() => return Err(Rv::CRYPTOKI_NOT_INITIALIZED),
            Err(Failure::NotSent) => return Err(Rv::DEVICE_REMOVED),
            Err(Failure::Lost) => return Err(Rv::DEVICE_ERROR),
        };
        self.give_back(connection);
        Err(rv)
    }

    fn decode<C: Call>(&self, connection: Connection) -> Result<C::Reply> {
        let reply = codec::decode(connection.body());
        // A connection whose peer talks nonsense is dropped.
        let reply = reply.map_err(|Malformed| Rv::DEVICE_ERROR)?;
        self.give_back(connection);
        Ok(reply)
    }

    fn give_back(&self, mut connection: Connection) {
        connection.rest();
        self.pool.give_back(connection);
    }

    /// A new connection of this application; waits a little for a daemon that was there before.
    fn connect(&self) -> Result<Connection> {
        loop {
            let connected = self.connect_now();
            let mut presence = lock(&self.presence);
            match &connected {
                Err(Rv::DEVICE_REMOVED) if presence.met => {
                    let since = *presence.missed_since.get_or_insert_with(Instant::now);
                    drop(presence);
                    if since.elapsed() >= RESTART_PATIENCE {
                        return connected;
                    }
                    // No lock is held: `close` comes through.
                    std::thread::sleep(RESTART_STEP);
                }
                Ok(_) => {
                    *presence = Presence { met: true, missed_since: None };
                    return connected;
                }
                Err(_) => return connected,
            }
        }
    }

    /// A new connection of this application, which a daemon that does not know it makes anew.
    fn connect_now(&self) -> Result<Connection> {
        if self.is_closed() {
            return Err(Rv::CRYPTOKI_NOT_INITIALIZED);
        }
        let begin = |connection, page| {
            self.cache.restart(page);
            self.resume(connection)
        };
        self.pool.connect(|ticket| self.join(ticket), |rv| *rv == UNKNOWN_APPLICATION, begin)
    }

    /// Connects and says hello.
    fn join(&self, ticket: Option<&ApplicationTicket>) -> Result<Joined<Connection, Option<Page>>> {
        let socket = Socket::connect(&self.address, self.table).map_err(|_| Rv::DEVICE_REMOVED)?;
        let (connection, ticket, with) = Connection::open(socket, ticket)?;
        Ok(Joined { connection, ticket, with })
    }
}

fn timeout(call: u16) -> Duration {
    match call {
        GenerateKey::NUMBER
        | GenerateKeyPair::NUMBER
        | CreateObject::NUMBER
        | UnwrapKey::NUMBER
        | DeriveKey::NUMBER => MAKE_TIMEOUT,
        _ => REPLY_TIMEOUT,
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub mod tests;
