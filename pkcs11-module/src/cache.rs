//! What the module may answer alone, and until when.
//!
//! THE RULE. The module makes no decision of its own: it repeats what the daemon has told this application, as long
//! as nothing has happened since it asked that could make the answer another one. Two numbers say so, together the
//! [`Stamp`]:
//!
//! * the *generation*, which the daemon raises in shared memory after every change to a token, key, version or object,
//!   before whoever made the change hears that it is done. A change by an admin or another process is therefore seen
//!   at the next call that begins after it;
//! * the *epoch*, which rises after every call of this application that is not [`is_quiet`]: logins, logouts, changes
//!   and destructions of objects, and every call that nobody has looked at.
//!
//! An answer carries the stamp from before the question was sent; with another stamp, all that is cached is
//! forgotten. Nothing is answered alone unless a connection to the daemon is open ([`Cache`] is told by its caller).
//!
//! What is repeated:
//!
//! * `C_*Init` of the five kinds of [`Kind`], when the daemon has admitted the same mechanism (with a parameter that
//!   is [alike](Params::is_alike)) and the same key on the same slot, and the session has no such operation. The
//!   operation is then *pending*: its Init travels with the one-shot call that follows. Whatever the daemon then finds
//!   that it would have said at Init, because it happened in between, that call says. Any other call sends the
//!   Init first. An Init that was refused is asked again every time.
//! * the length that the daemon has answered to a size query, for the same length of input.
//! * attributes, but none that can be sensitive: secrets are not kept here.
//! * what slots, tokens, mechanisms and sessions say of themselves.
//!
//! Of a search, the first handles come with `C_FindObjectsInit`; giving them out is not repeating, so no
//! stamp ends it. What ends the search in the daemon (logout, close) ends it here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use claviger_protocol::attribute;
use claviger_protocol::call::*;
use claviger_protocol::flags::mechanism;
use claviger_protocol::params::Mechanism;
use claviger_protocol::template::{AttributeReply, Template, Value};
use claviger_protocol::{AttributeType, Result, Rv};

use crate::ptr::Page;

/// An operation whose Init may travel with its one-shot call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `C_EncryptInit`.
    Encrypt,
    /// `C_DecryptInit`.
    Decrypt,
    /// `C_DigestInit`.
    Digest,
    /// `C_SignInit`.
    Sign,
    /// `C_VerifyInit`.
    Verify,
}

impl Kind {
    /// All kinds, each at its number.
    pub const ALL: [Kind; 5] = [Kind::Encrypt, Kind::Decrypt, Kind::Digest, Kind::Sign, Kind::Verify];

    /// Its `CKF_*`, as `C_SessionCancel` takes it.
    pub const fn flag(self) -> u64 {
        match self {
            Kind::Encrypt => mechanism::ENCRYPT,
            Kind::Decrypt => mechanism::DECRYPT,
            Kind::Digest => mechanism::DIGEST,
            Kind::Sign => mechanism::SIGN,
            Kind::Verify => mechanism::VERIFY,
        }
    }
}

