//! `status`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Call;
use crate::error::Result;
use crate::kms::clock::{self, CLOCK};

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
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "opensslVersion": openssl::version::version(),
        "uptimeSeconds": call.daemon.started.elapsed().as_secs(),
        "keyRings": tokens.len(),
        "keys": catalog.key_count(),
        "versions": versions,
        "importJobs": jobs,
        "scheduledDestructions": catalog.scheduled().len(),
        "clockHeld": CLOCK.status(clock::reading()).held,
        "events": events,
        "scheduledUseAttempts": attempts,
    }))
}
