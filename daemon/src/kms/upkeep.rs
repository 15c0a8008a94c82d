//! Changes of a key that leave its versions as they are, and rotation.

use std::sync::Arc;

use serde_json::json;

use super::algorithm::{Algorithm, Purpose, quoted};
use super::keys::{MAX_DESCRIPTION_BYTES, check_labels};
use super::record::{Alias, Binding, CryptoKey};
use super::state::VersionState;
use super::time::Time;
use super::transitions::check_etag;
use crate::audit::{Principal, Record};
use crate::catalog::{KeyCell, VersionCell};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::events::Name;
use crate::store::{Change, Tree};
use crate::token::Token;

/// Most tags of a key.
pub(super) const MAX_TAGS: usize = 20;
/// Longest key and longest value of a tag, in characters.
const MAX_TAG_CHARS: usize = 128;
/// How keys of tags must not begin.
const RESERVED_TAGS: &[&str] = &["aliyun", "acs:", "claviger:"];
/// Most aliases of a key.
const MAX_ALIASES: usize = 50;
/// Longest alias, in bytes, with its beginning.
const MAX_ALIAS_BYTES: usize = 255;
/// How every alias begins.
pub const ALIAS: &str = "alias/";
/// The alias of a location's default key.
pub const DEFAULT_ALIAS: &str = "alias/default";
/// How aliases must not begin.
const RESERVED_ALIASES: &[&str] = &["alias/acs", "alias/kms"];
/// Most bindings of a key.
const MAX_BINDINGS: usize = 1000;
/// Longest part of a binding, in bytes.
const MAX_BINDING_BYTES: usize = 1024;
/// How long after a rotation that failed it is tried again, in milliseconds: an hour.
const ROTATION_RETRY_MILLIS: i64 = 3600 * 1000;

/// What a key's rotation schedule becomes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schedule {
    /// Milliseconds between rotations.
    pub period_millis: Option<u64>,
    /// When the next one is.
    pub next: Option<Time>,
    /// None any more.
    pub remove: bool,
}

/// Changes of a key's own fields. Absent ones stay.
#[derive(Debug, Default)]
pub struct KeyUpdate {
    /// Algorithm of later versions.
    pub algorithm: Option<Algorithm>,
    /// Labels to set.
    pub set_labels: Vec<(String, String)>,
    /// Labels to remove.
    pub remove_labels: Vec<String>,
    /// No labels but those that are set.
    pub clear_labels: bool,
    /// What the key is for.
    pub description: Option<String>,
    /// A name for people.
    pub display_name: Option<String>,
    /// The service whose key it is; empty for nobody's.
    pub managed_by: Option<String>,
    /// Rotation.
    pub schedule: Schedule,
    /// The version that encrypts.
    pub primary: Option<u32>,
}

impl Daemon {
    /// Changes a key's record; `change` may refuse.
    ///
    /// # Errors
    /// `Aborted` for another etag than the key's, what `change` gives, what the store says.
    pub fn change_key<T>(
        &self,
        key: &KeyCell,
        etag: Option<u64>,
        change: impl FnOnce(&mut CryptoKey) -> Result<T>,
    ) -> Result<T> {
        let _writer = self.catalog.write();
        let mut record = CryptoKey::clone(&key.record());
        check_etag(etag, record.etag)?;
        let result = change(&mut record)?;
        record.etag += 1;
        let mut batch = Change::new();
        batch.put(Tree::CryptoKey, record.uid, &record)?;
        self.records.commit(batch)?;
        let old = key.record();
        // Conditions of policies look at these.
        let decides = old.care.tags != record.care.tags || old.algorithm != record.algorithm;
        key.replace(record);
        if decides {
            self.access.changed();
            self.access_changed();
        }
        Ok(result)
    }

