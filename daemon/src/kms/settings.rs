//! What the configuration says about the life of keys: the `[kms]` table.

use serde::{Deserialize, Deserializer};

use super::algorithm::{Algorithm, ProtectionLevel};
use super::clock::Trust;
use super::keys::parse_duration;
use crate::error::{Error, Result};

const HOUR: u64 = 3600 * 1000;
const DAY: u64 = 24 * HOUR;

/// Settings of the key service. Durations are in milliseconds, and texts such as `30d` in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Time from destroy to destruction of a key that says nothing else.
    #[serde(deserialize_with = "duration")]
    pub default_destroy_scheduled_duration: u64,
    /// Shortest such time. Raising it changes nothing for keys that exist.
    #[serde(deserialize_with = "duration")]
    pub min_destroy_scheduled_duration: u64,
    /// Longest such time.
    #[serde(deserialize_with = "duration")]
    pub max_destroy_scheduled_duration: u64,
    /// An enabled version must be disabled before its destruction can be scheduled.
    pub require_disable_before_destroy: bool,
    /// Longest time that copies of destroyed material may last, sealed, in old parts of the disk and in backups.
    #[serde(deserialize_with = "duration")]
    pub material_purge_max: u64,
    /// On how many last days before a destruction a notice is given.
    pub imminent_notice_days: u32,
    /// Believes every leap of the machine's clock.
    pub trust_clock: bool,
    /// Longest time between stop and start that is believed.
    #[serde(deserialize_with = "duration")]
    pub max_trusted_downtime: u64,
    /// Running time after which a leap of the clock is believed.
    #[serde(deserialize_with = "duration")]
    pub clock_grace: u64,
    /// Shortest rotation period.
    #[serde(deserialize_with = "duration")]
    pub min_rotation_period: u64,
    /// Longest rotation period.
    #[serde(deserialize_with = "duration")]
    pub max_rotation_period: u64,
    /// Program and arguments that are run for every event, with its JSON on stdin.
    pub event_hook: Vec<String>,
    /// User id that the hook runs as; without it the hook runs only in a daemon that is not root.
    pub event_hook_uid: Option<u32>,
    /// Encryptions with AES-GCM that one key of a `strict` ring may make (NIST SP 800-38D, 8.3).
    pub strict_gcm_encryptions: u64,
    /// Locations that exist: each its name, or a table that says what it offers.
    pub locations: Vec<Location>,
    /// Every location exists.
    pub any_location: bool,
    /// Searches of PKCS#11 applications give disabled versions too; they can be read and not used.
    pub show_disabled: bool,
    /// The `CKA_ID` of the objects of versions that the key service makes from now on.
    pub cka_id: CkaId,
    /// Keys may decrypt RSAES-PKCS1-v1_5, which only old programs need and which invites attacks.
    pub rsa_decrypt_pkcs1: bool,
}

/// What the objects of a version have as `CKA_ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CkaId {
    /// The key's uid and the version's number in decimal, which every tool can show.
    #[default]
    UidAndNumber,
    /// The full resource name of the version, as Google's PKCS#11 library has it. Some tools stop at 255 bytes.
    FullName,
}

/// A location, and what it offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its name.
    pub id: String,
    /// Keys there may have the protection level HSM.
    pub hsm_available: bool,
}

impl Location {
    /// One that offers everything.
    pub fn new(id: &str) -> Location {
        Location { id: id.to_owned(), hsm_available: true }
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            id: String,
            hsm_available: bool,
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a location is its name, or {id = NAME, hsm_available = BOOL}")]
        enum Form {
            Name(String),
            Table(Table),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Name(id) => Location::new(&id),
            Form::Table(table) => Location { id: table.id, hsm_available: table.hsm_available },
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        let trust = Trust::default();
        Self {
            default_destroy_scheduled_duration: 30 * DAY,
            min_destroy_scheduled_duration: DAY,
            max_destroy_scheduled_duration: 120 * DAY,
            require_disable_before_destroy: false,
            material_purge_max: 45 * DAY,
            imminent_notice_days: 3,
            trust_clock: trust.always,
            max_trusted_downtime: trust.max_downtime_millis,
            clock_grace: trust.grace_millis,
            min_rotation_period: DAY,
            max_rotation_period: 876_000 * HOUR,
            event_hook: Vec::new(),
            event_hook_uid: None,
            strict_gcm_encryptions: 1 << 32,
            locations: vec![Location::new("global")],
            any_location: false,
            show_disabled: true,
            cka_id: CkaId::default(),
            rsa_decrypt_pkcs1: false,
        }
    }
}

impl Settings {
    /// Judges a time from destroy to destruction. Keys that only hold imported versions may have none at all, since
    /// their owner has the material.
    ///
    /// # Errors
    /// `InvalidArgument` when it is out of bounds.
    pub fn check_window(&self, millis: u64, import_only: bool) -> Result<u64> {
        let (min, max) = (self.min_destroy_scheduled_duration, self.max_destroy_scheduled_duration);
        if (min..=max).contains(&millis) || import_only && millis == 0 {
            return Ok(millis);
        }
        let message = format!(
            "the time from destroy to destruction is {} to {}; only a key with import-only may have 0",
            shown(min),
            shown(max)
        );
        Err(Error::InvalidArgument { message })
    }

