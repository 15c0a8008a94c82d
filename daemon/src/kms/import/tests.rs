use std::time::Duration;

use claviger_protocol::{AttributeType, ObjectClass};
use openssl::bn::BigNum;
use openssl::cipher::Cipher;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::ec::{EcGroup, EcKey};
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa, RsaPrivateKeyBuilder};

use super::job::JOB_MILLIS;
use super::*;
use crate::kms::algorithm::{ProtectionLevel, Purpose};
use crate::kms::keys::NewKey;
use crate::kms::rings::new_uid;
use crate::kms::state::Transition;
use crate::kms::versions::tests::{Store, key, new_key, shown};

mod blobs;

/// A ring with an active job for each method that was asked for.
struct Fixture {
    store: Store,
    daemon: Arc<Daemon>,
    token: Arc<Token>,
}

impl Fixture {
    fn new() -> Fixture {
        let store = Store::new();
        let daemon = store.daemon();
        let token = daemon.ring_for_test("r");
        Fixture { store, daemon, token }
    }

    fn job(&self, method: ImportMethod) -> Arc<ImportJob> {
        let new = NewImportJob { id: method.name().into(), ..new_job(method) };
        let pending = self.daemon.create_import_job(&self.token, new).unwrap();
        assert_eq!(pending.state, ImportJobState::PendingGeneration);
        assert_eq!(pending.public_key, None);
        active(&self.daemon, &pending)
    }

    /// A key that takes imported versions only.
    fn key(&self, algorithm: Algorithm) -> Arc<KeyCell> {
        self.key_with(algorithm, 24 * 3600 * 1000)
    }

    fn key_with(&self, algorithm: Algorithm, destroy_scheduled_millis: u64) -> Arc<KeyCell> {
        let id = format!("k{}", self.daemon.catalog.key_count());
        let new = NewKey {
            skip_initial_version: true,
            import_only: true,
            destroy_scheduled_millis: Some(destroy_scheduled_millis),
            ..new_key(&id, algorithm)
        };
        self.daemon.create_key(&self.token, new).unwrap()
    }

    fn import(
        &self,
        key: &KeyCell,
        job: &ImportJob,
        blob: &[u8],
        into: Option<u32>,
    ) -> Result<Arc<VersionCell>> {
        self.daemon.import_version(&self.token, key, job, key.record().algorithm, blob, into)
    }

    /// Imports into a new key and gives the reason of the failure.
    fn failure(&self, algorithm: Algorithm, job: &ImportJob, material: &[u8]) -> FailureReason {
        let key = self.key(algorithm);
        let cell = self.import(&key, job, &wrap(job, material), None).unwrap();
        let record = cell.record();
        assert_eq!(record.state, VersionState::ImportFailed);
        assert!(record.objects.is_empty() && record.fate.material_digest.is_none());
        assert_eq!(self.daemon.records.material(&record.uid).unwrap(), None);
        record.fate.import_failure_reason.unwrap()
    }
}

fn new_job(method: ImportMethod) -> NewImportJob {
    NewImportJob {
        id: "j".into(),
        method,
        protection_level: ProtectionLevel::Software,
        allowed_algorithms: vec![],
        max_uses: None,
    }
}

