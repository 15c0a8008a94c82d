//! `keys …`.

use serde_json::Value;

use super::{Call, json};
use crate::error::Result;
use crate::kms::algorithm::{Algorithm, ProtectionLevel, Purpose};
use crate::kms::keys::{NewKey, parse_duration, parse_labels};

/// `keys create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let token = call.ring("keyring")?;
    let level = args.text("protection-level").map(ProtectionLevel::parse).transpose()?;
    let key = call.daemon.create_key(
        &token,
        NewKey {
            id: call.key_id(&token, "name")?,
            purpose: Purpose::parse(args.required("purpose")?)?,
            algorithm: args.text("default-algorithm").map(Algorithm::parse).transpose()?,
            protection_level: level.unwrap_or(ProtectionLevel::Software),
            skip_initial_version: args.flag("skip-initial-version-creation"),
            import_only: args.flag("import-only"),
            destroy_scheduled_millis: args
                .text("destroy-scheduled-duration")
                .map(parse_duration)
                .transpose()?,
            labels: args.text("labels").map(parse_labels).transpose()?.unwrap_or_default(),
            description: args.text("description").unwrap_or_default().to_owned(),
        },
    )?;
    Ok(json::key(&key, call.now))
}

/// `keys list`: by name.
pub fn list(call: &Call<'_>) -> Result<Value> {
    let keys = call.daemon.catalog.keys(&call.ring("keyring")?.uid);
    Ok(keys.iter().map(|key| json::key(key, call.now)).collect())
}

/// `keys describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    Ok(json::key(&*call.key(&token, "name")?, call.now))
}
