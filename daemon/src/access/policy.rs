//! Policy documents: what they say, and how they are read and written.
//!
//! ```json
//! {"Version": "1", "Statement": [{
//!     "Sid": "payments sign", "Effect": "Allow", "Principal": ["group:payments"], "Action": ["kms:AsymmetricSign"],
//!     "Resource": ["projects/local/locations/global/keyRings/web/cryptoKeys/tls*"],
//!     "Condition": {"StringEquals": {"kms:tag/env": "production"}}
//! }]}
//! ```
//!
//! A statement names `Action`s or built-in `Role`s. Without `Resource` it holds for what the policy is attached to
//! and everything below.

use serde_json::{Map, Value, json};

use super::action::Pattern;
use super::identity::Who;
use super::role::Role;
use crate::error::{Error, Result};
use crate::kms::algorithm::quoted;
use crate::kms::time::Time;
use crate::session_table::User;

/// Longest document, in bytes.
pub const MAX_BYTES: usize = 32_768;
/// Most statements of a document, and most entries of each list in one.
const MAX_ENTRIES: usize = 1000;
/// Longest text in a document, in bytes: a full resource name is shorter.
const MAX_TEXT_BYTES: usize = 1024;

/// A policy document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// In the order of the document.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What its author calls it.
    pub sid: String,
    /// Deny, and not allow.
    pub deny: bool,
    /// Whom it is about.
    pub principals: Vec<Principal>,
    /// Actions as they were written, and what they mean.
    pub actions: Vec<(String, Vec<Pattern>)>,
    /// Built-in roles.
    pub roles: Vec<&'static Role>,
    /// Names of resources; none: the place of the policy and below.
    pub resources: Vec<ResourcePattern>,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// `*`
    Anybody,
    /// `uid:1000`
    Uid(u32),
    /// `user:alice`
    User(String),
    /// `gid:1000`
    Gid(u32),
    /// `group:payments`
    Group(String),
    /// `token-user:RING`: who has logged in on the ring's token as the user.
    TokenUser(String),
    /// `token-so:RING`: as the security officer.
    TokenSo(String),
}

impl Principal {
    /// Reads one.
    ///
    /// # Errors
    /// `InvalidArgument` says what forms there are.
    pub fn parse(text: &str) -> Result<Principal> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text);
        let found = match text.split_once(':') {
            None if text == "*" => Some(Principal::Anybody),
            Some(("uid", id)) => number(id).map(Principal::Uid),
            Some(("gid", id)) => number(id).map(Principal::Gid),
            Some((_, "")) => None,
            Some(("user", name)) => Some(Principal::User(name.to_owned())),
            Some(("group", name)) => Some(Principal::Group(name.to_owned())),
            Some(("token-user", ring)) => Some(Principal::TokenUser(ring.to_owned())),
            Some(("token-so", ring)) => Some(Principal::TokenSo(ring.to_owned())),
            Some(("key-id" | "sa", _)) => {
                return refuse(format!(
                    "{} is somebody who comes over a network, and this daemon has no network door",
                    quoted(text)
                ));
            }
            _ => None,
        };
        found.ok_or_else(|| Error::InvalidArgument {
            message: format!(
                "{} is no principal: uid:N, user:NAME, gid:N, group:NAME, token-user:RING, token-so:RING or *",
                quoted(text)
            ),
        })
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Principal::Anybody => "*".to_owned(),
            Principal::Uid(uid) => format!("uid:{uid}"),
            Principal::User(name) => format!("user:{name}"),
            Principal::Gid(gid) => format!("gid:{gid}"),
            Principal::Group(name) => format!("group:{name}"),
            Principal::TokenUser(ring) => format!("token-user:{ring}"),
            Principal::TokenSo(ring) => format!("token-so:{ring}"),
        }
    }

    /// True when this is somebody of theirs.
    pub fn matches(&self, who: &Who) -> bool {
        let identity = who.identity.as_deref();
        let is_ring = |wanted: &str, role: User| {
            who.login.as_ref().is_some_and(|(ring, user)| {
                *user == role && (ring.id == wanted || ring.to_string() == wanted)
            })
        };
        match self {
            Principal::Anybody => true,
            Principal::Uid(uid) => identity.is_some_and(|identity| identity.peer.uid == *uid),
            Principal::User(name) => identity.is_some_and(|identity| identity.user.as_ref() == Some(name)),
            Principal::Gid(gid) => identity.is_some_and(|identity| identity.gids.contains(gid)),
            Principal::Group(name) => identity.is_some_and(|identity| identity.groups.contains(name)),
            Principal::TokenUser(ring) => is_ring(ring, User::User),
            Principal::TokenSo(ring) => is_ring(ring, User::So),
        }
    }
}

