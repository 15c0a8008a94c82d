//! Key rings: creating them by the admin or by `C_InitToken`, and changing them.

use std::sync::Arc;

use claviger_protocol::ObjectClass;

use super::load::COUNTERS;
use super::record::{KeyRing, P11Destroy, P11Reinit, Profile, RingName, Rules, Uid};
use super::state::Transition;
use super::time::Time;
use super::transitions::check_etag;
use crate::access::pin::PinVerifier;
use crate::access::policies::Created;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::object::Home;
use crate::store::{Change, Tree};
use crate::token::Token;

/// Longest token label, in bytes (`CK_TOKEN_INFO.label`).
const MAX_LABEL_BYTES: usize = 32;

/// What a new ring is to be.
pub struct NewRing<'a> {
    /// Its name.
    pub name: RingName,
    /// Label of the token, without padding; the ring's id when absent.
    pub token_label: Option<Vec<u8>>,
    /// Token profile.
    pub profile: Profile,
    /// What `C_DestroyObject` does.
    pub p11_destroy: P11Destroy,
    /// What else applications may do and see.
    pub rules: Rules,
    /// The security officer's PIN.
    pub so_pin: Option<&'a [u8]>,
    /// The user's PIN.
    pub user_pin: Option<&'a [u8]>,
    /// The slot it must get; none takes the free one, whichever it is by then.
    pub slot: Option<u64>,
}

/// What of a ring an admin changes. Absent parts stay.
#[derive(Default)]
pub struct RingUpdate {
    /// Label of the token.
    pub token_label: Option<Vec<u8>>,
    /// Token profile.
    pub profile: Option<Profile>,
    /// What `C_DestroyObject` does.
    pub p11_destroy: Option<P11Destroy>,
    /// What else applications may do and see.
    pub rules: Option<Rules>,
    /// PINs.
    pub pins: Option<NewPins>,
}

/// PINs that an admin gives a token, whatever they were. An absent one stays.
#[derive(Default)]
pub struct NewPins {
    /// The security officer's.
    pub so: Option<PinVerifier>,
    /// The user's.
    pub user: Option<PinVerifier>,
}

/// Judges a token label.
///
/// # Errors
/// `InvalidArgument`.
fn check_label(label: &[u8]) -> Result<()> {
    if label.len() > MAX_LABEL_BYTES {
        let message = format!("a token label has at most {MAX_LABEL_BYTES} bytes");
        return Err(Error::InvalidArgument { message });
    }
    Ok(())
}

/// 16 random bytes.
pub fn new_uid() -> Result<Uid> {
    let mut uid = [0; 16];
    crate::crypto::random::fill(&mut uid)?;
    Ok(uid)
}

impl Daemon {
    /// Creates a ring in the free slot.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, `InvalidArgument` for a label that is too long, `PinLenRange`.
    pub fn create_ring(&self, new: NewRing<'_>) -> Result<Arc<Token>> {
        self.create_ring_by(new, None)
    }

    /// As [`Daemon::create_ring`], for somebody who gets the rights of its creator.
    ///
    /// # Errors
    /// As of [`Daemon::create_ring`].
    pub fn create_ring_by(&self, new: NewRing<'_>, creator: Option<u32>) -> Result<Arc<Token>> {
        let token_label = new.token_label.unwrap_or_else(|| new.name.id.clone().into_bytes());
        check_label(&token_label)?;
        let verifier = |pin| PinVerifier::new(pin, new.profile, &self.pepper);
        let (so_pin, user_pin) =
            (new.so_pin.map(verifier).transpose()?, new.user_pin.map(verifier).transpose()?);
        let mut serial = [0; 8];
        crate::crypto::random::fill(&mut serial)?;

        let _writer = self.catalog.write();
        let mut counters = self.catalog.counters();
        if new.slot.is_some_and(|slot| slot != counters.next_slot) {
            return Err(Error::SlotIdInvalid);
        }
        if self.catalog.ring(&new.name).is_ok() {
            return Err(Error::AlreadyExists { resource: new.name.to_string() });
        }
        let ring = KeyRing {
            uid: new_uid()?,
            name: new.name,
            token_label,
            token_serial: serial.iter().map(|byte| format!("{byte:02x}")).collect(),
            slot: counters.next_slot,
            profile: new.profile,
            p11_destroy: new.p11_destroy,
            rules: new.rules,
            so_pin,
            user_pin,
            create_time: Time::now(),
            etag: 1,
        };
        counters.next_slot += 1;
        let mut change = Change::new();
        change.put(Tree::KeyRing, ring.uid, &ring)?;
        change.put(Tree::Meta, COUNTERS, &counters)?;
        let created = Created::by(ring.name.to_string(), creator);
        created.write(&mut change)?;
        self.records.commit(change)?;

        created.put(&self.access);
        self.catalog.set_counters(counters);
        let token = Arc::new(Token::new(ring));
        self.catalog.insert_ring(token.clone());
        self.applications.ring();
        Ok(token)
    }

