use claviger_protocol::KeyType;

use super::super::algorithm::{ALGORITHMS, ProtectionLevel};
use super::super::keys::NewKey;
use super::super::record::{P11Destroy, Profile, RingName};
use super::super::rings::NewRing;
use super::*;
use crate::object::Object;
use crate::store::{Keyring, MemoryStore, Records, Sealer};

/// A store in memory that outlives the daemons over it.
pub(crate) struct Store {
    pub(crate) engine: Arc<MemoryStore>,
    keyring: Keyring,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { engine: Arc::new(MemoryStore::new()), keyring: Keyring::random().unwrap() }
    }

    /// A daemon that has just started on what the store holds.
    pub(crate) fn daemon(&self) -> Arc<Daemon> {
        let records = Records::open(self.engine.clone(), Sealer::new(self.keyring.clone()));
        Daemon::new(records).unwrap()
    }

    /// The same, with an audit log.
    pub(crate) fn daemon_with(&self, audit: crate::audit::Audit) -> Arc<Daemon> {
        let records = Records::open(self.engine.clone(), Sealer::new(self.keyring.clone()));
        let settings = crate::kms::settings::Settings { any_location: true, ..Default::default() };
        Daemon::with(records, settings, audit).unwrap()
    }
}

impl Daemon {
    pub(crate) fn ring_for_test(&self, id: &str) -> Arc<Token> {
        let name = RingName { project: "local".into(), location: "global".into(), id: id.into() };
        self.create_ring(NewRing {
            name,
            token_label: None,
            profile: Profile::Standard,
            p11_destroy: P11Destroy::Schedule,
            rules: Default::default(),
            so_pin: None,
            user_pin: None,
            slot: None,
        })
        .unwrap()
    }
}

pub(crate) fn new_key(id: &str, algorithm: Algorithm) -> NewKey {
    NewKey {
        id: id.to_owned(),
        purpose: algorithm.purpose(),
        algorithm: Some(algorithm),
        protection_level: ProtectionLevel::Software,
        skip_initial_version: false,
        import_only: false,
        destroy_scheduled_millis: None,
        labels: Vec::new(),
        description: String::new(),
        care: Default::default(),
        managed_by: String::new(),
        schedule: Default::default(),
    }
}

/// A key with version 1.
pub(crate) fn key(daemon: &Daemon, token: &Token, id: &str, algorithm: Algorithm) -> Arc<KeyCell> {
    daemon.create_key(token, new_key(id, algorithm)).unwrap()
}

/// The objects of a version that a token shows, in the order of their classes in the record.
pub(crate) fn shown(token: &Token, cell: &VersionCell) -> Vec<Arc<Object>> {
    cell.record().objects.iter().filter_map(|stored| token.object(stored.handle)).collect()
}

fn state(cell: &VersionCell) -> VersionState {
    cell.state(Time::now())
}

fn has_material(daemon: &Daemon, cell: &VersionCell) -> bool {
    daemon.records.material(&cell.uid).unwrap().is_some()
}

