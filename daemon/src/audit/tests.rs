use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::log::Audit;
use super::settings::UseRule;
use super::verify::Verification;
use super::*;
use crate::kms::time::Time;
use crate::server::Peer;

const ROOT: Principal = Principal::Peer(Peer { uid: 0, gid: 0, pid: 1 });

fn record<'a>(operation: &'a str, name: &'a str, by: &'a Principal) -> Record<'a> {
    Record { request: json!({"size": 3}), ..Record::new(operation, by, "admin").about("CryptoKey", name) }
}

/// A log in a directory that is opened again and again.
struct Place {
    directory: tempfile::TempDir,
    keys: Keys,
    settings: Settings,
}

impl Place {
    fn new() -> Place {
        let settings = Settings { segment_bytes: 4096, checkpoint_records: 10, ..Settings::default() };
        Place { directory: tempfile::tempdir().unwrap(), keys: Keys::random().unwrap(), settings }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn open(&self) -> Audit {
        Audit::open(self.path(), self.keys.clone(), self.settings.clone()).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        segment::all(self.path()).unwrap().into_iter().map(|segment| segment.path).collect()
    }

    fn problems(&self) -> Vec<String> {
        problems(&self.open().verify().unwrap())
    }
}

fn problems(found: &Verification) -> Vec<String> {
    found.problems.iter().map(|problem| problem.what.clone()).collect()
}

fn list(audit: &Audit, query: Query<'_>) -> Vec<String> {
    let found = audit.list(&Query { limit: 50, ..query }).unwrap();
    let operations = found.iter().map(|record| record["operation"].as_str().unwrap().to_owned());
    operations.filter(|operation| operation != "Event.STARTED").collect()
}

#[test]
fn records_are_chained_filtered_and_newest_first() {
    // AUD-02 AUD-03 AUD-04 AUD-05
    let place = Place::new();
    let audit = place.open();
    let first = audit.append(&record("CreateKey", "r/cryptoKeys/k", &ROOT)).unwrap();
    drop(audit);
    let audit = place.open();
    audit.append(&record("Encrypt", "r/cryptoKeys/k/cryptoKeyVersions/1", &ROOT)).unwrap();
    audit.append(&record("Event.DESTROYED", "r/cryptoKeys/k2", &Principal::Timer)).unwrap();
    assert_eq!(first.len(), 26);
    assert_eq!(problems(&audit.verify().unwrap()), [""; 0]);
    let list = |query| list(&audit, query);
    assert_eq!(list(Query::default()), ["Event.DESTROYED", "Encrypt", "CreateKey"]);
    assert_eq!(list(Query { user: Some("root"), ..Query::default() }), ["Encrypt", "CreateKey"]);
    assert_eq!(list(Query { user: Some("uid:0"), ..Query::default() }), ["Encrypt", "CreateKey"]);
    assert_eq!(list(Query { user: Some("uid:7"), ..Query::default() }), [""; 0]);
    let about = Query { resource_name: Some("r/cryptoKeys/k"), ..Query::default() };
    assert_eq!(list(about), ["Encrypt", "CreateKey"]);
    assert_eq!(list(Query { operation: Some("Encrypt"), ..Query::default() }), ["Encrypt"]);
    assert_eq!(list(Query { source: Some("pkcs11"), ..Query::default() }), [""; 0]);
    assert_eq!(list(Query { result: Some("OK"), source: Some("admin"), ..Query::default() }).len(), 3);
    assert_eq!(list(Query { event_id: Some(&first), ..Query::default() }), ["CreateKey"]);
    assert_eq!(list(Query { after: Some(&first), ..Query::default() }), ["Event.DESTROYED", "Encrypt"]);
    assert_eq!(list(Query { keyword: Some("destroyed"), ..Query::default() }), ["Event.DESTROYED"]);
    assert_eq!(list(Query { resource_type: Some("CryptoKey"), ..Query::default() }).len(), 3);
    assert_eq!(list(Query { since: Some(Time(i64::MAX / 2)), ..Query::default() }), [""; 0]);
    assert_eq!(list(Query { until: Some(Time(0)), ..Query::default() }), [""; 0]);
    assert_eq!(audit.list(&Query { limit: 1, ..Query::default() }).unwrap().len(), 1);
    let all = audit.list(&Query { limit: 50, ..Query::default() }).unwrap();
    let last = all.last().unwrap();
    assert_eq!(last["operation"], "Event.STARTED");
    assert_eq!(all[3]["eventId"], json!(first), "{all:?}");
    assert_eq!(all[3]["principal"]["uid"], 0);
    assert_eq!(all[3]["previousHash"].as_str().unwrap().len(), 64);
    assert_eq!(all[3]["sequence"], 2);
    assert!(all[3].get("mac").is_none());
}

#[test]
fn segments_follow_each_other_and_mac_keys_are_forgotten() {
    let place = Place::new();
    let audit = place.open();
    for number in 0..2500 {
        audit.append(&record(&format!("Op{number}"), "k", &ROOT)).unwrap();
    }
    audit.settle().unwrap();
    assert!(place.segments().len() > 100);
    let found = audit.verify().unwrap();
    assert_eq!((problems(&found), found.records), (vec![], 2502));
    assert_eq!(found.checkpoints, 1, "the thread that signs does not run here");
    drop(audit);
    let head = fs::read(place.path().join("head")).unwrap();
    let first_key = {
        let other = Place {
            directory: tempfile::tempdir().unwrap(),
            keys: place.keys.clone(),
            settings: place.settings.clone(),
        };
        drop(other.open());
        head::HeadFile::open(other.path(), other.keys.head).unwrap().1.unwrap().mac
    };
    assert_eq!(first_key.epoch, 0);
    let (_, last) = head::HeadFile::open(place.path(), place.keys.head).unwrap();
    assert_eq!(last.unwrap().mac.epoch, 2502 / chain::EPOCH_RECORDS);
    assert_eq!(head.len(), 1024);
    assert_eq!(place.problems(), [""; 0], "and opens again");
}

#[test]
fn every_change_of_the_files_shows() {
    let place = Place { settings: Settings::default(), ..Place::new() };
    let audit = place.open();
    for number in 0..5 {
        audit.append(&record(&format!("Op{number}"), "k", &ROOT)).unwrap();
    }
    audit.settle().unwrap();
    drop(audit);
    let path = place.segments().remove(0);
    let good = fs::read_to_string(&path).unwrap();
    let head = fs::read(place.path().join("head")).unwrap();
    let reset = |content: &str| {
        fs::write(&path, content).unwrap();
        fs::write(place.path().join("head"), &head).unwrap();
    };
    reset(&format!("{good}{{\"torn"));
    assert_eq!(place.problems(), [""; 0], "a line that was not finished is no loss");
    let lines: Vec<_> = good.lines().collect();
    let without = |number: usize| {
        lines
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != number)
            .map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    let swapped = good.replace("Op2", "OpX").replace("Op3", "Op2").replace("OpX", "Op3");
    for (what, bad) in [
        ("a changed line", good.replace("Op2", "OpX")),
        ("a line less in the middle", without(3)),
        ("the first line less", without(0)),
        ("the last line less", without(lines.len() - 1)),
        ("nothing left", String::new()),
        ("two lines swapped", swapped),
        ("a line twice", good.replacen(lines[2], &format!("{}\n{}", lines[2], lines[2]), 1)),
        (
            "a MAC of zeros",
            good.replace(&lines[2][lines[2].len() - 34..], "00000000000000000000000000000000\"}"),
        ),
        ("a signature", good.replace("\"signature\":\"", "\"signature\":\"AA")),
    ] {
        assert_ne!(bad, good, "{what}");
        reset(&bad);
        assert_ne!(place.problems(), [""; 0], "{what}");
        assert_ne!(place.problems(), [""; 0], "{what}: and is not forgotten");
    }
    reset(&good);
    assert_eq!(place.problems(), [""; 0]);
    let audit = place.open();
    fs::write(&path, format!("{}\n{}\n", lines[0], lines[1])).unwrap();
    assert_ne!(problems(&audit.verify().unwrap()), [""; 0], "a cut end shows while the daemon runs");
    std::mem::forget(audit);
    reset(&good);
    fs::write(place.path().join("head"), vec![0; 1024]).unwrap();
    assert_ne!(place.problems(), [""; 0], "a head that is gone shows");
}

#[test]
fn old_segments_go_but_not_before_they_are_exported() {
    // DST-17
    let place = Place::new();
    let audit = place.open();
    for number in 0..40 {
        audit.append(&record(&format!("Op{number}"), "k", &ROOT)).unwrap();
    }
    audit.settle().unwrap();
    let all = place.segments().len();
    assert!(all > 3);
    let later = |days: i64| Time(Time::wall().0 + days * 24 * 3600 * 1000);
    audit.expire(later(180)).unwrap();
    assert_eq!(place.segments().len(), all, "180 days are not over");
    let second = segment::all(place.path()).unwrap()[2].first;
    audit.exported(second).unwrap();
    audit.expire(later(181)).unwrap();
    assert_eq!(segment::all(place.path()).unwrap()[0].first, second, "what is not exported stays");
    assert_eq!(problems(&audit.verify().unwrap()), [""; 0]);
    audit.exported(audit.status().last).unwrap();
    audit.expire(later(181)).unwrap();
    assert_eq!(place.segments().len(), 1);
    assert!(audit.exported(10_000).is_err());
    drop(audit);
    assert_eq!(place.problems(), [""; 0]);
    let left = segment::all(place.path()).unwrap();
    fs::remove_file(&left[0].path).unwrap();
    assert_ne!(place.problems(), [""; 0], "what is taken away by hand shows");
}

#[test]
fn an_intent_without_an_outcome_is_closed_at_the_next_start() {
    let place = Place::new();
    let audit = place.open();
    let done = audit.begin(&record("CreateKey", "k", &ROOT)).unwrap();
    audit.end(&done, &record("CreateKey", "k", &ROOT));
    let open = audit.begin(&record("ScheduleKeyDeletion", "k", &ROOT)).unwrap();
    // As a crash does.
    std::mem::forget(audit);
    let store = crate::kms::versions::tests::Store::new();
    let daemon = store.daemon_with(place.open());
    let closed = daemon.audit.list(&Query { result: Some("UNKNOWN"), limit: 9, ..Query::default() }).unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["intent"], json!(open.id));
    assert_eq!(closed[0]["request"]["exists"], false);
    assert_eq!(
        list(&daemon.audit, Query::default()),
        ["ScheduleKeyDeletion", "CreateKey"],
        "intents are not listed"
    );
    let all = Query { all: true, operation: Some("CreateKey"), limit: 9, ..Query::default() };
    assert_eq!(daemon.audit.list(&all).unwrap().len(), 2);
    drop(daemon);
    let audit = place.open();
    assert!(crate::lock::lock(&audit.open).is_empty());
}

