//! Import: jobs with a wrapping key pair, and versions whose material came through one.

use std::sync::Arc;

use claviger_protocol::mechanism::Hash;
use claviger_protocol::{KeyType, ObjectClass};
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyShape, numbered, quoted};
use super::record::{CryptoKey, ImportJob, Version};
use super::state::{ImportJobState, VersionState};
use super::time::Time;
use super::versions::{next_version, wrong_state};
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::{self, Key};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::object::HexUid;
use crate::store::{Change, Tree};
use crate::template::Origin;
use crate::token::Token;

mod job;
mod material;
mod parameters;

pub use job::{NewImportJob, effective_state, job_name};
pub(crate) use material::check_material;
use material::digest;

/// Longest wrapped material, in bytes. The longest that makes sense, an RSA-4096 key, takes less than 4 KiB.
const MAX_BLOB_BYTES: usize = 64 << 10;
/// Shortest AES-KWP text (RFC 5649) of what can be imported, a key of 16 bytes.
const MIN_KWP_BYTES: usize = 24;
/// Shortest and longest SM2 ciphertext of what can be imported, in ASN.1.
const MIN_SM2_BYTES: usize = 96;
const MAX_SM2_BYTES: usize = 512;
/// AES-KWP works on half blocks of so many bytes.
const SEMIBLOCK_BYTES: usize = 8;
/// Bytes of the ephemeral AES-256 key.
const EPHEMERAL_BYTES: usize = 32;
/// Where the store keeps the key of all material digests. Uids, the other keys of that tree, are longer.
const REIMPORT_KEY: &[u8] = b"reimport-key";

numbered! {
    /// How material is wrapped for an import job.
    ImportMethod {
        /// RSA-3072 OAEP with SHA-1 around an AES-256 key, and that around the material.
        RsaOaep3072Sha1Aes256 = 1, "RSA_OAEP_3072_SHA1_AES_256";
        /// RSA-4096 OAEP with SHA-1 around an AES-256 key, and that around the material.
        RsaOaep4096Sha1Aes256 = 2, "RSA_OAEP_4096_SHA1_AES_256";
        /// RSA-3072 OAEP with SHA-256 around an AES-256 key, and that around the material.
        RsaOaep3072Sha256Aes256 = 3, "RSA_OAEP_3072_SHA256_AES_256";
        /// RSA-4096 OAEP with SHA-256 around an AES-256 key, and that around the material.
        RsaOaep4096Sha256Aes256 = 4, "RSA_OAEP_4096_SHA256_AES_256";
        /// RSA-3072 OAEP with SHA-256 around the material, at most 318 bytes.
        RsaOaep3072Sha256 = 5, "RSA_OAEP_3072_SHA256";
        /// RSA-4096 OAEP with SHA-256 around the material, at most 446 bytes.
        RsaOaep4096Sha256 = 6, "RSA_OAEP_4096_SHA256";
        /// RSA-2048 OAEP with SHA-1 around the material, at most 214 bytes. Only for the import of other clouds.
        RsaOaep2048Sha1 = 1001, "RSAES_OAEP_SHA_1";
        /// RSA-2048 OAEP with SHA-256 around the material, at most 190 bytes. Only for the import of other clouds.
        RsaOaep2048Sha256 = 1002, "RSAES_OAEP_SHA_256";
        /// RSA-2048 PKCS #1 v1.5 around the material, at most 245 bytes. Only for the import of other clouds.
        RsaPkcs12048 = 1003, "RSAES_PKCS1_V1_5";
        /// SM2 around the material, in ASN.1. Only for the import of other clouds.
        Sm2 = 1004, "SM2PKE";
    }
}

/// What a method is made of.
#[derive(Debug, Clone, Copy)]
struct MethodRow {
    /// Modulus of the job's key, in bits; an SM2 key has none.
    bits: u32,
    /// How the job's key wraps.
    padding: Padding,
    /// The material is wrapped with an ephemeral AES-256 key (KWP), and only that one with RSA.
    ephemeral: bool,
}

