use super::super::state::VersionState;
use super::super::versions::tests::{Store, key, new_key};
use super::*;

#[test]
fn durations_are_read_in_every_spelling() {
    let hours = |n| n * HOUR_MILLIS;
    let good = [
        ("0", 0),
        ("0s", 0),
        ("90s", 90_000),
        ("15m", 900_000),
        ("36h", hours(36)),
        ("30d", hours(720)),
        ("1d12h", hours(36)),
        ("1d2h3m4s", hours(26) + 184_000),
        ("2592000s", hours(720)),
        ("P30D", hours(720)),
        ("PT36H", hours(36)),
        ("P1DT12H", hours(36)),
        ("PT1M30S", 90_000),
    ];
    for (text, millis) in good {
        assert_eq!(parse_duration(text), Ok(millis), "{text}");
    }
    let bad = [
        "",
        "30",
        "d",
        "1h1d",
        "1d1d",
        "-1d",
        "+1d",
        "1.5d",
        "30 d",
        "1w",
        "P",
        "PT",
        "P30",
        "P30DT",
        "P1H",
        "1dé",
        "99999999999999999999d",
        "18446744073709551615d",
    ];
    for text in bad {
        assert!(matches!(parse_duration(text), Err(Error::InvalidArgument { .. })), "{text}");
    }
}

#[test]
fn ids_and_labels_keep_their_rules() {
    // NAM-01
    for good in ["a", "A_-9", &"x".repeat(63)] {
        check_id("key", good).unwrap();
    }
    for bad in ["", "a b", "a/b", "é", "a.b", &"x".repeat(64), "a\u{1b}[2J"] {
        let error = check_id("key", bad).unwrap_err().to_string();
        assert!(!error.contains('\u{1b}') && error.contains("is no key"), "{error}");
    }
    let labels = parse_labels("team=crypto,empty=,x=1").unwrap();
    assert_eq!(labels[1], ("empty".to_owned(), String::new()));
    check_labels(&labels).unwrap();
    assert!(parse_labels("team").is_err());
    for bad in ["Team=x", "1=x", "=x", "a=X", "a=1,a=2", &format!("a={}", "x".repeat(64))] {
        assert!(check_labels(&parse_labels(bad).unwrap()).is_err(), "{bad}");
    }
    let many: Vec<_> = (0..65).map(|i| (format!("l{i}"), String::new())).collect();
    check_labels(&many[..64]).unwrap();
    assert!(check_labels(&many).is_err());
}

#[test]
fn a_new_key_has_its_first_version_and_survives_a_restart() {
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let cell = daemon.create_key(&token, new_key("k", Algorithm::GoogleSymmetricEncryption)).unwrap();
    assert_eq!(&*cell.name, "projects/local/locations/global/keyRings/r/cryptoKeys/k");
    let record = cell.record();
    assert_eq!((record.primary, record.next_version, record.etag), (Some(1), 2, 1));
    assert_eq!(record.destroy_scheduled_millis, daemon.settings.default_destroy_scheduled_duration);
    assert_eq!(cell.version(1).unwrap().record().state, VersionState::Enabled);
    assert_eq!(token.object_count(), 1);

    let empty = NewKey { skip_initial_version: true, ..new_key("empty", Algorithm::EcSignP256Sha256) };
    let empty = daemon.create_key(&token, empty).unwrap();
    assert_eq!((empty.versions().len(), empty.record().next_version, empty.record().primary), (0, 1, None));

    let again = store.daemon();
    let token = again.catalog.tokens().remove(0);
    let ids: Vec<_> = again.catalog.keys(&token.uid).iter().map(|key| key.record().id.clone()).collect();
    assert_eq!(ids, ["empty", "k"].map(std::sync::Arc::from));
    assert_eq!(token.object_count(), 1);
}

#[test]
fn what_is_against_the_rules_makes_no_key() {
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    key(&daemon, &token, "taken", Algorithm::HmacSha256);
    let taken = daemon.create_key(&token, new_key("taken", Algorithm::Aes256Gcm)).err().unwrap();
    let resource = "projects/local/locations/global/keyRings/r/cryptoKeys/taken".to_owned();
    assert_eq!(taken, Error::AlreadyExists { resource });

    let good = || new_key("k", Algorithm::HmacSha256);
    let day = DAY_MILLIS;
    let wrong = [
        new_key("KMS-mine", Algorithm::HmacSha256),
        new_key("a b", Algorithm::HmacSha256),
        NewKey { algorithm: None, ..good() },
        NewKey { algorithm: Some(Algorithm::Aes256Gcm), ..good() },
        NewKey { import_only: true, ..good() },
        NewKey { destroy_scheduled_millis: Some(day - 1), ..good() },
        NewKey { destroy_scheduled_millis: Some(120 * day + 1), ..good() },
        NewKey { destroy_scheduled_millis: Some(0), ..good() },
        NewKey { description: "x".repeat(8193), ..good() },
        NewKey { labels: vec![("A".into(), String::new())], ..good() },
    ];
    for new in wrong {
        let error = daemon.create_key(&token, new).err().unwrap();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
    let generic = NewKey { purpose: Purpose::P11Generic, algorithm: None, ..good() };
    assert!(matches!(daemon.create_key(&token, generic).err().unwrap(), Error::Unimplemented { .. }));
    assert_eq!(daemon.catalog.keys(&token.uid).len(), 1);

    let bounds = [(day, false), (120 * day, false), (0, true)];
    for (i, (millis, import_only)) in bounds.into_iter().enumerate() {
        let id = format!("k{i}");
        let new = NewKey {
            import_only,
            skip_initial_version: import_only,
            destroy_scheduled_millis: Some(millis),
            ..new_key(&id, Algorithm::HmacSha256)
        };
        assert_eq!(daemon.create_key(&token, new).unwrap().record().destroy_scheduled_millis, millis);
    }
}