    /// `keys update`: all of it or nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for anything against the rules, `FailedPrecondition` for a primary version that is not
    /// enabled, `Aborted`, what the store says.
    pub fn update_key(&self, key: &KeyCell, etag: Option<u64>, update: KeyUpdate, now: Time) -> Result<()> {
        let settings = &self.settings;
        self.change_key(key, etag, |record| {
            if let Some(algorithm) = update.algorithm {
                settings.check_offers(algorithm)?;
                if algorithm.purpose() != record.purpose {
                    let (name, purpose) = (algorithm.name(), record.purpose.name());
                    return refuse(format!(
                        "{name} is no algorithm for {purpose}, the purpose of {}",
                        key.name
                    ));
                }
                record.algorithm = algorithm;
            }
            if update.clear_labels {
                record.notes.labels.clear();
            }
            record.notes.labels.retain(|(name, _)| !update.remove_labels.contains(name));
            for (name, value) in update.set_labels {
                set_pair(&mut record.notes.labels, name, value);
            }
            check_labels(&record.notes.labels)?;
            if let Some(text) = update.description {
                record.notes.description = checked_text("description", text)?;
            }
            if let Some(text) = update.display_name {
                record.care.display_name = checked_text("display name", text)?;
            }
            if let Some(service) = update.managed_by {
                if !service.is_empty() {
                    check_service(&service)?;
                }
                record.managed_by = service;
            }
            if let Some(number) = update.primary {
                set_primary(key, record, number, now)?;
            }
            update.schedule.apply(settings, record, now)
        })
    }

    /// Makes a version the one that encrypts.
    ///
    /// # Errors
    /// `FailedPrecondition` for a key without a primary version or a version that is not enabled, `NotFound`.
    pub fn set_primary(&self, key: &KeyCell, etag: Option<u64>, number: u32, now: Time) -> Result<()> {
        self.change_key(key, etag, |record| set_primary(key, record, number, now))
    }

    /// Creates a version from the key's template, and makes it primary where there is such.
    ///
    /// # Errors
    /// As of [`Daemon::create_version`]; `Aborted` for another etag than the key's.
    pub fn rotate(
        &self,
        token: &Token,
        key: &KeyCell,
        etag: Option<u64>,
        now: Time,
    ) -> Result<Arc<VersionCell>> {
        let is_primary = key.record().purpose == Purpose::EncryptDecrypt;
        let version = self.create_version_if(token, key, etag, is_primary)?;
        self.change_key(key, None, |record| {
            record.care.last_rotation_time = Some(now);
            Ok(())
        })?;
        Ok(version)
    }

