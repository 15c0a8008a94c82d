//! What the store keeps of rings, keys, versions, objects and import jobs. Key material is kept apart, sealed
//! under a key of its own.
//!
//! A new field stands at the end of its record and has its default where it is zero: see `store/schema.rs`.

use std::sync::Arc;

use bincode::{Decode, Encode};
use claviger_protocol::ObjectClass;

use super::algorithm::{Algorithm, ProtectionLevel, Purpose};
use super::import::{FailureReason, ImportMethod};
use super::state::{ImportJobState, VersionState};
use super::time::Time;
use crate::access::pin::PinVerifier;
use crate::attributes::Attributes;
use crate::seldom::{Nothing, Seldom};

/// 16 random bytes that name a ring, key, version or job for ever, whatever its names are.
pub type Uid = [u8; 16];

/// A key ring, which PKCS#11 sees as a token in a slot.
#[derive(Debug, Clone, Encode, Decode)]
pub struct KeyRing {
    /// Names it in the store.
    pub uid: Uid,
    /// `projects/P/locations/L/keyRings/R`.
    pub name: RingName,
    /// `CK_TOKEN_INFO.label` without the padding, at most 32 bytes.
    pub token_label: Vec<u8>,
    /// `CK_TOKEN_INFO.serialNumber`: 16 hexadecimal digits, random, fixed.
    pub token_serial: String,
    /// `CK_SLOT_ID`, assigned once.
    pub slot: u64,
    /// Which mechanisms and defaults the token has.
    pub profile: Profile,
    /// What `C_DestroyObject` does to a key.
    pub p11_destroy: P11Destroy,
    /// The security officer's PIN.
    pub so_pin: Option<PinVerifier>,
    /// The user's PIN.
    pub user_pin: Option<PinVerifier>,
    /// When it was created.
    pub create_time: Time,
    /// Rises with every change.
    pub etag: u64,
    /// What else applications may do and see. It is last, so that rings from before it have the defaults.
    pub rules: Rules,
}

/// Where a ring is: project, location and its own id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RingName {
    /// `[a-z0-9][a-z0-9.:-]{0,62}`.
    pub project: String,
    /// `[a-z0-9-]{1,63}`.
    pub location: String,
    /// `[a-zA-Z0-9_-]{1,63}`.
    pub id: String,
}

impl std::fmt::Display for RingName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "projects/{}/locations/{}/keyRings/{}", self.project, self.location, self.id)
    }
}

/// A token profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Profile {
    /// What common clients need.
    Standard,
    /// Only what leaks nothing through the API.
    Strict,
    /// `Standard` and the broken mechanisms.
    Legacy,
}

/// What `C_DestroyObject` does to a token key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum P11Destroy {
    /// Schedules the destruction of its version; the admin can restore it.
    Schedule,
    /// Destroys it at once.
    Immediate,
    /// Refuses.
    Deny,
}

/// What applications may do to a token, and what they see of keys with several versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Rules {
    /// What `C_InitToken` does to a token that has its PINs.
    pub p11_reinit: P11Reinit,
    /// Which versions of a key a search gives.
    pub find_versions: FindVersions,
    /// Keys are refused to applications before their `CKA_START_DATE` and after their `CKA_END_DATE`.
    pub enforce_dates: bool,
    /// Applications use keys that the key service made for `ENCRYPT_DECRYPT` too.
    pub p11_raw_use_of_kms_keys: bool,
}

/// What `C_InitToken` does to a token that is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum P11Reinit {
    /// Schedules the destruction of all its keys, and clears the user's PIN.
    #[default]
    Allow,
    /// Refuses.
    Deny,
}

/// Which versions of a key a search gives when several match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum FindVersions {
    /// All: the primary one, or the newest that is enabled, and then the others from the newest on.
    #[default]
    All,
    /// That one alone, for applications that take the first or complain of several.
    PrimaryOnly,
}