#[test]
fn what_cannot_be_recorded_is_refused_and_what_is_lost_is_counted() {
    let place = Place::new();
    let audit = place.open();
    // A file that is open for reading alone stands for a disk that takes nothing.
    let good = {
        let mut log = crate::lock::lock(&audit.log);
        let log::Place::Disk(disk) = &mut log.place else { panic!("a disk") };
        let deaf = fs::File::open(&disk.path).unwrap();
        std::mem::replace(&mut disk.file, Arc::new(deaf))
    };
    let error = audit.begin(&record("CreateKey", "k", &ROOT)).unwrap_err();
    assert!(error.to_string().contains("the audit log cannot be written"), "{error}");
    let long = "x".repeat(64 << 10);
    for _ in 0..100 {
        let _ = audit.append(&record(&long, "k", &ROOT));
    }
    let lost = audit.status().unlogged;
    assert!(lost > 10, "{lost}");
    {
        let mut log = crate::lock::lock(&audit.log);
        let log::Place::Disk(disk) = &mut log.place else { panic!("a disk") };
        disk.file = good;
    }
    audit.begin(&record("CreateKey", "k2", &ROOT)).unwrap();
    let told =
        audit.list(&Query { operation: Some("Event.AUDIT_UNLOGGED"), limit: 9, ..Query::default() }).unwrap();
    assert_eq!(told[0]["request"]["lost"], json!(lost));
    assert_eq!(problems(&audit.verify().unwrap()), [""; 0]);
    let refused = audit.list(&Query { result: Some("INTERNAL"), limit: 9, ..Query::default() }).unwrap();
    assert_eq!(refused.len(), 1, "the intent that was refused has its outcome");
    drop(audit);
    assert_eq!(place.open().status().unlogged, lost, "and is not forgotten");
}

