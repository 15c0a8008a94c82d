//! Projects.

use super::ArgumentKind::*;
use super::arguments::{FILTER, LIMIT, PAGE_SIZE, PAGE_TOKEN, SORT_BY, URI};
use super::columns::PROJECT_COLUMNS;
use super::{Confirm, Verb, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 110,
        path: "projects list",
        about: "List the projects, and whether they are disabled",
        action: "ListProjects",
        arguments: &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: PROJECT_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 111,
        path: "projects disable",
        about: "Shut a project: nothing under it can be reached until it is enabled, and nothing is lost",
        action: "DisableProject",
        arguments: &[must("name", Positional, "Project")],
        columns: PROJECT_COLUMNS,
        confirm: Confirm::AskPlain,
    },
    Verb {
        number: 112,
        path: "projects enable",
        about: "Open a project again",
        action: "EnableProject",
        arguments: &[must("name", Positional, "Project")],
        columns: PROJECT_COLUMNS,
        confirm: Confirm::No,
    },
];
