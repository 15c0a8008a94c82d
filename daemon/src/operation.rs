//! Operations: what a session is in the middle of between an Init and the call that ends it.
//!
//! The rules of PKCS#11 3.2, section 5.2 live here, once for all chapters: a size query and a buffer that is too
//! small leave the operation as it is, any other error ends it; one-shot and multi-part calls do not mix.

use std::sync::Arc;

use claviger_protocol::call::{Output, Room};
use claviger_protocol::flags::mechanism as mechanism_flags;
use claviger_protocol::frame::MAX_DATA_BYTES;
use claviger_protocol::mechanism::{self, MechanismRow};
use claviger_protocol::params::Params;
use claviger_protocol::{Bytes, MechanismType};

use crate::access::permit::Permit;
use crate::crypto::cipher::{Cipher, Direction};
use crate::crypto::digest::Digest;
use crate::crypto::key::Key;
use crate::crypto::sign::Signer;
use crate::crypto::verify::Verifier;
use crate::error::{Error, Result};
use crate::kms::cryptography::{ServiceCipher, ServiceTransform};
use crate::kms::time::Time;
use crate::object::Object;
use crate::sharing::Input;

/// What a session is in the middle of, one of each kind.
#[derive(Default)]
pub struct Operations {
    /// `C_FindObjectsInit`.
    pub find: Option<Find>,
    /// `C_EncryptInit`.
    pub encrypt: Option<CipherOperation>,
    /// `C_DecryptInit`.
    pub decrypt: Option<CipherOperation>,
    /// `C_DigestInit`.
    pub digest: Option<DigestOperation>,
    /// `C_SignInit`.
    pub sign: Option<SignOperation>,
    /// `C_SignRecoverInit`.
    pub sign_recover: Option<SignOperation>,
    /// `C_VerifyInit`.
    pub verify: Option<VerifyOperation>,
    /// `C_VerifyRecoverInit`.
    pub verify_recover: Option<VerifyOperation>,
}

impl Operations {
    /// Ends the operations that `CKF_*` flags name (`C_SessionCancel`).
    pub fn cancel(&mut self, flags: u64) {
        fn end<T>(slot: &mut Option<T>, named: bool) {
            if named {
                *slot = None;
            }
        }
        let named = |flag| flags & flag != 0;
        end(&mut self.find, named(mechanism_flags::FIND_OBJECTS));
        end(&mut self.encrypt, named(mechanism_flags::ENCRYPT));
        end(&mut self.decrypt, named(mechanism_flags::DECRYPT));
        end(&mut self.digest, named(mechanism_flags::DIGEST));
        end(&mut self.sign, named(mechanism_flags::SIGN));
        end(&mut self.sign_recover, named(mechanism_flags::SIGN_RECOVER));
        end(&mut self.verify, named(mechanism_flags::VERIFY));
        end(&mut self.verify_recover, named(mechanism_flags::VERIFY_RECOVER));
    }

    /// True when an operation other than a digest or a search is active, whose state cannot be saved.
    pub fn is_cryptographic_beside_digest(&self) -> bool {
        self.encrypt.is_some()
            || self.decrypt.is_some()
            || self.sign.is_some()
            || self.sign_recover.is_some()
            || self.verify.is_some()
            || self.verify_recover.is_some()
    }

    /// Ends the operations that use a private key object; called at logout.
    pub fn end_private(&mut self) {
        fn end<T>(slot: &mut Option<T>, key: impl Fn(&T) -> &KeyUse) {
            if slot.as_ref().is_some_and(|operation| key(operation).object.is_private()) {
                *slot = None;
            }
        }
        end(&mut self.encrypt, |operation| &operation.key);
        end(&mut self.decrypt, |operation| &operation.key);
        end(&mut self.sign, |operation| &operation.key);
        end(&mut self.sign_recover, |operation| &operation.key);
        end(&mut self.verify, |operation| &operation.key);
        end(&mut self.verify_recover, |operation| &operation.key);
        self.find = None;
    }
}