/// Names of resources: a full name, `*` for a part of one segment, `**` at the end for everything at and below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePattern(String);

/// Segments of names that policies know; versions and aliases have no policy of their own.
const COLLECTIONS: &[&[&str]] = &[
    &["projects"],
    &["projects", "locations"],
    &["projects", "locations", "keyRings"],
    &["projects", "locations", "keyRings", "cryptoKeys"],
    &["projects", "locations", "keyRings", "importJobs"],
];

impl ResourcePattern {
    fn parse(text: &str) -> Result<ResourcePattern> {
        let wrong = || {
            refuse(format!(
                "{} is no resource: projects/P/locations/L/keyRings/R/cryptoKeys/K is, or a name above it, or \
                 …/importJobs/J; * stands for text in a segment, ** at the end for everything below",
                quoted(text)
            ))
        };
        if text == "*" || text == "**" {
            return Ok(ResourcePattern("**".to_owned()));
        }
        let name = text.strip_suffix("/**").unwrap_or(text);
        let segments: Vec<&str> = name.split('/').collect();
        let collections: Vec<&str> = segments.iter().step_by(2).copied().collect();
        let known = COLLECTIONS.contains(&collections.as_slice()) && segments.len().is_multiple_of(2);
        let filled = segments.iter().all(|segment| !segment.is_empty() && !segment.contains("**"));
        if known && filled { Ok(ResourcePattern(text.to_owned())) } else { wrong() }
    }

    /// True when the name is one of these.
    pub fn matches(&self, name: &str) -> bool {
        if self.0 == "**" {
            return true;
        }
        let (pattern, below) = match self.0.strip_suffix("/**") {
            Some(pattern) => (pattern, true),
            None => (self.0.as_str(), false),
        };
        let (mut wanted, mut given) = (pattern.split('/'), name.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (None, Some(_)) => return below,
                (Some(pattern), Some(text)) if is_like(pattern, text) => {}
                _ => return false,
            }
        }
    }
}

/// What must hold besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The field is one of these texts, or for `like` one of these patterns, in which `*` stands for any text.
    Text {
        /// What is looked at.
        field: Field,
        /// `StringLike`.
        like: bool,
        /// One of these.
        values: Vec<String>,
    },
    /// The fact is so.
    Fact(Fact, bool),
    /// It is later than this.
    After(Time),
    /// It is earlier than this.
    Before(Time),
}

/// A text that a condition looks at. Only keys have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `kms:tag/NAME`
    Tag(String),
    /// `kms:algorithm`, that of the key's next version.
    Algorithm,
    /// `kms:purpose`
    Purpose,
}

/// A fact that a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// `kms:viaPkcs11`: asked through the PKCS#11 module.
    ViaPkcs11,
    /// `kms:private`: about a PKCS#11 object with `CKA_PRIVATE`.
    Private,
}

const TAG: &str = "kms:tag/";
const NOW: &str = "kms:currentTime";

impl Field {
    fn parse(text: &str) -> Option<Field> {
        match text {
            "kms:algorithm" => Some(Field::Algorithm),
            "kms:purpose" => Some(Field::Purpose),
            _ => text.strip_prefix(TAG).filter(|tag| !tag.is_empty()).map(|tag| Field::Tag(tag.to_owned())),
        }
    }

    fn text(&self) -> String {
        match self {
            Field::Algorithm => "kms:algorithm".to_owned(),
            Field::Purpose => "kms:purpose".to_owned(),
            Field::Tag(tag) => format!("{TAG}{tag}"),
        }
    }
}