/// A key: a name, a purpose and versions.
#[derive(Debug, Clone, Encode, Decode)]
pub struct CryptoKey {
    /// Names it in the store and in ciphertexts.
    pub uid: Uid,
    /// Ring it is on.
    pub ring: Uid,
    /// Its id within the ring, `[a-zA-Z0-9_-]{1,63}`.
    pub id: Arc<str>,
    /// What all its versions are for.
    pub purpose: Purpose,
    /// Protection level of all its versions.
    pub protection_level: ProtectionLevel,
    /// Algorithm of the next version.
    pub algorithm: Algorithm,
    /// Number of the version that encrypts; only for `ENCRYPT_DECRYPT`.
    pub primary: Option<u32>,
    /// Number the next version gets; from 1, never reused.
    pub next_version: u32,
    /// When it was created.
    pub create_time: Time,
    /// What is written on it.
    pub notes: Seldom<Notes>,
    /// Only imported versions.
    pub import_only: bool,
    /// Milliseconds from destroy to destruction.
    pub destroy_scheduled_millis: u64,
    /// The key was made by a PKCS#11 application.
    pub made_by_pkcs11: bool,
    /// What people and services say of it, and what holds for all its versions.
    pub care: Seldom<Care>,
    /// Rises with every change.
    pub etag: u64,
    /// The service whose key it is, as `uid:N` or `user:NAME`; empty when it is people's.
    pub managed_by: String,
}

/// What is written on a key.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub struct Notes {
    /// Labels, by key.
    pub labels: Vec<(String, String)>,
    /// What the key is for, at most 8192 bytes.
    pub description: String,
}

impl Nothing for Notes {
    const NOTHING: &'static Notes = &Notes { labels: Vec::new(), description: String::new() };
}

/// What people and services say of a key, and what holds for all its versions.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub struct Care {
    /// A name for people, at most 8192 bytes.
    pub display_name: String,
    /// Tags, by key, in its order.
    pub tags: Vec<(String, String)>,
    /// Other names.
    pub aliases: Vec<Alias>,
    /// What it is used for, as its users declare.
    pub bindings: Vec<Binding>,
    /// Nothing destroys it while this says why.
    pub protection: Option<String>,
    /// It makes nothing new, and only opens what it made.
    pub archived: bool,
    /// Milliseconds between scheduled rotations.
    pub rotation_period_millis: Option<u64>,
    /// When it is rotated next.
    pub next_rotation_time: Option<Time>,
    /// When it was last rotated.
    pub last_rotation_time: Option<Time>,
    /// When a scheduled rotation last failed.
    pub rotation_failed_time: Option<Time>,
}

impl Nothing for Care {
    const NOTHING: &'static Care = &Care {
        display_name: String::new(),
        tags: Vec::new(),
        aliases: Vec::new(),
        bindings: Vec::new(),
        protection: None,
        archived: false,
        rotation_period_millis: None,
        next_rotation_time: None,
        last_rotation_time: None,
        rotation_failed_time: None,
    };
}

/// Another name of a key, unique in its location.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Alias {
    /// `alias/...`
    pub id: String,
    /// When it was created.
    pub create_time: Time,
    /// When it was last pointed to another key.
    pub update_time: Time,
}

/// A use of a key that somebody has declared.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Binding {
    /// The product or service.
    pub product: String,
    /// The resource there.
    pub resource_id: String,
    /// Anything else.
    pub note: String,
    /// When it was declared.
    pub create_time: Time,
}

/// A version: the unit that holds material.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Version {
    /// `CKA_UNIQUE_ID`, and its place in the store's material.
    pub uid: Uid,
    /// Key it belongs to.
    pub key: Uid,
    /// From 1.
    pub number: u32,
    /// State as last written; ask [`effective_state`](super::state::effective_state) for the one that holds now.
    pub state: VersionState,
    /// What its material is for.
    pub algorithm: Algorithm,
    /// When it was created.
    pub create_time: Time,
    /// When its material was generated here.
    pub generate_time: Option<Time>,
    /// How it came in and how it goes.
    pub fate: Seldom<Fate>,
    /// The PKCS#11 objects that show this version: a secret key, or a private and a public key.
    pub objects: Vec<StoredObject>,
    /// Rises with every change.
    pub etag: u64,
    /// When imported material goes by itself; it may be imported again.
    pub expire_material_time: Option<Time>,
}

