//! Every change of a version's state: what stands in its way, and what it does.

use std::sync::Arc;

use serde_json::json;

use super::record::{CryptoKey, Version};
use super::state::{Transition, VersionState, next_state};
use super::time::Time;
use super::upkeep::check_managed;
use super::versions::wrong_state;
use crate::audit::{Principal, Record};
use crate::catalog::{KeyCell, VersionCell};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::events::Name;
use crate::store::{Change, Tree};

/// Versions that the timer changes in one commit.
const BATCH: usize = 64;

/// How a transition is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Milliseconds from destroy to destruction, in place of the key's.
    pub window_millis: Option<u64>,
    /// Destroys a key that is bound to something.
    pub force_bound: bool,
    /// The etag that the version, or for a whole key the key, must have.
    pub etag: Option<u64>,
}

impl Daemon {
    /// Changes a version's state, in one commit. A version that already is what is asked for stays as it is.
    ///
    /// # Errors
    /// `WrongState` for a transition that does not exist, what stands in the way of a destruction, what the store
    /// says.
    pub fn transition(&self, cell: &Arc<VersionCell>, transition: Transition, now: Time) -> Result<()> {
        self.transition_how(cell, transition, now, How::default(), &Principal::Timer)
    }

    /// As [`Daemon::transition`], as somebody wants it.
    ///
    /// # Errors
    /// As of [`Daemon::transition`]; `Aborted` for another etag.
    pub fn transition_how(
        &self,
        cell: &Arc<VersionCell>,
        transition: Transition,
        now: Time,
        how: How,
        by: &Principal,
    ) -> Result<()> {
        let writer = self.catalog.write();
        let (key, _) = self.owners(cell)?;
        check_etag(how.etag, cell.record().etag)?;
        if ends(transition) {
            check_managed(&cell.name(), &key.record(), by)?;
        }
        let mut change = Change::new();
        let Some(record) = self.plan(&key.record(), cell, transition, now, how, &mut change)? else {
            return Ok(());
        };
        self.carry_out(change, vec![(cell.clone(), record)], transition)?;
        drop(writer);
        self.tell(transition, cell, by);
        Ok(())
    }

    /// Changes the state of all versions of a key that can change so, in one commit, and gives those that did.
    ///
    /// # Errors
    /// `FailedPrecondition` when no version can, else as of [`Daemon::transition_how`].
    pub fn transition_key(
        &self,
        key: &KeyCell,
        transition: Transition,
        now: Time,
        how: How,
        by: &Principal,
    ) -> Result<Vec<Arc<VersionCell>>> {
        let writer = self.catalog.write();
        let record = key.record();
        check_etag(how.etag, record.etag)?;
        if ends(transition) {
            check_managed(&key.name, &record, by)?;
        }
        let mut change = Change::new();
        let (mut possible, mut planned) = (false, Vec::new());
        for cell in key.versions() {
            if next_state(cell.state(now), transition).is_none() {
                continue;
            }
            possible = true;
            if let Some(next) = self.plan(&record, &cell, transition, now, how, &mut change)? {
                planned.push((cell, next));
            }
        }
        if !possible {
            let what = match transition {
                Transition::Enable => "is disabled",
                Transition::Disable => "is enabled",
                Transition::Destroy => "is enabled or disabled",
                Transition::Restore => "is scheduled for destruction",
            };
            let message = format!("{} has no version that {what}", key.name);
            return Err(Error::FailedPrecondition { message });
        }
        let cells: Vec<_> = planned.iter().map(|(cell, _)| cell.clone()).collect();
        self.carry_out(change, planned, transition)?;
        drop(writer);
        cells.iter().for_each(|cell| self.tell(transition, cell, by));
        Ok(cells)
    }

    /// Whether a version may be destroyed now, by an application.
    ///
    /// # Errors
    /// `WrongState`, `Protected`, `Bound`.
    pub(super) fn check_may_destroy(&self, cell: &VersionCell, now: Time) -> Result<()> {
        let state = cell.state(now);
        next_state(state, Transition::Destroy).ok_or_else(|| wrong_state(cell, state))?;
        let (key, _) = self.owners(cell)?;
        check_destroyable(&key.name, &key.record(), false)
    }

