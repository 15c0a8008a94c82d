//! Which calls are recorded in the audit log, and what is said of them.
//!
//! What changes a token (its keys and objects, its PINs, who is logged in) is recorded before it happens and after;
//! what makes or takes keys without changing a token, afterwards. Uses of keys are recorded where a key is admitted,
//! in [`Context::key`].

use std::any::Any;
use std::sync::Arc;

use claviger_protocol::AttributeType;
use claviger_protocol::call::{
    Call, CopyObject, CreateObject, DeriveKey, Derived, DestroyObject, GenerateKey, GenerateKeyPair, InitPin,
    InitToken, Login, LoginUser, Logout, SetAttributeValue, SetPin, UnwrapKey, WrapKey,
};
use claviger_protocol::flags::user;
use claviger_protocol::params::Mechanism;
use claviger_protocol::template::{Attribute, Value as AttributeValue};
use serde_json::{Map, Value, json};

use super::Context;
use crate::audit::record::resource_type;
use crate::audit::{Intent, Principal, Record, Use};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::session::Session;
use crate::token::Token;

/// A call that is being recorded.
pub struct Pending {
    operation: &'static str,
    resource: String,
    session: Option<Arc<Session>>,
    role: String,
    request: Map<String, Value>,
    changes: bool,
    intent: Option<Intent>,
}

