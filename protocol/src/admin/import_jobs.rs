//! Import jobs, and the import of keys in the words of other clouds.

use super::ArgumentKind::*;
use super::arguments::{
    FILTER, IMPORT_METHODS, KEYRING, LIMIT, NAME, PAGE_SIZE, PAGE_TOKEN, RING, SORT_BY, URI,
};
use super::columns::{IMPORT_JOB_COLUMNS, KEY_COLUMNS, VERSION_COLUMNS};
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 60,
        path: "import-jobs create",
        about: "Create an import job: a key pair that wraps material on its way in, for 3 days",
        action: "CreateImportJob",
        arguments: &[
            must("name", Positional, "Import job: 1 to 63 letters, digits, - and _"),
            RING,
            must("import-method", Choice(IMPORT_METHODS), "How the material is wrapped"),
            must("protection-level", Choice(&["software", "hsm"]), "Level of the keys to import"),
            arg("allowed-algorithms", Text, "Only keys of these algorithms: algorithm,algorithm"),
            arg("max-uses", Text, "How many imports it serves (default any number)"),
        ],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 61,
        path: "import-jobs list",
        about: "List the import jobs of a key ring",
        action: "ListImportJobs",
        arguments: &[RING, FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 62,
        path: "import-jobs describe",
        about: "Show an import job with its public key",
        action: "GetImportJob",
        arguments: &[must("name", Positional, "Import job"), RING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 63,
        path: "import-jobs wait",
        about: "Wait until an import job is active",
        action: "GetImportJob",
        arguments: &[must("name", Positional, "Import job"), RING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 64,
        path: "keys get-parameters-for-import",
        about: "Make a wrapping key and a token for one import into a symmetric key, for a day",
        action: "GetParametersForImport",
        arguments: &[
            NAME,
            KEYRING,
            arg(
                "wrapping-algorithm",
                Choice(&["rsaes-oaep-sha-256", "rsaes-oaep-sha-1", "rsaes-pkcs1-v1-5", "sm2pke"]),
                "How the material is wrapped, with RSA-2048 or SM2 (default rsaes-oaep-sha-256)",
            ),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 65,
        path: "keys import-key-material",
        about: "Import material into version 1 of a key by its import token, and have it encrypt",
        action: "ImportKeyMaterial",
        arguments: &[
            NAME,
            KEYRING,
            must("import-token", Text, "Token that get-parameters-for-import gave"),
            must("wrapped-key-file", File, "Material, wrapped with the public key that came with the token"),
            arg("valid-to", Text, "When the material goes: a time (RFC 3339) or +30d (default never)"),
        ],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 66,
        path: "keys delete-imported-key-material",
        about: "Destroy imported material at once; the same material may be imported again",
        action: "DeleteImportedKeyMaterial",
        arguments: &[NAME, KEYRING],
        columns: KEY_COLUMNS,
        confirm: Confirm::TypeName,
    },
];
