//! `… get-policy`, `set-policy`, `add-binding`, `remove-binding`, and `policies …`.

use std::sync::Arc;

use nix::unistd::User as SystemUser;
use serde_json::{Value, json};

use super::{Call, json, listing};
use crate::access::action::{self, Pattern};
use crate::access::evaluate::By;
use crate::access::policies::{Attached, Named};
use crate::access::policy::{Document, Principal, role};
use crate::access::role::{ROLES, Role};
use crate::access::{Identity, Question, Target, Who};
use crate::error::{Error, Result};
use crate::kms::algorithm::quoted;
use crate::kms::keys::check_id;
use crate::kms::record::RingName;
use crate::server::Peer;
use crate::session_table::User;

/// Principals that a named policy can be attached to.
const MAX_PRINCIPALS: usize = 1000;

/// What has a policy: found, and whoever asks may do the verb's action to it.
type Found = fn(&Call<'_>) -> Result<Target>;

fn ring(call: &Call<'_>) -> Result<Target> {
    Ok(Target::ring(&call.ring("name")?.ring().name))
}

fn key(call: &Call<'_>) -> Result<Target> {
    let (token, key) = call.named_key("name")?;
    Ok(Target::key(&token.ring().name, &key))
}

fn job(call: &Call<'_>) -> Result<Target> {
    let token = call.parent_ring("keyring")?;
    let job = call.job(&token, "name")?;
    Ok(Target::job(&token.ring().name, &job.id))
}

fn location(call: &Call<'_>) -> Result<Target> {
    let (project, location) = call.place()?;
    let target = Target::location(&project, &location);
    call.authorise(call.action, &target)?;
    Ok(target)
}

fn project(call: &Call<'_>) -> Result<Target> {
    let target = Target::project(&call.place()?.0);
    call.authorise(call.action, &target)?;
    Ok(target)
}

macro_rules! verbs {
    ($($module:ident: $found:ident;)*) => {$(
        /// The policy verbs of one kind of resource.
        pub mod $module {
            use super::*;

            /// `get-policy`
            pub fn get(call: &Call<'_>) -> Result<Value> {
                super::get(call, super::$found)
            }

            /// `set-policy`
            pub fn set(call: &Call<'_>) -> Result<Value> {
                super::set(call, super::$found)
            }

            /// `add-binding`
            pub fn add_binding(call: &Call<'_>) -> Result<Value> {
                super::bind(call, super::$found, true)
            }

            /// `remove-binding`
            pub fn remove_binding(call: &Call<'_>) -> Result<Value> {
                super::bind(call, super::$found, false)
            }
        }
    )*};
}

verbs! {
    of_ring: ring;
    of_key: key;
    of_job: job;
    of_location: location;
    of_project: project;
}

fn get(call: &Call<'_>, found: Found) -> Result<Value> {
    let target = found(call)?;
    let kept = call.daemon.access.policies().attached(target.name());
    show(call, &kept)
}

fn set(call: &Call<'_>, found: Found) -> Result<Value> {
    let target = found(call)?;
    let args = &call.args;
    let document = match (args.bytes("policy"), args.bytes("policy-file"), args.flag("default")) {
        (Some(bytes), None, false) | (None, Some(bytes), false) => Some(Document::parse(bytes)?),
        (None, None, true) => None,
        _ => return refuse("give a policy-file, or default to take the policy back to what it was at first"),
    };
    let kept = call.daemon.set_policy(target.name(), call.args.etag(), document.as_ref())?;
    show(call, &kept)
}

fn bind(call: &Call<'_>, found: Found, add: bool) -> Result<Value> {
    let target = found(call)?;
    let principal = Principal::parse(call.args.required("member")?)?;
    let role = role(call.args.required("role")?)?;
    let etag = call.args.etag();
    show(call, &call.daemon.change_binding(target.name(), etag, principal, role, add)?)
}

fn show(call: &Call<'_>, kept: &Attached) -> Result<Value> {
    let policy = call.daemon.access.policies().of(&kept.resource);
    let mut document = policy.document().document();
    document["name"] = json!(format!("{}/policy", kept.resource));
    document["default"] = json!(kept.document.is_none());
    document["etag"] = json!(kept.etag.to_string());
    Ok(document)
}

/// Full name of the named policy that the verb names, which may not exist.
fn named(call: &Call<'_>) -> Result<(Target, String)> {
    let project = call.place()?.0;
    let text = call.args.required("name")?;
    let id = text.strip_prefix(&format!("projects/{project}/policies/")).unwrap_or(text);
    check_id("policy", id)?;
    let target = Target::project(&project);
    call.authorise(call.action, &target)?;
    Ok((target, format!("projects/{project}/policies/{id}")))
}

/// `policies create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let (_, name) = named(call)?;
    let bytes = call.args.bytes("from-file");
    let document = Document::parse(bytes.map_or(&[][..], |bytes| &bytes[..]))?.to_text()?;
    let (create_time, taken) = (call.now, name.clone());
    let made = call.daemon.change_named(&name, |old| match (old, call.args.flag("replace")) {
        (Some(old), true) => Ok(Some(Named { document, ..old })),
        (Some(_), false) => Err(Error::AlreadyExists { resource: taken }),
        (None, _) => {
            Ok(Some(Named { name: name.clone(), document, principals: Vec::new(), create_time, etag: 0 }))
        }
    })?;
    made.as_ref().map_or(Ok(Value::Null), show_named)
}