#[test]
fn many_write_at_once_and_nothing_is_lost() {
    let place =
        Place { settings: Settings { segment_bytes: 64 << 10, ..Settings::default() }, ..Place::new() };
    let audit = Arc::new(place.open());
    audit.start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let audit = audit.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    let operation = format!("Op{thread}-{number}");
                    let intent = audit.begin(&record(&operation, "k", &ROOT)).unwrap();
                    audit.end(&intent, &record(&operation, "k", &ROOT));
                }
            });
        }
    });
    let found = audit.verify().unwrap();
    assert_eq!((problems(&found), found.records >= 801), (vec![], true));
    audit.settle().unwrap();
    drop(audit);
    assert_eq!(place.problems(), [""; 0]);
}

/// What others can check: the same as `claviger audit verify --file` does.
#[test]
fn an_export_has_all_and_its_signatures_are_those_of_the_public_key() {
    let place = Place::new();
    let audit = place.open();
    for number in 0..30 {
        audit.append(&record(&format!("Op{number}"), "k", &ROOT)).unwrap();
    }
    audit.settle().unwrap();
    let page = audit.export(1, u64::MAX).unwrap();
    assert_eq!((page.lines.lines().count() as u64, page.more), (page.last, false));
    assert!(!page.lines.contains("\"mac\""));
    let lines: Vec<_> = page.lines.lines().collect();
    let last: serde_json::Value = serde_json::from_str(lines[lines.len() - 1]).unwrap();
    assert_eq!(last["operation"], "Audit.Checkpoint");
    let previous = chain::hex(&chain::hash(lines[lines.len() - 2]));
    assert_eq!(last["previousHash"], json!(previous));
    let (log, pem) = audit.public_key().unwrap();
    let message = claviger_protocol::audit::checkpoint_message(
        &log,
        page.last,
        &previous,
        last["eventTime"].as_str().unwrap(),
        0,
    );
    let key = openssl::pkey::PKey::public_key_from_pem(pem.as_bytes()).unwrap();
    let signature = openssl::base64::decode_block(last["request"]["signature"].as_str().unwrap()).unwrap();
    let mut verifier = openssl::sign::Verifier::new_without_digest(&key).unwrap();
    assert!(verifier.verify_oneshot(&signature, &message).unwrap());
    assert_eq!(audit.export(20, u64::MAX).unwrap().lines.lines().count() as u64, page.last - 19);
}

