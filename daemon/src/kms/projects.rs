//! Projects that are shut: nothing under one can be reached, and nothing of it is lost.

use super::record::ShutProjects;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::store::{Change, Tree};

/// Place of the [`ShutProjects`] in the store.
const SHUT: &[u8] = b"shut-projects";

impl Daemon {
    /// The ids of all projects with a key ring, and of those that are shut, in order; and whether each is shut.
    pub fn projects(&self) -> Vec<(String, bool)> {
        let shut = self.catalog.shut_projects();
        let tokens = self.catalog.tokens();
        let with_rings = tokens.iter().map(|token| token.ring().name.project.clone());
        let all: std::collections::BTreeSet<String> = with_rings.chain(shut.iter().cloned()).collect();
        all.into_iter().map(|id| (id.clone(), shut.contains(&id))).collect()
    }

    /// Shuts a project, or opens it again. One that already is what is asked for stays as it is.
    ///
    /// # Errors
    /// What the store says.
    pub fn shut_project(&self, id: &str, shut: bool) -> Result<()> {
        let _writer = self.catalog.write();
        let mut ids = self.catalog.shut_projects();
        ids.retain(|other| other != id);
        if shut {
            ids.push(id.to_owned());
            ids.sort();
        }
        let mut change = Change::new();
        change.put(Tree::Meta, SHUT, &ShutProjects { ids: ids.clone() })?;
        self.records.commit(change)?;
        self.put_shut_projects(ids);
        Ok(())
    }

    /// Judges whether anything in a project can be reached.
    ///
    /// # Errors
    /// `ProjectShut`.
    pub fn check_project_open(&self, id: &str) -> Result<()> {
        match self.catalog.shut_projects().iter().any(|shut| shut == id) {
            true => Err(Error::ProjectShut { project: id.to_owned() }),
            false => Ok(()),
        }
    }

    pub(super) fn load_shut_projects(&self) -> Result<()> {
        let shut = self.records.get::<ShutProjects>(Tree::Meta, SHUT)?.unwrap_or_default();
        self.put_shut_projects(shut.ids);
        Ok(())
    }

    fn put_shut_projects(&self, ids: Vec<String>) {
        for token in self.catalog.tokens() {
            token.set_shut(ids.contains(&token.ring().name.project));
        }
        self.catalog.set_shut_projects(ids);
    }
}
