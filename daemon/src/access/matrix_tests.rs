//! Principal × action × attachment point, in both directions: who is meant and who is not, where it holds and where
//! it does not, allowed and denied.

use std::sync::Arc;

use serde_json::{Value, json};

use super::evaluate::By;
use super::policies::Named;
use super::policy::Document;
use super::{Decision, Identity, Question, Target, Who};
use crate::daemon::Daemon;
use crate::kms::record::RingName;
use crate::kms::time::Time;
use crate::kms::versions::tests::Store;
use crate::server::Peer;
use crate::session_table::User;

const PROJECT: &str = "projects/local";
const LOCATION: &str = "projects/local/locations/global";
const RING: &str = "projects/local/locations/global/keyRings/r";
const KEY: &str = "projects/local/locations/global/keyRings/r/cryptoKeys/k";
const JOB: &str = "projects/local/locations/global/keyRings/r/importJobs/j";
const POINTS: [&str; 5] = [PROJECT, LOCATION, RING, KEY, JOB];

fn ring(project: &str, location: &str, id: &str) -> RingName {
    RingName { project: project.into(), location: location.into(), id: id.into() }
}

/// Everything that a question can be about, by name.
fn targets() -> Vec<Target> {
    let r = ring("local", "global", "r");
    vec![
        Target::project("local"),
        Target::location("local", "global"),
        Target::ring(&r),
        Target::key_id(&r, "k"),
        Target::key_id(&r, "k2"),
        Target::job(&r, "j"),
        Target::job(&r, "j2"),
        Target::ring(&ring("local", "global", "r2")),
        Target::key_id(&ring("local", "global", "r2"), "k"),
        Target::ring(&ring("local", "elsewhere", "r")),
        Target::key_id(&ring("other", "global", "r"), "k"),
    ]
}

