//! At a start: the intents of the last run whose outcome is not recorded get one, with what is there now.

use serde_json::{Value, json};

use super::principal::Principal;
use super::record::{Record, resource_type};
use crate::daemon::Daemon;
use crate::kms::time::Time;
use crate::lock;

/// The result of something whose outcome is not known.
pub const UNKNOWN: &str = "UNKNOWN";

impl Daemon {
    /// Closes them. The daemon has read its store.
    pub(crate) fn close_intents(&self) {
        let open = std::mem::take(&mut *lock::lock(&self.audit.open));
        let by = Principal::Timer;
        for intent in open {
            tracing::warn!(
                operation = intent.operation,
                resource = intent.resource_name,
                "ended in the middle"
            );
            let record = Record {
                request: self.found(&intent.resource_name),
                result: UNKNOWN,
                reason: "DaemonEnded",
                message: "the daemon ended before the outcome was recorded; resolved at the next start",
                ..Record::new(&intent.operation, &by, "daemon")
                    .about(resource_type(&intent.resource_name), &intent.resource_name)
            };
            self.audit.close_open(&intent.id, &record);
        }
    }

    /// What there is of a resource now.
    fn found(&self, name: &str) -> Value {
        let now = Time::now();
        for token in self.catalog.tokens() {
            let ring = token.ring().name.to_string();
            if name == ring {
                return json!({"exists": true});
            }
            if !name.starts_with(&ring) {
                continue;
            }
            for key in self.catalog.keys(&token.uid) {
                if *name == *key.name {
                    let states = key
                        .versions()
                        .into_iter()
                        .map(|version| (version.number.to_string(), json!(version.state(now).name())));
                    return json!({"exists": true, "versions": Value::Object(states.collect())});
                }
                let version = key.versions().into_iter().find(|version| version.name() == name);
                if let Some(version) = version {
                    return json!({"exists": true, "state": version.state(now).name()});
                }
            }
        }
        json!({"exists": false})
    }
}
