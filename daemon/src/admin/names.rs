//! Resource names: ids within the verb's scope, or full names, to what they name.

use std::sync::Arc;

use crate::access::Target;
use crate::catalog::{KeyCell, VersionCell};
use crate::error::{Error, Result};
use crate::kms::algorithm::quoted;
use crate::kms::keys::check_id;
use crate::kms::record::{ImportJob, RingName};
use crate::kms::upkeep::{ALIAS, alias_name, check_alias};
use crate::token::Token;

use super::Call;

/// Project of names that give none.
const DEFAULT_PROJECT: &str = "local";
/// Longest project or location, in characters.
const MAX_CHARS: usize = 63;

const RING: &[&str; 3] = &["projects", "locations", "keyRings"];
const KEY: &[&str; 4] = &["projects", "locations", "keyRings", "cryptoKeys"];
const VERSION: &[&str; 5] = &["projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions"];
const IMPORT_JOB: &[&str; 4] = &["projects", "locations", "keyRings", "importJobs"];

impl Call<'_> {
    /// The name of a ring that may not exist yet, from this argument.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against the rules.
    pub fn ring_name(&self, argument: &str) -> Result<RingName> {
        let text = self.args.required(argument)?;
        let scope = |argument, default: &str| self.args.text(argument).unwrap_or(default).to_owned();
        let name = match path(text, RING, "key ring")? {
            Some([project, location, id]) => ring(project, location, id),
            _ => RingName {
                project: scope("project", DEFAULT_PROJECT),
                location: scope("location", self.daemon.settings.default_location()),
                id: text.to_owned(),
            },
        };
        check_project(&name.project)?;
        check_location(&name.location)?;
        self.check_location_exists(&name.location)?;
        self.daemon.check_project_open(&name.project)?;
        check_id("key ring", &name.id)?;
        Ok(name)
    }

    /// The ring that this argument names.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound`.
    pub fn ring(&self, argument: &str) -> Result<Arc<Token>> {
        let name = self.ring_name(argument)?;
        self.authorise(self.action, &Target::ring(&name))?;
        self.existing_ring(&name)
    }

    /// The ring of this name, for what is on it to be found; whoever asks is asked about that.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`.
    pub fn existing_ring(&self, name: &RingName) -> Result<Arc<Token>> {
        self.daemon.catalog.ring(name).map_err(|_| self.missing(&Target::ring(name)))
    }

    /// The id of a key, import job or other resource on a ring that may not exist yet, from this argument.
    ///
    /// # Errors
    /// `InvalidArgument` for a name against the rules, or on another ring.
    pub fn key_id(&self, token: &Token, argument: &str) -> Result<String> {
        self.id_on(token, argument, KEY, "key")
    }

    /// As [`Call::key_id`], of an import job.
    ///
    /// # Errors
    /// As of [`Call::key_id`].
    pub fn job_id(&self, token: &Token, argument: &str) -> Result<String> {
        self.id_on(token, argument, IMPORT_JOB, "import job")
    }

    /// The import job on the ring that this argument names.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound`.
    pub fn job(&self, token: &Token, argument: &str) -> Result<Arc<ImportJob>> {
        self.job_for(self.action, token, argument)
    }

    /// As [`Call::job`], for another action than the verb's.
    ///
    /// # Errors
    /// As of [`Call::job`].
    pub fn job_for(&self, action: &str, token: &Token, argument: &str) -> Result<Arc<ImportJob>> {
        let id = self.job_id(token, argument)?;
        let target = Target::job(&token.ring().name, &id);
        self.authorise(action, &target)?;
        self.daemon.catalog.job(&token.uid, &id).ok_or_else(|| self.missing(&target))
    }

    /// The ring that this argument names, on which something is that who calls is asked about.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound`, `PermissionDenied`.
    pub fn parent_ring(&self, argument: &str) -> Result<Arc<Token>> {
        self.existing_ring(&self.ring_name(argument)?)
    }

    /// Project of the verb.
    ///
    /// # Errors
    /// `InvalidArgument` for one against the rules, `ProjectShut`.
    pub fn project(&self) -> Result<String> {
        let project = self.project_id()?;
        self.daemon.check_project_open(project)?;
        Ok(project.to_owned())
    }

    /// Project of the verb, shut or not.
    ///
    /// # Errors
    /// `InvalidArgument` for one against the rules.
    pub fn project_id(&self) -> Result<&str> {
        let project = self.args.text("project").unwrap_or(DEFAULT_PROJECT);
        check_project(project)?;
        Ok(project)
    }

    /// Project and location of the verb.
    ///
    /// # Errors
    /// `InvalidArgument` for one against the rules, `NotFound` for a location that is not configured.
    pub fn place(&self) -> Result<(String, String)> {
        let scope = |argument, default: &str| self.args.text(argument).unwrap_or(default).to_owned();
        let location = scope("location", self.daemon.settings.default_location());
        let project = self.project()?;
        check_location(&location)?;
        self.check_location_exists(&location)?;
        Ok((project, location))
    }

    fn check_location_exists(&self, location: &str) -> Result<()> {
        let settings = &self.daemon.settings;
        if settings.any_location || settings.locations.iter().any(|known| known.id == location) {
            return Ok(());
        }
        Err(Error::NotFound { resource: format!("the location {location}") })
    }

    /// The key that an id with the verb's key ring, a full name or an alias means.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound`.
    pub fn find_key(&self, text: &str) -> Result<(Arc<Token>, Arc<KeyCell>)> {
        self.find_key_on("keyring", text)
    }

    /// As [`Call::find_key`], with the key ring from this argument.
    ///
    /// # Errors
    /// As of [`Call::find_key`].
    pub fn find_key_on(&self, keyring: &str, text: &str) -> Result<(Arc<Token>, Arc<KeyCell>)> {
        self.find_key_for(self.action, keyring, text)
    }

    /// As [`Call::find_key_on`], for another action than the verb's.
    ///
    /// # Errors
    /// As of [`Call::find_key`].
    pub fn find_key_for(
        &self,
        action: &str,
        keyring: &str,
        text: &str,
    ) -> Result<(Arc<Token>, Arc<KeyCell>)> {
        let (token, key) = self.resolve_key(action, keyring, text)?;
        self.authorise(action, &Target::key(&token.ring().name, &key))?;
        Ok((token, key))
    }

    fn resolve_key(&self, action: &str, keyring: &str, text: &str) -> Result<(Arc<Token>, Arc<KeyCell>)> {
        let catalog = &self.daemon.catalog;
        let given = self.args.text(keyring).map(|_| self.parent_ring(keyring)).transpose()?;
        let (token, key) = if text.starts_with(ALIAS) {
            check_alias(text)?;
            let (project, location) = self.place()?;
            let key = catalog.key_by_alias(&project, &location, text);
            let mut target = Target::location(&project, &location);
            target.names.insert(0, alias_name(&project, &location, text));
            let key = key.ok_or_else(|| self.missing(&target))?;
            let token = catalog.token_of(&key.record().ring).ok_or_else(|| self.missing(&target))?;
            (token, key)
        } else {
            let (token, id) = match path(text, KEY, "key")? {
                Some([project, location, ring_id, id]) => {
                    self.daemon.check_project_open(project)?;
                    (self.existing_ring(&ring(project, location, ring_id))?, id)
                }
                None => {
                    let token = given.clone().ok_or_else(|| Error::InvalidArgument {
                        message: format!(
                            "{} needs its key ring: give {keyring}, a full name or an alias",
                            quoted(text)
                        ),
                    })?;
                    (token, text)
                }
            };
            check_id("key", id)?;
            let missing = || {
                let target = Target::key_id(&token.ring().name, id);
                self.authorise(action, &target).err().unwrap_or_else(|| self.missing(&target))
            };
            let key = catalog.key_by_id(&token.uid, id).ok_or_else(missing)?;
            (token, key)
        };
        match given {
            Some(given) if given.uid != token.uid => {
                let message = format!("{} is not on {}", quoted(text), given.ring().name);
                Err(Error::InvalidArgument { message })
            }
            _ => Ok((token, key)),
        }
    }

    /// The key that this argument names; see [`Call::find_key`].
    ///
    /// # Errors
    /// As of [`Call::find_key`].
    pub fn named_key(&self, argument: &str) -> Result<(Arc<Token>, Arc<KeyCell>)> {
        self.find_key(self.args.required(argument)?)
    }

    fn id_on(
        &self,
        token: &Token,
        argument: &str,
        collections: &'static [&'static str; 4],
        what: &str,
    ) -> Result<String> {
        let text = self.args.required(argument)?;
        let id = match path(text, collections, what)? {
            Some([project, location, ring_id, id]) => {
                let ring = ring(project, location, ring_id);
                if ring != token.ring().name {
                    let message = format!("{} is not on {}", quoted(text), token.ring().name);
                    return Err(Error::InvalidArgument { message });
                }
                id
            }
            _ => text,
        };
        check_id(what, id)?;
        Ok(id.to_owned())
    }
}