    /// Destroys a version that is enabled or disabled at once, without a schedule.
    ///
    /// # Errors
    /// `WrongState` in any other state, `Protected`, `Bound`, what the store says.
    pub fn destroy_now(&self, cell: &Arc<VersionCell>, now: Time) -> Result<()> {
        let writer = self.catalog.write();
        let (key, token) = self.owners(cell)?;
        let state = cell.state(now);
        next_state(state, Transition::Destroy).ok_or_else(|| wrong_state(cell, state))?;
        check_destroyable(&key.name, &key.record(), false)?;
        let mut record = Version::clone(&cell.record());
        record.fate.scheduled_at = Some(now);
        let mut change = Change::new();
        destroy(&mut record, &mut change, now);
        self.put_version(change, cell, record)?;
        self.hide_version(&token, cell);
        drop(writer);
        self.tell_destroyed(cell);
        Ok(())
    }

    /// Destroys every version whose schedule has passed, some in each commit, and tells how many. One that fails does
    /// not keep the others.
    ///
    /// # Errors
    /// What the store says of the first that failed.
    pub fn destroy_due(&self, now: Time) -> Result<usize> {
        let (mut destroyed, mut failure) = (0, None);
        let due: Vec<_> = self.catalog.scheduled().into_iter().filter(|cell| is_due(cell, now)).collect();
        for cells in due.chunks(BATCH) {
            match self.destroy_batch(cells, now) {
                Ok(count) => destroyed += count,
                // One that cannot be destroyed is found by trying them one by one.
                Err(_) => {
                    for cell in cells {
                        match self.destroy_batch(std::slice::from_ref(cell), now) {
                            Ok(count) => destroyed += count,
                            Err(error) => {
                                tracing::error!(version = cell.name(), %error, "cannot destroy a version that is due");
                                failure.get_or_insert(error);
                            }
                        }
                    }
                }
            }
        }
        failure.map_or(Ok(destroyed), Err)
    }

    /// Destroys those of a batch that are still due. The writer lock is given back after it, so that thousands that
    /// are due together hold up nobody.
    fn destroy_batch(&self, cells: &[Arc<VersionCell>], now: Time) -> Result<usize> {
        let by = Principal::Timer;
        let writer = self.catalog.write();
        let cells: Vec<_> = cells.iter().filter(|cell| is_due(cell, now)).collect();
        let (mut change, mut planned) = (Change::new(), Vec::with_capacity(cells.len()));
        for cell in &cells {
            let mut record = Version::clone(&cell.record());
            destroy(&mut record, &mut change, now);
            record.etag += 1;
            change.put(Tree::Version, record.uid, &record)?;
            planned.push(record);
        }
        if cells.is_empty() {
            return Ok(0);
        }
        let names: Vec<_> = cells.iter().map(|cell| cell.name()).collect();
        let records: Vec<_> = names
            .iter()
            .map(|name| Record::new("DestroyKeyMaterial", &by, "timer").about("CryptoKeyVersion", name))
            .collect();
        let intents = self.audit.begin_all(&records)?;
        let outcome = self.records.commit(change).map_err(Error::from);
        if outcome.is_ok() {
            for (cell, record) in cells.iter().zip(planned) {
                cell.replace(record);
                self.catalog.unschedule(cell);
                if let Some(token) = self.catalog.token_of(&cell.ring) {
                    // Material that expires is still shown; what was scheduled is not.
                    self.hide_version(&token, cell);
                }
            }
        }
        drop(writer);
        let message = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        for (intent, record) in intents.iter().zip(&records) {
            let record = Record { latency_micros: intent.micros(), ..record.clone() };
            match &outcome {
                Ok(()) => self.audit.end(intent, &record),
                Err(error) => self.audit.end(intent, &record.with_error(error, &message)),
            }
        }
        outcome?;
        cells.iter().for_each(|cell| self.tell_destroyed(cell));
        Ok(cells.len())
    }

