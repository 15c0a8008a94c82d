//! What a record says.

use serde_json::{Map, Value, json};

use super::principal::Principal;
use crate::error::{Error, Result};
use crate::kms::time::Time;

/// Crockford's base 32, which ULIDs are written in.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What happened.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// An operation name such as `CreateKey`, `P11.C_Login`, `Event.DESTROYED`.
    pub operation: &'a str,
    /// `CryptoKey` and its like.
    pub resource_type: &'a str,
    /// Full resource name.
    pub resource_name: &'a str,
    /// Who did it.
    pub principal: &'a Principal,
    /// Through which door: `admin`, `pkcs11`, `timer`, `daemon`.
    pub source: &'a str,
    /// The PKCS#11 role that was logged in: `token-user:RING`, `token-so:RING`.
    pub role: &'a str,
    /// The PKCS#11 session's handle.
    pub session: u64,
    /// What was asked for; nothing secret.
    pub request: Value,
    /// `OK`, or the class of the error.
    pub result: &'a str,
    /// The fact that stopped it; empty when nothing did.
    pub reason: &'a str,
    /// That fact in a sentence.
    pub message: &'a str,
    /// How long it took.
    pub latency_micros: u64,
}

impl<'a> Record<'a> {
    /// A record of something that went well.
    pub fn new(operation: &'a str, principal: &'a Principal, source: &'a str) -> Record<'a> {
        Record {
            operation,
            resource_type: "Daemon",
            resource_name: "",
            principal,
            source,
            role: "",
            session: 0,
            request: Value::Null,
            result: "OK",
            reason: "",
            message: "",
            latency_micros: 0,
        }
    }

    /// About this resource.
    #[must_use]
    pub fn about(self, resource_type: &'a str, resource_name: &'a str) -> Record<'a> {
        Record { resource_type, resource_name, ..self }
    }

    /// With the outcome of what it is about.
    #[must_use]
    pub fn with_error(self, error: &'a Error, message: &'a str) -> Record<'a> {
        Record { result: error.code().name(), reason: error.reason(), message, ..self }
    }

    /// Its fields but those that make it a link of the chain, as the inside of a JSON object.
    pub(super) fn body(&self, id: &str, now: Time, phase: Phase<'_>) -> String {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| {
            let is_empty = value.is_null() || value == json!("") || value == json!({});
            if !is_empty {
                fields.insert(name.to_owned(), value);
            }
        };
        set("eventId", json!(id));
        set("eventTime", json!(now.rfc3339()));
        set("operation", json!(self.operation));
        set("resourceType", json!(self.resource_type));
        set("resourceName", json!(self.resource_name));
        set("principal", self.principal.document());
        set("role", json!(self.role));
        set("source", json!(self.source));
        set("request", self.request.clone());
        match phase {
            Phase::Whole => {}
            Phase::Intent => set("phase", json!("intent")),
            Phase::Outcome(intent) => set("intent", json!(intent)),
        }
        if phase != Phase::Intent {
            set("result", json!(self.result));
            set("reason", json!(self.reason));
            set("message", json!(self.message));
            set("latencyMicros", json!(self.latency_micros));
        }
        if self.session != 0 {
            set("session", json!(self.session));
        }
        let text = Value::Object(fields).to_string();
        text[1..text.len() - 1].to_owned()
    }
}

/// Whether a record is the whole story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase<'a> {
    /// It is.
    Whole,
    /// What is about to happen.
    Intent,
    /// What came of the intent with this id.
    Outcome(&'a str),
}

/// The type of a resource, by its name.
pub fn resource_type(name: &str) -> &'static str {
    const TYPES: &[(&str, &str)] = &[
        ("/cryptoKeyVersions/", "CryptoKeyVersion"),
        ("/cryptoKeys/", "CryptoKey"),
        ("/importJobs/", "ImportJob"),
        ("/aliases/", "Alias"),
        ("alias/", "Alias"),
        ("/policies/", "Policy"),
        ("/keyRings/", "KeyRing"),
        ("projects/", "Project"),
    ];
    TYPES.iter().find(|(part, _)| name.contains(part)).map_or("Daemon", |(_, r#type)| r#type)
}

/// A ULID: 48 bits of milliseconds, 80 random bits, in 26 letters.
pub(super) fn event_id(now: Time) -> Result<String> {
    let mut bytes = [0; 16];
    crate::crypto::random::fill(&mut bytes[6..])?;
    bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
    let number = u128::from_be_bytes(bytes);
    Ok((0..26).rev().map(|place| char::from(BASE32[(number >> (place * 5)) as usize & 31])).collect())
}