#[test]
fn uses_that_are_alike_become_one_record_and_the_rule_decides() {
    use claviger_protocol::MechanismType;
    let store = crate::kms::versions::tests::Store::new();
    for (rule, successes, failures) in
        [(UseRule::Batched, 1, 1), (UseRule::Off, 0, 1), (UseRule::Sync, 100, 7)]
    {
        let place = Place { settings: Settings { r#use: rule, ..Settings::default() }, ..Place::new() };
        let daemon = store.daemon_with(place.open());
        let token = daemon.ring_for_test(&format!("{rule:?}"));
        let key = crate::kms::versions::tests::key(
            &daemon,
            &token,
            "k",
            crate::kms::algorithm::Algorithm::HmacSha256,
        );
        let version = key.version(1).unwrap();
        let error = crate::error::Error::KeyFunctionNotPermitted;
        let used = |error| Use {
            operation: "P11.C_Sign",
            version: Some(&version),
            name: "",
            token: Some(&token),
            mechanism: Some(MechanismType::SHA256_HMAC.0),
            session: 7,
            login: Some(crate::session_table::User::User),
            peer: Peer { uid: 0, gid: 0, pid: 1 },
            error,
        };
        (0..100).for_each(|_| daemon.audit.used(&used(None)).unwrap());
        (0..7).for_each(|_| daemon.audit.used(&used(Some(&error))).unwrap());
        let found = |result| {
            let query =
                Query { operation: Some("P11.C_Sign"), result: Some(result), limit: 200, ..Query::default() };
            daemon.audit.list(&query).unwrap()
        };
        let (good, bad) = (found("OK"), found("PERMISSION_DENIED"));
        assert_eq!((good.len(), bad.len()), (successes, failures), "{rule:?}");
        if rule == UseRule::Batched {
            assert_eq!(good[0]["request"]["count"], 100);
            assert_eq!(good[0]["request"]["mechanism"], "CKM_SHA256_HMAC");
            assert_eq!(good[0]["resourceName"], json!(version.name()));
            assert_eq!(good[0]["role"], "token-user:Batched");
            assert_eq!((&good[0]["session"], &bad[0]["request"]["count"]), (&json!(7), &json!(7)));
        }
    }
}

/// What it costs who signs: a note on a list. Printed, not judged.
#[test]
fn noting_a_use_is_cheap() {
    let store = crate::kms::versions::tests::Store::new();
    let place = Place::new();
    let daemon = store.daemon_with(place.open());
    daemon.audit.start().unwrap();
    let token = daemon.ring_for_test("r");
    let key =
        crate::kms::versions::tests::key(&daemon, &token, "k", crate::kms::algorithm::Algorithm::HmacSha256);
    let version = key.version(1).unwrap();
    const USES: u32 = 200_000;
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for session in 0..2 {
            let (daemon, token, version) = (&daemon, &token, &version);
            scope.spawn(move || {
                for _ in 0..USES {
                    daemon
                        .audit
                        .used(&Use {
                            operation: "P11.C_Sign",
                            version: Some(version),
                            name: "",
                            token: Some(token),
                            mechanism: None,
                            session,
                            login: None,
                            peer: Peer { uid: 0, gid: 0, pid: 1 },
                            error: None,
                        })
                        .unwrap();
                }
            });
        }
    });
    println!("{:?} for each of {USES} uses on each of 2 threads", started.elapsed() / USES);
    daemon.audit.settle().unwrap();
    let found =
        daemon.audit.list(&Query { operation: Some("P11.C_Sign"), limit: 1_000_000, ..Query::default() });
    let count = |record: &serde_json::Value| record["request"]["count"].as_u64().unwrap_or(1);
    assert_eq!(found.unwrap().iter().map(count).sum::<u64>(), u64::from(2 * USES));
}