impl Fact {
    const NAMES: [(&'static str, Fact); 2] =
        [("kms:viaPkcs11", Fact::ViaPkcs11), ("kms:private", Fact::Private)];

    fn parse(text: &str) -> Option<Fact> {
        Fact::NAMES.iter().find(|(name, _)| *name == text).map(|(_, fact)| *fact)
    }
}

/// True when the text fits the pattern, in which `*` stands for any text.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// `InvalidArgument` names the statement and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Document> {
        if bytes.len() > MAX_BYTES {
            return refuse(format!(
                "a policy has at most {MAX_BYTES} bytes, and this one has {}",
                bytes.len()
            ));
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Error::InvalidArgument { message: format!("the policy is no JSON: {error}") })?;
        let Value::Object(mut fields) = value else { return refuse("a policy is an object".to_owned()) };
        match fields.remove("Version") {
            Some(Value::String(version)) if version == "1" => {}
            Some(Value::Number(version)) if version.as_u64() == Some(1) => {}
            _ => return refuse("the policy's Version must be \"1\"".to_owned()),
        }
        let statements = match fields.remove("Statement") {
            Some(Value::Array(statements)) if statements.len() <= MAX_ENTRIES => statements,
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return refuse("the policy's Statement must be a list of statements".to_owned()),
        };
        no_more("the policy", &fields)?;
        let statements = statements.into_iter().enumerate().map(|(index, statement)| {
            Statement::parse(statement).map_err(|error| match error {
                Error::InvalidArgument { message } => {
                    Error::InvalidArgument { message: format!("statement {}: {message}", index + 1) }
                }
                error => error,
            })
        });
        Ok(Document { statements: statements.collect::<Result<_>>()? })
    }

    /// As JSON.
    pub fn document(&self) -> Value {
        json!({"Version": "1", "Statement": self.statements.iter().map(Statement::document).collect::<Value>()})
    }

    /// As the store keeps it.
    ///
    /// # Errors
    /// `InvalidArgument` for one that has become too long.
    pub fn to_text(&self) -> Result<String> {
        let text = self.document().to_string();
        if text.len() > MAX_BYTES {
            return refuse(format!("the policy would have {} bytes; {MAX_BYTES} are the most", text.len()));
        }
        Ok(text)
    }

    /// Grants a role to somebody.
    pub fn add_binding(&mut self, principal: Principal, role: &'static Role) {
        if let Some(binding) = self.statements.iter_mut().find(|statement| statement.is_binding(role)) {
            if !binding.principals.contains(&principal) {
                binding.principals.push(principal);
            }
            return;
        }
        self.statements.push(Statement::binding(principal, vec![role]));
    }

    /// Takes a role from somebody. False when no statement grants just this role to just them.
    pub fn remove_binding(&mut self, principal: &Principal, role: &'static Role) -> bool {
        let mut found = false;
        for statement in self.statements.iter_mut().filter(|statement| statement.is_binding(role)) {
            let before = statement.principals.len();
            statement.principals.retain(|other| other != principal);
            found |= statement.principals.len() != before;
        }
        self.statements.retain(|statement| !statement.principals.is_empty());
        found
    }
}