/// The version of a key that a number or a full name means.
///
/// # Errors
/// `InvalidArgument` for anything else, and for a version of another key; `NotFound`.
pub fn version(key: &KeyCell, text: &str) -> Result<Arc<VersionCell>> {
    let number = version_number(key, text)?;
    key.version(number).ok_or_else(|| Error::NotFound { resource: version_name(key, text) })
}

/// The number of a version that may not exist.
///
/// # Errors
/// As of [`version`], but for `NotFound`.
pub fn version_number(key: &KeyCell, text: &str) -> Result<u32> {
    let digits = match path(text, VERSION, "version")? {
        Some(_) => text.strip_prefix(&format!("{}/cryptoKeyVersions/", key.name)).ok_or_else(|| {
            Error::InvalidArgument { message: format!("{} is no version of {}", quoted(text), key.name) }
        })?,
        None => text,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits
        .parse()
        .ok()
        .filter(|_| is_number)
        .ok_or_else(|| Error::InvalidArgument { message: format!("{} is no version number", quoted(text)) })
}

/// The full name of what a person called a version, whether or not it exists.
pub fn version_name(key: &KeyCell, text: &str) -> String {
    match version_number(key, text) {
        Ok(number) => format!("{}/cryptoKeyVersions/{number}", key.name),
        Err(_) => text.to_owned(),
    }
}

fn ring(project: &str, location: &str, id: &str) -> RingName {
    RingName { project: project.to_owned(), location: location.to_owned(), id: id.to_owned() }
}

/// The ids in a full name with exactly these collections; none for a text without a slash, which is an id.
fn path<'a, const N: usize>(
    text: &'a str,
    collections: &[&str; N],
    what: &str,
) -> Result<Option<[&'a str; N]>> {
    if !text.contains('/') {
        return Ok(None);
    }
    let segments: Vec<_> = text.split('/').collect();
    let fits = segments.len() == 2 * N
        && collections.iter().zip(segments.chunks_exact(2)).all(|(name, pair)| pair.first() == Some(name));
    if !fits {
        let form: Vec<_> = collections.iter().map(|name| format!("{name}/…")).collect();
        return Err(Error::InvalidArgument {
            message: format!("{} is neither the id of a {what} nor {}", quoted(text), form.join("/")),
        });
    }
    let mut ids = [""; N];
    for (id, pair) in ids.iter_mut().zip(segments.chunks_exact(2)) {
        *id = pair.last().copied().unwrap_or_default();
    }
    Ok(Some(ids))
}

