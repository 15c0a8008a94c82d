use super::super::keys::parse_duration;
use super::super::state::Transition;
use super::super::transitions::How;
use super::super::versions::tests::{Store, key, new_key};
use super::*;

const DAY: u64 = 24 * 3600 * 1000;

fn symmetric(daemon: &Daemon) -> (Arc<Token>, Arc<KeyCell>) {
    let token = daemon.ring_for_test("r");
    let key = key(daemon, &token, "k", Algorithm::GoogleSymmetricEncryption);
    (token, key)
}

#[test]
fn a_key_keeps_its_etag_rule() {
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    let etag = key.record().etag;
    let update = || KeyUpdate { description: Some("d".into()), ..KeyUpdate::default() };
    assert_eq!(daemon.update_key(&key, Some(etag + 1), update(), Time::now()), Err(Error::Aborted));
    daemon.update_key(&key, Some(etag), update(), Time::now()).unwrap();
    assert_eq!(daemon.update_key(&key, Some(etag), update(), Time::now()), Err(Error::Aborted));
    assert_eq!((key.record().notes.description.as_str(), key.record().etag), ("d", etag + 1));
}

#[test]
fn updates_follow_the_rules_and_do_all_or_nothing() {
    // ALG-04 ALG-05 NAM-04 NAM-05
    let store = Store::new();
    let daemon = store.daemon();
    let (token, key) = symmetric(&daemon);
    let now = Time::now();
    let bad = KeyUpdate {
        description: Some("new".into()),
        algorithm: Some(Algorithm::HmacSha256),
        ..KeyUpdate::default()
    };
    assert!(matches!(daemon.update_key(&key, None, bad, now), Err(Error::InvalidArgument { .. })));
    assert_eq!(key.record().notes.description, "");
    let labels = vec![("team".to_owned(), "a".to_owned()), ("env".to_owned(), "prod".to_owned())];
    let update = KeyUpdate {
        algorithm: Some(Algorithm::Aes128Encryption),
        set_labels: labels,
        display_name: Some("Invoices".into()),
        ..KeyUpdate::default()
    };
    daemon.update_key(&key, None, update, now).unwrap();
    let second = daemon.create_version(&token, &key, false).unwrap();
    assert_eq!(second.record().algorithm, Algorithm::Aes128Encryption);
    assert_eq!(key.version(1).unwrap().record().algorithm, Algorithm::GoogleSymmetricEncryption);
    let update = KeyUpdate { remove_labels: vec!["team".into()], ..KeyUpdate::default() };
    daemon.update_key(&key, None, update, now).unwrap();
    let again = store.daemon();
    let cell = again.catalog.key(&key.uid).unwrap();
    assert_eq!(cell.record().notes.labels, [("env".to_owned(), "prod".to_owned())]);
    assert_eq!(cell.record().care.display_name, "Invoices");
}

#[test]
fn only_an_enabled_version_becomes_primary_and_a_disabled_one_stays() {
    // ROT-01 ROT-02 ROT-03
    let daemon = Store::new().daemon();
    let (token, key) = symmetric(&daemon);
    let second = daemon.create_version(&token, &key, false).unwrap();
    assert_eq!(key.record().primary, Some(1));
    daemon.transition(&second, Transition::Disable, Time::now()).unwrap();
    let error = daemon.set_primary(&key, None, 2, Time::now()).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not enabled, current state is: DISABLED.", second.name()));
    daemon.transition(&second, Transition::Enable, Time::now()).unwrap();
    daemon.set_primary(&key, None, 2, Time::now()).unwrap();
    daemon.transition(&second, Transition::Destroy, Time::now()).unwrap();
    assert_eq!(key.record().primary, Some(2), "no fall-back by itself");
    assert!(matches!(daemon.set_primary(&key, None, 9, Time::now()), Err(Error::NotFound { .. })));
    let mac = super::super::versions::tests::key(&daemon, &token, "m", Algorithm::HmacSha256);
    let refused = daemon.set_primary(&mac, None, 1, Time::now());
    assert!(matches!(refused, Err(Error::FailedPrecondition { .. })));
}

