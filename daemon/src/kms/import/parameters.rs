//! The import of the clouds that have no import jobs: parameters for one key, then its material.
//!
//! The parameters are an import job that belongs to the key, has no name of its own, lasts a day and is found by its
//! token alone. The material goes into version 1.

use std::sync::Arc;

use super::job::NewImportJob;
use super::{ImportMethod, check_algorithm, check_job, check_material, check_uses, job_name};
use crate::catalog::{KeyCell, VersionCell};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::algorithm::Purpose;
use crate::kms::record::{CryptoKey, ImportJob, Uid, Version};
use crate::kms::state::VersionState;
use crate::kms::time::Time;
use crate::kms::versions::next_version;
use crate::object::HexUid;
use crate::store::{Change, Tree};
use crate::template::Origin;
use crate::token::Token;

/// How long parameters last: 24 hours.
const MILLIS: u64 = 24 * 3600 * 1000;
/// Most parameters of a key that are good at a time.
const MAX_JOBS: usize = 100;

impl Daemon {
    /// Makes parameters for the import into a key: a job with its key pair, generated on the calling thread.
    ///
    /// # Errors
    /// `FailedPrecondition` unless the key is symmetric and takes imported material only, or when it has too many.
    pub fn parameters_for_import(
        &self,
        token: &Token,
        key: &KeyCell,
        method: ImportMethod,
        now: Time,
    ) -> Result<Arc<ImportJob>> {
        check_takes_material(key)?;
        let record = key.record();
        let new = NewImportJob {
            id: String::new(),
            method,
            protection_level: record.protection_level,
            allowed_algorithms: vec![record.algorithm],
            max_uses: None,
        };
        let mut job = new.pending(token, now, MILLIS)?;
        // No id that a person may give begins so.
        job.id = format!(".{}", HexUid::from(&job.uid).0);
        job.only_key = Some(key.uid);
        let job = {
            let _writer = self.catalog.write();
            let has =
                self.catalog.jobs(&token.uid).iter().filter(|job| job.only_key == Some(key.uid)).count();
            if has >= MAX_JOBS {
                let message = format!("{} has {MAX_JOBS} import tokens that are still good", key.name);
                return Err(Error::FailedPrecondition { message });
            }
            self.put_job(Change::new(), job)?
        };
        self.generate_job_key(&job)?;
        let gone = || Error::NotFound { resource: job_name(token, &job) };
        self.catalog.job(&job.ring, &job.id).ok_or_else(gone)
    }

    /// Imports material into version 1 of a key, by the token of its parameters, and makes it the version that
    /// encrypts. Nothing changes when it fails.
    ///
    /// # Errors
    /// `NotFound` for a token that is none of the key's or has ended, `ImportRefused`, `WrongState` for a version that
    /// has material.
    pub fn import_key_material(
        &self,
        token: &Token,
        key: &KeyCell,
        job: &Uid,
        blob: &[u8],
        expire_material_time: Option<Time>,
        now: Time,
    ) -> Result<Arc<VersionCell>> {
        check_takes_material(key)?;
        if expire_material_time.is_some_and(|end| end <= now) {
            return Err(Error::InvalidArgument {
                message: "the end of the material is in the past".to_owned(),
            });
        }
        let missing = || Error::NotFound { resource: format!("that import token of {}", key.name) };
        let job = self.catalog.job_of_key(&token.uid, &key.uid, job).ok_or_else(missing)?;
        let algorithm = key.record().algorithm;
        check_job(token, &job, key)?;
        check_algorithm(key, algorithm)?;
        check_uses(token, &job, algorithm)?;
        let method = job.method.row();
        method.check_length(blob)?;
        let old = match key.version(1) {
            Some(_) => Some(self.reimportable(key, 1, algorithm)?),
            None => None,
        };
        let material =
            self.unwrap(&job, method, blob)?.and_then(|material| check_material(algorithm, &material));
        let cell = match old {
            Some(old) => self.reimport(token, key, old, &job, material, expire_material_time)?,
            None => {
                let refused = |reason: super::FailureReason| Error::ImportRefused {
                    version: key.version_name(1),
                    reason: reason.name(),
                };
                let live = material.map_err(refused)?;
                self.import_first(token, key, &job, &live, expire_material_time)?
            }
        };
        if key.record().primary != Some(cell.number) {
            self.set_primary(key, None, cell.number, now)?;
        }
        Ok(cell)
    }

    fn import_first(
        &self,
        token: &Token,
        key: &KeyCell,
        job: &ImportJob,
        live: &crate::crypto::Key,
        expire_material_time: Option<Time>,
    ) -> Result<Arc<VersionCell>> {
        let _writer = self.catalog.write();
        let now = Time::now();
        let mut record = CryptoKey::clone(&key.record());
        if record.next_version != 1 {
            let message = format!("{} has had another version meanwhile", key.name);
            return Err(Error::FailedPrecondition { message });
        }
        let algorithm = record.algorithm;
        let mut change = Change::new();
        let used = self.use_job(token, job, algorithm, true, &mut change)?;
        let mut version: Version = next_version(&mut record, algorithm, now)?;
        version.state = VersionState::Enabled;
        version.fate.import_job = Some(job_name(token, job));
        version.fate.import_time = Some(now);
        version.expire_material_time = expire_material_time;
        version.fate.material_digest =
            Some(self.material_digest(&mut change, &key.version_name(1), algorithm, live)?);
        version.objects = self.new_objects(&mut change, &record, &version, live, Origin::Unwrap, now)?;
        change.put_material(version.uid, &live.to_material()?);
        record.primary = Some(1);
        change.put(Tree::CryptoKey, record.uid, &record)?;
        change.put(Tree::Version, version.uid, &version)?;
        self.records.commit(change)?;
        self.catalog.put_job(used);
        key.replace(record);
        let cell = key.insert(version);
        if expire_material_time.is_some() {
            self.catalog.schedule(&cell);
        }
        self.show_version(token, &cell)?;
        Ok(cell)
    }

    /// Destroys the imported material of a key at once; the same material may be imported again.
    ///
    /// # Errors
    /// `FailedPrecondition` unless the key takes imported material only and was made with a duration of 0, or when it
    /// has no material; what stands in the way of a destruction.
    pub fn delete_imported_key_material(&self, key: &KeyCell, now: Time) -> Result<Vec<Arc<VersionCell>>> {
        let record = key.record();
        if !record.import_only || record.destroy_scheduled_millis != 0 {
            let message = format!(
                "the material of {} goes by schedule: only a key made with import-only and a \
                 destroy-scheduled-duration of 0 lets it be deleted at once",
                key.name
            );
            return Err(Error::FailedPrecondition { message });
        }
        let live = |cell: &Arc<VersionCell>| {
            matches!(cell.state(now), VersionState::Enabled | VersionState::Disabled)
        };
        let cells: Vec<_> = key.versions().into_iter().filter(live).collect();
        if cells.is_empty() {
            return Err(Error::FailedPrecondition { message: format!("{} has no material", key.name) });
        }
        for cell in &cells {
            self.destroy_now(cell, now)?;
            self.catalog.unschedule(cell);
        }
        Ok(cells)
    }
}

fn check_takes_material(key: &KeyCell) -> Result<()> {
    let record = key.record();
    if record.import_only && record.purpose == Purpose::EncryptDecrypt {
        return Ok(());
    }
    let message = format!(
        "{} takes no material this way: only a key for ENCRYPT_DECRYPT made with import-only does; use an import job",
        key.name
    );
    Err(Error::FailedPrecondition { message })
}
