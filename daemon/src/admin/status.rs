//! `status`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Call;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kms::clock::{self, CLOCK};
use crate::kms::state::VersionState;

/// Version, uptime, and how much there is of what.
pub fn status(call: &Call<'_>) -> Result<Value> {
    let catalog = &call.daemon.catalog;
    let tokens = catalog.tokens();
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for key in tokens.iter().flat_map(|token| catalog.keys(&token.uid)) {
        for version in key.versions() {
            *versions.entry(version.state(call.now).name()).or_default() += 1;
        }
    }
    let jobs: usize = tokens.iter().map(|token| catalog.jobs(&token.uid).len()).sum();
    let (events, attempts) = call.daemon.events.counts();
    let audit = call.daemon.audit.status();
    Ok(json!({
        "sealed": false,
        "version": env!("CARGO_PKG_VERSION"),
        "opensslVersion": openssl::version::version(),
        "uptimeSeconds": call.daemon.started.elapsed().as_secs(),
        "keyRings": tokens.len(),
        "keys": catalog.key_count(),
        "versions": versions,
        "importJobs": jobs,
        "scheduledDestructions": versions.get(VersionState::DestroyScheduled.name()).copied().unwrap_or(0),
        "clockHeld": CLOCK.status(clock::reading()).held,
        "events": events,
        "scheduledUseAttempts": attempts,
        "audit": {
            "lastSequence": audit.last,
            "lastCheckpoint": audit.last_checkpoint.map(|(number, _)| number),
            "unlogged": audit.unlogged,
            "broken": audit.broken,
        },
    }))
}

/// `config check`: whether a file is a configuration that the daemon would start with.
pub fn config_check(call: &Call<'_>) -> Result<Value> {
    let file = call.args.bytes("file").map(|bytes| &bytes[..]).unwrap_or_default();
    let text = std::str::from_utf8(file)
        .map_err(|_| Error::InvalidArgument { message: "the file is no text".to_owned() })?;
    match Config::parse(text) {
        Ok(config) => Ok(json!({"ok": true, "stateDirectory": config.state_directory})),
        Err(error) => Err(Error::InvalidArgument { message: format!("the configuration is wrong: {error}") }),
    }
}