#[test]
fn a_rotation_that_was_missed_is_done_once_and_its_time_moves_on() {
    // ROT-04 ROT-05 ROT-06 ROT-07
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    assert_eq!(key.record().care.rotation_period_millis, None, "off by default");
    let now = Time::now();
    let schedule = |period, next| KeyUpdate {
        schedule: Schedule { period_millis: period, next, remove: false },
        ..KeyUpdate::default()
    };
    let update = |update| daemon.update_key(&key, None, update, now);
    for (period, next) in [
        (Some(DAY), None),
        (Some(DAY - 1), Some(now.plus_millis(DAY))),
        (None, Some(now)),
        (Some(u64::MAX), None),
    ] {
        assert!(matches!(update(schedule(period, next)), Err(Error::InvalidArgument { .. })), "{period:?}");
    }
    let next = now.plus_millis(DAY);
    update(schedule(Some(7 * DAY), Some(next))).unwrap();
    assert_eq!(daemon.rotate_due(next.plus_millis(0).plus_millis(0)).unwrap(), 1);
    assert_eq!(key.record().primary, Some(2));
    assert_eq!(daemon.rotate_due(next).unwrap(), 0);
    let late = next.plus_millis(7 * DAY * 10 + 5);
    assert_eq!(daemon.rotate_due(late).unwrap(), 1);
    assert_eq!(key.versions().len(), 3);
    assert_eq!(key.record().care.next_rotation_time, Some(next.plus_millis(7 * DAY * 11)));
    update(KeyUpdate { schedule: Schedule { remove: true, ..Schedule::default() }, ..KeyUpdate::default() })
        .unwrap();
    assert_eq!(daemon.rotate_due(Time(i64::MAX)).unwrap(), 0);
}

#[test]
fn a_rotation_that_fails_is_told_and_tried_again_after_an_hour() {
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    let now = Time::now();
    let next = now.plus_millis(DAY);
    let schedule = Schedule { period_millis: Some(DAY), next: Some(next), remove: false };
    daemon.update_key(&key, None, KeyUpdate { schedule, ..KeyUpdate::default() }, now).unwrap();
    daemon.archive(&key, None, true, now).unwrap();
    daemon.rotate_due(next).unwrap();
    assert_eq!(key.versions().len(), 1);
    assert_eq!(daemon.events.counts().0.get("ROTATION_FAILED"), Some(&1));
    daemon.rotate_due(next.plus_millis(1000)).unwrap();
    assert_eq!(daemon.events.counts().0.get("ROTATION_FAILED"), Some(&1));
    daemon.archive(&key, None, false, now).unwrap();
    daemon.rotate_due(next.plus_millis(3600 * 1000)).unwrap();
    assert_eq!(key.versions().len(), 2);
}

#[test]
fn keys_that_cannot_rotate_have_no_schedule() {
    // ROT-10 IMP-11
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    let mac = key(&daemon, &token, "m", Algorithm::HmacSha256);
    let new = super::super::keys::NewKey {
        import_only: true,
        skip_initial_version: true,
        ..new_key("i", Algorithm::GoogleSymmetricEncryption)
    };
    let import_only = daemon.create_key(&token, new).unwrap();
    for key in [mac, import_only] {
        let now = Time::now();
        let schedule = Schedule { period_millis: Some(DAY), next: Some(now.plus_millis(DAY)), remove: false };
        let update = KeyUpdate { schedule, ..KeyUpdate::default() };
        assert!(matches!(daemon.update_key(&key, None, update, now), Err(Error::InvalidArgument { .. })));
    }
    let import_only = daemon.catalog.key_by_id(&token.uid, "i").unwrap();
    assert!(matches!(
        daemon.rotate(&token, &import_only, None, Time::now()),
        Err(Error::FailedPrecondition { .. })
    ));
}