#[test]
fn every_algorithm_makes_versions_that_pkcs11_can_use() {
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let is_quick = |shape: KeyShape| {
        !matches!(shape, KeyShape::Any | KeyShape::Sm2 | KeyShape::XWing | KeyShape::Rsa(2049..))
    };
    let offers = |algorithm| daemon.settings.offers(algorithm);
    for row in ALGORITHMS.iter().filter(|row| is_quick(row.shape) && offers(row.algorithm)) {
        let name = row.algorithm.name();
        let key = key(&daemon, &token, name, row.algorithm);
        let cell = key.version(1).unwrap();
        let record = cell.record();
        assert_eq!((record.algorithm, record.state), (row.algorithm, VersionState::Enabled));
        assert!(record.generate_time.is_some() && record.fate.import_time.is_none());

        let objects = shown(&token, &cell);
        let classes: Vec<_> = objects.iter().map(|object| object.class).collect();
        assert_eq!(classes, row.shape.classes(), "{name}");
        for object in &objects {
            let attributes = object.attributes();
            let is = |r#type| attributes.is_true(r#type);
            let holds_secret = object.class != ObjectClass::PUBLIC_KEY;
            assert!(is(AttributeType::TOKEN) && is(AttributeType::LOCAL), "{name}");
            assert!(!is(AttributeType::COPYABLE));
            assert_eq!(is(AttributeType::PRIVATE), holds_secret);
            for protection in
                [AttributeType::SENSITIVE, AttributeType::ALWAYS_SENSITIVE, AttributeType::NEVER_EXTRACTABLE]
            {
                assert_eq!(is(protection), holds_secret, "{name}");
            }
            assert!(!is(AttributeType::EXTRACTABLE));
            assert_eq!(attributes.bytes(AttributeType::LABEL), name.as_bytes());
            assert_eq!(attributes.bytes(AttributeType::ID), [&key.uid[..], b"1"].concat());
            assert_eq!(attributes.bytes(AttributeType::START_DATE), Time::now().date());
            let mechanism = row.shape.key_gen_mechanism().unwrap().0;
            assert_eq!(attributes.ulong(AttributeType::KEY_GEN_MECHANISM), Some(mechanism));
            let usage: Vec<_> = row.purpose.usage(object.class).collect();
            for flag in attribute::rows(object.class, object.key_type)
                .filter(|row| row.rules.has(attribute::USAGE))
                .map(|row| row.r#type)
            {
                assert_eq!(is(flag), usage.contains(&flag), "{name} {flag}");
            }
            let key = object.key(&daemon.records).unwrap();
            match row.shape {
                KeyShape::Set(_, set) => {
                    assert_eq!(attributes.ulong(AttributeType::PARAMETER_SET), Some(set), "{name}");
                }
                shape => assert_eq!(key.size_bits(), size_bits(shape), "{name}"),
            }
        }
        let unique = HexUid::from(&cell.uid).0;
        assert_eq!(objects[0].attributes().bytes(AttributeType::UNIQUE_ID), unique.as_bytes());
        if let [private, public] = &objects[..] {
            let info = |object: &Object| object.attributes().bytes(AttributeType::PUBLIC_KEY_INFO).to_vec();
            assert!(!info(private).is_empty());
            assert_eq!(info(private), info(public));
            assert_ne!(public.attributes().bytes(AttributeType::UNIQUE_ID), unique.as_bytes());
        }
    }
}

fn size_bits(shape: KeyShape) -> u64 {
    match shape {
        KeyShape::Secret(_, length) => length as u64 * 8,
        KeyShape::Rsa(bits) => u64::from(bits),
        KeyShape::Curve(name) => Curve::named(name).unwrap().bits,
        KeyShape::Set(..) | KeyShape::Sm2 | KeyShape::XWing | KeyShape::Any => unreachable!(),
    }
}

#[test]
fn the_first_version_is_primary_and_others_when_told() {
    // ROT-01
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let new = NewKey { skip_initial_version: true, ..new_key("k", Algorithm::GoogleSymmetricEncryption) };
    let key = daemon.create_key(&token, new).unwrap();
    let create = |primary| daemon.create_version(&token, &key, primary).unwrap().number;
    assert_eq!((create(false), key.record().primary), (1, Some(1)));
    assert_eq!((create(false), key.record().primary), (2, Some(1)));
    assert_eq!((create(true), key.record().primary), (3, Some(3)));
    assert_eq!((key.record().next_version, token.object_count()), (4, 3));

    let signer = self::key(&daemon, &token, "signer", Algorithm::EcSignP256Sha256);
    let error = daemon.create_version(&token, &signer, true).err().unwrap();
    assert!(matches!(error, Error::FailedPrecondition { .. }));
    assert_eq!((signer.record().primary, signer.versions().len()), (None, 1));
    assert_eq!(daemon.create_version(&token, &signer, false).unwrap().number, 2);

    let new = NewKey {
        skip_initial_version: true,
        import_only: true,
        ..new_key("imported", Algorithm::HmacSha256)
    };
    let imported = daemon.create_key(&token, new).unwrap();
    let error = daemon.create_version(&token, &imported, false).err().unwrap();
    assert!(matches!(error, Error::FailedPrecondition { .. }) && imported.versions().is_empty());
}

#[test]
fn a_version_is_disabled_enabled_scheduled_and_restored() {
    // STA-01 STA-16 DST-10
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let cell = key(&daemon, &token, "k", Algorithm::EcSignEd25519).version(1).unwrap();
    let now = Time::now();
    let go = |transition| daemon.transition(&cell, transition, now);
    let handles = |cell: &VersionCell| cell.record().objects.iter().map(|o| o.handle).collect::<Vec<_>>();
    let (old_handles, old_etag) = (handles(&cell), cell.record().etag);

    go(Transition::Enable).unwrap();
    assert_eq!(cell.record().etag, old_etag, "nothing changed, so nothing was written");
    go(Transition::Disable).unwrap();
    go(Transition::Disable).unwrap();
    assert_eq!((state(&cell), cell.record().etag), (VersionState::Disabled, old_etag + 1));
    assert_eq!(shown(&token, &cell).len(), 2);
    go(Transition::Enable).unwrap();
    assert_eq!((state(&cell), handles(&cell)), (VersionState::Enabled, old_handles.clone()));
    let restore = go(Transition::Restore).unwrap_err();
    assert_eq!(
        restore.to_string(),
        format!("{} has value ENABLED in field crypto_key_version.state.", cell.name())
    );

    let unique = |object: &Object| object.attributes().bytes(AttributeType::UNIQUE_ID).to_vec();
    let before: Vec<_> = shown(&token, &cell).iter().map(|object| unique(object)).collect();
    daemon.destroy_token_object(&token, &shown(&token, &cell)[1]).unwrap();
    assert_eq!(shown(&token, &cell).len(), 1, "the public object alone is only hidden");
    go(Transition::Destroy).unwrap();
    let record = cell.record();
    assert_eq!(record.fate.scheduled_at, Some(now));
    assert_eq!(record.fate.destroy_time, Some(now.plus_millis(30 * 24 * 3600 * 1000)));
    assert_eq!((state(&cell), token.object_count()), (VersionState::DestroyScheduled, 0));
    assert!(has_material(&daemon, &cell));
    for transition in [Transition::Destroy, Transition::Enable, Transition::Disable] {
        assert!(matches!(go(transition), Err(Error::WrongState { state: "DESTROY_SCHEDULED", .. })));
    }

    go(Transition::Restore).unwrap();
    let record = cell.record();
    assert_eq!(
        (record.state, record.fate.destroy_time, record.fate.scheduled_at),
        (VersionState::Disabled, None, None)
    );
    let back = shown(&token, &cell);
    assert_eq!(back.iter().map(|object| unique(object)).collect::<Vec<_>>(), before);
    assert!(back.iter().all(|object| object.handle > *old_handles.iter().max().unwrap()));

    let again = store.daemon();
    let token = again.catalog.tokens().remove(0);
    let shown_again: Vec<_> = shown(&token, &cell).iter().map(|object| object.handle).collect();
    assert_eq!(shown_again, handles(&cell));
}

#[test]
fn a_schedule_that_has_passed_is_carried_out() {
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let key = key(&daemon, &token, "k", Algorithm::Aes256Gcm);
    let cell = key.version(1).unwrap();
    let other = daemon.create_version(&token, &key, false).unwrap();
    let now = Time::now();
    daemon.transition(&cell, Transition::Destroy, now).unwrap();
    let due = cell.record().fate.destroy_time.unwrap();
    assert_eq!(daemon.destroy_due(Time(due.0 - 1)), Ok(0));
    assert!(has_material(&daemon, &cell));
    // Too late, whether or not the timer has run.
    let error = daemon.transition(&cell, Transition::Restore, due).unwrap_err();
    assert!(matches!(error, Error::WrongState { state: "DESTROYED", .. }));

    let again = store.daemon();
    let cell = again.catalog.key(&key.uid).unwrap().version(1).unwrap();
    let late = due.plus_millis(5000);
    assert_eq!(again.destroy_due(late), Ok(1));
    assert_eq!(again.destroy_due(late), Ok(0));
    let record = cell.record();
    assert_eq!((record.state, record.fate.destroy_event_time), (VersionState::Destroyed, Some(late)));
    assert_eq!(record.fate.destroy_time, None);
    assert!(!has_material(&again, &cell) && has_material(&again, &other));
    for transition in [Transition::Destroy, Transition::Enable, Transition::Disable, Transition::Restore] {
        assert!(matches!(again.transition(&cell, transition, late), Err(Error::WrongState { .. })));
    }
    assert_eq!(store.daemon().catalog.key(&key.uid).unwrap().versions().len(), 2);
}

#[test]
fn destroying_at_once_leaves_no_material() {
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let cell = key(&daemon, &token, "k", Algorithm::HmacSha1).version(1).unwrap();
    let now = Time::now();
    daemon.destroy_now(&cell, now).unwrap();
    assert_eq!((state(&cell), cell.record().fate.destroy_event_time), (VersionState::Destroyed, Some(now)));
    assert!(!has_material(&daemon, &cell));
    assert_eq!(token.object_count(), 0);
    assert!(matches!(daemon.destroy_now(&cell, now), Err(Error::WrongState { .. })));
}

#[test]
fn keys_of_any_shape_are_not_generated_here() {
    assert!(matches!(generate(Algorithm::P11Generic), Err(Error::FailedPrecondition { .. })));
    assert_eq!(KeyShape::Any.key_type(), None::<KeyType>);
}