/// Handles that `C_FindObjects` still has to give.
pub struct Find {
    /// In the order they will be given.
    pub rest: std::collections::VecDeque<u64>,
}

/// Which way an operation is used; the first call after the Init decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Undecided,
    OneShot,
    Parts,
    /// A one-shot call whose data comes in parts.
    Announced,
}

impl Way {
    /// Goes one way, if not yet on the other.
    fn take(&mut self, way: Way) -> Result<()> {
        match (*self, way) {
            (Way::Announced, Way::Parts) => return Ok(()),
            (Way::Undecided | Way::Announced, _) => {}
            (own, way) if own == way => {}
            _ => return Err(Error::OperationActive),
        }
        *self = way;
        Ok(())
    }
}

/// A key in use by an operation: resolved and authorised at Init, asked for its state at every call.
pub struct KeyUse {
    /// The object whose handle was given.
    pub object: Arc<Object>,
    /// The live key.
    pub key: Arc<Key>,
    /// `CKA_ALWAYS_AUTHENTICATE`: waits for a context-specific login.
    pub awaits_login: bool,
    /// Leave to use it, of keys that policies are about.
    pub permit: Option<Permit>,
}

impl KeyUse {
    /// Admits the next call.
    ///
    /// # Errors
    /// `UserNotLoggedIn` while a context-specific login is missing, else what the key's state says.
    pub fn admit(&self) -> Result<()> {
        if self.awaits_login {
            return Err(Error::UserNotLoggedIn);
        }
        if let Some(permit) = &self.permit {
            permit.check(None)?;
        }
        self.object.admit(Time::now())
    }
}

/// The end of an operation's call: still active, or over.
pub enum Step {
    /// The operation goes on.
    Active(Output),
    /// The operation is over.
    Done(Output),
}

/// Runs one call of the operation in `slot`, and ends it as the standard says.
///
/// # Errors
/// `OperationNotInitialized` when there is none, else what the call gives.
pub fn run<T>(slot: &mut Option<T>, call: impl FnOnce(&mut T) -> Result<Step>) -> Result<Output> {
    let operation = slot.as_mut().ok_or(Error::OperationNotInitialized)?;
    match call(operation) {
        Ok(Step::Active(output)) => Ok(output),
        Ok(Step::Done(output)) => {
            *slot = None;
            Ok(output)
        }
        Err(error) => {
            *slot = None;
            Err(error)
        }
    }
}

/// Runs a call that feeds the operation in `slot`; an error ends it.
///
/// # Errors
/// As [`run`].
pub fn update<T>(slot: &mut Option<T>, call: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
    let result = call(slot.as_mut().ok_or(Error::OperationNotInitialized)?);
    if result.is_err() {
        *slot = None;
    }
    result
}

/// An Init with a NULL mechanism: ends the operation in `slot` (PKCS#11 3.0, section 5.8.1). In 2.40 it was an
/// argument missing, and with nothing to end it still is.
///
/// # Errors
/// `ArgumentsBad` when there is none.
pub fn cancel<T>(slot: &mut Option<T>) -> Result<()> {
    slot.take().map(drop).ok_or(Error::ArgumentsBad)
}

/// Ends the operation in `slot` and runs its last call.
///
/// # Errors
/// As [`run`].
pub fn finish<T, R>(slot: &mut Option<T>, call: impl FnOnce(T) -> Result<R>) -> Result<R> {
    call(slot.take().ok_or(Error::OperationNotInitialized)?)
}

/// Answers before any work: a size query, or a buffer that is too small for `needed` bytes.
fn too_little(room: Room, needed: usize) -> Option<Output> {
    match room {
        None => Some(Output::Length(needed as u64)),
        Some(room) if room < needed as u64 => Some(Output::TooSmall(needed as u64)),
        Some(_) => None,
    }
}

/// Longest padding that decryption takes off, in bytes.
const LONGEST_PADDING: usize = 16;