/// How a job's key wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    /// RSAES-OAEP with this hash, of its mask generation function too.
    Oaep(Hash),
    /// RSAES-PKCS1-v1_5.
    Pkcs1,
    /// SM2 encryption.
    Sm2,
}

impl Padding {
    fn unwrap(self, key: &Key, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match self {
            Padding::Oaep(hash) => crypto::wrap::rsa_oaep_unwrap(key, hash, wrapped),
            Padding::Pkcs1 => crypto::wrap::rsa_pkcs1_unwrap(key, wrapped),
            Padding::Sm2 => crypto::sm2::decrypt(key, wrapped),
        }
    }
}

impl ImportMethod {
    /// The kind of the job's key, in the words of other clouds.
    pub fn key_spec(self) -> String {
        match self.row() {
            MethodRow { padding: Padding::Sm2, .. } => "EC_SM2".to_owned(),
            MethodRow { bits, .. } => format!("RSA_{bits}"),
        }
    }

    fn row(self) -> MethodRow {
        let row = |bits, hash, ephemeral| MethodRow { bits, padding: Padding::Oaep(hash), ephemeral };
        match self {
            ImportMethod::RsaOaep3072Sha1Aes256 => row(3072, Hash::Sha1, true),
            ImportMethod::RsaOaep4096Sha1Aes256 => row(4096, Hash::Sha1, true),
            ImportMethod::RsaOaep3072Sha256Aes256 => row(3072, Hash::Sha256, true),
            ImportMethod::RsaOaep4096Sha256Aes256 => row(4096, Hash::Sha256, true),
            ImportMethod::RsaOaep3072Sha256 => row(3072, Hash::Sha256, false),
            ImportMethod::RsaOaep4096Sha256 => row(4096, Hash::Sha256, false),
            ImportMethod::RsaOaep2048Sha1 => row(2048, Hash::Sha1, false),
            ImportMethod::RsaOaep2048Sha256 => row(2048, Hash::Sha256, false),
            ImportMethod::RsaPkcs12048 => MethodRow { bits: 2048, padding: Padding::Pkcs1, ephemeral: false },
            ImportMethod::Sm2 => MethodRow { bits: 0, padding: Padding::Sm2, ephemeral: false },
        }
    }

    /// The method that a person means.
    ///
    /// # Errors
    /// `InvalidArgument` for any other text.
    pub fn parse(text: &str) -> Result<ImportMethod> {
        ImportMethod::from_name(text).ok_or_else(|| Error::InvalidArgument {
            message: format!(
                "{} is no import method, such as {}",
                quoted(text),
                ImportMethod::RsaOaep3072Sha256Aes256.name()
            ),
        })
    }
}

impl MethodRow {
    fn modulus_bytes(self) -> usize {
        self.bits as usize / 8
    }

    /// Judges what can be told from the length alone.
    fn check_length(self, blob: &[u8]) -> Result<()> {
        let modulus = self.modulus_bytes();
        if self.padding == Padding::Sm2 {
            // DER of numbers has no one length.
            return match blob.len() {
                MIN_SM2_BYTES..=MAX_SM2_BYTES => Ok(()),
                bytes => Err(Error::InvalidArgument {
                    message: format!(
                        "the wrapped key has {bytes} bytes; the job's method has {MIN_SM2_BYTES} to {MAX_SM2_BYTES} bytes"
                    ),
                }),
            };
        }
        let fits = match blob.len().checked_sub(modulus) {
            Some(rest) if self.ephemeral => {
                rest >= MIN_KWP_BYTES && rest % SEMIBLOCK_BYTES == 0 && blob.len() <= MAX_BLOB_BYTES
            }
            Some(rest) => rest == 0,
            None => false,
        };
        if fits {
            return Ok(());
        }
        let expected = if self.ephemeral {
            format!(
                "{modulus} bytes of RSA and then a multiple of {SEMIBLOCK_BYTES} bytes, at least {MIN_KWP_BYTES}"
            )
        } else {
            format!("{modulus} bytes")
        };
        Err(Error::InvalidArgument {
            message: format!("the wrapped key has {} bytes; the job's method has {expected}", blob.len()),
        })
    }
}