fn active(daemon: &Daemon, job: &ImportJob) -> Arc<ImportJob> {
    for _ in 0..1200 {
        let job = daemon.catalog.job(&job.ring, &job.id).unwrap();
        if job.state == ImportJobState::Active {
            return job;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the job is not active after a minute");
}

/// Wraps as a customer does, with nothing of the daemon's.
fn wrap(job: &ImportJob, material: &[u8]) -> Vec<u8> {
    if job.method.name().ends_with("_AES_256") {
        wrap_with(job, &[0x77; 32], material)
    } else {
        oaep(job, material)
    }
}

fn wrap_with(job: &ImportJob, ephemeral: &[u8], material: &[u8]) -> Vec<u8> {
    let mut blob = oaep(job, ephemeral);
    let cipher = Cipher::fetch(None, &format!("AES-{}-WRAP-PAD", ephemeral.len() * 8), None).unwrap();
    let mut context = CipherCtx::new().unwrap();
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    context.encrypt_init(Some(&cipher), Some(ephemeral), None).unwrap();
    context.cipher_update_vec(material, &mut blob).unwrap();
    blob
}

fn oaep(job: &ImportJob, data: &[u8]) -> Vec<u8> {
    let public: PKey<Public> = PKey::public_key_from_der(job.public_key.as_ref().unwrap()).unwrap();
    let is_sha1 = job.method.name().contains("SHA1") || job.method.name().ends_with("SHA_1");
    let hash = if is_sha1 { Md::sha1() } else { Md::sha256() };
    let mut context = PkeyCtx::new(&public).unwrap();
    context.encrypt_init().unwrap();
    context.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
    context.set_rsa_oaep_md(hash).unwrap();
    context.set_rsa_mgf1_md(hash).unwrap();
    let mut blob = Vec::new();
    context.encrypt_to_vec(data, &mut blob).unwrap();
    blob
}

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn pkcs8(key: &PKey<Private>) -> Vec<u8> {
    key.private_key_to_pkcs8().unwrap()
}

#[test]
fn all_methods_import_all_kinds_of_keys() {
    // IMP-01 IMP-14 IMP-21 IMP-22 IMP-29 ALG-06
    let fixture = Fixture::new();
    let (p256, ed25519, rsa2048) = (ec(Nid::X9_62_PRIME256V1), PKey::generate_ed25519().unwrap(), rsa(2048));
    let pairs = [
        (Algorithm::EcSignP256Sha256, &p256),
        (Algorithm::EcSignEd25519, &ed25519),
        (Algorithm::RsaSignPss2048Sha256, &rsa2048),
        (Algorithm::RsaDecryptOaep2048Sha256, &rsa2048),
    ];
    let secrets = [
        (Algorithm::GoogleSymmetricEncryption, vec![1; 32]),
        (Algorithm::Aes256Gcm, vec![2; 32]),
        (Algorithm::HmacSha256, vec![3; 32]),
        (Algorithm::HmacSha1, vec![4; 20]),
    ];
    // This wraps with OAEP; conformance/tests/import_rules.rs has openssl wrap in the other ways.
    for method in
        ImportMethod::ALL.iter().filter(|method| matches!(method.row().padding, super::Padding::Oaep(_)))
    {
        let job = fixture.job(*method);
        let name = method.name();
        assert!(job.generate_time.is_some() && job.expire_time == job.create_time.plus_millis(JOB_MILLIS));
        for (algorithm, secret) in &secrets {
            let key = fixture.key(*algorithm);
            let cell = fixture.import(&key, &job, &wrap(&job, secret), None).unwrap();
            let record = cell.record();
            assert_eq!((record.state, record.number), (VersionState::Enabled, 1), "{name}");
            assert_eq!(record.fate.import_job, Some(job_name(&fixture.token, &job)));
            assert!(record.fate.import_time.is_some() && record.generate_time.is_none());
            assert_eq!(key.record().primary, None, "an import never makes a version primary");
            assert_eq!(*fixture.daemon.records.material(&cell.uid).unwrap().unwrap(), *secret);
            let objects = shown(&fixture.token, &cell);
            let attributes = objects[0].attributes();
            assert!(attributes.is_true(AttributeType::SENSITIVE));
            for never in [
                AttributeType::LOCAL,
                AttributeType::ALWAYS_SENSITIVE,
                AttributeType::NEVER_EXTRACTABLE,
                AttributeType::EXTRACTABLE,
            ] {
                assert!(!attributes.is_true(never), "{name} {never}");
            }
        }
        for (algorithm, pair) in pairs {
            let key = fixture.key(algorithm);
            // PKCS #8 of RSA-2048 has over 1200 bytes, more than OAEP alone takes.
            if pair.id() == Id::RSA && !method.row().ephemeral {
                continue;
            }
            let cell = fixture.import(&key, &job, &wrap(&job, &pkcs8(pair)), None).unwrap();
            assert_eq!(cell.record().state, VersionState::Enabled, "{name} {}", algorithm.name());
            let objects = shown(&fixture.token, &cell);
            assert_eq!(
                (objects[0].class, objects[1].class),
                (ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY)
            );
            for object in &objects {
                let attributes = object.attributes();
                let info = attributes.bytes(AttributeType::PUBLIC_KEY_INFO);
                assert_eq!(info, pair.public_key_to_der().unwrap());
                assert!(!attributes.is_true(AttributeType::LOCAL));
            }
        }
    }
}

#[test]
fn every_truncation_of_a_blob_is_refused() {
    let fixture = Fixture::new();
    let job = fixture.job(ImportMethod::RsaOaep3072Sha256Aes256);
    let key = fixture.key(Algorithm::EcSignP256Sha256);
    let blob = wrap(&job, &pkcs8(&ec(Nid::X9_62_PRIME256V1)));
    for length in 0..blob.len() {
        let result = fixture.import(&key, &job, &blob[..length], None);
        if length >= 384 + 24 && length % 8 == 0 {
            let record = result.unwrap().record();
            assert_eq!(record.fate.import_failure_reason, Some(FailureReason::UnwrapFailed), "{length}");
        } else {
            assert!(matches!(result.err().unwrap(), Error::InvalidArgument { .. }), "{length}");
        }
    }
    let before = key.versions().len();
    assert_eq!(before, (384 + 24..blob.len()).step_by(8).count());
    let longer = [&blob[..], &[0]].concat();
    assert!(matches!(
        fixture.import(&key, &job, &longer, None).err().unwrap(),
        Error::InvalidArgument { .. }
    ));
    let huge = vec![0; 384 + MAX_BLOB_BYTES];
    assert!(matches!(fixture.import(&key, &job, &huge, None).err().unwrap(), Error::InvalidArgument { .. }));
    assert_eq!(key.versions().len(), before);

    let direct = fixture.job(ImportMethod::RsaOaep3072Sha256);
    let blob = wrap(&direct, &[1; 32]);
    let key = fixture.key(Algorithm::HmacSha256);
    for wrong in [&blob[..383], &[&blob[..], &[0]].concat(), &[]] {
        let error = fixture.import(&key, &direct, wrong, None).err().unwrap();
        assert!(matches!(error, Error::InvalidArgument { .. }));
    }
    assert!(key.versions().is_empty());
}

#[test]
fn every_fault_of_the_material_has_its_reason() {
    // IMP-07 IMP-08
    use FailureReason::*;
    let fixture = Fixture::new();
    let job = fixture.job(ImportMethod::RsaOaep3072Sha256Aes256);
    let fails = |algorithm, material: &[u8]| fixture.failure(algorithm, &job, material);

    assert_eq!(fails(Algorithm::GoogleSymmetricEncryption, &[1; 31]), WrongLength);
    assert_eq!(fails(Algorithm::Aes128Gcm, &[1; 32]), WrongLength);
    assert_eq!(fails(Algorithm::HmacSha512, &[1; 32]), WrongLength);

    let (p256, rsa2048) = (ec(Nid::X9_62_PRIME256V1), rsa(2048));
    let p256_der = pkcs8(&p256);
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &[1; 32]), BadKeyFormat);
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &[&p256_der[..], &[0]].concat()), BadKeyFormat);
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &p256_der[..p256_der.len() - 1]), BadKeyFormat);
    let sec1 = p256.ec_key().unwrap().private_key_to_der().unwrap();
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &sec1), BadKeyFormat);
    assert_eq!(fails(Algorithm::EcSignP384Sha384, &p256_der), WrongAlgorithm);
    assert_eq!(fails(Algorithm::EcSignSecp256k1Sha256, &p256_der), WrongAlgorithm);
    assert_eq!(fails(Algorithm::EcSignEd25519, &p256_der), WrongAlgorithm);
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &pkcs8(&rsa2048)), WrongAlgorithm);
    assert_eq!(fails(Algorithm::RsaSignPss2048Sha256, &p256_der), WrongAlgorithm);
    assert_eq!(fails(Algorithm::RsaSignPss3072Sha256, &pkcs8(&rsa2048)), WrongLength);

    // A public key of another pair inside the private one.
    let other = ec(Nid::X9_62_PRIME256V1);
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let (scalar, point) = (p256.ec_key().unwrap(), other.ec_key().unwrap());
    let mixed = EcKey::from_private_components(&group, scalar.private_key(), point.public_key()).unwrap();
    let mixed = pkcs8(&PKey::from_ec_key(mixed).unwrap());
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &mixed), WeakKey);

    // P-256 by explicit parameters instead of its name.
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    group.set_asn1_flag(openssl::ec::Asn1Flag::EXPLICIT_CURVE);
    let explicit = pkcs8(&PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap());
    assert!(explicit.len() > 2 * p256_der.len());
    assert_eq!(fails(Algorithm::EcSignP256Sha256, &explicit), BadKeyFormat);

    let three = Rsa::generate_with_e(2048, &BigNum::from_u32(3).unwrap()).unwrap();
    assert_eq!(fails(Algorithm::RsaSignPss2048Sha256, &pkcs8(&PKey::from_rsa(three).unwrap())), WeakKey);
    let rsa2048 = rsa2048.rsa().unwrap();
    let number = |number: &openssl::bn::BigNumRef| number.to_owned().unwrap();
    let changed = |index: usize| {
        let mut parts = [
            rsa2048.n(),
            rsa2048.d(),
            rsa2048.p().unwrap(),
            rsa2048.q().unwrap(),
            rsa2048.dmp1().unwrap(),
            rsa2048.dmq1().unwrap(),
            rsa2048.iqmp().unwrap(),
        ]
        .map(number);
        parts[index].add_word(2).unwrap();
        let [n, d, p, q, dmp1, dmq1, iqmp] = parts;
        let key = RsaPrivateKeyBuilder::new(n, number(rsa2048.e()), d).unwrap();
        let key = key.set_factors(p, q).unwrap().set_crt_params(dmp1, dmq1, iqmp).unwrap().build();
        pkcs8(&PKey::from_rsa(key).unwrap())
    };
    for index in 0..7 {
        assert_eq!(fails(Algorithm::RsaSignPss2048Sha256, &changed(index)), WeakKey, "part {index}");
    }
}