/// Encryption or decryption.
pub struct CipherOperation {
    /// The key.
    pub key: KeyUse,
    direction: Direction,
    row: &'static MechanismRow,
    params: Params,
    /// The key service's own encryption, which is no mechanism of the standard.
    service: Option<Arc<ServiceCipher>>,
    /// None once finished with a result that did not fit.
    cipher: Option<Cipher>,
    way: Way,
    /// The last output, waiting for a buffer that is large enough.
    last: Option<Bytes>,
}

impl CipherOperation {
    /// `C_EncryptInit` and `C_DecryptInit`.
    ///
    /// # Errors
    /// What the parameter or the key's size give.
    pub fn new(
        direction: Direction,
        row: &'static MechanismRow,
        params: Params,
        key: KeyUse,
    ) -> Result<Self> {
        let cipher = Cipher::new(direction, row, &params, key.key.clone())?;
        let (service, cipher) = (None, Some(cipher));
        Ok(Self { key, direction, row, params, service, cipher, way: Way::Undecided, last: None })
    }

    /// `C_EncryptInit` and `C_DecryptInit` with the key service's own encryption.
    pub fn of_service(
        direction: Direction,
        row: &'static MechanismRow,
        service: ServiceCipher,
        key: KeyUse,
    ) -> Self {
        let service = Arc::new(service);
        let cipher = Some(Cipher::of(direction, Box::new(ServiceTransform::new(service.clone()))));
        let (service, params) = (Some(service), Params::None);
        Self { key, direction, row, params, service, cipher, way: Way::Undecided, last: None }
    }

    /// Begins once more.
    fn begin(&self) -> Result<Cipher> {
        match &self.service {
            Some(service) => Ok(Cipher::of(self.direction, Box::new(ServiceTransform::new(service.clone())))),
            None => Cipher::new(self.direction, self.row, &self.params, self.key.key.clone()),
        }
    }

    /// `C_Encrypt` and `C_Decrypt`.
    pub fn one_shot(&mut self, data: &Input<'_>, room: Room) -> Result<Step> {
        self.key.admit()?;
        let again = self.way == Way::Announced;
        self.way.take(Way::OneShot)?;
        let cipher = match self.cipher.take() {
            Some(cipher) if !again => cipher,
            _ => self.begin()?,
        };
        cipher.check_length(data.length())?;
        let bound = cipher.one_shot_length(data.length());
        // Encryption knows its length; decryption has to look.
        let exact = matches!(self.direction, Direction::Encrypt);
        if let Some(answer) = too_little(room, bound)
            && (exact || room.is_none())
        {
            self.cipher = Some(cipher);
            return Ok(Step::Active(answer));
        }
        let (output, length) = match data {
            Input::Frame(data) => {
                let output = cipher.one_shot(data)?;
                let length = output.len();
                (Output::Data(output), length)
            }
            Input::Memory(span) => {
                let length = cipher.one_shot_in(span)?;
                (Output::Placed(length as u64), length)
            }
        };
        match too_little(room, length) {
            Some(answer) => Ok(Step::Active(answer)),
            None => Ok(Step::Done(output)),
        }
    }

    /// Data of more than a frame is to come. Goes on with no output when it may.
    pub fn announce(&mut self, length: u64, one_shot: bool, room: Room) -> Result<Step> {
        self.key.admit()?;
        let length = usize::try_from(length).map_err(|_| Error::DataLenRange)?;
        if !one_shot {
            self.way.take(Way::Parts)?;
            let cipher = self.cipher.as_ref().ok_or(Error::OperationActive)?;
            if !cipher.multi_part() {
                return Err(Error::OperationNotInitialized);
            }
            cipher.check_part(length)?;
            let answer = too_little(room, cipher.update_length(length));
            return Ok(Step::Active(answer.unwrap_or(Output::Data(Bytes::default()))));
        }
        // A second time, because at the end of the first there was too little room.
        let again = self.way == Way::Announced;
        self.way.take(Way::OneShot)?;
        self.last = None;
        let cipher = match self.cipher.take() {
            Some(cipher) if !again => cipher,
            _ => self.begin()?,
        };
        if !cipher.multi_part() {
            return Err(match self.direction {
                Direction::Encrypt => Error::DataLenRange,
                Direction::Decrypt => Error::EncryptedDataLenRange,
            });
        }
        cipher.check_length(length)?;
        let bound = cipher.one_shot_length(length);
        self.cipher = Some(cipher);
        // Decryption may take a padding off, and only the end tells how long it is.
        let least = match self.direction {
            Direction::Encrypt => bound,
            Direction::Decrypt => bound.saturating_sub(LONGEST_PADDING),
        };
        if let Some(answer) = too_little(room, bound)
            && (room.is_none() || too_little(room, least).is_some())
        {
            return Ok(Step::Active(answer));
        }
        self.way = Way::Announced;
        Ok(Step::Active(Output::Data(Bytes::default())))
    }

