//! Who does things, as records show them.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::lock;
use crate::server::Peer;

/// How long the name of a user is believed.
const NAME_LIFE: Duration = Duration::from_secs(60);
/// Users and processes that are remembered.
const MAX_REMEMBERED: usize = 4096;

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
        let mut fields = Map::new();
        fields.insert("uid".to_owned(), json!(peer.uid));
        fields.insert("gid".to_owned(), json!(peer.gid));
        fields.insert("pid".to_owned(), json!(peer.pid));
        if let Some(exe) = program(peer.pid) {
            fields.insert("exe".to_owned(), json!(exe));
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
    static NAMES: Mutex<Option<HashMap<u32, (Instant, String)>>> = Mutex::new(None);
    let mut names = lock::lock(&NAMES);
    let names = names.get_or_insert_default();
    if let Some((asked, name)) = names.get(&uid)
        && asked.elapsed() < NAME_LIFE
    {
        return name.clone();
    }
    let name = match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("user:{}", user.name),
        _ => format!("uid:{uid}"),
    };
    if names.len() >= MAX_REMEMBERED {
        names.clear();
    }
    names.insert(uid, (Instant::now(), name.clone()));
    name
}

static PROGRAMS: Mutex<Option<HashMap<i32, String>>> = Mutex::new(None);

/// Remembers the program of a process that has just connected: it may have ended when its last uses are written.
pub fn meet(peer: &Peer) {
    let Ok(exe) = fs::read_link(format!("/proc/{}/exe", peer.pid)) else { return };
    let mut programs = lock::lock(&PROGRAMS);
    let programs = programs.get_or_insert_default();
    if programs.len() >= MAX_REMEMBERED {
        programs.clear();
    }
    programs.insert(peer.pid, exe.to_string_lossy().into_owned());
}

fn program(pid: i32) -> Option<String> {
    lock::lock(&PROGRAMS).as_ref().and_then(|programs| programs.get(&pid).cloned())
}
