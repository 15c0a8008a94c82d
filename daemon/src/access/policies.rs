//! All policies in memory, and their way into the store.
//!
//! A resource's policy is what somebody set, or until then its default: the creator's rights, and on a ring those of
//! the applications that use its token. What is kept of a resource is written together with it, so that a ring or key
//! never exists without its creator's rights.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard};

use bincode::{Decode, Encode};

use super::evaluate::{Decision, Question, Target, evaluate, project_of};
use super::identity::Who;
use super::policy::{Condition, Document, Fact, Principal, Statement, role};
use super::settings::Settings;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::generation;
use crate::kms::record::RingName;
use crate::kms::time::Time;
use crate::lock;
use crate::store::{Change, Tree};

/// Where what is kept of resources is in [`Tree::Policy`].
const ATTACHED: &str = "r/";
/// Where the named policies are.
const NAMED: &str = "n/";

/// What the store keeps of who may do what with a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Attached {
    /// Full name of the resource.
    pub resource: String,
    /// User id of who created it.
    pub creator: Option<u32>,
    /// The document that somebody set, as JSON.
    pub document: Option<String>,
    /// Who logs in on a ring's token without a PIN.
    pub logins: Vec<PeerLogin>,
    /// Rises with every change.
    pub etag: u64,
}

/// Processes that log in on a token without a PIN.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PeerLogin {
    /// `uid:N`, `gid:N`, `user:NAME` or `group:NAME`.
    pub principal: String,
    /// As the security officer, and not the user.
    pub so: bool,
}

/// A policy with a name of its own, which is attached to principals.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Named {
    /// `projects/P/policies/N`
    pub name: String,
    /// The document, as JSON.
    pub document: String,
    /// Principals that it is attached to.
    pub principals: Vec<String>,
    /// When it was created.
    pub create_time: Time,
    /// Rises with every change.
    pub etag: u64,
}

/// A policy that is in force.
pub struct Policy {
    /// Name of the policy.
    name: String,
    /// Whom it is attached to; none: everybody.
    principals: Option<Vec<Principal>>,
    document: Document,
}

impl Policy {
    /// One that is in force for everybody.
    #[cfg(test)]
    pub(crate) fn in_test(document: Document) -> Policy {
        Policy { name: "policy".to_owned(), principals: None, document }
    }

    /// Its statements, with its name and their places from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (&str, usize, &Statement)> {
        self.document.statements.iter().enumerate().map(|(i, s)| (self.name.as_str(), i + 1, s))
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// True when what it decides may change by itself, with the time.
    fn is_timed(&self) -> bool {
        let conditions = self.document.statements.iter().flat_map(|statement| &statement.conditions);
        conditions
            .into_iter()
            .any(|condition| matches!(condition, Condition::After(_) | Condition::Before(_)))
    }
}

/// All policies.
#[derive(Default)]
pub struct Policies {
    attached: HashMap<String, (Attached, Arc<Policy>)>,
    named: BTreeMap<String, (Named, Arc<Policy>)>,
    /// How many of them have conditions on the time.
    timed: usize,
}

impl Policies {
    /// The policies that decide about a target: from itself up to its project, and those that are attached to who
    /// asks.
    pub fn on(&self, target: &Target, who: &Who) -> Vec<Arc<Policy>> {
        let project = target.names.last().and_then(|name| name.strip_prefix("projects/"));
        let inline = target.names.iter().map(|name| self.of(name));
        let named = self.named.iter().filter(|(name, (_, policy))| {
            project_of(name) == project
                && policy.principals.iter().flatten().any(|principal| principal.matches(who))
        });
        inline.chain(named.map(|(_, (_, policy))| policy.clone())).collect()
    }

    /// The policy of a resource, by its full name.
    pub fn of(&self, resource: &str) -> Arc<Policy> {
        match self.attached.get(resource) {
            Some((_, policy)) => policy.clone(),
            None => Arc::new(in_force(&Attached { resource: resource.to_owned(), ..Attached::default() })),
        }
    }