/// How a version came in and how it goes: its import and its destruction. Most were made here and stay.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub struct Fate {
    /// When its destruction was scheduled.
    pub scheduled_at: Option<Time>,
    /// When it will be destroyed; only in `DESTROY_SCHEDULED`.
    pub destroy_time: Option<Time>,
    /// When it was destroyed; only in `DESTROYED`.
    pub destroy_event_time: Option<Time>,
    /// Full name of the import job it came through.
    pub import_job: Option<String>,
    /// When it was imported, through a job or through PKCS#11.
    pub import_time: Option<Time>,
    /// Why the import failed; only in `IMPORT_FAILED`.
    pub import_failure_reason: Option<FailureReason>,
    /// Keyed digest of imported material, which recognises it when it is imported again.
    pub material_digest: Option<[u8; 32]>,
    /// The last day for which the coming destruction was announced, counted from 1970.
    pub notice_day: Option<i64>,
}

impl Nothing for Fate {
    const NOTHING: &'static Fate = &Fate {
        scheduled_at: None,
        destroy_time: None,
        destroy_event_time: None,
        import_job: None,
        import_time: None,
        import_failure_reason: None,
        material_digest: None,
        notice_day: None,
    };
}

/// A PKCS#11 token object: a view of a version, or an object of its own (certificate, data, lone public key).
#[derive(Debug, Clone, Encode, Decode)]
pub struct StoredObject {
    /// `CK_OBJECT_HANDLE`; persistent, never reused.
    pub handle: u64,
    /// `CKA_CLASS`.
    pub class: ObjectClass,
    /// All its attributes that are not secret.
    pub attributes: Attributes,
    /// Destroyed through PKCS#11 while its version lives on (a public key of a pair).
    pub hidden: bool,
}

/// A token object that is no version's view.
#[derive(Debug, Clone, Encode, Decode)]
pub struct PlainObject {
    /// Ring it is on.
    pub ring: Uid,
    /// The object.
    pub object: StoredObject,
}

/// An import job: a wrapping key pair with an end.
#[derive(Debug, Clone, Encode, Decode)]
pub struct ImportJob {
    /// Names it in the store.
    pub uid: Uid,
    /// Ring it is on.
    pub ring: Uid,
    /// Its id within the ring.
    pub id: String,
    /// How material is wrapped for it.
    pub method: ImportMethod,
    /// Level of the keys it may import.
    pub protection_level: ProtectionLevel,
    /// State as last written.
    pub state: ImportJobState,
    /// When it was created.
    pub create_time: Time,
    /// When its key pair was ready.
    pub generate_time: Option<Time>,
    /// When it ends.
    pub expire_time: Time,
    /// When it ended.
    pub expire_event_time: Option<Time>,
    /// SubjectPublicKeyInfo, DER; only while active.
    pub public_key: Option<Vec<u8>>,
    /// Rises with every change.
    pub etag: u64,
    /// Algorithms that it imports; any when empty.
    pub allowed_algorithms: Vec<Algorithm>,
    /// How many imports it serves.
    pub max_uses: Option<u32>,
    /// How many imports it has served.
    pub uses: u32,
    /// The one key that it imports into. Such a job is nobody's: it is not listed, and goes when it ends.
    pub only_key: Option<Uid>,
}

/// Projects that are shut.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub struct ShutProjects {
    /// Their ids, in order.
    pub ids: Vec<String>,
}

/// Counters of the whole store.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub struct Counters {
    /// The last token-object handle given out.
    pub last_handle: u64,
    /// The next slot number, which the free slot at the end shows until a ring takes it.
    pub next_slot: u64,
}