numbered! {
    /// Why an import failed.
    FailureReason {
        /// The wrapped material has a length that the method cannot give.
        MalformedBlob = 1, "MALFORMED_BLOB";
        /// The wrapped material does not open.
        UnwrapFailed = 2, "UNWRAP_FAILED";
        /// The material is not in the algorithm's format.
        BadKeyFormat = 3, "BAD_KEY_FORMAT";
        /// The material has not the algorithm's length.
        WrongLength = 4, "WRONG_LENGTH";
        /// The material is a key of another algorithm.
        WrongAlgorithm = 5, "WRONG_ALGORITHM";
        /// The key contradicts itself, or is weak.
        WeakKey = 6, "WEAK_KEY";
        /// The material is not what the version held before.
        MaterialMismatch = 7, "MATERIAL_MISMATCH";
        /// The daemon failed.
        Internal = 8, "INTERNAL";
    }
}

impl Daemon {
    /// Imports material into a new version, or into one that lost its material (`into`). A failure that only
    /// unwrapping finds makes a new version in `IMPORT_FAILED`, and leaves an old one as it was.
    ///
    /// # Errors
    /// `WrongState` for a job that is not active or a version that cannot take material, `FailedPrecondition` for
    /// a job of another level or a version that was never imported, `InvalidArgument` for an algorithm or length
    /// that does not fit, `ImportRefused` for a failed import into an old version, `NotFound`, what the store says.
    pub fn import_version(
        &self,
        token: &Token,
        key: &KeyCell,
        job: &ImportJob,
        algorithm: Algorithm,
        blob: &[u8],
        into: Option<u32>,
    ) -> Result<Arc<VersionCell>> {
        check_job(token, job, key)?;
        check_algorithm(key, algorithm)?;
        self.settings.check_offers(algorithm)?;
        check_uses(token, job, algorithm)?;
        let method = job.method.row();
        method.check_length(blob)?;
        let old = match into {
            Some(number) => Some(self.reimportable(key, number, algorithm)?),
            None => None,
        };
        let material =
            self.unwrap(job, method, blob)?.and_then(|material| check_material(algorithm, &material));
        match old {
            Some(old) => self.reimport(token, key, old, job, material, None),
            None => self.import(token, key, algorithm, job, material),
        }
    }

    /// The keyed digest by which imported material of a version is recognised later. Covers the version's name, so
    /// that equal material in two versions does not show, and is keyed, so that a stolen store is no help in
    /// guessing. The caller holds the writer lock and commits `change`, which brings the key on its first use.
    pub(crate) fn material_digest(
        &self,
        change: &mut Change,
        version: &str,
        algorithm: Algorithm,
        live: &Key,
    ) -> Result<[u8; 32]> {
        let key = match self.records.material(REIMPORT_KEY)? {
            Some(key) => key,
            None => {
                let key = crypto::random::secret(32)?;
                change.put_material(REIMPORT_KEY, &key);
                key
            }
        };
        digest(&key, version, algorithm, live)
    }

    fn import(
        &self,
        token: &Token,
        key: &KeyCell,
        algorithm: Algorithm,
        job: &ImportJob,
        material: std::result::Result<Key, FailureReason>,
    ) -> Result<Arc<VersionCell>> {
        let _writer = self.catalog.write();
        let now = Time::now();
        let mut record = CryptoKey::clone(&key.record());
        let mut change = Change::new();
        let used = self.use_job(token, job, algorithm, material.is_ok(), &mut change)?;
        let mut version = next_version(&mut record, algorithm, now)?;
        version.fate.import_job = Some(job_name(token, job));
        match material {
            Ok(live) => {
                let name = key.version_name(version.number);
                version.state = VersionState::Enabled;
                version.fate.import_time = Some(now);
                version.fate.material_digest =
                    Some(self.material_digest(&mut change, &name, algorithm, &live)?);
                version.objects =
                    self.new_objects(&mut change, &record, &version, &live, Origin::Unwrap, now)?;
                change.put_material(version.uid, &live.to_material()?);
            }
            Err(reason) => {
                version.state = VersionState::ImportFailed;
                version.fate.import_failure_reason = Some(reason);
            }
        }
        change.put(Tree::CryptoKey, record.uid, &record)?;
        change.put(Tree::Version, version.uid, &version)?;
        self.records.commit(change)?;

        self.catalog.put_job(used);
        key.replace(record);
        let version = key.insert(version);
        self.show_version(token, &version)?;
        Ok(version)
    }

