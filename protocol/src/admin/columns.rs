//! Columns of the tables that people are shown.

use super::{Column, Form, column};

pub(super) const KEYRING_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("TOKEN LABEL", "tokenLabel", Form::Text),
    column("SERIAL", "tokenSerial", Form::Text),
    column("SLOT", "slot", Form::Text),
    column("PROFILE", "profile", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
pub(super) const KEY_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("PURPOSE", "purpose", Form::Text),
    column("ALGORITHM", "versionTemplate.algorithm", Form::Text),
    column("STATE", "keyState", Form::Words),
    column("PRIMARY", "primary.name", Form::Id),
    column("CREATED", "createTime", Form::Time),
];
pub(super) const VERSION_COLUMNS: &[Column] = &[
    column("VERSION", "name", Form::Id),
    column("STATE", "state", Form::Words),
    column("ALGORITHM", "algorithm", Form::Text),
    column("LEVEL", "protectionLevel", Form::Words),
    column("CREATED", "createTime", Form::Time),
    column("DESTROY TIME", "destroyTime", Form::Time),
];
pub(super) const IMPORT_JOB_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("METHOD", "importMethod", Form::Text),
    column("STATE", "state", Form::Words),
    column("LEVEL", "protectionLevel", Form::Words),
    column("EXPIRES", "expireTime", Form::Time),
];
pub(super) const BATCH_COLUMNS: &[Column] = &[
    column("VERSION", "name", Form::Id),
    column("OK", "ok", Form::Text),
    column("STATE", "state", Form::Words),
    column("DESTROY TIME", "destroyTime", Form::Time),
    column("ERROR", "error.message", Form::Text),
];

pub(super) const KEY_BATCH_COLUMNS: &[Column] = &[
    column("KEY", "name", Form::Id),
    column("OK", "ok", Form::Text),
    column("STATE", "state", Form::Words),
    column("DESTROY TIME", "destroyTime", Form::Time),
    column("ERROR", "error.message", Form::Text),
];
pub(super) const PREFLIGHT_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("STATE", "state", Form::Words),
    column("PRIMARY", "primary", Form::Id),
    column("LAST USE", "lastUseTime", Form::Time),
    column("BOUND TO", "boundTo", Form::Text),
    column("DESTROY TIME", "destroyTime", Form::Time),
];
pub(super) const LOCATION_COLUMNS: &[Column] = &[
    column("LOCATION", "locationId", Form::Text),
    column("HSM", "hsmAvailable", Form::Text),
    column("EKM", "ekmAvailable", Form::Text),
];
pub(super) const BACKUP_COLUMNS: &[Column] = &[
    column("ID", "backup", Form::Text),
    column("MADE", "createTime", Form::Time),
    column("DESTROY BY", "expireTime", Form::Time),
    column("STATE", "state", Form::Words),
    column("SEALED FOR", "sealedFor", Form::Text),
    column("KEYS", "materials", Form::Text),
    column("DESTROYED SINCE", "destroyedSince", Form::Text),
];
pub(super) const PROJECT_COLUMNS: &[Column] =
    &[column("PROJECT", "name", Form::Id), column("STATE", "state", Form::Words)];
pub(super) const ALGORITHM_COLUMNS: &[Column] =
    &[column("ALGORITHM", "name", Form::Text), column("PURPOSE", "purpose", Form::Text)];
pub(super) const ROTATION_COLUMNS: &[Column] = &[
    column("KEY", "name", Form::Id),
    column("ENABLED", "enabled", Form::Text),
    column("PERIOD", "rotationPeriod", Form::Text),
    column("NEXT", "nextRotationTime", Form::Time),
    column("LAST", "lastRotationTime", Form::Time),
];
pub(super) const BINDING_COLUMNS: &[Column] = &[
    column("PRODUCT", "product", Form::Text),
    column("RESOURCE", "resourceId", Form::Text),
    column("NOTE", "note", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
pub(super) const ALIAS_COLUMNS: &[Column] = &[
    column("ALIAS", "alias", Form::Text),
    column("KEY", "key", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
pub(super) const AUDIT_COLUMNS: &[Column] = &[
    column("TIME", "eventTime", Form::Time),
    column("USER", "principal.name", Form::Text),
    column("OPERATION", "operation", Form::Text),
    column("RESOURCE", "resourceName", Form::Id),
    column("RESULT", "result", Form::Text),
    column("ID", "eventId", Form::Text),
];

pub(super) const POLICY_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("ATTACHED TO", "principals", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
pub(super) const LOGIN_COLUMNS: &[Column] =
    &[column("MEMBER", "member", Form::Text), column("ROLE", "role", Form::Text)];