/// Calls that make no cached answer wrong and end no pending operation. All others do, until somebody has thought
/// about them.
const QUIET: &[u16] = &[
    GetSlotList::NUMBER,
    GetSlotInfo::NUMBER,
    GetTokenInfo::NUMBER,
    WaitForSlotEvent::NUMBER,
    GetMechanismList::NUMBER,
    GetMechanismInfo::NUMBER,
    OpenSession::NUMBER,
    OpenResumable::NUMBER,
    // A session that takes nothing with it: see `Cache::closed`.
    CloseSession::NUMBER,
    CloseResumable::NUMBER,
    GetSessionInfo::NUMBER,
    CreateObject::NUMBER,
    CopyObject::NUMBER,
    GetObjectSize::NUMBER,
    GetAttributeValue::NUMBER,
    FindObjectsInit::NUMBER,
    FindObjects::NUMBER,
    FindObjectsFinal::NUMBER,
    EncryptInit::NUMBER,
    Encrypt::NUMBER,
    EncryptUpdate::NUMBER,
    EncryptFinal::NUMBER,
    DecryptInit::NUMBER,
    Decrypt::NUMBER,
    DecryptUpdate::NUMBER,
    DecryptFinal::NUMBER,
    DigestInit::NUMBER,
    Digest::NUMBER,
    DigestUpdate::NUMBER,
    DigestKey::NUMBER,
    DigestFinal::NUMBER,
    SignInit::NUMBER,
    Sign::NUMBER,
    SignUpdate::NUMBER,
    SignFinal::NUMBER,
    SignRecoverInit::NUMBER,
    SignRecover::NUMBER,
    VerifyInit::NUMBER,
    Verify::NUMBER,
    VerifyUpdate::NUMBER,
    VerifyFinal::NUMBER,
    VerifyRecoverInit::NUMBER,
    VerifyRecover::NUMBER,
    DigestEncryptUpdate::NUMBER,
    DecryptDigestUpdate::NUMBER,
    SignEncryptUpdate::NUMBER,
    DecryptVerifyUpdate::NUMBER,
    GenerateKey::NUMBER,
    GenerateKeyPair::NUMBER,
    WrapKey::NUMBER,
    UnwrapKey::NUMBER,
    DeriveKey::NUMBER,
    SeedRandom::NUMBER,
    GenerateRandom::NUMBER,
    EncryptOnce::NUMBER,
    DecryptOnce::NUMBER,
    DigestOnce::NUMBER,
    SignOnce::NUMBER,
    VerifyOnce::NUMBER,
    FindFirst::NUMBER,
    Announce::NUMBER,
    Rest::NUMBER,
];

/// Calls that make objects, which may belong to a session and go with it.
const MAKES_OBJECTS: &[u16] = &[
    CreateObject::NUMBER,
    CopyObject::NUMBER,
    GenerateKey::NUMBER,
    GenerateKeyPair::NUMBER,
    UnwrapKey::NUMBER,
    DeriveKey::NUMBER,
];

/// True for a call that makes no cached answer wrong.
pub fn is_quiet(call: u16) -> bool {
    /// [`QUIET`] by number.
    const BY_NUMBER: [bool; 256] = {
        let mut quiet = [false; 256];
        let mut i = 0;
        while i < QUIET.len() {
            quiet[QUIET[i] as usize] = true;
            i += 1;
        }
        quiet
    };
    BY_NUMBER.get(usize::from(call)).copied().unwrap_or(false)
}

/// Most objects whose attributes are kept, and the longest value that is.
const MAX_OBJECTS: usize = 2048;
const MAX_VALUE_BYTES: usize = 1024;
/// Most mechanisms and keys whose Init is known to be admitted, and replies of other kinds.
const MAX_ANSWERS: usize = 4096;
/// Most lengths that are kept of one Init.
const MAX_LENGTHS: usize = 8;

/// When something was asked: see [the rule](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// 0 for none: nothing that was asked then can be kept.
    generation: u64,
    epoch: u64,
}

/// See [the rule](self).
#[derive(Default)]
pub struct Cache {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    page: Option<Page>,
    epoch: u64,
    sessions: HashMap<u64, Session>,
    /// Some object of the application may belong to one of its sessions.
    session_objects: bool,
    /// How many operations are pending in all sessions.
    pending: usize,
    /// Of all that follows.
    stamp: Stamp,
    admitted: HashMap<(u64, Kind, u64), Vec<Admitted>>,
    attributes: HashMap<(u64, u64), Vec<(AttributeType, AttributeReply)>>,
    replies: HashMap<(u16, Vec<u8>), Vec<u8>>,
}

