//! `keyrings reset-pin`, `unlock` and `logins …`: how applications log in on a token.

use serde_json::{Value, json};

use super::{Call, json};
use crate::access::pin::PinVerifier;
use crate::access::policies::PeerLogin;
use crate::access::policy::Principal;
use crate::error::{Error, Result};
use crate::kms::rings::{NewPins, RingUpdate};
use crate::token::Token;

/// Entries of a ring.
const MAX_LOGINS: usize = 1000;

/// The PINs that a verb gives a token; none when it gives neither.
///
/// # Errors
/// `PinLenRange`.
pub fn pins(call: &Call<'_>, token: &Token) -> Result<Option<NewPins>> {
    let profile = token.ring().profile;
    let verifier = |name: &str| {
        call.args.bytes(name).map(|pin| PinVerifier::new(pin, profile, &call.daemon.pepper)).transpose()
    };
    let pins = NewPins { so: verifier("so-pin-file")?, user: verifier("user-pin-file")? };
    Ok((pins.so.is_some() || pins.user.is_some()).then_some(pins))
}

/// `keyrings reset-pin`
pub fn reset_pin(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("name")?;
    let pins = pins(call, &token)?.ok_or_else(|| Error::InvalidArgument {
        message: "give so-pin-file, user-pin-file or both".to_owned(),
    })?;
    let update = RingUpdate { pins: Some(pins), ..RingUpdate::default() };
    call.daemon.update_ring(&token, None, update)?;
    Ok(json::ring(&token))
}

/// `keyrings unlock`
pub fn unlock(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("name")?;
    call.daemon.change_ring(&token, |ring| {
        ring.so_pin.iter_mut().chain(&mut ring.user_pin).for_each(|pin| pin.failures = 0);
        Ok(())
    })?;
    Ok(json::ring(&token))
}

/// `keyrings logins add`
pub fn add(call: &Call<'_>) -> Result<Value> {
    change(call, |logins, login| {
        if !logins.contains(&login) {
            logins.push(login);
        }
        match logins.len() <= MAX_LOGINS {
            true => Ok(()),
            false => {
                Err(Error::InvalidArgument { message: format!("a ring has at most {MAX_LOGINS} logins") })
            }
        }
    })
}

/// `keyrings logins remove`
pub fn remove(call: &Call<'_>) -> Result<Value> {
    change(call, |logins, login| {
        let before = logins.len();
        logins.retain(|other| *other != login);
        match logins.len() == before {
            true => Err(Error::NotFound { resource: format!("the login of {}", login.principal) }),
            false => Ok(()),
        }
    })
}

/// `keyrings logins list`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("name")?;
    let name = token.ring().name.to_string();
    Ok(show(&call.daemon.access.policies().attached(&name).logins))
}

fn change(
    call: &Call<'_>,
    change: impl FnOnce(&mut Vec<PeerLogin>, PeerLogin) -> Result<()>,
) -> Result<Value> {
    let token = call.ring("name")?;
    let principal = match Principal::parse(call.args.required("member")?)? {
        Principal::Anybody | Principal::TokenUser(_) | Principal::TokenSo(_) => {
            let message = "a login is of uid:N, user:NAME, gid:N or group:NAME".to_owned();
            return Err(Error::InvalidArgument { message });
        }
        principal => principal.text(),
    };
    let login = PeerLogin { principal, so: call.args.text("role") == Some("so") };
    let kept = call
        .daemon
        .change_attached(&token.ring().name.to_string(), None, |kept| change(&mut kept.logins, login))?;
    Ok(show(&kept.logins))
}

fn show(logins: &[PeerLogin]) -> Value {
    let shown = logins
        .iter()
        .map(|login| json!({"member": login.principal, "role": if login.so { "so" } else { "user" }}));
    shown.collect()
}
