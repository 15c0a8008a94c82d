//! Who may say which verb about what: each verb needs one action (table 5) on what its arguments name. Names are
//! resolved by [`names`](super::names), which asks here; verbs that name nothing are about the whole project.

use std::sync::Arc;

use claviger_protocol::admin::Verb;

use super::Call;
use super::args::Args;
use crate::access::action::{SEE_KEY, SEE_RING};
use crate::access::{Question, Target, Who};
use crate::catalog::KeyCell;
use crate::error::{Error, Result};
use crate::kms::record::RingName;
use crate::token::Token;

/// Arguments that name a resource.
const NAMING: &[&str] = &["keyring", "key", "name", "names", "alias", "destination-key"];
/// Verbs that name nothing and ask themselves: `projects list` and `keyrings list` about each, those of locations and projects.
const ASKS_ITSELF: &[u16] = &[11, 110, 312, 313, 314, 315, 316, 317, 318, 319];

/// The action that a verb needs with these arguments.
pub fn action_of(verb: &Verb, args: &Args) -> &'static str {
    let given = |name: &str| args.text(name).is_some();
    match verb.action {
        "ImportKeyMaterial" if given("version") => "ReimportKeyMaterial",
        "GenerateDataKey" if args.bytes("wrap-with-public-key-file").is_some() => "GenerateAndExportDataKey",
        "GenerateDataKey" if args.flag("without-plaintext") => "GenerateDataKeyWithoutPlaintext",
        "ListAliases" if given("key") => "ListAliasesByKeyId",
        action => action,
    }
}

/// True for a verb whose arguments name nothing that could be asked about.
pub fn is_about_project(verb: &Verb) -> bool {
    let names = |name: &str| verb.arguments.iter().any(|argument| argument.name == name);
    !ASKS_ITSELF.contains(&verb.number) && !NAMING.iter().any(|name| names(name))
}

impl Call<'_> {
    /// Whether who calls may do something.
    pub fn may(&self, action: &str, target: &Target) -> bool {
        let who = Who::process(self.identity.clone());
        let question =
            Question { who: &who, action, target, via_pkcs11: false, private: false, now: self.now };
        self.daemon.access.decide(&question).allowed
    }

    /// Lets who calls do something.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn authorise(&self, action: &str, target: &Target) -> Result<()> {
        if self.may(action, target) { Ok(()) } else { Err(self.denied(action, target)) }
    }

    fn denied(&self, action: &str, target: &Target) -> Error {
        Error::PermissionDenied {
            principal: crate::audit::user_name(self.peer.uid),
            action: action.to_owned(),
            resource: target.name().to_owned(),
        }
    }

    /// What to say of something that there is not: that, to those who may see what there is, and to others the same
    /// as of something that is not theirs.
    pub fn missing(&self, target: &Target) -> Error {
        let name = target.name();
        let seeing: &[&str] = match name {
            _ if name.contains("/cryptoKeys/") => &["ListKey", SEE_KEY],
            _ if name.contains("/importJobs/") => &["ListImportJobs", "GetImportJob"],
            _ if name.contains("/aliases/") => &["ListAliases"],
            _ if name.contains("/policies/") => &["GetKeyPolicy"],
            _ => &[SEE_RING],
        };
        match seeing.iter().any(|action| self.may(action, target)) {
            true => Error::NotFound { resource: name.to_owned() },
            false => self.denied(self.action, target),
        }
    }

    /// Whether who calls sees a ring.
    pub fn sees_ring(&self, ring: &RingName) -> bool {
        self.may(SEE_RING, &Target::ring(ring))
    }

    /// Whether who calls sees a key.
    pub fn sees_key(&self, token: &Token, key: &Arc<KeyCell>) -> bool {
        let target = Target::key(&token.ring().name, key);
        self.may("ListKey", &target) || self.may(SEE_KEY, &target)
    }

    /// Refuses a list that shows nothing to somebody who may not list there at all.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn check_list(&self, is_empty: bool, parent: &Target) -> Result<()> {
        if is_empty { self.authorise(self.action, parent) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "authorise_tests.rs"]
mod tests;