/// A session that the daemon has opened for this application.
struct Session {
    slot: u64,
    operations: [Operation; Kind::ALL.len()],
    /// How many Inits of each kind are with the daemon: while there are any, no operation is known not to be.
    asking: [u32; Kind::ALL.len()],
    /// Rises with everything that touches an operation, so that the end of a call does not undo what came after.
    serial: u64,
    /// What is left of a search, and whether the daemon has more.
    find: Option<(VecDeque<u64>, bool)>,
}

/// What the module knows of an operation of a session.
enum Operation {
    /// There is none.
    None,
    /// The daemon knows.
    Daemon,
    /// Admitted here, and not sent yet.
    Pending(Pending),
    /// Under way with its one-shot call.
    Sent,
    /// It was sent because of another call, and the daemon has refused it: the next call says so.
    Refused(Rv),
}

/// An Init that has not been sent.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its mechanism.
    pub mechanism: Mechanism,
    /// Its key; 0 for a digest.
    pub key: u64,
    /// The application has asked how long the output of its one-shot call will be, so it is not done in parts.
    pub is_sized: bool,
}

/// An Init that the daemon admits.
struct Admitted {
    mechanism: Mechanism,
    /// Length of input, and what the daemon says to a size query.
    lengths: Vec<(u64, u64)>,
}

/// What to do about an Init.
pub enum Begin {
    /// It is admitted and pending.
    Admitted,
    /// The session has such an operation already (`CKR_OPERATION_ACTIVE`).
    Active,
    /// The daemon must say.
    Ask(Asked),
}

/// What [`Cache::begun`] needs to make use of an answer.
pub struct Asked {
    stamp: Stamp,
    serial: u64,
    /// There was no operation before.
    none: bool,
}

/// What to do about a call that may end an operation.
pub enum Whole {
    /// Send it with its Init, and tell [`Cache::settled`].
    WithInit(Pending),
    /// Send it alone, and tell [`Cache::ended`] with this number when it has ended the operation.
    Alone(u64),
    /// The Init that was sent late was refused.
    Refused(Rv),
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A daemon has made this application anew: nothing that was known holds.
    pub fn restart(&self, page: Option<Page>) {
        let mut state = self.lock();
        let epoch = state.epoch + 1;
        *state = State { page, epoch, ..State::default() };
    }

    /// When it is now. To be asked before a question is sent whose answer is to be kept.
    pub fn stamp(&self) -> Stamp {
        self.lock().now()
    }

    /// A call has been answered. One that is not quiet may have changed anything, and begun or ended any operation.
    pub fn answered(&self, call: u16) {
        if !is_quiet(call) {
            self.disturbed();
        } else if MAKES_OBJECTS.contains(&call) {
            self.lock().session_objects = true;
        }
    }

    /// Something has happened that makes what is cached doubtful.
    pub fn disturbed(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        for session in state.sessions.values_mut() {
            for kind in Kind::ALL {
                if matches!(session.operations[kind as usize], Operation::None) {
                    session.set(kind, Operation::Daemon);
                }
            }
        }
    }

    /// The daemon has opened a session.
    pub fn opened(&self, session: u64, slot: u64) {
        let operations = [const { Operation::None }; Kind::ALL.len()];
        let mut state = self.lock();
        state.sessions.insert(
            session,
            Session { slot, operations, asking: [0; Kind::ALL.len()], serial: 0, find: None },
        );
        state.forget_counts(slot);
    }

    /// True when closing a session may take objects with it.
    pub fn has_session_objects(&self) -> bool {
        self.lock().session_objects
    }

    /// A session is to be closed. Gives whether that takes more with it, so that [`Self::disturbed`] is to follow: the
    /// last one on a slot logs out, and any may take objects.
    pub fn closing(&self, session: u64) -> bool {
        let mut state = self.lock();
        let Some(closed) = state.sessions.remove(&session) else { return true };
        state.pending -= closed.pending();
        let is_last = !state.sessions.values().any(|other| other.slot == closed.slot);
        is_last || state.session_objects
    }

