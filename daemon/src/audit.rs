//! The audit log: one JSON object a line, a file a day, each line with the hash of the line before it, so that a line
//! that is changed, taken out or put in shows.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use openssl::sha::sha256;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;
use crate::server::Peer;

/// `previousHash` of the first record of all.
const NO_HASH: &str = "";
/// Records that a log without a directory keeps.
const KEPT_IN_MEMORY: usize = 10_000;
/// Crockford's base 32, which ULIDs are written in.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Somebody at a socket.
    Peer(Peer),
    /// The daemon's own timer.
    Timer,
}

impl Principal {
    /// As it is shown.
    pub fn document(&self) -> Value {
        let Principal::Peer(peer) = self else { return json!({"name": "timer"}) };
        let exe = fs::read_link(format!("/proc/{}/exe", peer.pid)).ok();
        let mut fields = Map::new();
        fields.insert("uid".to_owned(), json!(peer.uid));
        fields.insert("gid".to_owned(), json!(peer.gid));
        fields.insert("pid".to_owned(), json!(peer.pid));
        if let Some(exe) = exe {
            fields.insert("exe".to_owned(), json!(exe.to_string_lossy()));
        }
        fields.insert("name".to_owned(), json!(self.name()));
        Value::Object(fields)
    }

    /// `user:alice`, `uid:1000` for a user without a name, `timer`.
    pub fn name(&self) -> String {
        match self {
            Principal::Timer => "timer".to_owned(),
            Principal::Peer(peer) => user_name(peer.uid),
        }
    }
}

/// `user:alice`, or `uid:1000` for a user without a name.
pub fn user_name(uid: u32) -> String {
    match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("user:{}", user.name),
        _ => format!("uid:{uid}"),
    }
}

/// What happened.
pub struct Record<'a> {
    /// An operation name such as `CreateKey`, `P11.C_Login`, `Event.DESTROYED`.
    pub operation: &'a str,
    /// `CryptoKey` and its like.
    pub resource_type: &'a str,
    /// Full resource name.
    pub resource_name: &'a str,
    /// Who did it.
    pub principal: &'a Principal,
    /// Through which door: `admin`, `pkcs11`, `timer`.
    pub source: &'a str,
    /// What was asked for; nothing secret.
    pub request: Value,
    /// `OK`, or the class of the error.
    pub result: &'a str,
    /// The fact that stopped it; empty when nothing did.
    pub reason: &'a str,
    /// How long it took.
    pub latency_micros: u64,
}

/// Which records are wanted. Absent parts match all.
#[derive(Debug, Default)]
pub struct Query<'a> {
    /// `uid:N`, a user's name, or `user:NAME`.
    pub user: Option<&'a str>,
    /// Resource type.
    pub resource_type: Option<&'a str>,
    /// Resource name: that resource and all below it.
    pub resource_name: Option<&'a str>,
    /// Door.
    pub source: Option<&'a str>,
    /// Id of one record.
    pub event_id: Option<&'a str>,
    /// Operation name.
    pub operation: Option<&'a str>,
    /// `OK` or a class of errors.
    pub result: Option<&'a str>,
    /// Text anywhere in the record.
    pub keyword: Option<&'a str>,
    /// Not before.
    pub since: Option<Time>,
    /// Before.
    pub until: Option<Time>,
    /// Only records after the one with this id.
    pub after: Option<&'a str>,
    /// At most so many, the newest ones.
    pub limit: usize,
}

/// The log.
pub struct Audit(Mutex<Log>);

struct Log {
    /// None: in memory alone.
    directory: Option<PathBuf>,
    memory: VecDeque<String>,
    /// The file of this day, counted from 1970.
    file: Option<(i64, File)>,
    previous: String,
}

impl Audit {
    /// A log in memory.
    pub fn in_memory() -> Audit {
        Audit(Mutex::new(Log {
            directory: None,
            memory: VecDeque::new(),
            file: None,
            previous: NO_HASH.to_owned(),
        }))
    }