    /// Changes a ring's record; `change` may refuse.
    ///
    /// # Errors
    /// What `change` gives, and what the store says.
    pub fn change_ring<T>(&self, token: &Token, change: impl FnOnce(&mut KeyRing) -> Result<T>) -> Result<T> {
        self.change_ring_quietly(token, |ring| {
            ring.etag += 1;
            change(ring)
        })
    }

    /// As [`Daemon::change_ring`], for what happens by itself and is no change of the ring: counts of wrong PINs.
    ///
    /// # Errors
    /// As of [`Daemon::change_ring`].
    pub fn change_ring_quietly<T>(
        &self,
        token: &Token,
        change: impl FnOnce(&mut KeyRing) -> Result<T>,
    ) -> Result<T> {
        let _writer = self.catalog.write();
        let mut ring = KeyRing::clone(&token.ring());
        let result = change(&mut ring)?;
        let mut batch = Change::new();
        batch.put(Tree::KeyRing, ring.uid, &ring)?;
        self.records.commit(batch)?;
        token.replace_ring(ring);
        Ok(result)
    }
}

impl Daemon {
    /// `keyrings update`: all of it or nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for a label that is too long, `Aborted` for another etag, what the store says.
    pub fn update_ring(&self, token: &Token, etag: Option<u64>, update: RingUpdate) -> Result<()> {
        self.change_ring(token, |ring| {
            check_etag(etag, ring.etag)?;
            if let Some(label) = update.token_label {
                check_label(&label)?;
                ring.token_label = label;
            }
            ring.profile = update.profile.unwrap_or(ring.profile);
            ring.p11_destroy = update.p11_destroy.unwrap_or(ring.p11_destroy);
            ring.rules = update.rules.unwrap_or(ring.rules);
            let NewPins { so, user } = update.pins.unwrap_or_default();
            ring.so_pin = so.or(ring.so_pin.take());
            ring.user_pin = user.or(ring.user_pin.take());
            Ok(())
        })
    }
}

/// Ids of rings that `C_InitToken` makes begin with this.
const PKCS11_RING: &str = "token-";

impl Daemon {
    /// `C_InitToken` on the free slot: a new ring named after the label, with a security officer's PIN.
    ///
    /// # Errors
    /// As [`Daemon::create_ring`]; `SlotIdInvalid` when another application has just taken the slot.
    pub fn init_free_token(
        &self,
        slot: u64,
        so_pin: &[u8],
        token_label: Vec<u8>,
        creator: u32,
    ) -> Result<Arc<Token>> {
        let location = self.settings.default_location().to_owned();
        let name = |id: String| RingName { project: "local".to_owned(), location: location.clone(), id };
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
        let mut id: String = String::from_utf8_lossy(&token_label).chars().map(legal).take(50).collect();
        let uid = crate::object::HexUid::from(&new_uid()?).0;
        if id.is_empty() {
            id = format!("{PKCS11_RING}{}", &uid[..8]);
        }
        if self.catalog.ring(&name(id.clone())).is_ok() {
            id = format!("{id}-{}", &uid[..8]);
        }
        let new = NewRing {
            name: name(id),
            token_label: Some(token_label),
            profile: Profile::Standard,
            p11_destroy: P11Destroy::Schedule,
            rules: Rules::default(),
            so_pin: Some(so_pin),
            user_pin: None,
            slot: Some(slot),
        };
        self.create_ring_by(new, Some(creator))
    }

    /// `C_InitToken` on a token: with the right SO PIN and no session open anywhere, all its keys are scheduled
    /// for destruction, its other objects go, the user PIN is cleared and the label is the new one. The ring,
    /// its slot and serial number stay, and the admin can restore the keys.
    ///
    /// # Errors
    /// `SessionExists`, `ActionProhibited` when the ring forbids it, `PinIncorrect`, `PinLocked`, and what the store says.
    pub fn init_token_again(&self, token: &Arc<Token>, so_pin: &[u8], token_label: Vec<u8>) -> Result<()> {
        if self.applications.has_session_on(token.slot) {
            return Err(Error::SessionExists);
        }
        if token.ring().so_pin.is_none() {
            // Else the first who comes would become the security officer; the admin sets the PIN.
            return Err(Error::PinIncorrect);
        }
        crate::access::login::check_pin(self, token, crate::session_table::User::So, so_pin)?;
        if token.ring().rules.p11_reinit == P11Reinit::Deny {
            return Err(Error::ActionProhibited);
        }
        let keys = self.catalog.keys(&token.uid);
        if keys.iter().any(|key| key.record().care.protection.is_some()) {
            return Err(Error::TokenWriteProtected);
        }
        if token.ring().p11_destroy == P11Destroy::Deny && !keys.is_empty() {
            return Err(Error::ActionProhibited);
        }
        for object in token.candidates(&[]) {
            match &object.home {
                Home::Version(_) if object.class == ObjectClass::PUBLIC_KEY => {}
                // Scheduled even where C_DestroyObject destroys at once: who wipes a token gains nothing by it.
                Home::Version(cell) => self.transition(cell, Transition::Destroy, Time::now())?,
                _ => self.destroy_token_object(token, &object)?,
            }
        }
        self.change_ring(token, |ring| {
            ring.user_pin = None;
            ring.token_label = token_label;
            Ok(())
        })
    }
}
