//! May they? Every policy on the way from a resource up to its project, and those that are attached to who asks, are
//! collected; a Deny that fits decides, else an Allow that fits, else the answer is no.

use std::sync::Arc;

use super::action::{CRYPTOGRAPHY, OPEN, POLICY};
use super::identity::Who;
use super::policies::{Policy, named_place};
use super::policy::{Condition, Fact, Field, Statement, is_like};
use crate::catalog::KeyCell;
use crate::kms::record::RingName;
use crate::kms::time::Time;

/// What somebody wants to do something to.
#[derive(Clone)]
pub struct Target {
    /// Its full name, and those of what it is in, the project last.
    pub names: Vec<String>,
    /// The key that it is.
    pub key: Option<Arc<KeyCell>>,
}

impl Target {
    /// A project.
    pub fn project(project: &str) -> Target {
        Target { names: vec![format!("projects/{project}")], key: None }
    }

    /// A location.
    pub fn location(project: &str, location: &str) -> Target {
        Target {
            names: vec![format!("projects/{project}/locations/{location}"), format!("projects/{project}")],
            key: None,
        }
    }

    /// A ring, whether or not it exists.
    pub fn ring(ring: &RingName) -> Target {
        let mut target = Target::location(&ring.project, &ring.location);
        target.names.insert(0, ring.to_string());
        target
    }

    /// A key of a ring that may not exist.
    pub fn key_id(ring: &RingName, id: &str) -> Target {
        Target::below(ring, "cryptoKeys", id)
    }

    /// An import job of a ring, whether or not it exists.
    pub fn job(ring: &RingName, id: &str) -> Target {
        Target::below(ring, "importJobs", id)
    }

    /// A key.
    pub fn key(ring: &RingName, key: &Arc<KeyCell>) -> Target {
        Target { key: Some(key.clone()), ..Target::key_id(ring, &key.record().id) }
    }

    /// What it is in; a project is in itself.
    pub fn parent(&self) -> Target {
        let names = if self.names.len() > 1 { self.names[1..].to_vec() } else { self.names.clone() };
        Target { names, key: None }
    }

    /// Its full name.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    fn below(ring: &RingName, collection: &str, id: &str) -> Target {
        let mut target = Target::ring(ring);
        target.names.insert(0, format!("{ring}/{collection}/{id}"));
        target
    }
}

/// A question.
pub struct Question<'a> {
    /// Who asks.
    pub who: &'a Who,
    /// What they want to do.
    pub action: &'a str,
    /// To what.
    pub target: &'a Target,
    /// They came through the PKCS#11 module.
    pub via_pkcs11: bool,
    /// It is about a PKCS#11 object with this `CKA_PRIVATE`.
    pub private: bool,
    /// When.
    pub now: Time,
}

/// An answer, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// They may.
    pub allowed: bool,
    /// Why.
    pub by: By,
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A statement.
    Statement {
        /// Name of the policy.
        policy: String,
        /// The statement's place in it, from 1.
        number: usize,
        /// What its author calls it.
        sid: String,
    },
    /// A rule that no policy states.
    Rule(&'static str),
    /// No statement allows it.
    Nothing,
}

/// Decides.
pub fn evaluate(policies: &[Arc<Policy>], question: &Question<'_>) -> Decision {
    let Question { who, action, .. } = question;
    let identity = who.identity.as_deref();
    let admin = identity.is_some_and(|identity| identity.admin);
    let statements = || policies.iter().flat_map(|policy| policy.numbered());
    let fits = |statement: &Statement| applies(statement, question);

    if !(admin && POLICY.contains(action))
        && let Some((policy, number, statement)) = statements().find(|(.., s)| s.deny && fits(s))
    {
        return Decision { allowed: false, by: by(policy, number, statement) };
    }
    let rule = |text| Decision { allowed: true, by: By::Rule(text) };
    let uses_keys = CRYPTOGRAPHY.contains(action);
    if uses_keys && identity.is_some_and(|identity| identity.uses_keys) {
        return rule("may use all keys, by configuration");
    }
    if admin && !uses_keys {
        return rule("root and administrators manage everything");
    }
    if OPEN.contains(action) {
        return rule("everybody may");
    }
    match statements().find(|(.., s)| !s.deny && fits(s)) {
        Some((policy, number, statement)) => Decision { allowed: true, by: by(policy, number, statement) },
        None => Decision { allowed: false, by: By::Nothing },
    }
}

fn by(policy: &str, number: usize, statement: &Statement) -> By {
    By::Statement { policy: policy.to_owned(), number, sid: statement.sid.clone() }
}

fn applies(statement: &Statement, question: &Question<'_>) -> bool {
    let name = question.target.name();
    statement.principals.iter().any(|principal| principal.matches(question.who))
        && statement.has_action(question.action)
        && (statement.resources.is_empty()
            || statement.resources.iter().any(|resource| resource.matches(name)))
        && statement.conditions.iter().all(|condition| holds(condition, question))
}

fn holds(condition: &Condition, question: &Question<'_>) -> bool {
    match condition {
        Condition::After(time) => question.now > *time,
        Condition::Before(time) => question.now < *time,
        Condition::Fact(Fact::ViaPkcs11, wanted) => question.via_pkcs11 == *wanted,
        Condition::Fact(Fact::Private, wanted) => question.private == *wanted,
        Condition::Text { field, like, values } => {
            let Some(key) = &question.target.key else { return false };
            let record = key.record();
            let text = match field {
                Field::Algorithm => Some(record.algorithm.name()),
                Field::Purpose => Some(record.purpose.name()),
                Field::Tag(tag) => {
                    let found = record.care.tags.iter().find(|(name, _)| name == tag);
                    found.map(|(_, value)| value.as_str())
                }
            };
            let one = |text: &str| {
                values.iter().any(|value| if *like { is_like(value, text) } else { value == text })
            };
            text.is_some_and(one)
        }
    }
}

/// The project that a named policy is of, from its name.
pub fn project_of(policy: &str) -> Option<&str> {
    named_place(policy).map(|(project, _)| project)
}