    /// Counts an import of a job that is still active, in the commit of the import itself. The caller holds the writer
    /// lock.
    fn use_job(
        &self,
        token: &Token,
        job: &ImportJob,
        algorithm: Algorithm,
        counts: bool,
        change: &mut Change,
    ) -> Result<ImportJob> {
        let current = self.catalog.job(&job.ring, &job.id);
        let gone = || Error::NotFound { resource: job_name(token, job) };
        let mut job = ImportJob::clone(&*current.ok_or_else(gone)?);
        check_uses(token, &job, algorithm)?;
        job.uses = job.uses.saturating_add(u32::from(counts));
        job.etag += 1;
        change.put(Tree::ImportJob, job.uid, &job)?;
        Ok(job)
    }

    fn reimport(
        &self,
        token: &Token,
        key: &KeyCell,
        cell: Arc<VersionCell>,
        job: &ImportJob,
        material: std::result::Result<Key, FailureReason>,
        expire_material_time: Option<Time>,
    ) -> Result<Arc<VersionCell>> {
        let refused =
            |reason: FailureReason| Error::ImportRefused { version: cell.name(), reason: reason.name() };
        let live = material.map_err(refused)?;
        let _writer = self.catalog.write();
        let now = Time::now();
        check_reimportable(&cell, now)?;
        let mut record = Version::clone(&cell.record());
        let mut change = Change::new();
        let digest = self.material_digest(&mut change, &cell.name(), record.algorithm, &live)?;
        if record.fate.material_digest.is_some_and(|known| !openssl::memcmp::eq(&known, &digest)) {
            return Err(refused(FailureReason::MaterialMismatch));
        }
        let used = self.use_job(token, job, record.algorithm, true, &mut change)?;
        record.state = VersionState::Enabled;
        record.fate.import_job = Some(job_name(token, job));
        record.expire_material_time = expire_material_time;
        record.fate.import_time = Some(now);
        record.fate.import_failure_reason = None;
        record.fate.material_digest = Some(digest);
        record.fate.scheduled_at = None;
        record.fate.destroy_time = None;
        record.fate.destroy_event_time = None;
        if record.objects.is_empty() {
            record.objects =
                self.new_objects(&mut change, &key.record(), &record, &live, Origin::Unwrap, now)?;
        } else {
            self.renew_handles(&mut change, &mut record)?;
        }
        change.put_material(record.uid, &live.to_material()?);
        self.put_version(change, &cell, record)?;
        self.catalog.put_job(used);
        if expire_material_time.is_some() {
            self.catalog.schedule(&cell);
        } else {
            self.catalog.unschedule(&cell);
        }
        self.show_version(token, &cell)?;
        Ok(cell)
    }

    /// The version to import into, when that can be.
    fn reimportable(&self, key: &KeyCell, number: u32, algorithm: Algorithm) -> Result<Arc<VersionCell>> {
        let cell = key.version(number).ok_or_else(|| Error::NotFound {
            resource: format!("{}/cryptoKeyVersions/{number}", key.name),
        })?;
        let record = cell.record();
        if record.algorithm != algorithm {
            let (name, is) = (&cell.name(), record.algorithm.name());
            let message = format!("{name} has the algorithm {is}, and not {}", algorithm.name());
            return Err(Error::InvalidArgument { message });
        }
        check_reimportable(&cell, Time::now())?;
        // Without the key of the digests nobody can tell whether the material is the same.
        if record.fate.material_digest.is_some() && self.records.material(REIMPORT_KEY)?.is_none() {
            return Err(not_eligible(&cell));
        }
        Ok(cell)
    }