    /// The output of the end from an offset on, when it is more than a frame.
    pub fn rest(&mut self, offset: u64) -> Result<Step> {
        let last = self.last.as_ref().ok_or(Error::OperationNotInitialized)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| last.get(offset..));
        let rest = rest.ok_or(Error::ArgumentsBad)?;
        let piece = Output::Data(Bytes::from(&rest[..rest.len().min(MAX_DATA_BYTES)]));
        Ok(if rest.len() > MAX_DATA_BYTES { Step::Active(piece) } else { Step::Done(piece) })
    }

    /// `C_EncryptUpdate` and `C_DecryptUpdate`.
    pub fn update(&mut self, part: &Input<'_>, room: Room) -> Result<Step> {
        self.key.admit()?;
        self.way.take(Way::Parts)?;
        let cipher = self.cipher.as_mut().ok_or(Error::OperationActive)?;
        if !cipher.multi_part() {
            return Err(Error::OperationNotInitialized);
        }
        cipher.check_part(part.length())?;
        if let Some(answer) = too_little(room, cipher.update_length(part.length())) {
            return Ok(Step::Active(answer));
        }
        Ok(Step::Active(match part {
            Input::Frame(part) => Output::Data(cipher.update(part)?),
            Input::Memory(span) => Output::Placed(cipher.update_in(span)? as u64),
        }))
    }

    /// `C_EncryptFinal` and `C_DecryptFinal`.
    pub fn last(&mut self, room: Room) -> Result<Step> {
        self.key.admit()?;
        self.way.take(Way::Parts)?;
        if let Some(cipher) = self.cipher.take() {
            if !cipher.multi_part() {
                return Err(Error::OperationNotInitialized);
            }
            cipher.check_end()?;
            if room.is_none() {
                let length = cipher.finish_length() as u64;
                self.cipher = Some(cipher);
                return Ok(Step::Active(Output::Length(length)));
            }
            self.last = Some(cipher.finish()?);
        }
        let length = self.last.as_ref().map_or(0, |last| last.len());
        match too_little(room, length) {
            Some(answer) => Ok(Step::Active(answer)),
            // More than a reply holds: the module fetches it.
            None if length > MAX_DATA_BYTES => Ok(Step::Active(Output::Length(length as u64))),
            None => Ok(Step::Done(Output::Data(self.last.take().unwrap_or_default()))),
        }
    }
}

/// Digesting.
pub struct DigestOperation {
    row: &'static MechanismRow,
    digest: Digest,
    way: Way,
}

impl DigestOperation {
    /// `C_DigestInit`.
    ///
    /// # Errors
    /// What the parameter gives.
    pub fn new(row: &'static MechanismRow, params: &Params) -> Result<Self> {
        Ok(Self { row, digest: Digest::new(row, params)?, way: Way::Undecided })
    }

    /// `C_Digest`.
    pub fn one_shot(&mut self, data: &Input<'_>, room: Room) -> Result<Step> {
        self.way.take(Way::OneShot)?;
        if let Some(answer) = too_little(room, self.digest.length()) {
            return Ok(Step::Active(answer));
        }
        let mut digest = self.digest.try_clone()?;
        data.pieces(|piece| digest.update(piece))?;
        Ok(Step::Done(Output::Data(digest.finish()?)))
    }

