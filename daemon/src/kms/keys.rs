//! Keys: creating them, and the rules for what a person may say about one.

use std::sync::Arc;

use super::algorithm::{Algorithm, ProtectionLevel, Purpose, quoted};
use super::record::{Care, CryptoKey, Notes};
use super::rings::new_uid;
use super::settings::Settings;
use super::time::Time;
use super::upkeep::{MAX_TAGS, Schedule, check_service, check_tag, checked_text};
use super::versions::generate;
use crate::access::policies::Created;
use crate::catalog::KeyCell;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::store::{Change, Tree};
use crate::template::Origin;
use crate::token::Token;

const HOUR_MILLIS: u64 = 3600 * 1000;
const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;

/// Longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 8192;
/// Most labels of a key.
pub const MAX_LABELS: usize = 64;
/// Longest id of a ring, key or import job, and longest part of a label, in characters.
const MAX_ID_CHARS: usize = 63;

/// What a new key is to be.
pub struct NewKey {
    /// Its id on the ring.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Algorithm of its versions; only `ENCRYPT_DECRYPT` has a default.
    pub algorithm: Option<Algorithm>,
    /// Protection level of its versions.
    pub protection_level: ProtectionLevel,
    /// Do not create version 1.
    pub skip_initial_version: bool,
    /// Only imported versions; needs `skip_initial_version`.
    pub import_only: bool,
    /// Milliseconds from destroy to destruction; 30 days when absent.
    pub destroy_scheduled_millis: Option<u64>,
    /// Labels, by key.
    pub labels: Vec<(String, String)>,
    /// What the key is for.
    pub description: String,
    /// Display name, tags, protection.
    pub care: Care,
    /// The service whose key it is; empty when it is people's.
    pub managed_by: String,
    /// Rotation.
    pub schedule: Schedule,
}

impl Daemon {
    /// Creates a key and, unless told otherwise, its first version. Slow for RSA: the material is generated on the
    /// calling thread.
    ///
    /// # Errors
    /// `InvalidArgument` for anything against the rules, `AlreadyExists`, what the store says.
    pub fn create_key(&self, token: &Token, new: NewKey) -> Result<Arc<KeyCell>> {
        self.create_key_by(token, new, None)
    }

    /// As [`Daemon::create_key`], for somebody who gets the rights of its creator.
    ///
    /// # Errors
    /// As of [`Daemon::create_key`].
    pub fn create_key_by(&self, token: &Token, new: NewKey, creator: Option<u32>) -> Result<Arc<KeyCell>> {
        let algorithm = new.check(&self.settings)?;
        let ring = token.ring();
        self.settings.check_level(&ring.name.location, new.protection_level)?;
        let name = format!("{}/cryptoKeys/{}", ring.name, new.id);
        let check_free = || match self.catalog.is_free(&token.uid, &new.id) {
            false => Err(Error::AlreadyExists { resource: name.clone() }),
            true => Ok(()),
        };
        check_free()?;
        let material = match new.skip_initial_version {
            true => None,
            false => Some(generate(algorithm)?),
        };

        let _writer = self.catalog.write();
        check_free()?;
        let now = Time::now();
        let mut record = CryptoKey {
            uid: new_uid()?,
            ring: token.uid,
            id: new.id.into(),
            purpose: new.purpose,
            protection_level: new.protection_level,
            algorithm,
            primary: None,
            next_version: 1,
            create_time: now,
            notes: Notes { labels: new.labels, description: new.description }.into(),
            import_only: new.import_only,
            destroy_scheduled_millis: new
                .destroy_scheduled_millis
                .unwrap_or(self.settings.default_destroy_scheduled_duration),
            made_by_pkcs11: false,
            care: new.care.into(),
            etag: 0,
            managed_by: new.managed_by,
        };
        new.schedule.apply(&self.settings, &mut record, now)?;
        let mut change = Change::new();
        let version = match &material {
            Some(live) => {
                Some(self.add_version(&mut change, &mut record, algorithm, live, Origin::Generate, now)?)
            }
            None => None,
        };
        if version.is_some() && record.purpose == Purpose::EncryptDecrypt {
            record.primary = Some(1);
        }
        record.etag = 1;
        change.put(Tree::CryptoKey, record.uid, &record)?;
        let created = Created::by(name, creator);
        created.write(&mut change)?;
        self.records.commit(change)?;

        created.put(&self.access);
        let key = Arc::new(KeyCell::new(&ring.name, record));
        let version = version.map(|version| key.insert(version));
        self.catalog.insert_key(key.clone());
        if let Some(version) = version {
            self.show_version(token, &version)?;
        }
        Ok(key)
    }
}

