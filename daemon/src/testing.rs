//! What tests change of the daemon: its clock, the pace of its timer, a store full of keys. The program that is
//! shipped has no way to set any of it; `clavigerd-testing` does.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::error::Result;
use crate::kms::algorithm::{Algorithm, ProtectionLevel, Purpose};
use crate::kms::clock::Reading;
use crate::kms::keys::parse_duration;
use crate::kms::record::{CryptoKey, Fate, Version};
use crate::kms::rings::new_uid;
use crate::kms::state::VersionState;
use crate::kms::time::Time;
use crate::seldom::Seldom;
use crate::store::{Change, Tree};
use crate::token::Token;

static CLOCK_FILE: OnceLock<PathBuf> = OnceLock::new();
static TICK: OnceLock<Duration> = OnceLock::new();

/// Adds to the machine's clocks what a file says from now on: one duration for both clocks, or one for the wall clock
/// and one for the monotonic clock. A minus sign in front goes back.
pub fn set_clock(file: PathBuf) {
    let _ = CLOCK_FILE.set(file);
}

/// Has the timer run so often.
pub fn set_tick(tick: Duration) {
    let _ = TICK.set(tick);
}

/// How often the timer runs, when tests say nothing else.
pub(crate) fn tick(otherwise: Duration) -> Duration {
    TICK.get().copied().unwrap_or(otherwise)
}

pub(crate) fn shifted(reading: Reading) -> Reading {
    let Some(file) = CLOCK_FILE.get() else { return reading };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| {
        let (sign, word) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
        sign * i64::try_from(parse_duration(word).unwrap_or(0)).unwrap_or(0)
    });
    let wall = words.next().unwrap_or(0);
    let monotonic = words.next().unwrap_or(wall);
    Reading { wall: reading.wall + wall, monotonic: reading.monotonic + monotonic }
}

/// Puts many keys on a ring, a thousand in each commit: `PREFIX000000`, and so on, each with one version of random
/// material and without objects. With `due` the versions are scheduled for destruction then.
///
/// # Errors
/// What the store says.
pub fn fill(daemon: &Daemon, token: &Token, prefix: &str, count: usize, due: Option<Time>) -> Result<()> {
    let now = Time::now();
    let mut done = 0;
    while done < count {
        let mut change = Change::new();
        for number in done..count.min(done + 1000) {
            let (key, version) = (new_uid()?, new_uid()?);
            let key = CryptoKey {
                uid: key,
                ring: token.uid,
                id: format!("{prefix}{number:06}").into(),
                purpose: Purpose::Mac,
                protection_level: ProtectionLevel::Software,
                algorithm: Algorithm::HmacSha256,
                primary: None,
                next_version: 2,
                create_time: now,
                notes: Seldom::default(),
                import_only: false,
                destroy_scheduled_millis: daemon.settings.default_destroy_scheduled_duration,
                made_by_pkcs11: false,
                care: Seldom::default(),
                etag: 1,
                managed_by: String::new(),
            };
            let version = Version {
                uid: version,
                key: key.uid,
                number: 1,
                state: if due.is_some() { VersionState::DestroyScheduled } else { VersionState::Enabled },
                algorithm: key.algorithm,
                create_time: now,
                generate_time: Some(now),
                fate: Fate { scheduled_at: due.map(|_| now), destroy_time: due, ..Fate::default() }.into(),
                expire_material_time: None,
                objects: Vec::new(),
                etag: 1,
            };
            change.put(Tree::CryptoKey, key.uid, &key)?;
            change.put(Tree::Version, version.uid, &version)?;
            change.put_material(version.uid, &crate::crypto::random::secret(32)?);
        }
        daemon.records.commit(change)?;
        done = count.min(done + 1000);
    }
    Ok(())
}
