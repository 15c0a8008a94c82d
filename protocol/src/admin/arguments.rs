//! Arguments that several verbs have, and the words that some of them take.

use super::ArgumentKind::*;
use super::{Argument, arg, must};

pub(super) const KEYRING: Argument =
    arg("keyring", Text, "Key ring the key is on (not needed with an alias or a full name)");
pub(super) const RING: Argument = must("keyring", Text, "Key ring");
pub(super) const KEY: Argument = must("key", Text, "Key, by name, full name or alias/NAME");
pub(super) const VERSION: Argument = arg("version", Text, "Version number (default the primary version)");
pub(super) const NAME: Argument = must("name", Positional, "Key, by name, full name or alias/NAME");
pub(super) const NAMES: Argument = must("names", PositionalList, "Keys, by name, full name or alias/NAME");
pub(super) const VERSIONS: Argument = must("versions", PositionalList, "Version numbers");
pub(super) const ETAG: Argument = arg("etag", Text, "Only if the resource still has this etag");
pub(super) const FILTER: Argument =
    arg("filter", Text, "Only items such as 'state=ENABLED AND labels.env:prod'");
pub(super) const SORT_BY: Argument =
    arg("sort-by", Text, "Field to sort by; with ~ in front or desc behind, from the greatest");
pub(super) const LIMIT: Argument = arg("limit", Text, "Most items to show");
pub(super) const PAGE_SIZE: Argument =
    arg("page-size", Text, "Items asked from the daemon at a time, at most 1000 (default 100)");
pub(super) const PAGE_TOKEN: Argument = arg("page-token", Text, "Where an earlier page ended");
pub(super) const URI: Argument = arg("uri", LocalFlag, "Print names only");
pub(super) const WINDOW: Argument =
    arg("pending-window-days", Text, "Days from now to destruction, in place of the key's own duration");
pub(super) const FORCE_BOUND: Argument = arg("force-bound", Flag, "Even if the key is bound to something");
pub(super) const AAD: Argument =
    arg("additional-authenticated-data-file", File, "Data that is authenticated and not encrypted");
pub(super) const CONTEXT: Argument =
    arg("context", Text, "Encryption context key=value,key=value in place of authenticated data");
pub(super) const CIPHERTEXT_FORMAT: Argument = arg(
    "ciphertext-format",
    Choice(&["asn1", "c1c3c2"]),
    "Form of an SM2 ciphertext: ASN.1, or its three parts one after the other (default asn1)",
);
pub(super) const BASE64: Argument = arg("base64", LocalFlag, "Files hold base64 text, not bytes");
pub(super) const SKIP_INTEGRITY: Argument =
    arg("skip-integrity-verification", LocalFlag, "Send no checksums and check none");
pub(super) const IV_FILE: Argument = arg(
    "initialization-vector-file",
    File,
    "Initialization vector (CBC and CTR: 16 bytes; GCM: decryption only)",
);
pub(super) const PROTECTION_LEVEL: Argument = arg(
    "protection-level",
    Choice(&["software", "hsm"]),
    "Where the key lives; hsm is emulated by this daemon (default software)",
);
/// The values of `--p11-destroy`: what `C_DestroyObject` does to a token key.
pub const P11_DESTROY: &[&str] = &["schedule", "immediate", "deny"];
/// The values of `--p11-reinit`: what `C_InitToken` does to a token that is initialised.
pub const P11_REINIT: &[&str] = &["allow", "deny"];
/// The values of `--find-versions`: which versions of a key a search gives.
pub const FIND_VERSIONS: &[&str] = &["all", "primary-only"];
pub(super) const P11_REINIT_ARG: Argument = arg(
    "p11-reinit",
    Choice(P11_REINIT),
    "Whether C_InitToken may schedule the destruction of all keys (default allow)",
);
pub(super) const FIND_VERSIONS_ARG: Argument = arg(
    "find-versions",
    Choice(FIND_VERSIONS),
    "Which versions of a key applications find; the primary or newest comes first (default all)",
);
/// The values of a switch.
pub const ON_OFF: &[&str] = &["on", "off"];
pub(super) const ENFORCE_DATES: Argument = arg(
    "enforce-dates",
    Choice(ON_OFF),
    "Refuse keys to applications before CKA_START_DATE and after CKA_END_DATE (default off)",
);
pub(super) const RAW_USE: Argument = arg(
    "p11-raw-use-of-kms-keys",
    Choice(ON_OFF),
    "Let applications use keys for ENCRYPT_DECRYPT with PKCS#11 mechanisms (default off)",
);
/// Token profiles by name.
pub const PROFILES: &[&str] = &["standard", "strict", "legacy"];
/// The import methods by name (RSA size, OAEP hash, and AES-256 key wrap with padding or none).
pub const IMPORT_METHODS: &[&str] = &[
    "rsa-oaep-3072-sha1-aes-256",
    "rsa-oaep-4096-sha1-aes-256",
    "rsa-oaep-3072-sha256-aes-256",
    "rsa-oaep-4096-sha256-aes-256",
    "rsa-oaep-3072-sha256",
    "rsa-oaep-4096-sha256",
];

pub(super) const RING_NAME: Argument = must("name", Positional, "Key ring");
pub(super) const JOB_NAME: Argument = must("name", Positional, "Import job");
pub(super) const POLICY_NAME: Argument = must("name", Positional, "Policy: 1 to 63 letters, digits, - and _");
pub(super) const POLICY_FILE: Argument = arg("policy-file", Document, "Policy document, JSON or YAML");
pub(super) const POLICY: Argument =
    arg("policy", PositionalDocument, "Policy document, in place of --policy-file");
pub(super) const POLICY_DEFAULT: Argument =
    arg("default", Flag, "Take the policy back to what it was at first");
pub(super) const MEMBER: Argument =
    must("member", Text, "uid:N, user:NAME, gid:N, group:NAME, token-user:RING, token-so:RING or *");
pub(super) const ROLE: Argument = must("role", Text, "Role, such as kms.user (policies template lists them)");
pub(super) const PRINCIPAL: Argument =
    must("principal", Text, "uid:N, user:NAME, gid:N, group:NAME, token-user:RING …");
pub(super) const LOGIN_MEMBER: Argument = must("member", Text, "uid:N, user:NAME, gid:N or group:NAME");
pub(super) const LOGIN_ROLE: Argument =
    arg("role", Choice(&["user", "so"]), "As the user (the default) or the security officer");
