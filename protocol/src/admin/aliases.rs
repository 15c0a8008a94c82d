//! Aliases.

use super::ArgumentKind::*;
use super::arguments::{FILTER, KEYRING, LIMIT, PAGE_SIZE, PAGE_TOKEN, RING, SORT_BY, URI};
use super::columns::ALIAS_COLUMNS;
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 70,
        path: "aliases create",
        about: "Give a key another name",
        action: "CreateAlias",
        arguments: &[must("alias", Positional, "alias/NAME"), RING, must("key", Text, "Key")],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 71,
        path: "aliases update",
        about: "Point an alias to another key",
        action: "UpdateAlias",
        arguments: &[must("alias", Positional, "alias/NAME"), RING, must("key", Text, "Key")],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 72,
        path: "aliases delete",
        about: "Take an alias away",
        action: "DeleteAlias",
        arguments: &[must("alias", Positional, "alias/NAME")],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 73,
        path: "aliases list",
        about: "List the aliases of a location",
        action: "ListAliases",
        arguments: &[
            arg("key", Text, "Only of this key"),
            KEYRING,
            FILTER,
            SORT_BY,
            LIMIT,
            PAGE_SIZE,
            PAGE_TOKEN,
            URI,
        ],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
];
