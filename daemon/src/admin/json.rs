//! Resources as JSON documents, in Google Cloud KMS's names: camelCase, times in RFC 3339, durations in seconds,
//! bytes in base64. False and empty fields are left out.

use openssl::base64::encode_block;
use openssl::pkey::PKey;
use serde_json::{Map, Value, json};

use crate::catalog::{KeyCell, VersionCell};
use crate::error::{Error, Result};
use crate::kms::algorithm::{Algorithm, ProtectionLevel};
use crate::kms::import::{effective_state, job_name, reimport_eligible};
use crate::kms::record::{Binding, FindVersions, ImportJob, P11Destroy, P11Reinit, Profile};
use crate::kms::state::{ImportJobState, VersionState};
use crate::kms::time::Time;
use crate::kms::upkeep::DEFAULT_ALIAS;
use crate::token::Token;

/// Token profiles by the words of the command line.
pub const PROFILES: &[(&str, Profile)] =
    &[("standard", Profile::Standard), ("strict", Profile::Strict), ("legacy", Profile::Legacy)];

/// What `C_DestroyObject` does, by the words of the command line.
pub const P11_DESTROY: &[(&str, P11Destroy)] =
    &[("schedule", P11Destroy::Schedule), ("immediate", P11Destroy::Immediate), ("deny", P11Destroy::Deny)];

/// What `C_InitToken` does, by the words of the command line.
pub const P11_REINIT: &[(&str, P11Reinit)] = &[("allow", P11Reinit::Allow), ("deny", P11Reinit::Deny)];

/// Which versions a search gives, by the words of the command line.
pub const FIND_VERSIONS: &[(&str, FindVersions)] =
    &[("all", FindVersions::All), ("primary-only", FindVersions::PrimaryOnly)];

/// The values of a switch, by the words of the command line.
pub const ON_OFF: &[(&str, bool)] = &[("on", true), ("off", false)];

/// The word for a value.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    words.iter().find(|(_, other)| other == value).map(|(word, _)| *word)
}