    /// The log in a directory, which is made. A last line that a crash cut short is taken away.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: &Path) -> io::Result<Audit> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut previous = NO_HASH.to_owned();
        if let Some(path) = files(directory)?.last() {
            let mut file = OpenOptions::new().read(true).write(true).open(path)?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            if whole < content.len() {
                file.set_len(whole as u64)?;
                file.seek(SeekFrom::End(0))?;
                file.sync_all()?;
            }
            if let Some(line) = content[..whole].split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()) {
                previous = hash(line);
            }
        }
        Ok(Audit(Mutex::new(Log {
            directory: Some(directory.to_owned()),
            memory: VecDeque::new(),
            file: None,
            previous,
        })))
    }

    /// Appends a record and gives its id. Records of changes (`durable`) are on disk when this returns.
    ///
    /// # Errors
    /// `StoreRefused` when it cannot be written: what cannot be recorded must not go unnoticed.
    pub fn append(&self, record: &Record<'_>, durable: bool) -> Result<String> {
        let now = Time::wall();
        let id = event_id(now)?;
        let mut log = lock::lock(&self.0);
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| {
            let is_empty = value.is_null() || value == json!("") || value == json!({});
            if !is_empty {
                fields.insert(name.to_owned(), value);
            }
        };
        set("eventId", json!(id));
        set("eventTime", json!(now.rfc3339()));
        set("operation", json!(record.operation));
        set("resourceType", json!(record.resource_type));
        set("resourceName", json!(record.resource_name));
        set("principal", record.principal.document());
        set("source", json!(record.source));
        set("request", record.request.clone());
        set("result", json!(record.result));
        set("reason", json!(record.reason));
        set("latencyMicros", json!(record.latency_micros));
        set("previousHash", json!(log.previous));
        let line = Value::Object(fields).to_string();
        log.write(now, &line, durable).map_err(|error| Error::StoreRefused {
            detail: format!("the audit log cannot be written: {error}"),
        })?;
        log.previous = hash(line.as_bytes());
        Ok(id)
    }

    /// The newest records that match, newest first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(&self, query: &Query<'_>) -> Result<Vec<Value>> {
        let mut found: VecDeque<Value> = VecDeque::new();
        let mut past = query.after.is_none();
        self.each(|line| {
            let Ok(record) = serde_json::from_str::<Value>(line) else { return };
            if !past {
                past = record.get("eventId").and_then(Value::as_str) == query.after;
                return;
            }
            if query.matches(line, &record) {
                found.push_back(record);
                if found.len() > query.limit {
                    found.pop_front();
                }
            }
        })?;
        Ok(found.into_iter().rev().collect())
    }

    /// Checks the chain of hashes: how many records there are, and the ids of the records before which it is broken.
    ///
    /// # Errors
    /// What the file system says.
    pub fn verify(&self) -> Result<(u64, Vec<String>)> {
        let (mut count, mut broken, mut previous) = (0, Vec::new(), None::<String>);
        self.each(|line| {
            count += 1;
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            let said = record.get("previousHash").and_then(Value::as_str).unwrap_or(NO_HASH).to_owned();
            // Files older than the retention are gone, so the first line that is left proves nothing.
            if previous.as_ref().is_some_and(|hash| *hash != said) {
                let id = record.get("eventId").and_then(Value::as_str).unwrap_or("unreadable");
                broken.push(id.to_owned());
            }
            previous = Some(hash(line.as_bytes()));
        })?;
        if previous.is_some_and(|last| last != lock::lock(&self.0).previous) {
            broken.push("end".to_owned());
        }
        Ok((count, broken))
    }

    /// Removes the files of days that are over for longer than `days`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn expire(&self, now: Time, days: u32) -> io::Result<()> {
        let Some(directory) = lock::lock(&self.0).directory.clone() else { return Ok(()) };
        let oldest = file_name(now.day() - i64::from(days));
        for path in files(&directory)? {
            if path.file_name().is_some_and(|name| *name.to_string_lossy() < *oldest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn each(&self, mut each: impl FnMut(&str)) -> Result<()> {
        let failed = |error: io::Error| Error::StoreRefused {
            detail: format!("the audit log cannot be read: {error}"),
        };
        let directory = {
            let log = lock::lock(&self.0);
            log.memory.iter().for_each(|line| each(line));
            log.directory.clone()
        };
        let Some(directory) = directory else { return Ok(()) };
        for path in files(&directory).map_err(failed)? {
            for line in BufReader::new(File::open(path).map_err(failed)?).lines() {
                each(&line.map_err(failed)?);
            }
        }
        Ok(())
    }
}

impl Log {
    fn write(&mut self, now: Time, line: &str, durable: bool) -> io::Result<()> {
        let Some(directory) = &self.directory else {
            self.memory.push_back(line.to_owned());
            if self.memory.len() > KEPT_IN_MEMORY {
                self.memory.pop_front();
            }
            return Ok(());
        };
        // A clock that was set back does not reopen a day: names must stay in the order of the chain.
        let day = self.file.as_ref().map_or(now.day(), |(day, _)| now.day().max(*day));
        let file = match self.file.take() {
            Some((of, file)) if of == day => file,
            _ => {
                let last = files(directory)?.pop();
                let mut path = directory.join(file_name(day));
                if let Some(last) = last.filter(|last| *last > path) {
                    path = last;
                }
                OpenOptions::new().append(true).create(true).mode(0o600).open(path)?
            }
        };
        let (_, file) = self.file.insert((day, file));
        // One write, so that a crash leaves a whole line or a part at the very end.
        file.write_all(format!("{line}\n").as_bytes())?;
        if durable { file.sync_data() } else { Ok(()) }
    }
}

impl Query<'_> {
    fn matches(&self, line: &str, record: &Value) -> bool {
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
        let equal = |wanted: Option<&str>, field: &str| {
            wanted.is_none_or(|wanted| text(field).eq_ignore_ascii_case(wanted))
        };
        let user = self.user.is_none_or(|user| {
            let name = record.pointer("/principal/name").and_then(Value::as_str).unwrap_or_default();
            let uid = record.pointer("/principal/uid").and_then(Value::as_u64);
            name == user
                || name.strip_prefix("user:") == Some(user)
                || uid.is_some_and(|uid| user == format!("uid:{uid}"))
        });
        let name = self.resource_name.is_none_or(|wanted| {
            let name = text("resourceName");
            name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
        });
        let time = Time::parse(text("eventTime"));
        user && name
            && equal(self.resource_type, "resourceType")
            && equal(self.source, "source")
            && equal(self.event_id, "eventId")
            && equal(self.operation, "operation")
            && equal(self.result, "result")
            && self.keyword.is_none_or(|word| line.to_lowercase().contains(&word.to_lowercase()))
            && self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time.is_some_and(|time| time < until))
    }
}

