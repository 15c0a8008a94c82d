//! `keys versions …`.

use claviger_protocol::object::ObjectClass;
use serde_json::{Value, json};

use super::keys::check_one_etag;
use super::{Call, json, listing, names};
use crate::access::action::USE_IMPORT_JOB;
use crate::error::{Error, Result};
use crate::kms::algorithm::KeyShape;
use crate::kms::spec;
use crate::kms::state::{Transition, VersionState};
use crate::kms::time::Time;
use crate::kms::transitions::How;

/// `keys versions create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("key")?;
    let version = call.daemon.create_version(&token, &key, call.args.flag("primary"))?;
    Ok(json::version(&key, &version, call.now))
}

/// `keys versions list`: by number.
pub fn list(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("key")?;
    listing::page(call, &key.name, listing::VERSION_FIELDS, |after, count| {
        let after = after.parse::<u32>().unwrap_or(0);
        let versions = key.versions().into_iter().filter(|version| version.number > after).take(count);
        versions
            .map(|version| (version.number.to_string(), json::version(&key, &version, call.now)))
            .collect()
    })
}

/// `keys versions describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("key")?;
    let version = names::version(&key, call.args.required("version")?)?;
    let mut document = json::version(&key, &version, call.now);
    let tombstone = call.daemon.records.tombstone(&version.uid)?;
    if let Some(purged) = tombstone.and_then(|tombstone| tombstone.erased) {
        let time = Time(i64::try_from(purged).unwrap_or(i64::MAX));
        document["materialPurgedTime"] = time.rfc3339().into();
    }
    Ok(document)
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

/// How a transition is wanted, from the arguments of its verb.
pub fn how(call: &Call<'_>) -> Result<How> {
    let days = call.args.number::<u64>("pending-window-days")?;
    let days = days.map(|days| days.saturating_mul(24 * 3600 * 1000));
    Ok(How { window_millis: days, force_bound: call.args.flag("force-bound"), etag: call.args.etag() })
}

/// When a destruction that begins now would happen.
///
/// # Errors
/// `InvalidArgument` for days that are no number.
pub fn destroy_time(call: &Call<'_>, window_millis: u64) -> Result<Time> {
    Ok(call.now.plus_millis(how(call)?.window_millis.unwrap_or(window_millis)))
}

/// `keys versions preflight`: what its destruction would cost.
pub fn preflight(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("key")?;
    let version = names::version(&key, call.args.required("version")?)?;
    let record = key.record();
    let usage = version.usage.shown();
    let bindings: Vec<Value> = record.care.bindings.iter().map(json::binding).collect();
    Ok(json::object([
        ("name", json!(version.name())),
        ("state", json!(version.state(call.now).name())),
        ("primary", json!(record.primary == Some(version.number))),
        ("lastUseTime", json::time(usage.last.map(|(time, ..)| time))),
        ("lastUsePrincipal", json!(usage.last.map(|(_, uid, _)| crate::audit::user_name(uid)))),
        ("lastUseOperation", json!(usage.last.map(|(_, _, used)| used))),
        ("bindings", json!(bindings)),
        ("protected", json!(record.care.protection.is_some())),
        ("destroyTime", json::time(Some(destroy_time(call, record.destroy_scheduled_millis)?))),
        (
            "reimportable",
            json!(record.care.protection.is_none() && version.record().fate.material_digest.is_some()),
        ),
        (
            "warning",
            json!(
                "what was encrypted with it can never be read again: re-encrypt it first, look at the audit \
                 log, disable the version and watch for failures, and check what the law has you keep"
            ),
        ),
    ]))
}

/// Tries a transition on every version that is named, and tells of each how it went.
fn batch(call: &Call<'_>, transition: Transition) -> Result<Value> {
    let (_, key) = call.named_key("key")?;
    check_one_etag(call, "versions")?;
    let how = how(call)?;
    let attempt = |text: &str| {
        let version = names::version(&key, text)?;
        call.daemon.transition_how(&version, transition, call.now, how, &call.principal())?;
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
    let (token, key) = call.named_key("key")?;
    let job = call.job_for(USE_IMPORT_JOB, &token, "import-job")?;
    let algorithm = spec::algorithm(call.args.required("algorithm")?, key.record().purpose)?;
    let into = call.args.text("version").map(|text| names::version_number(&key, text)).transpose()?;
    let blob = call.args.bytes("wrapped-key-file").ok_or_else(|| Error::InvalidArgument {
        message: "keys versions import needs the wrapped key".to_owned(),
    })?;
    let version = call.daemon.import_version(&token, &key, &job, algorithm, blob, into)?;
    Ok(json::version(&key, &version, call.now))
}

/// The one format of X-Wing's public keys.
const XWING_RAW: &str = "xwing-raw-bytes";

/// `keys versions get-public-key`
pub fn get_public_key(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("key")?;
    let version = names::version(&key, call.args.required("version")?)?;
    let record = version.record();
    let state = version.state(call.now);
    let has_none = || Error::FailedPrecondition { message: format!("{} has no public key", version.name()) };
    let is_symmetric = record.objects.iter().any(|object| object.class == ObjectClass::SECRET_KEY);
    if is_symmetric {
        return Err(has_none());
    }
    if state != VersionState::Enabled {
        return Err(Error::VersionNotEnabled { version: version.name(), state: state.name() });
    }
    let format = call.args.text("public-key-format");
    if let Some(raw) = call.daemon.xwing_public_key(&version)? {
        if format != Some(XWING_RAW) {
            let message = format!("{} needs the public-key-format {XWING_RAW}", version.name());
            return Err(Error::InvalidArgument { message });
        }
        return Ok(json::raw_public_key(&key, &version, &raw));
    }
    if format == Some(XWING_RAW) {
        return Err(Error::InvalidArgument { message: format!("{XWING_RAW} is for KEM_XWING") });
    }
    let is_post_quantum = matches!(record.algorithm.shape(), KeyShape::Set(..));
    if is_post_quantum && format.is_none() {
        let message = format!("{} needs a public-key-format: pem, der or nist-pqc", version.name());
        return Err(Error::InvalidArgument { message });
    }
    if !is_post_quantum && format == Some("nist-pqc") {
        return Err(Error::InvalidArgument {
            message: "nist-pqc is for ML-DSA, SLH-DSA and ML-KEM".to_owned(),
        });
    }
    let der = call.daemon.public_key(&version)?.ok_or_else(has_none)?;
    json::public_key(&key, &version, &der, format.unwrap_or("pem"))
}