impl NewKey {
    /// Checks everything that needs no look at the ring, and gives the algorithm.
    fn check(&self, settings: &Settings) -> Result<Algorithm> {
        check_id("key", &self.id)?;
        let is_reserved = self.id.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("kms-"));
        if is_reserved && self.managed_by.is_empty() {
            return refuse(format!(
                "{}: keys that begin with kms- are reserved for those with managed-by",
                quoted(&self.id)
            ));
        }
        let offered: Vec<_> = Algorithm::of_purpose(self.purpose).collect();
        if offered.is_empty() || self.purpose == Purpose::P11Generic {
            return Err(Error::Unimplemented { what: format!("the purpose {}", self.purpose.name()) });
        }
        let default =
            (self.purpose == Purpose::EncryptDecrypt).then_some(Algorithm::GoogleSymmetricEncryption);
        let names = || offered.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ");
        let Some(algorithm) = self.algorithm.or(default) else {
            return refuse(format!(
                "a key for {} needs a default algorithm, one of {}",
                self.purpose.name(),
                names()
            ));
        };
        if algorithm.purpose() != self.purpose {
            return refuse(format!(
                "{} is no algorithm for {}; there are {}",
                algorithm.name(),
                self.purpose.name(),
                names()
            ));
        }
        settings.check_offers(algorithm)?;
        if self.import_only && !self.skip_initial_version {
            return refuse(
                "a key with import-only starts without a version: add skip-initial-version-creation"
                    .to_owned(),
            );
        }
        if let Some(millis) = self.destroy_scheduled_millis {
            settings.check_window(millis, self.import_only)?;
        }
        check_labels(&self.labels)?;
        if self.description.len() > MAX_DESCRIPTION_BYTES {
            return refuse(format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes"));
        }
        checked_text("display name", self.care.display_name.clone())?;
        if !self.managed_by.is_empty() {
            check_service(&self.managed_by)?;
        }
        if self.care.tags.len() > MAX_TAGS {
            return refuse(format!("a key has at most {MAX_TAGS} tags"));
        }
        self.care.tags.iter().try_for_each(|(name, value)| check_tag(name, value))?;
        Ok(algorithm)
    }
}

/// Checks the id of a ring, key or import job: `[a-zA-Z0-9_-]{1,63}`.
///
/// # Errors
/// `InvalidArgument` naming `what` it is to be the id of.
pub fn check_id(what: &str, id: &str) -> Result<()> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(legal) {
        return Ok(());
    }
    refuse(format!("{} is no {what}: 1 to {MAX_ID_CHARS} letters, digits, - and _ are", quoted(id)))
}

/// Labels as `key=value,key=value`.
///
/// # Errors
/// `InvalidArgument` for a text without `=`; the labels themselves are judged when the key is made.
pub fn parse_labels(text: &str) -> Result<Vec<(String, String)>> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => refuse(format!("{} is no label: key=value is", quoted(pair))),
    });
    pairs.collect()
}

pub(super) fn check_labels(labels: &[(String, String)]) -> Result<()> {
    if labels.len() > MAX_LABELS {
        return refuse(format!("a key has at most {MAX_LABELS} labels"));
    }
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    for (i, (key, value)) in labels.iter().enumerate() {
        let key_fits = (1..=MAX_ID_CHARS).contains(&key.len())
            && key.starts_with(|c: char| c.is_ascii_lowercase())
            && key.bytes().all(legal);
        if !key_fits {
            return refuse(format!(
                "{} is no label's key: a lower-case letter, then at most 62 lower-case letters, digits, - and _",
                quoted(key)
            ));
        }
        if value.len() > MAX_ID_CHARS || !value.bytes().all(legal) {
            return refuse(format!(
                "{} is no label's value: at most 63 lower-case letters, digits, - and _ are",
                quoted(value)
            ));
        }
        if labels[..i].iter().any(|(other, _)| other == key) {
            return refuse(format!("the label {key} is given twice"));
        }
    }
    Ok(())
}

/// A duration in milliseconds: `90s`, `15m`, `36h`, `30d`, `1d12h`, `0`, or ISO 8601 with days and smaller units
/// (`P30D`, `PT36H`).
///
/// # Errors
/// `InvalidArgument` for any other text.
pub fn parse_duration(text: &str) -> Result<u64> {
    let millis = if text == "0" { Some(0) } else { iso_duration(text).or_else(|| units(text, "dhms")) };
    millis.ok_or_else(|| Error::InvalidArgument {
        message: format!("{} is no duration, such as 30d, 36h, 1d12h or P30D", quoted(text)),
    })
}

fn iso_duration(text: &str) -> Option<u64> {
    let text = text.strip_prefix('P')?;
    let (days, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let part = |text: &str, order| if text.is_empty() { Some(0) } else { units(text, order) };
    part(&days.to_ascii_lowercase(), "d")?.checked_add(part(&time.to_ascii_lowercase(), "hms")?)
}

/// Numbers with units, each unit of `order` at most once and in this order.
fn units(text: &str, order: &str) -> Option<u64> {
    let mut total: Option<u64> = None;
    let (mut rest, mut order) = (text, order);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next()?;
        order = &order[order.find(unit)? + 1..];
        let factor = match unit {
            'd' => DAY_MILLIS,
            'h' => HOUR_MILLIS,
            'm' => 60 * 1000,
            's' => 1000,
            _ => return None,
        };
        let millis = number.parse::<u64>().ok()?.checked_mul(factor)?;
        total = Some(total.unwrap_or(0).checked_add(millis)?);
        rest = &tail[1..];
    }
    total
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