#[test]
fn a_protected_key_is_not_destroyed_by_any_door() {
    // DST-26 DST-27
    let store = Store::new();
    let daemon = store.daemon();
    let (token, key) = symmetric(&daemon);
    let (now, cell) = (Time::now(), key.version(1).unwrap());
    daemon.protect(&key, None, Some("audit 2026".into()), now).unwrap();
    let daemon = store.daemon();
    let (key, token) = (daemon.catalog.key(&key.uid).unwrap(), daemon.catalog.token_of(&token.uid).unwrap());
    let cell = key.version(cell.number).unwrap();
    let error = daemon.transition(&cell, Transition::Destroy, now).unwrap_err();
    assert!(error.to_string().ends_with("is protected from deletion: audit 2026"), "{error}");
    assert_eq!(error.rv(), claviger_protocol::Rv::ACTION_PROHIBITED);
    assert!(matches!(daemon.destroy_now(&cell, now), Err(Error::Protected { .. })));
    let by = Principal::Timer;
    let whole = daemon.transition_key(&key, Transition::Destroy, now, How::default(), &by);
    assert!(matches!(whole.err(), Some(Error::Protected { .. })));
    daemon.transition(&cell, Transition::Disable, now).unwrap();
    daemon.rotate(&token, &key, None, now).unwrap();
    daemon.protect(&key, None, None, now).unwrap();
    daemon.transition(&cell, Transition::Destroy, now).unwrap();
    let refused = daemon.protect(&key, None, Some(String::new()), now);
    assert!(matches!(refused, Err(Error::WrongState { .. })));
}

#[test]
fn a_bound_key_needs_force() {
    // USE-05
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    let now = Time::now();
    let binding = |note: &str| Binding {
        product: "disk".into(),
        resource_id: "d-1".into(),
        note: note.into(),
        create_time: now,
    };
    daemon.bind(&key, None, binding("")).unwrap();
    daemon.bind(&key, None, binding("root")).unwrap();
    assert_eq!(key.record().care.bindings, [binding("root")]);
    let cell = key.version(1).unwrap();
    let error = daemon.transition(&cell, Transition::Destroy, now).unwrap_err();
    assert!(error.to_string().contains("disk d-1"), "{error}");
    let force = How { force_bound: true, ..How::default() };
    daemon.transition_how(&cell, Transition::Destroy, now, force, &Principal::Timer).unwrap();
    assert!(matches!(daemon.unbind(&key, None, "disk", "d-2"), Err(Error::NotFound { .. })));
    daemon.unbind(&key, None, "disk", "d-1").unwrap();
    assert!(key.record().care.bindings.is_empty());
}

#[test]
fn tags_keep_their_rules() {
    // NAM-06 NAM-07 NAM-08 NAM-09
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    for good in ["a", "Ünï cödé", "/\\_-.+=:@ ", &"x".repeat(128)] {
        check_tag(good, good).unwrap();
    }
    for bad in ["", "a,b", "a\n", &"x".repeat(129), "aliyunX", "acs:x", "ACS:x"] {
        assert!(check_tag(bad, "v").is_err(), "{bad:?}");
    }
    assert!(check_tag("k", "").is_err());
    let tags: Vec<_> = (0..20).map(|n| (format!("k{n}"), "v".to_owned())).collect();
    daemon.set_tags(&key, None, &tags).unwrap();
    daemon.set_tags(&key, None, &[("k3".into(), "w".into())]).unwrap();
    let many = daemon.set_tags(&key, None, &[("more".into(), "v".into())]);
    assert!(matches!(many, Err(Error::FailedPrecondition { .. })));
    daemon.unset_tags(&key, None, &["k0".into(), "k1".into(), "none".into()]).unwrap();
    assert_eq!(key.record().care.tags.len(), 18);
}

