//! `keyrings …`.

use serde_json::Value;

use super::{Call, json, listing, logins};
use crate::access::Target;
use crate::access::action::RESET_TOKEN_PIN;
use crate::error::{Error, Result};
use crate::kms::record::{P11Destroy, Profile, Rules};
use crate::kms::rings::{NewRing, RingUpdate};
use crate::token::Token;

/// `keyrings create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let name = call.ring_name("name")?;
    call.authorise(call.action, &Target::location(&name.project, &name.location))?;
    let new = NewRing {
        name,
        token_label: args.text("token-label").map(|label| label.as_bytes().to_vec()),
        profile: chosen(json::PROFILES, args.text("profile"))?.unwrap_or(Profile::Standard),
        p11_destroy: chosen(json::P11_DESTROY, args.text("p11-destroy"))?.unwrap_or(P11Destroy::Schedule),
        rules: rules(call, Rules::default())?,
        so_pin: args.bytes("so-pin-file").map(|pin| &pin[..]),
        user_pin: args.bytes("user-pin-file").map(|pin| &pin[..]),
        slot: None,
    };
    let token = call.daemon.create_ring_by(new, Some(call.peer.uid))?;
    Ok(json::ring(&token))
}

/// `keyrings update`
pub fn update(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let token = call.ring("name")?;
    let fields = [
        "token-label",
        "profile",
        "p11-destroy",
        "p11-reinit",
        "find-versions",
        "enforce-dates",
        "p11-raw-use-of-kms-keys",
        "so-pin-file",
        "user-pin-file",
    ];
    if fields.iter().all(|field| !args.flag(field)) {
        let message = "there is nothing to change: name at least one field".to_owned();
        return Err(Error::InvalidArgument { message });
    }
    let update = RingUpdate {
        token_label: args.text("token-label").map(|label| label.as_bytes().to_vec()),
        profile: chosen(json::PROFILES, args.text("profile"))?,
        p11_destroy: chosen(json::P11_DESTROY, args.text("p11-destroy"))?,
        rules: Some(rules(call, token.ring().rules)?),
        pins: logins::pins(call, &token)?,
    };
    if update.pins.is_some() {
        call.authorise(RESET_TOKEN_PIN, &Target::ring(&token.ring().name))?;
    }
    call.daemon.update_ring(&token, args.etag(), update)?;
    Ok(json::ring(&token))
}

/// The rules that the arguments say, and those of `others` where they say nothing.
fn rules(call: &Call<'_>, others: Rules) -> Result<Rules> {
    let args = &call.args;
    Ok(Rules {
        p11_reinit: chosen(json::P11_REINIT, args.text("p11-reinit"))?.unwrap_or(others.p11_reinit),
        find_versions: chosen(json::FIND_VERSIONS, args.text("find-versions"))?
            .unwrap_or(others.find_versions),
        enforce_dates: chosen(json::ON_OFF, args.text("enforce-dates"))?.unwrap_or(others.enforce_dates),
        p11_raw_use_of_kms_keys: chosen(json::ON_OFF, args.text("p11-raw-use-of-kms-keys"))?
            .unwrap_or(others.p11_raw_use_of_kms_keys),
    })
}

/// `keyrings list`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let mut tokens = call.daemon.catalog.tokens();
    tokens.retain(|token| !token.is_shut() && call.sees_ring(&token.ring().name));
    let (project, location) = call.place()?;
    call.check_list(tokens.is_empty(), &Target::location(&project, &location))?;
    tokens.sort_by_key(|token| token.ring().name.clone());
    listing::page(call, "keyRings", listing::RING_FIELDS, |after, count| {
        let name = |token: &Token| token.ring().name.to_string();
        let behind = tokens.iter().filter(|token| name(token).as_str() > after).take(count);
        behind.map(|token| (name(token), json::ring(token))).collect()
    })
}

/// `keyrings describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    Ok(json::ring(&*call.ring("name")?))
}

/// The value of a word that the row of the verb offers.
fn chosen<T: Copy>(words: &[(&str, T)], text: Option<&str>) -> Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    match found {
        Some(value) => Ok(Some(value)),
        None => {
            Err(Error::Internal { detail: format!("table 5 offers {text}, which the daemon does not know") })
        }
    }
}