    /// Announces destructions of the next days, once a day for each version.
    ///
    /// # Errors
    /// What the store says of the first that failed.
    pub fn announce_destructions(&self, now: Time) -> Result<usize> {
        const DAY: i64 = 24 * 3600 * 1000;
        // When it is due and how many days are left, of a version that is to be told of today.
        let near = |cell: &VersionCell| {
            let record = cell.record();
            let due =
                record.fate.destroy_time.filter(|_| cell.state(now) == VersionState::DestroyScheduled)?;
            let days_left = (due.0 - now.0 + DAY - 1) / DAY;
            let is_near = days_left <= i64::from(self.settings.imminent_notice_days);
            (is_near && record.fate.notice_day != Some(now.day())).then_some((due, days_left))
        };
        let (mut told, mut failure) = (0, None);
        let all: Vec<_> = self.catalog.scheduled().into_iter().filter(|cell| near(cell).is_some()).collect();
        for cells in all.chunks(BATCH) {
            let writer = self.catalog.write();
            let (mut change, mut planned) = (Change::new(), Vec::new());
            for cell in cells {
                let Some((due, days_left)) = near(cell) else { continue };
                let mut record = Version::clone(&cell.record());
                record.fate.notice_day = Some(now.day());
                record.etag += 1;
                change.put(Tree::Version, record.uid, &record)?;
                planned.push((cell, record, due, days_left));
            }
            if let Err(error) = self.records.commit(change) {
                failure.get_or_insert(Error::from(error));
                continue;
            }
            let told_now: Vec<_> = planned
                .into_iter()
                .map(|(cell, record, due, days_left)| {
                    cell.replace(record);
                    (cell, due, days_left)
                })
                .collect();
            drop(writer);
            for (cell, due, days_left) in told_now {
                let details = json!({"destroyTime": due.rfc3339(), "daysLeft": days_left});
                let by = Principal::Timer;
                self.raise(Name::DestructionImminent, "CryptoKeyVersion", &cell.name(), &by, details);
                told += 1;
            }
        }
        failure.map_or(Ok(told), Err)
    }

    /// The record after a transition; none when nothing changes. The caller holds the writer lock.
    fn plan(
        &self,
        key: &CryptoKey,
        cell: &VersionCell,
        transition: Transition,
        now: Time,
        how: How,
        change: &mut Change,
    ) -> Result<Option<Version>> {
        let state = cell.state(now);
        let next = next_state(state, transition).ok_or_else(|| wrong_state(cell, state))?;
        if next == state {
            return Ok(None);
        }
        let mut record = Version::clone(&cell.record());
        match transition {
            Transition::Enable | Transition::Disable => record.state = next,
            Transition::Destroy => {
                check_destroyable(&cell.name(), key, how.force_bound)?;
                if self.settings.require_disable_before_destroy && state == VersionState::Enabled {
                    let message = format!("{} is enabled: disable it before it is destroyed", cell.name());
                    return Err(Error::FailedPrecondition { message });
                }
                let window = match how.window_millis {
                    Some(window) => self.settings.check_window(window, key.import_only)?,
                    None => key.destroy_scheduled_millis,
                };
                record.fate.scheduled_at = Some(now);
                if window == 0 {
                    destroy(&mut record, change, now);
                } else {
                    record.state = next;
                    record.fate.destroy_time = Some(now.plus_millis(window));
                }
            }
            Transition::Restore => {
                record.state = next;
                record.fate.scheduled_at = None;
                record.fate.destroy_time = None;
                record.fate.notice_day = None;
            }
        }
        Ok(Some(record))
    }

    /// Commits planned records and shows or hides their objects. The caller holds the writer lock.
    fn carry_out(
        &self,
        mut change: Change,
        planned: Vec<(Arc<VersionCell>, Version)>,
        transition: Transition,
    ) -> Result<()> {
        let (mut changed, mut reclaimed) = (Vec::with_capacity(planned.len()), Vec::new());
        let comes_back = transition == Transition::Restore;
        let count = planned.iter().map(|(_, record)| record.objects.len()).sum::<usize>();
        let mut handles = match comes_back && count > 0 {
            true => self.allot_handles(&mut change, count)?.into_iter(),
            false => Vec::new().into_iter(),
        };
        for (cell, mut record) in planned {
            record.etag += 1;
            if comes_back {
                let token = self.owners(&cell)?.1;
                reclaimed.push((self.reclaim_public(&token, &mut change, &record), token));
                // All its objects, those that were hidden too.
                for (object, handle) in record.objects.iter_mut().zip(handles.by_ref()) {
                    object.handle = handle;
                    object.hidden = false;
                }
            }
            change.put(Tree::Version, record.uid, &record)?;
            changed.push((cell, record));
        }
        if transition == Transition::Destroy {
            // What is known of the last use must not be lost with the version.
            self.flush_usage()?;
        }
        self.records.commit(change)?;
        for (handles, token) in reclaimed {
            handles.into_iter().for_each(|handle| token.remove(handle));
        }
        for (cell, record) in changed {
            let scheduled = record.state == VersionState::DestroyScheduled;
            let token = self.owners(&cell)?.1;
            cell.replace(record);
            match transition {
                Transition::Enable | Transition::Disable => {}
                Transition::Destroy => {
                    self.hide_version(&token, &cell);
                    if scheduled {
                        self.catalog.schedule(&cell);
                    }
                }
                Transition::Restore => {
                    if cell.record().expire_material_time.is_none() {
                        self.catalog.unschedule(&cell);
                    }
                    self.show_version(&token, &cell)?;
                }
            }
        }
        Ok(())
    }

