//! What the configuration says about the audit log: the `[audit]` table.

use serde::Deserialize;

use crate::kms::settings::duration;

/// How uses of keys are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UseRule {
    /// Each on its own, and on the disk before the use; a use that cannot be recorded is refused.
    Sync,
    /// Within 100 ms, uses of one key by one session together in one record with their count. When they cannot be
    /// written they are counted, and the count is recorded later.
    Batched,
    /// Only those that were refused, as under `batched`.
    Off,
}

/// Settings of the audit log. Durations are in milliseconds, and texts such as `180d` in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How uses of keys are recorded.
    pub r#use: UseRule,
    /// Size at which a new segment begins, in bytes. One begins every day too.
    pub segment_bytes: u64,
    /// How long records are kept. Once records have been exported, those that have not been stay longer.
    #[serde(deserialize_with = "duration")]
    pub retention: u64,
    /// Records after which there is a checkpoint.
    pub checkpoint_records: u64,
    /// Time after which there is one when there are new records.
    #[serde(deserialize_with = "duration")]
    pub checkpoint_interval: u64,
}

impl Default for Settings {
    fn default() -> Self {
        const MINUTE: u64 = 60 * 1000;
        Self {
            r#use: UseRule::Batched,
            segment_bytes: 64 << 20,
            retention: 180 * 24 * 60 * MINUTE,
            checkpoint_records: 1000,
            checkpoint_interval: MINUTE,
        }
    }
}
