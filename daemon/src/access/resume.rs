//! Resume tickets: what an application shows to a daemon that has been started anew, so that its sessions and logins
//! go on. The module keeps the ticket and can neither make nor change one.
//!
//! A ticket is HMAC-SHA-256, under a subkey of the root key, of what follows it. It is good for the process that it was
//! made for alone (user id, process id and start time), until it expires, and brings a login back only while the PIN is
//! the one that was given. Operations and session objects are not in it: they ended with the daemon.

use std::sync::Arc;

use bincode::{Decode, Encode};
use claviger_protocol::{Bytes, codec};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use super::action::SEE_RING;
use super::login;
use super::permit::Permit;
use crate::application::Application;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::record::{KeyRing, Uid};
use crate::kms::time::Time;
use crate::server::Peer;
use crate::session::Session;
use crate::session_table::User;
use crate::token::Token;

/// How long a ticket is good, in milliseconds: 30 days.
const LIFE_MILLIS: u64 = 30 * 24 * 3600 * 1000;
/// Sessions of an application that gets a ticket. Who has more is not one that keeps them for long.
const MAX_SESSIONS: usize = 64;
const MAC_BYTES: usize = 32;

/// Authenticates tickets.
pub struct TicketKey(Zeroizing<[u8; 32]>);

/// What a ticket says.
#[derive(Encode, Decode)]
struct Held {
    process: (u32, i32, u64),
    expires: Time,
    /// Handle, ring, read-write.
    sessions: Vec<(u64, Uid, bool)>,
    /// Ring, security officer, what the PIN was recognised by.
    logins: Vec<(Uid, bool, Option<[u8; 16]>)>,
}

impl TicketKey {
    /// From the root key's subkey for tickets.
    pub fn new(subkey: Zeroizing<[u8; 32]>) -> TicketKey {
        TicketKey(subkey)
    }

    fn mac(&self, text: &[u8]) -> Result<[u8; MAC_BYTES]> {
        let key = PKey::hmac(self.0.as_slice())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.update(text)?;
        let mut mac = [0; MAC_BYTES];
        signer.sign(&mut mac)?;
        Ok(mac)
    }
}

impl Daemon {
    /// The ticket of an application as it is now, behind its number; the number alone for one with too many sessions.
    ///
    /// # Errors
    /// `Internal`.
    pub fn resume_ticket(&self, application: &Application) -> Result<Bytes> {
        // Calls of several threads get theirs in any order, and the module keeps the last.
        let number = application.next_ticket().to_le_bytes();
        let (sessions, logins) = application.table.held();
        if sessions.len() > MAX_SESSIONS {
            return Ok(number[..].into());
        }
        let logins = logins.into_iter().filter_map(|(slot, user)| {
            let token = self.catalog.token(slot)?;
            Some((token.uid, user == User::So, mark(&token.ring(), user)))
        });
        let held = Held {
            process: application.process(),
            expires: Time::now().plus_millis(LIFE_MILLIS),
            sessions: sessions
                .iter()
                .map(|session| (session.handle, session.token.uid, session.read_write))
                .collect(),
            logins: logins.collect(),
        };
        let text = codec::encode(&held).map_err(|_| Error::DeviceMemory)?;
        Ok([&number[..], &self.ticket_key.mac(&text)?, &text].concat().into())
    }

    /// Gives a new application what its ticket says it had.
    ///
    /// # Errors
    /// `SessionHandleInvalid` for a ticket that is forged, another process's or over; `SessionExists` for an
    /// application that has sessions.
    pub fn resume(self: &Arc<Self>, application: &Application, ticket: &[u8]) -> Result<()> {
        let (mac, text) = ticket.split_at_checked(MAC_BYTES).ok_or(Error::SessionHandleInvalid)?;
        if !openssl::memcmp::eq(mac, &self.ticket_key.mac(text)?) {
            return Err(Error::SessionHandleInvalid);
        }
        let held: Held = codec::decode(text).map_err(|_| Error::SessionHandleInvalid)?;
        if held.process != application.process() || held.expires < Time::now() {
            return Err(Error::SessionHandleInvalid);
        }
        let permit =
            |token: &Arc<Token>, action| Permit::new(self, &application.identity, None, token, action);
        let sessions = held.sessions.into_iter().filter_map(|(handle, ring, read_write)| {
            let token = self.catalog.token_of(&ring)?;
            let sight = permit(&token, SEE_RING);
            sight.is_allowed(None).then(|| Session::new(handle, token, read_write, sight))
        });
        let sessions: Vec<Session> = sessions.collect();
        let logins = held.logins.into_iter().filter_map(|(ring, so, mark_then)| {
            let token = self.catalog.token_of(&ring)?;
            let user = if so { User::So } else { User::User };
            let known = mark_then.is_some() && mark(&token.ring(), user) == mark_then
                || login::without_pin(self, &token, &application.identity, user);
            let may = known
                && sessions.iter().any(|session| session.slot == token.slot)
                && permit(&token, "P11.C_Login").is_allowed(None);
            may.then_some((token.slot, user))
        });
        let logins: Vec<_> = logins.collect();
        application.resume(sessions, logins)
    }
}

/// What tells a PIN from those before and after it.
fn mark(ring: &KeyRing, user: User) -> Option<[u8; 16]> {
    let mut ring = KeyRing::clone(ring);
    login::pin_of(&mut ring, user).as_ref().map(|pin| pin.salt())
}

/// User, process and when the process was started, in ticks since the system was (proc(5), `starttime`); 0 where
/// that cannot be seen.
pub fn process(peer: &Peer) -> (u32, i32, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", peer.pid)).unwrap_or_default();
    // The program's name, in parentheses, may hold anything.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let started = after_name.split_whitespace().nth(19).and_then(|ticks| ticks.parse().ok());
    (peer.uid, peer.pid, started.unwrap_or(0))
}
