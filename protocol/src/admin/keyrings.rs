//! Key rings.

use super::ArgumentKind::*;
use super::arguments::{
    ENFORCE_DATES, ETAG, FILTER, FIND_VERSIONS_ARG, LIMIT, P11_DESTROY, P11_REINIT_ARG, PAGE_SIZE,
    PAGE_TOKEN, PROFILES, RAW_USE, SORT_BY, URI,
};
use super::columns::KEYRING_COLUMNS;
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 10,
        path: "keyrings create",
        about: "Create a key ring, which PKCS#11 applications see as a token",
        action: "CreateKeyRing",
        arguments: &[
            must("name", Positional, "Key ring: 1 to 63 letters, digits, - and _"),
            arg("token-label", Text, "Label of the token, at most 32 bytes (default the key ring's name)"),
            arg("so-pin-file", PinFile, "File with the security officer's PIN (- for stdin)"),
            arg("user-pin-file", PinFile, "File with the user's PIN"),
            arg(
                "profile",
                Choice(PROFILES),
                "Which mechanisms and defaults the token has (default standard)",
            ),
            arg("p11-destroy", Choice(P11_DESTROY), "What C_DestroyObject does to a key (default schedule)"),
            P11_REINIT_ARG,
            FIND_VERSIONS_ARG,
            ENFORCE_DATES,
            RAW_USE,
        ],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 11,
        path: "keyrings list",
        about: "List the key rings",
        action: "ListKeyRings",
        arguments: &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 12,
        path: "keyrings describe",
        about: "Show a key ring",
        action: "ListKeyRings",
        arguments: &[must("name", Positional, "Key ring")],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 13,
        path: "keyrings update",
        about: "Change a key ring's label, PINs, profile and what applications may do to it",
        action: "UpdateKeyRing",
        arguments: &[
            must("name", Positional, "Key ring"),
            arg("token-label", Text, "Label of the token, at most 32 bytes"),
            arg("so-pin-file", PinFile, "File with the security officer's new PIN (- for stdin)"),
            arg("user-pin-file", PinFile, "File with the user's new PIN"),
            arg("profile", Choice(PROFILES), "Which mechanisms and defaults the token has"),
            arg("p11-destroy", Choice(P11_DESTROY), "What C_DestroyObject does to a key"),
            P11_REINIT_ARG,
            FIND_VERSIONS_ARG,
            ENFORCE_DATES,
            RAW_USE,
            ETAG,
        ],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
];