    /// Data of more than a frame is to come.
    pub fn announce(&mut self, room: Room) -> Result<Step> {
        self.way.take(Way::OneShot)?;
        if let Some(answer) = too_little(room, self.digest.length()) {
            return Ok(Step::Active(answer));
        }
        self.way = Way::Announced;
        Ok(Step::Active(Output::Data(Bytes::default())))
    }

    /// `C_DigestUpdate`.
    pub fn update(&mut self, part: &Input<'_>) -> Result<()> {
        self.way.take(Way::Parts)?;
        part.pieces(|piece| self.digest.update(piece))
    }

    /// `C_DigestKey`.
    pub fn update_key(&mut self, key: &Key) -> Result<()> {
        self.way.take(Way::Parts)?;
        self.digest.update_key(key)
    }

    /// `C_GetOperationState`: the mechanism's number, then the digest's state.
    pub fn save(&self, room: Room) -> Result<Output> {
        let mut state = self.row.r#type.0.to_le_bytes().to_vec();
        state.extend_from_slice(&self.digest.save()?);
        Ok(too_little(room, state.len()).unwrap_or(Output::Data(state.into())))
    }

    /// `C_SetOperationState`.
    ///
    /// # Errors
    /// `SavedStateInvalid` for anything but a state that was saved here.
    pub fn restore(state: &[u8]) -> Result<Self> {
        let (number, state) = state.split_first_chunk().ok_or(Error::SavedStateInvalid)?;
        let r#type = MechanismType(u64::from_le_bytes(*number));
        let row = mechanism::mechanism(r#type).ok_or(Error::SavedStateInvalid)?;
        Ok(Self { row, digest: Digest::restore(row, state)?, way: Way::Parts })
    }

    /// `C_DigestFinal`.
    pub fn last(&mut self, room: Room) -> Result<Step> {
        self.way.take(Way::Parts)?;
        if let Some(answer) = too_little(room, self.digest.length()) {
            return Ok(Step::Active(answer));
        }
        Ok(Step::Done(Output::Data(self.digest.try_clone()?.finish()?)))
    }
}

/// Signing or MACing, and signing with recovery.
pub struct SignOperation {
    /// The key.
    pub key: KeyUse,
    signer: Option<Signer>,
    way: Way,
}

impl SignOperation {
    /// `C_SignInit` and `C_SignRecoverInit`.
    ///
    /// # Errors
    /// What the parameter or the key's size give.
    pub fn new(row: &'static MechanismRow, params: &Params, key: KeyUse) -> Result<Self> {
        let signer = Signer::new(row, params, key.key.clone())?;
        Ok(Self { key, signer: Some(signer), way: Way::Undecided })
    }

    /// `C_Sign` and `C_SignRecover`.
    pub fn one_shot(&mut self, data: &Input<'_>, room: Room) -> Result<Step> {
        self.key.admit()?;
        self.way.take(Way::OneShot)?;
        self.end(room, |mut signer| match data {
            Input::Memory(span) if signer.multi_part() => {
                span.pieces(|piece| signer.update(piece))?;
                signer.finish()
            }
            data => data.whole(|data| signer.sign(data)),
        })
    }

    /// Data of more than a frame is to come. `DataLenRange` when the mechanism takes all in one part.
    pub fn announce(&mut self, room: Room) -> Result<Step> {
        self.key.admit()?;
        self.way.take(Way::OneShot)?;
        let signer = self.signer.as_ref().ok_or(Error::OperationNotInitialized)?;
        if !signer.multi_part() {
            return Err(Error::DataLenRange);
        }
        if let Some(answer) = too_little(room, signer.length()) {
            return Ok(Step::Active(answer));
        }
        self.way = Way::Announced;
        Ok(Step::Active(Output::Data(Bytes::default())))
    }

    /// `C_SignUpdate`.
    pub fn update(&mut self, part: &Input<'_>) -> Result<()> {
        self.key.admit()?;
        self.way.take(Way::Parts)?;
        let signer = self.signer.as_mut().ok_or(Error::OperationNotInitialized)?;
        if !signer.multi_part() {
            return Err(Error::OperationNotInitialized);
        }
        part.pieces(|piece| signer.update(piece))
    }

