//! The store into the catalog, at start.

use super::record::{Counters, CryptoKey, ImportJob, KeyRing, PlainObject, RingName, Uid, Version};
use super::state::VersionState;
use crate::catalog::KeyCell;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::store::Tree;
use crate::token::Token;
use std::collections::HashMap;
use std::sync::Arc;
use tracing::debug;

/// Place of the [`Counters`] in the store.
pub(super) const COUNTERS: &[u8] = b"counters";

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
        self.records.for_each(Tree::CryptoKey, |_, key: CryptoKey| match names.get(&key.ring) {
            Some(ring) => {
                let aliases = key.care.aliases.clone();
                let cell = Arc::new(KeyCell::new(ring, key));
                for alias in aliases {
                    catalog.set_alias(&ring.project, &ring.location, &alias.id, Some(cell.clone()));
                }
                catalog.insert_key(cell);
            }
            None => orphans.push(format!("the ring of key {}", key.id)),
        })?;

        debug!("the keys are loaded");
        let mut versions = Vec::new();
        self.records.for_each(Tree::Version, |_, version: Version| match catalog.key(&version.key) {
            Some(key) => {
                let cell = key.insert(version);
                let record = cell.record();
                let expires =
                    record.expire_material_time.is_some() && record.state != VersionState::Destroyed;
                if expires || record.state == VersionState::DestroyScheduled {
                    catalog.schedule(&cell);
                }
                versions.push((key.record().ring, cell));
            }
            None => orphans.push(format!("the key of a version {}", version.number)),
        })?;
        debug!(versions = versions.len(), "the versions are loaded");
        for (ring, version) in versions {
            match catalog.token_of(&ring) {
                Some(token) => self.show_version(&token, &version)?,
                None => orphans.push(format!("the ring of version {}", version.name)),
            }
        }

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
        self.load_usage()?;
        debug!("the usage is loaded");
        self.load_policies()?;
        self.load_shut_projects()?;
        self.records.forget_opened();
        match orphans.first() {
            Some(missing) => Err(Error::StoreRefused { detail: format!("{missing} is missing") }),
            None => Ok(()),
        }
    }
}