    /// What is kept of a resource.
    pub fn attached(&self, resource: &str) -> Attached {
        let kept = self.attached.get(resource).map(|(kept, _)| kept.clone());
        kept.unwrap_or_else(|| Attached { resource: resource.to_owned(), ..Attached::default() })
    }

    /// The named policies of a project, by name.
    pub fn named_in(&self, project: &str) -> Vec<Named> {
        let all = self.named.values().map(|(named, _)| named);
        all.filter(|named| project_of(&named.name) == Some(project)).cloned().collect()
    }

    /// A named policy.
    pub fn named(&self, name: &str) -> Option<&Named> {
        self.named.get(name).map(|(named, _)| named)
    }

    fn put(&mut self, kept: Attached) {
        let policy = Arc::new(in_force(&kept));
        let new = usize::from(policy.is_timed());
        let old = self.attached.insert(kept.resource.clone(), (kept, policy));
        self.count(old.map(|(_, policy)| policy), new);
    }

    fn put_named(&mut self, named: Named) -> Result<()> {
        let principals = named.principals.iter().map(|text| Principal::parse(text)).collect::<Result<_>>()?;
        let document = Document::parse(named.document.as_bytes())?;
        let policy = Policy { name: named.name.clone(), principals: Some(principals), document };
        let new = usize::from(policy.is_timed());
        let old = self.named.insert(named.name.clone(), (named, Arc::new(policy)));
        self.count(old.map(|(_, policy)| policy), new);
        Ok(())
    }

    fn remove_named(&mut self, name: &str) {
        let old = self.named.remove(name);
        self.count(old.map(|(_, policy)| policy), 0);
    }

    fn count(&mut self, old: Option<Arc<Policy>>, new: usize) {
        self.timed -= old.map_or(0, |policy| usize::from(policy.is_timed()));
        self.timed += new;
    }
}

/// Project and last segment of a named policy's name.
pub fn named_place(policy: &str) -> Option<(&str, &str)> {
    let (project, id) = policy.strip_prefix("projects/")?.split_once("/policies/")?;
    (!project.contains('/') && !id.contains('/')).then_some((project, id))
}

/// The ring that a full name is of, if it is a ring's.
fn ring_of(resource: &str) -> Option<RingName> {
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["projects", project, "locations", location, "keyRings", id] => Some(RingName {
            project: (*project).to_owned(),
            location: (*location).to_owned(),
            id: (*id).to_owned(),
        }),
        _ => None,
    }
}

/// The policy that follows from what is kept. A document that cannot be read any more denies everything: it was
/// checked when it was set, so this is another build's.
fn in_force(kept: &Attached) -> Policy {
    let document = match &kept.document {
        Some(text) => Document::parse(text.as_bytes()).unwrap_or_else(|error| {
            tracing::error!(resource = kept.resource, %error, "the policy cannot be read and denies everything");
            deny_everything()
        }),
        None => default_document(kept),
    };
    Policy { name: format!("{}/policy", kept.resource), principals: None, document }
}

fn deny_everything() -> Document {
    let all = super::action::Pattern::parse("*").unwrap_or_default();
    let mut statement = Statement::binding(Principal::Anybody, Vec::new());
    statement.deny = true;
    statement.sid = "unreadable policy".to_owned();
    statement.actions = vec![("*".to_owned(), all)];
    Document { statements: vec![statement] }
}