#[test]
fn faults_of_the_wrapping_have_one_reason() {
    let fixture = Fixture::new();
    let job = fixture.job(ImportMethod::RsaOaep3072Sha256Aes256);
    let key = fixture.key(Algorithm::Aes256Gcm);
    let reason = |blob: &[u8]| {
        fixture.import(&key, &job, blob, None).unwrap().record().fate.import_failure_reason.unwrap()
    };
    let good = wrap(&job, &[5; 32]);
    for at in [0, 100, 383, 384, 400, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert_eq!(reason(&flipped), FailureReason::UnwrapFailed, "at {at}");
    }
    // Only AES-256 is an ephemeral key of the method.
    assert_eq!(reason(&wrap_with(&job, &[7; 16], &[5; 32])), FailureReason::UnwrapFailed);
    // A blob for SHA-1 does not open under SHA-256.
    let mut sha1 = ImportJob::clone(&job);
    sha1.method = ImportMethod::RsaOaep3072Sha1Aes256;
    assert_eq!(reason(&wrap(&sha1, &[5; 32])), FailureReason::UnwrapFailed);
}

#[test]
fn what_is_known_before_unwrapping_makes_no_version() {
    // ALG-09 IMP-13
    let fixture = Fixture::new();
    let job = fixture.job(ImportMethod::RsaOaep3072Sha256Aes256);
    let blob = wrap(&job, &[1; 32]);
    let key = fixture.key(Algorithm::Aes256Gcm);
    let import = |job: &ImportJob, algorithm, into| {
        fixture.daemon.import_version(&fixture.token, &key, job, algorithm, &blob, into).err().unwrap()
    };
    let error = import(&job, Algorithm::HmacSha256, None);
    assert!(matches!(error, Error::InvalidArgument { .. }), "another purpose: {error}");
    let error = import(&job, Algorithm::P11Generic, None);
    assert!(matches!(error, Error::InvalidArgument { .. }), "no algorithm of the key service: {error}");
    let hsm = ImportJob { protection_level: ProtectionLevel::Hsm, ..ImportJob::clone(&job) };
    assert!(matches!(import(&hsm, Algorithm::Aes256Gcm, None), Error::FailedPrecondition { .. }));
    let pending = ImportJob { state: ImportJobState::PendingGeneration, ..ImportJob::clone(&job) };
    let error = import(&pending, Algorithm::Aes256Gcm, None);
    assert!(matches!(error, Error::WrongState { state: "PENDING_GENERATION", .. }));
    assert!(matches!(import(&job, Algorithm::Aes256Gcm, Some(1)), Error::NotFound { .. }));
    assert!(key.versions().is_empty());
    // Another algorithm of the same purpose and form is right.
    let cell =
        fixture.daemon.import_version(&fixture.token, &key, &job, Algorithm::Aes256Ctr, &blob, None).unwrap();
    assert_eq!(cell.record().algorithm, Algorithm::Aes256Ctr);
    let error = import(&job, Algorithm::Aes256Gcm, Some(1));
    assert!(matches!(error, Error::InvalidArgument { .. }), "not the version's algorithm: {error}");
}