/// Judges the id of a project.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_project(project: &str) -> Result<()> {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (1..=MAX_CHARS).contains(&project.len())
        && project.bytes().next().is_some_and(legal)
        && project.bytes().all(|c| legal(c) || matches!(c, b'.' | b':' | b'-'));
    if fits {
        return Ok(());
    }
    let message = format!(
        "{} is no project: a lower-case letter or digit, then at most 62 of those, dots, colons and -",
        quoted(project)
    );
    Err(Error::InvalidArgument { message })
}

fn check_location(location: &str) -> Result<()> {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (1..=MAX_CHARS).contains(&location.len()) && location.bytes().all(legal) {
        return Ok(());
    }
    let message =
        format!("{} is no location: 1 to 63 lower-case letters, digits and - are", quoted(location));
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_have_exactly_their_collections() {
        assert_eq!(path("r", RING, "key ring"), Ok(None));
        assert_eq!(path("projects/p/locations/l/keyRings/r", RING, "key ring"), Ok(Some(["p", "l", "r"])));
        for wrong in
            ["/", "keyRings/r", "projects/p/locations/l/keyRings/r/", "projects/p/keyRings/r/locations/l"]
        {
            assert!(path(wrong, RING, "key ring").is_err(), "{wrong}");
        }
        let error = path("keyRings/r", RING, "key ring").unwrap_err().to_string();
        assert!(error.ends_with("projects/…/locations/…/keyRings/…"), "{error}");
    }

    #[test]
    fn projects_and_locations_keep_their_rules() {
        for good in ["local", "0", "a.b:c-d", &"a".repeat(63)] {
            check_project(good).unwrap();
        }
        for bad in ["", "-a", "A", "a_b", &"a".repeat(64)] {
            assert!(check_project(bad).is_err(), "{bad}");
        }
        for good in ["global", "eu-1", "-"] {
            check_location(good).unwrap();
        }
        for bad in ["", "Global", "eu.1", &"a".repeat(64)] {
            assert!(check_location(bad).is_err(), "{bad}");
        }
    }
}
