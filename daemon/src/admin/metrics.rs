//! `metrics`: what the daemon counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use serde_json::{Value, json};

use super::Call;
use crate::error::Result;
use crate::kms::clock::{self, CLOCK};

/// The text, line by line.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A metric and its samples, each with its label.
    fn metric(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (String, impl Display)>,
    ) {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "# HELP claviger_{name} {help}\n# TYPE claviger_{name} {kind}");
        for (value, sample) in samples {
            let _ = match value.as_str() {
                "" => writeln!(self.0, "claviger_{name} {sample}"),
                value => writeln!(self.0, "claviger_{name}{{{label}=\"{value}\"}} {sample}"),
            };
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "gauge", help, "", [(String::new(), value)]);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "counter", help, "", [(String::new(), value)]);
    }
}

/// `metrics`
pub fn metrics(call: &Call<'_>) -> Result<Value> {
    let (daemon, catalog) = (call.daemon, &call.daemon.catalog);
    let tokens = catalog.tokens();
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for key in tokens.iter().flat_map(|token| catalog.keys(&token.uid)) {
        for version in key.versions() {
            *states.entry(version.state(call.now).name()).or_default() += 1;
        }
    }
    let (events, attempts) = daemon.events.counts();
    let (audit, clock) = (daemon.audit.status(), CLOCK.status(clock::reading()));
    let mut text = Text::default();
    let named = |(name, count): (&&str, &u64)| ((*name).to_owned(), *count);
    text.gauge("uptime_seconds", "Time since the daemon started.", daemon.started.elapsed().as_secs());
    text.gauge("key_rings", "Key rings.", tokens.len());
    text.gauge("keys", "Keys.", catalog.key_count());
    text.metric("key_versions", "gauge", "Key versions by state.", "state", states.iter().map(named));
    text.gauge("scheduled_destructions", "Versions scheduled for destruction.", catalog.scheduled().len());
    text.gauge("applications", "PKCS#11 applications that are connected.", daemon.applications.count());
    text.metric(
        "events_total",
        "counter",
        "Events since the start, by name.",
        "event",
        events.iter().map(named),
    );
    text.counter(
        "scheduled_key_use_attempts_total",
        "Uses of versions scheduled for destruction since the start.",
        attempts,
    );
    text.gauge("clock_held", "1 while a leap of the clock is not believed.", u8::from(clock.held));
    text.counter("audit_records_total", "Number of the last audit record.", audit.last);
    text.counter("audit_unlogged_total", "Records that could not be written, ever.", audit.unlogged);
    text.gauge("audit_writable", "0 when nothing can be recorded.", u8::from(audit.broken.is_none()));
    text.gauge(
        "audit_last_checkpoint",
        "Number of the last signed record of this run.",
        audit.last_checkpoint.map_or(0, |(number, _)| number),
    );
    Ok(json!({"text": text.0}))
}