#[test]
fn only_the_same_material_comes_back_into_a_destroyed_version() {
    // IMP-30 IMP-31 IMP-32 DST-24
    let fixture = Fixture::new();
    let job = fixture.job(ImportMethod::RsaOaep3072Sha256Aes256);
    let key = fixture.key_with(Algorithm::EcSignP256Sha256, 0);
    assert_eq!(key.record().purpose, Purpose::AsymmetricSign);
    let pair = ec(Nid::X9_62_PRIME256V1);
    let blob = wrap(&job, &pkcs8(&pair));
    let cell = fixture.import(&key, &job, &blob, None).unwrap();
    let before = cell.record();
    let again = |blob: &[u8]| fixture.import(&key, &job, blob, Some(1));
    assert!(matches!(again(&blob).err().unwrap(), Error::WrongState { state: "ENABLED", .. }));

    // A duration of 0 destroys directly.
    let now = Time::now();
    fixture.daemon.transition(&cell, Transition::Destroy, now).unwrap();
    assert_eq!(
        (cell.record().state, cell.record().fate.destroy_event_time),
        (VersionState::Destroyed, Some(now))
    );
    assert_eq!(fixture.daemon.records.material(&cell.uid).unwrap(), None);
    assert!(shown(&fixture.token, &cell).is_empty());
    assert!(reimport_eligible(&cell.record(), VersionState::Destroyed));

    let destroyed = cell.record();
    let error = again(&wrap(&job, &pkcs8(&ec(Nid::X9_62_PRIME256V1)))).err().unwrap();
    assert_eq!(error, Error::ImportRefused { version: cell.name(), reason: "MATERIAL_MISMATCH" });
    let error = again(&wrap(&job, &[1; 32])).err().unwrap();
    assert_eq!(error, Error::ImportRefused { version: cell.name(), reason: "BAD_KEY_FORMAT" });
    assert_eq!(cell.record().etag, destroyed.etag, "the version is as it was");

    // The same key in another encoding: without the optional public key.
    let reencoded = without_public_key(&pair);
    assert_ne!(reencoded, pkcs8(&pair));
    assert!(Arc::ptr_eq(&again(&wrap(&job, &reencoded)).unwrap(), &cell));
    let after = cell.record();
    assert_eq!((after.state, after.fate.destroy_event_time), (VersionState::Enabled, None));
    assert_eq!(after.fate.material_digest, before.fate.material_digest);
    let unique = |version: &Version| version.objects[0].attributes.bytes(AttributeType::UNIQUE_ID).to_vec();
    assert_eq!(unique(&after), unique(&before));
    assert!(after.objects[0].handle > before.objects[1].handle);
    assert_eq!(shown(&fixture.token, &cell).len(), 2);
    assert_eq!(key.versions().len(), 1);

    // Equal material in another version has another digest.
    let other = fixture.import(&key, &job, &blob, None).unwrap();
    assert_ne!(other.record().fate.material_digest, after.fate.material_digest);

    // The digest outlives the daemon.
    fixture.daemon.transition(&cell, Transition::Destroy, now).unwrap();
    let daemon = fixture.store.daemon();
    let token = daemon.catalog.tokens().remove(0);
    let key = daemon.catalog.key(&key.uid).unwrap();
    let import =
        |blob: &[u8]| daemon.import_version(&token, &key, &job, Algorithm::EcSignP256Sha256, blob, Some(1));
    let stranger = wrap(&job, &pkcs8(&ec(Nid::X9_62_PRIME256V1)));
    assert!(matches!(import(&stranger).err().unwrap(), Error::ImportRefused { .. }));
    assert_eq!(import(&blob).unwrap().record().state, VersionState::Enabled);
}