impl Statement {
    /// A statement that grants roles to somebody.
    pub fn binding(principal: Principal, roles: Vec<&'static Role>) -> Statement {
        Statement {
            sid: String::new(),
            deny: false,
            principals: vec![principal],
            actions: Vec::new(),
            roles,
            resources: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// True for one that grants exactly this role, without further ado.
    fn is_binding(&self, role: &'static Role) -> bool {
        !self.deny
            && self.actions.is_empty()
            && self.roles == [role]
            && self.resources.is_empty()
            && self.conditions.is_empty()
    }

    /// True when it is about the action.
    pub fn has_action(&self, action: &str) -> bool {
        self.roles.iter().any(|role| role.allows(action))
            || self.actions.iter().flat_map(|(_, patterns)| patterns).any(|pattern| pattern.matches(action))
    }

    fn parse(value: Value) -> Result<Statement> {
        let Value::Object(mut fields) = value else { return refuse("it is no object".to_owned()) };
        let sid = match fields.remove("Sid") {
            None => String::new(),
            Some(Value::String(sid)) if sid.len() <= MAX_TEXT_BYTES => sid,
            Some(_) => return refuse("Sid must be a text".to_owned()),
        };
        let deny = match fields.remove("Effect").as_ref().and_then(Value::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return refuse("Effect must be Allow or Deny".to_owned()),
        };
        let principals = texts(&mut fields, "Principal")?;
        if principals.is_empty() {
            return refuse("Principal must name somebody, or * for everybody".to_owned());
        }
        let principals = principals.iter().map(|text| Principal::parse(text)).collect::<Result<_>>()?;
        let actions = texts(&mut fields, "Action")?.into_iter().map(|text| match Pattern::parse(&text) {
            Some(patterns) => Ok((text, patterns)),
            None => refuse(format!("{} is no action: kms:Encrypt is, or kms:List*", quoted(&text))),
        });
        let actions = actions.collect::<Result<Vec<_>>>()?;
        let roles = texts(&mut fields, "Role")?.into_iter().map(|text| role(&text));
        let roles = roles.collect::<Result<Vec<_>>>()?;
        if actions.is_empty() && roles.is_empty() {
            return refuse("it must name an Action or a Role".to_owned());
        }
        let resources = texts(&mut fields, "Resource")?;
        let resources = resources.iter().map(|text| ResourcePattern::parse(text)).collect::<Result<_>>()?;
        let conditions = match fields.remove("Condition") {
            None => Vec::new(),
            Some(Value::Object(tests)) => conditions(tests)?,
            Some(_) => return refuse("Condition must be an object".to_owned()),
        };
        no_more("it", &fields)?;
        Ok(Statement { sid, deny, principals, actions, roles, resources, conditions })
    }

    fn document(&self) -> Value {
        let list = |texts: Vec<String>| Value::from(texts);
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| {
            let empty = matches!(&value, Value::Array(items) if items.is_empty())
                || matches!(&value, Value::Object(fields) if fields.is_empty())
                || matches!(&value, Value::String(text) if text.is_empty());
            if !empty {
                fields.insert(name.to_owned(), value);
            }
        };
        set("Sid", json!(self.sid));
        set("Effect", json!(if self.deny { "Deny" } else { "Allow" }));
        set("Principal", list(self.principals.iter().map(Principal::text).collect()));
        set("Action", list(self.actions.iter().map(|(text, _)| text.clone()).collect()));
        set("Role", list(self.roles.iter().map(|role| role.name.to_owned()).collect()));
        set("Resource", list(self.resources.iter().map(|resource| resource.0.clone()).collect()));
        set("Condition", condition_document(&self.conditions));
        Value::Object(fields)
    }
}

/// A built-in role.
///
/// # Errors
/// `InvalidArgument` for one that there is not.
pub fn role(text: &str) -> Result<&'static Role> {
    Role::find(text).ok_or_else(|| Error::InvalidArgument {
        message: format!(
            "{} is no role; these are: {}",
            quoted(text),
            super::role::ROLES.iter().map(|role| role.name).collect::<Vec<_>>().join(", ")
        ),
    })
}

fn conditions(tests: Map<String, Value>) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (test, fields) in tests {
        let Value::Object(mut fields) = fields else {
            return refuse(format!("the condition {} must be an object", quoted(&test)));
        };
        for name in fields.keys().cloned().collect::<Vec<_>>() {
            let values = texts(&mut fields, &name)?;
            let single = || match values.as_slice() {
                [value] => Ok(value.as_str()),
                _ => refuse(format!("{name} of the condition {test} takes one value")),
            };
            let time = || match name.as_str() {
                NOW => Time::parse(single()?).ok_or_else(|| Error::InvalidArgument {
                    message: format!(
                        "{name} of the condition {test} must be a time such as 2030-01-31T12:00:00Z"
                    ),
                }),
                _ => refuse(format!("{} is no time: {NOW} is", quoted(&name))),
            };
            conditions.push(match test.as_str() {
                "StringEquals" | "StringLike" => match Field::parse(&name) {
                    Some(field) => Condition::Text { field, like: test == "StringLike", values },
                    None => {
                        return refuse(format!(
                            "{} is nothing that conditions on texts know: kms:tag/NAME, kms:algorithm and \
                             kms:purpose are",
                            quoted(&name)
                        ));
                    }
                },
                "Bool" => match (Fact::parse(&name), single()?) {
                    (Some(fact), "true") => Condition::Fact(fact, true),
                    (Some(fact), "false") => Condition::Fact(fact, false),
                    (Some(_), _) => return refuse(format!("{name} must be true or false")),
                    (None, _) => {
                        return refuse(format!(
                            "{} is no fact: kms:viaPkcs11 and kms:private are",
                            quoted(&name)
                        ));
                    }
                },
                "DateGreaterThan" => Condition::After(time()?),
                "DateLessThan" => Condition::Before(time()?),
                "IpAddress" | "NotIpAddress" => {
                    return refuse("nobody comes to this daemon from an IP address".to_owned());
                }
                _ => {
                    return refuse(format!(
                        "{} is no condition: StringEquals, StringLike, Bool, DateGreaterThan and DateLessThan are",
                        quoted(&test)
                    ));
                }
            });
        }
    }
    Ok(conditions)
}