#[test]
fn aliases_are_unique_in_their_location_and_move_in_one_step() {
    // NAM-03 NAM-04
    let store = Store::new();
    let daemon = store.daemon();
    let (token, one) = symmetric(&daemon);
    let two = key(&daemon, &token, "two", Algorithm::HmacSha256);
    let now = Time::now();
    for good in ["alias/a", "alias/A/b-c_9", &format!("alias/{}", "x".repeat(249))] {
        check_alias(good).unwrap();
    }
    for bad in
        ["a", "alias/", "alias/a b", "alias/acs/x", "alias/kmsx", &format!("alias/{}", "x".repeat(250))]
    {
        assert!(check_alias(bad).is_err(), "{bad}");
    }
    daemon.create_alias(&token, &one, "alias/a", now).unwrap();
    let taken = daemon.create_alias(&token, &two, "alias/a", now);
    assert!(matches!(taken, Err(Error::AlreadyExists { .. })));
    daemon.update_alias(&token, &two, "alias/a", now).unwrap();
    assert!(one.record().care.aliases.is_empty());
    let again = store.daemon();
    assert_eq!(again.catalog.key_by_alias("local", "global", "alias/a").unwrap().uid, two.uid);
    again.delete_alias("local", "global", "alias/a").unwrap();
    assert!(matches!(again.delete_alias("local", "global", "alias/a"), Err(Error::NotFound { .. })));
    assert!(matches!(again.update_alias(&token, &two, "alias/a", now), Err(Error::NotFound { .. })));
}

#[test]
fn a_whole_key_changes_in_one_step() {
    // STA-05 STA-09
    let daemon = Store::new().daemon();
    let (token, key) = symmetric(&daemon);
    daemon.create_version(&token, &key, false).unwrap();
    daemon.create_version(&token, &key, false).unwrap();
    let now = Time::now();
    let by = Principal::Timer;
    let all = |transition| daemon.transition_key(&key, transition, now, How::default(), &by);
    daemon.transition(&key.version(2).unwrap(), Transition::Disable, now).unwrap();
    assert_eq!(all(Transition::Disable).unwrap().len(), 2);
    assert!(matches!(all(Transition::Restore).err(), Some(Error::FailedPrecondition { .. })));
    assert_eq!(all(Transition::Enable).unwrap().len(), 3);
    assert_eq!(all(Transition::Enable).unwrap().len(), 0);
    assert_eq!(all(Transition::Destroy).unwrap().len(), 3);
    assert!(key.versions().iter().all(|v| v.state(now) == VersionState::DestroyScheduled));
    assert_eq!(all(Transition::Restore).unwrap().len(), 3);
    assert!(key.versions().iter().all(|v| v.state(now) == VersionState::Disabled));
}

#[test]
fn a_window_replaces_the_keys_duration_within_bounds() {
    // DST-02 DST-05 DST-06
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    let (now, cell) = (Time::now(), key.version(1).unwrap());
    let destroy = |days: u64| {
        let how = How { window_millis: Some(days * DAY), ..How::default() };
        daemon.transition_how(&cell, Transition::Destroy, now, how, &Principal::Timer)
    };
    for bad in [0, 121] {
        assert!(matches!(destroy(bad), Err(Error::InvalidArgument { .. })), "{bad}");
    }
    destroy(7).unwrap();
    assert_eq!(cell.record().fate.destroy_time, Some(now.plus_millis(7 * DAY)));
    daemon.transition(&cell, Transition::Restore, now).unwrap();
    daemon.transition(&cell, Transition::Destroy, now).unwrap();
    assert_eq!(cell.record().fate.destroy_time, Some(now.plus_millis(parse_duration("30d").unwrap())));
}

#[test]
fn the_last_three_days_are_announced_once_each() {
    // DST-20 DST-18
    let store = Store::new();
    let daemon = store.daemon();
    let (_, key) = symmetric(&daemon);
    let (now, cell) = (Time::now(), key.version(1).unwrap());
    daemon.transition(&cell, Transition::Destroy, now).unwrap();
    let due = cell.record().fate.destroy_time.unwrap();
    let days_before = |days: i64| Time(due.0 - days * DAY as i64);
    assert_eq!(daemon.announce_destructions(days_before(4)).unwrap(), 0);
    assert_eq!(daemon.announce_destructions(days_before(3)).unwrap(), 1);
    assert_eq!(daemon.announce_destructions(days_before(3)).unwrap(), 0);
    assert_eq!(daemon.announce_destructions(days_before(2)).unwrap(), 1);
    let again = store.daemon();
    assert_eq!(again.announce_destructions(days_before(2)).unwrap(), 0, "nor after a restart");
    assert_eq!(again.announce_destructions(days_before(1)).unwrap(), 1);
    assert_eq!(again.announce_destructions(due).unwrap(), 0);
    assert_eq!(again.destroy_due(due).unwrap(), 1);
    assert_eq!(again.events.counts().0.get("DESTROYED"), Some(&1));
    assert_eq!(daemon.events.counts().0.get("DESTRUCTION_SCHEDULED"), Some(&1));
}

