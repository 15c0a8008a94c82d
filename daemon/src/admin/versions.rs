//! `keys versions …`.

use claviger_protocol::AttributeType;
use claviger_protocol::object::ObjectClass;
use serde_json::Value;

use super::{Call, json, names};
use crate::attributes::Attributes;
use crate::error::{Error, Result};
use crate::kms::algorithm::Algorithm;
use crate::kms::state::{Transition, VersionState};

/// `keys versions create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    let key = call.key(&token, "key")?;
    let version = call.daemon.create_version(&token, &key, call.args.flag("primary"))?;
    Ok(json::version(&key, &version, call.now))
}

/// `keys versions list`: by number.
pub fn list(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    let key = call.key(&token, "key")?;
    Ok(key.versions().iter().map(|version| json::version(&key, version, call.now)).collect())
}

/// `keys versions describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    let key = call.key(&token, "key")?;
    let version = names::version(&key, call.args.required("version")?)?;
    Ok(json::version(&key, &version, call.now))
}

/// `keys versions enable`
pub fn enable(call: &Call<'_>) -> Result<Value> {
    batch(call, Transition::Enable)
}

/// `keys versions disable`
pub fn disable(call: &Call<'_>) -> Result<Value> {
    batch(call, Transition::Disable)
}

/// `keys versions destroy`
pub fn destroy(call: &Call<'_>) -> Result<Value> {
    batch(call, Transition::Destroy)
}

/// `keys versions restore`
pub fn restore(call: &Call<'_>) -> Result<Value> {
    batch(call, Transition::Restore)
}

/// Tries a transition on every version that is named, and tells of each how it went.
fn batch(call: &Call<'_>, transition: Transition) -> Result<Value> {
    let token = call.ring("keyring")?;
    let key = call.key(&token, "key")?;
    let attempt = |text: &str| {
        let version = names::version(&key, text)?;
        call.daemon.transition(&version, transition, call.now)?;
        Ok(json::version(&key, &version, call.now))
    };
    let items = call.args.list("versions").iter().map(|text| {
        let (version, outcome) = (names::version_name(&key, text), attempt(text));
        match &outcome {
            Ok(_) => tracing::info!(version, ?transition, uid = call.peer.uid, "done"),
            Err(error) => tracing::info!(version, ?transition, uid = call.peer.uid, %error, "refused"),
        }
        json::batch_item(&version, &outcome)
    });
    Ok(items.collect())
}

/// `keys versions import`
pub fn import(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    let key = call.key(&token, "key")?;
    let job = call.job(&token, "import-job")?;
    let algorithm = Algorithm::parse(call.args.required("algorithm")?)?;
    let into = call.args.text("version").map(|text| names::version_number(&key, text)).transpose()?;
    let blob = call.args.bytes("wrapped-key-file").ok_or_else(|| Error::InvalidArgument {
        message: "keys versions import needs the wrapped key".to_owned(),
    })?;
    let version = call.daemon.import_version(&token, &key, &job, algorithm, blob, into)?;
    Ok(json::version(&key, &version, call.now))
}

/// `keys versions get-public-key`
pub fn get_public_key(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    let key = call.key(&token, "key")?;
    let version = names::version(&key, call.args.required("version")?)?;
    let record = version.record();
    let state = version.state(call.now);
    let has_none = || Error::FailedPrecondition { message: format!("{} has no public key", version.name) };
    let is_symmetric = record.objects.iter().any(|object| object.class == ObjectClass::SECRET_KEY);
    if is_symmetric {
        return Err(has_none());
    }
    if state != VersionState::Enabled {
        return Err(Error::VersionNotEnabled { version: version.name.clone(), state: state.name() });
    }
    // The private object has it too, and is there when an application has destroyed the public one.
    let private = record.objects.iter().find(|object| object.class == ObjectClass::PRIVATE_KEY);
    let attributes: Attributes = private.ok_or_else(has_none)?.attributes.iter().cloned().collect();
    let der = attributes.bytes(AttributeType::PUBLIC_KEY_INFO);
    json::public_key(&key, &version, der, call.args.text("public-key-format") == Some("der"))
}
