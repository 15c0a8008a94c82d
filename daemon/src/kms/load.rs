//! The store into the catalog, at start.

use super::objects::version_objects;
use super::record::{Counters, CryptoKey, ImportJob, KeyRing, PlainObject, RingName, Uid, Version};
use super::state::VersionState;
use super::usage::StoredUsage;
use crate::catalog::KeyCell;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::object::Object;
use crate::store::Tree;
use crate::token::Token;
use std::collections::HashMap;
use std::sync::Arc;
use tracing::debug;

/// Place of the [`Counters`] in the store.
pub(super) const COUNTERS: &[u8] = b"counters";

/// What becomes of a version.
enum Shown {
    /// These objects of a token show it.
    On(Arc<Token>, Vec<Arc<Object>>),
    /// What it belongs to is missing.
    Orphan(String),
}

impl Daemon {
    /// Reads every record. A record whose ring or key is missing means that the store cannot be trusted.
    pub(crate) fn load(&self) -> Result<()> {
        let catalog = &self.catalog;
        catalog.set_counters(self.records.get::<Counters>(Tree::Meta, COUNTERS)?.unwrap_or_default());

        let mut names: HashMap<Uid, RingName> = HashMap::new();
        self.records.for_each(Tree::KeyRing, |_, ring: KeyRing| {
            names.insert(ring.uid, ring.name.clone());
            catalog.insert_ring(Arc::new(Token::new(ring)));
        })?;

        let mut orphans = Vec::new();
        let make_key = |_, key: CryptoKey| match names.get(&key.ring) {
            Some(ring) => Ok((ring, Arc::new(KeyCell::new(ring, key)))),
            None => Err(format!("the ring of key {}", key.id)),
        };
        self.records.for_each_made(Tree::CryptoKey, b"", make_key, |made| match made {
            Ok((ring, cell)) => {
                for alias in &cell.record().care.aliases {
                    catalog.set_alias(&ring.project, &ring.location, &alias.id, Some(cell.clone()));
                }
                catalog.insert_key(cell);
            }
            Err(missing) => orphans.push(missing),
        })?;
        debug!("the keys are loaded");

        let usage = self.stored_usage()?;
        let show = |_, version: Version| self.load_version(version, &usage);
        let mut result = Ok(());
        self.records.for_each_made(Tree::Version, b"", show, |shown| match shown {
            Ok(Shown::On(token, objects)) => objects.into_iter().for_each(|object| token.insert(object)),
            Ok(Shown::Orphan(missing)) => orphans.push(missing),
            // The first counts.
            Err(error) if result.is_ok() => result = Err(error),
            Err(_) => {}
        })?;
        result?;
        drop(usage);
        debug!("the versions are shown");
        let mut objects = Vec::new();
        self.records.for_each(Tree::Object, |_, object: PlainObject| objects.push(object))?;
        for PlainObject { ring, object } in objects {
            match catalog.token_of(&ring) {
                Some(token) => self.show_plain_object(&token, object)?,
                None => orphans.push(format!("the ring of object {}", object.handle)),
            }
        }

        self.records.for_each(Tree::ImportJob, |_, job: ImportJob| catalog.put_job(job))?;
        debug!("the objects are loaded");
        self.load_policies()?;
        self.load_shut_projects()?;
        self.records.forget_opened();
        match orphans.first() {
            Some(missing) => Err(Error::StoreRefused { detail: format!("{missing} is missing") }),
            None => Ok(()),
        }
    }

    /// Gives a version to its key, and makes the objects that show it.
    fn load_version(&self, version: Version, usage: &StoredUsage) -> Result<Shown> {
        let Some(key) = self.catalog.key(&version.key) else {
            return Ok(Shown::Orphan(format!("the key of a version {}", version.number)));
        };
        let cell = key.insert(version);
        usage.restore(&cell);
        let record = cell.record();
        let expires = record.expire_material_time.is_some() && record.state != VersionState::Destroyed;
        if expires || record.state == VersionState::DestroyScheduled {
            self.catalog.schedule(&cell);
        }
        match self.catalog.token_of(&cell.ring) {
            Some(token) => Ok(Shown::On(token, version_objects(&cell)?)),
            None => Ok(Shown::Orphan(format!("the ring of version {}", cell.name()))),
        }
    }
}