/// A million records, or as many as `CLAVIGER_AUDIT_RECORDS` says. The time is printed, not judged.
#[test]
fn a_long_log_is_searched() {
    let records: u64 =
        std::env::var("CLAVIGER_AUDIT_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let place = Place { settings: Settings::default(), ..Place::new() };
    let audit = place.open();
    let started = std::time::Instant::now();
    for number in 0..records {
        let name = format!(
            "projects/local/locations/global/keyRings/r/cryptoKeys/k{}/cryptoKeyVersions/1",
            number % 1000
        );
        audit.append(&record("Encrypt", &name, &ROOT)).unwrap();
    }
    audit.settle().unwrap();
    let wrote = started.elapsed();
    for (what, query) in [
        ("the newest 50", Query { limit: 50, ..Query::default() }),
        (
            "an operation that never was",
            Query { operation: Some("DestroyAll"), limit: 50, ..Query::default() },
        ),
        (
            "all of one key",
            Query {
                resource_name: Some("projects/local/locations/global/keyRings/r/cryptoKeys/k7"),
                limit: 10_000,
                ..Query::default()
            },
        ),
        ("a word", Query { keyword: Some("NOSUCHWORD"), limit: 50, ..Query::default() }),
    ] {
        let started = std::time::Instant::now();
        let found = audit.list(&query).unwrap();
        println!("{records} records: {what}: {} found in {:?}", found.len(), started.elapsed());
    }
    let started = std::time::Instant::now();
    assert_eq!(problems(&audit.verify().unwrap()), [""; 0]);
    println!("{records} records written in {wrote:?}, verified in {:?}", started.elapsed());
}