fn condition_document(conditions: &[Condition]) -> Value {
    let mut tests = Map::new();
    for condition in conditions {
        let (test, name, value) = match condition {
            Condition::Text { field, like, values } => {
                (if *like { "StringLike" } else { "StringEquals" }, field.text(), json!(values))
            }
            Condition::Fact(fact, wanted) => {
                let name = Fact::NAMES.iter().find(|(_, known)| known == fact).map_or("", |(name, _)| name);
                ("Bool", name.to_owned(), json!(wanted))
            }
            Condition::After(time) => ("DateGreaterThan", NOW.to_owned(), json!(time.rfc3339())),
            Condition::Before(time) => ("DateLessThan", NOW.to_owned(), json!(time.rfc3339())),
        };
        let fields = tests.entry(test).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(fields) = fields {
            fields.insert(name, value);
        }
    }
    Value::Object(tests)
}

/// A text or a list of texts; absent: none. Booleans are texts too.
fn texts(fields: &mut Map<String, Value>, name: &str) -> Result<Vec<String>> {
    let wrong = || refuse(format!("{name} must be a text or a list of texts"));
    let text = |value: Value| match value {
        Value::String(text) if text.len() <= MAX_TEXT_BYTES => Ok(text),
        Value::Bool(fact) => Ok(fact.to_string()),
        _ => wrong().map(|never: Vec<String>| never.concat()),
    };
    match fields.remove(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= MAX_ENTRIES => items.into_iter().map(text).collect(),
        Some(Value::Array(_)) => refuse(format!("{name} has more than {MAX_ENTRIES} entries")),
        Some(value) => Ok(vec![text(value)?]),
    }
}