/// What holds for a resource until somebody sets a policy.
fn default_document(kept: &Attached) -> Document {
    let mut statements = Vec::new();
    let roles = |names: &[&str]| names.iter().filter_map(|name| role(name).ok()).collect::<Vec<_>>();
    if let Some(creator) = kept.creator {
        let names: &[&str] = match kept.resource.contains("/importJobs/") {
            true => &["kms.admin"],
            false => &["kms.admin", "kms.crypto"],
        };
        let mut statement = Statement::binding(Principal::Uid(creator), roles(names));
        statement.sid = "creator".to_owned();
        statements.push(statement);
    }
    let mut applications = |sid: &str, who: Principal, names: &[&str], actions: &[&str], public: bool| {
        let mut statement = Statement::binding(who, roles(names));
        statement.sid = sid.to_owned();
        statement.actions = actions
            .iter()
            .filter_map(|action| Some((format!("kms:{action}"), super::action::Pattern::parse(action)?)))
            .collect();
        statement.conditions.push(Condition::Fact(Fact::ViaPkcs11, true));
        if public {
            statement.conditions.push(Condition::Fact(Fact::Private, false));
        }
        statements.push(statement);
    };
    let objects = ["CreateKey", "UpdateKey", "ScheduleKeyDeletion"];
    if let Some(ring) = ring_of(&kept.resource) {
        let token = ["ListKeyRings", "P11.C_Login", "P11.C_InitToken", "P11.C_InitPIN", "P11.C_SetPIN"];
        applications("applications see the token", Principal::Anybody, &[], &token, false);
        applications("public objects", Principal::Anybody, &["kms.crypto"], &objects, true);
        applications("logged in", Principal::TokenUser(ring.id), &["kms.crypto"], &objects, false);
    } else if kept.resource.matches('/').count() == 1 {
        applications("the free slot", Principal::Anybody, &[], &["CreateKeyRing"], false);
    }
    Document { statements }
}

/// Who may do what.
#[derive(Default)]
pub struct Access {
    settings: OnceLock<Settings>,
    policies: RwLock<Policies>,
    /// Twice the number of changes, plus one while decisions change with the time.
    generation: AtomicU64,
}

impl Access {
    /// What the configuration says. Said once, before anybody connects.
    pub fn configure(&self, mut settings: Settings) {
        settings.max_pin_failures = settings.max_pin_failures.max(1);
        if self.settings.set(settings).is_err() {
            tracing::error!("the settings of access control came too late");
        }
    }

    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        self.settings.get_or_init(Settings::default)
    }

    /// All policies as they are now. Nothing else is locked while they are looked at.
    pub fn policies(&self) -> RwLockReadGuard<'_, Policies> {
        lock::read(&self.policies)
    }

    /// Decides, by every policy.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let policies = self.policies().on(question.target, question.who);
        evaluate(&policies, question)
    }

    /// While this number stays, decisions stay; none while they change with the time.
    pub fn generation(&self) -> Option<u64> {
        let generation = self.generation.load(Ordering::Acquire);
        generation.is_multiple_of(2).then_some(generation)
    }

    /// Makes every decision be taken anew: something that conditions look at has changed.
    pub fn changed(&self) {
        self.generation.fetch_add(2, Ordering::AcqRel);
        generation::changed();
    }

    /// Lets modules forget what they were told, while that may change with the time alone.
    pub fn minute(&self) {
        if self.generation().is_none() {
            generation::changed();
        }
    }

    /// Puts a change in place. The caller is the writer of the catalog.
    fn replace(&self, change: impl FnOnce(&mut Policies) -> Result<()>) -> Result<()> {
        let mut policies = lock::write(&self.policies);
        change(&mut policies)?;
        let timed = u64::from(policies.timed > 0);
        let next = |generation: u64| Some((generation & !1) + 2 + timed);
        let _ = self.generation.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        generation::changed();
        Ok(())
    }
}

/// What is written with a new resource, and put in place after it.
pub struct Created(Option<Attached>);

impl Created {
    /// Of a resource with this full name and creator.
    pub fn by(resource: String, creator: Option<u32>) -> Created {
        Created(creator.map(|_| Attached { resource, creator, etag: 1, ..Attached::default() }))
    }

    /// Writes it with the resource.
    ///
    /// # Errors
    /// What the store says.
    pub fn write(&self, change: &mut Change) -> Result<()> {
        if let Some(kept) = &self.0 {
            change.put(Tree::Policy, attached_key(&kept.resource), kept)?;
        }
        Ok(())
    }

    /// Puts it in place.
    pub fn put(self, access: &Access) {
        // Nobody has asked about it yet, so decisions that are remembered stay.
        if let Some(kept) = self.0 {
            lock::write(&access.policies).put(kept);
        }
    }
}

fn attached_key(resource: &str) -> Vec<u8> {
    format!("{ATTACHED}{resource}").into_bytes()
}

fn named_key(name: &str) -> Vec<u8> {
    format!("{NAMED}{name}").into_bytes()
}