/// `PrivateKeyInfo` of a P-256 key whose `ECPrivateKey` (RFC 5915) holds the scalar alone.
fn without_public_key(pair: &PKey<Private>) -> Vec<u8> {
    let scalar = pair.ec_key().unwrap().private_key().to_vec_padded(32).unwrap();
    let head = b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20";
    [&head[..], &scalar].concat()
}

#[test]
fn rsa_material_is_recognised_whatever_the_order_of_its_primes() {
    let key = Rsa::generate(2048).unwrap();
    let number = |number: &openssl::bn::BigNumRef| number.to_owned().unwrap();
    let (p, q) = (number(key.p().unwrap()), number(key.q().unwrap()));
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let mut inverse = BigNum::new().unwrap();
    inverse.mod_inverse(&p, &q, &mut context).unwrap();
    let swapped = RsaPrivateKeyBuilder::new(number(key.n()), number(key.e()), number(key.d()))
        .and_then(|builder| builder.set_factors(q, p))
        .and_then(|builder| {
            builder.set_crt_params(number(key.dmq1().unwrap()), number(key.dmp1().unwrap()), inverse)
        })
        .unwrap()
        .build();
    let [one, two] = [key, swapped].map(|key| {
        let der = pkcs8(&PKey::from_rsa(key).unwrap());
        check_material(Algorithm::RsaSignPss2048Sha256, &der).unwrap()
    });
    let of = |key, version| digest(&[1; 32], version, Algorithm::RsaSignPss2048Sha256, key).unwrap();
    assert_eq!(of(&one, "v"), of(&two, "v"));
    assert_ne!(of(&one, "v"), of(&one, "w"));
}