    /// A session on this slot, or one that nobody knows, has been closed.
    pub fn closed(&self, slot: Option<u64>) {
        if let Some(slot) = slot {
            self.lock().forget_counts(slot);
        }
    }

    /// All sessions on a slot are to be closed.
    pub fn closing_all(&self, slot: u64) {
        let mut state = self.lock();
        state.sessions.retain(|_, session| session.slot != slot);
        state.pending = state.sessions.values().map(Session::pending).sum();
    }

    /// The slot of a session that the daemon has opened and this application has not closed.
    pub fn slot(&self, session: u64) -> Option<u64> {
        self.lock().sessions.get(&session).map(|session| session.slot)
    }

    /// The user of a slot has logged out, which ends the searches there.
    pub fn logged_out(&self, session: u64) {
        let mut state = self.lock();
        let Some(slot) = state.sessions.get(&session).map(|session| session.slot) else { return };
        for other in state.sessions.values_mut().filter(|other| other.slot == slot) {
            other.find = None;
        }
    }

    /// True while operations are pending.
    pub fn has_pending(&self) -> bool {
        self.lock().pending > 0
    }

    /// Takes all pending operations out. The daemon is to be told of them.
    pub fn take_pending(&self) -> Vec<(u64, Kind, Pending)> {
        let mut state = self.lock();
        let State { sessions, pending, .. } = &mut *state;
        *pending = 0;
        let mut taken = Vec::new();
        for (&session, of) in sessions.iter_mut() {
            for kind in Kind::ALL {
                if let Operation::Pending(one) = &of.operations[kind as usize] {
                    taken.push((session, kind, one.clone()));
                    of.set(kind, Operation::Daemon);
                }
            }
        }
        taken
    }