    /// Carries out the rotations whose time has come, one for each key however many were missed, and tells how many.
    ///
    /// # Errors
    /// What the store says of the first that failed.
    pub fn rotate_due(&self, now: Time) -> Result<usize> {
        let (mut rotated, mut failure) = (0, None);
        for token in self.catalog.tokens() {
            for key in self.catalog.keys(&token.uid) {
                let record = key.record();
                let care = &record.care;
                let failed_lately =
                    care.rotation_failed_time.is_some_and(|time| now.0 - time.0 < ROTATION_RETRY_MILLIS);
                if care.next_rotation_time.is_none_or(|next| next > now) || failed_lately {
                    continue;
                }
                match self.rotate_scheduled(&token, &key, now) {
                    Ok(()) => rotated += 1,
                    Err(error) => {
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        failure.map_or(Ok(rotated), Err)
    }

    fn rotate_scheduled(&self, token: &Token, key: &KeyCell, now: Time) -> Result<()> {
        let by = Principal::Timer;
        let about = Record::new("RotateKey", &by, "timer").about("CryptoKey", &key.name);
        let intent = self.audit.begin(&about)?;
        let has_enabled = key.versions().iter().any(|version| version.state(now) == VersionState::Enabled);
        let outcome = if has_enabled || key.versions().is_empty() {
            self.rotate(token, key, None, now)
        } else {
            Err(Error::FailedPrecondition { message: format!("{} has no version that is enabled", key.name) })
        };
        match &outcome {
            Ok(_) => self.audit.end(&intent, &about),
            Err(error) => self.audit.end(&intent, &about.clone().with_error(error, &error.to_string())),
        }
        let failed = outcome.is_err();
        self.change_key(key, None, |record| {
            let care = &mut record.care;
            care.rotation_failed_time = failed.then_some(now);
            if let (false, Some(next)) = (failed, care.next_rotation_time) {
                care.next_rotation_time = care.rotation_period_millis.map(|period| after(next, period, now));
            }
            Ok(())
        })?;
        match outcome {
            Ok(version) => {
                let details = json!({"version": version.name()});
                self.raise(Name::Rotated, "CryptoKey", &key.name, &by, details);
            }
            Err(error) => {
                let details = json!({"reason": error.to_string()});
                self.raise(Name::RotationFailed, "CryptoKey", &key.name, &by, details);
            }
        }
        Ok(())
    }

    /// Protects a key from destruction, or takes the protection away.
    ///
    /// # Errors
    /// `FailedPrecondition` to protect a key with a version that is scheduled for destruction.
    pub fn protect(&self, key: &KeyCell, etag: Option<u64>, reason: Option<String>, now: Time) -> Result<()> {
        self.change_key(key, etag, |record| {
            if reason.is_some() {
                check_none_scheduled(key, now)?;
            }
            record.care.protection = reason.map(|text| checked_text("reason", text)).transpose()?;
            Ok(())
        })
    }

    /// Archives a key, or takes it back.
    ///
    /// # Errors
    /// `FailedPrecondition` to archive a key with a version that is scheduled for destruction.
    pub fn archive(&self, key: &KeyCell, etag: Option<u64>, archived: bool, now: Time) -> Result<()> {
        self.change_key(key, etag, |record| {
            if archived {
                check_none_scheduled(key, now)?;
            }
            record.care.archived = archived;
            Ok(())
        })
    }

    /// Sets tags.
    ///
    /// # Errors
    /// `InvalidArgument` for a tag against the rules, `FailedPrecondition` for too many.
    pub fn set_tags(&self, key: &KeyCell, etag: Option<u64>, tags: &[(String, String)]) -> Result<()> {
        self.change_key(key, etag, |record| {
            for (name, value) in tags {
                check_tag(name, value)?;
                set_pair(&mut record.care.tags, name.clone(), value.clone());
            }
            record.care.tags.sort();
            if record.care.tags.len() > MAX_TAGS {
                let message = format!("{} would have more than {MAX_TAGS} tags", key.name);
                return Err(Error::FailedPrecondition { message });
            }
            Ok(())
        })
    }

    /// Removes tags; one that is not there is no error.
    ///
    /// # Errors
    /// What the store says.
    pub fn unset_tags(&self, key: &KeyCell, etag: Option<u64>, names: &[String]) -> Result<()> {
        self.change_key(key, etag, |record| {
            record.care.tags.retain(|(name, _)| !names.contains(name));
            Ok(())
        })
    }

    /// Declares a use of a key; the same one again takes the new note.
    ///
    /// # Errors
    /// `InvalidArgument`, `FailedPrecondition` for too many.
    pub fn bind(&self, key: &KeyCell, etag: Option<u64>, binding: Binding) -> Result<()> {
        for (what, text) in
            [("product", &binding.product), ("resource id", &binding.resource_id), ("note", &binding.note)]
        {
            if text.len() > MAX_BINDING_BYTES || what != "note" && text.is_empty() {
                return refuse(format!("the {what} of a binding has 1 to {MAX_BINDING_BYTES} bytes"));
            }
        }
        self.change_key(key, etag, |record| {
            let bindings = &mut record.care.bindings;
            bindings.retain(|b| (&b.product, &b.resource_id) != (&binding.product, &binding.resource_id));
            bindings.push(binding);
            if bindings.len() > MAX_BINDINGS {
                let message = format!("{} would have more than {MAX_BINDINGS} bindings", key.name);
                return Err(Error::FailedPrecondition { message });
            }
            Ok(())
        })
    }

    /// Takes a declared use back.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn unbind(&self, key: &KeyCell, etag: Option<u64>, product: &str, resource_id: &str) -> Result<()> {
        self.change_key(key, etag, |record| {
            let bindings = &mut record.care.bindings;
            let before = bindings.len();
            bindings.retain(|b| (b.product.as_str(), b.resource_id.as_str()) != (product, resource_id));
            if bindings.len() == before {
                let resource = format!("the binding of {} to {product} {resource_id}", key.name);
                return Err(Error::NotFound { resource });
            }
            Ok(())
        })
    }

    /// Gives a key another name in its location.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against the rules, `AlreadyExists`, `FailedPrecondition` for too many.
    pub fn create_alias(&self, token: &Token, key: &Arc<KeyCell>, id: &str, now: Time) -> Result<()> {
        check_alias(id)?;
        let place = token.ring().name.clone();
        self.change_key(key, None, |record| {
            if self.catalog.key_by_alias(&place.project, &place.location, id).is_some() {
                let resource = alias_name(&place.project, &place.location, id);
                return Err(Error::AlreadyExists { resource });
            }
            let alias = Alias { id: id.to_owned(), create_time: now, update_time: now };
            add_alias(key, record, alias)
        })?;
        self.catalog.set_alias(&place.project, &place.location, id, Some(key.clone()));
        Ok(())
    }

    /// Points an alias to another key, in one commit.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for too many.
    pub fn update_alias(&self, token: &Token, to: &Arc<KeyCell>, id: &str, now: Time) -> Result<()> {
        let place = token.ring().name.clone();
        let _writer = self.catalog.write();
        let from = self.catalog.key_by_alias(&place.project, &place.location, id);
        let missing = || Error::NotFound { resource: alias_name(&place.project, &place.location, id) };
        let from = from.ok_or_else(missing)?;
        if from.uid == to.uid {
            return Ok(());
        }
        let (mut old, mut new) = (CryptoKey::clone(&from.record()), CryptoKey::clone(&to.record()));
        let index = old.care.aliases.iter().position(|alias| alias.id == id).ok_or_else(missing)?;
        let alias = old.care.aliases.remove(index);
        add_alias(to, &mut new, Alias { update_time: now, ..alias })?;
        let mut change = Change::new();
        for record in [&mut old, &mut new] {
            record.etag += 1;
            change.put(Tree::CryptoKey, record.uid, record)?;
        }
        self.records.commit(change)?;
        from.replace(old);
        to.replace(new);
        self.catalog.set_alias(&place.project, &place.location, id, Some(to.clone()));
        Ok(())
    }

    /// Takes an alias away.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn delete_alias(&self, project: &str, location: &str, id: &str) -> Result<()> {
        let key = self.catalog.key_by_alias(project, location, id);
        let missing = || Error::NotFound { resource: alias_name(project, location, id) };
        self.change_key(&*key.ok_or_else(missing)?, None, |record| {
            let before = record.care.aliases.len();
            record.care.aliases.retain(|alias| alias.id != id);
            if record.care.aliases.len() == before { Err(missing()) } else { Ok(()) }
        })?;
        self.catalog.set_alias(project, location, id, None);
        Ok(())
    }
}

impl Schedule {
    /// Puts the schedule into a key.
    ///
    /// # Errors
    /// `InvalidArgument` for a schedule against the rules, and for a key that has none.
    pub fn apply(
        self,
        settings: &super::settings::Settings,
        record: &mut CryptoKey,
        now: Time,
    ) -> Result<()> {
        if self.remove {
            record.care.rotation_period_millis = None;
            record.care.next_rotation_time = None;
        }
        if self.period_millis.is_none() && self.next.is_none() {
            return Ok(());
        }
        if record.purpose != Purpose::EncryptDecrypt || record.import_only {
            return refuse(
                "only keys for ENCRYPT_DECRYPT that generate their versions have a rotation schedule"
                    .to_owned(),
            );
        }
        if let Some(millis) = self.period_millis {
            record.care.rotation_period_millis = Some(settings.check_rotation_period(millis)?);
        }
        if let Some(next) = self.next {
            if next <= now {
                return refuse("the next rotation must be in the future".to_owned());
            }
            record.care.next_rotation_time = Some(next);
            record.care.rotation_failed_time = None;
        }
        if record.care.next_rotation_time.is_none() {
            return refuse(
                "a rotation period needs the time of the next rotation (--next-rotation-time)".to_owned(),
            );
        }
        Ok(())
    }
}

/// The first time behind `now` in steps of `period` from `next`.
fn after(next: Time, period: u64, now: Time) -> Time {
    let period = i64::try_from(period.max(1)).unwrap_or(i64::MAX);
    let steps = (now.0 - next.0).max(0) / period + 1;
    Time(next.0.saturating_add(steps.saturating_mul(period)))
}

fn set_primary(key: &KeyCell, record: &mut CryptoKey, number: u32, now: Time) -> Result<()> {
    if record.purpose != Purpose::EncryptDecrypt {
        let message = format!("{} has no primary version: only keys for ENCRYPT_DECRYPT have", key.name);
        return Err(Error::FailedPrecondition { message });
    }
    let missing = || Error::NotFound { resource: key.version_name(number) };
    let version = key.version(number).ok_or_else(missing)?;
    let state = version.state(now);
    if state != VersionState::Enabled {
        return Err(Error::VersionNotEnabled { version: version.name(), state: state.name() });
    }
    record.primary = Some(number);
    Ok(())
}

fn check_none_scheduled(key: &KeyCell, now: Time) -> Result<()> {
    let scheduled =
        key.versions().into_iter().find(|version| version.state(now) == VersionState::DestroyScheduled);
    match scheduled {
        Some(version) => Err(Error::WrongState {
            resource: version.name(),
            field: super::versions::STATE_FIELD,
            state: VersionState::DestroyScheduled.name(),
        }),
        None => Ok(()),
    }
}

fn set_pair(pairs: &mut Vec<(String, String)>, name: String, value: String) {
    match pairs.iter_mut().find(|(other, _)| *other == name) {
        Some((_, old)) => *old = value,
        None => pairs.push((name, value)),
    }
}

pub(super) fn checked_text(what: &str, text: String) -> Result<String> {
    if text.len() > MAX_DESCRIPTION_BYTES {
        return refuse(format!("a {what} has at most {MAX_DESCRIPTION_BYTES} bytes"));
    }
    Ok(text)
}

/// Judges a tag.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_tag(name: &str, value: &str) -> Result<()> {
    let legal = |c: char| c.is_alphanumeric() || "/\\_-.+=:@ ".contains(c);
    for (what, text) in [("key", name), ("value", value)] {
        let length = text.chars().count();
        if !(1..=MAX_TAG_CHARS).contains(&length) || !text.chars().all(legal) {
            return refuse(format!(
                "{} is no {what} of a tag: 1 to {MAX_TAG_CHARS} letters, digits, spaces and / \\ _ - . + = : @ are",
                quoted(text)
            ));
        }
    }
    let lower = name.to_lowercase();
    match RESERVED_TAGS.iter().find(|start| lower.starts_with(**start)) {
        Some(start) => refuse(format!("{}: keys of tags that begin with {start} are reserved", quoted(name))),
        None => Ok(()),
    }
}

/// Judges an alias.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_alias(id: &str) -> Result<()> {
    let rest = id.strip_prefix(ALIAS).unwrap_or_default();
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'/' | b'-');
    if rest.is_empty() || id.len() > MAX_ALIAS_BYTES || !rest.bytes().all(legal) {
        return refuse(format!(
            "{} is no alias: {ALIAS} and then 1 to 249 letters, digits, - _ and / are",
            quoted(id)
        ));
    }
    match RESERVED_ALIASES.iter().find(|start| id.starts_with(**start)) {
        Some(start) => refuse(format!("{}: aliases that begin with {start} are reserved", quoted(id))),
        None => Ok(()),
    }
}