/// `policies list`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let target = Target::project(&call.place()?.0);
    let all = call.daemon.access.policies().named_in(&call.place()?.0);
    listing::page(call, target.name(), &["name", "id", "createTime", "etag"], |after, count| {
        let behind = all.iter().filter(|named| named.name.as_str() > after).take(count);
        behind.filter_map(|named| Some((named.name.clone(), show_named(named).ok()?))).collect()
    })
}

/// `policies describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let (_, name) = named(call)?;
    let policies = call.daemon.access.policies();
    policies.named(&name).map_or_else(|| Err(Error::NotFound { resource: name.clone() }), show_named)
}

/// `policies delete`
pub fn delete(call: &Call<'_>) -> Result<Value> {
    let (_, name) = named(call)?;
    call.daemon.change_named(&name, |old| match old {
        None => Err(Error::NotFound { resource: name.clone() }),
        Some(old) if !old.principals.is_empty() && !call.args.flag("force") => {
            let message =
                format!("{name} is attached to {}: detach it, or say force", old.principals.join(", "));
            Err(Error::FailedPrecondition { message })
        }
        Some(_) => Ok(None),
    })?;
    Ok(json!({"name": name}))
}

/// `policies attach`
pub fn attach(call: &Call<'_>) -> Result<Value> {
    change_principals(call, |principals, wanted| {
        if !principals.contains(&wanted) {
            principals.push(wanted);
        }
        match principals.len() <= MAX_PRINCIPALS {
            true => Ok(()),
            false => refuse("a policy is attached to at most 1000 principals"),
        }
    })
}

/// `policies detach`
pub fn detach(call: &Call<'_>) -> Result<Value> {
    change_principals(call, |principals, wanted| {
        let before = principals.len();
        principals.retain(|principal| *principal != wanted);
        match principals.len() == before {
            true => Err(Error::NotFound { resource: format!("the attachment to {wanted}") }),
            false => Ok(()),
        }
    })
}

fn change_principals(
    call: &Call<'_>,
    change: impl FnOnce(&mut Vec<String>, String) -> Result<()>,
) -> Result<Value> {
    let (_, name) = named(call)?;
    let principal = Principal::parse(call.args.required("principal")?)?.text();
    let changed = call.daemon.change_named(&name, |old| {
        let mut named = old.ok_or_else(|| Error::NotFound { resource: name.clone() })?;
        change(&mut named.principals, principal)?;
        Ok(Some(named))
    })?;
    changed.as_ref().map_or(Ok(Value::Null), show_named)
}

fn show_named(named: &Named) -> Result<Value> {
    let mut document = Document::parse(named.document.as_bytes())?.document();
    document["name"] = json!(named.name);
    document["principals"] = json!(named.principals);
    document["createTime"] = json!(named.create_time.rfc3339());
    document["etag"] = json!(named.etag.to_string());
    Ok(document)
}

/// `policies template`: a document to begin with; without a role, all roles.
pub fn template(call: &Call<'_>) -> Result<Value> {
    let Some(name) = call.args.text("role") else {
        let roles = ROLES.iter().map(|role| {
            json!({"name": role.name, "about": role.about, "actions": actions(role), "synonyms": role.synonyms})
        });
        return Ok(roles.collect());
    };
    let role = role(name)?;
    let actions: Vec<String> = actions(role).iter().map(|action| format!("kms:{action}")).collect();
    Ok(json!({
        "Version": "1",
        "Statement": [{
            "Sid": role.about,
            "Effect": "Allow",
            "Principal": ["uid:65534"],
            "Action": actions,
        }],
    }))
}

/// Everything that a role allows, as patterns.
fn actions(role: &Role) -> Vec<&'static str> {
    let included = role.includes.iter().filter_map(|name| Role::find(name)).flat_map(actions);
    let mut all: Vec<_> = role.actions.iter().copied().chain(included).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// `policies test`: what would be decided, and by what.