    fn tell(&self, transition: Transition, cell: &VersionCell, by: &Principal) {
        let record = cell.record();
        let kind = "CryptoKeyVersion";
        match (transition, record.state) {
            (Transition::Destroy, VersionState::Destroyed) => self.tell_destroyed(cell),
            (Transition::Destroy, _) => {
                let details = json!({"destroyTime": record.fate.destroy_time.map(Time::rfc3339)});
                self.raise(Name::DestructionScheduled, kind, &cell.name(), by, details);
            }
            (Transition::Restore, _) => self.raise(Name::Restored, kind, &cell.name(), by, json!({})),
            _ => {}
        }
    }

    pub(super) fn tell_destroyed(&self, cell: &VersionCell) {
        let time = cell.record().fate.destroy_event_time.map(Time::rfc3339);
        let details = json!({"destroyEventTime": time});
        self.raise(Name::Destroyed, "CryptoKeyVersion", &cell.name(), &Principal::Timer, details);
    }

    /// What happens every minute.
    pub fn minute(&self) {
        let say = |what: &str, outcome: Result<()>| {
            if let Err(error) = outcome {
                tracing::error!(%error, "{what}");
            }
        };
        say("the clock's mark cannot be kept", self.keep_clock());
        say("coming destructions cannot be announced", self.announce_destructions(Time::now()).map(drop));
        say("backups whose time is over cannot be told of", self.announce_backups(Time::now()));
        say("scheduled rotations cannot be carried out", self.rotate_due(Time::unheld()).map(drop));
        say("the use of keys cannot be kept", self.flush_usage());
        self.access.minute();
        say("destroyed material cannot be purged", self.purge_daily());
        if let Err(error) = self.audit.expire(Time::wall()) {
            tracing::error!(%error, "old audit records cannot be removed");
        }
    }

    /// What happens when the daemon stops.
    pub fn last_minute(&self) {
        for outcome in [self.flush_usage(), self.keep_clock()] {
            if let Err(error) = outcome {
                tracing::error!(%error, "something is not kept at the end");
            }
        }
        if let Err(error) = self.audit.settle() {
            tracing::error!(%error, "the last records are not in the audit log");
        }
    }
}

/// True for what takes a version out of use.
fn ends(transition: Transition) -> bool {
    matches!(transition, Transition::Disable | Transition::Destroy)
}

/// Judges the etag that somebody gave.
///
/// # Errors
/// `Aborted` when it is not the resource's.
pub fn check_etag(given: Option<u64>, has: u64) -> Result<()> {
    match given {
        Some(given) if given != has => Err(Error::Aborted),
        _ => Ok(()),
    }
}

/// True for a version whose time to be destroyed has come.
fn is_due(cell: &VersionCell, now: Time) -> bool {
    cell.record().state != VersionState::Destroyed && cell.state(now) == VersionState::Destroyed
}

fn check_destroyable(name: &str, key: &CryptoKey, force_bound: bool) -> Result<()> {
    if let Some(reason) = &key.care.protection {
        let reason = if reason.is_empty() { "take the protection away first" } else { reason };
        return Err(Error::Protected { resource: name.to_owned(), reason: reason.to_owned() });
    }
    if !force_bound && !key.care.bindings.is_empty() {
        let bindings: Vec<_> =
            key.care.bindings.iter().map(|b| format!("{} {}", b.product, b.resource_id)).collect();
        return Err(Error::Bound { resource: name.to_owned(), bindings: bindings.join(", ") });
    }
    Ok(())
}

/// Makes a version destroyed: the material goes in the same commit. Its destruction is never said to be earlier
/// than it was due.
pub(super) fn destroy(record: &mut Version, change: &mut Change, now: Time) {
    record.state = VersionState::Destroyed;
    record.fate.destroy_event_time = Some(record.fate.destroy_time.map_or(now, |due| due.max(now)));
    record.fate.destroy_time = None;
    record.expire_material_time = None;
    change.remove_material(record.uid);
}