impl Daemon {
    /// Reads all policies, at start.
    pub(crate) fn load_policies(&self) -> Result<()> {
        let (mut attached, mut named) = (Vec::new(), Vec::new());
        self.records
            .for_each_under(Tree::Policy, ATTACHED.as_bytes(), |_, kept: Attached| attached.push(kept))?;
        self.records.for_each_under(Tree::Policy, NAMED.as_bytes(), |_, policy: Named| named.push(policy))?;
        self.access.replace(|policies| {
            attached.into_iter().for_each(|kept| policies.put(kept));
            named.into_iter().try_for_each(|policy| policies.put_named(policy))
        })
    }

    /// Changes what is kept of a resource; `change` may refuse.
    ///
    /// # Errors
    /// `Aborted` when the etag is not the resource's, what `change` gives, what the store says.
    pub fn change_attached(
        &self,
        resource: &str,
        etag: Option<u64>,
        change: impl FnOnce(&mut Attached) -> Result<()>,
    ) -> Result<Attached> {
        let _writer = self.catalog.write();
        let mut kept = self.access.policies().attached(resource);
        if etag.is_some_and(|etag| etag != kept.etag) {
            return Err(Error::Aborted);
        }
        change(&mut kept)?;
        kept.etag += 1;
        let mut batch = Change::new();
        batch.put(Tree::Policy, attached_key(resource), &kept)?;
        self.records.commit(batch)?;
        self.access.replace(|policies| {
            policies.put(kept.clone());
            Ok(())
        })?;
        self.access_changed();
        Ok(kept)
    }

    /// Sets or, without a document, takes back to its default the policy of a resource.
    ///
    /// # Errors
    /// As of [`Daemon::change_attached`].
    pub fn set_policy(
        &self,
        resource: &str,
        etag: Option<u64>,
        document: Option<&Document>,
    ) -> Result<Attached> {
        let text = document.map(Document::to_text).transpose()?;
        self.change_attached(resource, etag, |kept| {
            kept.document = text;
            Ok(())
        })
    }

    /// Grants or takes a role on a resource.
    ///
    /// # Errors
    /// `NotFound` for a binding to remove that there is not; as of [`Daemon::change_attached`].
    pub fn change_binding(
        &self,
        resource: &str,
        etag: Option<u64>,
        principal: Principal,
        role: &'static super::role::Role,
        add: bool,
    ) -> Result<Attached> {
        self.change_attached(resource, etag, |kept| {
            let mut document = match &kept.document {
                Some(text) => Document::parse(text.as_bytes())?,
                None => default_document(kept),
            };
            if add {
                document.add_binding(principal, role);
            } else if !document.remove_binding(&principal, role) {
                let resource = format!("the binding of {} to {} on {resource}", principal.text(), role.name);
                return Err(Error::NotFound { resource });
            }
            kept.document = Some(document.to_text()?);
            Ok(())
        })
    }

    /// Changes, makes or removes a named policy; `change` gets it if it exists, and gives what it is to be.
    ///
    /// # Errors
    /// What `change` gives, what the store says.
    pub fn change_named(
        &self,
        name: &str,
        change: impl FnOnce(Option<Named>) -> Result<Option<Named>>,
    ) -> Result<Option<Named>> {
        let _writer = self.catalog.write();
        let mut changed = change(self.access.policies().named(name).cloned())?;
        let mut batch = Change::new();
        match &mut changed {
            Some(named) => {
                named.etag += 1;
                batch.put(Tree::Policy, named_key(name), named)?;
            }
            None => batch.remove(Tree::Policy, named_key(name)),
        }
        self.records.commit(batch)?;
        self.access.replace(|policies| match &changed {
            Some(named) => policies.put_named(named.clone()),
            None => {
                policies.remove_named(name);
                Ok(())
            }
        })?;
        self.access_changed();
        Ok(changed)
    }

    /// Tells everybody who remembers decisions or what a token shows.
    pub fn access_changed(&self) {
        self.catalog.tokens().iter().for_each(|token| token.touch());
        self.applications.ring();
    }
}