#[test]
fn a_use_of_a_scheduled_version_is_counted_always_and_told_once_a_minute() {
    // DST-19
    let daemon = Store::new().daemon();
    let (_, key) = symmetric(&daemon);
    let cell = key.version(1).unwrap();
    let peer = |uid| Principal::Peer(crate::server::Peer { uid, gid: 0, pid: 1 });
    daemon.scheduled_use(&cell.name(), &peer(1), "Decrypt");
    assert_eq!(daemon.events.counts().1, 0, "it is not scheduled");
    daemon.transition(&cell, Transition::Destroy, Time::now()).unwrap();
    for _ in 0..5 {
        daemon.scheduled_use(&cell.name(), &peer(1), "Decrypt");
    }
    daemon.scheduled_use(&cell.name(), &peer(2), "Decrypt");
    let (counts, attempts) = daemon.events.counts();
    assert_eq!((counts["SCHEDULED_KEY_USE_ATTEMPT"], attempts), (2, 6));
}

#[test]
fn use_is_counted_and_kept() {
    // USE-01 USE-03
    use super::super::usage::Use;
    let store = Store::new();
    let daemon = store.daemon();
    let (_, key) = symmetric(&daemon);
    let cell = key.version(1).unwrap();
    assert!(cell.usage.shown().last.is_none());
    daemon.note_use(&cell, Use::Encrypt, 7);
    daemon.note_use(&cell, Use::Encrypt, 7);
    daemon.note_use(&cell, Use::Decrypt, 8);
    let check = |shown: super::super::usage::Shown| {
        let (_, uid, used) = shown.last.unwrap();
        assert_eq!((uid, used), (8, "Decrypt"));
        let day = Time::now().day();
        assert_eq!(shown.counts, [("Encrypt", day, 2), ("Decrypt", day, 1)]);
    };
    check(cell.usage.shown());
    daemon.flush_usage().unwrap();
    check(cell.usage.shown());
    let again = store.daemon();
    check(again.catalog.key(&key.uid).unwrap().version(1).unwrap().usage.shown());
}

#[test]
fn use_that_could_not_be_written_is_written_later() {
    use super::super::usage::Use;
    // More than one commit takes.
    const VERSIONS: u32 = 600;
    let store = Store::new();
    let daemon = store.daemon();
    let (token, key) = symmetric(&daemon);
    for _ in 1..VERSIONS {
        daemon.create_version(&token, &key, false).unwrap();
    }
    let versions = key.versions();
    assert_eq!(versions.len(), VERSIONS as usize);
    versions.iter().for_each(|version| daemon.note_use(version, Use::Encrypt, 7));
    let is_full = &store.engine.is_full;
    is_full.store(true, std::sync::atomic::Ordering::Release);
    daemon.flush_usage().unwrap_err();
    // Of the first commit, and of one that was not tried.
    daemon.note_use(&versions[0], Use::Encrypt, 7);
    daemon.note_use(&versions[599], Use::Encrypt, 7);
    daemon.flush_usage().unwrap_err();
    is_full.store(false, std::sync::atomic::Ordering::Release);
    daemon.flush_usage().unwrap();
    let again = store.daemon();
    let versions = again.catalog.key(&key.uid).unwrap().versions();
    let counts: Vec<u64> = versions.iter().map(|version| version.usage.encryptions()).collect();
    assert_eq!((counts[0], counts[599]), (2, 2));
    assert!(counts[1..599].iter().all(|count| *count == 1), "{counts:?}");
}