#[test]
fn failed_imports_can_be_repeated_and_generated_versions_cannot() {
    // IMP-31 IMP-35
    let fixture = Fixture::new();
    let job = fixture.job(ImportMethod::RsaOaep3072Sha256Aes256);
    let key = fixture.key(Algorithm::HmacSha256);
    let failed = fixture.import(&key, &job, &wrap(&job, &[1; 31]), None).unwrap();
    assert_eq!(failed.record().state, VersionState::ImportFailed);
    let destroy = fixture.daemon.transition(&failed, Transition::Destroy, Time::now());
    assert!(matches!(destroy, Err(Error::WrongState { state: "IMPORT_FAILED", .. })));
    let error = fixture.import(&key, &job, &wrap(&job, &[1; 30]), Some(1)).err().unwrap();
    assert!(matches!(error, Error::ImportRefused { reason: "WRONG_LENGTH", .. }));
    let cell = fixture.import(&key, &job, &wrap(&job, &[1; 32]), Some(1)).unwrap();
    let record = cell.record();
    assert_eq!((record.state, record.fate.import_failure_reason), (VersionState::Enabled, None));
    assert_eq!(shown(&fixture.token, &cell).len(), 1);

    let generated = self::key(&fixture.daemon, &fixture.token, "generated", Algorithm::HmacSha256);
    let cell = generated.version(1).unwrap();
    fixture.daemon.destroy_now(&cell, Time::now()).unwrap();
    let error = fixture.import(&generated, &job, &wrap(&job, &[1; 32]), Some(1)).err().unwrap();
    assert!(matches!(error, Error::FailedPrecondition { .. }), "{error}");
    assert!(!reimport_eligible(&cell.record(), VersionState::Destroyed));
}

#[test]
fn a_pending_job_is_taken_up_again_and_an_old_one_ends() {
    // IMP-15 IMP-16
    let fixture = Fixture::new();
    let pending = ImportJob {
        uid: new_uid().unwrap(),
        ring: fixture.token.uid,
        id: "j".into(),
        method: ImportMethod::RsaOaep3072Sha256Aes256,
        protection_level: ProtectionLevel::Software,
        state: ImportJobState::PendingGeneration,
        create_time: Time::now(),
        generate_time: None,
        expire_time: Time::now().plus_millis(JOB_MILLIS),
        expire_event_time: None,
        public_key: None,
        allowed_algorithms: vec![],
        max_uses: None,
        uses: 0,
        only_key: None,
        etag: 1,
    };
    let mut change = Change::new();
    change.put(Tree::ImportJob, pending.uid, &pending).unwrap();
    fixture.daemon.records.commit(change).unwrap();

    let daemon = fixture.store.daemon();
    daemon.resume_import_jobs();
    let job = active(&daemon, &pending);
    assert!(daemon.records.material(&job.uid).unwrap().is_some());
    let error = daemon.create_import_job(
        &daemon.catalog.tokens()[0],
        NewImportJob { protection_level: ProtectionLevel::Hsm, ..new_job(job.method) },
    );
    assert!(matches!(error.err().unwrap(), Error::AlreadyExists { .. }));

    assert_eq!(daemon.expire_import_jobs(Time(job.expire_time.0 - 1)), Ok(0));
    assert_eq!(daemon.expire_import_jobs(job.expire_time), Ok(1));
    assert_eq!(daemon.expire_import_jobs(job.expire_time), Ok(0));
    let ended = daemon.catalog.job(&job.ring, "j").unwrap();
    assert_eq!((ended.state, ended.public_key.clone()), (ImportJobState::Expired, None));
    assert_eq!(ended.expire_event_time, Some(job.expire_time));
    assert_eq!(daemon.records.material(&job.uid).unwrap(), None);
}