fn identity(uid: u32, user: &str, gids: &[u32], groups: &[&str]) -> Arc<Identity> {
    Arc::new(Identity {
        peer: Peer { uid, gid: gids[0], pid: 1 },
        user: Some(user.to_owned()),
        gids: gids.to_vec(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        admin: uid == 0,
        uses_keys: false,
    })
}

/// Who asks, and which of the principals below they are.
fn askers() -> Vec<(Who, Vec<&'static str>)> {
    let alice = identity(1000, "alice", &[1000, 2000], &["alice", "payments"]);
    let bob = identity(1001, "bob", &[1001], &["bob"]);
    let session = |user| Some((ring("local", "global", "r"), user));
    vec![
        (Who::process(alice.clone()), vec!["uid:1000", "user:alice", "gid:2000", "group:payments", "*"]),
        (Who::process(bob.clone()), vec!["*"]),
        (Who { identity: Some(bob.clone()), login: session(User::User) }, vec!["token-user:r", "*"]),
        (Who { identity: Some(bob), login: session(User::So) }, vec!["token-so:r", "*"]),
        (
            Who { identity: Some(alice), login: Some((ring("local", "global", "r2"), User::User)) },
            vec!["uid:1000", "user:alice", "gid:2000", "group:payments", "*"],
        ),
    ]
}

const PRINCIPALS: [&str; 7] =
    ["uid:1000", "user:alice", "gid:2000", "group:payments", "token-user:r", "token-so:r", "*"];
/// A statement's action, and one that it is not.
const ACTIONS: [(&str, &str, &str); 6] = [
    ("kms:Encrypt", "Encrypt", "Decrypt"),
    ("kms:Describe*", "DescribeKey", "ListKey"),
    ("importJobs.create", "CreateImportJob", "UseImportJob"),
    ("importJobs.useToImport", "UseImportJob", "CreateImportJob"),
    ("cryptoKeyVersions.destroy", "ScheduleKeyDeletion", "CancelKeyDeletion"),
    ("cryptoKeyVersions.restore", "CancelKeyDeletion", "ScheduleKeyDeletion"),
];

fn document(effect: &str, principal: &str, action: &str) -> Document {
    parse(json!([{"Effect": effect, "Principal": principal, "Action": action}]))
}

fn parse(statements: Value) -> Document {
    Document::parse(json!({"Version": "1", "Statement": statements}).to_string().as_bytes()).unwrap()
}

fn decide(daemon: &Daemon, who: &Who, action: &str, target: &Target, via_pkcs11: bool) -> Decision {
    let question = Question { who, action, target, via_pkcs11, private: true, now: Time::now() };
    daemon.access.decide(&question)
}

/// A daemon whose resources have no policy of their own, not even the default one.
fn bare() -> Arc<Daemon> {
    let daemon = Store::new().daemon();
    for point in POINTS {
        daemon.set_policy(point, None, Some(&Document::default())).unwrap();
    }
    daemon
}

fn is_at_or_below(target: &Target, point: &str) -> bool {
    target.names.iter().any(|name| name == point)
}

// ACL-01 ACL-04 RES-16 DST-23 IMP-18
#[test]
fn every_principal_gets_every_action_at_every_point_and_below_and_nowhere_else() {
    let daemon = bare();
    let (targets, askers) = (targets(), askers());
    let mut cells = 0;
    for point in POINTS {
        for principal in PRINCIPALS {
            for (pattern, action, other) in ACTIONS {
                daemon.set_policy(point, None, Some(&document("Allow", principal, pattern))).unwrap();
                for (who, names) in &askers {
                    for target in &targets {
                        let expected = names.contains(&principal) && is_at_or_below(target, point);
                        let what =
                            format!("{principal} {action} at {point}: {} {}", who.name(), target.name());
                        assert_eq!(decide(&daemon, who, action, target, false).allowed, expected, "{what}");
                        assert!(!decide(&daemon, who, other, target, false).allowed, "not {other}: {what}");
                        cells += 2;
                    }
                }
            }
        }
        daemon.set_policy(point, None, Some(&Document::default())).unwrap();
    }
    println!("{cells} cells of the policy matrix hold");
    assert!(cells >= 20_000, "{cells}");
}

// ACL-01
#[test]
fn deny_beats_allow_wherever_both_are() {
    let daemon = bare();
    let (alice, _) = askers().remove(0);
    let (bob, _) = askers().remove(1);
    let mut cells = 0;
    for allowed_at in POINTS {
        for denied_at in POINTS {
            daemon.set_policy(allowed_at, None, Some(&document("Allow", "*", "*"))).unwrap();
            let deny = json!([
                {"Sid": "no", "Effect": "Deny", "Principal": "group:payments", "Action": "kms:Encrypt"},
                {"Effect": "Allow", "Principal": "*", "Action": "*"},
            ]);
            daemon.set_policy(denied_at, None, Some(&parse(deny))).unwrap();
            for target in targets() {
                let there = is_at_or_below(&target, allowed_at) || is_at_or_below(&target, denied_at);
                let denied = is_at_or_below(&target, denied_at);
                let decision = decide(&daemon, &alice, "Encrypt", &target, false);
                assert_eq!(decision.allowed, there && !denied, "{allowed_at} {denied_at} {}", target.name());
                if denied {
                    let policy = format!("{denied_at}/policy");
                    let by = By::Statement { policy, number: 1, sid: "no".to_owned() };
                    assert_eq!(decision.by, by, "the statement that decided is named");
                }
                assert_eq!(decide(&daemon, &bob, "Encrypt", &target, false).allowed, there);
                assert_eq!(decide(&daemon, &alice, "Decrypt", &target, false).allowed, there);
                cells += 3;
            }
            daemon.set_policy(allowed_at, None, Some(&Document::default())).unwrap();
            daemon.set_policy(denied_at, None, Some(&Document::default())).unwrap();
        }
    }
    println!("{cells} cells of the deny matrix hold");
}

// ACL-05
#[test]
fn nobody_may_anything_by_default_but_administrators_manage() {
    let daemon = bare();
    let root = Who::process(identity(0, "root", &[0], &["root"]));
    for target in targets() {
        for action in super::action::all() {
            let open = super::action::OPEN.contains(&action);
            for (who, _) in askers() {
                assert_eq!(decide(&daemon, &who, action, &target, false).allowed, open, "{action}");
            }
            let uses_keys = super::action::CRYPTOGRAPHY.contains(&action);
            assert_eq!(decide(&daemon, &root, action, &target, false).allowed, !uses_keys, "root {action}");
        }
    }
    // Nor can an administrator be locked out for good.
    daemon.set_policy(PROJECT, None, Some(&document("Deny", "*", "*"))).unwrap();
    let target = Target::project("local");
    assert!(!decide(&daemon, &root, "CreateKeyRing", &target, false).allowed, "Deny is for all");
    assert!(decide(&daemon, &root, "SetKeyPolicy", &target, false).allowed, "but for its own change");
    let mut identity = Identity::clone(root.identity.as_ref().unwrap());
    identity.uses_keys = true;
    daemon.set_policy(PROJECT, None, Some(&Document::default())).unwrap();
    let using = Who::process(Arc::new(identity));
    assert!(decide(&daemon, &using, "Encrypt", &target, false).allowed, "root_may_use_keys");
}

// ACL-09
#[test]
fn the_default_policies_serve_creators_and_applications() {
    let daemon = Store::new().daemon();
    daemon
        .change_attached(RING, None, |kept| {
            kept.creator = Some(1000);
            Ok(())
        })
        .unwrap();
    let key = Target::key_id(&ring("local", "global", "r"), "k");
    let [alice, bob, user, so, ..] =
        askers().try_into().map(|list: [_; 5]| list.map(|(who, _)| who)).unwrap();
    for (who, action, pkcs11, expected) in [
        (&alice, "Encrypt", false, true),
        (&alice, "CreateKey", false, true),
        (&alice, "UseImportJob", false, false),
        (&bob, "Encrypt", false, false),
        (&bob, "ListKeyRings", false, false),
        (&bob, "ListKeyRings", true, true),
        (&bob, "Encrypt", true, false),
        (&user, "Encrypt", true, true),
        (&user, "AsymmetricSign", true, true),
        (&user, "P11.C_WrapKey", true, true),
        (&user, "CreateKey", true, true),
        (&user, "ScheduleKeyDeletion", true, true),
        (&user, "SetKeyPolicy", true, false),
        (&user, "DisableKeyVersion", true, false),
        (&so, "Encrypt", true, false),
        (&so, "P11.C_InitPIN", true, true),
    ] {
        let decision = decide(&daemon, who, action, &key, pkcs11);
        assert_eq!(decision.allowed, expected, "{} {action} {pkcs11}", who.name());
    }
    // Of objects without CKA_PRIVATE nobody is asked for a PIN.
    let question = Question {
        who: &bob,
        action: "AsymmetricVerify",
        target: &key,
        via_pkcs11: true,
        private: false,
        now: Time::now(),
    };
    assert!(daemon.access.decide(&question).allowed);
    assert!(!daemon.access.decide(&Question { via_pkcs11: false, ..question }).allowed);
}

// ACL-07
#[test]
fn named_policies_go_with_their_principals_through_their_project() {
    let daemon = bare();
    let name = "projects/local/policies/encrypters";
    let make = |principals: &[&str]| {
        let principals = principals.iter().map(|text| (*text).to_owned()).collect();
        let document = document("Allow", "*", "kms:Encrypt").to_text().unwrap();
        let create_time = Time::now();
        daemon
            .change_named(name, |_| {
                Ok(Some(Named { name: name.to_owned(), document, principals, create_time, etag: 0 }))
            })
            .unwrap();
    };
    let may = |who: &Who, target: &Target| decide(&daemon, who, "Encrypt", target, false).allowed;
    let (alice, bob) = (askers().remove(0).0, askers().remove(1).0);
    let before = daemon.access.generation();
    for (principals, alice_may, bob_may) in [
        (&[][..], false, false),
        (&["group:payments"], true, false),
        (&["uid:1001", "user:alice"], true, true),
    ] {
        make(principals);
        for target in targets() {
            let here = target.names.iter().any(|name| name == PROJECT);
            assert_eq!(may(&alice, &target), alice_may && here, "{principals:?} {}", target.name());
            assert_eq!(may(&bob, &target), bob_may && here);
        }
    }
    assert_ne!(daemon.access.generation(), before, "decisions are taken anew");
    daemon.change_named(name, |_| Ok(None)).unwrap();
    assert!(!may(&alice, &targets()[0]));
}

// ACL-04
#[test]
fn resources_and_conditions_narrow_a_statement() {
    let store = Store::new();
    let daemon = store.daemon();
    let token = daemon.ring_for_test("r");
    let mut new =
        crate::kms::versions::tests::new_key("k", crate::kms::algorithm::Algorithm::EcSignP256Sha256);
    new.care.tags = vec![("env".to_owned(), "production".to_owned())];
    let cell = daemon.create_key(&token, new).unwrap();
    let name = token.ring().name.clone();
    let (key, ring) = (Target::key(&name, &cell), Target::ring(&name));
    let (alice, _) = askers().remove(0);
    let may = |condition: Value, resource: Value, target: &Target, via_pkcs11: bool| {
        let statement = json!([{
            "Effect": "Allow", "Principal": "*", "Action": "kms:AsymmetricSign",
            "Condition": condition, "Resource": resource,
        }]);
        daemon.set_policy(PROJECT, None, Some(&parse(statement))).unwrap();
        decide(&daemon, &alice, "AsymmetricSign", target, via_pkcs11).allowed
    };
    let anywhere = json!([]);
    for (condition, expected) in [
        (json!({"StringEquals": {"kms:tag/env": "production"}}), true),
        (json!({"StringEquals": {"kms:tag/env": ["test", "production"]}}), true),
        (json!({"StringEquals": {"kms:tag/env": "test"}}), false),
        (json!({"StringEquals": {"kms:tag/team": "production"}}), false),
        (json!({"StringLike": {"kms:algorithm": "EC_SIGN_*"}}), true),
        (json!({"StringLike": {"kms:algorithm": "RSA_*"}}), false),
        (json!({"StringEquals": {"kms:purpose": "ASYMMETRIC_SIGN"}}), true),
        (json!({"StringEquals": {"kms:purpose": "MAC"}, "Bool": {"kms:viaPkcs11": false}}), false),
        (json!({"Bool": {"kms:viaPkcs11": true}}), false),
        (json!({"DateGreaterThan": {"kms:currentTime": "2020-01-01T00:00:00Z"}}), true),
        (json!({"DateLessThan": {"kms:currentTime": "2020-01-01T00:00:00Z"}}), false),
    ] {
        assert_eq!(may(condition.clone(), anywhere.clone(), &key, false), expected, "{condition}");
    }
    assert!(may(json!({"Bool": {"kms:viaPkcs11": true}}), anywhere.clone(), &key, true));
    assert!(!may(json!({"StringLike": {"kms:algorithm": "*"}}), anywhere, &ring, false), "a ring has none");
    for (resource, expected) in [
        (json!([format!("{name}/cryptoKeys/k")]), true),
        (json!([format!("{name}/cryptoKeys/*")]), true),
        (json!([format!("{name}/**")]), true),
        (json!([format!("{name}")]), false),
        (json!([format!("{name}/cryptoKeys/l"), "projects/local/**"]), true),
        (json!(["projects/other/**"]), false),
    ] {
        assert_eq!(may(json!({}), resource.clone(), &key, false), expected, "{resource}");
    }
    // While a decision depends on the time, none is remembered.
    may(json!({"DateGreaterThan": {"kms:currentTime": "2020-01-01T00:00:00Z"}}), json!([]), &key, false);
    assert_eq!(daemon.access.generation(), None);
    may(json!({}), json!([]), &key, false);
    assert!(daemon.access.generation().is_some());
    let before = daemon.access.generation();
    daemon.set_tags(&cell, None, &[("env".to_owned(), "test".to_owned())]).unwrap();
    assert_ne!(daemon.access.generation(), before, "a tag may decide");
}

#[test]
fn policies_outlive_the_daemon() {
    let store = Store::new();
    let daemon = store.daemon();
    daemon.set_policy(RING, None, Some(&document("Allow", "uid:1000", "kms:Encrypt"))).unwrap();
    let kept = daemon.access.policies().attached(RING);
    let error = daemon.set_policy(RING, Some(kept.etag + 1), None).unwrap_err();
    assert_eq!(error, crate::error::Error::Aborted);
    let create_time = Time::now();
    let document = document("Deny", "*", "kms:Decrypt").to_text().unwrap();
    let name = "projects/local/policies/p";
    let principals = vec!["uid:1000".to_owned()];
    daemon
        .change_named(name, |_| {
            Ok(Some(Named { name: name.to_owned(), document, principals, create_time, etag: 0 }))
        })
        .unwrap();
    drop(daemon);
    let daemon = store.daemon();
    assert_eq!(daemon.access.policies().attached(RING), kept);
    assert_eq!(daemon.access.policies().named_in("local").len(), 1);
    let (alice, _) = askers().remove(0);
    let key = Target::key_id(&ring("local", "global", "r"), "k");
    assert!(decide(&daemon, &alice, "Encrypt", &key, false).allowed);
    assert!(!decide(&daemon, &alice, "Decrypt", &key, false).allowed);
}
