//! What the configuration says about who may do what: the `[access]` table.

use serde::Deserialize;

/// Settings of access control.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Group whose members may manage everything, as root may.
    pub admin_group: Option<String>,
    /// Root may use keys without a grant. It may always manage them.
    pub root_may_use_keys: bool,
    /// Wrong PINs in a row that lock a PIN.
    pub max_pin_failures: u32,
    /// Milliseconds that a PIN waits after its fourth wrong try; twice as long after each further one, at most 10
    /// times this. 0 is no wait.
    pub pin_delay_millis: u64,
    /// Who started the daemon with `--dev`: manages everything and uses all keys.
    #[serde(skip)]
    pub owner: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin_group: Some("claviger-admin".to_owned()),
            root_may_use_keys: false,
            max_pin_failures: 10,
            pin_delay_millis: 100,
            owner: None,
        }
    }
}