    /// `C_SignFinal`.
    pub fn last(&mut self, room: Room) -> Result<Step> {
        self.key.admit()?;
        self.way.take(Way::Parts)?;
        if self.signer.as_ref().is_some_and(|signer| !signer.multi_part()) {
            return Err(Error::OperationNotInitialized);
        }
        self.end(room, Signer::finish)
    }

    fn end(&mut self, room: Room, sign: impl FnOnce(Signer) -> Result<Bytes>) -> Result<Step> {
        let signer = self.signer.take().ok_or(Error::OperationNotInitialized)?;
        if let Some(answer) = too_little(room, signer.length()) {
            self.signer = Some(signer);
            return Ok(Step::Active(answer));
        }
        Ok(Step::Done(Output::Data(sign(signer)?)))
    }
}

/// Verifying, and verifying with recovery.
pub struct VerifyOperation {
    /// The key.
    pub key: KeyUse,
    /// None once data was recovered that did not fit.
    verifier: Option<Verifier>,
    way: Way,
    /// Recovered data, waiting for a buffer that is large enough.
    recovered: Option<Bytes>,
}

impl VerifyOperation {
    /// `C_VerifyInit` and `C_VerifyRecoverInit`.
    ///
    /// # Errors
    /// What the parameter or the key's size give.
    pub fn new(row: &'static MechanismRow, params: &Params, key: KeyUse) -> Result<Self> {
        let verifier = Verifier::new(row, params, key.key.clone())?;
        Ok(Self { key, verifier: Some(verifier), way: Way::Undecided, recovered: None })
    }

    /// `C_Verify`.
    pub fn one_shot(mut self, data: &Input<'_>, signature: &[u8]) -> Result<()> {
        self.key.admit()?;
        self.way.take(Way::OneShot)?;
        let mut verifier = self.verifier()?;
        match data {
            Input::Memory(span) if verifier.multi_part() => {
                span.pieces(|piece| verifier.update(piece))?;
                verifier.finish(signature)
            }
            data => data.whole(|data| verifier.verify(data, signature)),
        }
    }

    /// Data of more than a frame is to come. `DataLenRange` when the mechanism takes all in one part.
    pub fn announce(&mut self) -> Result<Step> {
        self.key.admit()?;
        self.way.take(Way::OneShot)?;
        if !self.verifier.as_ref().is_some_and(Verifier::multi_part) {
            return Err(Error::DataLenRange);
        }
        self.way = Way::Announced;
        Ok(Step::Active(Output::Data(Bytes::default())))
    }

    /// `C_VerifyUpdate`.
    pub fn update(&mut self, part: &Input<'_>) -> Result<()> {
        self.key.admit()?;
        self.way.take(Way::Parts)?;
        let verifier = self.verifier.as_mut().ok_or(Error::OperationNotInitialized)?;
        if !verifier.multi_part() {
            return Err(Error::OperationNotInitialized);
        }
        part.pieces(|piece| verifier.update(piece))
    }

    /// `C_VerifyFinal`.
    pub fn last(mut self, signature: &[u8]) -> Result<()> {
        self.key.admit()?;
        self.way.take(Way::Parts)?;
        let verifier = self.verifier()?;
        if !verifier.multi_part() {
            return Err(Error::OperationNotInitialized);
        }
        verifier.finish(signature)
    }

    /// `C_VerifyRecover`.
    pub fn recover(&mut self, signature: &[u8], room: Room) -> Result<Step> {
        self.key.admit()?;
        if let Some(verifier) = self.verifier.take() {
            self.recovered = Some(verifier.recover(signature)?);
        }
        let length = self.recovered.as_ref().map_or(0, |data| data.len());
        match too_little(room, length) {
            Some(answer) => Ok(Step::Active(answer)),
            None => Ok(Step::Done(Output::Data(self.recovered.take().unwrap_or_default()))),
        }
    }

    fn verifier(&mut self) -> Result<Verifier> {
        self.verifier.take().ok_or(Error::OperationNotInitialized)
    }
}