/// An object of the fields that are not empty.
pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    };
    let kept = fields.into_iter().filter(|(_, value)| !is_empty(value));
    Value::Object(kept.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// A key ring.
pub fn ring(token: &Token) -> Value {
    let ring = token.ring();
    object([
        ("name", json!(ring.name.to_string())),
        ("createTime", time(Some(ring.create_time))),
        ("tokenLabel", json!(String::from_utf8_lossy(&ring.token_label))),
        ("tokenSerial", json!(ring.token_serial)),
        ("slot", json!(ring.slot)),
        ("profile", json!(word(PROFILES, &ring.profile))),
        ("p11Destroy", json!(word(P11_DESTROY, &ring.p11_destroy))),
        ("p11Reinit", json!(word(P11_REINIT, &ring.rules.p11_reinit))),
        ("findVersions", json!(word(FIND_VERSIONS, &ring.rules.find_versions))),
        ("enforceDates", json!(ring.rules.enforce_dates)),
        ("p11RawUseOfKmsKeys", json!(ring.rules.p11_raw_use_of_kms_keys)),
        ("etag", etag(ring.etag)),
    ])
}

/// A key, with its primary version.
pub fn key(cell: &KeyCell, now: Time) -> Value {
    let key = cell.record();
    let primary = key.primary.and_then(|number| cell.version(number));
    object([
        ("name", json!(&*cell.name)),
        ("purpose", json!(key.purpose.name())),
        ("versionTemplate", template(key.algorithm, key.protection_level)),
        ("keyState", json!(key_state(cell, now))),
        ("primary", primary.map_or(Value::Null, |version| self::version(cell, &version, now))),
        ("createTime", time(Some(key.create_time))),
        ("labels", pairs(&key.notes.labels)),
        ("tags", pairs(&key.care.tags)),
        ("displayName", json!(key.care.display_name)),
        ("description", json!(key.notes.description)),
        ("aliases", key.care.aliases.iter().map(|alias| json!(alias.id)).collect()),
        ("defaultForLocation", json!(key.care.aliases.iter().any(|alias| alias.id == DEFAULT_ALIAS))),
        ("managedBy", json!(key.managed_by)),
        ("deletionProtection", json!(key.care.protection.is_some())),
        ("deletionProtectionReason", json!(key.care.protection)),
        ("archived", json!(key.care.archived)),
        ("rotationPeriod", key.care.rotation_period_millis.map_or(Value::Null, duration)),
        ("nextRotationTime", time(key.care.next_rotation_time)),
        ("lastUseTime", time(last_use(cell))),
        ("importOnly", json!(key.import_only)),
        ("destroyScheduledDuration", duration(key.destroy_scheduled_millis)),
        ("madeByPkcs11", json!(key.made_by_pkcs11)),
        ("etag", etag(key.etag)),
    ])
}

/// A key with all its versions and bindings.
pub fn key_in_full(cell: &KeyCell, now: Time) -> Value {
    let mut document = key(cell, now);
    let versions: Vec<Value> =
        cell.versions().iter().map(|version| self::version(cell, version, now)).collect();
    let bindings: Vec<Value> = cell.record().care.bindings.iter().map(binding).collect();
    if let Value::Object(fields) = &mut document {
        for (name, items) in [("versions", versions), ("bindings", bindings)] {
            if !items.is_empty() {
                fields.insert(name.to_owned(), Value::Array(items));
            }
        }
    }
    document
}

fn pairs(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}

/// When any version of a key was last used.
pub fn last_use(cell: &KeyCell) -> Option<Time> {
    cell.versions().iter().filter_map(|version| version.usage.shown().last).map(|(time, ..)| time).max()
}

/// A declared use.
pub fn binding(binding: &Binding) -> Value {
    object([
        ("product", json!(binding.product)),
        ("resourceId", json!(binding.resource_id)),
        ("note", json!(binding.note)),
        ("createTime", time(Some(binding.create_time))),
    ])
}

/// What a key's versions come to, in the words of clouds that give keys a state.
pub fn key_state(cell: &KeyCell, now: Time) -> &'static str {
    let states: Vec<_> = cell.versions().iter().map(|version| version.state(now)).collect();
    let key = cell.record();
    if key.care.archived {
        return "ARCHIVED";
    }
    // A version that failed to come in holds nothing.
    let holds_none = states.iter().all(|state| *state == VersionState::ImportFailed);
    let awaits_import = holds_none && key.import_only;
    if states.contains(&VersionState::Enabled) {
        "ENABLED"
    } else if states.contains(&VersionState::Disabled) {
        "DISABLED"
    } else if states.contains(&VersionState::DestroyScheduled) {
        "PENDING_DELETION"
    } else if awaits_import || states.contains(&VersionState::PendingImport) {
        "PENDING_IMPORT"
    } else if states.is_empty() {
        "EMPTY"
    } else {
        "DESTROYED"
    }
}

/// A version.
pub fn version(key: &KeyCell, cell: &VersionCell, now: Time) -> Value {
    let (record, state) = (cell.record(), cell.state(now));
    let only_in = |wanted: VersionState, value: Value| if state == wanted { value } else { Value::Null };
    let mut document = object([
        ("name", json!(cell.name())),
        ("state", json!(state.name())),
        ("protectionLevel", json!(key.record().protection_level.name())),
        ("algorithm", json!(record.algorithm.name())),
        ("createTime", time(Some(record.create_time))),
        ("generateTime", time(record.generate_time)),
        ("destroyTime", only_in(VersionState::DestroyScheduled, time(record.fate.destroy_time))),
        ("destroyEventTime", only_in(VersionState::Destroyed, time(record.fate.destroy_event_time))),
        ("materialErasedTime", only_in(VersionState::Destroyed, time(record.fate.destroy_event_time))),
        ("importJob", json!(record.fate.import_job)),
        ("importTime", time(record.fate.import_time)),
        ("expireMaterialTime", time(record.expire_material_time)),
        (
            "importFailureReason",
            only_in(
                VersionState::ImportFailed,
                json!(record.fate.import_failure_reason.map(|reason| reason.name())),
            ),
        ),
        ("etag", etag(record.etag)),
    ]);
    let was_imported = record.fate.import_job.is_some() || record.fate.import_time.is_some();
    if let (true, Value::Object(fields)) = (was_imported, &mut document) {
        // Said even when it is false: whether material can come back matters before it is destroyed.
        fields.insert("reimportEligible".to_owned(), json!(reimport_eligible(&record, state)));
    }
    document
}

