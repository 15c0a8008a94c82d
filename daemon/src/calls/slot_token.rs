//! Slot and token management functions (PKCS#11 3.2, section 5.5).

use claviger_protocol::call::{
    GetMechanismInfo, GetMechanismList, GetSlotInfo, GetSlotList, GetTokenInfo, InitPin, InitToken,
    MechanismInfo, SetPin, SlotInfo, TokenInfo, WaitForSlotEvent,
};
use claviger_protocol::mechanism::{self, MECHANISMS, Profiles};
use claviger_protocol::{Bytes, MechanismType};

use super::{Context, Handle};
use crate::access::login;
use crate::access::pin::PinVerifier;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::session_table::User;
use crate::slot;

impl Handle for GetSlotList {
    /// Every slot holds a token, but for those whose project is shut.
    fn handle(self, context: &Context<'_>) -> Result<Vec<u64>> {
        let is_shut = |slot: &u64| context.daemon.catalog.token(*slot).is_some_and(|token| token.is_shut());
        let slots = context.slots().into_iter();
        Ok(slots.filter(|slot| !self.token_present || !is_shut(slot)).collect())
    }
}

impl Handle for GetSlotInfo {
    fn handle(self, context: &Context<'_>) -> Result<SlotInfo> {
        match context.token(self.slot) {
            Ok(token) => Ok(slot::slot_info(Some(&token))),
            Err(Error::TokenNotInitialized) => Ok(slot::slot_info(None)),
            // A slot whose token is away has information all the same.
            Err(Error::TokenShut) => {
                let token = context.daemon.catalog.token(self.slot).ok_or(Error::SlotIdInvalid)?;
                Ok(slot::slot_info(Some(&token)))
            }
            Err(error) => Err(error),
        }
    }
}

impl Handle for GetTokenInfo {
    fn handle(self, context: &Context<'_>) -> Result<TokenInfo> {
        match context.token(self.slot) {
            Ok(token) => Ok(slot::token_info(context.daemon, &token, context.application)),
            Err(Error::TokenNotInitialized) => Ok(slot::free_token_info()),
            Err(error) => Err(error),
        }
    }
}

impl Handle for WaitForSlotEvent {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let event = || context.application.new_slot(&context.slots());
        if self.block {
            context.daemon.applications.wait(context.application, context.alive, event)
        } else {
            event().ok_or(Error::NoEvent)
        }
    }
}

impl Handle for GetMechanismList {
    fn handle(self, context: &Context<'_>) -> Result<Vec<MechanismType>> {
        let token = initialised(context, self.slot)?;
        let rows = MECHANISMS.iter().filter(|row| token.as_deref().is_none_or(|token| token.offers(row)));
        Ok(rows.map(|row| row.r#type).collect())
    }
}

impl Handle for GetMechanismInfo {
    fn handle(self, context: &Context<'_>) -> Result<MechanismInfo> {
        let token = initialised(context, self.slot)?;
        let row = mechanism::mechanism(self.mechanism)
            .filter(|row| token.as_deref().is_none_or(|token| token.offers(row)))
            .ok_or(Error::MechanismInvalid)?;
        let profile = token.as_ref().map_or(Profiles::STANDARD, |token| token.profile().bit());
        let (min_key_size, max_key_size) = row.sizes_in(profile);
        let flags = token.map_or(row.flags, |token| token.functions(row));
        Ok(MechanismInfo { min_key_size, max_key_size, flags })
    }
}

impl Handle for InitToken {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let pin = self.pin.ok_or(Error::ArgumentsBad)?;
        let label = self.label.trim_ascii_end().to_vec();
        match initialised(context, self.slot)? {
            None => {
                context.check_may_create_ring()?;
                let creator = context.application.peer.uid;
                context.daemon.init_free_token(self.slot, &pin, label, creator).map(drop)?;
            }
            Some(token) => {
                context.permit(&token, None, "P11.C_InitToken").check(context.remembered())?;
                context.daemon.init_token_again(&token, &pin, label)?;
            }
        }
        Ok(())
    }
}

impl Handle for InitPin {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        if !context.is_so(&session) {
            return Err(Error::UserNotLoggedIn);
        }
        context.permit(&session.token, Some(User::So), "P11.C_InitPIN").check(context.remembered())?;
        let verifier = new_pin(context, &session, self.pin)?;
        context.daemon.change_ring(&session.token, |ring| {
            ring.user_pin = Some(verifier);
            Ok(())
        })
    }
}

impl Handle for SetPin {
    /// Changes the PIN of who is logged in; with nobody logged in, the user's.
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.read_write_session(self.session)?;
        let login = context.application.table.login(session.slot);
        context.permit(&session.token, login, "P11.C_SetPIN").check(context.remembered())?;
        let user = login.unwrap_or(User::User);
        let old_pin = self.old_pin.ok_or(Error::ArgumentsBad)?;
        login::check_pin(context.daemon, &session.token, user, &old_pin)?;
        let verifier = new_pin(context, &session, self.new_pin)?;
        context.daemon.change_ring(&session.token, |ring| {
            *login::pin_of(ring, user) = Some(verifier);
            Ok(())
        })
    }
}

/// The token in a slot, or none for the free slot.
fn initialised(context: &Context<'_>, slot: u64) -> Result<Option<std::sync::Arc<crate::token::Token>>> {
    match context.token(slot) {
        Ok(token) => Ok(Some(token)),
        Err(Error::TokenNotInitialized) => Ok(None),
        Err(error) => Err(error),
    }
}

fn new_pin(context: &Context<'_>, session: &Session, pin: Option<Bytes>) -> Result<PinVerifier> {
    let profile = session.token.ring().profile;
    PinVerifier::new(&pin.ok_or(Error::ArgumentsBad)?, profile, &context.daemon.pepper)
}
