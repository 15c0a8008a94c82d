//! Tags and bindings of keys.

use super::ArgumentKind::*;
use super::arguments::{ETAG, KEYRING, NAME, NAMES};
use super::columns::{BINDING_COLUMNS, KEY_BATCH_COLUMNS};
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 50,
        path: "keys tags set",
        about: "Set tags of keys",
        action: "TagResource",
        arguments: &[
            NAMES,
            KEYRING,
            arg("tags", Text, "Tags: key=value,key=value"),
            arg("tags-file", File, "JSON object of tags"),
            ETAG,
        ],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 51,
        path: "keys tags unset",
        about: "Remove tags of keys",
        action: "UntagResource",
        arguments: &[NAMES, KEYRING, must("tags", Text, "Keys of tags: key,key"), ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 52,
        path: "keys tags list",
        about: "Show the tags of keys",
        action: "ListResourceTags",
        arguments: &[NAMES, KEYRING],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 53,
        path: "keys bindings add",
        about: "Declare that something uses a key",
        action: "BindCloudResource",
        arguments: &[
            NAME,
            KEYRING,
            must("product", Text, "Product or service"),
            must("resource-id", Text, "Resource there"),
            arg("note", Text, "Anything else"),
            ETAG,
        ],
        columns: BINDING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 54,
        path: "keys bindings remove",
        about: "Take a declared use back",
        action: "UnbindCloudResource",
        arguments: &[
            NAME,
            KEYRING,
            must("product", Text, "Product or service"),
            must("resource-id", Text, "Resource there"),
            ETAG,
        ],
        columns: BINDING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 55,
        path: "keys bindings list",
        about: "Show the declared uses of a key",
        action: "GetKeyUsage",
        arguments: &[NAME, KEYRING],
        columns: BINDING_COLUMNS,
        confirm: Confirm::No,
    },
];