    /// Whether keys of an algorithm are made and used here.
    pub fn offers(&self, algorithm: Algorithm) -> bool {
        algorithm != Algorithm::RsaDecryptPkcs12048 || self.rsa_decrypt_pkcs1
    }

    /// Judges an algorithm.
    ///
    /// # Errors
    /// `FailedPrecondition` for one that is off.
    pub fn check_offers(&self, algorithm: Algorithm) -> Result<()> {
        if self.offers(algorithm) {
            return Ok(());
        }
        let message = format!("{} is off: rsa_decrypt_pkcs1 = true in [kms] turns it on", algorithm.name());
        Err(Error::FailedPrecondition { message })
    }

    /// Judges the settings as a whole.
    ///
    /// # Errors
    /// One sentence about the first that contradicts another.
    pub fn check(&self) -> std::result::Result<(), String> {
        let (min, max) = (self.min_destroy_scheduled_duration, self.max_destroy_scheduled_duration);
        if min > max {
            return Err(
                "min_destroy_scheduled_duration is longer than max_destroy_scheduled_duration".to_owned()
            );
        }
        if !(min..=max).contains(&self.default_destroy_scheduled_duration) {
            return Err(
                "default_destroy_scheduled_duration is not between the shortest and the longest".to_owned()
            );
        }
        if self.min_rotation_period > self.max_rotation_period || self.min_rotation_period == 0 {
            return Err("min_rotation_period is 0 or longer than max_rotation_period".to_owned());
        }
        if self.locations.is_empty() && !self.any_location {
            return Err("there is no location".to_owned());
        }
        Ok(())
    }

    /// The location of names that give none: `global`, or else the first that is configured.
    pub fn default_location(&self) -> &str {
        const GLOBAL: &str = "global";
        match self.locations.first() {
            Some(first) if !self.locations.iter().any(|known| known.id == GLOBAL) => &first.id,
            _ => GLOBAL,
        }
    }

    /// Judges a protection level at a location.
    ///
    /// # Errors
    /// `FailedPrecondition` where the location does not offer it.
    pub fn check_level(&self, location: &str, level: ProtectionLevel) -> Result<()> {
        let known = self.locations.iter().find(|known| known.id == location);
        if level == ProtectionLevel::Hsm && known.is_some_and(|known| !known.hsm_available) {
            let message = format!("the location {location} has no HSM: locations list shows which have");
            return Err(Error::FailedPrecondition { message });
        }
        Ok(())
    }

    /// Judges a rotation period.
    ///
    /// # Errors
    /// `InvalidArgument` when it is out of bounds.
    pub fn check_rotation_period(&self, millis: u64) -> Result<u64> {
        let (min, max) = (self.min_rotation_period, self.max_rotation_period);
        if (min..=max).contains(&millis) {
            return Ok(millis);
        }
        let message = format!("a rotation period is {} to {}", shown(min), shown(max));
        Err(Error::InvalidArgument { message })
    }

    /// What the clock is to be believed.
    pub fn trust(&self) -> Trust {
        Trust {
            always: self.trust_clock,
            max_downtime_millis: self.max_trusted_downtime,
            grace_millis: self.clock_grace,
        }
    }
}

/// A duration for people.
fn shown(millis: u64) -> String {
    match millis {
        0 => "0".to_owned(),
        _ if millis.is_multiple_of(DAY) && millis > DAY => format!("{} days", millis / DAY),
        _ if millis.is_multiple_of(HOUR) => format!("{} hours", millis / HOUR),
        _ => format!("{} seconds", millis / 1000),
    }
}

pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_texts_and_the_rest_keeps_its_default() {
        // DST-04
        let settings: Settings = toml::from_str("min_destroy_scheduled_duration = \"7d\"").unwrap();
        assert_eq!(settings, Settings { min_destroy_scheduled_duration: 7 * DAY, ..Settings::default() });
        assert!(toml::from_str::<Settings>("clock_grace = \"soon\"").is_err());
        assert!(toml::from_str::<Settings>("clock_grase = \"1d\"").is_err());
    }

    #[test]
    fn locations_say_whether_they_have_an_hsm() {
        // RES-17 RES-23
        let text = "locations = [\"eu\", {id = \"lab\", hsm_available = false}]";
        let settings: Settings = toml::from_str(text).unwrap();
        let lab = Location { id: "lab".to_owned(), hsm_available: false };
        assert_eq!(settings.locations, [Location::new("eu"), lab]);
        assert_eq!(settings.check_level("eu", ProtectionLevel::Hsm), Ok(()));
        assert_eq!(settings.check_level("lab", ProtectionLevel::Software), Ok(()));
        assert!(matches!(
            settings.check_level("lab", ProtectionLevel::Hsm),
            Err(Error::FailedPrecondition { .. })
        ));
        assert!(toml::from_str::<Settings>("locations = [{id = \"x\", hsm = true}]").is_err());
    }
}