/// What a call is about.
type Describe = fn(&dyn Any, &Context<'_>) -> Option<Pending>;

macro_rules! audited {
    ($($call:ident $operation:literal => $describe:expr;)*) => {
        /// The calls by their numbers.
        const CALLS: &[(u16, Describe)] = &[$((
            $call::NUMBER,
            |request, context| {
                let describe: fn(&$call, &Context<'_>, Pending) -> Option<Pending> = $describe;
                describe(request.downcast_ref()?, context, Pending::new($operation))
            },
        ),)*];
    };
}

audited! {
    InitToken "P11.C_InitToken" => |call, context, pending| {
        let pending = pending.with("slot", json!(call.slot)).with("label", text(&call.label));
        let token = context.daemon.catalog.token(call.slot);
        Some(Pending { resource: token.map(|token| ring(&token)).unwrap_or_default(), changes: true, ..pending })
    };
    InitPin "P11.C_InitPIN" => |call, context, pending| Some(pending.of(context, call.session).change());
    SetPin "P11.C_SetPIN" => |call, context, pending| Some(pending.of(context, call.session).change());
    Login "P11.C_Login" => |call, context, pending| {
        Some(pending.of(context, call.session).with("user", user_type(call.user_type)).change())
    };
    LoginUser "P11.C_LoginUser" => |call, context, pending| {
        Some(pending.of(context, call.session).with("user", user_type(call.user_type)).change())
    };
    Logout "P11.C_Logout" => |call, context, pending| Some(pending.of(context, call.session));
    CreateObject "P11.C_CreateObject" => |call, context, pending| {
        let keeps = is_kept(&call.template);
        Some(pending.of(context, call.session).with_template(&call.template).changing(keeps))
    };
    CopyObject "P11.C_CopyObject" => |call, context, pending| {
        let source = object(context, call.session, call.object);
        let keeps = match flag(&call.template, AttributeType::TOKEN) {
            Some(keeps) => keeps,
            None => source.as_ref().is_some_and(|source| source.is_token()),
        };
        let pending = pending.of(context, call.session).with_template(&call.template);
        Some(pending.with("object", name(source.as_deref())).changing(keeps))
    };
    DestroyObject "P11.C_DestroyObject" => |call, context, pending| {
        let doomed = object(context, call.session, call.object);
        Some(pending.of(context, call.session).about(doomed.as_deref()))
    };
    SetAttributeValue "P11.C_SetAttributeValue" => |call, context, pending| {
        let changed = object(context, call.session, call.object);
        Some(pending.of(context, call.session).with_template(&call.template).about(changed.as_deref()))
    };
    GenerateKey "P11.C_GenerateKey" => |call, context, pending| {
        let pending = pending.of(context, call.session).by(&call.mechanism);
        Some(pending.with_template(&call.template).changing(is_kept(&call.template)))
    };
    GenerateKeyPair "P11.C_GenerateKeyPair" => |call, context, pending| {
        let keeps = is_kept(&call.private_key_template) || is_kept(&call.public_key_template);
        let pending = pending.of(context, call.session).by(&call.mechanism);
        Some(pending.with_template(&call.private_key_template).changing(keeps))
    };
    WrapKey "P11.C_WrapKey" => |call, context, pending| {
        // A question for the length takes nothing out.
        call.room?;
        let target = object(context, call.session, call.key);
        let wrapping = object(context, call.session, call.wrapping_key);
        let pending = pending.of(context, call.session).by(&call.mechanism).with("wrappingKey", name(wrapping.as_deref()));
        Some(Pending { changes: false, ..pending.about(target.as_deref()) })
    };
    UnwrapKey "P11.C_UnwrapKey" => |call, context, pending| {
        let unwrapping = object(context, call.session, call.unwrapping_key);
        let pending = pending.of(context, call.session).by(&call.mechanism).with_template(&call.template);
        Some(pending.with("unwrappingKey", name(unwrapping.as_deref())).changing(is_kept(&call.template)))
    };
    DeriveKey "P11.C_DeriveKey" => |call, context, pending| {
        let base = object(context, call.session, call.base_key);
        let pending = pending.of(context, call.session).by(&call.mechanism).with_template(&call.template);
        Some(pending.with("baseKey", name(base.as_deref())).changing(is_kept(&call.template)))
    };
}

/// Records what is about to happen. None for calls that are not recorded.
///
/// # Errors
/// `StoreRefused` when it must be recorded and cannot.
pub fn before<C: Call + 'static>(call: &C, context: &Context<'_>) -> Result<Option<Pending>> {
    let Some((_, describe)) = CALLS.iter().find(|(number, _)| *number == C::NUMBER) else { return Ok(None) };
    let Some(mut pending) = describe(call, context) else { return Ok(None) };
    let audit = &context.daemon.audit;
    if pending.changes || audit.uses_are_synced() {
        let by = Principal::Peer(context.application.peer);
        pending.intent = Some(audit.begin(&pending.record(&by))?);
    } else if !audit.records_uses() && pending.operation != "P11.C_Logout" {
        return Ok(None);
    }
    Ok(Some(pending))
}

/// Records what came of it.
pub fn after(
    pending: Option<Pending>,
    context: &Context<'_>,
    outcome: std::result::Result<&dyn Any, &Error>,
) {
    let Some(mut pending) = pending else { return };
    let by = Principal::Peer(context.application.peer);
    let audit = &context.daemon.audit;
    let message = outcome.err().map(ToString::to_string).unwrap_or_default();
    if let (Ok(reply), Some(session)) = (outcome, pending.session.clone()) {
        for handle in made(reply) {
            match session.token.object(handle) {
                Some(object) => pending = pending.about(Some(&object)),
                None => pending.request.extend([("object".to_owned(), json!("session"))]),
            }
        }
    }
    if let (Ok(_), "P11.C_InitToken", Some(slot)) = (outcome, pending.operation, pending.request.get("slot"))
        && let Some(token) = slot.as_u64().and_then(|slot| context.daemon.catalog.token(slot))
    {
        pending.resource = ring(&token);
    }
    let record = pending.record(&by);
    let record = match outcome {
        Ok(_) => record,
        Err(error) => record.with_error(error, &message),
    };
    match &pending.intent {
        Some(intent) => audit.end(intent, &Record { latency_micros: intent.micros(), ..record }),
        None => drop(audit.append(&record)),
    }
}

/// Records that a key which was in use is no longer to be used.
pub fn cut_off(context: &Context<'_>, operation: &'static str, error: &Error) {
    let (Error::VersionScheduled { version } | Error::VersionNotEnabled { version, .. }) = error else {
        return;
    };
    let by = Principal::Peer(context.application.peer);
    context.daemon.scheduled_use(version, &by, operation);
    let used = Use {
        operation,
        version: None,
        name: version,
        token: None,
        mechanism: None,
        session: 0,
        login: None,
        peer: context.application.peer,
        error: Some(error),
    };
    drop(context.daemon.audit.used(&used));
}

impl Pending {
    fn new(operation: &'static str) -> Pending {
        Pending {
            operation,
            resource: String::new(),
            session: None,
            role: String::new(),
            request: Map::new(),
            changes: false,
            intent: None,
        }
    }

    fn of(mut self, context: &Context<'_>, session: u64) -> Pending {
        if let Ok(session) = context.session(session) {
            self.resource = ring(&session.token);
            self.role = crate::audit::role(context.application.table.login(session.slot), &session.token);
            self.session = Some(session);
        }
        self
    }

    fn change(self) -> Pending {
        Pending { changes: true, ..self }
    }

    fn changing(self, changes: bool) -> Pending {
        Pending { changes, ..self }
    }

    fn with(mut self, name: &str, value: Value) -> Pending {
        if !value.is_null() {
            self.request.insert(name.to_owned(), value);
        }
        self
    }

    fn by(self, mechanism: &Mechanism) -> Pending {
        self.with("mechanism", json!(mechanism.r#type.to_string()))
    }

    /// Which attributes it sets; of their values only the label.
    fn with_template(self, template: &[Attribute]) -> Pending {
        let label = template.iter().find_map(|attribute| match &attribute.value {
            AttributeValue::Bytes(label) if attribute.r#type == AttributeType::LABEL => Some(text(label)),
            _ => None,
        });
        let names: Vec<_> = template.iter().take(64).map(|attribute| attribute.r#type.to_string()).collect();
        self.with("label", label.unwrap_or_default()).with("attributes", json!(names))
    }

    /// About an object, which it changes when the token has it.
    fn about(self, object: Option<&Object>) -> Pending {
        let Some(object) = object else { return self };
        let named = match object.origin() {
            Some(version) => Pending { resource: version.name(), ..self },
            None => self,
        };
        let is_token = object.is_token();
        named.with("class", json!(object.class.to_string())).changing(is_token)
    }

    fn record<'a>(&'a self, by: &'a Principal) -> Record<'a> {
        let kind = match resource_type(&self.resource) {
            "Daemon" | "KeyRing" => "Token",
            kind => kind,
        };
        Record {
            role: &self.role,
            session: self.session.as_ref().map_or(0, |session| session.handle),
            request: Value::Object(self.request.clone()),
            ..Record::new(self.operation, by, "pkcs11").about(kind, &self.resource)
        }
    }
}

/// Handles of the objects that a call has made.
fn made(reply: &dyn Any) -> Vec<u64> {
    if let Some(handle) = reply.downcast_ref::<u64>() {
        vec![*handle]
    } else if let Some((_, private)) = reply.downcast_ref::<(u64, u64)>() {
        vec![*private]
    } else if let Some(derived) = reply.downcast_ref::<Derived>() {
        vec![derived.key]
    } else {
        Vec::new()
    }
}

fn object(context: &Context<'_>, session: u64, handle: u64) -> Option<Arc<Object>> {
    context.object(&*context.session(session).ok()?, handle).ok()
}

fn name(object: Option<&Object>) -> Value {
    match object.map(|object| object.origin()) {
        Some(Some(version)) => json!(version.name()),
        Some(None) => json!("session"),
        None => Value::Null,
    }
}

fn ring(token: &Token) -> String {
    token.ring().name.to_string()
}

fn flag(template: &[Attribute], wanted: AttributeType) -> Option<bool> {
    template.iter().find_map(|attribute| match attribute.value {
        AttributeValue::Bool(value) if attribute.r#type == wanted => Some(value),
        _ => None,
    })
}

/// True for a template of an object that stays on the token.
fn is_kept(template: &[Attribute]) -> bool {
    flag(template, AttributeType::TOKEN) == Some(true)
}

fn text(bytes: &[u8]) -> Value {
    json!(String::from_utf8_lossy(bytes.trim_ascii_end()).chars().take(256).collect::<String>())
}

fn user_type(number: u64) -> Value {
    json!(match number {
        user::SO => "so",
        user::USER => "user",
        user::CONTEXT_SPECIFIC => "context-specific",
        _ => "unknown",
    })
}