    /// A call is to be sent that goes on with operations of the kinds that `CKF_*` flags name, in parts. Gives
    /// those that are pending, for the daemon to be told first.
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE` for an operation whose output's length was asked for in one piece, or the
    /// return value of an Init that was sent late. The operation is then over.
    pub fn in_parts(&self, session: u64, flags: u64) -> Result<Vec<(Kind, Pending)>> {
        let mut state = self.lock();
        let State { sessions, pending, .. } = &mut *state;
        let Some(of) = sessions.get_mut(&session) else { return Ok(Vec::new()) };
        let mut taken = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.flag() & flags != 0) {
            match of.take(kind) {
                Operation::None | Operation::Daemon => {}
                Operation::Sent => of.set(kind, Operation::Sent),
                Operation::Refused(rv) => {
                    of.set(kind, Operation::None);
                    return Err(rv);
                }
                Operation::Pending(one) => {
                    *pending -= 1;
                    if one.is_sized {
                        of.set(kind, Operation::None);
                        return Err(Rv::OPERATION_ACTIVE);
                    }
                    taken.push((kind, one));
                }
            }
        }
        Ok(taken)
    }

    /// The daemon has refused an Init that was sent late.
    pub fn refused(&self, session: u64, kind: Kind, rv: Rv) {
        if let Some(session) = self.lock().sessions.get_mut(&session) {
            session.set(kind, Operation::Refused(rv));
        }
    }

    /// An Init. `alive` says whether the daemon can be reached.
    pub fn begin(
        &self,
        kind: Kind,
        session: u64,
        mechanism: &Mechanism,
        key: u64,
        alive: impl FnOnce() -> bool,
    ) -> Begin {
        let mut state = self.lock();
        let now = state.now();
        let State { sessions, admitted, stamp, pending, .. } = &mut *state;
        let Some(session) = sessions.get_mut(&session) else {
            return Begin::Ask(Asked { stamp: now, serial: 0, none: false });
        };
        let none = match session.operations[kind as usize] {
            Operation::Pending(_) | Operation::Sent => return Begin::Active,
            Operation::Daemon => false,
            Operation::Refused(_) | Operation::None => true,
        };
        let known = none
            && session.asking[kind as usize] == 0
            && admitted
                .get(&(session.slot, kind, key))
                .is_some_and(|all| all.iter().any(|one| one.mechanism.is_alike(mechanism)));
        if !known || *stamp != now || now.generation == 0 || !alive() {
            session.set(kind, Operation::Daemon);
            session.asking[kind as usize] += 1;
            return Begin::Ask(Asked { stamp: now, serial: session.serial, none });
        }
        let mechanism = mechanism.clone();
        session.set(kind, Operation::Pending(Pending { mechanism, key, is_sized: false }));
        *pending += 1;
        Begin::Admitted
    }

    /// The daemon has admitted an Init, or refused it.
    pub fn begun(
        &self,
        kind: Kind,
        session: u64,
        mechanism: Mechanism,
        key: u64,
        asked: Asked,
        is_admitted: bool,
    ) {
        let mut state = self.lock();
        let Some(of) = state.sessions.get_mut(&session) else { return };
        let asking = &mut of.asking[kind as usize];
        *asking = asking.saturating_sub(1);
        if !is_admitted {
            if asked.none && of.serial == asked.serial && *asking == 0 {
                of.set(kind, Operation::None);
            }
            return;
        }
        // Whoever ends what was there before does not end this one.
        of.set(kind, Operation::Daemon);
        let slot = of.slot;
        if !state.keeps(asked.stamp) {
            return;
        }
        if state.admitted.len() >= MAX_ANSWERS {
            state.admitted.clear();
        }
        let all = state.admitted.entry((slot, kind, key)).or_default();
        if !all.iter().any(|one| one.mechanism.is_alike(&mechanism)) {
            all.truncate(MAX_LENGTHS);
            all.push(Admitted { mechanism, lengths: Vec::new() });
        }
    }

    /// An Init with a NULL mechanism: true when it ends a pending operation, of which the daemon never hears.
    pub fn cancel(&self, kind: Kind, session: u64) -> bool {
        let mut state = self.lock();
        let Some(of) = state.sessions.get_mut(&session) else { return false };
        match of.operations[kind as usize] {
            Operation::Pending(_) => {
                of.set(kind, Operation::None);
                state.pending -= 1;
                true
            }
            Operation::Sent => false,
            Operation::None | Operation::Daemon | Operation::Refused(_) => {
                of.set(kind, Operation::Daemon);
                false
            }
        }
    }

    /// The length of the output for `length` bytes of input, when the operation is pending and the daemon has said it
    /// before.
    pub fn length(&self, kind: Kind, session: u64, length: u64) -> Option<u64> {
        let mut state = self.lock();
        let now = state.now();
        let State { sessions, admitted, stamp, .. } = &mut *state;
        let session = sessions.get_mut(&session).filter(|_| *stamp == now)?;
        let slot = session.slot;
        let Operation::Pending(pending) = &mut session.operations[kind as usize] else { return None };
        let known = admitted.get(&(slot, kind, pending.key))?;
        let lengths = &known.iter().find(|one| one.mechanism.is_alike(&pending.mechanism))?.lengths;
        let answer = lengths.iter().find(|(input, _)| *input == length)?.1;
        pending.is_sized = true;
        Some(answer)
    }

    /// The daemon's answer to a size query that was asked at `asked`.
    pub fn learn_length(
        &self,
        kind: Kind,
        session: u64,
        begun: &Pending,
        length: u64,
        answer: u64,
        asked: Stamp,
    ) {
        let mut state = self.lock();
        if !state.keeps(asked) {
            return;
        }
        let Some(slot) = state.sessions.get(&session).map(|session| session.slot) else { return };
        let Some(all) = state.admitted.get_mut(&(slot, kind, begun.key)) else { return };
        let Some(one) = all.iter_mut().find(|one| one.mechanism.is_alike(&begun.mechanism)) else { return };
        if !one.lengths.iter().any(|(input, _)| *input == length) {
            one.lengths.truncate(MAX_LENGTHS);
            one.lengths.push((length, answer));
        }
    }

    /// A call that does an operation whole, or ends it.
    pub fn whole(&self, kind: Kind, session: u64) -> Whole {
        let mut state = self.lock();
        let State { sessions, pending, .. } = &mut *state;
        let Some(session) = sessions.get_mut(&session) else { return Whole::Alone(0) };
        match session.take(kind) {
            Operation::Pending(one) => {
                *pending -= 1;
                session.set(kind, Operation::Sent);
                Whole::WithInit(one)
            }
            Operation::Sent => {
                // Another thread's call is under way: the daemon says who is first.
                session.set(kind, Operation::Sent);
                Whole::Alone(0)
            }
            Operation::Refused(rv) => {
                session.set(kind, Operation::None);
                Whole::Refused(rv)
            }
            Operation::None | Operation::Daemon => Whole::Alone(session.serial),
        }
    }

    /// A call has been answered that went with its Init: the operation is over, or the daemon has it.
    pub fn settled(&self, kind: Kind, session: u64, is_over: bool) {
        if let Some(session) = self.lock().sessions.get_mut(&session)
            && matches!(session.operations[kind as usize], Operation::Sent)
        {
            session.set(kind, if is_over { Operation::None } else { Operation::Daemon });
        }
    }

    /// The call of this number has ended its operation, if nothing has come after it.
    pub fn ended(&self, kind: Kind, session: u64, serial: u64) {
        if let Some(session) = self.lock().sessions.get_mut(&session)
            && session.serial == serial
            && session.asking[kind as usize] == 0
        {
            session.operations[kind as usize] = Operation::None;
        }
    }

    /// The attributes of an object, when all are known.
    pub fn attributes(
        &self,
        session: u64,
        object: u64,
        types: &[AttributeType],
        alive: impl FnOnce() -> bool,
    ) -> Option<Vec<AttributeReply>> {
        let mut state = self.lock();
        state.forget_old();
        let slot = state.sessions.get(&session)?.slot;
        let known = state.attributes.get(&(slot, object))?;
        let find = |r#type: &AttributeType| Some(known.iter().find(|(t, _)| t == r#type)?.1.clone());
        let replies = types.iter().map(find).collect::<Option<Vec<_>>>()?;
        alive().then_some(replies)
    }

    /// The daemon's answer about attributes that were asked at `asked`.
    pub fn learn_attributes(
        &self,
        session: u64,
        object: u64,
        values: impl IntoIterator<Item = (AttributeType, AttributeReply)>,
        asked: Stamp,
    ) {
        let mut state = self.lock();
        if !state.keeps(asked) {
            return;
        }
        let Some(slot) = state.sessions.get(&session).map(|session| session.slot) else { return };
        if state.attributes.len() >= MAX_OBJECTS {
            state.attributes.clear();
        }
        let known = state.attributes.entry((slot, object)).or_default();
        for (r#type, value) in values {
            if is_open(r#type) && is_short(&value) && !known.iter().any(|(other, _)| *other == r#type) {
                known.push((r#type, value));
            }
        }
    }

    /// A search has begun: its first handles and their attributes.
    pub fn found(&self, session: u64, found: Found, asked: Stamp) {
        let handles = found.objects.iter().map(|(handle, _)| *handle).collect();
        if let Some(session) = self.lock().sessions.get_mut(&session) {
            session.find = Some((handles, found.more));
        }
        for (object, template) in found.objects {
            self.learn_attributes(session, object, replies(template), asked);
        }
    }

    /// True while a search is known here.
    pub fn is_finding(&self, session: u64) -> bool {
        self.lock().sessions.get(&session).is_some_and(|session| session.find.is_some())
    }

    /// Up to `max` handles of a search, and whether the daemon has more. None when the search is not known here.
    pub fn next_found(&self, session: u64, max: u64) -> Option<(Vec<u64>, bool)> {
        let mut state = self.lock();
        let (handles, more) = state.sessions.get_mut(&session)?.find.as_mut()?;
        let count = handles.len().min(usize::try_from(max).unwrap_or(usize::MAX));
        Some((handles.drain(..count).collect(), *more))
    }

    /// Ends a search. Gives whether the daemon knows of it; None when it is not known here.
    pub fn end_find(&self, session: u64) -> Option<bool> {
        let mut state = self.lock();
        state.sessions.get_mut(&session)?.find.take().map(|(_, more)| more)
    }

    /// The encoded reply to an encoded call, when it is known; of a session only while that is open.
    pub fn reply(
        &self,
        call: u16,
        request: &[u8],
        session: Option<u64>,
        alive: impl FnOnce() -> bool,
    ) -> Option<Vec<u8>> {
        let mut state = self.lock();
        state.forget_old();
        if session.is_some_and(|session| !state.sessions.contains_key(&session)) {
            return None;
        }
        let reply = state.replies.get(&(call, request.to_vec()))?.clone();
        alive().then_some(reply)
    }

    /// The daemon's reply to a call that was sent at `asked`.
    pub fn learn_reply(&self, call: u16, request: Vec<u8>, reply: Vec<u8>, asked: Stamp) {
        let mut state = self.lock();
        if state.keeps(asked) {
            if state.replies.len() >= MAX_ANSWERS {
                state.replies.clear();
            }
            state.replies.insert((call, request), reply);
        }
    }
}

impl State {
    fn now(&self) -> Stamp {
        let generation = self.page.as_ref().map_or(0, Page::generation);
        Stamp { generation, epoch: self.epoch }
    }

    /// Forgets what no longer holds.
    fn forget_old(&mut self) {
        let now = self.now();
        if self.stamp != now {
            self.stamp = now;
            self.admitted.clear();
            self.attributes.clear();
            self.replies.clear();
        }
    }

    /// True when an answer that was asked at `asked` may be kept: nothing has changed since.
    fn keeps(&mut self, asked: Stamp) -> bool {
        self.forget_old();
        asked == self.stamp && asked.generation != 0
    }

    /// The token's information has the number of sessions in it.
    fn forget_counts(&mut self, slot: u64) {
        if !self.replies.is_empty() {
            self.replies.remove(&(GetTokenInfo::NUMBER, slot.to_le_bytes().to_vec()));
        }
    }
}

impl Session {
    fn set(&mut self, kind: Kind, operation: Operation) {
        self.operations[kind as usize] = operation;
        self.serial += 1;
    }

    /// What is known of an operation, which the daemon has from now on.
    fn take(&mut self, kind: Kind) -> Operation {
        self.serial += 1;
        std::mem::replace(&mut self.operations[kind as usize], Operation::Daemon)
    }

    fn pending(&self) -> usize {
        self.operations.iter().filter(|operation| matches!(operation, Operation::Pending(_))).count()
    }
}

/// True for attributes that no object hides, and that nothing changes by itself (a clock's value does).
pub fn is_open(r#type: AttributeType) -> bool {
    r#type != AttributeType::VALUE && !attribute::may_be_sensitive(r#type)
}

fn is_short(value: &AttributeReply) -> bool {
    match value {
        AttributeReply::Value(Value::Bytes(bytes)) => bytes.len() <= MAX_VALUE_BYTES,
        AttributeReply::Value(Value::Template(_) | Value::Mechanisms(_)) => false,
        _ => true,
    }
}

fn replies(template: Template) -> impl Iterator<Item = (AttributeType, AttributeReply)> {
    template.into_iter().map(|attribute| (attribute.r#type, AttributeReply::Value(attribute.value)))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