pub fn test(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let principal = Principal::parse(args.required("principal")?)?;
    let target = target(call, args.required("resource")?)?;
    let wanted = args.required("action")?;
    let actions: Vec<&'static str> = match Pattern::parse(wanted).as_deref() {
        Some(patterns) => patterns.iter().filter_map(|pattern| match pattern {
            Pattern::One(action) => Some(*action),
            Pattern::Beginning(_) => None,
        }),
        None => return refuse(format!("{} is no action", quoted(wanted))),
    }
    .collect();
    let [action] = actions.as_slice() else {
        return refuse(format!("{} is not one action: name one of ours", quoted(wanted)));
    };
    let who = who(call, &principal, &target)?;
    let via_pkcs11 = args.flag("via-pkcs11") || who.login.is_some();
    let question = Question {
        who: &who,
        action,
        target: &target,
        via_pkcs11,
        private: who.login.is_some(),
        now: call.now,
    };
    let decision = call.daemon.access.decide(&question);
    let (policy, statement, sid, rule) = match &decision.by {
        By::Statement { policy, number, sid } => (policy.as_str(), *number, sid.as_str(), ""),
        By::Rule(rule) => ("", 0, "", *rule),
        By::Nothing => ("", 0, "", "no statement allows it"),
    };
    Ok(json::object([
        ("decision", json!(if decision.allowed { "ALLOW" } else { "DENY" })),
        ("principal", json!(principal.text())),
        ("action", json!(action)),
        ("resource", json!(target.name())),
        ("policy", json!(policy)),
        ("statement", if statement > 0 { json!(statement) } else { Value::Null }),
        ("sid", json!(sid)),
        ("reason", json!(rule)),
        ("uses", json!(if action::CRYPTOGRAPHY.contains(action) { "cryptography" } else { "management" })),
    ]))
}

/// Who it is that a test asks about, with all its names and groups.
fn who(call: &Call<'_>, principal: &Principal, target: &Target) -> Result<Who> {
    let of = |uid: u32, gid: u32| {
        let peer = Peer { uid, gid, pid: 0 };
        Ok(Who::process(Arc::new(Identity::of(peer, call.daemon.access.settings()))))
    };
    let bare = |gids: Vec<u32>, groups: Vec<String>| Identity {
        peer: Peer { uid: u32::MAX, gid: u32::MAX, pid: 0 },
        user: None,
        admin: call.daemon.access.settings().admin_group.as_ref().is_some_and(|group| groups.contains(group)),
        gids,
        groups,
        uses_keys: false,
    };
    let login = |ring: &str, user: User| {
        let of_target = target.names.iter().find_map(|name| ring_name(name));
        let ring = match (ring_name(ring), of_target) {
            (Some(full), _) => full,
            (None, Some(of_target)) => RingName { id: ring.to_owned(), ..of_target },
            (None, None) => {
                let (project, location) = call.place()?;
                RingName { project, location, id: ring.to_owned() }
            }
        };
        Ok(Who { identity: None, login: Some((ring, user)) })
    };
    match principal {
        Principal::Anybody => Ok(Who { identity: None, login: None }),
        Principal::Uid(uid) => {
            let user = SystemUser::from_uid((*uid).into()).ok().flatten();
            of(*uid, user.map_or(u32::MAX, |user| user.gid.as_raw()))
        }
        Principal::User(name) => match SystemUser::from_name(name).ok().flatten() {
            Some(user) => of(user.uid.as_raw(), user.gid.as_raw()),
            None => Err(Error::InvalidArgument { message: format!("there is no user {}", quoted(name)) }),
        },
        Principal::Gid(gid) => {
            let group = nix::unistd::Group::from_gid((*gid).into()).ok().flatten();
            let names = group.map(|group| group.name).into_iter().collect();
            Ok(Who::process(Arc::new(bare(vec![*gid], names))))
        }
        Principal::Group(name) => {
            let group = nix::unistd::Group::from_name(name).ok().flatten();
            let gids = group.map(|group| group.gid.as_raw()).into_iter().collect();
            Ok(Who::process(Arc::new(bare(gids, vec![name.clone()]))))
        }
        Principal::TokenUser(ring) => login(ring, User::User),
        Principal::TokenSo(ring) => login(ring, User::So),
    }
}

fn ring_name(name: &str) -> Option<RingName> {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["projects", project, "locations", location, "keyRings", id] => Some(RingName {
            project: (*project).to_owned(),
            location: (*location).to_owned(),
            id: (*id).to_owned(),
        }),
        _ => None,
    }
}

/// The resource of this full name, whether or not it exists: who may test may set policies.
fn target(call: &Call<'_>, name: &str) -> Result<Target> {
    let catalog = &call.daemon.catalog;
    let ring = |project: &str, location: &str, id: &str| RingName {
        project: project.to_owned(),
        location: location.to_owned(),
        id: id.to_owned(),
    };
    let found = match name.split('/').collect::<Vec<_>>().as_slice() {
        ["projects", project] => Some(Target::project(project)),
        ["projects", project, "locations", location] => Some(Target::location(project, location)),
        ["projects", p, "locations", l, "keyRings", id] => Some(Target::ring(&ring(p, l, id))),
        ["projects", p, "locations", l, "keyRings", r, "cryptoKeys", id, ..] => {
            let ring = ring(p, l, r);
            let token = catalog.ring(&ring).ok();
            let key = token.and_then(|token| catalog.key_by_id(&token.uid, id));
            Some(key.map_or_else(|| Target::key_id(&ring, id), |key| Target::key(&ring, &key)))
        }
        ["projects", p, "locations", l, "keyRings", r, "importJobs", id] => {
            Some(Target::job(&ring(p, l, r), id))
        }
        _ => None,
    };
    found.ok_or_else(|| Error::InvalidArgument {
        message: format!(
            "{} is no full name: projects/P/locations/L/keyRings/R/cryptoKeys/K is",
            quoted(name)
        ),
    })
}

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::InvalidArgument { message: message.into() })
}