fn no_more(what: &str, fields: &Map<String, Value>) -> Result<()> {
    match fields.keys().next() {
        Some(unknown) => refuse(format!("{what} has a field {}, which means nothing", quoted(unknown))),
        None => Ok(()),
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_and_written_again() {
        let text = json!({"Version": "1", "Statement": [
            {
                "Sid": "one",
                "Effect": "Deny",
                "Principal": ["uid:7", "user:alice", "gid:9", "group:g", "token-user:r", "token-so:r", "*"],
                "Action": ["kms:Encrypt", "kms:List*", "importJobs.useToImport"],
                "Role": ["kms.admin"],
                "Resource": ["projects/p/**", "projects/p/locations/l/keyRings/r/cryptoKeys/k*"],
                "Condition": {
                    "StringEquals": {"kms:tag/env": ["a", "b"], "kms:purpose": ["MAC"]},
                    "StringLike": {"kms:algorithm": ["EC_*"]},
                    "Bool": {"kms:viaPkcs11": true, "kms:private": false},
                    "DateGreaterThan": {"kms:currentTime": "2026-01-01T00:00:00Z"},
                    "DateLessThan": {"kms:currentTime": "2030-01-01T00:00:00Z"},
                },
            },
            {"Effect": "Allow", "Principal": ["uid:0"], "Action": ["*"]},
        ]});
        let document = Document::parse(text.to_string().as_bytes()).unwrap();
        let again = Document::parse(document.to_text().unwrap().as_bytes()).unwrap();
        assert_eq!(document, again);
        assert_eq!(document.statements.len(), 2);
        assert_eq!(document.statements[0].conditions.len(), 7);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wrong = |statement: Value| {
            let text = json!({"Version": "1", "Statement": [statement]}).to_string();
            Document::parse(text.as_bytes()).unwrap_err().to_string()
        };
        let base = json!({"Effect": "Allow", "Principal": "*", "Action": "*"});
        let with = |name: &str, value: Value| {
            let mut statement = base.clone();
            statement[name] = value;
            wrong(statement)
        };
        for (said, wanted) in [
            (with("Effect", json!("allow")), "Effect must be Allow or Deny"),
            (with("Principal", json!([])), "Principal must name somebody"),
            (with("Principal", json!("uid:x")), "\"uid:x\" is no principal"),
            (with("Principal", json!("uid:007")), "is no principal"),
            (with("Principal", json!("sa:a@b")), "no network door"),
            (with("Action", json!("kms:Encypt")), "\"kms:Encypt\" is no action"),
            (with("Action", json!([])), "must name an Action or a Role"),
            (with("Role", json!("kms.god")), "\"kms.god\" is no role; these are: kms.admin"),
            (with("Resource", json!("keyRings/r")), "is no resource"),
            (
                with("Resource", json!("projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1")),
                "is no resource",
            ),
            (with("Resource", json!("projects/**/locations/l")), "is no resource"),
            (with("Condition", json!({"IpAddress": {"kms:sourceIp": "::1"}})), "IP address"),
            (with("Condition", json!({"StringEquals": {"kms:colour": "red"}})), "\"kms:colour\" is nothing"),
            (with("Condition", json!({"Bool": {"kms:viaPkcs11": "yes"}})), "must be true or false"),
            (with("Condition", json!({"DateLessThan": {"kms:currentTime": "soon"}})), "must be a time"),
            (with("Sidd", json!("x")), "\"Sidd\", which means nothing"),
        ] {
            assert!(said.starts_with("statement 1: ") && said.contains(wanted), "{said}");
        }
        for text in ["", "[]", "{}", r#"{"Version": "2", "Statement": []}"#, r#"{"Version": "1"}"#] {
            assert!(Document::parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = format!("{{\"Version\": \"1\", \"Statement\": []{}}}", " ".repeat(MAX_BYTES));
        assert!(Document::parse(long.as_bytes()).unwrap_err().to_string().contains("at most 32768 bytes"));
    }

    #[test]
    fn a_damaged_document_is_refused_or_is_another_document() {
        let text = json!({"Version": "1", "Statement": [{
            "Sid": "s", "Effect": "Allow", "Principal": ["uid:7", "group:g"], "Action": ["kms:List*", "kms:Encrypt"],
            "Role": ["kms.user"], "Resource": ["projects/p/locations/l/keyRings/r/**"],
            "Condition": {"StringLike": {"kms:tag/env": ["a*"]}, "Bool": {"kms:viaPkcs11": true},
                "DateLessThan": {"kms:currentTime": "2030-01-01T00:00:00Z"}},
        }]})
        .to_string();
        let (mut read, mut refused) = (0, 0);
        let mut attempt = |bytes: &[u8]| match Document::parse(bytes) {
            Ok(document) => {
                let again = Document::parse(document.to_text().unwrap().as_bytes());
                assert_eq!(again.as_ref(), Ok(&document), "{}", String::from_utf8_lossy(bytes));
                read += 1;
            }
            Err(Error::InvalidArgument { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        };
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            for byte in [0, b' ', b'"', b'*', b'/', b'9', b'[', b'{', 0xff] {
                bytes[position] = byte;
                attempt(&bytes);
            }
            attempt(&text.as_bytes()[..position]);
            attempt(&[&text.as_bytes()[..position], &text.as_bytes()[position + 1..]].concat());
        }
        attempt(format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)).as_bytes());
        assert!(read > 100 && refused > 1000, "{read} read, {refused} refused");
    }

    #[test]
    fn resources_match_segment_by_segment() {
        let matches = |pattern: &str, name: &str| ResourcePattern::parse(pattern).unwrap().matches(name);
        let ring = "projects/p/locations/l/keyRings/r";
        let key = "projects/p/locations/l/keyRings/r/cryptoKeys/tls-1";
        assert!(matches(ring, ring) && !matches(ring, key));
        assert!(matches(&format!("{ring}/**"), ring) && matches(&format!("{ring}/**"), key));
        assert!(!matches(&format!("{ring}/**"), "projects/p/locations/l/keyRings/r2"));
        assert!(matches(&format!("{ring}/cryptoKeys/tls-*"), key));
        assert!(!matches(&format!("{ring}/cryptoKeys/tls*2"), key));
        assert!(matches("projects/*/locations/l/keyRings/*/cryptoKeys/*", key));
        assert!(!matches("projects/*", key) && matches("projects/*/**", key) && matches("*", key));
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in
            [("*", ""), ("a*", "a"), ("*a", "ba"), ("a*c*e", "abcde"), ("a", "a"), ("a*a", "aa")]
        {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*b", "a"), ("a*a", "a"), ("*b*", "a"), ("", "a")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn bindings_come_and_go() {
        let mut document = Document::default();
        let (user, signer) = (role("kms.user").unwrap(), role("kms.signer").unwrap());
        document.add_binding(Principal::Uid(1), user);
        document.add_binding(Principal::Uid(2), user);
        document.add_binding(Principal::Uid(2), user);
        document.add_binding(Principal::Uid(1), signer);
        assert_eq!(document.statements.len(), 2);
        assert_eq!(document.statements[0].principals, [Principal::Uid(1), Principal::Uid(2)]);
        assert!(document.remove_binding(&Principal::Uid(1), user));
        assert!(!document.remove_binding(&Principal::Uid(1), user));
        assert!(document.remove_binding(&Principal::Uid(1), signer));
        assert_eq!(document.statements.len(), 1);
    }
}