    /// Opens wrapped material.
    fn unwrap(
        &self,
        job: &ImportJob,
        method: MethodRow,
        blob: &[u8],
    ) -> Result<std::result::Result<Zeroizing<Vec<u8>>, FailureReason>> {
        let missing =
            || Error::Internal { detail: format!("import job {} has no key", HexUid::from(&job.uid).0) };
        let private = self.records.material(&job.uid)?.ok_or_else(missing)?;
        let key_type = if method.padding == Padding::Sm2 { KeyType::SM2 } else { KeyType::RSA };
        let private = Key::from_material(ObjectClass::PRIVATE_KEY, key_type, &private)?;
        let split = if method.ephemeral { method.modulus_bytes() } else { blob.len() };
        let (first, rest) = blob.split_at_checked(split).unwrap_or((blob, &[]));
        let opened = method.padding.unwrap(&private, first);
        if !method.ephemeral {
            return Ok(opened.map_err(|_| FailureReason::UnwrapFailed));
        }
        // Both steps always run and share one answer, so that neither time nor reason tells which of them failed.
        let (opens, ephemeral) = match opened {
            Ok(key) if key.len() == EPHEMERAL_BYTES => (true, key),
            _ => (false, crypto::random::secret(EPHEMERAL_BYTES)?),
        };
        Ok(match crypto::wrap::aes_kwp_unwrap(&ephemeral, rest) {
            Ok(material) if opens => Ok(material),
            _ => Err(FailureReason::UnwrapFailed),
        })
    }
}

/// True when the material of a version may be imported again.
pub fn reimport_eligible(record: &Version, state: VersionState) -> bool {
    match state {
        VersionState::Destroyed => record.fate.material_digest.is_some(),
        // It never held material.
        VersionState::ImportFailed => true,
        _ => false,
    }
}

fn check_reimportable(cell: &VersionCell, now: Time) -> Result<()> {
    let (record, state) = (cell.record(), cell.state(now));
    match state {
        _ if reimport_eligible(&record, state) => Ok(()),
        VersionState::Destroyed => Err(not_eligible(cell)),
        _ => Err(wrong_state(cell, state)),
    }
}

fn not_eligible(cell: &VersionCell) -> Error {
    let message = format!("{} cannot be imported again: nothing is known of its material", cell.name());
    Error::FailedPrecondition { message }
}

fn check_job(token: &Token, job: &ImportJob, key: &KeyCell) -> Result<()> {
    let state = effective_state(job, Time::now());
    if state != ImportJobState::Active {
        return Err(Error::WrongState {
            resource: job_name(token, job),
            field: "import_job.state",
            state: state.name(),
        });
    }
    let level = key.record().protection_level;
    if job.protection_level != level {
        let (job, has) = (job_name(token, job), job.protection_level.name());
        let message = format!("{job} imports for {has}, and {} has {}", key.name, level.name());
        return Err(Error::FailedPrecondition { message });
    }
    Ok(())
}

/// Judges whether a job may import an algorithm, once more.
fn check_uses(token: &Token, job: &ImportJob, algorithm: Algorithm) -> Result<()> {
    if !job.allowed_algorithms.is_empty() && !job.allowed_algorithms.contains(&algorithm) {
        let allowed: Vec<_> = job.allowed_algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let (job, allowed) = (job_name(token, job), allowed.join(", "));
        let message = format!("{job} imports {allowed}, and not {}", algorithm.name());
        return Err(Error::FailedPrecondition { message });
    }
    if job.max_uses.is_some_and(|max| job.uses >= max) {
        let message =
            format!("{} has served {} imports, and may serve no more", job_name(token, job), job.uses);
        return Err(Error::FailedPrecondition { message });
    }
    Ok(())
}

fn check_algorithm(key: &KeyCell, algorithm: Algorithm) -> Result<()> {
    let purpose = key.record().purpose;
    if algorithm.purpose() == purpose && algorithm.shape() == KeyShape::XWing {
        let message = format!("keys of algorithm {} are generated, not imported", algorithm.name());
        return Err(Error::FailedPrecondition { message });
    }
    if algorithm.purpose() == purpose && algorithm.shape() != KeyShape::Any {
        return Ok(());
    }
    let message =
        format!("{} is no algorithm for {}, the purpose of {}", algorithm.name(), purpose.name(), key.name);
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
mod tests;