/// Judges whether somebody may end, tag or rename a key: one that a service manages is that service's alone.
///
/// # Errors
/// `Managed`.
pub fn check_managed(name: &str, key: &CryptoKey, by: &Principal) -> Result<()> {
    let service = &key.managed_by;
    let is_service = match by {
        Principal::Timer => true,
        Principal::Peer(peer) => {
            *service == format!("uid:{}", peer.uid) || *service == crate::audit::user_name(peer.uid)
        }
    };
    match service.is_empty() || is_service {
        true => Ok(()),
        false => Err(Error::Managed { resource: name.to_owned(), service: service.clone() }),
    }
}

/// Judges the name of a service.
///
/// # Errors
/// `InvalidArgument` for anything but `uid:N` and `user:NAME`.
pub fn check_service(text: &str) -> Result<()> {
    let is_uid = text.strip_prefix("uid:").is_some_and(|uid| uid.parse::<u32>().is_ok());
    let is_user = text.strip_prefix("user:").is_some_and(|name| {
        (1..=64).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic() && c != b':')
    });
    match is_uid || is_user {
        true => Ok(()),
        false => refuse(format!("{} is no service: uid:N or user:NAME is", quoted(text))),
    }
}

/// Full resource name of an alias.
pub fn alias_name(project: &str, location: &str, id: &str) -> String {
    format!("projects/{project}/locations/{location}/aliases/{}", id.strip_prefix(ALIAS).unwrap_or(id))
}

fn add_alias(key: &KeyCell, record: &mut CryptoKey, alias: Alias) -> Result<()> {
    if record.care.aliases.len() >= MAX_ALIASES {
        let message = format!("{} has {MAX_ALIASES} aliases already", key.name);
        return Err(Error::FailedPrecondition { message });
    }
    record.care.aliases.push(alias);
    Ok(())
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
#[path = "upkeep_tests.rs"]
mod tests;