/// One item of a batch.
pub fn batch_item(name: &str, outcome: &Result<Value>) -> Value {
    let document = |fields: &Value, field: &str| fields.get(field).cloned().unwrap_or_default();
    let mut item = match outcome {
        Ok(version) => object([
            ("name", json!(name)),
            ("state", document(version, "state")),
            ("destroyTime", document(version, "destroyTime")),
        ]),
        Err(error) => object([("name", json!(name)), ("error", failure(error))]),
    };
    if let Value::Object(fields) = &mut item {
        // Said even when it is false: scripts select the items by it.
        fields.insert("ok".to_owned(), json!(outcome.is_ok()));
    }
    item
}

/// An error as it is shown inside a document.
fn failure(error: &Error) -> Value {
    json!({"code": error.code().name(), "message": error.to_string(), "reason": error.reason()})
}

/// An import job.
///
/// # Errors
/// When its public key cannot be read.
pub fn job(token: &Token, job: &ImportJob, now: Time) -> Result<Value> {
    let state = effective_state(job, now);
    let public_key = match &job.public_key {
        Some(der) if state == ImportJobState::Active => json!({"pem": pem(der)?}),
        _ => Value::Null,
    };
    Ok(object([
        ("name", json!(job_name(token, job))),
        ("importMethod", json!(job.method.name())),
        ("protectionLevel", json!(job.protection_level.name())),
        ("state", json!(state.name())),
        ("createTime", time(Some(job.create_time))),
        ("generateTime", time(job.generate_time)),
        ("expireTime", time(Some(job.expire_time))),
        ("expireEventTime", time(job.expire_event_time)),
        ("publicKey", public_key),
        (
            "allowedAlgorithms",
            job.allowed_algorithms.iter().map(|algorithm| json!(algorithm.name())).collect(),
        ),
        ("maxUses", json!(job.max_uses)),
        ("uses", json!(job.uses)),
        ("etag", etag(job.etag)),
    ]))
}

/// The public key of a version. `der` is `SubjectPublicKeyInfo`.
///
/// # Errors
/// When it cannot be read.
pub fn public_key(key: &KeyCell, cell: &VersionCell, der: &[u8], format: &str) -> Result<Value> {
    let (format, field, text) = match format {
        "der" => ("DER", "der", encode_block(der)),
        "nist-pqc" => ("NIST_PQC", "raw", encode_block(&crate::crypto::post_quantum::raw_public(der)?)),
        _ => ("PEM", "pem", pem(der)?),
    };
    Ok(object([
        ("name", json!(cell.name())),
        ("algorithm", json!(cell.record().algorithm.name())),
        ("protectionLevel", json!(key.record().protection_level.name())),
        ("publicKeyFormat", json!(format)),
        (field, json!(text)),
    ]))
}

/// The public key of an X-Wing version.
pub fn raw_public_key(key: &KeyCell, cell: &VersionCell, raw: &[u8]) -> Value {
    object([
        ("name", json!(cell.name())),
        ("algorithm", json!(cell.record().algorithm.name())),
        ("protectionLevel", json!(key.record().protection_level.name())),
        ("publicKeyFormat", json!("XWING_RAW_BYTES")),
        ("raw", json!(encode_block(raw))),
    ])
}

fn template(algorithm: Algorithm, level: ProtectionLevel) -> Value {
    json!({"algorithm": algorithm.name(), "protectionLevel": level.name()})
}

/// A time, or nothing.
pub fn time(time: Option<Time>) -> Value {
    time.map_or(Value::Null, |time| json!(time.rfc3339()))
}

/// A duration: `2592000s`.
pub fn duration(millis: u64) -> Value {
    json!(match millis % 1000 {
        0 => format!("{}s", millis / 1000),
        rest => format!("{}.{rest:03}s", millis / 1000),
    })
}

fn etag(number: u64) -> Value {
    json!(number.to_string())
}

/// A public key as PEM. `der` is `SubjectPublicKeyInfo`.
///
/// # Errors
/// When it cannot be read.
pub fn pem(der: &[u8]) -> Result<String> {
    let pem = PKey::public_key_from_der(der)?.public_key_to_pem()?;
    String::from_utf8(pem).map_err(|_| Error::Internal { detail: "PEM that is no text".to_owned() })
}