/// Hash of a line, in hexadecimal.
fn hash(line: &[u8]) -> String {
    sha256(line).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A ULID: 48 bits of milliseconds, 80 random bits, in 26 letters.
fn event_id(now: Time) -> Result<String> {
    let mut bytes = [0; 16];
    crate::crypto::random::fill(&mut bytes[6..])?;
    bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
    let number = u128::from_be_bytes(bytes);
    Ok((0..26).rev().map(|place| char::from(BASE32[(number >> (place * 5)) as usize & 31])).collect())
}

fn file_name(day: i64) -> String {
    let date = Time(day * 24 * 3600 * 1000).date();
    format!("audit-{}.jsonl", String::from_utf8_lossy(&date))
}

/// The log's files, oldest first.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("audit-") && name.ends_with(".jsonl") {
            files.push(directory.join(&*name));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(operation: &'a str, name: &'a str, principal: &'a Principal) -> Record<'a> {
        Record {
            operation,
            resource_type: "CryptoKey",
            resource_name: name,
            principal,
            source: "admin",
            request: json!({"size": 3}),
            result: "OK",
            reason: "",
            latency_micros: 7,
        }
    }

    const ROOT: Principal = Principal::Peer(Peer { uid: 0, gid: 0, pid: 1 });

    #[test]
    fn records_are_chained_filtered_and_newest_first() {
        // AUD-02 AUD-03 AUD-04
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::open(directory.path()).unwrap();
        let first = audit.append(&record("CreateKey", "r/cryptoKeys/k", &ROOT), true).unwrap();
        drop(audit);
        let audit = Audit::open(directory.path()).unwrap();
        audit.append(&record("Encrypt", "r/cryptoKeys/k/cryptoKeyVersions/1", &ROOT), false).unwrap();
        audit.append(&record("Event.DESTROYED", "r/cryptoKeys/k2", &Principal::Timer), true).unwrap();
        assert_eq!(first.len(), 26);
        assert_eq!(audit.verify().unwrap(), (3, vec![]));
        let list = |query: Query<'_>| {
            let found = audit.list(&Query { limit: 50, ..query }).unwrap();
            found.iter().map(|r| r["operation"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list(Query::default()), ["Event.DESTROYED", "Encrypt", "CreateKey"]);
        assert_eq!(list(Query { user: Some("root"), ..Query::default() }), ["Encrypt", "CreateKey"]);
        assert_eq!(list(Query { user: Some("uid:0"), ..Query::default() }), ["Encrypt", "CreateKey"]);
        assert_eq!(
            list(Query { resource_name: Some("r/cryptoKeys/k"), ..Query::default() }),
            ["Encrypt", "CreateKey"]
        );
        assert_eq!(list(Query { operation: Some("Encrypt"), ..Query::default() }), ["Encrypt"]);
        assert_eq!(list(Query { event_id: Some(&first), ..Query::default() }), ["CreateKey"]);
        assert_eq!(list(Query { after: Some(&first), ..Query::default() }), ["Event.DESTROYED", "Encrypt"]);
        assert_eq!(list(Query { keyword: Some("destroyed"), ..Query::default() }), ["Event.DESTROYED"]);
        assert!(list(Query { since: Some(Time(i64::MAX)), ..Query::default() }).is_empty());
        assert!(list(Query { until: Some(Time(0)), ..Query::default() }).is_empty());
        assert_eq!(audit.list(&Query { limit: 1, ..Query::default() }).unwrap().len(), 1);
        let all = audit.list(&Query { limit: 50, ..Query::default() }).unwrap();
        assert_eq!(all[2]["principal"]["uid"], 0);
        assert!(all[2].get("previousHash").is_none() && all[1]["previousHash"].as_str().unwrap().len() == 64);
    }

    #[test]
    fn tampering_shows_and_a_torn_end_is_mended() {
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::open(directory.path()).unwrap();
        for number in 0..5 {
            audit.append(&record(&format!("Op{number}"), "k", &ROOT), false).unwrap();
        }
        drop(audit);
        let path = files(directory.path()).unwrap().remove(0);
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{good}{{\"torn")).unwrap();
        let audit = Audit::open(directory.path()).unwrap();
        audit.append(&record("Op5", "k", &ROOT), false).unwrap();
        assert_eq!(audit.verify().unwrap(), (6, vec![]));
        let lines: Vec<_> = good.lines().collect();
        for bad in [
            good.replace("Op2", "OpX"),
            [lines[0], lines[1], lines[3], lines[4], ""].join("\n"),
            [lines[0], lines[2], lines[1], lines[3], lines[4], ""].join("\n"),
        ] {
            fs::write(&path, bad).unwrap();
            assert!(!Audit::open(directory.path()).unwrap().verify().unwrap().1.is_empty());
        }
        fs::write(&path, [lines[0], lines[1], ""].join("\n")).unwrap();
        assert!(!audit.verify().unwrap().1.is_empty(), "a cut end shows while the daemon runs");
    }

    #[test]
    fn old_days_go() {
        // DST-17
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::open(directory.path()).unwrap();
        let now = Time::wall();
        for day in [181, 180, 0] {
            fs::write(directory.path().join(file_name(now.day() - day)), "").unwrap();
        }
        audit.expire(now, 180).unwrap();
        assert_eq!(files(directory.path()).unwrap().len(), 2);
    }
}
